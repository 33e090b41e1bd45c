//! [`JsonRef`]: a walk into a value of JSON, along its text.

use super::lexer::Lexer;
use super::value::Json;
use std::borrow::Cow;
use std::fmt;

/// A part of a [`Json`] value, borrowed from its text.
///
/// # Examples
///
/// ```
/// use apportion::Json;
///
/// let command: Json = r#"{"value": "sleep 1", "environment": [{"name": "A", "value": "1"}], "shell": true}"#.parse()?;
/// assert_eq!(command.get("value").unwrap(), "sleep 1");
/// let variables = command.get("environment").unwrap();
/// let named = variables.elements().filter_map(|variable| variable.get("name")?.as_str());
/// assert_eq!(named.collect::<Vec<_>>(), ["A"]);
/// assert_eq!(variables.text(), r#"[{"name":"A","value":"1"}]"#);
/// # Ok::<(), apportion::JsonError>(())
/// ```
///
/// # Complexity
///
/// Looking up a field or an element reads the text before it. What is kept is found again by [`Json::from`].
#[derive(Clone, Copy)]
pub struct JsonRef<'a> {
    /// Compact text of one value.
    text: &'a str,
}

impl<'a> JsonRef<'a> {
    /// Takes text that [`compact`](super::compact::compact) has made, or a value in it.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Returns the compact text.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.text
    }

    /// Returns the field of an object; `None` if there is none of that name, or the value is no object.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Self> {
        self.fields().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns the element of an array, counted from 0; `None` if there are not so many, or the value is no array.
    #[must_use]
    pub fn at(self, index: usize) -> Option<Self> {
        self.elements().nth(index)
    }

    /// Iterates over the fields of an object, in the order in which they were written. Other values have none.
    pub fn fields(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> + use<'a> {
        self.raw_fields().map(|(key, value)| (unquoted(key), value))
    }

    /// Iterates over the fields of an object with their keys as they are written, in quotes.
    pub(super) fn raw_fields(self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let mut items = Items::of(self.text, '{');
        std::iter::from_fn(move || {
            let key = items.next()?;
            Some((key, Self::new(items.next()?)))
        })
    }

    /// Iterates over the elements of an array. Other values have none.
    pub fn elements(self) -> impl Iterator<Item = Self> + use<'a> {
        Items::of(self.text, '[').map(Self::new)
    }

    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        self.is_string().then(|| unquoted(self.text))
    }

    /// Returns the double nearest to a number.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        self.is_number().then(|| self.text.parse().ok()).flatten()
    }

    /// Returns a number that is written without fraction and exponent, if it fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.is_number().then(|| self.text.parse().ok()).flatten()
    }

    /// Returns a number that is written without sign, fraction and exponent, if it fits.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        self.is_number().then(|| self.text.parse().ok()).flatten()
    }

    /// Returns the value of `true` or `false`.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns true for `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.text == "null"
    }

    /// Returns true for a number.
    #[must_use]
    pub fn is_number(self) -> bool {
        self.text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    /// Returns true for a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.text.starts_with('"')
    }

    /// Returns true for an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.text.starts_with('[')
    }

    /// Returns true for an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.text.starts_with('{')
    }
}

impl PartialEq for JsonRef<'_> {
    /// Compares values: the order of fields does not matter, and `1.50` is `1.5`. A whole number is not the same as one that is
    /// written with a fraction or an exponent.
    fn eq(&self, other: &Self) -> bool {
        if self.text == other.text {
            return true;
        }
        if self.is_number() && other.is_number() {
            let (whole, others) = (is_whole(self.text), is_whole(other.text));
            return whole == others && !whole && self.as_f64().map(f64::to_bits) == other.as_f64().map(f64::to_bits);
        }
        if self.is_array() && other.is_array() {
            let (mut mine, mut others) = (self.elements(), other.elements());
            loop {
                match (mine.next(), others.next()) {
                    (None, None) => return true,
                    (Some(mine), Some(others)) if mine == others => {}
                    _ => return false,
                }
            }
        }
        self.is_object() && other.is_object() && sorted(*self) == sorted(*other)
    }
}

impl Eq for JsonRef<'_> {}

fn sorted(object: JsonRef<'_>) -> Vec<(&str, JsonRef<'_>)> {
    let mut fields: Vec<_> = object.raw_fields().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    fields
}

/// Returns true for a number that fits into 64 bits and is written without fraction and exponent.
fn is_whole(number: &str) -> bool {
    number != "-0" && (number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok())
}

impl fmt::Debug for JsonRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Display for JsonRef<'_> {
    /// Writes the compact text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl PartialEq<str> for JsonRef<'_> {
    /// Compares with the text of a string.
    fn eq(&self, text: &str) -> bool {
        self.as_str().is_some_and(|own| own == text)
    }
}

impl PartialEq<&str> for JsonRef<'_> {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl PartialEq<Json> for JsonRef<'_> {
    fn eq(&self, other: &Json) -> bool {
        *self == other.view()
    }
}

/// Returns the text of a string in quotes.
fn unquoted(string: &str) -> Cow<'_, str> {
    Lexer::new(string).string().expect("text of a value was checked")
}

/// The values in an array, or the keys and values in an object, of compact text.
struct Items<'a> {
    /// The text from the next value on.
    rest: &'a str,
}

impl<'a> Items<'a> {
    fn of(text: &'a str, open: char) -> Self {
        Self { rest: text.strip_prefix(open).unwrap_or_default() }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() || self.rest.starts_with(['}', ']']) {
            return None;
        }
        let end = value_end(self.rest.as_bytes());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix([',', ':']).unwrap_or(rest);
        Some(value)
    }
}

/// Returns the length of the value with which compact text begins.
fn value_end(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at),
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth == 0 => return at, // of what the value is in
            b'}' | b']' => (at, depth) = (at + 1, depth - 1),
            b',' | b':' if depth == 0 => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Returns the byte after a string that begins at a byte.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::any_json;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn other_values_have_no_fields_and_no_elements() {
        for text in ["null", "true", "-1.5", r#""{[""#, "[]", "{}"] {
            let json: Json = text.parse().unwrap();
            assert_eq!((json.fields().count(), json.elements().count()), (0, 0), "{text}");
            assert_eq!((json.get(""), json.at(0)), (None, None), "{text}");
        }
    }

    #[test]
    fn a_value_is_read_as_one_type_alone() {
        let types = |text: &str| {
            let json: Json = text.parse().unwrap();
            let text = json.as_str().is_some();
            (text, json.as_bool().is_some(), json.as_u64().is_some(), json.as_i64().is_some(), json.as_f64().is_some())
        };
        assert_eq!(types(r#""1""#), (true, false, false, false, false));
        assert_eq!(types("true"), (false, true, false, false, false));
        assert_eq!(types("1"), (false, false, true, true, true));
        assert_eq!(types("-1"), (false, false, false, true, true));
        assert_eq!(types("18446744073709551615"), (false, false, true, false, true));
        assert_eq!(types("1.0"), (false, false, false, false, true));
        assert_eq!(types("[1]"), (false, false, false, false, false));
    }

    proptest! {
        /// A walk finds in the text what `serde_json` finds in its tree.
        #[test]
        fn finds_what_a_tree_has(value in any_json()) {
            fn check(json: JsonRef<'_>, value: &Value) -> Result<(), TestCaseError> {
                prop_assert_eq!(json.text(), value.to_string());
                prop_assert_eq!(json.as_str().map(Cow::into_owned), value.as_str().map(str::to_owned));
                prop_assert_eq!(json.as_bool(), value.as_bool());
                prop_assert_eq!(json.as_f64(), value.as_f64());
                prop_assert_eq!((json.as_i64(), json.as_u64()), (value.as_i64(), value.as_u64()));
                for (i, element) in value.as_array().into_iter().flatten().enumerate() {
                    check(json.at(i).unwrap(), element)?;
                }
                for (name, field) in value.as_object().into_iter().flatten() {
                    check(json.get(name).unwrap(), field)?;
                }
                let count = value.as_array().map_or(0, Vec::len) + value.as_object().map_or(0, serde_json::Map::len);
                prop_assert_eq!(json.elements().count() + json.fields().count(), count);
                Ok(())
            }
            check(Json::from(&value).view(), &value)?;
        }

        /// Values are equal where those of `serde_json` are, with fields in any order.
        #[test]
        fn equality_is_that_of_the_values(value in any_json(), other in any_json()) {
            fn reversed(value: &Value) -> Value {
                match value {
                    Value::Object(fields) => {
                        fields.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect()
                    }
                    Value::Array(elements) => elements.iter().map(reversed).collect(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
                }
            }
            prop_assert_eq!(Json::from(&value), Json::from(reversed(&value)));
            prop_assert_eq!(Json::from(&value) == Json::from(&other), value == other, "{} {}", value, other);
        }
    }
}
