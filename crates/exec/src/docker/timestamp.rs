//! The engine's times: RFC 3339, in UTC.

use std::time::Duration;

/// Returns the time since the Unix epoch of `2026-11-27T23:12:29.712317133Z`; nothing for other forms, and for the zero time by which the engine says "never".
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    let digits =
        fraction.get(..fraction.len().min(9)).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    let nanos: u32 = format!("{digits:0<9}").parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Duration::new(seconds, nanos))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok().filter(|&number| number < 10_000));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar, counting years from March so that a leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - DAYS_TO_1970
}

/// The same count for 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_engine_are_read() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("1970-01-01T00:00:01.5Z", Some((1, 500_000_000))),
            ("2000-02-29T12:00:00Z", Some((951_825_600, 0))),
            ("2026-11-27T23:12:29.712317133Z", Some((1_795_821_149, 712_317_133))),
            ("2026-11-27T23:12:29.7123171339Z", Some((1_795_821_149, 712_317_133))),
            ("0001-01-01T00:00:00Z", None),
            ("2026-11-27T23:12:29+01:00", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-27", None),
            ("line without a time", None),
            ("2026-11-27T23:12:29.éZ", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected.map(|(seconds, nanos)| Duration::new(seconds, nanos)), "{text}");
        }
    }
}
