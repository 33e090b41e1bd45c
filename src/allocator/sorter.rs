//! [`Sorter`]: the order in which roles, and frameworks within a role, are offered resources.

mod choice;
mod drf;
mod hdrf;
mod policy;
mod random;
mod sibling_queue;
mod unordered;
mod walk;

pub use choice::SorterChoice;
pub use drf::Drf;
pub use hdrf::Hdrf;
pub use policy::{Node, Ordered, Policy};
pub use random::Random;
pub(super) use unordered::Unordered;

use super::demand::Demand;
use super::share::Totals;
use super::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;
use std::fmt;

/// Orders the clients of a tree: the first is offered resources first.
///
/// One sorter orders the roles, and one per role the frameworks in it. The tree and the totals are
/// the allocator's; a sorter only reads them, so the smallest one is a comparison of two siblings,
/// passed to [`depth_first`]. An order is [begun](Sorter::begin) and then asked for client by client, mostly for the first one
/// alone. A sorter that maintains its order between calls learns from [`Sorter::charged`] which clients may have moved, and from
/// [`ShareTree::shape`] and [`Totals::version`] when every client may have.
///
/// An order must be a function of the tree and the totals (and of a seed): the same state must
/// result in the same order, however often it was asked for in between.
///
/// # Examples
///
/// Asset fairness (DRF paper, section 5.1): the sum of all fractions counts, not the largest.
///
/// ```
/// use apportion::allocator::{ClientId, ShareTree, Sorter, Totals, depth_first};
///
/// #[derive(Debug, Clone, Default)]
/// struct AssetFairness {
///     rest: std::vec::IntoIter<ClientId>,
/// }
///
/// impl Sorter for AssetFairness {
///     fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
///         let assets = |node| tree.holdings(node, totals).map(|(_, held, total)| held as f64 / total as f64).sum::<f64>();
///         let by_assets = |a, b| assets(a).total_cmp(&assets(b)).then_with(|| tree.name(a).cmp(tree.name(b)));
///         self.rest = depth_first(tree, by_assets).into_iter();
///     }
///
///     fn next(&mut self, _: &ShareTree, _: &Totals) -> Option<ClientId> {
///         self.rest.next()
///     }
/// }
/// ```
///
/// A sorter can be cloned: each role gets a copy of the one for frameworks, and explanations are found in copies. So a boxed
/// one can be, too: `Box<dyn Sorter>` is a sorter like any other, for a choice at run time.
///
/// Most orders are simpler, and faster, as a [`Policy`].
pub trait Sorter: fmt::Debug + Send + Sync + CloneSorter {
    /// Begins an order of all active clients, whether or not the last one has come to its end.
    fn begin(&mut self, tree: &ShareTree, totals: &Totals);

    /// Returns the next client of the order that was begun; none at its end, and before any was begun. It must be active.
    /// Neither the shape of the tree nor the totals have changed since; what was charged since counts from the next beginning
    /// on.
    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId>;

    /// Returns the next client that is wanted, as [`Sorter::next`] does, and passes over those before it. These may come later,
    /// if they are wanted then.
    ///
    /// Often many clients at the head want nothing. A sorter that can pass over them faster than one by one overrides this.
    fn next_wanted(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
    ) -> Option<ClientId> {
        std::iter::from_fn(|| self.next(tree, totals)).find(|client| wanted(*client))
    }

    /// Is called after a change of what `client` holds, of its number of allocations, or of whether it is active, which are
    /// changes of its ancestors too.
    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        let _ = (tree, client);
    }

    /// Returns whether [`Sorter::demand`] is to be called. That costs the allocator a check of every pair of agent and
    /// framework in each allocation.
    fn asks_for_demand(&self) -> bool {
        false
    }

    /// Is called before each beginning with the clients that could still be offered something, if it
    /// [asks for that](Sorter::asks_for_demand). Sorters of frameworks within a role are not called.
    fn demand(&mut self, demand: &Demand) {
        let _ = demand;
    }

    /// Returns whether [`ShareTree::last_offer`] and [`ShareTree::last_useful_offer`] are to be kept, and to count as changes.
    fn keeps_times(&self) -> bool {
        false
    }

    /// Returns whether the order is drawn at random, and [`Sorter::draw`] is to be called.
    fn draws(&self) -> bool {
        false
    }

    /// Is called before each beginning with a random number, a function of moment and agent, if it [draws](Sorter::draws). The
    /// order may depend on nothing else that changes.
    fn draw(&mut self, number: u64) {
        let _ = number;
    }
}

/// The copy of a sorter of any type: what every [`Sorter`] that is [`Clone`] has.
pub trait CloneSorter {
    /// Returns a copy in a box.
    fn clone_boxed(&self) -> Box<dyn Sorter>;
}

impl<S: Sorter + Clone + 'static> CloneSorter for S {
    fn clone_boxed(&self) -> Box<dyn Sorter> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Sorter> {
    fn clone(&self) -> Self {
        (**self).clone_boxed()
    }
}

impl<S: Sorter + ?Sized> Sorter for Box<S>
where
    Self: Clone + 'static,
{
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        (**self).begin(tree, totals);
    }

    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId> {
        (**self).next(tree, totals)
    }

    fn next_wanted(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
    ) -> Option<ClientId> {
        (**self).next_wanted(wanted, tree, totals)
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        (**self).charged(tree, client);
    }

    fn asks_for_demand(&self) -> bool {
        (**self).asks_for_demand()
    }

    fn demand(&mut self, demand: &Demand) {
        (**self).demand(demand);
    }

    fn keeps_times(&self) -> bool {
        (**self).keeps_times()
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }

    fn draw(&mut self, number: u64) {
        (**self).draw(number);
    }
}

/// Returns the active clients of a tree depth first: siblings sorted by `compare`, all of a subtree before the next sibling.
///
/// O(n log n) comparisons for n nodes.
#[must_use]
pub fn depth_first(tree: &ShareTree, mut compare: impl FnMut(NodeId, NodeId) -> Ordering) -> Vec<ClientId> {
    let (mut order, mut stack) = (Vec::new(), vec![tree.root()]);
    while let Some(node) = stack.pop() {
        order.extend(tree.active_client(node));
        let start = stack.len();
        stack.extend_from_slice(tree.children(node));
        stack[start..].sort_by(|a, b| compare(*b, *a)); // the first is popped first
    }
    order
}
