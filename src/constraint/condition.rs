//! [`Condition`]: a constraint in text form, `FIELD OPERATOR VALUE`.

use super::operator::number;
use super::{Candidate, Comparison, ConditionError, Constraint, Field, Operand, Operator, Placed};
use super::{Dependencies, limit, spread};
use super::{Literal, RejectReason, Remedy, Verdict};
use crate::attributes::AttributeValue;
use crate::text::Text;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A constraint in text form: a field, an operator and, if the operator takes one, a value.
///
/// A condition is validated when it is parsed, not when it is evaluated: patterns are compiled and numbers read then.
///
/// # Examples
///
/// ```
/// use apportion::constraint::{Candidate, Condition, Constraint, Location, Placed, PlacedTask, Verdict};
///
/// let rule: Condition = "rack MAX_PER 2".parse()?;
/// let mut location = Location::new("h1");
/// location.attributes = "rack:r1".parse()?;
///
/// let mut placed = Placed::new();
/// assert_eq!(rule.check(&Candidate::new("/web", &location), &placed), Verdict::Accept);
/// placed.push(PlacedTask::new("/web", "web.1", location.clone()));
/// placed.push(PlacedTask::new("/web", "web.2", location.clone()));
/// let Verdict::Reject(reason) = rule.check(&Candidate::new("/web", &location), &placed) else { panic!() };
/// assert_eq!(reason.to_string(), "rack r1 has 2 of 2");
///
/// let error = "rack MAX_PER few".parse::<Condition>().unwrap_err();
/// assert_eq!(error.to_string(), "MAX_PER \"few\": expected a whole number");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Condition {
    /// The field that is evaluated.
    pub field: Field,
    /// The operator, with its operand.
    pub operator: Operator,
}

impl Condition {
    /// Makes a condition from a field and an operator.
    ///
    /// # Errors
    ///
    /// [`ConditionError::FieldOfTasks`] for a counting operator with a field of tasks.
    pub fn new(field: Field, operator: Operator) -> Result<Self, ConditionError> {
        if operator.is_counting() && field.is_of_tasks() {
            return Err(ConditionError::FieldOfTasks { field, operator: operator.name().to_owned() });
        }
        Ok(Self { field, operator })
    }

    /// Reads an element of an app's `constraints` with two or three entries, by the rules of Marathon: where the value
    /// is optional, an empty one is the same as none.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] for invalid input, including fields and operators that Marathon does not have.
    pub fn marathon(field: &str, operator: &str, value: Option<Operand>) -> Result<Self, ConditionError> {
        if !Operator::MARATHON.contains(&operator) {
            let known = Operator::MARATHON.to_vec();
            return Err(ConditionError::Operator { found: operator.to_owned(), known });
        }
        let field: Field = field.parse()?;
        if field.is_of_tasks() {
            return Err(ConditionError::FieldOfTasks { field, operator: "constraints".to_owned() });
        }
        let is_optional = ["UNIQUE", "CLUSTER", "GROUP_BY"].contains(&operator);
        let value = value.filter(|value| !(is_optional && *value == Operand::Text("".into())));
        Self::new(field, Operator::new(operator, value)?)
    }

    /// Returns true if the verdict depends on the location alone.
    #[must_use]
    pub fn is_static(&self) -> bool {
        !self.field.is_of_tasks() && (!self.operator.is_counting() || self.is_cluster_on_a_value())
    }

    /// Returns the state that the verdict depends on. A count by `hostname` depends only on the tasks of that host.
    pub(super) fn dependencies(&self) -> Dependencies {
        let counts_by_host = matches!(self.operator, Operator::Unique | Operator::MaxPer(_) | Operator::Exclusive)
            && self.field == Field::Hostname;
        let mut dependencies = Dependencies::default();
        if self.field == Field::Task {
            dependencies.host_other = true;
        } else if self.field.is_of_tasks() || counts_by_host {
            dependencies.host_task_fields = true;
        } else if self.is_static() {
            dependencies.location_fields = true;
        } else {
            dependencies.tallies = true;
        }
        dependencies
    }

    fn is_cluster_on_a_value(&self) -> bool {
        matches!(self.operator, Operator::Cluster(Some(_)))
    }

    /// Matches the values of the field against the operand of a value operator; a counting operator matches any value.
    fn match_values(&self, candidate: &Candidate<'_>, placed: &Placed) -> Match {
        let mut values = self.values(candidate, placed).peekable();
        if values.peek().is_none() {
            return Match::Absent;
        }
        let found = match &self.operator {
            Operator::Is(literal) | Operator::IsNot(literal) => values.any(|value| literal.equals(&value.text())),
            Operator::Like(pattern) | Operator::Unlike(pattern) => values.any(|value| pattern.matches(&value.text())),
            Operator::In(list) | Operator::NotIn(list) => {
                values.any(|value| list.iter().any(|literal| literal.equals(&value.text())))
            }
            Operator::Has(list) | Operator::Lacks(list) => values.any(|value| value.contains(list)),
            Operator::Compare(comparison, operand) => {
                values.any(|value| value.number().is_some_and(|number| comparison.holds(number, *operand)))
            }
            Operator::Exists
            | Operator::Absent
            | Operator::Unique
            | Operator::Cluster(_)
            | Operator::GroupBy(_)
            | Operator::MaxPer(_)
            | Operator::MaxSkew(_)
            | Operator::Exclusive => true,
        };
        if found { Match::Found } else { Match::Mismatch }
    }

    /// Returns true if the condition holds where a value matches, false for negations, which hold where none does.
    fn is_positive(&self) -> bool {
        !matches!(
            self.operator,
            Operator::IsNot(_) | Operator::Unlike(_) | Operator::NotIn(_) | Operator::Lacks(_) | Operator::Absent
        )
    }

    /// Evaluates a value operator.
    fn check_values(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        let is_positive = self.is_positive();
        match self.match_values(candidate, placed) {
            Match::Absent => Verdict::require(!is_positive, || self.absent()),
            result @ (Match::Mismatch | Match::Found) => {
                Verdict::require((result == Match::Found) == is_positive, || RejectReason::Differs {
                    field: self.field.clone(),
                    value: self.display_values(candidate, placed),
                    remedy: self.remedy(),
                })
            }
        }
    }

    /// Returns the values of the field: at most one of a location, any number of the tasks on its host.
    fn values<'a>(&'a self, candidate: &Candidate<'a>, placed: &'a Placed) -> impl Iterator<Item = FieldValue<'a>> {
        let location = candidate.location;
        let of_location = if let Field::Attribute(name) = &self.field {
            location.attributes.first(name).map(FieldValue::Attribute)
        } else {
            location.value(&self.field).map(FieldValue::Text)
        };
        let of_tasks = self.field.is_of_tasks().then(|| placed.values(&location.hostname, &self.field, candidate.app));
        of_location
            .into_iter()
            .chain(of_tasks.into_iter().flatten().map(|value| FieldValue::Text(Cow::Borrowed(value))))
    }

    /// Evaluates a counting operator. The reasons of some name the value to take instead, which is looked for among all.
    fn holds_counted(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        let value = || candidate.location.value(&self.field);
        let (app, field) = (candidate.app, &self.field);
        if let Operator::GroupBy(None) = &self.operator {
            let tally = placed.tally(app, field);
            value().is_some_and(|value| spread::is_even(tally.count(&value), &tally))
        } else if let Operator::GroupBy(Some(groups)) = &self.operator {
            let tally = placed.tally(app, field);
            value().is_some_and(|value| spread::fits_group(&value, *groups, candidate.instances, &tally))
        } else if let Operator::MaxSkew(most) = &self.operator {
            value().is_some_and(|value| spread::fits_skew(field, &value, *most, app, placed))
        } else {
            self.check(candidate, placed).is_accept()
        }
    }

    fn absent(&self) -> RejectReason {
        RejectReason::Absent { field: self.field.clone(), remedy: self.remedy() }
    }

    /// Returns a value of the field that satisfies the condition, as far as the operand determines one.
    fn remedy(&self) -> Option<Remedy> {
        let can_be_absent = !matches!(self.field, Field::Hostname);
        match &self.operator {
            _ if self.field.is_of_tasks() => None,
            Operator::Is(literal) => Some(Remedy::Value(literal.as_str().into())),
            Operator::In(list) => list.first().map(|literal| Remedy::Value(literal.as_str().into())),
            Operator::Cluster(Some(value)) => Some(Remedy::Value(value.clone())),
            Operator::Compare(Comparison::AtLeast | Comparison::AtMost, number) => {
                Some(Remedy::Value(super::rounded(*number).into()))
            }
            Operator::Exists
            | Operator::Unique
            | Operator::Cluster(None)
            | Operator::GroupBy(_)
            | Operator::MaxPer(_)
            | Operator::MaxSkew(_)
            | Operator::Exclusive => Some(Remedy::NewValue),
            Operator::IsNot(_) | Operator::NotIn(_) | Operator::Unlike(_) | Operator::Lacks(_) | Operator::Absent => {
                can_be_absent.then_some(Remedy::NoValue)
            }
            Operator::Like(_) | Operator::Has(_) | Operator::Compare(..) => None,
        }
    }

    /// Formats the distinct values of the field for a message, at most `MAX_SHOWN` of them.
    fn display_values(&self, candidate: &Candidate<'_>, placed: &Placed) -> Text {
        const MAX_SHOWN: usize = 4;
        let mut shown: Vec<String> = Vec::new();
        for value in self.values(candidate, placed) {
            let value = value.text().into_owned();
            if shown.len() == MAX_SHOWN {
                shown.push("...".to_owned());
                break;
            }
            if !shown.contains(&value) {
                shown.push(value);
            }
        }
        shown.join(", ").into()
    }
}

impl Constraint for Condition {
    fn describe(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn holds(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        if self.operator.is_counting() {
            return self.holds_counted(candidate, placed);
        }
        (self.match_values(candidate, placed) == Match::Found) == self.is_positive()
    }

    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        if !self.operator.is_counting() {
            return self.check_values(candidate, placed);
        }
        let Some(value) = candidate.location.value(&self.field) else {
            return Verdict::Reject(self.absent());
        };
        let (field, value) = (&self.field, value.as_ref());
        match &self.operator {
            Operator::Unique => limit::unique(field, value, candidate.app, placed),
            Operator::MaxPer(most) => limit::max_per(field, value, *most, candidate.app, placed),
            Operator::Exclusive => limit::exclusive(field, value, candidate.app, placed),
            Operator::Cluster(Some(operand)) => {
                let remedy = self.remedy();
                let differs = || RejectReason::Differs { field: field.clone(), value: value.into(), remedy };
                Verdict::require(value == operand, differs)
            }
            Operator::Cluster(None) => limit::cluster(field, value, candidate.app, placed),
            Operator::GroupBy(Some(groups)) => {
                let tally = placed.tally(candidate.app, field);
                spread::group_by(field, value, *groups, candidate.instances, &tally)
            }
            Operator::GroupBy(None) => spread::group_evenly(field, value, &placed.tally(candidate.app, field)),
            Operator::MaxSkew(most) => spread::max_skew(field, value, *most, candidate.app, placed),
            Operator::Like(_)
            | Operator::Unlike(_)
            | Operator::Is(_)
            | Operator::IsNot(_)
            | Operator::In(_)
            | Operator::NotIn(_)
            | Operator::Has(_)
            | Operator::Lacks(_)
            | Operator::Exists
            | Operator::Absent
            | Operator::Compare(..) => self.check_values(candidate, placed),
        }
    }
}

/// The result of matching the values of a field against an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    /// The field has no value.
    Absent,
    /// The field has values, and none matches.
    Mismatch,
    /// A value matches.
    Found,
}

/// A value of a field; those of attributes keep their type.
enum FieldValue<'a> {
    Attribute(&'a AttributeValue),
    Text(Cow<'a, str>),
}

impl FieldValue<'_> {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Attribute(value) => super::printed(value),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Attribute(AttributeValue::Scalar(value)) => Some(*value),
            Self::Attribute(AttributeValue::Text(text)) => number(text),
            Self::Attribute(AttributeValue::Ranges(_) | AttributeValue::Set(_)) => None,
            Self::Text(text) => number(text),
        }
    }

    /// Returns true if all literals are members of the value: a set, ranges, or comma-separated text.
    fn contains(&self, all: &[Literal]) -> bool {
        let is_member = |literal: &Literal| match self {
            Self::Attribute(AttributeValue::Set(set)) => set.as_slice().iter().any(|name| literal.equals(name)),
            Self::Attribute(AttributeValue::Ranges(ranges)) => literal.as_str().parse().is_ok_and(|number: u64| {
                ranges.as_slice().iter().any(|range| (range.begin..=range.end).contains(&number))
            }),
            Self::Attribute(AttributeValue::Scalar(_) | AttributeValue::Text(_)) | Self::Text(_) => {
                self.text().split(',').any(|name| literal.equals(name.trim()))
            }
        };
        all.iter().all(is_member)
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    /// Parses a field, an operator and a value separated by white space. The value is the rest of the text; for `IN`,
    /// `NOT_IN`, `HAS` and `LACKS` it is a list separated by commas.
    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let syntax_error = || ConditionError::Syntax { found: text.to_owned() };
        let (field, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(syntax_error)?;
        let (operator, value) = match rest.trim_start().split_once(char::is_whitespace) {
            Some((operator, value)) => (operator, Some(value.trim_start())),
            None => (rest.trim_start(), None),
        };
        let value = value.map(|value| match operator {
            "IN" | "NOT_IN" | "HAS" | "LACKS" => {
                Operand::List(value.split(',').map(|item| Operand::Text(item.trim().into())).collect())
            }
            _ => Operand::Text(value.into()),
        });
        Self::new(field.parse()?, Operator::new(operator, value)?)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.operator)
    }
}
