//! Section 1: what holds of every endpoint.

use crate::wire::{Client, start, subscribe, subscribed};
use crate::{call, get, post, request};
use apportion_http::Settings;
use apportion_http::protobuf::MessageType;
use serde_json::json;
use std::io::Read as _;
use std::time::Duration;

const SCHEDULER: &str = "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\n";

/// HTTP/1.1, keep-alive, answers in order.
#[tokio::test]
async fn one_connection_serves_many_requests_and_answers_them_in_order() {
    let (_server, address) = start(Settings::default()).await;
    let mut client = Client::connect(address).await;
    for _ in 0..10 {
        client.send("GET /version HTTP/1.1\r\nHost: m\r\n\r\nGET /nothing HTTP/1.1\r\nHost: m\r\n\r\n").await;
        client.send(format!("{SCHEDULER}Content-Type: text/xml\r\n\r\nGET /health HTTP/1.1\r\nHost: m\r\n\r\n")).await;
    }
    for _ in 0..10 {
        for expected in [200, 404, 415, 200] {
            let answer = client.answer().await.unwrap();
            assert!(answer.head.starts_with("HTTP/1.1 "));
            assert_eq!(answer.status, expected);
        }
    }
    client.send("GET /health HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.answer().await, None, "closed as asked");
}

/// Request bodies: `Content-Length` or chunked; neither is an empty body, so 400 and never 411.
#[tokio::test]
async fn a_body_has_a_length_or_comes_in_chunks_or_is_empty() {
    let (_server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 0.0).await;
    let call = json!({"type": "REVIVE", "framework_id": {"value": framework.id}}).to_string();
    let headers = format!("Content-Type: application/json\r\nMesos-Stream-Id: {}\r\n", framework.stream_id);
    let mut client = Client::connect(address).await;
    client.send(format!("{SCHEDULER}{headers}Transfer-Encoding: chunked\r\n\r\n")).await;
    for byte in call.chars() {
        client.send(format!("1;of=a client\r\n{byte}\r\n")).await;
    }
    client.send("0\r\nA-Trailer: x\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 202);
    client.send(format!("{SCHEDULER}{headers}Content-Length: {}\r\n\r\n{call}", call.len())).await;
    assert_eq!(client.answer().await.unwrap().status, 202);
    client.send(format!("{SCHEDULER}{headers}\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    client.send(format!("{SCHEDULER}{headers}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 400);
}

/// `Expect: 100-continue` is answered, and a body that would be too large is not asked for.
#[tokio::test]
async fn a_client_may_wait_for_leave_to_send_its_body() {
    let (_server, address) = start(Settings::default().max_request_body(1000)).await;
    let headers = "Content-Type: application/json\r\nExpect: 100-continue\r\n";
    let mut polite = Client::connect(address).await;
    polite.send(format!("{SCHEDULER}{headers}Content-Length: 2\r\n\r\n")).await;
    assert_eq!(polite.head().await.unwrap().status, 100);
    polite.send("{}").await;
    assert_eq!(polite.answer().await.unwrap().status, 400);
    let mut large = Client::connect(address).await;
    large.send(format!("{SCHEDULER}{headers}Content-Length: 1001\r\n\r\n")).await;
    assert_eq!(large.answer().await.unwrap().status, 413);
}

/// Request `Content-Type`: missing is 400, another 415; case and parameters do not matter.
#[tokio::test]
async fn the_content_type_of_a_request_is_json_or_protobuf() {
    let (_server, address) = start(Settings::default()).await;
    for target in ["/api/v1/scheduler", "/api/v1"] {
        for (content_type, expected) in [
            ("", 400),
            ("Content-Type: \r\n", 415),
            ("Content-Type: text/plain\r\n", 415),
            ("Content-Type: application/jsonp\r\n", 415),
            ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
            ("content-type: Application/JSON;charset=UTF-8\r\n", 400), // the body lacks its type
            ("Content-Type: application/json\r\n", 400),
        ] {
            assert_eq!(post(address, target, content_type, "{}").await.status, expected, "{target} {content_type}");
        }
        let protobuf = "Content-Type: application/x-protobuf\r\n";
        assert_eq!(post(address, target, protobuf, "\x0a\x7f").await.status, 400, "no protobuf");
    }
}

/// Reply `Content-Type` is exactly one of the two; empty replies have none, and `Content-Length: 0`; error bodies are text.
#[tokio::test]
async fn the_content_type_of_an_answer_is_exact() {
    let (_server, address) = start(Settings::default()).await;
    let health = r#"{"type":"GET_HEALTH"}"#;
    let json = post(address, "/api/v1", "Content-Type: application/json\r\n", health).await;
    assert_eq!((json.status, json.header("content-type")), (200, Some("application/json")));
    let body = MessageType::MASTER_CALL.from_json(health).unwrap();
    let headers = "Content-Type: application/x-protobuf\r\nAccept: application/x-protobuf\r\n";
    let protobuf = post(address, "/api/v1", headers, body).await;
    assert_eq!((protobuf.status, protobuf.header("content-type")), (200, Some("application/x-protobuf")));
    assert_eq!(get(address, "/version").await.header("content-type"), Some("application/json"));

    let framework = subscribed(address, None, 0.0).await;
    for empty in [framework.call(address, json!({"type": "REVIVE"})).await, get(address, "/health").await] {
        assert!(matches!(empty.status, 200 | 202));
        assert_eq!((empty.header("content-type"), empty.header("content-length")), (None, Some("0")), "{empty:?}");
    }
    for error in [get(address, "/nothing").await, call(address, "", &json!({})).await] {
        assert!(error.status >= 400 && !error.body.is_empty());
        assert_eq!(error.header("content-type"), Some("text/plain; charset=utf-8"), "{error:?}");
    }
}

/// `Accept`: missing, `*/*` or both is JSON; only protobuf is protobuf; neither is 406.
#[tokio::test]
async fn the_client_chooses_the_encoding_of_the_answer() {
    let (_server, address) = start(Settings::default()).await;
    for (accept, expected) in [
        ("", Some("application/json")),
        ("Accept: */*\r\n", Some("application/json")),
        ("Accept: application/*\r\n", Some("application/json")),
        ("Accept: application/x-protobuf, application/json\r\n", Some("application/json")),
        ("Accept: application/x-protobuf\r\nAccept: application/json\r\n", Some("application/json")),
        ("accept: APPLICATION/X-PROTOBUF;q=0.9\r\n", Some("application/x-protobuf")),
        ("Accept: text/html\r\n", None),
        ("Accept: application/json;q=0\r\n", None),
    ] {
        let headers = format!("Content-Type: application/json\r\n{accept}");
        let answer = post(address, "/api/v1", &headers, r#"{"type":"GET_HEALTH"}"#).await;
        let stream = call(address, accept, &subscribe(None, 0.0)).await;
        for answer in [answer, stream] {
            assert_eq!(answer.status, if expected.is_some() { 200 } else { 406 }, "{accept}");
            assert_eq!(answer.header("content-type").filter(|_| answer.status == 200), expected, "{accept}");
        }
    }
}

/// `application/recordio` with `Message-Accept`: the stream says so, and its messages are in the encoding asked for.
#[tokio::test]
async fn a_stream_of_records_names_the_encoding_of_its_messages() {
    let (_server, address) = start(Settings::default()).await;
    for (accept, encoding) in [
        ("Accept: application/recordio\r\n", "application/json"),
        ("Accept: application/recordio\r\nMessage-Accept: application/json\r\n", "application/json"),
        ("Accept: application/recordio\r\nmessage-accept: application/x-protobuf\r\n", "application/x-protobuf"),
    ] {
        let watch =
            post(address, "/api/v1", &format!("Content-Type: application/json\r\n{accept}"), r#"{"type":"SUBSCRIBE"}"#)
                .await;
        for answer in [call(address, accept, &subscribe(None, 0.0)).await, watch] {
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/recordio")), "{accept}");
            assert_eq!(answer.header("message-content-type"), Some(encoding), "{accept}");
        }
    }
    let mut framework = Client::connect(address).await;
    framework.post("Accept: application/recordio\r\n", &subscribe(None, 0.0)).await;
    framework.head().await.unwrap();
    assert_eq!(framework.event().await.unwrap()["type"], "SUBSCRIBED");
    let refused = "Accept: application/recordio\r\nMessage-Accept: text/html\r\n";
    assert_eq!(call(address, refused, &subscribe(None, 0.0)).await.status, 406);
    let whole = format!("Content-Type: application/json\r\n{}", "Accept: application/recordio\r\n");
    assert_eq!(post(address, "/api/v1", &whole, r#"{"type":"GET_HEALTH"}"#).await.status, 406, "it is no stream");
}

/// gzip of bodies from 1024 bytes, if accepted, and never of streams.
#[tokio::test]
async fn long_bodies_are_gzipped_for_those_who_take_it() {
    let flags = vec![("a-flag".to_owned(), "x".repeat(200_000))];
    let (_server, address) = start(Settings::default().flags(flags)).await;
    let gzip = "Accept-Encoding: gzip, deflate\r\n";
    let (plain, zipped) = (get(address, "/flags").await, request(address, "GET", "/flags", gzip).await);
    assert_eq!((plain.header("content-encoding"), zipped.header("content-encoding")), (None, Some("gzip")));
    assert_eq!(zipped.header("content-type"), Some("application/json"));
    assert!(zipped.body.len() < plain.body.len() / 10, "{} of {}", zipped.body.len(), plain.body.len());
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(&*zipped.body).read_to_end(&mut unzipped).unwrap();
    assert!(unzipped == plain.body);
    assert_eq!(request(address, "GET", "/version", gzip).await.header("content-encoding"), None, "it is short");
    let stream = call(address, gzip, &subscribe(None, 0.0)).await;
    assert_eq!((stream.status, stream.header("content-encoding")), (200, None));
}

/// Unknown query parameters are ignored. With or without `/master`, `.json`, a slash at the end, percent-encoded: the same. Longer
/// paths go to the longest known one; others are 404.
#[tokio::test]
async fn a_path_may_be_written_in_many_ways() {
    let (_server, address) = start(Settings::default()).await;
    for path in ["version", "version/", "version.json", "version.json/", "version?_=1764", "%76ersion", "version/more"]
    {
        for path in [format!("/{path}"), format!("/master/{path}"), format!("/%6daster%2F{path}")] {
            let answer = get(address, &path).await;
            assert_eq!((answer.status, answer.text()), (200, r#"{"version":"1.11.0"}"#), "{path}");
        }
    }
    for path in ["/api/v1/scheduler", "/master/api/v1/scheduler/", "/api/v1/scheduler/x?y=z", "/api/v1/scheduler.json"]
    {
        let answer = post(address, path, "Content-Type: application/json\r\n", subscribe(None, 0.0).to_string()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("mesos-stream-id").is_some(), "{path}");
    }
    for path in ["/api/v1", "/api/v1/operator", "/master/api/v1/", "/api/v1/anything"] {
        let answer = post(address, path, "Content-Type: application/json\r\n", r#"{"type":"GET_VERSION"}"#).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    for path in ["/nothing", "/api", "/api/v2", "/versions", "/master/master/version", "/slave(1)/api/v1", "/%zz"] {
        assert_eq!(get(address, path).await.status, 404, "{path}");
    }
}

/// A method that an endpoint does not have: 405, which says what it has.
#[tokio::test]
async fn a_method_that_is_not_there_is_named() {
    let (_server, address) = start(Settings::default()).await;
    for (method, target, allowed) in [
        ("GET", "/api/v1/scheduler", "POST"),
        ("GET", "/api/v1", "POST"),
        ("DELETE", "/version", "GET"),
        ("PUT", "/health", "GET"),
    ] {
        let answer = request(address, method, target, "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {target}");
    }
    let mut client = Client::connect(address).await;
    client.send("HEAD /version HTTP/1.1\r\nHost: m\r\n\r\nGET /health HTTP/1.1\r\nHost: m\r\n\r\n").await;
    for _ in 0..2 {
        assert_eq!(client.head().await.unwrap().status, 200, "an answer to HEAD has no body");
    }
}

/// Body above the limit: 413.
#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let (_server, address) = start(Settings::default().max_request_body(1000)).await;
    let json = "Content-Type: application/json\r\n";
    assert_eq!(post(address, "/api/v1", json, format!("{:1000}", r#"{"type":"GET_HEALTH"}"#)).await.status, 200);
    assert_eq!(post(address, "/api/v1", json, format!("{:1001}", r#"{"type":"GET_HEALTH"}"#)).await.status, 413);
    let mut chunked = Client::connect(address).await;
    chunked.send(format!("{SCHEDULER}Transfer-Encoding: chunked\r\n\r\n")).await;
    chunked.send(format!("1f4\r\n{0}\r\n1f5\r\n{0} \r\n0\r\n\r\n", " ".repeat(500))).await;
    assert_eq!(chunked.answer().await.unwrap().status, 413);
}

/// Head above 64 KiB: 431.
#[tokio::test]
async fn a_head_above_64_kib_is_refused() {
    let (_server, address) = start(Settings::default()).await;
    assert_eq!(request(address, "GET", "/version", &format!("X: {}\r\n", "x".repeat(60 << 10))).await.status, 200);
    assert_eq!(request(address, "GET", "/version", &format!("X: {}\r\n", "x".repeat(65 << 10))).await.status, 431);
    let long = request(address, "GET", &format!("/version?{}", "x".repeat(65 << 10)), "").await;
    assert_eq!(long.status, 414, "if it is the target that is too long");
}

/// JSON that is deep, from 128 levels on: 400.
#[tokio::test]
async fn deep_json_is_refused() {
    let (_server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 0.0).await;
    let headers = format!("Content-Type: application/json\r\nMesos-Stream-Id: {}\r\n", framework.stream_id);
    for (levels, expected) in [(126, 202), (127, 400), (100_000, 400)] {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        let id = &framework.id;
        let body = format!(r#"{{"type":"REVIVE","framework_id":{{"value":"{id}"}},"unknown":{open}{close}}}"#);
        let answer = post(address, "/api/v1/scheduler", &headers, body).await;
        assert_eq!(answer.status, expected, "{levels} within the call: {}", answer.text());
    }
}

/// An idle connection is closed after a time, whether it has had a request or not.
#[tokio::test]
async fn an_idle_connection_is_closed_and_a_stream_is_not() {
    let settings = Settings::default().idle_timeout(Duration::from_millis(100));
    let (_server, address) = start(settings.heartbeat_interval(Duration::from_millis(20))).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let (mut idle, mut used) = (Client::connect(address).await, Client::connect(address).await);
    used.send("GET /version HTTP/1.1\r\nHost: m\r\n\r\n").await;
    assert_eq!(used.answer().await.unwrap().status, 200);
    for closed in [&mut idle, &mut used] {
        assert!(closed.answer().await.is_none_or(|answer| answer.status == 408));
    }
    for _ in 0..10 {
        framework.stream.event_of("HEARTBEAT").await;
    }
}
