//! [`ShareTree`]: who holds how much, up the path.
//!
//! The roles of a cluster form one such tree, the frameworks within a role a flat one. It follows
//! Mesos' sorters (`sorter/drf/sorter.cpp`): an inner node holds what is below it; a role that has
//! both frameworks and child roles has a *virtual leaf* among its children, called `.` and of
//! weight 1, for what its own frameworks hold.

use super::amounts::Amounts;
use super::resource_names::Weighed;
use super::share::{Share, Totals, Weight};
use crate::resources::Resource;
use indexmap::IndexMap;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A leaf of a [`ShareTree`], by the number that it keeps for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u32);

impl ClientId {
    /// The number, dense: a removed client's is used again.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place in a [`ShareTree`]: the root, an inner node or a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The number, dense: a removed node's is used again.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

const ROOT: NodeId = NodeId(0);
const VIRTUAL: &str = ".";

/// Who holds how much of the cluster, as a tree of clients.
#[derive(Debug, Clone)]
pub struct ShareTree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    by_name: BTreeMap<(NodeId, SmolStr), NodeId>,
    clients: Vec<Option<NodeId>>,
    free_clients: Vec<ClientId>,
    shape: u64,
    /// The only client, if there is just one right below the root, and whether it may be served now.
    only: Option<(ClientId, bool)>,
}

#[derive(Debug, Clone)]
struct Node {
    name: SmolStr,
    parent: NodeId,
    children: Vec<NodeId>,
    /// Its place in its parent's `children`.
    slot: u32,
    /// Larger than that of a sibling just when its name is.
    rank: u64,
    weight: Weight,
    held: Amounts,
    /// How often each shared resource is held, by agent; it weighs once. Most hold none.
    shared: Option<Box<Shared>>,
    count: u64,
    client: Option<ClientId>,
    active: bool,
    /// How many active clients there are at or below it.
    awake: u32,
    /// The tree's shape when a child last came or went, changed its weight, or became or ceased to be a leaf.
    layout: u64,
}

/// How a node stands among its siblings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) held: &'a Amounts,
    pub(super) weight: Weight,
    pub(super) count: u64,
    /// Larger than that of a sibling just when its name is.
    pub(super) rank: u64,
    /// Whether there is an active client at or below it.
    pub(super) is_awake: bool,
}

type Shared = IndexMap<(u64, SmolStr), Vec<(Resource, u64)>>;

impl Node {
    fn new(name: &str, parent: NodeId, weight: Weight) -> Self {
        Self {
            name: name.into(),
            parent,
            children: Vec::new(),
            slot: 0,
            rank: 0,
            weight,
            held: Amounts::default(),
            shared: None,
            count: 0,
            client: None,
            active: false,
            awake: 0,
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
            let key = (agent, SmolStr::new(resource.name()));
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
            nodes: vec![Node::new("", ROOT, Weight::ONE)],
            free: Vec::new(),
            by_name: BTreeMap::new(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            shape: 0,
            only: None,
        }
    }
}

impl ShareTree {
    /// The node above all others.
    #[must_use]
    pub fn root(&self) -> NodeId {
        ROOT
    }

    /// The nodes right below `node`, in no particular order.
    #[must_use]
    #[inline]
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.node(node).children
    }

    /// The node right above; of the root, the root.
    #[must_use]
    #[inline]
    pub fn parent(&self, node: NodeId) -> NodeId {
        self.node(node).parent
    }

    /// The client at `node`, if it is a leaf that may be served now.
    #[must_use]
    #[inline]
    pub fn active_client(&self, node: NodeId) -> Option<ClientId> {
        let node = self.node(node);
        node.client.filter(|_| node.active)
    }

    /// All clients that may be served now, by their number.
    pub fn active_clients(&self) -> impl Iterator<Item = ClientId> {
        self.clients.iter().flatten().filter_map(|leaf| self.active_client(*leaf))
    }

    /// The leaf of a client; none if there is no such client any more.
    #[must_use]
    #[inline]
    pub fn leaf(&self, client: ClientId) -> Option<NodeId> {
        self.clients.get(client.index()).copied().flatten()
    }

    /// The last name on the path to `node`; siblings of equal share and count go by it.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        &self.node(node).name
    }

    /// How much `node` counts against its siblings.
    #[must_use]
    pub fn weight(&self, node: NodeId) -> Weight {
        self.node(node).weight
    }

    /// How often something was given to `node` or below it.
    #[must_use]
    pub fn count(&self, node: NodeId) -> u64 {
        self.node(node).count
    }

    /// The largest fraction of any one resource that `node` and all below it hold, over its weight.
    #[must_use]
    pub fn dominant_share(&self, node: NodeId, totals: &Totals) -> Share {
        let node = self.node(node);
        Share::dominant(&node.held, totals, node.weight)
    }

    /// What `node` and all below it hold: of each resource a number for its name, what is held and
    /// what the cluster has of it, in thousandths. What counts for no share is left out.
    pub fn holdings<'a>(&'a self, node: NodeId, totals: &'a Totals) -> impl Iterator<Item = (usize, u64, u64)> + 'a {
        let held = self.node(node).held.iter().map(|(ix, held)| (ix, held, totals.fair(ix)));
        held.filter(|(_, _, total)| *total > 0)
    }

    /// Goes up whenever a node comes, goes, wakes, sleeps or changes its weight.
    #[must_use]
    pub fn shape(&self) -> u64 {
        self.shape
    }

    /// The shape when a child of `node` last came or went, changed its weight, or became or ceased to be a leaf.
    pub(super) fn layout(&self, node: NodeId) -> u64 {
        self.node(node).layout
    }

    /// The place of `node` in its parent's children.
    #[inline]
    pub(super) fn slot(&self, node: NodeId) -> usize {
        self.node(node).slot as usize
    }

    /// All that decides on the place of `node` among its siblings.
    #[inline]
    pub(super) fn standing(&self, node: NodeId) -> Standing<'_> {
        let Node { held, weight, count, rank, awake, .. } = self.node(node);
        Standing { held, weight: *weight, count: *count, rank: *rank, is_awake: *awake > 0 }
    }

    /// The client at `node`, if it is a leaf.
    pub(super) fn client(&self, node: NodeId) -> Option<ClientId> {
        self.node(node).client
    }

    /// The only client of a tree that has no more, and whether it may be served now.
    pub(super) fn only_client(&self) -> Option<(ClientId, bool)> {
        self.only
    }

    /// How many node numbers there are, in use or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.index()]
    }

    pub(super) fn held(&self, node: NodeId) -> &Amounts {
        &self.node(node).held
    }

    /// Adds a client at the end of a path of names; `weight` tells that of each node that comes with it.
    pub(super) fn add<'p>(
        &mut self,
        path: impl Iterator<Item = &'p str>,
        mut weight: impl FnMut(usize) -> Weight,
    ) -> ClientId {
        let client = self.free_clients.pop().unwrap_or_else(|| {
            self.clients.push(None);
            ClientId(u32::try_from(self.clients.len() - 1).expect("fewer than 2^32 clients fit into memory"))
        });
        let mut node = ROOT;
        for (depth, name) in path.enumerate() {
            if self.node(node).client.is_some() {
                self.split(node);
            }
            node = self.child(node, name).unwrap_or_else(|| self.attach(node, name, weight(depth)));
        }
        if !self.node(node).children.is_empty() {
            node = self.attach(node, VIRTUAL, Weight::ONE);
        }
        self.seat(client, node);
        self.shape_changed();
        client
    }

    /// Takes away a client that holds nothing any more; what it was counted stays with its ancestors.
    pub(super) fn remove(&mut self, client: ClientId) {
        self.set_active(client, false);
        let Some(leaf) = self.clients.get_mut(client.index()).and_then(Option::take) else { return };
        // Whoever was told of a change of this client cannot find its ancestors through it any more.
        let mut above = leaf;
        while above != ROOT {
            above = self.parent(above);
            self.changed_below(above);
        }
        self.free_clients.push(client);
        let mut node = self.detach(leaf);
        while node != ROOT {
            match *self.node(node).children.as_slice() {
                [] => node = self.detach(node),
                [only] if self.node(only).name == VIRTUAL => {
                    let own = self.node(only).client.expect("a virtual leaf stands for a client");
                    self.node_mut(node).active = self.node(only).active;
                    self.detach(only);
                    self.seat(own, node);
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

    /// The node at the end of a path of names, if there is one.
    pub(super) fn find<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> Option<NodeId> {
        path.try_fold(ROOT, |node, name| self.child(node, name))
    }

    pub(super) fn set_weight(&mut self, node: NodeId, weight: Weight) {
        self.node_mut(node).weight = weight;
        self.changed_below(self.parent(node));
    }

    /// The children of a node are not what they were.
    fn changed_below(&mut self, node: NodeId) {
        self.shape += 1;
        self.node_mut(node).layout = self.shape;
    }

    pub(super) fn set_active(&mut self, client: ClientId, active: bool) {
        if let Some(leaf) = self.leaf(client)
            && self.node(leaf).active != active
        {
            self.node_mut(leaf).active = active;
            self.up(client, |node| if active { node.awake += 1 } else { node.awake -= 1 });
            self.shape_changed();
        }
    }

    /// Adds to what a client and its ancestors hold, and to how often something was given to them.
    #[inline]
    pub(super) fn charge(&mut self, client: ClientId, agent: u64, weighed: &Weighed, gifts: u64) {
        self.up(client, |node| {
            node.count += gifts;
            node.charge(agent, weighed);
        });
    }

    /// Takes from what a client and its ancestors hold.
    #[inline]
    pub(super) fn release(&mut self, client: ClientId, agent: u64, weighed: &Weighed) {
        self.up(client, |node| node.release(agent, weighed));
    }

    #[inline]
    fn up(&mut self, client: ClientId, mut change: impl FnMut(&mut Node)) {
        let mut node = self.leaf(client).unwrap_or(ROOT);
        while node != ROOT {
            change(self.node_mut(node));
            node = self.parent(node);
        }
    }

    fn child(&self, node: NodeId, name: &str) -> Option<NodeId> {
        self.by_name.get(&(node, SmolStr::new(name))).copied()
    }

    fn attach(&mut self, parent: NodeId, name: &str, weight: Weight) -> NodeId {
        let mut fresh = Node::new(name, parent, weight);
        fresh.slot = u32::try_from(self.node(parent).children.len()).expect("fewer than 2^32 nodes fit into memory");
        let node = match self.free.pop() {
            Some(node) => {
                *self.node_mut(node) = fresh;
                node
            }
            None => {
                self.nodes.push(fresh);
                NodeId(u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 nodes fit into memory"))
            }
        };
        self.node_mut(parent).children.push(node);
        self.by_name.insert((parent, name.into()), node);
        self.rank_among_siblings(node);
        self.changed_below(node);
        self.changed_below(parent);
        node
    }

    /// Gives a new node a rank between those of its neighbours by name; all siblings new ones if there is none.
    fn rank_among_siblings(&mut self, node: NodeId) {
        let (parent, name) = (self.parent(node), self.node(node).name.clone());
        let key = (parent, name);
        let sibling = |found: Option<(&(NodeId, SmolStr), &NodeId)>| {
            found.filter(|((of, _), _)| *of == parent).map(|(_, sibling)| self.node(*sibling).rank)
        };
        let before = sibling(self.by_name.range(..&key).next_back()).unwrap_or(0);
        let after = sibling(self.by_name.range((Bound::Excluded(&key), Bound::Unbounded)).next()).unwrap_or(u64::MAX);
        let rank = before + (after - before) / 2;
        if rank > before {
            self.node_mut(node).rank = rank;
            return;
        }
        let from_first = self.by_name.range((parent, SmolStr::default())..);
        let siblings: Vec<NodeId> =
            from_first.take_while(|((of, _), _)| *of == parent).map(|(_, node)| *node).collect();
        let step = u64::MAX / (siblings.len() as u64 + 1);
        for (place, sibling) in siblings.into_iter().enumerate() {
            self.node_mut(sibling).rank = step * (place as u64 + 1);
        }
    }

    /// Takes a childless node out of the tree and tells its parent.
    fn detach(&mut self, node: NodeId) -> NodeId {
        let (parent, slot, name) = (self.parent(node), self.slot(node), self.node(node).name.clone());
        let siblings = &mut self.node_mut(parent).children;
        siblings.swap_remove(slot);
        if let Some(&moved) = siblings.get(slot) {
            self.node_mut(moved).slot = self.node(node).slot;
        }
        self.by_name.remove(&(parent, name));
        self.free.push(node);
        self.changed_below(parent);
        parent
    }

    /// Makes room for children below a leaf: its client moves into a virtual leaf and leaves its count.
    fn split(&mut self, node: NodeId) {
        let own = self.attach(node, VIRTUAL, Weight::ONE);
        let (client, active) = (self.node(node).client, self.node(node).active);
        let (held, shared, count, awake) = {
            let node = self.node(node);
            (node.held.clone(), node.shared.clone(), node.count, node.awake)
        };
        let leaf = self.node_mut(own);
        (leaf.held, leaf.shared, leaf.count, leaf.active, leaf.awake) = (held, shared, count, active, awake);
        self.node_mut(node).client = None;
        self.changed_below(self.parent(node));
        self.seat(client.expect("only a client's leaf is split"), own);
    }

    fn seat(&mut self, client: ClientId, node: NodeId) {
        self.clients[client.index()] = Some(node);
        self.node_mut(node).client = Some(client);
    }
}
