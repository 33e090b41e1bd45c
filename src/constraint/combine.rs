//! [`Clause`]: constraints joined by and, or, not.

use super::{Candidate, Condition, Constraint, Placed, Preference, Reason, Verdict, Weight};
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

    /// What has to change for its verdict on a place to change.
    pub(crate) fn reach(&self) -> Reach {
        let joined = |clauses: &[Self]| {
            let mut reaches = clauses.iter().map(Self::reach);
            let widest = reaches.by_ref().max().unwrap_or(Reach::Host);
            let mut of_tasks = false;
            self.conditions(&mut |condition| of_tasks |= condition.field.is_of_tasks());
            if widest == Reach::Values && of_tasks { Reach::Anything } else { widest }
        };
        match self {
            Self::Condition(condition) => condition.reach(),
            Self::Any(clauses) | Self::All(clauses) => joined(clauses),
            Self::Not(clause) => clause.reach(),
            Self::Own(_) => Reach::Anything,
        }
    }

    /// Whether its verdict on a place depends on nothing but the place.
    pub(crate) fn is_static(&self) -> bool {
        match self {
            Self::Condition(condition) => condition.is_static(),
            Self::Any(clauses) | Self::All(clauses) => clauses.iter().all(Self::is_static),
            Self::Not(clause) => clause.is_static(),
            Self::Own(_) => false,
        }
    }

    /// Whether a place that it rejects stays rejected while further tasks of the app are placed.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Condition(condition) => condition.is_lasting(),
            Self::Any(clauses) | Self::All(clauses) => clauses.iter().all(Self::is_lasting),
            Self::Not(clause) => clause.is_static(),
            Self::Own(_) => false,
        }
    }
}

/// What has to change for a verdict on a place to change, while tasks of one app are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// A task comes to the host.
    Host,
    /// A task comes anywhere; but places that agree in all fields that are looked at have the same verdict.
    Values,
    /// Anything.
    Anything,
}

impl Constraint for Clause {
    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        match self {
            Self::Condition(condition) => condition.check(candidate, placed),
            Self::Own(constraint) => constraint.check(candidate, placed),
            Self::Not(clause) => Verdict::require(!clause.check(candidate, placed).is_accept(), || Reason::Holds),
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
