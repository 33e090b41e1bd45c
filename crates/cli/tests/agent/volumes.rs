//! Persistent volumes, which outlive the tasks that use them.

use crate::rig::{Rig, command};
use crate::wire::bounded;
use serde_json::{Value as Json, json};

/// Returns the disk of a volume as it was reserved.
fn reserved() -> Json {
    json!({"name": "disk", "type": "SCALAR", "scalar": {"value": 64.0},
        "reservations": [{"type": "DYNAMIC", "role": "web"}]})
}

/// Returns the volume, which a task finds at `data`.
fn volume() -> Json {
    let mut disk = reserved();
    disk["disk"] = json!({"persistence": {"id": "v1"}, "volume": {"container_path": "data", "mode": "RW"}});
    disk
}

fn with_volume(id: &str, script: &str) -> Json {
    let mut task = command(id, script);
    task["resources"].as_array_mut().unwrap().push(volume());
    task
}

/// Waits for an offer of all that the agent has, with the volume.
async fn offer(rig: &mut Rig) -> Json {
    loop {
        let offer = rig.offer().await;
        let resources = offer["resources"].as_array().unwrap();
        let has_volume = resources.iter().any(|resource| resource["disk"]["persistence"]["id"] == "v1");
        if has_volume && resources.iter().any(|resource| resource["scalar"]["value"] == 4.0) {
            return offer;
        }
        rig.decline(&offer).await;
    }
}

#[tokio::test]
async fn a_volume_keeps_what_tasks_write_until_it_is_destroyed() {
    let mut rig = Rig::start(false, &[]).await;
    let folder = rig.work_dir().join("volumes/roles/web/v1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("old"), "of another volume").unwrap();
    let offer_of_disk = rig.offer().await;
    let mut first = with_volume("first", "ls data; echo kept >data/file");
    first["agent_id"] = offer_of_disk["agent_id"].clone();
    let operations = [
        json!({"type": "RESERVE", "reserve": {"resources": [reserved()]}}),
        json!({"type": "CREATE", "create": {"volumes": [volume()]}}),
        json!({"type": "LAUNCH", "launch": {"task_infos": [first]}}),
    ];
    rig.accept_all(&offer_of_disk, &operations).await;
    rig.status_of("TASK_FINISHED").await;
    let framework = rig.framework.id.clone();
    assert_eq!(rig.file(&framework, "first", "stdout").await, "", "it is empty at first");

    // A task of a group has it in its own sandbox.
    let next = offer(&mut rig).await;
    let mut task = with_volume("second", "cat data/file; test -w data");
    task["agent_id"] = next["agent_id"].clone();
    let executor = json!({"type": "DEFAULT", "executor_id": {"value": "e"}, "resources": [
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}, {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}}]});
    let group = json!({"executor": executor, "task_group": {"tasks": [task]}});
    rig.accept(&next, json!({"type": "LAUNCH_GROUP", "launch_group": group})).await;
    rig.status_of("TASK_FINISHED").await;
    assert_eq!(rig.file(&framework, "e", "tasks/second/stdout").await, "kept\n");

    let last = offer(&mut rig).await;
    rig.accept(&last, json!({"type": "DESTROY", "destroy": {"volumes": [volume()]}})).await;
    let removed = async {
        while folder.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    bounded("the end of the volume", removed).await;
}

#[tokio::test]
async fn a_volume_that_leads_out_of_the_sandbox_fails_the_task() {
    let mut rig = Rig::start(false, &[]).await;
    let offer = rig.offer().await;
    let mut outside = volume();
    outside["disk"]["volume"]["container_path"] = json!("/etc/data");
    let mut task = command("t", "true");
    task["resources"].as_array_mut().unwrap().push(outside.clone());
    task["agent_id"] = offer["agent_id"].clone();
    let operations = [
        json!({"type": "RESERVE", "reserve": {"resources": [reserved()]}}),
        json!({"type": "CREATE", "create": {"volumes": [outside]}}),
        json!({"type": "LAUNCH", "launch": {"task_infos": [task]}}),
    ];
    rig.accept_all(&offer, &operations).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{failed}");
    assert!(failed["message"].as_str().unwrap().contains("/etc/data"), "{failed}");
}
