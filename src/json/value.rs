//! [`Json`]: a value of JSON that is passed on as it came, kept as text.

use super::compact::compact;
use super::error::{JsonError, ReadError};
use super::print::{write_display, write_f64, write_string};
use super::view::JsonRef;
use super::{reader, writer};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A value of JSON that is none of this crate's to interpret: kept as compact text, so that nothing of it is lost, and shared
/// by its clones.
///
/// Numbers keep their digits. Two values are equal if they would be so after reading: the order of fields does not matter, nor
/// does the way in which a number with a fraction is written.
///
/// With the feature `json` it converts from and to `serde_json::Value`, so that `json!({..})` stands wherever a `Json` is taken.
/// As a serde value it is what it contains; in formats that are not human-readable it is its text.
///
/// # Examples
///
/// ```
/// use apportion::{Json, JsonError};
///
/// let policy = Json::parse(r#"{ "grace_period": {"nanoseconds": 5000000000} }"#)?;
/// assert_eq!(policy.get("grace_period").and_then(|grace| grace.get("nanoseconds")?.as_u64()), Some(5_000_000_000));
/// assert_eq!(policy.text(), r#"{"grace_period":{"nanoseconds":5000000000}}"#);
/// assert_eq!(policy, Json::object([("grace_period", Json::object([("nanoseconds", 5_000_000_000_u64)]))]));
///
/// let error = JsonError::Unexpected { at: 5, found: Some('}'), expected: "a value" };
/// assert_eq!(Json::parse(r#"{"a":}"#), Err(error));
/// # Ok::<(), JsonError>(())
/// ```
#[derive(Clone)]
pub struct Json(Text);

impl Json {
    /// The value `null`.
    pub const NULL: Self = Self(Text::new_static("null"));

    /// Reads a value: all of the text.
    ///
    /// # Errors
    ///
    /// [`JsonError`], with its position, for text that is not JSON, names a key of an object twice, has more than 127 arrays
    /// and objects in each other, or has a number that no double is near to.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        compact(text).map(Self::from_compact)
    }

    /// Takes text that was made by [`compact`] or the writer.
    pub(super) fn from_compact(text: impl Into<Text>) -> Self {
        Self(text.into())
    }

    /// Writes a serde value, which is of this crate: its keys are text.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        Self::from_compact(writer::to_string(value))
    }

    /// Reads a serde value of the text.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ReadError> {
        reader::from_str(&self.0)
    }

    /// Makes an object of its fields. A later value of a name replaces an earlier one.
    #[must_use]
    pub fn object<N: Into<Text>, V: Into<Self>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into()));
        crate::details::Details::from_iter(fields).into()
    }

    /// Makes an array of its elements.
    #[must_use]
    pub fn array<V: Into<Self>>(elements: impl IntoIterator<Item = V>) -> Self {
        let mut out = String::from("[");
        for element in elements {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(element.into().text());
        }
        out.push(']');
        Self::from_compact(out)
    }

    /// Returns the compact text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns the value for a walk into it.
    #[must_use]
    pub fn view(&self) -> JsonRef<'_> {
        JsonRef::new(&self.0)
    }

    /// Returns the field of an object; `None` if there is none of that name, or the value is no object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<JsonRef<'_>> {
        self.view().get(name)
    }

    /// Returns the element of an array, counted from 0; `None` if there are not so many, or the value is no array.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<JsonRef<'_>> {
        self.view().at(index)
    }

    /// Iterates over the fields of an object, in the order in which they were written. Other values have none.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'_, str>, JsonRef<'_>)> {
        self.view().fields()
    }

    /// Iterates over the elements of an array. Other values have none.
    pub fn elements(&self) -> impl Iterator<Item = JsonRef<'_>> {
        self.view().elements()
    }

    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        self.view().as_str()
    }

    /// Returns the double nearest to a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.view().as_f64()
    }

    /// Returns a number that is written without fraction and exponent, if it fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.view().as_i64()
    }

    /// Returns a number that is written without sign, fraction and exponent, if it fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.view().as_u64()
    }

    /// Returns the value of `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.view().as_bool()
    }

    /// Returns true for `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.view().is_null()
    }
}

impl Default for Json {
    /// Returns `null`.
    fn default() -> Self {
        Self::NULL
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Json {
    /// Writes the compact text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Json {
    type Err = JsonError;

    /// Reads a value, as [`Json::parse`] does.
    fn from_str(text: &str) -> Result<Self, JsonError> {
        Self::parse(text)
    }
}

impl From<&str> for Json {
    /// Makes a string.
    fn from(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 2);
        write_string(&mut out, text);
        Self::from_compact(out)
    }
}

impl From<JsonRef<'_>> for Json {
    fn from(part: JsonRef<'_>) -> Self {
        Self::from_compact(part.text())
    }
}

impl From<f64> for Json {
    /// Makes a number; `null` of what is none.
    fn from(number: f64) -> Self {
        let mut out = String::new();
        write_f64(&mut out, number);
        Self::from_compact(out)
    }
}

/// Strings of other types.
macro_rules! strings {
    ($($type:ty)*) => {
        $(impl From<$type> for Json {
            /// Makes a string.
            fn from(text: $type) -> Self {
                let text: &str = &text;
                text.into()
            }
        })*
    };
}

strings!(String &String Text &Text Cow<'_, str>);

/// Values that JSON writes as Rust does.
macro_rules! displayed {
    ($($type:ty)*) => {
        $(impl From<$type> for Json {
            fn from(value: $type) -> Self {
                let mut out = String::new();
                write_display(&mut out, value);
                Self::from_compact(out)
            }
        })*
    };
}

displayed!(bool i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl<V: Into<Self>> From<Vec<V>> for Json {
    /// Makes an array.
    fn from(elements: Vec<V>) -> Self {
        Self::array(elements)
    }
}

impl<V: Into<Self>> From<Option<V>> for Json {
    /// Makes `null` of nothing.
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::NULL, Into::into)
    }
}

impl PartialEq<str> for Json {
    /// Compares with the text of a string.
    fn eq(&self, text: &str) -> bool {
        self.view() == *text
    }
}

impl PartialEq<&str> for Json {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl PartialEq<JsonRef<'_>> for Json {
    fn eq(&self, other: &JsonRef<'_>) -> bool {
        self.view() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::any_json;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn text_is_kept_compact_with_the_digits_as_they_are_written() {
        for (text, kept) in [
            (" { \"a\" : [ 1.50 , 1E+2,\n-0 ] , \"b\": {} } ", r#"{"a":[1.50,1E+2,-0],"b":{}}"#),
            (r#""\u00fc\/\u0041\n\u001F \ud83d\ude00""#, "\"ü/A\\n\\u001f 😀\""),
            (r#"{"\u0061": 0.10000000000000000000000001}"#, r#"{"a":0.10000000000000000000000001}"#),
            ("[true,false,null]", "[true,false,null]"),
            (r#""plain""#, r#""plain""#),
        ] {
            assert_eq!(Json::parse(text).unwrap().text(), kept);
        }
    }

    #[test]
    fn numbers_are_equal_as_they_are_read() {
        let equal = |a: &str, b: &str| Json::parse(a).unwrap() == Json::parse(b).unwrap();
        assert!(equal("1.50", "15e-1") && equal("[{\"a\":1.0}]", "[{\"a\":1.00}]"));
        assert!(!equal("1", "1.0") && !equal("1", "2") && !equal("9007199254740993", "9007199254740992"));
    }

    #[test]
    fn errors_have_a_position() {
        let unexpected = |at, found, expected| JsonError::Unexpected { at, found, expected };
        let deep = "[".repeat(128);
        for (text, error, message) in [
            ("", unexpected(0, None, "a value"), "found the end of the text, expected a value, at byte 0"),
            ("[1,]", unexpected(3, Some(']'), "a value"), "found ']', expected a value, at byte 3"),
            ("[1 2]", unexpected(3, Some('2'), "`,` or `]`"), "found '2', expected `,` or `]`, at byte 3"),
            ("{1:2}", unexpected(1, Some('1'), "a key in quotes"), "found '1', expected a key in quotes, at byte 1"),
            (
                "1 ü",
                unexpected(2, Some('ü'), "the end of the text"),
                "found 'ü', expected the end of the text, at byte 2",
            ),
            (
                "01",
                unexpected(1, Some('1'), "the end of the text"),
                "found '1', expected the end of the text, at byte 1",
            ),
            ("-", unexpected(1, None, "a digit"), "found the end of the text, expected a digit, at byte 1"),
            (
                "\"a\n\"",
                unexpected(2, Some('\n'), "the rest of a string"),
                "found '\\n', expected the rest of a string, at byte 2",
            ),
            (
                r#"{"a":1,"b":{"a":2}, "a":3}"#,
                JsonError::DuplicateKey { at: 20, key: "a".into() },
                "duplicate field `a` at byte 20",
            ),
            ("[1e999]", JsonError::NumberOutOfRange { at: 1 }, "number out of range at byte 1"),
            (&deep, JsonError::TooDeep { at: 127 }, "recursion limit exceeded at byte 127"),
            (r#""\ud800""#, JsonError::Escape { at: 1 }, "an invalid escape at byte 1"),
            (r#""a\x""#, JsonError::Escape { at: 2 }, "an invalid escape at byte 2"),
            (r#""\u00x0""#, JsonError::Escape { at: 1 }, "an invalid escape at byte 1"),
        ] {
            let found = Json::parse(text).unwrap_err();
            assert!(found.to_string().starts_with(message), "{found}");
            assert_eq!(found, error, "{text}");
        }
    }

    #[test]
    fn text_that_is_cut_off_is_told_apart() {
        for text in [r#"{"a":[true,-1.5e+1,"\n\ud83d\ude00",null]}"#, r#"[false,"\u0041ü"]"#] {
            Json::parse(text).unwrap();
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                let error = Json::parse(&text[..end]).unwrap_err();
                assert!(error.is_cut_off(), "{}: {error}", &text[..end]);
            }
        }
    }

    #[test]
    fn values_are_made_of_what_rust_has() {
        let json = Json::object([
            ("a", Json::from(1_u8)),
            ("b", (-0.5).into()),
            ("c", "\"".into()),
            ("d", vec![true, false].into()),
            ("e", None::<bool>.into()),
            ("f", f64::NAN.into()),
            ("a", Text::new("later").into()),
        ]);
        assert_eq!(json.text(), r#"{"a":"later","b":-0.5,"c":"\"","d":[true,false],"e":null,"f":null}"#);
        assert_eq!(Json::array(Vec::<Json>::new()).text(), "[]");
        assert_eq!(Json::default(), Json::NULL);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{},:"0-9a-e\\u.\-+truefalsn \n]{0,14}"#) {
            match (Json::parse(&text), serde_json::from_str::<Value>(&text)) {
                (Err(JsonError::DuplicateKey { .. }), _) => {}
                (own, other) => prop_assert_eq!(own.map(Value::from).ok(), other.ok(), "{:?}", text),
            }
        }

        #[test]
        fn values_come_back_from_serde_json(value in any_json()) {
            let json = Json::from(&value);
            prop_assert_eq!(&Value::from(&json), &value);
            let pretty = Json::parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(pretty.text(), json.text());
            let text = serde_json::to_string(&json).unwrap();
            prop_assert_eq!(&text, &value.to_string());
            let read: Json = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.text(), text);
        }

        #[test]
        fn numbers_and_strings_are_written_as_serde_json_does(
            number: f64,
            small in -1e5..1e5,
            quarters in 1_u64 << 50..1 << 53, // some are halfway between two decimals of as many digits
            text: String,
        ) {
            let halves = quarters as f64 / 4.0;
            for number in [number, small, (small * 1000.0).round() / 1000.0, small.round(), halves, halves * 2.0_f64.powi(-40)] {
                let (own, other) = (Json::from(number), serde_json::json!(number).to_string());
                prop_assert_eq!(own.text(), other);
            }
            let (own, other) = (Json::from(&text), serde_json::json!(text).to_string());
            prop_assert_eq!(own.text(), other);
        }
    }
}
