//! Ids, second streams, refusals, and where an agent is reached.

use crate::scripted::{
    brief, post, register, registered, reregister, start, subscribed, subscription, task, update, without_pings,
};
use crate::wire::{Client, ask, get};
use apportion::{Agent, Command};
use apportion_http::{Leadership, Server, Settings, SimulatedAgents};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

#[tokio::test]
async fn an_agent_gets_an_id_and_is_offered() {
    let (_server, address) = start(without_pings()).await;
    let agent = registered(address, &register(1)).await;
    assert_eq!((agent.id.as_str(), &agent.welcome["type"]), ("M-S0", &json!("REGISTERED")));
    let body = &agent.welcome["body"];
    assert_eq!(body["ping_interval"], json!({"nanoseconds": 3_600_000_000_000_u64}));
    assert_eq!(body["max_ping_timeouts"], 5);
    assert!(body["epoch"].as_u64().unwrap() > 0);

    let mut framework = subscribed(address, &subscription("f1", false, &[])).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(offer["hostname"], "host-7");
    let expected = json!({"hostname": "host-7", "ip": "127.0.0.7", "port": 5051});
    assert_eq!(offer["url"]["address"], expected, "{offer}");
    let slaves: Json = serde_json::from_slice(&get(address, "/slaves").await.body).unwrap();
    assert_eq!(slaves["slaves"][0]["pid"], "slave(1)@127.0.0.7:5051");
    assert_eq!(slaves["slaves"][0]["hostname"], "host-7");
    let (_, agents) = ask(address, json!({"type": "GET_AGENTS"})).await;
    let agent = &agents["get_agents"]["agents"][0];
    assert_eq!((&agent["pid"], &agent["agent_info"]["port"]), (&json!("slave(1)@127.0.0.7:5051"), &json!(5051)));
}

#[tokio::test]
async fn a_repeated_registration_with_one_nonce_gets_the_same_id() {
    let (server, address) = start(without_pings()).await;
    let first = registered(address, &register(1)).await;
    let again = registered(address, &register(1)).await;
    let other = registered(address, &register(2)).await;
    assert_eq!((first.id.as_str(), again.id.as_str(), other.id.as_str()), ("M-S0", "M-S0", "M-S1"));
    assert_ne!(first.stream_id, again.stream_id);
    assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_second_stream_ends_the_first() {
    let (_server, address) = start(without_pings()).await;
    let first = registered(address, &register(1)).await;
    let id = first.id.clone();
    let first_id = first.stream_id.clone();
    let second = registered(address, &reregister(&id, &[], &[])).await;
    assert_eq!(second.welcome["type"], "REREGISTERED");
    assert_eq!(first.rest().await, Vec::<String>::new());
    let stale = post(address, Some(&first_id), &json!({"type": "UNREGISTER"})).await.answer().await.unwrap();
    assert_eq!(stale.status, 400);
    assert!(stale.text().contains("stream id"), "{}", stale.text());
    second.tell("PONG", json!({"seq": 1})).await;
}

#[tokio::test]
async fn an_unknown_id_is_taken_as_it_is() {
    let (server, address) = start(without_pings()).await;
    let agent = registered(address, &reregister("of-before-S4", &[], &[])).await;
    assert_eq!((agent.id.as_str(), &agent.welcome["type"]), ("of-before-S4", &json!("REREGISTERED")));
    assert!(server.query(|master| master.agent(&"of-before-S4".into()).is_some()).await.unwrap());
}

#[tokio::test]
async fn a_refused_registration_says_why_and_changes_nothing() {
    let (server, address) = start(without_pings()).await;
    server.command(Command::AddAgent(Agent::new("local", "cpus:1".parse().unwrap()).into())).await.unwrap();
    let twice = reregister("x", &[], &[json!({}), json!({})]);
    let mut invalid = register(1);
    invalid["body"]["agent_info"]["resources"][0]["scalar"]["value"] = json!(-1);
    for call in [twice, invalid] {
        assert_eq!(post(address, None, &call).await.answer().await.unwrap().status, 400, "{call}");
    }
    for id in ["local", "", "a/b"] {
        let mut stream = post(address, None, &reregister(id, &[], &[])).await;
        assert_eq!(stream.head().await.unwrap().status, 200);
        let event = stream.event().await.unwrap();
        assert_eq!(event["type"], "ERROR", "{id}: {event}");
        assert_eq!(stream.event().await, None, "{id}: the stream ends");
    }
    assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 1);
}

#[tokio::test]
async fn agents_of_the_program_and_of_the_network_stand_beside_each_other() {
    let server = Server::start(without_pings(), SimulatedAgents::new(7));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    let local = SimulatedAgents::agent(3, &"cpus:4;mem:1024".parse().unwrap());
    server.command(Command::AddAgent(local.into())).await.unwrap();
    let mut remote = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", false, &[])).await;
    let offers = framework.stream.event_of("OFFERS").await["offers"]["offers"].clone();
    let places: Vec<(&str, &Json)> = offers
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| (offer["agent_id"]["value"].as_str().unwrap(), &offer["url"]["address"]["ip"]))
        .collect();
    assert_eq!(places, [("agent-3", &json!("127.0.0.5")), ("M-S0", &json!("127.0.0.7"))]);
    for offer in offers.as_array().unwrap() {
        let agent = offer["agent_id"]["value"].as_str().unwrap();
        let task = task(agent, agent);
        let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [
            {"type": "LAUNCH", "launch": {"task_infos": [task]}}]}});
        assert_eq!(framework.call(address, accept).await.status, 202);
    }
    assert_eq!(remote.event("RUN").await["task"]["task_id"], json!({"value": "M-S0"}));
    assert_eq!(brief(&update(&mut framework).await).0, "agent-3", "the simulated agent runs the other one");
}

#[tokio::test]
async fn an_agent_on_a_machine_that_is_down_is_refused_until_that_is_up() {
    let (_server, address) = start(without_pings()).await;
    let machine = json!([{"hostname": "host-7", "ip": "127.0.0.7"}]);
    let window = json!({"windows": [{"machine_ids": machine, "unavailability": {"start": {"nanoseconds": 5}}}]});
    let update = json!({"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": window}});
    assert_eq!(ask(address, update).await.0, 200);
    let agent = registered(address, &register(1)).await;
    let start = json!({"type": "START_MAINTENANCE", "start_maintenance": {"machines": machine}});
    assert_eq!(ask(address, start).await.0, 200);
    let id = agent.id.clone();
    assert_eq!(agent.rest().await, Vec::<String>::new(), "it is removed");
    let mut refused = post(address, None, &reregister(&id, &[], &[])).await;
    refused.head().await.unwrap();
    let event = refused.event().await.unwrap();
    assert!(event["body"]["message"].as_str().unwrap().contains("down for maintenance"), "{event}");
    let stop = json!({"type": "STOP_MAINTENANCE", "stop_maintenance": {"machines": machine}});
    assert_eq!(ask(address, stop).await.0, 200);
    assert_eq!(registered(address, &reregister(&id, &[], &[])).await.welcome["type"], "REREGISTERED");
}

#[tokio::test]
async fn other_masters_answer_as_they_do_to_schedulers() {
    let (server, address) = start(Settings::default()).await;
    server.set_leadership(Leadership::Recovering);
    assert_eq!(post(address, None, &register(1)).await.answer().await.unwrap().status, 503);
    server.set_leadership(Leadership::Standby(Some("m2:5050".to_owned())));
    let moved = post(address, None, &register(1)).await.answer().await.unwrap();
    assert_eq!((moved.status, moved.header("location")), (307, Some("//m2:5050/internal/v1/agent")));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let (_server, address) = start(without_pings().max_request_body(10_000)).await;
    let mut call = register(1);
    call["body"]["padding"] = json!("x".repeat(10_000));
    assert_eq!(post(address, None, &call).await.answer().await.unwrap().status, 413);
    let mut get = Client::connect(address).await;
    get.send("GET /internal/v1/agent HTTP/1.1\r\nHost: m\r\n\r\n").await;
    assert_eq!(get.answer().await.unwrap().status, 405);
}
