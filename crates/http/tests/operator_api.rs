//! The API of operators through sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion_http::protobuf::MessageType;
use apportion_http::{Settings, Verbosity};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use wire::{ask, operate, start, subscribed};

#[tokio::test]
async fn weights_are_set_and_told_in_json_and_protobuf() {
    let (_server, address) = start(Settings::default()).await;
    let infos = json!([{"weight": 2.0, "role": "web"}]);
    let update = json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}});
    assert_eq!(ask(address, update).await, (200, Json::Null));
    let expected = json!({"type": "GET_WEIGHTS", "get_weights": {"weight_infos": infos}});
    assert_eq!(ask(address, json!({"type": "GET_WEIGHTS"})).await, (200, expected.clone()));

    let call = MessageType::MASTER_CALL.from_json(r#"{"type":"GET_WEIGHTS"}"#).unwrap();
    let answer = operate(address, "application/x-protobuf", &call).await;
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    let json: Json = serde_json::from_str(&MessageType::MASTER_RESPONSE.to_json(&answer.body).unwrap()).unwrap();
    assert_eq!(json, expected);
}

#[tokio::test]
async fn an_operator_ends_a_framework_and_drains_an_agent() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;
    let drain = json!({"type": "DRAIN_AGENT", "drain_agent": {"agent_id": {"value": "a1"}}});
    assert_eq!(ask(address, drain.clone()).await.0, 200);
    framework.stream.event_of("RESCIND").await;
    assert_eq!(ask(address, drain).await.0, 400, "it drains already");

    let teardown = json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework.id}}});
    assert_eq!(ask(address, teardown.clone()).await.0, 200);
    while framework.stream.event().await.is_some() {}
    assert_eq!(ask(address, teardown).await.0, 400);

    let gone = |id: &str| json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": id}}});
    assert_eq!(ask(address, gone("a1")).await.0, 200);
    assert_eq!(ask(address, gone("a1")).await.0, 200, "again");
    assert_eq!(ask(address, gone("nobody")).await.0, 404);
    let (status, master) = ask(address, json!({"type": "GET_MASTER"})).await;
    assert_eq!((status, &master["get_master"]["master_info"]["port"]), (200, &json!(5050)));
    assert!(master["get_master"]["start_time"].as_f64().unwrap() > 1.7e9);
}

#[tokio::test]
async fn quotas_are_set_all_or_none() {
    let (_server, address) = start(Settings::default()).await;
    let update = |configs: Json| json!({"type": "UPDATE_QUOTA", "update_quota": {"quota_configs": configs}});
    let config = |role: &str, cpus: f64| json!({"role": role, "guarantees": {"cpus": {"value": cpus}}});
    assert_eq!(ask(address, update(json!([config("a", 1.0), config("b", 100.0)]))).await.0, 400);
    assert_eq!(ask(address, json!({"type": "GET_QUOTA"})).await.1["get_quota"], json!({"status": {}}));
    assert_eq!(ask(address, update(json!([config("a", 1.0), config("b", 3.0)]))).await, (200, Json::Null));
    let (_, quota) = ask(address, json!({"type": "GET_QUOTA"})).await;
    assert_eq!(quota["get_quota"]["status"]["configs"], json!([config("a", 1.0), config("b", 3.0)]));
}

/// Sends a call, in JSON and as protobuf, and returns the statuses and the answers as JSON, which are equal but for what the
/// first of them has changed.
async fn ask_twice(address: SocketAddr, body: &Json) -> [(u16, Json); 2] {
    let call = MessageType::MASTER_CALL.from_json(&body.to_string()).unwrap();
    let first = ask(address, body.clone()).await;
    let answer = operate(address, "application/x-protobuf", &call).await;
    let is_message = answer.header("content-type") == Some("application/x-protobuf");
    let json = is_message.then(|| MessageType::MASTER_RESPONSE.to_json(&answer.body).unwrap());
    [first, (answer.status, json.map(|json| serde_json::from_str(&json).unwrap()).unwrap_or_default())]
}

fn call(kind: &str, body: Json) -> Json {
    json!({"type": kind, kind.to_lowercase(): body})
}

#[tokio::test]
async fn an_operator_reserves_and_makes_volumes() {
    let (server, address) = start(Settings::default()).await;
    let agent = apportion::Agent::new("a2", "cpus:4;mem:1024;disk:1000".parse().unwrap());
    server.command(apportion::Command::AddAgent(agent.into())).await.unwrap();
    let reservations = json!([{"type": "DYNAMIC", "role": "web", "principal": "ops"}]);
    let disk = |amount: f64| json!({"name": "disk", "type": "SCALAR", "scalar": {"value": amount}, "reservations": reservations});
    let volume = |amount: f64| {
        let mut volume = disk(amount);
        volume["disk"] = json!({"persistence": {"id": "v"}, "volume": {"container_path": "p", "mode": "RW"}});
        volume
    };
    let on = |agent: &str, key: &str, value: Json| json!({"agent_id": {"value": agent}, key: value});
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;

    let reserve = call("RESERVE_RESOURCES", on("a2", "resources", json!([disk(200.0)])));
    assert_eq!(ask(address, reserve).await, (202, Json::Null));
    framework.stream.event_of("RESCIND").await;
    for (kind, body, expected) in [
        ("RESERVE_RESOURCES", on("nobody", "resources", json!([disk(1.0)])), 400),
        ("RESERVE_RESOURCES", on("a2", "resources", json!([])), 400),
        (
            "RESERVE_RESOURCES",
            on("a2", "resources", json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}])),
            400,
        ),
        ("RESERVE_RESOURCES", on("a2", "resources", json!([disk(900.0)])), 409),
        ("CREATE_VOLUMES", on("a2", "volumes", json!([disk(1.0)])), 400),
        ("CREATE_VOLUMES", on("a2", "volumes", json!([volume(300.0)])), 409),
        ("UNRESERVE_RESOURCES", on("a2", "resources", json!([disk(201.0)])), 409),
        ("DESTROY_VOLUMES", on("a2", "volumes", json!([volume(50.0)])), 409),
    ] {
        for (status, _) in ask_twice(address, &call(kind, body.clone())).await {
            assert_eq!(status, expected, "{kind} {body}");
        }
    }
    let create = call("CREATE_VOLUMES", on("a2", "volumes", json!([volume(50.0)])));
    let [first, second] = ask_twice(address, &create).await;
    assert_eq!((first.0, second.0), (202, 400), "there is one of that id");
    let mut grow = on("a2", "volume", volume(50.0));
    grow["addition"] = disk(10.0);
    let [first, second] = ask_twice(address, &call("GROW_VOLUME", grow)).await;
    assert_eq!((first.0, second.0), (202, 409), "it has grown");
    let mut shrink = on("a2", "volume", volume(60.0));
    shrink["subtract"] = json!({"value": 100});
    assert_eq!(ask(address, call("SHRINK_VOLUME", shrink.clone())).await.0, 400, "more than it has");
    shrink["subtract"] = json!({"value": 20});
    let [first, second] = ask_twice(address, &call("SHRINK_VOLUME", shrink)).await;
    assert_eq!((first.0, second.0), (202, 409), "it has shrunk");
    assert_eq!(ask(address, call("DESTROY_VOLUMES", on("a2", "volumes", json!([volume(40.0)])))).await.0, 202);
    assert_eq!(ask(address, call("UNRESERVE_RESOURCES", on("a2", "resources", json!([disk(200.0)])))).await.0, 202);
    let total = server.query(|master| master.agent(&"a2".into()).unwrap().resources.to_string()).await.unwrap();
    assert_eq!(total, "cpus:4;disk:1000;mem:1024");
}

/// The field `source` of RESERVE_RESOURCES: the same amounts, reserved in another way.
#[tokio::test]
async fn a_reservation_is_moved_to_another_role() {
    let (server, address) = start(Settings::default()).await;
    let reserved = |amount: f64, roles: &[&str]| {
        let stack: Vec<Json> =
            roles.iter().map(|role| json!({"type": "DYNAMIC", "role": role, "principal": "ops"})).collect();
        json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": amount}, "reservations": stack}])
    };
    let reserve = |source: Json, resources: Json| {
        call("RESERVE_RESOURCES", json!({"agent_id": {"value": "a1"}, "source": source, "resources": resources}))
    };
    let total = async || {
        let cpus =
            server.query(|master| master.known_agent(&"a1".into()).unwrap().total.filter(|of| of.name() == "cpus"));
        serde_json::to_value(cpus.await.unwrap()).unwrap()
    };
    let plain = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 2}}]);
    assert_eq!(ask(address, reserve(plain.clone(), reserved(2.0, &["web"]))).await.0, 202, "of what is not reserved");
    let at_first = total().await;
    for (source, resources, expected, reason) in [
        (reserved(3.0, &["web"]), reserved(3.0, &["ops"]), 409, "so much is not reserved"),
        (reserved(1.0, &["web"]), reserved(2.0, &["ops"]), 400, "other amounts"),
        (reserved(1.0, &["web"]), reserved(1.0, &["web"]), 400, "nothing to do"),
        (reserved(1.0, &["web"]), plain.clone(), 400, "that is UNRESERVE_RESOURCES of other amounts"),
        (
            json!([reserved(1.0, &["web"])[0], reserved(1.0, &["ops"])[0]]),
            reserved(2.0, &["a"]),
            400,
            "two reservations",
        ),
        (json!("all"), reserved(2.0, &["ops"]), 400, "no list"),
    ] {
        assert_eq!(ask(address, reserve(source, resources)).await.0, expected, "{reason}");
        assert_eq!(total().await, at_first, "{reason}");
    }
    let [first, second] =
        ask_twice(address, &reserve(reserved(2.0, &["web"]), reserved(2.0, &["ops", "ops/db"]))).await;
    assert_eq!((first.0, second.0), (202, 409), "it has moved");
    let (_, roles) = ask(address, json!({"type": "GET_ROLES"})).await;
    let names: Vec<&Json> = roles["get_roles"]["roles"].as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["ops", "ops/db"]);
    assert_eq!(
        ask(address, reserve(reserved(2.0, &["ops", "ops/db"]), reserved(2.0, &["ops", "ops/web"]))).await.0,
        202
    );
    let unreserve = json!({"agent_id": {"value": "a1"}, "resources": reserved(2.0, &["ops", "ops/web"])});
    assert_eq!(ask(address, call("UNRESERVE_RESOURCES", unreserve)).await.0, 202);
    assert!(total().await.to_string().contains("\"ops\""), "it is reserved to ops still: {}", total().await);
}

/// SET_LOGGING_LEVEL: 200 and empty, if the program lets operators do it; 501 if not.
#[tokio::test]
async fn an_operator_sets_the_level_of_the_log() {
    let (_server, address) = start(Settings::default().verbosity(Verbosity::new(|_| {}))).await;
    let set = call("SET_LOGGING_LEVEL", json!({"level": 2, "duration": {"nanoseconds": 3_600_000_000_000_i64}}));
    for answer in ask_twice(address, &set).await {
        assert_eq!(answer, (200, Json::Null));
    }
    for (_, told) in ask_twice(address, &json!({"type": "GET_LOGGING_LEVEL"})).await {
        assert_eq!(told, json!({"type": "GET_LOGGING_LEVEL", "get_logging_level": {"level": 2}}));
    }
    let (_server, address) = start(Settings::default()).await;
    assert_eq!(ask(address, set).await.0, 501);
}

#[tokio::test]
async fn maintenance_goes_as_recorded() {
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;
    for [first, second] in [
        ask_twice(address, &json!({"type": "GET_MAINTENANCE_SCHEDULE"})).await,
        ask_twice(address, &json!({"type": "GET_MAINTENANCE_STATUS"})).await,
    ] {
        assert_eq!(first, second);
        assert_eq!(first.1.as_object().unwrap().len(), 2, "{first:?}");
    }
    let machine = json!({"hostname": "a1", "ip": "127.0.0.1"});
    let window = json!({"machine_ids": [machine], "unavailability": {
        "start": {"nanoseconds": 1_795_368_624_695_889_000_i64}, "duration": {"nanoseconds": 600_000_000_000_i64}}});
    let schedule = json!({"windows": [window]});
    let update = |windows: Json| call("UPDATE_MAINTENANCE_SCHEDULE", json!({"schedule": {"windows": windows}}));
    let [first, second] = ask_twice(address, &update(json!([window]))).await;
    assert_eq!((first, second), ((200, Json::Null), (200, Json::Null)));
    framework.stream.event_of("RESCIND").await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(offer["unavailability"], window["unavailability"], "on the clock of people");
    let inverse = framework.stream.event_of("INVERSE_OFFERS").await["inverse_offers"]["inverse_offers"][0].clone();
    assert_eq!(inverse["unavailability"], window["unavailability"]);
    for (status, told) in ask_twice(address, &json!({"type": "GET_MAINTENANCE_SCHEDULE"})).await {
        assert_eq!((status, &told["get_maintenance_schedule"]["schedule"]), (200, &schedule));
    }

    let decline = json!({"inverse_offer_ids": [inverse["id"]]});
    assert_eq!(framework.call(address, call("DECLINE_INVERSE_OFFERS", decline)).await.status, 202);
    let [first, second] = ask_twice(address, &json!({"type": "GET_MAINTENANCE_STATUS"})).await;
    assert_eq!(first, second);
    let draining = &first.1["get_maintenance_status"]["status"]["draining_machines"][0];
    assert_eq!(draining["id"], machine);
    let status = &draining["statuses"][0];
    assert_eq!((&status["status"], &status["framework_id"]["value"]), (&json!("DECLINE"), &json!(framework.id)));
    assert!(status["timestamp"]["nanoseconds"].as_u64().unwrap() > 1_700_000_000_000_000_000);

    let named = |machines: Json| json!({ "machines": machines });
    for (wrong, reason) in [
        (update(json!([{"machine_ids": [], "unavailability": {"start": {"nanoseconds": 1}}}])), "empty window"),
        (update(json!([window, window])), "machine twice"),
        (call("START_MAINTENANCE", named(json!([{"hostname": "nobody"}]))), "not scheduled"),
        (call("START_MAINTENANCE", named(json!([machine, machine]))), "machine twice"),
        (call("START_MAINTENANCE", named(json!([]))), "no machine"),
        (call("STOP_MAINTENANCE", named(json!([machine]))), "not down"),
    ] {
        for (status, _) in ask_twice(address, &wrong).await {
            assert_eq!(status, 400, "{reason}");
        }
    }
    assert_eq!(ask(address, call("START_MAINTENANCE", named(json!([machine])))).await, (200, Json::Null));
    framework.stream.event_of("RESCIND").await;
    framework.stream.event_of("FAILURE").await;
    assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 0);
    for (status, told) in ask_twice(address, &json!({"type": "GET_MAINTENANCE_STATUS"})).await {
        assert_eq!((status, &told["get_maintenance_status"]["status"]), (200, &json!({"down_machines": [machine]})));
    }
    assert_eq!(ask(address, update(json!([]))).await.0, 400, "a machine that is down stays scheduled");
    let [first, second] = ask_twice(address, &call("STOP_MAINTENANCE", named(json!([machine])))).await;
    assert_eq!((first.0, second.0), (200, 400), "it is up");
    assert_eq!(ask(address, update(json!([]))).await.0, 200);
}

#[tokio::test]
async fn an_agent_that_drains_is_not_activated() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}}]);
    let task = json!({"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a1"}, "resources": resources, "command": {"value": "true"}});
    let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]);
    let accept = call("ACCEPT", json!({"offer_ids": [offer["id"]], "operations": operations}));
    assert_eq!(framework.call(address, accept).await.status, 202);
    let about = |kind: &str, agent: &str| call(kind, json!({"agent_id": {"value": agent}}));
    assert_eq!(ask(address, about("DRAIN_AGENT", "a1")).await.0, 200);
    assert_eq!(ask(address, about("REACTIVATE_AGENT", "a1")).await.0, 400, "its task runs still");
    for kind in ["DRAIN_AGENT", "DEACTIVATE_AGENT", "REACTIVATE_AGENT"] {
        assert_eq!(ask(address, about(kind, "nobody")).await.0, 400, "{kind}");
    }
    let teardown = call("TEARDOWN", json!({"framework_id": {"value": framework.id}}));
    assert_eq!(ask(address, teardown).await.0, 200);
    assert_eq!(ask(address, about("REACTIVATE_AGENT", "a1")).await.0, 200, "it has drained");
}

#[tokio::test]
async fn an_operator_reads_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    std::fs::write(&file, "one\ntwo\n").unwrap();
    let (_server, address) = start(Settings::default().log(&file)).await;
    let path = |path: &str| json!({ "path": path });
    for (status, told) in ask_twice(address, &call("LIST_FILES", path("/master/log"))).await {
        let listed = &told["list_files"]["file_infos"][0];
        assert_eq!((status, &listed["path"], &listed["size"]), (200, &json!("/master/log"), &json!(8)));
        assert!(listed["mtime"]["nanoseconds"].as_u64().unwrap() > 1_700_000_000_000_000_000);
    }
    let mut read = path("/master/log");
    (read["offset"], read["length"]) = (json!(4), json!(3));
    for (status, told) in ask_twice(address, &call("READ_FILE", read)).await {
        assert_eq!((status, &told["read_file"]), (200, &json!({"size": 8, "data": "dHdv"})));
    }
    for (kind, body, expected) in [
        ("LIST_FILES", path("/master"), 404),
        ("READ_FILE", json!({"path": "/etc/passwd", "offset": 0}), 404),
        ("READ_FILE", path("/master/log"), 400),
    ] {
        for (status, _) in ask_twice(address, &call(kind, body.clone())).await {
            assert_eq!(status, expected, "{kind} {body}");
        }
    }
}
