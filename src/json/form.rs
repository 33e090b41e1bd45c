//! serde for [`Json`]: the text itself in this module's formats, else the values that it contains. [`Exact`] keeps the text of
//! numbers in any format.

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

/// The key of a number's text, in [`Exact`].
const NUMBER: &str = "$number";

/// A value of which other formats, too, lose no digit: a number that they would write otherwise is an object with its text, and a
/// key that begins with `$` has one more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exact<T>(pub(crate) T);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TEXT, &self.view())
    }
}

impl Serialize for Exact<&Json> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TEXT, &Exact(self.0.view()))
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
        serialize_leaf(*self, serializer)
    }
}

impl Serialize for Exact<JsonRef<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.0;
        if !serializer.is_human_readable() {
            return serializer.serialize_str(json.text());
        }
        if json.is_object() {
            return serializer
                .collect_map(json.fields().map(|(name, value)| (escaped(name), Exact(value))).collect::<Vec<_>>());
        }
        if json.is_array() {
            return serializer.collect_seq(json.elements().map(Exact).collect::<Vec<_>>());
        }
        if json.is_number() && !is_written_alike(json) {
            return serializer.collect_map([(NUMBER, json.text())]);
        }
        serialize_leaf(json, serializer)
    }
}

/// Returns a key as it stands in [`Exact`].
fn escaped(key: Cow<'_, str>) -> Cow<'_, str> {
    if key.starts_with('$') { format!("${key}").into() } else { key }
}

/// Returns true if the text of a number is what is written for the value that [`serialize_leaf`] gives a format.
fn is_written_alike(number: JsonRef<'_>) -> bool {
    let text = number.text();
    if number.as_u64().is_some() {
        return true; // without sign, fraction and exponent a number has one text
    }
    if number.as_i64().is_some_and(|whole| whole != 0) {
        return true;
    }
    let mut written = String::new();
    number.as_f64().is_some_and(|nearest| {
        write_f64(&mut written, nearest);
        written == text
    })
}

/// Serializes a value without parts.
fn serialize_leaf<S: Serializer>(json: JsonRef<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(text) = json.as_str() {
        return serializer.serialize_str(&text);
    }
    if let Some(bool) = json.as_bool() {
        return serializer.serialize_bool(bool);
    }
    if let Some(number) = json.as_u64() {
        return serializer.serialize_u64(number);
    }
    match (json.as_i64().filter(|number| *number != 0), json.as_f64()) {
        (Some(number), _) => serializer.serialize_i64(number),
        (None, Some(number)) => serializer.serialize_f64(number),
        (None, None) => serializer.serialize_unit(),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT, TextVisitor { exact: false })
    }
}

impl<'de> Deserialize<'de> for Exact<Json> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT, TextVisitor { exact: true }).map(Self)
    }
}

/// Takes the text of a deserializer that knows [`TEXT`], or else any value.
struct TextVisitor {
    /// True for what [`Exact`] has written.
    exact: bool,
}

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
        ValueVisitor { out: &mut out, depth: 0, exact: self.exact }.deserialize(deserializer)?;
        Ok(Json::from_compact(out))
    }
}

/// Writes the value that it is given.
struct ValueVisitor<'o> {
    out: &'o mut String,
    depth: usize,
    exact: bool,
}

impl ValueVisitor<'_> {
    fn display<E>(self, value: impl fmt::Display) -> Result<(), E> {
        write_display(self.out, value);
        Ok(())
    }

    /// Writes the number of which `fields` has the text.
    fn number<'de, A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let number = Json::parse(&fields.next_value::<String>()?).map_err(de::Error::custom)?;
        if !number.view().is_number() || fields.next_key::<String>()?.is_some() {
            return Err(de::Error::custom(format_args!("expected {NUMBER} to be the text of a number, and alone")));
        }
        self.out.push_str(number.text());
        Ok(())
    }

    fn nested<E: de::Error>(&mut self) -> Result<ValueVisitor<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("recursion limit exceeded"));
        }
        Ok(ValueVisitor { out: self.out, depth: self.depth + 1, exact: self.exact })
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
        while let Some(mut key) = fields.next_key::<String>()? {
            if self.exact && key.starts_with('$') {
                if key == NUMBER && self.out.len() == begun {
                    self.out.truncate(begun - 1);
                    return self.number(fields);
                }
                key.remove(0);
                if !key.starts_with('$') {
                    return Err(de::Error::custom(format_args!("unexpected key ${key}")));
                }
            }
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

#[cfg(test)]
mod tests {
    use super::super::reader::tests::any_json;
    use super::super::{from_str, to_string};
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> (String, Json) {
        let json = Json::parse(text).unwrap();
        let written = serde_json::to_string(&Exact(&json)).unwrap();
        (written, json)
    }

    #[test]
    fn numbers_that_another_format_would_write_otherwise_stand_as_text() {
        for (text, written) in [
            ("[1,-1,0.5,1.0,18446744073709551615]", "[1,-1,0.5,1.0,18446744073709551615]"),
            ("8999999999982.009", r#"{"$number":"8999999999982.009"}"#),
            (r#"{"a":1.50,"b":-0}"#, r#"{"a":{"$number":"1.50"},"b":{"$number":"-0"}}"#),
            (r#"{"$number":"1"}"#, r#"{"$$number":"1"}"#),
        ] {
            assert_eq!(exact(text).0, written);
        }
        for text in [
            r#"{"$number":1}"#,
            r#"{"$number":"x"}"#,
            r#"{"$number":"1","a":2}"#,
            r#"{"a":1,"$number":"1"}"#,
            r#"{"$a":1}"#,
        ] {
            assert!(serde_json::from_str::<Exact<Json>>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_to_the_byte(
            value in any_json(),
            key in "[$a]{0,3}",
            number in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", // within the range of a double
        ) {
            let (written, json) = exact(&format!(r#"{{"{key}":[{number},{{"$number":{value}}}]}}"#));
            let Exact(read) = serde_json::from_str::<Exact<Json>>(&written).unwrap();
            prop_assert_eq!(read.text(), json.text());
            let own = to_string(&Exact(&json));
            prop_assert_eq!(&own, json.text());
            prop_assert_eq!(from_str::<Exact<Json>>(&own).unwrap().0, json);
        }
    }
}
