//! Offers: making, accepting, declining and rescinding them.

use super::offer_watch::OfferEnd;
use super::{CommandError, Effect, FrameworkEntry, Master};
use crate::allocator::{Allocator, Change, EndedOffers, Holding, SnapshotError, check_count};
use crate::details::Details;
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::offer::{Conversion, Filters, Offer};
use crate::resources::Resources;
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An offer's number: the `1` of `O1`.
pub(super) type OfferNumber = u64;

/// The live offers by number: an ordered map, so iteration is in order of making.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "SavedOffers")]
pub(super) struct Offers {
    live: BTreeMap<OfferNumber, LiveOffer>,
    made: OfferNumber,
    /// The live offers that time out, by when they do.
    #[serde(skip)]
    timeouts: BTreeSet<(Time, OfferNumber)>,
    /// The live offers of each agent that has any, in no order.
    #[serde(skip)]
    of_agents: IndexMap<AgentId, SmallVec<[OfferNumber; 2]>, foldhash::fast::RandomState>,
}

/// What a snapshot has of [`Offers`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedOffers {
    live: BTreeMap<OfferNumber, LiveOffer>,
    made: OfferNumber,
}

impl From<SavedOffers> for Offers {
    fn from(saved: SavedOffers) -> Self {
        let mut offers = Self { made: saved.made, ..Self::default() };
        saved.live.into_iter().for_each(|(number, offer)| offers.insert(number, offer));
        offers
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveOffer {
    pub(super) holding: Holding,
    pub(super) made_at: Time,
    /// The time at which it is rescinded if it is not answered; `None` = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) times_out_at: Option<Time>,
    /// True if it was made for a request, while its role was suppressed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_requested: bool,
}

/// Makes the id of an offer, or, with another letter, of an inverse offer.
pub(super) fn offer_id(prefix: &Text, letter: char, number: u64) -> OfferId {
    OfferId::from(format!("{prefix}{letter}{number}"))
}

/// Parses an id in the one spelling that this master uses: `O01` is not `O1`.
pub(super) fn number_of(prefix: &Text, letter: char, id: &OfferId) -> Option<u64> {
    let number = id.as_str().strip_prefix(prefix.as_str())?.strip_prefix(letter)?.parse().ok()?;
    (offer_id(prefix, letter, number) == *id).then_some(number)
}

impl Offers {
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// Returns the number of offers that were ever made.
    pub(super) fn made(&self) -> OfferNumber {
        self.made
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (OfferNumber, &LiveOffer)> {
        self.live.iter().map(|(number, offer)| (*number, offer))
    }

    /// Returns the time at which the next live offer times out.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// Returns the resources of a live offer; empty if there is no such offer.
    pub(super) fn resources(&self, number: OfferNumber) -> Resources {
        self.live.get(&number).map_or_else(Resources::new, |offer| offer.holding.resources.clone())
    }

    /// Checks numbers that come from a snapshot.
    pub(super) fn check(&self) -> Result<(), SnapshotError> {
        check_count("offers", self.made)?;
        match self.live.last_key_value().filter(|(number, _)| **number > self.made) {
            Some((number, _)) => Err(SnapshotError::Count { kind: "offers", found: *number, most: self.made }),
            None => Ok(()),
        }
    }

    /// Returns the offers that time out up to `time`, in order of making.
    fn timed_out(&self, time: Time) -> Vec<OfferNumber> {
        let due = self.timeouts.iter().take_while(|(at, _)| *at <= time);
        let mut numbers: Vec<OfferNumber> = due.map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn insert(&mut self, number: OfferNumber, offer: LiveOffer) {
        self.of_agents.entry(offer.holding.agent.clone()).or_default().push(number);
        self.timeouts.extend(offer.times_out_at.map(|at| (at, number)));
        self.live.insert(number, offer);
    }

    fn remove(&mut self, number: OfferNumber) -> Option<LiveOffer> {
        let offer = self.live.remove(&number)?;
        if let Some(at) = offer.times_out_at {
            self.timeouts.remove(&(at, number));
        }
        if let indexmap::map::Entry::Occupied(mut entry) = self.of_agents.entry(offer.holding.agent.clone()) {
            entry.get_mut().retain(|other| *other != number);
            if entry.get().is_empty() {
                entry.swap_remove();
            }
        }
        Some(offer)
    }

    /// Returns the live offers of an agent, in order of making.
    pub(super) fn of_agent(&self, agent: &AgentId) -> Vec<OfferNumber> {
        let mut numbers = self.of_agents.get(agent).map_or_else(Vec::new, |numbers| numbers.to_vec());
        numbers.sort_unstable();
        numbers
    }

    /// Returns a live offer, if it is one.
    pub(super) fn get(&self, number: OfferNumber) -> Option<&LiveOffer> {
        self.live.get(&number)
    }

    /// Returns the offers that match.
    pub(super) fn select(&self, matches: impl Fn(&LiveOffer) -> bool) -> Vec<OfferNumber> {
        self.iter().filter(|(_, offer)| matches(offer)).map(|(number, _)| number).collect()
    }
}

impl<A: Allocator> Master<A> {
    /// Runs an allocation, of one agent or of all, and makes an offer of each holding that the allocator returns.
    pub(super) fn make_offers(&mut self, agent: Option<&AgentId>) {
        if self.recovery.holds_back() {
            return;
        }
        for holding in self.allocator.allocate(self.now, agent) {
            self.offers.made += 1;
            let number = self.offers.made;
            let agent = self.agents.get(&holding.agent).expect("the allocator offers agents that are registered");
            let executors = if self.executors.is_empty() {
                Vec::new()
            } else {
                self.executors.ids(&holding.framework, &holding.agent)
            };
            self.emit(Effect::Offer(Offer {
                id: self.offer_id(number),
                framework: holding.framework.clone(),
                role: holding.role.clone(),
                agent: holding.agent.clone(),
                hostname: agent.hostname.clone(),
                resources: holding.resources.clone(),
                attributes: agent.attributes.clone(),
                domain: agent.domain.clone(),
                unavailability: agent.unavailability,
                executors,
                details: Details::new(),
            }));
            self.note_offer(&holding.framework);
            let entry = self.frameworks.get(&holding.framework);
            let times_out_at = self.times_out_at(entry);
            let is_requested = entry.is_some_and(|entry| entry.suppressed.contains(&holding.role));
            self.offers.insert(number, LiveOffer { holding, made_at: self.now, times_out_at, is_requested });
        }
        self.make_inverse_offers(agent);
    }

    pub(super) fn offer_id(&self, number: OfferNumber) -> OfferId {
        offer_id(&self.config.id_prefix, 'O', number)
    }

    fn find_offer(&self, id: &OfferId) -> Option<(OfferNumber, &LiveOffer)> {
        let number = number_of(&self.config.id_prefix, 'O', id)?;
        Some((number, self.offers.live.get(&number)?))
    }

    /// Returns those of the named offers that are live and the framework's own, each once.
    pub(super) fn live_offers(&self, framework: &FrameworkId, ids: &[OfferId]) -> Vec<OfferNumber> {
        let mut named = BTreeSet::new();
        let found = ids.iter().filter_map(|id| self.find_offer(id));
        let own = found.filter(|(_, offer)| offer.holding.framework == *framework).map(|(number, _)| number);
        own.filter(|number| named.insert(*number)).collect()
    }

    /// Looks up the live offers that a framework answers; each must be its own and be named once.
    pub(super) fn owned_offers(
        &self,
        framework: &FrameworkId,
        ids: &[OfferId],
    ) -> Result<Vec<OfferNumber>, CommandError> {
        let mut named = BTreeSet::new();
        let mut numbers = Vec::with_capacity(ids.len());
        for id in ids {
            let Some((number, offer)) = self.find_offer(id) else { return Err(CommandError::UnknownOffer(id.clone())) };
            let to = &offer.holding.framework;
            if to != framework {
                let (offer, to, framework) = (id.clone(), to.clone(), framework.clone());
                return Err(CommandError::OfferNotOwned { offer, to, framework });
            }
            if !named.insert(number) {
                return Err(CommandError::DuplicateOffer(id.clone()));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    pub(super) fn decline(
        &mut self,
        framework: &FrameworkId,
        offers: &[OfferId],
        filters: Filters,
        each: bool,
    ) -> Result<(), CommandError> {
        let numbers = if each { self.live_offers(framework, offers) } else { self.owned_offers(framework, offers)? };
        for number in numbers {
            if let Some(holding) = self.end_offer(number, OfferEnd::Declined) {
                self.refuse(holding, filters)?;
            }
        }
        Ok(())
    }

    /// Adds up the holdings of several offers, which must be of one agent and one role.
    pub(super) fn combine(&self, numbers: &[OfferNumber]) -> Result<Holding, CommandError> {
        let (first, others) = numbers.split_first().ok_or(CommandError::NoOffers)?;
        let mut sum = self.offers.live[first].holding.clone();
        for other in others {
            let holding = &self.offers.live[other].holding;
            if (&holding.agent, &holding.role) != (&sum.agent, &sum.role) {
                let (first, other) = (self.offer_id(*first), self.offer_id(*other));
                return Err(CommandError::OffersNotCombinable { first, other });
            }
            sum.resources.insert(&holding.resources);
        }
        Ok(sum)
    }

    /// Ends offers of one agent and role, `offered` in all: converts part of them, and allocates what the launched tasks use.
    pub(super) fn end_offers(
        &mut self,
        offered: &Holding,
        numbers: &[OfferNumber],
        conversions: &[Conversion],
        tasks: &[Resources],
    ) -> Result<(), CommandError> {
        let Holding { framework, role, agent, .. } = offered;
        let offers: Vec<&Resources> =
            numbers.iter().map(|number| &self.offers.live[number].holding.resources).collect();
        let tasks: Vec<&Resources> = tasks.iter().collect();
        let ended = EndedOffers { framework, role, agent, offers: &offers, conversions, tasks: &tasks };
        self.allocator.apply(Change::EndOffers(ended))?;
        let is_used = !(tasks.is_empty() && conversions.is_empty());
        for number in numbers {
            if let Some(offer) = self.offers.remove(*number) {
                self.note_end(*number, &offer, if is_used { OfferEnd::Accepted } else { OfferEnd::Declined });
                if !is_used {
                    self.reopen(*number, &offer);
                }
            }
        }
        Ok(())
    }

    /// Ends an offer of which nothing is used.
    pub(super) fn end_offer(&mut self, number: OfferNumber, end: OfferEnd) -> Option<Holding> {
        let offer = self.offers.remove(number)?;
        self.note_end(number, &offer, end);
        let Holding { framework, role, agent, resources } = &offer.holding;
        let ended = EndedOffers { framework, role, agent, offers: &[resources], conversions: &[], tasks: &[] };
        self.allocator.apply(Change::EndOffers(ended)).expect("the allocator made the offer, and it was live");
        self.reopen(number, &offer);
        Some(offer.holding)
    }

    /// Adds a refusal of the unused resources, which lasts at least until the next batch.
    pub(super) fn refuse(&mut self, unused: Holding, filters: Filters) -> Result<(), CommandError> {
        if !filters.refuse.is_zero() && !unused.resources.is_empty() {
            let until = self.now + filters.refuse.max(self.config.allocation_interval);
            self.allocator.apply(Change::Refuse { refused: &unused, until })?;
        }
        Ok(())
    }

    /// Rescinds the live offers that match, in order of making.
    pub(super) fn rescind(&mut self, matches: impl Fn(&LiveOffer) -> bool) {
        let numbers = self.offers.select(matches);
        self.rescind_all(numbers, OfferEnd::Rescinded);
    }

    /// Rescinds the live offers of an agent, in order of making.
    pub(super) fn rescind_of_agent(&mut self, agent: &AgentId) {
        self.rescind_all(self.offers.of_agent(agent), OfferEnd::Rescinded);
    }

    /// Returns the time at which an offer or inverse offer that is made to a framework now times out.
    pub(super) fn times_out_at(&self, framework: Option<&FrameworkEntry>) -> Option<Time> {
        match framework.and_then(|entry| entry.framework.offer_timeout) {
            Some(Duration::ZERO) => None,
            Some(timeout) => Some(self.now + timeout),
            None => self.config.offer_timeout.map(|timeout| self.now + timeout),
        }
    }

    /// Rescinds the live offers that time out now. Each may leave a refusal behind.
    pub(super) fn rescind_timed_out(&mut self) -> Result<(), CommandError> {
        let filters = Filters::refuse_for(self.config.timeout_refusal);
        for number in self.offers.timed_out(self.now) {
            if let Some(holding) = self.rescind_offer(number, OfferEnd::TimedOut) {
                self.refuse(holding, filters)?;
            }
        }
        Ok(())
    }

    pub(super) fn rescind_all(&mut self, numbers: Vec<OfferNumber>, end: OfferEnd) {
        for number in numbers {
            self.rescind_offer(number, end);
        }
    }

    fn rescind_offer(&mut self, number: OfferNumber, end: OfferEnd) -> Option<Holding> {
        let holding = self.end_offer(number, end)?;
        let offer = self.offer_id(number);
        self.emit(Effect::Rescind { offer, framework: holding.framework.clone() });
        Some(holding)
    }

    /// Ends the offers of a framework that is being removed, without rescinding them.
    pub(super) fn drop_offers(&mut self, framework: &FrameworkId) {
        for number in self.offers.select(|offer| offer.holding.framework == *framework) {
            self.end_offer(number, OfferEnd::Void);
        }
    }
}
