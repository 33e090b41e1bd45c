//! Maintenance: agents that will be down, and the asking for what tasks hold of them.

use super::{CommandError, Effect, Master};
use crate::agent::{Agent, Unavailability};
use crate::allocator::{Allocator, AllocatorError};
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::offer::{Filters, InverseOffer};
use crate::time::Time;
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All live inverse offers, and what was answered to those before.
#[derive(Debug, Clone, Default)]
pub(super) struct Maintenance {
    live: BTreeMap<u64, (FrameworkId, AgentId)>,
    made: u64,
    /// The agents that will be down.
    planned: IndexSet<AgentId>,
    refused: IndexMap<(FrameworkId, AgentId), Time>,
    ends: BTreeSet<(Time, FrameworkId, AgentId)>,
    /// Whether the next batch could come to an inverse offer.
    due: bool,
}

fn inverse_id(number: u64) -> OfferId {
    OfferId::from(format!("I{number}"))
}

fn number_of(id: &OfferId) -> Option<u64> {
    let number = id.as_str().strip_prefix('I')?.parse().ok()?;
    (inverse_id(number) == *id).then_some(number)
}

impl Maintenance {
    /// Takes note of when an agent will be down.
    pub(super) fn plan(&mut self, agent: &AgentId, unavailability: Option<Unavailability>) {
        if unavailability.is_some() {
            self.planned.insert(agent.clone());
        } else {
            self.planned.shift_remove(agent);
        }
    }

    /// Something has changed: the next batch asks whoever is to be asked, if any agent will be down.
    pub(super) fn look_again(&mut self) {
        self.due = !self.planned.is_empty();
    }

    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// When the next refusal ends.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.ends.first().map(|(until, ..)| *until)
    }

    pub(super) fn expire(&mut self, at: Time) {
        while self.ends.first().is_some_and(|(until, ..)| *until <= at) {
            if let Some((_, framework, agent)) = self.ends.pop_first() {
                self.refused.swap_remove(&(framework, agent));
            }
            self.look_again();
        }
    }

    /// Forgets all refusals for which that holds.
    pub(super) fn forget(&mut self, which: impl Fn(&FrameworkId, &AgentId) -> bool) {
        self.refused.retain(|(framework, agent), _| !which(framework, agent));
        self.ends.retain(|(_, framework, agent)| !which(framework, agent));
    }

    /// Ends all inverse offers to a framework that is about to leave, without a word to it.
    pub(super) fn drop_framework(&mut self, framework: &FrameworkId) {
        self.live.retain(|_, (to, _)| to != framework);
        self.forget(|refused, _| refused == framework);
    }

    fn is_asked(&self, framework: &FrameworkId, agent: &AgentId) -> bool {
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
        self.rescind_inverse(|_, agent| agent == id);
        self.maintenance.forget(|_, agent| agent == id);
        self.maintenance.plan(id, unavailability);
        self.agents.insert(id.clone(), Arc::new(agent));
        self.make_offers(Some(id));
        Ok(())
    }

    /// Asks for what tasks hold on agents that will be down; only of `agent`, if one is given.
    pub(super) fn ask_back(&mut self, agent: Option<&AgentId>) {
        let asked: Vec<AgentId> = match agent {
            Some(agent) => self.maintenance.planned.get(agent).into_iter().cloned().collect(),
            None => {
                self.maintenance.due = false;
                let mut planned: Vec<AgentId> = self.maintenance.planned.iter().cloned().collect();
                planned.sort_by_cached_key(|agent| self.agents.get_index_of(agent)); // as offers: in order of coming
                planned
            }
        };
        for agent in asked {
            let active = self.allocator.agent(&agent).is_some_and(|account| account.active);
            let Some(unavailability) = self.agents.get(&agent).and_then(|agent| agent.unavailability) else { continue };
            for framework in self.tasks.frameworks_on(&agent) {
                let reachable = self.framework(&framework).is_ok_and(|entry| entry.active);
                let refused = self.maintenance.refused.contains_key(&(framework.clone(), agent.clone()));
                if !active || !reachable || refused || self.maintenance.is_asked(&framework, &agent) {
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

    /// Takes an answer to inverse offers: a yes or a no, either is asked again when its refusal ends.
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
                return Err(CommandError::NotItsOffer { offer: id.clone(), to, framework: framework.clone() });
            }
            if answered.insert(number, agent).is_some() {
                return Err(CommandError::OfferTwice(id.clone()));
            }
        }
        for (number, agent) in answered {
            self.maintenance.live.remove(&number);
            if !filters.refuse.is_zero() {
                let until = self.now + filters.refuse.max(self.config.allocation_interval);
                self.maintenance.refused.insert((framework.clone(), agent.clone()), until);
                self.maintenance.ends.insert((until, framework.clone(), agent));
            }
        }
        Ok(())
    }

    /// Takes back all live inverse offers for which that holds, in order of making.
    pub(super) fn rescind_inverse(&mut self, which: impl Fn(&FrameworkId, &AgentId) -> bool) {
        let gone: Vec<_> =
            self.maintenance.live.extract_if(.., |_, (framework, agent)| which(framework, agent)).collect();
        for (number, (framework, _)) in gone {
            self.emit(Effect::RescindInverseOffer { offer: inverse_id(number), framework });
        }
    }
}
