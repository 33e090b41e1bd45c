//! The survey of demand: what could still be offered of each agent, and to whom.

use super::amounts::NameIx;
use super::cycle::{Cycle, Stage};
use super::demand::{Demand, Remainder};
use super::hierarchical::Hierarchical;
use super::ledger::AgentIx;
use super::sorter::Sorter;
use crate::resources::Resources;

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
                let mut portions = entry
                    .tree
                    .active_clients()
                    .filter_map(|client| self.share(Stage::FairShares, agent, (role, client), &left));
                if let Some(portion) = portions.next() {
                    remainder.clients.push(entry.client);
                    remainder.names.extend(self.enough(portion.of(self.ledger[agent].available())));
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
