//! [`Event`]: what a framework is told.

use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::offer::{InverseOffer, Offer, OperationStatus};
use crate::task::TaskStatus;
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// What a framework is told: the events of the Mesos v1 scheduler API, whose JSON is their serde form.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It is registered.
    Subscribed(Subscribed),
    /// It may take something of these.
    Offers(Vec<Offer>),
    /// It is asked to give these back.
    InverseOffers(Vec<InverseOffer>),
    /// An offer is no longer its own.
    Rescind(OfferId),
    /// It is no longer asked to give that back.
    RescindInverseOffer(OfferId),
    /// News of one of its tasks.
    Update(TaskStatus),
    /// How an operation went of which it wanted to hear.
    UpdateOperation(OperationStatus),
    /// An executor of it has something to say.
    Message {
        /// On which agent.
        agent: AgentId,
        /// Which executor.
        executor: ExecutorId,
        /// What.
        data: Vec<u8>,
    },
    /// An agent is gone, or an executor has ended.
    Failure(Failure),
    /// Something that it asked for was turned away; nothing has changed.
    Error(String),
    /// The connection lives.
    Heartbeat,
    /// An event of a kind that this crate does not know, whole: to be noted and passed over.
    Unknown(Map<String, Json>),
}

/// A framework's registration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Subscribed {
    /// Its id from now on.
    pub framework: FrameworkId,
    /// How often the master lets hear of itself, if it does.
    pub heartbeat: Option<Duration>,
    /// What the master says of itself (Mesos' `MasterInfo`), untouched; empty if it says nothing.
    pub master: Map<String, Json>,
}

impl Subscribed {
    /// A registration under that id, by a master that says nothing of itself.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>) -> Self {
        Self { framework: framework.into(), heartbeat: None, master: Map::new() }
    }
}

/// The end of an agent, or of an executor if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Which agent.
    pub agent: Option<AgentId>,
    /// Which executor on it; none = the whole agent.
    pub executor: Option<ExecutorId>,
    /// How the executor ended, as wait(2) has it: an exit code of 7 is 1792.
    pub status: Option<i32>,
}

impl Failure {
    /// The end of an agent.
    #[must_use]
    pub fn of_agent(agent: impl Into<AgentId>) -> Self {
        Self { agent: Some(agent.into()), executor: None, status: None }
    }

    /// The end of an executor, with its status as wait(2) has it.
    #[must_use]
    pub fn of_executor(agent: impl Into<AgentId>, executor: impl Into<ExecutorId>, status: i32) -> Self {
        Self { agent: Some(agent.into()), executor: Some(executor.into()), status: Some(status) }
    }
}
