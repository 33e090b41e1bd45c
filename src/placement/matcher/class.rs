//! [`Class`]: an equivalence class of offers, with a priority queue of those that fit.

use super::index::OfferIx;
use super::score::{HostScore, TOLERANCE, ValueScore};
use std::collections::{BTreeMap, VecDeque};

/// Offers that agree in all values that the app's clauses, preferences and spreads look at.
#[derive(Debug, Default)]
pub(super) struct Class {
    /// The weights of the preferences that the location meets.
    pub(super) location_weight: f64,
    /// The score of its values; none = the values are not allowed at present.
    pub(super) score: Option<ValueScore>,
    /// Its offers as listed, unless they are ranked or all offers are of this class.
    pub(super) offers: Vec<OfferIx>,
    /// Offers before this position do not fit.
    pub(super) cursor: usize,
    /// The priority queue: by rank, the offers that fit.
    queue: BTreeMap<Rank, VecDeque<OfferIx>>,
    /// Its best offer, as of the last time that it was looked for.
    pub(super) head: Option<Head>,
    /// The head has to be looked for again.
    pub(super) is_stale: bool,
    /// It is in the list of those whose head has to be looked for.
    pub(super) is_queued: bool,
}

/// The best offer of a class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) offer: OfferIx,
    pub(super) score: HostScore,
    /// Another offer of the class is within the tolerance: only a scan of all offers finds the best one.
    pub(super) is_close: bool,
}

/// A host score as a sort key; the best score is the smallest key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Rank {
    weight: u64,
    fitness: u64,
    tie_break: u64,
}

/// A key greater than that of any number.
const WORST: u64 = u64::MAX;

/// Weights are no scores yet: they will be divided by the sum of all. So of weights more counts as close.
const WEIGHT_TOLERANCE: f64 = 1e-3;

impl From<HostScore> for Rank {
    fn from(score: HostScore) -> Self {
        Self { weight: key(score.weight), fitness: key(score.fitness), tie_break: key(score.tie_break) }
    }
}

impl From<Rank> for HostScore {
    fn from(rank: Rank) -> Self {
        Self { weight: number(rank.weight), fitness: number(rank.fitness), tie_break: number(rank.tie_break) }
    }
}

/// Maps numbers to integers in descending order.
pub(super) fn key(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { bits } else { !bits & !(1 << 63) }
}

/// The number of a key.
fn number(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key } else { !key & !(1 << 63) })
}

impl Class {
    pub(super) fn new(location_weight: f64) -> Self {
        Self { location_weight, ..Self::default() }
    }

    /// Adds an offer that fits to the queue.
    pub(super) fn insert(&mut self, offer: OfferIx, rank: Rank) {
        let offers = self.queue.entry(rank).or_default();
        let at = if offers.back().is_some_and(|last| *last > offer) {
            offers.partition_point(|one| *one < offer)
        } else {
            offers.len()
        };
        offers.insert(at, offer);
    }

    /// Removes an offer from the queue.
    pub(super) fn remove(&mut self, offer: OfferIx, rank: Rank) {
        let Some(offers) = self.queue.get_mut(&rank) else { return };
        if let Ok(at) = offers.binary_search(&offer) {
            offers.remove(at);
        }
        if offers.is_empty() {
            self.queue.remove(&rank);
        }
    }

    /// Returns the first offer of the queue.
    pub(super) fn best(&self) -> Option<Head> {
        let mut ranks = self.queue.iter();
        let (best, offers) = ranks.next()?;
        let score = HostScore::from(*best);
        let is_close = |worse: Rank| {
            let (best, worse) = (score.levels(), HostScore::from(worse).levels());
            let level = (0..best.len()).find(|level| best[*level].to_bits() != worse[*level].to_bits());
            level
                .is_some_and(|level| best[level] - worse[level] < if level == 0 { WEIGHT_TOLERANCE } else { TOLERANCE })
        };
        // The next one with another tie break, with another fitness, with another weight.
        let next = [
            ranks.next(),
            self.first_after(Rank { tie_break: WORST, ..*best }),
            self.first_after(Rank { fitness: WORST, tie_break: WORST, ..*best }),
        ];
        let is_close = next.into_iter().flatten().any(|(rank, _)| is_close(*rank));
        Some(Head { offer: *offers.front()?, score, is_close })
    }

    fn first_after(&self, rank: Rank) -> Option<(&Rank, &VecDeque<OfferIx>)> {
        self.queue.range(rank..).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(weight: f64, fitness: f64, tie_break: f64) -> HostScore {
        HostScore { weight, fitness, tie_break }
    }

    #[test]
    fn the_best_score_has_the_smallest_rank() {
        let descending = [
            score(f64::INFINITY, 0.0, 0.0),
            score(1.0, 0.0, 0.0),
            score(0.0, 2.0, -1.0),
            score(0.0, 2.0, -2.0),
            score(0.0, -1.0, 9.0),
            score(-1.0, 0.0, 0.0),
            score(f64::NEG_INFINITY, 0.0, 0.0),
        ];
        for pair in descending.windows(2) {
            assert!(Rank::from(pair[0]) < Rank::from(pair[1]), "{pair:?}");
        }
        for score in descending {
            assert_eq!(HostScore::from(Rank::from(score)).levels().map(f64::to_bits), score.levels().map(f64::to_bits));
        }
    }

    #[test]
    fn the_head_is_the_first_of_the_best_and_close_to_the_next() {
        let mut class = Class::default();
        let offer = OfferIx::new;
        assert!(class.best().is_none());
        let (good, better) = (Rank::from(score(0.0, 1.0, 0.0)), Rank::from(score(0.0, 2.0, 0.0)));
        class.insert(offer(0), good);
        class.insert(offer(7), better);
        class.insert(offer(3), better);
        assert_eq!(class.best().map(|head| (head.offer, head.is_close)), Some((offer(3), false)));
        class.insert(offer(9), Rank::from(score(0.0, 2.0 - 1e-10, 5.0)));
        assert_eq!(class.best().map(|head| (head.offer, head.is_close)), Some((offer(3), true)));
        class.remove(offer(3), better);
        class.remove(offer(7), better);
        assert_eq!(class.best().map(|head| head.offer), Some(offer(9)));
    }
}
