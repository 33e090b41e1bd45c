//! [`SorterChoice`]: one of the sorters that come with the crate, chosen at run time.

use super::{Drf, Random, Sorter};
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, ShareTree};

/// One of the sorters that come with the crate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SorterChoice {
    /// Dominant resource fairness, as in Mesos.
    Drf(Drf),
    /// A weighted shuffle.
    Random(Random),
}

impl Default for SorterChoice {
    fn default() -> Self {
        Self::Drf(Drf::default())
    }
}

impl Sorter for SorterChoice {
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        match self {
            Self::Drf(drf) => drf.order(tree, totals, order),
            Self::Random(random) => random.order(tree, totals, order),
        }
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        match self {
            Self::Drf(drf) => drf.charged(tree, client),
            Self::Random(random) => random.charged(tree, client),
        }
    }

    fn draw(&mut self, number: u64) {
        match self {
            Self::Drf(drf) => drf.draw(number),
            Self::Random(random) => random.draw(number),
        }
    }
}
