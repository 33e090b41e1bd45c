//! [`Score`]: how good an offer is, and which of two is better.
//!
//! Scores that differ by less than [`TOLERANCE`] are equal. That is no order: a may be equal to b and b to c, but not a
//! to c.

use std::cmp::Ordering;
use std::ops::Add;

/// The scores of an offer, the most important one first; more is better.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    /// The weights of the preferences that hold, as a part of all weights.
    pub(super) preference: f64,
    pub(super) spread: f64,
    /// Few tasks on the value of a `GROUP_BY`.
    pub(super) grouping: f64,
    pub(super) fitness: f64,
    pub(super) tie_break: f64,
}

/// The part of a score that depends on the values of fields.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ValueScore {
    /// The sum of the weights of the preferences that hold.
    pub(super) weight: f64,
    pub(super) spread: f64,
    pub(super) grouping: f64,
}

/// The part of a score that depends on the host of the offer and on what is left of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HostScore {
    /// The sum of the weights of the preferences that hold.
    pub(super) weight: f64,
    pub(super) fitness: f64,
    pub(super) tie_break: f64,
}

/// Scores less than this apart are equal.
pub(super) const TOLERANCE: f64 = 1e-9;

impl Score {
    /// Joins both parts; `total_weight` is the sum of the weights of all preferences, without sign.
    #[inline]
    pub(super) fn new(of_values: ValueScore, of_host: HostScore, total_weight: f64) -> Self {
        let weight = of_values.weight + of_host.weight;
        Self {
            preference: if total_weight > 0.0 { quantize(weight / total_weight) } else { 0.0 },
            spread: of_values.spread,
            grouping: of_values.grouping,
            fitness: of_host.fitness,
            tie_break: of_host.tie_break,
        }
    }

    /// Returns the scores in the order in which they count.
    #[inline]
    pub(super) fn levels(&self) -> [f64; 5] {
        [self.preference, self.spread, self.grouping, self.fitness, self.tie_break]
    }

    /// Compares to the last bit; the better score is the greater.
    #[inline]
    pub(super) fn exact_cmp(&self, other: &Self) -> Ordering {
        for (mine, theirs) in self.levels().iter().zip(&other.levels()) {
            // Equal bits are the common case, and cheaper to compare than a total order.
            if mine.to_bits() != theirs.to_bits() {
                return mine.total_cmp(theirs);
            }
        }
        Ordering::Equal
    }

    /// Returns true if the first level on which the two differ is equal within the tolerance.
    #[inline]
    pub(super) fn is_close_to(&self, other: &Self) -> bool {
        for (mine, theirs) in self.levels().iter().zip(&other.levels()) {
            if mine.to_bits() != theirs.to_bits() {
                return (mine - theirs).abs() < TOLERANCE;
            }
        }
        false
    }
}

impl Add for ValueScore {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            spread: self.spread + other.spread,
            grouping: self.grouping + other.grouping,
        }
    }
}

impl HostScore {
    /// Returns the scores in the order in which they count.
    pub(super) fn levels(&self) -> [f64; 3] {
        [self.weight, self.fitness, self.tie_break]
    }
}

/// Rounds to multiples of 1e-12, so that the rounding errors of doubles alone do not tell two scores apart. A NaN
/// becomes the worst score.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 1e15, and cut off on purpose")]
#[inline]
pub(super) fn quantize(number: f64) -> f64 {
    const STEPS: f64 = 1e12;
    if number.is_nan() {
        return f64::NEG_INFINITY;
    }
    let steps = number * STEPS;
    if steps.abs() >= 1e15 {
        return number;
    }
    // As `round` does, which is a call where this is two instructions; within 53 bits.
    (steps + 0.5_f64.copysign(steps)) as i64 as f64 / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closeness_is_decided_on_the_first_level_that_differs() {
        let of_host = |fitness: f64, tie_break: f64| HostScore { fitness, tie_break, ..HostScore::default() };
        let score = |of_host| Score::new(ValueScore::default(), of_host, 0.0);
        let (one, close, less) = (score(of_host(1.0, 0.0)), score(of_host(1.0 - 1e-10, 5.0)), score(of_host(0.5, 9.0)));
        assert!(one.is_close_to(&close) && !one.is_close_to(&one) && !one.is_close_to(&less));
        assert_eq!(one.exact_cmp(&close), Ordering::Greater);
        assert_eq!(one.exact_cmp(&one), Ordering::Equal);
    }

    #[test]
    fn nan_is_the_worst_score_and_rounding_errors_vanish() {
        assert_eq!(quantize(f64::NAN).to_bits(), f64::NEG_INFINITY.to_bits());
        assert_eq!(quantize(0.1 + 0.2).to_bits(), quantize(0.3).to_bits());
        assert_eq!(quantize(1e300).to_bits(), 1e300_f64.to_bits());
    }
}
