//! [`SorterChoice`]: one of the sorters that come with the crate, chosen at run time.

use super::{Drf, Hdrf, Random, Sorter};
use crate::allocator::demand::Demand;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, ShareTree};

/// One of the sorters that come with the crate, or [one's own](SorterChoice::other).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SorterChoice {
    /// Dominant resource fairness, as in Mesos.
    Drf(Drf),
    /// Hierarchical DRF that starves no leaf.
    Hdrf(Hdrf),
    /// A weighted shuffle.
    Random(Random),
    /// One's own. A journal or a snapshot only says that there is one.
    Other(Box<dyn Sorter>),
    /// One's own that a journal or a snapshot was written with, and that its reader has not been given: DRF stands in for it.
    /// [`Replay::new`](crate::journal::Replay::new) and [`Master::restore`](crate::Master::restore) refuse it, since what
    /// follows would be decided otherwise; `with_master` and `restore_with` are given the sorter.
    Missing(Drf),
}

impl Default for SorterChoice {
    fn default() -> Self {
        Self::Drf(Drf::default())
    }
}

impl SorterChoice {
    /// Chooses a sorter of one's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{Node, Ordered, Policy, SorterChoice};
    /// use apportion::{Config, Master};
    ///
    /// #[derive(Debug, Clone)]
    /// struct FewestAllocations;
    ///
    /// impl Policy for FewestAllocations {
    ///     type Key = u64;
    ///
    ///     fn key(&self, node: &Node<'_>) -> u64 {
    ///         node.count()
    ///     }
    /// }
    ///
    /// let sorter = match "fewest" {
    ///     "fewest" => SorterChoice::other(Ordered::new(FewestAllocations)),
    ///     _ => SorterChoice::default(),
    /// };
    /// let master = Master::new(Config::new().sorter(sorter));
    /// # let _ = master;
    /// ```
    #[must_use]
    pub fn other(sorter: impl Sorter + 'static) -> Self {
        Self::Other(Box::new(sorter))
    }

    /// Returns the sorter for the frameworks of a role: the same, but `Drf` for `Hdrf`, as their tree is flat.
    #[must_use]
    pub fn within_roles(&self) -> Self {
        match self {
            Self::Drf(_) | Self::Hdrf(_) | Self::Missing(_) => Self::default(),
            Self::Random(random) => Self::Random(random.clone()),
            Self::Other(other) => Self::Other(other.clone()),
        }
    }

    fn chosen(&mut self) -> &mut dyn Sorter {
        match self {
            Self::Drf(drf) | Self::Missing(drf) => drf,
            Self::Hdrf(hdrf) => hdrf,
            Self::Random(random) => random,
            Self::Other(other) => &mut **other,
        }
    }
}

impl Sorter for SorterChoice {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        self.chosen().begin(tree, totals);
    }

    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId> {
        self.chosen().next(tree, totals)
    }

    fn next_wanted(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
    ) -> Option<ClientId> {
        self.chosen().next_wanted(wanted, tree, totals)
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        self.chosen().charged(tree, client);
    }

    fn asks_for_demand(&self) -> bool {
        match self {
            Self::Drf(_) | Self::Random(_) | Self::Missing(_) => false,
            Self::Hdrf(_) => true,
            Self::Other(other) => other.asks_for_demand(),
        }
    }

    fn demand(&mut self, demand: &Demand) {
        self.chosen().demand(demand);
    }

    fn keeps_times(&self) -> bool {
        match self {
            Self::Drf(_) | Self::Hdrf(_) | Self::Random(_) | Self::Missing(_) => false,
            Self::Other(other) => other.keeps_times(),
        }
    }

    fn draws(&self) -> bool {
        match self {
            Self::Drf(_) | Self::Hdrf(_) | Self::Missing(_) => false,
            Self::Random(_) => true,
            Self::Other(other) => other.draws(),
        }
    }

    fn draw(&mut self, number: u64) {
        self.chosen().draw(number);
    }
}
