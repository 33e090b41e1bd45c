//! Metrics through sockets: as Mesos names them, and as Prometheus reads them.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion_http::protobuf::MessageType;
use apportion_http::{Leadership, Settings};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wire::{get, operate, start, subscribed};

async fn snapshot(address: SocketAddr) -> Map<String, Json> {
    let answer = get(address, "/metrics/snapshot").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    serde_json::from_slice(&answer.body).unwrap()
}

/// Returns the metrics that were recorded of a Mesos.
fn recorded() -> Map<String, Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/recordings/operator.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    let bodies = lines.split('\n').filter_map(|line| serde_json::from_str::<Json>(line).ok()?.get("body").cloned());
    let mut objects = bodies.filter_map(|body| body.as_object().cloned());
    objects.find(|body| body.contains_key("master/elected")).expect("one was recorded")
}

#[tokio::test]
async fn every_recorded_name_is_there_from_the_first_answer_on() {
    let (server, address) = start(Settings::default()).await;
    let told = snapshot(address).await;
    let recorded = recorded();
    let is_general = |name: &&String| !name.contains("/roles/") && !name.starts_with("master/frameworks/");
    let missing: Vec<&String> = recorded.keys().filter(is_general).filter(|name| !told.contains_key(*name)).collect();
    assert!(missing.is_empty() && recorded.len() > 200, "{missing:?}");
    for name in ["registrar/log/recovered", "overlay/log/ensemble_size"] {
        assert_eq!(told[name], 0.0);
    }
    let raw = get(address, "/metrics/snapshot").await;
    assert!(raw.text().contains(r#""master/slaves_active":1.0,"#), "numbers have a point");
    assert_eq!((&told["master/elected"], &told["master/cpus_total"]), (&json!(1.0), &json!(4.0)));

    server.set_leadership(Leadership::Standby(Some("other:5050".into())));
    let standby = snapshot(address).await;
    assert_eq!(standby["master/elected"], 0.0);
    assert!(told.keys().all(|name| standby.contains_key(name)));
}

#[tokio::test]
async fn metrics_tell_what_happens() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}}]);
    let task = json!({"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a1"}, "resources": resources, "command": {"value": "true"}});
    let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]);
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": operations}});
    assert_eq!(framework.call(address, accept).await.status, 202);
    assert_eq!(framework.call(address, json!({"type": "ACKNOWLEDGE"})).await.status, 400);

    let told = snapshot(address).await;
    for (name, value) in [
        ("master/tasks_staging", 1.0),
        ("master/cpus_used", 1.0),
        ("master/cpus_percent", 0.25),
        ("master/frameworks_active", 1.0),
        ("master/frameworks_inactive", 0.0),
        ("master/messages_launch_tasks", 1.0),
        ("master/operations/total", 0.0),
        ("allocator/mesos/resources/cpus/total", 4.0),
        ("apportion/http/streams", 1.0),
        ("apportion/http/answers/api/v1/scheduler/202", 1.0),
        ("apportion/http/answers/api/v1/scheduler/400", 1.0),
        ("apportion/http/calls/scheduler/accept", 1.0),
        ("apportion/http/calls/scheduler/subscribe", 1.0),
        ("apportion/recording", 0.0),
    ] {
        assert_eq!(told.get(name), Some(&json!(value)), "{name}");
    }
    assert!(
        told["master/uptime_secs"].as_f64().unwrap() > 0.0
            && told["apportion/http/connections"].as_f64().unwrap() >= 2.0
    );
    assert!(told["system/cpus_total"].as_f64().unwrap() >= 1.0);
}

/// Each framework has metrics of its own, with every name that a Mesos was recorded with, until it is removed.
#[tokio::test]
async fn each_framework_is_measured() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    let prefix = format!("master/frameworks/test/{}/", framework.id);
    let of = |told: &Map<String, Json>| -> BTreeMap<String, f64> {
        let own =
            told.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.as_f64()?)));
        own.collect()
    };
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let task = |id: &str, cpus: f64| {
        json!({"name": id, "task_id": {"value": id}, "agent_id": {"value": "a1"},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}}], "command": {"value": "true"}})
    };
    let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task("runs", 1.0), task("too-large", 100.0)]}});
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [launch], "filters": {"refuse_seconds": 0}}});
    assert_eq!(framework.call(address, accept).await.status, 202);
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let decline = json!({"type": "DECLINE", "decline": {"offer_ids": [offer["id"]]}});
    assert_eq!(framework.call(address, decline).await.status, 202);
    assert_eq!(framework.call(address, json!({"type": "SUPPRESS"})).await.status, 202);

    let told = of(&snapshot(address).await);
    for (name, value) in [
        ("calls", 4.0),
        ("calls/subscribe", 1.0),
        ("calls/accept", 1.0),
        ("calls/decline", 1.0),
        ("events/offers", 2.0),
        ("events/update", 1.0),
        ("events/heartbeat", 1.0),
        ("offers/sent", 2.0),
        ("offers/accepted", 1.0),
        ("offers/declined", 1.0),
        ("operations", 1.0),
        ("operations/launch", 1.0),
        ("roles/web/suppressed", 1.0),
        ("subscribed", 1.0),
        ("tasks/active/task_staging", 1.0),
        ("tasks/terminal/task_error", 1.0),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name} of {told:?}");
    }
    let recorded = recorded();
    let names = recorded.keys().filter_map(|name| name.strip_prefix("master/frameworks/")?.splitn(3, '/').nth(2));
    let names: Vec<&str> = names.filter(|name| !name.starts_with("roles/")).collect();
    assert!(names.len() > 50, "{names:?}");
    assert!(names.iter().all(|name| told.contains_key(*name)), "{told:?}");

    framework.stream = wire::Client::connect(address).await; // its own connection ends
    wire::bounded("the end", async { while of(&snapshot(address).await)["subscribed"] > 0.0 {} }).await;
    let calls = of(&snapshot(address).await)["calls"];
    assert!((calls - 4.0).abs() < 0.5, "it is the same framework, with {calls} calls");
    let teardown = json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework.id}}});
    assert_eq!(operate(address, "application/json", teardown.to_string().as_bytes()).await.status, 200);
    assert_eq!(of(&snapshot(address).await), BTreeMap::new());

    let (_server, address) = start(Settings::default().per_framework_metrics(false)).await;
    let _framework = subscribed(address, None, 100.0).await;
    assert!(snapshot(address).await.keys().all(|name| !name.starts_with("master/frameworks/")));
}

#[tokio::test]
async fn an_operator_asks_for_metrics_in_json_and_protobuf() {
    let (_server, address) = start(Settings::default()).await;
    let call = json!({"type": "GET_METRICS", "get_metrics": {"timeout": {"nanoseconds": 5_000_000_000_i64}}});
    let named = |metrics: &Json| -> BTreeMap<String, Json> {
        let metrics = metrics["get_metrics"]["metrics"].as_array().unwrap();
        metrics.iter().map(|metric| (metric["name"].as_str().unwrap().to_owned(), metric["value"].clone())).collect()
    };
    let answer = operate(address, "application/json", call.to_string().as_bytes()).await;
    let in_json = named(&serde_json::from_slice(&answer.body).unwrap());
    let bytes = MessageType::MASTER_CALL.from_json(&call.to_string()).unwrap();
    let answer = operate(address, "application/x-protobuf", &bytes).await;
    let json = MessageType::MASTER_RESPONSE.to_json(&answer.body).unwrap();
    let in_protobuf = named(&serde_json::from_str(&json).unwrap());
    assert_eq!((in_json["master/elected"].clone(), in_protobuf["master/elected"].clone()), (json!(1.0), json!(1.0)));
    assert!(in_json.keys().all(|name| in_protobuf.contains_key(name)));
    assert_eq!(operate(address, "application/json", br#"{"type":"GET_METRICS"}"#).await.status, 400, "no body");
}

#[tokio::test]
async fn a_timeout_is_a_duration() {
    let (_server, address) = start(Settings::default()).await;
    assert_eq!(get(address, "/metrics/snapshot?timeout=5secs").await.status, 200);
    for wrong in ["5", "5parsecs", "-1secs", ""] {
        assert_eq!(get(address, &format!("/metrics/snapshot?timeout={wrong}")).await.status, 400, "{wrong}");
        assert_eq!(get(address, &format!("/metrics?timeout={wrong}")).await.status, 400, "{wrong}");
    }
}

/// Reads the text form of Prometheus: samples by name, of families that have been announced.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut family) = (BTreeMap::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("a type follows the help");
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(help.starts_with(&format!("{name} ")) && matches!(kind, "counter" | "gauge"), "{help} {kind}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert!(!samples.keys().any(|sample: &String| sample.split('{').next() == Some(name)), "{name} twice");
            name.clone_into(&mut family);
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(sample.split('{').next(), Some(family.as_str()), "{line}");
        assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
    }
    samples
}

#[tokio::test]
async fn prometheus_reads_families_with_labels() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;
    let quota = json!({"type": "UPDATE_QUOTA", "update_quota": {"quota_configs": [{"role": "web", "limits": {"cpus": {"value": 8}}}]}});
    assert_eq!(operate(address, "application/json", quota.to_string().as_bytes()).await.status, 200);
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = parsed(answer.text());
    for (sample, value) in [
        ("apportion_leading", 1.0),
        (r#"apportion_agents{is="active"}"#, 1.0),
        (r#"apportion_frameworks{is="connected"}"#, 1.0),
        (r#"apportion_calls_total{type="subscribe"}"#, 1.0),
        ("apportion_offers", 1.0),
        (r#"apportion_tasks{state="running"}"#, 0.0),
        (r#"apportion_tasks_ended_total{state="finished"}"#, 0.0),
        (r#"apportion_resources{resource="cpus",what="total",revocable="no"}"#, 4.0),
        (r#"apportion_role_share{role="web"}"#, 1.0),
        (r#"apportion_role_held{role="web",resource="mem"}"#, 1024.0),
        (r#"apportion_role_quota{role="web",resource="cpus",what="limit"}"#, 8.0),
        ("apportion_http_streams", 1.0),
        (r#"apportion_http_calls_total{api="operator",type="UPDATE_QUOTA"}"#, 1.0),
        (r#"apportion_http_answers_total{endpoint="/api/v1",status="200"}"#, 1.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
    let queued = format!(r#"apportion_framework_bytes_queued{{framework="{}"}}"#, framework.id);
    assert_eq!(samples.get(&queued), Some(&0.0));
}
