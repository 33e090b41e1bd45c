//! [`Bytes`]: opaque data in messages, base64 in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Opaque bytes, such as the messages between executors and schedulers. In JSON they are base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let invalid = |error| de::Error::custom(format!("found {text:?}, expected base64: {error}"));
        STANDARD.decode(&text).map(Self).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_in_json() {
        let bytes = Bytes(vec![0, 255, 16]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"AP8Q\"");
        assert_eq!(serde_json::from_str::<Bytes>("\"AP8Q\"").unwrap(), bytes);
        let error = serde_json::from_str::<Bytes>("\"!!!\"").unwrap_err().to_string();
        assert!(error.starts_with("found \"!!!\", expected base64"), "{error}");
    }
}
