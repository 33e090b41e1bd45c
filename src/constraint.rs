//! Placement constraints: predicates that decide whether a task may run at a location.
//!
//! A [`Constraint`] is a pure function of a [`Candidate`] (an app and a [`Location`]) and of the tasks already
//! [`Placed`]. A [`Condition`] is a constraint in text form, `FIELD OPERATOR VALUE`, with Marathon's operators and some
//! more. A [`Clause`] is a boolean expression (and, or, not) over conditions and custom constraints. A [`Preference`]
//! is a soft constraint: a clause with a weight.
//!
//! ```
//! use apportion::constraint::{Candidate, Condition, Constraint, Location, Placed, PlacedTask, Verdict};
//! use apportion::{Offer, Role};
//!
//! let rule: Condition = "rack MAX_PER 1".parse()?;
//! let mut offer = Offer::new("O1", "f1", Role::default(), "a1", "cpus:4".parse()?);
//! offer.attributes = "rack:r1".parse()?;
//! let location = Location::from(&offer);
//!
//! let mut placed = Placed::new();
//! assert!(rule.check(&Candidate::new("web", &location), &placed).is_accept());
//! placed.push(PlacedTask::new("web", "web.1", location.clone()));
//! let Verdict::Reject(why) = rule.check(&Candidate::new("web", &location), &placed) else { panic!() };
//! assert_eq!(why.to_string(), "rack r1 has 1 of 1");
//! assert!(rule.check(&Candidate::new("another", &location), &placed).is_accept()); // it counts tasks of the app
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clause;
mod condition;
mod dependencies;
mod error;
mod field;
mod limit;
mod location;
mod operator;
mod placed;
mod preference;
mod reason;
mod spread;
mod tally;

pub use clause::Clause;
pub use condition::Condition;
pub(crate) use dependencies::Dependencies;
pub use error::ConditionError;
pub use field::{Field, FieldError};
pub use location::Location;
pub use operator::{Comparison, Literal, Operand, Operator, Pattern};
pub use placed::{Placed, PlacedTask};
pub use preference::{Preference, PreferenceWeight, PreferenceWeightError};
pub use reason::{RejectReason, Remedy};
pub use tally::Tally;

use location::{printed, rounded};

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
/// use apportion::constraint::{Candidate, Constraint, Location, Placed, PlacedTask, RejectReason, Verdict};
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
///             Verdict::Reject(RejectReason::custom(format!("there are licences for {} hosts", self.hosts)))
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

    /// Returns the constraint in words, as reports of near misses and the like show it. Without words of its own it is shown
    /// as `Debug` prints it.
    fn describe(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{self:?}"))
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
    Reject(RejectReason),
}

impl Verdict {
    /// Returns true for [`Verdict::Accept`].
    #[must_use]
    pub fn is_accept(&self) -> bool {
        matches!(self, Self::Accept)
    }

    /// Accepts if `holds`, else rejects with `reason`.
    pub(crate) fn require(holds: bool, reason: impl FnOnce() -> RejectReason) -> Self {
        if holds { Self::Accept } else { Self::Reject(reason()) }
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

#[cfg(test)]
mod tests;
