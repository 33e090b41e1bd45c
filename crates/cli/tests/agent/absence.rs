//! Agents that are paused, drained, or gone for good.

use crate::rig::{Rig, command, is_running, pid};
use crate::wire::{ask, bounded};
use apportion_http::Settings;
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Returns how the master knows its only agent.
async fn known(rig: &Rig) -> Json {
    let (status, agents) = ask(rig.master, json!({"type": "GET_AGENTS"})).await;
    assert_eq!(status, 200, "{agents}");
    agents["get_agents"]["agents"][0].clone()
}

/// Returns a call of an operator about an agent.
fn about(kind: &str, agent: &Json, more: Json) -> Json {
    let mut fields = json!({ "agent_id": agent });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"type": kind, kind.to_lowercase(): fields})
}

#[tokio::test]
async fn a_paused_agent_is_unreachable_and_brings_its_tasks_back() {
    let pings = Settings::default().agent_pings(Duration::from_millis(300), 3);
    let mut rig = Rig::start_under(pings, true, &[]).await;
    rig.launch(command("t", "echo $$; exec sleep 1000")).await;
    rig.status_of("TASK_RUNNING").await;
    let task = pid(&rig, "t").await;
    rig.agent.signal(Signal::STOP);
    let lost = rig.status_of("TASK_LOST").await;
    assert_eq!((&lost["reason"], &lost["source"]), (&json!("REASON_AGENT_REMOVED"), &json!("SOURCE_MASTER")), "{lost}");
    let failure = rig.framework.stream.event_of("FAILURE").await;
    assert_eq!(failure["failure"]["agent_id"], lost["agent_id"], "{failure}");
    rig.agent.signal(Signal::CONT);
    let back = rig.status_of("TASK_RUNNING").await;
    assert_eq!(back["reason"], "REASON_AGENT_REREGISTERED", "{back}");
    assert_eq!((back.get("uuid"), &back["agent_id"]), (None, &lost["agent_id"]), "{back}");
    assert!(is_running(task));
    rig.kill("t", Some(0)).await;
    rig.status_of("TASK_KILLED").await;
    assert!(!is_running(task));
}

#[tokio::test]
async fn a_draining_agent_kills_within_the_grace_and_stays_drained_over_a_restart() {
    let mut rig = Rig::start(true, &[]).await;
    let mut stubborn = command("t", "trap '' TERM; echo $$; while :; do sleep 1; done");
    stubborn["kill_policy"] = json!({"grace_period": {"nanoseconds": 1_000_000_000_000_u64}});
    rig.launch(stubborn).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let task = pid(&rig, "t").await;
    let grace = json!({"max_grace_period": {"nanoseconds": 500_000_000}});
    assert_eq!(ask(rig.master, about("DRAIN_AGENT", &running["agent_id"], grace)).await.0, 200);
    let killed = rig.status_of("TASK_KILLED").await;
    assert_eq!(killed["reason"], "REASON_AGENT_DRAINING", "{killed}");
    assert!(!is_running(task));
    let drained = async {
        while known(&rig).await["drain_info"]["state"] != "DRAINED" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    bounded("the end of the drain", drained).await;
    rig.kill_agent().await;
    rig.start_agent(&[]);
    rig.registered().await;
    let agent = known(&rig).await;
    assert_eq!((&agent["drain_info"]["state"], &agent["deactivated"]), (&json!("DRAINED"), &json!(true)), "{agent}");
    // Its resources are offered again once it is reactivated, and not before: this offer is the first since the launch that has all.
    rig.forget_offers();
    assert_eq!(ask(rig.master, about("REACTIVATE_AGENT", &running["agent_id"], json!({}))).await.0, 200);
    rig.launch(command("next", "exit 0")).await;
    rig.status_of("TASK_FINISHED").await;
}

#[tokio::test]
async fn a_drain_that_marks_gone_ends_the_agent() {
    let mut rig = Rig::start(true, &[]).await;
    rig.launch(command("t", "exec sleep 1000")).await;
    let running = rig.status_of("TASK_RUNNING").await;
    assert_eq!(ask(rig.master, about("DRAIN_AGENT", &running["agent_id"], json!({"mark_gone": true}))).await.0, 200);
    let killed = rig.status_of("TASK_KILLED").await;
    assert_eq!(killed["reason"], "REASON_AGENT_DRAINING", "{killed}");
    assert_eq!(rig.agent.exit().await, Some(0));
}

#[tokio::test]
async fn an_agent_that_is_gone_ends_all_and_starts_anew() {
    let mut rig = Rig::start(true, &[]).await;
    rig.launch(command("t", "echo $$; exec sleep 1000")).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let task = pid(&rig, "t").await;
    assert_eq!(ask(rig.master, about("MARK_AGENT_GONE", &running["agent_id"], json!({}))).await.0, 200);
    let lost = rig.status_of("TASK_LOST").await;
    assert_eq!(lost["reason"], "REASON_AGENT_REMOVED", "{lost}");
    assert_eq!(rig.agent.exit().await, Some(0));
    assert!(!is_running(task));
    rig.forget_offers();
    rig.start_agent(&[]);
    rig.launch(command("next", "exit 0")).await;
    let finished = rig.status_of("TASK_FINISHED").await;
    assert_ne!(finished["agent_id"], running["agent_id"], "it has another id");
}

#[tokio::test]
async fn an_agent_that_was_away_when_it_was_given_up_is_shut_down_on_its_return() {
    let mut rig = Rig::start(true, &[]).await;
    rig.launch(command("t", "echo $$; exec sleep 1000")).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let task = pid(&rig, "t").await;
    rig.kill_agent().await;
    assert_eq!(ask(rig.master, about("MARK_AGENT_GONE", &running["agent_id"], json!({}))).await.0, 200);
    rig.status_of("TASK_LOST").await;
    assert!(is_running(task));
    rig.start_agent(&["--executor_reregistration_timeout=20secs"]);
    assert_eq!(rig.agent.exit().await, Some(0));
    assert!(!is_running(task));
}
