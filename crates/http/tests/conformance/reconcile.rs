//! Section 2: RECONCILE. Its statuses are of `SOURCE_MASTER`, for `REASON_RECONCILIATION`, without `uuid`.

use crate::wire::{Client, Subscribed, start, subscribe, subscribed};
use crate::{agent, launch, task};
use apportion::{Command, ExecutorId, FrameworkId, Recovery, TaskState, TaskStatus, Uuid};
use apportion_http::{NoAgents, Server, Settings};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Subscribes as a framework that tells apart why a task is no more.
async fn partition_aware(address: SocketAddr) -> Subscribed {
    let mut call = subscribe(None, 0.0);
    let capabilities = json!([{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]);
    call["subscribe"]["framework_info"]["capabilities"] = capabilities;
    let mut stream = Client::connect(address).await;
    stream.post("", &call).await;
    let stream_id = stream.head().await.unwrap().header("mesos-stream-id").unwrap().to_owned();
    let event = stream.event().await.unwrap();
    let id = event["subscribed"]["framework_id"]["value"].as_str().unwrap().to_owned();
    Subscribed { stream, id, stream_id }
}

/// Asks for tasks, each with an agent or without, and returns the answer to the last one.
async fn ask(framework: &mut Subscribed, address: SocketAddr, tasks: &[(&str, Option<&str>)]) -> Json {
    let tasks: Vec<Json> = tasks
        .iter()
        .map(
            |(task, agent)| json!({"task_id": {"value": task}, "agent_id": agent.map(|agent| json!({"value": agent}))}),
        )
        .collect();
    let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
    assert_eq!(framework.call(address, call).await.status, 202);
    answer(framework).await
}

/// Reads a status of the master.
async fn answer(framework: &mut Subscribed) -> Json {
    let status = framework.stream.event_of("UPDATE").await["update"]["status"].clone();
    assert_eq!(status["source"], "SOURCE_MASTER");
    assert_eq!(status["reason"], "REASON_RECONCILIATION");
    assert_eq!(status.get("uuid"), None);
    assert!(status["timestamp"].as_f64().unwrap() > 1.7e9, "{status}");
    status
}

/// A known task: the latest state, with `executor_id`, `healthy`, `container_status`. No tasks: all that are not terminal.
#[tokio::test]
async fn a_known_task_is_told_with_all_that_is_known_of_it() {
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let tasks = [task("runs", "a1", 1.0), task("ended", "a1", 1.0)];
    assert_eq!(framework.call(address, launch(&offer, &tasks)).await.status, 202);
    assert_eq!(ask(&mut framework, address, &[("runs", None)]).await["state"], "TASK_STAGING");
    let id: FrameworkId = framework.id.as_str().into();
    for (number, (task, state)) in
        [("runs", TaskState::Running), ("ended", TaskState::Finished)].into_iter().enumerate()
    {
        let mut status = TaskStatus::new(task, state);
        status.agent = Some("a1".into());
        status.uuid = Some(Uuid::from_seed(1, number as u64));
        status.executor = Some(ExecutorId::from("e"));
        status.healthy = Some(true);
        status.details.insert("container_status", json!({"container_id": {"value": "c"}}));
        server.command(Command::TaskStatus(id.clone(), status)).await.unwrap();
        let told = framework.stream.event_of("UPDATE").await["update"]["status"].clone();
        let acknowledge = json!({"agent_id": {"value": "a1"}, "task_id": {"value": task}, "uuid": told["uuid"]});
        assert_eq!(
            framework.call(address, json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge})).await.status,
            202
        );
    }
    let known = ask(&mut framework, address, &[("runs", Some("a1"))]).await;
    assert_eq!(known["state"], "TASK_RUNNING");
    assert_eq!(known["executor_id"], json!({"value": "e"}));
    assert_eq!(known["healthy"], true);
    assert_eq!(known["container_status"], json!({"container_id": {"value": "c"}}));
    assert_eq!(known["agent_id"], json!({"value": "a1"}));

    assert_eq!(framework.call(address, json!({"type": "RECONCILE", "reconcile": {"tasks": []}})).await.status, 202);
    assert_eq!(answer(&mut framework).await["task_id"]["value"], "runs", "all that are not terminal");
    assert_eq!(ask(&mut framework, address, &[("marker", None)]).await["task_id"]["value"], "marker", "and no more");
}

/// Unknown tasks, by what is known of their agent; TASK_LOST for a framework that does not tell these apart. A KILL is answered
/// likewise.
#[tokio::test]
async fn an_unknown_task_is_told_by_its_agent() {
    let (server, address) = start(Settings::default()).await;
    for id in ["unreachable", "gone"] {
        server.command(Command::AddAgent(agent(id).into())).await.unwrap();
    }
    server.command(Command::AgentUnreachable("unreachable".into())).await.unwrap();
    server.command(Command::AgentGone("gone".into())).await.unwrap();
    let mut aware = partition_aware(address).await;
    let mut legacy = subscribed(address, None, 0.0).await;
    for (agent, state) in [
        (Some("a1"), "TASK_GONE"),
        (Some("unreachable"), "TASK_UNREACHABLE"),
        (Some("gone"), "TASK_GONE_BY_OPERATOR"),
        (Some("never-seen"), "TASK_UNKNOWN"),
        (None, "TASK_UNKNOWN"),
    ] {
        let status = ask(&mut aware, address, &[("t", agent)]).await;
        assert_eq!(status["state"], state, "{agent:?}");
        assert_eq!(status.get("agent_id"), agent.map(|agent| json!({"value": agent})).as_ref(), "as given");
        let since = status["unreachable_time"]["nanoseconds"].as_i64();
        assert_eq!(since.is_some(), state == "TASK_UNREACHABLE", "{status}");
        assert!(since.is_none_or(|since| since > 1_700_000_000_000_000_000), "on the clock of people: {status}");
        let status = ask(&mut legacy, address, &[("t", agent)]).await;
        assert_eq!((&status["state"], status.get("unreachable_time")), (&json!("TASK_LOST"), None), "{agent:?}");

        let kill = json!({"type": "KILL", "kill": {"task_id": {"value": "t"},
            "agent_id": agent.map(|agent| json!({"value": agent}))}});
        assert_eq!(aware.call(address, kill).await.status, 202);
        assert_eq!(answer(&mut aware).await["state"], state, "KILL");
    }
}

/// No answer while an agent that was there before the master is missing: for its tasks, and for those without an agent.
#[tokio::test]
async fn there_is_no_answer_while_an_agent_may_still_come_back() {
    let server = Server::start(Settings::default(), NoAgents);
    server.command(Command::Recover(Recovery::of(["a1".into(), "a2".into()]))).await.unwrap();
    server.command(Command::AddAgent(agent("a1").into())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    let mut framework = partition_aware(address).await;
    let asked = [("of a2", Some("a2")), ("of anyone", None), ("of a1", Some("a1"))];
    let first = ask(&mut framework, address, &asked).await;
    assert_eq!(
        (&first["task_id"]["value"], &first["state"]),
        (&json!("of a1"), &json!("TASK_GONE")),
        "no other answer"
    );
    server.command(Command::AddAgent(agent("a2").into())).await.unwrap();
    let first = ask(&mut framework, address, &asked).await;
    assert_eq!((&first["task_id"]["value"], &first["state"]), (&json!("of a2"), &json!("TASK_GONE")));
    assert_eq!(answer(&mut framework).await["state"], "TASK_UNKNOWN");
}
