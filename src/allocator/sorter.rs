//! [`Sorter`]: in which order roles, and frameworks within a role, are served.

mod choice;
mod drf;
mod hdrf;
mod random;
mod sibling_queue;

pub use choice::SorterChoice;
pub use drf::Drf;
pub use hdrf::Hdrf;
pub use random::Random;

use super::demand::Demand;
use super::share::Totals;
use super::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;
use std::fmt;

/// The order in which the clients of a tree are served.
///
/// One sorter orders the roles, and one per role the frameworks in it. The tree and the totals are
/// the allocator's; a sorter only reads them, so the smallest one is a comparison of two siblings,
/// handed to [`depth_first`]. One that keeps its order between calls learns from
/// [`Sorter::charged`] what to look at again, and from [`ShareTree::shape`] and
/// [`Totals::version`] when everything may differ.
///
/// An order must be a function of the tree and the totals (and of a seed): the same state must
/// give the same order, however often it was asked for in between.
///
/// # Examples
///
/// Asset fairness (DRF paper, section 5.1): the sum of all fractions counts, not the largest.
///
/// ```
/// use apportion::allocator::{ClientId, Share, ShareTree, Sorter, Totals, depth_first};
///
/// #[derive(Debug, Clone, Default)]
/// struct AssetFairness;
///
/// impl Sorter for AssetFairness {
///     fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
///         let assets = |node| tree.holdings(node, totals).map(|(_, held, total)| held as f64 / total as f64).sum::<f64>();
///         depth_first(tree, order, |a, b| assets(a).total_cmp(&assets(b)).then_with(|| tree.name(a).cmp(tree.name(b))));
///     }
/// }
/// ```
pub trait Sorter: fmt::Debug + Send {
    /// Appends all active clients to `order`, the one to be served first in front.
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>);

    /// Appends the next active clients, at least one if there are any left, to what this has written to `order` before;
    /// an empty `order` starts anew. What is charged in between counts from the next start on.
    ///
    /// Often the first client takes all there is. A sorter that can tell it without sorting the others overrides this.
    fn more(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        if order.is_empty() {
            self.order(tree, totals, order);
        }
    }

    /// The same, for a caller who has no use for clients that are not `wanted`: it may leave these out.
    fn more_of(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
        order: &mut Vec<ClientId>,
    ) {
        let _ = wanted;
        self.more(tree, totals, order);
    }

    /// Learns that what `client` holds, how often it was given something, or whether it is active has changed, and so
    /// of its ancestors.
    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        let _ = (tree, client);
    }

    /// Whether it is to learn who could still be given something. That costs the allocator a look at
    /// every pair of agent and framework in each allocation.
    fn asks_for_demand(&self) -> bool {
        false
    }

    /// Learns who could still be given something, if it asks for that; before each order. Sorters of
    /// frameworks within a role are not told.
    fn demand(&mut self, demand: &Demand) {
        let _ = demand;
    }

    /// Whether it draws, and is to learn the numbers of its draws.
    fn draws(&self) -> bool {
        false
    }

    /// Learns the number of the draw that comes next, if it draws: one for each moment and agent. An order may depend on
    /// nothing else that changes.
    fn draw(&mut self, number: u64) {
        let _ = number;
    }
}

impl<S: Sorter + ?Sized> Sorter for Box<S> {
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        (**self).order(tree, totals, order);
    }

    fn more(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        (**self).more(tree, totals, order);
    }

    fn more_of(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
        order: &mut Vec<ClientId>,
    ) {
        (**self).more_of(wanted, tree, totals, order);
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

    fn draws(&self) -> bool {
        (**self).draws()
    }

    fn draw(&mut self, number: u64) {
        (**self).draw(number);
    }
}

/// The orders of roles and of frameworks, as far as they were asked for; kept, so that no visit has to make room for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues {
    pub(super) roles: Vec<ClientId>,
    pub(super) members: Vec<ClientId>,
}

/// Appends the active clients of a tree, siblings sorted by `compare`, all of a subtree before the next sibling.
///
/// O(n log n) comparisons for n nodes.
pub fn depth_first(tree: &ShareTree, order: &mut Vec<ClientId>, mut compare: impl FnMut(NodeId, NodeId) -> Ordering) {
    let mut ahead = vec![tree.root()];
    while let Some(node) = ahead.pop() {
        order.extend(tree.active_client(node));
        let start = ahead.len();
        ahead.extend_from_slice(tree.children(node));
        ahead[start..].sort_by(|a, b| compare(*b, *a)); // the first is popped first
    }
}
