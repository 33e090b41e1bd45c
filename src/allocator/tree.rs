//! [`ShareTree`]: a tree of clients and the amounts that each node holds.
//!
//! The roles of a cluster form one such tree, the frameworks within a role a flat one. It follows
//! Mesos' sorters (`sorter/drf/sorter.cpp`): an inner node holds the sum of its children; a role that
//! has both frameworks and child roles has a *virtual leaf* among its children, called `.` and of
//! weight 1, for what its own frameworks hold.

mod saved;

use super::amounts::Amounts;
use super::index::{DenseIndex, IndexVec, Slab, SlotIx, dense_index};
use super::resource_names::Weighed;
use super::share::{Share, Totals, Weight};
use crate::resources::Resource;
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The dense index of a leaf of a [`ShareTree`]: it stays the same until the client is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u32);

impl ClientId {
    /// The index as a number. The index of a removed client is reused.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The dense index of a node of a [`ShareTree`]: the root, an inner node or a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The index as a number. The index of a removed node is reused.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

dense_index!(ClientId);
dense_index!(NodeId);

const ROOT: NodeId = NodeId(0);
/// The name of a virtual leaf.
const VIRTUAL: &str = ".";

/// A tree whose leaves are clients and whose nodes know the amounts held at and below them.
#[derive(Debug, Clone)]
pub struct ShareTree {
    nodes: IndexVec<NodeId, Node>,
    free: Vec<NodeId>,
    by_name: BTreeMap<(NodeId, Text), NodeId>,
    /// The leaf of each client.
    clients: Slab<ClientId, NodeId>,
    shape: u64,
    /// If the root has a single child and that is a leaf: its client, and whether it is active.
    only: Option<(ClientId, bool)>,
}

#[derive(Debug, Clone)]
struct Node {
    name: Text,
    parent: NodeId,
    children: Vec<NodeId>,
    /// Its position in its parent's `children`.
    slot: SlotIx,
    /// Orders siblings as their names do, without comparing strings.
    name_rank: u64,
    weight: Weight,
    held: Amounts,
    /// The copies of each shared resource, by agent; the resource weighs once. Most nodes hold none.
    shared: Option<Box<Shared>>,
    /// The number of allocations.
    count: u64,
    /// The order of its coming.
    arrival: u64,
    /// Kept if the sorter asks for them.
    times: Option<Box<Times>>,
    client: Option<ClientId>,
    active: bool,
    /// The number of active clients at or below it.
    active_descendants: u32,
    /// The tree's shape when a child last came or went, changed its weight, or became or ceased to be a leaf.
    layout: u64,
}

/// The times of a node's last offers.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offer: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    useful_offer: Option<Time>,
}

/// All that DRF orders siblings by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) held: &'a Amounts,
    pub(super) weight: Weight,
    /// The number of allocations.
    pub(super) count: u64,
    /// Orders siblings as their names do.
    pub(super) name_rank: u64,
    /// Whether there is an active client at or below it.
    pub(super) is_active: bool,
}

/// By agent (its order of registration) and resource name: each shared resource, and its number of copies.
type Shared = IndexMap<(u64, Text), Vec<(Resource, u64)>>;

impl Node {
    fn new(name: &str, parent: NodeId, weight: Weight, arrival: u64) -> Self {
        Self {
            name: name.into(),
            parent,
            children: Vec::new(),
            slot: SlotIx::new(0),
            name_rank: 0,
            weight,
            held: Amounts::default(),
            shared: None,
            count: 0,
            arrival,
            times: None,
            client: None,
            active: false,
            active_descendants: 0,
            layout: 0,
        }
    }

    #[inline]
    fn charge(&mut self, agent: u64, weighed: &Weighed) {
        self.held.add(&weighed.unshared);
        if !weighed.shared.is_empty() {
            self.charge_shared(agent, weighed);
        }
    }

    fn charge_shared(&mut self, agent: u64, weighed: &Weighed) {
        for (resource, weight) in &weighed.shared {
            let shared = self.shared.get_or_insert_default();
            let copies = shared.entry((agent, resource.name().into())).or_default();
            match copies.iter_mut().find(|(known, _)| known.same_shared(resource)) {
                Some((_, held)) => *held += resource.copies(),
                None => {
                    copies.push((resource.clone(), resource.copies()));
                    self.held.add(weight);
                }
            }
        }
    }

    #[inline]
    fn release(&mut self, agent: u64, weighed: &Weighed) {
        self.held.sub(&weighed.unshared);
        if !weighed.shared.is_empty() {
            self.release_shared(agent, weighed);
        }
    }

    fn release_shared(&mut self, agent: u64, weighed: &Weighed) {
        for (resource, weight) in &weighed.shared {
            let key = (agent, Text::new(resource.name()));
            let Some(shared) = &mut self.shared else { return };
            let Some(copies) = shared.get_mut(&key) else { continue };
            let Some(place) = copies.iter().position(|(known, _)| known.same_shared(resource)) else { continue };
            copies[place].1 = copies[place].1.saturating_sub(resource.copies());
            if copies[place].1 == 0 {
                copies.swap_remove(place);
                self.held.sub(weight);
            }
            if copies.is_empty() {
                shared.swap_remove(&key);
            }
        }
    }
}

impl Default for ShareTree {
    fn default() -> Self {
        Self {
            nodes: IndexVec::from_iter([Node::new("", ROOT, Weight::ONE, 0)]),
            free: Vec::new(),
            by_name: BTreeMap::new(),
            clients: Slab::default(),
            shape: 0,
            only: None,
        }
    }
}

impl ShareTree {
    /// Returns the root.
    #[must_use]
    pub fn root(&self) -> NodeId {
        ROOT
    }

    /// Returns the children of `node`, in no particular order.
    #[must_use]
    #[inline]
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.node(node).children
    }

    /// Returns the parent of `node`; that of the root is the root.
    #[must_use]
    #[inline]
    pub fn parent(&self, node: NodeId) -> NodeId {
        self.node(node).parent
    }

    /// Returns the client at `node`, if it is a leaf and active: only active clients are offered anything.
    #[must_use]
    #[inline]
    pub fn active_client(&self, node: NodeId) -> Option<ClientId> {
        let node = self.node(node);
        node.client.filter(|_| node.active)
    }

    /// Iterates over all active clients, from the lowest index.
    pub fn active_clients(&self) -> impl Iterator<Item = ClientId> {
        self.clients.iter().filter_map(|(_, leaf)| self.active_client(*leaf))
    }

    /// Returns the leaf of a client, or none if the client was removed.
    #[must_use]
    #[inline]
    pub fn leaf(&self, client: ClientId) -> Option<NodeId> {
        self.clients.get(client).copied()
    }

    /// Returns the last name on the path to `node`. It breaks ties among siblings of equal share and count.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        &self.node(node).name
    }

    /// Returns the weight of `node` against its siblings.
    #[must_use]
    pub fn weight(&self, node: NodeId) -> Weight {
        self.node(node).weight
    }

    /// Returns the number of allocations to the clients at or below `node`.
    #[must_use]
    pub fn count(&self, node: NodeId) -> u64 {
        self.node(node).count
    }

    /// Returns the order in which `node` came to be in the tree: a smaller number for one that came earlier. It comes with the
    /// first client at or below it, and keeps its number until the last one has gone.
    #[must_use]
    pub fn arrival(&self, node: NodeId) -> u64 {
        self.node(node).arrival
    }

    /// Returns when anything at or below `node` was last offered; none if never, or if no [`Sorter`](super::Sorter) keeps times.
    #[must_use]
    pub fn last_offer(&self, node: NodeId) -> Option<Time> {
        self.node(node).times.as_ref()?.offer
    }

    /// Returns when anything at or below `node` was last offered that a task was launched on.
    #[must_use]
    pub fn last_useful_offer(&self, node: NodeId) -> Option<Time> {
        self.node(node).times.as_ref()?.useful_offer
    }

    /// Returns the largest fraction of any one resource that is held at or below `node`, over its weight.
    #[must_use]
    pub fn dominant_share(&self, node: NodeId, totals: &Totals) -> Share {
        let node = self.node(node);
        Share::dominant(&node.held, totals, node.weight)
    }

    /// Iterates over the holdings at and below `node`: the dense index of each resource's name, the amount
    /// held, and the total of the cluster, both in thousandths. Resources that count for no share are left out.
    pub fn holdings<'a>(&'a self, node: NodeId, totals: &'a Totals) -> impl Iterator<Item = (usize, u64, u64)> + 'a {
        let held = self.node(node).held.iter().map(|(name, held)| (name.position(), held, totals.fair(name)));
        held.filter(|(_, _, total)| *total > 0)
    }

    /// Returns a version that increases whenever a node is added, removed, (de)activated or changes its weight.
    #[must_use]
    pub fn shape(&self) -> u64 {
        self.shape
    }

    /// Returns the shape when a child of `node` last came or went, changed its weight, or became or ceased to be a leaf.
    pub(super) fn layout(&self, node: NodeId) -> u64 {
        self.node(node).layout
    }

    /// Returns the position of `node` among its parent's children.
    #[inline]
    pub(super) fn slot(&self, node: NodeId) -> SlotIx {
        self.node(node).slot
    }

    /// Returns the child of `node` at a position.
    #[inline]
    pub(super) fn child_at(&self, node: NodeId, slot: SlotIx) -> NodeId {
        self.node(node).children[slot.position()]
    }

    /// Returns all that DRF orders `node` by among its siblings.
    #[inline]
    pub(super) fn standing(&self, node: NodeId) -> Standing<'_> {
        let Node { held, weight, count, name_rank, active_descendants, .. } = self.node(node);
        Standing { held, weight: *weight, count: *count, name_rank: *name_rank, is_active: *active_descendants > 0 }
    }

    /// Returns the client at `node`, if it is a leaf.
    pub(super) fn client(&self, node: NodeId) -> Option<ClientId> {
        self.node(node).client
    }

    /// Returns the client of a tree that has a single one right below the root, and whether it is active.
    pub(super) fn only_client(&self) -> Option<(ClientId, bool)> {
        self.only
    }

    /// Returns the number of node indices, in use or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node]
    }

    pub(super) fn held(&self, node: NodeId) -> &Amounts {
        &self.node(node).held
    }

    /// Adds a client at the end of a path of names; `weight` returns that of each node that is created, by depth. `arrival` is
    /// the order of its coming.
    pub(super) fn add<'p>(
        &mut self,
        path: impl Iterator<Item = &'p str>,
        arrival: u64,
        mut weight: impl FnMut(usize) -> Weight,
    ) -> ClientId {
        let mut node = ROOT;
        for (depth, name) in path.enumerate() {
            if self.node(node).client.is_some() {
                self.split(node);
            }
            node = self.child(node, name).unwrap_or_else(|| self.attach(node, name, weight(depth), arrival));
        }
        if !self.node(node).children.is_empty() {
            node = self.attach(node, VIRTUAL, Weight::ONE, arrival);
        }
        let client = self.clients.insert(node);
        self.node_mut(node).client = Some(client);
        self.shape_changed();
        client
    }

    /// Removes a client that holds nothing any more; its ancestors keep its number of allocations.
    pub(super) fn remove(&mut self, client: ClientId) {
        self.set_active(client, false);
        let Some(leaf) = self.clients.remove(client) else { return };
        // A sorter that noted a change of this client cannot reach the client's ancestors through it any more.
        let mut above = leaf;
        while above != ROOT {
            above = self.parent(above);
            self.changed_below(above);
        }
        let mut node = self.detach(leaf);
        while node != ROOT {
            match *self.node(node).children.as_slice() {
                [] => node = self.detach(node),
                [only] if self.node(only).name == VIRTUAL => {
                    let own = self.node(only).client.expect("a virtual leaf stands for a client");
                    self.node_mut(node).active = self.node(only).active;
                    self.detach(only);
                    self.move_client(own, node);
                    break;
                }
                _ => break,
            }
        }
        self.shape_changed();
    }

    fn shape_changed(&mut self) {
        self.shape += 1;
        self.only = match *self.node(ROOT).children.as_slice() {
            [only] => self.node(only).client.map(|client| (client, self.node(only).active)),
            _ => None,
        };
    }

    /// Returns the node at the end of a path of names.
    pub(super) fn find<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> Option<NodeId> {
        path.try_fold(ROOT, |node, name| self.child(node, name))
    }

    pub(super) fn set_weight(&mut self, node: NodeId, weight: Weight) {
        self.node_mut(node).weight = weight;
        self.changed_below(self.parent(node));
    }

    /// Notes that a node's children came, went or changed in a way that a sorter cannot follow one by one.
    fn changed_below(&mut self, node: NodeId) {
        self.shape += 1;
        self.node_mut(node).layout = self.shape;
    }

    pub(super) fn set_active(&mut self, client: ClientId, active: bool) {
        if let Some(leaf) = self.leaf(client)
            && self.node(leaf).active != active
        {
            self.node_mut(leaf).active = active;
            self.up(client, |node| if active { node.active_descendants += 1 } else { node.active_descendants -= 1 });
            self.shape_changed();
        }
    }

    /// Subtracts from the number of allocations of a client and its ancestors.
    pub(super) fn uncount(&mut self, client: ClientId, allocations: u64) {
        self.up(client, |node| node.count -= allocations);
    }

    /// Adds to the holdings and the number of allocations of a client and its ancestors. `agent` is its order of
    /// registration.
    #[inline]
    pub(super) fn charge(&mut self, client: ClientId, agent: u64, weighed: &Weighed, allocations: u64) {
        self.up(client, |node| {
            node.count += allocations;
            node.charge(agent, weighed);
        });
    }

    /// Notes when a client was offered something, or something that a task was launched on.
    pub(super) fn note_offer(&mut self, client: ClientId, at: Time, is_useful: bool) {
        self.up(client, |node| {
            let times = node.times.get_or_insert_default();
            let time = if is_useful { &mut times.useful_offer } else { &mut times.offer };
            *time = (*time).max(Some(at));
        });
    }

    /// Subtracts from the holdings of a client and its ancestors.
    #[inline]
    pub(super) fn release(&mut self, client: ClientId, agent: u64, weighed: &Weighed) {
        self.up(client, |node| node.release(agent, weighed));
    }

    /// Changes the leaf of a client and all its ancestors except the root.
    #[inline]
    fn up(&mut self, client: ClientId, mut change: impl FnMut(&mut Node)) {
        let mut node = self.leaf(client).unwrap_or(ROOT);
        while node != ROOT {
            change(self.node_mut(node));
            node = self.parent(node);
        }
    }

    fn child(&self, node: NodeId, name: &str) -> Option<NodeId> {
        self.by_name.get(&(node, Text::new(name))).copied()
    }

    fn attach(&mut self, parent: NodeId, name: &str, weight: Weight, arrival: u64) -> NodeId {
        let mut fresh = Node::new(name, parent, weight, arrival);
        fresh.slot = SlotIx::new(self.node(parent).children.len());
        let node = match self.free.pop() {
            Some(node) => {
                *self.node_mut(node) = fresh;
                node
            }
            None => self.nodes.push(fresh),
        };
        self.node_mut(parent).children.push(node);
        self.by_name.insert((parent, name.into()), node);
        self.assign_name_rank(node);
        self.changed_below(node);
        self.changed_below(parent);
        node
    }

    /// Assigns a new node a rank between those of its neighbours by name; if none is free, all siblings new ones.
    fn assign_name_rank(&mut self, node: NodeId) {
        let (parent, name) = (self.parent(node), self.node(node).name.clone());
        let key = (parent, name);
        let sibling = |found: Option<(&(NodeId, Text), &NodeId)>| {
            found.filter(|((of, _), _)| *of == parent).map(|(_, sibling)| self.node(*sibling).name_rank)
        };
        let before = sibling(self.by_name.range(..&key).next_back()).unwrap_or(0);
        let after = sibling(self.by_name.range((Bound::Excluded(&key), Bound::Unbounded)).next()).unwrap_or(u64::MAX);
        let rank = before + (after - before) / 2;
        if rank > before {
            self.node_mut(node).name_rank = rank;
            return;
        }
        let from_first = self.by_name.range((parent, Text::default())..);
        let siblings: Vec<NodeId> =
            from_first.take_while(|((of, _), _)| *of == parent).map(|(_, node)| *node).collect();
        let step = u64::MAX / (siblings.len() as u64 + 1);
        for (position, sibling) in siblings.into_iter().enumerate() {
            self.node_mut(sibling).name_rank = step * (position as u64 + 1);
        }
    }

    /// Removes a childless node and returns its parent.
    fn detach(&mut self, node: NodeId) -> NodeId {
        let (parent, slot, name) = (self.parent(node), self.slot(node), self.node(node).name.clone());
        let siblings = &mut self.node_mut(parent).children;
        siblings.swap_remove(slot.position());
        if let Some(&moved) = siblings.get(slot.position()) {
            self.node_mut(moved).slot = slot;
        }
        self.by_name.remove(&(parent, name));
        self.free.push(node);
        self.changed_below(parent);
        parent
    }

    /// Makes an inner node of a leaf: its client moves into a virtual leaf, which takes over holdings and count.
    fn split(&mut self, node: NodeId) {
        let own = self.attach(node, VIRTUAL, Weight::ONE, self.arrival(node));
        let (client, active) = (self.node(node).client, self.node(node).active);
        let (held, shared, count, times, active_descendants) = {
            let node = self.node(node);
            (node.held.clone(), node.shared.clone(), node.count, node.times.clone(), node.active_descendants)
        };
        let leaf = self.node_mut(own);
        (leaf.held, leaf.shared, leaf.count, leaf.times) = (held, shared, count, times);
        (leaf.active, leaf.active_descendants) = (active, active_descendants);
        self.node_mut(node).client = None;
        self.changed_below(self.parent(node));
        self.move_client(client.expect("only a client's leaf is split"), own);
    }

    fn move_client(&mut self, client: ClientId, node: NodeId) {
        self.clients[client] = node;
        self.node_mut(node).client = Some(client);
    }
}
