//! [`Object`]: the fields of an object by name, each once.

use crate::text::Text;
use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A map in the order in which it is written. A name that is there twice is an error in any format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object<V>(IndexMap<Text, V>);

impl<V> IntoIterator for Object<V> {
    type Item = (Text, V);
    type IntoIter = indexmap::map::IntoIter<Text, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<V> FromIterator<(Text, V)> for Object<V> {
    /// Collects fields; a later value of a name replaces an earlier one.
    fn from_iter<I: IntoIterator<Item = (Text, V)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl<V> Default for Object<V> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<V: Serialize> Serialize for Object<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Object<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for ObjectVisitor<V> {
    type Value = Object<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object<V>, A::Error> {
        let mut object = Object::default();
        while let Some(name) = fields.next_key::<Text>()? {
            match object.0.entry(name) {
                Entry::Vacant(entry) => entry.insert(fields.next_value()?),
                Entry::Occupied(entry) => {
                    return Err(de::Error::custom(format_args!("duplicate field `{}`", entry.key())));
                }
            };
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use crate::attributes::Attributes;
    use crate::resources::{Limits, Quantities, Resources};
    use serde::de::DeserializeOwned;

    #[test]
    fn a_name_twice_is_an_error_that_names_it() {
        fn error<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
            serde_json::from_str::<T>(json).unwrap_err().to_string()
        }
        for message in [
            error::<Limits>(r#"{"cpus":1,"mem":2,"cpus":1}"#),
            error::<Quantities>(r#"{"cpus":1,"mem":2,"cpus":1}"#),
            error::<Attributes>(r#"{"cpus":"1","cpus":"2"}"#),
            error::<Resources>(r#"[{"name":"x","cpus":1,"scalar":{"value":1},"cpus":2,"scalar":{"value":1}}]"#),
        ] {
            assert!(
                message.starts_with("duplicate field `cpus`") || message.starts_with("duplicate field `scalar`"),
                "{message}"
            );
        }
    }
}
