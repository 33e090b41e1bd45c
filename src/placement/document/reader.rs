//! [`Node`]: a JSON value with its path, for errors that say where.

use super::position;
use super::syntax::{SyntaxError, without_mark};
use crate::attributes::AttributeError;
use crate::constraint::{ConditionError, PreferenceWeightError};
use crate::resources::{ResourceError, Scalar, ScalarError};
use crate::role::RoleError;
use serde_json::{Map, Value as Json};
use std::fmt;

/// The error of reading text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text is no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The JSON has a wrong value. The text of the error is `LINE:COLUMN: PATH: ...`.
    #[error("{line}:{column}: {error}")]
    Content {
        /// The line, from 1.
        line: usize,
        /// The character of the line, from 1.
        column: usize,
        /// The error, which has the path.
        error: ReadError,
    },
}

impl TextError {
    /// Returns the error after the name of a file, as compilers print it: `FILE:LINE:COLUMN: ...`.
    #[must_use]
    pub fn in_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        InFile { error: self, file }
    }
}

struct InFile<'a> {
    error: &'a TextError,
    file: &'a str,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.error)
    }
}

/// A wrong value: where, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("{}{fault}", Prefix(.path))]
pub struct ReadError {
    /// The path of the value, such as `constraints[1]`; empty for the whole document.
    pub path: String,
    /// The fault of the value.
    pub fault: ReadFault,
}

impl ReadError {
    /// Returns the error with its line and column in the text that was read.
    #[must_use]
    pub fn locate(self, text: &[u8]) -> TextError {
        let key = if let ReadFault::UnknownKey { found, .. } = &self.fault { Some(found.as_str()) } else { None };
        let text = std::str::from_utf8(without_mark(text)).unwrap_or_default();
        let (line, column) = position::locate(text, &self.path, key);
        TextError::Content { line, column, error: self }
    }
}

/// The fault of a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFault {
    /// The value is missing.
    #[error("is not there: expected {0}")]
    Missing(&'static str),
    /// The value is not of the expected kind.
    #[error("found {found}, expected {expected}")]
    Unexpected {
        /// The value, as JSON.
        found: String,
        /// The expected kind.
        expected: String,
    },
    /// The object has an unknown key.
    #[error("unknown key {found:?}, expected one of {}", known.join(", "))]
    UnknownKey {
        /// The key.
        found: String,
        /// The known keys.
        known: Vec<&'static str>,
    },
    /// The amount is not 0, and too small to count.
    #[error(transparent)]
    Amount(#[from] ScalarError),
    /// The id was used before.
    #[error("found {0:?} for the second time, expected ids that differ")]
    Duplicate(String),
    /// The condition is malformed.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// The weight is out of range.
    #[error(transparent)]
    Weight(#[from] PreferenceWeightError),
    /// The resources are malformed.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// The attributes are malformed.
    #[error(transparent)]
    Attributes(#[from] AttributeError),
    /// The role is malformed.
    #[error(transparent)]
    Role(#[from] RoleError),
}

struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// A JSON value with its path, so that errors say where.
///
/// A framework that reads more of an app than its placement (health checks, dependencies, ...) uses it too, so that its
/// users see one kind of error.
///
/// # Examples
///
/// ```
/// use apportion::placement::{JsonNode, ReadError};
/// use serde_json::json;
///
/// fn interval(app: JsonNode<'_>) -> Result<Option<u64>, ReadError> {
///     let checks = app.required("healthChecks", "a list of health checks")?;
///     let first = checks.items("a list of health checks")?.next();
///     first.and_then(|check| check.get("intervalSeconds").map(|seconds| seconds.whole(3600))).transpose()
/// }
///
/// let json = json!({"healthChecks": [{"intervalSeconds": "10"}]});
/// assert_eq!(interval(JsonNode::root(&json)), Ok(Some(10)));
/// let json = json!({"healthChecks": [{"intervalSeconds": -1}]});
/// let error = interval(JsonNode::root(&json)).unwrap_err().to_string();
/// assert_eq!(error, "healthChecks[0].intervalSeconds: found -1, expected a whole number from 0 to 3600");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    json: &'a Json,
    path: Path<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> Node<'a> {
    /// Creates the node of a whole document.
    #[must_use]
    pub fn root(json: &'a Json) -> Self {
        Self { json, path: Path::Root }
    }

    /// Returns the value.
    #[must_use]
    pub fn json(&self) -> &'a Json {
        self.json
    }

    /// Returns an error about this value.
    #[must_use]
    pub fn error(&self, fault: impl Into<ReadFault>) -> ReadError {
        ReadError { path: self.path.to_string(), fault: fault.into() }
    }

    /// Returns the error of an unexpected value, which is truncated if it is long.
    #[must_use]
    pub fn wrong(&self, expected: impl Into<String>) -> ReadError {
        const MAX_CHARS: usize = 80;
        let mut found = self.json.to_string();
        if let Some((end, _)) = found.char_indices().nth(MAX_CHARS) {
            found.truncate(end);
            found.push_str("...");
        }
        self.error(ReadFault::Unexpected { found, expected: expected.into() })
    }

    /// Returns the members of an object.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is no object.
    pub fn object(&self) -> Result<&'a Map<String, Json>, ReadError> {
        self.json.as_object().ok_or_else(|| self.wrong("an object"))
    }

    /// Checks that an object has no other keys than these.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if it has, or if the value is no object.
    pub fn only(&self, known: &[&'static str]) -> Result<(), ReadError> {
        match self.object()?.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self.error(ReadFault::UnknownKey { found: key.clone(), known: known.to_vec() })),
        }
    }

    /// Returns the value of a key; `null` counts as missing.
    #[must_use]
    pub fn get<'s>(&'s self, key: &'s str) -> Option<Node<'s>> {
        let json = self.json.get(key).filter(|json| !json.is_null())?;
        Some(Node { json, path: Path::Key(&self.path, key) })
    }

    /// Returns the value of a required key; `null` counts as missing.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if it is missing.
    pub fn required<'s>(&'s self, key: &'s str, expected: &'static str) -> Result<Node<'s>, ReadError> {
        let missing = || Node { json: &Json::Null, path: Path::Key(&self.path, key) };
        self.get(key).ok_or_else(|| missing().error(ReadFault::Missing(expected)))
    }

    /// Returns the items of an array, each with its path.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is no array.
    pub fn items<'s>(&'s self, expected: &str) -> Result<impl Iterator<Item = Node<'s>>, ReadError> {
        let items = self.json.as_array().ok_or_else(|| self.wrong(expected))?;
        Ok(items.iter().enumerate().map(|(i, json)| Node { json, path: Path::Item(&self.path, i) }))
    }

    /// Returns the members of an object, each with its path.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is no object.
    pub fn members<'s>(&'s self) -> Result<impl Iterator<Item = (&'s str, Node<'s>)>, ReadError> {
        let members = self.object()?.iter();
        Ok(members.map(|(key, json)| (key.as_str(), Node { json, path: Path::Key(&self.path, key) })))
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is none.
    pub fn text(&self) -> Result<&'a str, ReadError> {
        self.json.as_str().ok_or_else(|| self.wrong("a text"))
    }

    /// Reads a text that is not empty.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is none.
    pub fn name(&self) -> Result<&'a str, ReadError> {
        self.json.as_str().filter(|text| !text.is_empty()).ok_or_else(|| self.wrong("a text that is not empty"))
    }

    /// Reads a boolean.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is none.
    pub fn boolean(&self) -> Result<bool, ReadError> {
        self.json.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    /// Reads a number, or a text that is one.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is none, or not finite.
    pub fn number(&self) -> Result<f64, ReadError> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        let number = match self.json {
            Json::Number(number) => number.as_f64(),
            Json::String(text) if digits(text) => text.parse().ok(),
            Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| self.wrong("a number"))
    }

    /// Reads a whole number from 0 to `max`, or a text that is one.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is none, or greater.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within both bounds")]
    pub fn whole(&self, max: u64) -> Result<u64, ReadError> {
        let number = match self.json {
            Json::Number(number) => {
                let double = number.as_f64().filter(|double| double.fract() == 0.0 && (0.0..9e15).contains(double));
                number.as_u64().or_else(|| double.map(|double| double as u64))
            }
            Json::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        let fits = number.filter(|number| *number <= max);
        fits.ok_or_else(|| match max {
            u64::MAX => self.wrong("a whole number"),
            _ => self.wrong(format!("a whole number from 0 to {max}")),
        })
    }

    /// Reads an amount of a resource, or a text that is one.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the value is none.
    pub fn scalar(&self) -> Result<Scalar, ReadError> {
        let amount: Option<Result<Scalar, ScalarError>> = match self.json {
            Json::Number(number) => Some(number.to_string().parse()),
            Json::String(text) => Some(text.parse()),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        match amount {
            Some(Ok(amount)) => Ok(amount),
            Some(Err(error @ ScalarError::TooSmall(_))) => Err(self.error(error)),
            Some(Err(_)) | None => Err(self.wrong(format!("a number from 0 to {} in thousandths", Scalar::MAX))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_path() {
        let json = serde_json::json!({"apps": [{"placement": {"require": [{"any": [1]}]}}]});
        let root = Node::root(&json);
        let apps = root.get("apps").unwrap();
        let app = apps.items("a list").unwrap().next().unwrap();
        let placement = app.get("placement").unwrap();
        let require = placement.get("require").unwrap();
        let clause = require.items("a list").unwrap().next().unwrap();
        let any = clause.get("any").unwrap();
        let leaf = any.items("a list").unwrap().next().unwrap();
        assert_eq!(leaf.wrong("a list").to_string(), "apps[0].placement.require[0].any[0]: found 1, expected a list");
        assert_eq!(root.required("id", "a text").unwrap_err().to_string(), "id: is not there: expected a text");
    }

    #[test]
    fn errors_have_line_and_column() {
        let located = |text: &str, error: ReadError| error.locate(text.as_bytes()).in_file("f.json").to_string();
        let text = "\u{feff}{\n  \"app\": {\"id\": \"a\", \"cpus\": 0.0001, \"oops\": 1}}";
        let json = super::super::syntax::read_json(text.as_bytes()).unwrap();
        let root = Node::root(&json);
        let app = root.get("app").unwrap();
        let told = "f.json:2:30: app.cpus: 0.0001 is too small to count: the smallest amount is 0.001";
        assert_eq!(located(text, app.get("cpus").unwrap().scalar().unwrap_err()), told);
        let told = "f.json:2:38: app: unknown key \"oops\", expected one of id, cpus";
        assert_eq!(located(text, app.only(&["id", "cpus"]).unwrap_err()), told);
        let told = "f.json:2:10: app.mem: is not there: expected an amount";
        assert_eq!(located(text, app.required("mem", "an amount").unwrap_err()), told);
    }

    #[test]
    fn numbers_may_be_text() {
        let number = |json: Json| Node::root(&json).number();
        let whole = |json: Json| Node::root(&json).whole(100);
        let scalar = |json: Json| Node::root(&json).scalar();
        assert_eq!(number(Json::from("0.25")), Ok(0.25));
        assert_eq!(whole(Json::from(2.0)), Ok(2));
        assert_eq!(scalar(Json::from("0.25")), Ok(Scalar::milli(250)));
        assert_eq!(scalar(Json::from(1e3)), Ok(Scalar::units(1000)));
        for bad in ["", "a lot", "inf", "NaN", "-1", "101", "1.5"] {
            assert!(whole(Json::from(bad)).is_err(), "{bad}");
        }
        for bad in ["", "a lot", "inf", "nan"] {
            assert!(number(Json::from(bad)).is_err(), "{bad}");
            assert!(scalar(Json::from(bad)).is_err(), "{bad}");
        }
    }
}
