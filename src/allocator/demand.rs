//! [`Demand`]: who could still be given something, and what is used up.
//!
//! A scheduler's wishes are seen only in what it refuses. So a client demands as long as some agent
//! has something left that it may be offered and has not turned down; a resource is used up when no
//! agent has enough of it left to offer to anyone.

use super::amounts::NameIx;
use super::ledger::AgentIx;
use super::tree::ClientId;
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

/// What could still be offered of one agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Remainder {
    /// To whom.
    pub(super) clients: Vec<ClientId>,
    /// Enough of what, each once.
    pub(super) names: Vec<NameIx>,
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

    /// Counts an agent anew.
    pub(super) fn set(&mut self, agent: AgentIx, remainder: Remainder) {
        let now = remainder.clone();
        let before = self.agents.insert(agent, remainder).unwrap_or_default();
        for (change, adds) in [(before, false), (now, true)] {
            Self::count(&mut self.places, change.clients.iter().map(|client| client.index()), adds);
            Self::count(&mut self.remainders, change.names.iter().copied(), adds);
        }
    }
}
