//! serde of bytes and times in the messages of the internal protocol, as v1 JSON has them.

/// Bytes as base64.
pub(super) mod base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(in crate::internal) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::internal) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A `Duration`, or one that may be missing, as `{"nanoseconds": 5}`.
pub(super) mod nanoseconds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    #[derive(Serialize, Deserialize)]
    struct DurationInfo {
        nanoseconds: u64,
    }

    /// A time that is given, or one that may be missing.
    pub(in crate::internal) trait Timed: Sized {
        fn given(&self) -> Option<Duration>;
        fn of(read: Duration) -> Self;
    }

    impl Timed for Duration {
        fn given(&self) -> Option<Duration> {
            Some(*self)
        }

        fn of(read: Duration) -> Self {
            read
        }
    }

    impl Timed for Option<Duration> {
        fn given(&self) -> Option<Duration> {
            *self
        }

        fn of(read: Duration) -> Self {
            Some(read)
        }
    }

    pub(in crate::internal) fn serialize<T: Timed, S: Serializer>(time: &T, serializer: S) -> Result<S::Ok, S::Error> {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        time.given().map(|time| DurationInfo { nanoseconds: nanoseconds(time) }).serialize(serializer)
    }

    pub(in crate::internal) fn deserialize<'de, T: Timed, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let DurationInfo { nanoseconds } = DurationInfo::deserialize(deserializer)?;
        Ok(T::of(Duration::from_nanos(nanoseconds)))
    }
}
