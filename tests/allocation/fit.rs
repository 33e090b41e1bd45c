//! Offers that fit: requests of suppressed roles, chunks of agents, bounds on live offers.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use apportion::allocator::{Allocator, Hierarchical, Holding, Options, Random, SorterChoice};
use apportion::journal::Replay;
use apportion::{Agent, Config, Effect, Framework, Master, Request, Role, Time};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// What comes out of these lines: of offers the framework, the agent and the resources; of all else the name.
fn replayed(lines: &[Value]) -> Vec<String> {
    let mut replay = Replay::new();
    let mut found = Vec::new();
    for line in lines {
        let mut take = |effect: &str| {
            let effect: Value = serde_json::from_str(effect).unwrap();
            let (name, body) = effect["emit"].as_object().unwrap().iter().next().unwrap();
            found.push(if name == "offer" {
                let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
                format!("{} {} {}", text("framework"), text("agent"), text("resources"))
            } else {
                name.clone()
            });
        };
        replay.feed(&line.to_string(), &mut take).unwrap();
    }
    found
}

fn at(seconds: f64, command: &Value) -> Value {
    json!({"at": seconds, "do": command})
}

fn agent(id: &str, resources: &str) -> Value {
    at(0.0, &json!({"add_agent": {"id": id, "resources": resources}}))
}

fn suppressed(id: &str) -> Value {
    at(0.0, &json!({"add_framework": {"id": id, "roles": ["r"], "suppressed_roles": ["r"]}}))
}

fn request(seconds: f64, more: &Value) -> Value {
    let mut body = json!({"framework": "f", "offers": 1});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    at(seconds, &json!({ "request": body }))
}

#[test]
fn a_request_that_contradicts_itself_is_an_error() {
    let before = [agent("a", "cpus:4;mem:64"), suppressed("f")];
    for wrong in [
        json!({"offers": -1}),
        json!({"offers": 1.5}),
        json!({"each": {"cpus": 0}}),
        json!({"most": {"cpus": 0}}),
        json!({"each": {"cpus": 2}, "most": {"cpus": 1}}),
        json!({"roles": ["other"]}),
        json!({"framework": "unknown"}),
    ] {
        let lines = [&before[..], &[request(1.0, &wrong)]].concat();
        assert_eq!(replayed(&lines), ["error"], "{wrong}");
    }
    let configure = r#"{"do": {"configure": {"max_offer": {"cpus": 0}}}}"#;
    let error = Replay::new().feed(configure, |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "`configure` is refused: max_offer: 0 cpus: expected more, or the name left out");
}

#[test]
fn most_divides_an_agent_up_to_what_is_open() {
    let lines = [
        agent("a", "cpus:4;mem:64"),
        suppressed("f"),
        request(0.0, &json!({"offers": 3, "each": {"cpus": 1}, "most": {"cpus": 1, "mem": 8}})),
    ];
    assert_eq!(replayed(&lines), ["f a cpus:1;mem:8"; 3]);
}

#[test]
fn a_later_request_replaces_one_and_rescinds_nothing() {
    let lines = [
        agent("a", "cpus:4"),
        agent("b", "cpus:4"),
        agent("c", "cpus:4"),
        suppressed("f"),
        request(0.0, &json!({})),
        request(0.5, &json!({})),
        // This offer was made for the first request, so its place is not one of the second.
        at(0.6, &json!({"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 0}})),
        at(2.0, &json!({"advance": {}})),
        request(2.5, &json!({"offers": 0})),
        at(2.6, &json!({"decline": {"framework": "f", "offers": ["O2"], "refuse_seconds": 0}})),
        at(9.0, &json!({"advance": {}})),
    ];
    assert_eq!(replayed(&lines), ["f a cpus:4", "f b cpus:4"]);
}

#[test]
fn a_request_outlives_a_broken_connection_and_ends_with_a_subscription() {
    let away = [
        agent("a", "cpus:4"),
        suppressed("f"),
        request(0.0, &json!({"each": {"cpus": 2}})),
        at(1.0, &json!({"deactivate_framework": {"id": "f"}})),
    ];
    let back = [at(3.5, &json!({"activate_framework": {"id": "f"}}))];
    assert_eq!(replayed(&[&away[..], &back].concat()), ["f a cpus:4", "rescind", "f a cpus:4"]);
    let anew = [at(3.5, &json!({"subscribe": {"id": "f", "roles": ["r"], "suppressed_roles": ["r"]}}))];
    assert_eq!(replayed(&[&away[..], &anew].concat()), ["f a cpus:4", "rescind"]);
}

#[test]
fn a_request_for_a_role_that_is_not_suppressed_waits_until_it_is() {
    let lines = [
        agent("a", "cpus:4"),
        at(0.0, &json!({"add_framework": {"id": "f", "roles": ["r"]}})),
        request(0.5, &json!({"each": {"cpus": 1}})),
        at(0.6, &json!({"suppress": {"framework": "f"}})),
        at(0.7, &json!({"decline": {"framework": "f", "offers": ["O1"], "refuse_seconds": 0}})),
        at(1.0, &json!({"advance": {}})),
        at(2.5, &json!({"decline": {"framework": "f", "offers": ["O2"], "refuse_seconds": 0}})),
        at(2.6, &json!({"revive": {"framework": "f"}})),
    ];
    assert_eq!(replayed(&lines), ["f a cpus:4"; 3]);
    let dropped = request(0.5, &json!({"if_suppressed": true}));
    let lines = [&lines[..2], &[dropped], &lines[3..6]].concat();
    assert_eq!(replayed(&lines), ["f a cpus:4"]);
}

#[test]
fn two_greedy_frameworks_halve_one_agent_chunk_by_chunk() {
    let halves = |options: Options| {
        let mut allocator = Hierarchical::with_options(options);
        for (id, role) in [("f1", "r1"), ("f2", "r2")] {
            allocator.add_framework(&Arc::new(Framework::new(id).role(role.parse().unwrap())), &[]).unwrap();
        }
        allocator.add_agent(&Arc::new(Agent::new("a", "cpus:240".parse().unwrap())), &[]).unwrap();
        let offers = allocator.allocate(Time::ZERO, None);
        let of = |id: &str| -> u64 {
            let its = offers.iter().filter(|offer| offer.framework.as_str() == id);
            its.map(|offer| offer.resources.amount("cpus").as_milli() / 1000).sum()
        };
        (of("f1"), of("f2"))
    };
    assert_eq!(halves(Options::new()), (240, 0));
    assert_eq!(halves(Options::new().max_offer("cpus:1".parse().unwrap())), (120, 120));
}

#[test]
fn a_random_order_is_drawn_anew_for_each_chunk() {
    let options = Options::new().max_offer("cpus:1".parse().unwrap());
    let random = || SorterChoice::Random(Random::new(7));
    let mut allocator = Hierarchical::new(options, random(), random());
    for (id, role) in [("f1", "r1"), ("f2", "r2"), ("f3", "r2")] {
        allocator.add_framework(&Arc::new(Framework::new(id).role(role.parse().unwrap())), &[]).unwrap();
    }
    allocator.add_agent(&Arc::new(Agent::new("a", "cpus:240".parse().unwrap())), &[]).unwrap();
    let offers = allocator.allocate(Time::ZERO, None);
    for id in ["f1", "f2", "f3"] {
        let of = offers.iter().filter(|offer| offer.framework.as_str() == id).count();
        assert!((30..=150).contains(&of), "{id}: {of}");
    }
}

#[test]
fn what_is_left_after_1_024_chunks_comes_with_the_next_batch() {
    let config = Config::new().options(Options::new().max_offer("cpus:1".parse().unwrap()));
    let mut master = Master::new(config);
    let mut offers = |at: u64, command| {
        master.handle(Time::from_secs(at), command).unwrap();
        let effects = std::iter::from_fn(|| master.poll_effect());
        effects.filter(|emitted| matches!(emitted.effect, Effect::Offer(_))).count()
    };
    let framework = Framework::new("f").role(Role::default());
    assert_eq!(offers(0, apportion::Command::AddFramework(framework)), 0);
    let agent = Agent::new("a", "cpus:2000".parse().unwrap());
    assert_eq!(offers(0, apportion::Command::AddAgent(agent.into())), 1_024);
    assert_eq!(offers(1, apportion::Command::SetWhitelist(None)), 976);
    assert_eq!(offers(9, apportion::Command::SetWhitelist(None)), 0);
}

#[test]
fn a_minimum_larger_than_a_chunk_counts_instead() {
    let configure = |minimums: Value| {
        let chunk = json!({"configure": {"max_offer": {"cpus": 1}, "min_allocatable": minimums}});
        let framework = json!({"add_framework": {"id": "f", "roles": ["r"]}});
        replayed(&[at(0.0, &chunk), at(0.0, &framework), agent("a", "cpus:5;mem:64")])
    };
    assert_eq!(configure(json!([{"cpus": 2}])), ["f a cpus:2;mem:64", "f a cpus:2"]); // of the last cpu no chunk can be made
    assert_eq!(configure(json!([{"cpus": 2}, {"mem": 32}])), ["f a cpus:1;mem:64"]);
}

#[test]
fn bare_allocators_reopen_places_that_they_are_told_of() {
    let (role, id) = (Role::default(), "f".into());
    let mut allocator = Hierarchical::with_options(Options::new());
    let framework = Framework::new("f").role(role.clone()).suppressed(role.clone());
    allocator.add_framework(&Arc::new(framework), &[]).unwrap();
    for agent in ["a", "b"] {
        allocator.add_agent(&Arc::new(Agent::new(agent, "cpus:1".parse().unwrap())), &[]).unwrap();
    }
    allocator.request(&id, &[], &Request::offers(1)).unwrap();
    let offers = allocator.allocate(Time::ZERO, None);
    assert_eq!(offers.len(), 1);
    allocator.end_offer(&offers[0], &[]).unwrap();
    assert!(allocator.allocate(Time::ZERO, None).is_empty()); // used, as far as the allocator knows
    allocator.reopen(&id, &role, 1).unwrap();
    assert_eq!(allocator.allocate(Time::ZERO, None).len(), 1);
    assert!(allocator.reopen(&"other".into(), &role, 1).is_err());
}

/// DRF as its paper has it, task by task (algorithm 1): who has the smallest dominant share launches one, as long as one fits.
/// Ties go to who has launched fewer, and then to the first.
fn progressive_filling(total: &[u64; 2], demands: &[[u64; 2]]) -> Vec<u64> {
    let mut tasks = vec![0_u64; demands.len()];
    let mut left = *total;
    let mut out = vec![false; demands.len()];
    loop {
        // Compared as fractions over both totals.
        let share = |user: usize| {
            let of = |name: usize| u128::from(tasks[user] * demands[user][name]) * u128::from(total[1 - name]);
            of(0).max(of(1))
        };
        let users = (0..demands.len()).filter(|user| !out[*user]);
        let Some(next) = users.min_by_key(|user| (share(*user), tasks[*user], *user)) else { return tasks };
        if (0..2).all(|name| demands[next][name] <= left[name]) {
            (0..2).for_each(|name| left[name] -= demands[next][name]);
            tasks[next] += 1;
        } else {
            out[next] = true;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Frameworks that request offers of the size of their tasks get what per-task DRF gives them, on one agent.
    #[test]
    fn requests_of_one_task_each_divide_an_agent_as_drf_does(
        total in [1_u64..40, 1_u64..40],
        demands in prop::collection::vec([1_u64..6, 1_u64..6], 1..6),
    ) {
        let mut options = Options::new();
        options.min_allocatable.clear();
        let mut allocator = Hierarchical::with_options(options);
        for (user, [cpus, mem]) in demands.iter().enumerate() {
            let (id, role) = (format!("f{user}"), Role::new(format!("r{user}")).unwrap());
            let framework = Framework::new(id.as_str()).role(role.clone()).suppressed(role.clone());
            allocator.add_framework(&Arc::new(framework), &[]).unwrap();
            let size = format!("cpus:{cpus};mem:{mem}");
            let request = Request::offers(1_000).each(size.parse().unwrap()).most(size.parse().unwrap());
            allocator.request(&id.as_str().into(), &[], &request).unwrap();
        }
        let resources = format!("cpus:{};mem:{}", total[0], total[1]);
        allocator.add_agent(&Arc::new(Agent::new("a", resources.parse().unwrap())), &[]).unwrap();
        let offers: Vec<Holding> = allocator.allocate(Time::ZERO, None);
        let of = |user: usize| {
            let id = format!("f{user}");
            offers.iter().filter(|offer| offer.framework.as_str() == id).count() as u64
        };
        let found: Vec<u64> = (0..demands.len()).map(of).collect();
        prop_assert_eq!(found, progressive_filling(&total, &demands));
    }
}
