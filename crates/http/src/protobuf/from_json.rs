//! The v1 JSON to protobuf, as leniently as Mesos reads JSON.

use super::ProtobufError;
use super::schema::{Field, Kind, Message, Shape};
use super::wire::{close_field, open_field, write_bytes_field, write_double_field, write_varint_field};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Base64, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Writes the JSON of a message as protobuf.
pub(super) fn write(message: &'static Message, json: &str, out: &mut Vec<u8>) -> Result<(), ProtobufError> {
    let mut writer = Writer { out, path: Vec::new() };
    let mut reader = serde_json::Deserializer::from_str(json);
    let written = Body { message, writer: &mut writer }.deserialize(&mut reader).and_then(|()| reader.end());
    written.map_err(|error| {
        let what = error.to_string();
        if error.is_data() { ProtobufError::Shape { path: writer.path(), what } } else { ProtobufError::Json(what) }
    })
}

/// The bytes, and the place in the message that is being read; after an error, the place of the error.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    path: Vec<Step>,
}

enum Step {
    Field(&'static str),
    Index(usize),
    Key(String),
}

impl Writer<'_> {
    /// Returns the place, as in `accept.offer_ids[0].value`.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            if !path.is_empty() && !matches!(step, Step::Index(_)) {
                path.push('.');
            }
            match step {
                Step::Field(name) => path.push_str(name),
                Step::Key(key) => path.push_str(key),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

/// Reads the object of a message.
struct Body<'a, 'w> {
    message: &'static Message,
    writer: &'a mut Writer<'w>,
}

impl<'de> DeserializeSeed<'de> for Body<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        write_fields(self.message, map, self.writer)
    }
}

fn write_fields<'de, A: MapAccess<'de>>(
    message: &'static Message,
    mut map: A,
    writer: &mut Writer<'_>,
) -> Result<(), A::Error> {
    while let Some(field) = map.next_key_seed(Name(message))? {
        let Some(field) = field else {
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        writer.path.push(Step::Field(field.name));
        map.next_value_seed(FieldValue { field, is_element: false, writer })?;
        writer.path.pop();
    }
    Ok(())
}

/// Reads the name of a field.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

/// Reads the value of a field, or of one element of its list.
struct FieldValue<'a, 'w> {
    field: &'static Field,
    is_element: bool,
    writer: &'a mut Writer<'w>,
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl FieldValue<'_, '_> {
    fn is_list(&self) -> bool {
        self.field.shape == Shape::Many && !self.is_element
    }

    /// Writes a number if one of this kind can have the value.
    fn integer<E: de::Error>(self, value: i128) -> Result<(), E> {
        let varint = match self.field.kind {
            Kind::Int32 => i32::try_from(value).ok().map(|value| i64::from(value).cast_unsigned()),
            Kind::Int64 => i64::try_from(value).ok().map(i64::cast_unsigned),
            Kind::Uint32 => u32::try_from(value).ok().map(u64::from),
            Kind::Uint64 => u64::try_from(value).ok(),
            #[expect(clippy::cast_precision_loss, reason = "JSON does not tell 1 from 1.0")]
            Kind::Double => {
                write_double_field(self.field.number, value as f64, self.writer.out);
                return Ok(());
            }
            Kind::Bool | Kind::Text | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => None,
        };
        let Some(varint) = varint else {
            return Err(E::invalid_value(de::Unexpected::Other(&format!("the number {value}")), &self));
        };
        write_varint_field(self.field.number, varint, self.writer.out);
        Ok(())
    }
}

impl<'de> Visitor<'de> for FieldValue<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.field.kind {
            Kind::Bool => "true or false",
            Kind::Int32 => "a number of 32 bits with sign",
            Kind::Int64 => "a number of 64 bits with sign",
            Kind::Uint32 => "a number of 32 bits",
            Kind::Uint64 => "a number of 64 bits",
            Kind::Double => "a number",
            Kind::Text => "a string",
            Kind::Bytes => "a string of base64",
            Kind::Enum(_) => "a name",
            Kind::Message(_) => "an object",
        })
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        // Null is no value. In a list it is an empty message, as Mesos reads it, and nothing else.
        if self.is_element {
            return Err(E::invalid_type(de::Unexpected::Unit, &self));
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(de::Unexpected::Bool(value), &self));
        }
        write_varint_field(self.field.number, u64::from(value), self.writer.out);
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            write_double_field(self.field.number, value, self.writer.out);
            return Ok(());
        }
        if value.fract() != 0.0 || value.abs() >= 9e15 {
            return Err(E::invalid_value(de::Unexpected::Float(value), &self));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough, as just checked")]
        self.integer(value as i128)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let unexpected = |field: &Self| E::invalid_value(de::Unexpected::Str(text), field);
        let (number, out) = (self.field.number, &mut *self.writer.out);
        match self.field.kind {
            Kind::Text => write_bytes_field(number, text.as_bytes(), out),
            Kind::Bytes => {
                let bytes = BASE64.decode(text).map_err(|_| unexpected(&self))?;
                write_bytes_field(number, &bytes, self.writer.out);
            }
            Kind::Enum(variants) => {
                // An unknown name is no value.
                if let Some((_, known)) = variants.iter().find(|(name, _)| *name == text) {
                    write_varint_field(number, i64::from(*known).cast_unsigned(), out);
                }
            }
            Kind::Bool => match text.parse::<bool>() {
                Ok(value) => write_varint_field(number, u64::from(value), out),
                Err(_) => return Err(unexpected(&self)),
            },
            Kind::Double => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => write_double_field(number, value, out),
                Ok(_) | Err(_) => return Err(unexpected(&self)),
            },
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => match text.parse::<i128>() {
                Ok(value) => return self.integer(value),
                Err(_) => return Err(unexpected(&self)),
            },
            Kind::Message(_) => return Err(E::invalid_type(de::Unexpected::Str(text), &self)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.is_list() {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        let Self { field, writer, .. } = self;
        for index in 0.. {
            writer.path.push(Step::Index(index));
            if list.next_element_seed(FieldValue { field, is_element: true, writer })?.is_none() {
                writer.path.pop();
                return Ok(());
            }
            writer.path.pop();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (number, kind) = (self.field.number, self.field.kind);
        match (self.field.shape, kind) {
            (Shape::Map, kind) => {
                while let Some(key) = map.next_key::<String>()? {
                    let entry = open_field(number, self.writer.out);
                    write_bytes_field(1, key.as_bytes(), self.writer.out);
                    self.writer.path.push(Step::Key(key));
                    map.next_value_seed(MapValue { kind, writer: self.writer })?;
                    self.writer.path.pop();
                    close_field(entry, self.writer.out);
                }
                Ok(())
            }
            (Shape::One | Shape::Many, Kind::Message(message)) => {
                let open = open_field(number, self.writer.out);
                write_fields(message, map, self.writer)?;
                close_field(open, self.writer.out);
                Ok(())
            }
            (Shape::One | Shape::Many, _) => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}

/// Reads the value of an entry of a map: field 2 of the message of the entry.
struct MapValue<'a, 'w> {
    kind: Kind,
    writer: &'a mut Writer<'w>,
}

impl<'de> DeserializeSeed<'de> for MapValue<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MapValue<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.kind, Kind::Message(_)) { "an object" } else { "a string" })
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.kind, Kind::Text) {
            return Err(E::invalid_type(de::Unexpected::Str(text), &self));
        }
        write_bytes_field(2, text.as_bytes(), self.writer.out);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.kind else {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        };
        let open = open_field(2, self.writer.out);
        write_fields(message, map, self.writer)?;
        close_field(open, self.writer.out);
        Ok(())
    }
}
