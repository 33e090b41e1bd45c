//! Values of flags as Mesos writes them: durations, sizes, weights.

use apportion::allocator::Weight;
use apportion::{Domain, Limits, Quantities, ResourceError, Role};
use serde_json::Value as Json;
use std::time::Duration;

/// The reason why a text cannot be the value of a flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("expected a number and a unit of ns, us, ms, secs, mins, hrs, days or weeks, as in 15secs")]
    Duration,
    #[error("expected a number and a unit of B, KB, MB, GB or TB, as in 64MB")]
    Size,
    #[error("expected ROLE=WEIGHT, as in ads=2.5: {0}")]
    Weight(String),
    #[error("expected NAME:AMOUNT;..., and | between alternatives, as in cpus:0.01|mem:32: {0}")]
    Quantities(String),
    #[error("expected NAME:AMOUNT;..., and no amount of 0, as in cpus:1;mem:1024: {0}")]
    Chunk(String),
    #[error("expected REGION/ZONE, or a domain as Mesos' JSON has it")]
    Domain,
}

/// Reads a duration: `100ms`, `1secs`, `1.5mins`.
pub(crate) fn duration(text: &str) -> Result<Duration, ValueError> {
    apportion_http::parse_duration(text).ok_or(ValueError::Duration)
}

/// Reads a size in bytes: `64MB` is 64 · 2^20.
pub(crate) fn size(text: &str) -> Result<u64, ValueError> {
    let bytes = scaled(text, |unit| {
        Some(match unit {
            "B" => 1.0,
            "KB" => 1024.0,
            "MB" => 1024.0 * 1024.0,
            "GB" => 1024.0 * 1024.0 * 1024.0,
            "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return None,
        })
    });
    let bytes = bytes.filter(|bytes| (0.0..=9e15).contains(bytes)).ok_or(ValueError::Size)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in these bounds, as just checked")]
    Ok(bytes as u64)
}

/// Reads a number and scales it by its unit.
fn scaled(text: &str, scale: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let unit = text.find(|digit: char| !digit.is_ascii_digit() && digit != '.')?;
    let number: f64 = text[..unit].parse().ok()?;
    Some(number * scale(&text[unit..])?)
}

/// Reads the weights of roles: `a=2,b=1`.
pub(crate) fn weight(text: &str) -> Result<(Role, Weight), ValueError> {
    let wrong = |found: String| ValueError::Weight(found);
    let (role, weight) = text.split_once('=').ok_or_else(|| wrong(format!("{text:?} has no =")))?;
    let role = role.parse().map_err(|error: apportion::RoleError| wrong(error.to_string()))?;
    let weight = weight.parse().map_err(|error: apportion::allocator::WeightError| wrong(error.to_string()))?;
    Ok((role, weight))
}

/// Reads the amounts of which an offer must have one: `cpus:0.01|mem:32`.
pub(crate) fn minimums(text: &str) -> Result<Vec<Quantities>, ValueError> {
    let alternatives = text.split('|').filter(|alternative| !alternative.trim().is_empty());
    alternatives
        .map(|alternative| alternative.parse::<Quantities>().map_err(|error| ValueError::Quantities(error.to_string())))
        .collect()
}

/// Reads the most that an offer carries: `cpus:1;mem:1024`.
pub(crate) fn chunk(text: &str) -> Result<Limits, ValueError> {
    let chunk: Limits = text.parse().map_err(|error: ResourceError| ValueError::Chunk(error.to_string()))?;
    if chunk.is_empty() || chunk.iter().any(|(_, most)| most.is_zero()) {
        return Err(ValueError::Chunk(format!("found {text:?}")));
    }
    Ok(chunk)
}

/// Reads a fault domain: `eu/eu-a`, or Mesos' JSON.
pub(crate) fn domain(text: &str) -> Result<Domain, ValueError> {
    if let Ok(json) = serde_json::from_str::<Json>(text) {
        let name = |level: &str| json["fault_domain"][level]["name"].as_str().map(Into::into);
        return match (name("region"), name("zone")) {
            (Some(region), Some(zone)) => Ok(Domain { region, zone }),
            _ => Err(ValueError::Domain),
        };
    }
    match text.split_once('/') {
        Some((region, zone)) if !region.is_empty() && !zone.is_empty() => {
            Ok(Domain { region: region.into(), zone: zone.into() })
        }
        _ => Err(ValueError::Domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_those_of_mesos() {
        for (text, expected) in [
            ("100ms", Some(Duration::from_millis(100))),
            ("1secs", Some(Duration::from_secs(1))),
            ("1.5mins", Some(Duration::from_secs(90))),
            ("2hrs", Some(Duration::from_secs(7_200))),
            ("1weeks", Some(Duration::from_secs(604_800))),
            ("5", None),
            ("secs", None),
            ("5 secs", None),
            ("-1secs", None),
            ("1.2.3secs", None),
            ("9999999999999999999999weeks", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
        for (text, expected) in
            [("64MB", Some(64 << 20)), ("1.5KB", Some(1536)), ("0B", Some(0)), ("64", None), ("1PB", None)]
        {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn weights_minimums_and_domains_are_read_or_refused_with_a_reason() {
        assert_eq!(weight("a/b=2.5").unwrap().0.as_str(), "a/b");
        for wrong in ["a", "a=0", "a b=1", "a=x"] {
            assert!(weight(wrong).is_err(), "{wrong}");
        }
        assert_eq!(minimums("cpus:0.01|mem:32;cpus:1").unwrap().len(), 2);
        assert!(minimums("").unwrap().is_empty());
        assert!(minimums("cpus").is_err());
        let expected = Domain { region: "eu".into(), zone: "eu-a".into() };
        let json = r#"{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"eu-a"}}}"#;
        assert_eq!((domain("eu/eu-a"), domain(json)), (Ok(expected.clone()), Ok(expected)));
        for wrong in ["eu", "/a", "eu/", "{}"] {
            assert_eq!(domain(wrong), Err(ValueError::Domain), "{wrong}");
        }
    }
}
