//! Journals that mean no good: huge, empty, contradictory, far in the future, or no journals at all. Each
//! ends soon, nothing panics, and nothing is kept of what was refused.

use apportion::journal::{self, Replay};
use apportion::{Call, Command, Config, Framework, Master, Time};
use serde_json::{Value, json};

/// Feeds lines, and counts the effects and the lines that were none.
#[derive(Default)]
struct Fed {
    replay: Replay,
    effects: Vec<String>,
    malformed: usize,
}

impl Fed {
    fn feed(&mut self, line: &str) -> &mut Self {
        let effects = &mut self.effects;
        if self.replay.feed(line, |effect| effects.push(effect.to_owned())).is_err() {
            self.malformed += 1;
        }
        self
    }

    fn command(&mut self, command: &Value) -> &mut Self {
        self.feed(&json!({"do": command}).to_string())
    }

    fn at(&mut self, at: f64, command: &Value) -> &mut Self {
        self.feed(&json!({"at": at, "do": command}).to_string())
    }

    fn count(&self, effect: &str) -> usize {
        self.effects.iter().filter(|line| line.contains(&format!(r#""emit":{{"{effect}""#))).count()
    }

    /// What is known at the end, as it is printed.
    fn state(&mut self) -> Value {
        self.command(&json!({"state": {}}));
        let line = self.effects.pop().expect("a state");
        serde_json::from_str::<Value>(&line).expect("a line of JSON")["emit"]["state"].clone()
    }
}

/// Numbers without a meaning, the same each time.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn a_small_cluster() -> Fed {
    let mut fed = Fed::default();
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a", "a/b"]}}));
    fed.command(&json!({"add_framework": {"id": "f2", "roles": ["d"]}}));
    fed.command(&json!({"add_agent": {"id": "a1", "resources": "cpus:4;mem:1024;ports:[31000-32000]"}}));
    fed
}

#[test]
fn lines_of_nonsense_are_told_and_leave_nothing_behind() {
    let lines = [
        r#"{"do": {"decline": {"framework": "f1", "offers": ["O1"], "refuse_seconds": -1e308}}}"#,
        r#"{"do": {"accept": {"framework": "f9", "offers": [], "operations": []}}}"#,
        r#"{"do": {"set_quota": {"role": "//", "limits": {"cpus": 1}}}}"#,
        r#"{"do": {"set_weight": {"role": "a", "weight": 0}}}"#,
        r#"{"do": {"add_agent": {"id": "bad", "resources": "cpus:1e400"}}}"#,
        r#"{"do": {"remove_agent": {"id": "never"}}}"#,
        r#"{"do": {"operate": {"agent": "a1", "operations": [{"launch": {"tasks": []}}]}}}"#,
        r#"{"do": {"task_status": {"framework": "f1", "task": "t", "state": "TASK_DANCING"}}}"#,
        r#"{"do": {"add_framework": {"id": "f1", "roles": ["*", "*"]}}}"#,
        r#"{"at": 0, "do": {"revive": {"framework": "f3", "roles": ["a", "a"]}}}"#,
    ];
    let snips = ["", "{", "}", "\"", "[", "\\", ":", "null", "-", "1e9", "\u{0}", "é", "//", "do", "\u{1f980}"];
    let mut fed = a_small_cluster();
    let mut taken = Vec::new();
    let mut noise = Noise(7);
    for _ in 0..100_000 {
        let mut line: Vec<char> = noise.pick(&lines).chars().collect();
        for _ in 0..noise.below(4) {
            let (place, length) = (noise.below(line.len()), noise.below(6));
            let end = (place + length).min(line.len());
            line.splice(place..end, noise.pick(&snips).chars());
            line.push(' ');
        }
        let line: String = line.into_iter().collect();
        let malformed = fed.malformed;
        fed.effects.clear();
        fed.feed(&line);
        if fed.malformed == malformed && fed.count("error") == 0 {
            taken.push(line);
        }
    }
    assert!(fed.malformed > 10_000 && taken.len() > 100, "{} malformed, {} taken", fed.malformed, taken.len());
    // Without the lines that were refused it comes to the same.
    let mut sober = a_small_cluster();
    taken.iter().for_each(|line| {
        sober.feed(line);
    });
    assert_eq!(fed.state(), sober.state());
}

#[test]
fn bytes_that_are_no_json_are_no_commands() {
    let mut fed = Fed::default();
    let deep = "[".repeat(100_000);
    for line in ["\u{feff}{}", "{\"do\":", "[]", "0", "{\"do\":{}}", "{\"do\":{\"state\":{},\"advance\":{}}}", &deep] {
        fed.feed(line);
    }
    fed.feed(&format!(r#"{{"do":{{"add_agent":{{"id":"a1","resources":"cpus:1","attributes":{deep}"#));
    fed.feed(&format!(r#"{{"at":{},"do":{{"advance":{{}}}}}}"#, "9".repeat(400)));
    assert_eq!((fed.malformed, fed.effects.len()), (9, 0));
}

#[test]
fn amounts_that_cannot_be_counted_are_refused() {
    let mut fed = Fed::default();
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a"]}}));
    for amount in ["9000000000000", "9000000000001", "-1", "1e308", "nan", "inf", "0.0001", "", "0x10", "1;2"] {
        fed.command(&json!({"add_agent": {"id": amount, "resources": format!("cpus:{amount}")}}));
    }
    assert_eq!((fed.count("offer"), fed.count("error")), (1, 9), "{:#?}", fed.effects);
    for n in 0..3000 {
        // Together more than 64 bits of thousandths: the cluster is full before.
        fed.command(&json!({"add_agent": {"id": format!("a{n}"), "resources": "cpus:9000000000000;mem:1"}}));
    }
    fed.command(&json!({"set_quota": {"role": "a", "guarantees": {"cpus": 9e12}, "limits": {"cpus": 9e12, "mem": 0}}}));
    fed.command(&json!({"set_quota": {"role": "d", "guarantees": {"cpus": 9e12, "mem": 9e12}}}));
    fed.command(&json!({"set_weight": {"role": "a", "weight": 1e9}}));
    fed.command(&json!({"set_weight": {"role": "d", "weight": 1e-6}}));
    fed.command(&json!({"add_framework": {"id": "f2", "roles": ["d"]}}));
    fed.at(10.0, &json!({"revive": {"framework": "f1"}}));
    assert!((2000..2100).contains(&fed.count("offer")), "{}", fed.count("offer"));
    assert_eq!(fed.malformed, 0);
}

/// Cpus that role `r` has reserved dynamically.
fn reserved(cpus: f64) -> Value {
    json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}, "reservations": [{"type": "DYNAMIC", "role": "r"}]}])
}

/// Unreserves all of an offer and launches a task on it.
fn unreserve_and_launch(offer: &str, task: &str) -> Value {
    let launch = json!({"launch": {"tasks": [{"id": task, "resources": "cpus:9000000000000"}]}});
    let operations = [json!({"unreserve": {"resources": reserved(9e12)}}), launch];
    json!({"accept": {"framework": "f", "offers": [offer], "operations": operations, "refuse_seconds": 0}})
}

#[test]
fn tasks_that_hold_more_than_can_be_counted_are_refused() {
    // A task holds as much as can be counted, and the agent says that all it has is reserved.
    let mut fed = Fed::default();
    fed.command(&json!({"add_framework": {"id": "f", "roles": ["r"]}}));
    let task = json!([{"id": "t1", "framework": "f", "role": "r", "resources": "cpus:9000000000000"}]);
    fed.command(&json!({"add_agent": {"id": "a", "resources": reserved(9e12), "tasks": task}}));
    let before = fed.state();
    fed.command(&unreserve_and_launch("O1", "t2"));
    assert_eq!((fed.count("error"), fed.state()), (1, before));

    // The same with an offer that is older than the new total.
    let mut fed = Fed::default();
    fed.command(&json!({"add_framework": {"id": "f", "roles": ["r"]}}));
    let mut both = reserved(9e12).as_array().expect("an array").clone();
    both.push(json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": 9e12}}));
    fed.command(&json!({"add_agent": {"id": "a", "resources": both}}));
    let launch = json!([{"launch": {"tasks": [{"id": "t1", "resources": "cpus:9000000000000"}]}}]);
    fed.command(&json!({"accept": {"framework": "f", "offers": ["O1"], "operations": launch, "refuse_seconds": 0}}));
    fed.at(1.0, &json!({"advance": {}}));
    fed.command(&json!({"update_agent": {"id": "a", "resources": reserved(9e12)}}));
    let before = fed.state();
    assert_eq!((fed.count("offer"), fed.count("error")), (2, 0), "{:#?}", fed.effects);
    fed.command(&unreserve_and_launch("O2", "t2"));
    assert_eq!((fed.count("error"), fed.state()), (1, before));
    assert!(fed.effects.last().is_some_and(|line| line.contains("task t2 cannot be counted")), "{:?}", fed.effects);
    // Once the first task has ended there is room for the second one.
    fed.command(&json!({"task_status": {"framework": "f", "task": "t1", "state": "TASK_FINISHED"}}));
    fed.command(&unreserve_and_launch("O2", "t2"));
    assert_eq!((fed.count("error"), fed.count("launch")), (1, 2), "{:#?}", fed.effects);
}

#[test]
fn a_cluster_holds_as_much_as_can_be_counted_and_no_more() {
    let mut fed = Fed::default();
    let most = u64::MAX / 9_000_000_000_000_000;
    for n in 0..most {
        fed.command(&json!({"add_agent": {"id": format!("a{n}"), "resources": "cpus:9000000000000"}}));
    }
    fed.command(&json!({"add_agent": {"id": "b", "resources": "mem:1"}}));
    assert_eq!((most, fed.count("error")), (2049, 0));
    let before = fed.state();
    fed.command(&json!({"add_agent": {"id": "c", "resources": "cpus:9000000000000"}}));
    fed.command(&json!({"update_agent": {"id": "b", "resources": "cpus:9000000000000"}}));
    let kinds = (0..=most).map(|n| format!("mem(r{n}):9000000000000")).collect::<Vec<_>>().join(";");
    fed.command(&json!({"add_agent": {"id": "c", "resources": kinds}}));
    fed.command(&json!({"update_agent": {"id": "b", "resources": kinds}}));
    assert_eq!((fed.count("error"), fed.state()), (4, before));
    fed.command(&json!({"remove_agent": {"id": "a0"}}));
    fed.command(&json!({"update_agent": {"id": "b", "resources": "cpus:9000000000000"}}));
    assert_eq!(fed.count("error"), 4);
}

#[test]
fn nothing_at_all_is_not_offered() {
    let mut fed = Fed::default();
    fed.command(&json!({"configure": {"min_allocatable": [], "allocation_interval": 0.000_001}}));
    fed.command(&json!({"add_framework": {"id": "", "roles": []}}));
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["*"], "offer_filters": {"*": {"min_allocatable_resources": [{}]}}}}));
    for resources in ["", ";;;", "cpus:0", "ports:[]", "zones:{}", "cpus:0;mem:0"] {
        fed.command(&json!({"add_agent": {"id": resources, "resources": resources, "hostname": "", "attributes": ""}}));
    }
    fed.command(&json!({"set_whitelist": {"hostnames": []}}));
    fed.command(&json!({"set_quota": {"role": "*"}}));
    fed.at(1e12, &json!({"decline": {"framework": "f1", "offers": []}}));
    fed.command(&json!({"accept": {"framework": "f1", "offers": [], "operations": []}}));
    assert_eq!(fed.count("offer"), 0, "{:#?}", fed.effects);
    assert_eq!(fed.malformed, 0, "{:#?}", fed.effects);
}

#[test]
fn commands_that_contradict_each_other_are_refused_one_by_one() {
    let mut fed = a_small_cluster();
    let before = fed.state();
    let offers = fed.effects.len();
    let wrong = [
        json!({"add_agent": {"id": "a1", "resources": "cpus:1"}}),
        json!({"add_agent": {"id": "a2", "resources": "cpus:1;cpus:{a}"}}),
        json!({"add_agent": {"id": "a2", "resources": "ports:[5-1]"}}),
        json!({"add_agent": {"id": "a2", "resources": "cpus(*):x"}}),
        json!({"add_framework": {"id": "f3", "roles": ["a"], "suppressed_roles": ["d"]}}),
        json!({"update_framework": {"id": "f3", "roles": ["a"]}}),
        json!({"set_quota": {"role": "a", "guarantees": {"cpus": 2}, "limits": {"cpus": 1}}}),
        json!({"accept": {"framework": "f1", "offers": ["O1", "O1"], "operations": []}}),
        json!({"accept": {"framework": "f2", "offers": ["O1"], "operations": []}}),
        json!({"decline": {"framework": "f1", "offers": ["O01", "o1", "O-1", "O18446744073709551616"]}}),
        json!({"accept": {"framework": "f1", "offers": ["O1"], "operations": [{"launch": {"tasks": [
            {"id": "t1", "resources": "cpus:4"}, {"id": "t2", "resources": "cpus:0.001"}]}}]}}),
        json!({"accept_inverse_offer": {"framework": "f1", "offers": ["O1"]}}),
        json!({"set_maintenance": {"agent": "a1", "unavailability": {"start": -1}}}),
        json!({"suppress": {"framework": "f1", "roles": ["a", "a/b", "a/b/c"]}}),
    ];
    for command in &wrong {
        fed.command(command);
    }
    assert_eq!(fed.effects.len() - offers, wrong.len(), "{:#?}", fed.effects);
    assert_eq!((fed.count("error"), fed.malformed), (wrong.len(), 0), "{:#?}", fed.effects);
    assert_eq!(fed.state(), before);
}

#[test]
fn a_far_future_comes_at_once() {
    let mut fed = a_small_cluster();
    fed.command(&json!({"decline": {"framework": "f1", "offers": ["O1"], "refuse_seconds": 1e300}}));
    fed.at(1.0, &json!({"decline": {"framework": "f2", "offers": ["O2"], "refuse_seconds": 3e7}}));
    fed.at(2.0, &json!({"decline": {"framework": "f1", "offers": ["O3"], "refuse_seconds": 1e7}}));
    fed.at(1.8e13, &json!({"set_maintenance": {"agent": "a1", "unavailability": {"start": 1.8e13, "duration": 1e12}}}));
    fed.at(1.8e13, &json!({"revive": {"framework": "f1"}}));
    fed.at(1e20, &json!({"advance": {}})); // no moment: no command
    fed.at(2.0, &json!({"advance": {}})); // neither does time go back
    assert_eq!(fed.malformed, 2);
    assert!(fed.effects.len() < 20, "{:#?}", fed.effects);
}

#[test]
fn a_sleep_in_which_too_much_happens_ends_early() {
    let volume = json!([{"name": "disk", "scalar": {"value": 1}, "reservations": [{"type": "STATIC", "role": "a"}],
        "disk": {"persistence": {"id": "v"}, "volume": {"container_path": "v", "mode": "RW"}}, "shared": {}}]);
    let shared = json!({"add_framework": {"id": "f", "roles": ["a"], "capabilities": ["SHARED_RESOURCES"]}});
    for (configure, framework, resources) in [
        (json!({"offer_timeout": 1}), json!({"add_framework": {"id": "f", "roles": ["a"]}}), json!("cpus:1")),
        (json!({"min_allocatable": []}), shared, volume),
    ] {
        let (mut replay, mut last, mut effects) = (Replay::new(), String::new(), 0);
        let mut feed = |line: Value| {
            let count = |effect: &str| {
                effects += 1;
                effect.clone_into(&mut last);
            };
            replay.feed(&line.to_string(), count).expect("a line of the right shape");
        };
        feed(json!({"do": {"configure": configure}}));
        feed(json!({"do": framework}));
        feed(json!({"do": {"add_agent": {"id": "a1", "resources": resources}}}));
        feed(json!({"at": 1e12, "do": {"advance": {}}}));
        assert!(last.contains("error") && last.contains("too much happens"), "{last}");
        assert!((1 << 20..(1 << 20) + 10).contains(&effects), "{effects}");
    }
}

#[test]
fn what_is_said_in_anothers_name_is_refused_in_the_journal_too() {
    let framework = |id: &str, role: &str| Box::new(Framework::new(id).role(role.parse().expect("a role")));
    for call in [Call::UpdateFramework(framework("f2", "b")), Call::Subscribe(framework("f3", "b"))] {
        let mut fed = a_small_cluster();
        let before = fed.state();
        let command = Command::Call("f1".into(), call);
        let mut master = Master::new(Config::default());
        for id in ["f1", "f2"] {
            master.handle(Time::ZERO, Command::AddFramework(*framework(id, "a"))).expect("a new framework");
        }
        assert!(master.handle(Time::ZERO, command.clone()).is_err());
        fed.feed(&journal::record(Time::ZERO, &command));
        assert_eq!(fed.state(), before);
    }
}

#[test]
fn a_late_configure_comes_after_what_was_due() {
    let mut fed = Fed::default();
    fed.command(&json!({"configure": {"offer_timeout": 1}}));
    fed.command(&json!({"add_framework": {"id": "f", "roles": ["a"]}}));
    fed.command(&json!({"add_agent": {"id": "a1", "resources": "cpus:1"}}));
    fed.at(1e12, &json!({"configure": {}}));
    let errors: Vec<usize> =
        (0..fed.effects.len()).filter(|at| fed.effects[*at].contains("too much happens")).collect();
    assert_eq!(errors, [fed.effects.len() - 1]);
    fed.command(&json!({"configure": {}}));
    assert!(fed.effects.last().is_some_and(|last| last.contains("configure") && !last.contains("too much")));
    assert_eq!(fed.effects.len(), errors[0] + 2);
}

#[test]
fn refusals_that_are_repeated_for_ever_do_not_pile_up() {
    let mut fed = Fed::default();
    fed.command(&json!({"configure": {"allocation_interval": 0.001}}));
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a"]}}));
    fed.command(&json!({"add_agent": {"id": "a1", "resources": "cpus:1"}}));
    for n in 1..20_000_u32 {
        let at = f64::from(n) * 0.001;
        fed.at(at, &json!({"decline": {"framework": "f1", "offers": [format!("O{n}")], "refuse_seconds": 0.0005}}));
        fed.at(at, &json!({"revive": {"framework": "f1"}}));
    }
    assert_eq!((fed.count("offer"), fed.count("error")), (20_000, 0));
    assert_eq!(fed.state()["offers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn role_paths_may_be_as_deep_as_they_may_be_long() {
    let mut fed = Fed::default();
    let deep = vec!["r"; 2048].join("/");
    let longest = "x".repeat(4096);
    fed.command(&json!({"add_framework": {"id": "f1", "roles": [deep, longest, "r", "r/r"]}}));
    fed.command(&json!({"add_framework": {"id": "f2", "roles": [format!("{deep}/r")]}}));
    fed.command(&json!({"add_framework": {"id": "f2", "roles": ["x".repeat(4097)]}}));
    fed.command(&json!({"set_weight": {"role": deep, "weight": 3}}));
    fed.command(&json!({"set_quota": {"role": deep, "guarantees": {"cpus": 1}, "limits": {"cpus": 2}}}));
    fed.command(&json!({"set_quota": {"role": longest, "guarantees": {"cpus": 1}}}));
    for n in 0..5 {
        fed.command(
            &json!({"add_agent": {"id": format!("a{n}"), "resources": format!("cpus:4;cpus({deep}):1;mem(r):64")}}),
        );
    }
    fed.at(3.0, &json!({"decline": {"framework": "f1", "offers": ["O1"]}}));
    fed.command(&json!({"remove_framework": {"id": "f1"}}));
    assert!(
        fed.count("offer") >= 5 && fed.count("error") == 2,
        "{:?}",
        fed.effects.iter().map(String::len).collect::<Vec<_>>()
    );
}

#[test]
fn ranges_may_be_as_wide_and_as_many_as_they_like() {
    let mut fed = Fed::default();
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a"], "offer_filters": {"a": {"min_allocatable_resources": [{"ports": 1}]}}}}));
    fed.command(&json!({"add_agent": {"id": "all", "resources": "ports:[0-18446744073709551615];mem:64"}}));
    let every_other: Vec<String> = (0..50_000).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
    fed.command(&json!({"add_agent": {"id": "many", "resources": format!("ports:[{}]", every_other.join(","))}}));
    let launch = |offer: &str, ports: String| {
        let task = json!({"id": offer, "resources": format!("ports:[{ports}]")});
        json!({"accept": {"framework": "f1", "offers": [offer], "operations": [{"launch": {"tasks": [task]}}], "refuse_seconds": 0}})
    };
    fed.command(&launch("O1", "1-1,18446744073709551614-18446744073709551615".into()));
    fed.command(&launch("O2", every_other[..25_000].join(",")));
    fed.at(1.0, &json!({"advance": {}}));
    assert_eq!((fed.count("launch"), fed.count("offer"), fed.count("error")), (2, 4, 0));
    assert!(fed.effects.iter().any(|line| line.contains("ports:[0-0,2-18446744073709551613]")));
    fed.command(&json!({"add_agent": {"id": "too", "resources": "ports:[0-18446744073709551616]"}}));
    assert_eq!(fed.count("error"), 1);
}

#[test]
fn thousands_of_kinds_of_one_resource_stay_apart() {
    let mut fed = Fed::default();
    let disk = |n: usize| {
        json!({"name": "disk", "scalar": {"value": 1},
        "reservations": [{"type": "STATIC", "role": "a"}],
        "disk": {"persistence": {"id": format!("v{n}")}, "volume": {"container_path": "v", "mode": "RW"}}})
    };
    let volumes: Vec<Value> = (0..2000).map(disk).collect();
    fed.command(&json!({"configure": {"min_allocatable": []}}));
    fed.command(&json!({"add_agent": {"id": "a1", "resources": volumes}}));
    fed.command(&json!({"set_quota": {"role": "a", "guarantees": {"disk": 1000}, "limits": {"disk": 1500}}}));
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a"]}}));
    fed.command(
        &json!({"accept": {"framework": "f1", "offers": ["O1"], "operations": [{"destroy": {"volumes": volumes}}]}}),
    );
    assert_eq!((fed.count("offer"), fed.count("operation_failed"), fed.count("error")), (1, 0, 0));
    assert_eq!(fed.state()["agents"][0]["total"], "disk(a):2000");
}

#[test]
fn stacks_of_reservations_may_be_deep() {
    let roles: Vec<String> = (1..300).map(|depth| vec!["r"; depth].join("/")).collect();
    let stack: Vec<Value> = roles.iter().map(|role| json!({"type": "DYNAMIC", "role": role})).collect();
    let cpus = json!([{"name": "cpus", "scalar": {"value": 1}, "reservations": stack}]);
    let mut fed = Fed::default();
    fed.command(&json!({"add_framework": {"id": "f1", "roles": [roles.last()]}}));
    fed.command(&json!({"add_agent": {"id": "a1", "resources": cpus}}));
    fed.command(
        &json!({"accept": {"framework": "f1", "offers": ["O1"], "operations": [{"unreserve": {"resources": cpus}}]}}),
    );
    assert_eq!((fed.count("offer"), fed.count("operation_failed"), fed.count("error")), (1, 0, 0));
}

#[test]
fn patterns_that_grow_are_refused() {
    let mut fed = Fed::default();
    for pattern in
        ["(a{1000}){1000}", "(", "\\p{Nothing}", "((((((((((a{99}){99}){99}){99}){99}){99}){99}){99}){99}){99})"]
    {
        let constraint =
            json!({"selector": {"attribute_name": "rack"}, "predicate": {"text_matches": {"regex": pattern}}});
        let groups = json!({"groups": [{"attribute_constraints": [constraint]}]});
        fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a"], "offer_constraints": {"role_constraints": {"a": groups}}}}));
    }
    assert_eq!((fed.count("error"), fed.malformed), (4, 0), "{:#?}", fed.effects);
    let slow =
        json!({"selector": {"pseudoattribute_type": "HOSTNAME"}, "predicate": {"text_matches": {"regex": "(a*)*b"}}});
    let groups = json!({"groups": [{"attribute_constraints": [slow]}]});
    fed.command(&json!({"add_framework": {"id": "f1", "roles": ["a"], "offer_constraints": {"role_constraints": {"a": groups}}}}));
    fed.command(&json!({"add_agent": {"id": "a1", "resources": "cpus:1", "hostname": "a".repeat(100_000)}}));
    assert_eq!(fed.count("offer"), 0);
}

#[test]
fn crowds_are_served_in_their_time() {
    let mut fed = Fed::default();
    let roles: Vec<String> = (0..2000).map(|n| format!("r{}/s{n}", n % 50)).collect();
    fed.command(&json!({"add_framework": {"id": "many", "roles": roles, "suppressed_roles": roles}}));
    let names: Vec<String> = (0..100_000).map(|n| format!("h{n}")).collect();
    fed.command(&json!({"set_whitelist": {"hostnames": names}}));
    for n in 0..500 {
        fed.command(&json!({"add_agent": {"id": format!("h{n}"), "resources": "cpus:1"}}));
    }
    fed.command(&json!({"revive": {"framework": "many"}}));
    assert_eq!((fed.count("offer"), fed.count("error")), (500, 0));
    let offers: Vec<String> = (1..=500).map(|n| format!("O{n}")).collect();
    fed.command(&json!({"decline": {"framework": "many", "offers": offers}}));
    fed.command(&json!({"reconcile": {"framework": "many", "tasks": names}}));
    fed.command(&json!({"remove_framework": {"id": "many"}}));
    assert_eq!((fed.count("status"), fed.count("error")), (100_000, 0));
}
