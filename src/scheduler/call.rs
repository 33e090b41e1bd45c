//! [`Call`]: a request of a framework to its master.

use super::request::Request;
use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, OfferId, OperationId, TaskId};
use crate::invalid::InvalidForm;
use crate::offer::{Accept, Filters};
use crate::role::Role;
use crate::text::Text;
use crate::uuid::Uuid;
use std::time::Duration;

/// A request of a framework to its master: a call of the Mesos v1 scheduler API. Its serde form is the v1 JSON.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Subscribes the framework. With an id that is registered already this is a failover: outstanding offers are void.
    Subscribe(Box<Framework>),
    /// Accepts offers of one agent and role, and runs operations on their resources.
    Accept(Accept),
    /// Declines offers.
    Decline {
        /// The offers.
        offers: Vec<OfferId>,
        /// The filter, for the length of which the framework is not offered the same resources again.
        filters: Filters,
        /// True to pass over offers that are not live, as every transport does: an answer may cross a rescind.
        each: bool,
    },
    /// Accepts inverse offers: the framework will give the resources back.
    AcceptInverseOffers {
        /// The inverse offers.
        offers: Vec<OfferId>,
        /// The filter, for the length of which the framework gets no further inverse offer for these agents.
        filters: Filters,
        /// True to pass over offers that are not live, as every transport does: an answer may cross a rescind.
        each: bool,
    },
    /// Declines inverse offers: the framework will keep the resources.
    DeclineInverseOffers {
        /// The inverse offers.
        offers: Vec<OfferId>,
        /// The filter, for the length of which the framework gets no further inverse offer for these agents.
        filters: Filters,
        /// True to pass over offers that are not live, as every transport does: an answer may cross a rescind.
        each: bool,
    },
    /// Suppresses offers for these roles; an empty list means all roles of the framework.
    Suppress(Vec<Role>),
    /// Asks for offers for these roles again and clears their filters; an empty list means all roles of the framework. All agents
    /// are allocated at once, without waiting for the next batch.
    Revive(Vec<Role>),
    /// Kills a task.
    Kill(Kill),
    /// Asks for the current status of these tasks; `None` means all tasks of the framework.
    ///
    /// v1 JSON cannot tell an empty list from `None`: it is read as `None`.
    Reconcile(Option<Vec<TaskRef>>),
    /// Acknowledges a task status, which its agent then stops resending.
    Acknowledge {
        /// The agent that sent the status.
        agent: AgentId,
        /// The task that the status is about.
        task: TaskId,
        /// The UUID of the status.
        uuid: Uuid,
    },
    /// Acknowledges an operation status.
    AcknowledgeOperation {
        /// The agent that sent the status, if it named one.
        agent: Option<AgentId>,
        /// The operation that the status is about.
        operation: OperationId,
        /// The UUID of the status.
        uuid: Uuid,
    },
    /// Asks for the current status of these operations; an empty list means all that are not terminal.
    ReconcileOperations(Vec<OperationRef>),
    /// Sends a message to an executor. Delivery is not guaranteed.
    Message {
        /// The agent that the executor runs on.
        agent: AgentId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// Shuts down an executor and all its tasks.
    Shutdown {
        /// The agent that the executor runs on.
        agent: AgentId,
        /// The executor.
        executor: ExecutorId,
    },
    /// Requests so many offers for roles that are suppressed, or withdraws such a request. All agents are allocated at once, as for
    /// a revive. (Mesos takes a REQUEST and ignores it.)
    ///
    /// v1 JSON has no word for roles and for the most of an offer: there a request is one for all suppressed roles, without a most.
    Request(Box<Request>),
    /// Replaces the framework's description: name, roles, capabilities, filters, constraints.
    UpdateFramework(Box<Framework>),
    /// Removes the framework and all its tasks.
    Teardown,
    /// A call that is none of the above because a value in it, such as the name of a role, is invalid. The master rejects it.
    Invalid {
        /// The type of the call (`REVIVE`, ...).
        kind: Text,
        /// The body of the call as it was given.
        form: Box<InvalidForm>,
    },
}

impl Call {
    /// Returns the type of the call as the v1 API names it (`REVIVE`, ...).
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Accept(_) => "ACCEPT",
            Self::Decline { .. } => "DECLINE",
            Self::AcceptInverseOffers { .. } => "ACCEPT_INVERSE_OFFERS",
            Self::DeclineInverseOffers { .. } => "DECLINE_INVERSE_OFFERS",
            Self::Suppress(_) => "SUPPRESS",
            Self::Revive(_) => "REVIVE",
            Self::Kill(_) => "KILL",
            Self::Reconcile(_) => "RECONCILE",
            Self::Acknowledge { .. } => "ACKNOWLEDGE",
            Self::AcknowledgeOperation { .. } => "ACKNOWLEDGE_OPERATION_STATUS",
            Self::ReconcileOperations(_) => "RECONCILE_OPERATIONS",
            Self::Message { .. } => "MESSAGE",
            Self::Shutdown { .. } => "SHUTDOWN",
            Self::Request(_) => "REQUEST",
            Self::UpdateFramework(_) => "UPDATE_FRAMEWORK",
            Self::Teardown => "TEARDOWN",
            Self::Invalid { kind, .. } => kind,
        }
    }
}

/// A request to kill a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kill {
    /// The task.
    pub task: TaskId,
    /// The agent that the task runs on, for a master that does not know.
    pub agent: Option<AgentId>,
    /// The time that the task has to shut down; `None` leaves it to the task's own kill policy.
    pub grace: Option<Duration>,
}

impl Kill {
    /// Makes a request that leaves the time to shut down to the task's own kill policy.
    #[must_use]
    pub fn new(task: impl Into<TaskId>) -> Self {
        Self { task: task.into(), agent: None, grace: None }
    }

    /// Sets the time that the task has to shut down.
    #[must_use]
    pub fn within(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Sets the agent that the task runs on, for a master that does not know.
    #[must_use]
    pub fn on(mut self, agent: impl Into<AgentId>) -> Self {
        self.agent = Some(agent.into());
        self
    }
}

impl From<TaskId> for Kill {
    fn from(task: TaskId) -> Self {
        Self { task, agent: None, grace: None }
    }
}

/// A task, and the agent that it runs on if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskRef {
    /// The task.
    pub task: TaskId,
    /// The agent, if it is known.
    pub agent: Option<AgentId>,
}

impl From<TaskId> for TaskRef {
    fn from(task: TaskId) -> Self {
        Self { task, agent: None }
    }
}

impl TaskRef {
    /// Returns a reference to a task on that agent.
    #[must_use]
    pub fn on(task: impl Into<TaskId>, agent: impl Into<AgentId>) -> Self {
        Self { task: task.into(), agent: Some(agent.into()) }
    }
}

/// An operation, and the agent that it ran on if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationRef {
    /// The operation.
    pub operation: OperationId,
    /// The agent, if it is known.
    pub agent: Option<AgentId>,
}

impl From<OperationId> for OperationRef {
    fn from(operation: OperationId) -> Self {
        Self { operation, agent: None }
    }
}

impl From<Request> for Call {
    fn from(request: Request) -> Self {
        Self::Request(Box::new(request))
    }
}
