//! [`Operator`]: what a condition asks of a field, with its value read and checked once.

use super::{ConditionError, rounded};
use crate::attributes::AttributeValue;
use regex::{Regex, RegexBuilder};
use smol_str::SmolStr;
use std::fmt;
use std::num::NonZeroU64;

/// What a condition asks of a field.
///
/// The first seven are Marathon's, and mean what they mean there. The counting ones (`UNIQUE`,
/// `CLUSTER`, `GROUP_BY`, `MAX_PER`, `MAX_SKEW`, `EXCLUSIVE`) are about fields of a place; those
/// that look at a value hold for a field of tasks if they hold for any of its values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operator {
    /// `UNIQUE`: no task of the app has the value.
    Unique,
    /// `CLUSTER`: the value is this one; without one, that of the app's first task.
    Cluster(Option<SmolStr>),
    /// `GROUP_BY`: tasks are evenly divided over that many values; without a number, over all
    /// values that there are.
    GroupBy(Option<NonZeroU64>),
    /// `MAX_PER`: fewer tasks of the app than that have the value.
    MaxPer(u64),
    /// `LIKE`: the pattern matches the whole value.
    Like(Pattern),
    /// `UNLIKE`: the pattern does not match the whole value, or there is none.
    Unlike(Pattern),
    /// `IS`: the value is this one.
    Is(Wanted),
    /// `IS_NOT`: the value is another, or there is none.
    IsNot(Wanted),
    /// `IN`: the value is one of these.
    In(Vec<Wanted>),
    /// `NOT_IN`: the value is none of these, or there is none.
    NotIn(Vec<Wanted>),
    /// `HAS`: the value, a set, ranges, or text with commas, contains all of these.
    Has(Vec<Wanted>),
    /// `LACKS`: the value does not contain all of these, or there is none.
    Lacks(Vec<Wanted>),
    /// `EXISTS`: there is a value.
    Exists,
    /// `ABSENT`: there is no value.
    Absent,
    /// `GT`, `GE`, `LT`, `LE`: the value is a number and compares so with this one.
    Compare(Comparison, f64),
    /// `MAX_SKEW`: with one more task, the value has at most so many tasks more than any other.
    MaxSkew(NonZeroU64),
    /// `EXCLUSIVE`: no task of any app has the value.
    Exclusive,
}

/// How two numbers compare.
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
    pub(super) fn holds(self, value: f64, wanted: f64) -> bool {
        match self {
            Self::Greater => value > wanted,
            Self::AtLeast => value >= wanted,
            Self::Less => value < wanted,
            Self::AtMost => value <= wanted,
        }
    }
}

/// The value that a condition is written with, not yet read.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these three")]
pub enum Operand {
    /// Text.
    Text(SmolStr),
    /// A number.
    Number(f64),
    /// Several texts or numbers.
    List(Vec<Self>),
}

impl Operand {
    fn text(&self) -> Option<SmolStr> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(rounded(*number).into()),
            Self::List(_) => None,
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within both bounds")]
    fn whole(&self) -> Option<u64> {
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

/// A number as an attribute writes it.
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

/// A text that a value is compared with; if it is a number, also as attributes print it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    text: SmolStr,
    rounded: Option<SmolStr>,
}

impl Wanted {
    /// What is wanted, such as `rack-1` or `1.0`.
    pub fn new(text: impl Into<SmolStr>) -> Self {
        let text = text.into();
        let rounded = number(&text).map(|number| rounded(number).into()).filter(|rounded| *rounded != text);
        Self { text, rounded }
    }

    /// Whether the value is this one.
    #[must_use]
    pub fn equals(&self, value: &str) -> bool {
        self.text == value || self.rounded.as_ref().is_some_and(|rounded| rounded == value)
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A regular expression that has to match the whole of a value.
///
/// It runs in time linear in the value (no look-around, no back-references), and its size is limited.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: SmolStr,
    regex: Regex,
}

/// What a compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 1 << 22;

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// [`ConditionError::Pattern`] for text that is no regular expression, or too large a one.
    pub fn new(text: impl Into<SmolStr>) -> Result<Self, ConditionError> {
        let text = text.into();
        let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build();
        // Alone first: `a)(b` is no pattern, though it becomes one between parentheses.
        let whole = compile(&text).and_then(|_| {
            // The second form is for a pattern in verbose mode that ends in a comment.
            compile(&format!(r"\A(?:{text})\z")).or_else(|_| compile(&format!("\\A(?:{text}\n)\\z")))
        });
        match whole {
            Ok(regex) => Ok(Self { text, regex }),
            Err(error) => {
                let all = error.to_string();
                let why = all.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Err(ConditionError::Pattern { found: text.into(), why })
            }
        }
    }

    /// The pattern that an operator's value is.
    pub(crate) fn read(operator: &str, value: Option<Operand>) -> Result<Self, ConditionError> {
        let value = some(operator, value, PATTERN)?;
        Self::new(value.text().ok_or_else(|| wrong(operator, &value, PATTERN))?)
    }

    /// Whether it matches the whole value.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// The pattern as it was written.
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
    /// The operators of Marathon.
    pub const MARATHON: [&str; 7] = ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"];
    /// Those that came on top.
    pub const FURTHER: [&str; 13] =
        ["IS_NOT", "IN", "NOT_IN", "HAS", "LACKS", "EXISTS", "ABSENT", "GT", "GE", "LT", "LE", "MAX_SKEW", "EXCLUSIVE"];

    /// Reads an operator by its name and value.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] for a name that is none, a value that is missing, not taken or not of the right form.
    pub fn new(name: &str, value: Option<Operand>) -> Result<Self, ConditionError> {
        match name {
            "UNIQUE" => none(name, value, Self::Unique),
            "EXISTS" => none(name, value, Self::Exists),
            "ABSENT" => none(name, value, Self::Absent),
            "EXCLUSIVE" => none(name, value, Self::Exclusive),
            "CLUSTER" => value.map(|value| text(name, &value)).transpose().map(Self::Cluster),
            "GROUP_BY" => value.map(|value| above_zero(name, &value)).transpose().map(Self::GroupBy),
            "MAX_PER" => {
                let value = some(name, value, WHOLE)?;
                value.whole().map(Self::MaxPer).ok_or_else(|| wrong(name, &value, WHOLE))
            }
            "MAX_SKEW" => above_zero(name, &some(name, value, ABOVE_ZERO)?).map(Self::MaxSkew),
            "LIKE" => Pattern::read(name, value).map(Self::Like),
            "UNLIKE" => Pattern::read(name, value).map(Self::Unlike),
            "IS" => wanted(name, value).map(Self::Is),
            "IS_NOT" => wanted(name, value).map(Self::IsNot),
            "IN" => list(name, &some(name, value, LIST)?).map(Self::In),
            "NOT_IN" => list(name, &some(name, value, LIST)?).map(Self::NotIn),
            "HAS" => members(name, value).map(Self::Has),
            "LACKS" => members(name, value).map(Self::Lacks),
            "GT" => compare(name, value, Comparison::Greater),
            "GE" => compare(name, value, Comparison::AtLeast),
            "LT" => compare(name, value, Comparison::Less),
            "LE" => compare(name, value, Comparison::AtMost),
            _ => Err(ConditionError::Operator {
                found: name.to_owned(),
                known: Self::MARATHON.into_iter().chain(Self::FURTHER).collect(),
            }),
        }
    }

    /// Its name.
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

    /// Whether it compares a place with where other tasks run.
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
            Self::Is(wanted) | Self::IsNot(wanted) => write!(f, " {}", wanted.text),
            Self::In(list) | Self::NotIn(list) | Self::Has(list) | Self::Lacks(list) => list
                .iter()
                .enumerate()
                .try_for_each(|(i, wanted)| write!(f, "{}{}", if i == 0 { " " } else { "," }, wanted.text)),
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

fn some(operator: &str, value: Option<Operand>, expected: &'static str) -> Result<Operand, ConditionError> {
    value.ok_or_else(|| ConditionError::Missing { operator: operator.to_owned(), expected })
}

fn wrong(operator: &str, value: &Operand, expected: &'static str) -> ConditionError {
    ConditionError::Value { operator: operator.to_owned(), found: value.to_string(), expected }
}

fn none(name: &str, value: Option<Operand>, operator: Operator) -> Result<Operator, ConditionError> {
    match value {
        None => Ok(operator),
        Some(value) => Err(ConditionError::Needless { operator: name.to_owned(), found: value.to_string() }),
    }
}

fn text(operator: &str, value: &Operand) -> Result<SmolStr, ConditionError> {
    value.text().filter(|text| !text.is_empty()).ok_or_else(|| wrong(operator, value, TEXT))
}

fn above_zero(operator: &str, value: &Operand) -> Result<NonZeroU64, ConditionError> {
    value.whole().and_then(NonZeroU64::new).ok_or_else(|| wrong(operator, value, ABOVE_ZERO))
}

fn wanted(operator: &str, value: Option<Operand>) -> Result<Wanted, ConditionError> {
    let value = some(operator, value, SINGLE)?;
    let single = value.text().filter(|text| !text.is_empty() && !text.starts_with(['[', '{']));
    single.map(Wanted::new).ok_or_else(|| wrong(operator, &value, SINGLE))
}

fn list(operator: &str, value: &Operand) -> Result<Vec<Wanted>, ConditionError> {
    let wrong = || wrong(operator, value, LIST);
    let Operand::List(items) = value else { return Err(wrong()) };
    items.iter().map(|item| item.text().map(Wanted::new).ok_or_else(wrong)).collect()
}

fn members(operator: &str, value: Option<Operand>) -> Result<Vec<Wanted>, ConditionError> {
    match some(operator, value, LIST)? {
        value @ Operand::List(_) => list(operator, &value),
        value @ (Operand::Text(_) | Operand::Number(_)) => text(operator, &value).map(|text| vec![Wanted::new(text)]),
    }
}

fn compare(name: &str, value: Option<Operand>, comparison: Comparison) -> Result<Operator, ConditionError> {
    let value = some(name, value, NUMBER)?;
    let number = value.number().ok_or_else(|| wrong(name, &value, NUMBER))?;
    Ok(Operator::Compare(comparison, number))
}
