//! Tasks, their statuses and their executors in v1 JSON.

use super::wire::{Wrapped, bare, read_resources, shape, wrapped};
use super::{Form, V1Error, lenient};
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, TaskId};
use crate::resources::v1::V1Resource;
use crate::task::{ExecutorInfo, StatusSource, Task, TaskState, TaskStatus};
use crate::uuid::Uuid;
use serde_json::Value as Json;
use smol_str::SmolStr;

/// The detail of a task that describes its executor.
pub(super) const EXECUTOR: &str = "executor";

shape!(TaskInfo {
    task_id: Wrapped<TaskId> ; name: SmolStr, agent_id: Wrapped<AgentId> ; resources: V1Resource ; .. details
});

impl TaskInfo {
    /// A task without a name of its own is called like its id: v1 wants a name.
    pub(super) fn write(task: &Task, resources: Vec<V1Resource>) -> Self {
        let named = task.details.contains_key("name");
        Self {
            task_id: task.id.clone().into(),
            name: (!named).then(|| task.id.as_str().into()),
            agent_id: wrapped(task.agent.as_ref()),
            resources,
            details: task.details.clone(),
        }
    }

    pub(super) fn read(self) -> Result<Task, V1Error> {
        let id = self.task_id.value;
        let (resources, role) = read_resources(self.resources).map_err(|error| error.of_task(&id))?;
        let mut details = self.details;
        if let Some(name) = self.name.filter(|name| name != id.as_str()) {
            details.shift_insert(0, "name".to_owned(), Json::from(name.as_str()));
        }
        Ok(Task { agent: bare(self.agent_id), role, details, ..Task::new(id, resources) })
    }
}

shape!(StatusShape {
    task_id: Wrapped<TaskId>, state: TaskState ;
    agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, source: SmolStr, reason: SmolStr, message: SmolStr,
    timestamp: f64, uuid: Uuid, healthy: bool, data: Bytes ;
    ; .. details
});

impl From<&TaskStatus> for StatusShape {
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

impl From<StatusShape> for TaskStatus {
    fn from(shape: StatusShape) -> Self {
        let source = shape.source.and_then(|name| StatusSource::ALL.into_iter().find(|known| known.as_str() == name));
        Self {
            agent: bare(shape.agent_id),
            executor: bare(shape.executor_id),
            source,
            reason: shape.reason,
            message: shape.message,
            timestamp: shape.timestamp,
            uuid: shape.uuid,
            healthy: shape.healthy,
            data: shape.data.map(|data| data.0),
            details: shape.details,
            ..Self::new(shape.task_id.value, shape.state)
        }
    }
}

shape!(ExecutorShape { executor_id: Wrapped<ExecutorId> ; ; resources: V1Resource ; .. details });

impl ExecutorShape {
    pub(super) fn write(info: &ExecutorInfo, resources: Vec<V1Resource>) -> Self {
        Self { executor_id: info.id.clone().into(), resources, details: info.details.clone() }
    }

    pub(super) fn read(self) -> Result<ExecutorInfo, V1Error> {
        let (resources, role) = read_resources(self.resources)?;
        Ok(ExecutorInfo { resources, role, details: self.details, ..ExecutorInfo::new(self.executor_id.value) })
    }
}

impl ExecutorInfo {
    /// The executor that a task names; none if it names none, and is then run by the agent itself.
    ///
    /// # Errors
    ///
    /// [`V1Error`] when its detail `executor` is no `ExecutorInfo`.
    pub fn of(task: &Task) -> Result<Option<Self>, V1Error> {
        let Some(json) = task.details.get(EXECUTOR).filter(|json| !json.is_null()) else { return Ok(None) };
        lenient::read::<ExecutorShape>(json)?.read().map(Some)
    }
}

impl From<ExecutorInfo> for Json {
    /// Mesos' v1 `ExecutorInfo`.
    fn from(info: ExecutorInfo) -> Self {
        let form = Form::default();
        let resources = form.asked(&info.resources, info.role.as_ref());
        serde_json::to_value(ExecutorShape::write(&info, resources)).expect("a shape has text keys")
    }
}
