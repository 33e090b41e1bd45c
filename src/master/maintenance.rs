//! Maintenance: the unavailability of machines, and the inverse offers for agents that will be down.

use super::offers::{number_of, offer_id};
use super::{CommandError, Effect, Master};
use crate::agent::{Agent, Unavailability};
use crate::allocator::{Allocator, AllocatorError, SnapshotError, check_count};
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::offer::{Filters, InverseOffer};
use crate::text::Text;
use crate::time::Time;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The maintenance windows of machines, the live inverse offers by number, and the refusals of earlier ones with an index
/// by expiry.
#[derive(Debug, Clone, Default)]
pub(super) struct Maintenance {
    /// By hostname: a window belongs to the machine and outlives its agents.
    windows: IndexMap<Text, Unavailability>,
    live: BTreeMap<u64, LiveInverseOffer>,
    /// Those of `live` that time out, by when they do.
    timeouts: BTreeSet<(Time, u64)>,
    /// The number of every entry of `live`, by agent and framework.
    asked: BTreeMap<(AgentId, FrameworkId), u64>,
    made: u64,
    /// The agents with a scheduled maintenance.
    scheduled: IndexSet<AgentId>,
    refused: BTreeMap<(AgentId, FrameworkId), Time>,
    /// Every entry of `refused`, in order of expiry.
    expiries: BTreeSet<(Time, FrameworkId, AgentId)>,
    /// Dirty flag: the next batch may have to make an inverse offer.
    dirty: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveInverseOffer {
    framework: FrameworkId,
    agent: AgentId,
    /// The time at which it is rescinded if it is not answered; `None` = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times_out_at: Option<Time>,
}

/// Maintenance in a snapshot.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SavedMaintenance {
    windows: BTreeMap<Text, Unavailability>,
    live: BTreeMap<u64, LiveInverseOffer>,
    made: u64,
    refused: Vec<(FrameworkId, AgentId, Time)>,
    dirty: bool,
}

impl Maintenance {
    pub(super) fn save(&self) -> SavedMaintenance {
        let refused = self.refused.iter().map(|((agent, framework), until)| (framework.clone(), agent.clone(), *until));
        let mut refused: Vec<_> = refused.collect();
        refused.sort_unstable();
        SavedMaintenance {
            windows: self.windows.iter().map(|(hostname, window)| (hostname.clone(), *window)).collect(),
            live: self.live.clone(),
            made: self.made,
            refused,
            dirty: self.dirty,
        }
    }

    /// Restores what was saved. The agents are [scheduled](Self::schedule) by the caller.
    pub(super) fn restore(saved: SavedMaintenance) -> Result<Self, SnapshotError> {
        let SavedMaintenance { windows, live, made, refused, dirty } = saved;
        let mut maintenance = Self { made: check_count("inverse offers", made)?, dirty, ..Self::default() };
        maintenance.windows = windows.into_iter().collect();
        for (number, offer) in live {
            if number > made {
                return Err(SnapshotError::Count { kind: "inverse offers", found: number, most: made });
            }
            if maintenance.asked.insert((offer.agent.clone(), offer.framework.clone()), number).is_some() {
                return Err(SnapshotError::repeated("the inverse offer of agent", offer.agent.as_str()));
            }
            maintenance.timeouts.extend(offer.times_out_at.map(|at| (at, number)));
            maintenance.live.insert(number, offer);
        }
        for (framework, agent, until) in refused {
            if maintenance.refused.insert((agent.clone(), framework.clone()), until).is_some() {
                return Err(SnapshotError::repeated("the refusal of agent", agent.as_str()));
            }
            maintenance.expiries.insert((until, framework, agent));
        }
        Ok(maintenance)
    }

    /// Returns the maintenance window of a machine.
    pub(super) fn window(&self, hostname: &Text) -> Option<Unavailability> {
        self.windows.get(hostname).copied()
    }

    fn set_window(&mut self, hostname: &Text, window: Option<Unavailability>) {
        match window {
            Some(window) => {
                self.windows.insert(hostname.clone(), window);
            }
            None => {
                self.windows.shift_remove(hostname);
            }
        }
    }

    /// Schedules or cancels the maintenance of an agent.
    pub(super) fn schedule(&mut self, agent: &AgentId, unavailability: Option<Unavailability>) {
        if unavailability.is_some() {
            self.scheduled.insert(agent.clone());
        } else {
            self.scheduled.swap_remove(agent);
        }
    }

    /// Makes the next batch reconsider inverse offers, if any maintenance is scheduled.
    pub(super) fn mark_dirty(&mut self) {
        self.dirty = !self.scheduled.is_empty();
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Returns the time at which the next live inverse offer times out.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// Returns the time at which the next refusal expires.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.expiries.first().map(|(until, ..)| *until)
    }

    /// Removes the refusals that have expired by `at`.
    pub(super) fn expire(&mut self, at: Time) {
        while self.expiries.first().is_some_and(|(until, ..)| *until <= at) {
            if let Some((_, framework, agent)) = self.expiries.pop_first() {
                self.refused.remove(&(agent, framework));
            }
            self.mark_dirty();
        }
    }

    /// Removes the refusals of a framework. O(refusals).
    pub(super) fn clear_refusals_of_framework(&mut self, framework: &FrameworkId) {
        self.refused.retain(|(_, refusing), _| refusing != framework);
        self.expiries.retain(|(_, refusing, _)| refusing != framework);
    }

    /// Removes the refusals to give an agent back. O(refusals of it · log refusals).
    pub(super) fn clear_refusals_of_agent(&mut self, agent: &AgentId) {
        let refused: Vec<_> =
            of_agent(&self.refused, agent).map(|(framework, until)| (framework.clone(), *until)).collect();
        for (framework, until) in refused {
            let refusal = (agent.clone(), framework);
            self.refused.remove(&refusal);
            let (agent, framework) = refusal;
            self.expiries.remove(&(until, framework, agent));
        }
    }

    /// Drops the inverse offers and refusals of a framework that is being removed, without rescinding them.
    pub(super) fn drop_framework(&mut self, framework: &FrameworkId) {
        let dropped = self.live.iter().filter(|(_, offer)| offer.framework == *framework);
        for number in dropped.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.remove(number);
        }
        self.clear_refusals_of_framework(framework);
    }

    fn add(&mut self, framework: FrameworkId, agent: AgentId, times_out_at: Option<Time>) -> u64 {
        self.made += 1;
        self.asked.insert((agent.clone(), framework.clone()), self.made);
        self.timeouts.extend(times_out_at.map(|at| (at, self.made)));
        self.live.insert(self.made, LiveInverseOffer { framework, agent, times_out_at });
        self.made
    }

    fn remove(&mut self, number: u64) -> Option<(FrameworkId, AgentId)> {
        let LiveInverseOffer { framework, agent, times_out_at } = self.live.remove(&number)?;
        if let Some(at) = times_out_at {
            self.timeouts.remove(&(at, number));
        }
        let asked = (agent, framework);
        self.asked.remove(&asked);
        let (agent, framework) = asked;
        Some((framework, agent))
    }
}

impl<A: Allocator> Master<A> {
    /// Sets the maintenance window of the agent's machine, for all agents on it.
    pub(super) fn set_maintenance(
        &mut self,
        id: &AgentId,
        unavailability: Option<Unavailability>,
    ) -> Result<(), CommandError> {
        let Some(agent) = self.agents.get(id) else { return Err(AllocatorError::UnknownAgent(id.clone()).into()) };
        let hostname = agent.hostname.clone();
        self.change_window(&hostname, unavailability, None);
        Ok(())
    }

    /// Sets the maintenance window of a machine. The agents on it, in order of registration, are offered anew, all but
    /// `except`.
    pub(super) fn change_window(&mut self, hostname: &Text, window: Option<Unavailability>, except: Option<&AgentId>) {
        self.maintenance.set_window(hostname, window);
        let on_it = self.agents.on_machine(hostname);
        for before in on_it.into_iter().filter(|agent| except != Some(&agent.id)) {
            let id = &before.id;
            self.rescind_of_agent(id);
            self.rescind_inverse_of_agent(id);
            self.maintenance.clear_refusals_of_agent(id);
            self.maintenance.schedule(id, window);
            let agent = Agent { unavailability: window, ..Agent::clone(&before) };
            self.agents.insert(Arc::new(agent));
            self.make_offers(Some(id));
        }
    }

    /// Makes an inverse offer to every framework with a task or an offer of an agent that will be down, unless it has one
    /// or refuses it. Considers only `agent`, if one is given.
    pub(super) fn make_inverse_offers(&mut self, agent: Option<&AgentId>) {
        let agents: Vec<AgentId> = match agent {
            Some(agent) => self.maintenance.scheduled.get(agent).into_iter().cloned().collect(),
            None => {
                self.maintenance.dirty = false;
                let mut agents: Vec<AgentId> = self.maintenance.scheduled.iter().cloned().collect();
                agents.sort_by_cached_key(|agent| self.agents.place(agent)); // in order of registration, as offers
                agents
            }
        };
        if agents.is_empty() {
            return;
        }
        for (agent, holders) in self.holders_on(agents) {
            let active = self.allocator.agent(&agent).is_some_and(|account| account.active);
            let Some(unavailability) = self.agents.get(&agent).and_then(|agent| agent.unavailability) else { continue };
            for framework in holders {
                let connected = self.framework(&framework).is_ok_and(|entry| entry.active);
                let key = (agent.clone(), framework);
                let refused = self.maintenance.refused.contains_key(&key);
                if !active || !connected || refused || self.maintenance.asked.contains_key(&key) {
                    continue;
                }
                let (agent, framework) = key;
                let times_out_at = self.times_out_at(self.frameworks.get(&framework));
                let number = self.maintenance.add(framework.clone(), agent.clone(), times_out_at);
                let id = self.inverse_id(number);
                self.emit(Effect::InverseOffer(InverseOffer::new(id, framework, agent, unavailability)));
            }
        }
    }

    /// Returns the frameworks that hold something on each of these agents: first those with tasks, in order of launching,
    /// then those with offers, in order of making.
    fn holders_on(&self, agents: Vec<AgentId>) -> IndexMap<AgentId, IndexSet<FrameworkId>> {
        let holders = agents.into_iter().map(|agent| {
            let mut frameworks = self.tasks.frameworks_on(&agent);
            let offers = self.offers.of_agent(&agent).into_iter().filter_map(|number| self.offers.get(number));
            frameworks.extend(offers.map(|offer| offer.holding.framework.clone()));
            (agent, frameworks)
        });
        holders.collect()
    }

    /// Returns the framework that a live inverse offer was made to, and the agent whose resources it asks for.
    #[must_use]
    pub fn inverse_offer(&self, id: &OfferId) -> Option<(&FrameworkId, &AgentId)> {
        let number = number_of(&self.config.id_prefix, 'I', id)?;
        self.maintenance.live.get(&number).map(|offer| (&offer.framework, &offer.agent))
    }

    fn inverse_id(&self, number: u64) -> OfferId {
        offer_id(&self.config.id_prefix, 'I', number)
    }

    /// Ends the inverse offers that a framework has accepted or declined. Either way there will be another one when the
    /// filter of the answer expires.
    pub(super) fn answer_inverse(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
        each: bool,
    ) -> Result<(), CommandError> {
        let mut answered = BTreeSet::new();
        for id in ids {
            let number = number_of(&self.config.id_prefix, 'I', id);
            let found = number.and_then(|number| Some((number, self.maintenance.live.get(&number)?)));
            if each {
                let own = found.filter(|(_, offer)| offer.framework == *framework);
                answered.extend(own.map(|(number, _)| number));
                continue;
            }
            let Some((number, offer)) = found else { return Err(CommandError::UnknownOffer(id.clone())) };
            if offer.framework != *framework {
                let (to, framework) = (offer.framework.clone(), framework.clone());
                return Err(CommandError::OfferNotOwned { offer: id.clone(), to, framework });
            }
            if !answered.insert(number) {
                return Err(CommandError::DuplicateOffer(id.clone()));
            }
        }
        self.end_inverse(answered, filters);
        Ok(())
    }

    fn end_inverse(&mut self, answered: BTreeSet<u64>, filters: Filters) {
        for number in answered {
            let Some((framework, agent)) = self.maintenance.remove(number) else { continue };
            if !filters.refuse.is_zero() {
                let until = self.now + filters.refuse.max(self.config.allocation_interval);
                self.maintenance.refused.insert((agent.clone(), framework.clone()), until);
                self.maintenance.expiries.insert((until, framework, agent));
            }
        }
    }

    /// Rescinds the live inverse offers to a framework, in order of making.
    pub(super) fn rescind_inverse_of_framework(&mut self, framework: &FrameworkId) {
        let live = self.maintenance.live.iter().filter(|(_, offer)| offer.framework == *framework);
        let numbers = live.map(|(number, _)| *number).collect();
        self.rescind_inverse_all(numbers);
    }

    /// Rescinds the live inverse offers of an agent, in order of making.
    pub(super) fn rescind_inverse_of_agent(&mut self, agent: &AgentId) {
        let mut numbers: Vec<u64> = of_agent(&self.maintenance.asked, agent).map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        self.rescind_inverse_all(numbers);
    }

    /// Rescinds the live inverse offers that time out now. The next batch may make them again.
    pub(super) fn rescind_inverse_timed_out(&mut self) {
        let due = self.maintenance.timeouts.iter().take_while(|(at, _)| *at <= self.now);
        let mut numbers: Vec<u64> = due.map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        if !numbers.is_empty() {
            self.maintenance.mark_dirty();
        }
        self.rescind_inverse_all(numbers);
    }

    fn rescind_inverse_all(&mut self, numbers: Vec<u64>) {
        for number in numbers {
            if let Some((framework, _)) = self.maintenance.remove(number) {
                let offer = self.inverse_id(number);
                self.emit(Effect::RescindInverseOffer { offer, framework });
            }
        }
    }
}

/// Returns the entries of an agent.
fn of_agent<'m, V>(
    map: &'m BTreeMap<(AgentId, FrameworkId), V>,
    agent: &'m AgentId,
) -> impl Iterator<Item = (&'m FrameworkId, &'m V)> {
    let entries = map.range((agent.clone(), FrameworkId::from(""))..); // no framework is before the empty id
    entries.take_while(move |((of, _), _)| of == agent).map(|((_, framework), value)| (framework, value))
}
