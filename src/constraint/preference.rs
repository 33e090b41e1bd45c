//! [`Preference`]: a constraint as a wish with a weight.

use super::{Candidate, Clause, Constraint, Placed};

/// How much a wish counts: from -100 to 100, and not 0. Below 0 it is something to avoid.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Weight(f64);

/// A number that is no [`Weight`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is not a weight: expected a number from -100 to 100, and not 0")]
pub struct WeightError {
    /// The number that was given.
    pub found: f64,
}

impl Weight {
    /// Checks a weight.
    ///
    /// # Errors
    ///
    /// [`WeightError`] for 0, for what is beyond the bounds, and for no number at all.
    pub fn new(weight: f64) -> Result<Self, WeightError> {
        if weight != 0.0 && (-100.0..=100.0).contains(&weight) {
            Ok(Self(weight))
        } else {
            Err(WeightError { found: weight })
        }
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Default for Weight {
    /// As much as any.
    fn default() -> Self {
        Self(100.0)
    }
}

/// A constraint as a wish: where it holds, its weight counts for the place (Fenzo's soft
/// constraints, Swarm's `~`, Nomad's affinities).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Preference {
    /// What is wished for.
    pub clause: Clause,
    /// How much.
    pub weight: Weight,
}

impl Preference {
    /// How well a place meets several wishes, from -1 to 1: the sum of the weights that hold, over
    /// the sum of all without their sign. No wishes: 0.
    #[must_use]
    pub fn score(wishes: &[Self], candidate: &Candidate<'_>, placed: &Placed) -> f64 {
        let all: f64 = wishes.iter().map(|wish| wish.weight.0.abs()).sum();
        let holds = |wish: &&Self| wish.clause.holds(candidate, placed);
        let met: f64 = wishes.iter().filter(holds).map(|wish| wish.weight.0).sum();
        if wishes.is_empty() { 0.0 } else { met / all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::{Condition, Location};

    #[test]
    fn weights_have_bounds_and_a_sign() {
        for good in [-100.0, -0.5, 1.0, 100.0] {
            assert_eq!(Weight::new(good).map(|weight| weight.0.to_bits()), Ok(good.to_bits()));
        }
        for bad in [0.0, 100.5, -101.0, f64::NAN, f64::INFINITY] {
            assert!(Weight::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_score_is_what_holds_of_what_there_is() {
        let wish =
            |text: &str, weight| Clause::from(text.parse::<Condition>().unwrap()).soften(Weight::new(weight).unwrap());
        let mut location = Location::new("h");
        location.attributes = "dc:dc1;kernel:4.9".parse().unwrap();
        let wishes =
            [wish("dc IS dc1", 100.0), wish("dc IS dc2", -100.0), wish("kernel GT 4", 50.0), wish("x EXISTS", 50.0)];
        let candidate = Candidate::new("/a", &location);
        let score = |wishes: &[Preference]| Preference::score(wishes, &candidate, &Placed::new()).to_string();
        assert_eq!((score(&wishes).as_str(), score(&[]).as_str()), ("0.5", "0"));
    }
}
