//! [`ResourceError`]: an error in the text or JSON form of resources.

use super::{Range, ScalarError, SumError};
use crate::id::IdError;
use crate::role::{Role, RoleError};
use crate::text::Text;

/// Text or JSON that is not a valid [`Resources`](super::Resources), or text that is not valid as
/// [`Quantities`](super::Quantities) or [`Limits`](super::Limits).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("bad resource {item:?}: {fault}")]
pub struct ResourceError {
    /// The invalid item, as it was written; for a JSON object, its name.
    pub item: String,
    /// The error.
    pub fault: ItemFault,
}

/// The error in one item of resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemFault {
    /// The item is not of the form `name:value` or `name(role):value`.
    #[error("expected name:value or name(role):value")]
    Syntax,
    /// The role name is invalid.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The value is of none of the three types; the error is that of a scalar.
    #[error("{0}; or a range such as [31000-32000], or a set such as {{a,b}}")]
    Value(#[from] ScalarError),
    /// The item of quantities or limits is not of the form `name:amount`.
    #[error("expected name:amount")]
    AmountSyntax,
    /// The amount of quantities or limits is invalid.
    #[error("{0}")]
    Amount(ScalarError),
    /// Limits name a resource twice.
    #[error("{0:?} has a limit already")]
    LimitedTwice(Text),
    /// The text in brackets is not a list of ranges.
    #[error("expected ranges of whole numbers such as [31000-31009,31020-31029]")]
    Ranges,
    /// A range ends before it begins.
    #[error("a range ends at {}, before it begins at {}", .0.end, .0.begin)]
    Backwards(Range),
    /// Ranges of a JSON object overlap.
    #[error("the ranges overlap at {0}")]
    Overlap(u64),
    /// The text in braces is not a list of names.
    #[error("expected a set of names such as {{a,b}}")]
    Set,
    /// A set names an item twice.
    #[error("the set names {0:?} twice")]
    Repeated(Text),
    /// The value of a JSON object is missing, or not of the type of the object.
    #[error("expected a value of type {0} and no other")]
    Type(&'static str),
    /// A field of a JSON object is missing, or must not be there, or has a value that Mesos does not know.
    #[error("`{field}`: expected {expected}")]
    Field {
        /// The path of the field in the object.
        field: &'static str,
        /// The values that are valid.
        expected: &'static str,
    },
    /// The persistence id of a volume is invalid.
    #[error("`disk.persistence.id`: {0}")]
    VolumeId(#[from] IdError),
    /// A reservation is to `*`.
    #[error("nothing can be reserved to `*`")]
    DefaultRole,
    /// A refined reservation is static, or its role is not a descendant of the one below it on the stack.
    #[error("a refined reservation is DYNAMIC, and its role below the one before; found {0}")]
    Refinement(Role),
    /// The sum is not defined.
    #[error(transparent)]
    Sum(#[from] SumError),
}

impl ItemFault {
    pub(super) fn field(field: &'static str, expected: &'static str) -> Self {
        Self::Field { field, expected }
    }

    pub(super) fn of(self, item: impl Into<String>) -> ResourceError {
        ResourceError { item: item.into(), fault: self }
    }
}
