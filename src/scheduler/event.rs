//! [`Event`]: a message of the master to a framework.

use crate::details::Details;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::offer::{InverseOffer, Offer, OperationStatus};
use crate::task::TaskStatus;
use std::time::Duration;

/// A message of the master to a framework: an event of the Mesos v1 scheduler API. Its serde form is the v1 JSON.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The framework is registered.
    Subscribed(Subscribed),
    /// Resources are offered to the framework.
    Offers(Vec<Offer>),
    /// The framework is asked to give resources back.
    InverseOffers(Vec<InverseOffer>),
    /// An offer is no longer valid.
    Rescind(OfferId),
    /// An inverse offer is no longer valid.
    RescindInverseOffer(OfferId),
    /// The status of one of the framework's tasks.
    Update(TaskStatus),
    /// The status of an operation for which the framework asked for feedback.
    UpdateOperation(OperationStatus),
    /// A message from an executor of the framework.
    Message {
        /// The agent that the executor runs on.
        agent: AgentId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// An agent was removed, or an executor has terminated.
    Failure(Failure),
    /// The subscription has ended, and this is the last event of it: another instance has subscribed, or the framework was
    /// removed.
    Error(String),
    /// The connection is alive.
    Heartbeat,
    /// An event of a type that this crate does not know, as its JSON. Log it and ignore it.
    Unknown(Details),
}

impl Event {
    /// Returns the type of the event as the v1 API names it (`OFFERS`, ...); `UNKNOWN` if this crate does not know it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subscribed(_) => "SUBSCRIBED",
            Self::Offers(_) => "OFFERS",
            Self::InverseOffers(_) => "INVERSE_OFFERS",
            Self::Rescind(_) => "RESCIND",
            Self::RescindInverseOffer(_) => "RESCIND_INVERSE_OFFER",
            Self::Update(_) => "UPDATE",
            Self::UpdateOperation(_) => "UPDATE_OPERATION_STATUS",
            Self::Message { .. } => "MESSAGE",
            Self::Failure(_) => "FAILURE",
            Self::Error(_) => "ERROR",
            Self::Heartbeat => "HEARTBEAT",
            Self::Unknown(_) => "UNKNOWN",
        }
    }
}

/// The registration of a framework.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Subscribed {
    /// The id under which the framework is registered.
    pub framework: FrameworkId,
    /// The interval at which the master sends heartbeats, if it sends any.
    pub heartbeat: Option<Duration>,
    /// Mesos' `MasterInfo`, uninterpreted; empty if the master does not send it.
    pub master: Details,
}

impl Subscribed {
    /// Returns a registration under that id, without heartbeats and `MasterInfo`.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>) -> Self {
        Self { framework: framework.into(), heartbeat: None, master: Details::new() }
    }
}

/// The removal of an agent, or the termination of an executor if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The agent.
    pub agent: Option<AgentId>,
    /// The executor on that agent; `None` means the whole agent.
    pub executor: Option<ExecutorId>,
    /// The executor's exit status as wait(2) encodes it: exit code 7 is 1792.
    pub status: Option<i32>,
}

impl Failure {
    /// Returns the removal of an agent.
    #[must_use]
    pub fn of_agent(agent: impl Into<AgentId>) -> Self {
        Self { agent: Some(agent.into()), executor: None, status: None }
    }

    /// Returns the termination of an executor, with its exit status as wait(2) encodes it.
    #[must_use]
    pub fn of_executor(agent: impl Into<AgentId>, executor: impl Into<ExecutorId>, status: i32) -> Self {
        Self { agent: Some(agent.into()), executor: Some(executor.into()), status: Some(status) }
    }
}
