//! [`to_string`]: compact JSON of a serde type.

use super::error::ReadError as Error;
use super::form::TEXT;
use super::number::DIGITS;
use super::print::{write_display, write_f32, write_f64, write_string};
use serde::ser::{self, Serialize, Serializer};
use std::fmt;

/// Writes compact JSON, as `serde_json` does but for the digits of a [`Number`](super::Number).
///
/// # Panics
///
/// When the value has a map with keys that are no text.
pub(crate) fn to_string(value: &impl Serialize) -> String {
    let mut writer = Writer { out: String::with_capacity(MIN_CAPACITY), is_raw: false };
    value.serialize(&mut writer).expect("a line has text keys and only values that JSON has");
    writer.out
}

/// The capacity with which text is begun: the length of a short line.
const MIN_CAPACITY: usize = 256;

struct Writer {
    out: String,
    /// True while text is written that is the value, such as that of a number.
    is_raw: bool,
}

impl Writer {
    /// Writes a value without parts, as Rust displays it.
    fn display(&mut self, value: impl fmt::Display) -> Result<(), Error> {
        write_display(&mut self.out, value);
        Ok(())
    }

    fn open(&mut self, bracket: char, close: &'static str) -> List<'_> {
        self.out.push(bracket);
        List { writer: self, is_first: true, close }
    }

    /// Opens the object of an enum's variant.
    fn open_variant(&mut self, variant: &str, bracket: char, close: &'static str) -> List<'_> {
        self.out.push('{');
        write_string(&mut self.out, variant);
        self.out.push(':');
        self.open(bracket, close)
    }
}

/// An array or object that is being written.
struct List<'w> {
    writer: &'w mut Writer,
    is_first: bool,
    close: &'static str,
}

impl List<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_first) {
            self.writer.out.push(',');
        }
        value.serialize(&mut *self.writer)
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_first) {
            self.writer.out.push(',');
        }
        let start = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        match self.writer.out.as_bytes().get(start) {
            Some(b'"') => {}
            Some(b'0'..=b'9' | b'-') => {
                self.writer.out.insert(start, '"');
                self.writer.out.push('"');
            }
            _ => return Err(ser::Error::custom("a key that is neither text nor a number")),
        }
        self.writer.out.push(':');
        Ok(())
    }

    /// Writes a field of a struct, whose name needs no escape.
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        debug_assert!(!key.contains(['"', '\\']) && !key.contains(char::is_control), "{key} is the name of a field");
        let quote = if std::mem::take(&mut self.is_first) { "\"" } else { ",\"" };
        for part in [quote, key, "\":"] {
            self.writer.out.push_str(part);
        }
        value.serialize(&mut *self.writer)
    }

    fn finish(self) {
        self.writer.out.push_str(self.close);
    }
}

macro_rules! leaves {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Error> { self.display(value) })*
    };
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'w>;
    type SerializeTuple = List<'w>;
    type SerializeTupleStruct = List<'w>;
    type SerializeTupleVariant = List<'w>;
    type SerializeMap = List<'w>;
    type SerializeStruct = List<'w>;
    type SerializeStructVariant = List<'w>;

    leaves!(
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    );

    fn serialize_f32(self, number: f32) -> Result<(), Error> {
        write_f32(&mut self.out, number);
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        write_f64(&mut self.out, number);
        Ok(())
    }

    fn serialize_char(self, char: char) -> Result<(), Error> {
        self.serialize_str(char.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        if self.is_raw {
            self.out.push_str(text);
        } else {
            write_string(&mut self.out, text);
        }
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.collect_seq(bytes)
    }

    /// What has a text that is the value gives that.
    fn is_human_readable(&self) -> bool {
        !self.is_raw
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.display("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        write_string(&mut self.out, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Error> {
        self.is_raw = name == DIGITS || name == TEXT;
        let written = value.serialize(&mut *self);
        self.is_raw = false;
        written
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut object = self.open('{', "}");
        object.field(variant, value)?;
        object.finish();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'w>, Error> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'w>, Error> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'w>, Error> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'w>, Error> {
        Ok(self.open_variant(variant, '[', "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<List<'w>, Error> {
        Ok(self.open('{', "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<List<'w>, Error> {
        Ok(self.open('{', "}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'w>, Error> {
        Ok(self.open_variant(variant, '{', "}}"))
    }
}

/// Implements the traits for lists of values, and those for lists of fields.
macro_rules! compounds {
    (values: $($value_trait:ident $method:ident),* ; fields: $($field_trait:ident),*) => {
        $(impl ser::$value_trait for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        })*
        $(impl ser::$field_trait for List<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        })*
    };
}
compounds!(
    values: SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
        SerializeTupleVariant serialize_field;
    fields: SerializeStruct, SerializeStructVariant
);

impl ser::SerializeMap for List<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(serde::Serialize)]
    enum Any {
        Unit,
        New(Option<u8>),
        Pair(char, f64),
        Fields { at: BTreeMap<u64, Vec<i8>>, text: &'static str },
    }

    #[test]
    fn writes_what_serde_json_writes() {
        let values = [
            Any::Unit,
            Any::New(None),
            Any::New(Some(1)),
            Any::Pair('"', 2.0),
            Any::Pair('x', f64::NAN),
            Any::Fields { at: [(1, vec![]), (2, vec![-1, 2])].into(), text: "\u{0}\n\"ü" },
        ];
        for value in &values {
            assert_eq!(to_string(value), serde_json::to_string(value).unwrap());
        }
        let all = ((), values, serde_json::json!({"a": [null, 1.5, {"b": true}], "": {}}));
        assert_eq!(to_string(&all), serde_json::to_string(&all).unwrap());
    }
}
