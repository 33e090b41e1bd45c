//! Identifiers: a newtype for each kind, so that the compiler keeps them apart.

use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Text that is not valid as an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{found:?} is not an id: expected 1 to 255 bytes without `/`, `\\` and control characters, and neither `.` nor `..`"
)]
pub struct IdError {
    /// The text.
    pub found: Text,
}

/// Checks an id that names a directory on an agent (Mesos, `common/validation.cpp`).
pub(crate) fn check(id: &str) -> Result<(), IdError> {
    let is_bad = |c: char| c == '/' || c == '\\' || c.is_control();
    let is_valid = (1..=255).contains(&id.len()) && id != "." && id != ".." && !id.contains(is_bad);
    if is_valid { Ok(()) } else { Err(IdError { found: id.into() }) }
}

/// Adds a check to ids that a [`Master`](crate::Master) accepts from outside. It is not made by the constructor, so that
/// an id is made of a literal without `?`; the master rejects a command that brings an invalid one.
macro_rules! checked {
    ($($name:ident)*) => {
        $(impl $name {
            /// Checks that the id is valid: 1 to 255 bytes without `/`, `\` and control characters, and neither `.` nor `..`.
            ///
            /// # Errors
            ///
            /// [`IdError`] if it is not.
            pub fn check(&self) -> Result<(), IdError> {
                check(&self.0)
            }
        })*
    };
}

checked!(AgentId FrameworkId TaskId ExecutorId);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// Makes an id from any text. Texts of up to 23 bytes are stored inline.
            pub fn new(id: impl Into<Text>) -> Self {
                Self(id.into())
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self::new(id)
            }
        }

        impl From<&String> for $name {
            fn from(id: &String) -> Self {
                Self::new(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            /// Makes an id of any text, as [`new`](Self::new) does.
            fn from_str(id: &str) -> Result<Self, Infallible> {
                Ok(Self::new(id))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            /// Looks an id up in a map by its text: `map.get("t1")`.
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    };
}

id! {
    /// The id of an agent: a machine that has resources.
    AgentId
}
id! {
    /// The id of a framework: a custom scheduler that receives offers.
    FrameworkId
}
id! {
    /// The id of an offer. The [`Master`](crate::Master) of this crate numbers offers `O1`, `O2`, ...; a Mesos master
    /// may use any text.
    OfferId
}
id! {
    /// The id of a task, unique within its framework.
    TaskId
}
id! {
    /// The id of an executor: the process that runs tasks of one framework on one agent.
    ExecutorId
}
id! {
    /// The id of an operation for which a framework requests status updates.
    OperationId
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;
    use std::collections::BTreeMap;

    #[test]
    fn a_map_by_id_is_read_by_text() {
        let sorted = BTreeMap::from([(TaskId::from(&"t1".to_owned()), 1)]);
        let hashed = IndexMap::from([("t1".parse::<TaskId>().unwrap(), 1)]);
        assert_eq!((sorted.get("t1"), hashed.get("t1"), sorted.get("t2")), (Some(&1), Some(&1), None));
        let id = TaskId::new("t1");
        assert!(id == "t1" && id != *"t2" && id.as_ref() == "t1");
        assert_eq!(String::from(id), "t1");
    }

    #[test]
    fn ids_are_names_of_directories() {
        let long = "x".repeat(256);
        for bad in ["", ".", "..", "a/b", "a\\b", "a\n", "\0", "\u{7f}", "\u{85}", &long] {
            assert_eq!(TaskId::new(bad).check(), Err(IdError { found: bad.into() }));
        }
        for good in ["a", "...", ".a", "a b", "ü", &long[1..]] {
            assert_eq!(AgentId::new(good).check(), Ok(()), "{good}");
        }
    }
}
