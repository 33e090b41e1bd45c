//! [`Event`]: a message of the agent to an executor.

use crate::details::Details;
use crate::id::TaskId;
use crate::task::{ExecutorInfo, Task};
use crate::uuid::Uuid;
use std::time::Duration;

/// A message of the agent to an executor: an event of the Mesos v1 executor API. Its serde form is the v1 JSON.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The executor is registered with its agent.
    Subscribed(Box<Subscribed>),
    /// Launch a task.
    Launch(Task),
    /// Launch a task group: all tasks or none.
    LaunchGroup(Vec<Task>),
    /// Kill a task.
    Kill {
        /// The task.
        task: TaskId,
        /// The time that the task has to shut down, if the request says so.
        grace: Option<Duration>,
    },
    /// The agent has stored a status: the executor need not resend it.
    Acknowledged {
        /// The task that the status is about.
        task: TaskId,
        /// The UUID of the status.
        uuid: Uuid,
    },
    /// A message from the scheduler.
    Message(Vec<u8>),
    /// Kill all tasks, then shut down.
    Shutdown,
    /// The agent has rejected a call.
    Error(String),
    /// The connection is alive.
    Heartbeat,
    /// An event of a type that this crate does not know, as its JSON. Log it and ignore it.
    Unknown(Details),
}

impl Event {
    /// Returns the type of the event as the v1 API names it (`LAUNCH`, ...); `UNKNOWN` if this crate does not know it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subscribed(_) => "SUBSCRIBED",
            Self::Launch(_) => "LAUNCH",
            Self::LaunchGroup(_) => "LAUNCH_GROUP",
            Self::Kill { .. } => "KILL",
            Self::Acknowledged { .. } => "ACKNOWLEDGED",
            Self::Message(_) => "MESSAGE",
            Self::Shutdown => "SHUTDOWN",
            Self::Error(_) => "ERROR",
            Self::Heartbeat => "HEARTBEAT",
            Self::Unknown(_) => "UNKNOWN",
        }
    }
}

/// The registration of an executor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Subscribed {
    /// The executor's description, as its framework gave it.
    pub executor: ExecutorInfo,
    /// Mesos' `FrameworkInfo` of its framework, uninterpreted.
    pub framework: Details,
    /// Mesos' `AgentInfo` of its agent, uninterpreted.
    pub agent: Details,
    /// Mesos' `ContainerID` of its container, if it runs in one.
    pub container: Option<Details>,
}

impl Subscribed {
    /// Returns a registration of that executor, with empty `FrameworkInfo` and `AgentInfo` and without a container.
    #[must_use]
    pub fn new(executor: ExecutorInfo) -> Self {
        Self { executor, framework: Details::new(), agent: Details::new(), container: None }
    }
}
