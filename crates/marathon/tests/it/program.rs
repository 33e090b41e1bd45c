//! The program `marathon` with simulated tasks: its launches, its reasons for the rest, and its errors.

use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the program in the folder of the package.
pub(crate) fn marathon(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_marathon");
    Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

/// Returns the document that it prints with `--json`.
pub(crate) fn json(arguments: &[&str]) -> Json {
    let output = marathon(&[arguments, &["--json"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns one field of all tasks of an app.
pub(crate) fn each<'a>(document: &'a Json, app: &str, field: &str) -> Vec<&'a Json> {
    let tasks = document["tasks"].as_array().unwrap().iter();
    tasks.filter(|task| task["app"] == app).map(|task| task.pointer(field).unwrap()).collect()
}

fn different<'a>(values: &[&'a Json]) -> BTreeSet<&'a str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

/// Writes a file into the folder. Returns its path.
pub(crate) fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
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
    let output = marathon(&["--verbose"]);
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
    let document = json(&["apps/redis-unique-app.json", "--scale", "/redis=7"]);
    assert_eq!(different(&each(&document, "/redis", "/hostname")).len(), 6);
    let waiting = &document["unplaced"][0];
    assert_eq!((&waiting["app"], &waiting["instances"]), (&"/redis".into(), &1.into()));
    let reasons = waiting["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 6);
    for reason in reasons {
        assert_eq!(reason["kind"], "constraint");
        assert!(reason["detail"].as_str().unwrap().starts_with("hostname UNIQUE: "), "{reason}");
    }
    let output = marathon(&["apps/redis-unique-app.json", "--scale", "redis=7"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(
            "/redis: 1 of 7 could not be placed\n  1 waits: one more host\n  agent-1: constraint: hostname UNIQUE: "
        ),
        "{text}"
    );
}

#[test]
fn a_cluster_constraint_keeps_to_its_rack() {
    let document = json(&["apps/redis-bridge-app.json", "--scale", "redis=9"]);
    assert_eq!(each(&document, "/redis", "/attributes/rack"), ["rack-2"; 9]);
}

#[test]
fn the_loss_of_an_agent_is_survived_within_the_constraints() {
    let before = json(&["apps/redis-unique-app.json", "--scale", "redis=5"]);
    let lost = each(&before, "/redis", "/agent")[0].as_str().unwrap().to_owned();
    let after = json(&["apps/redis-unique-app.json", "--scale", "redis=5", "--lose", &lost]);
    let hosts = each(&after, "/redis", "/hostname");
    let hosts = different(&hosts);
    assert!(hosts.len() == 5 && !hosts.contains(lost.as_str()), "{hosts:?}");
    let ids = |document: &Json| {
        different(&each(document, "/redis", "/id")).into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&before).intersection(&ids(&after)).count(), 4); // and the fifth has a new id
    let six = json(&["apps/redis-unique-app.json", "--scale", "redis=6", "--lose", &lost]);
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
    let app = file(
        &folder,
        "big.json",
        r#"{"id": "big", "cmd": "serve", "cpus": 99, "constraints": [["floor", "IS", "3"]]}"#,
    );
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
        r#"{"id": "eng", "cmd": "serve", "instances": 3, "role": "eng", "mem": 100, "constraints": [["rack", "LIKE", "r."]]}"#,
    );
    let gpu = file(
        &folder,
        "gpu.json",
        r#"{"id": "gpu", "cmd": "serve", "gpus": 1, "cpus": 0.5, "ports": [], "constraints": [["@zone", "IS", "z"]]}"#,
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
    let list = file(&folder, "list.json", "[[]]");
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
    let group =
        r#"{"id": "a", "groups": [{"id": "b", "apps": [{"id": "c", "cmd": "serve"}, {"id": "d", "cpus": "many"}]}]}"#;
    let group = file(&folder, "group.json", group);
    let circle = r#"{"id": "a", "apps": [{"id": "b", "cmd": "b", "dependencies": ["c"]}, {"id": "c", "cmd": "c", "dependencies": ["/a/b"]}]}"#;
    let circle = file(&folder, "circle.json", circle);
    let unknown = file(
        &folder,
        "unknown.json",
        r#"{"id": "/lone", "apps": [{"id": "app", "cmd": "x", "dependencies": ["../nope"]}]}"#,
    );
    let health = file(&folder, "health.json", r#"{"id": "a", "cmd": "x", "healthChecks": [{"protocol": "UDP"}]}"#);
    let redis = ["apps/redis-app.json", "apps/redis-unique-app.json"];
    let cases: &[(&[&str], &[&str])] = &[
        (&[&comma], &["redis-app.json:4:3: found '\"', expected `,` or `}`"]),
        (&["apps/simple-app.json", &comma], &["redis-app.json:4:3: "]),
        (&[&path], &["path.json:1:47: constraints[1]: \"EQUALS\" is not an operator"]),
        (&redis, &[redis[0], redis[1], "/redis"]),
        (&["no/such.json"], &["no/such.json: "]),
        (&["--scale", "/nope=2"], &["/nope", "/ubuntu, /redis, /nginx"]),
        (&["--scale", "redis"], &["APP=N"]),
        (&["--scale", "redis=-1"], &["whole number"]),
        (&["--scale", "=3"], &["an id such as"]),
        (&["--scale", "redis=x-1"], &["found \"-1\", expected a number from 0 to 1000"]),
        (
            &[SHOP, "--scale", "/shop=2"],
            &["--scale: found /shop=2, expected one of its apps, or /shop=x2, as it is a group"],
        ),
        (
            &["--scale", "/redis=1000000", "--scale", "/redis=x1.5"],
            &["/redis would have 1500000 instances, expected at most"],
        ),
        (&["--lose", "agent-7"], &["agent-7", "agent-1"]),
        (&["--lose", "agent-2", "--lose", "agent-2"], &["agent-2 is lost already"]),
        (&["--agents", "0"], &["--agents"]),
        (&["--agents", "3", "--cluster", "x.json"], &["--cluster"]),
        (&["--cluster", "no/such.json"], &["no/such.json: "]),
        (&["--cluster", &key], &["key.json:2:", "unknown field `rack`"]),
        (&["--cluster", &resources], &["resources.json:1:", "cpus:many"]),
        (&["--cluster", &syntax], &["syntax.json:2:1: found '}', expected a value"]),
        (&["--cluster", &twice], &["twice.json: agents[1]: ", "\"a\""]),
        (&["--cluster", &list], &["list.json:1:1: found [[]], expected an object"]),
        (&["--cluster", &nobody], &["nobody.json: agents: ", "at least one"]),
        (&["--what"], &["--what"]),
        (&[&group], &["group.json:1:94: groups[0].apps[1].cpus: found \"many\", expected a number"]),
        (&[&circle], &["circle.json: found dependencies in a circle, /a/b needs /a/c needs /a/b: expected an order"]),
        (
            &[&unknown],
            &["unknown.json: apps[0].dependencies[0]: found \"../nope\", expected an app or a group: one of /lone/app"],
        ),
        (&[&health], &["health.json:1:55: healthChecks[0].protocol: found \"UDP\", expected HTTP"]),
        (
            &[&group, &comma, &path, "--update", &health],
            &["group.json:1:94: ", "redis-app.json:4", "path.json:1:47: ", "health.json:1:55: "],
        ),
        (&["--update", "no/such.json"], &["no/such.json: "]),
        (&["--update", &unknown], &["unknown.json: apps[0].dependencies[0]: ", "one of /ubuntu, /redis, /nginx"]),
        (
            &["--stop", "/", "--restart", "/redis"],
            &["--restart: there is no app /redis, expected nothing, as there are none"],
        ),
        (&["--restart", "/nope"], &["--restart: there is no app /nope, expected one of /ubuntu, /redis, /nginx"]),
        (&["--stop", "/nope"], &["--stop: there is no app or group /nope"]),
        (
            &["--stop", "/redis", "--scale", "/redis=2"],
            &["--scale: there is no app /redis, expected one of /ubuntu, /nginx"],
        ),
        (
            &[SHOP, "--stop", "/shop/data"],
            &["--stop: /shop/data is needed by /shop/front/web, expected /shop/front/web to end before"],
        ),
        (&["--sick", "redis"], &["--sick: there is no app of a task redis"]),
        (&["--sick", "redis.1"], &["--sick: /redis has no healthChecks"]),
        (&[SHOP, "--sick", "shop_data_db.3"], &["--sick: shop_data_db.3 does not run then"]),
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

const SHOP: &str = "groups/shop.json";
const SHOP_2: &str = "groups/shop-2.json";

/// Returns the log without the offers.
pub(crate) fn log(arguments: &[&str]) -> Vec<String> {
    let output = marathon(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.contains("  offer  ")).map(str::to_owned).collect()
}

/// Returns the position of the only line with all of these words.
pub(crate) fn line(log: &[String], words: &[&str]) -> usize {
    let has_all = |line: &String| words.iter().all(|word| line.contains(word));
    let found: Vec<usize> = log.iter().enumerate().filter(|(_, line)| has_all(line)).map(|(place, _)| place).collect();
    assert_eq!(found.len(), 1, "{words:?}: {log:#?}");
    found[0]
}

#[test]
fn what_a_group_needs_is_up_before_it_is_started() {
    let log = log(&[SHOP]);
    let first = line(&log, &["deploy   1: step 1 of 2: start /shop/data/db (2), start /shop/data/cache (1)"]);
    let second = line(&log, &["deploy   1: step 2 of 2: start /shop/front/web (4)"]);
    let end = line(&log, &["deploy   1: finished"]);
    for task in ["shop_data_db.1", "shop_data_db.2"] {
        let healthy = line(&log, &["status", task, "TASK_RUNNING healthy"]);
        assert!(first < line(&log, &["launch", task]) && healthy < second, "{task}");
    }
    for task in 1..=4 {
        let task = format!("shop_front_web.{task}");
        assert!(second < line(&log, &["launch", &task]), "{task}");
        assert!(line(&log, &["status", &task, "TASK_RUNNING healthy"]) < end, "{task}");
    }
    let document = json(&[SHOP]);
    assert_eq!(each(&document, "/shop/front/web", "/healthy"), [true; 4]);
    assert_eq!(each(&document, "/shop/data/cache", "/healthy"), [&Json::Null]);
    let deployment = &document["deployments"][0];
    assert_eq!((&deployment["state"], &deployment["currentActions"]), (&"finished".into(), &serde_json::json!([])));
    let step = serde_json::json!({"actions": [{"action": "StartApplication", "app": "/shop/front/web"}]});
    assert_eq!(deployment["steps"][1], step);
}

#[test]
fn an_update_scales_what_is_only_scaled_and_replaces_what_has_changed_within_its_capacity() {
    let document = json(&[SHOP, "--update", SHOP_2]);
    assert_eq!(each(&document, "/shop/data/db", "/id"), ["shop_data_db.1", "shop_data_db.2", "shop_data_db.3"]);
    let new: BTreeSet<String> = (5..=8).map(|number| format!("shop_front_web.{number}")).collect();
    assert!(different(&each(&document, "/shop/front/web", "/id")).into_iter().eq(&new));
    let steps = &document["deployments"][1]["steps"];
    assert_eq!(steps[0]["actions"], serde_json::json!([{"action": "ScaleApplication", "app": "/shop/data/db"}]));
    assert_eq!(steps[1]["actions"], serde_json::json!([{"action": "RestartApplication", "app": "/shop/front/web"}]));

    // 4 instances, minimumHealthCapacity 0.75, maximumOverCapacity 0.25: from the log alone.
    let (mut there, mut up, mut all_were_up) = (BTreeSet::new(), BTreeSet::new(), false);
    for line in log(&[SHOP, "--update", SHOP_2]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "launch", task, ..] if task.starts_with("shop_front_web") => drop(there.insert((*task).to_owned())),
            [_, "kill", task, ..] => drop(up.remove(*task)),
            [_, "status", task, _, "healthy"] if there.contains(*task) => drop(up.insert((*task).to_owned())),
            [_, "status", task, "TASK_KILLED"] => drop(there.remove(*task)),
            _ => {}
        }
        all_were_up |= up.len() == 4;
        assert!(there.len() <= 5 && (!all_were_up || up.len() >= 3), "{line}: {up:?} of {there:?}");
    }
    assert!(all_were_up && up.len() == 4 && up == there);
}

#[test]
fn a_group_is_scaled_as_one() {
    let count = |arguments: &[&str]| {
        let document = json(&[&[SHOP], arguments].concat());
        ["/shop/data/db", "/shop/data/cache", "/shop/front/web"].map(|app| each(&document, app, "/id").len())
    };
    assert_eq!(count(&["--scale", "/shop=x1.5"]), [3, 2, 6]);
    assert_eq!(
        count(&["--scale", "/shop=x2", "--scale", "/shop/data=x0.5", "--scale", "/shop/front/web=1"]),
        [2, 1, 1]
    );
}

#[test]
fn a_restart_replaces_all_tasks_and_what_is_stopped_ends() {
    let document = json(&["--restart", "/redis", "--stop", "nginx", "--scale", "/ubuntu=0"]);
    assert_eq!(each(&document, "/redis", "/id"), ["redis.3", "redis.4"]);
    assert_eq!(different(&each(&document, "/redis", "/hostname")).len(), 2); // old tasks are no obstacle to new ones
    assert_eq!(document["tasks"].as_array().unwrap().len(), 2);
    let kinds: Vec<_> = document["deployments"].as_array().unwrap().iter().skip(1).collect();
    let kinds: Vec<_> = kinds.iter().map(|one| &one["steps"][0]["actions"][0]["action"]).collect();
    assert_eq!(kinds, ["RestartApplication", "StopApplication", "ScaleApplication"]);
    let group = log(&[SHOP, "--stop", "/shop"]);
    let web = line(&group, &["deploy   2: step 1 of 2: stop /shop/front/web"]);
    let data = line(&group, &["deploy   2: step 2 of 2: stop /shop/data/db, stop /shop/data/cache"]);
    assert!(web < line(&group, &["kill", "shop_front_web.1"]) && data < line(&group, &["kill", "shop_data_db.1"]));
    assert!(line(&group, &["status", "shop_front_web.1 TASK_KILLED"]) < data);
    assert_eq!(json(&[SHOP, "--stop", "/shop"])["tasks"], serde_json::json!([]));
}

#[test]
fn a_group_that_is_updated_loses_what_it_no_longer_has() {
    let folder = tempfile::tempdir().unwrap();
    let only =
        file(&folder, "only.json", r#"{"id": "/shop", "apps": [{"id": "mail", "cmd": "serve", "instances": 2}]}"#);
    let document = json(&[SHOP, "apps/redis-app.json", "--update", &only]);
    let apps: BTreeSet<&str> =
        different(&document["tasks"].as_array().unwrap().iter().map(|task| &task["app"]).collect::<Vec<_>>());
    assert_eq!(apps, ["/redis", "/shop/mail"].into());
}

#[test]
fn a_task_that_fails_its_health_checks_is_replaced() {
    let arguments = [SHOP, "--sick", "shop_data_db.1"];
    let log = log(&arguments);
    let sick = line(&log, &["shop_data_db.1 is sick"]);
    let failures = log.iter().filter(|line| line.contains("shop_data_db.1 TASK_RUNNING unhealthy")).count();
    assert_eq!(failures, 3);
    let kill = line(&log, &["kill", "shop_data_db.1"]);
    let again = line(&log, &["status", "shop_data_db.3", "healthy"]);
    assert!(sick < kill && kill < again);
    let document = json(&arguments);
    assert_eq!(each(&document, "/shop/data/db", "/id"), ["shop_data_db.2", "shop_data_db.3"]);
    assert_eq!(each(&document, "/shop/data/db", "/healthy"), [true; 2]);
}

#[test]
fn steps_are_played_in_the_order_in_which_they_stand() {
    let first = json(&["--scale", "redis=1", "--restart", "/redis", "--scale", "redis=3"]);
    assert_eq!(each(&first, "/redis", "/id"), ["redis.3", "redis.4", "redis.5"]);
    let then = json(&["--restart", "/redis", "--scale", "redis=1", "--scale", "redis=3"]);
    assert_eq!(each(&then, "/redis", "/id"), ["redis.3", "redis.5", "redis.6"]);
}

#[test]
fn what_needs_an_app_that_does_not_come_up_waits_until_that_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let shop = |cpus: &str| {
        let db = format!(r#"{{"id": "db", "cmd": "db", "cpus": {cpus}}}"#);
        format!(r#"{{"id": "shop", "apps": [{db}, {{"id": "web", "cmd": "web", "dependencies": ["db"]}}]}}"#)
    };
    let big = file(&folder, "big.json", &shop("99"));
    let document = json(&[&big]);
    assert_eq!(document["tasks"], serde_json::json!([]));
    assert_eq!(
        (&document["unplaced"][0]["app"], document["unplaced"].as_array().unwrap().len()),
        (&"/shop/db".into(), 1)
    );
    let deployment = &document["deployments"][0];
    assert_eq!((&deployment["state"], &deployment["currentStep"]), (&"running".into(), &1.into()));
    let told = log(&[&big]);
    line(&told, &["deployment 1 is not finished: step 1 of 2: start /shop/db (1); it waits for /shop/db"]);
    let small = file(&folder, "small.json", &shop("1"));
    let document = json(&[&big, "--update", &small]);
    assert_eq!(each(&document, "/shop/web", "/id"), ["shop_web.1"]);
    let states: Vec<_> = document["deployments"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["replaced by 2", "finished"]);
}

#[test]
fn a_restart_that_has_to_wait_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let shop = r#"{"id": "shop", "apps": [{"id": "db", "cmd": "db", "cpus": 1}, {"id": "web", "cmd": "web", "dependencies": ["db"]}]}"#;
    let shop = file(&folder, "shop.json", shop);
    // There is no place for so many: the restart waits, and is then done by the deployment after the next.
    let waits = [&shop, "--scale", "/shop/db=99", "--restart", "/shop/web"];
    let document = json(&waits);
    assert_eq!(each(&document, "/shop/web", "/id"), ["shop_web.1"]);
    let document = json(&[&waits[..], &["--scale", "/shop/db=98", "--scale", "/shop/db=1"]].concat());
    assert_eq!(each(&document, "/shop/web", "/id"), ["shop_web.2"]);
    let states: Vec<_> = document["deployments"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["finished", "replaced by 3", "replaced by 4", "replaced by 5", "finished"]);
}

#[test]
fn the_commands_of_the_readme_end_with_all_as_it_is_wanted() {
    let readme = include_str!("../../../../README.md");
    let commands = readme.lines().filter_map(|line| line.strip_prefix("$ cargo run --release -p apportion-marathon"));
    let is_real = |arguments: &&str| ["--exec", "--master"].iter().any(|flag| arguments.contains(flag));
    let simulated: Vec<&str> = commands.filter(|arguments| !is_real(arguments)).collect();
    assert!(simulated.len() >= 3);
    for command in simulated {
        let words = command.split_whitespace().skip(1);
        let arguments: Vec<&str> = words.map(|word| word.strip_prefix("crates/marathon/").unwrap_or(word)).collect();
        let document = json(&arguments);
        let deployments = document["deployments"].as_array().unwrap();
        let is_done = |deployment: &Json| deployment["state"] == "finished";
        assert!(deployments.iter().all(is_done) || arguments.contains(&"/redis=7"), "{document}"); // of six hosts
        for task in document["tasks"].as_array().unwrap() {
            assert_eq!((&task["state"], task["healthy"] == false), (&"TASK_RUNNING".into(), false), "{task}");
        }
        if arguments.contains(&SHOP) {
            let count = |app| each(&document, app, "/id").len();
            assert_eq!([count("/shop/data/db"), count("/shop/data/cache"), count("/shop/front/web")], [3, 1, 4]);
            assert_eq!((deployments.len(), each(&document, "/shop/data/db", "/id")[0]), (2, &"shop_data_db.2".into()));
        }
    }
}

#[test]
fn it_ends_quietly_on_a_closed_pipe_and_with_a_line_on_a_full_device() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_marathon"));
    for arguments in [&[][..], &["--json"], &["--verbose", "--agents", "100"]] {
        apportion_console::testing::check_endings(program, arguments);
    }
}

#[test]
fn strict_says_that_something_could_not_be_placed() {
    let redis = ["apps/redis-unique-app.json", "--scale", "redis=7"];
    assert_eq!(marathon(&redis).status.code(), Some(0));
    for more in ["--verbose", "--json"] {
        let output = marathon(&[&redis[..], &["--strict", more]].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.as_str()), (Some(3), "1 could not be placed\n"));
        assert!(!output.stdout.is_empty());
    }
    assert_eq!(marathon(&["--strict"]).status.code(), Some(0));
}

#[test]
fn eighty_columns_are_enough() {
    let long = [SHOP, "--update", SHOP_2, "--sick", "shop_data_db.1", "--scale", "/shop/data/db=99", "--width", "80"];
    let output = marathon(&long);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let wide = marathon(&long[..long.len() - 2]);
    assert_eq!(words(&text), words(&String::from_utf8(wide.stdout).unwrap())); // no word is broken or left out
    let offers: Vec<&str> = text.lines().filter(|line| line.contains("  offer  ")).collect();
    assert!(offers[0].ends_with("offer    6 offers: 36 cpus, 316476 disk, 137511 mem, 6006 ports"), "{offers:?}");
    let time = |line: &&str| line.starts_with("   ") && line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    for line in text.lines().filter(time).filter(|line| line.contains("launch") || line.contains("status")) {
        let at = line.split_whitespace().next().unwrap();
        assert!(at.ends_with('s') && at.split_once('.').is_some_and(|(_, rest)| rest.len() == 2), "{line}");
    }
}

#[test]
fn documents_have_a_limit_a_mark_and_may_come_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let app = r#"{"id": "a", "cmd": "true"}"#;
    let marked = file(&folder, "marked.json", &format!("\u{feff}{app}"));
    let cluster = file(
        &folder,
        "cluster.json",
        "\u{feff}{\"agents\": [{\"id\": \"a1\", \"resources\": \"cpus:4;mem:1024;ports:[1-9]\"}]}",
    );
    let document = json(&[&marked, "--cluster", &cluster]);
    assert_eq!(each(&document, "/a", "/agent"), ["a1"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_marathon"));
    let piped = command
        .args(["-", "--cluster", &cluster, "--json"])
        .stdin(std::fs::File::open(&marked).unwrap())
        .output()
        .unwrap();
    assert_eq!(serde_json::from_slice::<Json>(&piped.stdout).unwrap()["tasks"], document["tasks"]);

    let bytes = folder.path().join("bytes.json");
    std::fs::write(&bytes, b"{\"id\": \"\xff\"}").unwrap();
    let bytes = bytes.to_str().unwrap();
    let twice = file(&folder, "twice.json", "{\"id\": \"a\", \"env\": {\"A\": \"1\",\n\"A\": \"2\"}}");
    let small = file(&folder, "small.json", r#"{"id": "a", "cpus": 0.0001}"#);
    for (arguments, message) in [
        (vec!["/dev/zero"], "/dev/zero: found more than 16777216 bytes, expected at most these".to_owned()),
        (vec!["--cluster", "/dev/zero"], "/dev/zero: found more than 16777216 bytes".to_owned()),
        (vec![&marked, "--max-bytes", "9"], format!("{marked}: found more than 9 bytes")),
        (vec![bytes], format!("{bytes}:1:9: found bytes that are no UTF-8, expected text")),
        (vec!["--cluster", bytes], format!("{bytes}:1:9: found bytes that are no UTF-8, expected text")),
        (vec![&twice], format!("{twice}:2:1: found the key \"A\" for the second time")),
        (vec![&small], format!("{small}:1:21: cpus: 0.0001 is too small to count")),
        (vec![&marked, "--haproxy", &marked], format!("--haproxy {marked}: found the file of an input too")),
        (vec![&marked, "--haproxy", folder.path().to_str().unwrap()], "--haproxy ".to_owned()),
    ] {
        let output = marathon(&arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?}: {told}");
        assert!(told.starts_with(&message), "{arguments:?}: {told}");
    }
}
