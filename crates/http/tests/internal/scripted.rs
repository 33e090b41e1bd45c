//! [`Scripted`]: an agent that does what a test says.

use crate::wire::{Answer, Client, Subscribed, bounded};
use apportion_http::{NoAgents, Server, Settings};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Starts a server without agents.
pub(crate) async fn start(settings: Settings) -> (Server, SocketAddr) {
    let server = Server::start(settings, NoAgents);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    (server, address)
}

/// Settings with pings so rare that none comes.
pub(crate) fn without_pings() -> Settings {
    Settings::default().id("M", 1).agent_pings(Duration::from_secs(3600), 5)
}

/// Sends a call of an agent over a connection of its own.
pub(crate) async fn post(address: SocketAddr, stream: Option<&str>, call: &Json) -> Client {
    let mut client = Client::connect(address).await;
    let stream = stream.map(|stream| format!("Mesos-Stream-Id: {stream}\r\n")).unwrap_or_default();
    let body = call.to_string();
    let head = format!(
        "POST /internal/v1/agent HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{stream}\r\n",
        body.len()
    );
    client.send([head.as_bytes(), body.as_bytes()].concat()).await;
    client
}

/// Returns the description of an agent.
pub(crate) fn described(id: Option<&str>, nonce: u8) -> Json {
    json!({
        "agent_info": {
            "id": id.map(|id| json!({ "value": id })), "hostname": "host-7",
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 1024.0}},
            ],
            "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}],
        },
        "ip": "127.0.0.7", "port": 5051, "version": "1.11.0", "nonce": uuid(nonce),
    })
}

/// Returns a UUID as v1 has it.
pub(crate) fn uuid(number: u8) -> Json {
    json!(apportion::Uuid::from_seed(9, number.into()))
}

pub(crate) fn register(nonce: u8) -> Json {
    json!({"type": "REGISTER", "body": described(None, nonce)})
}

/// Returns the call of an agent that returns with tasks of frameworks.
pub(crate) fn reregister(id: &str, frameworks: &[Json], tasks: &[Json]) -> Json {
    json!({"type": "REREGISTER", "body": {
        "registration": described(Some(id), 99), "frameworks": frameworks, "tasks": tasks, "executors": [], "epoch": 1,
    }})
}

/// An agent with its stream.
pub(crate) struct Scripted {
    pub(crate) stream: Client,
    pub(crate) stream_id: String,
    pub(crate) id: String,
    pub(crate) welcome: Json,
    address: SocketAddr,
}

/// Registers an agent, and reads the welcome.
pub(crate) async fn registered(address: SocketAddr, call: &Json) -> Scripted {
    let mut stream = post(address, None, call).await;
    let head = stream.head().await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let stream_id = head.header("mesos-stream-id").unwrap().to_owned();
    let welcome = stream.event().await.unwrap();
    let id = welcome["body"]["agent_id"].as_str().unwrap_or_else(|| panic!("{welcome}")).to_owned();
    Scripted { stream, stream_id, id, welcome, address }
}

impl Scripted {
    /// Sends a call, and returns the answer.
    pub(crate) async fn call(&self, call: Json) -> Answer {
        post(self.address, Some(&self.stream_id), &call).await.answer().await.unwrap()
    }

    /// Sends a call that is taken.
    pub(crate) async fn tell(&self, kind: &str, body: Json) {
        let answer = self.call(json!({"type": kind, "body": body})).await;
        assert_eq!(answer.status, 202, "{kind}: {answer:?}");
    }

    pub(crate) async fn status(&self, framework: &str, task: &str, state: &str, number: u8) {
        let status =
            json!({"task_id": {"value": task}, "state": state, "uuid": uuid(number), "source": "SOURCE_EXECUTOR"});
        self.tell("STATUS_UPDATE", json!({"framework_id": framework, "status": status, "latest_state": state})).await;
    }

    /// Reads events up to one of that type, and returns its body.
    pub(crate) async fn event(&mut self, kind: &str) -> Json {
        let event = self.stream.event_of(kind).await;
        event["body"].clone()
    }

    /// Reads the stream to its end, and returns the types of the events.
    pub(crate) async fn rest(mut self) -> Vec<String> {
        bounded("the end of a stream", async {
            let mut kinds = Vec::new();
            while let Some(event) = self.stream.event().await {
                kinds.push(event["type"].as_str().unwrap().to_owned());
            }
            kinds
        })
        .await
    }
}

/// Returns the subscription of a framework of that id.
pub(crate) fn subscription(id: &str, checkpoint: bool, capabilities: &[&str]) -> Json {
    let capabilities: Vec<Json> = ["MULTI_ROLE", "RESERVATION_REFINEMENT"]
        .iter()
        .chain(capabilities)
        .map(|name| json!({ "type": name }))
        .collect();
    json!({
        "user": "root", "name": "test", "id": {"value": id}, "roles": ["web"], "failover_timeout": 3600.0,
        "checkpoint": checkpoint, "capabilities": capabilities,
    })
}

/// Subscribes a framework with a given id, and reads SUBSCRIBED.
pub(crate) async fn subscribed(address: SocketAddr, info: &Json) -> Subscribed {
    let mut stream = Client::connect(address).await;
    let id = info["id"].clone();
    stream.post("", &json!({"type": "SUBSCRIBE", "framework_id": id, "subscribe": {"framework_info": info}})).await;
    let head = stream.head().await.unwrap();
    let stream_id = head.header("mesos-stream-id").unwrap().to_owned();
    let event = stream.event().await.unwrap();
    assert_eq!(event["type"], "SUBSCRIBED", "{event}");
    Subscribed { stream, id: id["value"].as_str().unwrap().to_owned(), stream_id }
}

pub(crate) fn task(id: &str, agent: &str) -> Json {
    json!({"name": id, "task_id": {"value": id}, "agent_id": {"value": agent}, "command": {"value": "sleep 1"},
        "labels": {"labels": [{"key": "k", "value": "v"}]}, "resources": [
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}}]})
}

/// Returns a task as an agent reports it when it returns.
pub(crate) fn reported(framework: &str, id: &str, agent: &str, state: &str) -> Json {
    let mut task = task(id, agent);
    for resource in task["resources"].as_array_mut().unwrap() {
        resource["allocation_info"] = json!({"role": "web"});
    }
    json!({"framework_id": framework, "task": task, "latest_state": state})
}

/// Waits for an offer and launches tasks on it.
pub(crate) async fn launch(address: SocketAddr, framework: &mut Subscribed, tasks: &[&str]) -> Json {
    let offers = framework.stream.event_of("OFFERS").await;
    let offer = offers["offers"]["offers"][0].clone();
    let agent = offer["agent_id"]["value"].as_str().unwrap();
    let tasks: Vec<Json> = tasks.iter().map(|id| task(id, agent)).collect();
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 1e6},
        "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}]}});
    assert_eq!(framework.call(address, accept).await.status, 202);
    offer
}

/// Reads the next status.
pub(crate) async fn update(framework: &mut Subscribed) -> Json {
    framework.stream.event_of("UPDATE").await["update"]["status"].clone()
}

/// Returns the parts of a status that tests look at.
pub(crate) fn brief(status: &Json) -> (String, String, String, String) {
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    (status["task_id"]["value"].as_str().unwrap_or_default().to_owned(), text("state"), text("reason"), text("source"))
}

/// Returns what [`brief`] gives.
pub(crate) fn told(task: &str, state: &str, reason: &str, source: &str) -> (String, String, String, String) {
    (task.to_owned(), state.to_owned(), reason.to_owned(), source.to_owned())
}
