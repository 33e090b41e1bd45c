//! [`Task`]: what wants resources, what runs it, and the states that it goes through.

mod executor_info;
mod status;

pub use executor_info::ExecutorInfo;
pub use status::{StatusSource, TaskState, TaskStatus};

use crate::id::{AgentId, TaskId};
use crate::resources::Resources;
use crate::role::Role;
use serde_json::{Map, Value as Json};

/// A task: an id, the resources it takes, and whatever else its agent needs to know.
///
/// # Examples
///
/// ```
/// use apportion::Task;
///
/// let task = Task::new("web-1", "cpus:0.25;mem:256".parse()?).detail("command", "sleep 10");
/// assert_eq!(task.details["command"], "sleep 10");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// Its id, unique among the tasks of its framework that have not ended.
    pub id: TaskId,
    /// What it takes of the offers that it is launched on.
    pub resources: Resources,
    /// The agent that it is for, where that is known: [`Accept::launch`](crate::Accept::launch) and the master say so.
    pub agent: Option<AgentId>,
    /// The role that its resources are held under, where that is known, likewise.
    pub role: Option<Role>,
    /// Further fields, by Mesos' names (`name`, `command`, `executor`, `labels`, ...): handed through to the agent
    /// untouched.
    pub details: Map<String, Json>,
}

impl Task {
    /// A task without further details.
    #[must_use]
    pub fn new(id: impl Into<TaskId>, resources: Resources) -> Self {
        Self { id: id.into(), resources, agent: None, role: None, details: Map::new() }
    }

    /// The same, with a further field for the agent.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}
