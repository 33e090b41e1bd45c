//! [`Operator`]: the operators of conditions, with their parsed operands.

use super::{ConditionError, rounded};
use crate::attributes::AttributeValue;
use crate::pattern::{Regex, RegexError};
use crate::text::Text;
use std::fmt;
use std::num::NonZeroU64;

/// An operator with its parsed operand.
///
/// The operators in [`Operator::MARATHON`] have Marathon's semantics. The counting operators (`UNIQUE`, `CLUSTER`,
/// `GROUP_BY`, `MAX_PER`, `MAX_SKEW`, `EXCLUSIVE`) take a field of a location. The value operators take a field of
/// tasks too: there a value operator matches if any value of the field does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operator {
    /// `UNIQUE`: no task of the app has the value.
    Unique,
    /// `CLUSTER`: the value is the operand; without an operand, the value of the app's first task.
    Cluster(Option<Text>),
    /// `GROUP_BY`: the tasks of the app are divided evenly over that many values; without an operand, over all values.
    GroupBy(Option<NonZeroU64>),
    /// `MAX_PER`: at most that many tasks of the app have the value.
    MaxPer(u64),
    /// `LIKE`: the pattern matches the whole value.
    Like(Pattern),
    /// `UNLIKE`: the pattern does not match the whole value, or there is no value.
    Unlike(Pattern),
    /// `IS`: the value equals the operand.
    Is(Literal),
    /// `IS_NOT`: the value differs from the operand, or there is no value.
    IsNot(Literal),
    /// `IN`: the value is in the list.
    In(Vec<Literal>),
    /// `NOT_IN`: the value is not in the list, or there is no value.
    NotIn(Vec<Literal>),
    /// `HAS`: the value (a set, ranges or comma-separated text) contains every element of the list.
    Has(Vec<Literal>),
    /// `LACKS`: the negation of `HAS`; it also holds if there is no value.
    Lacks(Vec<Literal>),
    /// `EXISTS`: there is a value.
    Exists,
    /// `ABSENT`: there is no value.
    Absent,
    /// `GT`, `GE`, `LT`, `LE`: the value is a number, and the comparison with the operand holds.
    Compare(Comparison, f64),
    /// `MAX_SKEW`: with one more task, the value has at most so many tasks more than any other topology domain.
    MaxSkew(NonZeroU64),
    /// `EXCLUSIVE`: no task of any app has the value.
    Exclusive,
}

/// An order comparison of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these four are all the orders but equality")]
pub enum Comparison {
    /// `GT`: the value is greater.
    Greater,
    /// `GE`: the value is greater or equal.
    AtLeast,
    /// `LT`: the value is less.
    Less,
    /// `LE`: the value is less or equal.
    AtMost,
}

impl Comparison {
    pub(super) fn holds(self, value: f64, operand: f64) -> bool {
        match self {
            Self::Greater => value > operand,
            Self::AtLeast => value >= operand,
            Self::Less => value < operand,
            Self::AtMost => value <= operand,
        }
    }
}

/// The unparsed operand of a condition.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these three")]
pub enum Operand {
    /// Text.
    Text(Text),
    /// A number.
    Number(f64),
    /// A list of texts or numbers.
    List(Vec<Self>),
}

impl Operand {
    fn text(&self) -> Option<Text> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(rounded(*number).into()),
            Self::List(_) => None,
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within both bounds")]
    fn whole_number(&self) -> Option<u64> {
        match self {
            Self::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            Self::Number(number) if number.fract() == 0.0 && (0.0..9e15).contains(number) => Some(*number as u64),
            Self::Text(_) | Self::Number(_) | Self::List(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => number(text),
            Self::Number(number) => Some(*number),
            Self::List(_) => None,
        }
    }
}

/// Parses a number by the rules of attributes.
pub(super) fn number(text: &str) -> Option<f64> {
    match text.parse() {
        Ok(AttributeValue::Scalar(number)) => Some(number),
        _ => None,
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => number.fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A literal that values are compared with. A number also equals the text that attributes print for it: `1.0` equals
/// `1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    text: Text,
    rounded: Option<Text>,
}

impl Literal {
    /// Makes a literal from text such as `rack-1` or `1.0`.
    pub fn new(text: impl Into<Text>) -> Self {
        let text = text.into();
        let rounded = number(&text).map(|number| rounded(number).into()).filter(|rounded| *rounded != text);
        Self { text, rounded }
    }

    /// Returns true if the value equals the literal.
    #[must_use]
    pub fn equals(&self, value: &str) -> bool {
        self.text == value || self.rounded.as_ref().is_some_and(|rounded| rounded == value)
    }

    /// Returns the text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A regular expression that must match the whole value.
///
/// Matching takes time linear in the length of the value (no look-around, no back-references), and the size of the
/// compiled expression is limited.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Text,
    regex: Regex,
}

/// The largest size of a compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 22;

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// [`ConditionError::Pattern`] for invalid syntax, or an expression that is too large; [`ConditionError::NoPatterns`] in a
    /// build without the feature `regex`.
    pub fn new(text: impl Into<Text>) -> Result<Self, ConditionError> {
        let text = text.into();
        let compile = |pattern: &str| Regex::new(pattern, MAX_PATTERN_BYTES);
        // Compile the text by itself first: `a)(b` is invalid, though it is valid in parentheses.
        let whole = compile(&text).and_then(|_| {
            // The line break ends a comment at the end of a pattern in verbose mode.
            compile(&format!(r"\A(?:{text})\z")).or_else(|_| compile(&format!("\\A(?:{text}\n)\\z")))
        });
        match whole {
            Ok(regex) => Ok(Self { text, regex }),
            #[cfg(not(feature = "regex"))]
            Err(RegexError::Disabled) => Err(ConditionError::NoPatterns { found: text.into() }),
            #[cfg(feature = "regex")]
            Err(RegexError::Invalid(message)) => {
                let why = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Err(ConditionError::Pattern { found: text.into(), why })
            }
        }
    }

    /// Parses the operand of an operator as a pattern.
    pub(crate) fn read(operator: &str, value: Option<Operand>) -> Result<Self, ConditionError> {
        let value = required(operator, value, PATTERN)?;
        Self::new(value.text().ok_or_else(|| invalid(operator, &value, PATTERN))?)
    }

    /// Returns true if the pattern matches the whole value.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// Returns the pattern as it was written.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::constraint::Pattern;
    ///
    /// let pattern = Pattern::new("rack-[1-3]")?;
    /// assert_eq!(pattern.as_str(), "rack-[1-3]");
    /// # Ok::<(), apportion::constraint::ConditionError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Operator {
    /// The names of Marathon's operators.
    pub const MARATHON: [&str; 7] = ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"];
    /// The names of the operators that Marathon does not have.
    pub const EXTENDED: [&str; 13] =
        ["IS_NOT", "IN", "NOT_IN", "HAS", "LACKS", "EXISTS", "ABSENT", "GT", "GE", "LT", "LE", "MAX_SKEW", "EXCLUSIVE"];

    /// Makes an operator from its name and operand.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] for an unknown name, and for an operand that is missing, superfluous or of the wrong type.
    pub fn new(name: &str, value: Option<Operand>) -> Result<Self, ConditionError> {
        match name {
            "UNIQUE" => without_operand(name, value, Self::Unique),
            "EXISTS" => without_operand(name, value, Self::Exists),
            "ABSENT" => without_operand(name, value, Self::Absent),
            "EXCLUSIVE" => without_operand(name, value, Self::Exclusive),
            "CLUSTER" => value.map(|value| text(name, &value)).transpose().map(Self::Cluster),
            "GROUP_BY" => value.map(|value| above_zero(name, &value)).transpose().map(Self::GroupBy),
            "MAX_PER" => {
                let value = required(name, value, WHOLE)?;
                value.whole_number().map(Self::MaxPer).ok_or_else(|| invalid(name, &value, WHOLE))
            }
            "MAX_SKEW" => above_zero(name, &required(name, value, ABOVE_ZERO)?).map(Self::MaxSkew),
            "LIKE" => Pattern::read(name, value).map(Self::Like),
            "UNLIKE" => Pattern::read(name, value).map(Self::Unlike),
            "IS" => literal(name, value).map(Self::Is),
            "IS_NOT" => literal(name, value).map(Self::IsNot),
            "IN" => list(name, &required(name, value, LIST)?).map(Self::In),
            "NOT_IN" => list(name, &required(name, value, LIST)?).map(Self::NotIn),
            "HAS" => members(name, value).map(Self::Has),
            "LACKS" => members(name, value).map(Self::Lacks),
            "GT" => compare(name, value, Comparison::Greater),
            "GE" => compare(name, value, Comparison::AtLeast),
            "LT" => compare(name, value, Comparison::Less),
            "LE" => compare(name, value, Comparison::AtMost),
            _ => Err(ConditionError::Operator {
                found: name.to_owned(),
                known: Self::MARATHON.into_iter().chain(Self::EXTENDED).collect(),
            }),
        }
    }

    /// Returns the name of the operator.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster(_) => "CLUSTER",
            Self::GroupBy(_) => "GROUP_BY",
            Self::MaxPer(_) => "MAX_PER",
            Self::Like(_) => "LIKE",
            Self::Unlike(_) => "UNLIKE",
            Self::Is(_) => "IS",
            Self::IsNot(_) => "IS_NOT",
            Self::In(_) => "IN",
            Self::NotIn(_) => "NOT_IN",
            Self::Has(_) => "HAS",
            Self::Lacks(_) => "LACKS",
            Self::Exists => "EXISTS",
            Self::Absent => "ABSENT",
            Self::Compare(Comparison::Greater, _) => "GT",
            Self::Compare(Comparison::AtLeast, _) => "GE",
            Self::Compare(Comparison::Less, _) => "LT",
            Self::Compare(Comparison::AtMost, _) => "LE",
            Self::MaxSkew(_) => "MAX_SKEW",
            Self::Exclusive => "EXCLUSIVE",
        }
    }

    /// Returns true for an operator that compares a location with the locations of other tasks.
    #[must_use]
    pub fn is_counting(&self) -> bool {
        matches!(
            self,
            Self::Unique | Self::Cluster(_) | Self::GroupBy(_) | Self::MaxPer(_) | Self::MaxSkew(_) | Self::Exclusive
        )
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Unique | Self::Cluster(None) | Self::GroupBy(None) => Ok(()),
            Self::Exists | Self::Absent | Self::Exclusive => Ok(()),
            Self::Cluster(Some(value)) => write!(f, " {value}"),
            Self::GroupBy(Some(number)) | Self::MaxSkew(number) => write!(f, " {number}"),
            Self::MaxPer(number) => write!(f, " {number}"),
            Self::Like(pattern) | Self::Unlike(pattern) => write!(f, " {}", pattern.text),
            Self::Is(literal) | Self::IsNot(literal) => write!(f, " {}", literal.text),
            Self::In(list) | Self::NotIn(list) | Self::Has(list) | Self::Lacks(list) => list
                .iter()
                .enumerate()
                .try_for_each(|(i, literal)| write!(f, "{}{}", if i == 0 { " " } else { "," }, literal.text)),
            Self::Compare(_, number) => write!(f, " {number}"),
        }
    }
}

const WHOLE: &str = "a whole number";
const ABOVE_ZERO: &str = "a whole number above 0";
const TEXT: &str = "a text that is not empty, or a number";
const SINGLE: &str = "a text or a number, no ranges and no set";
const PATTERN: &str = "a regular expression";
const LIST: &str = "a list of texts or numbers";
const NUMBER: &str = "a number";

fn required(operator: &str, value: Option<Operand>, expected: &'static str) -> Result<Operand, ConditionError> {
    value.ok_or_else(|| ConditionError::MissingValue { operator: operator.to_owned(), expected })
}

fn invalid(operator: &str, value: &Operand, expected: &'static str) -> ConditionError {
    ConditionError::InvalidValue { operator: operator.to_owned(), found: value.to_string(), expected }
}

fn without_operand(name: &str, value: Option<Operand>, operator: Operator) -> Result<Operator, ConditionError> {
    match value {
        None => Ok(operator),
        Some(value) => Err(ConditionError::UnexpectedValue { operator: name.to_owned(), found: value.to_string() }),
    }
}

fn text(operator: &str, value: &Operand) -> Result<Text, ConditionError> {
    value.text().filter(|text| !text.is_empty()).ok_or_else(|| invalid(operator, value, TEXT))
}

fn above_zero(operator: &str, value: &Operand) -> Result<NonZeroU64, ConditionError> {
    value.whole_number().and_then(NonZeroU64::new).ok_or_else(|| invalid(operator, value, ABOVE_ZERO))
}

fn literal(operator: &str, value: Option<Operand>) -> Result<Literal, ConditionError> {
    let value = required(operator, value, SINGLE)?;
    let single = value.text().filter(|text| !text.is_empty() && !text.starts_with(['[', '{']));
    single.map(Literal::new).ok_or_else(|| invalid(operator, &value, SINGLE))
}

fn list(operator: &str, value: &Operand) -> Result<Vec<Literal>, ConditionError> {
    let invalid = || invalid(operator, value, LIST);
    let Operand::List(items) = value else { return Err(invalid()) };
    items.iter().map(|item| item.text().map(Literal::new).ok_or_else(invalid)).collect()
}

fn members(operator: &str, value: Option<Operand>) -> Result<Vec<Literal>, ConditionError> {
    match required(operator, value, LIST)? {
        value @ Operand::List(_) => list(operator, &value),
        value @ (Operand::Text(_) | Operand::Number(_)) => text(operator, &value).map(|text| vec![Literal::new(text)]),
    }
}

fn compare(name: &str, value: Option<Operand>, comparison: Comparison) -> Result<Operator, ConditionError> {
    let value = required(name, value, NUMBER)?;
    let number = value.number().ok_or_else(|| invalid(name, &value, NUMBER))?;
    Ok(Operator::Compare(comparison, number))
}
