//! The API of operators through sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

#[expect(dead_code, reason = "frameworks need more of it")]
mod wire;

use apportion_http::Settings;
use apportion_http::protobuf::MessageType;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use wire::{Answer, Client, start, subscribed};

/// Sends a call, and returns the status and the answer as JSON.
async fn ask(address: SocketAddr, body: Json) -> (u16, Json) {
    let answer = post(address, "application/json", body.to_string().as_bytes()).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

async fn post(address: SocketAddr, content_type: &str, body: &[u8]) -> Answer {
    let mut client = Client::connect(address).await;
    let head = format!(
        "POST /api/v1 HTTP/1.1\r\nHost: m\r\nContent-Type: {content_type}\r\nAccept: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send([head.as_bytes(), body].concat()).await;
    client.answer().await.unwrap()
}

#[tokio::test]
async fn weights_are_set_and_told_in_json_and_protobuf() {
    let (_server, address) = start(Settings::default()).await;
    let infos = json!([{"weight": 2.0, "role": "web"}]);
    let update = json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}});
    assert_eq!(ask(address, update).await, (200, Json::Null));
    let expected = json!({"type": "GET_WEIGHTS", "get_weights": {"weight_infos": infos}});
    assert_eq!(ask(address, json!({"type": "GET_WEIGHTS"})).await, (200, expected.clone()));

    let call = MessageType::MASTER_CALL.from_json(r#"{"type":"GET_WEIGHTS"}"#).unwrap();
    let answer = post(address, "application/x-protobuf", &call).await;
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
