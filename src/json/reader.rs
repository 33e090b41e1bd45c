//! [`from_str`]: a recursive descent reader of JSON for serde, by the grammar of `serde_json`.

use super::compact::next_value;
use super::error::ReadError;
use super::form::TEXT;
use super::lexer::{Keys, Lexer};
use super::number::DIGITS;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use std::borrow::Cow;

/// Reads a value, all of the text.
///
/// # Errors
///
/// [`ReadError`], with the position, for text that is not JSON or not such a value, and for a key that an object names twice.
pub(crate) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, ReadError> {
    let mut reader = Reader { lexer: Lexer::new(text) };
    let read = T::deserialize(&mut reader).map_err(|error| error.located(reader.lexer.at))?;
    reader.lexer.end()?;
    Ok(read)
}

struct Reader<'de> {
    lexer: Lexer<'de>,
}

impl<'de> Reader<'de> {
    /// Reads what stands between a pair of brackets, of which the opening one is next.
    fn nested<T>(&mut self, close: u8, read: impl FnOnce(&mut Self) -> Result<T, ReadError>) -> Result<T, ReadError> {
        self.lexer.open()?;
        let value = read(self)?;
        self.lexer.close(close)?;
        Ok(value)
    }
}

fn visit_number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, ReadError> {
    if !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        if let Ok(number) = text.parse() {
            return visitor.visit_u64(number);
        }
        if text != "-0"
            && let Ok(number) = text.parse()
        {
            return visitor.visit_i64(number);
        }
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => visitor.visit_f64(number),
        _ => Err(de::Error::custom("number out of range")),
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.lexer.peek() {
            Some(b'"') => match self.lexer.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Some(b'-' | b'0'..=b'9') => visit_number(self.lexer.number()?, visitor),
            Some(b'{') => self.nested(b'}', |reader| visitor.visit_map(Fields::new(reader))),
            Some(b'[') => self.nested(b']', |reader| visitor.visit_seq(Elements { reader, is_first: true })),
            Some(b'n') => {
                self.lexer.word("null")?;
                visitor.visit_unit()
            }
            Some(b't') => {
                self.lexer.word("true")?;
                visitor.visit_bool(true)
            }
            Some(b'f') => {
                self.lexer.word("false")?;
                visitor.visit_bool(false)
            }
            _ => Err(self.lexer.unexpected("a value").into()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.lexer.peek() {
            Some(b'n') => {
                self.lexer.word("null")?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    /// Gives the text of a number, if it is asked for.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.lexer.peek() {
            Some(b'-' | b'0'..=b'9') if name == DIGITS => visitor.visit_borrowed_str(self.lexer.number()?),
            _ if name == TEXT => match next_value(&mut self.lexer)? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.lexer.peek() {
            Some(b'{') => {
                self.nested(b'}', |reader| visitor.visit_enum(MapAccessDeserializer::new(Fields::new(reader))))
            }
            Some(b'"') => visitor.visit_enum(self.lexer.string()?.into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The elements of an array.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        if self.reader.lexer.next_item(&mut self.is_first, b']')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The fields of an object, and the keys that were read.
struct Fields<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
    keys: Keys<'de>,
}

impl<'r, 'de> Fields<'r, 'de> {
    fn new(reader: &'r mut Reader<'de>) -> Self {
        Self { reader, is_first: true, keys: Keys::default() }
    }
}

impl<'de> de::MapAccess<'de> for Fields<'_, 'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let lexer = &mut self.reader.lexer;
        if !lexer.next_item(&mut self.is_first, b'}')? {
            return Ok(None);
        }
        let read = seed.deserialize(Key(lexer.key(&mut self.keys)?))?;
        lexer.expect(b':', "`:`")?;
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        seed.deserialize(&mut *self.reader)
    }
}

/// The key of a field: text, or a whole number in quotes.
struct Key<'de>(Cow<'de, str>);

macro_rules! whole_numbers {
    ($($method:ident $visit:ident),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    whole_numbers!(
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64
    );

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Message {
        Text { id: String, kept: Option<u8> },
        Numbers(std::collections::BTreeMap<usize, f64>),
        Nothing,
    }

    #[test]
    fn a_key_twice_is_an_error_that_names_it() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"b":[{"a":1, "\u0061":2}]}]"#] {
            let error = from_str::<Json>(text).unwrap_err();
            assert!(error.to_string().starts_with("duplicate field `a` at byte"), "{error}");
        }
        let many = |last: usize| {
            let fields: Vec<String> = (0..100).chain([last]).map(|i| format!("\"k{i}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(from_str::<Json>(&many(100)).is_ok());
        for last in [0, 15, 16, 99] {
            assert!(from_str::<Json>(&many(last)).unwrap_err().to_string().contains(&format!("`k{last}`")));
        }
    }

    #[test]
    fn messages_are_read_as_by_serde_json() {
        for text in [
            r#"{"text":{"id":"x"}}"#,
            r#" { "text" : { "kept" : 7 , "id" : "\u00fc\n" } } "#,
            r#"{"numbers":{"1":2,"3":-0.5e3}}"#,
            r#""nothing""#,
            r#"{"nothing":null}"#,
            r#"{"text":["x",null]}"#,
            r#"{"text":{"id":"x","other":1}}"#,
            r#"{"text":{"id":5}}"#,
            r#"{"text":{"id":"x"},"nothing":null}"#,
            r#"{"text":{}}"#,
            r#"{"numbers":{"one":2}}"#,
            r#"{"numbers":{"1":"2"}}"#,
            "{}",
            r#""text""#,
            r#""other""#,
            "5",
        ] {
            let (own, other) = (from_str::<Message>(text), serde_json::from_str::<Message>(text));
            assert_eq!(own.as_ref().ok(), other.as_ref().ok(), "{text}: {own:?} {other:?}");
        }
        let error = from_str::<Message>("{\n\"text\":{\"id\":5}}").unwrap_err();
        assert_eq!(error.to_string(), "invalid type: integer `5`, expected a string at byte 16");
    }

    #[test]
    fn deep_nesting_ends_in_an_error() {
        for depth in [1, 127, 128, 100_000] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(from_str::<Json>(&text).is_ok(), serde_json::from_str::<Json>(&text).is_ok(), "{depth}");
        }
    }

    pub(in super::super) fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(json in any_json()) {
            for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                let expected = serde_json::from_str::<Json>(&text).unwrap();
                prop_assert_eq!(from_str::<Json>(&text).unwrap(), expected);
            }
        }

        /// Text that is mostly wrong is refused where `serde_json` refuses it, and read alike where it does not.
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{},:"0-9a-e\\u.\-+truefalsn \n]{0,14}"#) {
            let (own, other) = (from_str::<Json>(&text), serde_json::from_str::<Json>(&text));
            match &own {
                Err(error) if error.to_string().contains("duplicate") => {}
                _ => prop_assert_eq!(own.as_ref().ok(), other.as_ref().ok(), "{:?}: {:?} {:?}", text, own, other),
            }
        }
    }
}
