//! [`Uuid`]: the id by which a status update is acknowledged.

use crate::draw::mix;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The UUID of a status update, by which the scheduler acknowledges it. In JSON it is base64, as bytes are in Mesos v1.
///
/// # Examples
///
/// ```
/// use apportion::Uuid;
///
/// let uuid = Uuid::from_seed(7, 1);
/// assert_eq!(Uuid::from_bytes(*uuid.as_bytes())?, uuid);
/// assert!(Uuid::from_bytes([0; 16]).is_err());
/// # Ok::<(), apportion::UuidError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// Bytes that are not a valid UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found} is no UUID: expected 16 bytes that name a version from 1 to 5")]
pub struct UuidError {
    /// The bytes, in base64.
    pub found: String,
}

impl Uuid {
    /// Makes a UUID from its bytes. Only the version is validated, as in Mesos (`uuid.hpp`).
    ///
    /// # Errors
    ///
    /// [`UuidError`] for bytes whose version is not from 1 to 5, such as zeros.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, UuidError> {
        if (1..=5).contains(&(bytes[6] >> 4)) { Ok(Self(bytes)) } else { Err(UuidError::of(&bytes)) }
    }

    /// Returns the `number`th UUID of a seed, of version 4. It is deterministic, and collisions are as unlikely as
    /// between random UUIDs.
    #[must_use]
    pub fn from_seed(seed: u64, number: u64) -> Self {
        let [high, low] = [mix(seed ^ mix(number)), mix(number.wrapping_add(mix(!seed)))];
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl UuidError {
    fn of(bytes: &[u8]) -> Self {
        Self { found: STANDARD.encode(bytes) }
    }
}

impl TryFrom<&[u8]> for Uuid {
    type Error = UuidError;

    fn try_from(bytes: &[u8]) -> Result<Self, UuidError> {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| UuidError::of(bytes))?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for Uuid {
    /// Formats the UUID as groups of hexadecimal digits, `8-4-4-4-12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes =
            STANDARD.decode(&text).map_err(|error| de::Error::custom(format!("{text:?} is no base64: {error}")))?;
        Self::try_from(bytes.as_slice()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn uuids_of_a_seed_are_distinct_and_of_version_4() {
        let drawn: BTreeSet<Uuid> = (0..1000).map(|number| Uuid::from_seed(7, number)).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|uuid| uuid.to_string().as_bytes()[14] == b'4'));
        assert_eq!(Uuid::from_seed(7, 3), Uuid::from_seed(7, 3));
        assert_ne!(Uuid::from_seed(8, 3), Uuid::from_seed(7, 3));
    }

    #[test]
    fn json_is_base64_of_16_bytes_with_a_version() {
        let uuid: Uuid = serde_json::from_str("\"l2ZBBQUFQcOyPbd7RSQ12Q==\"").unwrap();
        assert_eq!(uuid.to_string(), "97664105-0505-41c3-b23d-b77b452435d9");
        assert_eq!(serde_json::to_string(&uuid).unwrap(), "\"l2ZBBQUFQcOyPbd7RSQ12Q==\"");
        for wrong in ["bm90LWEtdXVpZA==", "AAAAAAAAAAAAAAAAAAAAAA==", "!!!", ""] {
            assert!(serde_json::from_str::<Uuid>(&format!("{wrong:?}")).is_err(), "{wrong}");
        }
    }
}
