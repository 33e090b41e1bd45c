//! [`Limits`]: name → the most there may be. An absent name is not limited.

use super::{Scalar, ScalarError};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// The most that may be held, by resource name.
///
/// A name that is absent is not limited, and a limit of 0 is a limit: in both the opposite of
/// [`Quantities`](super::Quantities), and so a type of its own (Mesos, `resource_quantities.hpp`).
///
/// In JSON it is an object of numbers: `{"cpus": 1.5}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<SmolStr, f64>", into = "BTreeMap<SmolStr, Scalar>")]
pub struct Limits(SmallVec<[(SmolStr, Scalar); 4]>);

impl Limits {
    /// No limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limit of `name`, if it has one.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<Scalar> {
        self.0.iter().find(|(mine, _)| mine == name).map(|(_, limit)| *limit)
    }

    /// The names that are limited, in byte order, with their limits.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.0.iter().map(|(name, limit)| (name.as_str(), *limit))
    }
}

impl<S: Into<SmolStr>> FromIterator<(S, Scalar)> for Limits {
    /// Of two limits for one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (S, Scalar)>>(limits: I) -> Self {
        let sorted: BTreeMap<SmolStr, Scalar> = limits.into_iter().map(|(name, limit)| (name.into(), limit)).collect();
        Self(sorted.into_iter().collect())
    }
}

impl TryFrom<BTreeMap<SmolStr, f64>> for Limits {
    type Error = ScalarError;

    fn try_from(limits: BTreeMap<SmolStr, f64>) -> Result<Self, ScalarError> {
        limits.into_iter().map(|(name, limit)| Ok((name, Scalar::try_from_f64(limit)?))).collect()
    }
}

impl From<Limits> for BTreeMap<SmolStr, Scalar> {
    fn from(limits: Limits) -> Self {
        limits.0.into_iter().collect()
    }
}
