//! The program `marathon` on apps as people write them: what is read, what is refused, what is passed over, and what an app
//! asks for besides a place.

use super::program::{each, file, json, line, log, marathon};
use serde_json::Value as Json;

/// Returns the exit status, and what is told on standard error.
fn told(arguments: &[&str]) -> (Option<i32>, String) {
    let output = marathon(arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn documents_are_read_refused_or_passed_over_as_marathon_does() {
    let folder = tempfile::tempdir().unwrap();
    let app = r#"{"id": "/shop/web", "cmd": "serve", "cpus": 0.1"#;
    // The document, the exit status, and a part of what is told.
    let cases = [
        (format!("{app}}}"), 0, ""),
        (format!("[{app}}}]"), 0, ""),
        (
            format!(
                r#"{{"app": {app}, "version": "2020-01-01T00:00:00.000Z", "tasksRunning": 1, "deployments": []}}}}"#
            ),
            0,
            "",
        ),
        (format!(r#"{{"apps": [{app}, "uris": [], "executor": "", "secrets": {{}}}}]}}"#), 0, ""),
        (format!(r#"{{"id": "/shop", "apps": [{app}}}], "groups": [], "pods": [], "enforceRole": false}}"#), 0, ""),
        (format!(r#"{{"id": "/shop", "apps": [{app}}}], "pods": [{{}}]}}"#), 2, "pods are not supported"),
        (
            r#"{"id": "/pair", "containers": [{"name": "one"}], "scaling": {"kind": "fixed"}}"#.into(),
            2,
            "pods are not supported",
        ),
        (r#"{"id": "/idle", "instances": 3}"#.into(), 2, "expected an app with cmd, args or container"),
        (format!(r#"{app}, "args": []}}"#), 0, ""),
        (format!(r#"{app}, "args": ["x"]}}"#), 2, "args: found [\"x\"], expected nothing beside a cmd"),
        (format!(r#"{app}, "networks": []}}"#), 0, ""),
        (format!(r#"{app}, "ipAddress": {{"discovery": {{"ports": [{{"number": 80}}]}}}}}}"#), 0, ""),
        (format!(r#"{app}, "ports": [8080, 8080], "requirePorts": true}}"#), 2, "ports[1]: found 8080"),
        (format!(r#"{app}, "healthChecks": [{{"protocol": "TCP", "path": "/", "intervalSeconds": 0}}]}}"#), 0, ""),
        (format!(r#"{app}, "healthChecks": [{{"path": "health"}}]}}"#), 0, ""),
        (
            format!(r#"{app}, "upgradeStrategy": {{"minimumHealthCapacity": 1, "x": 2}}}}"#),
            0,
            "/shop/web: upgradeStrategy.x is",
        ),
        (format!(r#"{app}, "dependencies": ["db"]}}"#), 0, "dependencies[0]: found \"db\", expected an app or a group"),
        (
            format!(r#"{{"id": "/shop", "apps": [{app}, "dependencies": ["db"]}}]}}"#),
            2,
            "dependencies[0]: found \"db\"",
        ),
        (
            format!(r#"{app}, "instances": 2, "labels": {{"MARATHON_SINGLE_INSTANCE_APP": "true"}}}}"#),
            2,
            "instances: found 2",
        ),
        (format!(r#"{app}, "unreachableStrategy": "never"}}"#), 2, "unreachableStrategy: found \"never\""),
        (
            format!(r#"{app}, "readinessChecks": [{{"portName": "web"}}]}}"#),
            2,
            "readinessChecks[0].portName: found \"web\"",
        ),
    ];
    for (number, (document, status, part)) in cases.iter().enumerate() {
        let file = file(&folder, &format!("{number}.json"), document);
        let (code, told) = told(&[&file, "--json"]);
        assert_eq!(code, Some(*status), "{document}: {told}");
        assert!(told.contains(part) && (!part.is_empty() || told.is_empty()), "{document}: {told}");
    }
}

#[test]
fn a_warning_comes_once_for_its_key_and_app_and_many_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let checks = r#""healthChecks": [{"wait": 1}, {"wait": 2}], "taskRateLimit": 5"#;
    let app = file(&folder, "app.json", &format!(r#"{{"id": "web", "cmd": "serve", "cpu": 1, {checks}}}"#));
    let (code, warned) = told(&[&app, "--update", &app, "--json"]);
    let unknown = |key| format!("warning: {app}: /web: {key} is passed over: there is no such key");
    let limit =
        format!("warning: {app}: /web: taskRateLimit is passed over: launches are limited by the back-off alone");
    assert_eq!(
        (code, warned.lines().collect::<Vec<_>>()),
        (Some(0), vec![&*unknown("cpu"), &unknown("healthChecks.wait"), &limit])
    );
    let keys: Vec<String> = (0..33).map(|number| format!(r#""x{number}": 1"#)).collect();
    let many = file(&folder, "many.json", &format!(r#"{{"id": "web", "cmd": "serve", {}}}"#, keys.join(", ")));
    let (_, warned) = told(&[&many, "--json"]);
    assert_eq!((warned.lines().count(), warned.lines().last()), (21, Some("warning: and 13 more")));
}

/// Returns the agent of each task of an app, by the number in the order of their launch.
fn agents(log: &[String], task: &str) -> Vec<String> {
    let launches = log.iter().filter(|line| line.contains(&format!("  launch   {task}.")));
    launches.map(|line| line.split_whitespace().nth(4).unwrap().to_owned()).collect()
}

const STORE: &str = r#"{"id": "/store", "cmd": "serve", "instances": 2, "cpus": 0.5, "mem": 64, "container": {"volumes": [
    {"containerPath": "data", "mode": "RW", "persistent": {"size": 100}}]}}"#;

#[test]
fn volumes_stay_with_their_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let store = file(&folder, "store.json", STORE);
    let restarted = log(&[&store, "--restart", "/store"]);
    let agents_of = agents(&restarted, "store");
    assert_eq!(
        (agents_of.len(), &agents_of[2..]),
        (4, &[agents_of[1].clone(), agents_of[0].clone()][..]),
        "{restarted:#?}"
    );
    let mut there = 0_i32;
    for line in &restarted {
        there += i32::from(line.contains("  launch ")) - i32::from(line.contains("TASK_KILLED"));
        assert!(there <= 2, "{restarted:#?}");
    }
    // A volume whose task is gone waits for the next one.
    let scaled = log(&[&store, "--scale", "/store=1", "--scale", "/store=3"]);
    let agents_of = agents(&scaled, "store");
    assert_eq!((agents_of.len(), &agents_of[2]), (4, &agents_of[1]), "{scaled:#?}");
    // Nothing replaces a task on an agent that is lost, whose volume nobody else has.
    let lost = json(&[&store, "--lose", &agents(&restarted, "store")[0]]);
    let states = each(&lost, "/store", "/state").into_iter().cloned().collect::<Vec<Json>>();
    assert_eq!(states, ["TASK_UNREACHABLE", "TASK_RUNNING"]);
}

#[test]
fn tasks_that_cannot_be_reached_are_replaced_when_their_app_says() {
    let folder = tempfile::tempdir().unwrap();
    let with = |strategy: &str| {
        let app = format!(r#"{{"id": "/web", "cmd": "serve", "cpus": 0.5{strategy}}}"#);
        log(&[&file(&folder, "web.json", &app), "--lose", "agent-1"])
    };
    let late = with(r#", "unreachableStrategy": {"inactiveAfterSeconds": 300, "expungeAfterSeconds": 600}"#);
    let lost = line(&late, &[" 60.0s  status   web.1 TASK_LOST"]);
    assert!(lost < line(&late, &["360.0s  launch   web.2"]));
    line(&late, &["660.0s  lost     web.1 is no longer expected"]);
    line(&with(""), &[" 60.0s  launch   web.2"]);
    let never = with(r#", "unreachableStrategy": "disabled""#);
    assert!(
        !never.iter().any(|line| line.contains("web.2")) && never.iter().any(|line| line.contains("TASK_UNREACHABLE"))
    );
}

#[test]
fn an_app_that_is_single_ends_before_the_next_one_starts() {
    let folder = tempfile::tempdir().unwrap();
    let app = r#"{"id": "/one", "cmd": "serve", "labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}}"#;
    let app = file(&folder, "one.json", app);
    let restarted = log(&[&app, "--restart", "/one"]);
    assert!(line(&restarted, &["status   one.1 TASK_KILLED"]) < line(&restarted, &["launch   one.2"]));
    let (code, told) = told(&[&app, "--scale", "/one=2"]);
    assert_eq!((code, told.trim()), (Some(2), "--scale: /one never has two tasks at once, expected 0 or 1"));
}

#[test]
fn what_depends_on_an_app_waits_until_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let group = r#"{"id": "/r", "apps": [{"id": "client", "cmd": "ask", "dependencies": ["api"]},
        {"id": "api", "cmd": "serve", "portDefinitions": [{"name": "api"}], "readinessChecks": [{"portName": "api"}]}]}"#;
    let log = log(&[&file(&folder, "r.json", group)]);
    let (running, ready) =
        (line(&log, &["status   r_api.1 TASK_RUNNING", "ready"]), line(&log, &["launch   r_client.1"]));
    assert!(running < ready, "{log:#?}");
}

#[test]
fn why_tells_the_whole_chain() {
    let redis = ["apps/redis-unique-app.json", "--scale", "redis=8", "--why", "redis"];
    let output = marathon(&redis);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "\n/redis wants 8: 6 are up, 0 are not\n",
        "\n2 wait: one more host\nto be added for all of them: 2 more hosts\n",
        "\nthe offers of 6 agents did not fit:\n  6 of constraint: hostname UNIQUE: hostname agent-1 has redis.1 (agent-1), and the like\n",
        "\nthe master, of role *: ",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let document = json(&redis);
    assert_eq!(document["unplaced"][0]["near_miss"]["text"], "one more host");
    assert_eq!(document["unplaced"][0]["add"], serde_json::json!(["2 more hosts"]));
    assert_eq!(document["why"]["/redis"][1], "2 wait: one more host");
    let (code, told) = told(&["--why", "/nope"]);
    assert_eq!((code, told.trim()), (Some(2), "--why: there is no app /nope, expected one of /ubuntu, /redis, /nginx"));
}

#[test]
fn labels_of_marathon_lb_choose_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let labels = r#"{"HAPROXY_GROUP": "external", "HAPROXY_0_PORT": "18081", "HAPROXY_0_VHOST": "shop.example"}"#;
    let app =
        file(&folder, "web.json", &format!(r#"{{"id": "/web", "cmd": "serve", "ports": [0], "labels": {labels}}}"#));
    let config = folder.path().join("haproxy.cfg");
    let text = |group: &[&str]| {
        let _ = json(&[&[&*app, "--haproxy", config.to_str().unwrap()], group].concat());
        std::fs::read_to_string(&config).unwrap()
    };
    assert!(text(&[]).contains("listen web-18081\n  bind 0.0.0.0:18081\n  mode http\n"));
    assert!(
        text(&["--haproxy-group", "external"]).contains("use_backend web-18081 if { hdr(host) -i shop.example }\n")
    );
    assert!(!text(&["--haproxy-group", "internal"]).contains("18081"));
}
