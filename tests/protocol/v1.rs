//! The rules of v1 JSON, one by one.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use apportion::executor;
use apportion::v1::{Dialect, ExecutorCall, SchedulerCall, V1Error};
use apportion::{
    Accept, Call, Capability, Event, ExecutorInfo, Failure, Filters, Framework, InverseOffer, Offer, Operation,
    OperationState, OperationStatus, Quantities, Resources, Role, Scalar, Task, TaskId, TaskRef, TaskState, TaskStatus,
    Time, Unavailability, Uuid,
};
use serde_json::{Value as Json, json};
use std::time::Duration;

fn role(name: &str) -> Role {
    Role::new(name).unwrap()
}

fn offer(resources: &str) -> Offer {
    Offer::new("O1", "f1", role("web"), "a1", resources.parse().unwrap())
}

fn read(json: &Json) -> Result<Call, V1Error> {
    Dialect::default().decode::<SchedulerCall>(json.to_string()).map(|call| call.call)
}

/// A call of `f1`.
fn call(kind: &str, body: Json) -> Json {
    json!({"type": kind, "framework_id": {"value": "f1"}, kind.to_lowercase(): body})
}

#[test]
fn messages_are_compact_with_points_in_doubles_and_whole_numbers_as_they_are() {
    let event = Event::Offers(vec![offer("cpus:4;ports:[31000-32000];zones:{a}")]);
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        concat!(
            r#"{"type":"OFFERS","offers":{"offers":[{"id":{"value":"O1"},"framework_id":{"value":"f1"},"#,
            r#""agent_id":{"value":"a1"},"hostname":"a1","allocation_info":{"role":"web"},"resources":["#,
            r#"{"name":"cpus","type":"SCALAR","scalar":{"value":4.0},"allocation_info":{"role":"web"}},"#,
            r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":32000}]},"#,
            r#""allocation_info":{"role":"web"}},"#,
            r#"{"name":"zones","type":"SET","set":{"item":["a"]},"allocation_info":{"role":"web"}}]}]}}"#
        )
    );
    assert_eq!(serde_json::to_string(&Event::Heartbeat).unwrap(), r#"{"type":"HEARTBEAT"}"#);
}

#[test]
fn coming_in_some_things_are_as_good_as_others() {
    let decline = |body| read(&call("DECLINE", body)).unwrap();
    let plain = decline(json!({"offer_ids": [{"value": "O1"}], "filters": {"refuse_seconds": 7.5}}));
    assert_eq!(decline(json!({"offer_ids": {"value": "O1"}, "filters": {"refuse_seconds": "7.5"}})), plain);
    assert_eq!(decline(json!({"offer_ids": {"value": "O1"}, "filters": {"refuse_seconds": 7.5, "why": [1]}})), plain);
    let none = Call::Decline { offers: vec![], filters: Filters::default(), each: true };
    assert_eq!(decline(json!({"offer_ids": null, "filters": null})), none);
    assert_eq!(decline(json!({"filters": {"refuse_seconds": -1}})), none);
    let kill = |policy: Json| read(&call("KILL", json!({"task_id": {"value": "t"}, "kill_policy": policy}))).unwrap();
    assert_eq!(
        kill(json!({"grace_period": {"seconds": 2}})),
        kill(json!({"grace_period": {"nanoseconds": 2_000_000_000}}))
    );
}

#[test]
fn refused_with_the_place_of_what_is_wrong() {
    let offers = |ids: Json| call("DECLINE", json!({"offer_ids": ids}));
    let status = |uuid: &str| {
        json!({"type": "UPDATE", "framework_id": {"value": "f"}, "executor_id": {"value": "e"},
            "update": {"status": {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "uuid": uuid}}})
    };
    for (json, message) in [
        (offers(json!([{"value": 5}])), "decline.offer_ids[0].value: invalid type: a number, expected a string"),
        (offers(json!(["O1"])), "decline.offer_ids[0]: invalid type: string \"O1\", expected an object"),
        (json!({"type": 5, "framework_id": {"value": "f1"}}), "type: invalid type: a number, expected a string"),
        (
            call("DECLINE", json!({"filters": {"refuse_seconds": true}})),
            "decline.filters.refuse_seconds: invalid type: boolean `true`, expected f64",
        ),
        (
            call("KILL", json!({"task_id": {"value": "t"}, "kill_policy": {"grace_period": "1s"}})),
            "kill.kill_policy.grace_period: invalid type: string \"1s\", expected an object",
        ),
        (json!({"type": "FLY", "framework_id": {"value": "f1"}}), "expected 'type' to be present"),
        (json!({"type": "KILL", "framework_id": {"value": "f1"}}), "expected 'kill' to be present"),
        (json!({"type": "REVIVE"}), "expected 'framework_id' to be present"),
        (json!([]), "the message: invalid type: sequence, expected an object"),
    ] {
        assert_eq!(read(&json).unwrap_err().to_string(), message);
    }
    assert!(Dialect::default().decode::<ExecutorCall>(status("AAAAAAAAAAAAAAAAAAAAAA==").to_string()).is_err());
    assert!(Dialect::default().decode::<ExecutorCall>(status("l2ZBBQUFQcOyPbd7RSQ12Q==").to_string()).is_ok());
}

#[test]
fn numbers_that_are_passed_on_keep_their_digits() {
    let dialect = Dialect::default();
    for text in [
        r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"t1"},"state":"TASK_RUNNING","load":[1.50,0.12345678901234567890,1E+3]}}}"#,
        r#"{"type":"SOMETHING_NEW","something_new":{"share":0.10}}"#,
    ] {
        let event: Event = dialect.decode(text).unwrap();
        assert_eq!(dialect.encode(&event), text);
    }
}

#[test]
fn an_unknown_event_is_kept_as_it_came() {
    let json = json!({"type": "NOVELTY", "novelty": {"a": [1, 2.5]}});
    let event: Event = serde_json::from_value(json.clone()).unwrap();
    assert!(matches!(event, Event::Unknown(_)));
    assert_eq!(serde_json::to_value(&event).unwrap(), json);
}

#[test]
fn capabilities_say_how_roles_and_reservations_are_told() {
    let one = Framework::new("f1").role(role("web"));
    let several = one.clone().capability(Capability::MultiRole);
    let refined = one.clone().capability(Capability::ReservationRefinement);
    let all = several.clone().capability(Capability::ReservationRefinement);
    let event = Event::Offers(vec![offer("cpus:1;cpus(web):2")]);
    for (framework, roles, old) in
        [(one, false, true), (several, true, true), (refined, false, false), (all, true, false)]
    {
        let dialect = Dialect::of(&framework);
        let json: Json = serde_json::from_str(&dialect.encode(&event)).unwrap();
        let offer = &json["offers"]["offers"][0];
        assert_eq!(offer.get("allocation_info").is_some(), roles);
        let [free, reserved] = [0, 1].map(|i| offer["resources"][i].clone());
        assert_eq!(free.get("allocation_info").is_some(), roles);
        assert_eq!(free.get("role"), old.then(|| json!("*")).as_ref());
        assert_eq!(reserved.get("role"), old.then(|| json!("web")).as_ref());
        assert_eq!(reserved.get("reservations").is_some(), !old);
        assert_eq!(dialect.decode::<Event>(dialect.encode(&event)).unwrap(), event);
    }
    let two = Framework::new("f1").role(role("a")).role(role("b"));
    assert_eq!(Dialect::of(&two).decode::<Event>(Dialect::of(&two).encode(&event)).unwrap(), event);
}

#[test]
fn a_group_names_its_executor_once() {
    let executor = ExecutorInfo::new("e1").detail("type", "CUSTOM");
    let task = |id: &str| Task::new(id, "cpus:1".parse().unwrap()).detail("executor", executor.clone());
    let accept = Accept::of(&offer("cpus:4")).launch_group([task("t1"), task("t2")]);
    let json = serde_json::to_value(Call::Accept(accept.clone())).unwrap();
    let group = &json["accept"]["operations"][0]["launch_group"];
    assert_eq!(group["executor"]["executor_id"], json!({"value": "e1"}));
    assert!(group["task_group"]["tasks"][0].get("executor").is_none());
    let Call::Accept(back) = serde_json::from_value(json).unwrap() else { panic!("an accept") };
    assert_eq!(back.operations, accept.operations);
    assert_eq!(ExecutorInfo::of(back.tasks().last().unwrap()).unwrap(), Some(executor));
}

/// One of each kind of message, with every field that it may have.
fn all_calls() -> Vec<Call> {
    let mut request = apportion::Request::offers(2).each("cpus:1".parse().unwrap());
    request.if_suppressed = true;
    let uuid = Uuid::from_seed(1, 1);
    let mut framework = Framework::new("f1").role(role("web")).role(role("ops")).capability(Capability::MultiRole);
    framework = framework.capability(Capability::PartitionAware).suppressed(role("ops"));
    framework.user = Some("root".into());
    framework.name = Some("the framework".into());
    let minimum: Quantities = [("cpus", Scalar::milli(1500))].into_iter().collect();
    framework.offer_filters.insert(role("web"), vec![minimum]);
    let volume = |text: &str| {
        let json = json!([{"name": "disk", "type": "SCALAR", "scalar": {"value": 10.0},
            "reservations": [{"type": "DYNAMIC", "role": "web"}],
            "disk": {"persistence": {"id": text}, "volume": {"container_path": "d", "mode": "RW"}}}]);
        serde_json::from_value::<Resources>(json).unwrap()
    };
    let one = || Box::new(volume("v").iter().next().unwrap().clone());
    let mut accept = Accept::of(&offer("cpus:4")).launch(Task::new("t1", "cpus:1".parse().unwrap()));
    accept = accept.then_with_feedback("op1", Operation::Reserve("cpus(web):1".parse().unwrap()));
    accept = accept.then(Operation::Unreserve("cpus(web):1".parse().unwrap())).then(Operation::Create(volume("v")));
    accept = accept.then(Operation::Destroy(volume("v")));
    accept = accept.then(Operation::GrowVolume { volume: one(), addition: one() });
    accept = accept.then(Operation::ShrinkVolume { volume: one(), subtract: Scalar::milli(2500) });
    accept.each = true; // over a connection an answer may cross a rescind
    accept.agent = None; // what an answer says of its agent stands in its tasks
    let (offers, filters) = (vec!["O1".into(), "O2".into()], Filters::refuse_for(Duration::from_millis(1500)));
    let mut kill = apportion::Kill::from(TaskId::from("t1"));
    (kill.agent, kill.grace) = (Some("a1".into()), Some(Duration::from_millis(1)));
    vec![
        Call::Subscribe(Box::new(framework.clone())),
        Call::Accept(accept.refuse_rest_for(Duration::from_secs(9))),
        Call::Decline { offers: offers.clone(), filters, each: true },
        Call::AcceptInverseOffers { offers: offers.clone(), filters, each: true },
        Call::DeclineInverseOffers { offers, filters: Filters::NONE, each: true },
        Call::Suppress(vec![role("web")]),
        Call::Revive(vec![]),
        Call::Kill(kill),
        Call::Reconcile(None),
        Call::Reconcile(Some(vec![TaskRef::on("t1", "a1"), TaskId::from("t2").into()])),
        Call::Acknowledge { agent: "a1".into(), task: "t1".into(), uuid },
        Call::AcknowledgeOperation { agent: None, operation: "op1".into(), uuid },
        Call::ReconcileOperations(vec![]),
        Call::Message { agent: "a1".into(), executor: "e1".into(), data: vec![0, 255] },
        Call::Shutdown { agent: "a1".into(), executor: "e1".into() },
        Call::from(request),
        Call::UpdateFramework(Box::new(framework)),
        Call::Teardown,
    ]
}

#[test]
fn every_call_is_read_as_it_was_written() {
    for call in all_calls() {
        let said = SchedulerCall::new("f1", call);
        let json = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<SchedulerCall>(&json).unwrap(), said, "{json}");
        let alone = serde_json::to_string(&said.call).unwrap();
        assert_eq!(serde_json::from_str::<Call>(&alone).unwrap(), said.call, "{alone}");
    }
}

#[test]
fn every_event_is_read_as_it_was_written() {
    let window = Unavailability { start: Time::from_micros(1_500_000), duration: Some(Duration::from_secs(60)) };
    let mut status = TaskStatus::new("t1", TaskState::Failed).reason("REASON_TASK_INVALID").message("no");
    (status.agent, status.executor) = (Some("a1".into()), Some("e1".into()));
    (status.uuid, status.healthy, status.timestamp) = (Some(Uuid::from_seed(1, 2)), Some(false), Some(1.25));
    status.data = Some(b"bytes".to_vec());
    let mut operation = OperationStatus::new("op1", OperationState::Finished);
    operation.uuid = Some(Uuid::from_seed(1, 3));
    let mut given = offer("cpus:1;cpus(web):2;ports:[1-2,4-5]");
    given.unavailability = Some(window);
    given.executors = vec!["e1".into()];
    given.attributes = "rack:r1;level:2.5;span:[1-5]".parse().unwrap();
    for event in [
        Event::Subscribed(apportion::scheduler::Subscribed::new("f1")),
        Event::Offers(vec![given]),
        Event::InverseOffers(vec![InverseOffer::new("I1", "f1", "a1", window)]),
        Event::Rescind("O1".into()),
        Event::RescindInverseOffer("I1".into()),
        Event::Update(status.clone()),
        Event::UpdateOperation(operation),
        Event::Message { agent: "a1".into(), executor: "e1".into(), data: vec![1, 2, 3] },
        Event::Failure(Failure::of_agent("a1")),
        Event::Failure(Failure::of_executor("a1", "e1", 1792)),
        Event::Error("no".to_owned()),
        Event::Heartbeat,
    ] {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
    }
    let mut task = Task::new("t1", "cpus:1".parse().unwrap()).detail("data", "AAAA");
    (task.agent, task.role) = (Some("a1".into()), Some(role("web")));
    for event in [
        executor::Event::Subscribed(Box::new(executor::Subscribed::new(ExecutorInfo::new("e1")))),
        executor::Event::Launch(task.clone()),
        executor::Event::LaunchGroup(vec![task.clone()]),
        executor::Event::Kill { task: "t1".into(), grace: Some(Duration::from_secs(3)) },
        executor::Event::Acknowledged { task: "t1".into(), uuid: Uuid::from_seed(1, 4) },
        executor::Event::Message(vec![]),
        executor::Event::Shutdown,
        executor::Event::Error("no".to_owned()),
        executor::Event::Heartbeat,
    ] {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<executor::Event>(&json).unwrap(), event, "{json}");
    }
    for call in [
        executor::Call::Subscribe { tasks: vec![task], updates: vec![status.clone()] },
        executor::Call::Update(Box::new(status)),
        executor::Call::Message(b"hello".to_vec()),
        executor::Call::Heartbeat,
    ] {
        let said = ExecutorCall::new("f1", "e1", call);
        let json = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<ExecutorCall>(&json).unwrap(), said, "{json}");
    }
}

#[test]
fn what_is_invalid_in_a_call_is_kept_for_the_master() {
    let task = json!({"name": "t", "task_id": {"value": "t9"}, "agent_id": {"value": "a1"},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": -1.0}}]});
    let volume = json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}});
    let reserve = json!({"type": "RESERVE", "reserve": {"resources": [task["resources"][0]]}});
    let shrink = json!({"type": "SHRINK_VOLUME", "shrink_volume": {"volume": volume, "subtract": {"value": -1.0}}});
    let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let accept = call("ACCEPT", json!({"offer_ids": [{"value": "O1"}], "operations": [launch, reserve, shrink]}));
    let info = json!({"user": "", "name": "n", "roles": ["a b"], "capabilities": [{"type": "MULTI_ROLE"}]});
    let subscribe = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
    for json in [accept, call("REVIVE", json!({"roles": ["a b"]})), subscribe] {
        let mut read = read(&json).unwrap();
        let said = SchedulerCall::new(if json.get("framework_id").is_some() { "f1" } else { "" }, read.clone());
        if let Call::Accept(accept) = &mut read {
            let invalid = accept.tasks().next().unwrap().invalid.clone().unwrap();
            assert!(invalid.error.contains("-1"), "{}", invalid.error);
            let failed = |name| {
                move |operation: &Operation| matches!(operation, Operation::Invalid { .. }) && operation.name() == name
            };
            assert!(
                accept.operations.iter().any(failed("reserve"))
                    && accept.operations.iter().any(failed("shrink_volume"))
            );
        } else {
            assert!(matches!(&read, Call::Invalid { form, .. } if form.error.contains("a b")), "{read:?}");
        }
        assert_eq!(serde_json::to_value(&said).unwrap(), json);
    }
}

#[test]
fn empty_offer_constraints_are_written_as_they_came() {
    for constraints in [None, Some(json!({})), Some(json!({"role_constraints": {}}))] {
        let mut body = json!({"framework_info": {"user": "u", "name": "n", "id": {"value": "f1"}}});
        if let Some(constraints) = &constraints {
            body["offer_constraints"] = constraints.clone();
        }
        let written =
            Dialect::default().encode(&SchedulerCall::new("f1", read(&call("UPDATE_FRAMEWORK", body)).unwrap()));
        let written: Json = serde_json::from_str(&written).unwrap();
        assert_eq!(written["update_framework"].get("offer_constraints"), constraints.as_ref());
    }
}

#[test]
fn large_fractions_come_back() {
    let resources: Resources = "cpus:8900000000000.001".parse().unwrap();
    let launch =
        Call::Accept(Accept::to(["O1".into()]).each().then(Operation::Launch(vec![Task::new("t1", resources)])));
    let mut framework = Framework::new("f1").role(role("web"));
    let minimum = Quantities::from_iter([("cpus", Scalar::milli(8_900_000_000_000_001))]);
    framework.offer_filters.insert(role("web"), vec![minimum]);
    for sent in [launch, Call::UpdateFramework(Box::new(framework))] {
        let dialect = Dialect::default();
        let json = dialect.encode(&SchedulerCall::new("f1", sent.clone()));
        assert_eq!(dialect.decode::<SchedulerCall>(json).unwrap().call, sent);
    }
}

#[test]
fn a_key_twice_is_refused() {
    let text = r#"{"type":"TEARDOWN","framework_id":{"value":"f1"},"type":"TEARDOWN"}"#;
    let error = Dialect::default().decode::<SchedulerCall>(text).unwrap_err();
    assert!(error.to_string().contains("duplicate field `type`"), "{error}");
}
