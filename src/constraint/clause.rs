//! [`Clause`]: boolean expressions over constraints.

use super::{Candidate, Condition, Constraint, Dependencies, Placed, RejectReason, Scope, Verdict};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A boolean expression: and, or and not over conditions and custom constraints.
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
#[expect(clippy::exhaustive_enums, reason = "and, or and not are functionally complete")]
pub enum Clause {
    /// A condition in text form.
    Condition(Condition),
    /// Disjunction: at least one clause holds.
    Any(Vec<Self>),
    /// Conjunction: every clause holds.
    All(Vec<Self>),
    /// Negation: the clause does not hold.
    Not(Box<Self>),
    /// A custom constraint.
    Custom(Arc<dyn Constraint>),
}

impl Clause {
    /// Wraps a custom constraint.
    pub fn custom(constraint: impl Constraint + 'static) -> Self {
        Self::Custom(Arc::new(constraint))
    }

    /// Visits the conditions that must hold for the clause to hold: those not below a disjunction or negation.
    pub(crate) fn required<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        match self {
            Self::Condition(condition) => visit(condition),
            Self::All(clauses) => clauses.iter().for_each(|clause| clause.required(visit)),
            Self::Any(_) | Self::Not(_) | Self::Custom(_) => {}
        }
    }

    /// Visits all conditions of the expression.
    pub(crate) fn conditions<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        match self {
            Self::Condition(condition) => visit(condition),
            Self::Any(clauses) | Self::All(clauses) => clauses.iter().for_each(|clause| clause.conditions(visit)),
            Self::Not(clause) => clause.conditions(visit),
            Self::Custom(_) => {}
        }
    }

    /// Returns true if a custom constraint is part of the expression.
    pub(crate) fn is_custom(&self) -> bool {
        match self {
            Self::Condition(_) => false,
            Self::Any(clauses) | Self::All(clauses) => clauses.iter().any(Self::is_custom),
            Self::Not(clause) => clause.is_custom(),
            Self::Custom(_) => true,
        }
    }

    /// Returns the state that the verdict depends on.
    pub(crate) fn dependencies(&self) -> Dependencies {
        match self {
            Self::Condition(condition) => condition.dependencies(),
            Self::Any(clauses) | Self::All(clauses) => {
                clauses.iter().fold(Dependencies::default(), |all, clause| all.union(clause.dependencies()))
            }
            Self::Not(clause) => clause.dependencies(),
            Self::Custom(constraint) => match constraint.scope() {
                Scope::Location => Dependencies { location_other: true, ..Dependencies::default() },
                Scope::Host => Dependencies { host_other: true, ..Dependencies::default() },
                Scope::Cluster => Dependencies { cluster: true, ..Dependencies::default() },
            },
        }
    }
}

impl Constraint for Clause {
    fn describe(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn holds(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        match self {
            Self::Condition(condition) => condition.holds(candidate, placed),
            Self::Custom(constraint) => constraint.holds(candidate, placed),
            Self::Not(clause) => !clause.holds(candidate, placed),
            Self::Any(clauses) => clauses.iter().any(|clause| clause.holds(candidate, placed)),
            Self::All(clauses) => clauses.iter().all(|clause| clause.holds(candidate, placed)),
        }
    }

    fn scope(&self) -> Scope {
        let dependencies = self.dependencies();
        if dependencies.cluster || dependencies.tallies {
            Scope::Cluster
        } else if dependencies.host_task_fields || dependencies.host_other {
            Scope::Host
        } else {
            Scope::Location
        }
    }

    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        match self {
            Self::Condition(condition) => condition.check(candidate, placed),
            Self::Custom(constraint) => constraint.check(candidate, placed),
            Self::Not(clause) => Verdict::require(!clause.holds(candidate, placed), || RejectReason::Holds),
            Self::Any(clauses) => {
                let mut reasons = Vec::new();
                for clause in clauses {
                    match clause.check(candidate, placed) {
                        Verdict::Accept => return Verdict::Accept,
                        Verdict::Reject(reason) => reasons.push(reason),
                    }
                }
                Verdict::Reject(RejectReason::NoneOf(reasons))
            }
            Self::All(clauses) => {
                let reasons = clauses.iter().filter_map(|clause| match clause.check(candidate, placed) {
                    Verdict::Accept => None,
                    Verdict::Reject(reason) => Some(reason),
                });
                let reasons: Vec<_> = reasons.collect();
                Verdict::require(reasons.is_empty(), || RejectReason::Several(reasons))
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
            Self::Custom(constraint) => f.write_str(&constraint.describe()),
        }
    }
}
