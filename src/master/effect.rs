//! [`Effect`]: what comes out of the machine.

use crate::id::{AgentId, FrameworkId, OfferId, TaskId};
use crate::offer::{InverseOffer, Offer, OperationError};
use crate::role::Role;
use crate::task::{Task, TaskStatus};
use crate::time::Time;

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
