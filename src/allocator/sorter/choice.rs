//! [`SorterChoice`]: one of the sorters that come with the crate, chosen at run time.

use super::{Drf, Hdrf, Random, Sorter};
use crate::allocator::demand::Demand;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, ShareTree};

/// One of the sorters that come with the crate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SorterChoice {
    /// Dominant resource fairness, as in Mesos.
    Drf(Drf),
    /// Hierarchical DRF that starves no leaf.
    Hdrf(Hdrf),
    /// A weighted shuffle.
    Random(Random),
}

impl Default for SorterChoice {
    fn default() -> Self {
        Self::Drf(Drf::default())
    }
}

impl SorterChoice {
    /// Returns the sorter for the frameworks of a role: the same, but `Drf` for `Hdrf`, as their tree is flat.
    #[must_use]
    pub fn within_roles(&self) -> Self {
        match self {
            Self::Drf(_) | Self::Hdrf(_) => Self::default(),
            Self::Random(random) => Self::Random(random.clone()),
        }
    }

    fn chosen(&mut self) -> &mut dyn Sorter {
        match self {
            Self::Drf(drf) => drf,
            Self::Hdrf(hdrf) => hdrf,
            Self::Random(random) => random,
        }
    }
}

impl Sorter for SorterChoice {
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        self.chosen().order(tree, totals, order);
    }

    fn more(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        self.chosen().more(tree, totals, order);
    }

    fn more_of(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
        order: &mut Vec<ClientId>,
    ) {
        self.chosen().more_of(wanted, tree, totals, order);
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        self.chosen().charged(tree, client);
    }

    fn asks_for_demand(&self) -> bool {
        matches!(self, Self::Hdrf(_))
    }

    fn demand(&mut self, demand: &Demand) {
        self.chosen().demand(demand);
    }

    fn draws(&self) -> bool {
        matches!(self, Self::Random(_))
    }

    fn draw(&mut self, number: u64) {
        self.chosen().draw(number);
    }
}
