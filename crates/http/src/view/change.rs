//! [`Change`]: what has changed in a view, and [`Told`]: a change on its way to those who watch.

use super::entry::{AgentEntry, FrameworkEntry, TaskEntry};
use crate::transport::encoding::Encoding;
use apportion::{AgentId, TaskStatus};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// The number of changes that may wait for the slowest of those who watch: a larger call than any launches fewer tasks. The
/// memory is shared by all who watch.
pub(crate) const MAX_WAITING: usize = if cfg!(test) { 1 << 10 } else { 1 << 16 };

/// What has changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// An agent was registered, or has come back after it was removed.
    AgentAdded(Arc<AgentEntry>),
    /// An agent has another total or description, is connected or not, deactivated or not, drains or not.
    AgentUpdated(Arc<AgentEntry>),
    AgentRemoved(AgentId),
    FrameworkAdded(Arc<FrameworkEntry>),
    /// A framework has another description, is connected or not, or suppresses other roles.
    FrameworkUpdated(Arc<FrameworkEntry>),
    FrameworkRemoved(Arc<FrameworkEntry>),
    /// A task was launched, or an agent has brought it.
    TaskAdded(Arc<TaskEntry>),
    /// A status of a task. The entry is the task after it.
    TaskUpdated(Arc<TaskEntry>, Arc<TaskStatus>),
}

/// A change on its way. All who read it in one encoding share the bytes, which the first of them makes.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) change: Change,
    json: OnceLock<Option<Bytes>>,
    protobuf: OnceLock<Option<Bytes>>,
}

impl Told {
    pub(crate) fn new(change: Change) -> Self {
        Self { change, json: OnceLock::new(), protobuf: OnceLock::new() }
    }

    /// Returns the record of the change, which `encode` makes if nobody has asked for it before. Some changes have none.
    pub(crate) fn record(
        &self,
        encoding: Encoding,
        encode: impl FnOnce(&Self, Encoding) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let made = match encoding {
            Encoding::Json => &self.json,
            Encoding::Protobuf => &self.protobuf,
        };
        made.get_or_init(|| encode(self, encoding)).clone()
    }
}
