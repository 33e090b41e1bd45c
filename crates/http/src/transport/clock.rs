//! The clock of the system.

use apportion::{StatusSource, TaskStatus};
use serde_json::json;
use std::time::Duration;

/// Returns the time since 1970.
#[expect(clippy::disallowed_types, reason = "the clock is read at the start, for the times that people see")]
pub fn unix_time() -> Duration {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0)) // as exact as the time of the master
}

/// Sets the time since which the agent of a status of the master is unreachable on the clock of people, on which the master
/// started then.
pub(crate) fn set_unreachable_time(started: Duration, status: &mut TaskStatus) {
    const NAME: &str = "unreachable_time";
    let since = status.details.get(NAME).and_then(|time| time.get("nanoseconds")?.as_u64());
    if let Some(since) = since.filter(|_| status.source == Some(StatusSource::Master)) {
        let since = started.saturating_add(Duration::from_nanos(since));
        let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        status.details.insert(NAME, json!({ "nanoseconds": nanoseconds }));
    }
}
