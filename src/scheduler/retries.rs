//! [`Retries`]: bounded retries with exponential backoff.

use crate::time::{self, Time};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::hash::Hash;
use std::time::Duration;

/// Bounded retries with exponential backoff, counted per key.
///
/// The first retry waits for the initial backoff, each further one twice as long as the one before, up to a maximum.
///
/// In JSON it is an object, so that a scheduler can store it with its state; times are seconds, to the microsecond:
/// `{"max_retries":2,"initial_backoff":1,"max_backoff":60,"failures":[["render",{"count":1,"retry_at":1}]]}`.
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
///
/// retries.failed("crawl", Time::from_secs(9));
/// assert_eq!((retries.len(), retries.next(Time::from_secs(9))), (2, Some(Time::from_secs(10))));
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(serialize = "K: Serialize", deserialize = "K: Deserialize<'de> + Hash + Eq"))]
pub struct Retries<K> {
    max_retries: u32,
    #[serde(with = "time::seconds")]
    initial_backoff: Duration,
    #[serde(with = "time::seconds")]
    max_backoff: Duration,
    /// In JSON a list of pairs: a key may be of any type.
    #[serde(with = "indexmap::map::serde_seq")]
    failures: IndexMap<K, Failures>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

    /// Returns the earliest time after `at` at which a key may be tried again; `None` if none waits. O(keys).
    #[must_use]
    pub fn next(&self, at: Time) -> Option<Time> {
        let waiting = self.failures.values().filter(|failures| failures.count <= self.max_retries);
        waiting.map(|failures| failures.retry_at).filter(|retry_at| *retry_at > at).min()
    }

    /// Returns the number of keys that have failed since they were last [forgotten](Retries::forget).
    #[must_use]
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Returns true if no key has failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
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
    fn what_is_stored_goes_on_the_same() {
        let mut retries = Retries::new(2, Duration::from_millis(500), Duration::from_secs(60));
        for key in [(1, 'a'), (2, 'b'), (1, 'a')] {
            retries.failed(key, Time::from_secs(1));
        }
        let stored = serde_json::to_string(&retries).unwrap();
        let expected = r#"{"max_retries":2,"initial_backoff":0.5,"max_backoff":60,"failures":[[[1,"a"],{"count":2,"retry_at":2}],[[2,"b"],{"count":1,"retry_at":1.5}]]}"#;
        assert_eq!(stored, expected);
        let mut restored: Retries<(i32, char)> = serde_json::from_str(&stored).unwrap();
        assert_eq!((restored.len(), restored.next(Time::from_secs(1))), (2, Some(Time::from_millis(1_500))));
        for _ in 0..2 {
            assert_eq!(restored.failed((1, 'a'), Time::from_secs(3)), retries.failed((1, 'a'), Time::from_secs(3)));
        }
        assert_eq!(restored.next(Time::from_secs(2)), None, "one was due before, the other is given up");
    }

    #[test]
    fn a_key_without_retries_left_cannot_be_tried() {
        let mut retries = Retries::new(0, Duration::ZERO, Duration::ZERO);
        assert_eq!(retries.failed("a", Time::ZERO), Retry::GiveUp);
        assert!(!retries.can_retry(&"a", Time::MAX));
    }
}
