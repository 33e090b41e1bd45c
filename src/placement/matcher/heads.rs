//! [`Heads`]: the best offers of all classes, in order if there are many.

use super::class::key;
use super::index::{ClassIx, OfferIx};
use super::score::Score;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The best offer of a class, with its whole score.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassBest {
    pub(super) offer: OfferIx,
    pub(super) score: Score,
    /// Another offer of the class is within the tolerance.
    pub(super) is_close: bool,
}

/// The best of all classes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Winner {
    pub(super) offer: OfferIx,
    /// Another offer is within the tolerance: only a scan of all offers finds the best one.
    pub(super) is_close: bool,
}

/// By class, its best offer; of many classes with a priority queue over them, so that one more task does not compare all
/// of them.
#[derive(Debug)]
pub(super) struct Heads {
    best: Vec<Option<ClassBest>>,
    /// The priority queue, if there are more than [`MAX_COMPARED`] classes.
    queue: Option<BTreeMap<(Key, OfferIx), Score>>,
    /// The number of classes whose best offer has another one of the class within the tolerance.
    close: usize,
}

/// The levels of a score as integers, the best score first.
type Key = [u64; 5];

/// So many classes are compared faster than they are kept in order.
const MAX_COMPARED: usize = 64;

/// A key after that of any number.
const WORST: u64 = u64::MAX;

impl Heads {
    /// Makes the heads of so many classes, none of which has a best offer.
    pub(super) fn new(classes: usize) -> Self {
        Self { best: vec![None; classes], queue: (classes > MAX_COMPARED).then(BTreeMap::new), close: 0 }
    }

    /// Sets the best offer of a class.
    #[inline]
    pub(super) fn set(&mut self, class: ClassIx, best: Option<ClassBest>) {
        let before = std::mem::replace(&mut self.best[class.index()], best);
        let Some(queue) = &mut self.queue else { return };
        if let Some(before) = before {
            queue.remove(&(before.score.levels().map(key), before.offer));
            self.close -= usize::from(before.is_close);
        }
        if let Some(best) = best {
            queue.insert((best.score.levels().map(key), best.offer), best.score);
            self.close += usize::from(best.is_close);
        }
    }

    /// Returns the best offer of all classes.
    pub(super) fn best(&self) -> Option<Winner> {
        match &self.queue {
            Some(queue) if self.close == 0 => first(queue),
            _ => self.compare(),
        }
    }

    /// Compares all heads.
    fn compare(&self) -> Option<Winner> {
        let mut heads = self.best.iter().flatten();
        let mut best = heads.next()?;
        for other in heads {
            match other.score.exact_cmp(&best.score) {
                Ordering::Greater => best = other,
                Ordering::Equal if other.offer < best.offer => best = other,
                Ordering::Equal | Ordering::Less => {}
            }
        }
        let is_close = |other: &ClassBest| {
            best.score.is_close_to(&other.score) || (other.is_close && other.score.exact_cmp(&best.score).is_eq())
        };
        Some(Winner { offer: best.offer, is_close: self.best.iter().flatten().any(is_close) })
    }
}

/// Returns the first of a queue. Of the scores that first differ from its score on a level, the next one is the closest.
fn first(queue: &BTreeMap<(Key, OfferIx), Score>) -> Option<Winner> {
    let ((best, offer), score) = queue.first_key_value()?;
    let is_close = (0..best.len()).any(|level| {
        let mut last = *best;
        last[level + 1..].fill(WORST);
        let after = (Bound::Excluded((last, OfferIx::NONE)), Bound::Unbounded);
        queue.range(after).next().is_some_and(|(_, next)| score.is_close_to(next))
    });
    Some(Winner { offer: *offer, is_close })
}

#[cfg(test)]
mod tests {
    use super::super::score::{HostScore, ValueScore};
    use super::*;

    /// Few numbers on each level, some of them closer than the tolerance.
    fn best(draw: u64, offer: usize) -> ClassBest {
        let number = |shift: u32| match draw >> shift & 3 {
            0 => 0.0,
            1 => -1.0,
            2 => 1.0,
            _ => 1.0 - 1e-10,
        };
        let values = ValueScore { weight: 0.0, spread: number(0), grouping: number(7) };
        let host = HostScore { weight: 0.0, fitness: number(13), tie_break: number(19) };
        ClassBest {
            offer: OfferIx::new(offer),
            score: Score::new(values, host, 0.0),
            is_close: draw.is_multiple_of(61),
        }
    }

    #[test]
    fn the_queue_and_the_comparison_agree() {
        let mut heads = Heads::new(MAX_COMPARED + 6);
        for step in 0..20_000_u64 {
            let draw = crate::draw::draw(7, step);
            let class = usize::try_from(draw % heads.best.len() as u64).unwrap();
            // Few are there at a time, so that some of the best have no equal.
            heads.set(ClassIx::new(class), (draw >> 40 & 7 == 0).then(|| best(draw, class)));
            let told = |winner: Option<Winner>| winner.map(|winner| (winner.offer, winner.is_close));
            assert_eq!(told(heads.best()), told(heads.compare()), "step {step}");
        }
    }
}
