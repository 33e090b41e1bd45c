//! [`Retries`]: bounded retries with exponential backoff.

use crate::time::Time;
use indexmap::IndexMap;
use std::hash::Hash;
use std::time::Duration;

/// Bounded retries with exponential backoff, counted per key.
///
/// The first retry waits for the initial backoff, each further one twice as long as the one before, up to a maximum.
///
/// # Examples
///
/// ```
/// use apportion::Time;
/// use apportion::scheduler::{Retries, Retry};
/// use std::time::Duration;
///
/// let mut retries = Retries::new(2, Duration::from_secs(1), Duration::from_secs(60));
/// assert_eq!(retries.failed("render", Time::ZERO), Retry::At(Time::from_secs(1)));
/// assert!(!retries.can_retry(&"render", Time::ZERO) && retries.can_retry(&"render", Time::from_secs(1)));
/// assert_eq!(retries.failed("render", Time::from_secs(5)), Retry::At(Time::from_secs(7)));
/// assert_eq!(retries.failed("render", Time::from_secs(9)), Retry::GiveUp);
/// ```
#[derive(Debug, Clone)]
pub struct Retries<K> {
    max_retries: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    failures: IndexMap<K, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    retry_at: Time,
}

/// The decision after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one either tries again or does not")]
pub enum Retry {
    /// Try again at that time or later.
    At(Time),
    /// Do not try again: the retries are used up.
    GiveUp,
}

impl<K: Hash + Eq> Retries<K> {
    /// Allows `max_retries` retries per key, waiting from `initial_backoff` up to `max_backoff`.
    #[must_use]
    pub fn new(max_retries: u32, initial_backoff: Duration, max_backoff: Duration) -> Self {
        Self { max_retries, initial_backoff, max_backoff, failures: IndexMap::new() }
    }

    /// Counts a failure and returns when to try again, if at all.
    pub fn failed(&mut self, key: K, at: Time) -> Retry {
        let failures = self.failures.entry(key).or_insert(Failures { count: 0, retry_at: at });
        failures.count = failures.count.saturating_add(1);
        if failures.count > self.max_retries {
            return Retry::GiveUp;
        }
        let factor = 1_u32.checked_shl(failures.count - 1).unwrap_or(u32::MAX);
        failures.retry_at = at + self.initial_backoff.saturating_mul(factor).min(self.max_backoff);
        Retry::At(failures.retry_at)
    }

    /// Forgets the failures of a key: after a success, or when the key is no longer needed.
    pub fn forget(&mut self, key: &K) {
        self.failures.swap_remove(key);
    }

    /// Returns whether the key may be tried at that time.
    #[must_use]
    pub fn can_retry(&self, key: &K, at: Time) -> bool {
        self.failures.get(key).is_none_or(|failures| failures.count <= self.max_retries && failures.retry_at <= at)
    }

    /// Returns the number of failures of a key since it was last [forgotten](Retries::forget).
    #[must_use]
    pub fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).map_or(0, |failures| failures.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_maximum_and_a_success_resets_it() {
        let mut retries = Retries::new(200, Duration::from_secs(10), Duration::from_secs(35));
        let waits: Vec<_> = (0..100).map(|_| retries.failed(1, Time::ZERO)).collect();
        assert_eq!(waits[..4], [10, 20, 35, 35].map(|secs| Retry::At(Time::from_secs(secs))));
        assert_eq!(waits[99], Retry::At(Time::from_secs(35)));
        assert_eq!((retries.failures(&1), retries.failures(&2)), (100, 0));
        retries.forget(&1);
        assert!(retries.can_retry(&1, Time::ZERO));
        assert_eq!(retries.failed(1, Time::ZERO), Retry::At(Time::from_secs(10)));
    }

    #[test]
    fn a_key_without_retries_left_cannot_be_tried() {
        let mut retries = Retries::new(0, Duration::ZERO, Duration::ZERO);
        assert_eq!(retries.failed("a", Time::ZERO), Retry::GiveUp);
        assert!(!retries.can_retry(&"a", Time::MAX));
    }
}
