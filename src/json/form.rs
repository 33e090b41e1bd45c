//! serde for [`Json`]: the text itself in this module's formats, else the values that it contains.

use super::compact::compact;
use super::lexer::{Keys, MAX_DEPTH};
use super::print::{write_display, write_f64, write_string};
use super::value::Json;
use super::view::JsonRef;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The name of the newtype for which [`from_str`](super::from_str) gives the compact text of the value that is next, and in
/// which [`to_string`](super::to_string) takes text as a value. For other formats such a newtype is what it contains.
pub(crate) const TEXT: &str = "$apportion::json";

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TEXT, &self.view())
    }
}

impl Serialize for JsonRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_str(self.text());
        }
        if self.is_object() {
            return serializer.collect_map(self.fields().collect::<Vec<_>>());
        }
        if self.is_array() {
            return serializer.collect_seq(self.elements().collect::<Vec<_>>());
        }
        if let Some(text) = self.as_str() {
            return serializer.serialize_str(&text);
        }
        if let Some(bool) = self.as_bool() {
            return serializer.serialize_bool(bool);
        }
        if let Some(number) = self.as_u64() {
            return serializer.serialize_u64(number);
        }
        match (self.as_i64().filter(|number| *number != 0), self.as_f64()) {
            (Some(number), _) => serializer.serialize_i64(number),
            (None, Some(number)) => serializer.serialize_f64(number),
            (None, None) => serializer.serialize_unit(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT, TextVisitor)
    }
}

/// Takes the text of a deserializer that knows [`TEXT`], or else any value.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        compact(text).map(Json::from_compact).map_err(E::custom)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        if !deserializer.is_human_readable() {
            return deserializer.deserialize_str(self);
        }
        let mut out = String::new();
        ValueVisitor { out: &mut out, depth: 0 }.deserialize(deserializer)?;
        Ok(Json::from_compact(out))
    }
}

/// Writes the value that it is given.
struct ValueVisitor<'o> {
    out: &'o mut String,
    depth: usize,
}

impl ValueVisitor<'_> {
    fn display<E>(self, value: impl fmt::Display) -> Result<(), E> {
        write_display(self.out, value);
        Ok(())
    }

    fn nested<E: de::Error>(&mut self) -> Result<ValueVisitor<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("recursion limit exceeded"));
        }
        Ok(ValueVisitor { out: self.out, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for ValueVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.display("null")
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.display(value)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.display(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.display(number)
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<(), E> {
        self.display(number)
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<(), E> {
        self.display(number)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        write_f64(self.out, number);
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        write_string(self.out, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        self.out.push('[');
        let begun = self.out.len();
        loop {
            let written = self.out.len();
            if written > begun {
                self.out.push(',');
            }
            if elements.next_element_seed(self.nested()?)?.is_none() {
                self.out.truncate(written);
                self.out.push(']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        self.out.push('{');
        let (begun, mut keys) = (self.out.len(), Keys::default());
        while let Some(key) = fields.next_key::<String>()? {
            if self.out.len() > begun {
                self.out.push(',');
            }
            write_string(self.out, &key);
            if !keys.insert(Cow::Owned(key)) {
                return Err(de::Error::custom("duplicate field"));
            }
            self.out.push(':');
            fields.next_value_seed(self.nested()?)?;
        }
        self.out.push('}');
        Ok(())
    }
}
