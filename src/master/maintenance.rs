//! Maintenance: the inverse offers for agents that will be down.

use super::{CommandError, Effect, Master};
use crate::agent::{Agent, Unavailability};
use crate::allocator::{Allocator, AllocatorError};
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::offer::{Filters, InverseOffer};
use crate::time::Time;
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The live inverse offers by number, and the refusals of earlier ones with an index by expiry.
#[derive(Debug, Clone, Default)]
pub(super) struct Maintenance {
    live: BTreeMap<u64, (FrameworkId, AgentId)>,
    made: u64,
    /// The agents with a scheduled maintenance.
    scheduled: IndexSet<AgentId>,
    refused: IndexMap<(FrameworkId, AgentId), Time>,
    /// Every entry of `refused`, in order of expiry.
    expiries: BTreeSet<(Time, FrameworkId, AgentId)>,
    /// Dirty flag: the next batch may have to make an inverse offer.
    dirty: bool,
}

fn inverse_id(number: u64) -> OfferId {
    OfferId::from(format!("I{number}"))
}

fn number_of(id: &OfferId) -> Option<u64> {
    let number = id.as_str().strip_prefix('I')?.parse().ok()?;
    (inverse_id(number) == *id).then_some(number)
}

impl Maintenance {
    /// Schedules or cancels the maintenance of an agent.
    pub(super) fn schedule(&mut self, agent: &AgentId, unavailability: Option<Unavailability>) {
        if unavailability.is_some() {
            self.scheduled.insert(agent.clone());
        } else {
            self.scheduled.shift_remove(agent);
        }
    }

    /// Makes the next batch reconsider inverse offers, if any maintenance is scheduled.
    pub(super) fn mark_dirty(&mut self) {
        self.dirty = !self.scheduled.is_empty();
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Returns the time at which the next refusal expires.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.expiries.first().map(|(until, ..)| *until)
    }

    /// Removes the refusals that have expired by `at`.
    pub(super) fn expire(&mut self, at: Time) {
        while self.expiries.first().is_some_and(|(until, ..)| *until <= at) {
            if let Some((_, framework, agent)) = self.expiries.pop_first() {
                self.refused.swap_remove(&(framework, agent));
            }
            self.mark_dirty();
        }
    }

    /// Removes the refusals that match.
    pub(super) fn clear_refusals(&mut self, matches: impl Fn(&FrameworkId, &AgentId) -> bool) {
        self.refused.retain(|(framework, agent), _| !matches(framework, agent));
        self.expiries.retain(|(_, framework, agent)| !matches(framework, agent));
    }

    /// Drops the inverse offers and refusals of a framework that is being removed, without rescinding them.
    pub(super) fn drop_framework(&mut self, framework: &FrameworkId) {
        self.live.retain(|_, (to, _)| to != framework);
        self.clear_refusals(|refusing, _| refusing == framework);
    }

    fn has_live(&self, framework: &FrameworkId, agent: &AgentId) -> bool {
        self.live.values().any(|(to, on)| to == framework && on == agent)
    }
}

impl<A: Allocator> Master<A> {
    pub(super) fn set_maintenance(
        &mut self,
        id: &AgentId,
        unavailability: Option<Unavailability>,
    ) -> Result<(), CommandError> {
        let Some(before) = self.agents.get(id) else { return Err(AllocatorError::UnknownAgent(id.clone()).into()) };
        let agent = Agent { unavailability, ..Agent::clone(before) };
        self.rescind(|offer| offer.holding.agent == *id);
        self.rescind_inverse(|_, asked| asked == id);
        self.maintenance.clear_refusals(|_, refused| refused == id);
        self.maintenance.schedule(id, unavailability);
        self.agents.insert(id.clone(), Arc::new(agent));
        self.make_offers(Some(id));
        Ok(())
    }

    /// Makes an inverse offer to every framework with tasks on an agent that will be down, unless it has one or refuses it.
    /// Considers only `agent`, if one is given.
    pub(super) fn make_inverse_offers(&mut self, agent: Option<&AgentId>) {
        let agents: Vec<AgentId> = match agent {
            Some(agent) => self.maintenance.scheduled.get(agent).into_iter().cloned().collect(),
            None => {
                self.maintenance.dirty = false;
                let mut agents: Vec<AgentId> = self.maintenance.scheduled.iter().cloned().collect();
                agents.sort_by_cached_key(|agent| self.agents.get_index_of(agent)); // in order of registration, as offers
                agents
            }
        };
        for agent in agents {
            let active = self.allocator.agent(&agent).is_some_and(|account| account.active);
            let Some(unavailability) = self.agents.get(&agent).and_then(|agent| agent.unavailability) else { continue };
            for framework in self.tasks.frameworks_on(&agent) {
                let connected = self.framework(&framework).is_ok_and(|entry| entry.active);
                let refused = self.maintenance.refused.contains_key(&(framework.clone(), agent.clone()));
                if !active || !connected || refused || self.maintenance.has_live(&framework, &agent) {
                    continue;
                }
                self.maintenance.made += 1;
                let number = self.maintenance.made;
                self.maintenance.live.insert(number, (framework.clone(), agent.clone()));
                let (id, agent) = (inverse_id(number), agent.clone());
                self.emit(Effect::InverseOffer(InverseOffer::new(id, framework, agent, unavailability)));
            }
        }
    }

    /// Ends the inverse offers that a framework has accepted or declined. Either way there will be another one when the
    /// filter of the answer expires.
    pub(super) fn answer_inverse(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
    ) -> Result<(), CommandError> {
        let mut answered = BTreeMap::new();
        for id in ids {
            let found = number_of(id).and_then(|number| Some((number, self.maintenance.live.get(&number)?.clone())));
            let Some((number, (to, agent))) = found else { return Err(CommandError::UnknownOffer(id.clone())) };
            if to != *framework {
                return Err(CommandError::OfferNotOwned { offer: id.clone(), to, framework: framework.clone() });
            }
            if answered.insert(number, agent).is_some() {
                return Err(CommandError::DuplicateOffer(id.clone()));
            }
        }
        for (number, agent) in answered {
            self.maintenance.live.remove(&number);
            if !filters.refuse.is_zero() {
                let until = self.now + filters.refuse.max(self.config.allocation_interval);
                self.maintenance.refused.insert((framework.clone(), agent.clone()), until);
                self.maintenance.expiries.insert((until, framework.clone(), agent));
            }
        }
        Ok(())
    }

    /// Rescinds the live inverse offers that match, in order of making.
    pub(super) fn rescind_inverse(&mut self, matches: impl Fn(&FrameworkId, &AgentId) -> bool) {
        let rescinded: Vec<_> =
            self.maintenance.live.extract_if(.., |_, (framework, agent)| matches(framework, agent)).collect();
        for (number, (framework, _)) in rescinded {
            self.emit(Effect::RescindInverseOffer { offer: inverse_id(number), framework });
        }
    }
}
