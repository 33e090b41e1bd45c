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

fn ask_about_all() -> Value {
    go(json!({"explain": {"framework": "f", "role": "r"}}))
}

fn agents(resources: &[&str]) -> Vec<Value> {
    let agent =
        |(n, resources): (usize, &&str)| go(json!({"add_agent": {"id": format!("s{n}"), "resources": resources}}));
    resources.iter().enumerate().map(agent).collect()
}

#[test]
fn an_empty_cluster_has_nothing_available() {
    let found = reasons(&[framework(json!({})), ask_about_all()]);
    assert_eq!(found, [json!({"kind": "nothing_available", "agents": 0, "offered": "", "allocated": ""})]);
}

#[test]
fn all_reasons_of_all_agents_are_told_with_numbers_that_hold_for_all() {
    let mut lines = vec![framework(json!({"suppressed_roles": []}))];
    lines.extend(agents(&[
        "cpus:4;mem:64",
        "cpus:2",
        "cpus:0.001;mem:3",
        "cpus:0.002",
        "cpus(web):1",
        "cpus:1;gpus:1",
    ]));
    lines.push(go(json!({"decline": {"framework": "f", "offers": ["O2"], "refuse_seconds": 60}})));
    lines.push(go(json!({"set_whitelist": {"hostnames": ["s0", "s1", "s4"]}})));
    lines.push(ask_about_all());
    let found = reasons(&lines);
    let expected = json!([
        {"kind": "not_whitelisted", "agents": 3},
        {"kind": "nothing_available", "agents": 1, "offered": "cpus:4;mem:64", "allocated": "", "holders": [
            {"framework": "f", "role": "r", "offers": 1, "amounts": {"cpus": 4, "mem": 64}, "since": 0}]},
        {"kind": "reserved", "agents": 1, "roles": ["web"]},
        {"kind": "min_allocatable", "agents": 2, "asked": [{"cpus": 0.01}, {"mem": 32}],
            "left": {"cpus": [0.001, 0.002], "mem": [0, 3]}},
        {"kind": "capability", "agents": 1, "capability": "GPU_RESOURCES"},
        {"kind": "filtered", "agents": 1, "until": 60, "refused": "cpus:2"},
    ]);
    assert_eq!(json!(found), expected);
}

#[test]
fn who_holds_what_is_offered_is_told_with_the_time() {
    let mut lines = vec![framework(json!({}))];
    for id in ["e", "g"] {
        lines.push(go(json!({"add_framework": {"id": id, "roles": ["s"]}})));
    }
    lines.extend(agents(&["cpus:4", "cpus:2"]));
    lines.push(json!({"at": 5, "do": {"add_agent": {"id": "s2", "resources": "cpus:1"}}}));
    lines.push(go(json!({"update_framework": {"id": "f", "roles": ["r"]}})));
    lines.push(ask_about_all());
    let holder = |framework: &str, offers: u64, cpus: u64, since: u64| json!({"framework": framework, "role": "s", "offers": offers, "amounts": {"cpus": cpus}, "since": since});
    let expected = json!([{"kind": "nothing_available", "agents": 3, "offered": {"cpus": 7}, "allocated": {},
        "holders": [holder("e", 1, 4, 0), holder("g", 2, 3, 0)]}]);
    assert_eq!(json!(reasons(&lines)), expected);
    lines.pop();
    lines.push(go(json!({"explain": {"framework": "f", "agent": "s2"}})));
    let expected =
        json!([{"kind": "nothing_available", "offered": "cpus:1", "allocated": "", "holders": [holder("g", 1, 1, 5)]}]);
    assert_eq!(json!(reasons(&lines)), expected);
}

#[test]
fn whoever_waits_is_told_when_the_offer_comes_and_how_long_it_has_waited() {
    let launch = json!([{"launch": {"tasks": [{"id": "t", "resources": "cpus:1"}]}}]);
    let mut lines = vec![
        framework(json!({"suppressed_roles": []})),
        agent(&json!("cpus:4"), json!({})),
        go(json!({"accept": {"framework": "f", "offers": ["O1"], "operations": launch, "refuse_seconds": 0}})),
        json!({"at": 9.5, "do": {"decline": {"framework": "f", "offers": ["O2"], "refuse_seconds": 0}}}),
        ask(),
    ];
    let expected = json!([{"kind": "starved", "since": 0, "next": 10, "waited": 9.5}]);
    assert_eq!(json!(reasons(&lines)), expected);
    // The next batch makes the offer.
    let before = effects(&lines, "offer").len();
    lines.push(json!({"at": 10, "do": {"advance": {}}}));
    assert_eq!(effects(&lines, "offer").len(), before + 1);
    let never = reasons(&[
        framework(json!({})),
        agent(&json!("cpus:4"), json!({})),
        go(json!({"update_framework": {"id": "f", "roles": ["r"]}})),
        ask_about_all(),
    ]);
    assert_eq!(json!(never), json!([{"kind": "starved", "agents": 1, "since": null, "next": 1}]));
}

#[test]
fn a_disk_that_does_not_divide_and_is_too_large_is_named() {
    let disk = json!([{"name": "disk", "type": "SCALAR", "scalar": {"value": 100},
        "disk": {"source": {"type": "MOUNT", "mount": {"root": "/m"}}}}]);
    let minimum = json!({"offer_filters": {"r": {"min_allocatable_resources": [{"disk": 1}]}}});
    let limit = go(json!({"set_quota": {"role": "r", "limits": {"disk": 60}}}));
    let found = reasons(&[limit, framework(minimum.clone()), agent(&disk, json!({})), revive(), ask()]);
    assert_eq!((&found[0]["kind"], &found[0]["indivisible"]), (&json!("quota_limit"), &disk_as_printed(&disk)));
    let guarantee = go(json!({"set_quota": {"role": "q", "guarantees": {"disk": 60}}}));
    let found = reasons(&[guarantee, framework(minimum), agent(&disk, json!({})), revive(), ask()]);
    assert_eq!((&found[0]["kind"], &found[0]["indivisible"]), (&json!("headroom"), &disk_as_printed(&disk)));
}

fn disk_as_printed(disk: &Value) -> Value {
    let resources: apportion::Resources = serde_json::from_value(disk.clone()).unwrap();
    serde_json::to_value(resources).unwrap()
}

#[test]
fn headroom_names_exactly_the_roles_that_lack_something() {
    let quota = |role: &str, cpus: u64| go(json!({"set_quota": {"role": role, "guarantees": {"cpus": cpus}}}));
    let held = json!([{"id": "t", "framework": "g", "role": "met", "resources": "cpus:1"},
        {"id": "u", "framework": "g", "role": "p", "resources": "cpus:3"}]);
    let found = reasons(&[
        quota("met", 1),
        quota("lacks", 2),
        quota("p", 3),
        quota("p/below", 1),
        go(json!({"set_quota": {"role": "other", "guarantees": {"mem": 64}}})),
        go(json!({"set_quota": {"role": "limited", "limits": {"cpus": 64}}})),
        go(json!({"add_framework": {"id": "g", "roles": ["met", "p"], "suppressed_roles": ["met", "p"]}})),
        go(json!({"add_agent": {"id": "b", "resources": "cpus:4", "tasks": held}})),
        framework(json!({})),
        agent(&json!("cpus:3"), json!({})),
        revive(),
        ask(),
    ]);
    let expected =
        json!([{"kind": "headroom", "name": "cpus", "free": 3, "required": 3, "roles": ["lacks", "p/below"]}]);
    assert_eq!(json!(found), expected);
}

#[test]
fn a_limit_above_that_of_a_parent_is_warned_of_whichever_is_set_last() {
    let limit = |role: &str, cpus: u64| go(json!({"set_quota": {"role": role, "limits": {"cpus": cpus}}}));
    let none = go(json!({"set_quota": {"role": "a/b"}}));
    for (lines, warnings) in [
        (vec![limit("a", 4), limit("a/b", 4)], vec![]),
        (vec![limit("a", 4), limit("a/b", 8)], vec!["a/b"]),
        (vec![limit("a/b", 8), limit("a", 4)], vec!["a/b"]),
        (vec![limit("a", 4), limit("a/b/c", 8), limit("a/b", 6)], vec!["a/b/c", "a/b", "a/b/c"]),
        (vec![limit("a", 4), limit("a/b", 4), limit("a/b/c", 4), limit("a", 3), none], vec!["a/b", "a/b/c"]),
        (vec![limit("a", 4), limit("a/b", 8), limit("a/b", 8), limit("a/b", 9)], vec!["a/b", "a/b"]),
        (vec![limit("a", 4), limit("ab", 8), go(json!({"set_quota": {"role": "a/b", "limits": {"mem": 8}}}))], vec![]),
    ] {
        let found = effects(&lines, "warning");
        assert!(found.iter().all(|warning| warning["command"] == "set_quota"), "{found:?}");
        let roles: Vec<&str> = found.iter().map(|warning| warning["message"].as_str().unwrap()).collect();
        let expected: Vec<String> = warnings.iter().map(|role| format!("the limit of {role}, ")).collect();
        let is_told = |(message, role): (&&str, &String)| message.starts_with(role);
        assert!(roles.len() == expected.len() && roles.iter().zip(&expected).all(is_told), "{roles:?}, {expected:?}");
    }
}

#[test]
fn a_refusal_of_one_agent_says_nothing_of_another_one_like_it() {
    let lines = [
        go(json!({"add_agent": {"id": "a1", "resources": "cpus:4"}})),
        go(json!({"add_agent": {"id": "a2", "resources": "cpus:4"}})),
        go(json!({"add_framework": {"id": "e", "roles": ["a"]}})),
        go(json!({"add_framework": {"id": "f", "roles": ["r"], "suppressed_roles": ["r"]}})),
        // So e has the smaller share.
        go(json!({"add_agent": {"id": "a3", "resources": "cpus:1", "tasks": [
            {"id": "t", "framework": "f", "role": "r", "resources": "cpus:1"}]}})),
        go(json!({"decline": {"framework": "e", "offers": ["O1"], "refuse_seconds": 1000}})),
        go(json!({"decline": {"framework": "e", "offers": ["O2"], "refuse_seconds": 0}})),
        go(json!({"explain": {"framework": "f", "role": "r"}})),
    ];
    let told = reasons(&lines);
    let outranked = told.iter().find(|reason| reason["kind"] == "outranked").unwrap();
    assert_eq!((&outranked["framework"], &outranked["agents"]), (&json!("e"), &json!(1)), "{told:?}");
}

#[test]
fn a_request_stands_in_place_of_a_suppression() {
    let request = |offers: u64, more: Value| {
        let mut body = json!({"framework": "f", "offers": offers});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        go(json!({ "request": body }))
    };
    let before = [agent(&json!("cpus:4;mem:1024"), json!({})), framework(json!({}))];
    let told = |more: &[Value]| kinds(&[&before[..], more, &[ask()]].concat());
    assert_eq!(told(&[]), ["suppressed"]);
    assert_eq!(told(&[request(1, json!({"agents": ["b"]}))]), ["suppressed"]);
    assert_eq!(told(&[request(2, json!({"each": {"cpus": 8}}))]), ["requested", "min_allocatable"]);
    assert_eq!(told(&[request(1, json!({}))]), ["request_met", "nothing_available"]);
    assert_eq!(told(&[request(2, json!({}))]), ["requested", "nothing_available"]);
    assert_eq!(told(&[request(2, json!({})), request(0, json!({}))]), ["suppressed", "nothing_available"]);
    let decline = go(json!({"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 9}}));
    let lines = [&before[..], &[request(1, json!({})), decline, ask()]].concat();
    assert_eq!(kinds(&lines), ["requested", "filtered"]);
    assert_eq!((&reasons(&lines)[0]["offers"], &reasons(&lines)[0]["open"]), (&json!(1), &json!(1)));
    let now = go(json!({"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 0}}));
    assert_eq!(told(&[request(1, json!({})), now]), ["requested", "starved"]);
}

#[test]
fn who_has_as_many_offers_as_it_wants_is_told_so() {
    let lines = [
        agent(&json!("cpus:4;mem:1024"), json!({})),
        go(json!({"add_framework": {"id": "f", "roles": ["r"], "max_offers": 1}})),
        go(json!({"add_agent": {"id": "b", "resources": "cpus:1;mem:64"}})),
        go(json!({"explain": {"framework": "f", "role": "r", "agent": "b"}})),
    ];
    assert_eq!(reasons(&lines), [json!({"kind": "max_offers", "live": 1, "most": 1})]);
}

#[test]
fn who_lets_offers_time_out_is_named_with_their_number() {
    let lines = [
        go(json!({"configure": {"offer_timeout": 2.5}})),
        agent(&json!("cpus:4;mem:1024"), json!({})),
        go(json!({"add_framework": {"id": "e", "roles": ["a"]}})),
        framework(json!({})),
        json!({"at": 6, "do": {"explain": {"framework": "f", "role": "r", "agent": "a"}}}),
    ];
    let nothing = reasons(&lines).into_iter().find(|reason| reason["kind"] == "nothing_available").unwrap();
    let holder = &nothing["holders"][0];
    assert_eq!((&holder["framework"], &holder["since"], &holder["timed_out"]), (&json!("e"), &json!(6), &json!(2)));
}
