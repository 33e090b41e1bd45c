//! [`Number`]: a JSON number that keeps its digits where a double would lose some.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// The name of the newtype for which [`from_str`](super::from_str) gives the text of a number, and in which
/// [`to_string`](super::to_string) takes text as a number. For other formats such a newtype is what it contains.
pub(crate) const DIGITS: &str = "$apportion::digits";

/// A number from which a double can be off by a unit of our smallest (a microsecond) if it has a fraction: 2^32.
const LARGE: f64 = 4_294_967_296.0;

/// The number of significant digits up to which different decimals are different doubles.
const MAX_DOUBLE_DIGITS: usize = 15;

/// A number of JSON: the nearest double, and its text if the double does not tell it from its neighbours.
///
/// Formats other than [`json`](super) write the text as a string, and such a string is read back; any other string is not
/// a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    nearest: f64,
    digits: Option<Box<str>>,
}

impl Number {
    /// Makes a number of its text, or `None` if it is not a finite number.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let nearest = is_numeric.then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())?;
        Some(Self { nearest, digits: needs_digits(text, nearest).then(|| text.into()) })
    }

    /// Makes a number of its decimal text, without the text if `is_double` says that the nearest double is enough.
    pub(crate) fn exact(decimal: impl fmt::Display, nearest: f64, is_double: bool) -> Self {
        Self { nearest, digits: (!is_double).then(|| decimal.to_string().into()) }
    }

    /// Returns the nearest double.
    pub(crate) fn nearest(&self) -> f64 {
        self.nearest
    }

    /// Returns the text, if the nearest double does not tell the number from its neighbours.
    pub(crate) fn digits(&self) -> Option<&str> {
        self.digits.as_deref()
    }
}

/// Returns true if the double nearest to the number of this text may be that of another number of its length too.
fn needs_digits(text: &str, nearest: f64) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let is_whole = mantissa.len() == text.len() && !mantissa.contains('.');
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let significant = mantissa.bytes().filter(is_digit).skip_while(|digit| *digit == b'0').count();
    significant > MAX_DOUBLE_DIGITS || (nearest.abs() >= LARGE && !is_whole)
}

/// The whole number of units that is nearest to a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// The decimal is below 0.
    Negative,
    /// The decimal is not 0, but rounds to 0.
    TooSmall,
    /// A number of units.
    Count(u64),
    /// More than 2^64 - 1 units.
    TooLarge,
}

impl Units {
    /// Rounds a decimal, which is the text of a [`Number`], to units of 10^-`places`, half away from zero.
    pub(crate) fn of(decimal: &str, places: usize) -> Self {
        let (mantissa, exponent) = decimal.split_once(['e', 'E']).unwrap_or((decimal, "0"));
        let mantissa = mantissa.trim_start_matches(['+', '-']);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes()).map(|digit| u64::from(digit.saturating_sub(b'0')));
        if digits().all(|digit| digit == 0) {
            return Self::Count(0);
        }
        if decimal.starts_with('-') {
            return Self::Negative;
        }
        // An exponent that does not fit stands for a number beyond all others.
        let beyond = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let before_point = i64::try_from(whole.len() + places).unwrap_or(i64::MAX);
        let Ok(kept) = u64::try_from(before_point.saturating_add(exponent.parse().unwrap_or(beyond))) else {
            return Self::TooSmall;
        };
        let (mut rest, mut count) = (digits(), 0_u64);
        for _ in 0..kept {
            // The digits are not all 0, so that this ends after a few more than there are.
            match count.checked_mul(10).and_then(|tens| tens.checked_add(rest.next().unwrap_or(0))) {
                Some(more) => count = more,
                None => return Self::TooLarge,
            }
        }
        let is_up = rest.next().is_some_and(|digit| digit >= 5);
        match count.checked_add(is_up.into()) {
            Some(0) => Self::TooSmall,
            Some(rounded) => Self::Count(rounded),
            None => Self::TooLarge,
        }
    }
}

impl From<f64> for Number {
    fn from(nearest: f64) -> Self {
        Self { nearest, digits: None }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.digits {
            Some(digits) => serializer.serialize_newtype_struct(DIGITS, digits),
            None => serializer.serialize_f64(self.nearest),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DIGITS, TextVisitor)
    }
}

/// Takes the text of a number, of a deserializer that knows [`DIGITS`], or else any number.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        Number::new(text).ok_or_else(|| E::custom(format_args!("number out of range: {text}")))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
        TextVisitor.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
        TextVisitor.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
        Ok(number.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        let number = Number::new(text).filter(|number| number.digits.is_some());
        number.ok_or_else(|| E::invalid_type(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept_where_a_double_would_lose_some() {
        let cases = [
            ("8900000000000.001", true),
            ("18446744073709.551615", true),
            ("4294967296.5", true),
            ("42949672965e-1", true),
            ("9007199254740993", true),
            ("4294967295.5", false),
            ("9000000000000", false),
            ("0.001", false),
            ("1e3", false),
            ("-1", false),
        ];
        for (text, kept) in cases {
            let number = Number::new(text).unwrap();
            assert_eq!(number.digits(), kept.then_some(text), "{text}");
            assert_eq!(super::super::from_str::<Number>(text).unwrap(), number, "{text}");
        }
        for text in ["", "-", "nan", "inf", "1e999", "1,5", "e"] {
            assert_eq!(Number::new(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        let cases = [
            ("1.0005", Units::Count(1001)),
            ("1.00049999999999999999999", Units::Count(1000)),
            ("18446744073709551.615", Units::Count(u64::MAX)),
            ("18446744073709551.6155", Units::TooLarge),
            ("18446744073709551616", Units::TooLarge),
            ("1e99999999999999999999", Units::TooLarge),
            ("0e99999999999999999999", Units::Count(0)),
            ("1e-99999999999999999999", Units::TooSmall),
            ("0.00049", Units::TooSmall),
            ("0.0005", Units::Count(1)),
            ("8.900000000000001E+12", Units::Count(8_900_000_000_000_001)),
            ("89000e-1", Units::Count(8_900_000)),
            ("0.0000000001e+10", Units::Count(1000)),
            (".5", Units::Count(500)),
            ("4.", Units::Count(4000)),
            ("-0.0", Units::Count(0)),
            ("-0.1", Units::Negative),
        ];
        for (decimal, units) in cases {
            assert_eq!(Units::of(decimal, 3), units, "{decimal}");
        }
    }

    #[test]
    fn other_formats_write_the_digits_as_a_string() {
        let number = Number::new("8900000000000.001").unwrap();
        assert_eq!(super::super::to_string(&number), "8900000000000.001");
        let quoted = serde_json::to_string(&number).unwrap();
        assert_eq!(quoted, r#""8900000000000.001""#);
        assert_eq!(serde_json::from_str::<Number>(&quoted).unwrap(), number);
        assert_eq!(super::super::from_str::<Number>(&quoted).unwrap(), number);
        for text in [r#""4""#, r#""many""#, "true", "null", "[]"] {
            assert!(serde_json::from_str::<Number>(text).is_err() && super::super::from_str::<Number>(text).is_err());
        }
    }
}
