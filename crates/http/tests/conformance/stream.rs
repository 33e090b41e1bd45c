//! Section 2: the stream of a subscription.

use crate::wire::{Client, bounded, start, subscribe, subscribed};
use crate::{agent, call, launch, start_recorded, task};
use apportion::delivery::AgentMessage;
use apportion::{Command, Config, Registration, Remembered, Role, RunningTask, Task, TaskState};
use apportion_http::Settings;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;

/// 200, chunked, a stream id that is new each time; it stays open although the request says `Connection: close`.
/// RecordIO: one record is one chunk, without a line feed within JSON. The second record is a heartbeat.
#[tokio::test]
async fn a_stream_has_this_head_and_one_record_in_each_chunk() {
    let (_server, address) = start(Settings::default().heartbeat_interval(Duration::from_millis(100))).await;
    let mut client = Client::connect(address).await;
    client.post("Connection: close\r\nAccept: application/json\r\n", &subscribe(None, 0.0)).await;
    let head = client.head().await.unwrap();
    let date = head.header("date").unwrap().to_owned();
    let id = head.header("mesos-stream-id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    let mut lines: Vec<&str> = head.head.split("\r\n").collect();
    lines[1..].sort_unstable();
    let (date, id) = (format!("Date: {date}"), format!("Mesos-Stream-Id: {id}"));
    let expected = [
        "HTTP/1.1 200 OK",
        "Connection: close",
        "Content-Type: application/json",
        &date,
        &id,
        "Transfer-Encoding: chunked",
    ];
    assert_eq!(lines, expected);

    let subscribed = client.event().await.unwrap();
    assert_eq!(subscribed["subscribed"]["heartbeat_interval_seconds"], 0.1);
    let master = &subscribed["subscribed"]["master_info"];
    assert_eq!(master["ip"], 16_777_343);
    assert_eq!(master["pid"], "master@127.0.0.1:5050");
    assert_eq!(master["address"], json!({"hostname": "localhost", "ip": "127.0.0.1", "port": 5050}));
    assert_eq!(client.event().await.unwrap(), json!({"type": "HEARTBEAT"}), "the second record");
    client.event_of("OFFERS").await;
    assert_eq!(client.event().await.unwrap(), json!({"type": "HEARTBEAT"}), "the stream stays open");
}

/// Returns the events of a stream up to its end.
async fn rest(stream: &mut Client) -> Vec<Json> {
    let mut events = Vec::new();
    while let Some(event) = stream.event().await {
        events.push(event);
        assert!(events.len() < 20, "the stream does not end: {events:?}");
    }
    events
}

/// First comes SUBSCRIBED; or ERROR and the end, for a bad `framework_info`, roles, constraints: still 200.
#[tokio::test]
async fn a_subscription_that_cannot_be_is_an_error_and_the_end() {
    let (_server, address) = start(Settings::default()).await;
    let capabilities = json!([{"type": "MULTI_ROLE"}]);
    let regex = json!({"constraint_groups": [{"constraints": [{"selector": {"attribute_name": "a"},
        "text_matches": {"regex": "("}}]}]});
    for (changes, reason) in [
        (json!({"roles": ["a b"], "capabilities": capabilities}), "a b"),
        (json!({"roles": ["web", "web"], "capabilities": capabilities}), "twice"),
        (json!({"roles": ["web"], "role": "web", "capabilities": capabilities}), "role"),
        (json!({"roles": ["web/../x"], "capabilities": capabilities}), ".."),
    ] {
        let mut subscription = subscribe(None, 0.0);
        for (name, value) in changes.as_object().unwrap() {
            subscription["subscribe"]["framework_info"][name] = value.clone();
        }
        let mut stream = Client::connect(address).await;
        stream.post("", &subscription).await;
        assert_eq!(stream.head().await.unwrap().status, 200, "{changes}");
        let first = stream.event().await.unwrap();
        assert_eq!(first["type"], "ERROR", "{changes}: {first}");
        let events = [vec![first], rest(&mut stream).await].concat();
        assert_eq!(events.len(), 1, "{events:?}");
        let message = events[0]["error"]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{changes}: {message}");
    }
    let mut subscription = subscribe(None, 0.0);
    subscription["subscribe"]["offer_constraints"] =
        json!({"role_constraints": {"web": {"groups": regex["constraint_groups"]}}});
    let mut stream = Client::connect(address).await;
    stream.post("", &subscription).await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    assert_eq!(rest(&mut stream).await[0]["type"], "ERROR");
}

/// Offers say where their agent is, have its ports, and a role by the capabilities of the framework.
#[tokio::test]
async fn an_offer_says_where_its_agent_is() {
    let (_server, address) = start(Settings::default()).await;
    let mut modern = subscribed(address, None, 0.0).await;
    let offer = modern.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(offer["url"]["address"], json!({"hostname": "a1", "ip": "127.0.0.1", "port": 5051}));
    assert_eq!(offer["hostname"], "a1");
    assert_eq!(offer["allocation_info"], json!({"role": "web"}));
    let ports = offer["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == "ports").unwrap();
    assert_eq!(ports["ranges"], json!({"range": [{"begin": 31000, "end": 31009}]}));
    assert_eq!(ports["allocation_info"], json!({"role": "web"}));
    drop(modern);

    let mut legacy = Client::connect(address).await;
    let info = json!({"user": "root", "name": "legacy", "role": "ops"});
    legacy.post("", &json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})).await;
    legacy.head().await.unwrap();
    let offer = legacy.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(offer.get("allocation_info"), None, "{offer}");
    assert!(offer["resources"].as_array().unwrap().iter().all(|resource| resource.get("allocation_info").is_none()));
}

/// A second SUBSCRIBE of the id: ERROR and end on the old stream, whose id is void; old offers are void without RESCIND. An id
/// that is new to this master is taken as it is. The new stream's id is good at once.
#[tokio::test]
async fn a_second_subscription_takes_over() {
    let (_server, address, agents) = start_recorded(Settings::default()).await;
    let mut first = subscribed(address, Some("mine"), 100.0).await;
    assert_eq!(first.id, "mine");
    let offer = first.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let mut second = subscribed(address, Some("mine"), 100.0).await;
    assert_ne!(first.stream_id, second.stream_id);
    let events = rest(&mut first.stream).await;
    assert_eq!(events.last().unwrap()["error"]["message"], "Framework failed over");
    assert!(events.iter().all(|event| event["type"] != "RESCIND"), "{events:?}");
    assert_eq!(first.call(address, json!({"type": "REVIVE"})).await.status, 400);
    assert_eq!(second.call(address, launch(&offer, &[task("late", "a1", 1.0)])).await.status, 202);
    let status = second.stream.event_of("UPDATE").await["update"]["status"].clone();
    assert_eq!(status["state"], "TASK_LOST", "the old offer is void: {status}");
    assert!(agents.0.lock().unwrap().iter().all(|message| !matches!(message, AgentMessage::Launch { .. })));
    for _ in 0..200 {
        let mut stream = Client::connect(address).await;
        stream.post("", &subscribe(Some("often"), 100.0)).await;
        let head = stream.head().await.unwrap();
        let id = format!("Mesos-Stream-Id: {}\r\n", head.header("mesos-stream-id").unwrap());
        let revive = json!({"type": "REVIVE", "framework_id": {"value": "often"}});
        assert_eq!(call(address, &id, &revive).await.status, 202);
    }
}

/// Subscribes, and reads the one event of a stream that ends at once.
async fn refusal(address: SocketAddr, id: &str) -> Option<String> {
    let mut stream = Client::connect(address).await;
    stream.post("", &subscribe(Some(id), 100.0)).await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    let event = stream.event().await.unwrap();
    event["error"]["message"].as_str().map(str::to_owned)
}

/// TEARDOWN: 202, SHUTDOWN to its executors, end of stream; that id then gets ERROR, as long as it is remembered. Tasks of it that
/// an agent brings are killed.
#[tokio::test]
async fn a_framework_that_is_torn_down_does_not_come_back() {
    let config = Config::new().remembered(Remembered::default().frameworks(2));
    let (server, address, agents) = start_recorded(Settings::default().config(config)).await;
    let mut framework = subscribed(address, Some("f1"), 100.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(framework.call(address, launch(&offer, &[task("t", "a1", 1.0)])).await.status, 202);
    assert_eq!(framework.call(address, json!({"type": "TEARDOWN"})).await.status, 202);
    let events = rest(&mut framework.stream).await;
    assert!(events.iter().all(|event| event["type"] != "ERROR"), "{events:?}");
    let shut_down = |message: &AgentMessage| match message {
        AgentMessage::ShutdownFramework { framework, .. } => Some(framework.to_string()),
        _ => None,
    };
    assert_eq!(agents.wait("a shutdown", shut_down).await, "f1");
    assert_eq!(framework.call(address, json!({"type": "REVIVE"})).await.status, 400);
    assert_eq!(refusal(address, "f1").await.as_deref(), Some("Framework has been removed"));

    agents.0.lock().unwrap().clear();
    let brought = RunningTask::new("f1", Role::new("web").unwrap(), Task::new("old", "cpus:1".parse().unwrap()));
    let registration = Registration::from(agent("a2")).task(brought.state(TaskState::Running));
    server.command(Command::AddAgent(registration)).await.unwrap();
    let killed = |message: &AgentMessage| match message {
        AgentMessage::Kill { task, .. } => Some(task.to_string()),
        _ => None,
    };
    assert_eq!(agents.wait("a kill", killed).await, "old");

    for id in ["f2", "f3"] {
        let framework = subscribed(address, Some(id), 100.0).await;
        assert_eq!(framework.call(address, json!({"type": "TEARDOWN"})).await.status, 202);
    }
    assert!(refusal(address, "f3").await.is_some());
    assert_eq!(refusal(address, "f1").await, None, "only the last two are remembered");
}

/// Stream broken: offers return, filters go, calls get 403; SUBSCRIBE in time cancels the removal.
#[tokio::test]
async fn a_framework_whose_stream_breaks_may_come_back_in_time() {
    let (server, address, agents) = start_recorded(Settings::default()).await;
    let mut framework = subscribed(address, Some("f"), 100.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(framework.call(address, launch(&offer, &[task("t", "a1", 1.0)])).await.status, 202); // refuses the rest
    server.command(Command::AddAgent(agent("a2").into())).await.unwrap();
    framework.stream.event_of("OFFERS").await; // of a2, left unanswered
    framework.stream = Client::connect(address).await; // its own connection ends
    bounded("403", async { while framework.call(address, json!({"type": "REVIVE"})).await.status != 403 {} }).await;
    let mut other = subscribed(address, None, 0.0).await;
    let mut agents_offered = Vec::new();
    while agents_offered.len() < 2 {
        for offer in other.stream.event_of("OFFERS").await["offers"]["offers"].as_array().unwrap() {
            agents_offered.push(offer["agent_id"]["value"].as_str().unwrap().to_owned());
        }
    }
    agents_offered.sort_unstable();
    assert_eq!(agents_offered, ["a1", "a2"], "its offers have returned");
    drop(other);

    let mut back = subscribed(address, Some("f"), 100.0).await;
    assert_eq!(back.stream.event().await.unwrap()["type"], "HEARTBEAT", "nothing of before");
    let mut cpus = Vec::new();
    while cpus.len() < 2 {
        for offer in back.stream.event_of("OFFERS").await["offers"]["offers"].as_array().unwrap() {
            cpus.push(offer["resources"][0]["scalar"]["value"].clone());
        }
    }
    assert!(cpus.contains(&json!(3.0)), "what it refused, too: {cpus:?}");
    assert!(agents.0.lock().unwrap().iter().all(|message| !matches!(message, AgentMessage::ShutdownFramework { .. })));
}

/// After `failover_timeout`, by default 0 and so at once, it is removed and its tasks are killed.
#[tokio::test]
async fn a_framework_that_does_not_come_back_is_removed() {
    for failover_timeout in [0.0, 0.2] {
        let (server, address, agents) = start_recorded(Settings::default()).await;
        let mut framework = subscribed(address, Some("f"), failover_timeout).await;
        let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
        assert_eq!(framework.call(address, launch(&offer, &[task("t", "a1", 1.0)])).await.status, 202);
        framework.stream = Client::connect(address).await;
        let shut_down = |message: &AgentMessage| match message {
            AgentMessage::ShutdownFramework { framework, .. } => Some(framework.to_string()),
            _ => None,
        };
        assert_eq!(agents.wait("a shutdown", shut_down).await, "f", "{failover_timeout}");
        assert_eq!(framework.call(address, json!({"type": "REVIVE"})).await.status, 400);
        assert_eq!(refusal(address, "f").await.as_deref(), Some("Framework has been removed"));
        assert!(server.query(|master| master.has_removed(&"f".into())).await.unwrap());
    }
}
