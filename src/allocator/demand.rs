//! [`Demand`]: who could still be given something, and what is used up.
//!
//! A scheduler's wishes are seen only in what it refuses. So a client demands as long as some agent
//! has something left that it may be offered and has not turned down; a resource is used up when no
//! agent has enough of it left to offer to anyone.

use super::cycle::{Cycle, Stage};
use super::hierarchical::Hierarchical;
use super::ledger::AgentIx;
use super::names::NameIx;
use super::sorter::Sorter;
use super::tree::ClientId;
use crate::resources::Resources;
use indexmap::IndexMap;

/// Who could still be given something, and what is used up, at one moment of an allocation.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// By client: on how many agents it could be offered something.
    places: Vec<u32>,
    /// By the number of a resource's name: on how many agents enough of it could be offered.
    remainders: Vec<u32>,
    /// By agent: what it counts for in both.
    agents: IndexMap<AgentIx, Remainder, foldhash::fast::RandomState>,
}

#[derive(Debug, Clone, Default)]
struct Remainder {
    clients: Vec<ClientId>,
    names: Vec<NameIx>,
}

impl Demand {
    /// Whether nothing that is left could be offered to a client.
    #[must_use]
    pub fn is_blocked(&self, client: ClientId) -> bool {
        self.places.get(client.index()).is_none_or(|places| *places == 0)
    }

    /// Whether no agent has enough left of a resource, by the number that [`ShareTree::holdings`] gives it.
    ///
    /// [`ShareTree::holdings`]: super::ShareTree::holdings
    #[must_use]
    pub fn is_used_up(&self, resource: usize) -> bool {
        self.remainders.get(resource).is_none_or(|agents| *agents == 0)
    }

    /// Whether nothing at all is left that could be offered.
    #[must_use]
    pub fn all_used_up(&self) -> bool {
        self.remainders.iter().all(|agents| *agents == 0)
    }

    fn count(counts: &mut Vec<u32>, indices: impl Iterator<Item = usize>, adds: bool) {
        for ix in indices {
            if counts.len() <= ix {
                counts.resize(ix + 1, 0);
            }
            counts[ix] = if adds { counts[ix] + 1 } else { counts[ix].saturating_sub(1) };
        }
    }

    fn set(&mut self, agent: AgentIx, remainder: Remainder) {
        let now = remainder.clone();
        let before = self.agents.insert(agent, remainder).unwrap_or_default();
        for (change, adds) in [(before, false), (now, true)] {
            Self::count(&mut self.places, change.clients.iter().map(|client| client.index()), adds);
            Self::count(&mut self.remainders, change.names.iter().copied(), adds);
        }
    }
}

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Looks at every agent anew. O(agents × frameworks).
    pub(super) fn survey(&self, cycle: &Cycle) -> Demand {
        let mut demand = Demand::default();
        for agent in self.ledger.with_available() {
            self.look_at(agent, cycle, &mut demand);
        }
        demand
    }

    /// Looks at one agent anew, of which something was given. O(frameworks).
    pub(super) fn look_at(&self, agent: AgentIx, cycle: &Cycle, demand: &mut Demand) {
        let mut remainder = Remainder::default();
        if self.is_candidate(agent) {
            for (role, entry) in self.roles.iter() {
                let left = self.left_for(role, agent, cycle);
                let mut offers = entry.tree.active_clients().filter_map(|client| {
                    let share = self.share(Stage::FairShares, agent, (role, client), &left, cycle)?;
                    Some(share.offer)
                });
                if let Some(offer) = offers.next() {
                    remainder.clients.push(entry.client);
                    remainder.names.extend(self.enough(&offer));
                }
            }
        }
        remainder.names.sort_unstable();
        remainder.names.dedup();
        demand.set(agent, remainder);
    }

    /// The names of which an offer holds as much as is worth offering by itself.
    fn enough<'a>(&'a self, offer: &'a Resources) -> impl Iterator<Item = NameIx> + 'a {
        let worth = |name: &str| {
            let minimums = self.options.min_allocatable.iter().map(|minimum| minimum.amount(name));
            minimums.filter(|amount| !amount.is_zero()).min().unwrap_or_default()
        };
        let scalars = offer.iter().filter(|resource| resource.scalar().is_some());
        let names = scalars.filter(move |resource| offer.amount(resource.name()) >= worth(resource.name()));
        names.filter_map(|resource| self.names.find(resource.name()))
    }
}
