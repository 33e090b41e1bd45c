//! Events and calls of the executor API in v1 JSON.

use super::call::KillPolicy;
use super::task::{TaskInfo, WireStatus};
use super::wire::{Wrapped, required, wire};
use super::{Dialect, V1Error};
use crate::bytes::Bytes;
use crate::details::Details;
use crate::executor::{Call, Event, Subscribed};
use crate::id::{ExecutorId, FrameworkId, TaskId};
use crate::json::Json;
use crate::task::{Task, WireExecutor};
use crate::text::Text;
use crate::uuid::Uuid;

wire!(WireEvent {
    ; r#type: Text, subscribed: WireSubscribed, launch: Launch, launch_group: LaunchGroup, kill: Kill,
    acknowledged: Acknowledged, message: Message, error: Error ;
});
wire!(WireSubscribed {
    executor_info: WireExecutor ;
    framework_info: Details, agent_info: Details, container_id: Details ;
});
wire!(Launch { task: TaskInfo ; ; });
wire!(LaunchGroup { task_group: TaskGroup ; ; });
wire!(TaskGroup { ; ; tasks: TaskInfo });
wire!(Kill { task_id: Wrapped<TaskId> ; kill_policy: KillPolicy ; });
wire!(Acknowledged { task_id: Wrapped<TaskId>, uuid: Uuid ; ; });
wire!(Message { data: Bytes ; ; });
wire!(Error { message: String ; ; });

/// Writes a task as agents send it to executors: its resources as the master has adapted them.
pub(super) fn write_task(task: &Task, dialect: &Dialect) -> TaskInfo {
    TaskInfo::write(task, dialect.master_resources(&task.resources, task.role.as_ref()))
}

impl WireEvent {
    fn of(name: &'static str) -> Self {
        Self {
            r#type: Some(name.into()),
            subscribed: None,
            launch: None,
            launch_group: None,
            kill: None,
            acknowledged: None,
            message: None,
            error: None,
        }
    }

    /// Returns the wire type of an event; `None` for an unknown one, which is written as the JSON that it has kept.
    pub(super) fn write(event: &Event, dialect: &Dialect) -> Option<Self> {
        let wire = match event {
            Event::Subscribed(subscribed) => {
                let info = &subscribed.executor;
                let non_empty = |map: &Details| (!map.is_empty()).then(|| map.clone());
                let body = WireSubscribed {
                    executor_info: WireExecutor::write(
                        info,
                        dialect.master_resources(&info.resources, info.role.as_ref()),
                    ),
                    framework_info: non_empty(&subscribed.framework),
                    agent_info: non_empty(&subscribed.agent),
                    container_id: subscribed.container.clone(),
                };
                Self { subscribed: Some(body), ..Self::of("SUBSCRIBED") }
            }
            Event::Launch(task) => {
                Self { launch: Some(Launch { task: write_task(task, dialect) }), ..Self::of("LAUNCH") }
            }
            Event::LaunchGroup(tasks) => {
                let tasks = tasks.iter().map(|task| write_task(task, dialect)).collect();
                let body = LaunchGroup { task_group: TaskGroup { tasks } };
                Self { launch_group: Some(body), ..Self::of("LAUNCH_GROUP") }
            }
            Event::Kill { task, grace } => {
                let body = Kill { task_id: task.clone().into(), kill_policy: grace.map(KillPolicy::of) };
                Self { kill: Some(body), ..Self::of("KILL") }
            }
            Event::Acknowledged { task, uuid } => {
                let body = Acknowledged { task_id: task.clone().into(), uuid: *uuid };
                Self { acknowledged: Some(body), ..Self::of("ACKNOWLEDGED") }
            }
            Event::Message(data) => {
                Self { message: Some(Message { data: Bytes(data.clone()) }), ..Self::of("MESSAGE") }
            }
            Event::Shutdown => Self::of("SHUTDOWN"),
            Event::Error(message) => Self { error: Some(Error { message: message.clone() }), ..Self::of("ERROR") },
            Event::Heartbeat => Self::of("HEARTBEAT"),
            Event::Unknown(_) => return None,
        };
        Some(wire)
    }

    /// Converts to an event; an unknown one keeps its JSON.
    pub(super) fn read(self, json: &Json) -> Result<Event, V1Error> {
        Ok(match required(self.r#type.as_deref(), "type")? {
            "SUBSCRIBED" => {
                let body = required(self.subscribed, "subscribed")?;
                Event::Subscribed(Box::new(Subscribed {
                    framework: body.framework_info.unwrap_or_default(),
                    agent: body.agent_info.unwrap_or_default(),
                    container: body.container_id,
                    ..Subscribed::new(body.executor_info.read()?)
                }))
            }
            "LAUNCH" => Event::Launch(required(self.launch, "launch")?.task.read()?),
            "LAUNCH_GROUP" => {
                let tasks = required(self.launch_group, "launch_group")?.task_group.tasks.into_iter();
                Event::LaunchGroup(tasks.map(TaskInfo::read).collect::<Result<_, _>>()?)
            }
            "KILL" => {
                let Kill { task_id, kill_policy } = required(self.kill, "kill")?;
                Event::Kill { task: task_id.value, grace: kill_policy.and_then(KillPolicy::grace) }
            }
            "ACKNOWLEDGED" => {
                let Acknowledged { task_id, uuid } = required(self.acknowledged, "acknowledged")?;
                Event::Acknowledged { task: task_id.value, uuid }
            }
            "MESSAGE" => Event::Message(required(self.message, "message")?.data.0),
            "SHUTDOWN" => Event::Shutdown,
            "ERROR" => Event::Error(required(self.error, "error")?.message),
            "HEARTBEAT" => Event::Heartbeat,
            _ => Event::Unknown(json.view().into()),
        })
    }
}

wire!(WireCall {
    ; r#type: Text, framework_id: Wrapped<FrameworkId>, executor_id: Wrapped<ExecutorId>,
    subscribe: Subscribe, update: Update, message: Message ;
});
wire!(Subscribe { ; ; unacknowledged_tasks: TaskInfo, unacknowledged_updates: Update });
wire!(Update { status: WireStatus ; ; });

impl WireCall {
    fn of(name: &'static str) -> Self {
        Self {
            r#type: Some(name.into()),
            framework_id: None,
            executor_id: None,
            subscribe: None,
            update: None,
            message: None,
        }
    }

    pub(super) fn write(call: &Call, dialect: &Dialect) -> Self {
        match call {
            Call::Subscribe { tasks, updates } => {
                let body = Subscribe {
                    unacknowledged_tasks: tasks.iter().map(|task| write_task(task, dialect)).collect(),
                    unacknowledged_updates: updates.iter().map(|status| Update { status: status.into() }).collect(),
                };
                Self { subscribe: Some(body), ..Self::of("SUBSCRIBE") }
            }
            Call::Update(status) => Self { update: Some(Update { status: (&**status).into() }), ..Self::of("UPDATE") },
            Call::Message(data) => Self { message: Some(Message { data: Bytes(data.clone()) }), ..Self::of("MESSAGE") },
            Call::Heartbeat => Self::of("HEARTBEAT"),
        }
    }

    pub(super) fn read(self) -> Result<Call, V1Error> {
        Ok(match required(self.r#type.as_deref(), "type")? {
            "SUBSCRIBE" => {
                let body = required(self.subscribe, "subscribe")?;
                let tasks = body.unacknowledged_tasks.into_iter().map(TaskInfo::read).collect::<Result<_, _>>()?;
                let updates = body.unacknowledged_updates.into_iter().map(|update| update.status.into()).collect();
                Call::Subscribe { tasks, updates }
            }
            "UPDATE" => {
                let status = required(self.update, "update")?.status;
                required(status.uuid, "uuid")?;
                Call::Update(Box::new(status.into()))
            }
            "MESSAGE" => Call::Message(required(self.message, "message")?.data.0),
            "HEARTBEAT" => Call::Heartbeat,
            _ => return Err(V1Error::Missing("type")),
        })
    }
}
