//! [`OperationStatus`]: a status update of an operation, for frameworks that request feedback.

use crate::details::Details;
use crate::id::{AgentId, OperationId};
use crate::text::Text;
use crate::uuid::Uuid;
use serde::{Deserialize, Serialize};

/// The state of an operation, as in Mesos (`OPERATION_FINISHED`, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OperationState {
    /// The agent or master does not support the operation.
    #[serde(rename = "OPERATION_UNSUPPORTED")]
    Unsupported,
    /// It is not finished yet.
    #[serde(rename = "OPERATION_PENDING")]
    Pending,
    /// It succeeded.
    #[serde(rename = "OPERATION_FINISHED")]
    Finished,
    /// It was attempted and failed.
    #[serde(rename = "OPERATION_FAILED")]
    Failed,
    /// It is invalid and was not attempted.
    #[serde(rename = "OPERATION_ERROR")]
    Error,
    /// It never reached its agent.
    #[serde(rename = "OPERATION_DROPPED")]
    Dropped,
    /// Its agent cannot be reached.
    #[serde(rename = "OPERATION_UNREACHABLE")]
    Unreachable,
    /// An operator declared its agent gone.
    #[serde(rename = "OPERATION_GONE_BY_OPERATOR")]
    GoneByOperator,
    /// The master is recovering its state from the agent.
    #[serde(rename = "OPERATION_RECOVERING")]
    Recovering,
    /// The master does not know it.
    #[serde(rename = "OPERATION_UNKNOWN")]
    Unknown,
}

/// A status update of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OperationStatus {
    /// The id that the framework gave the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// The state of the operation.
    pub state: OperationState,
    /// The reason for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// The agent of the operation, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The UUID to acknowledge it by; `None` for an update that needs no acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Further fields by their Mesos names (`converted_resources`, ...), unchanged.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

impl OperationStatus {
    /// Makes an update of an operation and its state alone.
    #[must_use]
    pub fn new(operation: impl Into<OperationId>, state: OperationState) -> Self {
        Self {
            operation: Some(operation.into()),
            state,
            message: None,
            agent: None,
            uuid: None,
            details: Details::new(),
        }
    }
}
