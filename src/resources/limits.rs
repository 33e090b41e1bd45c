//! [`Limits`]: a map from resource name to maximum, where an absent name is unlimited.

use super::text::parse_amounts;
use super::{ItemFault, ResourceError, Scalar, ScalarError};
use crate::json::{Number, Object};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

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
/// assert_eq!("cpus:8;gpus:0".parse(), Ok(limits));
/// ```
///
/// In text it is `cpus:1.5;gpus:0`, in JSON an object of numbers: `{"cpus": 1.5}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Object<Number>", into = "BTreeMap<Text, Scalar>")]
pub struct Limits(SmallVec<[(Text, Scalar); 4]>);

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

    /// Sets the limit of `name`, and returns the one before.
    pub fn insert(&mut self, name: impl Into<Text>, limit: Scalar) -> Option<Scalar> {
        let name = name.into();
        match self.0.binary_search_by(|(key, _)| key.cmp(&name)) {
            Ok(position) => Some(std::mem::replace(&mut self.0[position].1, limit)),
            Err(position) => {
                self.0.insert(position, (name, limit));
                None
            }
        }
    }

    /// Removes the limit of `name`, and returns it.
    pub fn remove(&mut self, name: &str) -> Option<Scalar> {
        let position = self.0.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        Some(self.0.remove(position).1)
    }

    /// Iterates over the limited names in byte order, with their limits.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.0.iter().map(|(name, limit)| (name.as_str(), *limit))
    }
}

impl<S: Into<Text>> FromIterator<(S, Scalar)> for Limits {
    /// Collects limits; a later limit of a name replaces an earlier one.
    fn from_iter<I: IntoIterator<Item = (S, Scalar)>>(limits: I) -> Self {
        let sorted: BTreeMap<Text, Scalar> = limits.into_iter().map(|(name, limit)| (name.into(), limit)).collect();
        Self(sorted.into_iter().collect())
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, limit)) in self.iter().enumerate() {
            let semicolon = if i == 0 { "" } else { ";" };
            write!(f, "{semicolon}{name}:{limit}")?;
        }
        Ok(())
    }
}

impl FromStr for Limits {
    type Err = ResourceError;

    /// Parses the text form; a name that is limited twice is an error.
    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let mut limits = BTreeMap::new();
        for limit in parse_amounts(text) {
            let (name, limit) = limit?;
            if limits.insert(Text::new(name), limit).is_some() {
                return Err(ItemFault::LimitedTwice(name.into()).of(format!("{name}:{limit}")));
            }
        }
        Ok(Self(limits.into_iter().collect()))
    }
}

impl TryFrom<Object<Number>> for Limits {
    type Error = ScalarError;

    fn try_from(limits: Object<Number>) -> Result<Self, ScalarError> {
        limits.into_iter().map(|(name, limit)| Ok((name, Scalar::try_from(limit)?))).collect()
    }
}

impl From<Limits> for BTreeMap<Text, Scalar> {
    fn from(limits: Limits) -> Self {
        limits.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_and_removed_one_by_one() {
        let mut limits = Limits::new();
        assert_eq!(limits.insert("mem", Scalar::ZERO), None);
        assert_eq!(limits.insert("cpus", Scalar::units(1)), None);
        assert_eq!(limits.insert("cpus", Scalar::units(2)), Some(Scalar::units(1)));
        assert_eq!(limits.to_string(), "cpus:2;mem:0");
        assert_eq!(limits.to_string().parse(), Ok(limits.clone()));
        assert_eq!((limits.remove("mem"), limits.remove("mem")), (Some(Scalar::ZERO), None));
        assert_eq!(limits, Limits::from_iter([("cpus", Scalar::units(2))]));
        let error = "cpus:1;cpus:2".parse::<Limits>().unwrap_err();
        assert_eq!(error.to_string(), "bad resource \"cpus:2\": \"cpus\" has a limit already");
    }

    #[test]
    fn json_and_back_is_the_same() {
        let limits = Limits::from_iter([("mem", Scalar::ZERO), ("cpus", Scalar::milli(1_500))]);
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(json, r#"{"cpus":1.5,"mem":0}"#);
        assert_eq!(serde_json::from_str::<Limits>(&json).unwrap(), limits);
    }
}
