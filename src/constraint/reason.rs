//! [`RejectReason`]: the reason of a rejection, with the values that would remedy it.

use super::Field;
use crate::id::TaskId;
use crate::text::Text;
use std::fmt;

/// The reason why a task may not run at a location.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The location has no value for the field.
    #[error("there is no {field}")]
    Absent {
        /// The field of the constraint.
        field: Field,
        /// A value that would satisfy the constraint.
        remedy: Option<Remedy>,
    },
    /// The value does not match the operand.
    #[error("{field} is {value}")]
    Differs {
        /// The field of the constraint.
        field: Field,
        /// The value found; several are separated by commas.
        value: Text,
        /// A value that would satisfy the constraint.
        remedy: Option<Remedy>,
    },
    /// The first task of the app runs at another value (`CLUSTER`).
    #[error("{field} is {value}, but {task} runs on {}", .first.as_deref().unwrap_or("none"))]
    Apart {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: Text,
        /// The first task.
        task: TaskId,
        /// The value where the first task runs, if there is one.
        first: Option<Text>,
    },
    /// Another task has the value (`UNIQUE`, `EXCLUSIVE`).
    #[error("{field} {value} has {task}")]
    Taken {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: Text,
        /// That task.
        task: TaskId,
    },
    /// A running task holds the value exclusively (its own `EXCLUSIVE`).
    #[error("{field} {value} is kept by {task} alone")]
    ExclusivelyHeld {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: Text,
        /// The task that holds it.
        task: TaskId,
    },
    /// The maximum number of tasks have the value (`MAX_PER`, `GROUP_BY` with a count).
    #[error("{field} {value} has {count} of {most}")]
    GroupFull {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: Text,
        /// The number of tasks that have it.
        count: u64,
        /// The maximum number of tasks.
        most: u64,
        /// A value that would satisfy the constraint.
        remedy: Option<Remedy>,
    },
    /// The maximum number of values have tasks (`GROUP_BY` with a count).
    #[error("{field} {value} would be one more than {most} groups")]
    GroupsFull {
        /// The field of the constraint.
        field: Field,
        /// The value found, which has no task.
        value: Text,
        /// The maximum number of values.
        most: u64,
        /// A value that would satisfy the constraint.
        remedy: Option<Remedy>,
    },
    /// One more task would make the distribution too uneven (`GROUP_BY` without a count, `MAX_SKEW`).
    #[error("{field} {value} has {count}, {} has {fewest}", .behind.as_deref().unwrap_or("another"))]
    Uneven {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: Text,
        /// The number of tasks that have it.
        count: u64,
        /// The number of tasks of the value that has the fewest.
        fewest: u64,
        /// The first value that has so few; none = the location without the field.
        behind: Option<Text>,
    },
    /// No alternative of a disjunction holds; one reason for each.
    #[error("{}", Joined(.0, ", and "))]
    NoneOf(Vec<Self>),
    /// Parts of a conjunction do not hold; one reason for each.
    #[error("{}", Joined(.0, "; "))]
    Several(Vec<Self>),
    /// A negated clause holds.
    #[error("it holds")]
    Holds,
    /// The reason of a custom constraint.
    #[error("{0}")]
    Custom(Text),
}

impl RejectReason {
    /// Makes the reason of a custom constraint from a message for people.
    pub fn custom(message: impl Into<Text>) -> Self {
        Self::Custom(message.into())
    }

    /// Returns true if the only reason is that fields have no value, as opposed to values that do not match.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Absent { .. } => true,
            Self::NoneOf(reasons) | Self::Several(reasons) => reasons.iter().all(Self::is_absence),
            Self::Differs { .. }
            | Self::Apart { .. }
            | Self::Taken { .. }
            | Self::ExclusivelyHeld { .. }
            | Self::GroupFull { .. }
            | Self::GroupsFull { .. }
            | Self::Uneven { .. }
            | Self::Holds
            | Self::Custom(_) => false,
        }
    }

    /// Returns for each field the value that would make the constraint hold, or `None` if there is no such value or it
    /// cannot be determined. Of the alternatives of a disjunction the one with the fewest changes is chosen.
    #[must_use]
    pub fn remedies(&self) -> Option<Vec<(&Field, Remedy)>> {
        match self {
            Self::Absent { field, remedy }
            | Self::Differs { field, remedy, .. }
            | Self::GroupFull { field, remedy, .. }
            | Self::GroupsFull { field, remedy, .. } => remedy.clone().map(|remedy| vec![(field, remedy)]),
            Self::Apart { field, first, .. } => first.clone().map(|first| vec![(field, Remedy::Value(first))]),
            Self::Taken { field, .. } | Self::ExclusivelyHeld { field, .. } | Self::Uneven { field, .. } => {
                Some(vec![(field, Remedy::NewValue)])
            }
            Self::NoneOf(reasons) => reasons.iter().filter_map(Self::remedies).min_by_key(Vec::len),
            Self::Several(reasons) => {
                let mut all = Vec::new();
                for reason in reasons {
                    for (field, remedy) in reason.remedies()? {
                        match all.iter().find(|(other, _)| *other == field) {
                            None => all.push((field, remedy)),
                            Some((_, other)) if *other == remedy => {}
                            Some(_) => return None,
                        }
                    }
                }
                Some(all)
            }
            Self::Holds | Self::Custom(_) => None,
        }
    }
}

/// The value that a field needs for a constraint to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a given value, a new one, or none")]
pub enum Remedy {
    /// This value.
    Value(Text),
    /// A value that no task has yet, such as one more host or rack.
    NewValue,
    /// No value.
    NoValue,
}

/// Formats reasons with a separator.
struct Joined<'a>(&'a [RejectReason], &'static str);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, reason) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { self.1 })?;
            write!(f, "{reason}")?;
        }
        Ok(())
    }
}
