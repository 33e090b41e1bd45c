//! [`Effect`]: an output of the master.

use super::command::Drain;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::offer::{InverseOffer, Offer, Operation, OperationError, OperationStatus};
use crate::role::Role;
use crate::task::{Task, TaskStatus};
use crate::time::Time;
use crate::uuid::Uuid;
use std::time::Duration;

/// An output of the master: a message that the transport delivers to a framework, an agent or an executor.
///
/// Its serde form is the journal's, which is only written (feature `json`): effects follow from commands, so a recording has the
/// commands, and a [`Snapshot`](crate::Snapshot) keeps the effects that were not polled.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// To a framework: an offer of resources.
    Offer(Offer),
    /// To a framework: an offer is no longer valid.
    Rescind {
        /// The offer.
        offer: OfferId,
        /// The framework that the offer was made to.
        framework: FrameworkId,
    },
    /// To a framework: a request to give resources back.
    InverseOffer(InverseOffer),
    /// To a framework: an inverse offer is no longer valid.
    RescindInverseOffer {
        /// The inverse offer.
        offer: OfferId,
        /// The framework that the inverse offer was made to.
        framework: FrameworkId,
    },
    /// To an agent: launch a task.
    Launch {
        /// The agent.
        agent: AgentId,
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The role that the task's resources are allocated to.
        role: Role,
        /// The task.
        task: Task,
        /// The number of the task group that it belongs to, if it does. The launches of one group follow each other.
        group: Option<u64>,
    },
    /// To an agent: keep the result of an operation on its resources.
    Operation {
        /// The agent.
        agent: AgentId,
        /// The framework; `None` means an operator.
        framework: Option<FrameworkId>,
        /// The operation, which is done.
        operation: Operation,
    },
    /// To an agent: drain.
    Drain {
        /// The agent.
        agent: AgentId,
        /// How.
        drain: Drain,
    },
    /// To an agent: shut down for good.
    ShutdownAgent {
        /// The agent.
        agent: AgentId,
        /// The reason for people.
        message: &'static str,
    },
    /// To an agent: shut down all executors and tasks of a framework that is removed.
    ShutdownFramework {
        /// The agent.
        agent: AgentId,
        /// The framework.
        framework: FrameworkId,
    },
    /// To an operator: an agent came with a task whose id runs elsewhere. Its copy is killed.
    TaskConflict {
        /// The agent that came with the task.
        agent: AgentId,
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
    },
    /// To an operator: a framework is given up, or its [`failover_timeout`](crate::Framework::failover_timeout) is over.
    FrameworkRemoved {
        /// The framework.
        framework: FrameworkId,
    },
    /// To an agent: kill a task.
    Kill {
        /// The agent.
        agent: AgentId,
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
        /// The time that the task has to shut down, if the framework said so.
        grace: Option<Duration>,
    },
    /// To an agent: a framework has acknowledged a status, which the agent then stops resending.
    Acknowledge {
        /// The agent.
        agent: AgentId,
        /// The framework that acknowledges the status.
        framework: FrameworkId,
        /// The task that the status is about.
        task: TaskId,
        /// The UUID of the status.
        uuid: Uuid,
    },
    /// To an executor: a message from its framework.
    Message {
        /// The agent that the executor runs on.
        agent: AgentId,
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// To an agent: shut down an executor and all its tasks.
    Shutdown {
        /// The agent that the executor runs on.
        agent: AgentId,
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
    },
    /// To a framework: a message from one of its executors.
    ExecutorMessage {
        /// The framework.
        framework: FrameworkId,
        /// The agent that the executor runs on.
        agent: AgentId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// To a framework: one of its executors has terminated.
    ExecutorEnded {
        /// The framework.
        framework: FrameworkId,
        /// The agent that the executor ran on.
        agent: AgentId,
        /// The executor.
        executor: ExecutorId,
        /// The exit status as wait(2) encodes it.
        status: i32,
    },
    /// To a framework: the status of an operation for which the framework asked for feedback.
    OperationStatus {
        /// The framework.
        framework: FrameworkId,
        /// The status.
        status: OperationStatus,
    },
    /// To a framework or an operator: an operation has failed and changed nothing.
    OperationFailed {
        /// The framework; `None` means the operator.
        framework: Option<FrameworkId>,
        /// The operation's name.
        operation: &'static str,
        /// The reason.
        error: OperationError,
    },
    /// To the operator: a command was done, but looks like a mistake.
    Warning {
        /// The command's name in the journal.
        command: &'static str,
        /// What looks like a mistake.
        message: String,
    },
    /// To a framework: a task status.
    Status {
        /// The framework.
        framework: FrameworkId,
        /// The status.
        status: TaskStatus,
    },
    /// To a framework: it is subscribed. What comes after this is for the scheduler instance that has subscribed last.
    Subscribed {
        /// The framework.
        framework: FrameworkId,
    },
    /// To all frameworks: an agent is lost. Each of its tasks has got a status of its own.
    AgentLost {
        /// The agent.
        agent: AgentId,
    },
}

impl Effect {
    /// Returns whether a [journal](crate::journal) prints this effect. It does not print that a framework is subscribed and
    /// that an agent is lost: both follow from the commands.
    #[must_use]
    pub fn is_in_journal(&self) -> bool {
        !matches!(self, Self::Subscribed { .. } | Self::AgentLost { .. })
    }
}

/// An effect with the time of the command or timer that caused it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Emitted {
    /// The time of the command or timer.
    pub at: Time,
    /// The effect.
    pub effect: Effect,
}
