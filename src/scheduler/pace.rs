//! [`Pace`]: how not to be offered all the time what one has no use for.

use super::{Call, Calls};
use crate::id::OfferId;
use crate::offer::Filters;
use crate::time::Time;
use std::time::Duration;

/// Declines, suppresses and revives at a pace that spares master and framework.
///
/// While there is something to launch, what does not fit is declined for a while. When there is nothing, offers are
/// suppressed; new work revives them. Reviving costs the master a look at every agent, so it is done at most once in so
/// long a time; what is asked for in between waits for the end of it.
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
/// pace.busy(&mut calls); // too soon: it will be woken for that
/// assert_eq!(calls.as_slice(), [Call::Revive(vec![])]);
/// assert_eq!(calls.wakes(), [Time::from_secs(6)]);
/// ```
#[derive(Debug, Clone)]
pub struct Pace {
    refusal: Duration,
    between: Duration,
    suppressed: bool,
    revived: Option<Time>,
    /// When to revive, if that was put off.
    due: Option<Time>,
}

impl Pace {
    /// Declines for `refusal`, revives at most once in `between`.
    #[must_use]
    pub fn new(refusal: Duration, between: Duration) -> Self {
        Self { refusal, between, suppressed: false, revived: None, due: None }
    }

    /// Takes nothing of these offers.
    pub fn decline(&self, offers: impl IntoIterator<Item = OfferId>, calls: &mut Calls) {
        let offers: Vec<OfferId> = offers.into_iter().collect();
        if !offers.is_empty() {
            calls.push(Call::Decline { offers, filters: Filters::refuse_for(self.refusal) });
        }
    }

    /// There is nothing to launch: wants no offers, and says so once.
    pub fn idle(&mut self, calls: &mut Calls) {
        self.due = None;
        if !self.suppressed {
            self.suppressed = true;
            calls.suppress();
        }
    }

    /// There is something new to launch: wants all offers again, those too that it has declined.
    pub fn busy(&mut self, calls: &mut Calls) {
        let soonest = self.revived.map_or_else(|| calls.at(), |revived| revived + self.between);
        if soonest <= calls.at() {
            self.due = None;
            self.suppressed = false;
            self.revived = Some(calls.at());
            calls.revive();
        } else if self.due.is_none() {
            self.due = Some(soonest);
            calls.wake_at(soonest);
        }
    }

    /// Does what was put off, if it is time.
    pub fn woken(&mut self, calls: &mut Calls) {
        if self.due.is_some_and(|due| due <= calls.at()) {
            self.busy(calls);
        }
    }

    /// Starts anew with a master that knows nothing of this: after registration.
    pub fn reset(&mut self) {
        (self.suppressed, self.revived, self.due) = (false, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_off_is_done_when_it_is_time_unless_there_is_nothing_left() {
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
}
