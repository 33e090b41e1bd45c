//! [`UpgradeStrategy`] and [`KillSelection`]: what an app says of its own upgrades.

use apportion::placement::{JsonNode, ReadError};

/// Marathon's `upgradeStrategy`, in millionths of the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpgradeStrategy {
    /// `minimumHealthCapacity`: the share of the instances that stays up.
    pub(crate) minimum_health: u64,
    /// `maximumOverCapacity`: the share of the instances that may exist in addition.
    pub(crate) maximum_over: u64,
}

/// A share of 1, in millionths.
pub(crate) const ONE: u64 = 1_000_000;

impl UpgradeStrategy {
    /// The default: all stay up, and as many may be added.
    pub(crate) const FULL: Self = Self { minimum_health: ONE, maximum_over: ONE };

    /// The default of apps whose tasks have volumes: half of them stay up, and none is added.
    pub(crate) const RESIDENT: Self = Self { minimum_health: ONE / 2, maximum_over: 0 };

    /// The strategy of an app that never has two tasks.
    pub(crate) const SINGLE: Self = Self { minimum_health: 0, maximum_over: 0 };

    /// Reads the upgrade strategy of an app; both shares default to 1, and `default` holds where none is written.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    pub(crate) fn read(app: JsonNode<'_>, default: Self) -> Result<Self, ReadError> {
        let Some(strategy) = app.get("upgradeStrategy") else { return Ok(default) };
        strategy.object()?;
        let share = |key: &str| match strategy.get(key) {
            None => Ok(ONE),
            Some(given) => match given.number() {
                Ok(share) if (0.0..=1.0).contains(&share) => Ok((share * ONE as f64).round() as u64),
                _ => Err(given.wrong("a number from 0 to 1")),
            },
        };
        let minimum_health = share("minimumHealthCapacity")?;
        Ok(Self { minimum_health, maximum_over: share("maximumOverCapacity")? })
    }
}

/// The order in which an app's instances are killed (Marathon's `killSelection`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KillSelection {
    #[default]
    YoungestFirst,
    OldestFirst,
}
