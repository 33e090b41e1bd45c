//! Conversions of [`Json`] from and to the values of `serde_json`.

use super::value::Json;
use super::view::JsonRef;
use crate::details::Details;
use serde_json::{Map, Value};

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self::from_compact(value.to_string())
    }
}

impl From<JsonRef<'_>> for Value {
    /// Makes a value. A number that is not a whole one of 64 bits is rounded to a double.
    fn from(json: JsonRef<'_>) -> Self {
        if json.is_object() {
            return json.fields().map(|(key, value)| (key.into_owned(), Self::from(value))).collect();
        }
        if json.is_array() {
            return json.elements().collect();
        }
        if let Some(text) = json.as_str() {
            return text.into_owned().into();
        }
        if let Some(number) = json.as_u64() {
            return number.into();
        }
        match (json.as_i64().filter(|number| *number != 0), json.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => json.as_bool().into(),
        }
    }
}

impl From<Json> for Value {
    /// Makes a value. A number that is not a whole one of 64 bits is rounded to a double.
    fn from(json: Json) -> Self {
        json.view().into()
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        json.view().into()
    }
}

impl From<Map<String, Value>> for Details {
    fn from(map: Map<String, Value>) -> Self {
        map.into_iter().collect()
    }
}

impl From<Details> for Map<String, Value> {
    fn from(details: Details) -> Self {
        details.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}
