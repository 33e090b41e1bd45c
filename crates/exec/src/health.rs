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
