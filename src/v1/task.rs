//! `TaskInfo` and `TaskStatus` in v1 JSON.

use super::V1Error;
use super::wire::{Wrapped, read_resources, unwrapped, wire, wrapped};
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, TaskId};
use crate::invalid::InvalidForm;
use crate::json::Json;
use crate::resources::Resources;
use crate::resources::v1::V1Resource;
use crate::task::{Task, TaskState, TaskStatus};
use crate::text::Text;
use crate::uuid::Uuid;

wire!(TaskInfo {
    task_id: Wrapped<TaskId> ; name: Text, agent_id: Wrapped<AgentId> ; resources: V1Resource ; .. details
});

impl TaskInfo {
    /// Writes a task. v1 requires a name: without one of its own, a task has its id for a name. Invalid resources are written
    /// as they were given.
    pub(super) fn write(task: &Task, resources: Vec<V1Resource>) -> Self {
        let given = task.invalid.as_ref().and_then(|form| form.given.read::<Vec<V1Resource>>().ok());
        let resources = given.unwrap_or(resources);
        let named = task.details.contains("name");
        Self {
            task_id: task.id.clone().into(),
            name: (!named).then(|| task.id.as_str().into()),
            agent_id: wrapped(task.agent.as_ref()),
            resources,
            details: task.details.clone(),
        }
    }

    pub(super) fn read(self) -> Result<Task, V1Error> {
        let id = self.task_id.value.clone();
        let task = self.read_or_keep();
        match &task.invalid {
            Some(form) => Err(V1Error::Task { task: id, error: form.error.clone() }),
            None => Ok(task),
        }
    }

    /// Reads a task, and keeps its resources as they are given if they are invalid.
    pub(super) fn read_or_keep(self) -> Task {
        let id = self.task_id.value;
        let given = self.resources.clone();
        let (resources, role, invalid) = match read_resources(self.resources) {
            Ok((resources, role)) => (resources, role, None),
            Err(error) => {
                (Resources::new(), None, Some(Box::new(InvalidForm::new(Json::of(&given), error.to_string()))))
            }
        };
        let mut details = self.details;
        if let Some(name) = self.name.filter(|name| name != id.as_str()) {
            details.insert_first("name", name);
        }
        Task { agent: unwrapped(self.agent_id), role, invalid, details, ..Task::new(id, resources) }
    }
}

wire!(WireStatus {
    task_id: Wrapped<TaskId>, state: TaskState ;
    agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, source: Text, reason: Text, message: Text,
    timestamp: f64, uuid: Uuid, healthy: bool, data: Bytes ;
    ; .. details
});

impl From<&TaskStatus> for WireStatus {
    fn from(status: &TaskStatus) -> Self {
        Self {
            task_id: status.task.clone().into(),
            state: status.state,
            agent_id: wrapped(status.agent.as_ref()),
            executor_id: wrapped(status.executor.as_ref()),
            source: status.source.map(|source| source.as_str().into()),
            reason: status.reason.clone(),
            message: status.message.clone(),
            timestamp: status.timestamp,
            uuid: status.uuid,
            healthy: status.healthy,
            data: status.data.clone().map(Bytes),
            details: status.details.clone(),
        }
    }
}

impl From<WireStatus> for TaskStatus {
    fn from(wire: WireStatus) -> Self {
        let source = wire.source.and_then(|name| name.parse().ok());
        Self {
            agent: unwrapped(wire.agent_id),
            executor: unwrapped(wire.executor_id),
            source,
            reason: wire.reason,
            message: wire.message,
            timestamp: wire.timestamp,
            uuid: wire.uuid,
            healthy: wire.healthy,
            data: wire.data.map(|data| data.0),
            details: wire.details,
            ..Self::new(wire.task_id.value, wire.state)
        }
    }
}
