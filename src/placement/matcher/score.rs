//! [`Score`]: how good an offer is, and which of two is better.

use std::cmp::Ordering;

/// How good an offer is, the most important score first: preferences, spreads, few tasks on the value of a
/// `GROUP_BY`, strategy and what decides between equals of it.
pub(super) type Score = [f64; 5];

/// What its host makes of an offer: the weights of wishes that hold, strategy, and what decides between equals of it.
pub(super) type Standing = Option<[f64; 3]>;

/// Scores less than this apart are equal.
pub(super) const CLOSE: f64 = 1e-9;

/// What is no number is worst. What differs by no more than doubles err is the same.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 1e15, and cut off on purpose")]
pub(super) fn settled(number: f64) -> f64 {
    const GRAINS: f64 = 1e12;
    if number.is_nan() {
        return f64::NEG_INFINITY;
    }
    let grains = number * GRAINS;
    if grains.abs() >= 1e15 {
        return number;
    }
    // As `round` does, which is a call where this is two instructions; within 53 bits.
    (grains + 0.5_f64.copysign(grains)) as i64 as f64 / GRAINS
}

/// Which of two scores is better, to the last bit: the better one is the greater.
pub(super) fn exact_order(score: &Score, than: &Score) -> Ordering {
    for (mine, theirs) in score.iter().zip(than) {
        let order = mine.total_cmp(theirs);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Whether two scores differ, and at first by less than what counts.
pub(super) fn is_close(score: &Score, than: &Score) -> bool {
    for (mine, theirs) in score.iter().zip(than) {
        if mine.to_bits() != theirs.to_bits() {
            return (mine - theirs).abs() < CLOSE;
        }
    }
    false
}
