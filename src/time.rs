//! [`Time`]: a point in time on the caller's clock.

use crate::json::{Number, Units};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;
use std::time::Duration;

/// A point in time: microseconds since an epoch that the caller chooses.
///
/// The library never reads a clock: every time is an argument. Unlike [`std::time::Instant`] a `Time` can be printed,
/// serialised and compared across machines, and it starts at 0. It ranges over some 584,000 years; arithmetic saturates
/// at [`Time::MAX`].
///
/// In text and in JSON it is a number of seconds. It has all its digits in a journal; elsewhere a time that is not in whole seconds and
/// after 2^33 s (272 years), which a double does not tell from its neighbours, is a string of its digits.
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
/// assert_eq!("2.5".parse(), Ok(Time::from_millis(2_500)));
/// assert_eq!(Time::from_millis(2_500) - start, Duration::from_millis(500));
/// # Ok::<(), apportion::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    micros: u64,
}

/// A number of seconds that is not a valid [`Time`] or duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is not a time: expected seconds from 0 to {}", Time::MAX)]
pub struct TimeError {
    /// The number of seconds, or the text that is none.
    pub found: String,
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

    /// Makes a time from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { micros: millis.saturating_mul(1000) }
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
    pub fn try_from_secs_f64(secs: f64) -> Result<Self, TimeError> {
        let micros = if secs.is_finite() && secs > -1.0 { nearest_micros(secs) } else { -1 };
        u64::try_from(micros).map(Self::from_micros).map_err(|_| TimeError { found: secs.to_string() })
    }

    /// Returns the microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.micros
    }

    /// The time, in microseconds, up to which each has a double that is nearer to it than to any other: 2^33 s.
    const MAX_DOUBLE: u64 = (1 << 33) * 1_000_000;

    /// Returns the seconds since the epoch as the nearest double.
    ///
    /// [`Time::try_from_secs_f64`] recovers the microseconds of whole seconds, and of any time up to 2^33 s (272 years).
    /// After it doubles are farther apart than microseconds; the text form has all digits.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds for people; decisions use the integer")]
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

/// Returns the nearest number of microseconds to a finite number of seconds.
#[expect(clippy::cast_possible_truncation, reason = "far below 2^127, or saturates, which is out of range too")]
fn nearest_micros(secs: f64) -> i128 {
    const LARGE: f64 = (1_u64 << 32) as f64;
    if secs < LARGE {
        (secs * 1e6).round() as i128
    } else {
        // The product could round to a half, and the wrong way from there. The number is a multiple of 2^-20.
        ((secs * f64::from(1 << 20)) as i128).saturating_mul(1_000_000).saturating_add(1 << 19) >> 20
    }
}

impl TryFrom<Number> for Time {
    type Error = TimeError;

    fn try_from(number: Number) -> Result<Self, TimeError> {
        let Some(digits) = number.digits() else { return Self::try_from_secs_f64(number.nearest()) };
        match Units::of(digits, 6) {
            Units::TooSmall => Ok(Self::ZERO),
            Units::Count(micros) => Ok(Self::from_micros(micros)),
            Units::Negative | Units::TooLarge => Err(TimeError { found: digits.to_owned() }),
        }
    }
}

impl From<Time> for Number {
    fn from(time: Time) -> Self {
        let is_double = time.micros <= Time::MAX_DOUBLE || time.micros.is_multiple_of(1_000_000);
        Self::exact(time, time.as_secs_f64(), is_double)
    }
}

/// A span as a number of seconds, cut to microseconds and to [`Time::MAX`].
impl From<Duration> for Number {
    fn from(span: Duration) -> Self {
        (Time::ZERO + span).into()
    }
}

/// The serde form of a span: a number of seconds, cut to microseconds and to [`Time::MAX`].
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, Time};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        (Time::ZERO + *span).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Ok(Time::deserialize(deserializer)?.since(Time::ZERO))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl From<Duration> for Time {
    /// Makes the time that long after the epoch, cut to microseconds.
    fn from(since_epoch: Duration) -> Self {
        Self::ZERO + since_epoch
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self { micros: self.micros.saturating_add(micros(span)) }
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    /// Returns the time that much earlier, or [`Time::ZERO`] if that is before the epoch.
    fn sub(self, span: Duration) -> Self {
        Self { micros: self.micros.saturating_sub(micros(span)) }
    }
}

impl Sub for Time {
    type Output = Duration;

    /// Returns [`Time::since`]: zero if the other time is later.
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl FromStr for Time {
    type Err = TimeError;

    /// Parses a number of seconds, as [`Display`](fmt::Display) prints it.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let number = Number::new(text).ok_or_else(|| TimeError { found: format!("{text:?}") })?;
        Self::try_from(number)
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
            Number::from(*self).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Number::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    #[test]
    fn prints_seconds_without_trailing_zeros() {
        let cases = [(0, "0"), (1_000_000, "1"), (2_500_000, "2.5"), (1, "0.000001"), (10_010_000, "10.01")];
        for (micros, text) in cases {
            assert_eq!(Time::from_micros(micros).to_string(), text);
        }
    }

    #[test]
    fn seconds_out_of_range_are_errors() {
        for bad in [-1.0, -1e-6, f64::NAN, f64::INFINITY, -f64::INFINITY, 1e18, 1e300, 18_446_744_073_709.56] {
            assert!(Time::try_from_secs_f64(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let (second, mut time) = (Duration::from_secs(1), Time::from_millis(1_500));
        time += second;
        assert_eq!(
            (time - second, time - Time::from_secs(1)),
            (Time::from_millis(1_500), Duration::from_millis(1_500))
        );
        assert_eq!((Time::MAX + second, Time::ZERO - second), (Time::MAX, Time::ZERO));
        assert_eq!((Time::from_millis(u64::MAX), Time::ZERO - time), (Time::MAX, Duration::ZERO));
    }

    #[test]
    fn text_that_is_no_time_is_told() {
        for (text, found) in [("soon", "\"soon\""), ("-1", "-1"), ("", "\"\""), ("1e18", "1e18")] {
            assert_eq!(text.parse::<Time>(), Err(TimeError { found: found.into() }));
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

    proptest! {
        #[test]
        fn each_form_and_back_is_the_same(micros in prop_oneof![
            any::<u64>(), 0..10_000_000_u64, (1_u64 << 32) * 1_000_000..(1_u64 << 34) * 1_000_000,
        ]) {
            let time = Time::from_micros(micros);
            let (own, other) = (json::to_string(&time), serde_json::to_string(&time).unwrap());
            let as_number = json::to_string(&Number::from(time));
            prop_assert_eq!(as_number.trim_end_matches(".0"), &time.to_string());
            prop_assert_eq!(&own, &time.to_string());
            prop_assert_eq!(own.parse(), Ok(time));
            prop_assert_eq!(json::from_str::<Time>(&own).unwrap(), time);
            prop_assert_eq!(serde_json::from_str::<Time>(&other).unwrap(), time);
            if micros <= Time::MAX_DOUBLE || micros % 1_000_000 == 0 {
                prop_assert_eq!(Time::try_from_secs_f64(time.as_secs_f64()), Ok(time));
            }
        }
    }

    #[test]
    fn the_last_time_and_the_longest_span_are_numbers() {
        for number in [Number::from(Time::MAX), Number::from(Duration::MAX)] {
            let text = json::to_string(&number);
            assert_eq!(text, "18446744073709.551615");
            assert_eq!(json::from_str::<Time>(&text).unwrap(), Time::MAX);
        }
        assert!(json::from_str::<Time>("18446744073709.551616").is_err());
        assert!(json::from_str::<Time>("-0.00000100000000000").is_err());
    }
}
