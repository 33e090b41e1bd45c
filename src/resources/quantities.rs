//! [`Quantities`]: a map from resource name to amount, where an absent name is 0.

use super::text::parse_amounts;
use super::{ResourceError, Scalar, ScalarError};
use crate::json::{Number, Object};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;

/// The amount of each resource, by name, over all reservations, disks and revocability; a sorted map.
///
/// Minimums, guarantees and shares are quantities. An absent name has amount 0, and an amount of 0 is not kept, so that
/// equal quantities are equal values. For limits, where an absent name is unlimited, see [`Limits`](super::Limits).
///
/// In text it is `cpus:1.5;mem:1024`, where amounts of one name are added up; in JSON an object of numbers:
/// `{"cpus": 1.5}`.
///
/// # Examples
///
/// ```
/// use apportion::{Quantities, Resources, Scalar};
///
/// let agent: Resources = "cpus:1;cpus(eng):2;ports:[1-9]".parse()?;
/// assert_eq!(agent.quantities().amount("cpus"), Scalar::units(3));
/// assert_eq!(agent.quantities().amount("mem"), Scalar::ZERO);
///
/// let ask: Quantities = "cpus:2;gpus:1".parse()?;
/// assert_eq!(agent.quantities().missing(&ask).to_string(), "gpus:1");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Object<Number>", into = "BTreeMap<Text, Scalar>")]
pub struct Quantities(SmallVec<[(Text, Scalar); 4]>);

impl Quantities {
    /// Makes a map in which every amount is 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns true if every amount is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the amount of `name`, or 0 if it is absent.
    #[must_use]
    pub fn amount(&self, name: &str) -> Scalar {
        self.position(name).map_or(Scalar::ZERO, |i| self.0[i].1)
    }

    /// Iterates over the names with an amount in byte order, with their amounts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds to the amount of `name`. The sum may be above [`Scalar::MAX`], and saturates at 2^64 - 1 thousandths.
    pub fn add(&mut self, name: &str, amount: Scalar) {
        match self.position(name) {
            _ if amount.is_zero() => {}
            Ok(i) => self.0[i].1 += amount,
            Err(i) => self.0.insert(i, (Text::new(name), amount)),
        }
    }

    /// Subtracts from the amount of `name`, down to 0.
    pub fn sub(&mut self, name: &str, amount: Scalar) {
        if let Ok(i) = self.position(name) {
            self.0[i].1 -= amount;
            if self.0[i].1.is_zero() {
                self.0.remove(i);
            }
        }
    }

    /// Returns true if no amount of `other` is larger.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(name, amount)| self.amount(name) >= amount)
    }

    /// Returns the difference, or `None` if an amount of `other` is larger.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        self.contains(other).then(|| other.missing(self))
    }

    /// Returns how much of each amount of `wanted` these amounts fall short by; nothing if they [contain](Self::contains) it.
    #[must_use]
    pub fn missing(&self, wanted: &Self) -> Self {
        wanted.iter().map(|(name, amount)| (name, amount - self.amount(name))).collect()
    }

    /// Returns the index of `name`, or that at which to insert it.
    fn position(&self, name: &str) -> Result<usize, usize> {
        // Fast path: names that arrive in order, as those of a collection do, are appended.
        match self.0.last() {
            Some((last, _)) if last.as_str() < name => return Err(self.0.len()),
            _ => {}
        }
        self.0.binary_search_by(|(key, _)| key.as_str().cmp(name))
    }
}

impl<S: AsRef<str>> FromIterator<(S, Scalar)> for Quantities {
    fn from_iter<I: IntoIterator<Item = (S, Scalar)>>(amounts: I) -> Self {
        let mut quantities = Self::new();
        let mut is_sorted = true;
        for (name, amount) in amounts.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            let name = name.as_ref();
            match quantities.0.last_mut() {
                Some((last, total)) if last == name => *total += amount,
                last => {
                    is_sorted &= last.is_none_or(|(last, _)| last.as_str() < name);
                    quantities.0.push((Text::new(name), amount));
                }
            }
        }
        if !is_sorted {
            quantities.0.sort_by(|(a, _), (b, _)| a.cmp(b));
            quantities.0.dedup_by(|(name, amount), (last, total)| {
                let is_same = name == last;
                if is_same {
                    *total += *amount;
                }
                is_same
            });
        }
        quantities
    }
}

impl<S: AsRef<str>> Extend<(S, Scalar)> for Quantities {
    /// Adds amounts.
    fn extend<I: IntoIterator<Item = (S, Scalar)>>(&mut self, amounts: I) {
        amounts.into_iter().for_each(|(name, amount)| self.add(name.as_ref(), amount));
    }
}

impl AddAssign<&Self> for Quantities {
    /// Adds each amount; sums saturate as those of [`Quantities::add`] do.
    fn add_assign(&mut self, other: &Self) {
        self.extend(other.iter());
    }
}

impl SubAssign<&Self> for Quantities {
    /// Subtracts each amount, down to 0; see [`Quantities::checked_sub`].
    fn sub_assign(&mut self, other: &Self) {
        other.iter().for_each(|(name, amount)| self.sub(name, amount));
    }
}

impl FromStr for Quantities {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        parse_amounts(text).collect()
    }
}

impl TryFrom<Object<Number>> for Quantities {
    type Error = ScalarError;

    fn try_from(amounts: Object<Number>) -> Result<Self, ScalarError> {
        amounts.into_iter().map(|(name, amount)| Ok((name, Scalar::try_from(amount)?))).collect()
    }
}

impl From<Quantities> for BTreeMap<Text, Scalar> {
    fn from(quantities: Quantities) -> Self {
        quantities.0.into_iter().collect()
    }
}

impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, amount)) in self.0.iter().enumerate() {
            let semicolon = if i == 0 { "" } else { ";" };
            write!(f, "{semicolon}{name}:{amount}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Limits;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn amounts_in_any_order_are_as_if_added_one_by_one(
            amounts in prop::collection::vec(("[a-d]{1,2}", prop_oneof![0_u64..9, any::<u64>()]), 0..12),
        ) {
            let amounts = amounts.into_iter().map(|(name, milli)| (name, Scalar::milli(milli)));
            let mut plain = Quantities::new();
            amounts.clone().for_each(|(name, amount)| plain.add(&name, amount));
            prop_assert_eq!(amounts.collect::<Quantities>(), plain);
        }
    }

    fn quantities() -> impl Strategy<Value = Quantities> {
        prop::collection::vec(("[a-c]", 0_u64..4), 0..4)
            .prop_map(|amounts| amounts.into_iter().map(|(name, units)| (name, Scalar::units(units))).collect())
    }

    proptest! {
        #[test]
        fn sums_and_differences_are_those_of_each_name(a in quantities(), b in quantities()) {
            let (mut sum, mut rest) = (a.clone(), a.clone());
            sum += &b;
            rest -= &b;
            for name in ["a", "b", "c"] {
                let (mine, theirs) = (a.amount(name), b.amount(name));
                prop_assert_eq!(sum.amount(name), mine + theirs);
                prop_assert_eq!(rest.amount(name), mine - theirs);
                prop_assert_eq!(b.missing(&a).amount(name), mine - theirs);
            }
            let is_contained = ["a", "b", "c"].iter().all(|name| a.amount(name) >= b.amount(name));
            prop_assert_eq!(a.contains(&b), is_contained);
            prop_assert_eq!(a.checked_sub(&b), is_contained.then_some(rest));
            prop_assert_eq!(sum.checked_sub(&b), Some(a.clone()));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
        }
    }

    #[test]
    fn text_errors_name_the_item() {
        let cases = [
            ("cpus:1;mem", "mem", "expected name:amount"),
            (":1", ":1", "expected name:amount"),
            ("cpus(a):1", "cpus(a):1", "expected name:amount"),
            ("ports:[1-2]", "ports:[1-2]", "\"[1-2]\" is not an amount: expected a decimal number such as 1.5"),
            ("cpus:-1", "cpus:-1", "-1 is not an amount: expected 0 or more"),
        ];
        for (text, item, fault) in cases {
            for error in [text.parse::<Quantities>().unwrap_err(), text.parse::<Limits>().unwrap_err()] {
                assert_eq!((error.item.as_str(), error.fault.to_string().as_str()), (item, fault));
            }
        }
        assert_eq!("; cpus : 1;cpus:0.5;mem:0".parse::<Quantities>().unwrap().to_string(), "cpus:1.5");
    }

    #[test]
    fn many_names_in_any_order_are_read_soon() {
        let fields: Vec<String> = (0..80_000).rev().map(|i| format!("\"n{i:06}\":1")).collect();
        let json = format!("{{{}}}", fields.join(","));
        let (amounts, limits): (Quantities, Limits) =
            (serde_json::from_str(&json).unwrap(), serde_json::from_str(&json).unwrap());
        assert!(amounts.iter().all(|(name, amount)| limits.limit(name) == Some(amount)));
    }
}
