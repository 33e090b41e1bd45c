//! [`Link`]: the connection to the master, and when it is tried again.

use super::timers::TimerKey;
use apportion::Time;
use std::time::Duration;

/// The longest wait before the first attempt, doubled with each that fails (Mesos, `--registration_backoff_factor`).
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait before any attempt.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The time that a master has to answer a registration.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The connection to the master.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) state: LinkState,
    pub(super) timer: Option<TimerKey>,
    /// The number of attempts that have failed in a row.
    failures: u32,
}

/// The state of the connection to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LinkState {
    /// No leading master is known.
    #[default]
    Searching,
    /// The agent waits before it registers.
    Waiting,
    /// The agent registers.
    Registering,
    /// The agent is registered. The master is lost if there is no ping for so long.
    Registered(Duration),
}

impl Link {
    pub(super) fn is_registered(&self) -> bool {
        matches!(self.state, LinkState::Registered(_))
    }

    /// Notes that an attempt has succeeded.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Returns the time of the next attempt, which a draw decides: between now and the longest wait.
    pub(super) fn next_attempt(&mut self, now: Time, draw: u64) -> Time {
        let longest = FIRST_BACKOFF.saturating_mul(1_u32 << self.failures.min(6)).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        now + Duration::from_micros(draw % micros.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut link = Link::default();
        let longest = |link: &mut Link| {
            let copy = |draw| Link { failures: link.failures, ..Link::default() }.next_attempt(Time::ZERO, draw);
            let most = (0..60).map(|seconds| copy(seconds * 1_000_000)).max();
            link.next_attempt(Time::ZERO, 0);
            most.unwrap_or(Time::ZERO)
        };
        let waits: Vec<Time> = (0..8).map(|_| longest(&mut link)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 59, 59].map(Time::from_secs));
        link.succeeded();
        assert_eq!(longest(&mut link), Time::from_secs(1));
    }
}
