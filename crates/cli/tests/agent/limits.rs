//! Limits that an agent enforces if it is told to.

use crate::rig::{Rig, command};
use crate::wire::{bounded, get};
use serde_json::{Value as Json, json};

fn with(mut task: Json, resource: Json) -> Json {
    task["resources"].as_array_mut().unwrap().push(resource);
    task
}

fn disk(megabytes: f64) -> Json {
    json!({"name": "disk", "type": "SCALAR", "scalar": {"value": megabytes}})
}

#[tokio::test]
async fn a_task_that_writes_more_than_its_disk_is_ended_if_that_is_enforced() {
    let write = "dd if=/dev/zero of=big bs=1024 count=3072 2>/dev/null; touch written; exec sleep 1000";
    let mut rig = Rig::start(false, &["--enforce_container_disk_quota", "--container_disk_watch_interval=50ms"]).await;
    rig.launch(with(command("small", write), disk(16.0))).await;
    rig.status_of("TASK_RUNNING").await;
    rig.launch(with(command("big", write), disk(2.0))).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["task_id"]["value"], "big", "{failed}");
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{failed}");
    assert!(failed["message"].as_str().unwrap().ends_with("exceeds quota (2048 KB)"), "{failed}");
    let state = rig.ask("/state").await;
    assert_eq!(state["frameworks"][0]["executors"][0]["id"], "small", "it goes on");
}

#[tokio::test]
async fn a_task_that_takes_a_port_of_others_is_ended_if_that_is_enforced() {
    let program = env!("CARGO_BIN_EXE_apportion");
    let listen = |port: u16| format!("exec {program} master --port={port} --work_dir=$MESOS_SANDBOX/master");
    let mut rig = Rig::start(false, &["--enforce_container_ports", "--container_ports_watch_interval=50ms"]).await;
    let own = json!({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31_007, "end": 31_007}]}});
    rig.launch(with(command("own", &listen(31_007)), own)).await;
    rig.status_of("TASK_RUNNING").await;
    rig.launch(command("foreign", &listen(31_008))).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["task_id"]["value"], "foreign", "{failed}");
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION", "{failed}");
    assert_eq!(failed["message"], "Container is listening on unallocated ports: 31008");
    assert_eq!(get(([127, 0, 0, 1], 31_007).into(), "/health").await.status, 200, "its own port is its own");
}

#[tokio::test]
async fn a_memory_hog_ends_with_the_reason() {
    let mut rig = Rig::start(false, &[]).await;
    let state = rig.ask("/state").await;
    let isolation = state["isolation"].as_str().unwrap();
    if isolation.contains("without limits") {
        return; // there is nothing to see where no cgroup can be limited
    }
    rig.launch(command("hog", "echo begins; exec tail /dev/zero")).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{failed}");
    // One that is killed by the same signal, and has not used its memory up, is none.
    rig.launch(command("killed", "kill -KILL $$")).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_ne!(failed["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{failed}");
}

#[tokio::test]
async fn output_that_is_too_long_is_begun_anew() {
    let mut rig = Rig::start(false, &["--max_log_size=1KB"]).await;
    let script = "echo first; head -c 2000 /dev/zero | tr '\\0' x; until [ -s stdout.1 ]; do sleep 0.02; done; echo last; exec sleep 1000";
    rig.launch(command("t", script)).await;
    rig.status_of("TASK_RUNNING").await;
    let framework = rig.framework.id.clone();
    let is_last = async {
        while rig.file(&framework, "t", "stdout").await != "last\n" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    bounded("the end of the output", is_last).await;
    let kept = rig.file(&framework, "t", "stdout.1").await;
    assert!(kept.starts_with("first\nxxx") && kept.len() == 2006, "{} bytes are kept", kept.len());
}
