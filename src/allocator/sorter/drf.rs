//! [`Drf`]: dominant resource fairness.

use super::Sorter;
use super::tournament::{Key, Tournament};
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;

/// Dominant resource fairness over a tree, as in Mesos: the smaller dominant share first, then who
/// was given something less often, then the smaller name in byte order.
///
/// The dominant share is the largest fraction of any one resource (Ghodsi et al., NSDI'11), over
/// the weight. Siblings are sorted at every level and the tree is walked depth first. Shares are
/// compared as exact fractions; Mesos divides doubles, so that equal shares there may differ.
///
/// The order is kept, not made: siblings play a tournament, in which one that was charged plays again, in
/// O(log siblings) comparisons. Each client that is asked for costs as much. When siblings come or go, or the cluster's
/// totals change other than all alike, the siblings concerned play anew the next time they are looked at.
#[derive(Debug, Clone, Default)]
pub struct Drf {
    /// By node number: its children.
    tournaments: Vec<Tournament>,
    /// The totals that all keys are of: those of now, or others of which they are a multiple.
    totals: Totals,
    /// Goes up when the keys are to be of other totals.
    basis: u64,
    /// Whose keys may have changed since.
    charged: Vec<ClientId>,
    /// The nodes from the root to where the walk is.
    path: Vec<NodeId>,
    /// The nodes that the walk has passed, and taken out of their tournaments.
    passed: Vec<NodeId>,
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
        if self.tournaments.len() < tree.capacity() {
            self.tournaments.resize_with(tree.capacity(), Tournament::default);
        }
        for node in std::mem::take(&mut self.passed) {
            self.refresh(tree, node);
        }
        let mut charged = std::mem::take(&mut self.charged);
        for client in charged.drain(..) {
            let mut node = tree.leaf(client).unwrap_or(tree.root());
            while node != tree.root() {
                self.refresh(tree, node);
                node = tree.parent(node);
            }
        }
        self.charged = charged;
        self.path.clear();
        self.path.push(tree.root());
    }

    fn stamp(&self, tree: &ShareTree, node: NodeId) -> (u64, u64) {
        (tree.layout(node), self.basis)
    }

    /// Has a node play again among its siblings, if that tournament is not to be rebuilt anyway.
    fn refresh(&mut self, tree: &ShareTree, node: NodeId) {
        let parent = tree.parent(node);
        let stamp = self.stamp(tree, parent);
        let tournament = &mut self.tournaments[parent.index()];
        if tournament.is_of(stamp) {
            let key = tree.is_awake(node).then(|| Key::of(tree, &self.totals, node));
            tournament.set(tree.slot(node), key, &self.totals);
        }
    }

    /// The tournament of a node's children, as of this moment.
    fn tournament(&mut self, tree: &ShareTree, node: NodeId) -> &mut Tournament {
        let stamp = self.stamp(tree, node);
        let tournament = &mut self.tournaments[node.index()];
        if !tournament.is_of(stamp) {
            tournament.rebuild(stamp, tree, &self.totals, node);
        }
        tournament
    }

    fn pass(&mut self, tree: &ShareTree, node: NodeId) {
        self.tournaments[tree.parent(node).index()].set(tree.slot(node), None, &self.totals);
        self.passed.push(node);
    }

    /// The next client of the walk.
    fn next(&mut self, tree: &ShareTree) -> Option<ClientId> {
        loop {
            let node = *self.path.last()?;
            match self.tournament(tree, node).first() {
                Some(slot) => {
                    let child = tree.children(node)[slot];
                    if let Some(client) = tree.active_client(child) {
                        self.pass(tree, child);
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

    /// The key of a node among its siblings; none if it is asleep or was passed.
    fn key(&mut self, tree: &ShareTree, node: NodeId) -> Option<Key> {
        self.tournament(tree, tree.parent(node)).key(tree.slot(node)).copied()
    }

    /// Which of two leaves the walk comes to first.
    fn compare(&mut self, tree: &ShareTree, a: NodeId, b: NodeId) -> Ordering {
        let depth = |node: NodeId| std::iter::successors(Some(node), |node| above(tree, *node)).count();
        let (mut a, mut b) = (a, b);
        let (deep_a, deep_b) = (depth(a), depth(b));
        (deep_b..deep_a).for_each(|_| a = tree.parent(a));
        (deep_a..deep_b).for_each(|_| b = tree.parent(b));
        while tree.parent(a) != tree.parent(b) {
            (a, b) = (tree.parent(a), tree.parent(b));
        }
        match (self.key(tree, a), self.key(tree, b)) {
            (Some(left), Some(right)) => left.cmp(&right, &self.totals),
            (left, right) => left.is_none().cmp(&right.is_none()),
        }
    }
}

fn above(tree: &ShareTree, node: NodeId) -> Option<NodeId> {
    (node != tree.root()).then(|| tree.parent(node))
}

impl Sorter for Drf {
    fn order(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        self.start(tree, totals);
        order.extend(std::iter::from_fn(|| self.next(tree)));
    }

    fn more(&mut self, tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        if order.is_empty() {
            self.start(tree, totals);
        }
        order.extend(self.next(tree));
    }

    fn more_of(&mut self, among: &[ClientId], tree: &ShareTree, totals: &Totals, order: &mut Vec<ClientId>) {
        if order.is_empty() {
            self.start(tree, totals);
        }
        let mut ahead: Vec<(ClientId, NodeId)> = Vec::with_capacity(among.len());
        for client in among {
            let Some(leaf) = tree.leaf(*client) else { continue };
            if self.key(tree, leaf).is_some() {
                ahead.push((*client, leaf));
            }
        }
        // The first few will do most often; whoever needs more asks again, and gets twice as many.
        let few = order.len().clamp(8, ahead.len().max(8));
        if few < ahead.len() {
            ahead.select_nth_unstable_by(few, |(_, a), (_, b)| self.compare(tree, *a, *b));
            ahead.truncate(few);
        }
        ahead.sort_unstable_by(|(_, a), (_, b)| self.compare(tree, *a, *b));
        for (client, leaf) in ahead {
            self.pass(tree, leaf);
            order.push(client);
        }
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        // Beyond this, playing anew is cheaper, and the list must not grow without bound.
        if self.charged.len() > tree.capacity() {
            self.charged.clear();
            self.basis += 1;
        }
        self.charged.push(client);
    }
}
