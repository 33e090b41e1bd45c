//! The messages to frameworks, agents and operators.

use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::master::{Command, Drain};
use crate::offer::{InverseOffer, Offer, Operation, OperationError};
use crate::role::Role;
use crate::scheduler::{Event, Rejected};
use crate::task::Task;
use crate::time::Time;
use crate::uuid::Uuid;
use std::sync::Arc;
use std::time::Duration;

/// A message with its recipient.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Envelope<To, Message> {
    /// The recipient.
    pub to: To,
    /// The number of the recipient's connection: each [`Event::Subscribed`] and each [`AgentMessage::Registered`] begins one
    /// with a higher number, and ends those before it; so does [`Command::ActivateFramework`] after a break. It is 0 for a
    /// recipient that was connected from the start.
    pub connection: u64,
    /// The time of the command or timer that caused the message.
    pub at: Time,
    /// The number of the [command](Recorded) that caused the message; for a timer, that of the last command before it.
    pub cause: u64,
    /// The message.
    pub message: Message,
}

/// A command that was handled, for whoever stores commands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// Its number: commands are numbered 1, 2, ... in the order of handling.
    pub number: u64,
    /// The time at which it was handled.
    pub at: Time,
    /// The command.
    pub command: Command,
}

/// A framework, an agent or the operators.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Recipient {
    /// A framework.
    Framework(FrameworkId),
    /// An agent.
    Agent(AgentId),
    /// The operators.
    Operator,
}

/// A message to a framework.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FrameworkMessage {
    /// An event, for [`scheduler::deliver`](crate::scheduler::deliver) or a connection.
    Event(Event),
    /// A call was not done, for [`Scheduler::rejected`](crate::Scheduler::rejected). A v1 connection does not send it.
    Rejected(Rejected),
    /// Nothing to send: the connection ends here.
    Close(Closed),
}

/// A message to an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AgentMessage {
    /// The agent is registered.
    Registered(Arc<Agent>),
    /// Launch a task.
    Launch {
        /// The framework that the task belongs to.
        framework: Arc<Framework>,
        /// The role that the task's resources are allocated to.
        role: Role,
        /// The task.
        task: Task,
    },
    /// Launch the tasks of a group together, in one executor.
    LaunchGroup {
        /// The framework that the tasks belong to.
        framework: Arc<Framework>,
        /// The role that the tasks' resources are allocated to.
        role: Role,
        /// The tasks.
        tasks: Vec<Task>,
    },
    /// Kill a task.
    Kill {
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
        /// The time that the task has to shut down, if the framework said so.
        grace: Option<Duration>,
    },
    /// A framework has acknowledged a status: stop resending it.
    Acknowledge {
        /// The framework.
        framework: FrameworkId,
        /// The task that the status is about.
        task: TaskId,
        /// The UUID of the status.
        uuid: Uuid,
    },
    /// Pass a message of a framework to its executor.
    Message {
        /// The framework.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// Shut down an executor and all its tasks.
    ShutdownExecutor {
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
    },
    /// Shut down all executors and tasks of a framework that is removed.
    ShutdownFramework {
        /// The framework.
        framework: FrameworkId,
    },
    /// Keep the result of an operation on the agent's resources.
    Operation {
        /// The framework; `None` means an operator.
        framework: Option<FrameworkId>,
        /// The operation, which is done.
        operation: Operation,
    },
    /// Drain.
    Drain(Drain),
    /// Shut down for good.
    Shutdown {
        /// The reason for people.
        message: &'static str,
    },
    /// Nothing to send: the connection ends here.
    Close(Closed),
}

/// A message to the operators.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// An agent came with a task whose id runs elsewhere. Its copy is killed.
    TaskConflict {
        /// The agent that came with the task.
        agent: AgentId,
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
    },
    /// A framework is given up, or its [`failover_timeout`](Framework::failover_timeout) is over.
    FrameworkRemoved {
        /// The framework.
        framework: FrameworkId,
    },
    /// An operation of an operator has failed and changed nothing.
    OperationFailed {
        /// The operation's name.
        operation: &'static str,
        /// The reason.
        error: OperationError,
    },
    /// A command was done, but looks like a mistake.
    Warning {
        /// The command's name in the journal.
        command: &'static str,
        /// What looks like a mistake.
        message: String,
    },
    /// A recipient took its messages too slowly, and was disconnected.
    TooSlow(Recipient),
}

/// The reason why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// Another instance of the framework has subscribed.
    FailedOver,
    /// The framework or the agent was removed.
    Removed,
    /// A command has disconnected the framework or the agent.
    Disconnected,
    /// The messages that it did not take cost more than a queue may hold.
    TooSlow,
}

impl Closed {
    /// Returns the event that a scheduler gets as the last one of its connection, if it is told (Mesos,
    /// `Master::failoverFramework`).
    #[must_use]
    pub fn event(self) -> Option<Event> {
        (self == Self::FailedOver).then(|| Event::Error("Framework failed over".to_owned()))
    }
}

/// A part of a message, whose cost the caller tells.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Part<'a> {
    /// One offer of an [`Event::Offers`].
    Offer(&'a Offer),
    /// One inverse offer of an [`Event::InverseOffers`].
    InverseOffer(&'a InverseOffer),
    /// A whole message to a framework.
    Framework(&'a FrameworkMessage),
    /// A whole message to an agent.
    Agent(&'a AgentMessage),
}
