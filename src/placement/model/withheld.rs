//! [`Withheld`]: an amount that an offer has and an app does not accept.

use crate::resources::Scalar;
use crate::role::Role;
use std::fmt;

/// An amount of a resource that is left in an offer, and that the app may not take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Withheld {
    /// The amount; of ports, their number.
    pub amount: Scalar,
    /// Why the app may not take it.
    pub by: Withholding,
}

/// Why an app may not take an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Withholding {
    /// It is reserved for a role that the app does not accept.
    Reserved(Role),
    /// It is not reserved, and the app accepts only roles of its own.
    Unreserved,
    /// It may be revoked.
    Revocable,
    /// It is shared with other tasks.
    Shared,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Withholding::Reserved(role) => write!(f, "{} reserved for {role}", self.amount),
            Withholding::Unreserved => write!(f, "{} unreserved", self.amount),
            Withholding::Revocable => write!(f, "{} revocable", self.amount),
            Withholding::Shared => write!(f, "{} shared", self.amount),
        }
    }
}

/// Formats all of them as the end of a sentence; nothing if there are none.
pub(super) struct WithheldParts<'a>(pub(super) &'a [Withheld]);

impl fmt::Display for WithheldParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            let separator = match i {
                0 => "; ",
                _ if i + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{separator}{part}")?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(", which the app does not accept") }
    }
}
