//! Endpoints of our own, and the page, through sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

#[expect(dead_code, reason = "frameworks need more of it")]
mod wire;

use apportion_http::{Authentication, Leadership, Realm, Settings};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
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
