//! [`Tournament`]: siblings, of which the first is always known.

use crate::allocator::share::{Share, Totals, Weight};
use crate::allocator::tree::{NodeId, ShareTree};
use std::cmp::Ordering;

/// By what siblings are ordered: smaller share, then fewer gifts, then smaller name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    /// The share, for a first comparison that almost always decides.
    approx: f64,
    /// What is held of the dominant resource, in thousandths; 0 of the first one if nothing is held.
    held: u64,
    resource: usize,
    weight: Weight,
    count: u64,
    rank: u64,
}

impl Key {
    pub(super) fn of(tree: &ShareTree, totals: &Totals, node: NodeId) -> Self {
        let (weight, count, rank) = (tree.weight(node), tree.count(node), tree.rank(node));
        let mut key = Self { approx: 0.0, held: 0, resource: 0, weight, count, rank };
        let mut of = 1;
        for (resource, held, total) in tree.holdings(node, totals) {
            if u128::from(held) * u128::from(of) > u128::from(key.held) * u128::from(total) {
                (key.held, key.resource, of) = (held, resource, total);
            }
        }
        key.approx = Share::quotient(key.held, of, weight);
        key
    }

    pub(super) fn cmp(&self, other: &Self, totals: &Totals) -> Ordering {
        let by_share = || {
            if self.resource == other.resource && self.weight == other.weight {
                self.held.cmp(&other.held)
            } else {
                self.share(totals).cmp(&other.share(totals))
            }
        };
        Share::cmp_quotients(self.approx, other.approx)
            .unwrap_or_else(by_share)
            .then(self.count.cmp(&other.count))
            .then(self.rank.cmp(&other.rank))
    }

    fn share(&self, totals: &Totals) -> Share {
        Share::new(self.held, totals.fair(self.resource), self.weight)
    }
}

/// The children of one node as the leaves of a tree of winners: the first of them is known at once, and one whose key
/// changes plays again in O(log siblings). Those that are asleep, or were taken out, do not play.
#[derive(Debug, Clone, Default)]
pub(super) struct Tournament {
    /// Of what state of the tree and the totals it is.
    stamp: Option<(u64, u64)>,
    /// By slot: those who play.
    keys: Vec<Option<Key>>,
    /// The inner nodes, the final at 1, the matches of match `i` at `2 i` and `2 i + 1`: the slot of each winner.
    winners: Vec<Option<u32>>,
}

impl Tournament {
    pub(super) fn is_of(&self, stamp: (u64, u64)) -> bool {
        self.stamp == Some(stamp)
    }

    /// All children of a node play anew. O(children).
    pub(super) fn rebuild(&mut self, stamp: (u64, u64), tree: &ShareTree, totals: &Totals, node: NodeId) {
        self.stamp = Some(stamp);
        self.keys.clear();
        let key = |child: &NodeId| tree.is_awake(*child).then(|| Key::of(tree, totals, *child));
        self.keys.extend(tree.children(node).iter().map(key));
        self.winners.clear();
        self.winners.resize(self.keys.len().next_power_of_two().max(2), None);
        for at in (1..self.winners.len()).rev() {
            self.winners[at] = self.winner(at, totals);
        }
    }

    /// The slot of the first.
    pub(super) fn first(&self) -> Option<usize> {
        self.winners.get(1).copied().flatten().map(|slot| slot as usize)
    }

    pub(super) fn key(&self, slot: usize) -> Option<&Key> {
        self.keys.get(slot).and_then(Option::as_ref)
    }

    /// Changes the key of the child at a slot; none = it does not play.
    pub(super) fn set(&mut self, slot: usize, key: Option<Key>, totals: &Totals) {
        if self.keys[slot] == key {
            return;
        }
        self.keys[slot] = key;
        let mut at = (self.winners.len() + slot) / 2;
        while at > 0 {
            let winner = self.winner(at, totals);
            let before = std::mem::replace(&mut self.winners[at], winner);
            // Where it neither won nor wins, nothing changes further up.
            let concerned = |one: Option<u32>| one.is_some_and(|one| one as usize == slot);
            if !concerned(winner) && !concerned(before) {
                break;
            }
            at /= 2;
        }
    }

    fn winner(&self, at: usize, totals: &Totals) -> Option<u32> {
        match (self.player(2 * at), self.player(2 * at + 1)) {
            (Some((left, key)), Some((right, other))) => {
                Some(if key.cmp(other, totals) == Ordering::Greater { right } else { left })
            }
            (Some((one, _)), None) | (None, Some((one, _))) => Some(one),
            (None, None) => None,
        }
    }

    /// Who comes to a match from there: a winner, or the child at a slot.
    fn player(&self, at: usize) -> Option<(u32, &Key)> {
        let slot = match self.winners.get(at) {
            Some(winner) => (*winner)?,
            None => u32::try_from(at - self.winners.len()).ok()?,
        };
        Some((slot, self.key(slot as usize)?))
    }
}
