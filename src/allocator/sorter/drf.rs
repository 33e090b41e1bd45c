//! [`Drf`]: dominant resource fairness.

use super::Sorter;
use super::sibling_queue::SiblingKey;
use super::walk::Walk;
use crate::allocator::index::NameIx;
use crate::allocator::share::{Share, Totals, Weight};
use crate::allocator::tree::{ClientId, ShareTree, Standing};
use std::cmp::Ordering;

/// Dominant resource fairness over a tree, as in Mesos: the smaller dominant share first, then the
/// smaller number of allocations, then the smaller name in byte order.
///
/// The dominant share is the largest fraction of any one resource (Ghodsi et al., NSDI'11), over
/// the weight. What is offered counts as much as what tasks hold, for as long as the offer is live. Siblings are sorted at every level and the tree is walked depth first. Shares are
/// compared as exact fractions; Mesos divides doubles, so that equal shares there may differ.
///
/// The order is maintained incrementally: a sibling that was charged moves, in O(log siblings) comparisons at most, and in
/// one if it goes behind all others. Each client that is asked for costs as much. When siblings come or go, or the cluster's
/// totals change other than all alike, the siblings concerned are sorted anew when they are next asked for. So a sorter
/// that wraps this one, for one tree, has to forward [`Sorter::charged`] too.
#[derive(Debug, Clone, Default)]
pub struct Drf {
    walk: Walk<Key>,
    /// The totals that all keys are relative to: the current ones, or others that these are a multiple of.
    totals: Totals,
}

/// The key that siblings are ordered by: smaller share, then fewer allocations, then smaller name.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Key {
    /// The share as a double, for a first comparison that almost always decides.
    approx: f64,
    /// The amount held of the dominant resource, in thousandths; 0 of the first resource if nothing is held.
    held: u64,
    count: u64,
    name_rank: u64,
    weight: Weight,
    resource: NameIx,
    /// Whether there is an active client at or below the sibling.
    is_active: bool,
}

impl Key {
    #[inline]
    fn of(standing: Standing<'_>, totals: &Totals) -> Self {
        let Standing { held, weight, count, name_rank, is_active } = standing;
        let (resource, held, of) = totals.dominant(held);
        Self { approx: Share::quotient(held, of, weight), held, count, name_rank, weight, resource, is_active }
    }

    /// Compares exact fractions: the shares are of different resources or weights, and may be equal.
    #[cold]
    fn is_exactly_before(&self, other: &Self, totals: &Totals) -> bool {
        let by_share = self.share(totals).cmp(&other.share(totals));
        by_share.then_with(|| (self.count, self.name_rank).cmp(&(other.count, other.name_rank))) == Ordering::Less
    }

    fn share(&self, totals: &Totals) -> Share {
        Share::new(self.held, totals.fair(self.resource), self.weight)
    }
}

impl SiblingKey for Key {
    type Context = Totals;

    #[inline]
    fn is_active(&self) -> bool {
        self.is_active
    }

    /// In the hot loop: compares one component after the other, until one decides.
    #[inline]
    fn is_before(&self, other: &Self, totals: &Totals) -> bool {
        if Share::clearly_differ(self.approx, other.approx) {
            return self.approx < other.approx;
        }
        if self.resource == other.resource && self.weight == other.weight {
            return (self.held, self.count, self.name_rank) < (other.held, other.count, other.name_rank);
        }
        self.is_exactly_before(other, totals)
    }

    fn compare(&self, other: &Self, totals: &Totals) -> Ordering {
        match (self.name_rank == other.name_rank, self.is_before(other, totals)) {
            (true, _) => Ordering::Equal, // no two siblings have the same name
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        }
    }
}

impl Sorter for Drf {
    #[inline]
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        if self.totals.version() != totals.version() {
            if !self.totals.is_multiple_of(totals) {
                self.walk.outdate_keys();
                self.totals = totals.clone();
            }
            self.totals.take_version_of(totals);
        }
        let totals = &self.totals;
        self.walk.begin(tree, |node| Key::of(tree.standing(node), totals), totals);
    }

    #[inline]
    fn next(&mut self, tree: &ShareTree, _: &Totals) -> Option<ClientId> {
        let totals = &self.totals;
        self.walk.next(tree, |node| Key::of(tree.standing(node), totals), totals, None)
    }

    fn next_wanted(&mut self, wanted: &dyn Fn(ClientId) -> bool, tree: &ShareTree, _: &Totals) -> Option<ClientId> {
        let totals = &self.totals;
        self.walk.next(tree, |node| Key::of(tree.standing(node), totals), totals, Some(wanted))
    }

    #[inline]
    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        self.walk.charged(tree, client);
    }
}
