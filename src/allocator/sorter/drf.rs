//! [`Drf`]: dominant resource fairness.

use super::Sorter;
use super::sibling_queue::{Key, SiblingQueue};
use crate::allocator::index::IndexVec;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, NodeId, ShareTree};

/// Dominant resource fairness over a tree, as in Mesos: the smaller dominant share first, then the
/// smaller number of allocations, then the smaller name in byte order.
///
/// The dominant share is the largest fraction of any one resource (Ghodsi et al., NSDI'11), over
/// the weight. What is offered counts as much as what tasks hold, for as long as the offer is live. Siblings are sorted at every level and the tree is walked depth first. Shares are
/// compared as exact fractions; Mesos divides doubles, so that equal shares there may differ.
///
/// The order is maintained incrementally: a sibling that was charged moves, in O(log siblings) comparisons at most, and in
/// one if it goes behind all others. Each client that is asked for costs as much. When siblings come or go, or the cluster's
/// totals change other than all alike, the siblings concerned are sorted anew when they are next asked for. So a sorter
/// that wraps this one, for one tree, has to forward [`Sorter::charged`] too.
#[derive(Debug, Clone, Default)]
pub struct Drf {
    /// The children of each node, if they were asked for.
    queues: IndexVec<NodeId, Option<Box<SiblingQueue>>>,
    /// The totals that all keys are relative to: the current ones, or others that these are a multiple of.
    totals: Totals,
    /// A version that increases when the keys are to be relative to other totals.
    basis: u64,
    /// The clients whose keys may have changed since the last start.
    charged: Vec<ClientId>,
    /// The nodes from the root to the position of the walk.
    path: Vec<NodeId>,
    /// The nodes that the walk has popped from their queues.
    popped: Vec<NodeId>,
    /// The leaf that the walk returned last; it is popped when the walk goes on.
    current: Option<NodeId>,
}

impl Drf {
    /// Begins a walk: pushes back what the last walk has popped, and updates the keys of the clients that were charged.
    /// What is charged from here on counts from the next start.
    fn start(&mut self, tree: &ShareTree, totals: &Totals) {
        if self.totals.version() != totals.version() {
            if !self.totals.is_multiple_of(totals) {
                self.basis += 1;
                self.totals = totals.clone();
            }
            self.totals.take_version_of(totals);
        }
        self.queues.grow_to_len(tree.capacity(), || None);
        while let Some(node) = self.popped.pop() {
            self.push_back(tree, node);
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
        self.current = None;
        self.path.clear();
        self.path.push(tree.root());
    }

    /// Updates the key of a node, unless its siblings are to be sorted anew anyway.
    #[inline]
    fn refresh(&mut self, tree: &ShareTree, node: NodeId) {
        if let Some(queue) = up_to_date(&mut self.queues, tree, tree.parent(node), self.basis) {
            queue.set_key(tree.slot(node), Key::of(tree.standing(node), &self.totals), &self.totals);
        }
    }

    /// Pushes a node back that was popped, unless its siblings are to be sorted anew anyway.
    fn push_back(&mut self, tree: &ShareTree, node: NodeId) {
        if let Some(queue) = up_to_date(&mut self.queues, tree, tree.parent(node), self.basis) {
            queue.push_back(tree.slot(node), &self.totals);
        }
    }

    fn pop(&mut self, tree: &ShareTree, node: NodeId) {
        if let Some(queue) = &mut self.queues[tree.parent(node)] {
            queue.pop(tree.slot(node), &self.totals);
            self.popped.push(node);
        }
    }

    /// Returns the next client of the walk that is wanted.
    fn walk_on(&mut self, tree: &ShareTree, wanted: Option<&dyn Fn(ClientId) -> bool>) -> Option<ClientId> {
        if let Some(leaf) = self.current.take() {
            self.pop(tree, leaf);
        }
        loop {
            let node = *self.path.last()?;
            let version = (tree.layout(node), self.basis);
            let queue = self.queues[node].get_or_insert_default();
            if !queue.is_of(version) {
                queue.rebuild(version, tree, &self.totals, node);
            }
            let first = match wanted {
                None => queue.first(&self.totals),
                Some(wanted) => queue.first_wanted(&self.totals, wanted),
            };
            match first {
                Some(slot) => {
                    let child = tree.child_at(node, slot);
                    if let Some(client) = tree.active_client(child) {
                        self.current = Some(child);
                        return Some(client);
                    }
                    self.path.push(child);
                }
                None => {
                    self.path.pop();
                    if node != tree.root() {
                        self.pop(tree, node);
                    }
                }
            }
        }
    }
}

/// Returns the queue of a node's children if it is up to date.
#[inline]
fn up_to_date<'q>(
    queues: &'q mut IndexVec<NodeId, Option<Box<SiblingQueue>>>,
    tree: &ShareTree,
    node: NodeId,
    basis: u64,
) -> Option<&'q mut SiblingQueue> {
    queues[node].as_deref_mut().filter(|queue| queue.is_of((tree.layout(node), basis)))
}

impl Sorter for Drf {
    #[inline]
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        self.start(tree, totals);
    }

    #[inline]
    fn next(&mut self, tree: &ShareTree, _: &Totals) -> Option<ClientId> {
        self.walk_on(tree, None)
    }

    fn next_wanted(&mut self, wanted: &dyn Fn(ClientId) -> bool, tree: &ShareTree, _: &Totals) -> Option<ClientId> {
        self.walk_on(tree, Some(wanted))
    }

    #[inline]
    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        if self.charged.last() == Some(&client) {
            return;
        }
        // Beyond this, sorting anew is cheaper, and the list must not grow without bound.
        if self.charged.len() > tree.capacity() {
            self.charged.clear();
            self.basis += 1;
        }
        self.charged.push(client);
    }
}
