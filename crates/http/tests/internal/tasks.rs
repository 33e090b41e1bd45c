//! Launches, statuses end to end, executors, messages and operations.

use crate::scripted::{
    brief, launch, register, registered, reported, reregister, start, subscribed, subscription, told, update, uuid,
    without_pings,
};
use crate::wire::ask;
use serde_json::{Value as Json, json};

#[tokio::test]
async fn statuses_go_end_to_end_and_their_acknowledgements_come_back() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &[])).await;
    launch(address, &mut framework, &["t1"]).await;
    let run = agent.event("RUN").await;
    assert_eq!(run["framework_info"]["checkpoint"], true);
    let task = &run["task"];
    assert_eq!((&task["task_id"], &task["agent_id"]), (&json!({"value": "t1"}), &json!({"value": "M-S0"})));
    assert_eq!(task["labels"], json!({"labels": [{"key": "k", "value": "v"}]}), "as it was sent");
    assert_eq!(task["resources"][0]["allocation_info"], json!({"role": "web"}));

    for (number, state) in [(1, "TASK_STARTING"), (2, "TASK_RUNNING"), (3, "TASK_FINISHED")] {
        agent.status("f1", "t1", state, number).await;
        let status = update(&mut framework).await;
        assert_eq!(brief(&status), told("t1", state, "", "SOURCE_EXECUTOR"));
        assert_eq!((&status["uuid"], &status["agent_id"]), (&uuid(number), &json!({"value": "M-S0"})));
        let acknowledge = json!({"type": "ACKNOWLEDGE", "acknowledge":
            {"agent_id": {"value": "M-S0"}, "task_id": {"value": "t1"}, "uuid": uuid(number)}});
        assert_eq!(framework.call(address, acknowledge).await.status, 202);
        let expected = json!({"framework_id": "f1", "task_id": "t1", "uuid": uuid(number)});
        assert_eq!(agent.event("ACKNOWLEDGE").await, expected);
    }
    // A second terminal update with an id of its own is told, too.
    agent.status("f1", "t1", "TASK_FAILED", 4).await;
    assert_eq!(brief(&update(&mut framework).await).1, "TASK_FAILED");
}

#[tokio::test]
async fn a_status_of_another_agents_task_changes_nothing() {
    let (server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &[])).await;
    launch(address, &mut framework, &["t1"]).await;
    agent.event("RUN").await;
    let liar = registered(address, &register(2)).await;
    liar.status("f1", "t1", "TASK_FAILED", 1).await;
    agent.status("f1", "t1", "TASK_RUNNING", 2).await;
    assert_eq!(brief(&update(&mut framework).await).1, "TASK_RUNNING");
    assert!(server.query(|master| master.known_task(&"f1".into(), &"t1".into()).is_some()).await.unwrap());
}

#[tokio::test]
async fn kills_messages_and_shutdowns_reach_the_agent() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &[])).await;
    launch(address, &mut framework, &["t1"]).await;
    agent.event("RUN").await;
    let kill = json!({"type": "KILL", "kill": {"task_id": {"value": "t1"},
        "kill_policy": {"grace_period": {"nanoseconds": 1_500_000_000_u64}}}});
    framework.call(address, kill).await;
    let expected = json!({"framework_id": "f1", "task_id": "t1", "grace_period": {"nanoseconds": 1_500_000_000_u64}});
    assert_eq!(agent.event("KILL").await, expected);
    let message = json!({"type": "MESSAGE", "message":
        {"agent_id": {"value": "M-S0"}, "executor_id": {"value": "e1"}, "data": "AAH/"}});
    framework.call(address, message).await;
    let expected = json!({"framework_id": "f1", "executor_id": "e1", "data": "AAH/"});
    assert_eq!(agent.event("MESSAGE").await, expected);
    agent.tell("MESSAGE", json!({"framework_id": "f1", "executor_id": "e1", "data": "/wAB"})).await;
    assert_eq!(framework.stream.event_of("MESSAGE").await["message"]["data"], "/wAB");
    let shutdown =
        json!({"type": "SHUTDOWN", "shutdown": {"agent_id": {"value": "M-S0"}, "executor_id": {"value": "e1"}}});
    framework.call(address, shutdown).await;
    assert_eq!(agent.event("SHUTDOWN_EXECUTOR").await, json!({"framework_id": "f1", "executor_id": "e1"}));
    agent.tell("EXECUTOR_EXITED", json!({"framework_id": "f1", "executor_id": "e1", "status": 1792})).await;
    let failure = framework.stream.event_of("FAILURE").await["failure"].clone();
    let expected = json!({"agent_id": {"value": "M-S0"}, "executor_id": {"value": "e1"}, "status": 1792});
    assert_eq!(failure, expected);
    framework.call(address, json!({"type": "TEARDOWN"})).await;
    assert_eq!(agent.event("SHUTDOWN_FRAMEWORK").await, json!({"framework_id": "f1"}));
}

#[tokio::test]
async fn a_kill_that_an_agent_may_not_have_got_is_sent_again_when_it_returns() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let info = subscription("f1", true, &[]);
    let mut framework = subscribed(address, &info).await;
    launch(address, &mut framework, &["sent", "kept", "late", "over"]).await;
    for (number, id) in (1..).zip(["sent", "kept", "late", "over"]) {
        agent.event("RUN").await;
        agent.status("f1", id, "TASK_RUNNING", number).await;
        update(&mut framework).await;
    }
    let kill = |id: &str| json!({"type": "KILL", "kill": {"task_id": {"value": id}}});
    framework.call(address, kill("sent")).await;
    framework.call(address, kill("over")).await;
    agent.event("KILL").await;
    agent.event("KILL").await;
    agent.status("f1", "over", "TASK_KILLED", 9).await;
    update(&mut framework).await;
    let id = agent.id.clone();
    drop(agent); // as if it had not read the kill
    framework.call(address, kill("late")).await;

    for attempt in 0..2 {
        let tasks = ["sent", "kept", "late"].map(|task| reported("f1", task, &id, "TASK_RUNNING"));
        let mut agent = registered(address, &reregister(&id, std::slice::from_ref(&info), &tasks)).await;
        let killed = [agent.event("KILL").await, agent.event("KILL").await];
        assert_eq!(killed.each_ref().map(|kill| &kill["task_id"]), [&json!("late"), &json!("sent")], "{attempt}");
        framework
            .call(
                address,
                json!({"type": "MESSAGE", "message":
            {"agent_id": {"value": &*id}, "executor_id": {"value": "e1"}, "data": "AAH/"}}),
            )
            .await;
        let next = agent.stream.event().await.unwrap();
        assert_eq!(next["type"], "MESSAGE", "no other task is killed");
    }
}

#[tokio::test]
async fn a_group_is_launched_as_one() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut framework = subscribed(address, &subscription("f1", true, &[])).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let tasks: Vec<Json> = ["a", "b"].iter().map(|id| crate::scripted::task(id, "M-S0")).collect();
    let executor = json!({"executor_id": {"value": "pod"}, "type": "DEFAULT", "framework_id": {"value": "f1"}});
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [
        {"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": tasks}}}]}});
    assert_eq!(framework.call(address, accept).await.status, 202);
    let group = agent.event("RUN_GROUP").await;
    let ids: Vec<&Json> = group["tasks"].as_array().unwrap().iter().map(|task| &task["task_id"]["value"]).collect();
    assert_eq!(ids, [&json!("a"), &json!("b")]);
    assert_eq!(group["tasks"][1]["executor"]["executor_id"], json!({"value": "pod"}));
}

#[tokio::test]
async fn a_launch_that_never_came_is_dropped_when_the_agent_returns() {
    let (_server, address) = start(without_pings()).await;
    for (number, capabilities, expected) in [(0, &["PARTITION_AWARE"][..], "TASK_DROPPED"), (1, &[], "TASK_LOST")] {
        let mut agent = registered(address, &register(number)).await;
        let name = format!("f{number}");
        let mut framework = subscribed(address, &subscription(&name, true, capabilities)).await;
        launch(address, &mut framework, &["t1"]).await;
        agent.event("RUN").await;
        let id = agent.id.clone();
        drop(agent); // as if it had not read the launch
        let _agent = registered(address, &reregister(&id, &[], &[])).await;
        let status = update(&mut framework).await;
        assert_eq!(brief(&status), told("t1", expected, "REASON_RECONCILIATION", "SOURCE_MASTER"));
        assert_eq!(status.get("uuid"), None);
        framework.call(address, json!({"type": "TEARDOWN"})).await;
    }
}

#[tokio::test]
async fn operations_are_kept_by_the_agent_and_its_total_counts() {
    let (server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let reserved = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0},
        "reservations": [{"type": "DYNAMIC", "role": "web", "principal": "ops"}]}]);
    let reserve = json!({"type": "RESERVE_RESOURCES", "reserve_resources":
        {"agent_id": {"value": "M-S0"}, "resources": reserved}});
    assert_eq!(ask(address, reserve).await.0, 202);
    let operation = agent.event("APPLY_OPERATION").await;
    assert_eq!(operation.get("framework_id"), None);
    assert_eq!(operation["operation"]["type"], "RESERVE");
    assert_eq!(operation["operation"]["reserve"]["resources"], reserved);

    let smaller = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 2.0}}]);
    agent.tell("UPDATE_RESOURCES", json!({ "resources": smaller })).await;
    let total = |master: &apportion::Master| master.known_agent(&"M-S0".into()).unwrap().total.to_string();
    assert_eq!(server.query(total).await.unwrap(), "cpus:2");
}

#[tokio::test]
async fn agents_hear_when_a_framework_changes() {
    let (_server, address) = start(without_pings()).await;
    let mut agent = registered(address, &register(1)).await;
    let mut info = subscription("f1", true, &[]);
    let framework = subscribed(address, &info).await;
    info["name"] = json!("renamed");
    let call = json!({"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": info}});
    assert_eq!(framework.call(address, call).await.status, 200);
    assert_eq!(agent.event("UPDATE_FRAMEWORK").await["framework_info"]["name"], "renamed");
    info["name"] = json!("again");
    let _again = subscribed(address, &info).await;
    assert_eq!(agent.event("UPDATE_FRAMEWORK").await["framework_info"]["name"], "again");
    // One that returns with an older description is told, too.
    let back = registered(address, &reregister("M-S0", &[subscription("f1", true, &[])], &[])).await;
    drop(agent);
    let mut back = back;
    assert_eq!(back.event("UPDATE_FRAMEWORK").await["framework_info"]["name"], "again");
}
