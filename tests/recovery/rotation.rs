//! A journal that is rotated: each file begins with a snapshot, and replays alone.

use crate::LIFE;
use apportion::allocator::{Drf, Hierarchical, Random};
use apportion::journal::{self, Replay};
use apportion::{Agent, Command, Config, Framework, Master, Role, SnapshotError, Task, Time};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// What lines print, without the numbers of lines in errors.
fn printed<'a>(replay: &mut Replay, lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut out = Vec::new();
    for line in lines {
        let print = |effect: &str| match effect.split_once(r#"{"error":{"line":"#) {
            Some((before, after)) => out.push(format!("{before}{}", after.trim_start_matches(char::is_numeric))),
            None => out.push(effect.to_owned()),
        };
        replay.feed(line, print).expect("a line of a journal");
    }
    out
}

#[test]
fn a_journal_cut_anywhere_goes_on_from_its_snapshot() {
    let lines: Vec<&str> = LIFE.lines().collect();
    let mut whole = Replay::new();
    let all = printed(&mut whole, lines.iter().copied());
    for cut in 1..lines.len() {
        let mut first = Replay::new();
        let mut out = printed(&mut first, lines[..cut].iter().copied());
        let taken = printed(&mut first, [r#"{"do":{"snapshot":{}}}"#]).pop().expect("a snapshot");
        let stored = first.master().snapshot();
        let line = journal::restore(&stored);
        let body = taken.split_once(r#""emit":{"snapshot":"#).expect("the effect `snapshot`").1;
        assert_eq!(line, format!(r#"{{"do":{{"restore":{body}"#), "what is printed is what is restored");
        let mut second = Replay::new();
        out.extend(printed(&mut second, [line.as_str()].into_iter().chain(lines[cut..].iter().copied())));
        assert_eq!(out, all, "cut at {cut}");
        assert_eq!(second.master().snapshot(), whole.master().snapshot(), "cut at {cut}");

        let mut recovered = Master::new(Config::default());
        let tail = [line.as_str()].into_iter().chain(lines[cut..].iter().copied());
        let read = journal::recover(&mut recovered, tail).expect("a journal");
        assert_eq!(usize::try_from(read.lines), Ok(lines.len() - cut + 1));
        assert_eq!(recovered.snapshot(), whole.master().snapshot(), "cut at {cut}");
    }
}

/// The names of the fields of a snapshot that have a value.
fn fields(json: &Json, found: &mut BTreeSet<String>) {
    let is_nothing = |value: &Json| matches!(value.to_string().as_str(), "[]" | "{}" | "null" | "false" | "0");
    match json {
        Json::Object(fields_of) => {
            for (name, value) in fields_of.iter().filter(|(_, value)| !is_nothing(value)) {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| fields(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn all_that_a_snapshot_has_happens_in_a_life() {
    let (mut replay, mut found) = (Replay::new(), BTreeSet::new());
    for line in LIFE.lines() {
        printed(&mut replay, [line]);
        fields(&serde_json::to_value(replay.master().snapshot()).expect("JSON"), &mut found);
    }
    let all = "accounts all_dirty allocations container_status deactivated dirty disconnected drains executors grace groups \
        healthy inactive info is_copy left live members newcomers next_batch offered_at quotas recovered refusals refused \
        removed removed_at suppressed total unreachable_since until useful_offer_at weights whitelist windows \
        with_quota";
    let missing: Vec<&str> = all.split(' ').filter(|name| !found.contains(*name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "{found:?}");
}

#[test]
fn restore_is_the_first_line_and_time_does_not_go_back() {
    let mut replay = Replay::new();
    printed(&mut replay, LIFE.lines());
    let line = journal::restore(&replay.master().snapshot());
    let refused = printed(&mut replay, [line.as_str()]);
    assert!(refused.len() == 1 && refused[0].contains("`restore` must be the first command"), "{refused:?}");
    let early = line.replacen('{', r#"{"at":98,"#, 1);
    let error = Replay::new().feed(&early, |_| {}).expect_err("98 is before 99");
    assert!(matches!(error, journal::LineError::TimeWentBack { .. }), "{error}");
    let late = line.replacen('{', r#"{"at":100,"#, 1);
    let mut again = Replay::new();
    printed(&mut again, [late.as_str()]);
    assert_eq!(again.master().now(), Time::from_secs(100));
    let mut begun = Replay::with_master(again.into_master());
    let error = begun.feed(&line, |_| {}).expect_err("a master that has begun");
    assert!(matches!(error, journal::LineError::Restore(SnapshotError::NotNew)), "{error}");
}

#[test]
fn sorters_of_ones_own_are_passed_to_restore() {
    let config = Config::default();
    let allocator = || Hierarchical::new(Config::default().options, Random::new(3), Drf::default());
    let mut original = Master::with_allocator(config, |_| allocator());
    let add = |id: &str| Command::AddFramework(Framework::new(id).role(id.parse().expect("a role")));
    let agent =
        |n: u64| Command::AddAgent(Agent::new(format!("a{n}"), "cpus:1;mem:64".parse().expect("resources")).into());
    for id in ["a", "b", "c"] {
        original.handle(Time::ZERO, add(id)).expect("a new framework");
    }
    original.handle(Time::ZERO, agent(0)).expect("a new agent");
    let stored = original.snapshot();
    let mut restored = Master::restore_with(stored, |_| allocator()).expect("a snapshot");
    for n in 1..40 {
        for master in [&mut original, &mut restored] {
            master.handle(Time::from_secs(n), agent(n)).expect("a new agent");
        }
    }
    let effects = |master: &mut Master<_>| std::iter::from_fn(|| master.poll_effect()).collect::<Vec<_>>();
    assert_eq!(effects(&mut restored), effects(&mut original), "effects that waited, too");
    assert_eq!(restored.snapshot(), original.snapshot());
}

#[test]
fn what_has_gone_takes_no_room() {
    let mut config = Config::default();
    config.remembered.frameworks = 0;
    config.remembered.agents = 0;
    let mut master = Master::new(config);
    let handle = |master: &mut Master, command: Command| {
        master.handle(Time::ZERO, command).expect("a command");
        while master.poll_effect().is_some() {}
    };
    let size = |master: &Master| serde_json::to_string(&master.snapshot()).expect("JSON").len();
    let empty = size(&master);
    for n in 0..300 {
        let id = format!("n{n}");
        let role: Role = format!("r{n}/x").parse().expect("a role");
        handle(&mut master, Command::AddFramework(Framework::new(id.as_str()).role(role.clone())));
        let resources = format!("cpus:4;mem:999;x{n}:2").parse().expect("resources");
        let task = apportion::RunningTask::new(id.as_str(), role, Task::new("t", "cpus:1".parse().expect("resources")));
        let registration = apportion::Registration::from(Agent::new(id.as_str(), resources)).task(task);
        handle(&mut master, Command::AddAgent(registration));
    }
    let full = size(&master);
    for n in 0..300 {
        handle(&mut master, Command::Call(format!("n{n}").into(), apportion::Call::Teardown));
        handle(&mut master, Command::AgentGone(format!("n{n}").into()));
    }
    assert!(size(&master) < empty + 100, "{empty} bytes before, {} after, {full} between", size(&master));
    let restored = Master::restore(master.snapshot()).expect("a snapshot");
    assert_eq!(restored.snapshot(), master.snapshot());
}
