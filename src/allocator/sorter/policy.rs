//! [`Policy`]: a sorter as a key of each node; [`Ordered`] keeps the order.

use super::Sorter;
use crate::allocator::index::{IndexVec, SlotIx};
use crate::allocator::share::{Share, Totals, Weight};
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use crate::time::Time;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

/// An order of siblings, as a key: the node with the smallest one is served first. Equal keys go by name.
///
/// [`Ordered`] makes a [`Sorter`] of it. The tree is walked depth first: all below a node come before its next sibling.
///
/// A key must be a function of what [`Node`] tells. It is computed anew when the node changes, or the totals do; so it must
/// depend on nothing else that changes.
///
/// # Examples
///
/// The one that waits longest first:
///
/// ```
/// use apportion::allocator::{Drf, Hierarchical, Node, Options, Ordered, Policy};
/// use apportion::{Config, Master, Time};
///
/// #[derive(Debug, Clone)]
/// struct LongestWaiting;
///
/// impl Policy for LongestWaiting {
///     type Key = Option<Time>;
///
///     fn key(&self, node: &Node<'_>) -> Option<Time> {
///         node.last_offer() // none comes before all times
///     }
/// }
///
/// let roles = Ordered::new(LongestWaiting);
/// let master = Master::with_allocator(Config::new(), |config| {
///     Hierarchical::new(config.options.clone(), roles, Drf::default())
/// });
/// # let _ = master;
/// ```
///
/// DRF itself: `type Key = (Share, u64)` and `(node.share(), node.count())`.
pub trait Policy: fmt::Debug + Clone + Send + Sync + 'static {
    /// The key of a node.
    type Key: Ord + Clone + fmt::Debug + Send + Sync;

    /// Returns the key of a node among its siblings.
    fn key(&self, node: &Node<'_>) -> Self::Key;
}

/// A node of the tree of roles, or a framework within a role, as a [`Policy`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    tree: &'a ShareTree,
    totals: &'a Totals,
    node: NodeId,
}

impl<'a> Node<'a> {
    /// Returns the last name on the path: that of a role, or the id of a framework.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.tree.name(self.node)
    }

    /// Returns the names on the path, joined by `/`.
    #[must_use]
    pub fn path(&self) -> String {
        let (mut names, mut node) = (Vec::new(), self.node);
        while node != self.tree.root() {
            names.push(self.tree.name(node));
            node = self.tree.parent(node);
        }
        names.reverse();
        names.join("/")
    }

    /// Returns the largest fraction of any one resource that is held at or below the node, offers included, over its weight.
    #[must_use]
    pub fn share(&self) -> Share {
        self.tree.dominant_share(self.node, self.totals)
    }

    /// Iterates over what is held at and below the node; see [`ShareTree::holdings`].
    pub fn holdings(&self) -> impl Iterator<Item = (usize, u64, u64)> + 'a {
        self.tree.holdings(self.node, self.totals)
    }

    /// Returns the weight against the siblings.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.tree.weight(self.node)
    }

    /// Returns the number of allocations at and below the node.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.tree.count(self.node)
    }

    /// Returns when anything at or below the node was last offered, if ever.
    #[must_use]
    pub fn last_offer(&self) -> Option<Time> {
        self.tree.last_offer(self.node)
    }

    /// Returns when anything at or below the node was last offered that a task was launched on, if ever: since then it waits.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Time> {
        self.tree.last_useful_offer(self.node)
    }
}

/// The sorter of a [`Policy`]: a balanced search tree of the children of each node, by key.
///
/// O(log siblings) for a client that was charged, and for each one that is asked for. When siblings come or go, or the
/// totals change, the siblings concerned are ordered anew when they are next asked for.
#[derive(Debug, Clone)]
pub struct Ordered<P: Policy> {
    policy: P,
    levels: IndexVec<NodeId, Option<Level<P::Key>>>,
    /// The version of the totals that the keys are of.
    totals: u64,
    /// A version that increases when all keys are outdated.
    basis: u64,
    /// The clients whose keys may have changed since the last start.
    charged: Vec<ClientId>,
    /// The nodes from the root to the position of the walk, each with the child that it came to last.
    path: Vec<(NodeId, Option<Entry<P::Key>>)>,
}

/// A child: its key, the rank of its name, its position.
type Entry<K> = (K, u64, SlotIx);

/// The active children of a node, in order.
#[derive(Debug, Clone)]
struct Level<K> {
    version: (u64, u64),
    entries: BTreeSet<Entry<K>>,
    /// By position, the entry of each active child.
    by_slot: IndexVec<SlotIx, Option<Entry<K>>>,
}

impl<P: Policy> Ordered<P> {
    /// Makes a sorter of a policy.
    #[must_use]
    pub fn new(policy: P) -> Self {
        let (levels, charged, path) = (IndexVec::default(), Vec::new(), Vec::new());
        Self { policy, levels, totals: 0, basis: 0, charged, path }
    }

    fn entry(&self, tree: &ShareTree, totals: &Totals, node: NodeId) -> Option<Entry<P::Key>> {
        let standing = tree.standing(node);
        let key = || self.policy.key(&Node { tree, totals, node });
        standing.is_active.then(|| (key(), standing.name_rank, tree.slot(node)))
    }

    fn start(&mut self, tree: &ShareTree, totals: &Totals) {
        if self.totals != totals.version() {
            (self.totals, self.basis) = (totals.version(), self.basis + 1);
        }
        self.levels.grow_to_len(tree.capacity(), || None);
        let mut charged = std::mem::take(&mut self.charged);
        for client in charged.drain(..) {
            let mut node = tree.leaf(client).unwrap_or_else(|| tree.root());
            while node != tree.root() {
                self.refresh(tree, totals, node);
                node = tree.parent(node);
            }
        }
        self.charged = charged;
        self.path.clear();
        self.path.push((tree.root(), None));
    }

    /// Updates the key of a node, unless its siblings are to be ordered anew anyway.
    fn refresh(&mut self, tree: &ShareTree, totals: &Totals, node: NodeId) {
        let (parent, slot) = (tree.parent(node), tree.slot(node));
        let version = (tree.layout(parent), self.basis);
        if self.levels[parent].as_ref().is_none_or(|level| level.version != version) {
            return;
        }
        let entry = self.entry(tree, totals, node);
        let Some(level) = &mut self.levels[parent] else { return };
        if level.by_slot[slot] != entry {
            if let Some(old) = std::mem::replace(&mut level.by_slot[slot], entry.clone()) {
                level.entries.remove(&old);
            }
            level.entries.extend(entry);
        }
    }

    /// Orders the children of a node anew if they have changed other than one by one.
    fn update(&mut self, tree: &ShareTree, totals: &Totals, node: NodeId) {
        let version = (tree.layout(node), self.basis);
        if self.levels[node].as_ref().is_none_or(|level| level.version != version) {
            let by_slot: IndexVec<SlotIx, Option<Entry<P::Key>>> =
                tree.children(node).iter().map(|child| self.entry(tree, totals, *child)).collect();
            let entries = by_slot.values().flatten().cloned().collect();
            self.levels[node] = Some(Level { version, entries, by_slot });
        }
    }

    /// Returns the next client of the walk that is wanted.
    fn walk_on(
        &mut self,
        tree: &ShareTree,
        totals: &Totals,
        wanted: Option<&dyn Fn(ClientId) -> bool>,
    ) -> Option<ClientId> {
        loop {
            let node = self.path.last()?.0;
            self.update(tree, totals, node);
            let (Some(level), Some((_, cursor))) = (&self.levels[node], self.path.last_mut()) else { return None };
            let after = cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let is_wanted = |entry: &&Entry<P::Key>| {
                let client = tree.active_client(tree.child_at(node, entry.2));
                client.zip(wanted).is_none_or(|(client, wanted)| wanted(client))
            };
            let Some(entry) = level.entries.range((after, Bound::Unbounded)).find(is_wanted).cloned() else {
                self.path.pop();
                continue;
            };
            let child = tree.child_at(node, entry.2);
            *cursor = Some(entry);
            match tree.active_client(child) {
                Some(client) => return Some(client),
                None => self.path.push((child, None)),
            }
        }
    }
}

impl<P: Policy> Sorter for Ordered<P> {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        self.start(tree, totals);
    }

    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId> {
        self.walk_on(tree, totals, None)
    }

    fn next_wanted(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
    ) -> Option<ClientId> {
        self.walk_on(tree, totals, Some(wanted))
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        if self.charged.last() == Some(&client) {
            return;
        }
        // Beyond this, ordering anew is cheaper, and the list must not grow without bound.
        if self.charged.len() > tree.capacity() {
            self.charged.clear();
            self.basis += 1;
        }
        self.charged.push(client);
    }

    fn keeps_times(&self) -> bool {
        true
    }
}
