//! [`ExecutorInfo`]: the description of an executor.

use super::Task;
use crate::details::{Details, read_with_details};
use crate::id::ExecutorId;
use crate::json::{Json, read_lenient};
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, ResourceError, Resources, SumError};
use crate::role::{Role, RoleError};
use crate::text::Text;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The description of an executor by a framework: an id, its own resources, and how to start it.
///
/// A task names its executor in the field `executor` of its details. If several tasks of a framework on one agent name
/// the same executor, it is started once, with the first of them, and runs them all.
///
/// # Examples
///
/// ```
/// use apportion::{ExecutorInfo, Task};
///
/// let executor = ExecutorInfo::new("crawler").detail("command", serde_json::json!({"value": "./crawl"}));
/// let task = Task::new("crawl-1", "cpus:1".parse()?).detail("executor", executor.clone());
/// assert_eq!(ExecutorInfo::of(&task)?, Some(executor));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecutorInfo {
    /// The id, unique among the executors of its framework on one agent.
    pub id: ExecutorId,
    /// The resources of the executor itself.
    pub resources: Resources,
    /// The role that its resources are allocated to, if it is known.
    pub role: Option<Role>,
    /// Further fields by their Mesos names (`command`, `type`, `data`, ...), unchanged.
    pub details: Details,
}

impl ExecutorInfo {
    /// Makes an executor without resources of its own.
    #[must_use]
    pub fn new(id: impl Into<ExecutorId>) -> Self {
        Self { id: id.into(), resources: Resources::new(), role: None, details: Details::new() }
    }

    /// Sets a further field.
    #[must_use]
    pub fn detail(mut self, name: impl Into<Text>, value: impl Into<Json>) -> Self {
        self.details.insert(name, value);
        self
    }
}

/// The detail of a task with its `ExecutorInfo`.
pub(crate) const EXECUTOR: &str = "executor";

impl ExecutorInfo {
    /// Returns the executor of a task; `None` for a command task, which its agent runs without a custom executor.
    ///
    /// # Errors
    ///
    /// [`ExecutorInfoError`] when the task's detail `executor` is not Mesos' v1 `ExecutorInfo`.
    pub fn of(task: &Task) -> Result<Option<Self>, ExecutorInfoError> {
        let Some(json) = task.details.get(EXECUTOR).filter(|json| !json.is_null()) else { return Ok(None) };
        Self::read(json).map(Some)
    }

    fn read(json: &Json) -> Result<Self, ExecutorInfoError> {
        let wire: WireExecutor = read_lenient(json.view())
            .map_err(|error| ExecutorInfoError::Shape { path: error.path(), what: error.what() })?;
        wire.read()
    }
}

impl From<ExecutorInfo> for Json {
    /// Writes Mesos' v1 `ExecutorInfo`, as a framework with all capabilities does.
    fn from(info: ExecutorInfo) -> Self {
        let allocated = |object: V1Resource| match &info.role {
            Some(role) => object.allocate_to(role),
            None => object,
        };
        let resources = V1Resource::all(&info.resources).map(|object| allocated(object).without_star()).collect();
        Self::of(&WireExecutor::write(&info, resources))
    }
}

impl Serialize for ExecutorInfo {
    /// Writes Mesos' v1 `ExecutorInfo`, as the conversion into [`Json`] does.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExecutorInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The reason why JSON is not Mesos' v1 `ExecutorInfo`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorInfoError {
    /// A field has the wrong type, or a required one is missing.
    #[error("{path}: {what}", path = if path.is_empty() { "the executor" } else { path })]
    Shape {
        /// The path of the field; empty for the whole.
        path: String,
        /// The value found and the type expected.
        what: String,
    },
    /// A resource is invalid.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// Resources cannot be added up.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// The role that the resources are allocated to is invalid.
    #[error(transparent)]
    Role(#[from] RoleError),
}

/// Mesos' v1 `ExecutorInfo`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WireExecutor {
    executor_id: WireId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<V1Resource>,
    #[serde(flatten)]
    details: Details,
}

read_with_details!(WireExecutor { executor_id: WireId ; ; resources: V1Resource ; details });

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct WireId {
    value: ExecutorId,
}

impl WireExecutor {
    pub(crate) fn write(info: &ExecutorInfo, resources: Vec<V1Resource>) -> Self {
        Self { executor_id: WireId { value: info.id.clone() }, resources, details: info.details.clone() }
    }

    pub(crate) fn read(self) -> Result<ExecutorInfo, ExecutorInfoError> {
        let mut role = None;
        let mut resources = Vec::with_capacity(self.resources.len());
        for object in self.resources {
            role = role.or(object.allocated_to().map(Role::new).transpose()?);
            resources.push(Resource::try_from(object)?);
        }
        let resources = Resources::try_from_iter(resources)?;
        Ok(ExecutorInfo { resources, role, details: self.details, ..ExecutorInfo::new(self.executor_id.value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn what_is_written_is_read() {
        let mut info = ExecutorInfo::new("e1").detail("command", Json::object([("value", "./run")]));
        info.resources = "cpus:0.5;mem:32".parse().unwrap();
        info.role = Some("web".parse().unwrap());
        let text = json::to_string(&info);
        assert!(text.starts_with(r#"{"executor_id":{"value":"e1"},"resources":[{"#), "{text}");
        assert_eq!(json::from_str::<ExecutorInfo>(&text).unwrap(), info);
        let error = json::from_str::<ExecutorInfo>(r#"{"resources":[]}"#).unwrap_err();
        assert!(error.to_string().contains("executor_id"), "{error}");
    }
}
