//! Effects in a snapshot: unlike in a journal, with all that they carry.

use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::master::agents::GONE;
use crate::master::{Drain, Effect, Emitted};
use crate::offer::{InverseOffer, Offer, Operation, OperationError, OperationStatus};
use crate::role::Role;
use crate::task::{Task, TaskStatus};
use crate::text::Text;
use crate::time::Time;
use crate::uuid::Uuid;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// An effect that was not polled yet.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedEffect {
    at: Time,
    #[serde(with = "Form")]
    effect: Effect,
}

impl From<&Emitted> for SavedEffect {
    fn from(emitted: &Emitted) -> Self {
        Self { at: emitted.at, effect: emitted.effect.clone() }
    }
}

impl From<SavedEffect> for Emitted {
    fn from(saved: SavedEffect) -> Self {
        Self { at: saved.at, effect: saved.effect }
    }
}

/// The form of an [`Effect`]: its definition once more, so that none of its parts is left out.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Effect", rename_all = "snake_case")]
enum Form {
    Offer(Offer),
    Rescind {
        offer: OfferId,
        framework: FrameworkId,
    },
    InverseOffer(InverseOffer),
    RescindInverseOffer {
        offer: OfferId,
        framework: FrameworkId,
    },
    Launch {
        agent: AgentId,
        framework: FrameworkId,
        role: Role,
        task: Task,
        group: Option<u64>,
    },
    Operation {
        agent: AgentId,
        framework: Option<FrameworkId>,
        operation: Operation,
    },
    Drain {
        agent: AgentId,
        drain: Drain,
    },
    ShutdownAgent {
        agent: AgentId,
        #[serde(deserialize_with = "known")]
        message: Known,
    },
    ShutdownFramework {
        agent: AgentId,
        framework: FrameworkId,
    },
    TaskConflict {
        agent: AgentId,
        framework: FrameworkId,
        task: TaskId,
    },
    FrameworkRemoved {
        framework: FrameworkId,
    },
    Kill {
        agent: AgentId,
        framework: FrameworkId,
        task: TaskId,
        grace: Option<Duration>,
    },
    Acknowledge {
        agent: AgentId,
        framework: FrameworkId,
        task: TaskId,
        uuid: Uuid,
    },
    Message {
        agent: AgentId,
        framework: FrameworkId,
        executor: ExecutorId,
        #[serde(serialize_with = "write_data", deserialize_with = "read_data")]
        data: Vec<u8>,
    },
    Shutdown {
        agent: AgentId,
        framework: FrameworkId,
        executor: ExecutorId,
    },
    ExecutorMessage {
        framework: FrameworkId,
        agent: AgentId,
        executor: ExecutorId,
        #[serde(serialize_with = "write_data", deserialize_with = "read_data")]
        data: Vec<u8>,
    },
    ExecutorEnded {
        framework: FrameworkId,
        agent: AgentId,
        executor: ExecutorId,
        status: i32,
    },
    OperationStatus {
        framework: FrameworkId,
        status: OperationStatus,
    },
    OperationFailed {
        framework: Option<FrameworkId>,
        #[serde(deserialize_with = "known")]
        operation: Known,
        #[serde(serialize_with = "write_error", deserialize_with = "read_error")]
        error: OperationError,
    },
    Warning {
        #[serde(deserialize_with = "known")]
        command: Known,
        message: String,
    },
    Status {
        framework: FrameworkId,
        status: TaskStatus,
    },
    Subscribed {
        framework: FrameworkId,
    },
    AgentLost {
        agent: AgentId,
    },
}

/// An alias, since serde would borrow a reference from what it reads.
type Known = &'static str;

/// Reads one of the texts that a master itself puts into effects.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    let found = Text::deserialize(deserializer)?;
    let mut all = Operation::NAMES.into_iter().chain([GONE, "set_quota", ""]);
    all.find(|known| *known == found).ok_or_else(|| D::Error::custom(format!("unknown text {found:?}")))
}

fn write_data<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    Bytes(data.to_vec()).serialize(serializer)
}

fn read_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    Bytes::deserialize(deserializer).map(|data| data.0)
}

/// Writes the text of an error, which is all that its recipient is told.
fn write_error<S: Serializer>(error: &OperationError, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}

fn read_error<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OperationError, D::Error> {
    Text::deserialize(deserializer).map(OperationError::Invalid)
}
