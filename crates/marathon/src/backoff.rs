//! Exponential backoff: [`LaunchDelay`] is how long an app that fails is not launched again.
//!
//! As in Marathon's class `RateLimiter`: each failure lengthens the delay by a factor. The delay is forgotten
//! `maxLaunchDelaySeconds` after the last launch: a task that fails later than that starts again at `backoffSeconds`, and an
//! app whose tasks fail soon stays at the longest delay once it has reached it.

use apportion::placement::{JsonNode, ReadError};
use apportion::{TaskState, Time};
use std::time::Duration;

/// The longest duration that may be written, in seconds: a year.
const MAX_SECONDS: f64 = 365.0 * 86_400.0;

/// The backoff of an app (Marathon's `backoffSeconds`, `backoffFactor`, `maxLaunchDelaySeconds`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BackoffStrategy {
    initial: Duration,
    factor: f64,
    max: Duration,
}

impl BackoffStrategy {
    /// Reads the backoff of an app; the defaults are Marathon's.
    pub(crate) fn read(app: JsonNode<'_>) -> Result<Self, ReadError> {
        let seconds = |key: &str, default: f64| match app.get(key) {
            None => Ok(Duration::from_secs_f64(default)),
            Some(given) => match given.number()? {
                seconds if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
                _ => Err(given.wrong(format!("a number of seconds from 0 to {MAX_SECONDS}"))),
            },
        };
        let factor = match app.get("backoffFactor") {
            None => 1.15,
            Some(given) => given
                .number()
                .ok()
                .filter(|factor| *factor >= 1.0)
                .ok_or_else(|| given.wrong("a number of at least 1"))?,
        };
        Ok(Self { initial: seconds("backoffSeconds", 1.0)?, factor, max: seconds("maxLaunchDelaySeconds", 300.0)? })
    }

    /// Returns the delay that follows `delay`.
    fn next(&self, delay: Duration) -> Duration {
        let longer = Duration::try_from_secs_f64(delay.as_secs_f64() * self.factor).unwrap_or(self.max);
        longer.min(self.max)
    }
}

/// The launch delay of one version of an app, with the last failure that it follows from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LaunchDelay {
    last: Option<LastFailure>,
    /// The time of the last launch.
    launched: Time,
}

#[derive(Debug, Clone, Copy)]
struct LastFailure {
    at: Time,
    delay: Duration,
}

impl LaunchDelay {
    /// Records a launch.
    pub(crate) fn record_launch(&mut self, at: Time) {
        self.launched = at;
    }

    /// Records a failure. Returns the time before which nothing is launched.
    pub(crate) fn record_failure(&mut self, strategy: &BackoffStrategy, at: Time) -> Time {
        let is_remembered = at <= self.launched + strategy.max;
        let delay = match self.last.filter(|_| is_remembered) {
            Some(last) => strategy.next(last.delay),
            None => strategy.initial.min(strategy.max),
        };
        self.last = Some(LastFailure { at, delay });
        at + delay
    }

    /// Returns the time before which nothing is launched, unless it has passed.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        self.last.map(|last| last.at + last.delay).filter(|until| *until > now)
    }
}

/// Returns whether a task that ended in that state, unasked, counts as a failure of its app. A task that was killed, or lost
/// with its agent, does not (`NotifyRateLimiterStep.limitWorthy`).
pub(crate) fn is_failure(state: TaskState) -> bool {
    matches!(state, TaskState::Failed | TaskState::Finished | TaskState::Error | TaskState::Dropped | TaskState::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn backoff(app: serde_json::Value) -> BackoffStrategy {
        BackoffStrategy::read(JsonNode::root(&app)).unwrap()
    }

    #[test]
    fn waits_grow_up_to_the_longest_and_are_forgotten_after_a_launch_that_lasts() {
        let backoff = backoff(json!({"backoffSeconds": 2, "backoffFactor": 2, "maxLaunchDelaySeconds": "9"}));
        let mut delay_state = LaunchDelay::default();
        assert_eq!(delay_state.until(Time::ZERO), None);
        delay_state.record_launch(Time::from_secs(9));
        let waits: Vec<_> =
            (0..5).map(|_| delay_state.record_failure(&backoff, Time::from_secs(10)).as_secs_f64() - 10.0).collect();
        assert_eq!(waits, [2.0, 4.0, 8.0, 9.0, 9.0]);
        assert_eq!(delay_state.until(Time::from_secs(18)), Some(Time::from_secs(19)));
        assert_eq!(delay_state.until(Time::from_secs(19)), None);
        delay_state.record_launch(Time::from_secs(19));
        assert_eq!(delay_state.record_failure(&backoff, Time::from_secs(28)), Time::from_secs(37)); // 9 seconds later, not longer
        delay_state.record_launch(Time::from_secs(37));
        assert_eq!(delay_state.record_failure(&backoff, Time::from_secs(47)), Time::from_secs(49)); // it ran for 10
    }

    #[test]
    fn an_app_that_fails_at_once_stays_at_its_longest_delay() {
        let backoff = backoff(json!({"backoffSeconds": 1, "backoffFactor": 2, "maxLaunchDelaySeconds": 2}));
        let (mut delay_state, mut now, mut waits) = (LaunchDelay::default(), Time::ZERO, Vec::new());
        for _ in 0..4 {
            delay_state.record_launch(now);
            let failed = now + Duration::from_millis(300);
            now = delay_state.record_failure(&backoff, failed);
            waits.push(now.since(failed).as_secs());
        }
        assert_eq!(waits, [1, 2, 2, 2]);
    }

    #[test]
    fn what_is_not_written_is_as_marathon_has_it() {
        let mut delay_state = LaunchDelay::default();
        let usual = backoff(json!({}));
        assert_eq!(
            usual,
            BackoffStrategy { initial: Duration::from_secs(1), factor: 1.15, max: Duration::from_secs(300) }
        );
        let waits: Vec<_> = (0..60).map(|_| delay_state.record_failure(&usual, Time::ZERO).as_secs_f64()).collect();
        assert_eq!((waits[0], waits[1], waits[59]), (1.0, 1.15, 300.0));
        let huge = backoff(json!({"backoffFactor": 1e300}));
        assert_eq!((0..3).map(|_| delay_state.record_failure(&huge, Time::ZERO)).max(), Some(Time::from_secs(300)));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (app, message) in [
            (
                json!({"backoffSeconds": -1}),
                "backoffSeconds: found -1, expected a number of seconds from 0 to 31536000",
            ),
            (json!({"maxLaunchDelaySeconds": 1e9}), "maxLaunchDelaySeconds: found 1000000000.0, expected a number of"),
            (json!({"backoffFactor": "x"}), "backoffFactor: found \"x\", expected a number of at least 1"),
        ] {
            let error = BackoffStrategy::read(JsonNode::root(&app)).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
