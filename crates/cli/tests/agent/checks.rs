//! Health checks by HTTP and TCP, of a task that stops answering.

use crate::rig::{PROGRAM, Rig, command};
use serde_json::{Value as Json, json};

/// Returns a task that serves on a port, and whose file `turn` has it stop: the program is a master, of which `/health` answers.
fn server(id: &str, port: u16, check: Json) -> Json {
    let serve = format!("{PROGRAM} master --port={port} --work_dir=$MESOS_SANDBOX/master");
    let mut task = command(id, &format!("{serve} & until [ -e turn ]; do sleep 0.05; done; kill $!; exec sleep 1000"));
    let pace =
        json!({"delay_seconds": 0, "interval_seconds": 0.05, "grace_period_seconds": 30, "consecutive_failures": 2});
    task["health_check"] = pace;
    task["health_check"].as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
    let range = json!({"range": [{"begin": port, "end": port}]});
    task["resources"].as_array_mut().unwrap().push(json!({"name": "ports", "type": "RANGES", "ranges": range}));
    task
}

/// Waits for the first status that says whether a task is healthy.
async fn judged(rig: &mut Rig) -> Json {
    loop {
        let status = rig.status_of("TASK_RUNNING").await;
        if status["healthy"].is_boolean() && status["reason"] == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED" {
            return status;
        }
    }
}

async fn turns_bad(port: u16, check: Json) {
    let mut rig = Rig::start(false, &[]).await;
    rig.launch(server("t", port, check)).await;
    let healthy = judged(&mut rig).await;
    assert_eq!(healthy["healthy"], true, "the failures of the grace period are not told: {healthy}");
    let state = rig.ask("/state").await;
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
    std::fs::write(format!("{directory}/turn"), "").unwrap();
    assert_eq!(judged(&mut rig).await["healthy"], false);
    let killed = rig.status_of("TASK_KILLED").await;
    assert_eq!(killed["healthy"], false, "{killed}");
}

#[tokio::test]
async fn a_task_whose_http_check_turns_bad_is_killed() {
    turns_bad(31_003, json!({"type": "HTTP", "http": {"port": 31_003, "path": "/health"}})).await;
}

#[tokio::test]
async fn a_task_whose_tcp_check_turns_bad_is_killed() {
    turns_bad(31_004, json!({"type": "TCP", "tcp": {"port": 31_004}})).await;
}

#[tokio::test]
async fn a_status_that_is_no_success_is_a_bad_check() {
    let mut rig = Rig::start(false, &[]).await;
    let mut task = server("t", 31_005, json!({"type": "HTTP", "http": {"port": 31_005, "path": "/no/such/page"}}));
    task["health_check"]["grace_period_seconds"] = json!(0);
    rig.launch(task).await;
    assert_eq!(judged(&mut rig).await["healthy"], false);
    assert_eq!(rig.status_of("TASK_KILLED").await["healthy"], false);
}
