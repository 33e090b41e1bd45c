//! [`CommandError`]: the reason why the master rejected a command.

use crate::allocator::{AllocatorError, QuotaError};
use crate::id::{AgentId, ExecutorId, FrameworkId, IdError, OfferId, TaskId};
use crate::resources::{Scalar, Shortfall, SumError};
use crate::role::Role;
use crate::scheduler::RequestError;
use crate::text::Text;
use crate::time::Time;

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
    /// A request for offers contradicts itself.
    #[error(transparent)]
    Request(RequestError),
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
    /// A task to launch names another agent than that of the offers.
    #[error("task {task} names the agent {named}, the offers are of agent {agent}")]
    MisplacedTask {
        /// The task.
        task: TaskId,
        /// The agent that the task names.
        named: AgentId,
        /// The agent of the offers.
        agent: AgentId,
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
        name: Text,
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
    /// A value in the call is invalid.
    #[error("{0}")]
    InvalidCall(Text),
    /// The resources of a task to launch cannot be read.
    #[error("task {task}: {error}")]
    InvalidResources {
        /// The task.
        task: TaskId,
        /// The error in its resources.
        error: Text,
    },
    /// The description of a task's executor is invalid.
    #[error("task {task}: executor: {error}")]
    InvalidExecutor {
        /// The task.
        task: TaskId,
        /// The error in the description.
        error: String,
    },
    /// A task names an executor that runs on the agent with another description.
    #[error("task {task} describes executor {executor} otherwise than it runs")]
    ExecutorMismatch {
        /// The task.
        task: TaskId,
        /// The executor.
        executor: ExecutorId,
    },
    /// An agent comes with an executor twice.
    #[error("executor {executor} of framework {framework} is named twice")]
    ExecutorExists {
        /// The framework.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
    },
    /// A framework kills a task on another agent than that on which the task runs.
    #[error("task {task} is on agent {agent}, not on {named}")]
    WrongAgent {
        /// The task.
        task: TaskId,
        /// The agent that the framework names.
        named: AgentId,
        /// The agent of the task.
        agent: AgentId,
    },
    /// The agent drains already.
    #[error("agent {0} drains already")]
    AlreadyDraining(AgentId),
    /// A recovery comes after an agent, or after another recovery.
    #[error("expected one recovery, before any agent")]
    LateRecovery,
    /// Two volumes of an agent have one persistence id and one role.
    #[error("agent {agent} has two volumes {id:?}: expected one for each id and role")]
    DuplicateVolume {
        /// The agent.
        agent: AgentId,
        /// The persistence id.
        id: Text,
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
