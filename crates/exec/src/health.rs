//! When checks are made, and what follows from their results: [`HealthMonitor`] and [`CheckMonitor`], without a clock.
//!
//! Both are Mesos' `HealthChecker` and `Checker` as state machines. Time is a duration since any fixed moment.
//!
//! ```
//! use apportion_exec::health::{HealthMonitor, HealthReport, HealthSettings};
//! use std::time::Duration;
//!
//! let secs = Duration::from_secs;
//! let settings = HealthSettings { consecutive_failures: Some(2), ..HealthSettings::default() };
//! let mut monitor = HealthMonitor::new(settings, secs(0));
//! assert_eq!(monitor.due(), Some(secs(15))); // the delay
//! let attempt = monitor.begin(secs(15)).expect("it is due");
//! assert_eq!(monitor.due(), None); // until there is a result
//! assert_eq!(monitor.complete(attempt, Some(false), secs(16)), Some(HealthReport { healthy: false, failures: 1, kill: false }));
//! assert_eq!(monitor.due(), Some(secs(26))); // the interval
//! let attempt = monitor.begin(secs(26)).expect("it is due");
//! assert_eq!(monitor.complete(attempt, Some(false), secs(26)), Some(HealthReport { healthy: false, failures: 2, kill: true }));
//! ```

use std::time::Duration;

/// When checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of Mesos' CheckInfo")]
pub struct Pace {
    /// From the start of the task to the first check.
    pub delay: Duration,
    /// From the result of a check to the next.
    pub interval: Duration,
    /// A check that takes longer has failed; the one who makes it sees to that.
    pub timeout: Duration,
}

impl Default for Pace {
    /// Mesos' defaults: 15 s, 10 s, 20 s.
    fn default() -> Self {
        Self { delay: Duration::from_secs(15), interval: Duration::from_secs(10), timeout: Duration::from_secs(20) }
    }
}

/// How a health check is made and judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of Mesos' HealthCheck")]
pub struct HealthSettings {
    /// When checks are made.
    pub pace: Pace,
    /// From the start of the task: failures do not count until then, as long as there was no success.
    pub grace: Duration,
    /// So many failures in a row kill the task; `None` never does.
    pub consecutive_failures: Option<u32>,
}

impl Default for HealthSettings {
    /// Mesos' defaults: a grace period of 10 s, 3 failures.
    fn default() -> Self {
        Self { pace: Pace::default(), grace: Duration::from_secs(10), consecutive_failures: Some(3) }
    }
}

/// A number by which a result is told from that of another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId(u64);

/// What is to be reported of a task's health: a TASK_RUNNING with `healthy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an executor sends all of it")]
pub struct HealthReport {
    /// Whether the check succeeded.
    pub healthy: bool,
    /// The number of failures in a row.
    pub failures: u32,
    /// Whether the task is to be killed.
    pub kill: bool,
}

/// The clockwork of one check: at most one attempt is under way.
#[derive(Debug, Clone)]
struct Clockwork {
    interval: Duration,
    due: Option<Duration>,
    number: u64,
}

impl Clockwork {
    fn new(pace: Pace, started: Duration) -> Self {
        Self { interval: pace.interval, due: Some(started.saturating_add(pace.delay)), number: 0 }
    }

    fn begin(&mut self, now: Duration) -> Option<AttemptId> {
        self.due.take_if(|due| *due <= now)?;
        self.number += 1;
        Some(AttemptId(self.number))
    }

    /// Returns whether the result is that of the attempt under way.
    fn complete(&mut self, attempt: AttemptId, now: Duration) -> bool {
        let is_awaited = self.due.is_none() && attempt.0 == self.number;
        if is_awaited {
            self.due = Some(now.saturating_add(self.interval));
        }
        is_awaited
    }
}

/// The health of one task by one health check.
#[derive(Debug, Clone)]
pub struct HealthMonitor {
    clockwork: Clockwork,
    grace_until: Duration,
    limit: Option<u32>,
    failures: u32,
    was_healthy: bool,
}

impl HealthMonitor {
    /// Returns the monitor of a task that started at that time.
    pub fn new(settings: HealthSettings, started: Duration) -> Self {
        Self {
            clockwork: Clockwork::new(settings.pace, started),
            grace_until: started.saturating_add(settings.grace),
            limit: settings.consecutive_failures,
            failures: 0,
            was_healthy: false,
        }
    }

    /// Returns when the next check is to be made; `None` while one is under way.
    pub fn due(&self) -> Option<Duration> {
        self.clockwork.due
    }

    /// Begins a check if one is due.
    pub fn begin(&mut self, now: Duration) -> Option<AttemptId> {
        self.clockwork.begin(now)
    }

    /// Takes the result of a check: success or failure, or `None` if it says nothing. Returns what is to be reported: each failure
    /// that counts, and a success after failures or as the first result. A result that is late, or comes twice, changes nothing.
    pub fn complete(&mut self, attempt: AttemptId, is_good: Option<bool>, now: Duration) -> Option<HealthReport> {
        if !self.clockwork.complete(attempt, now) {
            return None;
        }
        if is_good? {
            let is_news = !self.was_healthy || self.failures > 0;
            (self.was_healthy, self.failures) = (true, 0);
            return is_news.then_some(HealthReport { healthy: true, failures: 0, kill: false });
        }
        if !self.was_healthy && now < self.grace_until {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let kill = self.limit.is_some_and(|limit| self.failures >= limit);
        Some(HealthReport { healthy: false, failures: self.failures, kill })
    }
}

/// The result of one check that is not judged (`check` of a task).
#[derive(Debug, Clone)]
pub struct CheckMonitor<R> {
    clockwork: Clockwork,
    last: Option<R>,
}

impl<R: PartialEq> CheckMonitor<R> {
    /// Returns the monitor of a task that started at that time.
    pub fn new(pace: Pace, started: Duration) -> Self {
        Self { clockwork: Clockwork::new(pace, started), last: None }
    }

    /// Returns when the next check is to be made; `None` while one is under way.
    pub fn due(&self) -> Option<Duration> {
        self.clockwork.due
    }

    /// Begins a check if one is due.
    pub fn begin(&mut self, now: Duration) -> Option<AttemptId> {
        self.clockwork.begin(now)
    }

    /// Takes the result of a check; `None` if there was none. Returns whether it is another one than before, and so is to be reported.
    pub fn complete(&mut self, attempt: AttemptId, result: Option<R>, now: Duration) -> bool {
        let is_news = self.clockwork.complete(attempt, now) && self.last != result;
        if is_news {
            self.last = result;
        }
        is_news
    }

    /// Returns the last result; `None` is an empty `check_status`.
    pub const fn last(&self) -> Option<&R> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Makes one check after the other with these results, and returns what is reported, with the time of the result.
    fn reports(settings: HealthSettings, results: &[Option<bool>]) -> Vec<(u64, Option<HealthReport>)> {
        let mut monitor = HealthMonitor::new(settings, secs(100));
        let make = |result: &Option<bool>| {
            let now = monitor.due().unwrap();
            assert_eq!(monitor.begin(now - Duration::from_nanos(1)), None);
            let attempt = monitor.begin(now).unwrap();
            assert_eq!((monitor.due(), monitor.begin(now)), (None, None));
            (now.as_secs() - 100, monitor.complete(attempt, *result, now))
        };
        results.iter().map(make).collect()
    }

    const fn healthy() -> Option<HealthReport> {
        Some(HealthReport { healthy: true, failures: 0, kill: false })
    }

    const fn sick(failures: u32, kill: bool) -> Option<HealthReport> {
        Some(HealthReport { healthy: false, failures, kill })
    }

    #[test]
    fn the_first_success_and_each_failure_are_reported() {
        let (good, bad, none) = (Some(true), Some(false), None);
        let settings = HealthSettings::default();
        assert_eq!(
            reports(settings, &[none, good, good, bad, bad, good, none, bad, bad, bad, bad]),
            [
                (15, None),
                (25, healthy()),
                (35, None),
                (45, sick(1, false)),
                (55, sick(2, false)),
                (65, healthy()),
                (75, None),
                (85, sick(1, false)),
                (95, sick(2, false)),
                (105, sick(3, true)),
                (115, sick(4, true)),
            ]
        );
        let never = HealthSettings { consecutive_failures: None, ..settings };
        assert!(reports(never, &[bad; 100]).iter().all(|(_, report)| report.is_some_and(|report| !report.kill)));
    }

    #[test]
    fn failures_count_after_the_grace_period_or_a_success() {
        let pace = Pace { delay: secs(0), interval: secs(1), timeout: secs(1) };
        let settings = HealthSettings { pace, grace: secs(2), consecutive_failures: Some(1) };
        assert_eq!(reports(settings, &[Some(false); 3]), [(0, None), (1, None), (2, sick(1, true))]);
        assert_eq!(reports(settings, &[Some(true), Some(false)]), [(0, healthy()), (1, sick(1, true))]);
    }

    #[test]
    fn a_result_of_another_attempt_changes_nothing() {
        let mut monitor = HealthMonitor::new(HealthSettings::default(), secs(0));
        let first = monitor.begin(secs(15)).unwrap();
        assert_eq!(monitor.complete(first, Some(true), secs(20)), healthy());
        assert_eq!(monitor.due(), Some(secs(30))); // counted from the result
        assert_eq!(monitor.complete(first, Some(false), secs(21)), None);
        let second = monitor.begin(secs(30)).unwrap();
        assert_eq!(monitor.complete(first, Some(false), secs(31)), None);
        assert_eq!(monitor.due(), None);
        assert_eq!(monitor.complete(second, Some(false), secs(31)), sick(1, false));
    }

    #[test]
    fn times_without_bound_do_not_overflow() {
        let pace = Pace { delay: Duration::MAX, interval: Duration::MAX, timeout: Duration::MAX };
        let settings = HealthSettings { pace, grace: Duration::MAX, consecutive_failures: Some(0) };
        let mut monitor = HealthMonitor::new(settings, secs(5));
        let attempt = monitor.begin(Duration::MAX).unwrap();
        assert_eq!(monitor.complete(attempt, Some(false), Duration::MAX), sick(1, true));
        assert_eq!(monitor.due(), Some(Duration::MAX));
    }

    #[test]
    fn results_that_are_not_judged_are_told_when_they_change() {
        let mut monitor = CheckMonitor::new(Pace::default(), secs(0));
        let mut take = |result| {
            let now = monitor.due().unwrap();
            let attempt = monitor.begin(now).unwrap();
            (monitor.complete(attempt, result, now), monitor.last().copied())
        };
        assert_eq!(take(None), (false, None));
        assert_eq!(take(Some(200)), (true, Some(200)));
        assert_eq!(take(Some(200)), (false, Some(200)));
        assert_eq!(take(Some(404)), (true, Some(404)));
        assert_eq!(take(None), (true, None));
    }
}
