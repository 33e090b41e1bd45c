//! [`Scalar`]: a fixed-point amount in thousandths.

use crate::json::{Number, Units};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub, SubAssign};
use std::str::FromStr;

/// A fixed-point amount of a scalar resource (cpus, MB of memory, GPUs), as an integer number of thousandths.
///
/// Arithmetic is exact: 0.1 + 0.2 is 0.3. Input is rounded to thousandths, half away from zero (Mesos, `values.cpp`).
///
/// `+`, `-`, `*` and sums saturate: at 0, and at 2^64 - 1 thousandths, which is far above [`Scalar::MAX`]. Where a difference
/// below 0 is an error, use [`checked_sub`](Self::checked_sub).
///
/// In text and in JSON it is a decimal number. JSON has all its digits in a journal; elsewhere an amount that is no whole
/// number and above 2^43, which a double does not tell from its neighbours, is a string of its digits.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
///
/// let third: Scalar = "0.3".parse()?;
/// assert_eq!(Scalar::milli(100).checked_add(Scalar::milli(200)), Some(third));
/// assert_eq!(Scalar::milli(1_500).to_string(), "1.5");
/// assert_eq!(Scalar::from(4) - Scalar::milli(1_500) * 2, Scalar::from(1));
/// assert_eq!([Scalar::from(1), third].iter().sum::<Scalar>(), Scalar::milli(1_300));
/// # Ok::<(), apportion::ScalarError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar(u64);

/// A number that is not a valid [`Scalar`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScalarError {
    /// The text is not a decimal number.
    #[error("{0:?} is not an amount: expected a decimal number such as 1.5")]
    NotANumber(String),
    /// The number is negative.
    #[error("{0} is not an amount: expected 0 or more")]
    Negative(String),
    /// The number is not 0, but rounds to 0 thousandths.
    #[error("{0} is too small to count: the smallest amount is 0.001")]
    TooSmall(String),
    /// The number is above [`Scalar::MAX`].
    #[error("{0} is too much: the largest amount is {max}", max = Scalar::MAX)]
    TooLarge(String),
}

impl Scalar {
    /// The amount 0.
    pub const ZERO: Self = Self(0);
    /// The largest amount of a resource: 9e15 thousandths, so that a double tells all whole thousandths apart. Sums over
    /// several resources may be larger.
    pub const MAX: Self = Self(9_000_000_000_000_000);

    /// Makes an amount of thousandths.
    #[must_use]
    pub const fn milli(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// Makes an amount of whole units, saturating at `u64::MAX` thousandths.
    #[must_use]
    pub const fn units(units: u64) -> Self {
        Self(units.saturating_mul(1000))
    }

    /// Returns the amount in thousandths.
    #[must_use]
    pub const fn as_milli(self) -> u64 {
        self.0
    }

    /// The amount, in thousandths, up to which each has a double that is nearer to it than to any other: 2^43 units.
    const MAX_DOUBLE: u64 = (1 << 43) * 1000;

    /// Returns the amount as the nearest double.
    ///
    /// [`Scalar::try_from_f64`] recovers the thousandths of whole units, and of any amount up to 2^43 (8,796,093,022,208)
    /// units. Above, doubles are farther apart than thousandths; the text form has all digits.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people; decisions use the integer")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns true for 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Rounds a number to thousandths, half away from zero.
    ///
    /// # Errors
    ///
    /// [`ScalarError`] for a number that is negative, NaN or above [`Scalar::MAX`], and for a non-zero number that
    /// rounds to 0.
    pub fn try_from_f64(number: f64) -> Result<Self, ScalarError> {
        if number.is_nan() {
            Err(ScalarError::NotANumber(number.to_string()))
        } else if number < 0.0 {
            Err(ScalarError::Negative(number.to_string()))
        } else if number > Self::MAX.as_f64() {
            Err(ScalarError::TooLarge(number.to_string()))
        } else {
            match nearest_milli(number) {
                0 if number > 0.0 => Err(ScalarError::TooSmall(number.to_string())),
                milli => Ok(Self(milli)),
            }
        }
    }

    /// Returns the sum, or `None` if it overflows 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Returns the difference, or `None` if it is negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Returns the difference, or 0 if it is negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<u32> for Scalar {
    /// Makes an amount of whole units.
    fn from(units: u32) -> Self {
        Self::units(units.into())
    }
}

impl Add for Scalar {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Scalar {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Scalar {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl SubAssign for Scalar {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Mul<u64> for Scalar {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Sum for Scalar {
    #[inline]
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl<'a> Sum<&'a Self> for Scalar {
    fn sum<I: Iterator<Item = &'a Self>>(amounts: I) -> Self {
        amounts.copied().sum()
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        match rest {
            0 => write!(f, "{whole}"),
            _ if rest % 100 == 0 => write!(f, "{whole}.{}", rest / 100),
            _ if rest % 10 == 0 => write!(f, "{whole}.{:02}", rest / 10),
            _ => write!(f, "{whole}.{rest:03}"),
        }
    }
}

impl FromStr for Scalar {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        if let Some(exact) = exact_milli(text) {
            return if exact > Self::MAX.0 { Err(ScalarError::TooLarge(text.to_owned())) } else { Ok(Self(exact)) };
        }
        match Number::new(text) {
            Some(number) => Self::try_from(number),
            None if text.starts_with(|c: char| c.is_ascii_digit()) && text.parse() == Ok(f64::INFINITY) => {
                Err(ScalarError::TooLarge(text.to_owned()))
            }
            None => Err(ScalarError::NotANumber(text.to_owned())),
        }
    }
}

/// Returns the nearest number of thousandths to a number from 0 to [`Scalar::MAX`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither negative nor too large")]
fn nearest_milli(number: f64) -> u64 {
    const LARGE: f64 = (1_u64 << 42) as f64;
    if number < LARGE {
        (number * 1000.0).round() as u64
    } else {
        // The product could round to a half, and the wrong way from there. The number is a multiple of 2^-10.
        ((number * 1024.0) as u64 * 1000 + 512) / 1024
    }
}

impl TryFrom<Number> for Scalar {
    type Error = ScalarError;

    fn try_from(number: Number) -> Result<Self, ScalarError> {
        let Some(digits) = number.digits() else { return Self::try_from_f64(number.nearest()) };
        match Units::of(digits, 3) {
            Units::Negative => Err(ScalarError::Negative(digits.to_owned())),
            Units::TooSmall => Err(ScalarError::TooSmall(digits.to_owned())),
            Units::Count(milli) if milli <= Self::MAX.0 => Ok(Self(milli)),
            Units::Count(_) | Units::TooLarge => Err(ScalarError::TooLarge(digits.to_owned())),
        }
    }
}

impl From<Scalar> for Number {
    fn from(amount: Scalar) -> Self {
        let is_double = amount.0 <= Scalar::MAX_DOUBLE || (amount <= Scalar::MAX && amount.0.is_multiple_of(1000));
        Self::exact(amount, amount.as_f64(), is_double)
    }
}

/// Parses a plain decimal with at most three places exactly, without rounding through a double.
fn exact_milli(text: &str) -> Option<u64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || places.len() > 3 {
        return None;
    }
    let digit = |number: Option<u64>, byte: u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number?.checked_mul(10)?.checked_add(digit)
    };
    let zeros = std::iter::repeat_n(b'0', 3 - places.len());
    whole.bytes().chain(places.bytes()).chain(zeros).fold(Some(0), digit)
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u64(self.0 / 1000)
        } else {
            Number::from(*self).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
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
    fn rounds_half_away_from_zero_to_thousandths() {
        let cases =
            [("1.0004", "1"), ("1.0005", "1.001"), ("0.0005", "0.001"), ("1e3", "1000"), ("4.", "4"), ("0", "0")];
        for (text, printed) in cases {
            assert_eq!(text.parse::<Scalar>().unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn operators_saturate() {
        let most = Scalar(u64::MAX);
        assert_eq!(
            (most + most, most * 2, most - most, Scalar(1) - Scalar(2)),
            (most, most, Scalar::ZERO, Scalar::ZERO)
        );
        let mut amount = Scalar::from(2);
        amount += Scalar::milli(1);
        amount -= Scalar::from(1);
        assert_eq!(amount * 3, Scalar::milli(3_003));
        assert_eq!([most, Scalar(1)].into_iter().sum::<Scalar>(), most);
    }

    #[test]
    fn invalid_amounts_are_errors() {
        use ScalarError::{Negative, NotANumber, TooLarge, TooSmall};
        for (text, error) in [
            ("", NotANumber as fn(String) -> ScalarError),
            ("nan", NotANumber),
            ("inf", NotANumber),
            ("1,5", NotANumber),
            ("-1", Negative),
            ("0.0004", TooSmall),
            ("9000000000000.001", TooLarge),
            ("1e300", TooLarge),
            ("99999999999999999999999", TooLarge),
        ] {
            let found = text.parse::<Scalar>().unwrap_err();
            assert_eq!(
                std::mem::discriminant(&found),
                std::mem::discriminant(&error(String::new())),
                "{text}: {found}"
            );
        }
    }

    /// Any amount, and as often one that a double does not tell from its neighbours.
    fn any_scalar() -> impl Strategy<Value = Scalar> {
        let max = Scalar::MAX.as_milli();
        prop_oneof![0..=max, 0..10_000_000_u64, (1_u64 << 42) * 1000..=max, Scalar::MAX_DOUBLE - 9..=max]
            .prop_map(Scalar)
    }

    proptest! {
        #[test]
        fn each_form_and_back_is_the_same(scalar in any_scalar()) {
            prop_assert_eq!(scalar.to_string().parse::<Scalar>(), Ok(scalar));
            prop_assert_eq!(Scalar::try_from(Number::from(scalar)), Ok(scalar));
            let (own, other) = (json::to_string(&scalar), serde_json::to_string(&scalar).unwrap());
            prop_assert_eq!(&own, &scalar.to_string());
            prop_assert_eq!(json::from_str::<Scalar>(&own).unwrap(), scalar);
            prop_assert_eq!(serde_json::from_str::<Scalar>(&other).unwrap(), scalar);
            prop_assert_eq!(serde_json::from_value::<Scalar>(serde_json::to_value(scalar).unwrap()).unwrap(), scalar);
            if scalar.0 <= Scalar::MAX_DOUBLE || scalar.0 % 1000 == 0 {
                prop_assert_eq!(Scalar::try_from_f64(scalar.as_f64()), Ok(scalar));
                prop_assert_eq!(&own, &other);
            }
        }
    }

    #[test]
    fn digits_are_read_and_written_to_the_last() {
        for text in ["8900000000000.001", "8999999999999.999", "4398046511104.001", "4503599627370.495"] {
            assert_eq!(text.parse::<Scalar>().unwrap().to_string(), text);
            assert_eq!(json::to_string(&json::from_str::<Scalar>(text).unwrap()), text);
        }
        assert_eq!(json::from_str::<Scalar>("8.9000000000000014E12").unwrap().to_string(), "8900000000000.001");
        assert_eq!("8900000000000.0010".parse(), Ok(Scalar::milli(8_900_000_000_000_001)));
    }
}
