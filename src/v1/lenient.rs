//! A serde deserializer that converts JSON types as leniently as Mesos, and no more.
//!
//! Mesos parses a v1 body as JSON and converts it to a protobuf message (stout, `protobuf.hpp`). So `null` means absent,
//! `"5"` is accepted for a number, `"true"` for a bool and one value for a list. A number is not accepted for a string or
//! an enum, nor a bool for a number, nor a string for a message.

use crate::json::{DIGITS, Number};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value as Json;
use std::fmt;

/// A type mismatch or a missing field, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShapeError {
    /// Field names and indices, the innermost first.
    path: Vec<String>,
    what: String,
}

/// Deserializes a value; an error has the path of the field.
pub(super) fn read<T: DeserializeOwned>(json: &Json) -> Result<T, ShapeError> {
    T::deserialize(Lenient(json))
}

impl ShapeError {
    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// Returns the path, as in `decline.offer_ids[0].value`; empty for the whole message.
    pub(super) fn path(&self) -> String {
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
    pub(super) fn what(self) -> String {
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
struct Lenient<'a>(&'a Json);

impl<'a> Lenient<'a> {
    fn unexpected(self, expected: &dyn de::Expected) -> ShapeError {
        let found = match self.0 {
            Json::Null => Unexpected::Unit,
            Json::Bool(value) => Unexpected::Bool(*value),
            Json::Number(_) => Unexpected::Other("a number"),
            Json::String(text) => Unexpected::Str(text),
            Json::Array(_) => Unexpected::Seq,
            Json::Object(_) => Unexpected::Map,
        };
        de::Error::invalid_type(found, expected)
    }

    /// Returns the value as an integer, if it is one or a string of one.
    fn integer<N: TryFrom<i128>>(self) -> Option<N> {
        let number = match self.0 {
            Json::Number(number) => {
                let whole = number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() < 9e15);
                #[expect(clippy::cast_possible_truncation, reason = "whole and small enough, as just checked")]
                let whole = whole.map(|value| value as i128);
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or(whole)?
            }
            Json::String(text) => text.parse().ok()?,
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
        };
        N::try_from(number).ok()
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
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Json::String(text) => visitor.visit_borrowed_str(text),
            Json::Array(items) => visitor.visit_seq(Items { items, next: 0 }),
            Json::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let parsed = self.0.as_str().and_then(|text| text.parse().ok());
        match self.0.as_bool().or(parsed) {
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
        let number = match self.0 {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        match number {
            Some(number) => visitor.visit_f64(number),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.0.as_str() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Gives a [`Number`](crate::json::Number) the text of a string.
    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.0 {
            Json::String(text) if name == DIGITS => match Number::new(text) {
                Some(_) => visitor.visit_borrowed_str(text),
                None => Err(self.unexpected(&visitor)),
            },
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                visitor.visit_newtype_struct(self)
            }
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let items = if let Json::Array(items) = self.0 { items.as_slice() } else { std::slice::from_ref(self.0) };
        visitor.visit_seq(Items { items, next: 0 })
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.0.as_object() {
            Some(fields) => visitor.visit_map(Fields { fields: fields.iter(), value: None }),
            None => Err(self.unexpected(&visitor)),
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
            Some(name) => visitor.visit_enum(name.into_deserializer()),
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
struct Items<'a> {
    items: &'a [Json],
    next: usize,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = ShapeError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, ShapeError> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        self.next += 1;
        let read = seed.deserialize(Lenient(item));
        read.map(Some).map_err(|error| error.within(format!("[{}]", self.next - 1)))
    }
}

/// The fields of an object that are not null.
struct Fields<'a> {
    fields: serde_json::map::Iter<'a>,
    value: Option<(&'a String, &'a Json)>,
}

impl<'a> de::MapAccess<'a> for Fields<'a> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        self.value = self.fields.by_ref().find(|(_, value)| !value.is_null());
        let key = |(name, _): (&'a String, _)| seed.deserialize(name.as_str().into_deserializer());
        self.value.map(key).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ShapeError> {
        let (name, value) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(Lenient(value)).map_err(|error| error.within(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{Map, json};

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
        rest: Map<String, Json>,
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
        let message: Message = read(&json).unwrap();
        assert_eq!((message.flag, message.count, message.amount), (Some(true), Some(31_000), Some(4.5)));
        assert_eq!((message.name, message.inner), (None, vec![Inner { value: "a".into() }]));
        assert_eq!(Json::Object(message.rest), json!({"other": {"kept": [1, -2, 1.5, null]}}));
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
            assert_eq!(read::<Message>(&json).unwrap_err().path(), path, "{json}");
        }
    }
}
