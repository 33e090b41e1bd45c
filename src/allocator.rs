//! Level one: who is offered what.
//!
//! [`Hierarchical`] follows the hierarchical allocator of Mesos (`hierarchical.cpp`): roles in the
//! order of one [`Sorter`], the frameworks of a role in that of another, and whoever comes first is
//! offered all that is available and allowed on an agent. [`Allocator`] is the seam for another one.

mod amounts;
mod cycle;
mod demand;
mod explain;
mod hierarchical;
mod index;
mod ledger;
mod membership;
mod quota;
mod refusals;
mod resource_names;
mod roster;
mod rules;
mod share;
mod sorter;
mod survey;
mod tree;

pub use demand::Demand;
pub use explain::Reason;
pub use hierarchical::Hierarchical;
pub use quota::{Quota, QuotaError};
pub use rules::{AgentOrder, Options};
pub use share::{Share, Totals, Weight, WeightError};
pub use sorter::{Drf, Hdrf, Random, Sorter, SorterChoice, depth_first};
pub use tree::{ClientId, NodeId, ShareTree};

use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::offer::Conversion;
use crate::resources::{Quantities, Resource, Resources, SumError};
use crate::role::Role;
use crate::time::Time;
use smol_str::SmolStr;
use std::fmt;
use std::sync::Arc;

/// Resources of one agent in the hands of one framework, under one of its roles: in an offer or in use.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever writes an allocator makes these")]
pub struct Holding {
    /// Who holds them.
    pub framework: FrameworkId,
    /// In whose name.
    pub role: Role,
    /// On which agent.
    pub agent: AgentId,
    /// What is held.
    pub resources: Resources,
}

/// An agent's account: what it has, and how much of it is offered and allocated.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AgentAccount<'a> {
    /// All that it has.
    pub total: &'a Resources,
    /// What is in live offers.
    pub offered: &'a Resources,
    /// What tasks hold.
    pub allocated: &'a Resources,
    /// What can be offered now.
    pub available: &'a Resources,
    /// Whether it may be offered at all.
    pub active: bool,
}

/// A role, as the allocator sees it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RoleAccount {
    /// The role.
    pub role: Role,
    /// How much it counts against its siblings.
    pub weight: Weight,
    /// The dominant share of it and its descendants, over the weight.
    pub share: f64,
    /// What it and its descendants hold, offered or in use.
    pub held: Quantities,
    /// Its quota; empty if it has none.
    pub quota: Quota,
}

/// Something that an allocator was told that cannot be; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocatorError {
    /// An agent of that id is there already.
    #[error("agent {0} is already there")]
    AgentExists(AgentId),
    /// There is no such agent.
    #[error("no agent {0}")]
    UnknownAgent(AgentId),
    /// A framework of that id is there already.
    #[error("framework {0} is already there")]
    FrameworkExists(FrameworkId),
    /// There is no such framework.
    #[error("no framework {0}")]
    UnknownFramework(FrameworkId),
    /// The framework does not have that role.
    #[error("framework {framework} does not have the role {role}")]
    NotItsRole {
        /// The framework.
        framework: FrameworkId,
        /// The role that it does not have.
        role: Role,
    },
    /// The cluster would have more of a resource than can be counted.
    #[error("with agent {agent} the cluster would have more {name} than {max} units", max = u64::MAX / 1000)]
    ClusterTooLarge {
        /// The agent that would be too much.
        agent: AgentId,
        /// The resource's name.
        name: SmolStr,
    },
    /// Two tasks of an agent hold the same port, or the same member of a set.
    #[error("two tasks of agent {agent} hold some of {resource}")]
    HeldTwice {
        /// The agent.
        agent: AgentId,
        /// What the second of them holds.
        resource: Box<Resource>,
    },
    /// The tasks of an agent hold what cannot be added up.
    #[error("the tasks of agent {agent} cannot be added up: {source}")]
    Held {
        /// The agent.
        agent: AgentId,
        /// What cannot be added.
        source: SumError,
    },
}

/// Level one as a whole: keeps account of agents, frameworks and roles, and decides who is offered what.
///
/// It holds no protocol state: offers and tasks are the master's, which tells it what ended. The
/// batch interval, too, is the master's; an allocator is told when to allocate. An error means
/// that nothing has changed.
pub trait Allocator: fmt::Debug + Send {
    /// Learns of an agent, parts of which tasks may hold already. Their frameworks may be unknown:
    /// what these hold is not available, and weighs on nobody.
    ///
    /// # Errors
    ///
    /// If the agent is known, or its resources cannot be added up.
    fn add_agent(&mut self, agent: &Arc<Agent>, held: &[Holding]) -> Result<(), AllocatorError>;

    /// Learns what an agent has and says of itself now.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, or its resources cannot be added up.
    fn update_agent(&mut self, agent: &Arc<Agent>) -> Result<(), AllocatorError>;

    /// Forgets an agent on which nothing is offered or in use any more.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    fn remove_agent(&mut self, agent: &AgentId) -> Result<(), AllocatorError>;

    /// Learns whether an agent may be offered.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    fn set_agent_active(&mut self, agent: &AgentId, active: bool) -> Result<(), AllocatorError>;

    /// Learns of a framework, whose tasks may have come before it.
    ///
    /// # Errors
    ///
    /// If the framework is known.
    fn add_framework(&mut self, framework: &Arc<Framework>, held: &[Holding]) -> Result<(), AllocatorError>;

    /// Learns what a framework says of itself now.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    fn update_framework(&mut self, framework: &Arc<Framework>) -> Result<(), AllocatorError>;

    /// Forgets a framework that holds nothing any more.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), AllocatorError>;

    /// Learns whether a framework may be offered anything; what it had refused is forgotten if not.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    fn set_framework_active(&mut self, framework: &FrameworkId, active: bool) -> Result<(), AllocatorError>;

    /// Learns that a framework wants no offers for these roles; none = for all that it has.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or does not have one of the roles.
    fn suppress(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError>;

    /// Learns that a framework wants offers again, and what it refused too.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or does not have one of the roles.
    fn revive(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError>;

    /// Learns how much a role counts, whether or not anyone has it.
    fn set_weight(&mut self, role: &Role, weight: Weight);

    /// Learns what a role is sure to get and the most that it may get; an empty quota takes it away.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] when the quota contradicts itself or that of another role.
    fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<(), QuotaError>;

    /// Learns which hosts may be offered; none = all.
    fn set_whitelist(&mut self, hostnames: Option<Vec<SmolStr>>);

    /// Ends an offer: `tasks` hold part of it from now on, the rest is available again.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    fn end_offer(&mut self, offer: &Holding, tasks: &[&Resources]) -> Result<(), AllocatorError>;

    /// Ends a task: what it held is available again.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    fn end_task(&mut self, task: &Holding) -> Result<(), AllocatorError>;

    /// Makes one thing of another on an agent: what is consumed is part of its total.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    fn convert(&mut self, agent: &AgentId, conversion: &Conversion) -> Result<(), AllocatorError>;

    /// Learns that a framework does not want to be offered that, or part of it, until then.
    ///
    /// # Errors
    ///
    /// If the agent or the framework is unknown, or does not have the role.
    fn refuse(&mut self, refused: &Holding, until: Time) -> Result<(), AllocatorError>;

    /// Decides who is offered what now: of one agent, or of all of which anything changed since they were last
    /// looked at. What is decided is held, in offers, from then on; appended to `offers` in the order of deciding.
    ///
    /// Who allocates often keeps one list for all times, so that no memory has to be found.
    fn allocate_into(&mut self, at: Time, agent: Option<&AgentId>, offers: &mut Vec<Holding>);

    /// The same, in a list of its own.
    fn allocate(&mut self, at: Time, agent: Option<&AgentId>) -> Vec<Holding> {
        let mut offers = Vec::new();
        self.allocate_into(at, agent, &mut offers);
        offers
    }

    /// Whether an allocation for all agents could come to anything new.
    fn has_pending(&self) -> bool;

    /// When the next refusal ends.
    fn next_expiry(&self) -> Option<Time>;

    /// Forgets the refusals that end by then.
    fn expire(&mut self, at: Time);

    /// The account of an agent.
    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>>;

    /// Why a framework is not offered an agent under a role; nothing if the allocator does not tell.
    ///
    /// # Errors
    ///
    /// If the agent or the framework is unknown, or does not have the role.
    fn explain(
        &self,
        at: Time,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Result<Vec<Reason>, AllocatorError> {
        let _ = (at, framework, role, agent);
        Ok(Vec::new())
    }

    /// All roles that mean something at present, in order of path.
    fn roles(&self) -> Vec<RoleAccount>;
}
