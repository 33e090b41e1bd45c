//! What operators see of a running master, through sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion_http::Settings;
use apportion_http::protobuf::MessageType;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use wire::{Client, ask, operate, operator_head, start, subscribed};

#[tokio::test]
async fn the_state_is_told_in_json_and_protobuf() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    let offers = framework.stream.event_of("OFFERS").await;
    let offer = &offers["offers"]["offers"][0];
    let task = json!({"name": "n", "task_id": {"value": "t1"}, "agent_id": offer["agent_id"],
        "labels": {"labels": [{"key": "a", "value": "b"}]}, "command": {"value": "true", "user": "nobody"},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.5}, "allocation_info": {"role": "web"}}]});
    let operation = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [operation]}});
    assert_eq!(framework.call(address, accept).await.status, 202);

    let (status, state) = ask(address, json!({"type": "GET_STATE"})).await;
    assert_eq!((status, &state["type"]), (200, &json!("GET_STATE")));
    let state = &state["get_state"];
    let task = &state["get_tasks"]["tasks"][0];
    let found = [&task["name"], &task["state"], &task["user"], &task["labels"]["labels"][0]["value"]];
    assert_eq!(found, ["n", "TASK_STAGING", "nobody", "b"]);
    assert_eq!(state["get_tasks"]["completed_tasks"], json!([]));
    let cpus = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.5}, "role": "*", "allocation_info": {"role": "web"}}]);
    assert_eq!(state["get_agents"]["agents"][0]["allocated_resources"], cpus);
    assert_eq!(state["get_frameworks"]["frameworks"][0]["allocated_resources"], cpus);
    assert_eq!(state["get_agents"]["agents"][0]["pid"], "slave(1)@127.0.0.1:5051");
    for (kind, part) in
        [("AGENTS", "agents"), ("FRAMEWORKS", "frameworks"), ("TASKS", "tasks"), ("EXECUTORS", "executors")]
    {
        let call = MessageType::MASTER_CALL.from_json(&json!({ "type": format!("GET_{kind}") }).to_string()).unwrap();
        let answer = operate(address, "application/x-protobuf", &call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json: Json = serde_json::from_str(&MessageType::MASTER_RESPONSE.to_json(&answer.body).unwrap()).unwrap();
        let (found, expected) = (&json[format!("get_{part}")][part], &state[format!("get_{part}")][part]);
        assert_eq!(found.as_array().map_or(0, Vec::len), expected.as_array().unwrap().len(), "{json}");
        assert!(found[0] == expected[0] || part == "frameworks", "{found} {expected}");
    }
    assert_eq!(
        ask(address, json!({"type": "GET_OPERATIONS"})).await.1,
        json!({"type": "GET_OPERATIONS", "get_operations": {}})
    );
}

async fn get(address: SocketAddr, path: &str) -> (u16, Json) {
    let answer = wire::get(address, path).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

/// Launches a task on an offer that comes now.
async fn launch(address: SocketAddr, framework: &mut wire::Subscribed, id: &str) {
    let offers = framework.stream.event_of("OFFERS").await;
    let offer = &offers["offers"]["offers"][0];
    let resources = json!([
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}, "allocation_info": {"role": "web"}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 64}, "allocation_info": {"role": "web"}}]);
    let task = json!({"name": id, "task_id": {"value": id}, "agent_id": offer["agent_id"], "resources": resources,
        "command": {"value": "sleep 1"}, "labels": {"labels": [{"key": "a", "value": "b"}]}});
    let operation = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [operation],
        "filters": {"refuse_seconds": 0}}});
    assert_eq!(framework.call(address, accept).await.status, 202);
}

/// Has the agent say how a task is.
async fn tell(server: &apportion_http::Server, framework: &str, task: &str, state: apportion::TaskState) {
    let mut status = apportion::TaskStatus::new(task, state);
    status.agent = Some("a1".into());
    status.uuid = Some(apportion::Uuid::from_seed(5, 6));
    status.executor = Some(task.into());
    status.source = Some(apportion::StatusSource::Executor);
    status.details.insert(
        "container_status",
        json!({"container_id": {"value": "c"}, "executor_pid": 5, "network_infos":
        [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]}]}),
    );
    server.command(apportion::Command::TaskStatus(framework.into(), status)).await.unwrap();
}

/// Checks that each key of a recorded value is found, with a value of the same JSON type. Of lists the first element counts, and
/// that of the same name if it has one.
fn check_keys(recorded: &Json, found: &Json, path: &str, missing: &mut Vec<String>) {
    match (recorded, found) {
        (Json::Object(recorded), Json::Object(found)) => {
            for (key, value) in recorded {
                let path = format!("{path}.{key}");
                match found.get(key) {
                    Some(found) => check_keys(value, found, &path, missing),
                    None => missing.push(path),
                }
            }
        }
        (Json::Array(recorded), Json::Array(found)) => {
            let Some(recorded) = recorded.first() else { return };
            let is_named = |found: &&Json| recorded.get("name") == found.get("name");
            if let Some(found) = found.iter().find(is_named).or_else(|| found.first()) {
                check_keys(recorded, found, &format!("{path}[]"), missing);
            }
        }
        (Json::Number(recorded), Json::Number(found)) => assert_eq!(recorded.is_f64(), found.is_f64(), "{path}"),
        _ => assert_eq!(std::mem::discriminant(recorded), std::mem::discriminant(found), "{path}: {found}"),
    }
}

/// Returns the longest recorded answer of that kind: most is in it.
fn recorded(is_asked: impl Fn(&Json) -> bool) -> Json {
    let lines = include_str!("../../../tests/recordings/operator.jsonl").split('\n').filter(|line| !line.is_empty());
    let lines: Vec<Json> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let pairs = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line["dir"] == "call" && line["who"] == "operator" && is_asked(line));
    let answers = pairs.filter_map(|(index, _)| {
        let answered = |line: &&Json| line["who"] == "operator" && line["dir"] == "response";
        lines[index..].iter().find(answered).map(|line| line["body"].clone())
    });
    answers.max_by_key(|body| body.to_string().len()).unwrap()
}

#[tokio::test]
async fn what_mesos_prints_is_there_with_the_same_types() {
    let (server, address) = start(Settings::default().flags(vec![("port".into(), "5050".into())])).await;
    let mut framework = subscribed(address, None, 100.0).await;
    launch(address, &mut framework, "t1").await;
    tell(&server, &framework.id, "t1", apportion::TaskState::Running).await;
    framework.stream.event_of("OFFERS").await;
    let mut missing = Vec::new();
    for kind in ["GET_STATE", "GET_AGENTS", "GET_FRAMEWORKS", "GET_TASKS", "GET_EXECUTORS", "GET_OPERATIONS"] {
        let (status, found) = ask(address, json!({ "type": kind })).await;
        assert_eq!(status, 200);
        check_keys(&recorded(|line| line["body"]["type"] == kind), &found, kind, &mut missing);
    }
    for path in ["/state", "/state-summary", "/slaves", "/frameworks", "/tasks"] {
        let (status, found) = get(address, path).await;
        assert_eq!(status, 200);
        let recorded = recorded(|line| line["path"] == path && line["method"] == "GET");
        check_keys(&recorded, &found, path, &mut missing);
    }
    // Flags are the program's, and what the recorded cluster had besides: a domain, a principal, reservations, sets,
    // checkpoints, an agent that drains, and fields of a framework that ours does not give. `executor_pid` is there in v1.
    let ours = |path: &String| {
        [
            "flags.",
            "domain",
            "ops",
            "slots",
            "checkpoint",
            "drain",
            "level",
            "zone",
            "framework_info.hostname",
            "span",
            "unregistered_time",
        ]
        .iter()
        .all(|known| !path.contains(known))
    };
    missing.retain(ours);
    assert_eq!(missing, Vec::<String>::new());
}

#[tokio::test]
async fn older_endpoints_select_tasks_agents_and_frameworks() {
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    for id in ["t1", "t2", "t3"] {
        launch(address, &mut framework, id).await;
        tell(&server, &framework.id, id, apportion::TaskState::Running).await;
    }
    tell(&server, &framework.id, "t2", apportion::TaskState::Finished).await;
    let ids = |tasks: &Json| -> Vec<String> {
        tasks.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        ("", &["t3", "t2", "t1"][..]),
        ("?order=asc&_=5", &["t1", "t2", "t3"]),
        ("?limit=1&offset=1", &["t2"]),
        ("?limit=-1", &["t3", "t2", "t1"]),
        ("?limit=0", &[]),
        ("?limit=x&offset=-5", &["t3", "t2", "t1"]),
        ("?task_id=t2", &["t2"]),
        ("?framework_id=nobody", &[]),
    ] {
        let (status, found) = get(address, &format!("/master/tasks.json{query}")).await;
        assert_eq!(
            (status, ids(&found["tasks"])),
            (200, expected.iter().map(|id| (*id).to_owned()).collect()),
            "{query}"
        );
    }
    let (_, found) = get(address, "/frameworks").await;
    let found = &found["frameworks"][0];
    assert_eq!(
        (ids(&found["tasks"]), ids(&found["completed_tasks"])),
        (vec!["t1".into(), "t3".into()], vec!["t2".into()])
    );
    assert_eq!(found["tasks"][0]["executor_id"], "");
    assert_eq!((&found["used_resources"]["cpus"], &found.get("pid")), (&json!(1.0), &None));
    assert_eq!(found["completed_tasks"][0]["statuses"].as_array().unwrap().len(), 2);
    let (_, summary) = get(address, "/state-summary").await;
    let counts = |of: &Json| [&of["TASK_RUNNING"], &of["TASK_FINISHED"], &of["TASK_LOST"]].map(Json::as_u64);
    assert_eq!(counts(&summary["slaves"][0]), [Some(2), Some(1), Some(0)]);
    assert_eq!(counts(&summary["frameworks"][0]), [Some(2), Some(1), Some(0)]);
    assert_eq!(
        (&summary["frameworks"][0]["slave_ids"], &summary["slaves"][0]["framework_ids"]),
        (&json!(["a1"]), &json!([framework.id]))
    );
    for (path, list, expected) in [
        ("/slaves?slave_id=a1", "slaves", 1),
        ("/slaves?slave_id=a2", "slaves", 0),
        ("/frameworks?framework_id=x", "frameworks", 0),
    ] {
        let (_, found) = get(address, path).await;
        assert_eq!(found[list].as_array().unwrap().len(), expected, "{path}");
    }
    let (_, state) = get(address, "/state").await;
    assert_eq!(
        (&state["activated_slaves"], &state["leader"], &state["slaves"][0]["port"]),
        (&json!(1.0), &json!("master@127.0.0.1:5050"), &json!(5051))
    );
    assert_eq!(state["slaves"][0]["resources"]["ports"], "[31000-31009]");

    let teardown = json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework.id}}});
    assert_eq!(ask(address, teardown).await.0, 200);
    let (_, state) = get(address, "/state").await;
    assert_eq!(state["frameworks"], json!([]));
    let completed = &state["completed_frameworks"][0];
    assert_eq!(
        (completed["active"].as_bool(), ids(&completed["completed_tasks"])),
        (Some(false), vec!["t1".into(), "t2".into(), "t3".into()])
    );
    assert_eq!(completed["completed_tasks"][0]["state"], "TASK_KILLED");
    assert!(completed["unregistered_time"].as_f64().unwrap() > 1.7e9);
}

#[tokio::test]
async fn an_operator_watches_in_both_encodings() {
    let (server, address) = start(Settings::default()).await;
    let call = json!({"type": "SUBSCRIBE"}).to_string();
    let mut json_stream = Client::connect(address).await;
    json_stream.send(operator_head("application/json", call.len()) + &call).await;
    let answer = json_stream.head().await.unwrap();
    assert_eq!(
        (answer.status, answer.header("content-type"), answer.header("mesos-stream-id")),
        (200, Some("application/json"), None)
    );
    let first = json_stream.event().await.unwrap();
    assert_eq!(
        (&first["type"], &first["subscribed"]["heartbeat_interval_seconds"]),
        (&json!("SUBSCRIBED"), &json!(15.0))
    );
    assert_eq!(first["subscribed"]["get_state"]["get_agents"]["agents"][0]["agent_info"]["hostname"], "a1");
    assert_eq!(json_stream.event().await.unwrap(), json!({"type": "HEARTBEAT"}));
    let mut binary = Client::connect(address).await;
    let bytes = MessageType::MASTER_CALL.from_json(&call).unwrap();
    binary.send([operator_head("application/x-protobuf", bytes.len()).as_bytes(), &bytes].concat()).await;
    binary.head().await.unwrap();
    for _ in 0..2 {
        binary.record().await.unwrap();
    }

    let mut framework = subscribed(address, None, 100.0).await;
    launch(address, &mut framework, "t1").await;
    tell(&server, &framework.id, "t1", apportion::TaskState::Running).await;
    for command in [
        apportion::Command::AddAgent(apportion::Agent::new("a2", "cpus:1;mem:64".parse().unwrap()).into()),
        apportion::Command::RemoveAgent("a2".into()),
        apportion::Command::Call(framework.id.as_str().into(), apportion::Call::Teardown),
    ] {
        server.command(command).await.unwrap();
    }
    let expected = [
        "FRAMEWORK_ADDED",
        "TASK_ADDED",
        "TASK_UPDATED",
        "AGENT_ADDED",
        "AGENT_REMOVED",
        "TASK_UPDATED",
        "FRAMEWORK_REMOVED",
    ];
    let mut missing = Vec::new();
    let mut told = std::collections::BTreeSet::new(); // the second TASK_UPDATED is the master's own
    let lines = include_str!("../../../tests/recordings/operator.jsonl").split('\n').filter(|line| !line.is_empty());
    let recorded: Vec<Json> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for kind in expected {
        let event = json_stream.event().await.unwrap();
        assert_eq!(event["type"], kind);
        let other = MessageType::MASTER_EVENT.to_json(&binary.record().await.unwrap()).unwrap();
        let other: Json = serde_json::from_str(&other).unwrap();
        assert_eq!(other["type"], kind);
        let is_alike = |line: &&Json| line["who"] == "watcher" && line["body"]["type"] == kind;
        if told.insert(kind) {
            check_keys(&recorded.iter().find(is_alike).unwrap()["body"], &event, kind, &mut missing);
        }
    }
    missing.retain(|path| {
        !["domain", "attributes", "checkpoint", "hostname", "unregistered_time"]
            .iter()
            .any(|known| path.contains(known))
    });
    assert_eq!(missing, Vec::<String>::new());
}
