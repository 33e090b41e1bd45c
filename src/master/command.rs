//! [`Command`]: an input of the master, and [`CommandError`]: the reason for its rejection.

use crate::agent::{Agent, Domain, Unavailability};
use crate::allocator::{AllocatorError, Quota, QuotaError, Weight};
use crate::attributes::Attributes;
use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, FrameworkId, IdError, OfferId, TaskId};
use crate::offer::Operation;
use crate::resources::{Resources, Scalar, Shortfall, SumError};
use crate::role::Role;
use crate::scheduler::Call;
use crate::task::{Task, TaskStatus};
use crate::time::Time;
use smol_str::SmolStr;

/// An input of the master: an event in the cluster, or a request of an operator or a framework.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Registers an agent, with the tasks that already run on it.
    AddAgent(Agent, Vec<RunningTask>),
    /// Changes an agent's total resources, attributes or domain.
    UpdateAgent(AgentUpdate),
    /// Removes an agent. Its tasks are lost.
    RemoveAgent(AgentId),
    /// Stops offering an agent, and rescinds its offers.
    DeactivateAgent(AgentId),
    /// Starts offering an agent again.
    ActivateAgent(AgentId),
    /// Registers a framework.
    AddFramework(Framework),
    /// Replaces a framework's description.
    UpdateFramework(Framework),
    /// Removes a framework and its tasks; or the tasks of one that is not registered.
    RemoveFramework(FrameworkId),
    /// Marks a framework as disconnected: its offers are rescinded, its tasks keep running.
    DeactivateFramework(FrameworkId),
    /// Marks a framework as connected again.
    ActivateFramework(FrameworkId),
    /// Sets the weight of a role among its siblings.
    SetWeight(Role, Weight),
    /// Sets the guarantees and limits of a role; an empty quota removes them.
    SetQuota(Role, Quota),
    /// Restricts offers to agents with these hostnames; `None` lifts the restriction.
    SetWhitelist(Option<Vec<SmolStr>>),
    /// Schedules or cancels the maintenance of an agent's machine, the hostname: the offers of all agents on it are
    /// rescinded and made anew. It holds for agents that come later, too.
    SetMaintenance(AgentId, Option<Unavailability>),
    /// Runs operations of an operator on the unused resources of an agent. Offers in the way are rescinded first.
    Operate(AgentId, Vec<Operation>),
    /// Handles a call of a framework.
    Call(FrameworkId, Call),
    /// Handles a task status from an agent.
    TaskStatus(FrameworkId, TaskStatus),
    /// Forwards a message of an executor to its framework.
    ExecutorMessage(ExecutorRef, Vec<u8>),
    /// Handles the termination of an executor, with its exit status as wait(2) encodes it. The statuses of its tasks are
    /// commands of their own and come first.
    ExecutorEnded(ExecutorRef, i32),
}

/// The full name of an executor: executor ids are unique per framework and agent only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ExecutorRef {
    /// The framework that the executor belongs to.
    pub framework: FrameworkId,
    /// The agent that the executor runs on.
    pub agent: AgentId,
    /// The executor's id.
    pub executor: ExecutorId,
}

impl ExecutorRef {
    /// Returns the full name of that executor.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, agent: impl Into<AgentId>, executor: impl Into<ExecutorId>) -> Self {
        Self { framework: framework.into(), agent: agent.into(), executor: executor.into() }
    }
}

/// A task that already runs on an agent when the agent registers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunningTask {
    /// The framework that the task belongs to, registered or not.
    pub framework: FrameworkId,
    /// The role that the task's resources are allocated to.
    pub role: Role,
    /// The task: its id and its resources.
    pub task: Task,
}

impl RunningTask {
    /// Returns a task of that framework, allocated to that role.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, role: Role, task: Task) -> Self {
        Self { framework: framework.into(), role, task }
    }
}

/// A change to an agent; a field that is `None` stays as it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentUpdate {
    /// The agent.
    pub id: AgentId,
    /// The new total resources.
    pub resources: Option<Resources>,
    /// The new attributes.
    pub attributes: Option<Attributes>,
    /// The new domain.
    pub domain: Option<Domain>,
}

impl AgentUpdate {
    /// Returns an update that changes nothing.
    #[must_use]
    pub fn new(id: impl Into<AgentId>) -> Self {
        Self { id: id.into(), resources: None, attributes: None, domain: None }
    }

    /// Sets the new total resources.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }
}

/// The reason why the master rejected a command. The state is as before, except for the timers that were due.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The time of the command is before that of the last one.
    #[error("time cannot go back from {now} to {at}")]
    TimeWentBack {
        /// The current time of the master.
        now: Time,
        /// The time of the command.
        at: Time,
    },
    /// The timers up to the time of the command have more effects than one call may cause.
    #[error("too much happens until {at}: time stands at {reached}")]
    TooManyTimerEffects {
        /// The time that the master has advanced to.
        reached: Time,
        /// The time of the command, which was not applied.
        at: Time,
    },
    /// The allocator rejects the command.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// The quota is invalid.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// A framework names a role twice.
    #[error("framework {framework} names the role {role} twice")]
    DuplicateRole {
        /// The framework.
        framework: FrameworkId,
        /// The role.
        role: Role,
    },
    /// The offer does not exist, or not any more.
    #[error("no live offer {0}")]
    UnknownOffer(OfferId),
    /// The offer was made to another framework.
    #[error("offer {offer} was made to framework {to}, not to {framework}")]
    OfferNotOwned {
        /// The offer.
        offer: OfferId,
        /// The framework that the offer was made to.
        to: FrameworkId,
        /// The framework that answers the offer.
        framework: FrameworkId,
    },
    /// One answer names an offer twice.
    #[error("offer {0} is named twice")]
    DuplicateOffer(OfferId),
    /// An accept names no offer.
    #[error("expected at least one offer to accept")]
    NoOffers,
    /// The offers of one accept differ in agent or role.
    #[error("offers {first} and {other} are not of one agent and one role")]
    OffersNotCombinable {
        /// The first offer of the accept.
        first: OfferId,
        /// An offer of another agent or role.
        other: OfferId,
    },
    /// A task asks for more than is left of the offers.
    #[error("task {task} does not fit: {shortfall}")]
    TaskTooLarge {
        /// The task.
        task: TaskId,
        /// The resource that falls short: the amounts asked for and left.
        shortfall: Box<Shortfall>,
    },
    /// A task asks for no resources.
    #[error("task {0} asks for no resources")]
    TaskWithoutResources(TaskId),
    /// A task asks for both revocable and non-revocable amounts of one resource.
    #[error("task {task} mixes revocable and other {name}")]
    MixedRevocable {
        /// The task.
        task: TaskId,
        /// The resource's name.
        name: SmolStr,
    },
    /// An agent, a framework, an executor, a volume of an agent, or a task that comes with an agent has an invalid id.
    #[error(transparent)]
    InvalidId(#[from] IdError),
    /// A task to launch has an invalid id.
    #[error("task: {error}")]
    InvalidTaskId {
        /// The task.
        task: TaskId,
        /// The error in its id.
        error: IdError,
    },
    /// Two volumes of an agent have one persistence id and one role.
    #[error("agent {agent} has two volumes {id:?}: expected one for each id and role")]
    DuplicateVolume {
        /// The agent.
        agent: AgentId,
        /// The persistence id.
        id: SmolStr,
    },
    /// A task asks for a fraction of a GPU.
    #[error("task {task} asks for gpus:{gpus}: expected whole GPUs")]
    FractionalGpus {
        /// The task.
        task: TaskId,
        /// The amount that it asks for.
        gpus: Scalar,
    },
    /// A task asks for what an operation of the same accept has made, and its agent would hold more of it than can be counted.
    #[error("task {task} cannot be counted: {source}")]
    TaskUncountable {
        /// The task.
        task: TaskId,
        /// The resource that cannot be added to what is held on the agent.
        source: SumError,
    },
    /// The framework has a task of that id that is not terminal.
    #[error("framework {framework} has a task {task} already")]
    TaskExists {
        /// The framework.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
    },
    /// The framework has no such task, or the task is terminal.
    #[error("framework {framework} has no task {task}")]
    UnknownTask {
        /// The framework.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
    },
    /// A call subscribes or updates another framework than the one that calls.
    #[error("framework {framework} speaks for framework {named}")]
    FrameworkIdMismatch {
        /// The framework that calls.
        framework: FrameworkId,
        /// The framework that the call describes.
        named: FrameworkId,
    },
    /// The operation is not for operators: they cannot launch tasks.
    #[error("operators cannot {0}: expected reserve, unreserve, create, destroy, grow_volume or shrink_volume")]
    NotForOperators(&'static str),
}

impl CommandError {
    /// Returns the task whose description is invalid, if that is the reason.
    #[must_use]
    pub fn invalid_task(&self) -> Option<&TaskId> {
        match self {
            Self::TaskTooLarge { task, .. }
            | Self::TaskWithoutResources(task)
            | Self::MixedRevocable { task, .. }
            | Self::FractionalGpus { task, .. }
            | Self::TaskUncountable { task, .. }
            | Self::InvalidTaskId { task, .. }
            | Self::TaskExists { task, .. } => Some(task),
            Self::TimeWentBack { .. }
            | Self::TooManyTimerEffects { .. }
            | Self::Allocator(_)
            | Self::Quota(_)
            | Self::DuplicateRole { .. }
            | Self::UnknownOffer(_)
            | Self::OfferNotOwned { .. }
            | Self::DuplicateOffer(_)
            | Self::NoOffers
            | Self::OffersNotCombinable { .. }
            | Self::UnknownTask { .. }
            | Self::FrameworkIdMismatch { .. }
            | Self::InvalidId(_)
            | Self::DuplicateVolume { .. }
            | Self::NotForOperators(_) => None,
        }
    }
}
