//! [`from_str`]: a recursive descent reader of JSON for serde, by the grammar of `serde_json`.

use super::number::DIGITS;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, Visitor};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// The number of arrays and objects that may stand in each other, as in `serde_json`.
const MAX_DEPTH: usize = 127;

/// The number of keys of an object up to which they are compared one by one.
const MAX_LISTED_KEYS: usize = 16;

/// Reads a value, all of the text.
///
/// # Errors
///
/// [`serde_json::Error`], with the position, for text that is not JSON or not such a value, and for a key that an object
/// names twice.
pub(crate) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, serde_json::Error> {
    let mut reader = Reader::new(text);
    reader.document().map_err(|fault| match serde_json::from_str::<IgnoredAny>(text) {
        Err(syntax) => syntax,
        Ok(_) => de::Error::custom(format_args!("{fault} at line {} column {}", reader.line(), reader.column())),
    })
}

/// Returns the first key that an object names twice, and the byte at which it begins, in text that is otherwise JSON.
pub(crate) fn duplicate_key(text: &str) -> Option<(usize, String)> {
    let mut reader = Reader::new(text);
    match reader.document::<IgnoredAny>() {
        Err(Fault::DuplicateKey(key)) => Some((reader.at, key)),
        Err(Fault::Other(_)) | Ok(_) => None,
    }
}

/// The reason why text is not the value that is wanted.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("duplicate field `{0}`")]
    DuplicateKey(String),
    #[error("{0}")]
    Other(String),
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::Other(what.to_string())
    }
}

/// Returns the message of an error without its position, which is that in a token.
fn leaf_fault(error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    Fault::Other(what.to_owned())
}

struct Reader<'de> {
    text: &'de str,
    /// The byte up to which the text is read.
    at: usize,
    depth: usize,
}

impl<'de> Reader<'de> {
    fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    fn document<T: Deserialize<'de>>(&mut self) -> Result<T, Fault> {
        let value = T::deserialize(&mut *self)?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.unexpected("the end of the text")),
        }
    }

    fn line(&self) -> usize {
        self.text.as_bytes()[..self.at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn column(&self) -> usize {
        self.at
            - self.text.as_bytes()[..self.at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
    }

    /// Skips white space, and returns the byte after it.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    fn unexpected(&self, expected: &str) -> Fault {
        match self.text[self.at..].chars().next() {
            Some(found) => Fault::Other(format!("found {found:?}, expected {expected}")),
            None => Fault::Other(format!("found the end of the text, expected {expected}")),
        }
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.unexpected("a value"))
        }
    }

    /// Reads a string, of which the opening quote is next.
    fn string(&mut self) -> Result<Cow<'de, str>, Fault> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let (mut end, mut is_escaped) = (start + 1, false);
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    end += 2;
                }
                Some(0..0x20) | None => return Err(Fault::Other("a string that does not end".to_owned())),
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        if is_escaped {
            serde_json::from_str(&self.text[start..=end]).map(Cow::Owned).map_err(|error| leaf_fault(&error))
        } else {
            Ok(Cow::Borrowed(&self.text[start + 1..end]))
        }
    }

    /// Reads the text of a number, of which the sign or the first digit is next.
    fn number(&mut self) -> Result<&'de str, Fault> {
        let start = self.at;
        self.skip(|byte| byte == b'-', 1);
        if self.skip(|byte| byte == b'0', 1) == 0 {
            self.digits()?;
        }
        if self.skip(|byte| byte == b'.', 1) > 0 {
            self.digits()?;
        }
        if self.skip(|byte| matches!(byte, b'e' | b'E'), 1) > 0 {
            self.skip(|byte| matches!(byte, b'+' | b'-'), 1);
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), Fault> {
        match self.skip(|byte| byte.is_ascii_digit(), usize::MAX) {
            0 => Err(self.unexpected("a digit")),
            _ => Ok(()),
        }
    }

    /// Skips up to `most` bytes of a class, and returns their number.
    fn skip(&mut self, class: impl Fn(u8) -> bool, most: usize) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take(most).take_while(|byte| class(**byte)).count();
        self.at += count;
        count
    }

    /// Reads what stands between a pair of brackets, of which the opening one is next.
    fn nested<T>(&mut self, close: u8, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::Other("recursion limit exceeded".to_owned()));
        }
        (self.at, self.depth) = (self.at + 1, self.depth + 1);
        let value = read(self)?;
        self.expect(close, if close == b'}' { "`}`" } else { "`]`" })?;
        self.depth -= 1;
        Ok(value)
    }

    /// Reads up to the next item of an array or object; false if there is none.
    fn next_item(&mut self, is_first: &mut bool, close: u8) -> Result<bool, Fault> {
        let next = self.peek();
        if std::mem::take(is_first) {
            return Ok(next != Some(close));
        }
        match next {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => Err(self.unexpected(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" })),
        }
    }
}

fn visit_number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Fault> {
    if !text.contains(['.', 'e', 'E']) {
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
        _ => Err(Fault::Other("number out of range".to_owned())),
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.peek() {
            Some(b'"') => match self.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Some(b'-' | b'0'..=b'9') => visit_number(self.number()?, visitor),
            Some(b'{') => self.nested(b'}', |reader| visitor.visit_map(Fields::new(reader))),
            Some(b'[') => self.nested(b']', |reader| visitor.visit_seq(Elements { reader, is_first: true })),
            Some(b'n') => self.word("null").and_then(|()| visitor.visit_unit()),
            Some(b't') => self.word("true").and_then(|()| visitor.visit_bool(true)),
            Some(b'f') => self.word("false").and_then(|()| visitor.visit_bool(false)),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.peek() {
            Some(b'n') => self.word("null").and_then(|()| visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    /// Gives the text of a number, if it is asked for.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') if name == DIGITS => visitor.visit_borrowed_str(self.number()?),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.peek() {
            Some(b'{') => {
                self.nested(b'}', |reader| visitor.visit_enum(MapAccessDeserializer::new(Fields::new(reader))))
            }
            Some(b'"') => visitor.visit_enum(self.string()?.into_deserializer()),
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
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.reader.next_item(&mut self.is_first, b']')? {
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
    listed: SmallVec<[Cow<'de, str>; 8]>,
    /// The keys after the first few.
    more: BTreeSet<Cow<'de, str>>,
}

impl<'r, 'de> Fields<'r, 'de> {
    fn new(reader: &'r mut Reader<'de>) -> Self {
        Self { reader, is_first: true, listed: SmallVec::new(), more: BTreeSet::new() }
    }

    /// Notes a key that was read.
    fn note(&mut self, key: Cow<'de, str>) -> Result<(), Fault> {
        if self.listed.contains(&key) || self.more.contains(&key) {
            return Err(Fault::DuplicateKey(key.into_owned()));
        }
        if self.listed.len() < MAX_LISTED_KEYS {
            self.listed.push(key);
        } else {
            self.more.insert(key);
        }
        Ok(())
    }
}

impl<'de> de::MapAccess<'de> for Fields<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if !self.reader.next_item(&mut self.is_first, b'}')? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(self.reader.unexpected("a key in quotes"));
        }
        let start = self.reader.at;
        let key = self.reader.string()?;
        self.note(key.clone()).inspect_err(|_| self.reader.at = start)?;
        let read = seed.deserialize(Key(key))?;
        self.reader.expect(b':', "`:`")?;
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(&mut *self.reader)
    }
}

/// The key of a field: text, or a whole number in quotes.
struct Key<'de>(Cow<'de, str>);

macro_rules! whole_numbers {
    ($($method:ident $visit:ident),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    whole_numbers!(
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64
    );

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
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
            assert!(error.to_string().starts_with("duplicate field `a` at line 1 column"), "{error}");
        }
        let many = |last: usize| {
            let fields: Vec<String> = (0..100).chain([last]).map(|i| format!("\"k{i}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(from_str::<Json>(&many(100)).is_ok());
        for last in [0, 15, 16, 99] {
            assert!(from_str::<Json>(&many(last)).unwrap_err().to_string().contains(&format!("`k{last}`")));
        }
        assert_eq!(duplicate_key("{\"a\":{\"b\":1,\n\"b\":2}}"), Some((13, "b".to_owned())));
        assert_eq!(duplicate_key("{\"a\":{\"a\":1}}"), None);
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
        assert_eq!(error.to_string(), "invalid type: integer `5`, expected a string at line 2 column 14");
    }

    #[test]
    fn deep_nesting_ends_in_an_error() {
        for depth in [1, 127, 128, 100_000] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(from_str::<Json>(&text).is_ok(), serde_json::from_str::<Json>(&text).is_ok(), "{depth}");
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
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
