//! Where master and reference once disagreed: the shortest journal that showed it, and what must come out.

use apportion::journal::Replay;

/// What comes out of a journal, without times.
fn replayed(journal: &str) -> Vec<String> {
    let mut replay = Replay::new();
    let mut lines = Vec::new();
    for line in journal.lines() {
        let emit = |line: &str| lines.push(line.split_once(r#""emit":"#).expect("an effect").1.to_owned());
        replay.feed(line, emit).expect("a command");
    }
    lines
}

const SHARED: &str = r#"{"name":"disk","type":"SCALAR","scalar":{"value":8},"reservations":[{"type":"STATIC","role":"a"}],
    "disk":{"persistence":{"id":"s"},"volume":{"container_path":"s","mode":"RW"}},"shared":{}}"#;

#[test]
fn an_update_that_changes_nothing_allocates_nothing() {
    let lines = replayed(
        r#"{"do": {"add_agent": {"id": "a1", "resources": "cpus:1", "attributes": "rack:r1"}}}
        {"do": {"add_framework": {"id": "f1", "roles": ["a"]}}}
        {"do": {"decline": {"framework": "f1", "offers": ["O1"], "refuse_seconds": 0}}}
        {"do": {"update_agent": {"id": "a1", "resources": "cpus:1", "attributes": "rack:r1"}}}"#,
    );
    assert_eq!(lines.len(), 1, "{lines:?}"); // the first offer; what was declined waits for the batch
}

#[test]
fn a_shared_volume_in_use_is_not_left_over() {
    let shared = SHARED.replace('\n', "");
    let lines = replayed(
        &format!(
            r#"{{"do": {{"add_framework": {{"id": "f1", "roles": ["a"], "capabilities": ["SHARED_RESOURCES"]}}}}}}
        {{"do": {{"add_agent": {{"id": "a1", "resources": [{{"name": "cpus", "scalar": {{"value": 2}}}}, {shared}]}}}}}}
        {{"do": {{"accept": {{"framework": "f1", "offers": ["O1"], "operations": [{{"launch": {{"tasks": [
            {{"id": "t1", "resources": [{{"name": "cpus", "scalar": {{"value": 1}}}}, {shared}]}}]}}}}]}}}}}}
        {{"at": 1, "do": {{"advance": {{}}}}}}"#,
        )
        .replace("[\n", "["),
    );
    // Refused is the cpu that was left, not that cpu together with the volume.
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[2].contains("O2") && lines[2].contains("shared"), "{lines:?}");
}

#[test]
fn nothing_is_made_of_what_the_agent_has_no_more() {
    let reserve = r#"[{"name":"cpus","scalar":{"value":2},"reservations":[{"type":"DYNAMIC","role":"a"}]}]"#;
    let before = r#"{"do": {"add_framework": {"id": "f1", "roles": ["a"]}}}
        {"do": {"add_agent": {"id": "a1", "resources": "cpus:4"}}}
        {"do": {"update_agent": {"id": "a1", "resources": "cpus:1"}}}"#;
    let accept = format!(
        r#"{{"accept": {{"framework": "f1", "offers": ["O1"], "operations": [{{"reserve": {{"resources": {reserve}}}}}]}}}}"#
    );
    let operate =
        format!(r#"{{"operate": {{"agent": "a1", "operations": [{{"reserve": {{"resources": {reserve}}}}}]}}}}"#);
    for command in [accept, operate] {
        let lines = replayed(&format!("{before}\n{{\"do\": {command}}}\n{{\"do\": {{\"state\": {{}}}}}}"));
        assert!(lines[1].contains("operation_failed"), "{lines:?}");
        assert!(lines[2].contains(r#""total":"cpus:1""#), "{lines:?}");
    }
}

#[test]
fn a_destroyed_volume_is_gone_in_all_its_copies() {
    let shared = SHARED.replace('\n', "");
    let lines = replayed(&format!(
        r#"{{"do": {{"configure": {{"min_allocatable": []}}}}}}
        {{"do": {{"add_framework": {{"id": "f1", "roles": ["a"], "capabilities": ["SHARED_RESOURCES"]}}}}}}
        {{"do": {{"add_agent": {{"id": "a1", "resources": [{{"name": "cpus", "scalar": {{"value": 2}}}}, {shared}]}}}}}}
        {{"at": 1, "do": {{"accept": {{"framework": "f1", "offers": ["O1", "O2"], "operations": [{{"destroy": {{"volumes": [{shared}]}}}},
            {{"launch": {{"tasks": [{{"id": "t1", "resources": [{shared}]}}]}}}}]}}}}}}"#,
    ).replace(",\n", ","));
    assert!(lines.last().is_some_and(|line| line.starts_with(r#"{"error""#)), "{lines:?}");
}

#[test]
fn ports_reserved_further_up_come_with_a_guarantee() {
    let lines = replayed(
        r#"{"do": {"set_quota": {"role": "a/b", "guarantees": {"cpus": 1}}}}
        {"do": {"add_framework": {"id": "f1", "roles": ["a/b"]}}}
        {"do": {"add_framework": {"id": "f2", "roles": ["a/+"]}}}
        {"do": {"set_weight": {"role": "a/+", "weight": 2}}}
        {"do": {"add_agent": {"id": "a1", "resources": "cpus:1;ports(a):[3-4]"}}}"#,
    );
    // Non-scalars, whosever they are, come in the first stage; in the second the other would be first.
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(r#""role":"a/b""#) && lines[0].contains("ports(a):[3-4]"), "{lines:?}");
}

#[test]
fn a_limit_further_up_holds_for_guarantees_too() {
    let lines = replayed(
        r#"{"do": {"set_quota": {"role": "a", "limits": {"cpus": 2}}}}
        {"do": {"set_quota": {"role": "a/b", "guarantees": {"cpus": 3}}}}
        {"do": {"add_framework": {"id": "f1", "roles": ["a/b"]}}}
        {"do": {"add_agent": {"id": "a1", "resources": "cpus:5"}}}
        {"at": 3, "do": {"advance": {}}}"#,
    );
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(r#""resources":"cpus:2""#), "{lines:?}");
}

#[test]
fn what_a_met_guarantee_sets_free_is_offered_in_the_next_batch() {
    let lines = replayed(
        r#"{"do": {"set_quota": {"role": "a", "guarantees": {"cpus": 2}}}}
        {"do": {"add_agent": {"id": "a1", "resources": "cpus:4"}}}
        {"do": {"add_framework": {"id": "f1", "roles": ["a/b"]}}}
        {"at": 1, "do": {"advance": {}}}"#,
    );
    // Two are kept free for `a`, until the next batch knows that they are held within it.
    let offered: Vec<bool> = lines.iter().map(|line| line.contains(r#""resources":"cpus:2""#)).collect();
    assert_eq!(offered, [true, true], "{lines:?}");
}

#[test]
fn tasks_that_hold_the_same_port_are_refused_with_their_agent() {
    let task = |id: &str, ports: &str| {
        format!(r#"{{"id": "{id}", "framework": "f1", "role": "a", "resources": "ports:[{ports}]"}}"#)
    };
    let lines = replayed(&format!(
        r#"{{"do": {{"add_agent": {{"id": "a1", "resources": "mem:64;ports:[1-4]", "tasks": [{}, {}]}}}}}}"#,
        task("t1", "1-2"),
        task("t2", "2-3"),
    ));
    // Else the end of one would free a port that the other still has.
    assert!(lines.len() == 1 && lines[0].starts_with(r#"{"error""#), "{lines:?}");
}

#[test]
fn inverse_offers_are_made_in_the_order_of_agents() {
    let lines = replayed(
        r#"{"do": {"add_framework": {"id": "f1", "roles": ["a"]}}}
        {"do": {"add_agent": {"id": "a2", "resources": "mem:64", "tasks": [{"id": "t2", "framework": "f1", "role": "a", "resources": "mem:64"}]}}}
        {"do": {"add_agent": {"id": "a1", "resources": "mem:64", "tasks": [{"id": "t1", "framework": "f1", "role": "a", "resources": "mem:64"}]}}}
        {"do": {"set_maintenance": {"agent": "a1", "unavailability": {"start": 9}}}}
        {"do": {"set_maintenance": {"agent": "a2", "unavailability": {"start": 9}}}}
        {"do": {"revive": {"framework": "f1"}}}
        {"do": {"decline_inverse_offer": {"framework": "f1", "offers": ["I1", "I2"], "refuse_seconds": 0}}}
        {"at": 1, "do": {"advance": {}}}"#,
    );
    let agents: Vec<bool> = lines.iter().map(|line| line.contains(r#""agent":"a1""#)).collect();
    assert_eq!(agents, [true, false, false, true], "{lines:?}");
}

#[test]
fn what_a_guarantee_frees_elsewhere_is_offered_in_the_same_batch() {
    let lines = replayed(
        r#"{"do": {"set_quota": {"role": "d", "guarantees": {"mem": 64}}}}
        {"do": {"add_agent": {"id": "s1", "resources": "cpus:1", "tasks": [{"id": "t", "framework": "g", "role": "x", "resources": "cpus:2"}]}}}
        {"do": {"add_agent": {"id": "s2", "resources": "cpus:1"}}}
        {"do": {"add_framework": {"id": "f", "roles": ["d"]}}}
        {"do": {"add_agent": {"id": "s3", "resources": "mem:64"}}}
        {"do": {"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 2.5}}}
        {"at": 3, "do": {"advance": {}}}"#,
    );
    // More cpus are held than there are, so none is given while anything is kept free; once the
    // refusal of `s3` has ended and its memory meets the guarantee, nothing is.
    assert_eq!(lines.len(), 3, "{lines:?}");
}
