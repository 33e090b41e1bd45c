//! Timers: what is due when nobody says anything.

use super::{CommandError, Master};
use crate::allocator::Allocator;
use crate::time::Time;

/// When the machine wants to be called again, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wake {
    /// The moment of the next timer.
    pub at: Time,
    /// What is due then.
    pub reason: WakeReason,
}

/// Which timer is due. At one instant they run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WakeReason {
    /// A batch: resources that came back are allocated.
    Batch,
    /// The end of a refusal.
    RefusalEnds,
    /// An offer that was not answered in time.
    OfferTimeout,
}

impl<A: Allocator> Master<A> {
    /// The next timer, if any is running. One that was due before `now` runs first thing next time.
    ///
    /// There is none for a batch that could not come to anything new: an idle master sleeps.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Wake> {
        let oldest = self.offers.oldest().zip(self.config.offer_timeout);
        let refusals = [self.allocator.next_expiry(), self.maintenance.next_end()].into_iter();
        let timers = [
            (self.batch, WakeReason::Batch),
            (refusals.flatten().min(), WakeReason::RefusalEnds),
            (oldest.map(|(made_at, timeout)| made_at + timeout), WakeReason::OfferTimeout),
        ];
        let running = timers.into_iter().filter_map(|(at, reason)| Some(Wake { at: at?, reason }));
        running.min_by_key(|wake| (wake.at, wake.reason))
    }

    /// Runs every timer due up to `at`, in order of time, and at one instant in that of [`WakeReason`].
    pub(super) fn run_timers(&mut self, at: Time) -> Result<(), CommandError> {
        let queued = self.effects.len();
        while let Some(wake) = self.poll_timeout().filter(|wake| wake.at <= at) {
            if self.effects.len() - queued > Self::LONGEST_SLEEP && wake.at > self.now {
                return Err(CommandError::SleptTooLong { reached: self.now, at });
            }
            self.now = wake.at;
            match wake.reason {
                WakeReason::Batch => {
                    self.batch = None;
                    self.make_offers(None);
                }
                WakeReason::RefusalEnds => {
                    self.allocator.expire(self.now);
                    self.maintenance.expire(self.now);
                }
                WakeReason::OfferTimeout => {
                    // Offers are made in order of time: the oldest one tells which were made with it.
                    let oldest = self.offers.oldest().unwrap_or(self.now);
                    self.rescind_made_by(oldest);
                }
            }
            self.schedule_batch();
        }
        self.now = at;
        Ok(())
    }

    /// Sets the next batch, if one could come to anything: what is pending waits for a full interval's end.
    pub(super) fn schedule_batch(&mut self) {
        if self.batch.is_none() && (self.allocator.has_pending() || self.maintenance.is_due()) {
            self.batch = Some(self.now.next_multiple_of(self.config.allocation_interval));
        }
    }
}
