//! Why a framework is not offered what it is not: each kind of reason, and that each is true.
//!
//! True means: take the reason away, and the next one, or the offer, follows.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use apportion::journal::Replay;
use serde_json::{Value, json};

/// Replays these lines and tells the reasons of the last explanation, without their numbers.
fn kinds(lines: &[Value]) -> Vec<String> {
    reasons(lines).iter().map(|reason| reason["kind"].as_str().unwrap().to_owned()).collect()
}

fn reasons(lines: &[Value]) -> Vec<Value> {
    let explanation = effects(lines, "explanation").pop().unwrap();
    explanation["reasons"].as_array().unwrap().clone()
}

/// The bodies of all effects of that name.
fn effects(lines: &[Value], name: &str) -> Vec<Value> {
    let mut replay = Replay::new();
    let mut found = Vec::new();
    for line in lines {
        let mut take = |effect: &str| {
            let effect: Value = serde_json::from_str(effect).unwrap();
            assert!(effect["emit"]["error"].is_null(), "{line}: {effect}");
            found.extend(effect["emit"].get(name).cloned());
        };
        replay.feed(&line.to_string(), &mut take).unwrap();
    }
    found
}

fn go(command: Value) -> Value {
    json!({ "do": command })
}

fn ask() -> Value {
    go(json!({"explain": {"framework": "f", "role": "r", "agent": "a"}}))
}

fn framework(more: Value) -> Value {
    let mut body = json!({"id": "f", "roles": ["r"], "suppressed_roles": ["r"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    go(json!({ "add_framework": body }))
}

fn agent(resources: &Value, more: Value) -> Value {
    let mut body = json!({"id": "a", "resources": resources});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    go(json!({ "add_agent": body }))
}

fn revive() -> Value {
    go(json!({"revive": {"framework": "f"}}))
}

#[test]
fn each_reason_stands_where_the_chain_has_it() {
    let plain = || agent(&json!("cpus:4;mem:1024"), json!({}));
    let volume = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 4}, "revocable": {}}]);
    let bar = json!({"role_constraints": {"r": {"groups": [{"attribute_constraints": [
        {"selector": {"attribute_name": "bar"}, "predicate": {"exists": {}}}]}]}}});
    let minimum = json!({"r": {"min_allocatable_resources": [{"cpus": 8}]}});
    let home = go(json!({"configure": {"domain": {"region": "eu", "zone": "a"}}}));
    let away = json!({"domain": {"region": "us", "zone": "b"}});
    let cases: Vec<(&[&str], Vec<Value>)> = vec![
        (
            &["agent_inactive"],
            vec![plain(), go(json!({"deactivate_agent": {"id": "a"}})), framework(json!({})), revive()],
        ),
        (
            &["not_whitelisted"],
            vec![plain(), go(json!({"set_whitelist": {"hostnames": ["b"]}})), framework(json!({})), revive()],
        ),
        (
            &["framework_inactive"],
            vec![framework(json!({})), go(json!({"deactivate_framework": {"id": "f"}})), revive(), plain()],
        ),
        (&["suppressed"], vec![framework(json!({})), plain()]),
        (&["offer_constraints"], vec![framework(json!({"offer_constraints": bar})), plain(), revive()]),
        (&["nothing_available"], vec![framework(json!({})), revive(), plain()]),
        (&["reserved"], vec![framework(json!({})), agent(&json!("cpus(web):4"), json!({})), revive()]),
        (&["min_allocatable"], vec![framework(json!({"offer_filters": minimum})), plain(), revive()]),
        (&["capability"], vec![framework(json!({})), agent(&json!("cpus:4;gpus:1"), json!({})), revive()]),
        (&["capability"], vec![framework(json!({})), agent(&volume, json!({})), revive()]),
        (&["region"], vec![home, framework(json!({})), agent(&json!("cpus:4"), away), revive()]),
        (
            &["quota_limit"],
            vec![
                go(json!({"set_quota": {"role": "r", "limits": {"cpus": 0, "mem": 0}}})),
                framework(json!({})),
                plain(),
                revive(),
            ],
        ),
        (
            &["headroom"],
            vec![
                go(json!({"set_quota": {"role": "q", "guarantees": {"cpus": 4, "mem": 1024}}})),
                framework(json!({})),
                plain(),
                revive(),
            ],
        ),
        (
            &["filtered"],
            vec![
                framework(json!({})),
                plain(),
                revive(),
                go(json!({"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 60}})),
            ],
        ),
        (&["agent_inactive", "suppressed", "offer_constraints", "min_allocatable", "capability"], {
            let all = json!({"offer_constraints": bar, "offer_filters": minimum});
            vec![
                framework(all),
                agent(&json!("cpus:4;gpus:1"), json!({})),
                go(json!({"deactivate_agent": {"id": "a"}})),
            ]
        }),
    ];
    for (expected, mut lines) in cases {
        lines.push(ask());
        assert_eq!(kinds(&lines), expected, "{lines:#?}");
    }
}

#[test]
fn the_numbers_of_a_reason_are_those_of_the_decision() {
    let limit = go(json!({"set_quota": {"role": "r", "limits": {"cpus": 1.5, "mem": 0}}}));
    let found = reasons(&[limit, framework(json!({})), agent(&json!("mem:64"), json!({})), revive(), ask()]);
    assert_eq!(found, [json!({"kind": "quota_limit", "role": "r", "name": "mem", "limit": 0, "consumed": 0})]);

    let declined = go(json!({"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 60}}));
    let found = reasons(&[framework(json!({})), agent(&json!("mem:64"), json!({})), revive(), declined, ask()]);
    assert_eq!(found, [json!({"kind": "filtered", "until": 60, "refused": "mem:64"})]);
}

#[test]
fn a_limit_is_told_where_nothing_is_free_and_nothing_is_kept_free() {
    // More is held on `b` than it has, so that the cluster as a whole has nothing free.
    let held = json!([{"id": "t", "framework": "g", "role": "x", "resources": "cpus:4"}]);
    let found = kinds(&[
        framework(json!({"offer_filters": {"r": {"min_allocatable_resources": [{"cpus": 2}]}}})),
        go(json!({"add_agent": {"id": "b", "resources": "cpus:4", "tasks": held}})),
        go(json!({"update_agent": {"id": "b", "resources": "cpus:1"}})),
        go(json!({"set_quota": {"role": "r", "limits": {"cpus": 1}}})),
        agent(&json!("cpus:2"), json!({})),
        revive(),
        ask(),
    ]);
    assert_eq!(found, ["quota_limit"]);
}

#[test]
fn whoever_comes_first_is_named_with_both_shares() {
    let held = json!({"tasks": [{"id": "t", "framework": "f", "role": "r", "resources": "cpus:1"}]});
    let found = reasons(&[
        framework(json!({})),
        go(json!({"add_agent": {"id": "b", "resources": "cpus:1", "tasks": held["tasks"]}})),
        go(json!({"add_framework": {"id": "e", "roles": ["s"]}})),
        agent(&json!("cpus:1"), json!({})),
        go(json!({"decline": {"framework": "e", "offers": ["O1"], "refuse_seconds": 0}})),
        go(json!({"update_framework": {"id": "f", "roles": ["r"]}})),
        ask(),
    ]);
    let first = json!({"kind": "outranked", "framework": "e", "role": "s", "share": 0.0, "own_share": 0.5});
    assert_eq!(found, [first]);
}

#[test]
fn taking_reasons_away_one_by_one_ends_in_the_offer() {
    let bar = json!({"role_constraints": {"r": {"groups": [{"attribute_constraints": [
        {"selector": {"attribute_name": "bar"}, "predicate": {"exists": {}}}]}]}}});
    let limited = go(json!({"set_quota": {"role": "r", "limits": {"cpus": 0}}}));
    let mut lines = vec![
        limited,
        framework(json!({"offer_constraints": bar})),
        agent(&json!("cpus:4;gpus:1"), json!({})),
        go(json!({"deactivate_agent": {"id": "a"}})),
        go(json!({"set_whitelist": {"hostnames": []}})),
    ];
    let able = json!({"id": "f", "roles": ["r"], "suppressed_roles": ["r"]});
    let with = |more: Value| {
        let mut body = able.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        go(json!({ "update_framework": body }))
    };
    let lifts = [
        ("agent_inactive", go(json!({"activate_agent": {"id": "a"}}))),
        ("not_whitelisted", go(json!({"set_whitelist": {"hostnames": null}}))),
        ("suppressed", revive()),
        ("offer_constraints", with(json!({"suppressed_roles": []}))),
        ("capability", with(json!({"suppressed_roles": [], "capabilities": ["GPU_RESOURCES"]}))),
        ("quota_limit", go(json!({"set_quota": {"role": "r"}}))),
    ];
    for (step, (kind, lift)) in lifts.iter().enumerate() {
        let mut asked = lines.clone();
        asked.push(ask());
        let expected: Vec<_> = lifts[step..].iter().map(|(kind, _)| *kind).collect();
        // A limit of 0 cpus leaves the gpus: with the other reasons gone they would be offered.
        let found = kinds(&asked);
        assert_eq!(found[0], *kind);
        assert!(expected.starts_with(&found.iter().map(String::as_str).collect::<Vec<_>>()[..]), "{found:?}");
        assert!(effects(&lines, "offer").is_empty(), "{kind}");
        lines.push(lift.clone());
    }
    lines.push(json!({"at": 1, "do": {"advance": {}}}));
    assert_eq!(effects(&lines, "offer").len(), 1);
}
