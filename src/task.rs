//! [`Task`]: the unit of work, with its executor and its states.

mod executor_info;
mod status;

#[cfg(feature = "json")]
pub(crate) use executor_info::{EXECUTOR, WireExecutor};
pub use executor_info::{ExecutorInfo, ExecutorInfoError};
pub use status::{StatusSource, TaskState, TaskStatus};

use crate::details::Details;
use crate::id::{AgentId, TaskId};
use crate::invalid::InvalidForm;
use crate::json::Json;
use crate::resources::Resources;
use crate::role::Role;
use crate::text::Text;
use std::time::Duration;

/// A task: an id, the resources that it uses, and further fields for its agent.
///
/// # Examples
///
/// ```
/// use apportion::Task;
///
/// let task = Task::new("web-1", "cpus:0.25;mem:256".parse()?).detail("command", "sleep 10");
/// assert_eq!(task.details.get("command").unwrap(), "sleep 10");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// The id, unique among the non-terminal tasks of its framework.
    pub id: TaskId,
    /// The resources that it uses, a part of those offered.
    pub resources: Resources,
    /// The resources as they were given, if they are invalid; then [`resources`](Self::resources) is empty. The master rejects
    /// such a task.
    pub invalid: Option<Box<InvalidForm>>,
    /// The agent, if it is known: [`Accept::launch`](crate::Accept::launch) and the master set it.
    pub agent: Option<AgentId>,
    /// The role that its resources are allocated to, if it is known; set likewise.
    pub role: Option<Role>,
    /// Further fields by their Mesos names (`name`, `command`, `executor`, `labels`, ...), passed to the agent
    /// unchanged.
    pub details: Details,
}

impl Task {
    /// Makes a task without further fields.
    #[must_use]
    pub fn new(id: impl Into<TaskId>, resources: Resources) -> Self {
        Self { id: id.into(), resources, invalid: None, agent: None, role: None, details: Details::new() }
    }

    /// Makes a task whose resources are invalid.
    #[must_use]
    pub fn with_invalid_resources(id: impl Into<TaskId>, form: InvalidForm) -> Self {
        Self { invalid: Some(Box::new(form)), ..Self::new(id, Resources::new()) }
    }

    /// Says how long the task runs, for [simulated agents](crate::simulation::Agents): a further field `lasts`, in seconds.
    #[must_use]
    pub fn lasts(self, duration: Duration) -> Self {
        self.detail("lasts", duration.as_secs_f64())
    }

    /// Returns how long the task [lasts](Self::lasts), if that is said.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.details.get("lasts")?.as_f64()?).ok()
    }

    /// Sets a further field for the agent.
    #[must_use]
    pub fn detail(mut self, name: impl Into<Text>, value: impl Into<Json>) -> Self {
        self.details.insert(name, value);
        self
    }
}
