//! Endpoints of our own, and the page, through sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion::{Agent, Command, Framework};
use apportion_http::{Authentication, Leadership, Realm, Settings};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use wire::{Answer, Client, start, subscribed};

async fn ask(address: SocketAddr, head: &str, body: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(format!("{head}\r\nHost: m\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    client.answer().await.unwrap()
}

async fn get(address: SocketAddr, path: &str) -> (u16, Json) {
    let answer = ask(address, &format!("GET {path} HTTP/1.1"), "").await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

async fn what_if(address: SocketAddr, headers: &str, body: &str) -> Answer {
    ask(address, &format!("POST /apportion/what-if HTTP/1.1{headers}"), body).await
}

const JSON: &str = "\r\nContent-Type: application/json";

#[tokio::test]
async fn the_lists_tell_who_holds_what() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;
    let id = &framework.id;
    let (status, agents) = get(address, "/apportion/agents").await;
    assert_eq!((status, &agents["total"], &agents["items"][0]["id"]), (200, &json!(1), &json!("a1")));
    assert_eq!(agents["items"][0]["held"][0]["framework"], json!(id));
    assert_eq!(get(address, &format!("/master/apportion/offers.json?framework={id}")).await.1["total"], 1);
    assert_eq!(get(address, "/apportion/offers?framework=nobody").await.1["total"], 0);
    assert_eq!(get(address, "/apportion/frameworks?search=TEST").await.1["items"][0]["name"], "test");
    assert_eq!(get(address, "/apportion/roles").await.1["items"][0]["role"], "web");
    assert_eq!(get(address, "/apportion/tasks?limit=1000&_=1").await.1["items"], json!([]));
    assert_eq!(get(address, "/apportion/tasks?limit=1001").await.0, 400);
    let (_, summary) = get(address, "/apportion/summary").await;
    assert_eq!((&summary["offers"], &summary["total"]["mem"]), (&json!(1), &json!(1024)));
    assert_eq!(summary["master"]["port"], 5050);
    assert_eq!(ask(address, "POST /apportion/agents HTTP/1.1", "").await.header("allow"), Some("GET"));
    assert_eq!(get(address, "/apportion").await.0, 404);
}

#[tokio::test]
async fn a_framework_hears_why_it_is_not_offered_more() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;
    let id = &framework.id;
    let (status, answer) = get(address, &format!("/apportion/explain?framework={id}&agent=a1")).await;
    let reason = &answer["explanations"][0]["reasons"][0];
    assert_eq!((status, &reason["kind"]), (200, &json!("nothing_available")), "{answer}");
    assert!(reason["text"].as_str().unwrap().starts_with("nothing is available: cpus:4"), "{reason}");
    assert_eq!(reason["holders"][0]["framework"], json!(id));
    assert_eq!(get(address, &format!("/apportion/explain?framework={id}")).await.1["explanations"][0]["role"], "web");
    for (query, expected) in [
        ("", 400),
        ("?framework=", 400),
        ("?framework=nobody", 404),
        (&format!("?framework={id}&agent=nobody"), 404),
        (&format!("?framework={id}&role=other"), 400),
        (&format!("?framework={id}&role=a%20b"), 400),
    ] {
        assert_eq!(get(address, &format!("/apportion/explain{query}")).await.0, expected, "{query}");
    }
}

#[tokio::test]
async fn a_change_is_tried_and_nothing_changes() {
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    framework.stream.event_of("OFFERS").await;
    let before = server.query(|master| master.state()).await.unwrap();
    let agent = json!({"changes": [{"add_agent": {"id": "more", "resources": "cpus:8;mem:64"}}]}).to_string();
    let answer = what_if(address, &format!("{JSON}\r\nOrigin: http://m"), &agent).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer: Json = serde_json::from_slice(&answer.body).unwrap();
    let line = &answer["frameworks"][0];
    assert_eq!((&line["without"]["amounts"]["cpus"], &line["with"]["amounts"]["cpus"]), (&json!(4), &json!(12)));
    assert_eq!(server.query(|master| master.state()).await.unwrap(), before);

    for (headers, body, expected) in [
        (format!("{JSON}\r\nOrigin: http://evil.example"), agent.as_str(), 403),
        (String::new(), &agent, 400),
        ("\r\nContent-Type: text/plain".to_owned(), &agent, 415),
        ("\r\nContent-Type: application/x-protobuf".to_owned(), &agent, 415),
        (JSON.to_owned(), "{", 400),
        (JSON.to_owned(), r#"{"changes":[{"add_agent":{"id":"a1","resources":"cpus:1"}}]}"#, 400),
        (JSON.to_owned(), r#"{"changes":[{"fly":{}}]}"#, 400),
        (JSON.to_owned(), r#"{"changes":[],"framework":"nobody"}"#, 404),
        (JSON.to_owned(), &" ".repeat(65_537), 413),
    ] {
        let answer = what_if(address, &headers, body).await;
        assert_eq!(answer.status, expected, "{headers} {body}: {}", answer.text());
    }
    assert_eq!(ask(address, "GET /apportion/what-if HTTP/1.1", "").await.status, 405);
}

/// Opens a stream of events, and returns it after its first chunk.
async fn events(address: SocketAddr, headers: &str) -> (Client, String) {
    let mut client = Client::connect(address).await;
    client.send(format!("GET /apportion/events HTTP/1.1\r\nHost: m\r\n{headers}\r\n")).await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
    let first = String::from_utf8(client.chunk().await.unwrap()).unwrap();
    (client, first)
}

/// Reads chunks up to one that contains a text.
async fn chunk_with(client: &mut Client, part: &str) -> String {
    let found = timeout(Duration::from_secs(30), async {
        loop {
            let chunk = String::from_utf8(client.chunk().await.expect("the stream goes on")).unwrap();
            if chunk.contains(part) {
                return chunk;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{part} comes"))
}

#[tokio::test]
async fn events_are_told_as_they_happen() {
    let settings = Settings::default().id("m", 1).heartbeat_interval(Duration::from_millis(50));
    let (server, address) = start(settings).await;
    let (mut reader, first) = events(address, "").await;
    assert!(first.starts_with("retry: 2000\n: ") && !first.contains("reset"), "{first}");
    chunk_with(&mut reader, ": heartbeat\n\n").await;
    let framework = subscribed(address, None, 100.0).await;
    let chunk = chunk_with(&mut reader, "\"offer\"").await;
    let event = chunk.split("\n\n").find(|event| event.contains("\"offer\"")).unwrap();
    let (id, data) = event.split_once("\ndata: ").unwrap();
    let event: Json = serde_json::from_str(data).unwrap();
    assert_eq!(event["emit"]["offer"]["framework"], json!(framework.id));

    // Who comes again and has missed nothing goes on; else it looks at everything again.
    let last = format!("Last-Event-ID: {}\r\n", id.strip_prefix("id: ").unwrap());
    assert!(!events(address, &last).await.1.contains("reset"));
    assert!(events(address, "Last-Event-ID: another/7\r\n").await.1.ends_with("event: reset\ndata: {}\n\n"));

    let refused = ask(address, "POST /apportion/events HTTP/1.1", "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET")));
    server.set_leadership(Leadership::Standby(None));
    assert_eq!(ask(address, "GET /apportion/events HTTP/1.1", "").await.status, 503);
}

#[tokio::test]
async fn the_readers_of_events_are_bounded() {
    let (_server, address) = start(Settings::default()).await;
    let mut readers = Vec::new();
    for _ in 0..256 {
        readers.push(events(address, "").await.0);
    }
    assert_eq!(ask(address, "GET /apportion/events HTTP/1.1", "").await.status, 503);
    // One that goes makes room for another one.
    readers.pop();
    let again = async {
        while ask(address, "GET /apportion/summary HTTP/1.1", "").await.status != 200
            || head_of_events(address).await != 200
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), again).await.expect("there is room again");
}

async fn head_of_events(address: SocketAddr) -> u16 {
    let mut client = Client::connect(address).await;
    client.send("GET /apportion/events HTTP/1.1\r\nHost: m\r\n\r\n").await;
    client.head().await.unwrap().status
}

#[tokio::test]
async fn a_reader_that_is_too_slow_loses_its_place_and_holds_nobody_up() {
    let (server, address) = start(Settings::default()).await;
    let (mut reader, _) = events(address, "").await;
    let framework = Framework::new("f").role("web".parse().unwrap());
    // Each round is an offer and its end, with attributes that fill the buffers of the sockets.
    server.command(Command::AddFramework(framework)).await.unwrap();
    for round in 0..4000 {
        let agent =
            Agent::new("big", "cpus:1;mem:64".parse().unwrap()).attribute("filling", "x".repeat(20_000).as_str());
        server.command(Command::AddAgent(agent.into())).await.unwrap();
        server.command(Command::RemoveAgent("big".into())).await.unwrap_or_else(|error| panic!("{round}: {error}"));
    }
    chunk_with(&mut reader, "event: reset").await;
}

#[tokio::test]
async fn the_page_is_served_whole_and_once() {
    let (server, address) = start(Settings::default()).await;
    let page = ask(address, "GET / HTTP/1.1", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    assert_eq!(ask(address, "GET /master HTTP/1.1", "").await.body, page.body);
    for path in ["/page/page.js", "/master/page/style.css", "/page/icon.svg"] {
        let file = ask(address, &format!("GET {path} HTTP/1.1"), "").await;
        assert_eq!(file.status, 200, "{path}");
        let known = format!("GET {path} HTTP/1.1\r\nIf-None-Match: {}", file.header("etag").unwrap());
        assert_eq!(ask(address, &known, "").await.status, 304, "{path}");
    }
    // A master that does not lead answers for itself, but for nothing else.
    server.set_leadership(Leadership::Standby(Some("other:5050".into())));
    assert_eq!(ask(address, "GET / HTTP/1.1", "").await.status, 200);
    let elsewhere = ask(address, "GET /apportion/tasks?search=a HTTP/1.1", "").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (307, Some("//other:5050/apportion/tasks?search=a")));
    server.set_leadership(Leadership::Recovering);
    assert_eq!(ask(address, "GET /apportion/summary HTTP/1.1", "").await.status, 503);
}

#[tokio::test]
async fn who_only_looks_needs_the_credentials_of_those_who_look() {
    let file = r#"{"credentials":[{"principal":"a","secret":"b"}]}"#;
    let authentication = Authentication::from_json(file).unwrap().asking(Realm::ReadOnly);
    let (_server, address) = start(Settings::default().authentication(authentication)).await;
    let realm = Some("Basic realm=\"mesos-master-readonly\"");
    for path in ["/", "/apportion/tasks", "/apportion/explain?framework=f"] {
        let refused = ask(address, &format!("GET {path} HTTP/1.1"), "").await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, realm), "{path}");
    }
    assert_eq!(what_if(address, JSON, "{}").await.status, 401);
    let login = "\r\nAuthorization: Basic YTpi";
    assert_eq!(ask(address, &format!("GET / HTTP/1.1{login}"), "").await.status, 200);
    assert_eq!(what_if(address, &format!("{JSON}{login}"), r#"{"changes":[]}"#).await.status, 200);
}
