//! The agent's end of a connection.

use crate::scripted::{start, subscribed, subscription, update, without_pings};
use crate::wire::bounded;
use apportion::{Agent, TaskState, TaskStatus, Uuid};
use apportion_http::Leadership;
use apportion_http::client::Masters;
use apportion_http::internal::{AgentCall, AgentConnection, ConnectError, MasterEvent, Register};
use serde_json::json;

fn register() -> AgentCall {
    let agent = Agent::new("", "cpus:4;mem:1024".parse().unwrap()).hostname("host-1");
    AgentCall::Register(Box::new(Register::new(agent, ([127, 0, 0, 9], 5051).into(), Uuid::from_seed(3, 1))))
}

async fn next(connection: &mut AgentConnection) -> MasterEvent {
    bounded("an event", connection.next()).await.unwrap()
}

#[tokio::test]
async fn it_follows_a_redirect_to_the_leader() {
    let (standby, other) = start(without_pings()).await;
    let (_leader, address) = start(without_pings()).await;
    standby.set_leadership(Leadership::Standby(Some(address.to_string())));
    let (silent, nobody) = start(without_pings()).await;
    silent.set_leadership(Leadership::Standby(None));
    let masters = Masters::at([nobody.to_string(), other.to_string()]);
    let mut connection = AgentConnection::open(&masters, &register()).await.unwrap();
    assert_eq!(connection.master(), address.to_string());
    assert!(matches!(next(&mut connection).await, MasterEvent::Registered(_)));

    let error = AgentConnection::open(&Masters::at([nobody.to_string()]), &register()).await.unwrap_err();
    let ConnectError::NoLeader { tried } = &error else { panic!("{error}") };
    assert_eq!(tried.len(), 1);
    assert!(tried[0].why.starts_with("503"), "{error}");
}

#[tokio::test]
async fn calls_go_in_order_and_events_come() {
    let (_server, address) = start(without_pings()).await;
    let mut connection = AgentConnection::open(&Masters::at([address.to_string()]), &register()).await.unwrap();
    assert!(matches!(next(&mut connection).await, MasterEvent::Registered(_)));
    let mut framework = subscribed(address, &subscription("f1", true, &[])).await;
    crate::scripted::launch(address, &mut framework, &["t1"]).await;
    let MasterEvent::Run { task, framework_info } = next(&mut connection).await else { panic!("no launch") };
    assert_eq!((task.id.as_str(), framework_info.id.as_str()), ("t1", "f1"));
    for number in 0..100 {
        let mut status = TaskStatus::new("t1", TaskState::Running).message(number.to_string());
        status.uuid = Some(Uuid::from_seed(4, number));
        let latest_state = TaskState::Running;
        connection.calls().send(AgentCall::StatusUpdate { framework_id: "f1".into(), status, latest_state });
    }
    for number in 0..100 {
        assert_eq!(update(&mut framework).await["message"], json!(number.to_string()));
    }
}

#[tokio::test]
async fn it_ends_when_the_master_does_or_another_stream_follows() {
    let (server, address) = start(without_pings()).await;
    let masters = Masters::at([address.to_string()]);
    let mut first = AgentConnection::open(&masters, &register()).await.unwrap();
    assert!(matches!(next(&mut first).await, MasterEvent::Registered(_)));
    let mut second = AgentConnection::open(&masters, &register()).await.unwrap();
    assert!(matches!(next(&mut second).await, MasterEvent::Registered(_)));
    let ended = bounded("the end of the first", first.next()).await.unwrap_err();
    assert!(ended.why.contains("closed the stream"), "{ended}");
    assert!(first.next().await.is_err(), "it stays ended");

    second.calls().send(AgentCall::Unregister);
    bounded("the end of the second", second.next()).await.unwrap_err();
    assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_call_ends_it() {
    let (server, address) = start(without_pings()).await;
    let mut connection = AgentConnection::open(&Masters::at([address.to_string()]), &register()).await.unwrap();
    next(&mut connection).await;
    server.set_leadership(Leadership::Standby(None));
    connection.calls().send(AgentCall::Pong { seq: 1 });
    let ended = bounded("the end", connection.next()).await.unwrap_err();
    assert!(ended.why.contains("503"), "{ended}");
}
