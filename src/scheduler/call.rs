//! [`Call`]: what a framework asks for.

use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, OfferId, OperationId, TaskId};
use crate::offer::{Accept, Filters};
use crate::resources::Resources;
use crate::role::Role;
use crate::uuid::Uuid;
use std::time::Duration;

/// What a framework asks for: the calls of the Mesos v1 scheduler API, whose JSON is their serde form.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Registers, or, with an id that is known already, takes over: offers that were out are void.
    Subscribe(Box<Framework>),
    /// Takes something of offers.
    Accept(Accept),
    /// Takes nothing of offers.
    Decline {
        /// Which offers.
        offers: Vec<OfferId>,
        /// For how long not to be offered the same again.
        filters: Filters,
    },
    /// Will give back what these inverse offers ask for.
    AcceptInverseOffers {
        /// Which inverse offers.
        offers: Vec<OfferId>,
        /// For how long not to be asked again.
        filters: Filters,
    },
    /// Will not give it back.
    DeclineInverseOffers {
        /// Which inverse offers.
        offers: Vec<OfferId>,
        /// For how long not to be asked again.
        filters: Filters,
    },
    /// Wants no offers for these roles; none = for all that it has.
    Suppress(Vec<Role>),
    /// Wants offers for these roles again, filters forgotten; none = for all that it has.
    Revive(Vec<Role>),
    /// Ends a task.
    Kill(Kill),
    /// Asks for the state of these tasks; none = of all that it has.
    ///
    /// In v1 JSON a list without tasks is none.
    Reconcile(Option<Vec<TaskRef>>),
    /// Has taken note of a status: exactly by the UUID that came with it.
    Acknowledge {
        /// The agent that the status came from.
        agent: AgentId,
        /// The task that it was about.
        task: TaskId,
        /// The status.
        uuid: Uuid,
    },
    /// Has taken note of how an operation went.
    AcknowledgeOperation {
        /// The agent that the news came from, if one was named.
        agent: Option<AgentId>,
        /// The operation.
        operation: OperationId,
        /// The news.
        uuid: Uuid,
    },
    /// Asks for the state of these operations; none = of all that have not ended.
    ReconcileOperations(Vec<OperationRef>),
    /// Has something to say to an executor; it may get lost.
    Message {
        /// On which agent.
        agent: AgentId,
        /// To which executor.
        executor: ExecutorId,
        /// What.
        data: Vec<u8>,
    },
    /// Ends an executor and all its tasks.
    Shutdown {
        /// On which agent.
        agent: AgentId,
        /// Which executor.
        executor: ExecutorId,
    },
    /// Says what it could use; an allocator is free to ignore it, and ours, like that of Mesos, does.
    Request(Vec<Request>),
    /// Says something else of itself; replaces all that it said before.
    UpdateFramework(Box<Framework>),
    /// Leaves, and all its tasks with it.
    Teardown,
}

/// The end of a task, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kill {
    /// Which task.
    pub task: TaskId,
    /// The agent that it is on, for a master that does not know.
    pub agent: Option<AgentId>,
    /// How long it has to end by itself; none = as the task says.
    pub grace: Option<Duration>,
}

impl From<TaskId> for Kill {
    fn from(task: TaskId) -> Self {
        Self { task, agent: None, grace: None }
    }
}

/// A task, and the agent that it is on where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskRef {
    /// Which task.
    pub task: TaskId,
    /// On which agent, if that is known.
    pub agent: Option<AgentId>,
}

impl From<TaskId> for TaskRef {
    fn from(task: TaskId) -> Self {
        Self { task, agent: None }
    }
}

impl TaskRef {
    /// A task on that agent.
    #[must_use]
    pub fn on(task: impl Into<TaskId>, agent: impl Into<AgentId>) -> Self {
        Self { task: task.into(), agent: Some(agent.into()) }
    }
}

/// An operation, and the agent that it was done on where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationRef {
    /// Which operation.
    pub operation: OperationId,
    /// On which agent, if that is known.
    pub agent: Option<AgentId>,
}

impl From<OperationId> for OperationRef {
    fn from(operation: OperationId) -> Self {
        Self { operation, agent: None }
    }
}

/// What a framework could use.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// On which agent, if on a certain one.
    pub agent: Option<AgentId>,
    /// How much.
    pub resources: Resources,
}

impl Request {
    /// So much, on whatever agent.
    #[must_use]
    pub fn new(resources: Resources) -> Self {
        Self { agent: None, resources }
    }
}
