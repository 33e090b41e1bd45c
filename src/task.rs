//! [`Task`]: what wants resources, and the states that it goes through.

use crate::id::{AgentId, TaskId};
use crate::resources::Resources;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::fmt;

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
    /// Further fields (`name`, `command`, `container`, ...): handed through to the agent untouched.
    pub details: Map<String, Json>,
}

impl Task {
    /// A task without further details.
    #[must_use]
    pub fn new(id: impl Into<TaskId>, resources: Resources) -> Self {
        Self { id: id.into(), resources, details: Map::new() }
    }

    /// The same, with a further field for the agent.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}

/// The state of a task, by Mesos' names (`TASK_RUNNING`, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskState {
    /// Launched, and not yet heard of.
    #[serde(rename = "TASK_STAGING")]
    Staging,
    /// Its executor is preparing it.
    #[serde(rename = "TASK_STARTING")]
    Starting,
    /// It runs.
    #[serde(rename = "TASK_RUNNING")]
    Running,
    /// It is being killed.
    #[serde(rename = "TASK_KILLING")]
    Killing,
    /// It ended well.
    #[serde(rename = "TASK_FINISHED")]
    Finished,
    /// It ended badly.
    #[serde(rename = "TASK_FAILED")]
    Failed,
    /// It was killed.
    #[serde(rename = "TASK_KILLED")]
    Killed,
    /// It could not be launched as described.
    #[serde(rename = "TASK_ERROR")]
    Error,
    /// Its agent is gone, or nobody knows it.
    #[serde(rename = "TASK_LOST")]
    Lost,
    /// It was never launched.
    #[serde(rename = "TASK_DROPPED")]
    Dropped,
    /// Its agent cannot be reached; it may come back.
    #[serde(rename = "TASK_UNREACHABLE")]
    Unreachable,
    /// It is gone with its agent.
    #[serde(rename = "TASK_GONE")]
    Gone,
    /// An operator says that it is gone.
    #[serde(rename = "TASK_GONE_BY_OPERATOR")]
    GoneByOperator,
    /// Nobody knows it (to frameworks that tell this from lost).
    #[serde(rename = "TASK_UNKNOWN")]
    Unknown,
}

impl TaskState {
    /// All states.
    pub const ALL: [Self; 14] = [
        Self::Staging,
        Self::Starting,
        Self::Running,
        Self::Killing,
        Self::Finished,
        Self::Failed,
        Self::Killed,
        Self::Error,
        Self::Lost,
        Self::Dropped,
        Self::Unreachable,
        Self::Gone,
        Self::GoneByOperator,
        Self::Unknown,
    ];

    /// Whether a task in this state has ended, and holds nothing any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Finished
            | Self::Failed
            | Self::Killed
            | Self::Error
            | Self::Lost
            | Self::Dropped
            | Self::Gone
            | Self::GoneByOperator => true,
            Self::Staging | Self::Starting | Self::Running | Self::Killing | Self::Unreachable | Self::Unknown => false,
        }
    }

    /// Mesos' name of the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "TASK_STAGING",
            Self::Starting => "TASK_STARTING",
            Self::Running => "TASK_RUNNING",
            Self::Killing => "TASK_KILLING",
            Self::Finished => "TASK_FINISHED",
            Self::Failed => "TASK_FAILED",
            Self::Killed => "TASK_KILLED",
            Self::Error => "TASK_ERROR",
            Self::Lost => "TASK_LOST",
            Self::Dropped => "TASK_DROPPED",
            Self::Unreachable => "TASK_UNREACHABLE",
            Self::Gone => "TASK_GONE",
            Self::GoneByOperator => "TASK_GONE_BY_OPERATOR",
            Self::Unknown => "TASK_UNKNOWN",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// News of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskStatus {
    /// Which task.
    pub task: TaskId,
    /// Its state.
    pub state: TaskState,
    /// The agent that it is on, where that is known.
    pub agent: Option<AgentId>,
    /// Why, by Mesos' names (`REASON_SLAVE_REMOVED`, ...).
    pub reason: Option<SmolStr>,
    /// Why, for people.
    pub message: Option<SmolStr>,
}

impl TaskStatus {
    /// The bare news.
    #[must_use]
    pub fn new(task: impl Into<TaskId>, state: TaskState) -> Self {
        Self { task: task.into(), state, agent: None, reason: None, message: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_json_are_those_that_are_printed() {
        for state in TaskState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
    }
}
