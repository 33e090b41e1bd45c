//! [`Command`]: what goes into the machine, and why it may be turned away.

use crate::agent::{Agent, Domain, Unavailability};
use crate::allocator::{AllocatorError, Quota, QuotaError, Weight};
use crate::attributes::Attributes;
use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::offer::Operation;
use crate::resources::{Resources, Shortfall};
use crate::role::Role;
use crate::scheduler::Call;
use crate::task::{Task, TaskStatus};
use crate::time::Time;
use smol_str::SmolStr;

/// Something that happens to the cluster: what operators, agents and frameworks tell the master.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// An agent registers, perhaps with tasks that already run on it.
    AddAgent(Agent, Vec<RunningTask>),
    /// An agent has, or says of itself, something else than before.
    UpdateAgent(AgentUpdate),
    /// An agent is gone, and all its tasks are lost.
    RemoveAgent(AgentId),
    /// An agent is not to be offered any more; its offers are rescinded.
    DeactivateAgent(AgentId),
    /// An agent may be offered again.
    ActivateAgent(AgentId),
    /// A framework registers.
    AddFramework(Framework),
    /// A framework says something else of itself; replaces all that it said before.
    UpdateFramework(Framework),
    /// A framework leaves, and its tasks with it.
    RemoveFramework(FrameworkId),
    /// A framework cannot be reached: its offers are rescinded, its tasks go on.
    DeactivateFramework(FrameworkId),
    /// A framework can be reached again.
    ActivateFramework(FrameworkId),
    /// A role counts more or less against its siblings.
    SetWeight(Role, Weight),
    /// A role is sure to get, and may get at most, something else than before; an empty quota is none.
    SetQuota(Role, Quota),
    /// Only these hosts may be offered; none = all.
    SetWhitelist(Option<Vec<SmolStr>>),
    /// An agent will be down, or will not be after all; its offers are made anew.
    SetMaintenance(AgentId, Option<Unavailability>),
    /// An operator changes what an agent has that is not in use; offers of it are rescinded first.
    Operate(AgentId, Vec<Operation>),
    /// A framework asks for something.
    Call(FrameworkId, Call),
    /// An agent tells the state of a task.
    TaskStatus(FrameworkId, TaskStatus),
    /// An executor has something to say to its framework.
    ExecutorMessage(ExecutorRef, Vec<u8>),
    /// An executor has ended, with that status as wait(2) has it; its tasks are told one by one before.
    ExecutorEnded(ExecutorRef, i32),
}

/// An executor: whose it is and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ExecutorRef {
    /// Whose.
    pub framework: FrameworkId,
    /// On which agent.
    pub agent: AgentId,
    /// Which one.
    pub executor: ExecutorId,
}

impl ExecutorRef {
    /// That executor of that framework on that agent.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, agent: impl Into<AgentId>, executor: impl Into<ExecutorId>) -> Self {
        Self { framework: framework.into(), agent: agent.into(), executor: executor.into() }
    }
}

/// A task that an agent brings along when it registers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunningTask {
    /// The framework that it belongs to, registered or not.
    pub framework: FrameworkId,
    /// The role that its resources are held under.
    pub role: Role,
    /// Its id and what it holds.
    pub task: Task,
}

impl RunningTask {
    /// A task of that framework, under that role.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, role: Role, task: Task) -> Self {
        Self { framework: framework.into(), role, task }
    }
}

/// What is different about an agent; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentUpdate {
    /// Which agent.
    pub id: AgentId,
    /// All that it has now.
    pub resources: Option<Resources>,
    /// What it says of itself now.
    pub attributes: Option<Attributes>,
    /// Where it stands now.
    pub domain: Option<Domain>,
}

impl AgentUpdate {
    /// Nothing different yet.
    #[must_use]
    pub fn new(id: impl Into<AgentId>) -> Self {
        Self { id: id.into(), resources: None, attributes: None, domain: None }
    }

    /// The same, with another total.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }
}

/// Why a command was turned away; the machine is as it was before, but for timers that were due.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The command is of a moment before the last one.
    #[error("time cannot go back from {now} to {at}")]
    TimeWentBack {
        /// The moment of the last command.
        now: Time,
        /// The moment of this one.
        at: Time,
    },
    /// More happens until then than one jump in time may bring about.
    #[error("too much happens until {at}: time stands at {reached}")]
    SleptTooLong {
        /// How far time has come.
        reached: Time,
        /// The moment of the command, which was not taken.
        at: Time,
    },
    /// The allocator cannot take it.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// A quota that cannot be.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// A framework names a role twice.
    #[error("framework {framework} names the role {role} twice")]
    RoleTwice {
        /// The framework.
        framework: FrameworkId,
        /// The role.
        role: Role,
    },
    /// The offer is not there, or not any more.
    #[error("no live offer {0}")]
    UnknownOffer(OfferId),
    /// The offer was made to another framework.
    #[error("offer {offer} was made to framework {to}, not to {framework}")]
    NotItsOffer {
        /// The offer.
        offer: OfferId,
        /// To whom it was made.
        to: FrameworkId,
        /// Who answers it.
        framework: FrameworkId,
    },
    /// One answer names an offer twice.
    #[error("offer {0} is named twice")]
    OfferTwice(OfferId),
    /// An accept names no offer.
    #[error("expected at least one offer to accept")]
    NoOffers,
    /// The offers of one accept are not of one agent and one role.
    #[error("offers {first} and {other} are not of one agent and one role")]
    OffersApart {
        /// The first offer.
        first: OfferId,
        /// One that is of another agent or role.
        other: OfferId,
    },
    /// A task asks for more than is left of the offers.
    #[error("task {task} does not fit: {shortfall}")]
    TaskTooLarge {
        /// The task.
        task: TaskId,
        /// What it asks for and what is left.
        shortfall: Box<Shortfall>,
    },
    /// A task asks for nothing at all.
    #[error("task {0} asks for no resources")]
    TaskWithoutResources(TaskId),
    /// A task asks for revocable and other amounts of one name.
    #[error("task {task} mixes revocable and other {name}")]
    MixedRevocable {
        /// The task.
        task: TaskId,
        /// The name.
        name: SmolStr,
    },
    /// The framework has a task of that id that has not ended.
    #[error("framework {framework} has a task {task} already")]
    TaskExists {
        /// The framework.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
    },
    /// The framework has no such task, or it has ended.
    #[error("framework {framework} has no task {task}")]
    UnknownTask {
        /// The framework.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
    },
    /// A call that changes what a framework is, in the name of another one.
    #[error("framework {framework} speaks for framework {named}")]
    OtherFramework {
        /// Who calls.
        framework: FrameworkId,
        /// Whom the call is about.
        named: FrameworkId,
    },
    /// An operator launches no tasks.
    #[error("operators cannot {0}: expected reserve, unreserve, create, destroy, grow_volume or shrink_volume")]
    NotForOperators(&'static str),
}

impl CommandError {
    /// The task that cannot be launched as it is described, if that is why.
    #[must_use]
    pub fn bad_task(&self) -> Option<&TaskId> {
        match self {
            Self::TaskTooLarge { task, .. }
            | Self::TaskWithoutResources(task)
            | Self::MixedRevocable { task, .. }
            | Self::TaskExists { task, .. } => Some(task),
            Self::TimeWentBack { .. }
            | Self::SleptTooLong { .. }
            | Self::Allocator(_)
            | Self::Quota(_)
            | Self::RoleTwice { .. }
            | Self::UnknownOffer(_)
            | Self::NotItsOffer { .. }
            | Self::OfferTwice(_)
            | Self::NoOffers
            | Self::OffersApart { .. }
            | Self::UnknownTask { .. }
            | Self::OtherFramework { .. }
            | Self::NotForOperators(_) => None,
        }
    }
}
