//! [`Policy`]: a sorter as a key of each node; [`Ordered`] keeps the order.

use super::Sorter;
use super::sibling_queue::SiblingKey;
use super::walk::Walk;
use crate::allocator::share::{Share, Totals, Weight};
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use crate::time::Time;
use std::cmp::Ordering;
use std::fmt;

/// An order of siblings, as a key: the node with the smallest one is served first. Equal keys go by name.
///
/// [`Ordered`] makes a [`Sorter`] of it. The tree is walked depth first: all below a node come before its next sibling.
///
/// A key must be a function of what [`Node`] tells. It is computed anew when the node changes, or the totals do; so it must
/// depend on nothing else that changes.
///
/// # Examples
///
/// First come, first served (FIFO):
///
/// ```
/// use apportion::allocator::{Node, Policy};
///
/// #[derive(Debug, Clone)]
/// struct FirstCome;
///
/// impl Policy for FirstCome {
///     type Key = u64;
///
///     fn key(&self, node: &Node<'_>) -> u64 {
///         node.arrival()
///     }
/// }
/// # use apportion::allocator::{Allocator, Drf, Hierarchical, Options, Ordered};
/// # use apportion::{Agent, Framework, Role, Time};
/// # use std::sync::Arc;
///
/// let mut allocator = Hierarchical::new(Options::default(), Ordered::new(FirstCome), Ordered::new(FirstCome));
/// for role in ["z", "a"] {
///     allocator.add_framework(&Arc::new(Framework::new(role).role(Role::new(role)?)), &[])?;
/// }
/// for id in ["n1", "n2"] {
///     allocator.add_agent(&Arc::new(Agent::new(id, "cpus:1;mem:64".parse()?)), &[])?;
/// }
/// let offers = allocator.allocate(Time::ZERO, None);
/// assert!(offers.iter().all(|offer| offer.framework == "z"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The one that waits longest first, since it was last offered something that it used; of those that never were, the one that
/// came first:
///
/// ```
/// # use apportion::allocator::{Drf, Hierarchical, Node, Ordered, Policy};
/// # use apportion::{Config, Master, Time};
/// #[derive(Debug, Clone)]
/// struct LongestWaiting;
///
/// impl Policy for LongestWaiting {
///     type Key = (Option<Time>, u64); // none comes before all times
///
///     fn key(&self, node: &Node<'_>) -> Self::Key {
///         (node.waiting_since(), node.arrival())
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
/// DRF itself: `type Key = (Share, u64)` and `(node.share(), node.count())`. That costs up to twice as much as
/// [`Drf`](super::Drf), which compares shares without dividing them first.
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

    /// Returns the order in which the node came: a smaller number for one that came earlier. A framework comes to a role when it
    /// subscribes to it; a role comes with its first framework, or that of a role below it, and goes with the last one.
    #[must_use]
    pub fn arrival(&self) -> u64 {
        self.tree.arrival(self.node)
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

/// The sorter of a [`Policy`].
///
/// It keeps the order as [`Drf`](super::Drf) does: O(log siblings) for a client that was charged, and for each one that is asked
/// for. When siblings come or go, or the totals change, the siblings concerned are sorted anew when they are next asked for.
#[derive(Debug, Clone)]
pub struct Ordered<P: Policy> {
    policy: P,
    walk: Walk<PolicyKey<P::Key>>,
    /// The version of the totals that the keys are of.
    totals: u64,
}

/// The place of a node among its siblings.
#[derive(Debug, Clone, PartialEq)]
struct PolicyKey<K> {
    /// None if there is no active client at or below the node.
    key: Option<K>,
    name_rank: u64,
}

impl<K: Ord> SiblingKey for PolicyKey<K> {
    type Context = ();

    fn is_active(&self) -> bool {
        self.key.is_some()
    }

    fn is_before(&self, other: &Self, (): &()) -> bool {
        match self.key.cmp(&other.key) {
            Ordering::Equal => self.name_rank < other.name_rank,
            Ordering::Less => true,
            Ordering::Greater => false,
        }
    }

    fn compare(&self, other: &Self, (): &()) -> Ordering {
        self.key.cmp(&other.key).then(self.name_rank.cmp(&other.name_rank))
    }
}

impl<P: Policy> Ordered<P> {
    /// Makes a sorter of a policy.
    #[must_use]
    pub fn new(policy: P) -> Self {
        Self { policy, walk: Walk::default(), totals: 0 }
    }
}

/// Returns the key of a node among its siblings.
fn key_of<P: Policy>(policy: &P, tree: &ShareTree, totals: &Totals, node: NodeId) -> PolicyKey<P::Key> {
    let standing = tree.standing(node);
    let key = standing.is_active.then(|| policy.key(&Node { tree, totals, node }));
    PolicyKey { key, name_rank: standing.name_rank }
}

impl<P: Policy> Sorter for Ordered<P> {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        if self.totals != totals.version() {
            self.totals = totals.version();
            self.walk.outdate_keys();
        }
        let policy = &self.policy;
        self.walk.begin(tree, |node| key_of(policy, tree, totals, node), &());
    }

    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId> {
        let policy = &self.policy;
        self.walk.next(tree, |node| key_of(policy, tree, totals, node), &(), None)
    }

    fn next_wanted(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
    ) -> Option<ClientId> {
        let policy = &self.policy;
        self.walk.next(tree, |node| key_of(policy, tree, totals, node), &(), Some(wanted))
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        self.walk.charged(tree, client);
    }

    fn keeps_times(&self) -> bool {
        true
    }
}
