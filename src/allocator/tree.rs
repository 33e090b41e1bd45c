//! [`ShareTree`]: who holds how much, up the path.
//!
//! The roles of a cluster form one such tree, the frameworks within a role a flat one. It follows
//! Mesos' sorters (`sorter/drf/sorter.cpp`): an inner node holds what is below it; a role that has
//! both frameworks and child roles has a *virtual leaf* among its children, called `.` and of
//! weight 1, for what its own frameworks hold.

use super::names::{Amounts, Delta, Names};
use super::share::{Share, Totals, Weight};
use crate::resources::{Resource, Resources};
use indexmap::IndexMap;
use smol_str::SmolStr;

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
    by_name: IndexMap<(NodeId, SmolStr), NodeId, foldhash::fast::RandomState>,
    clients: Vec<Option<NodeId>>,
    free_clients: Vec<ClientId>,
    shape: u64,
}

#[derive(Debug, Clone)]
struct Node {
    name: SmolStr,
    parent: NodeId,
    children: Vec<NodeId>,
    weight: Weight,
    held: Amounts,
    /// How often each shared resource is held, by agent; it weighs once.
    shared: IndexMap<(u64, SmolStr), Vec<(Resource, u64)>>,
    count: u64,
    client: Option<ClientId>,
    active: bool,
}

impl Node {
    fn new(name: &str, parent: NodeId, weight: Weight) -> Self {
        Self {
            name: name.into(),
            parent,
            children: Vec::new(),
            weight,
            held: Amounts::default(),
            shared: IndexMap::new(),
            count: 0,
            client: None,
            active: false,
        }
    }

    fn charge(&mut self, agent: u64, resources: &Resources, unshared: &Delta, names: &mut Names) {
        self.held.add(unshared);
        for resource in resources.iter().filter(|resource| resource.is_shared()) {
            let copies = self.shared.entry((agent, resource.name().into())).or_default();
            match copies.iter_mut().find(|(known, _)| known.same_shared(resource)) {
                Some((_, held)) => *held += resource.copies(),
                None => {
                    copies.push((resource.clone(), resource.copies()));
                    self.held.add(&shared_delta(resource, names));
                }
            }
        }
    }

    fn release(&mut self, agent: u64, resources: &Resources, unshared: &Delta, names: &mut Names) {
        self.held.sub(unshared);
        for resource in resources.iter().filter(|resource| resource.is_shared()) {
            let key = (agent, SmolStr::new(resource.name()));
            let Some(copies) = self.shared.get_mut(&key) else { continue };
            let Some(place) = copies.iter().position(|(known, _)| known.same_shared(resource)) else { continue };
            copies[place].1 = copies[place].1.saturating_sub(resource.copies());
            if copies[place].1 == 0 {
                copies.swap_remove(place);
                self.held.sub(&shared_delta(resource, names));
            }
            if self.shared.get(&key).is_some_and(Vec::is_empty) {
                self.shared.swap_remove(&key);
            }
        }
    }
}

fn shared_delta(resource: &Resource, names: &mut Names) -> Delta {
    resource.scalar().map(|amount| (names.intern(resource.name()), amount.as_milli())).into_iter().collect()
}

impl Default for ShareTree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new("", ROOT, Weight::ONE)],
            free: Vec::new(),
            by_name: IndexMap::default(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            shape: 0,
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
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.node(node).children
    }

    /// The node right above; of the root, the root.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> NodeId {
        self.node(node).parent
    }

    /// The client at `node`, if it is a leaf that may be served now.
    #[must_use]
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
        self.shape += 1;
        client
    }

    /// Takes away a client that holds nothing any more; what it was counted stays with its ancestors.
    pub(super) fn remove(&mut self, client: ClientId) {
        let Some(leaf) = self.clients.get_mut(client.index()).and_then(Option::take) else { return };
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
        self.shape += 1;
    }

    /// The node at the end of a path of names, if there is one.
    pub(super) fn find<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> Option<NodeId> {
        path.try_fold(ROOT, |node, name| self.child(node, name))
    }

    pub(super) fn set_weight(&mut self, node: NodeId, weight: Weight) {
        self.node_mut(node).weight = weight;
        self.shape += 1;
    }

    pub(super) fn set_active(&mut self, client: ClientId, active: bool) {
        if let Some(leaf) = self.leaf(client)
            && self.node(leaf).active != active
        {
            self.node_mut(leaf).active = active;
            self.shape += 1;
        }
    }

    /// Counts one more gift to a client and its ancestors.
    pub(super) fn count_one(&mut self, client: ClientId) {
        self.up(client, |node| node.count += 1);
    }

    /// Adds to what a client and its ancestors hold.
    pub(super) fn charge(&mut self, client: ClientId, agent: u64, resources: &Resources, names: &mut Names) {
        let unshared = names.unshared(resources);
        self.up(client, |node| node.charge(agent, resources, &unshared, names));
    }

    /// Takes from what a client and its ancestors hold.
    pub(super) fn release(&mut self, client: ClientId, agent: u64, resources: &Resources, names: &mut Names) {
        let unshared = names.unshared(resources);
        self.up(client, |node| node.release(agent, resources, &unshared, names));
    }

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
        let fresh = Node::new(name, parent, weight);
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
        node
    }

    /// Takes a childless node out of the tree and tells its parent.
    fn detach(&mut self, node: NodeId) -> NodeId {
        let parent = self.parent(node);
        self.node_mut(parent).children.retain(|child| *child != node);
        let name = self.node(node).name.clone();
        self.by_name.swap_remove(&(parent, name));
        self.free.push(node);
        parent
    }

    /// Makes room for children below a leaf: its client moves into a virtual leaf and leaves its count.
    fn split(&mut self, node: NodeId) {
        let own = self.attach(node, VIRTUAL, Weight::ONE);
        let (client, active) = (self.node(node).client, self.node(node).active);
        let (held, shared, count) = {
            let node = self.node(node);
            (node.held.clone(), node.shared.clone(), node.count)
        };
        let leaf = self.node_mut(own);
        (leaf.held, leaf.shared, leaf.count, leaf.active) = (held, shared, count, active);
        self.node_mut(node).client = None;
        self.seat(client.expect("only a client's leaf is split"), own);
    }

    fn seat(&mut self, client: ClientId, node: NodeId) {
        self.clients[client.index()] = Some(node);
        self.node_mut(node).client = Some(client);
    }
}
