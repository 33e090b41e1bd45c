//! [`UnreachableStrategy`]: when tasks on an agent that cannot be reached are replaced, and when they are given up.

use apportion::placement::{JsonNode, ReadError};
use std::time::Duration;

/// The longest duration that may be written, in seconds: a year.
const MAX_SECONDS: u64 = 365 * 86_400;

/// Marathon's `unreachableStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Marathon has these two")]
pub enum UnreachableStrategy {
    /// Such tasks are waited for, however long.
    Disabled,
    /// Such tasks are replaced after a while.
    Replace {
        /// `inactiveAfterSeconds`: the time after which another task takes the place of one.
        inactive_after: Duration,
        /// `expungeAfterSeconds`: the time after which one is no longer expected; if it returns, it is killed.
        expunge_after: Duration,
    },
}

impl UnreachableStrategy {
    /// Reads the strategy of an app. By default tasks are replaced at once, but for those with persistent volumes, which
    /// nothing replaces.
    pub(crate) fn read(app: JsonNode<'_>, has_volumes: bool) -> Result<Self, ReadError> {
        let at_once = Self::Replace { inactive_after: Duration::ZERO, expunge_after: Duration::ZERO };
        let Some(strategy) = app.get("unreachableStrategy") else {
            return Ok(if has_volumes { Self::Disabled } else { at_once });
        };
        if let Some(text) = strategy.json().as_str() {
            return if text == "disabled" { Ok(Self::Disabled) } else { Err(strategy.wrong("disabled, or an object")) };
        }
        strategy.object()?;
        let seconds = |key: &str| {
            let given = strategy.get(key).map(|given| given.whole(MAX_SECONDS)).transpose();
            given.map(|given| given.map(Duration::from_secs))
        };
        let inactive_after = seconds("inactiveAfterSeconds")?.unwrap_or_default();
        let expunge_after = seconds("expungeAfterSeconds")?.unwrap_or(inactive_after);
        if expunge_after < inactive_after {
            return Err(strategy.wrong("an expungeAfterSeconds that is not before inactiveAfterSeconds"));
        }
        Ok(Self::Replace { inactive_after, expunge_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_written_is_as_marathon_has_it() {
        let read = |app: serde_json::Value, has_volumes| {
            UnreachableStrategy::read(JsonNode::root(&app), has_volumes).map_err(|error| error.to_string())
        };
        let replace = |inactive, expunge| {
            let (inactive_after, expunge_after) = (Duration::from_secs(inactive), Duration::from_secs(expunge));
            Ok(UnreachableStrategy::Replace { inactive_after, expunge_after })
        };
        assert_eq!(read(json!({}), false), replace(0, 0));
        assert_eq!(read(json!({}), true), Ok(UnreachableStrategy::Disabled));
        assert_eq!(read(json!({"unreachableStrategy": "disabled"}), false), Ok(UnreachableStrategy::Disabled));
        let both = json!({"unreachableStrategy": {"inactiveAfterSeconds": 300, "expungeAfterSeconds": "600"}});
        assert_eq!(read(both, true), replace(300, 600));
        assert_eq!(read(json!({"unreachableStrategy": {"inactiveAfterSeconds": 300}}), false), replace(300, 300));
        for (wrong, message) in [
            (json!("enabled"), "unreachableStrategy: found \"enabled\", expected disabled, or an object"),
            (
                json!({"inactiveAfterSeconds": -1}),
                "unreachableStrategy.inactiveAfterSeconds: found -1, expected a whole",
            ),
            (json!({"inactiveAfterSeconds": 2, "expungeAfterSeconds": 1}), "unreachableStrategy: found {"),
        ] {
            let error = read(json!({"unreachableStrategy": wrong}), false).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
