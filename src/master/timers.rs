//! Timers: batch allocations, the expiry of refusals, and timeouts.

use super::{CommandError, Master};
use crate::allocator::{Allocator, Change};
use crate::time::Time;

/// The next timer of a master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wake {
    /// The time at which the timer is due.
    pub at: Time,
    /// The kind of timer.
    pub reason: WakeReason,
}

/// The kind of a timer. Timers due at one instant run in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WakeReason {
    /// A batch allocation.
    Batch,
    /// The expiry of a refusal.
    RefusalEnds,
    /// The timeout of an unanswered offer or inverse offer.
    OfferTimeout,
    /// The end of the time for which allocations wait for the agents of a recovery.
    RecoveryTimeout,
    /// The removal of a framework that has stayed away too long.
    FrameworkTimeout,
}

impl<A: Allocator> Master<A> {
    /// Returns the next timer, if there is one. A timer may be overdue: the next call runs it first.
    ///
    /// There is no timer for a batch that could not offer anything new, so an idle master needs no wake-ups.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Wake> {
        let timeouts = [self.offers.next_timeout(), self.maintenance.next_timeout()].into_iter();
        let refusals = [self.allocator.next_expiry(), self.maintenance.next_expiry()].into_iter();
        let timers = [
            (self.next_batch, WakeReason::Batch),
            (refusals.flatten().min(), WakeReason::RefusalEnds),
            (timeouts.flatten().min(), WakeReason::OfferTimeout),
            (self.recovery.until(), WakeReason::RecoveryTimeout),
            (self.removals.next(), WakeReason::FrameworkTimeout),
        ];
        let active = timers.into_iter().filter_map(|(at, reason)| Some(Wake { at: at?, reason }));
        active.min_by_key(|wake| (wake.at, wake.reason))
    }

    /// Runs every timer due up to `at`, in order of time and then of [`WakeReason`].
    pub(super) fn run_timers(&mut self, at: Time) -> Result<(), CommandError> {
        let queued_before = self.effects.len();
        while let Some(wake) = self.poll_timeout().filter(|wake| wake.at <= at) {
            if self.effects.len() - queued_before > Self::MAX_TIMER_EFFECTS && wake.at > self.now {
                return Err(CommandError::TooManyTimerEffects { reached: self.now, at });
            }
            self.now = wake.at;
            match wake.reason {
                WakeReason::Batch => {
                    self.next_batch = None;
                    self.make_offers(None);
                }
                WakeReason::RefusalEnds => {
                    self.allocator.apply(Change::Expire(self.now)).expect("no refusal is named");
                    self.maintenance.expire(self.now);
                }
                WakeReason::OfferTimeout => {
                    self.rescind_timed_out()?;
                    self.rescind_inverse_timed_out();
                }
                WakeReason::RecoveryTimeout => self.recovery.end(),
                WakeReason::FrameworkTimeout => {
                    self.run_removal();
                    self.maintenance.mark_dirty();
                    self.finish_drains()?;
                }
            }
            self.schedule_batch();
        }
        self.now = at;
        Ok(())
    }

    /// Schedules a batch for the next multiple of the interval, if it could make an offer or an inverse offer.
    pub(super) fn schedule_batch(&mut self) {
        if self.recovery.holds_back() {
            return;
        }
        if self.next_batch.is_none() && (self.allocator.has_pending() || self.maintenance.is_dirty()) {
            // At the end of time there is no later batch: one at the same instant would repeat for ever.
            let next = self.now.next_multiple_of(self.config.allocation_interval);
            self.next_batch = Some(next).filter(|next| *next > self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::framework::{Capability, Framework};
    use crate::master::{Command, Config};
    use std::time::Duration;

    const SHARED: &str = r#"[{"name":"disk","type":"SCALAR","scalar":{"value":8},"reservations":[{"type":"STATIC","role":"a"}],
        "disk":{"persistence":{"id":"v"},"volume":{"container_path":"v","mode":"RW"}},"shared":{}}]"#;

    /// Ten microseconds before the end of time: an agent and a framework, whose offers time out, or whose shared volume is
    /// offered in each batch.
    fn at_the_end() -> impl Iterator<Item = (Config, [Command; 2])> {
        [Some(Duration::from_secs(1)), Some(Duration::ZERO), None].into_iter().map(|timeout| {
            let mut config = Config { offer_timeout: timeout, ..Config::default() };
            config.options.min_allocatable = Vec::new();
            let framework = Framework::new("f").role("a".parse().unwrap()).capability(Capability::SharedResources);
            let agent = Agent::new("s", serde_json::from_str(SHARED).unwrap());
            (config, [Command::AddFramework(framework), Command::AddAgent(agent.into())])
        })
    }

    #[test]
    fn time_comes_to_an_end() {
        for (config, commands) in at_the_end() {
            let mut master = Master::new(config);
            for command in commands {
                master.handle(Time::from_micros(u64::MAX - 10), command).unwrap();
            }
            master.advance(Time::MAX).unwrap();
            let effects = std::iter::from_fn(|| master.poll_effect());
            let effects = effects.filter(|emitted| emitted.effect.is_in_journal()).count();
            assert!((1..5).contains(&effects), "{effects} effects");
            assert_eq!((master.now(), master.poll_timeout()), (Time::MAX, None));
        }
    }
}
