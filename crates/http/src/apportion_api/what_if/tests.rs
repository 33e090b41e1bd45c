use super::*;
use apportion::{Agent, Config, Framework, Time};

/// Two agents, all of which `f1` is offered; `f2` came later.
fn master() -> Master {
    let mut master = Master::new(Config::default());
    let agent = |id: &str| Command::AddAgent(Agent::new(id, "cpus:4;mem:1024".parse().unwrap()).into());
    for command in [
        Command::AddFramework(Framework::new("f1").role("a".parse().unwrap())),
        agent("a1"),
        agent("a2"),
        Command::AddFramework(Framework::new("f2").role("b".parse().unwrap())),
    ] {
        master.handle(Time::from_secs(3), command).unwrap();
    }
    master
}

fn run(master: &Master, body: &Json) -> Result<Json, (u16, String)> {
    let refused = |answer: Answer| (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap());
    Trial::read(&body.to_string().into()).and_then(|trial| trial.run(master)).map_err(refused)
}

#[test]
fn an_allocation_with_the_change_is_compared_with_one_without() {
    let master = master();
    let before = master.state();
    let quota = json!({"set_quota": {"role": "a", "limits": {"cpus": 0, "mem": 0}}});
    let answer = run(&master, &json!({"changes": [quota], "framework": "f1"})).unwrap();
    let one = json!({"offers": 1, "amounts": {"cpus": 4, "mem": 1024}});
    let two = json!({"offers": 2, "amounts": {"cpus": 8, "mem": 2048}});
    let none = json!({"offers": 0, "amounts": {}});
    let line = |framework: &str, role: &str, without: &Json, with: &Json| json!({"framework": framework, "role": role, "without": without, "with": with});
    assert_eq!(answer["frameworks"], json!([line("f1", "a", &one, &none), line("f2", "b", &one, &two)]));
    assert_eq!((&answer["offers_total"], &answer["at"]), (&json!(2), &json!(3)));
    let reasons = answer["explanations"][0]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["kind"] == "quota_limit"), "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason["text"].is_string()), "{reasons:?}");
    assert_eq!(master.state(), before);
}

#[test]
fn an_agent_more_is_offered_with_all_others() {
    let master = master();
    let agent = json!({"add_agent": {"id": "a3", "resources": "cpus:16;mem:64"}});
    let weight = json!({"set_weight": {"role": "b", "weight": 100}});
    let answer = run(&master, &json!({"changes": [agent, weight]})).unwrap();
    let offers = answer["offers"].as_array().unwrap();
    let agents: std::collections::BTreeSet<&str> =
        offers.iter().map(|offer| offer["agent"].as_str().unwrap()).collect();
    assert_eq!(agents.into_iter().collect::<Vec<_>>(), ["a1", "a2", "a3"]);
    assert!(offers.iter().filter(|offer| offer["framework"] == "f2").count() > 1, "{answer}");
    assert_eq!(answer["explanations"], json!([]));
    assert_eq!(run(&master, &json!({"changes": []})).unwrap()["offers_total"], 2);
}

#[test]
fn what_is_no_change_is_refused_with_its_place() {
    let master = master();
    let quota = |limits: Json, guarantees: Json| json!({"set_quota": {"role": "a", "limits": limits, "guarantees": guarantees}});
    for (changes, status, part) in [
        (json!([{"remove_agent": {"id": "a1"}}]), 400, "changes[0]: expected set_quota, set_weight or add_agent"),
        (json!([{"advance": {}}]), 400, "changes[0]: expected set_quota"),
        (json!([{"set_weight": {"role": "a", "weight": 0}}]), 400, "changes[0]: `set_weight` is refused"),
        (json!([quota(json!({}), json!({})), 7]), 400, "changes[1]: expected"),
        (json!([quota(json!({"cpus": 1}), json!({"cpus": 2}))]), 400, "changes[0]:"),
        (json!([{"add_agent": {"id": "a1", "resources": "cpus:1"}}]), 400, "changes[0]: "),
        (json!([{"add_agent": {"id": "a9"}}]), 400, "resources"),
        (json!(7), 400, "not a change to try"),
        (json!(vec![quota(json!({}), json!({})); 33]), 400, "at most 32"),
    ] {
        let (found, text) = run(&master, &json!({ "changes": changes })).unwrap_err();
        assert!(found == status && text.contains(part), "{changes}: {found} {text}");
    }
    assert_eq!(run(&master, &json!({})).unwrap_err().0, 400);
    assert_eq!(run(&master, &json!({"changes": [], "framework": "nobody"})).unwrap_err().0, 404);
    assert_eq!(run(&master, &json!({"changes": [], "else": 1})).unwrap_err().0, 400);
    assert_eq!(run(&master, &json!({"changes": ["},\"do\":{"]})).unwrap_err().0, 400);
}
