//! [`Effect`]: what comes out of the machine.

use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::offer::{InverseOffer, Offer, OperationError, OperationStatus};
use crate::role::Role;
use crate::task::{Task, TaskStatus};
use crate::time::Time;
use crate::uuid::Uuid;
use std::time::Duration;

/// What is to be delivered to a framework or an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// To a framework: it may take something of this.
    Offer(Offer),
    /// To a framework: an offer is no longer its own.
    Rescind {
        /// Which offer.
        offer: OfferId,
        /// Whose it was.
        framework: FrameworkId,
    },
    /// To a framework: it is asked to give something back.
    InverseOffer(InverseOffer),
    /// To a framework: it is no longer asked to.
    RescindInverseOffer {
        /// Which inverse offer.
        offer: OfferId,
        /// Whose it was.
        framework: FrameworkId,
    },
    /// To an agent: start this.
    Launch {
        /// Where.
        agent: AgentId,
        /// For whom.
        framework: FrameworkId,
        /// The role that its resources are held under.
        role: Role,
        /// What.
        task: Task,
    },
    /// To an agent: end this.
    Kill {
        /// Where.
        agent: AgentId,
        /// For whom.
        framework: FrameworkId,
        /// What.
        task: TaskId,
        /// How long it has to end by itself, if the framework said so.
        grace: Option<Duration>,
    },
    /// To an agent: its status has arrived, and need not be told again.
    Acknowledge {
        /// To which agent.
        agent: AgentId,
        /// By whom.
        framework: FrameworkId,
        /// The task that the status was about.
        task: TaskId,
        /// The status.
        uuid: Uuid,
    },
    /// To an executor: its scheduler has something to say.
    Message {
        /// On which agent.
        agent: AgentId,
        /// Whose executor.
        framework: FrameworkId,
        /// Which one.
        executor: ExecutorId,
        /// What.
        data: Vec<u8>,
    },
    /// To an agent: end this executor and all its tasks.
    Shutdown {
        /// On which agent.
        agent: AgentId,
        /// Whose executor.
        framework: FrameworkId,
        /// Which one.
        executor: ExecutorId,
    },
    /// To a framework: an executor of its own has something to say.
    ExecutorMessage {
        /// To whom.
        framework: FrameworkId,
        /// On which agent.
        agent: AgentId,
        /// Which executor.
        executor: ExecutorId,
        /// What.
        data: Vec<u8>,
    },
    /// To a framework: an executor of its own has ended.
    ExecutorEnded {
        /// To whom.
        framework: FrameworkId,
        /// On which agent.
        agent: AgentId,
        /// Which executor.
        executor: ExecutorId,
        /// How, as wait(2) has it.
        status: i32,
    },
    /// To a framework: how an operation went of which it wanted to hear.
    OperationStatus {
        /// To whom.
        framework: FrameworkId,
        /// The news.
        status: OperationStatus,
    },
    /// To a framework, or to an operator: an operation could not be done; nothing has changed.
    OperationFailed {
        /// To whom; none = to the operator.
        framework: Option<FrameworkId>,
        /// The operation's name.
        operation: &'static str,
        /// Why.
        error: OperationError,
    },
    /// To a framework: news of a task.
    Status {
        /// To whom.
        framework: FrameworkId,
        /// The news.
        status: TaskStatus,
    },
}

/// An effect and the moment of the command or timer that caused it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Emitted {
    /// When.
    pub at: Time,
    /// What.
    pub effect: Effect,
}
