//! [`Attributes`]: the named properties of an agent.

use crate::json::{Json, Object};
use crate::resources::{Ranges, Set, parse_ranges, parse_set};
use crate::text::Text;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "Mesos has these four and every place must decide on each")]
pub enum AttributeValue {
    /// A finite number.
    Scalar(f64),
    /// Ranges of whole numbers.
    Ranges(Ranges),
    /// A set of names.
    Set(Set),
    /// Any text.
    Text(Text),
}

impl FromStr for AttributeValue {
    type Err = AttributeFault;

    /// Parses a value by the rules of Mesos: brackets are ranges, braces a set, a number a scalar, and the rest text.
    fn from_str(text: &str) -> Result<Self, AttributeFault> {
        let text = text.trim();
        if let Some(inner) = text.strip_prefix('[') {
            let ranges = inner.strip_suffix(']').and_then(|inner| parse_ranges(inner).ok());
            ranges.map(Self::Ranges).ok_or(AttributeFault::Ranges)
        } else if let Some(inner) = text.strip_prefix('{') {
            let set = inner.strip_suffix('}').and_then(|inner| parse_set(inner).ok());
            set.map(Self::Set).ok_or(AttributeFault::Set)
        } else if let Some(number) = number(text) {
            Ok(Self::Scalar(number))
        } else if text.is_empty() {
            Err(AttributeFault::Syntax)
        } else {
            Ok(Self::Text(text.into()))
        }
    }
}

/// Parses a finite number in digits. `f64` would also accept `inf` and `nan`, which here are text.
fn number(text: &str) -> Option<f64> {
    let is_numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    is_numeric.then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())
}

impl From<&str> for AttributeValue {
    /// Makes a text value, whatever it looks like; use [`FromStr`] to parse numbers, ranges and sets.
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(number) => number.fmt(f),
            Self::Ranges(ranges) => ranges.fmt(f),
            Self::Set(set) => set.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// An attribute of an agent: a name and a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Attribute {
    /// The name; several attributes may have the same name.
    pub name: Text,
    /// The value.
    pub value: AttributeValue,
}

/// The attributes of an agent, in the order of its configuration.
///
/// The text form is `rack:r1;level:3;jdk:[6-7];gpu:{0,1}`. In JSON they are that text, an object `{"rack": "r1"}`, or
/// an array of Mesos v1 `Attribute` objects.
///
/// # Examples
///
/// ```
/// use apportion::{AttributeValue, Attributes};
///
/// let attributes: Attributes = "rack:r1;level:3;rack:r2".parse()?;
/// assert_eq!(attributes.first("rack"), Some(&AttributeValue::from("r1"))); // the first of equal names
/// assert_eq!(attributes.first("level"), Some(&AttributeValue::Scalar(3.0)));
/// # Ok::<(), apportion::AttributeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes(Vec<Attribute>);

/// Text that is not a valid list of [`Attributes`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("bad attribute {item:?}: {fault}")]
pub struct AttributeError {
    /// The invalid item, as it was written.
    pub item: String,
    /// The error.
    pub fault: AttributeFault,
}

/// The error in an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeFault {
    /// The item is not of the form `name:value`.
    #[error("expected name:value")]
    Syntax,
    /// The text in brackets is not a list of ranges.
    #[error("expected ranges of whole numbers such as [6-7]")]
    Ranges,
    /// The text in braces is not a list of names.
    #[error("expected a set of names such as {{a,b}}")]
    Set,
}

impl Attributes {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns true if there are no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends an attribute.
    pub fn push(&mut self, name: impl Into<Text>, value: impl Into<AttributeValue>) {
        self.0.push(Attribute { name: name.into(), value: value.into() });
    }

    /// Replaces all attributes of that name by one with this value, parsed like the text form, or removes them.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        self.0.retain(|attribute| attribute.name != name);
        if let Some(value) = value {
            self.push(name, value.parse::<AttributeValue>().unwrap_or_else(|_| value.into()));
        }
    }

    /// Returns the value of the first attribute of that name, the one that constraints evaluate.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    /// Iterates over all attributes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromStr for Attributes {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, AttributeError> {
        let mut attributes = Self::new();
        for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let error = |fault| AttributeError { item: item.to_owned(), fault };
            let (name, value) = item.split_once(':').ok_or_else(|| error(AttributeFault::Syntax))?;
            if name.trim().is_empty() {
                return Err(error(AttributeFault::Syntax));
            }
            attributes.push(name.trim(), value.parse::<AttributeValue>().map_err(error)?);
        }
        Ok(attributes)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attribute) in self.0.iter().enumerate() {
            let semicolon = if i == 0 { "" } else { ";" };
            write!(f, "{semicolon}{}:{}", attribute.name, attribute.value)?;
        }
        Ok(())
    }
}

/// A v1 `Attribute` object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct V1Attribute {
    name: Text,
    #[serde(flatten)]
    value: V1Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum V1Value {
    Scalar { scalar: V1Scalar },
    Ranges { ranges: V1Ranges },
    Set { set: V1Set },
    Text { text: V1Text },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Scalar {
    value: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Ranges {
    #[serde(default)]
    range: Vec<crate::resources::Range>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Set {
    #[serde(default)]
    item: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Text {
    value: Text,
}

impl From<V1Attribute> for Attribute {
    fn from(object: V1Attribute) -> Self {
        let value = match object.value {
            V1Value::Scalar { scalar } => AttributeValue::Scalar(scalar.value),
            V1Value::Ranges { ranges } => AttributeValue::Ranges(ranges.range.into_iter().collect()),
            V1Value::Set { set } => AttributeValue::Set(set.item.into_iter().collect()),
            V1Value::Text { text } => AttributeValue::Text(text.value),
        };
        Self { name: object.name, value }
    }
}

impl From<&Attribute> for V1Attribute {
    fn from(attribute: &Attribute) -> Self {
        let value = match &attribute.value {
            // JSON has no such number: it is written as text, so that it can be read.
            AttributeValue::Scalar(value) if !value.is_finite() => {
                V1Value::Text { text: V1Text { value: value.to_string().into() } }
            }
            AttributeValue::Scalar(value) => V1Value::Scalar { scalar: V1Scalar { value: *value } },
            AttributeValue::Ranges(ranges) => {
                V1Value::Ranges { ranges: V1Ranges { range: ranges.as_slice().to_vec() } }
            }
            AttributeValue::Set(set) => V1Value::Set { set: V1Set { item: set.as_slice().to_vec() } },
            AttributeValue::Text(value) => V1Value::Text { text: V1Text { value: value.clone() } },
        };
        Self { name: attribute.name.clone(), value }
    }
}

/// The unvalidated wire form of attributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum WrittenAttributes {
    Text(String),
    Map(Object<Json>),
    V1(Vec<V1Attribute>),
}

/// Reads each form as it comes, so that an error in it is told.
impl<'de> Deserialize<'de> for WrittenAttributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = WrittenAttributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes: text such as \"rack:r1\", an object, or an array of v1 objects")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<WrittenAttributes, E> {
        Ok(WrittenAttributes::Text(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<WrittenAttributes, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(items)).map(WrittenAttributes::V1)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, fields: A) -> Result<WrittenAttributes, A::Error> {
        Object::deserialize(de::value::MapAccessDeserializer::new(fields)).map(WrittenAttributes::Map)
    }
}

impl TryFrom<WrittenAttributes> for Attributes {
    type Error = AttributeError;

    fn try_from(written: WrittenAttributes) -> Result<Self, AttributeError> {
        match written {
            WrittenAttributes::Text(text) => text.parse(),
            WrittenAttributes::V1(objects) => Ok(Self(objects.into_iter().map(Attribute::from).collect())),
            WrittenAttributes::Map(map) => {
                let mut attributes = Self::new();
                for (name, value) in map {
                    let text = value.as_str().map_or_else(|| value.to_string(), Cow::into_owned);
                    let value = text.parse::<AttributeValue>();
                    attributes.push(
                        name.as_str(),
                        value.map_err(|fault| AttributeError { item: format!("{name}:{text}"), fault })?,
                    );
                }
                Ok(attributes)
            }
        }
    }
}

impl Serialize for Attributes {
    /// Writes the text form if parsing it gives equal attributes, else an array of v1 objects.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenAttributes::from(self).serialize(serializer)
    }
}

impl From<&Attributes> for WrittenAttributes {
    fn from(attributes: &Attributes) -> Self {
        let text = attributes.to_string();
        if text.parse().as_ref() == Ok(attributes) {
            Self::Text(text)
        } else {
            Self::V1(attributes.iter().map(V1Attribute::from).collect())
        }
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WrittenAttributes::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wire_forms_are_equivalent() {
        let text: Attributes = "rack:r1;level:3;jdk:[6-7];gpu:{0,1}".parse().unwrap();
        let forms = [
            r#""rack:r1;level:3;jdk:[6-7];gpu:{1,0}""#,
            r#"{"rack": "r1", "level": "3", "jdk": "[6-7]", "gpu": "{0,1}"}"#,
            r#"[{"name":"rack","type":"TEXT","text":{"value":"r1"}},{"name":"level","type":"SCALAR","scalar":{"value":3}},
                {"name":"jdk","type":"RANGES","ranges":{"range":[{"begin":6,"end":7}]}},{"name":"gpu","type":"SET","set":{"item":["0","1"]}}]"#,
        ];
        for form in forms {
            assert_eq!(serde_json::from_str::<Attributes>(form).unwrap(), text, "{form}");
        }
        assert_eq!(serde_json::to_string(&text).unwrap(), r#""rack:r1;level:3;jdk:[6-7];gpu:{0,1}""#);
    }

    #[test]
    fn text_that_looks_like_a_number_keeps_its_type() {
        let mut attributes = Attributes::new();
        attributes.push("version", "3");
        let json = serde_json::to_string(&attributes).unwrap();
        assert_eq!(json, r#"[{"name":"version","type":"TEXT","text":{"value":"3"}}]"#);
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), attributes);
    }

    #[test]
    fn errors_name_the_invalid_item() {
        for (text, fault) in [
            ("rack", AttributeFault::Syntax),
            (":r1", AttributeFault::Syntax),
            ("rack:", AttributeFault::Syntax),
            ("jdk:[6", AttributeFault::Ranges),
            ("gpu:{0", AttributeFault::Set),
        ] {
            assert_eq!(text.parse::<Attributes>().unwrap_err().fault, fault, "{text}");
        }
        assert_eq!("a:inf;b:nan".parse::<Attributes>().unwrap().first("a"), Some(&AttributeValue::from("inf")));
    }
}
