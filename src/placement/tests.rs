//! Whole plans, rule by rule; the cases in `tests/cases/placement` show many more.

use super::Strategy;
use super::*;
use crate::offer::{Filters, Operation};
use crate::scheduler::{Call, Calls};
use proptest::prelude::{Strategy as Generator, *};
use serde_json::{Value as Json, json};

fn plan(problem: &Json) -> Plan {
    Problem::from_json(problem).unwrap().solve()
}

fn offer(id: &str, resources: &str, attributes: &str) -> Json {
    json!({"id": id, "hostname": id.replace('o', "h"), "resources": resources, "attributes": attributes})
}

const PLENTY: &str = "cpus:8;mem:8192;disk:1000;ports:[31000-31009]";

/// Returns the offers of the launches, in order.
fn launched(plan: &Plan) -> Vec<&str> {
    plan.launches.iter().map(|launch| launch.offer.as_str()).collect()
}

/// Returns the kinds of all reasons.
fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.unplaced.iter().flat_map(|waiting| &waiting.reasons).map(|reason| reason.barrier.kind()).collect()
}

#[test]
fn tasks_of_an_old_version_count_only_as_load_for_their_app() {
    let app = json!({"id": "a", "instances": 2, "constraints": [["hostname", "UNIQUE"]],
        "versionInfo": {"lastConfigChangeAt": "2026-08-01T00:00:00Z"}});
    let running = |version: &str| json!([{"app": "a", "task": "a.1", "hostname": "h1", "version": version}]);
    let with = |version| {
        plan(
            &json!({"app": app, "running": running(version), "offers": [offer("o1", PLENTY, ""), offer("o2", PLENTY, "")],
            "options": {"strategy": "spread"}}),
        )
    };
    assert_eq!(launched(&with("2026-07-31T23:59:59Z")), ["o2", "o1"]); // o1 still has the load of the old one
    assert_eq!(launched(&with("2026-08-01T00:00:00Z")), ["o2"]);
}

#[test]
fn other_apps_see_tasks_of_an_old_version() {
    let old = json!({"id": "old", "instances": 0, "labels": {"tier": "db"}, "container": {"docker": {"image": "redis:7"}},
        "versionInfo": {"lastConfigChangeAt": "2026-08-01T00:00:00Z"}, "placement": {"require": [["rack", "EXCLUSIVE"]]}});
    let running =
        json!([{"app": "old", "task": "old.1", "hostname": "h1", "attributes": "rack:r1", "version": "2026-07-01"}]);
    let offers = [offer("o1", PLENTY, "rack:r1"), offer("o2", PLENTY, "rack:r2")];
    let with = |old: &Json, other: Json| {
        launched(&plan(&json!({"apps": [old, other], "running": running, "offers": offers})))
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut free = old.clone();
    free["placement"] = json!({});
    for beside in
        [["@app", "IS", "/old"], ["@task", "IS", "old.1"], ["@image", "IS", "redis"], ["@label.tier", "IS", "db"]]
    {
        let other = |require: Json| json!({"id": "other", "placement": {"require": [require]}});
        assert_eq!(with(&free, other(json!(beside))), ["o1"], "{beside:?}");
        assert_eq!(with(&free, other(json!({"not": beside}))), ["o2"], "{beside:?}");
        free["instances"] = 1.into();
        free["placement"] = json!({"require": [{"not": beside}]});
        assert_eq!(
            with(&free, json!({"id": "other", "instances": 0})),
            ["o1"],
            "its own app does not see it: {beside:?}"
        );
        free["instances"] = 0.into();
        free["placement"] = json!({});
    }
    assert_eq!(with(&free, json!({"id": "other", "placement": {"require": [["rack", "EXCLUSIVE"]]}})), ["o2"]);
    assert_eq!(with(&old, json!({"id": "other"})), ["o2"], "what it holds alone stays its own");
    let mut again = old;
    again["instances"] = 1.into();
    assert_eq!(with(&again, json!({"id": "other", "instances": 0})), ["o1"]);
}

#[test]
fn a_port_says_who_has_it() {
    let app = json!({"id": "web", "instances": 2, "ports": [8080], "requirePorts": true});
    let detail = |offers: Json, running: Json| {
        let plan = plan(&json!({"app": app, "running": running, "offers": offers}));
        plan.unplaced[0].reasons.iter().map(|reason| reason.barrier.to_string()).collect::<Vec<_>>()
    };
    let here = |ports: &str| json!([{"id": "o1", "hostname": "h1", "resources": format!("cpus:4;mem:512;{ports}")}]);
    assert_eq!(detail(here("ports:[8080-8081]"), json!([])), ["8080 needed, which web.1 has"]);
    let running = json!([{"app": "db", "task": "db.7", "hostname": "h1", "ports": [null, 8080]},
        {"app": "db", "task": "db.8", "hostname": "h2", "ports": [8080]}]);
    assert_eq!(detail(here("ports:[1-9]"), running), ["8080 needed, which db.7 has"]);
    let running = json!([{"app": "db", "task": "db.9", "hostname": "h1", "resources": "ports:[8000-9000]"}]);
    assert_eq!(detail(here("ports:[1-9]"), running), ["8080 needed, which db.9 has"]);
    assert_eq!(
        detail(here("ports:[1-9];ports(eng):[8080-8080]"), json!([])),
        ["8080 needed, which is reserved for eng"]
    );
    assert_eq!(detail(here("ports:[1-9]"), json!([])), ["8080 needed, which is not left"]);
}

#[test]
fn amounts_that_the_app_does_not_accept_are_named() {
    let detail = |app: Json, resources: &str| {
        let offers = json!([{"id": "o1", "hostname": "h1", "resources": resources}]);
        let plan = plan(&json!({"app": app, "offers": offers}));
        plan.unplaced[0].reasons.iter().map(|reason| reason.barrier.to_string()).collect::<Vec<_>>()
    };
    let app = json!({"id": "a", "ports": []});
    assert_eq!(
        detail(app.clone(), "cpus(eng):4;mem:512"),
        ["1 needed, 0 left; 4 reserved for eng, which the app does not accept"]
    );
    assert_eq!(
        detail(app, "cpus:0.5;cpus(eng):4;cpus(ops):2;mem:512"),
        ["1 needed, 0.5 left; 4 reserved for eng and 2 reserved for ops, which the app does not accept"]
    );
    assert_eq!(
        detail(json!({"id": "a", "ports": [], "acceptedResourceRoles": ["eng"]}), "cpus:4;mem(eng):512"),
        ["1 needed, 0 left; 4 unreserved, which the app does not accept"]
    );
    assert_eq!(
        detail(json!({"id": "a", "ports": [0, 0]}), "cpus:4;mem:512;ports:[1-1];ports(eng):[5-9]"),
        ["2 dynamic needed, 1 left; 5 reserved for eng, which the app does not accept"]
    );
}

#[test]
fn the_nearest_miss_is_part_of_the_json() {
    let app = json!({"id": "a", "instances": 3, "constraints": [["rack", "UNIQUE"]]});
    let waiting =
        plan(&json!({"app": app, "offers": [offer("o1", PLENTY, "rack:r1"), offer("o2", PLENTY, "rack:r2")]}));
    let json = serde_json::to_value(&waiting.unplaced[0]).unwrap();
    assert_eq!(json["near_miss"], json!({"offer": "o1", "text": "one more rack"}));
    let none = plan(&json!({"app": app, "offers": []}));
    assert_eq!(serde_json::to_value(&none.unplaced[0]).unwrap().get("near_miss"), None);
}

#[test]
fn an_exclusive_task_keeps_later_tasks_away() {
    let alone = json!({"id": "alone", "placement": {"require": [["@hostname", "EXCLUSIVE"]]}});
    let offers = [offer("o1", PLENTY, ""), offer("o2", PLENTY, "")];
    let other = json!({"id": "b", "instances": 20});
    let both = plan(&json!({"apps": [alone, other], "offers": offers}));
    assert_eq!(both.launches.iter().filter(|launch| launch.offer.as_str() == "o1").count(), 1);
    let why = &both.unplaced[0].reasons[0];
    assert_eq!(
        (why.barrier.kind(), why.barrier.to_string()),
        ("constraint", "hostname h1 is kept by alone.1 alone".into())
    );
    let running = json!([{"app": "alone", "task": "x", "hostname": "h1"}]);
    let later = plan(&json!({"apps": [alone, {"id": "b"}], "running": running, "offers": offers}));
    assert_eq!(launched(&later), ["o2"]);
    let soft = json!({"id": "soft", "placement": {"prefer": [{"if": ["@hostname", "EXCLUSIVE"]}]}});
    assert_eq!(launched(&plan(&json!({"apps": [soft, {"id": "b"}], "offers": offers}))), ["o1", "o1"]);
}

#[test]
fn max_skew_compares_offers_that_meet_the_other_conditions() {
    let app = |require: Json| json!({"id": "a", "instances": 2, "placement": {"require": require}});
    let offers = [offer("o1", PLENTY, "zone:z1;ssd:yes"), offer("o2", PLENTY.replace("8192", "1").as_str(), "zone:z2")];
    let skew = json!(["zone", "MAX_SKEW", 1]);
    let all = plan(&json!({"app": app(json!([skew])), "offers": offers}));
    assert_eq!(launched(&all), ["o1"]); // z2 is known, though it has no room
    assert_eq!(all.unplaced[0].reasons[0].barrier.to_string(), "zone MAX_SKEW 1: zone z1 has 1, z2 has 0");
    let met = plan(&json!({"app": app(json!([skew, ["ssd", "EXISTS"]])), "offers": offers}));
    assert_eq!(launched(&met), ["o1", "o1"]);
}

#[test]
fn group_by_prefers_the_value_with_the_fewest_tasks() {
    let app = json!({"id": "a", "instances": 4, "constraints": [["rack", "GROUP_BY", 2]]});
    let offers = [offer("o1", PLENTY, "rack:r1"), offer("o2", PLENTY, "rack:r2")];
    assert_eq!(launched(&plan(&json!({"app": app, "offers": offers}))), ["o1", "o2", "o1", "o2"]);
}

#[test]
fn a_target_of_zero_ranks_below_every_other() {
    let app = json!({"id": "a", "placement": {"spread": [{"field": "dc", "targets": {"dc1": 0, "dc2": 100}}]}});
    let offers = [offer("o1", PLENTY, "dc:dc1"), offer("o2", PLENTY, ""), offer("o3", PLENTY, "dc:dc3")];
    assert_eq!(launched(&plan(&json!({"app": app, "offers": offers}))), ["o2"]);
    assert_eq!(launched(&plan(&json!({"app": app, "offers": [offer("o1", PLENTY, "dc:dc1")]}))), ["o1"]);
}

#[test]
fn with_a_seed_ports_are_consecutive_over_all_tasks_of_an_offer() {
    let app = json!({"id": "a", "instances": 3, "ports": [0, 0]});
    for seed in 0..20 {
        let problem = json!({"app": app, "offers": [offer("o1", PLENTY, "")], "options": {"seed": seed}});
        let ports: Vec<u64> =
            plan(&problem).launches.iter().flat_map(|launch| &launch.ports).flatten().copied().collect();
        let next = |port: u64| if port == 31_009 { 31_000 } else { port + 1 };
        assert!(ports.len() == 6 && ports.windows(2).all(|pair| pair[1] == next(pair[0])), "{seed}: {ports:?}");
    }
}

#[test]
fn maintenance_begins_with_draining_and_ends_after_the_window() {
    let fits = |now: u64, draining: u64, window: Json| {
        let offer = json!({"id": "o1", "hostname": "h1", "resources": PLENTY, "unavailability": window});
        let options = json!({"now": now, "draining_seconds": draining});
        let plan = plan(&json!({"app": {"id": "a"}, "offers": [offer], "options": options}));
        assert_eq!(kinds(&plan).is_empty(), !plan.launches.is_empty());
        plan.unplaced.is_empty()
    };
    let window = || json!({"start": 1000, "duration": 600});
    for (now, draining, fit) in [
        (900, 0, true),
        (900, 100, true),
        (901, 100, false),
        (1000, 0, true),
        (1001, 0, false),
        (1600, 0, false),
        (1601, 0, true),
    ] {
        assert_eq!(fits(now, draining, window()), fit, "at {now}");
    }
    assert!(!fits(1_000_000, 0, json!({"start": 1000})));
    assert!(!fits(0, 500, json!({"start": 100, "duration": 0.5})));
}

#[test]
fn apps_that_constrain_no_region_stay_in_the_planners() {
    let with = |app: Json, region: Json| {
        let mut offer = offer("o1", PLENTY, "");
        offer["region"] = region;
        kinds(&plan(&json!({"app": app, "offers": [offer], "options": {"region": "home"}})))
    };
    let nothing: [&str; 0] = [];
    assert_eq!(with(json!({"id": "a"}), json!("away")), ["region"]);
    assert_eq!(with(json!({"id": "a"}), json!("home")), nothing);
    assert_eq!(with(json!({"id": "a"}), Json::Null), nothing);
    assert_eq!(with(json!({"id": "a", "constraints": [["@region", "LIKE", ".*"]]}), json!("away")), nothing);
    let nested = json!({"require": [{"any": [["@zone", "ABSENT"], ["x", "EXISTS"]]}]});
    assert_eq!(with(json!({"id": "a", "placement": nested}), json!("away")), nothing);
}

#[test]
fn an_app_with_a_role_takes_offers_to_it_and_its_resources_first() {
    let app = json!({"id": "a", "cpus": 2, "role": "eng"});
    let mut offer = offer("o1", "cpus:4;cpus(eng):1.5;mem:128;ports:[1-9];ports(eng):[80-80]", "");
    assert_eq!(kinds(&plan(&json!({"app": app, "offers": [offer]}))), ["role"]);
    offer["role"] = json!("eng");
    let made = plan(&json!({"app": app, "offers": [offer]}));
    assert_eq!(made.launches[0].resources.to_string(), "cpus:0.5;cpus(eng):1.5;mem:128;ports(eng):[80-80]");
    let picky = json!({"id": "a", "role": "eng", "acceptedResourceRoles": ["ops"]});
    assert_eq!(kinds(&plan(&json!({"app": picky, "offers": [offer]}))), ["role", "cpus", "mem"]);
}

#[test]
fn gpus_are_reserved_unless_unrestricted() {
    let offers = [offer("o1", "cpus:4;mem:512;gpus:1;ports:[1-9]", "")];
    let with = |labels: Json, options: Json| {
        kinds(&plan(&json!({"app": {"id": "a", "labels": labels}, "offers": offers, "options": options})))
    };
    let (free, kept) =
        (json!({"GPU_SCHEDULING_BEHAVIOR": "unrestricted"}), json!({"GPU_SCHEDULING_BEHAVIOR": "restricted"}));
    assert_eq!(with(json!({}), json!({})), ["scarce"]);
    assert!(with(free, json!({})).is_empty());
    assert!(with(json!({}), json!({"gpu_scheduling_behavior": "unrestricted"})).is_empty());
    assert_eq!(with(kept, json!({"gpu_scheduling_behavior": "unrestricted"})), ["scarce"]);
}

#[test]
fn scratch_and_a_root_volume_share_the_root_disk() {
    let app = |disk: u64, size: u64| {
        json!({"app": {"id": "a", "disk": disk, "container": {"volumes": [
            {"containerPath": "data", "persistent": {"size": size}}, {"containerPath": "/etc", "hostPath": "/etc"}]}},
            "offers": [offer("o1", PLENTY, "")]})
    };
    assert_eq!(plan(&app(400, 600)).launches[0].resources.amount("disk"), crate::Scalar::units(1000));
    let full = plan(&app(401, 600));
    assert_eq!(full.unplaced[0].reasons[0].barrier.to_string(), "600 needed for data on one root disk, 599 left");
    assert_eq!(kinds(&plan(&app(1001, 1))), ["disk"]);
}

#[test]
fn every_failed_check_is_reported_and_ports_only_alone() {
    let app = json!({"id": "a", "cpus": 9, "mem": 9000, "ports": [0, 0],
        "constraints": [["rack", "IS", "r2"], ["os", "LIKE", ".*"]]});
    let offers = [offer("o1", PLENTY, "rack:r1"), offer("o2", "cpus:9;mem:9000;ports:[1-1]", "rack:r2;os:linux")];
    let waiting = plan(&json!({"app": app, "offers": offers}));
    assert_eq!(kinds(&waiting), ["constraint", "attributes", "cpus", "mem", "ports"]);
    assert_eq!(
        serde_json::to_value(&waiting.unplaced[0].reasons[2]).unwrap(),
        json!({"offer": "o1", "kind": "cpus", "detail": "9 needed, 8 left"})
    );
}

#[test]
fn parts_of_a_clause_are_reported_one_by_one() {
    let all = json!({"all": [["a", "EXISTS"], ["rack", "IS", "r2"]]});
    let problem =
        json!({"app": {"id": "a", "placement": {"require": [all]}}, "offers": [offer("o1", PLENTY, "rack:r1")]});
    assert_eq!(kinds(&plan(&problem)), ["attributes", "constraint"]);
}

#[test]
fn task_ids_are_new() {
    let running = json!([{"app": "g/web", "task": "g_web.2", "hostname": "h9"}]);
    let apps = json!([{"id": "g/web", "instances": 3}, {"id": "g-web"}]);
    let mut problem =
        Problem::from_json(&json!({"apps": apps, "running": running, "offers": [offer("o1", PLENTY, "")]})).unwrap();
    problem.apps[1].id = "/g_web".into(); // no document has such an id, but a program may
    problem.planner.taken.insert("g_web.3".into());
    let ids: Vec<_> = problem.solve().launches.iter().map(|launch| launch.id.to_string()).collect();
    assert_eq!(ids, ["g_web.1", "g_web.4", "g_web.5"]);
}

#[test]
fn a_custom_strategy_decides() {
    #[derive(Debug)]
    struct Last;
    impl Fitness for Last {
        fn score(&self, prospect: &Prospect<'_>) -> f64 {
            if prospect.offer.id.as_str() == "o3" { 1.0 } else { f64::NAN }
        }
    }
    let offers = ["o1", "o2", "o3"].map(|id| offer(id, PLENTY, ""));
    let mut problem = Problem::from_json(&json!({"app": {"id": "a"}, "offers": offers})).unwrap();
    problem.planner.strategy = Strategy::custom(Last);
    assert_eq!(launched(&problem.solve()), ["o3"]);
}

#[test]
fn random_is_the_same_for_the_same_seed_and_not_for_all() {
    let offers: Vec<Json> = (1..9).map(|i| offer(&format!("o{i}"), PLENTY, "")).collect();
    let with = |seed: u64| {
        let options = json!({"strategy": "random", "seed": seed});
        let plan = plan(&json!({"app": {"id": "a", "instances": 4}, "offers": offers, "options": options}));
        launched(&plan).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(with(7), with(7));
    assert!((0..9).any(|seed| with(seed) != with(7)));
}

#[test]
fn each_offer_is_accepted_once_or_declined() {
    let offers = ["o1", "o2", "o3"].map(|id| offer(id, "cpus:2;mem:512;ports:[1-9]", ""));
    let made = plan(&json!({"app": {"id": "a", "instances": 3}, "offers": offers}));
    let mut calls = Calls::default();
    made.answer(&mut calls);
    let calls = calls.into_vec();
    assert_eq!(calls.len(), 3);
    let Call::Accept(first) = &calls[0] else { panic!("{calls:?}") };
    let [Operation::Launch(tasks)] = first.operations.as_slice() else { panic!("{first:?}") };
    assert_eq!((first.offers.as_slice(), tasks.len()), (&["o1".into()][..], 2));
    assert_eq!(*tasks[0].details.get("name").unwrap(), "/a");
    assert_eq!(calls[2], Call::Decline { offers: vec!["o3".into()], filters: Filters::default(), each: false });
}

/// Generates conditions of all kinds: those of `constraints` first, then those of `placement`.
fn any_condition() -> impl Generator<Value = Json> {
    let leaf = prop::sample::select(vec![
        json!(["hostname", "UNIQUE"]),
        json!(["rack", "GROUP_BY"]),
        json!(["rack", "GROUP_BY", 2]),
        json!(["rack", "MAX_PER", 2]),
        json!(["rack", "CLUSTER"]),
        json!(["rack", "UNLIKE", "r1"]),
        json!(["zone", "LIKE", "a|b"]),
        json!(["hostname", "MAX_PER", 2]),
        json!(["zone", "MAX_SKEW", 1]),
        json!(["rack", "EXCLUSIVE"]),
        json!(["hostname", "EXCLUSIVE"]),
        json!(["@app", "IS", "/a0"]),
        json!(["@app", "IS_NOT", "/a1"]),
        json!(["@task", "LACKS", "a0.2"]),
    ]);
    let pair = prop::collection::vec(leaf.clone(), 1..3);
    prop_oneof![
        4 => leaf.clone(),
        1 => pair.clone().prop_map(|of| json!({"any": of})),
        1 => pair.prop_map(|of| json!({"all": of})),
        1 => leaf.prop_map(|of| json!({"not": of})),
    ]
}

fn any_placement() -> impl Generator<Value = Json> {
    let weight = (1_i64..100).prop_map(|weight| weight * 2 - 101);
    let wish = (any_condition(), weight).prop_map(|(of, weight)| json!({"if": of, "weight": weight}));
    let targets = prop::sample::select(vec![json!(null), json!({"r1": 50}), json!({"r0": 0, "r2": 100})]);
    let spread = targets.prop_map(|targets| json!([{"field": "rack", "targets": targets}]));
    let spread = prop_oneof![Just(json!([])), spread];
    (prop::collection::vec(any_condition(), 0..3), prop::collection::vec(wish, 0..3), spread)
        .prop_map(|(require, prefer, spread)| json!({"require": require, "prefer": prefer, "spread": spread}))
}

fn any_problem(placement: impl Generator<Value = Json>) -> impl Generator<Value = Problem> {
    let any_app = (0_u64..6, 1_u64..4, 0_usize..3, placement);
    let any_offer = (1_u64..9, 0_u64..5, 0_u64..4, prop::sample::select(vec!["", ";zone:a", ";zone:c"]), 0_usize..5);
    let strategy = prop::sample::select(Strategy::NAMES[..7].to_vec());
    (prop::collection::vec(any_app, 1..4), prop::collection::vec(any_offer, 0..6), strategy).prop_map(
        |(apps, offers, strategy)| {
            let app = |(i, (instances, cpus, ports, placement)): (usize, (u64, u64, usize, Json))| {
                json!({"id": format!("a{i}"), "instances": instances, "cpus": cpus, "mem": 10,
                    "ports": vec![0; ports], "placement": placement})
            };
            let numbered = |(i, (cpus, ports, rack, zone, host)): (usize, (u64, u64, u64, &str, usize))| {
                let resources = format!("cpus:{cpus};mem:50;ports:[1-{}]", ports + 1);
                let mut offer = offer(&format!("o{i}"), &resources, &format!("rack:r{rack}{zone}"));
                offer["hostname"] = json!(format!("h{}", i.max(host))); // some hosts have several offers
                offer
            };
            let problem = json!({"apps": apps.into_iter().enumerate().map(app).collect::<Vec<_>>(),
                "offers": offers.into_iter().enumerate().map(numbered).collect::<Vec<_>>(),
                "options": {"strategy": strategy}});
            Problem::from_json(&problem).unwrap()
        },
    )
}

/// Generates conditions that no later task of another app can make true.
fn of_own_tasks() -> impl Generator<Value = Json> {
    let not_of_others = |of: &Json| !of.to_string().contains('@') && !of.to_string().contains("EXCLUSIVE");
    let own = any_condition().prop_filter("of the app alone", not_of_others);
    prop::collection::vec(own, 0..3).prop_map(|require| json!({"require": require}))
}

/// Takes launches out of the offers, and adds their tasks to the running ones.
fn carry_out(problem: &mut Problem, launches: &[Launch]) {
    problem.running.extend(launches.iter().map(Launch::running));
    for launch in launches {
        let offer = problem.offers.iter_mut().find(|offer| offer.id == launch.offer).unwrap();
        offer.resources = offer.resources.checked_sub(&launch.resources).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Results that are kept from one instance to the next change no decision.
    #[test]
    fn a_plan_in_one_go_is_the_plan_step_by_step(problem in any_problem(any_placement())) {
        let whole = problem.solve();
        let mut stepwise = problem;
        for launch in &whole.launches {
            let before = stepwise.apps.iter_mut().take_while(|app| app.id != launch.app);
            before.for_each(|app| app.instances = 0); // they are done
            let next = stepwise.solve();
            prop_assert_eq!(next.launches.first(), Some(launch));
            carry_out(&mut stepwise, std::slice::from_ref(launch));
        }
    }

    /// Nothing is taken twice; each app that waits has a reason for every offer, and finds no place in what is left.
    #[test]
    fn plans_are_complete(mut problem in any_problem(of_own_tasks())) {
        let plan = problem.solve();
        for waiting in &plan.unplaced {
            for offer in &problem.offers {
                prop_assert!(waiting.reasons.iter().any(|reason| reason.offer == offer.id), "{waiting:?}");
            }
        }
        carry_out(&mut problem, &plan.launches);
        let again = problem.solve();
        prop_assert!(again.launches.is_empty(), "{again:?}");
        let waiting = |plan: &Plan| plan.unplaced.iter().map(|one| (one.app.clone(), one.instances)).collect::<Vec<_>>();
        prop_assert_eq!(waiting(&plan), waiting(&again));
    }
}
