//! Whether a condition holds, by the table of operators.

use super::{Matcher, Place, Task, each_condition};
use apportion::AttributeValue;
use apportion::constraint::{Clause, Comparison, Condition, Field, Literal, Operator};
use apportion::placement::App;
use std::collections::BTreeSet;

impl Place {
    /// The value of a field as text.
    pub(super) fn text(&self, field: &Field) -> Option<String> {
        match field {
            Field::Hostname => Some(self.hostname.clone()),
            Field::Region => self.region.clone(),
            Field::Zone => self.zone.clone(),
            Field::Attribute(name) => self.attribute(name).map(text),
            _ => None,
        }
    }

    fn attribute(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::Scalar(number) => rounded(*number),
        AttributeValue::Ranges(ranges) => {
            let parts: Vec<_> = ranges.as_slice().iter().map(|one| format!("{}-{}", one.begin, one.end)).collect();
            format!("[{}]", parts.join(","))
        }
        AttributeValue::Set(set) => {
            let mut names: Vec<&str> = set.as_slice().iter().map(|name| name.as_str()).collect();
            names.sort_unstable();
            format!("{{{}}}", names.join(","))
        }
    }
}

/// At most three decimals, half to even, no trailing zeros.
fn rounded(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A scalar, as attributes write it.
fn number(text: &str) -> Option<f64> {
    let digits = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    digits.then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

fn equals(wanted: &Literal, value: &str) -> bool {
    wanted.as_str() == value || number(wanted.as_str()).is_some_and(|number| rounded(number) == value)
}

/// A value of a field: an attribute's type matters to `HAS` and to comparisons.
enum Seen {
    Attribute(AttributeValue),
    Text(String),
}

impl Seen {
    fn text(&self) -> String {
        match self {
            Self::Attribute(value) => text(value),
            Self::Text(text) => text.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Attribute(AttributeValue::Scalar(value)) => Some(*value),
            Self::Attribute(AttributeValue::Ranges(_) | AttributeValue::Set(_)) => None,
            _ => number(&self.text()),
        }
    }

    fn has(&self, wanted: &Literal) -> bool {
        match self {
            Self::Attribute(AttributeValue::Set(set)) => set.as_slice().iter().any(|name| equals(wanted, name)),
            Self::Attribute(AttributeValue::Ranges(ranges)) => {
                let number: Option<u64> = wanted.as_str().parse().ok();
                number.is_some_and(|number| ranges.as_slice().iter().any(|r| r.begin <= number && number <= r.end))
            }
            _ => self.text().split(',').any(|name| equals(wanted, name.trim())),
        }
    }
}

impl Matcher<'_> {
    pub(super) fn holds(&self, app: &App, clause: &Clause, index: usize) -> bool {
        match clause {
            Clause::Condition(condition) => self.condition(app, condition, index).is_ok(),
            Clause::Any(clauses) => clauses.iter().any(|clause| self.holds(app, clause, index)),
            Clause::All(clauses) => clauses.iter().all(|clause| self.holds(app, clause, index)),
            Clause::Not(clause) => !self.holds(app, clause, index),
            Clause::Custom(_) => unreachable!("left out"),
        }
    }

    /// The kinds of what does not hold: parts that must all hold are told one by one, alternatives are only missing
    /// attributes if each of them is.
    pub(super) fn conditions(&self, app: &App, clause: &Clause, index: usize) -> BTreeSet<&'static str> {
        match clause {
            Clause::Condition(condition) => self.condition(app, condition, index).err().into_iter().collect(),
            Clause::All(clauses) => clauses.iter().flat_map(|clause| self.conditions(app, clause, index)).collect(),
            Clause::Any(clauses) => {
                if self.holds(app, clause, index) {
                    return BTreeSet::new();
                }
                let kinds = clauses.iter().flat_map(|clause| self.conditions(app, clause, index));
                let only_missing = kinds.collect::<BTreeSet<_>>() == BTreeSet::from(["attributes"]);
                [if only_missing { "attributes" } else { "constraint" }].into()
            }
            Clause::Not(_) => (!self.holds(app, clause, index)).then_some("constraint").into_iter().collect(),
            Clause::Custom(_) => unreachable!("left out"),
        }
    }

    fn seen(&self, app: &App, field: &Field, place: &Place) -> Vec<Seen> {
        let on_host = |task: &&Task| task.place.hostname == place.hostname && task.is_seen_by(app);
        let there = || self.tasks.iter().filter(on_host);
        match field {
            Field::Attribute(name) => place.attribute(name).cloned().map(Seen::Attribute).into_iter().collect(),
            Field::App => there().map(|task| Seen::Text(task.app.clone())).collect(),
            Field::Task => there().map(|task| Seen::Text(task.id.clone())).collect(),
            Field::Image => there().flat_map(|task| images(task.image.as_deref())).map(Seen::Text).collect(),
            Field::Label(key) => {
                there().filter_map(|task| task.labels.get(key.as_str()).cloned()).map(Seen::Text).collect()
            }
            _ => place.text(field).map(Seen::Text).into_iter().collect(),
        }
    }

    fn condition(&self, app: &App, condition: &Condition, index: usize) -> Result<(), &'static str> {
        let (place, field) = (&self.offers[index].1, &condition.field);
        let seen = self.seen(app, field, place);
        let any = |test: &dyn Fn(&Seen) -> bool| seen.iter().any(test);
        // Those that hold where there is no value come first.
        let holds = match &condition.operator {
            Operator::Absent => Some(seen.is_empty()),
            Operator::Unlike(pattern) => Some(!any(&|seen| pattern.matches(&seen.text()))),
            Operator::IsNot(wanted) => Some(!any(&|seen| equals(wanted, &seen.text()))),
            Operator::NotIn(list) => Some(!any(&|seen| list.iter().any(|wanted| equals(wanted, &seen.text())))),
            Operator::Lacks(list) => Some(!any(&|seen| list.iter().all(|wanted| seen.has(wanted)))),
            _ => None,
        };
        if let Some(holds) = holds {
            return if holds { Ok(()) } else { Err("constraint") };
        }
        if seen.is_empty() {
            return Err("attributes");
        }
        let v = place.text(field);
        let (v, own): (&str, Vec<_>) = (v.as_deref().unwrap_or_default(), self.own(app).collect());
        let count = |value: &str| self.count(app, field, Some(value));
        let values: BTreeSet<Option<String>> = own.iter().map(|task| task.place.text(field)).collect();
        let all_counts = || values.iter().map(|value| self.count(app, field, value.as_deref()));
        let holds = match &condition.operator {
            Operator::Unique => count(v) == 0,
            Operator::Cluster(Some(wanted)) => v == wanted.as_str(),
            Operator::Cluster(None) => own.first().is_none_or(|first| first.place.text(field).as_deref() == Some(v)),
            Operator::GroupBy(Some(n)) => {
                let (quota, on_top) = (app.instances / n.get(), app.instances % n.get());
                let above: u64 = all_counts().map(|count| count.saturating_sub(quota)).sum();
                let is_new = count(v) == 0;
                (is_new && (values.len() as u64) < n.get())
                    || (!is_new && (count(v) < quota || count(v) == quota && above < on_top))
            }
            Operator::GroupBy(None) => count(v) == 0 || all_counts().all(|other| count(v) <= other),
            Operator::MaxPer(most) => count(v) < *most,
            Operator::MaxSkew(most) => {
                let known = self.known(app, field);
                let fewest = known.iter().map(|value| count(value)).min().unwrap_or_else(|| count(v));
                (count(v) + 1).saturating_sub(fewest) <= most.get()
            }
            Operator::Exclusive => {
                let mut others = self.tasks.iter().filter(|task| task.is_seen_by(app));
                !others.any(|task| task.place.text(field).as_deref() == Some(v))
            }
            Operator::Is(wanted) => any(&|seen| equals(wanted, &seen.text())),
            Operator::Like(pattern) => any(&|seen| pattern.matches(&seen.text())),
            Operator::In(list) => any(&|seen| list.iter().any(|wanted| equals(wanted, &seen.text()))),
            Operator::Has(list) => any(&|seen| list.iter().all(|wanted| seen.has(wanted))),
            Operator::Exists => true,
            Operator::Compare(how, wanted) => any(&|seen| {
                seen.number().is_some_and(|number| match how {
                    Comparison::Greater => number > *wanted,
                    Comparison::AtLeast => number >= *wanted,
                    Comparison::Less => number < *wanted,
                    Comparison::AtMost => number <= *wanted,
                })
            }),
            other => unreachable!("{other}"),
        };
        if holds { Ok(()) } else { Err("constraint") }
    }

    /// The values that `MAX_SKEW` knows: of the app's tasks, and of offers that meet its other conditions.
    fn known(&self, app: &App, field: &Field) -> BTreeSet<String> {
        let counts = |clause: &Clause| {
            let mut counts = false;
            each_condition(std::slice::from_ref(clause), &mut |condition| {
                let name = condition.operator.name();
                counts |= ["UNIQUE", "CLUSTER", "GROUP_BY", "MAX_PER", "MAX_SKEW", "EXCLUSIVE"].contains(&name);
            });
            counts
        };
        let meets = |index: &usize| {
            let mut others = app.require.iter().filter(|clause| !counts(clause));
            others.all(|clause| self.holds(app, clause, *index))
        };
        let offered = (0..self.offers.len()).filter(meets).filter_map(|index| self.offers[index].1.text(field));
        self.own(app).filter_map(|task| task.place.text(field)).chain(offered).collect()
    }
}

/// An image with its tag, and without tag and digest; what follows the last slash alone can have a tag.
fn images(image: Option<&str>) -> Vec<String> {
    let Some(image) = image else { return Vec::new() };
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let bare = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
    vec![image.to_owned(), bare.to_owned()]
}
