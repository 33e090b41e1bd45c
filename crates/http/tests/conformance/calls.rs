//! Section 2: the checks of a call in their order, and what becomes of a call that passes them.

use crate::wire::{Client, start, subscribe, subscribed};
use crate::{agent, call, launch, post, request, start_recorded, task};
use apportion::Command;
use apportion::delivery::AgentMessage;
use apportion_http::{Authentication, Leadership, Realm, Settings};
use serde_json::{Value as Json, json};

const NO_STREAM: &str = "Mesos-Stream-Id: 00000000-0000-4000-8000-000000000000\r\n";

fn revive(framework: &str) -> Json {
    json!({"type": "REVIVE", "framework_id": {"value": framework}})
}

/// The first check that fails answers: each request fails all checks after the one that it is for, too.
#[tokio::test]
async fn the_checks_come_in_this_order() {
    let file = r#"{"credentials":[{"principal":"me","secret":"1"}]}"#;
    let authentication = Authentication::from_json(file).unwrap().asking(Realm::Scheduler);
    let (server, address) = start(Settings::default().authentication(authentication)).await;
    server.set_leadership(Leadership::Standby(Some("m2:5050".to_owned())));
    let path = "/api/v1/scheduler";
    let me = "Authorization: Basic bWU6MQ==\r\n";
    let answer = request(address, "GET", path, "").await;
    assert_eq!(answer.status, 401, "1: credentials");
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"mesos-master-scheduler\""));
    assert_eq!(request(address, "GET", path, me).await.status, 307, "2: the leader");
    server.set_leadership(Leadership::Recovering);
    assert_eq!(request(address, "GET", path, me).await.status, 503, "3: it has read what it has to know");
    server.set_leadership(Leadership::Leading);
    let answer = request(address, "PUT", path, me).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "4: the method");
    assert_eq!(post(address, path, &format!("{me}Content-Type: text/xml\r\n"), "{").await.status, 415, "5: the type");
    let all_wrong = format!("{me}Accept: text/html\r\n{NO_STREAM}");
    assert_eq!(call(address, &all_wrong, &json!({"type": "SUBSCRIBE"})).await.status, 400, "6: the body");
    assert_eq!(call(address, &all_wrong, &subscribe(None, 0.0)).await.status, 406, "7: what is accepted");
    assert_eq!(call(address, &format!("{me}{NO_STREAM}"), &subscribe(None, 0.0)).await.status, 400, "7: no stream yet");
    assert_eq!(call(address, &all_wrong, &revive("nobody")).await.status, 400, "8: the framework");
    assert_eq!(call(address, me, &subscribe(Some("f"), 100.0)).await.status, 200); // whose connection ends
    while call(address, me, &revive("f")).await.status != 403 {} // 9: without a stream, the id of one is not looked at
    let stream = subscribe(Some("f"), 100.0);
    let mut open = Client::connect(address).await;
    open.post(me, &stream).await;
    let id = open.head().await.unwrap().header("mesos-stream-id").unwrap().to_owned();
    assert_eq!(call(address, me, &revive("f")).await.status, 400, "10: the id of the stream");
    assert_eq!(call(address, &format!("{me}mesos-STREAM-id: {id}\r\n"), &revive("f")).await.status, 202, "11");
}

/// Checks 5 and 6: what is unreadable, lacks something or has a value of a wrong kind is 400, and says where.
#[tokio::test]
async fn a_call_that_is_malformed_is_answered_with_its_place() {
    let (_server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 0.0).await;
    let headers = format!("Content-Type: application/json\r\nMesos-Stream-Id: {}\r\n", framework.stream_id);
    let id = json!({"value": framework.id});
    let info = json!({"user": "u", "name": "n"});
    let status = |uuid: &str| json!({"agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": uuid});
    for (body, place) in [
        (json!([]), ""),
        (json!({}), "type"),
        (json!({"type": "FLY", "framework_id": id}), "type"),
        (json!({"type": "subscribe", "subscribe": {"framework_info": info}}), "type"),
        (json!({"type": 3, "framework_id": id}), "type"),
        (json!({"type": "REVIVE"}), "framework_id"),
        (json!({"type": "REVIVE", "framework_id": "f"}), "framework_id"),
        (json!({"type": "REVIVE", "framework_id": {}}), "value"),
        (json!({"type": "SUBSCRIBE"}), "subscribe"),
        (json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u"}}}), "name"),
        (json!({"type": "SUBSCRIBE", "framework_id": {"value": "x"}, "subscribe": {"framework_info": info}}), "id"),
        (json!({"type": "ACCEPT", "framework_id": id}), "accept"),
        (json!({"type": "KILL", "framework_id": id, "kill": {}}), "task_id"),
        (json!({"type": "ACKNOWLEDGE", "framework_id": id, "acknowledge": status("AA==")}), "uuid"),
        (json!({"type": "ACKNOWLEDGE", "framework_id": id, "acknowledge": status("no base64")}), "uuid"),
        (json!({"type": "DECLINE", "framework_id": id, "decline": {"offer_ids": [5]}}), "offer_ids"),
        (
            json!({"type": "DECLINE", "framework_id": id, "decline": {"filters": {"refuse_seconds": "1s"}}}),
            "refuse_seconds",
        ),
    ] {
        let without_stream = if body["type"] == "SUBSCRIBE" { "Content-Type: application/json\r\n" } else { &headers };
        let answer = post(address, "/api/v1/scheduler", without_stream, body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(place), "{body}: {}", answer.text());
    }
    for unreadable in ["", "{", "{\"type\":\"REVIVE\"} x", "\u{feff}{}", "null", "\"REVIVE\""] {
        assert_eq!(post(address, "/api/v1/scheduler", &headers, unreadable).await.status, 400, "{unreadable}");
    }
    assert_eq!(post(address, "/api/v1/scheduler", &headers, b"{\"type\":\"\xff\"}").await.status, 400);
}

/// What Mesos' reader takes too: `null`, numbers and truths as text, one object for a list, unknown fields and names.
#[tokio::test]
async fn json_is_read_leniently() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let mut lenient = task("t", "a1", 1.0);
    lenient["resources"] = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": "1"}, "role": null},
        {"name": "ports", "type": "RANGES", "ranges": {"range": {"begin": "31000", "end": 31000}}}]);
    lenient["command"] = json!({"value": "true", "shell": "true", "user": null, "unknown": {"a": [1, {}]}});
    lenient["labels"] = json!({"labels": {"key": "one", "value": "label"}});
    lenient["container"] = json!({"type": "OF_THE_FUTURE"});
    assert_eq!(framework.call(address, launch(&offer, &[lenient])).await.status, 202);
    let reconcile = json!({"type": "RECONCILE", "reconcile": {}, "accept": null, "unknown": 1});
    assert_eq!(framework.call(address, reconcile).await.status, 202);
    let status = framework.stream.event_of("UPDATE").await["update"]["status"].clone();
    assert_eq!((&status["task_id"]["value"], &status["state"]), (&json!("t"), &json!("TASK_STAGING")), "{status}");
}

/// Check 10: a 400 for the id of a stream says so.
#[tokio::test]
async fn a_wrong_stream_id_is_named() {
    let (_server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 0.0).await;
    for headers in ["", NO_STREAM, "Mesos-Stream-Id: \r\n"] {
        let answer = call(address, headers, &revive(&framework.id)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().to_lowercase().contains("stream id"), "{}", answer.text());
    }
}

/// Check 11: 202 and empty, nonsense too; it ends no stream. UPDATE_FRAMEWORK is 200.
#[tokio::test]
async fn what_comes_to_nothing_is_202_all_the_same() {
    let (_server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 0.0).await;
    framework.stream.event_of("OFFERS").await;
    let nobody = json!({"value": "nobody"});
    let uuid = "AQIDBAUGR4iJCgsMDQ4PEA==";
    let acknowledge = json!({"agent_id": nobody, "task_id": nobody, "uuid": uuid});
    for call in [
        json!({"type": "ACCEPT", "accept": {"offer_ids": [nobody], "operations": []}}),
        json!({"type": "ACCEPT", "accept": {"offer_ids": []}}),
        json!({"type": "DECLINE", "decline": {"offer_ids": []}}),
        json!({"type": "DECLINE", "decline": {"offer_ids": [nobody]}}),
        json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge}),
        json!({"type": "KILL", "kill": {"task_id": nobody, "agent_id": nobody}}),
        json!({"type": "SHUTDOWN", "shutdown": {"executor_id": nobody, "agent_id": nobody}}),
        json!({"type": "MESSAGE", "message": {"agent_id": nobody, "executor_id": nobody, "data": "AA=="}}),
        json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": nobody}]}}),
        json!({"type": "RECONCILE_OPERATIONS", "reconcile_operations": {"operations": []}}),
        json!({"type": "REQUEST", "request": {"requests": []}}),
        json!({"type": "SUPPRESS", "suppress": {"roles": ["not-held"]}}),
        json!({"type": "REVIVE", "revive": {"roles": ["not-held"]}}),
        json!({"type": "ACCEPT_INVERSE_OFFERS", "accept_inverse_offers": {"inverse_offer_ids": [nobody]}}),
        json!({"type": "DECLINE_INVERSE_OFFERS", "decline_inverse_offers": {"inverse_offer_ids": [nobody]}}),
    ] {
        let answer = framework.call(address, call.clone()).await;
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{call}: {}", answer.text());
    }
    let info = subscribe(Some(&framework.id), 0.0)["subscribe"]["framework_info"].clone();
    let update = json!({"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": info}});
    let answer = framework.call(address, update).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    let mut seen = Vec::new(); // until the answer to RECONCILE, and no ERROR
    while seen.last().is_none_or(|status: &Json| status["reason"] != "REASON_RECONCILIATION") {
        seen.push(framework.stream.event_of("UPDATE").await["update"]["status"].clone());
    }
}

/// Calls of a connection take effect in order, and are answered although events lie unread.
#[tokio::test]
async fn calls_take_effect_in_order_while_events_lie_unread() {
    let (_server, address, agents) = start_recorded(Settings::default()).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let headers = format!("Mesos-Stream-Id: {}\r\n", framework.stream_id);
    let mut client = Client::connect(address).await;
    let kill = json!({"type": "KILL", "kill": {"task_id": {"value": "t"}}});
    let reconcile = json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "t"}}]}});
    let mut calls = vec![launch(&offer, &[task("t", "a1", 1.0)]), kill];
    calls.extend(std::iter::repeat_n(reconcile, 500));
    for call in &mut calls {
        call["framework_id"] = json!({"value": framework.id});
        client.post(&headers, call).await;
    }
    for _ in &calls {
        assert_eq!(client.answer().await.unwrap().status, 202);
    }
    agents.wait("a kill", |message| matches!(message, AgentMessage::Kill { .. }).then_some(())).await;
    let told = agents.0.lock().unwrap();
    let launched = told.iter().position(|message| matches!(message, AgentMessage::Launch { .. }));
    let killed = told.iter().position(|message| matches!(message, AgentMessage::Kill { .. }));
    assert!(launched.is_some() && launched < killed, "{told:?}");
}

/// UPDATE_FRAMEWORK may not change principal, user and checkpoint; a new subscription's user and checkpoint are ignored.
#[tokio::test]
async fn some_of_a_framework_stays_as_it_was() {
    let (_server, address) = start(Settings::default()).await;
    let first = subscribed(address, Some("f"), 100.0).await;
    let update = |name: &str, value: Json| {
        let mut info = subscribe(Some("f"), 100.0)["subscribe"]["framework_info"].clone();
        info[name] = value;
        json!({"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": info}})
    };
    for (name, value) in [("principal", json!("other")), ("user", json!("other")), ("checkpoint", json!(true))] {
        let answer = first.call(address, update(name, value)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    for (name, value) in
        [("name", json!("other")), ("roles", json!(["other", "web"])), ("webui_url", json!("http://x"))]
    {
        assert_eq!(first.call(address, update(name, value)).await.status, 200, "{name}");
    }
    let mut again = subscribe(Some("f"), 100.0);
    again["subscribe"]["framework_info"]["user"] = json!("other");
    again["subscribe"]["framework_info"]["checkpoint"] = json!(true);
    let mut stream = Client::connect(address).await;
    stream.post("", &again).await;
    let id = stream.head().await.unwrap().header("mesos-stream-id").unwrap().to_owned();
    assert_eq!(stream.event().await.unwrap()["type"], "SUBSCRIBED");
    let headers = format!("Mesos-Stream-Id: {id}\r\n");
    for (name, value, expected) in [("user", json!("root"), 200), ("user", json!("other"), 400)] {
        let mut update = update(name, value);
        update["framework_id"] = json!({"value": "f"});
        assert_eq!(call(address, &headers, &update).await.status, expected, "the user is that of before");
    }
}

/// One bad task of two gets TASK_ERROR, and the other runs. An offer that an ACCEPT names is used up, whatever becomes of it.
#[tokio::test]
async fn each_task_of_an_accept_is_judged_by_itself() {
    let (_server, address, agents) = start_recorded(Settings::default()).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let tasks = [task("fits", "a1", 1.0), task("does-not", "a1", 100.0), task("elsewhere", "a2", 1.0)];
    assert_eq!(framework.call(address, launch(&offer, &tasks)).await.status, 202);
    for _ in 0..2 {
        let status = framework.stream.event_of("UPDATE").await["update"]["status"].clone();
        assert_ne!(status["task_id"]["value"], "fits", "{status}");
        assert_eq!((&status["state"], status.get("uuid")), (&json!("TASK_ERROR"), None), "{status}");
    }
    let launched = |message: &AgentMessage| match message {
        AgentMessage::Launch { task, .. } => Some(task.id.to_string()),
        _ => None,
    };
    assert_eq!(agents.wait("a launch", launched).await, "fits");
    // The offer is used up: a second ACCEPT of it launches nothing.
    assert_eq!(framework.call(address, launch(&offer, &[task("late", "a1", 1.0)])).await.status, 202);
    let status = framework.stream.event_of("UPDATE").await["update"]["status"].clone();
    assert_eq!((&status["task_id"]["value"], &status["state"]), (&json!("late"), &json!("TASK_LOST")), "{status}");
}

/// A decline of one rescinded and one live offer returns the live one.
#[tokio::test]
async fn a_decline_returns_what_is_live() {
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 0.0).await;
    let live = framework.stream.event_of("OFFERS").await["offers"]["offers"][0]["id"].clone();
    server.command(Command::AddAgent(agent("a2").into())).await.unwrap();
    let rescinded = framework.stream.event_of("OFFERS").await["offers"]["offers"][0]["id"].clone();
    server.command(Command::RemoveAgent("a2".into())).await.unwrap();
    framework.stream.event_of("RESCIND").await;
    let filters = json!({"refuse_seconds": 0});
    let decline = json!({"type": "DECLINE", "decline": {"offer_ids": [rescinded, live], "filters": filters}});
    assert_eq!(framework.call(address, decline).await.status, 202);
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    assert_eq!(offer["agent_id"]["value"], "a1", "again");
}
