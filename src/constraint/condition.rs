//! [`Condition`]: a constraint in words, FIELD OPERATOR VALUE.

use super::operator::number;
use super::{Candidate, Comparison, Constraint, Field, FieldError, Operand, Operator, Placed};
use super::{Needs, limit, spread};
use super::{Reason, Remedy, Verdict, Wanted};
use crate::attributes::AttributeValue;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A constraint in words: a field, an operator and, if that takes one, a value.
///
/// What is wrong with it is told when it is made, not when it is used: patterns are compiled, numbers read.
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
    /// What it looks at.
    pub field: Field,
    /// What it asks of it.
    pub operator: Operator,
}

/// Words that are no [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// Not a field and an operator.
    #[error("{found:?} is not a condition: expected FIELD OPERATOR or FIELD OPERATOR VALUE")]
    Form {
        /// The text that was given.
        found: String,
    },
    /// A field that there is not.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A field of tasks where only fields of a place will do.
    #[error("{operator} does not go with {field}: expected hostname, @region, @zone or an attribute")]
    FieldOfTasks {
        /// The field.
        field: Field,
        /// The operator, or where the condition stands.
        operator: String,
    },
    /// An operator that there is not.
    #[error("{found:?} is not an operator: expected one of {}", known.join(", "))]
    Operator {
        /// The text that was given.
        found: String,
        /// The operators that there are.
        known: Vec<&'static str>,
    },
    /// A value that is not there.
    #[error("{operator} without a value: expected {expected}")]
    Missing {
        /// The operator.
        operator: String,
        /// What its value has to be.
        expected: &'static str,
    },
    /// A value that the operator does not take.
    #[error("{operator} {found}: expected no value")]
    Needless {
        /// The operator.
        operator: String,
        /// The value.
        found: String,
    },
    /// A value of the wrong form.
    #[error("{operator} {found}: expected {expected}")]
    Value {
        /// The operator.
        operator: String,
        /// The value.
        found: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// A pattern that is none.
    #[error("{found:?} is not a regular expression: {why}")]
    Pattern {
        /// The pattern.
        found: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Condition {
    /// Joins a field and an operator.
    ///
    /// # Errors
    ///
    /// [`ConditionError::FieldOfTasks`] for an operator that compares places with a field of tasks.
    pub fn new(field: Field, operator: Operator) -> Result<Self, ConditionError> {
        if operator.is_counting() && field.is_of_tasks() {
            return Err(ConditionError::FieldOfTasks { field, operator: operator.name().to_owned() });
        }
        Ok(Self { field, operator })
    }

    /// Reads the two or three words of an app's `constraints`, as Marathon understands them: where a value may be left
    /// out, an empty one counts as none.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] also for fields and operators that Marathon does not have.
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

    /// Whether its verdict on a place depends on nothing but the place.
    #[must_use]
    pub fn is_static(&self) -> bool {
        !self.field.is_of_tasks() && (!self.operator.is_counting() || self.is_cluster_on_a_value())
    }

    /// What its verdict on a place depends on. How many tasks have the host's own name is a matter of the host alone.
    pub(super) fn needs(&self) -> Needs {
        let within_host = matches!(self.operator, Operator::Unique | Operator::MaxPer(_) | Operator::Exclusive)
            && self.field == Field::Hostname;
        let mut needs = Needs::default();
        if self.field == Field::Task {
            needs.own_host = true;
        } else if self.field.is_of_tasks() || within_host {
            needs.neighbours = true;
        } else if self.is_static() {
            needs.place = true;
        } else {
            needs.counts = true;
        }
        needs
    }

    fn is_cluster_on_a_value(&self) -> bool {
        matches!(self.operator, Operator::Cluster(Some(_)))
    }

    /// Whether there is a value, and one that is as wanted: for operators that look at values.
    fn looks(&self, candidate: &Candidate<'_>, placed: &Placed) -> Look {
        let mut values = self.seen(candidate, placed).peekable();
        if values.peek().is_none() {
            return Look::Nothing;
        }
        let found = match &self.operator {
            Operator::Is(wanted) | Operator::IsNot(wanted) => values.any(|seen| wanted.equals(&seen.text())),
            Operator::Like(pattern) | Operator::Unlike(pattern) => values.any(|seen| pattern.matches(&seen.text())),
            Operator::In(list) | Operator::NotIn(list) => {
                values.any(|seen| list.iter().any(|wanted| wanted.equals(&seen.text())))
            }
            Operator::Has(list) | Operator::Lacks(list) => values.any(|seen| seen.contains(list)),
            Operator::Compare(how, wanted) => {
                values.any(|seen| seen.number().is_some_and(|number| how.holds(number, *wanted)))
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
        if found { Look::Found } else { Look::Other }
    }

    /// Whether it holds where a wanted value is found, rather than where none is.
    fn wants(&self) -> bool {
        !matches!(
            self.operator,
            Operator::IsNot(_) | Operator::Unlike(_) | Operator::NotIn(_) | Operator::Lacks(_) | Operator::Absent
        )
    }

    fn property(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        let wants = self.wants();
        match self.looks(candidate, placed) {
            Look::Nothing => Verdict::require(!wants, || self.absent()),
            look @ (Look::Other | Look::Found) => {
                Verdict::require((look == Look::Found) == wants, || Reason::Differs {
                    field: self.field.clone(),
                    value: self.shown(candidate, placed),
                    remedy: self.remedy(),
                })
            }
        }
    }

    fn seen<'a>(&'a self, candidate: &Candidate<'a>, placed: &'a Placed) -> impl Iterator<Item = Seen<'a>> {
        let location = candidate.location;
        let own = if let Field::Attribute(name) = &self.field {
            location.attributes.first(name).map(Seen::Attribute)
        } else {
            location.value(&self.field).map(Seen::Text)
        };
        let of_tasks = self.field.is_of_tasks().then(|| placed.values(&location.hostname, &self.field));
        own.into_iter().chain(of_tasks.into_iter().flatten().map(|value| Seen::Text(Cow::Borrowed(value))))
    }

    fn absent(&self) -> Reason {
        Reason::Absent { field: self.field.clone(), remedy: self.remedy() }
    }

    /// Which value would do whatever runs elsewhere, as far as the condition tells.
    fn remedy(&self) -> Option<Remedy> {
        let can_be_absent = !matches!(self.field, Field::Hostname);
        match &self.operator {
            _ if self.field.is_of_tasks() => None,
            Operator::Is(wanted) => Some(Remedy::Value(wanted.as_str().into())),
            Operator::In(list) => list.first().map(|wanted| Remedy::Value(wanted.as_str().into())),
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

    /// What is there, for people; of many values only the first few.
    fn shown(&self, candidate: &Candidate<'_>, placed: &Placed) -> SmolStr {
        const MANY: usize = 4;
        let mut values: Vec<String> = Vec::new();
        for seen in self.seen(candidate, placed) {
            let value = seen.text().into_owned();
            if values.len() == MANY {
                values.push("...".to_owned());
                break;
            }
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", ").into()
    }
}

impl Constraint for Condition {
    fn holds(&self, candidate: &Candidate<'_>, placed: &Placed) -> bool {
        if self.operator.is_counting() {
            return self.check(candidate, placed).is_accept();
        }
        (self.looks(candidate, placed) == Look::Found) == self.wants()
    }

    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        if !self.operator.is_counting() {
            return self.property(candidate, placed);
        }
        let Some(value) = candidate.location.value(&self.field) else {
            return Verdict::Reject(self.absent());
        };
        let (field, value) = (&self.field, value.as_ref());
        match &self.operator {
            Operator::Unique => limit::unique(field, value, candidate.app, placed),
            Operator::MaxPer(most) => limit::max_per(field, value, *most, candidate.app, placed),
            Operator::Exclusive => limit::exclusive(field, value, placed),
            Operator::Cluster(Some(wanted)) => {
                let remedy = self.remedy();
                let differs = || Reason::Differs { field: field.clone(), value: value.into(), remedy };
                Verdict::require(value == wanted, differs)
            }
            Operator::Cluster(None) => limit::together(field, value, candidate.app, placed),
            Operator::GroupBy(Some(groups)) => {
                let tally = placed.tally(candidate.app, field);
                spread::groups(field, value, *groups, candidate.instances, &tally)
            }
            Operator::GroupBy(None) => spread::evenly(field, value, &placed.tally(candidate.app, field)),
            Operator::MaxSkew(most) => spread::skew(field, value, *most, candidate.app, placed),
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
            | Operator::Compare(..) => self.property(candidate, placed),
        }
    }
}

/// What an operator that looks at values finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// No value.
    Nothing,
    /// Values, and none as wanted.
    Other,
    /// One that is as wanted.
    Found,
}

/// One value of a field: typed if it is an attribute's.
enum Seen<'a> {
    Attribute(&'a AttributeValue),
    Text(Cow<'a, str>),
}

impl Seen<'_> {
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

    /// Whether all of these are members: of a set, of ranges, or of text with commas.
    fn contains(&self, all: &[Wanted]) -> bool {
        let member = |wanted: &Wanted| match self {
            Self::Attribute(AttributeValue::Set(set)) => set.as_slice().iter().any(|name| wanted.equals(name)),
            Self::Attribute(AttributeValue::Ranges(ranges)) => wanted.as_str().parse().is_ok_and(|number: u64| {
                ranges.as_slice().iter().any(|range| (range.begin..=range.end).contains(&number))
            }),
            Self::Attribute(AttributeValue::Scalar(_) | AttributeValue::Text(_)) | Self::Text(_) => {
                self.text().split(',').any(|name| wanted.equals(name.trim()))
            }
        };
        all.iter().all(member)
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    /// Reads words separated by white space; the value is the rest of the text, and the list of
    /// `IN` and `NOT_IN` (of `HAS` and `LACKS` too) has commas between its items.
    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let form = || ConditionError::Form { found: text.to_owned() };
        let (field, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(form)?;
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
