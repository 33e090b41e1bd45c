//! [`ResourceError`]: what is wrong with written resources, text or JSON.

use super::{Range, ScalarError, SumError};
use crate::role::{Role, RoleError};

/// Text or JSON that is no [`Resources`](super::Resources).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("bad resource {item:?}: {fault}")]
pub struct ResourceError {
    /// The item that is wrong, as it was written; of a JSON object, its name.
    pub item: String,
    /// What is wrong with it.
    pub fault: ItemFault,
}

/// What is wrong with one item of resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemFault {
    /// Not `name:value` or `name(role):value`.
    #[error("expected name:value or name(role):value")]
    Form,
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A value that is none of the three types; the amount's own fault is told.
    #[error("{0}; or a range such as [31000-32000], or a set such as {{a,b}}")]
    Value(#[from] ScalarError),
    /// Brackets that do not hold ranges.
    #[error("expected ranges of whole numbers such as [31000-31009,31020-31029]")]
    Ranges,
    /// A range that ends before it begins.
    #[error("a range ends at {}, before it begins at {}", .0.end, .0.begin)]
    Backwards(Range),
    /// Ranges of a JSON object that have numbers in common.
    #[error("the ranges overlap at {0}")]
    Overlap(u64),
    /// Braces that do not hold names.
    #[error("expected a set of names such as {{a,b}}")]
    Set,
    /// A JSON object whose value is missing, or is not of its type.
    #[error("expected a value of type {0} and no other")]
    Type(&'static str),
    /// A reservation to `*`.
    #[error("nothing can be reserved to `*`")]
    DefaultRole,
    /// A stack of reservations that does not lead down the tree of roles.
    #[error("a refined reservation is DYNAMIC, and its role below the one before; found {0}")]
    Refinement(Role),
    /// Amounts that cannot be added.
    #[error(transparent)]
    Sum(#[from] SumError),
}

impl ItemFault {
    pub(super) fn of(self, item: impl Into<String>) -> ResourceError {
        ResourceError { item: item.into(), fault: self }
    }
}
