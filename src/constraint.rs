//! Placement constraints: predicates that decide whether a task may run at a location.
//!
//! A [`Constraint`] is a pure function of a [`Candidate`] (an app and a [`Location`]) and of the tasks already
//! [`Placed`]. A [`Condition`] is a constraint in text form, `FIELD OPERATOR VALUE`, with Marathon's operators and some
//! more. A [`Clause`] is a boolean expression (and, or, not) over conditions and custom constraints. A [`Preference`]
//! is a soft constraint: a clause with a weight.

mod clause;
mod condition;
mod field;
mod limit;
mod operator;
mod placed;
mod preference;
mod spread;

pub use clause::Clause;
pub(crate) use clause::Dependencies;
pub use condition::{Condition, ConditionError};
pub use field::{Field, FieldError};
pub use operator::{Comparison, Literal, Operand, Operator, Pattern};
pub use placed::{Placed, PlacedTask, Tally};
pub use preference::{Preference, Weight, WeightError};

use crate::agent::Agent;
use crate::attributes::{AttributeValue, Attributes};
use crate::id::TaskId;
use crate::offer::Offer;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::fmt;

/// A hard constraint on where a task may run.
///
/// An implementation must be a pure function of its arguments: the planner evaluates it in any order and caches its
/// verdicts.
///
/// # Examples
///
/// A custom constraint: an app that has licences for three hosts, whichever these are.
///
/// ```
/// use apportion::constraint::{Candidate, Constraint, Location, Placed, PlacedTask, Reason, Verdict};
/// use std::collections::BTreeSet;
///
/// #[derive(Debug)]
/// struct Licences {
///     hosts: usize,
/// }
///
/// impl Constraint for Licences {
///     fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
///         let mut hosts: BTreeSet<_> = placed.siblings(candidate.app).map(|task| &task.location.hostname).collect();
///         hosts.insert(&candidate.location.hostname);
///         if hosts.len() <= self.hosts {
///             Verdict::Accept
///         } else {
///             Verdict::Reject(Reason::custom(format!("there are licences for {} hosts", self.hosts)))
///         }
///     }
/// }
///
/// let mut placed = Placed::new();
/// for host in ["h1", "h2", "h3"] {
///     placed.push(PlacedTask::new("/db", host, Location::new(host)));
/// }
/// let (known, fourth) = (Location::new("h2"), Location::new("h4"));
/// let licences = Licences { hosts: 3 };
/// assert_eq!(licences.check(&Candidate::new("/db", &known), &placed), Verdict::Accept);
/// assert!(!licences.check(&Candidate::new("/db", &fourth), &placed).is_accept());
/// ```
pub trait Constraint: fmt::Debug + Send + Sync {
    /// Decides whether one more task may run at the candidate's location, with the reason if it may not.
    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict;

    /// Returns true if [`check`](Constraint::check) accepts. The planner calls it far more often than `check`: override
    /// it if the reason is expensive to compute.
    fn holds(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        self.check(candidate, placed).is_accept()
    }

    /// Returns the scope of the constraint. The planner caches verdicts accordingly; with the default, nothing is
    /// cached and the constraint is evaluated for every pair of task and location.
    fn scope(&self) -> Scope {
        Scope::Cluster
    }
}

/// The scope of a constraint: the state that its verdict depends on, besides the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the planner has a cost and a cache for each of the three")]
pub enum Scope {
    /// The location alone, whatever tasks run there or elsewhere.
    Location,
    /// The location and the tasks on its host.
    Host,
    /// Any task in the cluster.
    Cluster,
}

/// The verdict of a constraint on a candidate.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a constraint holds or it does not; weights belong to preferences")]
pub enum Verdict {
    /// The task may run at the location.
    Accept,
    /// The task may not run at the location.
    Reject(Reason),
}

impl Verdict {
    /// Returns true for [`Verdict::Accept`].
    #[must_use]
    pub fn is_accept(&self) -> bool {
        matches!(self, Self::Accept)
    }

    /// Accepts if `holds`, else rejects with `reason`.
    pub(crate) fn require(holds: bool, reason: impl FnOnce() -> Reason) -> Self {
        if holds { Self::Accept } else { Self::Reject(reason()) }
    }
}

/// The reason why a task may not run at a location.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
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
        value: SmolStr,
        /// A value that would satisfy the constraint.
        remedy: Option<Remedy>,
    },
    /// The first task of the app runs at another value (`CLUSTER`).
    #[error("{field} is {value}, but {task} runs on {}", .first.as_deref().unwrap_or("none"))]
    Apart {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: SmolStr,
        /// The first task.
        task: TaskId,
        /// The value where the first task runs, if there is one.
        first: Option<SmolStr>,
    },
    /// Another task has the value (`UNIQUE`, `EXCLUSIVE`).
    #[error("{field} {value} has {task}")]
    Taken {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: SmolStr,
        /// That task.
        task: TaskId,
    },
    /// A running task holds the value exclusively (its own `EXCLUSIVE`).
    #[error("{field} {value} is kept by {task} alone")]
    ExclusivelyHeld {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: SmolStr,
        /// The task that holds it.
        task: TaskId,
    },
    /// The maximum number of tasks have the value (`MAX_PER`, `GROUP_BY` with a count).
    #[error("{field} {value} has {count} of {most}")]
    GroupFull {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: SmolStr,
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
        value: SmolStr,
        /// The maximum number of values.
        most: u64,
        /// A value that would satisfy the constraint.
        remedy: Option<Remedy>,
    },
    /// One more task would make the distribution too uneven (`GROUP_BY` without a count, `MAX_SKEW`).
    #[error("{field} {value} has {count}, another has {fewest}")]
    Uneven {
        /// The field of the constraint.
        field: Field,
        /// The value found.
        value: SmolStr,
        /// The number of tasks that have it.
        count: u64,
        /// The number of tasks of the value that has the fewest.
        fewest: u64,
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
    Custom(SmolStr),
}

impl Reason {
    /// Makes the reason of a custom constraint from a message for people.
    pub fn custom(message: impl Into<SmolStr>) -> Self {
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
}

/// The value that a field needs for a constraint to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a given value, a new one, or none")]
pub enum Remedy {
    /// This value.
    Value(SmolStr),
    /// A value that no task has yet, such as one more host or rack.
    NewValue,
    /// No value.
    NoValue,
}

impl Reason {
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

struct Joined<'a>(&'a [Reason], &'static str);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, reason) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { self.1 })?;
            write!(f, "{reason}")?;
        }
        Ok(())
    }
}

/// A task of an app at a location: the input of a constraint.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// The app.
    pub app: &'a str,
    /// The target number of instances of the app; `GROUP_BY` with a count divides it into groups.
    pub instances: u64,
    /// The location.
    pub location: &'a Location,
}

impl<'a> Candidate<'a> {
    /// Makes a candidate of an app with a single instance.
    #[must_use]
    pub fn new(app: &'a str, location: &'a Location) -> Self {
        Self { app, instances: 1, location }
    }

    /// Sets the target number of instances of the app.
    #[must_use]
    pub fn instances(mut self, instances: u64) -> Self {
        self.instances = instances;
        self
    }
}

/// A location where a task runs or may run: a host with its fault domain and attributes.
///
/// # Examples
///
/// ```
/// use apportion::constraint::Location;
///
/// let mut location = Location::new("h1");
/// location.attributes = "rack:r1;level:1.0005".parse()?;
/// let value = |field: &str| location.value(&field.parse().unwrap()).map(|value| value.into_owned());
/// assert_eq!(value("hostname").as_deref(), Some("h1"));
/// assert_eq!(value("level").as_deref(), Some("1")); // three decimals, half to even, as Marathon prints it
/// assert_eq!(value("@zone"), None);
/// # Ok::<(), apportion::AttributeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Location {
    /// The host name.
    pub hostname: SmolStr,
    /// The region of its fault domain.
    pub region: Option<SmolStr>,
    /// The zone of its fault domain.
    pub zone: Option<SmolStr>,
    /// The attributes of its agent.
    pub attributes: Attributes,
}

impl Location {
    /// Makes a location without a fault domain and attributes.
    pub fn new(hostname: impl Into<SmolStr>) -> Self {
        Self { hostname: hostname.into(), ..Self::default() }
    }

    /// Returns the value of a field as Marathon prints it, or `None` if the location has none. A field of tasks such as
    /// `@app` is not a property of the location and has none.
    #[must_use]
    pub fn value(&self, field: &Field) -> Option<Cow<'_, str>> {
        match field {
            Field::Hostname => Some(Cow::Borrowed(&self.hostname)),
            Field::Region => self.region.as_deref().map(Cow::Borrowed),
            Field::Zone => self.zone.as_deref().map(Cow::Borrowed),
            Field::Attribute(name) => self.attributes.first(name).map(printed),
            Field::App | Field::Task | Field::Image | Field::Label(_) => None,
        }
    }
}

impl From<&Offer> for Location {
    /// Copies the location of an offer; an empty region or zone is the same as none.
    fn from(offer: &Offer) -> Self {
        let non_empty = |name: &SmolStr| (!name.is_empty()).then(|| name.clone());
        Self {
            hostname: offer.hostname.clone(),
            region: offer.domain.as_ref().and_then(|domain| non_empty(&domain.region)),
            zone: offer.domain.as_ref().and_then(|domain| non_empty(&domain.zone)),
            attributes: offer.attributes.clone(),
        }
    }
}

impl From<&Agent> for Location {
    fn from(agent: &Agent) -> Self {
        Self {
            hostname: agent.hostname.clone(),
            region: agent.domain.as_ref().map(|domain| domain.region.clone()),
            zone: agent.domain.as_ref().map(|domain| domain.zone.clone()),
            attributes: agent.attributes.clone(),
        }
    }
}

/// Formats a value as Marathon does: scalars with at most three decimals.
fn printed(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => Cow::Borrowed(text),
        AttributeValue::Scalar(number) => Cow::Owned(rounded(*number)),
        AttributeValue::Ranges(ranges) => Cow::Owned(ranges.to_string()),
        AttributeValue::Set(set) => Cow::Owned(set.to_string()),
    }
}

/// Formats a number with at most three decimals, rounding the double half to even (Marathon's `0.###`).
fn rounded(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
