//! [`Reason`]: one reason why a framework is not offered an agent.

use crate::framework::Capability;
use crate::id::FrameworkId;
use crate::resources::{Quantities, Resources, Scalar};
use crate::role::Role;
use crate::time::Time;
use smol_str::SmolStr;

/// One reason why a framework is not offered an agent under a role, with the numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The agent is inactive.
    AgentInactive,
    /// The agent's host is not on the whitelist.
    NotWhitelisted {
        /// The host.
        hostname: SmolStr,
    },
    /// The framework is inactive.
    FrameworkInactive,
    /// The framework has suppressed offers for the role.
    Suppressed,
    /// The framework's offer constraints exclude the agent.
    OfferConstraints,
    /// All resources of the agent are held.
    NothingAvailable {
        /// The resources in live offers.
        offered: Resources,
        /// The resources that tasks hold.
        allocated: Resources,
        /// By name, the amounts by which what is held exceeds the total: of these names nothing is available.
        overcommitted: Quantities,
    },
    /// All available resources are reserved to other roles.
    Reserved {
        /// The roles that they are reserved to.
        roles: Vec<Role>,
    },
    /// The available resources reach no minimum of an offer.
    MinAllocatable {
        /// The minimums; one of them would do.
        asked: Vec<Quantities>,
        /// The resources available to the role.
        left: Resources,
        /// By name, the amounts by which what is held exceeds the total: of these names nothing is available.
        overcommitted: Quantities,
    },
    /// The framework lacks a capability for the available resources.
    Capability {
        /// The capability.
        capability: Capability,
    },
    /// The agent is in another region than the master.
    Region {
        /// The region of the agent.
        agent: SmolStr,
        /// The region of the master.
        master: SmolStr,
    },
    /// The role, or one above it, has consumed what its limit allows.
    QuotaLimit {
        /// The role that has the limit.
        role: Role,
        /// The resource.
        name: SmolStr,
        /// The limit.
        limit: Scalar,
        /// The amount that it has consumed.
        consumed: Scalar,
    },
    /// The headroom is required for the guarantees of other roles.
    Headroom {
        /// The resource.
        name: SmolStr,
        /// The amount that is neither offered nor allocated, in the whole cluster.
        free: Scalar,
        /// The amount of it that is required.
        required: Scalar,
        /// The roles that it is required for.
        roles: Vec<Role>,
    },
    /// The framework has refused the resources.
    Filtered {
        /// The end of the refusal.
        until: Time,
        /// The resources that it refused.
        refused: Resources,
    },
    /// Another framework comes first.
    Outranked {
        /// The framework that comes first.
        framework: FrameworkId,
        /// The role under which it does.
        role: Role,
        /// The dominant share of that role.
        share: f64,
        /// The dominant share of the role that was asked about.
        own_share: f64,
    },
    /// Nothing prevents the offer: the framework waits for the next allocation.
    Starved {
        /// The time of its last offer under the role that it launched tasks on; none = never.
        since: Option<Time>,
    },
}

impl Reason {
    /// Returns the name of the reason in a journal.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AgentInactive => "agent_inactive",
            Self::NotWhitelisted { .. } => "not_whitelisted",
            Self::FrameworkInactive => "framework_inactive",
            Self::Suppressed => "suppressed",
            Self::OfferConstraints => "offer_constraints",
            Self::NothingAvailable { .. } => "nothing_available",
            Self::Reserved { .. } => "reserved",
            Self::MinAllocatable { .. } => "min_allocatable",
            Self::Capability { .. } => "capability",
            Self::Region { .. } => "region",
            Self::QuotaLimit { .. } => "quota_limit",
            Self::Headroom { .. } => "headroom",
            Self::Filtered { .. } => "filtered",
            Self::Outranked { .. } => "outranked",
            Self::Starved { .. } => "starved",
        }
    }
}
