//! [`Demand`]: which clients could still be offered something, and which resources are used up.
//!
//! What a framework wants shows only in what it refuses. So a client demands as long as some agent
//! has available resources that it may be offered and has not refused; a resource is used up when no
//! agent has enough of it available for any offer.

use super::index::{AgentIx, DenseIndex, IndexVec, NameIx};
use super::tree::ClientId;
use indexmap::IndexMap;

/// The clients that could still be offered something, and the resources that are used up, at one moment of an allocation.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// By client: on how many agents it could be offered something.
    agents_of_client: IndexVec<ClientId, u32>,
    /// By resource name: on how many agents enough of it could be offered.
    agents_with_enough: IndexVec<NameIx, u32>,
}

/// A [`Demand`] that is kept up to date while agents are offered.
#[derive(Debug, Default)]
pub(super) struct RunningDemand {
    demand: Demand,
    /// By agent: its contribution to both counts.
    agents: IndexMap<AgentIx, Unallocated, foldhash::fast::RandomState>,
}

/// What could still be offered of one agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Unallocated {
    /// The clients that could be offered something.
    pub(super) clients: Vec<ClientId>,
    /// The resources of which enough is available, each once.
    pub(super) names: Vec<NameIx>,
}

impl Demand {
    /// Returns whether nothing that is available could be offered to a client.
    #[must_use]
    pub fn is_blocked(&self, client: ClientId) -> bool {
        self.agents_of_client.get(client).is_none_or(|agents| *agents == 0)
    }

    /// Returns whether no agent has enough of a resource available; the index is the one in [`ShareTree::holdings`].
    ///
    /// [`ShareTree::holdings`]: super::ShareTree::holdings
    #[must_use]
    pub fn is_used_up(&self, resource: usize) -> bool {
        self.agents_with_enough.values().nth(resource).is_none_or(|agents| *agents == 0)
    }

    /// Returns whether no agent has enough of any resource available.
    #[must_use]
    pub fn all_used_up(&self) -> bool {
        self.agents_with_enough.values().all(|agents| *agents == 0)
    }
}

impl RunningDemand {
    /// Returns the demand as it is now.
    pub(super) fn now(&self) -> &Demand {
        &self.demand
    }

    /// Replaces the contribution of an agent.
    pub(super) fn set(&mut self, agent: AgentIx, unallocated: Unallocated) {
        let Demand { agents_of_client, agents_with_enough } = &mut self.demand;
        unallocated.clients.iter().for_each(|client| add_one(agents_of_client, *client));
        unallocated.names.iter().for_each(|name| add_one(agents_with_enough, *name));
        let before = self.agents.insert(agent, unallocated).unwrap_or_default();
        before.clients.into_iter().for_each(|client| subtract_one(agents_of_client, client));
        before.names.into_iter().for_each(|name| subtract_one(agents_with_enough, name));
    }
}

fn add_one<I: DenseIndex>(counts: &mut IndexVec<I, u32>, ix: I) {
    counts.grow_to(ix, || 0);
    counts[ix] += 1;
}

fn subtract_one<I: DenseIndex>(counts: &mut IndexVec<I, u32>, ix: I) {
    if let Some(count) = counts.get_mut(ix) {
        *count = count.saturating_sub(1);
    }
}
