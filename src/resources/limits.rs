//! [`Limits`]: a map from resource name to maximum, where an absent name is unlimited.

use super::{Scalar, ScalarError};
use crate::json::{Number, Object};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// The maximum amount of each resource, by name; a sorted map.
///
/// An absent name is unlimited, and a limit of 0 is kept. Both differ from [`Quantities`](super::Quantities), hence a
/// type of its own (Mesos, `resource_quantities.hpp`).
///
/// # Examples
///
/// ```
/// use apportion::{Limits, Scalar};
///
/// let limits = Limits::from_iter([("cpus", Scalar::units(8)), ("gpus", Scalar::ZERO)]);
/// assert_eq!(limits.limit("gpus"), Some(Scalar::ZERO));
/// assert_eq!(limits.limit("mem"), None);
/// ```
///
/// In JSON it is an object of numbers: `{"cpus": 1.5}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Object<Number>", into = "BTreeMap<SmolStr, Scalar>")]
pub struct Limits(SmallVec<[(SmolStr, Scalar); 4]>);

impl Limits {
    /// Makes a map without limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns true if no resource is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the limit of `name`, or `None` if it is unlimited. O(log names).
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<Scalar> {
        let position = self.0.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        Some(self.0[position].1)
    }

    /// Iterates over the limited names in byte order, with their limits.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.0.iter().map(|(name, limit)| (name.as_str(), *limit))
    }
}

impl<S: Into<SmolStr>> FromIterator<(S, Scalar)> for Limits {
    /// Collects limits; a later limit of a name replaces an earlier one.
    fn from_iter<I: IntoIterator<Item = (S, Scalar)>>(limits: I) -> Self {
        let sorted: BTreeMap<SmolStr, Scalar> = limits.into_iter().map(|(name, limit)| (name.into(), limit)).collect();
        Self(sorted.into_iter().collect())
    }
}

impl TryFrom<Object<Number>> for Limits {
    type Error = ScalarError;

    fn try_from(limits: Object<Number>) -> Result<Self, ScalarError> {
        limits.into_iter().map(|(name, limit)| Ok((name, Scalar::try_from(limit)?))).collect()
    }
}

impl From<Limits> for BTreeMap<SmolStr, Scalar> {
    fn from(limits: Limits) -> Self {
        limits.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_back_is_the_same() {
        let limits = Limits::from_iter([("mem", Scalar::ZERO), ("cpus", Scalar::milli(1_500))]);
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(json, r#"{"cpus":1.5,"mem":0}"#);
        assert_eq!(serde_json::from_str::<Limits>(&json).unwrap(), limits);
    }
}
