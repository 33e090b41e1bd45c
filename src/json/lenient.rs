//! A serde deserializer that converts JSON types as leniently as Mesos, and no more.
//!
//! Mesos parses a v1 body as JSON and converts it to a protobuf message (stout, `protobuf.hpp`). So `null` means absent,
//! `"5"` is accepted for a number, `"true"` for a bool and one value for a list. A number is not accepted for a string or
//! an enum, nor a bool for a number, nor a string for a message.

use super::form::TEXT;
use super::number::{DIGITS, Number};
use super::print::write_string;
use super::view::JsonRef;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A type mismatch or a missing field, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShapeError {
    /// Field names and indices, the innermost first.
    path: Vec<String>,
    what: String,
}

/// Deserializes a value; an error has the path of the field.
pub(crate) fn read_lenient<'a, T: Deserialize<'a>>(json: JsonRef<'a>) -> Result<T, ShapeError> {
    T::deserialize(Lenient(json))
}

impl ShapeError {
    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// Returns the path, as in `decline.offer_ids[0].value`; empty for the whole message.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        path
    }

    /// Returns the value found and the type expected.
    pub(crate) fn what(self) -> String {
        self.what
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path(), self.what)
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { path: Vec::new(), what: what.to_string() }
    }
}

#[derive(Clone, Copy)]
struct Lenient<'a>(JsonRef<'a>);

impl<'a> Lenient<'a> {
    fn unexpected(self, expected: &dyn de::Expected) -> ShapeError {
        let text = self.0.as_str();
        let found = match (&text, self.0.as_bool()) {
            (Some(text), _) => Unexpected::Str(text),
            (None, Some(value)) => Unexpected::Bool(value),
            _ if self.0.is_number() => Unexpected::Other("a number"),
            _ if self.0.is_array() => Unexpected::Seq,
            _ if self.0.is_object() => Unexpected::Map,
            _ => Unexpected::Unit,
        };
        de::Error::invalid_type(found, expected)
    }

    /// Returns the value as an integer, if it is one or a string of one.
    fn integer<N: TryFrom<i128>>(self) -> Option<N> {
        let number = match self.0.as_str() {
            Some(text) => text.parse().ok()?,
            None => {
                let whole = self.0.as_f64().filter(|value| value.fract() == 0.0 && value.abs() < 9e15);
                #[expect(clippy::cast_possible_truncation, reason = "whole and small enough, as just checked")]
                let whole = whole.map(|value| value as i128);
                self.0.as_i64().map(i128::from).or_else(|| self.0.as_u64().map(i128::from)).or(whole)?
            }
        };
        N::try_from(number).ok()
    }
}

/// Gives text to a visitor.
fn visit_text<'a, V: Visitor<'a>>(text: Cow<'a, str>, visitor: V) -> Result<V::Value, ShapeError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// Returns the text of a value without the null fields of its objects.
fn without_nulls(json: JsonRef<'_>) -> Cow<'_, str> {
    if !json.text().contains("null") {
        return Cow::Borrowed(json.text());
    }
    let mut out = String::with_capacity(json.text().len());
    write_without_nulls(&mut out, json);
    Cow::Owned(out)
}

fn write_without_nulls(out: &mut String, json: JsonRef<'_>) {
    let mut between = "";
    if json.is_object() {
        out.push('{');
        for (key, value) in json.fields().filter(|(_, value)| !value.is_null()) {
            out.push_str(between);
            write_string(out, &key);
            out.push(':');
            write_without_nulls(out, value);
            between = ",";
        }
        out.push('}');
    } else if json.is_array() {
        out.push('[');
        for element in json.elements() {
            out.push_str(between);
            write_without_nulls(out, element);
            between = ",";
        }
        out.push(']');
    } else {
        out.push_str(json.text());
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident),*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
            match self.integer() {
                Some(number) => visitor.$visit(number),
                None => Err(self.unexpected(&visitor)),
            }
        })*
    };
}

impl<'a> Deserializer<'a> for Lenient<'a> {
    type Error = ShapeError;

    /// Deserializes an uninterpreted value as it is, without its null fields.
    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let json = self.0;
        if json.is_object() {
            self.deserialize_map(visitor)
        } else if json.is_array() {
            visitor.visit_seq(Items { items: json.elements(), next: 0 })
        } else if let Some(text) = json.as_str() {
            visit_text(text, visitor)
        } else if let Some(value) = json.as_bool() {
            visitor.visit_bool(value)
        } else if let Some(number) = json.as_u64() {
            visitor.visit_u64(number)
        } else if let Some(number) = json.as_i64().filter(|number| *number != 0) {
            visitor.visit_i64(number)
        } else if let Some(number) = json.as_f64() {
            visitor.visit_f64(number)
        } else {
            visitor.visit_unit()
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let parsed = || self.0.as_str().and_then(|text| text.parse().ok());
        match self.0.as_bool().or_else(parsed) {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.unexpected(&visitor)),
        }
    }

    integers!(
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64
    );

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let parsed = |text: Cow<'_, str>| text.parse().ok().filter(|number: &f64| number.is_finite());
        match self.0.as_str().map_or_else(|| self.0.as_f64(), parsed) {
            Some(number) => visitor.visit_f64(number),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.0.as_str() {
            Some(text) => visit_text(text, visitor),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Gives a [`Number`] the text of a string, or of a number, and a [`Json`](super::Json) its text.
    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match name {
            TEXT => visit_text(without_nulls(self.0), visitor),
            DIGITS if self.0.is_number() => visitor.visit_borrowed_str(self.0.text()),
            DIGITS => match self.0.as_str() {
                Some(text) if Number::new(&text).is_some() => visit_text(text, visitor),
                Some(_) => Err(self.unexpected(&visitor)),
                None => visitor.visit_newtype_struct(self),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        if self.0.is_array() {
            visitor.visit_seq(Items { items: self.0.elements(), next: 0 })
        } else {
            visitor.visit_seq(Items { items: std::iter::once(self.0), next: 0 })
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        if self.0.is_object() {
            visitor.visit_map(Fields { fields: self.0.fields().filter(|(_, value)| !value.is_null()), value: None })
        } else {
            Err(self.unexpected(&visitor))
        }
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        if self.0.is_object() { self.deserialize_map(visitor) } else { Err(self.unexpected(&"an object")) }
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.0.as_str() {
            Some(name) => visitor.visit_enum(IntoDeserializer::<ShapeError>::into_deserializer(name)),
            None => Err(self.unexpected(&visitor)),
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i128 u128 char bytes byte_buf unit unit_struct identifier ignored_any
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        self.deserialize_any(visitor)
    }
}

/// The elements of a list.
struct Items<I> {
    items: I,
    next: usize,
}

impl<'a, I: Iterator<Item = JsonRef<'a>>> de::SeqAccess<'a> for Items<I> {
    type Error = ShapeError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, ShapeError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        self.next += 1;
        let read = seed.deserialize(Lenient(item));
        read.map(Some).map_err(|error| error.within(format!("[{}]", self.next - 1)))
    }
}

/// The fields of an object that are not null.
struct Fields<'a, I> {
    fields: I,
    value: Option<(Cow<'a, str>, JsonRef<'a>)>,
}

impl<'a, I: Iterator<Item = (Cow<'a, str>, JsonRef<'a>)>> de::MapAccess<'a> for Fields<'a, I> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        self.value = self.fields.next();
        let Some((name, _)) = &self.value else { return Ok(None) };
        seed.deserialize(name.clone().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ShapeError> {
        let (name, value) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(Lenient(value)).map_err(|error| error.within(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::Details;
    use crate::json::Json;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Message {
        #[serde(default)]
        flag: Option<bool>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        amount: Option<f64>,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        inner: Vec<Inner>,
        #[serde(flatten)]
        rest: Details,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        value: String,
    }

    #[test]
    fn strings_convert_to_numbers_and_bools_and_one_value_to_a_list() {
        let json = json!({
            "flag": "true", "count": "31000", "amount": "4.5", "name": null, "inner": {"value": "a"},
            "other": {"kept": [1, -2, 1.5, null], "unset": null}, "gone": null
        });
        let json = Json::from(json);
        let message: Message = read_lenient(json.view()).unwrap();
        assert_eq!((message.flag, message.count, message.amount), (Some(true), Some(31_000), Some(4.5)));
        assert_eq!((message.name, message.inner), (None, vec![Inner { value: "a".into() }]));
        assert_eq!(Json::from(message.rest).text(), r#"{"other":{"kept":[1,-2,1.5,null]}}"#);
    }

    #[test]
    fn a_type_mismatch_is_an_error_with_its_path() {
        for (json, path) in [
            (json!({"inner": [{"value": "a"}, {"value": 5}]}), "inner[1].value"),
            (json!({"inner": ["a"]}), "inner[0]"),
            (json!({"flag": 1}), "flag"),
            (json!({"count": true}), "count"),
            (json!({"count": -1}), "count"),
            (json!({"count": 1.5}), "count"),
            (json!({"amount": true}), "amount"),
            (json!({"amount": "inf"}), "amount"),
            (json!({"name": 5}), "name"),
            (json!([1]), ""),
        ] {
            assert_eq!(read_lenient::<Message>(Json::from(&json).view()).unwrap_err().path(), path, "{json}");
        }
    }
}
