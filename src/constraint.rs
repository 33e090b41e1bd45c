//! [`Constraint`]: may a task run there, given what runs elsewhere?
//!
//! A constraint is a pure function of a [`Candidate`] (a task of which app, at which
//! [`Location`]) and of all that is [`Placed`]. [`Condition`] is the one that can be written in an
//! app, in the words of Marathon and some more; [`Clause`] joins several by and, or, not, and takes
//! constraints of your own among them; [`Preference`] makes a wish of any of them.

mod clause;
mod condition;
mod field;
mod limit;
mod operator;
mod placed;
mod preference;
mod spread;

pub use clause::Clause;
pub(crate) use clause::Needs;
pub use condition::{Condition, ConditionError};
pub use field::{Field, FieldError};
pub use operator::{Comparison, Operand, Operator, Pattern, Wanted};
pub use placed::{Placed, PlacedTask, Tally};
pub use preference::{Preference, Weight, WeightError};

use crate::agent::Agent;
use crate::attributes::{AttributeValue, Attributes};
use crate::id::TaskId;
use crate::offer::Offer;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::fmt;

/// A hard condition on where a task may run.
///
/// It must be a pure function of its arguments: the planner asks as often, and in such an order,
/// as suits it.
///
/// # Examples
///
/// A constraint of one's own: licences for three hosts, whichever these are.
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
///             Verdict::Reject(Reason::own(format!("there are licences for {} hosts", self.hosts)))
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
    /// Whether one more task may run there, and why not.
    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict;

    /// Whether one more task may run there: what [`check`](Constraint::check) says, for those who need no reason. It is
    /// asked far more often; override it where a reason costs something.
    fn holds(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        self.check(candidate, placed).is_accept()
    }

    /// What its verdict depends on. The planner remembers verdicts as far as this allows; unless it is overridden, each
    /// place is asked for each task anew.
    fn reach(&self) -> Reach {
        Reach::Anything
    }
}

/// What the verdict of a constraint depends on, besides the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "nothing, the host, or all: each is a cost of its own to the planner")]
pub enum Reach {
    /// The place alone, whatever runs there or elsewhere.
    Place,
    /// The place, and the tasks on its host.
    Host,
    /// Any task anywhere.
    Anything,
}

/// What a constraint says.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a constraint holds or it does not; wishes are weighed elsewhere")]
pub enum Verdict {
    /// The task may run there.
    Accept,
    /// It may not.
    Reject(Reason),
}

impl Verdict {
    /// Whether the task may run there.
    #[must_use]
    pub fn is_accept(&self) -> bool {
        matches!(self, Self::Accept)
    }

    /// Accepts if that holds.
    pub(crate) fn require(holds: bool, reason: impl FnOnce() -> Reason) -> Self {
        if holds { Self::Accept } else { Self::Reject(reason()) }
    }
}

/// Why a task may not run somewhere.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The place says nothing under that field.
    #[error("there is no {field}")]
    Absent {
        /// The field that was looked at.
        field: Field,
        /// What would do there.
        remedy: Option<Remedy>,
    },
    /// The value is not one that was asked for.
    #[error("{field} is {value}")]
    Differs {
        /// The field that was looked at.
        field: Field,
        /// What is there; several values stand side by side, separated by commas.
        value: SmolStr,
        /// What would do there.
        remedy: Option<Remedy>,
    },
    /// The first task of the app runs elsewhere, and all are to be together (`CLUSTER`).
    #[error("{field} is {value}, but {task} runs on {}", .first.as_deref().unwrap_or("none"))]
    Apart {
        /// The field that was looked at.
        field: Field,
        /// What is there.
        value: SmolStr,
        /// The first task.
        task: TaskId,
        /// What is where the first task runs, if it says so.
        first: Option<SmolStr>,
    },
    /// A task is there already (`UNIQUE`, `EXCLUSIVE`).
    #[error("{field} {value} has {task}")]
    Taken {
        /// The field that was looked at.
        field: Field,
        /// What is there.
        value: SmolStr,
        /// A task that has the same value.
        task: TaskId,
    },
    /// A task is there that shares the place with no other.
    #[error("{field} {value} is kept by {task} alone")]
    Kept {
        /// The field that it keeps.
        field: Field,
        /// What is there.
        value: SmolStr,
        /// The task.
        task: TaskId,
    },
    /// As many tasks as there may be have the value (`MAX_PER`, `GROUP_BY` with a count).
    #[error("{field} {value} has {count} of {most}")]
    GroupFull {
        /// The field that was looked at.
        field: Field,
        /// What is there.
        value: SmolStr,
        /// How many tasks have it.
        count: u64,
        /// How many may.
        most: u64,
        /// What would do there.
        remedy: Option<Remedy>,
    },
    /// As many values as there may be have tasks (`GROUP_BY` with a count).
    #[error("{field} {value} would be one more than {most} groups")]
    GroupsFull {
        /// The field that was looked at.
        field: Field,
        /// What is there: a value without tasks.
        value: SmolStr,
        /// How many values may have tasks.
        most: u64,
        /// What would do there.
        remedy: Option<Remedy>,
    },
    /// Another value has to get tasks first (`GROUP_BY` without a count, `MAX_SKEW`).
    #[error("{field} {value} has {count}, another has {fewest}")]
    Uneven {
        /// The field that was looked at.
        field: Field,
        /// What is there.
        value: SmolStr,
        /// How many tasks have it.
        count: u64,
        /// How many tasks the value with the fewest has.
        fewest: u64,
    },
    /// None of the alternatives holds; why, one by one.
    #[error("{}", Joined(.0, ", and "))]
    NoneOf(Vec<Self>),
    /// Several of what must hold together do not; why, one by one.
    #[error("{}", Joined(.0, "; "))]
    Several(Vec<Self>),
    /// What must not hold does.
    #[error("it holds")]
    Holds,
    /// What a constraint of one's own has to say.
    #[error("{0}")]
    Own(SmolStr),
}

impl Reason {
    /// The reason of a constraint of one's own, for people.
    pub fn own(message: impl Into<SmolStr>) -> Self {
        Self::Own(message.into())
    }

    /// Whether it is only that a field is not there, rather than that a value does not fit.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Absent { .. } => true,
            Self::NoneOf(reasons) | Self::Several(reasons) => reasons.iter().all(Self::is_absence),
            Self::Differs { .. }
            | Self::Apart { .. }
            | Self::Taken { .. }
            | Self::Kept { .. }
            | Self::GroupFull { .. }
            | Self::GroupsFull { .. }
            | Self::Uneven { .. }
            | Self::Holds
            | Self::Own(_) => false,
        }
    }
}

/// Which value of a field would do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "this value, another than all there are, or none")]
pub enum Remedy {
    /// That one.
    Value(SmolStr),
    /// One that no task has: one more host, one more rack.
    NewValue,
    /// None at all.
    NoValue,
}

impl Reason {
    /// The values that would do, field by field; none where no value does, or nobody can tell. Of alternatives it is the one
    /// that takes the fewest.
    #[must_use]
    pub fn remedies(&self) -> Option<Vec<(&Field, Remedy)>> {
        match self {
            Self::Absent { field, remedy }
            | Self::Differs { field, remedy, .. }
            | Self::GroupFull { field, remedy, .. }
            | Self::GroupsFull { field, remedy, .. } => remedy.clone().map(|remedy| vec![(field, remedy)]),
            Self::Apart { field, first, .. } => first.clone().map(|first| vec![(field, Remedy::Value(first))]),
            Self::Taken { field, .. } | Self::Kept { field, .. } | Self::Uneven { field, .. } => {
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
            Self::Holds | Self::Own(_) => None,
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

/// A task of which app might run where.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// The app.
    pub app: &'a str,
    /// How many instances it is to have in all: `GROUP_BY` with a count divides them up.
    pub instances: u64,
    /// The place.
    pub location: &'a Location,
}

impl<'a> Candidate<'a> {
    /// The single instance of that app, there.
    #[must_use]
    pub fn new(app: &'a str, location: &'a Location) -> Self {
        Self { app, instances: 1, location }
    }

    /// The same, of an app with that many instances in all.
    #[must_use]
    pub fn instances(mut self, instances: u64) -> Self {
        self.instances = instances;
        self
    }
}

/// A place where a task runs or might run: what constraints can be about.
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
    /// The host's name.
    pub hostname: SmolStr,
    /// Its region, if it says so.
    pub region: Option<SmolStr>,
    /// Its zone, if it says so.
    pub zone: Option<SmolStr>,
    /// What else the agent says of itself.
    pub attributes: Attributes,
}

impl Location {
    /// A host that says nothing else of itself.
    pub fn new(hostname: impl Into<SmolStr>) -> Self {
        Self { hostname: hostname.into(), ..Self::default() }
    }

    /// The value of a field, as Marathon prints it; none if it is not there.
    ///
    /// Fields that are about tasks have no value of their own here.
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
    /// An empty region or zone counts as none.
    fn from(offer: &Offer) -> Self {
        let named = |name: &SmolStr| (!name.is_empty()).then(|| name.clone());
        Self {
            hostname: offer.hostname.clone(),
            region: offer.domain.as_ref().and_then(|domain| named(&domain.region)),
            zone: offer.domain.as_ref().and_then(|domain| named(&domain.zone)),
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

/// A value as Marathon prints it: scalars in at most three decimals.
fn printed(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => Cow::Borrowed(text),
        AttributeValue::Scalar(number) => Cow::Owned(rounded(*number)),
        AttributeValue::Ranges(ranges) => Cow::Owned(ranges.to_string()),
        AttributeValue::Set(set) => Cow::Owned(set.to_string()),
    }
}

/// Three decimals at most, half to even on the double itself (Marathon's `0.###`).
fn rounded(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
