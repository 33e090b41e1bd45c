//! [`Retries`]: how often, and when, to try again what has failed.

use crate::time::Time;
use indexmap::IndexMap;
use std::hash::Hash;
use std::time::Duration;

/// Counts what fails, lets it be tried again later and later, and in the end no more.
///
/// The first wait is as long as one says, each further one twice as long as the one before, up to the longest.
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
/// assert!(!retries.may(&"render", Time::ZERO) && retries.may(&"render", Time::from_secs(1)));
/// assert_eq!(retries.failed("render", Time::from_secs(5)), Retry::At(Time::from_secs(7)));
/// assert_eq!(retries.failed("render", Time::from_secs(9)), Retry::GiveUp);
/// ```
#[derive(Debug, Clone)]
pub struct Retries<K> {
    limit: u32,
    first: Duration,
    longest: Duration,
    failed: IndexMap<K, Failed>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    until: Time,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one either tries again or does not")]
pub enum Retry {
    /// Try again, but not before that moment.
    At(Time),
    /// It has failed too often.
    GiveUp,
}

impl<K: Hash + Eq> Retries<K> {
    /// Tries everything again up to `limit` times, waiting `first` and then longer, but never longer than `longest`.
    #[must_use]
    pub fn new(limit: u32, first: Duration, longest: Duration) -> Self {
        Self { limit, first, longest, failed: IndexMap::new() }
    }

    /// Takes note of a failure.
    pub fn failed(&mut self, what: K, at: Time) -> Retry {
        let failed = self.failed.entry(what).or_insert(Failed { times: 0, until: at });
        failed.times = failed.times.saturating_add(1);
        if failed.times > self.limit {
            return Retry::GiveUp;
        }
        let doubled = 1_u32.checked_shl(failed.times - 1).unwrap_or(u32::MAX);
        failed.until = at + self.first.saturating_mul(doubled).min(self.longest);
        Retry::At(failed.until)
    }

    /// Forgets the failures of what has worked in the end, or is given up.
    pub fn forget(&mut self, what: &K) {
        self.failed.swap_remove(what);
    }

    /// Whether it may be tried at that moment.
    #[must_use]
    pub fn may(&self, what: &K, at: Time) -> bool {
        self.failed.get(what).is_none_or(|failed| failed.times <= self.limit && failed.until <= at)
    }

    /// How often it has failed.
    #[must_use]
    pub fn times(&self, what: &K) -> u32 {
        self.failed.get(what).map_or(0, |failed| failed.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_a_success_starts_anew() {
        let mut retries = Retries::new(200, Duration::from_secs(10), Duration::from_secs(35));
        let waits: Vec<_> = (0..100).map(|_| retries.failed(1, Time::ZERO)).collect();
        assert_eq!(waits[..4], [10, 20, 35, 35].map(|secs| Retry::At(Time::from_secs(secs))));
        assert_eq!(waits[99], Retry::At(Time::from_secs(35)));
        assert_eq!((retries.times(&1), retries.times(&2)), (100, 0));
        retries.forget(&1);
        assert!(retries.may(&1, Time::ZERO));
        assert_eq!(retries.failed(1, Time::ZERO), Retry::At(Time::from_secs(10)));
    }

    #[test]
    fn what_is_given_up_may_not_be_tried() {
        let mut retries = Retries::new(0, Duration::ZERO, Duration::ZERO);
        assert_eq!(retries.failed("a", Time::ZERO), Retry::GiveUp);
        assert!(!retries.may(&"a", Time::MAX));
    }
}
