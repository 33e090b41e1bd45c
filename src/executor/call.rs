//! [`Call`]: what an executor has to say.

use crate::task::{Task, TaskStatus};

/// What an executor has to say: the calls of the Mesos v1 executor API, whose JSON is their serde form.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Registers with its agent, or comes back to it.
    Subscribe {
        /// Tasks of which no status was acknowledged yet.
        tasks: Vec<Task>,
        /// Statuses that were not acknowledged yet.
        updates: Vec<TaskStatus>,
    },
    /// News of a task of its own.
    Update(Box<TaskStatus>),
    /// Has something to say to the scheduler; it may get lost.
    Message(Vec<u8>),
    /// Lives.
    Heartbeat,
}
