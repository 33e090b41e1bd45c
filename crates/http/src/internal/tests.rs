use super::*;
use apportion::{Agent, Drain, ExecutorInfo, Framework, Operation, Role, Task, TaskState, TaskStatus, Uuid};
use serde_json::{Value, json};
use std::time::Duration;

fn task() -> Task {
    let executor = ExecutorInfo::new("e1").detail("command", json!({"value": "./run"}));
    let mut task = Task::new("t1", "cpus:0.1;mem:32;ports:[31000-31001]".parse().unwrap())
        .detail("labels", json!({"labels": [{"key": "exact", "value": "v"}]}))
        .detail("executor", executor);
    (task.agent, task.role) = (Some("a1".into()), Some(Role::new("web").unwrap()));
    task
}

fn framework() -> Framework {
    let mut framework = Framework::new("f1").role(Role::new("web").unwrap());
    framework.checkpoint = true;
    framework
}

fn calls() -> Vec<AgentCall> {
    let agent = Agent::new("a1", "cpus:4;mem(web):64".parse().unwrap()).hostname("h").attribute("rack", "r1");
    let registration = Register::new(agent, ([127, 0, 0, 2], 5051).into(), Uuid::from_seed(1, 1));
    let mut reported = ReportedTask::new("f1", task(), TaskState::Running);
    (reported.status_update_state, reported.status_update_uuid) =
        (Some(TaskState::Starting), Some(Uuid::from_seed(1, 2)));
    let mut back = Reregister::new(registration.clone());
    (back.frameworks, back.tasks, back.epoch) = (vec![framework()], vec![reported], 3);
    back.executors = vec![ReportedExecutor::new("f1", ExecutorInfo::new("e1"))];
    let mut status = TaskStatus::new("t1", TaskState::Failed).reason("REASON_EXECUTOR_TERMINATED");
    (status.uuid, status.data) = (Some(Uuid::from_seed(1, 3)), Some(vec![0, 255]));
    status.details.insert("container_status", json!({"container_id": {"value": "c"}}));
    vec![
        AgentCall::Register(Box::new(registration)),
        AgentCall::Reregister(Box::new(back)),
        AgentCall::Pong { seq: 7 },
        AgentCall::StatusUpdate { framework_id: "f1".into(), status, latest_state: TaskState::Failed },
        AgentCall::ExecutorExited { framework_id: "f1".into(), executor_id: "e1".into(), status: 1792 },
        AgentCall::Message { framework_id: "f1".into(), executor_id: "e1".into(), data: vec![0, 1, 255] },
        AgentCall::UpdateResources { resources: "cpus:2".parse().unwrap() },
        AgentCall::Unregister,
    ]
}

fn events() -> Vec<MasterEvent> {
    let welcome = Welcome::new("a1", 4, Duration::from_secs(15), 5);
    let mut drain = Drain::default();
    (drain.max_grace_period, drain.mark_gone) = (Some(Duration::from_millis(1500)), true);
    let kill = |grace_period| MasterEvent::Kill { framework_id: "f1".into(), task_id: "t1".into(), grace_period };
    vec![
        MasterEvent::Registered(welcome.clone()),
        MasterEvent::Reregistered(welcome),
        MasterEvent::Ping { seq: u64::MAX, connected: false },
        MasterEvent::Run { framework_info: framework(), task: task() },
        MasterEvent::RunGroup { framework_info: framework(), tasks: vec![task()] },
        kill(None),
        kill(Some(Duration::from_nanos(5))),
        MasterEvent::ShutdownExecutor { framework_id: "f1".into(), executor_id: "e1".into() },
        MasterEvent::ShutdownFramework { framework_id: "f1".into() },
        MasterEvent::Message { framework_id: "f1".into(), executor_id: "e1".into(), data: b"hello".to_vec() },
        MasterEvent::UpdateFramework { framework_info: framework() },
        MasterEvent::Acknowledge { framework_id: "f1".into(), task_id: "t1".into(), uuid: Uuid::from_seed(1, 3) },
        MasterEvent::ApplyOperation {
            framework_id: None,
            operation: Operation::Reserve("cpus(web):1".parse().unwrap()),
        },
        MasterEvent::Drain(drain),
        MasterEvent::Shutdown { message: "the agent was declared gone".to_owned() },
        MasterEvent::Error { message: "no".to_owned() },
    ]
}

/// Returns the same object with its keys the other way round: readers must not count on their order.
fn reversed(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    fields.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect()
}

#[test]
fn messages_come_back_as_they_were() {
    for call in calls() {
        let text = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<AgentCall>(&text).unwrap(), call, "{text}");
        assert!(text.starts_with(&format!(r#"{{"type":"{}""#, call.kind())), "{text}");
        let backwards = reversed(&serde_json::from_str(&text).unwrap()).to_string();
        assert_eq!(serde_json::from_str::<AgentCall>(&backwards).unwrap(), call, "{backwards}");
    }
    for event in events() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<MasterEvent>(&text).unwrap(), event, "{text}");
    }
}

#[test]
fn tasks_are_written_as_mesos_does() {
    let run = MasterEvent::Run { framework_info: framework(), task: task() };
    let json = serde_json::to_value(run).unwrap();
    assert_eq!(json["type"], "RUN");
    let body = &json["body"];
    assert_eq!(body["task"]["task_id"], json!({"value": "t1"}));
    assert_eq!(body["task"]["resources"][0]["allocation_info"], json!({"role": "web"}));
    assert_eq!(body["task"]["executor"]["command"], json!({"value": "./run"}));
    assert_eq!(body["framework_info"]["checkpoint"], true);
}

#[test]
fn a_malformed_call_names_what_is_wrong() {
    for (call, expected) in [
        (json!({"type": "PONG", "body": {}}), "seq"),
        (json!({"type": "PING", "body": {"seq": 1}}), "PING"),
        (json!({"body": {"seq": 1}}), "type"),
        (
            json!({"type": "STATUS_UPDATE", "body": {"framework_id": "f", "status": {"task_id": {"value": "t"}}, "latest_state": "TASK_RUNNING"}}),
            "state",
        ),
    ] {
        let error = serde_json::from_str::<AgentCall>(&call.to_string()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
