//! The program `marathon`: what it launches where, what it says of the rest, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the program, which cargo builds beside the tests, where the crate is.
fn marathon(arguments: &[&str]) -> Output {
    let tests = std::env::current_exe().unwrap();
    let name = format!("marathon{}", std::env::consts::EXE_SUFFIX);
    let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

/// The document that it prints with `--json`.
fn json(arguments: &[&str]) -> Json {
    let output = marathon(&[arguments, &["--json"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One field of all tasks of an app.
fn each<'a>(document: &'a Json, app: &str, field: &str) -> Vec<&'a Json> {
    let tasks = document["tasks"].as_array().unwrap().iter();
    tasks.filter(|task| task["app"] == app).map(|task| task.pointer(field).unwrap()).collect()
}

fn different<'a>(values: &[&'a Json]) -> BTreeSet<&'a str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

/// A file that is there as long as the folder is.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn without_arguments_three_apps_run() {
    let document = json(&[]);
    for app in ["/ubuntu", "/redis", "/nginx"] {
        assert_eq!(each(&document, app, "/state"), ["TASK_RUNNING"; 2], "{app}");
        assert_eq!(each(&document, app, "/cpus"), [0.25; 2], "{app}"); // written as text, and memory for mem
        assert_eq!(each(&document, app, "/mem"), [256; 2], "{app}");
    }
    assert_eq!(different(&each(&document, "/redis", "/hostname")).len(), 2);
    for port in each(&document, "/nginx", "/ports/0") {
        assert!((31_000..=32_000).contains(&port.as_u64().unwrap()), "{port}");
    }
    assert_eq!(document["unplaced"], serde_json::json!([]));
}

#[test]
fn people_see_offers_launches_and_a_table() {
    let output = marathon(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in [
        "offer    O1 of agent-1",
        "launch   nginx.1 on agent-",
        "->80",
        "status   redis.2 TASK_RUNNING",
        "ID ",
        "STATE",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn the_seventh_of_seven_unique_instances_waits() {
    let document = json(&["examples/apps/redis-unique-app.json", "--scale", "/redis=7"]);
    assert_eq!(different(&each(&document, "/redis", "/hostname")).len(), 6);
    let waiting = &document["unplaced"][0];
    assert_eq!((&waiting["app"], &waiting["instances"]), (&"/redis".into(), &1.into()));
    let reasons = waiting["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 6);
    for reason in reasons {
        assert_eq!(reason["kind"], "constraint");
        assert!(reason["detail"].as_str().unwrap().starts_with("hostname UNIQUE: "), "{reason}");
    }
    let output = marathon(&["examples/apps/redis-unique-app.json", "--scale", "redis=7"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("/redis: 1 of 7 could not be placed\n  agent-1: constraint: hostname UNIQUE: "), "{text}");
}

#[test]
fn a_cluster_constraint_keeps_to_its_rack() {
    let document = json(&["examples/apps/redis-bridge-app.json", "--scale", "redis=9"]);
    assert_eq!(each(&document, "/redis", "/attributes/rack"), ["rack-2"; 9]);
}

#[test]
fn the_loss_of_an_agent_is_survived_within_the_constraints() {
    let before = json(&["examples/apps/redis-unique-app.json", "--scale", "redis=5"]);
    let lost = each(&before, "/redis", "/agent")[0].as_str().unwrap().to_owned();
    let after = json(&["examples/apps/redis-unique-app.json", "--scale", "redis=5", "--lose", &lost]);
    let hosts = each(&after, "/redis", "/hostname");
    let hosts = different(&hosts);
    assert!(hosts.len() == 5 && !hosts.contains(lost.as_str()), "{hosts:?}");
    let ids = |document: &Json| {
        different(&each(document, "/redis", "/id")).into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&before).intersection(&ids(&after)).count(), 4); // and the fifth has a new id
    let six = json(&["examples/apps/redis-unique-app.json", "--scale", "redis=6", "--lose", &lost]);
    assert_eq!(six["unplaced"][0]["instances"], 1);
}

#[test]
fn scaling_down_ends_the_newest() {
    let document = json(&["--scale", "redis=4", "--scale", "redis=1", "--scale", "nginx=0"]);
    assert_eq!(each(&document, "/redis", "/id"), ["redis.1"]);
    assert_eq!(each(&document, "/nginx", "/id").len(), 0);
}

#[test]
fn what_fits_nowhere_ends_with_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let app = file(&folder, "big.json", r#"{"id": "big", "cpus": 99, "constraints": [["floor", "IS", "3"]]}"#);
    let document = json(&[&app, "--agents", "1"]);
    let kinds: Vec<_> =
        document["unplaced"][0]["reasons"].as_array().unwrap().iter().map(|reason| &reason["kind"]).collect();
    assert_eq!(kinds, ["attributes", "cpus"]);
    let empty = marathon(&[&app, "--agents", "1", "--lose", "agent-1"]);
    assert!(String::from_utf8(empty.stdout).unwrap().ends_with("no agent has anything left to offer\n"));
}

#[test]
fn a_cluster_of_ones_own_may_have_roles_gpus_and_zones() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = file(
        &folder,
        "cluster.json",
        r#"{"agents": [
            {"id": "a", "hostname": "ha", "resources": "cpus:2;cpus(eng):2;mem:1000;ports:[5-9]", "attributes": {"rack": "r1"}},
            {"id": "b", "resources": "cpus:2;mem:1000;gpus:1;ports:[5-9]", "region": "r", "zone": "z"}]}"#,
    );
    let eng = file(
        &folder,
        "eng.json",
        r#"{"id": "eng", "instances": 3, "role": "eng", "mem": 100, "constraints": [["rack", "LIKE", "r."]]}"#,
    );
    let gpu = file(
        &folder,
        "gpu.json",
        r#"{"id": "gpu", "gpus": 1, "cpus": 0.5, "ports": [], "constraints": [["@zone", "IS", "z"]]}"#,
    );
    let document = json(&["--cluster", &cluster, &eng, &gpu]);
    assert_eq!(each(&document, "/eng", "/hostname"), ["ha"; 3]);
    assert_eq!(each(&document, "/gpu", "/agent"), ["b"]);
}

#[test]
fn wrong_input_ends_before_anything_is_launched() {
    let folder = tempfile::tempdir().unwrap();
    let talk = "{\n  \"container\": { \"type\": \"DOCKER\", \"docker\": { \"image\": \"redis\" } },\n  \"id\": \"redis\"\n  \"instances\": \"2\"\n}\n";
    let comma = file(&folder, "redis-app.json", talk);
    let path = file(&folder, "path.json", r#"{"id": "a", "constraints": [["a", "IS", "b"], ["a", "EQUALS", "b"]]}"#);
    let key =
        file(&folder, "key.json", "{\"agents\": [\n{\"id\": \"a\", \"resources\": \"cpus:1\", \"rack\": \"r1\"}]}");
    let resources = file(&folder, "resources.json", "{\"agents\": [{\"id\": \"a\", \"resources\": \"cpus:many\"}]}");
    let syntax = file(&folder, "syntax.json", "{\"agents\": [\n}");
    let twice = file(
        &folder,
        "twice.json",
        r#"{"agents": [{"id": "a", "resources": "cpus:1"}, {"id": "a", "resources": "cpus:1"}]}"#,
    );
    let nobody = file(&folder, "nobody.json", r#"{"agents": []}"#);
    let redis = ["examples/apps/redis-app.json", "examples/apps/redis-unique-app.json"];
    let cases: &[(&[&str], &[&str])] = &[
        (&[&comma], &["redis-app.json:4:3: found '\"', expected `,` or `}`"]),
        (&["examples/apps/simple-app.json", &comma], &["redis-app.json:4:3: "]),
        (&[&path], &["path.json: constraints[1]: \"EQUALS\" is not an operator"]),
        (&redis, &[redis[0], redis[1], "/redis"]),
        (&["no/such.json"], &["no/such.json: "]),
        (&["--scale", "/nope=2"], &["/nope", "/ubuntu, /redis, /nginx"]),
        (&["--scale", "redis"], &["APP=N"]),
        (&["--scale", "redis=-1"], &["whole number"]),
        (&["--lose", "agent-7"], &["agent-7", "agent-1"]),
        (&["--lose", "agent-2", "--lose", "agent-2"], &["agent-2 is lost already"]),
        (&["--agents", "0"], &["--agents"]),
        (&["--agents", "3", "--cluster", "x.json"], &["--cluster"]),
        (&["--cluster", "no/such.json"], &["no/such.json: "]),
        (&["--cluster", &key], &["key.json:2:", "unknown field `rack`"]),
        (&["--cluster", &resources], &["resources.json:1:", "cpus:many"]),
        (&["--cluster", &syntax], &["syntax.json:2:1: found '}', expected a value"]),
        (&["--cluster", &twice], &["twice.json: agents[1]: ", "\"a\""]),
        (&["--cluster", &nobody], &["nobody.json: agents: ", "at least one"]),
        (&["--what"], &["--what"]),
    ];
    for (arguments, messages) in cases {
        let output = marathon(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        for message in *messages {
            assert!(told.contains(message), "{arguments:?}: {message} is not in: {told}");
        }
    }
}
