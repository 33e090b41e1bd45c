//! [`Pace`]: a rate limiter for declines, suppressions and revivals.

use super::{Call, Calls, Request};
use crate::id::OfferId;
use crate::offer::Filters;
use crate::resources::{Quantities, Resources};
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
    /// The time of a deferred revive or request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deferred_to: Option<Time>,
    /// What it requests offers for; none if it revives instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
    /// The number of tasks that waited when it was told of them, if it revives.
    #[serde(default, skip_serializing_if = "is_zero")]
    waiting: u64,
    /// The last request, with the number of its offers that were not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested: Option<Requested>,
}

/// What the offers are like that a [`Pace`] requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fit {
    /// Each has room for one task, and carries no more of what can be divided. So the cluster is divided task by task.
    Task,
    /// Each has room for one task at least, and all that there is of its agent: for tasks that are placed by rules.
    Agent,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requested {
    each: Quantities,
    open: u64,
}

/// The most offers in one request: more are requested when these were used.
const MOST_OFFERS: usize = 1_000;

impl Pace {
    /// Returns a limiter that declines for `refusal` and revives at most once per `revive_interval`.
    #[must_use]
    pub fn new(refusal: Duration, revive_interval: Duration) -> Self {
        let (suppressed, last_revive, deferred_to, fit, waiting, requested) = (false, None, None, None, 0, None);
        Self { refusal, revive_interval, suppressed, last_revive, deferred_to, fit, waiting, requested }
    }

    /// Has [`wants`](Self::wants) request offers instead of reviving. Only an apportion master takes requests; that of Mesos
    /// ignores them, and a framework that waits for their offers there waits for ever.
    #[must_use]
    pub fn requesting(mut self, fit: Fit) -> Self {
        self.fit = Some(fit);
        self
    }

    /// Tells the master what a queue of tasks needs, of which these are `waiting`, in order: nothing if it has been told. Call it
    /// at the end of whatever changes the queue.
    ///
    /// If none waits, offers are suppressed. Else they are revived whenever more wait than before or, by
    /// [`requesting`](Self::requesting), requested: an offer for the first task and each other one that needs the same. A request that comes too early is deferred, as a revive is: then
    /// call this again when the scheduler is [woken](Self::woken).
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::scheduler::{Calls, Fit, Pace};
    /// use apportion::{Call, Resources, Time};
    /// use std::time::Duration;
    ///
    /// let queue: Vec<Resources> = vec!["cpus:1;mem:512".parse()?; 3];
    /// let mut pace = Pace::new(Duration::from_secs(5), Duration::from_secs(1)).requesting(Fit::Task);
    /// let mut calls = Calls::new(Time::ZERO);
    /// pace.wants(&queue, &mut calls);
    /// let [Call::Suppress(_), Call::Request(request)] = calls.as_slice() else { panic!("a suppressed role requests") };
    /// assert_eq!(request.offers, 3);
    ///
    /// let mut calls = Calls::new(Time::from_secs(2));
    /// pace.used(2); // the scheduler accepts two offers
    /// pace.wants(&queue[2..], &mut calls);
    /// assert!(calls.as_slice().is_empty()); // the third is still to come
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    pub fn wants<'a>(&mut self, waiting: impl IntoIterator<Item = &'a Resources>, calls: &mut Calls) {
        let mut waiting = waiting.into_iter();
        let Some(first) = waiting.next() else {
            self.waiting = 0;
            if self.requested.take().is_some_and(|requested| requested.open > 0) {
                calls.request(Request::withdraw());
            }
            return self.idle(calls);
        };
        let Some(fit) = self.fit else {
            let waiting = 1 + waiting.take(MOST_OFFERS - 1).count() as u64;
            if std::mem::replace(&mut self.waiting, waiting) < waiting {
                self.busy(calls);
            }
            return;
        };
        let each = first.quantities();
        let alike = waiting.filter(|other| other.quantities() == each);
        let open = 1 + alike.take(MOST_OFFERS - 1).count() as u64;
        let wanted = Requested { each, open };
        if self.requested.as_ref() == Some(&wanted) {
            self.deferred_to = None;
            return;
        }
        if !self.is_due(calls) {
            return;
        }
        if !self.suppressed {
            self.suppressed = true;
            calls.suppress();
        }
        let request = Request::offers(open).each(wanted.each.clone());
        calls.request(match fit {
            Fit::Task => request.most(wanted.each.iter().collect()),
            Fit::Agent => request,
        });
        self.requested = Some(wanted);
    }

    /// Notes that offers are accepted, so that they are not requested again.
    pub fn used(&mut self, offers: u64) {
        if let Some(requested) = &mut self.requested {
            requested.open = requested.open.saturating_sub(offers);
        }
    }

    /// Returns whether a revive or a request may be sent; if not, it is deferred.
    fn is_due(&mut self, calls: &mut Calls) -> bool {
        let earliest = self.last_revive.map_or_else(|| calls.at(), |last| last + self.revive_interval);
        let is_due = earliest <= calls.at();
        if is_due {
            self.deferred_to = None;
            self.last_revive = Some(calls.at());
        } else if self.deferred_to.is_none() {
            self.deferred_to = Some(earliest);
            calls.wake_at(earliest);
        }
        is_due
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
        if self.is_due(calls) {
            self.suppressed = false;
            calls.revive();
        }
    }

    /// Sends a deferred revive if its time has come. Call it from [`Scheduler::woken`](super::Scheduler::woken). A deferred request
    /// is sent by [`wants`](Self::wants) alone.
    pub fn woken(&mut self, calls: &mut Calls) {
        if self.deferred_to.is_some_and(|time| time <= calls.at()) {
            match self.fit {
                None => self.busy(calls),
                Some(_) => self.deferred_to = None,
            }
        }
    }

    /// Forgets what was sent. Call it after a subscription: the master starts without suppressions.
    pub fn reset(&mut self) {
        (self.suppressed, self.last_revive, self.deferred_to) = (false, None, None);
        (self.waiting, self.requested) = (0, None);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
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

    #[test]
    fn a_request_follows_the_queue_and_is_withdrawn_with_it() {
        let [small, large]: [Resources; 2] = ["cpus:1", "cpus:2;mem:64"].map(|text| text.parse().unwrap());
        let mut pace = Pace::new(Duration::from_secs(1), Duration::from_secs(10)).requesting(Fit::Agent);
        let mut at = |secs, used, queue: &[&Resources]| {
            let mut calls = Calls::new(Time::from_secs(secs));
            pace.woken(&mut calls);
            pace.used(used);
            pace.wants(queue.iter().copied(), &mut calls);
            let wakes: Vec<Time> = calls.wakes().iter().map(|timer| timer.at).collect();
            (calls.into_vec(), wakes)
        };
        let request = |offers, each: &str| Call::from(Request::offers(offers).each(each.parse().unwrap()));
        let queue = [&small, &large, &small];
        assert_eq!(at(0, 0, &queue), (vec![Call::Suppress(vec![]), request(2, "cpus:1")], vec![]));
        assert_eq!(at(1, 1, &queue[1..]), (vec![], vec![Time::from_secs(10)])); // now the large one is first
        assert_eq!(at(10, 0, &queue[1..]), (vec![request(1, "cpus:2;mem:64")], vec![]));
        assert_eq!(at(11, 0, &[]), (vec![Call::from(Request::withdraw())], vec![]));
        assert_eq!(at(12, 0, &[]), (vec![], vec![]));
    }

    #[test]
    fn without_requests_a_queue_that_grows_revives() {
        let task: Resources = "cpus:1".parse().unwrap();
        let mut pace = Pace::new(Duration::from_secs(1), Duration::from_secs(10));
        let mut at = |secs, queue: &[&Resources]| {
            let mut calls = Calls::new(Time::from_secs(secs));
            pace.wants(queue.iter().copied(), &mut calls);
            calls.into_vec()
        };
        assert_eq!(at(0, &[]), [Call::Suppress(vec![])]);
        assert_eq!(at(1, &[&task]), [Call::Revive(vec![])]);
        assert_eq!(at(50, &[&task]), []);
        assert_eq!(at(55, &[&task, &task]), [Call::Revive(vec![])]);
        assert_eq!(at(60, &[]), [Call::Suppress(vec![])]);
    }
}
