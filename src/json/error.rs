//! [`JsonError`]: why text is not JSON; [`ReadError`]: why it is not the value that is wanted.

use crate::text::Text;
use serde::{de, ser};
use std::fmt;

/// The reason why text is not JSON. Positions count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Something else is expected.
    #[error("found {found}, expected {expected}, at byte {at}", found = Found(*.found))]
    Unexpected {
        /// The position.
        at: usize,
        /// The character there; `None` at the end of the text.
        found: Option<char>,
        /// The expected token.
        expected: &'static str,
    },
    /// An escape of a string is unknown, or half of a pair.
    #[error(
        "an invalid escape at byte {at}: expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX, surrogates in pairs"
    )]
    Escape {
        /// The position of the backslash.
        at: usize,
    },
    /// An object names a key twice.
    #[error("duplicate field `{key}` at byte {at}")]
    DuplicateKey {
        /// The position of the second one.
        at: usize,
        /// The key.
        key: Text,
    },
    /// A number is beyond the largest double.
    #[error("number out of range at byte {at}")]
    NumberOutOfRange {
        /// The position of the number.
        at: usize,
    },
    /// More than 127 arrays and objects stand in each other.
    #[error("recursion limit exceeded at byte {at}: expected at most 127 arrays and objects in each other")]
    TooDeep {
        /// The position of the first bracket that is too deep.
        at: usize,
    },
}

impl JsonError {
    /// Returns the position, in bytes from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        match self {
            Self::Unexpected { at, .. }
            | Self::Escape { at }
            | Self::DuplicateKey { at, .. }
            | Self::NumberOutOfRange { at }
            | Self::TooDeep { at } => *at,
        }
    }

    /// Returns true if the text ends before the value does, so that more text could make it right.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::Unexpected { found: None, .. })
    }
}

/// A character as an error names it.
struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => write!(f, "{found:?}"),
            None => f.write_str("the end of the text"),
        }
    }
}

/// The reason why text is not the value that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not JSON.
    #[error(transparent)]
    Syntax(#[from] JsonError),
    /// It is another value.
    #[error("{what} at byte {at}")]
    Shape {
        /// The position up to which it was read.
        at: usize,
        /// The value found and the value expected.
        what: String,
    },
}

impl ReadError {
    /// Sets the position of an error that serde has made.
    pub(super) fn located(self, position: usize) -> Self {
        match self {
            Self::Shape { what, .. } => Self::Shape { at: position, what },
            Self::Syntax(_) => self,
        }
    }
}

impl ser::Error for ReadError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        de::Error::custom(what)
    }
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::Shape { at: 0, what: what.to_string() }
    }
}
