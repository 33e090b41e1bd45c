//! `apportion agent`, as a process of its own, with a master and a framework: what is launched runs, and outlives the agent if its
//! framework checkpoints.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a test that goes wrong ends, and its waits are bounded in real time"
)]

mod absence;
#[expect(dead_code, reason = "the tests of another page use more of it")]
#[path = "../../../http/tests/browser/mod.rs"]
mod browser;
mod checks;
mod docker;
mod executors;
#[expect(dead_code, clippy::wildcard_enum_match_arm, reason = "the tests of the engine's client use more of it")]
#[path = "../../../exec/tests/docker/fake.rs"]
mod fake;
mod files;
mod flags;
mod limits;
mod page;
mod pull;
mod restart;
mod rig;
mod volumes;
#[path = "../../../http/tests/wire/mod.rs"]
mod wire;

use apportion::Uuid;
use rig::{Rig, command, is_running, of_executor};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::time::Duration;
use wire::Client;

#[tokio::test]
async fn a_command_ends_with_its_exit_status() {
    let mut rig = Rig::start(false, &[]).await;
    for (id, script, state, message) in [
        ("zero", "echo hello; exit 0", "TASK_FINISHED", "Command exited with status 0"),
        ("five", "exit 5", "TASK_FAILED", "Command exited with status 5"),
        ("signal", "kill -9 $$", "TASK_FAILED", "Command terminated with signal Killed"),
        ("missing", "/no/such/program", "TASK_FAILED", "Command exited with status 127"),
    ] {
        rig.launch(command(id, script)).await;
        let ended = rig.status_of(state).await;
        assert_eq!((&ended["message"], &ended["task_id"]["value"]), (&json!(message), &json!(id)), "{ended}");
    }
    let framework = rig.framework.id.clone();
    assert_eq!(rig.file(&framework, "zero", "stdout").await, "hello\n");
    let ended = rig.completed(4).await;
    let zero = ended.iter().find(|executor| executor["id"] == "zero").unwrap();
    assert_eq!(zero["name"], "Command Executor (Task: zero) (Command: sh -c 'echo hello; ...')");
    assert_eq!(zero["completed_tasks"][0]["state"], "TASK_FINISHED");
}

#[tokio::test]
async fn a_killed_task_leaves_nothing_behind() {
    let mut rig = Rig::start(false, &[]).await;
    let script = "trap '' TERM; (trap '' TERM; setsid sleep 1000) & (trap '' TERM; sleep 1000) & echo $!; while :; do sleep 1; done";
    rig.launch(command("t", script)).await;
    rig.status_of("TASK_RUNNING").await;
    let framework = rig.framework.id.clone();
    let pid = loop {
        let text = rig.file(&framework, "t", "stdout").await;
        if let Ok(pid) = text.trim().parse::<u32>() {
            break pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(is_running(pid));
    rig.kill("t", Some(1)).await;
    rig.status_of("TASK_KILLED").await;
    assert!(!is_running(pid));
}

#[tokio::test]
async fn an_executor_that_does_not_subscribe_is_given_up() {
    let mut rig = Rig::start(false, &["--executor_registration_timeout=200ms"]).await;
    rig.launch(of_executor("t", "e", "exec sleep 1000")).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{failed}");
    assert!(failed["message"].as_str().unwrap().contains("waiting for SUBSCRIBE"), "{failed}");
}

#[tokio::test]
async fn an_executor_that_ends_fails_its_tasks_and_its_status_is_told() {
    let mut rig = Rig::start(false, &[]).await;
    rig.launch(of_executor("t", "e", "env > environment; pwd; exit 7")).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_EXECUTOR_TERMINATED", "{failed}");
    let failure = rig.framework.stream.event_of("FAILURE").await;
    assert_eq!(failure["failure"]["status"], 1792, "{failure}");
    assert_eq!(failure["failure"]["executor_id"]["value"], "e");
    let framework = rig.framework.id.clone();
    let environment = rig.file(&framework, "e", "environment").await;
    let sandbox = rig.file(&framework, "e", "stdout").await.trim().to_owned();
    let agent = rig.agent.address;
    for expected in [
        format!("MESOS_FRAMEWORK_ID={framework}"),
        "MESOS_EXECUTOR_ID=e".to_owned(),
        format!("MESOS_AGENT_ENDPOINT={agent}"),
        format!("MESOS_SLAVE_PID=slave(1)@{agent}"),
        format!("MESOS_DIRECTORY={sandbox}"),
        format!("MESOS_SANDBOX={sandbox}"),
        "MESOS_CHECKPOINT=0".to_owned(),
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs".to_owned(),
        "MESOS_RECOVERY_TIMEOUT=15mins".to_owned(),
        "MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs".to_owned(),
        "MESOS_HTTP_COMMAND_EXECUTOR=1".to_owned(),
        "LIBPROCESS_PORT=0".to_owned(),
    ] {
        assert!(environment.lines().any(|line| line == expected), "{expected} is not in\n{environment}");
    }
    assert!(
        environment.lines().any(|line| line.starts_with("PATH="))
            && environment.lines().any(|line| line.starts_with("HOME="))
    );
}

/// Sends a call of an executor over a connection of its own. Returns the connection and the status of the answer.
async fn call(rig: &Rig, executor: &str, mut call: Json) -> (Client, u16) {
    call["framework_id"] = json!({"value": rig.framework.id});
    call["executor_id"] = json!({ "value": executor });
    let body = call.to_string();
    let mut client = Client::connect(rig.agent.address).await;
    let head = "POST /slave(1)/api/v1/executor HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
    let status = client.head().await.unwrap().status;
    (client, status)
}

/// Returns the call with a status of a task.
fn update(task: &str) -> Json {
    json!({"type": "UPDATE", "update": {"status": {
        "task_id": {"value": task}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR", "uuid": Uuid::from_seed(7, 1),
    }}})
}

#[tokio::test]
async fn an_executor_of_a_framework_speaks_for_itself_alone() {
    let mut rig = Rig::start(false, &[]).await;
    rig.launch(command("other", "exec sleep 1000")).await;
    rig.status_of("TASK_RUNNING").await;
    rig.launch(of_executor("own", "e", "exec sleep 1000")).await;
    let known = async {
        while rig.ask("/state").await["frameworks"][0]["executors"][1]["queued_tasks"][0]["id"] != "own" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wire::bounded("the executor", known).await;
    assert_eq!(call(&rig, "nobody", update("own")).await.1, 400);
    assert_eq!(call(&rig, "e", update("own")).await.1, 403, "it has not subscribed");
    let (mut stream, status) = call(&rig, "e", json!({"type": "SUBSCRIBE", "subscribe": {}})).await;
    assert_eq!(status, 200);
    let subscribed = stream.event().await.unwrap();
    assert_eq!(subscribed["type"], "SUBSCRIBED");
    assert_eq!(subscribed["subscribed"]["executor_info"]["executor_id"]["value"], "e");
    assert_eq!(subscribed["subscribed"]["framework_info"]["id"]["value"], rig.framework.id);
    let launch = stream.event().await.unwrap();
    assert_eq!((&launch["type"], &launch["launch"]["task"]["task_id"]["value"]), (&json!("LAUNCH"), &json!("own")));
    assert_eq!(call(&rig, "e", update("other")).await.1, 400, "another executor runs it");
    let mut without = update("own");
    without["update"]["status"].as_object_mut().unwrap().remove("uuid");
    assert_eq!(call(&rig, "e", without).await.1, 400);
    assert_eq!(call(&rig, "e", update("own")).await.1, 202);
    let acknowledged = stream.event().await.unwrap();
    assert_eq!(acknowledged["type"], "ACKNOWLEDGED", "{acknowledged}");
    let running = rig.status().await;
    assert_eq!((&running["task_id"]["value"], &running["executor_id"]["value"]), (&json!("own"), &json!("e")));
}

#[tokio::test]
async fn an_agent_that_is_unregistered_ends_with_its_tasks() {
    let mut rig = Rig::start(true, &[]).await;
    rig.launch(command("t", "echo $$; exec sleep 1000")).await;
    rig.status_of("TASK_RUNNING").await;
    rig.agent.signal(Signal::USR1);
    let lost = rig.status_of("TASK_LOST").await;
    assert_eq!(lost["reason"], "REASON_AGENT_REMOVED", "{lost}");
    assert_eq!(rig.agent.exit().await, Some(0));
}
