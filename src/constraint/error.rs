//! [`ConditionError`]: why a text is not a condition.

use super::{Field, FieldError};

/// Text that is not a valid [`Condition`](super::Condition).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// The text is not of the form FIELD OPERATOR VALUE.
    #[error("{found:?} is not a condition: expected FIELD OPERATOR or FIELD OPERATOR VALUE")]
    Syntax {
        /// The text.
        found: String,
    },
    /// The field does not exist.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A field of tasks with an operator or in a position that takes only fields of a location.
    #[error("{operator} does not go with {field}: expected hostname, @region, @zone or an attribute")]
    FieldOfTasks {
        /// The field.
        field: Field,
        /// The operator, or the position of the condition.
        operator: String,
    },
    /// The operator does not exist.
    #[error("{found:?} is not an operator: expected one of {}", known.join(", "))]
    Operator {
        /// The text.
        found: String,
        /// The operators that exist.
        known: Vec<&'static str>,
    },
    /// The operator needs a value.
    #[error("{operator} without a value: expected {expected}")]
    MissingValue {
        /// The operator.
        operator: String,
        /// The expected type of the value.
        expected: &'static str,
    },
    /// The operator takes no value.
    #[error("{operator} {found}: expected no value")]
    UnexpectedValue {
        /// The operator.
        operator: String,
        /// The value.
        found: String,
    },
    /// The value is not of the type that the operator takes.
    #[error("{operator} {found}: expected {expected}")]
    InvalidValue {
        /// The operator.
        operator: String,
        /// The value.
        found: String,
        /// The expected type of the value.
        expected: &'static str,
    },
    /// This build of the crate has no regular expressions.
    #[error("{found:?}: expected no pattern, which takes the feature `regex` of apportion")]
    NoPatterns {
        /// The pattern.
        found: String,
    },
    /// The pattern is not a valid regular expression.
    #[error("{found:?} is not a regular expression: {why}")]
    Pattern {
        /// The pattern.
        found: String,
        /// The error of the regular expression compiler.
        why: String,
    },
}
