//! [`Timers`]: a priority queue of what is to happen later.

use super::hosted::RunIx;
use apportion::{TaskId, Time};
use std::collections::BTreeMap;

/// What happens when a timer is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// The next step of the link to the master.
    Link,
    /// A run has not subscribed or has not ended in time.
    Run(RunIx),
    /// A status is not acknowledged.
    Resend(RunIx, TaskId),
    /// A status could not be stored.
    StoreAgain(RunIx, TaskId),
    /// The agent itself could not be stored.
    StoreAgent,
    /// Other records could not be stored.
    StoreUnstored,
}

/// A timer that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey(Time, u64);

/// A priority queue of timers, by time and then in order of setting.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<TimerKey, Timer>,
    set: u64,
}

impl Timers {
    /// Sets a timer.
    pub(super) fn set(&mut self, at: Time, timer: Timer) -> TimerKey {
        self.set += 1;
        let key = TimerKey(at, self.set);
        self.queue.insert(key, timer);
        key
    }

    /// Cancels the timer in `slot`, if there is one.
    pub(super) fn cancel(&mut self, slot: &mut Option<TimerKey>) {
        if let Some(key) = slot.take() {
            self.queue.remove(&key);
        }
    }

    /// Returns the time of the next timer.
    pub(super) fn next(&self) -> Option<Time> {
        self.queue.keys().next().map(|key| key.0)
    }

    /// Removes and returns the next timer that is due by `at`.
    pub(super) fn pop(&mut self, at: Time) -> Option<(Time, Timer)> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= at)?;
        let (key, timer) = entry.remove_entry();
        Some((key.0, timer))
    }
}
