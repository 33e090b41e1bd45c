//! What operators asked of a Mesos, asked again: the statuses are those that were recorded, and so are answers that tell no ids
//! or times of that cluster.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion::{Agent, Command};
use apportion_http::{NoAgents, Server, Settings};
use serde_json::Value as Json;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use wire::Client;

/// A recorded request, and its answer.
struct Exchange {
    request: Json,
    response: Json,
}

/// Returns the exchanges of the operator of a recorded session. Each call is followed by its answer.
fn recorded(session: &str) -> Vec<Exchange> {
    let path = format!("{}/../../tests/recordings/{session}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines =
        text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str::<Json>(line).unwrap());
    let mut lines = lines.filter(|line| line["who"] == "operator");
    let mut exchanges = Vec::new();
    while let Some(request) = lines.next() {
        assert_eq!(request["dir"], "call");
        exchanges.push(Exchange { request, response: lines.next().expect("an answer") });
    }
    exchanges
}

/// Starts a server with agents of these ids, hostnames and resources.
async fn cluster(agents: &[(&str, &str, &str)]) -> (Server, SocketAddr) {
    let server = Server::start(Settings::default(), NoAgents);
    for (id, hostname, resources) in agents {
        let agent = Agent::new(*id, resources.parse().unwrap()).hostname(*hostname);
        server.command(Command::AddAgent(agent.into())).await.unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    (server, address)
}

/// Asks once more what was recorded. Returns the status and the body.
async fn ask(address: SocketAddr, request: &Json) -> (u64, Json) {
    let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
    let body = match (&request["body"], &request["text"]) {
        (Json::Null, Json::Null) => String::new(),
        (Json::Null, text) => text.as_str().unwrap().to_owned(),
        (body, _) => body.to_string(),
    };
    let headers = request["headers"].as_object().into_iter().flatten();
    let headers: String = headers.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap())).collect();
    let length = body.len();
    let mut client = Client::connect(address).await;
    client
        .send(format!("{method} {path} HTTP/1.1\r\nHost: m\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
        .await;
    let answer = client.answer().await.unwrap();
    (answer.status.into(), serde_json::from_slice(&answer.body).unwrap_or_default())
}

/// Asks all of a session again, and compares. Calls of these types ask for ids or times of that cluster, so only their statuses
/// are compared, or for what `skipped` says.
async fn repeat(address: SocketAddr, session: &str, only_status: &[&str], skipped: &[&str]) -> usize {
    let mut asked = 0;
    for Exchange { request, response } in recorded(session) {
        let kind = request["body"]["type"].as_str().unwrap_or_else(|| request["path"].as_str().unwrap());
        if skipped.contains(&kind) {
            continue;
        }
        asked += 1;
        let (status, body) = ask(address, &request).await;
        assert_eq!(Some(status), response["status"].as_u64(), "{session}: {request}\n{body}");
        if !only_status.contains(&kind) {
            assert_eq!(body, response["body"], "{session}: {request}");
        }
    }
    asked
}

#[tokio::test]
async fn refused_calls() {
    let (_server, address) = cluster(&[]).await;
    assert!(repeat(address, "errors", &[], &[]).await > 10);
}

#[tokio::test]
async fn maintenance() {
    let (_server, address) = cluster(&[("S0", "node2", "cpus:2"), ("S1", "node1", "cpus:4")]).await;
    // What frameworks answer to inverse offers stands in the status.
    let asked = repeat(address, "maintenance", &["GET_MAINTENANCE_STATUS"], &["GET_FRAMEWORKS"]).await;
    assert!(asked > 12);
    let (_server, address) = cluster(&[]).await;
    let all_but_answers =
        recorded("maintenance").into_iter().skip_while(|exchange| exchange.request["path"] == "/api/v1");
    for Exchange { request, response } in all_but_answers {
        let (status, body) = ask(address, &request).await;
        assert_eq!((Some(status), &body), (response["status"].as_u64(), &response["body"]), "{request}");
    }
}

#[tokio::test]
async fn operations() {
    let agent = "b810b841-6b55-48bc-8134-edbc8ac584ed-S0";
    let resources = "cpus:4;mem:4096;disk:10000;ports:[31000-32000];cpus(ops):1;mem(ops):512";
    let (_server, address) = cluster(&[(agent, "node1", resources)]).await;
    assert!(repeat(address, "operations", &[], &["GET_OPERATIONS", "GET_AGENTS"]).await >= 5);
}
