//! [`BackOff`]: how long an app that fails is not launched again.
//!
//! As in Marathon's class `RateLimiter`: each failure makes the wait longer, and once an app has not failed for as long as the
//! longest wait, all is forgotten.

use apportion::placement::{JsonNode, ReadError};
use apportion::{TaskState, Time};
use std::time::Duration;

/// The longest time that may be written, in seconds: a year.
const LONGEST: f64 = 365.0 * 86_400.0;

/// How long the waits of an app are (Marathon's `backoffSeconds`, `backoffFactor`, `maxLaunchDelaySeconds`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Delays {
    first: Duration,
    factor: f64,
    longest: Duration,
}

impl Delays {
    /// Reads those of an app.
    pub(crate) fn read(app: JsonNode<'_>) -> Result<Self, ReadError> {
        let seconds = |key: &str, default: f64| match app.get(key) {
            None => Ok(Duration::from_secs_f64(default)),
            Some(given) => match given.number()? {
                seconds if (0.0..=LONGEST).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
                _ => Err(given.wrong(format!("a number of seconds from 0 to {LONGEST}"))),
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
        Ok(Self { first: seconds("backoffSeconds", 1.0)?, factor, longest: seconds("maxLaunchDelaySeconds", 300.0)? })
    }

    fn after(&self, delay: Duration) -> Duration {
        let longer = Duration::try_from_secs_f64(delay.as_secs_f64() * self.factor).unwrap_or(self.longest);
        longer.min(self.longest)
    }
}

/// The failures of one version of an app.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackOff {
    last: Option<Failed>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    at: Time,
    delay: Duration,
}

impl BackOff {
    /// Takes note of a failure; until when nothing is launched now.
    pub(crate) fn failed(&mut self, delays: &Delays, at: Time) -> Time {
        let delay = match self.last.filter(|last| at <= last.at + delays.longest) {
            Some(last) => delays.after(last.delay),
            None => delays.first.min(delays.longest),
        };
        self.last = Some(Failed { at, delay });
        at + delay
    }

    /// Until when nothing is launched, if that is later than now.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        self.last.map(|last| last.at + last.delay).filter(|until| *until > now)
    }
}

/// Whether a task that ended like this, unasked, speaks against its app. One that was killed, or lost with its agent, does
/// not (`NotifyRateLimiterStep.limitWorthy`).
pub(crate) fn is_failure(state: TaskState) -> bool {
    matches!(state, TaskState::Failed | TaskState::Finished | TaskState::Error | TaskState::Dropped | TaskState::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn delays(app: serde_json::Value) -> Delays {
        Delays::read(JsonNode::root(&app)).unwrap()
    }

    #[test]
    fn waits_grow_up_to_the_longest_and_are_forgotten() {
        let delays = delays(json!({"backoffSeconds": 2, "backoffFactor": 2, "maxLaunchDelaySeconds": "9"}));
        let mut back_off = BackOff::default();
        assert_eq!(back_off.until(Time::ZERO), None);
        let waits: Vec<_> =
            (0..5).map(|_| back_off.failed(&delays, Time::from_secs(10)).as_secs_f64() - 10.0).collect();
        assert_eq!(waits, [2.0, 4.0, 8.0, 9.0, 9.0]);
        assert_eq!(back_off.until(Time::from_secs(18)), Some(Time::from_secs(19)));
        assert_eq!(back_off.until(Time::from_secs(19)), None);
        assert_eq!(back_off.failed(&delays, Time::from_secs(19)), Time::from_secs(28)); // 9 seconds later, not longer
        assert_eq!(back_off.failed(&delays, Time::from_secs(29)), Time::from_secs(31));
    }

    #[test]
    fn what_is_not_written_is_as_marathon_has_it() {
        let mut back_off = BackOff::default();
        let usual = delays(json!({}));
        assert_eq!(usual, Delays { first: Duration::from_secs(1), factor: 1.15, longest: Duration::from_secs(300) });
        let waits: Vec<_> = (0..60).map(|_| back_off.failed(&usual, Time::ZERO).as_secs_f64()).collect();
        assert_eq!((waits[0], waits[1], waits[59]), (1.0, 1.15, 300.0));
        let huge = delays(json!({"backoffFactor": 1e300}));
        assert_eq!((0..3).map(|_| back_off.failed(&huge, Time::ZERO)).max(), Some(Time::from_secs(300)));
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
            let error = Delays::read(JsonNode::root(&app)).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
