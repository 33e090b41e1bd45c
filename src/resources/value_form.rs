//! A value alone, as text and through serde: what stands behind the colon of a resource.

use super::text::{distinct, parse_names, parse_ranges, parse_value};
use super::{ItemFault, Ranges, Set, Value};
use crate::json::Json;
use crate::text::Text;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::str::FromStr;

impl FromStr for Value {
    type Err = ItemFault;

    /// Parses an amount `4`, ranges `[31000-32000]` or a set `{a,b}`, as in the text form of resources.
    fn from_str(text: &str) -> Result<Self, ItemFault> {
        parse_value(text.trim())
    }
}

impl FromStr for Ranges {
    type Err = ItemFault;

    /// Parses `[31000-32000,8080-8080]`; ranges that overlap are merged.
    fn from_str(text: &str) -> Result<Self, ItemFault> {
        let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.ok_or(ItemFault::Ranges).and_then(parse_ranges)
    }
}

impl FromStr for Set {
    type Err = ItemFault;

    /// Parses `{a,b}`; a name that is there twice is an error.
    fn from_str(text: &str) -> Result<Self, ItemFault> {
        let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        inner.ok_or(ItemFault::Set).and_then(parse_names).and_then(distinct)
    }
}

impl Serialize for Ranges {
    /// Writes the text form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Set {
    /// Writes an array of the names, since a name may have a comma in it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_slice())
    }
}

impl<'de> Deserialize<'de> for Set {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        distinct(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Value {
    /// Writes a number, the text of ranges, or an array of names.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scalar(amount) => amount.serialize(serializer),
            Self::Ranges(ranges) => ranges.serialize(serializer),
            Self::Set(set) => set.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let value = if json.view().is_number() {
            json.text().parse().map(Self::Scalar).map_err(ItemFault::from)
        } else if let Some(text) = json.as_str() {
            text.parse().map(Self::Ranges)
        } else if json.view().is_array() {
            let names: Option<Vec<Text>> = json.elements().map(|name| Some(Text::from(name.as_str()?))).collect();
            names.ok_or(ItemFault::Set).and_then(distinct).map(Self::Set)
        } else {
            return Err(D::Error::custom("expected a number, ranges such as \"[31000-32000]\", or an array of names"));
        };
        value.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            (0_u64..100_000).prop_map(|milli| Value::Scalar(crate::Scalar::milli(milli))),
            prop::collection::vec((0_u64..90, 0_u64..9), 0..5).prop_map(|ranges| Value::Ranges(
                ranges.into_iter().map(|(begin, more)| begin..=begin + more).collect()
            )),
            prop::collection::vec("[a-c,{} ]{0,3}", 0..5).prop_map(|names| Value::Set(names.into_iter().collect())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in value()) {
            let text = json::to_string(&value);
            prop_assert_eq!(&json::from_str::<Value>(&text).unwrap(), &value);
            match value {
                Value::Scalar(amount) => prop_assert_eq!(json::from_str::<crate::Scalar>(&text).unwrap(), amount),
                Value::Ranges(ranges) => {
                    prop_assert_eq!(&json::from_str::<Ranges>(&text).unwrap(), &ranges);
                    prop_assert_eq!(ranges.to_string().parse::<Ranges>().unwrap(), ranges);
                }
                Value::Set(set) => prop_assert_eq!(json::from_str::<Set>(&text).unwrap(), set),
            }
        }
    }

    #[test]
    fn forms_are_those_of_resources() {
        for (text, form) in [("4.5", "4.5"), ("[1-2,5-5]", r#""[1-2,5-5]""#), ("{a,b}", r#"["a","b"]"#)] {
            let value: Value = text.parse().unwrap();
            assert_eq!((value.to_string(), json::to_string(&value)), (text.to_owned(), form.to_owned()));
        }
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        for text in ["", "[1-2", "[2-1]", "{a,a}", "{a", "-1", "x"] {
            assert!(text.parse::<Value>().is_err(), "{text}");
        }
        assert_eq!("1-2".parse::<Ranges>(), Err(ItemFault::Ranges));
        assert_eq!("a".parse::<Set>(), Err(ItemFault::Set));
        for json in ["null", "true", "{}", r#""1-2""#, "[1]", r#"["a","a"]"#, "-1", "1e300"] {
            assert!(json::from_str::<Value>(json).is_err(), "{json}");
        }
    }
}
