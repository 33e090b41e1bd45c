//! Level one: decides which framework is offered which resources.
//!
//! ```text
//!     roles                    frameworks of a role         agents
//!     by share over weight     by share
//!
//!     eng   2/8 ---+-- web  1/8 --- marathon                a1  cpus:4  available
//!     ops   5/8    +-- data 1/8 --- spark, hadoop           a2  cpus:4  in use
//!
//!     an allocation: for each agent with something available, the first framework of the first role that may have it
//! ```
//!
//! ```
//! use apportion::allocator::{Hierarchical, Allocator, Holding, Weight};
//! use apportion::{Agent, Framework, Time};
//! use std::sync::Arc;
//!
//! let mut level_one = Hierarchical::default();
//! level_one.set_weight(&"eng".parse()?, Weight::try_from_f64(2.0)?);
//! for (id, role) in [("marathon", "eng"), ("batch", "ops")] {
//!     level_one.add_framework(&Arc::new(Framework::new(id).role(role.parse()?)), &[])?;
//! }
//! for id in ["a1", "a2", "a3", "a4", "a5", "a6"] {
//!     level_one.add_agent(&Arc::new(Agent::new(id, "cpus:4;mem:4096".parse()?)), &[])?;
//! }
//! let offers: Vec<Holding> = level_one.allocate(Time::ZERO, None);
//! let of_eng = offers.iter().filter(|offer| offer.role.as_str() == "eng").count();
//! assert_eq!((of_eng, offers.len()), (4, 6)); // twice the weight, twice the agents
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Hierarchical`] follows the hierarchical allocator of Mesos (`hierarchical.cpp`): roles in the
//! order of one [`Sorter`], the frameworks of a role in that of another, and the first that is eligible
//! is offered all that is available and allowed on an agent. [`Policy`] is the short way to an order of one's own,
//! [`Allocator`] is the seam for another level one. [`Pool`] grants claims at once, for platforms without offers.
//!
//! # What one has to know of it
//!
//! - **Live offers count**, in the shares that roles and frameworks are served by and against the limits of roles, as if tasks
//!   held them. A framework that sits on offers is served late, and uses up its role's limit.
//! - **An allocation looks at all agents or at one.** A master allocates for all at once when a framework comes, returns, or
//!   [revives](crate::Call::Revive) offers, and for an agent that comes or changes. What declined offers and ended tasks give back
//!   waits for the next batch.
//! - **The interval of batches bounds how finely a cluster is divided**: a whole agent goes to one framework, and what it declines
//!   goes to the next one a batch later; see [`Config::allocation_interval`](crate::Config::allocation_interval).
//! - **A refusal lasts until the next batch at least**, and one framework's refusal holds nobody else up.
//! - **[Requests](crate::Request) say how many offers a framework wants**, and what each has to have. In Mesos they change nothing.
//! - **[Chunks](Options::max_offer) divide an agent** among those who come first one after the other.
//! - [`Hierarchical::metrics`] tells operators what it counts, under the names of Mesos' metrics.

mod accounts;
mod amounts;
mod books;
mod cycle;
mod demand;
mod demand_snapshot;
mod eligibility;
mod error;
mod explain;
mod hierarchical;
mod index;
mod metrics;
mod offer_cap;
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
mod verdicts;

pub use accounts::Accounts;
pub use demand::Demand;
pub use error::AllocatorError;
pub use explain::{AmountSummary, Extent, Holder, Reason};
pub use hierarchical::Hierarchical;
pub use metrics::{AllocatorMetrics, RoleMetrics};
pub use pool::{
    AgentChoice, Claim, ClaimId, Claimable, DenialReason, Denied, DeniedAll, Grants, Lease, LeaseId, Pool, PoolError,
    PoolMetrics, PoolTotals, Spot,
};
pub use quota::{IneffectiveLimit, Quota, QuotaError};
pub use rules::{AgentOrder, Options};
pub use share::{Share, Totals, Weight, WeightError};
pub(crate) use snapshot::check_count;
pub use snapshot::{Contents, Snapshot, SnapshotError};
pub use sorter::{CloneSorter, Drf, Hdrf, Node, Ordered, Policy, Random, Sorter, SorterChoice, depth_first};
pub use tree::{ClientId, NodeId, ShareTree};

use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::json::Json;
use crate::offer::Conversion;
use crate::resources::{Quantities, Resources};
use crate::role::Role;
use crate::scheduler::Request;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentAccount<'a> {
    /// All its resources.
    pub total: Cow<'a, Resources>,
    /// The resources in live offers.
    pub offered: Cow<'a, Resources>,
    /// The resources that tasks hold.
    pub allocated: Cow<'a, Resources>,
    /// The resources that can be offered now.
    pub available: Cow<'a, Resources>,
    /// By name, the amounts by which what is held exceeds the total: of these names nothing is available. None if nothing
    /// does.
    pub overcommitted: Option<Cow<'a, Quantities>>,
    /// Whether it may be offered at all.
    pub active: bool,
}

impl<'a> AgentAccount<'a> {
    /// Makes the account of an active agent that has this total, parts of which are offered and in use; computes what is
    /// available.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::Resources;
    /// use apportion::allocator::AgentAccount;
    ///
    /// let [total, offered]: [Resources; 2] = ["cpus:4;mem:64".parse()?, "cpus:1".parse()?];
    /// let account = AgentAccount::new(&total, &offered, Resources::new());
    /// assert_eq!(account.available.to_string(), "cpus:3;mem:64");
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    #[must_use]
    pub fn new(
        total: impl Into<Cow<'a, Resources>>,
        offered: impl Into<Cow<'a, Resources>>,
        allocated: impl Into<Cow<'a, Resources>>,
    ) -> Self {
        let (total, offered, allocated) = (total.into(), offered.into(), allocated.into());
        let balance = books::Balance::new(&total, &offered, &allocated);
        let overcommitted = (!balance.overcommitted.is_empty()).then(|| Cow::Owned(balance.overcommitted));
        Self { total, offered, allocated, available: Cow::Owned(balance.available), overcommitted, active: true }
    }

    /// Sets whether the agent may be offered at all.
    #[must_use]
    pub fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }
}

/// A role's account.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RoleAccount {
    /// The role.
    pub role: Role,
    /// Its weight against its siblings.
    pub weight: Weight,
    /// The dominant share of the role and its descendants, over the weight. Live offers count like tasks.
    pub share: f64,
    /// The amounts that the role and its descendants hold, offered or in use.
    pub held: Quantities,
    /// Its quota; empty if it has none.
    pub quota: Quota,
}

impl RoleAccount {
    /// Makes the account of a role that has the usual weight, holds nothing and has no quota.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self { role, weight: Weight::ONE, share: 0.0, held: Quantities::new(), quota: Quota::default() }
    }
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

/// Something that an allocator is told: what there is, who is there, and what has become of offers.
///
/// Everything is borrowed, so that nothing is copied which an allocator does not keep. An error means that nothing has
/// changed. An allocator passes over what it has no use for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Change<'a> {
    /// An agent has come, parts of which tasks may hold already. The frameworks of the tasks may be unknown: the resources of
    /// their tasks are not available, and count in no share.
    AddAgent {
        /// The agent.
        agent: &'a Arc<Agent>,
        /// Its tasks.
        held: &'a [Holding],
    },
    /// An agent has other metadata or another total.
    UpdateAgent(&'a Arc<Agent>),
    /// An agent comes back after a broken connection. It counts as no allocation.
    ReadmitAgent {
        /// The agent as it is now.
        agent: &'a Arc<Agent>,
        /// The tasks on it that were not known.
        held: &'a [Holding],
        /// The tasks that have ended meanwhile.
        ended: &'a [Holding],
    },
    /// An agent has gone; nothing on it is offered or in use any more.
    RemoveAgent(&'a AgentId),
    /// An agent may be offered, or may not.
    SetAgentActive {
        /// The agent.
        agent: &'a AgentId,
        /// True if it may be offered.
        active: bool,
    },
    /// A framework has come.
    AddFramework {
        /// The framework.
        framework: &'a Arc<Framework>,
        /// Its tasks on agents that came before it.
        held: &'a [Holding],
    },
    /// A framework has other metadata, and just these roles.
    UpdateFramework(&'a Arc<Framework>),
    /// A framework has gone; it holds nothing any more.
    RemoveFramework(&'a FrameworkId),
    /// A framework may be offered something, or may not; then its refusals are forgotten.
    SetFrameworkActive {
        /// The framework.
        framework: &'a FrameworkId,
        /// True if it may be offered something.
        active: bool,
    },
    /// A framework wants no offers under some of its roles.
    Suppress {
        /// The framework.
        framework: &'a FrameworkId,
        /// The roles; none = all of its roles.
        roles: &'a [Role],
    },
    /// A framework wants offers again under some of its roles; its refusals there are forgotten. A master allocates for all agents
    /// at once after this.
    Revive {
        /// The framework.
        framework: &'a FrameworkId,
        /// The roles; none = all of its roles.
        roles: &'a [Role],
    },
    /// A framework requests so many offers under some of its roles, in place of what it requested there before. This works while
    /// the role is suppressed: as long as fewer than so many of the offers made for it are live or were used, the role counts as
    /// active. A master allocates for all agents at once after this.
    Request {
        /// The framework.
        framework: &'a FrameworkId,
        /// The roles; none = all of its roles. Those in the request itself are not looked at.
        roles: &'a [Role],
        /// The request.
        request: &'a Request,
    },
    /// Offers that were made for a framework's present request under a role have ended unused.
    Reopen {
        /// The framework.
        framework: &'a FrameworkId,
        /// The role.
        role: &'a Role,
        /// The number of offers.
        places: u64,
    },
    /// A role has another weight, whether or not any framework is subscribed to it.
    SetWeight {
        /// The role.
        role: &'a Role,
        /// Its weight against its siblings.
        weight: Weight,
    },
    /// The hosts that may be offered; none = all.
    SetWhitelist(Option<&'a [Text]>),
    /// Offers have ended: tasks hold part of them from now on, the rest is available again.
    EndOffers(EndedOffers<'a>),
    /// A task has ended: what it held is available again.
    EndTask(&'a Holding),
    /// Available resources of an agent are converted.
    Convert {
        /// The agent.
        agent: &'a AgentId,
        /// The conversion.
        conversion: &'a Conversion,
    },
    /// A framework refuses these resources, and any part of them, for a while.
    Refuse {
        /// The resources that are refused, by whom, and under which role.
        refused: &'a Holding,
        /// The end of the refusal.
        until: Time,
    },
    /// The refusals that end by then have ended.
    Expire(Time),
}

/// Level one as a whole: keeps account of agents, frameworks and roles, and decides which framework is offered what.
///
/// It holds no protocol state: offers and tasks are the master's, which reports their ends. The batch interval, too, is the
/// master's, which calls for each allocation. What an allocator is told comes as a [`Change`].
///
/// [`Hierarchical`] is the one of Mesos. One's own needs three things: what there is of each agent, who may be offered it, and an
/// order. [`Accounts`] are the first two; `examples/fcfs.rs` in the repository is a whole one, first come, first served.
///
/// # Contract
///
/// - A change that is refused changes nothing.
/// - What is offered is held until the offer ends; nothing that is held is offered, except shared resources.
/// - The same changes lead to the same offers: no clock, no order of a hash.
pub trait Allocator: fmt::Debug + Send + Sync {
    /// Takes note of a change.
    ///
    /// # Errors
    ///
    /// An [`AllocatorError`] if the change names what is unknown, or gives back what is not held; nothing has changed then.
    fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError>;

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

    /// Returns the account of an agent.
    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>>;

    /// Returns when the next refusal ends. An allocator that keeps none returns none.
    fn next_expiry(&self) -> Option<Time> {
        None
    }

    /// Sets the guarantees and limits of a role; an empty quota removes them. Returns the limits, of this role or below it,
    /// that are now above that of a role further up: those that were not before, or have changed.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if the quota contradicts itself or that of another role; [`QuotaError::Unsupported`] from an allocator
    /// that has no quota.
    fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        let _ = (role, quota);
        Err(QuotaError::Unsupported)
    }

    /// Returns all roles that have members, a weight other than 1, a quota, or a reservation of any agent, and all their
    /// ancestors, in order of path. O(cluster). An allocator that has no accounts of roles returns none.
    fn roles(&self) -> Vec<RoleAccount> {
        Vec::new()
    }

    /// Returns the part of the allocator that explains its decisions, if it has one.
    fn explainer(&self) -> Option<&dyn Explain> {
        None
    }
}

/// An allocator that can be saved: [`Master::snapshot`](crate::Master::snapshot) and
/// [`Master::restore_with`](crate::Master::restore_with) ask for it, and so does the [journal](crate::journal), which may begin
/// with a snapshot.
///
/// # Contract
///
/// What has loaded what another one saved goes on as that one does, and saves the same.
pub trait Persist {
    /// Returns what decisions depend on besides the [`Contents`]: what is refused, suppressed, counted, reserved since.
    ///
    /// [`Hierarchical`] saves all but its options and its sorters.
    fn save(&self) -> Json;

    /// Takes over what [`Self::save`] returned, on a new allocator: afterwards it knows just what is in `contents`.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] for what is malformed; the allocator is of no use then.
    fn load(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError>;
}

/// The reasons of an allocator's decisions.
pub trait Explain {
    /// Returns why a framework is not offered an agent under a role: all that prevents it, in the order of the checks. If
    /// nothing does, it is [`Reason::Starved`]: the next allocation offers it.
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
    ) -> Result<Vec<Reason>, AllocatorError>;

    /// Returns why a framework is not offered each of the agents under a role: all reasons of all agents, in the order of the
    /// checks, each with the number of agents that it holds for. The numbers in a reason are those of all its agents; of the
    /// frameworks that come first, the first one of each agent is told.
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
    ) -> Result<Vec<(Reason, usize)>, AllocatorError>;
}
