//! Timers: batch allocations, the expiry of refusals, and the timeouts of offers and inverse offers.

use super::{CommandError, Master};
use crate::allocator::Allocator;
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
}

impl<A: Allocator> Master<A> {
    /// Returns the next timer, if there is one. A timer may be overdue: the next call runs it first.
    ///
    /// There is no timer for a batch that could not offer anything new, so an idle master needs no wake-ups.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Wake> {
        let timeout = self.config.offer_timeout;
        let oldest = timeout.and_then(|_| [self.offers.oldest(), self.maintenance.oldest()].into_iter().flatten().min());
        let refusals = [self.allocator.next_expiry(), self.maintenance.next_expiry()].into_iter();
        let timers = [
            (self.next_batch, WakeReason::Batch),
            (refusals.flatten().min(), WakeReason::RefusalEnds),
            (oldest.zip(timeout).map(|(made_at, timeout)| made_at + timeout), WakeReason::OfferTimeout),
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
                    self.allocator.expire(self.now);
                    self.maintenance.expire(self.now);
                }
                WakeReason::OfferTimeout => {
                    // Rescinds the oldest offers and inverse offers, all that were made at the same time.
                    let oldest = [self.offers.oldest(), self.maintenance.oldest()].into_iter().flatten().min();
                    let oldest = oldest.unwrap_or(self.now);
                    self.rescind_made_up_to(oldest);
                    self.rescind_inverse_made_up_to(oldest);
                }
            }
            self.schedule_batch();
        }
        self.now = at;
        Ok(())
    }

    /// Schedules a batch for the next multiple of the interval, if it could make an offer or an inverse offer.
    pub(super) fn schedule_batch(&mut self) {
        if self.next_batch.is_none() && (self.allocator.has_pending() || self.maintenance.is_dirty()) {
            self.next_batch = Some(self.now.next_multiple_of(self.config.allocation_interval));
        }
    }
}
