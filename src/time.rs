//! [`Time`]: a point in time on the caller's clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::time::Duration;

/// A point in time: microseconds since an epoch that the caller chooses.
///
/// The library never reads a clock: every time is an argument. Unlike [`std::time::Instant`] a `Time` can be printed,
/// serialised and compared across machines, and it starts at 0. It ranges over some 584,000 years; arithmetic saturates
/// at [`Time::MAX`].
///
/// In JSON it is a number of seconds.
///
/// # Examples
///
/// ```
/// use apportion::Time;
/// use std::time::Duration;
///
/// let start = Time::from_secs(2);
/// assert_eq!(start + Duration::from_millis(500), Time::try_from_secs_f64(2.5)?);
/// assert_eq!((start + Duration::from_millis(500)).to_string(), "2.5");
/// # Ok::<(), apportion::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    micros: u64,
}

/// A number of seconds that is not a valid [`Time`] or duration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is not a time: expected seconds from 0 to {}", Time::MAX)]
pub struct TimeError {
    /// The number of seconds.
    pub found: f64,
}

impl Time {
    /// The epoch.
    pub const ZERO: Self = Self { micros: 0 };
    /// The latest time that can be represented.
    pub const MAX: Self = Self { micros: u64::MAX };

    /// Makes a time from seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { micros: secs.saturating_mul(1_000_000) }
    }

    /// Makes a time from microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }

    /// Makes a time from seconds since the epoch, rounded to the microsecond.
    ///
    /// # Errors
    ///
    /// [`TimeError`] for a number that is negative, too large, infinite or NaN.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against both bounds before")]
    pub fn try_from_secs_f64(secs: f64) -> Result<Self, TimeError> {
        let micros = (secs * 1e6).round();
        if (0.0..18_446_744_073_709_549_568.0).contains(&micros) {
            Ok(Self { micros: micros as u64 })
        } else {
            Err(TimeError { found: secs })
        }
    }

    /// Returns the microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.micros
    }

    /// Returns the seconds since the epoch, rounded to the nearest double.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds for people; exact up to 285 years")]
    pub fn as_secs_f64(self) -> f64 {
        self.micros as f64 / 1e6
    }

    /// Returns the duration from `earlier` to this time, or zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros.saturating_sub(earlier.micros))
    }

    /// Returns the first multiple of `interval` strictly after this time, or [`Time::MAX`] if there is none.
    ///
    /// An interval of less than a microsecond is rounded up to one.
    #[must_use]
    pub fn next_multiple_of(self, interval: Duration) -> Self {
        let step = micros(interval).max(1);
        Self { micros: (self.micros / step).saturating_add(1).saturating_mul(step) }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self { micros: self.micros.saturating_add(micros(span)) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.micros / 1_000_000, self.micros % 1_000_000);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            let fraction = format!("{rest:06}");
            write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.micros.is_multiple_of(1_000_000) {
            serializer.serialize_u64(self.micros / 1_000_000)
        } else {
            serializer.serialize_f64(self.as_secs_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_seconds_without_trailing_zeros() {
        let cases = [(0, "0"), (1_000_000, "1"), (2_500_000, "2.5"), (1, "0.000001"), (10_010_000, "10.01")];
        for (micros, text) in cases {
            assert_eq!(Time::from_micros(micros).to_string(), text);
        }
    }

    #[test]
    fn seconds_out_of_range_are_errors() {
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e18] {
            assert!(Time::try_from_secs_f64(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_multiple_is_strictly_later() {
        let second = Duration::from_secs(1);
        assert_eq!(Time::ZERO.next_multiple_of(second), Time::from_secs(1));
        assert_eq!(Time::from_secs(1).next_multiple_of(second), Time::from_secs(2));
        assert_eq!(Time::from_micros(1_500_000).next_multiple_of(second), Time::from_secs(2));
        assert_eq!(Time::MAX.next_multiple_of(second), Time::MAX);
    }

    #[test]
    fn json_is_a_number_of_seconds() {
        assert_eq!(serde_json::to_string(&Time::from_micros(500_000)).unwrap(), "0.5");
        assert_eq!(serde_json::to_string(&Time::from_secs(3)).unwrap(), "3");
        assert_eq!(serde_json::from_str::<Time>("2.5").unwrap(), Time::from_micros(2_500_000));
    }
}
