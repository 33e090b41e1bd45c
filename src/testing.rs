//! Suites that implementations of the seams must pass, and clusters of a seed to try them on.
//!
//! Whoever writes an [`Allocator`], a [`Sorter`], a [`Constraint`] or a `Fitness` of their own finds out here whether it keeps
//! what its trait promises. A [`Suite`] puts it through random sequences, each of a seed, and checks it after every step. If it
//! fails, the suite panics with the seed and with the shortest sequence that it found to fail, in a form that can be pasted into
//! a test. The crate's own implementations pass them.
//!
//! The module needs the feature `testing`, which has no dependencies of its own; the suite of a `Fitness` needs `placement` too.
//!
//! # Examples
//!
//! ```
//! use apportion::allocator::{Drf, Hierarchical, Node, Options, Ordered, Policy};
//! use apportion::testing::Suite;
//!
//! #[derive(Debug, Clone)]
//! struct FewestAllocations;
//!
//! impl Policy for FewestAllocations {
//!     type Key = u64;
//!
//!     fn key(&self, node: &Node<'_>) -> u64 {
//!         node.count()
//!     }
//! }
//!
//! let suite = Suite::new().seeds(0..8);
//! suite.sorter(|| Ordered::new(FewestAllocations));
//! suite.saved_allocator(|| Hierarchical::new(Options::default(), Ordered::new(FewestAllocations), Drf::default()));
//! ```

mod allocator;
mod cluster_maker;
mod constraint;
mod draws;
#[cfg(feature = "placement")]
mod fitness;
mod model;
mod shrink;
mod sorter;
mod step;

pub use allocator::{check_allocator, check_saved_allocator};
pub use cluster_maker::ClusterMaker;
pub use constraint::{Visit, check_constraint};
#[cfg(feature = "placement")]
pub use fitness::{Sample, check_fitness};
pub use shrink::Broken;
pub use sorter::check_sorter;
pub use step::Step;

use crate::allocator::{Allocator, Persist, Sorter};
use crate::constraint::Constraint;
#[cfg(feature = "placement")]
use crate::placement::Fitness;
use draws::Draws;
use shrink::Search;
use std::ops::Range;

/// Random sequences for an implementation of a seam: one for each seed.
#[derive(Debug, Clone)]
pub struct Suite {
    seeds: Range<u64>,
    steps: usize,
}

impl Suite {
    /// Makes a suite of 64 sequences of 80 steps each.
    #[must_use]
    pub fn new() -> Self {
        Self { seeds: 0..64, steps: 80 }
    }

    /// Sets the seeds.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Sets the number of steps of each sequence.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Checks an allocator. `make` returns a new one each time.
    ///
    /// After every step: of each agent total = available + offered + allocated, by what it was told; a change that must be refused
    /// is refused, and has changed nothing; any other is accepted. Every offer is of an active agent to an active framework
    /// under a role that it has and has not suppressed, of available resources that are not reserved to others, against no
    /// refusal that lasts and no limit that was set. Where nothing is [pending](Allocator::has_pending), nothing is offered. A
    /// second allocator that is told the same makes the same offers.
    ///
    /// # Panics
    ///
    /// If one of these does not hold, with the seed and the shortest sequence that was found.
    pub fn allocator<A: Allocator>(&self, make: impl Fn() -> A) {
        let search = Search { what: "allocator", check: "check_allocator" };
        self.run(&search, Draws::step, |steps| check_allocator(&make, steps));
    }

    /// Checks an allocator that can be saved: as [`Suite::allocator`] does, and that what is loaded from what it saved goes on as
    /// it does, offer by offer, and saves the same.
    ///
    /// # Panics
    ///
    /// If one of these does not hold, with the seed and the shortest sequence that was found.
    pub fn saved_allocator<A: Allocator + Persist>(&self, make: impl Fn() -> A) {
        let search = Search { what: "allocator", check: "check_saved_allocator" };
        self.run(&search, Draws::step, |steps| check_saved_allocator(&make, steps));
    }

    /// Checks a sorter, for roles and for frameworks within a role.
    ///
    /// Whenever the allocator begins an order: it has all active clients, and each once; begun again, it is the same; a new
    /// sorter that was never told of a change has the same; what is wanted comes in that order. And what the allocator is
    /// given is that order, whatever was charged since.
    ///
    /// # Panics
    ///
    /// If one of these does not hold, with the seed and the shortest sequence that was found.
    pub fn sorter<S: Sorter + Clone + 'static>(&self, make: impl Fn() -> S) {
        let search = Search { what: "sorter", check: "check_sorter" };
        self.run(&search, Draws::step, |steps| check_sorter(&make, steps));
    }

    /// Checks a constraint.
    ///
    /// At each visit of a task to a host: the verdict is the same when asked again, after other questions, of a new constraint,
    /// and of the same tasks indexed anew; [`holds`](Constraint::holds) agrees with [`check`](Constraint::check); a rejection
    /// says something; the verdict depends on no more than the [`scope`](Constraint::scope) says.
    ///
    /// # Panics
    ///
    /// If one of these does not hold, with the seed and the shortest sequence that was found.
    pub fn constraint<C: Constraint>(&self, make: impl Fn() -> C) {
        let search = Search { what: "constraint", check: "check_constraint" };
        self.run(&search, Draws::visit, |visits| check_constraint(&make, visits));
    }

    /// Checks a fitness; with the feature `placement`.
    ///
    /// For each sample: score and tie break are finite, and the same when asked again, after other questions, and of a new
    /// fitness; if they are said to [depend on the load alone](crate::placement::Fitness::depends_on_load_only), the same for another offer of that
    /// load; a score above one that is [good enough](crate::placement::Fitness::is_good_enough) is good enough too.
    ///
    /// # Panics
    ///
    /// If one of these does not hold, with the seed and the shortest sequence that was found.
    #[cfg(feature = "placement")]
    pub fn fitness<F: Fitness>(&self, make: impl Fn() -> F) {
        let search = Search { what: "fitness", check: "check_fitness" };
        self.run(&search, Draws::sample, |samples| check_fitness(&make, samples));
    }

    /// Runs a sequence for each seed, and panics with the shortest one that fails.
    fn run<T: Clone + std::fmt::Debug>(
        &self,
        search: &Search,
        draw: impl Fn(&mut Draws, usize) -> T,
        check: impl Fn(&[T]) -> Result<(), Broken>,
    ) {
        for seed in self.seeds.clone() {
            let mut draws = Draws::new(seed);
            let sequence: Vec<T> = (0..self.steps).map(|number| draw(&mut draws, number)).collect();
            if let Err(broken) = check(&sequence) {
                panic!("{}", search.report(seed, sequence, broken, &check));
            }
        }
    }
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}
