//! [`Amounts`]: resources as v0 writes them, one value for each name.

use apportion::{AttributeValue, Resource, Resources, Scalar, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Scalars that are always there, in Mesos' order.
const ALWAYS: [&str; 4] = ["disk", "mem", "gpus", "cpus"];

/// Sums of resources by name, however they are reserved. Revocable ones have names of their own (`cpus_revocable`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Amounts<'a>(BTreeMap<Cow<'a, str>, Value>);

impl<'a> Amounts<'a> {
    pub(crate) fn of(lists: impl IntoIterator<Item = &'a Resources>) -> Self {
        Self::of_each(lists.into_iter().flatten())
    }

    pub(crate) fn of_each(resources: impl IntoIterator<Item = &'a Resource>) -> Self {
        let mut amounts = Self::default();
        resources.into_iter().for_each(|resource| amounts.add(resource));
        amounts
    }

    fn add(&mut self, resource: &'a Resource) {
        let name = match resource.is_revocable() {
            true => Cow::Owned(format!("{}_revocable", resource.name())),
            false => Cow::Borrowed(resource.name()),
        };
        match self.0.get_mut(&name) {
            None => drop(self.0.insert(name, resource.value().clone())),
            Some(sum) => match (sum, resource.value()) {
                (Value::Scalar(sum), Value::Scalar(amount)) => *sum = sum.checked_add(*amount).unwrap_or(*sum),
                (Value::Ranges(sum), Value::Ranges(ranges)) => sum.insert(ranges),
                (Value::Set(sum), Value::Set(set)) => sum.insert(set),
                _ => {} // agents disagree on what this is: the first one counts
            },
        }
    }
}

impl Serialize for Amounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in ALWAYS {
            let amount = match self.0.get(name) {
                Some(Value::Scalar(amount)) => *amount,
                _ => Scalar::default(),
            };
            map.serialize_entry(name, &amount.as_f64())?;
        }
        for (name, value) in self.0.iter().filter(|(name, _)| !ALWAYS.contains(&name.as_ref())) {
            match value {
                Value::Scalar(amount) => map.serialize_entry(name, &amount.as_f64())?,
                Value::Ranges(ranges) => map.serialize_entry(name, &Text(ranges))?,
                Value::Set(set) => map.serialize_entry(name, &Text(set))?,
            }
        }
        map.end()
    }
}

/// The value of an attribute: a number, or text.
#[derive(Debug)]
pub(super) struct AttributeForm<'a>(pub(super) &'a AttributeValue);

impl Serialize for AttributeForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            AttributeValue::Scalar(number) => serializer.serialize_f64(*number),
            AttributeValue::Text(text) => serializer.serialize_str(text),
            AttributeValue::Ranges(ranges) => Text(ranges).serialize(serializer),
            AttributeValue::Set(set) => Text(set).serialize(serializer),
        }
    }
}

/// Ranges or a set as text: `[1-5, 8-9]`, `{a, b}`.
struct Text<T>(T);

impl Serialize for Text<&apportion::Ranges> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ranges = self.0.as_slice().iter();
        serializer.serialize_str(&list('[', ranges.map(|range| format!("{}-{}", range.begin, range.end)), ']'))
    }
}

impl Serialize for Text<&apportion::Set> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&list('{', self.0.iter(), '}'))
    }
}

fn list(open: char, items: impl Iterator<Item = impl fmt::Display>, close: char) -> String {
    let mut text = String::from(open);
    for (index, item) in items.enumerate() {
        use fmt::Write as _;
        let _ = write!(text, "{}{item}", if index == 0 { "" } else { ", " }); // a String takes it
    }
    text.push(close);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_doubles_and_texts() {
        let resources = |text: &str| text.parse::<Resources>().unwrap();
        let (first, second) =
            (resources("cpus(ops):1;cpus:0.5;ports:[5-9];slots:{b,a}"), resources("ports:[10-10,1-2];bugs:3"));
        let json = serde_json::to_string(&Amounts::of([&first, &second])).unwrap();
        let expected =
            r#"{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":1.5,"bugs":3.0,"ports":"[1-2, 5-10]","slots":"{a, b}"}"#;
        assert_eq!(json, expected);
    }
}
