//! [`OperationStatus`]: how an operation went, for frameworks that ask.

use crate::id::{AgentId, OperationId};
use crate::uuid::Uuid;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

/// The state of an operation, by Mesos' names (`OPERATION_FINISHED`, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OperationState {
    /// Not of a kind that can be done here.
    #[serde(rename = "OPERATION_UNSUPPORTED")]
    Unsupported,
    /// Not done yet.
    #[serde(rename = "OPERATION_PENDING")]
    Pending,
    /// Done.
    #[serde(rename = "OPERATION_FINISHED")]
    Finished,
    /// Tried, and not done.
    #[serde(rename = "OPERATION_FAILED")]
    Failed,
    /// Not tried: it could not be done as described.
    #[serde(rename = "OPERATION_ERROR")]
    Error,
    /// Never arrived.
    #[serde(rename = "OPERATION_DROPPED")]
    Dropped,
    /// Its agent cannot be reached.
    #[serde(rename = "OPERATION_UNREACHABLE")]
    Unreachable,
    /// Its agent is gone, an operator says.
    #[serde(rename = "OPERATION_GONE_BY_OPERATOR")]
    GoneByOperator,
    /// Not known yet: the master is finding out.
    #[serde(rename = "OPERATION_RECOVERING")]
    Recovering,
    /// Nobody knows it.
    #[serde(rename = "OPERATION_UNKNOWN")]
    Unknown,
}

/// How an operation went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OperationStatus {
    /// Which operation, by the name that the framework gave it.
    pub operation: Option<OperationId>,
    /// Its state.
    pub state: OperationState,
    /// Why, for people.
    pub message: Option<SmolStr>,
    /// The agent that it is about, where that is known.
    pub agent: Option<AgentId>,
    /// What to acknowledge it by; none if it need not be.
    pub uuid: Option<Uuid>,
    /// Further fields, by Mesos' names (`converted_resources`, ...), untouched.
    pub details: Map<String, Json>,
}

impl OperationStatus {
    /// The bare news.
    #[must_use]
    pub fn new(operation: impl Into<OperationId>, state: OperationState) -> Self {
        Self { operation: Some(operation.into()), state, message: None, agent: None, uuid: None, details: Map::new() }
    }
}
