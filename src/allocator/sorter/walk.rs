//! [`Walk`]: the active clients of a tree in order, depth first, with a priority queue of the children of each node.

use super::sibling_queue::{SiblingKey, SiblingQueue};
use crate::allocator::index::IndexVec;
use crate::allocator::tree::{ClientId, NodeId, ShareTree};

/// A walk over a tree whose siblings are ordered by a key each.
///
/// The order is maintained between walks: a sibling that was charged moves, in O(log siblings) comparisons at most. When
/// siblings come or go, or all keys are outdated, the siblings concerned are sorted anew when the walk next comes to them.
#[derive(Debug, Clone)]
pub(super) struct Walk<K> {
    /// The children of each node, if they were asked for.
    queues: IndexVec<NodeId, Option<Box<SiblingQueue<K>>>>,
    /// A version that increases when all keys are outdated.
    basis: u64,
    /// The clients whose keys may have changed since the last beginning.
    charged: Vec<ClientId>,
    /// The nodes from the root to the position of the walk.
    path: Vec<NodeId>,
    /// The nodes that the walk has popped from their queues.
    popped: Vec<NodeId>,
    /// The leaf that the walk returned last; it is popped when the walk goes on.
    current: Option<NodeId>,
}

impl<K> Default for Walk<K> {
    fn default() -> Self {
        Self {
            queues: IndexVec::default(),
            basis: 0,
            charged: Vec::new(),
            path: Vec::new(),
            popped: Vec::new(),
            current: None,
        }
    }
}

impl<K: SiblingKey> Walk<K> {
    /// Has all keys computed anew.
    pub(super) fn outdate_keys(&mut self) {
        self.basis += 1;
    }

    /// Notes that the key of a client, and those of its ancestors, may have changed.
    #[inline]
    pub(super) fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        if self.charged.last() == Some(&client) {
            return;
        }
        // Beyond this, sorting anew is cheaper, and the list must not grow without bound.
        if self.charged.len() > tree.capacity() {
            self.charged.clear();
            self.outdate_keys();
        }
        self.charged.push(client);
    }

    /// Begins a walk: pushes back what the last walk has popped, and updates the keys of the clients that were charged.
    /// What is charged from here on counts from the next beginning.
    #[inline]
    pub(super) fn begin(&mut self, tree: &ShareTree, key: impl Fn(NodeId) -> K, context: &K::Context) {
        self.queues.grow_to_len(tree.capacity(), || None);
        while let Some(node) = self.popped.pop() {
            self.push_back(tree, node, context);
        }
        let mut charged = std::mem::take(&mut self.charged);
        for client in charged.drain(..) {
            let mut node = tree.leaf(client).unwrap_or_else(|| tree.root());
            while node != tree.root() {
                // Unless its siblings are to be sorted anew anyway.
                if let Some(queue) = up_to_date(&mut self.queues, tree, tree.parent(node), self.basis) {
                    queue.set_key(tree.slot(node), key(node), context);
                }
                node = tree.parent(node);
            }
        }
        self.charged = charged;
        self.current = None;
        self.path.clear();
        self.path.push(tree.root());
    }

    /// Pushes a node back that was popped, unless its siblings are to be sorted anew anyway.
    fn push_back(&mut self, tree: &ShareTree, node: NodeId, context: &K::Context) {
        if let Some(queue) = up_to_date(&mut self.queues, tree, tree.parent(node), self.basis) {
            queue.push_back(tree.slot(node), context);
        }
    }

    fn pop(&mut self, tree: &ShareTree, node: NodeId, context: &K::Context) {
        if let Some(queue) = &mut self.queues[tree.parent(node)] {
            queue.pop(tree.slot(node), context);
            self.popped.push(node);
        }
    }

    /// Returns the next client of the walk that is wanted, or the next one of all.
    #[inline]
    pub(super) fn next(
        &mut self,
        tree: &ShareTree,
        key: impl Fn(NodeId) -> K,
        context: &K::Context,
        wanted: Option<&dyn Fn(ClientId) -> bool>,
    ) -> Option<ClientId> {
        if let Some(leaf) = self.current.take() {
            self.pop(tree, leaf, context);
        }
        loop {
            let node = *self.path.last()?;
            let version = (tree.layout(node), self.basis);
            let queue = self.queues[node].get_or_insert_default();
            if !queue.is_of(version) {
                queue.rebuild(version, tree, node, &key, context);
            }
            let first = match wanted {
                None => queue.first(context),
                Some(wanted) => queue.first_wanted(context, wanted),
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
                        self.pop(tree, node, context);
                    }
                }
            }
        }
    }
}

/// Returns the queue of a node's children if it is up to date.
#[inline]
fn up_to_date<'q, K: SiblingKey>(
    queues: &'q mut IndexVec<NodeId, Option<Box<SiblingQueue<K>>>>,
    tree: &ShareTree,
    node: NodeId,
    basis: u64,
) -> Option<&'q mut SiblingQueue<K>> {
    queues[node].as_deref_mut().filter(|queue| queue.is_of((tree.layout(node), basis)))
}
