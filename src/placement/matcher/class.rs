//! [`Class`]: offers between which only their hosts make a difference.

use super::score::CLOSE;
use std::collections::{BTreeMap, VecDeque};

/// Offers that agree in all values on which something depends.
#[derive(Debug, Default)]
pub(super) struct Class {
    /// The weights of wishes for a place that hold.
    pub(super) place: f64,
    /// What the values come to; none = they will not do at present.
    pub(super) score: Option<[f64; 3]>,
    /// Its offers from the first, and from where on they may do; where there is but one class, these are all.
    pub(super) offers: Vec<u32>,
    pub(super) from: usize,
    /// Its offers that will do, best first.
    pub(super) ranks: BTreeMap<Rank, VecDeque<u32>>,
    /// Its best offer, unless that has to be found anew.
    pub(super) head: Option<Head>,
    pub(super) is_stale: bool,
}

/// The best of a class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) standing: [f64; 3],
    pub(super) index: usize,
    /// Whether others of the class are so close that only a look at all of them can tell.
    pub(super) is_close: bool,
}

/// A standing as it is sorted: the best is the smallest.
pub(super) type Rank = [u64; 3];

/// The rank of a number: what is greater comes first.
pub(super) fn rank(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { bits } else { !bits & !(1 << 63) }
}

/// The number of a rank.
fn number(rank: u64) -> f64 {
    f64::from_bits(if rank >> 63 == 1 { rank } else { !rank & !(1 << 63) })
}

impl Class {
    /// Adds an offer to those that will do.
    pub(super) fn add(&mut self, index: u32, rank: Rank) {
        let offers = self.ranks.entry(rank).or_default();
        let at = if offers.back().is_some_and(|last| *last > index) {
            offers.partition_point(|one| *one < index)
        } else {
            offers.len()
        };
        offers.insert(at, index);
    }

    /// Takes it away again.
    pub(super) fn remove(&mut self, index: u32, rank: Rank) {
        let Some(offers) = self.ranks.get_mut(&rank) else { return };
        if let Ok(at) = offers.binary_search(&index) {
            offers.remove(at);
        }
        if offers.is_empty() {
            self.ranks.remove(&rank);
        }
    }

    /// The best of those that will do.
    pub(super) fn best_of_ranks(&self) -> Option<Head> {
        let mut ranks = self.ranks.iter();
        let (best, offers) = ranks.next()?;
        let standing = best.map(number);
        let is_close = |worse: Rank| {
            let worse = worse.map(number);
            let level = (0..3).find(|level| standing[*level].to_bits() != worse[*level].to_bits());
            level.is_some_and(|level| standing[level] - worse[level] < if level == 0 { CLOSE_WEIGHTS } else { CLOSE })
        };
        // The next with another tie break, the next with another fitness, the next with other wishes.
        let [wishes, fitness, _] = *best;
        let next = [ranks.next(), self.after([wishes, fitness, LAST]), self.after([wishes, LAST, LAST])];
        let is_close = next.into_iter().flatten().any(|(rank, _)| is_close(*rank));
        Some(Head { standing, index: *offers.front()? as usize, is_close })
    }

    fn after(&self, rank: Rank) -> Option<(&Rank, &VecDeque<u32>)> {
        self.ranks.range(rank..).next()
    }
}

/// The rank of what is worse than any number.
const LAST: u64 = u64::MAX;

/// Weights are no scores yet: they will be divided by the sum of all. So of weights more counts as close.
const CLOSE_WEIGHTS: f64 = 1e-3;
