//! The clock of the system.

use std::time::Duration;

/// Returns the time since 1970.
#[expect(clippy::disallowed_types, reason = "the clock is read at the start, for the times that people see")]
pub(crate) fn unix_time() -> Duration {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0)) // as exact as the time of the master
}
