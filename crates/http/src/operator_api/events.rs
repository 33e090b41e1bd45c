//! The events of the operator API: SUBSCRIBED, and a [`Change`] as an event.

use super::state::{AgentForm, FrameworkForm, GetState, Id, TaskForm};
use crate::view::{Change, Snapshot, Told};
use apportion::v1::{WrittenStatus, framework_info};
use apportion::{Details, TaskState, Time};
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Serialize)]
struct SubscribedEvent<'a> {
    r#type: &'static str,
    subscribed: Subscribed<'a>,
}

#[derive(Debug, Serialize)]
struct Subscribed<'a> {
    get_state: GetState<'a>,
    heartbeat_interval_seconds: f64,
}

/// Returns SUBSCRIBED, as JSON.
pub(crate) fn subscribed(snapshot: &Snapshot, heartbeat_interval: Duration) -> String {
    let heartbeat_interval_seconds = heartbeat_interval.as_secs_f64();
    let subscribed = Subscribed { get_state: GetState::of(snapshot), heartbeat_interval_seconds };
    serde_json::to_string(&SubscribedEvent { r#type: "SUBSCRIBED", subscribed }).expect("its keys are texts")
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Event<'a> {
    TaskAdded { task_added: TaskAdded<'a> },
    TaskUpdated { task_updated: TaskUpdated<'a> },
    FrameworkAdded { framework_added: FrameworkEvent<'a> },
    FrameworkUpdated { framework_updated: FrameworkEvent<'a> },
    FrameworkRemoved { framework_removed: FrameworkRemoved },
    AgentAdded { agent_added: AgentAdded<'a> },
    AgentRemoved { agent_removed: AgentRemoved<'a> },
}

#[derive(Debug, Serialize)]
struct TaskAdded<'a> {
    task: TaskForm<'a>,
}

#[derive(Debug, Serialize)]
struct TaskUpdated<'a> {
    framework_id: Id<'a>,
    status: WrittenStatus<'a>,
    state: TaskState,
}

#[derive(Debug, Serialize)]
struct FrameworkEvent<'a> {
    framework: FrameworkForm<'a>,
}

#[derive(Debug, Serialize)]
struct FrameworkRemoved {
    framework_info: Details,
}

#[derive(Debug, Serialize)]
struct AgentAdded<'a> {
    agent: AgentForm<'a>,
}

#[derive(Debug, Serialize)]
struct AgentRemoved<'a> {
    agent_id: Id<'a>,
}

/// Returns a change as an event, in JSON, with times in nanoseconds since 1970. Mesos has none for an agent that has changed.
pub(crate) fn event(told: &Told, nanoseconds: impl Fn(Time) -> i64) -> Option<String> {
    let event = match &told.change {
        Change::TaskAdded(task) => Event::TaskAdded { task_added: TaskAdded { task: TaskForm(task) } },
        Change::TaskUpdated(task, status) => Event::TaskUpdated {
            task_updated: TaskUpdated {
                framework_id: Id { value: task.framework.as_str() },
                status: WrittenStatus(status),
                state: task.state,
            },
        },
        Change::FrameworkAdded(entry) => {
            let framework = FrameworkForm::of(entry, nanoseconds);
            Event::FrameworkAdded { framework_added: FrameworkEvent { framework } }
        }
        Change::FrameworkUpdated(entry) => {
            let framework = FrameworkForm::of(entry, nanoseconds);
            Event::FrameworkUpdated { framework_updated: FrameworkEvent { framework } }
        }
        Change::FrameworkRemoved(entry) => {
            let framework_info = framework_info(&entry.framework);
            Event::FrameworkRemoved { framework_removed: FrameworkRemoved { framework_info } }
        }
        Change::AgentAdded(entry) => {
            let agent = AgentForm::of(entry, nanoseconds);
            Event::AgentAdded { agent_added: AgentAdded { agent } }
        }
        Change::AgentRemoved(agent) => {
            Event::AgentRemoved { agent_removed: AgentRemoved { agent_id: Id { value: agent.as_str() } } }
        }
        Change::AgentUpdated(_) => return None,
    };
    Some(serde_json::to_string(&event).expect("its keys are texts"))
}
