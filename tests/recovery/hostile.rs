//! Snapshots that mean no good: of another version, malformed, contradictory. Each is an error or a master that works.

use crate::LIFE;
use crate::tier::tier;
use apportion::journal::Replay;
use apportion::{Agent, Call, Command, Framework, Master, Snapshot, SnapshotError, Time};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The snapshot after so many lines of a whole life.
fn stored(lines: usize) -> Json {
    let mut replay = Replay::new();
    LIFE.lines().take(lines).for_each(|line| replay.feed(line, |_| {}).expect("a line of a journal"));
    serde_json::to_value(replay.master().snapshot()).expect("JSON")
}

fn restore(snapshot: Json) -> Result<Master, SnapshotError> {
    Master::restore(serde_json::from_value::<Snapshot>(snapshot).expect("any JSON"))
}

#[test]
fn another_version_is_told_whatever_else_there_is() {
    let mut later = stored(20);
    later["version"] = json!(2);
    later["master"] = json!({"a form": "of the future"});
    let error = restore(later).expect_err("a later version");
    assert!(matches!(error, SnapshotError::Version { found: 2 }), "{error}");
    assert_eq!(error.to_string(), "a snapshot of version 2: expected 1");
}

#[test]
fn what_contradicts_itself_is_told() {
    type Check = fn(&SnapshotError) -> bool;
    let cases: [(&str, Json, Check); 8] = [
        ("/master/offers/made", json!(1), |error| matches!(error, SnapshotError::Count { .. })),
        ("/master/tasks/added", json!(u64::MAX), |error| matches!(error, SnapshotError::Count { .. })),
        ("/master/agents/1", Json::Null, |error| matches!(error, SnapshotError::Shape { .. })),
        ("/master/agents/1/id", json!("a1"), |error| matches!(error, SnapshotError::Repeated { .. })),
        ("/master/agents/1/id", json!("unheard-of"), |error| matches!(error, SnapshotError::Unknown { .. })),
        ("/master/frameworks", json!([]), |error| matches!(error, SnapshotError::Unknown { .. })),
        ("/master/agents/1/resources", json!("cpus:{x}"), |error| matches!(error, SnapshotError::Allocator(_))),
        ("/of_allocator/books/quotas/0/1/guarantees", json!({"cpus": 99}), |error| {
            matches!(error, SnapshotError::Quota(_))
        }),
    ];
    for (at, value, check) in cases {
        let mut snapshot = stored(22);
        *snapshot.pointer_mut(at).unwrap_or_else(|| panic!("{at} is there")) = value.clone();
        let error = restore(snapshot).expect_err(at);
        assert!(check(&error), "{at} {value}: {error:?}");
    }
}

/// The paths of all values in a JSON value.
fn paths(json: &Json, path: &str, all: &mut Vec<String>) {
    all.push(path.to_owned());
    match json {
        Json::Object(fields) => fields.iter().for_each(|(key, value)| {
            paths(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), all);
        }),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| paths(value, &format!("{path}/{at}"), all));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Changes one value of a snapshot.
fn spoil(snapshot: &mut Json, all: &[String], at: usize, how: u8, other: usize) {
    let copied = snapshot.pointer(&all[other % all.len()]).cloned().unwrap_or_default();
    let Some(value) = snapshot.pointer_mut(&all[at % all.len()]) else { return };
    match (how, value) {
        (0, Json::Array(items)) => drop((!items.is_empty()).then(|| items.remove(other % items.len()))),
        (1, Json::Array(items)) => items.extend(items.first().cloned()),
        (0, Json::Object(fields)) => {
            let key = fields.keys().nth(other % fields.len().max(1)).cloned().unwrap_or_default();
            fields.remove(&key);
        }
        (2, value @ Json::Number(_)) => *value = json!(u64::MAX),
        (3, value @ Json::Number(_)) => *value = json!(0),
        (4, value @ Json::String(_)) => *value = json!(["a1", "f1", "cpus:1;mem:999999", "batch", ""][other % 5]),
        (5, value @ Json::Bool(_)) => *value = json!(*value != json!(true)),
        (_, value) => *value = copied,
    }
}

/// Drives what came of a spoilt snapshot until nothing is left.
fn live_on(mut master: Master) {
    let ids: Vec<_> = master.state().agents.iter().map(|agent| agent.id.clone()).collect();
    let frameworks: Vec<_> = master.state().frameworks.iter().map(|framework| framework.id.clone()).collect();
    let mut at = master.now();
    let mut handle = |master: &mut Master, command: Command| {
        at += Duration::from_millis(700);
        let _refused_or_not = master.handle(at, command);
        while master.poll_effect().is_some() {}
    };
    let new = Framework::new("new").role("batch".parse().expect("a role"));
    handle(&mut master, Command::AddFramework(new));
    let agent = Agent::new("new", "cpus:8;mem:8192".parse().expect("resources"));
    handle(&mut master, Command::AddAgent(agent.into()));
    for framework in &frameworks {
        for role in [None, Some("web".parse().expect("a role"))] {
            drop(master.explain(framework, role.as_ref(), None));
        }
        let offers = master.state().offers.into_iter().map(|offer| offer.id).collect();
        let decline = Call::Decline { offers, filters: Default::default(), each: true };
        handle(&mut master, Command::Call(framework.clone(), decline));
        handle(&mut master, Command::Call(framework.clone(), Call::Revive(Vec::new())));
        handle(&mut master, Command::Call(framework.clone(), Call::Reconcile(None)));
    }
    for id in &ids {
        handle(&mut master, Command::DisconnectAgent(id.clone()));
        handle(&mut master, Command::AgentUnreachable(id.clone()));
    }
    for framework in &frameworks {
        handle(&mut master, Command::Call(framework.clone(), Call::Teardown));
    }
    handle(&mut master, Command::AgentGone("new".into()));
    let again = master.snapshot();
    drop(Master::restore(again));
    let _ends = master.advance(Time::from_secs(10_000));
}

proptest! {
    #![proptest_config(tier(500))]

    #[test]
    fn a_spoilt_snapshot_is_an_error_or_a_master_that_works(
        lines in 8..40_usize,
        spoilt in prop::collection::vec((any::<usize>(), 0..7_u8, any::<usize>()), 1..4),
    ) {
        let mut snapshot = stored(lines);
        let mut all = Vec::new();
        for part in ["master", "of_allocator"] {
            paths(&snapshot[part], &format!("/{part}"), &mut all);
        }
        for (at, how, other) in spoilt {
            spoil(&mut snapshot, &all, at, how, other);
        }
        if let Ok(master) = restore(snapshot) {
            live_on(master);
        }
    }
}
