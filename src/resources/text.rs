//! The text form of resources, `cpus:4;ports:[31000-32000]`, and the choice between it and JSON objects.

use super::error::{ItemFault, ResourceError};
use super::v1::V1Resource;
use super::{Range, Ranges, Reservation, Resource, Resources, Scalar, Set, Value};
use crate::role::Role;
use crate::text::Text;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

impl FromStr for Resources {
    type Err = ResourceError;

    /// Parses the text form of Mesos: items separated by `;`; blank items are skipped. O(n log n).
    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
        Self::try_from_items(items.map(|item| Ok((item, parse_item(item).map_err(|fault| fault.of(item))?))))
    }
}

fn parse_item(item: &str) -> Result<Resource, ItemFault> {
    let (head, value) = item.split_once(':').ok_or(ItemFault::Syntax)?;
    let (name, role) = match head.trim().split_once('(') {
        None => (head.trim(), None),
        Some((name, role)) => (name.trim(), Some(role.strip_suffix(')').ok_or(ItemFault::Syntax)?.trim())),
    };
    if !is_text_name(name) {
        return Err(ItemFault::Syntax);
    }
    let resource = Resource::new(name, parse_value(value.trim())?);
    match role.map(Role::new).transpose()? {
        Some(role) if !role.is_default() => Ok(resource.reserved(Reservation::fixed(role))),
        _ => Ok(resource),
    }
}

/// Parses the text form of amounts by name, `cpus:4;mem:1024`; blank items are skipped.
pub(super) fn parse_amounts(text: &str) -> impl Iterator<Item = Result<(&str, Scalar), ResourceError>> {
    let amount = |item| {
        let (name, amount) = str::split_once(item, ':').ok_or(ItemFault::AmountSyntax)?;
        let name = name.trim();
        if !is_text_name(name) {
            return Err(ItemFault::AmountSyntax);
        }
        Ok((name, amount.trim().parse().map_err(ItemFault::Amount)?))
    };
    let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
    items.map(move |item| amount(item).map_err(|fault| fault.of(item)))
}

pub(super) fn parse_value(text: &str) -> Result<Value, ItemFault> {
    if let Some(inner) = text.strip_prefix('[') {
        inner.strip_suffix(']').ok_or(ItemFault::Ranges).and_then(parse_ranges).map(Value::Ranges)
    } else if let Some(inner) = text.strip_prefix('{') {
        inner.strip_suffix('}').ok_or(ItemFault::Set).and_then(parse_names).and_then(distinct).map(Value::Set)
    } else {
        Ok(Value::Scalar(text.parse::<Scalar>()?))
    }
}

/// Parses ranges without their brackets; overlapping ranges are merged, as in Mesos' text form.
pub(crate) fn parse_ranges(inner: &str) -> Result<Ranges, ItemFault> {
    let number = |text: &str| match text.trim() {
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| ItemFault::Ranges),
        _ => Err(ItemFault::Ranges),
    };
    let range = |text: &str| {
        let (begin, end) = text.split_once('-').ok_or(ItemFault::Ranges)?;
        let range = Range { begin: number(begin)?, end: number(end)? };
        if range.end < range.begin { Err(ItemFault::Backwards(range)) } else { Ok(range) }
    };
    if inner.trim().is_empty() { Ok(Ranges::default()) } else { inner.split(',').map(range).collect() }
}

/// Parses names without their braces; repeated names are merged.
pub(crate) fn parse_set(inner: &str) -> Result<Set, ItemFault> {
    Ok(parse_names(inner)?.into_iter().collect())
}

pub(super) fn parse_names(inner: &str) -> Result<Vec<Text>, ItemFault> {
    let name = |text: &str| match text.trim() {
        name if name.is_empty() || name.contains(['{', '}']) => Err(ItemFault::Set),
        name => Ok(Text::new(name)),
    };
    if inner.trim().is_empty() { Ok(Vec::new()) } else { inner.split(',').map(name).collect() }
}

/// Makes a set of names that must differ (Mesos, `Resources::validate`).
pub(super) fn distinct(mut names: Vec<Text>) -> Result<Set, ItemFault> {
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ItemFault::Repeated(pair[0].clone())),
        None => Ok(names.into_iter().collect()),
    }
}

/// Returns true if the text form with this name is unambiguous.
fn is_text_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains([';', ':', '(', ')'])
}

/// Returns true if the text form of the resource parses as the same resource.
fn has_text_form(resource: &Resource) -> bool {
    let is_plain = |name: &str| !name.is_empty() && !name.contains([';', ',', '{', '}']) && name.trim() == name;
    let is_plain_value = |value: &Value| match value {
        Value::Set(set) => set.as_slice().iter().all(|name| is_plain(name)),
        Value::Scalar(_) | Value::Ranges(_) => true,
    };
    let is_plain_role = |role: &Role| {
        let role = role.as_str();
        !role.contains([';', ':', '(', ')']) && role.trim() == role
    };
    is_text_name(resource.name())
        && (resource.kind().is_none() || resource.static_role().is_some_and(is_plain_role))
        && is_plain_value(resource.value())
}

impl fmt::Display for Resources {
    /// Formats the canonical text form, with marks for people where there is none, see [`Resource`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, resource) in self.iter().enumerate() {
            let semicolon = if i == 0 { "" } else { ";" };
            write!(f, "{semicolon}{resource}")?;
            for _ in 1..resource.copies {
                write!(f, ";{resource}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Resources {
    /// Writes the text form if every resource has one, else an array of v1 objects.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.iter().all(has_text_form) {
            serializer.collect_str(self)
        } else {
            Written::from(self).serialize(serializer)
        }
    }
}

impl From<&Resources> for Written {
    fn from(resources: &Resources) -> Self {
        if resources.iter().all(has_text_form) {
            Self::Text(resources.to_string())
        } else {
            Self::V1(V1Resource::all(resources).collect())
        }
    }
}

/// The unvalidated wire form of resources.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Written {
    Text(String),
    V1(Vec<V1Resource>),
    One(Box<V1Resource>),
}

/// Reads each form as it comes, so that an error in it is told, and a number keeps its digits.
impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("resources: text such as \"cpus:1;mem:64\", or an array of v1 objects")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Text(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<Written, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(items)).map(Written::V1)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, fields: A) -> Result<Written, A::Error> {
        Box::deserialize(de::value::MapAccessDeserializer::new(fields)).map(Written::One)
    }
}

impl Written {
    /// Makes the wire form of a single resource: an object instead of an array.
    pub(crate) fn one(resource: &Resource) -> Self {
        Self::One(Box::new(resource.into()))
    }
}

impl TryFrom<Written> for Resources {
    type Error = ResourceError;

    fn try_from(written: Written) -> Result<Self, ResourceError> {
        let objects = match written {
            Written::Text(text) => return text.parse(),
            Written::V1(objects) => objects,
            Written::One(object) => vec![*object],
        };
        Self::try_from_items(objects.into_iter().map(|object| {
            let name = object.name().to_owned();
            Ok((name, Resource::try_from(object)?))
        }))
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}
