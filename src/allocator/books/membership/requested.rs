//! [`Requested`]: the offers that a member asks for while it is suppressed, and how many of them it has not got yet.

use crate::id::AgentId;
use crate::resources::{Limits, Quantities};
use crate::scheduler::Request;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A request of a member. It works while the member is suppressed: then the member may be offered something all the same, as
/// long as a place is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::allocator) struct Requested {
    /// The number of offers asked for.
    pub(in crate::allocator) offers: u64,
    /// The number of them that are neither live nor used.
    pub(in crate::allocator) open: u64,
    /// The minimum of an offer, in place of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::allocator) each: Option<Quantities>,
    /// The most of unreserved, not revocable scalars in an offer; if there are any, an agent is divided into several offers.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub(in crate::allocator) most: Limits,
    /// The agents that will do; none = all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(in crate::allocator) agents: BTreeSet<AgentId>,
}

impl Requested {
    /// Returns a request with all places open; none if it asks for no offer.
    pub(in crate::allocator) fn of(request: &Request) -> Option<Self> {
        (request.offers > 0).then(|| Self {
            offers: request.offers,
            open: request.offers,
            each: request.each.clone(),
            most: request.most.clone(),
            agents: request.agents.iter().cloned().collect(),
        })
    }

    /// Returns whether an agent will do.
    pub(in crate::allocator) fn names(&self, agent: &AgentId) -> bool {
        self.agents.is_empty() || self.agents.contains(agent)
    }
}
