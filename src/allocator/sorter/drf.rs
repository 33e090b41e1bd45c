//! [`Drf`]: dominant resource fairness.

use super::Sorter;
use crate::allocator::share::{Share, Totals};
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;

/// Dominant resource fairness over a tree, as in Mesos: the smaller dominant share first, then who
/// was given something less often, then the smaller name in byte order.
///
/// The dominant share is the largest fraction of any one resource (Ghodsi et al., NSDI'11), over
/// the weight. Siblings are sorted at every level and the tree is walked depth first. Shares are
/// compared as exact fractions; Mesos divides doubles, so that equal shares there may differ.
///
/// The order is kept: of a node that was charged only the place among its siblings is found anew,
/// in O(log siblings) comparisons. Writing the order out is O(clients).
#[derive(Debug, Clone, Default)]
pub struct Drf {
    /// By node number: its key when it was last put in its place.
    keys: Vec<Key>,
    /// By node number: its children in order.
    sorted: Vec<Vec<NodeId>>,
    charged: Vec<ClientId>,
    /// The tree's shape and the totals' version that the order is of; none at first.
    of: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Key {
    share: Share,
    count: u64,
}

impl Key {
    const LEAST: Self = Self { share: Share::ZERO, count: 0 };

    fn of(tree: &ShareTree, totals: &Totals, node: NodeId) -> Self {
        Self { share: tree.dominant_share(node, totals), count: tree.count(node) }
    }
}

impl Drf {
    fn compare(&self, tree: &ShareTree, a: NodeId, b: NodeId) -> Ordering {
        let (left, right) = (&self.keys[a.index()], &self.keys[b.index()]);
        left.share.cmp(&right.share).then(left.count.cmp(&right.count)).then_with(|| tree.name(a).cmp(tree.name(b)))
    }

    fn sort_all(&mut self, tree: &ShareTree, totals: &Totals) {
        self.keys.resize(tree.capacity(), Key::LEAST);
        self.sorted.resize_with(tree.capacity(), Vec::new);
        let mut nodes = vec![tree.root()];
        for next in 0.. {
            let Some(&node) = nodes.get(next) else { break };
            self.keys[node.index()] = Key::of(tree, totals, node);
            nodes.extend_from_slice(tree.children(node));
        }
        for node in nodes {
            let mut children = std::mem::take(&mut self.sorted[node.index()]);
            children.clear();
            children.extend_from_slice(tree.children(node));
            children.sort_by(|a, b| self.compare(tree, *a, *b));
            self.sorted[node.index()] = children;
        }
    }

    /// Finds the place of a client and its ancestors among their siblings anew.
    fn move_up(&mut self, tree: &ShareTree, totals: &Totals, client: ClientId) {
        let Some(mut node) = tree.leaf(client) else { return };
        while node != tree.root() {
            let key = Key::of(tree, totals, node);
            let parent = tree.parent(node);
            if key != self.keys[node.index()] {
                let mut siblings = std::mem::take(&mut self.sorted[parent.index()]);
                let old = siblings.binary_search_by(|sibling| self.compare(tree, *sibling, node));
                siblings.remove(old.expect("siblings stand in the order of their keys"));
                self.keys[node.index()] = key;
                let new = siblings.partition_point(|sibling| self.compare(tree, *sibling, node).is_lt());
                siblings.insert(new, node);
                self.sorted[parent.index()] = siblings;
            }
            node = parent;
        }
    }
}

impl Sorter for Drf {
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        let mut charged = std::mem::take(&mut self.charged);
        let now = Some((tree.shape(), totals.version()));
        if self.of == now {
            charged.iter().for_each(|client| self.move_up(tree, totals, *client));
        } else {
            self.sort_all(tree, totals);
            self.of = now;
        }
        charged.clear();
        self.charged = charged;

        let mut ahead = vec![tree.root()];
        while let Some(node) = ahead.pop() {
            order.extend(tree.active_client(node));
            ahead.extend(self.sorted[node.index()].iter().rev());
        }
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        // Beyond this, sorting all is cheaper, and the list must not grow without bound.
        if self.charged.len() <= tree.capacity() {
            self.charged.push(client);
        } else {
            self.of = None;
        }
    }
}
