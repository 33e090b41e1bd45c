//! What clients of Mesos rest on, row by row, through raw sockets. Each module is a section, each test one row of it or a few,
//! which its comment says; the modules and their tests stand in the order of the rows.
//!
//! 1. [`endpoints`]: what holds of every endpoint
//! 2. `/api/v1/scheduler`: [`calls`], the checks of a call in their order and what becomes of it; [`stream`], the stream of a
//!    subscription; [`reconcile`], the answers to RECONCILE
//! 3. [`protobuf`]: the same in protobuf
//! 4. [`authentication`]: who may call
//! 5. [`standby`]: masters that do not lead

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that goes wrong ends")]

#[path = "../wire/mod.rs"]
mod wire;

mod authentication;
mod calls;
mod endpoints;
mod protobuf;
mod reconcile;
mod standby;
mod stream;

use apportion::delivery::AgentMessage;
use apportion::{Agent, AgentId, Command, Time};
use apportion_http::{Agents, Server, Settings};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use wire::{Answer, Client, bounded};

/// Sends a request without a body.
async fn request(address: SocketAddr, method: &str, target: &str, headers: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: m\r\n{headers}\r\n")).await;
    client.answer().await.unwrap()
}

async fn get(address: SocketAddr, target: &str) -> Answer {
    request(address, "GET", target, "").await
}

/// Sends a body to a path, with all headers but its length.
async fn post(address: SocketAddr, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!("POST {target} HTTP/1.1\r\nHost: m\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    let mut client = Client::connect(address).await;
    client.send([head.as_bytes(), body].concat()).await;
    client.head_and_body().await
}

/// Sends a call as JSON.
async fn call(address: SocketAddr, headers: &str, body: &Json) -> Answer {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    post(address, "/api/v1/scheduler", &headers, body.to_string()).await
}

impl Client {
    /// Reads an answer; of a stream only the head.
    async fn head_and_body(&mut self) -> Answer {
        let head = self.head().await.unwrap();
        let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        let body = self.exactly(length).await.unwrap();
        Answer { body, ..head }
    }
}

/// Agents that keep the messages they get.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Vec<AgentMessage>>>);

impl Agents for Recorder {
    fn receive(&mut self, _: Time, _: &AgentId, message: AgentMessage) {
        self.0.lock().unwrap().push(message);
    }

    fn advance(&mut self, _: Time) {}

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}

impl Recorder {
    /// Waits for a message for which `find` returns something.
    async fn wait<T>(&self, what: &str, find: impl Fn(&AgentMessage) -> Option<T>) -> T {
        bounded(what, async {
            loop {
                if let Some(found) = self.0.lock().unwrap().iter().find_map(&find) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

/// Starts a server whose agent `a1` keeps its messages.
async fn start_recorded(settings: Settings) -> (Server, SocketAddr, Recorder) {
    let recorder = Recorder::default();
    let server = Server::start(settings, recorder.clone());
    server.command(Command::AddAgent(agent("a1").into())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    (server, address, recorder)
}

fn agent(id: &str) -> Agent {
    Agent::new(id, "cpus:4;mem:1024;ports:[31000-31009]".parse().unwrap())
}

/// Returns a task for an agent.
fn task(id: &str, agent: &str, cpus: f64) -> Json {
    json!({"name": id, "task_id": {"value": id}, "agent_id": {"value": agent}, "command": {"value": "sleep 1"}, "resources": [
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}}]})
}

/// Returns an ACCEPT that launches tasks on an offer, and refuses the rest of it for long.
fn launch(offer: &Json, tasks: &[Json]) -> Json {
    json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 1e6},
        "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}]}})
}
