//! [`Call`]: a message of an executor to its agent.

use crate::task::{Task, TaskStatus};

/// A message of an executor to its agent: a call of the Mesos v1 executor API. Its serde form is the v1 JSON.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Registers the executor with its agent, or reconnects it.
    Subscribe {
        /// Tasks without any acknowledged status.
        tasks: Vec<Task>,
        /// Statuses that are not acknowledged.
        updates: Vec<TaskStatus>,
    },
    /// The status of a task of the executor.
    Update(Box<TaskStatus>),
    /// A message to the scheduler. Delivery is not guaranteed.
    Message(Vec<u8>),
    /// The connection is alive.
    Heartbeat,
}

impl Call {
    /// Returns the type of the call as the v1 API names it (`UPDATE`, ...).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Update(_) => "UPDATE",
            Self::Message(_) => "MESSAGE",
            Self::Heartbeat => "HEARTBEAT",
        }
    }
}
