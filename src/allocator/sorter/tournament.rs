//! [`Tournament`]: siblings, of which the first is always known.

use crate::allocator::bits::Bits;
use crate::allocator::share::{Share, Totals, Weight};
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;

/// By what siblings are ordered: smaller share, then fewer gifts, then smaller name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    /// The share, for a first comparison that almost always decides.
    approx: f64,
    /// What is held of the dominant resource, in thousandths; 0 of the first one if nothing is held.
    held: u64,
    resource: u32,
    /// Whether it takes part at all: it is awake, and was not taken out.
    plays: bool,
    weight: Weight,
    count: u64,
    rank: u64,
}

impl Key {
    pub(super) fn of(tree: &ShareTree, totals: &Totals, node: NodeId) -> Self {
        let (weight, count, rank) = (tree.weight(node), tree.count(node), tree.rank(node));
        let (resource, held, of) = totals.dominant(tree.held(node));
        let (approx, plays) = (Share::quotient(held, of, weight), tree.is_awake(node));
        Self { approx, held, resource: small(resource), plays, weight, count, rank }
    }

    fn cmp(&self, other: &Self, totals: &Totals) -> Ordering {
        match (self.rank == other.rank, self.is_before(other, totals)) {
            (true, _) => Ordering::Equal, // no two siblings have the same name
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        }
    }

    /// In the hot loop: one comparison after the other, until one decides.
    #[inline]
    fn is_before(&self, other: &Self, totals: &Totals) -> bool {
        if Share::clearly_differ(self.approx, other.approx) {
            return self.approx < other.approx;
        }
        if self.resource != other.resource || self.weight != other.weight {
            let by_share = self.share(totals).cmp(&other.share(totals));
            if by_share != Ordering::Equal {
                return by_share == Ordering::Less;
            }
        } else if self.held != other.held {
            return self.held < other.held;
        }
        if self.count == other.count { self.rank < other.rank } else { self.count < other.count }
    }

    fn share(&self, totals: &Totals) -> Share {
        Share::new(self.held, totals.fair(self.resource as usize), self.weight)
    }
}

/// No slot.
const NOBODY: u32 = u32::MAX;

/// The children of one node as the leaves of a tree of winners: the first of them is known at once, and one whose key
/// changes plays again in O(log siblings). Those that are asleep, or were taken out, do not play.
#[derive(Debug, Clone, Default)]
pub(super) struct Tournament {
    /// Of what state of the tree and the totals it is.
    stamp: Option<(u64, u64)>,
    /// By slot.
    keys: Vec<Key>,
    /// By slot: the clients, where the children are leaves.
    clients: Vec<Option<ClientId>>,
    /// The final at 1, the matches of match `i` at `2 i` and `2 i + 1`, the slots behind the last match: who has won.
    winners: Vec<u32>,
    /// All slots, in the order that they once had; empty as long as nobody asks for it.
    line: Vec<u32>,
    /// Those whose keys have changed since, and so are not where they stand in the line.
    moved: Vec<u32>,
    has_moved: Bits,
}

impl Tournament {
    pub(super) fn is_of(&self, stamp: (u64, u64)) -> bool {
        self.stamp == Some(stamp)
    }

    /// All children of a node play anew. O(children).
    pub(super) fn rebuild(&mut self, stamp: (u64, u64), tree: &ShareTree, totals: &Totals, node: NodeId) {
        self.stamp = Some(stamp);
        self.forget_line();
        self.keys.clear();
        self.keys.extend(tree.children(node).iter().map(|child| Key::of(tree, totals, *child)));
        self.clients.clear();
        self.clients.extend(tree.children(node).iter().map(|child| tree.client(*child)));
        let matches = self.keys.len().next_power_of_two();
        self.winners.clear();
        self.winners.resize(2 * matches, NOBODY);
        for (slot, _) in self.keys.iter().enumerate().filter(|(_, key)| key.plays) {
            self.winners[matches + slot] = small(slot);
        }
        for at in (1..matches).rev() {
            self.winners[at] = self.winner(self.winners[2 * at], self.winners[2 * at + 1], totals);
        }
    }

    /// The slot of the first.
    pub(super) fn first(&self) -> Option<usize> {
        let first = self.winners.get(1).copied().filter(|first| *first != NOBODY);
        first.map(|slot| slot as usize)
    }

    /// Takes the child at a slot out of the game.
    pub(super) fn take_out(&mut self, slot: usize, totals: &Totals) {
        self.set(slot, Key { plays: false, ..self.keys[slot] }, totals);
    }

    /// Changes the key of the child at a slot.
    pub(super) fn set(&mut self, slot: usize, key: Key, totals: &Totals) {
        if self.keys[slot] == key {
            return;
        }
        self.keys[slot] = key;
        if !self.line.is_empty() && self.has_moved.insert(slot) {
            self.moved.push(small(slot));
            // Nobody has asked for long.
            if self.moved.len() > 2 * self.patience() {
                self.forget_line();
            }
        }
        let slot = small(slot);
        let winners = self.winners.as_mut_slice();
        let mut at = winners.len() / 2 + slot as usize;
        let (mut winner, mut best) = (if key.plays { slot } else { NOBODY }, &key);
        winners[at] = winner;
        while at > 1 {
            let other = winners[at ^ 1];
            if other != NOBODY {
                let theirs = &self.keys[other as usize];
                if winner == NOBODY || theirs.is_before(best, totals) {
                    (winner, best) = (other, theirs);
                }
            }
            at /= 2;
            // Where it neither won nor wins, nothing changes further up.
            if winner != slot && winners[at] != slot {
                break;
            }
            winners[at] = winner;
        }
    }

    fn winner(&self, one: u32, other: u32, totals: &Totals) -> u32 {
        if one == NOBODY || other == NOBODY {
            return one.min(other);
        }
        let first = self.keys[one as usize].is_before(&self.keys[other as usize], totals);
        if first { one } else { other }
    }

    /// The slot of the first that is no leaf, or whose client is wanted. O(those before it), which is little each, and
    /// O(√siblings).
    pub(super) fn first_wanted(&mut self, totals: &Totals, wanted: &dyn Fn(ClientId) -> bool) -> Option<usize> {
        self.line_up(totals);
        let test = |slot: usize| self.clients[slot].is_none_or(wanted);
        let in_line = self.line.iter().map(|slot| *slot as usize);
        let unmoved = in_line.filter(|slot| !self.has_moved.contains(*slot)).find(|slot| test(*slot));
        let moved = self.moved.iter().map(|slot| *slot as usize).filter(|slot| test(*slot));
        let playing = moved.chain(unmoved).filter(|slot| self.keys[*slot].plays);
        playing.min_by(|a, b| self.keys[*a].cmp(&self.keys[*b], totals))
    }

    /// Has the line tell of all but a few.
    fn line_up(&mut self, totals: &Totals) {
        if self.line.is_empty() {
            self.moved.clear();
            self.line.extend(0..small(self.keys.len()));
        } else if self.moved.len() <= self.patience() {
            return;
        }
        let keys = &self.keys;
        let compare = |a: &u32, b: &u32| {
            let (left, right) = (&keys[*a as usize], &keys[*b as usize]);
            right.plays.cmp(&left.plays).then_with(|| left.cmp(right, totals))
        };
        let has_moved = &self.has_moved;
        self.line.retain(|slot| !has_moved.contains(*slot as usize));
        self.moved.sort_unstable_by(compare);
        self.line.append(&mut self.moved);
        self.line.sort_by(compare); // two runs, which are merged
        self.has_moved.clear();
    }

    fn forget_line(&mut self) {
        self.line.clear();
        self.moved.clear();
        self.has_moved.clear();
    }

    /// How many may have moved before the line is put right: a look at each of them against a look at all.
    fn patience(&self) -> usize {
        self.keys.len().isqrt().max(8)
    }
}

fn small(slot: usize) -> u32 {
    u32::try_from(slot).expect("fewer than 2^32 nodes fit into memory")
}
