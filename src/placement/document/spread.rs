//! Reads the spreads of an app.

use super::grammar;
use super::reader::{Node, ReadError};
use crate::placement::model::spread::Spread;
use crate::text::Text;
use indexmap::IndexMap;

/// The rounding error that a sum of percents may have.
const TOLERANCE: f64 = 1e-9;

impl Spread {
    pub(super) fn read(node: Node<'_>) -> Result<Self, ReadError> {
        node.only(&["field", "weight", "targets"])?;
        let mut spread = Self::evenly(grammar::field(node.required("field", "a field")?, "spread")?);
        if let Some(weight) = node.get("weight") {
            spread.weight = weight.number()?;
            if !(spread.weight > 0.0 && spread.weight <= 100.0) {
                return Err(weight.wrong("a number above 0, up to 100"));
            }
        }
        if let Some(node) = node.get("targets") {
            let mut targets = IndexMap::new();
            for (value, percent) in node.members()? {
                let number = percent.number()?;
                if !(0.0..=100.0).contains(&number) {
                    return Err(percent.wrong("a number of percents from 0 to 100"));
                }
                targets.insert(Text::from(value), number);
            }
            let sum: f64 = targets.values().sum();
            if sum > 100.0 + TOLERANCE {
                return Err(node.wrong("percents that add up to 100 at most"));
            }
            if !targets.contains_key("*") && sum < 100.0 - TOLERANCE {
                targets.insert("*".into(), 100.0 - sum);
            }
            // Empty targets give all values one target together, which ranks no value above another.
            spread.targets = Some(targets);
        }
        Ok(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn read(json: Json) -> Result<Spread, ReadError> {
        Spread::read(Node::root(&json))
    }

    #[test]
    fn the_rest_goes_to_all_other_values() {
        let targets = |json: Json| read(json).unwrap().targets.unwrap().into_iter().collect::<Vec<_>>();
        let named = targets(json!({"field": "dc", "targets": {"dc1": 80, "dc9": 0}}));
        assert_eq!(named, [("dc1".into(), 80.0), ("dc9".into(), 0.0), ("*".into(), 20.0)]);
        assert_eq!(targets(json!({"field": "dc", "targets": {"dc1": 100}})), [("dc1".into(), 100.0)]);
        assert!(read(json!({"field": "dc"})).unwrap().targets.is_none());
    }

    #[test]
    fn malformed_spreads_are_rejected() {
        for (json, why) in [
            (json!({}), "field: is not there"),
            (json!({"field": "@app"}), "field: spread does not go with @app"),
            (json!({"field": "dc", "weight": 0}), "weight: found 0, expected a number above 0"),
            (json!({"field": "dc", "targets": {"a": 60, "b": 60}}), "add up to 100"),
            (json!({"field": "dc", "targets": {"a": -1}}), "targets.a: found -1"),
            (json!({"field": "dc", "percents": {}}), "unknown key \"percents\""),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
