//! [`Share`] and [`Weight`]: how much of the cluster something holds, compared exactly.

use super::amounts::Amounts;
use std::cmp::Ordering;
use std::fmt;

/// How much a role counts against its siblings; a double weight makes the same holdings half a share.
///
/// Kept in millionths, so that shares compare exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight {
    millionths: u64,
}

/// A number that is no [`Weight`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is not a weight: expected a number from 0.000001 to 1000000000")]
pub struct WeightError {
    /// The number that was given.
    pub found: f64,
}

impl Weight {
    /// The weight of a role for which none was set.
    pub const ONE: Self = Self { millionths: 1_000_000 };

    /// Rounds a number to millionths.
    ///
    /// # Errors
    ///
    /// [`WeightError`] for what is not within a millionth and a thousand million.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against both bounds before")]
    pub fn try_from_f64(weight: f64) -> Result<Self, WeightError> {
        let millionths = (weight * 1e6).round();
        if (1.0..=1e15).contains(&millionths) {
            Ok(Self { millionths: millionths as u64 })
        } else {
            Err(WeightError { found: weight })
        }
    }

    /// The weight as a number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most 1e15, which a double holds exactly")]
    pub fn as_f64(self) -> f64 {
        self.millionths as f64 / 1e6
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

/// A weighted share of the cluster: an exact fraction, so that equal shares tie whatever floating
/// point would say (Mesos divides doubles).
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// What is held, in thousandths, times a million.
    held: u128,
    /// What there is, in thousandths, times the weight in millionths; never 0.
    of: u128,
    /// Their quotient, for a first comparison that almost always decides.
    approx: f64,
}

impl Share {
    /// No share at all.
    pub const ZERO: Self = Self { held: 0, of: 1, approx: 0.0 };

    /// `held` of `total` (both in thousandths), over the weight. Of a total of 0 the share is 0.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the approximation is only trusted where it clearly differs")]
    pub fn new(held: u64, total: u64, weight: Weight) -> Self {
        if held == 0 || total == 0 {
            return Self::ZERO;
        }
        let (held, of) = (u128::from(held) * 1_000_000, u128::from(total) * u128::from(weight.millionths));
        Self { held, of, approx: held as f64 / of as f64 }
    }

    /// The dominant share of the DRF paper (Ghodsi et al., NSDI'11, section 4.1): the largest
    /// fraction of any one resource, over the weight.
    pub(super) fn dominant(held: &Amounts, totals: &Totals, weight: Weight) -> Self {
        let (_, held, total) = totals.dominant(held);
        Self::new(held, total, weight)
    }

    /// `held` of `total` over the weight, nearly: off by less than five parts in 2^53.
    #[expect(clippy::cast_precision_loss, reason = "the approximation is only trusted where it clearly differs")]
    pub(super) fn quotient(held: u64, total: u64, weight: Weight) -> f64 {
        held as f64 / (total as f64 * weight.millionths as f64) * 1e6
    }

    /// Whether two [quotients](Share::quotient) are too far apart for their errors to matter: as both are positive, the
    /// bits of the larger one are a larger number.
    #[inline]
    pub(super) fn clearly_differ(a: f64, b: f64) -> bool {
        a.to_bits().abs_diff(b.to_bits()) > 64
    }

    /// The share as a number, for people and journals.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.approx
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        if Self::clearly_differ(self.approx, other.approx) {
            self.approx.total_cmp(&other.approx)
        } else {
            cmp_fractions((self.held, self.of), (other.held, other.of))
        }
    }
}

/// Compares two fractions by their continued fractions: no product that could overflow.
fn cmp_fractions(mut a: (u128, u128), mut b: (u128, u128)) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    loop {
        let whole = (a.0 / a.1).cmp(&(b.0 / b.1));
        let rests = (a.0 % a.1, b.0 % b.1);
        match (whole, rests) {
            (Ordering::Equal, (0, 0)) => return Ordering::Equal,
            (Ordering::Equal, (0, _)) => return Ordering::Less,
            (Ordering::Equal, (_, 0)) => return Ordering::Greater,
            // x < y just when 1/y < 1/x
            (Ordering::Equal, (left, right)) => (a, b) = ((b.1, right), (a.1, left)),
            (Ordering::Less | Ordering::Greater, _) => return whole,
        }
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

/// What the whole cluster has, by name: what every share is a share of.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub(super) amounts: Amounts,
    /// The same, 0 for those that count for no share.
    fair: Amounts,
    excluded: Vec<super::amounts::NameIx>,
    /// Goes up with every change, so that a cached share can be known to be old.
    version: u64,
}

impl Totals {
    /// Totals in which the names at `excluded` count for no share.
    pub(super) fn without(excluded: Vec<super::amounts::NameIx>) -> Self {
        Self { excluded, ..Self::default() }
    }

    /// Goes up whenever any total changes.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether all fair totals are a multiple of these: then the same holdings stand in the same order.
    pub(super) fn is_multiple_of(&self, other: &Self) -> bool {
        let names = self.fair.as_slice().len().max(other.fair.as_slice().len());
        let mut pairs = (0..names).map(|ix| (u128::from(self.fair(ix)), u128::from(other.fair(ix))));
        let Some(first) = pairs.find(|pair| *pair != (0, 0)) else { return true };
        first.0 > 0 && first.1 > 0 && pairs.all(|(mine, theirs)| mine * first.1 == theirs * first.0)
    }

    /// Takes the totals of `other` to be the ones that these are a multiple of.
    pub(super) fn take_version_of(&mut self, other: &Self) {
        self.version = other.version;
    }

    /// The total of a name as far as shares go: 0 if it is left out of fair sharing.
    pub(super) fn fair(&self, ix: super::amounts::NameIx) -> u64 {
        self.fair.of(ix)
    }

    /// Of which resource the largest fraction is held: its number, how much is held, and how much there is. The first of
    /// several; if nothing is held that counts, 0 of 1 of the first.
    pub(super) fn dominant(&self, held: &Amounts) -> (super::amounts::NameIx, u64, u64) {
        let (mut resource, mut most, mut of) = (0, 0, 1);
        for (ix, (mine, total)) in held.as_slice().iter().zip(self.fair.as_slice()).enumerate() {
            // mine / total > most / of
            if u128::from(*mine) * u128::from(of) > u128::from(most) * u128::from(*total) && *total > 0 {
                (resource, most, of) = (ix, *mine, *total);
            }
        }
        (resource, most, of)
    }

    fn changed(&mut self) {
        self.version += 1;
        self.fair.clone_from(&self.amounts);
        self.excluded.iter().for_each(|ix| self.fair.clear(*ix));
    }

    pub(super) fn add(&mut self, delta: &[(super::amounts::NameIx, u64)]) {
        self.amounts.add(delta);
        self.changed();
    }

    pub(super) fn sub(&mut self, delta: &[(super::amounts::NameIx, u64)]) {
        self.amounts.sub(delta);
        self.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_fractions_tie() {
        let weight = |number: f64| Weight::try_from_f64(number).unwrap();
        assert_eq!(Share::new(1, 3, Weight::ONE), Share::new(2, 6, Weight::ONE));
        assert_eq!(Share::new(1, 10, weight(0.1)), Share::new(3, 10, weight(0.3)));
        assert_eq!(Share::new(5, 0, Weight::ONE), Share::ZERO);
        assert!(Share::new(u64::MAX - 1, u64::MAX, Weight::ONE) < Share::new(u64::MAX, u64::MAX, Weight::ONE));
    }

    #[test]
    fn weights_are_positive_and_bounded() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9, 1e10] {
            assert!(Weight::try_from_f64(bad).is_err(), "{bad}");
        }
        assert_eq!(Weight::try_from_f64(0.1).unwrap().to_string(), "0.1");
    }

    proptest! {
        #[test]
        fn compares_like_cross_products(a in 0_u64..1000, b in 1_u64..1000, c in 0_u64..1000, d in 1_u64..1000, w in 1_u64..9) {
            #[expect(clippy::cast_precision_loss, reason = "a single digit")]
            let weight = Weight::try_from_f64(w as f64).unwrap();
            let (left, right) = (Share::new(a, b, weight), Share::new(c, d, Weight::ONE));
            prop_assert_eq!(left.cmp(&right), (a * d).cmp(&(c * b * w)));
        }
    }
}
