//! The scheduler API as a client sees it: byte by byte, through sockets.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test that goes wrong ends"
)]

mod wire;

use apportion_http::protobuf::MessageType;
use apportion_http::{Leadership, Settings};
use serde_json::{Value as Json, json};
use std::time::Duration;
use wire::{Client, start, subscribe, subscribed};

#[tokio::test]
async fn a_stream_has_this_head_and_one_record_in_each_chunk() {
    let (_server, address) = start(Settings::default().heartbeat_interval(Duration::from_millis(100))).await;
    let mut client = Client::connect(address).await;
    client.post("Connection: close\r\nAccept: application/json\r\n", &subscribe(None, 0.0)).await;
    let head = client.head().await.unwrap();
    let date = head.header("date").unwrap().to_owned();
    let id = head.header("mesos-stream-id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    let mut lines: Vec<&str> = head.head.split("\r\n").collect();
    lines[1..].sort_unstable();
    let (date, id) = (format!("Date: {date}"), format!("Mesos-Stream-Id: {id}"));
    let expected = [
        "HTTP/1.1 200 OK",
        "Connection: close",
        "Content-Type: application/json",
        &date,
        &id,
        "Transfer-Encoding: chunked",
    ];
    assert_eq!(lines, expected);

    let subscribed = client.event().await.unwrap();
    assert_eq!(subscribed["subscribed"]["heartbeat_interval_seconds"], 0.1);
    let master = &subscribed["subscribed"]["master_info"];
    assert_eq!(master["ip"], 16_777_343);
    assert_eq!(master["pid"], "master@127.0.0.1:5050");
    assert_eq!(master["address"], json!({"hostname": "localhost", "ip": "127.0.0.1", "port": 5050}));
    assert_eq!(client.event().await.unwrap(), json!({"type": "HEARTBEAT"}), "the second record");
    let offers = client.event_of("OFFERS").await;
    let offer = &offers["offers"]["offers"][0];
    assert_eq!(offer["url"]["address"], json!({"hostname": "a1", "ip": "127.0.0.1", "port": 5051}));
    assert_eq!(offer["allocation_info"]["role"], "web");
    assert_eq!(client.event().await.unwrap(), json!({"type": "HEARTBEAT"}), "the stream stays open");
}

#[tokio::test]
async fn answers_come_in_order_over_one_connection() {
    let (_server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 0.0).await;
    let mut client = Client::connect(address).await;
    let call = |kind: &str| json!({"type": kind, "framework_id": {"value": framework.id}});
    let stream = format!("Mesos-Stream-Id: {}\r\n", framework.stream_id);
    // Four requests before the first answer is read.
    client.post(&stream, &call("REVIVE")).await;
    client.post(&stream, &call("KILL")).await;
    let chunked = call("SUPPRESS").to_string();
    let (first, second) = chunked.split_at(10);
    client
        .send(format!(
            "POST /master/api/v1/scheduler HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n{stream}Content-Type: \
             APPLICATION/json; charset=utf-8\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        ))
        .await;
    client.send("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n\r\n").await; // no body
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = client.answer().await.unwrap();
        if answer.status == 202 {
            assert_eq!(answer.header("content-length"), Some("0"), "{answer:?}");
            assert_eq!(answer.header("content-type"), None);
        } else {
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [202, 400, 202, 400]);
}

#[tokio::test]
async fn requests_that_are_too_large_or_garbage_are_refused_and_others_go_on() {
    let (_server, address) = start(Settings::default().max_request_body(10_000)).await;
    let mut large = Client::connect(address).await;
    large.post_bytes("application/json", "", &[b' '; 15_000]).await;
    assert_eq!(large.answer().await.unwrap().status, 413);

    let mut waiting = Client::connect(address).await;
    waiting
        .send("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 15000\r\n\r\n")
        .await;
    assert_eq!(waiting.answer().await.unwrap().status, 413);

    let mut polite = Client::connect(address).await;
    polite.send("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(polite.head().await.unwrap().status, 100);
    polite.send("{}").await;
    assert_eq!(polite.answer().await.unwrap().status, 400);

    let mut chunked = Client::connect(address).await;
    chunked.send("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    chunked.send(format!("2ee0\r\n{}\r\n0\r\n\r\n", " ".repeat(0x2ee0))).await;
    assert_eq!(chunked.answer().await.unwrap().status, 413);

    let mut long = Client::connect(address).await;
    long.send(format!("GET /version HTTP/1.1\r\nHost: m\r\nX: {}\r\n\r\n", "x".repeat(70_000))).await;
    assert_eq!(long.answer().await.unwrap().status, 431);

    let mut garbage = Client::connect(address).await;
    garbage.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS client\r\n\r\n").await;
    assert_eq!(garbage.answer().await.unwrap().status, 400);

    let mut deep = Client::connect(address).await;
    deep.post_bytes("application/json", "", &[b'['; 5000]).await;
    assert_eq!(deep.answer().await.unwrap().status, 400);
    assert_eq!(subscribed(address, None, 0.0).await.id, "apportion-F1");
}

#[tokio::test]
async fn a_session_in_protobuf_has_the_same_events_as_one_in_json() {
    let mut sessions = Vec::new();
    for is_protobuf in [false, true] {
        let (_server, address) = start(Settings::default()).await;
        let content_type = if is_protobuf { "application/x-protobuf" } else { "application/json" };
        let body = |json: &Json| {
            let json = json.to_string();
            if is_protobuf { MessageType::SCHEDULER_CALL.from_json(&json).unwrap() } else { json.into_bytes() }
        };
        let mut stream = Client::connect(address).await;
        let accept = format!("Accept: {content_type}\r\n");
        stream.post_bytes(content_type, &accept, &body(&subscribe(None, 0.0))).await;
        let head = stream.head().await.unwrap();
        assert_eq!(head.header("content-type"), Some(content_type));
        let mut events: Vec<Json> = Vec::new();
        let mut client = Client::connect(address).await;
        let stream_id = format!("Mesos-Stream-Id: {}\r\n", head.header("mesos-stream-id").unwrap());
        while events.len() < 6 {
            let record = stream.record().await.unwrap();
            let json = if is_protobuf {
                MessageType::SCHEDULER_EVENT.to_json(&record).unwrap()
            } else {
                String::from_utf8(record).unwrap()
            };
            let event: Json = serde_json::from_str(&json).unwrap();
            if event["type"] == "OFFERS" {
                let offer = &event["offers"]["offers"][0];
                let task = |id: &str, cpus: f64| {
                    json!({"name": id, "task_id": {"value": id}, "agent_id": offer["agent_id"], "labels":
                        {"labels": [{"key": "a", "value": "b"}]}, "command": {"value": "sleep 1"}, "resources": [
                        {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
                        {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}}]})
                };
                let tasks = json!([task("fits", 1.0), task("does-not", 100.0)]);
                let calls = [
                    json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 1e6},
                        "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}]}}),
                    json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "fits"}}]}}),
                    json!({"type": "KILL", "kill": {"task_id": {"value": "unknown"}}}),
                ];
                for mut call in calls {
                    call["framework_id"] = json!({"value": "apportion-F1"});
                    client.post_bytes(content_type, &stream_id, &body(&call)).await;
                    let answer = client.answer().await.unwrap();
                    assert_eq!(answer.status, 202, "{answer:?}");
                }
            }
            events.push(event);
        }
        for event in &mut events {
            if let Some(status) = event.pointer_mut("/update/status").and_then(Json::as_object_mut) {
                assert!(status.remove("timestamp").is_some_and(|time| time.is_f64()), "{status:?}");
            }
        }
        sessions.push(events);
    }
    assert_eq!(sessions[0], sessions[1]);
    let states: Vec<&Json> = sessions[0].iter().filter_map(|event| event.pointer("/update/status/state")).collect();
    assert_eq!(states, ["TASK_ERROR", "TASK_STAGING", "TASK_LOST"]);
}

#[tokio::test]
async fn another_instance_takes_over_and_a_lost_connection_may_come_back() {
    let (_server, address) = start(Settings::default()).await;
    let mut first = subscribed(address, Some("mine"), 100.0).await;
    assert_eq!(first.id, "mine");
    let mut second = subscribed(address, Some("mine"), 100.0).await;
    assert_ne!(first.stream_id, second.stream_id);
    let mut last = first.stream.event().await;
    while let Some(event) = first.stream.event().await {
        last = Some(event);
    }
    assert_eq!(last.unwrap()["error"]["message"], "Framework failed over");
    assert_eq!(first.call(address, json!({"type": "REVIVE"})).await.status, 400);
    assert_eq!(second.call(address, json!({"type": "REVIVE"})).await.status, 202);

    second.stream = Client::connect(address).await; // its own connection ends
    while second.call(address, json!({"type": "REVIVE"})).await.status != 403 {
        tokio::task::yield_now().await;
    }
    second = subscribed(address, Some("mine"), 100.0).await;
    second.stream.event_of("OFFERS").await;

    assert_eq!(second.call(address, json!({"type": "TEARDOWN"})).await.status, 202);
    while second.stream.event().await.is_some() {}
    assert_eq!(second.call(address, json!({"type": "REVIVE"})).await.status, 400);
    let mut late = Client::connect(address).await;
    late.post("", &subscribe(Some("mine"), 0.0)).await;
    assert_eq!(late.head().await.unwrap().status, 200);
    assert_eq!(late.event().await.unwrap()["error"]["message"], "Framework has been removed");
    assert_eq!(late.event().await, None);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_and_the_others_go_on() {
    let settings = Settings::default().slow_readers(1 << 20, Duration::from_secs(600));
    let (_server, address) = start(settings).await;
    let slow = subscribed(address, None, 100.0).await;
    // Each answer repeats an id of 100 kB: more than sockets and the queue hold.
    let tasks: Vec<Json> =
        (0..400).map(|n| json!({"task_id": {"value": format!("{n}{}", "x".repeat(100_000))}})).collect();
    assert_eq!(slow.call(address, json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}})).await.status, 202);
    while slow.call(address, json!({"type": "REVIVE"})).await.status != 403 {
        tokio::task::yield_now().await;
    }
    let mut other = subscribed(address, None, 0.0).await;
    other.stream.event_of("OFFERS").await;
    let mut stream = slow.stream;
    while stream.chunk().await.is_some() {} // what was on its way, and then the end
}

#[tokio::test]
async fn a_standby_redirects_and_says_who_it_is() {
    let (server, address) = start(Settings::default()).await;
    let get = async |path: &str| {
        let mut client = Client::connect(address).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: m\r\n\r\n")).await;
        client.answer().await.unwrap()
    };
    assert_eq!(get("/master/redirect").await.header("location"), Some("//localhost:5050/"));
    server.set_leadership(Leadership::Standby(Some("m2:5051".into())));
    let mut client = Client::connect(address).await;
    client.post("", &subscribe(None, 0.0)).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (307, Some("//m2:5051/api/v1/scheduler")));
    assert_eq!(answer.header("content-length"), Some("0"));
    assert_eq!(get("/redirect").await.header("location"), Some("//m2:5051/"));
    assert_eq!(get("/health").await.status, 200);
    assert_eq!(get("/").await.status, 200);
    let version = get("/version.json").await;
    assert_eq!((version.text(), version.header("content-type")), (r#"{"version":"1.11.0"}"#, Some("application/json")));
    assert_eq!(get("/nothing").await.status, 404);
    server.set_leadership(Leadership::Standby(None));
    client.post("", &subscribe(None, 0.0)).await;
    assert_eq!(client.answer().await.unwrap().status, 503);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_and_a_stream_is_not() {
    let settings = Settings::default().idle_timeout(Duration::from_millis(100));
    let (_server, address) = start(settings.heartbeat_interval(Duration::from_millis(20))).await;
    let mut idle = Client::connect(address).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let mut partial = Client::connect(address).await;
    partial.send("POST /api/v1/scheduler HTTP/1.1\r\nHo").await;
    for _ in 0..20 {
        framework.stream.event_of("HEARTBEAT").await;
    }
    assert_eq!(idle.answer().await, None);
    assert!(partial.answer().await.is_none_or(|answer| answer.status == 408));
    framework.stream.event_of("HEARTBEAT").await;
}
