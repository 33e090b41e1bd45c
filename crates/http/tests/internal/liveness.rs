//! Pings, broken streams, agents that go and return.

use crate::scripted::{
    brief, launch, register, registered, reported, reregister, start, subscribed, subscription, told, update,
    without_pings,
};
use crate::wire::{ask, bounded};
use apportion::{AgentId, Master};
use apportion_http::{Server, Settings};
use serde_json::json;
use std::time::Duration;

/// Waits until something is true of the master.
async fn until(server: &Server, what: &str, is_true: impl Fn(&Master) -> bool + Copy + Send + 'static) {
    bounded(what, async {
        while !server.query(is_true).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn missed_pings_make_an_agent_unreachable_and_it_comes_back_with_its_tasks() {
    let (server, address) = start(Settings::default().id("M", 1).agent_pings(Duration::from_millis(300), 3)).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &["PARTITION_AWARE"])).await;
    launch(address, &mut framework, &["t1"]).await;
    agent.event("RUN").await;
    let seq = agent.event("PING").await["seq"].clone();
    agent.tell("PONG", json!({ "seq": seq })).await;
    agent.status("f1", "t1", "TASK_RUNNING", 1).await;
    assert_eq!(brief(&update(&mut framework).await), told("t1", "TASK_RUNNING", "", "SOURCE_EXECUTOR"));

    // No answer from here on.
    let lost = update(&mut framework).await;
    assert_eq!(brief(&lost), told("t1", "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", "SOURCE_MASTER"));
    assert!(lost["unreachable_time"]["nanoseconds"].is_u64() || lost["unreachable_time"]["nanoseconds"].is_i64());
    let failure = framework.stream.event_of("FAILURE").await;
    assert_eq!(failure["failure"]["agent_id"], json!({"value": "M-S0"}));
    let rest = agent.rest().await;
    assert!(rest.iter().all(|kind| kind == "PING"), "{rest:?}");
    until(&server, "no agent", |master| master.agents().count() == 0).await;

    let back = reregister("M-S0", &[subscription("f1", true, &[])], &[reported("f1", "t1", "M-S0", "TASK_RUNNING")]);
    let _back = registered(address, &back).await;
    let status = update(&mut framework).await;
    assert_eq!(brief(&status), told("t1", "TASK_RUNNING", "REASON_AGENT_REREGISTERED", "SOURCE_MASTER"));
    assert_eq!(status.get("uuid"), None);
}

#[tokio::test]
async fn a_broken_stream_waits_for_tasks_of_checkpointing_frameworks_only() {
    let (server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut keeps = subscribed(address, &subscription("keeps", true, &[])).await;
    launch(address, &mut keeps, &["k"]).await;
    agent.event("RUN").await;
    agent.status("keeps", "k", "TASK_RUNNING", 1).await;
    update(&mut keeps).await;
    let mut loses = subscribed(address, &subscription("loses", false, &["PARTITION_AWARE"])).await;
    launch(address, &mut loses, &["l"]).await;
    agent.event("RUN").await;
    agent.status("loses", "l", "TASK_RUNNING", 2).await;
    update(&mut loses).await;

    drop(agent);
    assert_eq!(brief(&update(&mut loses).await), told("l", "TASK_LOST", "REASON_AGENT_DISCONNECTED", "SOURCE_MASTER"));
    let is_connected = |master: &Master| master.known_agent(&AgentId::from("M-S0")).unwrap().connected;
    assert!(!server.query(is_connected).await.unwrap());
    assert!(server.query(|master| master.known_task(&"keeps".into(), &"k".into()).is_some()).await.unwrap());

    let tasks = [reported("keeps", "k", "M-S0", "TASK_RUNNING"), reported("loses", "l", "M-S0", "TASK_RUNNING")];
    let mut agent = registered(address, &reregister("M-S0", &[], &tasks)).await;
    let kill = agent.event("KILL").await;
    assert_eq!((&kill["framework_id"], &kill["task_id"]), (&json!("loses"), &json!("l")));
    assert!(server.query(is_connected).await.unwrap());
    // The framework that was told that it is lost does not hear of it again.
    agent.status("loses", "l", "TASK_KILLED", 3).await;
    let acknowledged = agent.event("ACKNOWLEDGE").await;
    assert_eq!(acknowledged["task_id"], "l");
    agent.status("keeps", "k", "TASK_FINISHED", 4).await;
    assert_eq!(brief(&update(&mut keeps).await).1, "TASK_FINISHED");
}

#[tokio::test]
async fn a_disconnected_agent_is_unreachable_when_its_time_is_over() {
    let (server, address) = start(Settings::default().agent_pings(Duration::from_millis(20), 2)).await;
    drop(registered(address, &register(1)).await);
    until(&server, "unreachable", |master| {
        let agents = master.metrics().agents;
        agents.unreachable == 1 && agents.connected + agents.disconnected == 0
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_unregisters_loses_its_tasks_for_all_frameworks() {
    let (server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &["PARTITION_AWARE"])).await;
    launch(address, &mut framework, &["t1"]).await;
    agent.event("RUN").await;
    agent.tell("UNREGISTER", serde_json::Value::Null).await;
    assert_eq!(brief(&update(&mut framework).await), told("t1", "TASK_LOST", "REASON_AGENT_REMOVED", "SOURCE_MASTER"));
    assert_eq!(agent.rest().await, Vec::<String>::new(), "the stream ends");
    assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 0);
    // Its nonce is forgotten with it.
    assert_eq!(registered(address, &register(1)).await.id, "M-S1");
}

#[tokio::test]
async fn a_gone_agent_is_shut_down_and_so_is_one_that_returns() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &["PARTITION_AWARE"])).await;
    launch(address, &mut framework, &["t1"]).await;
    agent.event("RUN").await;
    let gone = json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "M-S0"}}});
    assert_eq!(ask(address, gone).await.0, 200);
    assert_eq!(
        brief(&update(&mut framework).await),
        told("t1", "TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", "SOURCE_MASTER")
    );
    assert_eq!(agent.rest().await, ["SHUTDOWN"]);

    let task = reported("f1", "t1", "M-S0", "TASK_RUNNING");
    let mut stream = crate::scripted::post(address, None, &reregister("M-S0", &[], &[task])).await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    let shutdown = stream.event().await.unwrap();
    assert_eq!(shutdown, json!({"type": "SHUTDOWN", "body": {"message": "the agent was declared gone"}}));
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn a_drain_outlives_a_broken_stream() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &[])).await;
    launch(address, &mut framework, &["t1"]).await;
    agent.event("RUN").await;
    agent.status("f1", "t1", "TASK_RUNNING", 1).await;
    update(&mut framework).await;
    let drain = json!({"type": "DRAIN_AGENT", "drain_agent":
        {"agent_id": {"value": "M-S0"}, "max_grace_period": {"seconds": 2}, "mark_gone": true}});
    assert_eq!(ask(address, drain).await.0, 200);
    let expected = json!({"max_grace_period": 2.0, "mark_gone": true});
    assert_eq!(agent.event("DRAIN").await, expected);
    assert_eq!(agent.event("KILL").await["grace_period"], json!({"nanoseconds": 2_000_000_000_u64}));

    drop(agent);
    let task = reported("f1", "t1", "M-S0", "TASK_RUNNING");
    let mut agent = registered(address, &reregister("M-S0", &[], &[task])).await;
    assert_eq!(agent.event("DRAIN").await, expected);
    assert_eq!(agent.event("KILL").await["task_id"], "t1");
    agent.status("f1", "t1", "TASK_KILLED", 2).await;
    assert_eq!(brief(&update(&mut framework).await).1, "TASK_KILLED");
    let rest = agent.rest().await;
    assert_eq!(rest.last().map(String::as_str), Some("SHUTDOWN"), "drained, then gone: {rest:?}");
}
