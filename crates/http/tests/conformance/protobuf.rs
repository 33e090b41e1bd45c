//! Section 3: the same in protobuf.

use crate::wire::{Answer, Client, start, subscribe};
use crate::{launch, start_recorded, task};
use apportion::delivery::AgentMessage;
use apportion_http::Settings;
use apportion_http::protobuf::MessageType;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;

const PROTOBUF: &str = "application/x-protobuf";

/// A framework that speaks one of the two encodings.
struct Session {
    content_type: &'static str,
    stream: Client,
    calls: Client,
    headers: String,
    id: String,
}

impl Session {
    async fn start(address: SocketAddr, content_type: &'static str) -> Self {
        let mut stream = Client::connect(address).await;
        let body = body(content_type, &subscribe(None, 0.0));
        stream.post_bytes(content_type, &format!("Accept: {content_type}\r\n"), &body).await;
        let head = stream.head().await.unwrap();
        assert_eq!(head.header("content-type"), Some(content_type));
        let headers = format!("Mesos-Stream-Id: {}\r\n", head.header("mesos-stream-id").unwrap());
        let id = "apportion-F1".to_owned();
        Self { content_type, stream, calls: Client::connect(address).await, headers, id }
    }

    async fn call(&mut self, mut call: Json) -> Answer {
        call["framework_id"] = json!({"value": self.id});
        self.calls.post_bytes(self.content_type, &self.headers, &body(self.content_type, &call)).await;
        self.calls.answer().await.unwrap()
    }

    async fn event(&mut self) -> Json {
        let record = self.stream.record().await.unwrap();
        let json = if self.content_type == PROTOBUF {
            MessageType::SCHEDULER_EVENT.to_json(&record).unwrap()
        } else {
            String::from_utf8(record).unwrap()
        };
        serde_json::from_str(&json).unwrap()
    }
}

fn body(content_type: &str, json: &Json) -> Vec<u8> {
    let json = json.to_string();
    if content_type == PROTOBUF { MessageType::SCHEDULER_CALL.from_json(&json).unwrap() } else { json.into_bytes() }
}

/// One session in JSON and in protobuf gives equal events.
#[tokio::test]
async fn a_session_in_protobuf_has_the_same_events_as_one_in_json() {
    let mut sessions = Vec::new();
    for content_type in ["application/json", PROTOBUF] {
        let (_server, address) = start(Settings::default()).await;
        let mut session = Session::start(address, content_type).await;
        let mut events: Vec<Json> = Vec::new();
        while events.len() < 6 {
            let event = session.event().await;
            if event["type"] == "OFFERS" {
                let offer = &event["offers"]["offers"][0];
                let calls = [
                    launch(offer, &[task("fits", "a1", 1.0), task("does-not", "a1", 100.0)]),
                    json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "fits"}}]}}),
                    json!({"type": "KILL", "kill": {"task_id": {"value": "unknown"}}}),
                ];
                for call in calls {
                    let answer = session.call(call).await;
                    assert_eq!((answer.status, answer.header("content-type")), (202, None), "{answer:?}");
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

/// What the library keeps in `details` survives: an agent gets the same task from either encoding.
#[tokio::test]
async fn nothing_of_a_task_is_lost() {
    let mut launched = Vec::new();
    for content_type in ["application/json", PROTOBUF] {
        let (_server, address, agents) = start_recorded(Settings::default()).await;
        let mut session = Session::start(address, content_type).await;
        let offer = loop {
            let event = session.event().await;
            if event["type"] == "OFFERS" {
                break event["offers"]["offers"][0].clone();
            }
        };
        let mut rich = task("rich", "a1", 1.0);
        rich["command"] = json!({"value": "run", "shell": false, "arguments": ["run", "-x"], "user": "nobody",
            "uris": [{"value": "http://x/y.tgz", "extract": true}],
            "environment": {"variables": [{"name": "A", "type": "VALUE", "value": "b"}]}});
        rich["container"] = json!({"type": "DOCKER", "docker": {"image": "nginx:1", "network": "BRIDGE",
            "port_mappings": [{"host_port": 31000, "container_port": 80, "protocol": "tcp"}],
            "parameters": [{"key": "init", "value": "true"}]}});
        rich["labels"] = json!({"labels": [{"key": "a", "value": "b"}]});
        rich["discovery"] =
            json!({"visibility": "CLUSTER", "name": "web", "ports": {"ports": [{"number": 80, "name": "http"}]}});
        rich["health_check"] = json!({"type": "HTTP", "http": {"port": 80, "path": "/"}, "interval_seconds": 1.5});
        rich["kill_policy"] = json!({"grace_period": {"nanoseconds": 5_000_000_000_i64}});
        rich["data"] = json!("AAEC");
        assert_eq!(session.call(launch(&offer, &[rich])).await.status, 202);
        let task = agents
            .wait("a launch", |message| match message {
                AgentMessage::Launch { task, .. } => Some(task.clone()),
                _ => None,
            })
            .await;
        for name in ["command", "container", "labels", "discovery", "health_check", "kill_policy", "data"] {
            assert!(task.details.get(name).is_some(), "{name} of {content_type}");
        }
        launched.push(task);
    }
    assert_eq!(launched[0], launched[1]);
}

/// Unknown fields and values of enums never fail a message; what is no protobuf, or lacks something, is 400.
#[tokio::test]
async fn messages_of_a_newer_mesos_are_read() {
    let (_server, address) = start(Settings::default()).await;
    let mut session = Session::start(address, PROTOBUF).await;
    let mut newer = body(PROTOBUF, &json!({"type": "REVIVE", "framework_id": {"value": session.id}}));
    newer.extend(b"\xa2\x06\x03new\xa8\x06\x05"); // fields 100, a text, and 101, a number
    let mut unknown_type = body(PROTOBUF, &json!({"framework_id": {"value": session.id}}));
    unknown_type.extend(b"\x10\x7f"); // field 2, the type: 127
    for (message, expected) in
        [(newer.as_slice(), 202), (&unknown_type, 400), (b"\x0a\x7f", 400), (b"", 400), (b"{}", 400)]
    {
        session.calls.post_bytes(PROTOBUF, &session.headers, message).await;
        let answer = session.calls.answer().await.unwrap();
        assert_eq!(answer.status, expected, "{message:?}: {}", answer.text());
    }
}
