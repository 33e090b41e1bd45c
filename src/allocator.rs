//! Level one: decides which framework is offered which resources.
//!
//! [`Hierarchical`] follows the hierarchical allocator of Mesos (`hierarchical.cpp`): roles in the
//! order of one [`Sorter`], the frameworks of a role in that of another, and the first that is eligible
//! is offered all that is available and allowed on an agent. [`Allocator`] is the seam for another one. [`Pool`] grants claims
//! at once, for platforms without offers.

mod amounts;
mod books;
mod cycle;
mod demand;
mod demand_snapshot;
mod eligibility;
mod explain;
mod hierarchical;
mod index;
mod pool;
mod quota;
mod ranking;
mod refusals;
mod resource_names;
mod rules;
mod share;
mod snapshot;
mod sorter;
mod tree;

pub use demand::Demand;
pub use explain::{AmountSummary, Extent, Holder, Reason};
pub use hierarchical::Hierarchical;
pub use pool::{
    AgentChoice, Claim, ClaimId, DenialReason, Denied, DeniedAll, Grants, Lease, LeaseId, Pool, PoolError, PoolMetrics,
    PoolTotals, Spot,
};
pub use quota::{IneffectiveLimit, Quota, QuotaError};
pub use rules::{AgentOrder, Options};
pub use share::{Share, Totals, Weight, WeightError};
pub(crate) use snapshot::check_count;
pub use snapshot::{Contents, Snapshot, SnapshotError};
pub use sorter::{Drf, Hdrf, Random, Sorter, SorterChoice, depth_first};
pub use tree::{ClientId, NodeId, ShareTree};

use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::offer::Conversion;
use crate::resources::{Quantities, Resource, Resources, Shortfall, SumError};
use crate::role::Role;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use smol_str::SmolStr;
use std::fmt;
use std::sync::Arc;

/// Returns what would be available of an agent with this total if this were held of it.
pub(crate) fn available(total: &Resources, offered: &Resources, allocated: &Resources) -> Resources {
    books::Balance::new(total, offered, allocated).available
}

/// Resources of one agent that one framework holds under one of its roles: in an offer or in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "authors of allocators construct these")]
pub struct Holding {
    /// The framework that holds them.
    pub framework: FrameworkId,
    /// The role under which it holds them.
    pub role: Role,
    /// The agent that they are on.
    pub agent: AgentId,
    /// The resources.
    pub resources: Resources,
}

/// An agent's account: total = available + offered + allocated, where shared resources stay available.
///
/// A new total may tell otherwise what is held: reserved resources as unreserved, a volume as plain disk. Then of each name
/// no more is available than the total of all kinds less what is held of all kinds. Kinds use that up in canonical order
/// (unreserved before reserved, then by role), an indivisible one whole or not at all, so the last ones lose. A whole disk or
/// a volume that is held in another size, and a port that is held in another kind, is not available either.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AgentAccount<'a> {
    /// All its resources.
    pub total: &'a Resources,
    /// The resources in live offers.
    pub offered: &'a Resources,
    /// The resources that tasks hold.
    pub allocated: &'a Resources,
    /// The resources that can be offered now.
    pub available: &'a Resources,
    /// By name, the amounts by which what is held exceeds the total: of these names nothing is available. None if nothing
    /// does.
    pub overcommitted: Option<&'a Quantities>,
    /// Whether it may be offered at all.
    pub active: bool,
}

/// A role's account.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RoleAccount {
    /// The role.
    pub role: Role,
    /// Its weight against its siblings.
    pub weight: Weight,
    /// The dominant share of the role and its descendants, over the weight.
    pub share: f64,
    /// The amounts that the role and its descendants hold, offered or in use.
    pub held: Quantities,
    /// Its quota; empty if it has none.
    pub quota: Quota,
}

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
        name: SmolStr,
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

/// Offers of one agent to one framework under one role that end together, and what becomes of them.
///
/// First the conversions are made, in their order; then the tasks hold part of the result; the rest is available again.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "callers of allocators construct these")]
pub struct EndedOffers<'a> {
    /// The framework that they were made to.
    pub framework: &'a FrameworkId,
    /// The role under which they were made.
    pub role: &'a Role,
    /// The agent.
    pub agent: &'a AgentId,
    /// The resources of each offer, just as it was made.
    pub offers: &'a [&'a Resources],
    /// The conversions of offered resources: reservations, volumes and the like.
    pub conversions: &'a [Conversion],
    /// The resources of each task that is launched.
    pub tasks: &'a [&'a Resources],
}

/// Level one as a whole: keeps account of agents, frameworks and roles, and decides which framework is offered what.
///
/// It holds no protocol state: offers and tasks are the master's, which reports their ends. The
/// batch interval, too, is the master's, which calls for each allocation. An error means that nothing has
/// changed.
pub trait Allocator: fmt::Debug + Send {
    /// Adds an agent, parts of which tasks may hold already. The frameworks of the tasks may be unknown:
    /// the resources of their tasks are not available, and count in no share.
    ///
    /// # Errors
    ///
    /// If the agent is known, or its resources cannot be added up.
    fn add_agent(&mut self, agent: &Arc<Agent>, held: &[Holding]) -> Result<(), AllocatorError>;

    /// Replaces the metadata and the total of an agent.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, or its resources cannot be added up.
    fn update_agent(&mut self, agent: &Arc<Agent>) -> Result<(), AllocatorError>;

    /// Replaces the metadata and the total of an agent that comes back after a broken connection, and what tasks hold of it:
    /// `ended` are those that have ended meanwhile, `held` are those that were not known. It counts as no allocation.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, one of the ended tasks is, or the agent or what it holds cannot be added up.
    fn readmit_agent(&mut self, agent: &Arc<Agent>, held: &[Holding], ended: &[Holding]) -> Result<(), AllocatorError>;

    /// Removes an agent on which nothing is offered or in use any more.
    ///
    /// # Errors
    ///
    /// If the agent is unknown or in use.
    fn remove_agent(&mut self, agent: &AgentId) -> Result<(), AllocatorError>;

    /// Activates or deactivates an agent: an inactive one is not offered.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    fn set_agent_active(&mut self, agent: &AgentId, active: bool) -> Result<(), AllocatorError>;

    /// Adds a framework; `held` are its tasks on agents that were added before it.
    ///
    /// # Errors
    ///
    /// If the framework is known or has no id, or a task did not come with its agent.
    fn add_framework(&mut self, framework: &Arc<Framework>, held: &[Holding]) -> Result<(), AllocatorError>;

    /// Replaces the metadata of a framework, and subscribes it to just its present roles.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    fn update_framework(&mut self, framework: &Arc<Framework>) -> Result<(), AllocatorError>;

    /// Removes a framework that holds nothing any more.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or has offers or tasks.
    fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), AllocatorError>;

    /// Activates or deactivates a framework: an inactive one is offered nothing, and its refusals are forgotten.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    fn set_framework_active(&mut self, framework: &FrameworkId, active: bool) -> Result<(), AllocatorError>;

    /// Stops offers to a framework for these of its roles, or for all if there are none here.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to one of the roles.
    fn suppress(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError>;

    /// Resumes offers to a framework for these of its roles, or for all if there are none here, and forgets its refusals.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to one of the roles.
    fn revive(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError>;

    /// Sets the weight of a role, whether or not any framework is subscribed to it.
    fn set_weight(&mut self, role: &Role, weight: Weight);

    /// Sets the guarantees and limits of a role; an empty quota removes them. Returns the limits, of this role or below it,
    /// that are now above that of a role further up: those that were not before, or have changed.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] when the quota contradicts itself or that of another role.
    fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError>;

    /// Sets the hosts that may be offered; none = all.
    fn set_whitelist(&mut self, hostnames: Option<Vec<SmolStr>>);

    /// Ends offers: tasks hold part of them from now on, the rest is available again.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, one of the offers is not live, the tasks hold more than was offered, or the results cannot be
    /// added up.
    fn end_offers(&mut self, ended: &EndedOffers<'_>) -> Result<(), AllocatorError>;

    /// Ends an offer: `tasks` hold part of it from now on, the rest is available again.
    ///
    /// # Errors
    ///
    /// See [`Self::end_offers`].
    fn end_offer(&mut self, offer: &Holding, tasks: &[&Resources]) -> Result<(), AllocatorError> {
        let Holding { framework, role, agent, resources } = offer;
        self.end_offers(&EndedOffers { framework, role, agent, offers: &[resources], conversions: &[], tasks })
    }

    /// Ends a task: what it held is available again.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, or there is no such task on it.
    fn end_task(&mut self, task: &Holding) -> Result<(), AllocatorError>;

    /// Converts resources of an agent that are available.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, what is consumed is not available, or the result cannot be added up.
    fn convert(&mut self, agent: &AgentId, conversion: &Conversion) -> Result<(), AllocatorError>;

    /// Records that a framework refuses these resources, and any part of them, until then.
    ///
    /// # Errors
    ///
    /// If the agent or the framework is unknown, or the framework is not subscribed to the role.
    fn refuse(&mut self, refused: &Holding, until: Time) -> Result<(), AllocatorError>;

    /// Makes offers now: of one agent, or of all agents that changed since they were last visited. Appends them
    /// to `offers` in the order of deciding; from then on they are held.
    ///
    /// A caller that allocates often can reuse one list, so that no memory has to be allocated.
    fn allocate_into(&mut self, at: Time, agent: Option<&AgentId>, offers: &mut Vec<Holding>);

    /// Returns the offers of [`Self::allocate_into`] as a new list.
    fn allocate(&mut self, at: Time, agent: Option<&AgentId>) -> Vec<Holding> {
        let mut offers = Vec::new();
        self.allocate_into(at, agent, &mut offers);
        offers
    }

    /// Returns whether an allocation for all agents could make any offer.
    fn has_pending(&self) -> bool;

    /// Returns when the next refusal ends.
    fn next_expiry(&self) -> Option<Time>;

    /// Removes the refusals that end by then.
    fn expire(&mut self, at: Time);

    /// Returns the account of an agent.
    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>>;

    /// Returns why a framework is not offered an agent under a role: all that prevents it, in the order of the checks. If
    /// nothing does, it is [`Reason::Starved`]: the next allocation offers it. An allocator that cannot tell returns nothing.
    ///
    /// [`Hierarchical`] decides in a copy: O(cluster).
    ///
    /// # Errors
    ///
    /// If the agent or the framework is unknown, or the framework is not subscribed to the role.
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

    /// Returns why a framework is not offered each of the agents under a role: all reasons of all agents, in the order of the
    /// checks, each with the number of agents that it holds for. The numbers in a reason are those of all its agents; of the
    /// frameworks that come first, the first one of each agent is told. An allocator that cannot tell returns nothing.
    ///
    /// [`Hierarchical`] decides in copies, of which agents with the same reasons share one: O(agents + frameworks), with the
    /// size of the cluster for each set of reasons. A sorter that asks for demand adds an allocation for each agent.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to the role.
    fn explain_all(
        &self,
        at: Time,
        framework: &FrameworkId,
        role: &Role,
    ) -> Result<Vec<(Reason, usize)>, AllocatorError> {
        let _ = (at, framework, role);
        Ok(Vec::new())
    }

    /// Returns what decisions depend on besides the [`Contents`], for a [`Snapshot`]: what is refused, suppressed, counted,
    /// reserved since. None, the default, means that the allocator cannot be saved.
    ///
    /// [`Hierarchical`] saves all but its options and its sorters.
    fn save(&self) -> Option<Json> {
        None
    }

    /// Takes over what [`Self::save`] returned, on a new allocator: afterwards it knows just what is in `contents`.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] for what is malformed; the allocator is of no use then.
    fn load(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        let _ = (saved, contents);
        Err(SnapshotError::NotSaved)
    }

    /// Returns all roles that have members, a weight other than 1, a quota, or a reservation of any agent, and all their
    /// ancestors, in order of path. O(cluster).
    fn roles(&self) -> Vec<RoleAccount>;
}
