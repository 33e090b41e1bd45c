//! [`Reason`]: one reason why a framework is not offered an agent.

use crate::allocator::quota::Barrier;
use crate::allocator::resource_names::ResourceNames;
use crate::framework::Capability;
use crate::id::FrameworkId;
use crate::resources::{Quantities, Resource, Resources, Scalar};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use std::fmt;
use std::time::Duration;

/// One reason why a framework is not offered an agent under a role, with the numbers; or the same reason for several agents,
/// with numbers that hold for all of them.
///
/// Its serde form is the journal's, which is only written (feature `json`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A quota is set, and allocations wait for the agents that a new leader expects. The allocator does not know; the
    /// [`Master`](crate::Master) tells it, before all other reasons.
    Recovering {
        /// The number of expected agents that have come.
        back: usize,
        /// The number of agents that are expected.
        expected: usize,
        /// The time until which they are waited for.
        until: Time,
    },
    /// The agent is inactive.
    AgentInactive,
    /// The agent's host is not on the whitelist.
    NotWhitelisted {
        /// The host; none if it is several.
        hostname: Option<Text>,
    },
    /// The framework is inactive.
    FrameworkInactive,
    /// The framework has suppressed offers for the role.
    Suppressed,
    /// The framework has suppressed offers for the role, but for those that it has requested: some are still to come. What keeps
    /// them from coming follows.
    Requested {
        /// The number of offers requested.
        offers: u64,
        /// The number of them that are neither live nor used.
        open: u64,
    },
    /// The framework has suppressed offers for the role, but for those that it has requested, and all of these are live or used.
    RequestMet {
        /// The number of offers requested.
        offers: u64,
    },
    /// The framework has as many live offers as it wants at once.
    MaxOffers {
        /// The number of its live offers.
        live: u64,
        /// The [most](crate::Framework::max_offers) that it wants.
        most: u64,
    },
    /// The framework's offer constraints exclude the agent.
    OfferConstraints,
    /// All resources of the agent are held.
    NothingAvailable {
        /// The resources in live offers.
        offered: Extent,
        /// The resources that tasks hold.
        allocated: Extent,
        /// By name, the amounts by which what is held exceeds the total: of these names nothing is available. Of several
        /// agents, the sum.
        overcommitted: Quantities,
        /// The frameworks that have live offers of it, in the order of their first one. The allocator does not know offers;
        /// the [`Master`](crate::Master) fills them in.
        holders: Vec<Holder>,
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
        left: Extent,
        /// By name, the amounts by which what is held exceeds the total: of these names nothing is available. Of several
        /// agents, the sum.
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
        agent: Text,
        /// The region of the master.
        master: Text,
    },
    /// The role, or one above it, has consumed what its limit allows.
    QuotaLimit {
        /// The role that has the limit.
        role: Role,
        /// The resource.
        name: Text,
        /// The limit.
        limit: Scalar,
        /// The amount that it has consumed.
        consumed: Scalar,
        /// The first available resource that does not divide and is larger than what the limit leaves; none if it is another
        /// one on each of several agents.
        indivisible: Option<Box<Resource>>,
    },
    /// The headroom is required for the guarantees of other roles.
    Headroom {
        /// The resource.
        name: Text,
        /// The amount that is neither offered nor allocated, in the whole cluster.
        free: Scalar,
        /// The amount of it that is required.
        required: Scalar,
        /// The roles that lack some of their guarantee of it.
        roles: Vec<Role>,
        /// The first available resource that does not divide and is larger than what is not required; none if it is another
        /// one on each of several agents.
        indivisible: Option<Box<Resource>>,
    },
    /// The framework has refused the resources.
    Filtered {
        /// The end of the refusal; of several agents, the first one.
        until: Time,
        /// The end of the refusal; of several agents, the last one.
        last: Time,
        /// The resources that it refused.
        refused: Extent,
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
    /// Nothing prevents the offer: the next allocation makes it.
    Starved {
        /// The time of its last offer under the role that it launched tasks on; none = never.
        since: Option<Time>,
        /// The time since then.
        waited: Option<Duration>,
        /// The time of the next batch; the [`Master`](crate::Master) fills it in.
        next: Option<Time>,
    },
}

/// The resources in a [`Reason`].
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a reason is about one agent or about several")]
pub enum Extent {
    /// Those of one agent.
    One(Resources),
    /// Those of several agents.
    Several(Box<AmountSummary>),
}

/// The amounts of several agents, by name over all kinds; each member of ranges and sets counts 1.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AmountSummary {
    /// The sums.
    pub sum: Quantities,
    /// The least of any agent.
    pub least: Quantities,
    /// The most of any agent.
    pub most: Quantities,
}

/// The live offers of a framework, under one role, that hold what is asked about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Holder {
    /// The framework.
    pub framework: FrameworkId,
    /// The role.
    pub role: Role,
    /// The number of its offers.
    pub offers: usize,
    /// The amounts in them.
    pub amounts: Quantities,
    /// The time at which the oldest of them was made.
    pub since: Time,
    /// The number of offers of the framework, of whatever agents, that have timed out.
    pub timed_out: u64,
}

impl Reason {
    /// Returns the name of the reason in a journal.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Recovering { .. } => "recovering",
            Self::AgentInactive => "agent_inactive",
            Self::NotWhitelisted { .. } => "not_whitelisted",
            Self::FrameworkInactive => "framework_inactive",
            Self::Suppressed => "suppressed",
            Self::Requested { .. } => "requested",
            Self::RequestMet { .. } => "request_met",
            Self::MaxOffers { .. } => "max_offers",
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

    /// Returns the reason that a barrier of quota is.
    pub(in crate::allocator) fn of_barrier(names: &ResourceNames, barrier: Barrier) -> Self {
        match barrier {
            Barrier::Limit { role, name, limit, consumed, indivisible } => Self::QuotaLimit {
                role,
                name: names.name(name).into(),
                limit: Scalar::milli(limit),
                consumed: Scalar::milli(consumed),
                indivisible,
            },
            Barrier::Headroom { name, free, required, roles, indivisible } => Self::Headroom {
                name: names.name(name).into(),
                free: Scalar::milli(free),
                required: Scalar::milli(required),
                roles,
                indivisible,
            },
        }
    }

    /// Returns the reason of a cluster, or of an agent, that has nothing.
    pub(crate) fn nothing() -> Self {
        let none = || Extent::One(Resources::new());
        Self::NothingAvailable {
            offered: none(),
            allocated: none(),
            overcommitted: Quantities::new(),
            holders: Vec::new(),
        }
    }

    /// Returns whether a decision can be looked at without the reason: not if that would make resources out of nothing.
    pub(super) fn is_liftable(&self) -> bool {
        !matches!(
            self,
            Self::Recovering { .. }
                | Self::NothingAvailable { .. }
                | Self::Reserved { .. }
                | Self::Outranked { .. }
                | Self::Starved { .. }
        )
    }

    /// Returns whether it prevents nothing by itself: another reason follows.
    pub(super) fn is_passed_over(&self) -> bool {
        matches!(self, Self::Requested { .. })
    }

    /// Returns what reasons have to have in common to be lifted by one change: first their place in the order of checks.
    pub(super) fn lifted(&self) -> (u8, Text) {
        let (place, name, _) = self.group();
        // One region lifts all, and so do the guarantees of one name.
        let lifts_all = matches!(self, Self::Region { .. } | Self::Headroom { .. });
        (place, if lifts_all { Text::default() } else { name })
    }

    /// Returns what reasons of one kind have to have in common to be told as one: first their place in the order of checks.
    pub(in crate::allocator) fn group(&self) -> (u8, Text, Text) {
        let none = Text::default;
        let named = |place: u8, name: &str| (place, Text::new(name), none());
        match self {
            Self::Recovering { .. } | Self::AgentInactive => named(0, ""),
            Self::NotWhitelisted { .. } => named(1, ""),
            Self::FrameworkInactive => named(2, ""),
            Self::Suppressed => named(3, ""),
            Self::Requested { .. } | Self::RequestMet { .. } => named(4, ""),
            Self::MaxOffers { .. } => named(5, ""),
            Self::OfferConstraints => named(6, ""),
            Self::NothingAvailable { .. } => named(7, ""),
            Self::Reserved { .. } => named(8, ""),
            Self::MinAllocatable { .. } => named(9, ""),
            Self::Capability { capability } => named(10, capability.as_str()),
            Self::Region { agent, .. } => named(11, agent),
            Self::QuotaLimit { role, name, .. } => (12, role.as_str().into(), name.clone()),
            Self::Headroom { name, .. } => named(13, name),
            Self::Filtered { .. } => named(14, ""),
            Self::Outranked { framework, role, .. } => (15, role.as_str().into(), framework.as_str().into()),
            Self::Starved { .. } => named(16, ""),
        }
    }

    /// Merges a reason of the same [group](Self::group), of another agent.
    pub(in crate::allocator) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::NotWhitelisted { hostname }, Self::NotWhitelisted { hostname: theirs }) => {
                keep_equal(hostname, theirs)
            }
            (
                Self::NothingAvailable { offered, allocated, overcommitted, .. },
                Self::NothingAvailable { offered: theirs, allocated: their_tasks, overcommitted: more, .. },
            ) => {
                offered.merge(theirs);
                allocated.merge(their_tasks);
                add_all(overcommitted, &more);
            }
            (Self::Reserved { roles }, Self::Reserved { roles: theirs }) => {
                roles.extend(theirs);
                roles.sort_unstable();
                roles.dedup();
            }
            (
                Self::MinAllocatable { left, overcommitted, .. },
                Self::MinAllocatable { left: theirs, overcommitted: more, .. },
            ) => {
                left.merge(theirs);
                add_all(overcommitted, &more);
            }
            (
                Self::QuotaLimit { indivisible, .. } | Self::Headroom { indivisible, .. },
                Self::QuotaLimit { indivisible: theirs, .. } | Self::Headroom { indivisible: theirs, .. },
            ) => keep_equal(indivisible, theirs),
            (
                Self::Filtered { until, last, refused },
                Self::Filtered { until: first_end, last: last_end, refused: theirs },
            ) => {
                (*until, *last) = ((*until).min(first_end), (*last).max(last_end));
                refused.merge(theirs);
            }
            _ => {} // the group tells it all
        }
    }
}

impl fmt::Display for Reason {
    /// Formats the reason for people, with its main numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recovering { back, expected, until } => {
                write!(f, "{back} of {expected} agents have come back, which are waited for until {until}")
            }
            Self::AgentInactive => f.write_str("the agent is inactive"),
            Self::NotWhitelisted { hostname: Some(hostname) } => write!(f, "{hostname} is not on the whitelist"),
            Self::NotWhitelisted { hostname: None } => f.write_str("the host is not on the whitelist"),
            Self::FrameworkInactive => f.write_str("the framework is inactive"),
            Self::Suppressed => f.write_str("the framework has suppressed offers for the role"),
            Self::Requested { offers, open } => {
                write!(f, "the framework wants only the {offers} offers that it requested, of which {open} are to come")
            }
            Self::RequestMet { offers } => {
                write!(f, "the framework wants only the {offers} offers that it requested, and has had them")
            }
            Self::MaxOffers { live, most } => {
                write!(f, "the framework has {live} live offers, and wants {most} at most")
            }
            Self::OfferConstraints => f.write_str("the framework's offer constraints exclude the agent"),
            Self::NothingAvailable { offered, allocated, .. } => {
                write!(f, "nothing is available: {offered} is offered, {allocated} is allocated")
            }
            Self::Reserved { roles } => write!(f, "all that is available is reserved to {}", Listed(roles, " and ")),
            Self::MinAllocatable { asked, left, .. } => {
                write!(f, "{left} is available, the minimum is {}", Listed(asked, " or "))
            }
            Self::Capability { capability } => write!(f, "the framework lacks the capability {capability}"),
            Self::Region { agent, master } => write!(f, "the agent is in region {agent}, the master in {master}"),
            Self::QuotaLimit { role, name, limit, consumed, .. } => {
                write!(f, "the limit of {role} is {limit} {name}, of which it has consumed {consumed}")
            }
            Self::Headroom { name, free, required, roles, .. } => {
                let roles = Listed(roles, " and ");
                write!(f, "of {free} {name} that are free {required} are kept for the guarantees of {roles}")
            }
            Self::Filtered { until, refused, .. } => write!(f, "the framework refused {refused} until {until}"),
            Self::Outranked { framework, role, share, own_share } => {
                write!(f, "{framework} comes first: {role} has a share of {share}, the other role one of {own_share}")
            }
            Self::Starved { since: Some(since), .. } => {
                write!(f, "nothing prevents an offer; the last useful one was at {since}")
            }
            Self::Starved { since: None, .. } => f.write_str("nothing prevents an offer"),
        }
    }
}

/// Items with a word between them.
struct Listed<'a, T>(&'a [T], &'static str);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { self.1 })?;
        }
        Ok(())
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(resources) if resources.is_empty() => f.write_str("nothing"),
            Self::One(resources) => resources.fmt(f),
            Self::Several(amounts) if amounts.sum.is_empty() => f.write_str("nothing"),
            Self::Several(amounts) => write!(f, "{} in all", amounts.sum),
        }
    }
}

impl Holder {
    /// Returns a holder without offers.
    pub(crate) fn new(framework: FrameworkId, role: Role, since: Time) -> Self {
        Self { framework, role, offers: 0, amounts: Quantities::new(), since, timed_out: 0 }
    }

    /// Adds an offer.
    pub(crate) fn add_offer(&mut self, resources: &Resources) {
        self.offers += 1;
        add_all(&mut self.amounts, &resources.quantities());
    }
}

impl Extent {
    /// Adds the resources of another agent.
    fn merge(&mut self, other: Self) {
        let mut amounts = std::mem::replace(self, Self::One(Resources::new())).into_amounts();
        amounts.merge(&other.into_amounts());
        *self = Self::Several(amounts);
    }

    fn into_amounts(self) -> Box<AmountSummary> {
        match self {
            Self::Several(amounts) => amounts,
            Self::One(resources) => {
                let alike = resources.iter().as_slice().chunk_by(|a, b| a.name() == b.name());
                let sum: Quantities = alike.map(|alike| (alike[0].name(), resources.amount(alike[0].name()))).collect();
                Box::new(AmountSummary { least: sum.clone(), most: sum.clone(), sum })
            }
        }
    }
}

impl AmountSummary {
    fn merge(&mut self, other: &Self) {
        add_all(&mut self.sum, &other.sum);
        // A name that is absent somewhere has a least of 0.
        self.least = self.least.iter().map(|(name, mine)| (name, mine.min(other.least.amount(name)))).collect();
        let more = |(name, theirs): (&str, Scalar)| (Text::new(name), theirs.saturating_sub(self.most.amount(name)));
        let more: Vec<(Text, Scalar)> = other.most.iter().map(more).collect();
        more.iter().for_each(|(name, more)| self.most.add(name, *more));
    }
}

impl From<&Resources> for Extent {
    fn from(resources: &Resources) -> Self {
        Self::One(resources.clone())
    }
}

fn add_all(sum: &mut Quantities, more: &Quantities) {
    more.iter().for_each(|(name, amount)| sum.add(name, amount));
}

/// Keeps a value only if the other one is equal.
fn keep_equal<T: PartialEq>(value: &mut Option<T>, other: Option<T>) {
    if *value != other {
        *value = None;
    }
}
