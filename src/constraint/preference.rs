//! [`Preference`]: a soft constraint, a clause with a weight.

use super::{Candidate, Clause, Constraint, Placed};

/// The weight of a soft constraint: from -100 to 100, and not 0. A negative weight marks locations to avoid.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct PreferenceWeight(f64);

/// A number that is not a valid [`PreferenceWeight`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is not a weight: expected a number from -100 to 100, and not 0")]
pub struct PreferenceWeightError {
    /// The number.
    pub found: f64,
}

impl PreferenceWeight {
    /// Validates a weight.
    ///
    /// # Errors
    ///
    /// [`PreferenceWeightError`] for 0, for a number out of bounds, and for NaN.
    pub fn new(weight: f64) -> Result<Self, PreferenceWeightError> {
        if weight != 0.0 && (-100.0..=100.0).contains(&weight) {
            Ok(Self(weight))
        } else {
            Err(PreferenceWeightError { found: weight })
        }
    }

    /// Returns the weight as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Default for PreferenceWeight {
    /// The largest weight, 100.
    fn default() -> Self {
        Self(100.0)
    }
}

/// A soft constraint: its weight counts for a location where the clause holds (Fenzo's soft constraints, Swarm's `~`,
/// Nomad's affinities).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Preference {
    /// The clause.
    pub clause: Clause,
    /// The weight.
    pub weight: PreferenceWeight,
}

impl Clause {
    /// Makes a soft constraint of the clause: it rejects no location, and its weight counts where it holds.
    #[must_use]
    pub fn soften(self, weight: PreferenceWeight) -> Preference {
        Preference { clause: self, weight }
    }
}

impl Preference {
    /// Returns the normalised score of a candidate, from -1 to 1: the sum of the weights of the preferences that hold,
    /// divided by the sum of the absolute values of all weights. Without preferences the score is 0.
    #[must_use]
    pub fn score(preferences: &[Self], candidate: &Candidate<'_>, placed: &Placed) -> f64 {
        let total: f64 = preferences.iter().map(|preference| preference.weight.0.abs()).sum();
        let holds = |preference: &&Self| preference.clause.holds(candidate, placed);
        let met: f64 = preferences.iter().filter(holds).map(|preference| preference.weight.0).sum();
        if preferences.is_empty() { 0.0 } else { met / total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::{Condition, Location};

    #[test]
    fn weights_have_bounds_and_a_sign() {
        for good in [-100.0, -0.5, 1.0, 100.0] {
            assert_eq!(PreferenceWeight::new(good).map(|weight| weight.0.to_bits()), Ok(good.to_bits()));
        }
        for bad in [0.0, 100.5, -101.0, f64::NAN, f64::INFINITY] {
            assert!(PreferenceWeight::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_score_is_the_weight_that_holds_over_all_weights() {
        let preference = |text: &str, weight| {
            Clause::from(text.parse::<Condition>().unwrap()).soften(PreferenceWeight::new(weight).unwrap())
        };
        let mut location = Location::new("h");
        location.attributes = "dc:dc1;kernel:4.9".parse().unwrap();
        let preferences = [
            preference("dc IS dc1", 100.0),
            preference("dc IS dc2", -100.0),
            preference("kernel GT 4", 50.0),
            preference("x EXISTS", 50.0),
        ];
        let candidate = Candidate::new("/a", &location);
        let score = |preferences: &[Preference]| Preference::score(preferences, &candidate, &Placed::new()).to_string();
        assert_eq!((score(&preferences).as_str(), score(&[]).as_str()), ("0.5", "0"));
    }
}
