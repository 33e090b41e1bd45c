//! [`Clause`]: constraints joined by and, or, not.

use super::{Candidate, Condition, Constraint, Placed, Preference, Reach, Reason, Verdict, Weight};
use std::fmt;
use std::sync::Arc;

/// A condition, or several joined by and, or, not; constraints of one's own may stand among them.
///
/// # Examples
///
/// ```
/// use apportion::constraint::{Candidate, Clause, Condition, Constraint, Location, Placed};
///
/// let condition = |text: &str| text.parse::<Condition>().map(Clause::from);
/// let clause = Clause::Any(vec![condition("hostname IS h1")?, condition("hostname IS h2")?]);
/// let accepts = |host: &str| clause.check(&Candidate::new("/a", &Location::new(host)), &Placed::new()).is_accept();
/// assert!(accepts("h1") && accepts("h2") && !accepts("h3"));
/// assert_eq!(clause.to_string(), "any(hostname IS h1, hostname IS h2)");
/// # Ok::<(), apportion::constraint::ConditionError>(())
/// ```
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "and, or, not over a leaf are all that logic needs")]
pub enum Clause {
    /// A condition in words.
    Condition(Condition),
    /// At least one holds.
    Any(Vec<Self>),
    /// Each holds.
    All(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A constraint of one's own.
    Own(Arc<dyn Constraint>),
}

impl Clause {
    /// A constraint of one's own.
    pub fn own(constraint: impl Constraint + 'static) -> Self {
        Self::Own(Arc::new(constraint))
    }

    /// The same as a wish: it counts for so much where it holds, and rejects nothing.
    #[must_use]
    pub fn soften(self, weight: Weight) -> Preference {
        Preference { clause: self, weight }
    }

    /// The conditions that must hold for it to hold.
    pub(crate) fn required<'a>(&'a self, each: &mut impl FnMut(&'a Condition)) {
        match self {
            Self::Condition(condition) => each(condition),
            Self::All(clauses) => clauses.iter().for_each(|clause| clause.required(each)),
            Self::Any(_) | Self::Not(_) | Self::Own(_) => {}
        }
    }

    /// All conditions in it, however deep.
    pub(crate) fn conditions<'a>(&'a self, each: &mut impl FnMut(&'a Condition)) {
        match self {
            Self::Condition(condition) => each(condition),
            Self::Any(clauses) | Self::All(clauses) => clauses.iter().for_each(|clause| clause.conditions(each)),
            Self::Not(clause) => clause.conditions(each),
            Self::Own(_) => {}
        }
    }

    /// What its verdict depends on.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Condition(condition) => condition.needs(),
            Self::Any(clauses) | Self::All(clauses) => {
                clauses.iter().fold(Needs::default(), |sum, clause| sum.and(clause.needs()))
            }
            Self::Not(clause) => clause.needs(),
            Self::Own(constraint) => match constraint.reach() {
                Reach::Place => Needs { own_place: true, ..Needs::default() },
                Reach::Host => Needs { own_host: true, ..Needs::default() },
                Reach::Anything => Needs { anything: true, ..Needs::default() },
            },
        }
    }
}

/// What the verdict of a clause on a place depends on, besides the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    /// Values of fields of the place.
    pub(crate) place: bool,
    /// Anything else of the place.
    pub(crate) own_place: bool,
    /// Apps, images and labels of the tasks on the host.
    pub(crate) neighbours: bool,
    /// Anything else of the tasks on the host.
    pub(crate) own_host: bool,
    /// How many tasks of the app have which values of fields of the place.
    pub(crate) counts: bool,
    /// Any task anywhere.
    pub(crate) anything: bool,
}

impl Needs {
    fn and(self, other: Self) -> Self {
        Self {
            place: self.place || other.place,
            own_place: self.own_place || other.own_place,
            neighbours: self.neighbours || other.neighbours,
            own_host: self.own_host || other.own_host,
            counts: self.counts || other.counts,
            anything: self.anything || other.anything,
        }
    }
}

impl Constraint for Clause {
    fn holds(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        match self {
            Self::Condition(condition) => condition.holds(candidate, placed),
            Self::Own(constraint) => constraint.holds(candidate, placed),
            Self::Not(clause) => !clause.holds(candidate, placed),
            Self::Any(clauses) => clauses.iter().any(|clause| clause.holds(candidate, placed)),
            Self::All(clauses) => clauses.iter().all(|clause| clause.holds(candidate, placed)),
        }
    }

    fn reach(&self) -> Reach {
        let needs = self.needs();
        if needs.anything || needs.counts {
            Reach::Anything
        } else if needs.neighbours || needs.own_host {
            Reach::Host
        } else {
            Reach::Place
        }
    }

    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        match self {
            Self::Condition(condition) => condition.check(candidate, placed),
            Self::Own(constraint) => constraint.check(candidate, placed),
            Self::Not(clause) => Verdict::require(!clause.holds(candidate, placed), || Reason::Holds),
            Self::Any(clauses) => {
                let mut reasons = Vec::new();
                for clause in clauses {
                    match clause.check(candidate, placed) {
                        Verdict::Accept => return Verdict::Accept,
                        Verdict::Reject(reason) => reasons.push(reason),
                    }
                }
                Verdict::Reject(Reason::NoneOf(reasons))
            }
            Self::All(clauses) => {
                let reasons = clauses.iter().filter_map(|clause| match clause.check(candidate, placed) {
                    Verdict::Accept => None,
                    Verdict::Reject(reason) => Some(reason),
                });
                let reasons: Vec<_> = reasons.collect();
                Verdict::require(reasons.is_empty(), || Reason::Several(reasons))
            }
        }
    }
}

impl From<Condition> for Clause {
    fn from(condition: Condition) -> Self {
        Self::Condition(condition)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = |name: &str, clauses: &[Self]| {
            write!(f, "{name}(")?;
            for (i, clause) in clauses.iter().enumerate() {
                write!(f, "{}{clause}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        };
        match self {
            Self::Any(clauses) => list("any", clauses),
            Self::All(clauses) => list("all", clauses),
            Self::Condition(condition) => condition.fmt(f),
            Self::Not(clause) => write!(f, "not({clause})"),
            Self::Own(constraint) => write!(f, "{constraint:?}"),
        }
    }
}
