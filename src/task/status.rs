//! [`TaskStatus`]: a status update of a task.

use crate::details::Details;
use crate::id::{AgentId, ExecutorId, TaskId};
use crate::name::{self, NameError};
use crate::text::Text;
use crate::uuid::Uuid;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The state of a task, as in Mesos (`TASK_RUNNING`, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskState {
    /// It was launched, and no status update has arrived.
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
    /// It ended successfully.
    #[serde(rename = "TASK_FINISHED")]
    Finished,
    /// It ended with an error.
    #[serde(rename = "TASK_FAILED")]
    Failed,
    /// It was killed.
    #[serde(rename = "TASK_KILLED")]
    Killed,
    /// Its description is invalid, so it was not launched.
    #[serde(rename = "TASK_ERROR")]
    Error,
    /// Its agent is gone, or the master does not know the task.
    #[serde(rename = "TASK_LOST")]
    Lost,
    /// It was never launched.
    #[serde(rename = "TASK_DROPPED")]
    Dropped,
    /// Its agent cannot be reached; the agent and the task may come back.
    #[serde(rename = "TASK_UNREACHABLE")]
    Unreachable,
    /// It is gone with its agent.
    #[serde(rename = "TASK_GONE")]
    Gone,
    /// An operator declared its agent gone.
    #[serde(rename = "TASK_GONE_BY_OPERATOR")]
    GoneByOperator,
    /// The master does not know the task (sent to partition-aware frameworks instead of `TASK_LOST`).
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

    /// Returns true if a task in this state has ended and holds no resources.
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

    /// Returns the Mesos name of the state.
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

impl FromStr for TaskState {
    type Err = NameError;

    /// Parses the Mesos name.
    fn from_str(text: &str) -> Result<Self, NameError> {
        name::find("task state", &Self::ALL, Self::as_str, text)
    }
}

/// The sender of a status update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusSource {
    /// The master: the task never reached its agent, the agent is gone, or a scheduler requested reconciliation.
    Master,
    /// The agent.
    Agent,
    /// The executor that runs the task.
    Executor,
}

impl StatusSource {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Master, Self::Agent, Self::Executor];

    /// Returns the Mesos name of the source.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "SOURCE_MASTER",
            Self::Agent => "SOURCE_AGENT",
            Self::Executor => "SOURCE_EXECUTOR",
        }
    }
}

impl fmt::Display for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StatusSource {
    type Err = NameError;

    /// Parses the Mesos name.
    fn from_str(text: &str) -> Result<Self, NameError> {
        name::find("source of a status", &Self::ALL, Self::as_str, text)
    }
}

/// A status update of a task.
///
/// Updates may arrive twice, late, or for tasks that the scheduler does not know. Only a
/// [terminal](TaskState::is_terminal) state is final, and even then a second terminal update may follow (Mesos,
/// *Designing Highly Available Mesos Frameworks*).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskStatus {
    /// The task.
    pub task: TaskId,
    /// The state of the task.
    pub state: TaskState,
    /// The agent of the task, if it is known.
    pub agent: Option<AgentId>,
    /// The executor of the task, if it is known.
    pub executor: Option<ExecutorId>,
    /// The sender of the update.
    pub source: Option<StatusSource>,
    /// The reason by its Mesos name (`REASON_AGENT_REMOVED`, ...).
    pub reason: Option<Text>,
    /// The reason for people.
    pub message: Option<Text>,
    /// The time of the update, in seconds on the clock of the sender.
    pub timestamp: Option<f64>,
    /// The UUID to acknowledge it by; `None` for an update that needs no acknowledgement, such as one by the master.
    pub uuid: Option<Uuid>,
    /// The result of the task's health check, if it has one.
    pub healthy: Option<bool>,
    /// Opaque data from the executor to the scheduler.
    pub data: Option<Vec<u8>>,
    /// Further fields by their Mesos names (`container_status`, `check_status`, `labels`, ...), unchanged.
    pub details: Details,
}

impl TaskStatus {
    /// Makes an update of a task and its state alone.
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
            details: Details::new(),
        }
    }

    /// Sets the reason for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<Text>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets the reason by its Mesos name.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Text>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_names_that_are_printed() {
        for state in TaskState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        for source in StatusSource::ALL {
            assert_eq!(source.to_string().parse(), Ok(source));
        }
        let error = "MASTER".parse::<StatusSource>().unwrap_err().to_string();
        let expected = "expected one of SOURCE_MASTER, SOURCE_AGENT, SOURCE_EXECUTOR";
        assert_eq!(error, format!("\"MASTER\" is no source of a status: {expected}"));
    }
}
