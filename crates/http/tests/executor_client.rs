//! An executor over HTTP against a scripted agent, and the sessions of a real one.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod scripted;

use apportion::executor::{Executor, Reports, Subscribed};
use apportion::v1::connection::{ExecutorConnection, ExecutorEnvironment, StopReason};
use apportion::v1::{Dialect, ExecutorCall};
use apportion::{Task, TaskId, Uuid};
use apportion_http::client::{ClientMetrics, ClientState, ExecutorClient, ExecutorHandle};
use apportion_http::protobuf::Protobuf;
use scripted::{Request, Scripted, Socket, within};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Tells a test what it is told, and reports tasks as running.
#[derive(Debug)]
struct Teller(mpsc::UnboundedSender<String>);

impl Teller {
    fn tell(&self, what: impl Into<String>) {
        let _ = self.0.send(what.into()); // the test may have ended
    }
}

impl Executor for Teller {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        self.tell(format!("launch {}", task.id));
        reports.running(&task.id);
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.tell(format!("kill {task}"));
        reports.killed(&task);
    }

    fn subscribed(&mut self, subscribed: Subscribed, _: &mut Reports) {
        self.tell(format!("subscribed as {}", subscribed.executor.id));
    }

    fn acknowledged(&mut self, task: TaskId, _: Uuid, _: &mut Reports) {
        self.tell(format!("acknowledged {task}"));
    }

    fn shutdown(&mut self, _: &mut Reports) {
        self.tell("shutdown");
    }
}

/// An executor that runs in a task.
struct Running {
    handle: ExecutorHandle<Teller>,
    told: mpsc::UnboundedReceiver<String>,
    ended: JoinHandle<StopReason>,
}

impl Running {
    fn start(environment: ExecutorEnvironment) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let mut client = ExecutorClient::new(ExecutorConnection::new(environment, 7).unwrap(), Teller(sender));
        let handle = client.handle();
        Self { handle, told, ended: tokio::spawn(async move { client.run().await }) }
    }

    async fn told(&mut self) -> String {
        within(self.told.recv()).await.expect("the client runs")
    }

    async fn until(&self, holds: impl Fn(&ClientMetrics) -> bool) {
        within(async {
            while !holds(&self.handle.metrics()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

/// Returns the environment that an agent makes, with some values replaced.
fn environment(agent: &Scripted, others: &[(&str, &str)]) -> ExecutorEnvironment {
    let pid = format!("slave(1)@{}", agent.address);
    let variables = [
        ("MESOS_FRAMEWORK_ID", "f1"),
        ("MESOS_EXECUTOR_ID", "e1"),
        ("MESOS_AGENT_ENDPOINT", &agent.address),
        ("MESOS_SLAVE_PID", &pid),
        ("MESOS_CHECKPOINT", "1"),
        ("MESOS_RECOVERY_TIMEOUT", "15mins"),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "10ms"),
    ];
    let value = |name: &str| others.iter().chain(&variables).find(|(known, _)| *known == name);
    ExecutorEnvironment::read(|name| value(name).map(|(_, value)| (*value).to_owned())).unwrap()
}

fn subscribed_event() -> Json {
    json!({"type": "SUBSCRIBED", "subscribed": {"executor_info": {"executor_id": {"value": "e1"}},
        "framework_info": {"user": "root", "name": "f"}, "agent_info": {"hostname": "h1"}}})
}

fn launch(task: &str) -> Json {
    json!({"type": "LAUNCH", "launch": {"task": {"name": task, "task_id": {"value": task}, "agent_id": {"value": "a1"},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]}}})
}

fn acknowledged(update: &Json) -> Json {
    let status = &update["update"]["status"];
    json!({"type": "ACKNOWLEDGED", "acknowledged": {"task_id": status["task_id"], "uuid": status["uuid"]}})
}

/// Returns the lists of what a SUBSCRIBE says is not acknowledged.
fn unacknowledged(request: &Request) -> (Vec<Json>, Vec<Json>) {
    let subscribe = &request.json()["subscribe"];
    let list = |name: &str| subscribe[name].as_array().cloned().unwrap_or_default();
    (list("unacknowledged_tasks"), list("unacknowledged_updates"))
}

#[tokio::test]
async fn what_is_not_acknowledged_goes_with_the_next_subscription() {
    let agent = Scripted::start().await;
    let token = ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "s3cret");
    let mut executor = Running::start(environment(&agent, &[token]));
    let (mut stream, first) = agent.subscribe().await;
    assert_eq!(first.path(), "/slave(1)/api/v1/executor");
    assert_eq!(first.header("authorization"), Some("Bearer s3cret"));
    let json = first.json();
    assert_eq!((&json["framework_id"]["value"], &json["executor_id"]["value"]), (&json!("f1"), &json!("e1")));
    assert_eq!(unacknowledged(&first), (Vec::new(), Vec::new()));
    stream.event(&subscribed_event()).await;
    stream.event(&launch("t1")).await;
    assert_eq!((executor.told().await, executor.told().await), ("subscribed as e1".into(), "launch t1".into()));
    let mut calls = agent.accept().await;
    let update = calls.call().await;
    assert_eq!(update.header("authorization"), Some("Bearer s3cret"));
    let update = update.json();
    let status = &update["update"]["status"];
    assert_eq!((status["state"].as_str(), status["source"].as_str()), (Some("TASK_RUNNING"), Some("SOURCE_EXECUTOR")));
    assert!(status["timestamp"].as_f64().unwrap() > 1.7e9, "since 1970: {status}");
    drop(stream); // the agent ends, and knows nothing of it

    agent.refuse(503, "", "the agent is recovering").await;
    let (mut stream, again) = agent.subscribe().await;
    let (tasks, updates) = unacknowledged(&again);
    assert_eq!((tasks.len(), &tasks[0]["task_id"]["value"]), (1, &json!("t1")));
    assert_eq!((updates.len(), &updates[0]["status"]["uuid"]), (1, &status["uuid"]));
    stream.event(&subscribed_event()).await;
    stream.event(&acknowledged(&update)).await;
    assert_eq!((executor.told().await, executor.told().await), ("subscribed as e1".into(), "acknowledged t1".into()));
    executor.handle.act(|_, reports| reports.message("done")).await.unwrap(); // from outside
    assert_eq!(calls.call().await.kind(), "MESSAGE");
    drop(stream);
    let (mut stream, last) = agent.subscribe().await;
    assert_eq!(unacknowledged(&last), (Vec::new(), Vec::new()));
    stream.event(&subscribed_event()).await;
    stream.event(&json!({"type": "SHUTDOWN"})).await;
    assert_eq!((executor.told().await, executor.told().await), ("subscribed as e1".into(), "shutdown".into()));
    stream.end().await;
    assert_eq!(within(&mut executor.ended).await.unwrap(), StopReason::ShutDown);
    let metrics = executor.handle.metrics();
    assert_eq!((metrics.counts.connects, metrics.counts.disconnects), (3, 2));
    assert_eq!((metrics.state, metrics.counts.calls["UPDATE"].accepted), (ClientState::Stopped, 1));
}

#[tokio::test]
async fn an_executor_does_not_outlive_its_agent_without_leave() {
    let agent = Scripted::start().await;
    let mut executor = Running::start(environment(&agent, &[("MESOS_CHECKPOINT", "0")]));
    let (mut stream, _) = agent.subscribe().await;
    stream.event(&subscribed_event()).await;
    assert_eq!(executor.told().await, "subscribed as e1");
    drop(stream);
    assert_eq!(executor.told().await, "shutdown");
    assert_eq!(within(&mut executor.ended).await.unwrap(), StopReason::AgentLost);

    // One that checkpoints waits for the recovery timeout.
    let mut executor = Running::start(environment(&agent, &[("MESOS_RECOVERY_TIMEOUT", "200ms")]));
    let (mut stream, _) = agent.subscribe().await;
    stream.event(&subscribed_event()).await;
    assert_eq!(executor.told().await, "subscribed as e1");
    drop((stream, agent));
    assert_eq!(executor.told().await, "shutdown");
    assert_eq!(within(&mut executor.ended).await.unwrap(), StopReason::AgentLost);
}

#[tokio::test]
async fn an_executor_speaks_protobuf_too() {
    let agent = Scripted::start().await;
    let codec = Protobuf(Dialect::default());
    let (sender, _told) = mpsc::unbounded_channel();
    let connection = ExecutorConnection::with_codec(codec.clone(), environment(&agent, &[]), 7).unwrap();
    let mut client = ExecutorClient::new(connection, Teller(sender));
    let running = tokio::spawn(async move { client.run().await });
    let (mut socket, request) = agent.request().await;
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    let call: ExecutorCall = codec.decode(&request.body).unwrap();
    assert_eq!((call.framework.as_str(), call.executor.as_str()), ("f1", "e1"));
    running.abort();
    socket.closed().await; // what is dropped is closed
}

/// Returns the streams of a recorded executor: the events of each, in order.
fn recorded(who: &str) -> Vec<Vec<Json>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/executor.jsonl");
    let mut streams: Vec<Vec<Json>> = Vec::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        match line["dir"].as_str() {
            _ if line["who"] != who => {}
            Some("http") if line["status"] == 200 => streams.push(Vec::new()),
            Some("event") => streams.last_mut().unwrap().push(line["body"].clone()),
            Some(_) | None => {}
        }
    }
    streams
}

/// Accepts calls until the connection ends.
async fn accept_calls(mut calls: Socket) {
    while calls.request().await.is_some() {
        calls.answer(202, "", "").await;
    }
}

#[tokio::test]
async fn the_sessions_of_a_real_agent_are_understood() {
    for who in ["exec-1", "exec-2"] {
        let agent = Scripted::start().await;
        let executor = Running::start(environment(&agent, &[("MESOS_EXECUTOR_ID", who)]));
        let (mut expected, mut taken) = (BTreeMap::new(), None);
        for stream in recorded(who) {
            let (mut socket, _) = agent.subscribe().await;
            for event in stream {
                *expected.entry(event["type"].as_str().unwrap().to_owned()).or_insert(0) += 1;
                socket.event(&event).await;
                if taken.is_none() && event["type"].as_str().unwrap().starts_with("LAUNCH") {
                    taken = Some(tokio::spawn(accept_calls(agent.accept().await)));
                }
            }
            let total = expected.values().sum::<u64>();
            executor.until(|metrics| metrics.counts.events.values().sum::<u64>() == total).await;
            drop(socket);
        }
        executor.until(|metrics| metrics.counts.calls.get("UPDATE").is_some_and(|calls| calls.accepted > 0)).await;
        let counts = executor.handle.metrics().counts;
        let found: BTreeMap<String, u64> =
            counts.events.iter().map(|(kind, number)| (kind.to_string(), *number)).collect();
        assert_eq!((found, counts.unreadable), (expected, 0), "{who}");
    }
}
