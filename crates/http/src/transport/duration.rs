//! Durations as Mesos writes them.

use std::time::Duration;

/// Reads a duration as Mesos writes it: a number and `ns`, `us`, `ms`, `secs`, `mins`, `hrs`, `days` or `weeks`.
///
/// # Examples
///
/// ```
/// use apportion_http::parse_duration;
/// use std::time::Duration;
///
/// assert_eq!(parse_duration("1.5mins"), Some(Duration::from_secs(90)));
/// assert_eq!(parse_duration("100"), None); // of what?
/// ```
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.find(|digit: char| !digit.is_ascii_digit() && digit != '.')?;
    let scale = match &text[unit..] {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3_600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    let number: f64 = text[..unit].parse().ok()?;
    Duration::try_from_secs_f64(number * scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        for (text, expected) in [
            ("100ms", Some(Duration::from_millis(100))),
            ("0ns", Some(Duration::ZERO)),
            ("1secs", Some(Duration::from_secs(1))),
            ("2s", Some(Duration::from_secs(2))),
            ("2hrs", Some(Duration::from_secs(7_200))),
            ("1weeks", Some(Duration::from_secs(604_800))),
            ("", None),
            ("secs", None),
            ("-1secs", None),
            ("1.2.3secs", None),
            ("1fortnights", None),
            ("99999999999999999999weeks", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
