//! [`Share`] and [`Weight`]: exact fractions of the cluster, and the [`Totals`] that they are of.

use super::amounts::Amounts;
use super::index::{DenseIndex, NameIx};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The weight of a role against its siblings: the same holdings at twice the weight are half the share.
///
/// Kept in millionths, so that shares compare exactly. In text it is a decimal number.
///
/// # Examples
///
/// ```
/// use apportion::allocator::Weight;
///
/// let weight: Weight = "2.5".parse()?;
/// assert_eq!((weight, weight.to_string()), (Weight::try_from(2.5)?, "2.5".to_owned()));
/// # Ok::<(), apportion::allocator::WeightError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight {
    millionths: u64,
}

/// The error of a number that is no [`Weight`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is not a weight: expected a number from 0.000001 to 1000000000")]
pub struct WeightError {
    /// The number that was given, or the text that is none.
    pub found: String,
}

impl Weight {
    /// The weight of a role for which none was set.
    pub const ONE: Self = Self { millionths: 1_000_000 };

    /// Rounds a number to millionths.
    ///
    /// # Errors
    ///
    /// [`WeightError`] for a number outside a millionth to a thousand million.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against both bounds before")]
    pub fn try_from_f64(weight: f64) -> Result<Self, WeightError> {
        let millionths = (weight * 1e6).round();
        if (1.0..=1e15).contains(&millionths) {
            Ok(Self { millionths: millionths as u64 })
        } else {
            Err(WeightError { found: weight.to_string() })
        }
    }

    /// Returns the weight as a number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most 1e15, which a double holds exactly")]
    pub fn as_f64(self) -> f64 {
        self.millionths as f64 / 1e6
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_f64().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from_f64(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<f64> for Weight {
    type Error = WeightError;

    fn try_from(weight: f64) -> Result<Self, WeightError> {
        Self::try_from_f64(weight)
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Self, WeightError> {
        let number: f64 = text.parse().map_err(|_| WeightError { found: format!("{text:?}") })?;
        Self::try_from_f64(number).map_err(|_| WeightError { found: text.to_owned() })
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
    /// The amount held, in thousandths, times a million.
    held: u128,
    /// The total, in thousandths, times the weight in millionths; never 0.
    of: u128,
    /// Their quotient, for a first comparison that almost always decides.
    approx: f64,
}

impl Share {
    /// The share of 0.
    pub const ZERO: Self = Self { held: 0, of: 1, approx: 0.0 };

    /// Returns `held / total` (both in thousandths) over the weight. Of a total of 0 the share is 0.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the approximation is only trusted where it clearly differs")]
    pub fn new(held: u64, total: u64, weight: Weight) -> Self {
        if held == 0 || total == 0 {
            return Self::ZERO;
        }
        let (held, of) = (u128::from(held) * 1_000_000, u128::from(total) * u128::from(weight.millionths));
        Self { held, of, approx: held as f64 / of as f64 }
    }

    /// Returns the dominant share of the DRF paper (Ghodsi et al., NSDI'11, section 4.1): the largest
    /// fraction of any one resource, over the weight.
    pub(super) fn dominant(held: &Amounts, totals: &Totals, weight: Weight) -> Self {
        let (_, held, total) = totals.dominant(held);
        Self::new(held, total, weight)
    }

    /// Returns `held / total` over the weight as a double, with a relative error below five parts in 2^53.
    #[expect(clippy::cast_precision_loss, reason = "the approximation is only trusted where it clearly differs")]
    pub(super) fn quotient(held: u64, total: u64, weight: Weight) -> f64 {
        held as f64 / (total as f64 * weight.millionths as f64) * 1e6
    }

    /// Returns whether two [quotients](Share::quotient) are too far apart for their errors to matter. The bits of positive
    /// doubles are ordered as their values.
    #[inline]
    pub(super) fn clearly_differ(a: f64, b: f64) -> bool {
        a.to_bits().abs_diff(b.to_bits()) > 64
    }

    /// Returns the share as a number, for people and journals.
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

/// The totals of the cluster, by resource name: every share is a fraction of one of them.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    amounts: Amounts,
    /// The same, and 0 for those that count for no share.
    fair: Amounts,
    excluded: Vec<NameIx>,
    /// Increases with every change, so that a cached share can be found to be outdated.
    version: u64,
}

impl Totals {
    /// Returns totals in which the names in `excluded` count for no share.
    pub(super) fn without(excluded: Vec<NameIx>) -> Self {
        Self { excluded, ..Self::default() }
    }

    /// Returns a version that increases whenever any total changes.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns whether all fair totals of one are the same multiple of the other's: then both order the same holdings alike.
    pub(super) fn is_multiple_of(&self, other: &Self) -> bool {
        let names = self.fair.as_slice().len().max(other.fair.as_slice().len());
        let mut pairs =
            (0..names).map(NameIx::new).map(|name| (u128::from(self.fair(name)), u128::from(other.fair(name))));
        let Some(first) = pairs.find(|pair| *pair != (0, 0)) else { return true };
        first.0 > 0 && first.1 > 0 && pairs.all(|(mine, theirs)| mine * first.1 == theirs * first.0)
    }

    /// Marks these totals as equivalent to those of `other`, which are a multiple of them.
    pub(super) fn take_version_of(&mut self, other: &Self) {
        self.version = other.version;
    }

    /// Returns all totals, whether or not they count for shares.
    pub(super) fn amounts(&self) -> &Amounts {
        &self.amounts
    }

    /// Returns the total of a resource, whether or not it counts for shares.
    pub(super) fn amount(&self, name: NameIx) -> u64 {
        self.amounts.of(name)
    }

    /// Returns the total of a resource for shares: 0 if it is excluded from fair sharing.
    pub(super) fn fair(&self, ix: NameIx) -> u64 {
        self.fair.of(ix)
    }

    /// Returns the dominant resource, which is the one with the largest fraction held, the amount held of it, and its total.
    /// Of several it is the first; if nothing is held that counts, it is 0 of 1 of the first.
    #[inline]
    pub(super) fn dominant(&self, held: &Amounts) -> (NameIx, u64, u64) {
        let (mut resource, mut most, mut of) = (0, 0, 1);
        for (position, (mine, total)) in held.as_slice().iter().zip(self.fair.as_slice()).enumerate() {
            // mine / total > most / of
            if u128::from(*mine) * u128::from(of) > u128::from(most) * u128::from(*total) && *total > 0 {
                (resource, most, of) = (position, *mine, *total);
            }
        }
        (NameIx::new(resource), most, of)
    }

    /// Notes that the totals of these names have changed.
    fn changed(&mut self, delta: &[(NameIx, u64)]) {
        self.version += 1;
        for (name, _) in delta.iter().filter(|(name, _)| !self.excluded.contains(name)) {
            self.fair.set(*name, self.amounts.of(*name));
        }
    }

    pub(super) fn add(&mut self, delta: &[(NameIx, u64)]) {
        self.amounts.add(delta);
        self.changed(delta);
    }

    pub(super) fn sub(&mut self, delta: &[(NameIx, u64)]) {
        self.amounts.sub(delta);
        self.changed(delta);
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

    #[test]
    fn text_that_is_no_weight_is_told() {
        for (text, found) in [("heavy", "\"heavy\""), ("0", "0"), ("NaN", "NaN"), ("1e10", "1e10")] {
            assert_eq!(text.parse::<Weight>(), Err(WeightError { found: found.into() }));
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same(millionths in prop_oneof![1_u64..=1_000_000_000_000_000, 1_u64..5_000_000]) {
            let weight = Weight { millionths };
            prop_assert_eq!(weight.to_string().parse(), Ok(weight));
        }

        #[test]
        fn compares_like_cross_products(a in 0_u64..1000, b in 1_u64..1000, c in 0_u64..1000, d in 1_u64..1000, w in 1_u64..9) {
            #[expect(clippy::cast_precision_loss, reason = "a single digit")]
            let weight = Weight::try_from_f64(w as f64).unwrap();
            let (left, right) = (Share::new(a, b, weight), Share::new(c, d, Weight::ONE));
            prop_assert_eq!(left.cmp(&right), (a * d).cmp(&(c * b * w)));
        }
    }
}
