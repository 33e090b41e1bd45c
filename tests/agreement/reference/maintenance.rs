//! Maintenance: frameworks are asked to give back what their tasks hold on agents that will be down.

use super::{Reference, Refused};
use apportion::{AgentId, Effect, Filters, FrameworkId, InverseOffer, OfferId, Time, Unavailability};

/// A framework does not want to be asked again for a while, whatever its answer was.
#[derive(Debug, Clone)]
pub(crate) struct InverseRefusal {
    pub(crate) framework: FrameworkId,
    pub(crate) agent: AgentId,
    pub(crate) until: Time,
}

impl Reference {
    pub(super) fn set_maintenance(
        &mut self,
        id: &AgentId,
        unavailability: Option<Unavailability>,
    ) -> Result<(), Refused> {
        self.agent(id).ok_or("no such agent")?;
        self.rescind(|offer| offer.held.agent == *id);
        self.rescind_inverse(|_, agent| agent == id);
        self.inverse_refusals.retain(|refusal| refusal.agent != *id);
        for known in self.agents.iter_mut().filter(|known| known.agent.id == *id) {
            known.agent.unavailability = unavailability;
        }
        self.untrack_idle();
        self.allocate(Some(id));
        Ok(())
    }

    /// After every allocation: asks each framework with tasks on an agent that will be down, once.
    pub(super) fn ask_back(&mut self, only: Option<&AgentId>) {
        for known in self.agents.clone() {
            let id = &known.agent.id;
            let Some(unavailability) = known.agent.unavailability.filter(|_| known.active) else { continue };
            if only.is_some_and(|only| only != id) {
                continue;
            }
            for task in self.tasks.clone().into_iter().filter(|task| task.held.agent == *id) {
                let framework = task.held.framework;
                let reachable = self.framework(&framework).is_some_and(|known| known.active);
                let asked = self.inverse_offers.iter().any(|(_, to, on)| (to, on) == (&framework, id));
                let refused =
                    self.inverse_refusals.iter().any(|other| (&other.framework, &other.agent) == (&framework, id));
                if !reachable || asked || refused {
                    continue;
                }
                self.inverse_offers_made += 1;
                self.inverse_offers.push((self.inverse_offers_made, framework.clone(), id.clone()));
                let (number, agent) = (id_of(self.inverse_offers_made), id.clone());
                self.emit(Effect::InverseOffer(InverseOffer::new(number, framework, agent, unavailability)));
            }
        }
    }

    pub(super) fn answer_inverse(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
    ) -> Result<(), Refused> {
        self.framework(framework).ok_or("no such framework")?;
        for (i, id) in ids.iter().enumerate() {
            let live = self.inverse_offers.iter().find(|(number, ..)| id_of(*number) == *id);
            if live.is_none_or(|(_, to, _)| to != framework) || ids[..i].contains(id) {
                return Err("no such inverse offer, or not its own, or twice");
            }
        }
        for (number, framework, agent) in self.inverse_offers.clone() {
            if ids.contains(&id_of(number)) {
                self.inverse_offers.retain(|(other, ..)| *other != number);
                if !filters.refuse.is_zero() {
                    let until = self.now + filters.refuse.max(self.config.allocation_interval);
                    self.inverse_refusals.push(InverseRefusal { framework, agent, until });
                }
            }
        }
        Ok(())
    }

    /// Takes back inverse offers, in order of making.
    pub(super) fn rescind_inverse(&mut self, which: impl Fn(&FrameworkId, &AgentId) -> bool) {
        for (number, framework, agent) in self.inverse_offers.clone() {
            if which(&framework, &agent) {
                self.inverse_offers.retain(|(other, ..)| *other != number);
                self.emit(Effect::RescindInverseOffer { offer: id_of(number), framework });
            }
        }
    }
}

pub(crate) fn id_of(number: u64) -> OfferId {
    format!("I{number}").into()
}
