//! How offers end, and who waits for one: for those who ask to be told.

use super::Master;
use super::offers::{LiveOffer, OfferNumber};
use crate::allocator::Allocator;
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::time::Time;
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::time::Duration;

/// How an offer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OfferEnd {
    /// It was accepted with an operation that was done.
    Accepted,
    /// It was declined, or accepted without an operation that was done.
    Declined,
    /// It was rescinded, other than for a timeout.
    Rescinded,
    /// It was rescinded because nobody answered in time.
    TimedOut,
    /// Its framework has failed over or was removed.
    Void,
}

/// An offer that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedOffer {
    /// The offer.
    pub offer: OfferId,
    /// The framework that it was made to.
    pub framework: FrameworkId,
    /// The agent whose resources were offered.
    pub agent: AgentId,
    /// The time at which it was made.
    pub made_at: Time,
    /// The time at which it has ended.
    pub ended_at: Time,
    /// How it has ended.
    pub end: OfferEnd,
}

impl EndedOffer {
    /// Returns how long the offer was out.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.ended_at.since(self.made_at)
    }
}

/// The record of offers while somebody watches them.
#[derive(Debug, Clone, Default)]
pub(super) struct OfferWatch {
    ended: VecDeque<EndedOffer>,
    /// The frameworks that have been offered something: the number of live offers, and the time at which that changed to 0.
    offered: IndexMap<FrameworkId, (usize, Time), foldhash::fast::RandomState>,
}

impl OfferWatch {
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        self.offered.swap_remove(framework);
    }
}

impl<A: Allocator> Master<A> {
    /// Watches offers from now on: each one that ends is told by [`Master::poll_ended_offer`], and
    /// [`Master::last_offered`] tells who waits since when. The caller has to poll, or the queue grows.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Call, Command, Config, Filters, Framework, Master, OfferEnd, Role, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// master.watch_offers();
    /// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    /// master.handle(Time::ZERO, Command::AddFramework(Framework::new("f1").role(Role::default())))?;
    /// let decline = Call::Decline { offers: vec!["O1".into()], filters: Filters::default(), each: false };
    /// master.handle(Time::from_secs(3), Command::Call("f1".into(), decline))?;
    ///
    /// let ended = master.poll_ended_offer().expect("O1 was declined");
    /// assert_eq!((ended.end, ended.duration().as_secs()), (OfferEnd::Declined, 3));
    /// assert_eq!(master.last_offered(&"f1".into()), Some(Time::from_secs(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch_offers(&mut self) {
        let mut watch = OfferWatch::default();
        for (_, offer) in self.offers.iter() {
            watch.offered.entry(offer.holding.framework.clone()).or_insert((0, self.now)).0 += 1;
        }
        self.watch.get_or_insert(watch);
    }

    /// Removes and returns the next offer that has ended, if offers [are watched](Self::watch_offers).
    #[must_use]
    pub fn poll_ended_offer(&mut self) -> Option<EndedOffer> {
        self.watch.as_mut()?.ended.pop_front()
    }

    /// Returns when a framework had an offer last: now, if it has one; `None` if it had none since offers
    /// [are watched](Self::watch_offers).
    #[must_use]
    pub fn last_offered(&self, framework: &FrameworkId) -> Option<Time> {
        let (live, since) = self.watch.as_ref()?.offered.get(framework)?;
        Some(if *live > 0 { self.now } else { *since })
    }

    pub(super) fn note_offer(&mut self, framework: &FrameworkId) {
        self.counters.offers.made += 1;
        if let Some(watch) = &mut self.watch {
            watch.offered.entry(framework.clone()).or_insert((0, self.now)).0 += 1;
        }
    }

    pub(super) fn note_end(&mut self, number: OfferNumber, offer: &LiveOffer, end: OfferEnd) {
        let counters = &mut self.counters.offers;
        *match end {
            OfferEnd::Accepted => &mut counters.accepted,
            OfferEnd::Declined => &mut counters.declined,
            OfferEnd::Rescinded => &mut counters.rescinded,
            OfferEnd::TimedOut => &mut counters.timed_out,
            OfferEnd::Void => &mut counters.void,
        } += 1;
        if end == OfferEnd::TimedOut
            && let Some(entry) = self.frameworks.get_mut(&offer.holding.framework)
        {
            entry.timed_out += 1;
        }
        if self.watch.is_none() {
            return;
        }
        let (offer_id, ended_at) = (self.offer_id(number), self.now);
        if let Some(watch) = &mut self.watch {
            let framework = offer.holding.framework.clone();
            if let Some((live, since)) = watch.offered.get_mut(&framework) {
                (*live, *since) = (live.saturating_sub(1), ended_at);
            }
            let (agent, made_at) = (offer.holding.agent.clone(), offer.made_at);
            watch.ended.push_back(EndedOffer { offer: offer_id, framework, agent, made_at, ended_at, end });
        }
    }
}
