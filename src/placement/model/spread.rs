//! [`Spread`]: a preference to divide the tasks of an app over the values of a field.

use crate::constraint::{Field, Tally};
use crate::text::Text;
use indexmap::IndexMap;

/// A preference to divide the tasks of an app over the values of a field: evenly, or by percents (Nomad's `spread`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// The field.
    pub field: Field,
    /// Its weight among the spreads of the app: above 0, up to 100.
    pub weight: f64,
    /// The percents of the app's instances for each value; `*` stands for all other values together, and gets what the
    /// named ones leave. None = all values alike.
    pub targets: Option<IndexMap<Text, f64>>,
}

impl Spread {
    /// Creates an even division, with the default weight of 50.
    #[must_use]
    pub fn evenly(field: Field) -> Self {
        Self { field, weight: 50.0, targets: None }
    }

    /// Returns the score of one more task with a value: (t - c - 1) / t, c tasks having it of a target of t.
    ///
    /// Without the field or a target the score is -1; with a target of 0 it is worse than any other.
    pub(in crate::placement) fn score(&self, value: Option<&str>, instances: u64, tally: &Tally, known: usize) -> f64 {
        let Some(value) = value else { return -1.0 };
        let instances = real(instances);
        let (target, count) = match &self.targets {
            None => (instances / real(known.max(1) as u64), tally.count(value)),
            Some(targets) => match (targets.get(value), targets.get("*")) {
                (Some(percent), _) => (instances * percent / 100.0, tally.count(value)),
                (None, Some(percent)) => (instances * percent / 100.0, count_unnamed(targets, tally)),
                (None, None) => return -1.0,
            },
        };
        if target > 0.0 { (target - real(count) - 1.0) / target } else { f64::NEG_INFINITY }
    }
}

/// Returns how many tasks have a value that is not named.
fn count_unnamed(targets: &IndexMap<Text, f64>, tally: &Tally) -> u64 {
    let others = tally.iter().filter(|(value, _)| value.is_some_and(|value| !targets.contains_key(value)));
    others.map(|(_, count)| count).sum()
}

#[expect(clippy::cast_precision_loss, reason = "instances are few enough for a double")]
fn real(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::{Location, Placed, PlacedTask};

    fn tally(values: &[&str]) -> Tally {
        let mut placed = Placed::new();
        for value in values {
            let location = Location { attributes: format!("dc:{value}").parse().unwrap(), ..Location::default() };
            placed.push(PlacedTask::new("/a", "t", location));
        }
        placed.tally("/a", &"dc".parse().unwrap()).into_owned()
    }

    #[test]
    fn the_score_is_the_part_of_the_target_that_is_still_missing() {
        let even = Spread::evenly("dc".parse().unwrap());
        let targets = |targets: &[(&str, f64)]| Spread {
            targets: Some(targets.iter().map(|(value, percent)| ((*value).into(), *percent)).collect()),
            ..even.clone()
        };
        let spread = targets(&[("dc1", 80.0), ("dc9", 0.0), ("*", 20.0)]);
        let cases: &[(Option<&str>, &[&str], f64)] = &[
            (Some("dc1"), &["dc1", "dc1"], 5.0 / 8.0),
            (Some("dc2"), &["dc1", "dc1"], 0.5), // what is left, for all others together
            (Some("dc3"), &["dc2"], 0.0),
            (Some("dc9"), &[], f64::NEG_INFINITY),
            (None, &[], -1.0),
        ];
        let same = |found: f64, expected: f64| assert_eq!(found.to_bits(), expected.to_bits());
        for (value, tasks, expected) in cases {
            same(spread.score(*value, 10, &tally(tasks), 0), *expected);
        }
        let full = targets(&[("dc1", 100.0)]);
        same(full.score(Some("dc2"), 10, &tally(&[]), 0), -1.0);
        same(even.score(Some("dc1"), 6, &tally(&["dc1"]), 3), 0.0);
    }
}
