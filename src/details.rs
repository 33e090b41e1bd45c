//! [`Details`]: the fields of a message that this crate does not interpret.

use crate::json::{Json, JsonRef};
use crate::text::Text;
use indexmap::IndexMap;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Further fields of a message, by name and in order: what this crate passes on as it came.
///
/// Clones share the fields until one of them is changed; without fields there is nothing to share.
///
/// # Examples
///
/// ```
/// use apportion::{Json, Task};
///
/// let task = Task::new("web-1", "cpus:1".parse()?)
///     .detail("name", "web")
///     .detail("command", Json::object([("value", "sleep 10")]));
/// assert_eq!(task.details.get("name").unwrap(), "web");
/// assert_eq!(task.details.get("command").and_then(|command| command.get("value")).unwrap(), "sleep 10");
/// assert_eq!(task.details.names().collect::<Vec<_>>(), ["name", "command"]);
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Details(
    /// None for no fields.
    Option<Arc<IndexMap<Text, Json>>>,
);

impl Details {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Sets a field and returns its former value. A new one comes last.
    pub fn insert(&mut self, name: impl Into<Text>, value: impl Into<Json>) -> Option<Json> {
        self.fields_mut().insert(name.into(), value.into())
    }

    /// Sets a field that comes first if it is new.
    pub(crate) fn insert_first(&mut self, name: &str, value: impl Into<Json>) {
        self.fields_mut().shift_insert(0, name.into(), value.into());
    }

    /// Removes a field and returns its value. The others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        if !self.contains(name) {
            return None; // and the fields stay shared
        }
        let removed = self.fields_mut().shift_remove(name);
        self.0 = self.0.take().filter(|fields| !fields.is_empty());
        removed
    }

    fn fields_mut(&mut self) -> &mut IndexMap<Text, Json> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Returns the value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.as_ref()?.get(name)
    }

    /// Returns true if there is a field of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |fields| fields.len())
    }

    /// Returns true if there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().flat_map(|fields| fields.iter()).map(|(name, value)| (name.as_str(), value))
    }

    /// Iterates over the names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<Text>, V: Into<Json>> Extend<(N, V)> for Details {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.insert(name, value);
        }
    }
}

impl<N: Into<Text>, V: Into<Json>> FromIterator<(N, V)> for Details {
    /// Collects fields; a later value of a name replaces an earlier one.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut details = Self::new();
        details.extend(fields);
        details
    }
}

impl From<Details> for Json {
    /// Makes an object.
    fn from(details: Details) -> Self {
        Self::of(&details)
    }
}

impl From<JsonRef<'_>> for Details {
    /// Takes the fields of an object; other values have none.
    fn from(json: JsonRef<'_>) -> Self {
        json.fields().collect()
    }
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(fields) => serializer.collect_map(&**fields),
            None => serializer.collect_map::<&str, &Json, _>([]),
        }
    }
}

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Details;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Details, A::Error> {
        let mut details = Details::new();
        while let Some(name) = fields.next_key::<Text>()? {
            details.add(name, &mut fields)?;
        }
        Ok(details)
    }
}

impl Details {
    /// Reads the value of a field that was not there before.
    pub(crate) fn add<'de, A: MapAccess<'de>>(&mut self, name: Text, fields: &mut A) -> Result<(), A::Error> {
        if self.contains(&name) {
            return Err(de::Error::custom(format_args!("duplicate field `{name}`")));
        }
        let value: Json = fields.next_value()?;
        self.insert(name, value);
        Ok(())
    }
}

/// Reads the value of a field that a struct has once.
pub(crate) fn read_once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    read: &mut Option<T>,
    name: &'static str,
    fields: &mut A,
) -> Result<(), A::Error> {
    if read.is_some() {
        return Err(de::Error::duplicate_field(name));
    }
    *read = Some(fields.next_value()?);
    Ok(())
}

/// Implements `Deserialize` for a struct that keeps all fields which it does not have as its details. In order: required
/// fields; optional fields; lists, which may be absent; the details. (serde's `flatten` would lose digits of numbers.)
macro_rules! read_with_details {
    ($name:ident {
        $($field:ident: $type:ty),* ; $($option:ident: $option_type:ty),* ; $($list:ident: $item:ty),* ; $rest:ident
    }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct FieldsVisitor;

                impl<'de> serde::de::Visitor<'de> for FieldsVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut fields: A) -> Result<$name, A::Error> {
                        use crate::details::read_once;
                        $(let mut $field: Option<$type> = None;)*
                        $(let mut $option: Option<Option<$option_type>> = None;)*
                        $(let mut $list: Option<Vec<$item>> = None;)*
                        let mut $rest = crate::details::Details::new();
                        while let Some(name) = fields.next_key::<crate::text::Text>()? {
                            match name.as_str() {
                                $(stringify!($field) => read_once(&mut $field, stringify!($field), &mut fields)?,)*
                                $(stringify!($option) => read_once(&mut $option, stringify!($option), &mut fields)?,)*
                                $(stringify!($list) => read_once(&mut $list, stringify!($list), &mut fields)?,)*
                                _ => $rest.add(name, &mut fields)?,
                            }
                        }
                        Ok($name {
                            $($field: $field.ok_or_else(|| serde::de::Error::missing_field(stringify!($field)))?,)*
                            $($option: $option.flatten(),)*
                            $($list: $list.unwrap_or_default(),)*
                            $rest,
                        })
                    }
                }

                deserializer.deserialize_map(FieldsVisitor)
            }
        }
    };
}
pub(crate) use read_with_details;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_clones_their_own_values() {
        let mut details: Details = [("b", 1), ("a", 2), ("b", 3)].into_iter().collect();
        let before = details.clone();
        assert_eq!(details.insert("a", "new"), Some(2.into()));
        assert_eq!((details.remove("c"), details.remove("b")), (None, Some(3.into())));
        details.insert_first("z", true);
        assert_eq!(Json::from(before).text(), r#"{"b":3,"a":2}"#);
        assert_eq!(format!("{details:?}"), r#"{"z": true, "a": "new"}"#);
        details.remove("z");
        details.remove("a");
        assert_eq!((details.len(), details), (0, Details::new()));
    }

    #[test]
    fn equality_is_that_of_the_values() {
        let read = |text: &str| serde_json::from_str::<Details>(text).unwrap();
        assert_eq!(read(r#"{"a":1.50,"b":{"c":1,"d":2}}"#), read(r#"{"b":{"d":2,"c":1},"a":1.5}"#));
        assert_ne!(read(r#"{"a":1}"#), read(r#"{"a":2}"#));
        let twice = serde_json::from_str::<Details>(r#"{"a":1,"a":2}"#).unwrap_err();
        assert!(twice.to_string().starts_with("duplicate field `a`"), "{twice}");
    }
}
