//! [`Drf`]: dominant resource fairness.

use super::Sorter;
use super::sibling_queue::{Key, Lineup};
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, NodeId, ShareTree};

/// Dominant resource fairness over a tree, as in Mesos: the smaller dominant share first, then who
/// was given something less often, then the smaller name in byte order.
///
/// The dominant share is the largest fraction of any one resource (Ghodsi et al., NSDI'11), over
/// the weight. Siblings are sorted at every level and the tree is walked depth first. Shares are
/// compared as exact fractions; Mesos divides doubles, so that equal shares there may differ.
///
/// The order is kept, not made: a sibling that was charged moves, in O(log siblings) comparisons at most, and in one if
/// it goes behind all others. Each client that is asked for costs as much. When siblings come or go, or the cluster's
/// totals change other than all alike, the siblings concerned line up anew the next time they are looked at. So a sorter
/// that wraps this one, for one tree, has to hand on [`Sorter::charged`] too.
#[derive(Debug, Clone, Default)]
pub struct Drf {
    /// By node number: its children, where it has any that were asked for.
    lineups: Vec<Option<Box<Lineup>>>,
    /// The totals that all keys are of: those of now, or others of which they are a multiple.
    totals: Totals,
    /// Goes up when the keys are to be of other totals.
    basis: u64,
    /// Whose keys may have changed since.
    charged: Vec<ClientId>,
    /// The nodes from the root to where the walk is.
    path: Vec<NodeId>,
    /// The nodes that the walk has passed, and taken out of their lineups.
    passed: Vec<NodeId>,
    /// The leaf where the walk is, which is taken out when it goes on.
    at: Option<NodeId>,
}

impl Drf {
    /// Puts back whom the last walk has passed, and moves those that were charged. From here on, until the next start,
    /// the order is that of this moment.
    fn start(&mut self, tree: &ShareTree, totals: &Totals) {
        if self.totals.version() != totals.version() {
            if !self.totals.is_multiple_of(totals) {
                self.basis += 1;
                self.totals = totals.clone();
            }
            self.totals.take_version_of(totals);
        }
        if self.lineups.len() < tree.capacity() {
            self.lineups.resize_with(tree.capacity(), || None);
        }
        while let Some(node) = self.passed.pop() {
            self.put_back(tree, node);
        }
        let mut charged = std::mem::take(&mut self.charged);
        for client in charged.drain(..) {
            let mut node = tree.leaf(client).unwrap_or_else(|| tree.root());
            while node != tree.root() {
                self.refresh(tree, node);
                node = tree.parent(node);
            }
        }
        self.charged = charged;
        self.at = None;
        self.path.clear();
        self.path.push(tree.root());
    }

    /// Has a node move to where it belongs among its siblings, if these are not to line up anew anyway.
    #[inline]
    fn refresh(&mut self, tree: &ShareTree, node: NodeId) {
        if let Some(lineup) = current(&mut self.lineups, tree, tree.parent(node), self.basis) {
            lineup.set(tree.slot(node), Key::of(tree.standing(node), &self.totals), &self.totals);
        }
    }

    /// Puts a node back that was passed, if its siblings are not to line up anew anyway.
    fn put_back(&mut self, tree: &ShareTree, node: NodeId) {
        if let Some(lineup) = current(&mut self.lineups, tree, tree.parent(node), self.basis) {
            lineup.put_back(tree.slot(node), &self.totals);
        }
    }

    fn pass(&mut self, tree: &ShareTree, node: NodeId) {
        if let Some(lineup) = &mut self.lineups[tree.parent(node).index()] {
            lineup.take_out(tree.slot(node), &self.totals);
            self.passed.push(node);
        }
    }

    /// The next client of the walk; of those who are `wanted`, if that is said.
    fn next(&mut self, tree: &ShareTree, wanted: Option<&dyn Fn(ClientId) -> bool>) -> Option<ClientId> {
        if let Some(leaf) = self.at.take() {
            self.pass(tree, leaf);
        }
        loop {
            let node = *self.path.last()?;
            let stamp = (tree.layout(node), self.basis);
            let lineup = self.lineups[node.index()].get_or_insert_default();
            if !lineup.is_of(stamp) {
                lineup.rebuild(stamp, tree, &self.totals, node);
            }
            let first = match wanted {
                None => lineup.first(&self.totals),
                Some(wanted) => lineup.first_wanted(&self.totals, wanted),
            };
            match first {
                Some(slot) => {
                    let child = tree.children(node)[slot];
                    if let Some(client) = tree.active_client(child) {
                        self.at = Some(child);
                        return Some(client);
                    }
                    self.path.push(child);
                }
                None => {
                    self.path.pop();
                    if node != tree.root() {
                        self.pass(tree, node);
                    }
                }
            }
        }
    }
}

/// The lineup of a node's children, if it is of this moment.
#[inline]
fn current<'l>(
    lineups: &'l mut [Option<Box<Lineup>>],
    tree: &ShareTree,
    node: NodeId,
    basis: u64,
) -> Option<&'l mut Lineup> {
    lineups[node.index()].as_deref_mut().filter(|lineup| lineup.is_of((tree.layout(node), basis)))
}

impl Sorter for Drf {
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        self.start(tree, totals);
        order.extend(std::iter::from_fn(|| self.next(tree, None)));
    }

    #[inline]
    fn more(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        if order.is_empty() {
            self.start(tree, totals);
        }
        order.extend(self.next(tree, None));
    }

    fn more_of(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
        order: &mut Vec<ClientId>,
    ) {
        if order.is_empty() {
            self.start(tree, totals);
        }
        order.extend(self.next(tree, Some(wanted)));
    }

    #[inline]
    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        if self.charged.last() == Some(&client) {
            return;
        }
        // Beyond this, lining up anew is cheaper, and the list must not grow without bound.
        if self.charged.len() > tree.capacity() {
            self.charged.clear();
            self.basis += 1;
        }
        self.charged.push(client);
    }
}
