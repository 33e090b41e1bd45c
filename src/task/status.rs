//! [`TaskStatus`]: news of a task.

use crate::id::{AgentId, ExecutorId, TaskId};
use crate::uuid::Uuid;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::fmt;

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

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusSource {
    /// The master: the task never reached its agent, or the agent is gone, or a reconciliation asked.
    Master,
    /// The agent.
    Agent,
    /// The executor that runs the task.
    Executor,
}

impl StatusSource {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Master, Self::Agent, Self::Executor];

    /// Mesos' name of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "SOURCE_MASTER",
            Self::Agent => "SOURCE_AGENT",
            Self::Executor => "SOURCE_EXECUTOR",
        }
    }
}

/// News of a task.
///
/// It may come twice, late, or for a task that nobody knows: only [`TaskState::is_terminal`] is final, and even then a
/// second terminal status may follow (Mesos, *Designing Highly Available Mesos Frameworks*).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskStatus {
    /// Which task.
    pub task: TaskId,
    /// Its state.
    pub state: TaskState,
    /// The agent that it is on, where that is known.
    pub agent: Option<AgentId>,
    /// The executor that runs it, where that is known.
    pub executor: Option<ExecutorId>,
    /// Who says so.
    pub source: Option<StatusSource>,
    /// Why, by Mesos' names (`REASON_SLAVE_REMOVED`, ...).
    pub reason: Option<SmolStr>,
    /// Why, for people.
    pub message: Option<SmolStr>,
    /// When it came about, in seconds of whoever says so.
    pub timestamp: Option<f64>,
    /// What to acknowledge it by; none if it need not be, as with all that the master says of its own.
    pub uuid: Option<Uuid>,
    /// Whether the task is healthy, if that is looked at.
    pub healthy: Option<bool>,
    /// Whatever the executor has to say to the scheduler.
    pub data: Option<Vec<u8>>,
    /// Further fields, by Mesos' names (`container_status`, `check_status`, `labels`, ...), untouched.
    pub details: Map<String, Json>,
}

impl TaskStatus {
    /// The bare news.
    #[must_use]
    pub fn new(task: impl Into<TaskId>, state: TaskState) -> Self {
        Self {
            task: task.into(),
            state,
            agent: None,
            executor: None,
            source: None,
            reason: None,
            message: None,
            timestamp: None,
            uuid: None,
            healthy: None,
            data: None,
            details: Map::new(),
        }
    }

    /// The same, with the reason for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<SmolStr>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same, with the reason by Mesos' name.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<SmolStr>) -> Self {
        self.reason = Some(reason.into());
        self
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
