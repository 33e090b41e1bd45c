//! [`Input`]: what happens to an agent, and [`Rejected`]: why it did not accept it.

use super::record::{ContainerId, Process};
use apportion::executor::Call;
use apportion::{ExecutorId, FrameworkId, IdError, Task, TaskId, TaskStatus, Text};
use apportion_http::internal::MasterEvent;

/// The number of a stream of events to an executor. The server gives each stream a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number")]
pub struct StreamId(pub u64);

/// The number of an [`Effect::Store`](super::Effect::Store).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number")]
pub struct Ticket(pub u64);

/// What happens to an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// It is known which master leads, and the agent has no stream to it: it will [connect](super::Effect::Connect).
    MasterFound,
    /// The stream to the master has broken, could not be opened, or no master leads.
    MasterLost {
        /// True if it is still known which master leads: then the agent connects again by itself.
        leader_known: bool,
    },
    /// An event came over the stream of the master.
    Master(Box<MasterEvent>),
    /// An executor subscribes, for the first time or again. The server answers 200 with a stream of that number, which ends the one
    /// before.
    Subscribe {
        /// The number of the new stream.
        stream: StreamId,
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// Tasks without any acknowledged status.
        tasks: Vec<Task>,
        /// Statuses that are not acknowledged.
        updates: Vec<TaskStatus>,
    },
    /// An executor makes any other call.
    Call {
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// The call.
        call: Call,
    },
    /// The stream to an executor has broken. Nothing happens if another has replaced it.
    StreamEnded(StreamId),
    /// Something has happened to a container.
    Container(ContainerId, ContainerEvent),
    /// The result of an [`Effect::Store`](super::Effect::Store): an error names the folder and how much is free there.
    Stored(Ticket, Result<(), Text>),
    /// The operator takes the agent out of the cluster (SIGUSR1).
    Unregister,
    /// The program is to end (SIGTERM): what does not checkpoint ends with it.
    Stop,
}

/// What happens to a container.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ContainerEvent {
    /// A step of its launch begins, in words for people that go on *the executor was still ...*: `fetching URI`, `pulling IMAGE`.
    Step(Text),
    /// Its process has been started, or was [found again](super::Effect::Reattach).
    Started(Process),
    /// It could not be launched, and nothing of it is left.
    Failed {
        /// The cause in the words of the fetcher, the engine or the system.
        message: Text,
    },
    /// Its process has ended, and nothing of it is left. A container that is [destroyed](super::Effect::Destroy) ends so, too.
    Ended {
        /// The status of the process as wait(2) encodes it, if it is known.
        status: Option<i32>,
        /// The limit that it has reached, if that is why.
        limitation: Option<Limitation>,
    },
}

/// A limit that a container has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a reason in both forms")]
pub struct Limitation {
    /// The reason by its Mesos name (`REASON_CONTAINER_LIMITATION_MEMORY`, ...).
    pub reason: Text,
    /// The reason for people.
    pub message: Text,
}

/// Why an agent has not accepted an input; it is exactly as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// An executor of a framework that has none here. HTTP 400.
    #[error("Framework {0} cannot be found")]
    UnknownFramework(FrameworkId),
    /// An executor that does not run here. HTTP 400.
    #[error("Executor {1} of framework {0} cannot be found")]
    UnknownExecutor(FrameworkId, ExecutorId),
    /// A status without UUID. HTTP 400.
    #[error("the status of task {0} has no UUID")]
    NoUuid(TaskId),
    /// A status of a task that another executor of the framework runs here: an executor speaks only for itself. HTTP 400.
    #[error("task {0} is run by another executor")]
    OtherExecutor(TaskId),
    /// The executor has not subscribed. HTTP 403.
    #[error("Executor is not subscribed")]
    NotSubscribed,
    /// More statuses of the task wait for their acknowledgement than are kept. HTTP 503.
    #[error("{most} statuses of task {task} wait for their acknowledgement: expected the executor to wait, too")]
    TooManyUpdates {
        /// The task.
        task: TaskId,
        /// The number of statuses that are kept.
        most: usize,
    },
    /// An event of the master bears an id that can be no folder.
    #[error(transparent)]
    Id(#[from] IdError),
    /// An event of a master with which the agent is not registered.
    #[error("an event of the master came before the registration")]
    NotRegistered,
    /// A container that the agent does not have.
    #[error("there is no container {0}")]
    UnknownContainer(ContainerId),
    /// A number of no effect.
    #[error("there is no record of number {}", .0.0)]
    UnknownTicket(Ticket),
}
