//! [`AllocatorError`]: why an allocator rejects a call.

use super::Holding;
use crate::id::{AgentId, FrameworkId};
use crate::resources::{Resource, Resources, Shortfall, SumError};
use crate::role::Role;
use crate::text::Text;

/// The reason why an allocator rejects a call; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocatorError {
    /// An agent of that id exists already.
    #[error("agent {0} is already there")]
    AgentExists(AgentId),
    /// There is no such agent.
    #[error("no agent {0}")]
    UnknownAgent(AgentId),
    /// A framework of that id exists already.
    #[error("framework {0} is already there")]
    FrameworkExists(FrameworkId),
    /// There is no such framework.
    #[error("no framework {0}")]
    UnknownFramework(FrameworkId),
    /// The framework is not subscribed to that role.
    #[error("framework {framework} does not have the role {role}")]
    RoleNotSubscribed {
        /// The framework.
        framework: FrameworkId,
        /// The role that it is not subscribed to.
        role: Role,
    },
    /// The cluster would have more of a resource than can be counted.
    #[error("with agent {agent} the cluster would have more {name} than {max} units", max = u64::MAX / 1000)]
    ClusterTooLarge {
        /// The agent whose total would be too much.
        agent: AgentId,
        /// The resource's name.
        name: Text,
    },
    /// Two tasks of an agent hold the same port, or the same member of a set.
    #[error("two tasks of agent {agent} hold some of {resource}")]
    ConflictingHoldings {
        /// The agent.
        agent: AgentId,
        /// The resource that the second of them holds.
        resource: Box<Resource>,
    },
    /// The resources that the tasks of an agent hold cannot be added up.
    #[error("the tasks of agent {agent} cannot be added up: {source}")]
    Held {
        /// The agent.
        agent: AgentId,
        /// The resource that cannot be added.
        source: SumError,
    },
    /// A framework without an id: two of them would be one.
    #[error("a framework has no id")]
    FrameworkWithoutId,
    /// A task of an agent is said to be on another one.
    #[error("a task of agent {agent} is said to be on agent {found}")]
    OnOtherAgent {
        /// The agent whose tasks were given.
        agent: AgentId,
        /// The agent that the task names.
        found: AgentId,
    },
    /// No task holds just these resources: it was never launched, or has ended.
    #[error("framework {} has no task that holds {} of agent {} under role {}; in all its tasks hold {}",
        task.framework, quoted(&task.resources), task.agent, task.role, quoted(held))]
    NotHeld {
        /// The task as it was given.
        task: Box<Holding>,
        /// The resources that tasks of the framework hold of the agent under that role.
        held: Resources,
    },
    /// No live offer is of just these resources: it was never made, or has ended.
    #[error("framework {} has no offer of {} of agent {} under role {}; it is offered {}",
        offer.framework, quoted(&offer.resources), offer.agent, offer.role, quoted(offered))]
    NotOffered {
        /// The offer as it was given.
        offer: Box<Holding>,
        /// The resources of the agent that are offered to the framework under that role.
        offered: Resources,
    },
    /// The tasks launched on offers hold more than was offered.
    #[error("tasks on agent {agent} do not fit their offers: {shortfall}")]
    TaskTooLarge {
        /// The agent.
        agent: AgentId,
        /// The resource of which there is too little.
        shortfall: Box<Shortfall>,
    },
    /// An agent has not available, or not in the offers that end, what a conversion consumes.
    #[error("agent {agent} cannot be converted: {shortfall}")]
    NotAvailable {
        /// The agent.
        agent: AgentId,
        /// The resource of which there is too little.
        shortfall: Box<Shortfall>,
    },
    /// The resources of an agent cannot be added up after a conversion.
    #[error("the resources of agent {agent} cannot be added up: {source}")]
    Uncountable {
        /// The agent.
        agent: AgentId,
        /// The resource that cannot be added.
        source: SumError,
    },
    /// An agent is to be removed of which something is offered or in use.
    #[error("agent {agent} is in use: {} are offered, {} are allocated", quoted(offered), quoted(allocated))]
    AgentInUse {
        /// The agent.
        agent: AgentId,
        /// The resources in live offers.
        offered: Resources,
        /// The resources that tasks hold.
        allocated: Resources,
    },
    /// A framework is to be removed that has live offers or tasks.
    #[error("framework {framework} has {holdings} offers and tasks under role {role}")]
    FrameworkInUse {
        /// The framework.
        framework: FrameworkId,
        /// The first of its roles under which it holds something.
        role: Role,
        /// The number of its live offers and tasks under that role.
        holdings: u64,
    },
}

/// Returns resources as text for a message, where none are "nothing".
fn quoted(resources: &Resources) -> String {
    if resources.is_empty() { "nothing".to_owned() } else { resources.to_string() }
}
