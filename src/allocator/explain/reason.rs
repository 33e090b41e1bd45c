//! [`Reason`]: why a framework is not offered what it is not.

use crate::framework::Capability;
use crate::id::FrameworkId;
use crate::resources::{Quantities, Resources, Scalar};
use crate::role::Role;
use crate::time::Time;
use smol_str::SmolStr;

/// Why a framework is not offered an agent under a role, with the numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The agent may not be offered to anyone.
    AgentInactive,
    /// The agent's host is not on the whitelist.
    NotWhitelisted {
        /// The host.
        hostname: SmolStr,
    },
    /// The framework cannot be reached.
    FrameworkInactive,
    /// The framework wants no offers for the role.
    Suppressed,
    /// The framework's offer constraints exclude the agent.
    OfferConstraints,
    /// All that the agent has is held.
    NothingAvailable {
        /// What is in live offers.
        offered: Resources,
        /// What tasks hold.
        allocated: Resources,
    },
    /// What is available is reserved to others.
    Reserved {
        /// To these roles.
        roles: Vec<Role>,
    },
    /// Less is left than an offer must contain.
    MinAllocatable {
        /// One of these would do.
        asked: Vec<Quantities>,
        /// What is left for the role.
        left: Resources,
    },
    /// The framework does not say that it can deal with what is left.
    Capability {
        /// What it would have to say.
        capability: Capability,
    },
    /// The agent stands in another region.
    Region {
        /// Where the agent stands.
        agent: SmolStr,
        /// Where the master stands.
        master: SmolStr,
    },
    /// The role, or one above it, has consumed what it may.
    QuotaLimit {
        /// The role that is limited.
        role: Role,
        /// The resource.
        name: SmolStr,
        /// What it may consume.
        limit: Scalar,
        /// What it has consumed.
        consumed: Scalar,
    },
    /// What is left is kept free for the guarantees of others.
    Headroom {
        /// The resource.
        name: SmolStr,
        /// What nobody holds, in the whole cluster.
        free: Scalar,
        /// What of it is kept free.
        required: Scalar,
        /// For these roles.
        roles: Vec<Role>,
    },
    /// The framework has refused it.
    Filtered {
        /// Until then.
        until: Time,
        /// What it refused.
        refused: Resources,
    },
    /// Another framework comes first.
    Outranked {
        /// Which one.
        framework: FrameworkId,
        /// Under which role.
        role: Role,
        /// The dominant share of that role.
        share: f64,
        /// The dominant share of the role that was asked about.
        own_share: f64,
    },
    /// Nothing stands in the way: it waits for the next allocation.
    Starved {
        /// When it was last offered something under the role that it launched on; none = never.
        since: Option<Time>,
    },
}

impl Reason {
    /// The name of the reason in a journal.
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
