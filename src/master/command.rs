//! [`Command`]: an input of the master.

use super::registration::{AgentUpdate, Registration};
use crate::agent::Unavailability;
use crate::allocator::{Quota, Weight};
use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, FrameworkId};
use crate::offer::Operation;
use crate::resources::Scalar;
use crate::role::Role;
use crate::scheduler::Call;
use crate::task::TaskStatus;
use crate::text::Text;
use std::time::Duration;

/// An input of the master: an event in the cluster, or a request of an operator or a framework.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Registers an agent, for the first time or again, with what already runs on it.
    AddAgent(Registration),
    /// Changes an agent's total resources, attributes or domain.
    UpdateAgent(AgentUpdate),
    /// Removes an agent. Its tasks are lost.
    RemoveAgent(AgentId),
    /// Stops offering an agent, and rescinds its offers.
    DeactivateAgent(AgentId),
    /// Starts offering an agent again, and ends its draining.
    ActivateAgent(AgentId),
    /// Handles a broken connection to an agent: its offers are rescinded, and what runs on it waits for its return if its
    /// framework has checkpoints.
    DisconnectAgent(AgentId),
    /// Removes an agent that cannot be reached. Its tasks are unreachable until it returns.
    AgentUnreachable(AgentId),
    /// Removes an agent for good: if it comes again, it is shut down.
    AgentGone(AgentId),
    /// Removes an agent that has said so itself. Its tasks are lost.
    UnregisterAgent(AgentId),
    /// Stops offering an agent, and kills its tasks.
    DrainAgent(AgentId, Drain),
    /// Makes a new leader expect the agents of the one before. The first command, or at least before any agent.
    Recover(Recovery),
    /// Makes a framework known that was registered with the leader before, until it subscribes. It is given up after that
    /// time.
    RecoverFramework(Framework, Duration),
    /// Registers a framework.
    AddFramework(Framework),
    /// Marks a framework as disconnected: its offers are rescinded, its tasks keep running. It is removed after its
    /// [`failover_timeout`](Framework::failover_timeout).
    DeactivateFramework(FrameworkId),
    /// Marks a framework as connected again.
    ActivateFramework(FrameworkId),
    /// Sets the weight of a role among its siblings.
    SetWeight(Role, Weight),
    /// Sets the guarantees and limits of a role; an empty quota removes them.
    SetQuota(Role, Quota),
    /// Restricts offers to agents with these hostnames; `None` lifts the restriction.
    SetWhitelist(Option<Vec<Text>>),
    /// Schedules or cancels the maintenance of an agent's machine, the hostname: the offers of all agents on it are
    /// rescinded and made anew. It holds for agents that come later, too.
    SetMaintenance(AgentId, Option<Unavailability>),
    /// Runs operations of an operator on the unused resources of an agent. Offers in the way are rescinded first.
    Operate(AgentId, Vec<Operation>),
    /// Handles a call of a framework. [`Call::Teardown`] and [`Call::UpdateFramework`] are how an operator removes and
    /// updates a framework, too.
    Call(FrameworkId, Call),
    /// Handles a task status from an agent.
    TaskStatus(FrameworkId, TaskStatus),
    /// Forwards a message of an executor to its framework.
    ExecutorMessage(ExecutorRef, Vec<u8>),
    /// Handles the termination of an executor, with its exit status as wait(2) encodes it. The statuses of its tasks are
    /// commands of their own and come first.
    ExecutorEnded(ExecutorRef, i32),
}

/// How an agent is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Drain {
    /// The longest time that a task has to shut down; `None` leaves it to the task's own kill policy.
    pub max_grace_period: Option<Duration>,
    /// True if the agent is [gone](Command::AgentGone) once no task runs on it.
    pub mark_gone: bool,
}

/// What a new leader knows of the agents of the one before.
///
/// While a quota is set, nothing is allocated until enough of these agents have come or the time is over: an early agent
/// would be offered as if it were the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The agents that are expected to come again.
    pub agents: Vec<AgentId>,
    /// The part of them that has to come before anything is allocated, by default 0.8.
    pub factor: Scalar,
    /// The longest time that an allocation waits for them, by default ten minutes.
    pub timeout: Duration,
}

impl Recovery {
    /// Expects these agents, with the defaults of Mesos (`--allocator_agent_recovery_factor`,
    /// `--allocator_recovery_timeout`).
    #[must_use]
    pub fn of(agents: impl IntoIterator<Item = AgentId>) -> Self {
        Self { agents: agents.into_iter().collect(), factor: Scalar::milli(800), timeout: Duration::from_secs(600) }
    }
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
