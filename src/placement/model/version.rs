//! [`Version`]: the time of a change of an app, in ISO 8601.

use std::str::FromStr;

/// The time of a change of an app: it orders the versions of the app.
///
/// Text: `2026-08-01T12:30:00.000Z`; an offset such as `+02:00` may stand for the `Z`, seconds may
/// have up to nine decimals, and a date alone is its midnight.
///
/// # Examples
///
/// ```
/// use apportion::placement::Version;
///
/// let version = |text: &str| text.parse::<Version>();
/// assert!(version("2026-08-01T12:00:00Z")? < version("2026-08-01T12:00:00.5Z")?);
/// assert_eq!(version("2026-08-01T14:00:00+02:00")?, version("2026-08-01T12:00:00Z")?);
/// # Ok::<(), apportion::placement::VersionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Seconds since the beginning of 1970, UTC.
    seconds: i64,
    nanos: u32,
}

/// The error of text that is no [`Version`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found:?} is not a time: expected one such as 2026-08-01T12:30:00.000Z")]
pub struct VersionError {
    /// The text that was given.
    pub found: String,
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        read(text).ok_or_else(|| VersionError { found: text.to_owned() })
    }
}

fn read(text: &str) -> Option<Version> {
    let (date, clock) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let split = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(split);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    in_range.then_some(Version { seconds, nanos: nanos(fraction)? })
}

/// Reads three numbers of fixed lengths.
fn fields(text: &str, separator: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        *number = digits(parts.next()?, length)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn digits(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn nanos(fraction: &str) -> Option<u32> {
    let digits = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| format!("{fraction:0<9}").parse().ok()).flatten()
}

/// Reads the offset from UTC, in seconds; no offset is 0.
fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.as_bytes().first() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (zone.len() == 1).then_some(0),
        Some(b'-') => (-1, &zone[1..]),
        Some(_) => (1, &zone[1..]),
    };
    let (hours, minutes) = match rest.len() {
        2 => (rest, "00"),
        4 => rest.split_at_checked(2)?,
        _ => rest.split_once(':')?,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from the beginning of 1970 to a date, in the Gregorian calendar.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let past = year - 1;
    let leap_days =
        past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leap_days + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_1970() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01", 0),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2026-08-01T12:30:00.000Z", 1_785_587_400),
            ("2026-08-01T12:30:00+02:00", 1_785_580_200),
            ("2026-08-01T12:30:00-0130", 1_785_592_800),
            ("1969-12-31T23:59:59Z", -1),
        ];
        for (text, seconds) in cases {
            assert_eq!(text.parse(), Ok(Version { seconds, nanos: 0 }), "{text}");
        }
        let year_0 =
            ["0000-12-31T00:00:00Z", "0001-01-01T00:00:00Z"].map(|text| text.parse::<Version>().unwrap().seconds);
        assert_eq!(year_0[1] - year_0[0], 86_400);
        assert_eq!("1970-01-01T00:00:00.5Z".parse(), Ok(Version { seconds: 0, nanos: 500_000_000 }));
    }

    #[test]
    fn what_is_on_no_calendar_is_refused() {
        for bad in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00ZZ",
            "2026-01-01T00:00:00+2",
            "2026-01-01T00:00:00+ä1",
            "26-01-01T00:00:00Z",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
