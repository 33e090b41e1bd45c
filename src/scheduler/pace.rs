//! [`Pace`]: a rate limiter for declines, suppressions and revivals.

use super::{Call, Calls};
use crate::id::OfferId;
use crate::offer::Filters;
use crate::time::{self, Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A rate limiter for the calls by which a framework tells the master whether it wants offers.
///
/// While the framework has tasks to launch, it declines offers that do not fit with a filter of a fixed length. When it has
/// none, it suppresses offers, once; new work revives them. A revive makes the master reconsider every agent, so there is
/// at most one per interval: one that comes too early is deferred to the end of the interval.
///
/// In JSON it is an object, `{"refusal":120,"revive_interval":5,"suppressed":true}`, so that a scheduler can store it with its
/// state; times are seconds, to the microsecond.
///
/// # Examples
///
/// ```
/// use apportion::scheduler::{Calls, Pace};
/// use apportion::{Call, Time};
/// use std::time::Duration;
///
/// let mut pace = Pace::new(Duration::from_secs(120), Duration::from_secs(5));
/// let mut calls = Calls::new(Time::ZERO);
/// pace.idle(&mut calls);
/// pace.idle(&mut calls);
/// assert_eq!(calls.as_slice(), [Call::Suppress(vec![])]);
///
/// let mut calls = Calls::new(Time::from_secs(1));
/// pace.busy(&mut calls);
/// pace.busy(&mut calls); // too early: deferred by a timer
/// assert_eq!(calls.as_slice(), [Call::Revive(vec![])]);
/// assert_eq!(calls.wakes()[0].at, Time::from_secs(6));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    #[serde(with = "time::seconds")]
    refusal: Duration,
    #[serde(with = "time::seconds")]
    revive_interval: Duration,
    suppressed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_revive: Option<Time>,
    /// The time of a deferred revive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deferred_to: Option<Time>,
}

impl Pace {
    /// Returns a limiter that declines for `refusal` and revives at most once per `revive_interval`.
    #[must_use]
    pub fn new(refusal: Duration, revive_interval: Duration) -> Self {
        Self { refusal, revive_interval, suppressed: false, last_revive: None, deferred_to: None }
    }

    /// Declines these offers, if there are any.
    pub fn decline(&self, offers: impl IntoIterator<Item = OfferId>, calls: &mut Calls) {
        let offers: Vec<OfferId> = offers.into_iter().collect();
        if !offers.is_empty() {
            calls.push(Call::Decline { offers, filters: Filters::refuse_for(self.refusal), each: false });
        }
    }

    /// Suppresses offers unless they are suppressed already, and cancels a deferred revive. Call it when there is nothing
    /// to launch.
    pub fn idle(&mut self, calls: &mut Calls) {
        self.deferred_to = None;
        if !self.suppressed {
            self.suppressed = true;
            calls.suppress();
        }
    }

    /// Revives offers, or defers that to the end of the interval. Call it when there is something new to launch: a revive
    /// also clears the filters of earlier declines.
    pub fn busy(&mut self, calls: &mut Calls) {
        let earliest = self.last_revive.map_or_else(|| calls.at(), |revived| revived + self.revive_interval);
        if earliest <= calls.at() {
            self.deferred_to = None;
            self.suppressed = false;
            self.last_revive = Some(calls.at());
            calls.revive();
        } else if self.deferred_to.is_none() {
            self.deferred_to = Some(earliest);
            calls.wake_at(earliest);
        }
    }

    /// Sends a deferred revive if its time has come. Call it from [`Scheduler::woken`](super::Scheduler::woken).
    pub fn woken(&mut self, calls: &mut Calls) {
        if self.deferred_to.is_some_and(|time| time <= calls.at()) {
            self.busy(calls);
        }
    }

    /// Forgets what was sent. Call it after a subscription: the master starts without suppressions.
    pub fn reset(&mut self) {
        (self.suppressed, self.last_revive, self.deferred_to) = (false, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferred_revive_is_sent_when_due_unless_the_framework_is_idle_by_then() {
        let mut pace = Pace::new(Duration::from_secs(1), Duration::from_secs(10));
        let mut at = |secs, act: fn(&mut Pace, &mut Calls)| {
            let mut calls = Calls::new(Time::from_secs(secs));
            act(&mut pace, &mut calls);
            calls.into_vec()
        };
        assert_eq!(at(0, Pace::busy), [Call::Revive(vec![])]);
        assert_eq!(at(1, Pace::busy), []);
        assert_eq!(at(9, Pace::woken), []);
        assert_eq!(at(10, Pace::woken), [Call::Revive(vec![])]);
        assert_eq!(at(11, Pace::busy), []);
        assert_eq!(at(12, Pace::idle), [Call::Suppress(vec![])]);
        assert_eq!(at(20, Pace::woken), []);
    }

    #[test]
    fn what_is_stored_goes_on_the_same() {
        let mut pace = Pace::new(Duration::from_millis(1_500), Duration::from_secs(10));
        pace.busy(&mut Calls::new(Time::from_secs(1)));
        pace.busy(&mut Calls::new(Time::from_secs(2)));
        let stored = serde_json::to_string(&pace).unwrap();
        let expected = r#"{"refusal":1.5,"revive_interval":10,"suppressed":false,"last_revive":1,"deferred_to":11}"#;
        assert_eq!(stored, expected);
        let mut restored: Pace = serde_json::from_str(&stored).unwrap();
        assert_eq!(restored, pace);
        let mut calls = Calls::new(Time::from_secs(11));
        restored.woken(&mut calls);
        assert_eq!(calls.as_slice(), [Call::Revive(vec![])]);
        assert!(serde_json::from_str::<Pace>(r#"{"refusal":-1,"revive_interval":10,"suppressed":false}"#).is_err());
    }
}
