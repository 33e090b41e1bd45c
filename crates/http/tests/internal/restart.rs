//! A master that has just started, and agents that bring what they run.

use crate::scripted::{
    brief, registered, reported, reregister, start, subscribed, subscription, told, update, without_pings,
};
use crate::wire::{ask, get};
use serde_json::{Value as Json, json};

#[tokio::test]
async fn what_an_agent_brings_counts_before_its_framework_comes() {
    let (server, address) = start(without_pings()).await;
    let info = subscription("f1", true, &[]);
    let tasks = [reported("f1", "t1", "a1", "TASK_RUNNING"), reported("f1", "ended", "a1", "TASK_FINISHED")];
    let agent = registered(address, &reregister("a1", std::slice::from_ref(&info), &tasks)).await;
    let (_, frameworks) = ask(address, json!({"type": "GET_FRAMEWORKS"})).await;
    let framework = &frameworks["get_frameworks"]["frameworks"][0];
    assert_eq!((&framework["framework_info"]["id"], &framework["recovered"]), (&json!({"value": "f1"}), &json!(true)));
    let state: Json = serde_json::from_slice(&get(address, "/tasks").await.body).unwrap();
    let running: Vec<&Json> = state["tasks"].as_array().unwrap().iter().map(|task| &task["id"]).collect();
    assert_eq!(running, [&json!("t1")]);
    assert_eq!(state["tasks"][0]["labels"], json!([{"key": "k", "value": "v"}]), "as it was sent");
    let held =
        server.query(|master| master.known_task(&"f1".into(), &"t1".into()).unwrap().holding.resources.to_string());
    assert_eq!(held.await.unwrap(), "cpus:1; mem:32".replace(' ', ""));

    let mut framework = subscribed(address, &info).await;
    let reconcile = json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "t1"}}]}});
    framework.call(address, reconcile).await;
    let status = update(&mut framework).await;
    assert_eq!(brief(&status), told("t1", "TASK_RUNNING", "REASON_RECONCILIATION", "SOURCE_MASTER"));
    // The terminal status that was not acknowledged comes from the agent.
    agent.status("f1", "ended", "TASK_FINISHED", 1).await;
    assert_eq!(brief(&update(&mut framework).await), told("ended", "TASK_FINISHED", "", "SOURCE_EXECUTOR"));
}

#[tokio::test]
async fn a_framework_that_was_told_that_its_task_is_unknown_hears_that_it_runs() {
    let (_server, address) = start(without_pings()).await;
    let info = subscription("f1", false, &["PARTITION_AWARE"]);
    let mut framework = subscribed(address, &info).await;
    let asked = json!([{"task_id": {"value": "t1"}, "agent_id": {"value": "a1"}}]);
    framework.call(address, json!({"type": "RECONCILE", "reconcile": {"tasks": asked}})).await;
    assert_eq!(brief(&update(&mut framework).await).1, "TASK_UNKNOWN");

    let task = reported("f1", "t1", "a1", "TASK_RUNNING");
    let _agent = registered(address, &reregister("a1", std::slice::from_ref(&info), &[task])).await;
    let status = update(&mut framework).await;
    assert_eq!(brief(&status), told("t1", "TASK_RUNNING", "REASON_AGENT_REREGISTERED", "SOURCE_MASTER"));
    assert_eq!(status.get("uuid"), None);
}

#[tokio::test]
async fn tasks_and_executors_of_completed_frameworks_are_ended() {
    let (_server, address) = start(without_pings()).await;
    let info = subscription("f1", true, &[]);
    let framework = subscribed(address, &info).await;
    assert_eq!(framework.call(address, json!({"type": "TEARDOWN"})).await.status, 202);
    let task = reported("f1", "t1", "a1", "TASK_RUNNING");
    let mut agent = registered(address, &reregister("a1", std::slice::from_ref(&info), &[task])).await;
    assert_eq!(agent.event("SHUTDOWN_FRAMEWORK").await, json!({"framework_id": "f1"}));
    assert_eq!(agent.event("KILL").await["task_id"], "t1");
}

#[tokio::test]
async fn a_framework_that_does_not_come_is_given_up() {
    let mut info = subscription("f1", true, &[]);
    info["failover_timeout"] = json!(0.05);
    let timeout = std::time::Duration::from_millis(50);
    let (_server, address) = start(without_pings().agent_reregister_timeout(timeout)).await;
    let task = reported("f1", "t1", "a1", "TASK_RUNNING");
    let mut agent = registered(address, &reregister("a1", &[info], &[task])).await;
    assert_eq!(agent.event("SHUTDOWN_FRAMEWORK").await, json!({"framework_id": "f1"}));
}
