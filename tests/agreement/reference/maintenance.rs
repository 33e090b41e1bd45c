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

#[derive(Debug, Clone)]
pub(crate) struct LiveInverseOffer {
    /// The `1` of `I1`.
    pub(crate) number: u64,
    pub(crate) times_out_at: Option<Time>,
    pub(crate) framework: FrameworkId,
    pub(crate) agent: AgentId,
}

impl Reference {
    /// The machine will be down, and so all agents on it.
    pub(super) fn set_maintenance(
        &mut self,
        id: &AgentId,
        unavailability: Option<Unavailability>,
    ) -> Result<(), Refused> {
        let hostname = self.agent(id).ok_or("no such agent")?.agent.hostname.to_string();
        self.change_window(&hostname, unavailability, None);
        Ok(())
    }

    /// Offers each agent on a machine anew, with its new window; `but` is an agent that is only just coming.
    pub(super) fn change_window(&mut self, hostname: &str, window: Option<Unavailability>, but: Option<&AgentId>) {
        self.windows.remove(hostname);
        self.windows.extend(window.map(|window| (hostname.to_owned(), window)));
        let on_it = self.agents.iter().map(|known| &known.agent).filter(|agent| agent.hostname == hostname);
        let ids: Vec<AgentId> = on_it.map(|agent| agent.id.clone()).filter(|id| but != Some(id)).collect();
        for id in ids {
            self.rescind(|offer| offer.held.agent == id);
            self.rescind_inverse(|offer| offer.agent == id);
            self.inverse_refusals.retain(|refusal| refusal.agent != id);
            for known in self.agents.iter_mut().filter(|known| known.agent.id == id) {
                known.agent.unavailability = window;
            }
            self.untrack_idle();
            self.allocate(Some(&id));
        }
    }

    /// After every allocation: asks each framework that holds something on an agent that will be down, once: first those
    /// with tasks, then those with offers.
    pub(super) fn ask_back(&mut self, only: Option<&AgentId>) {
        for known in self.agents.clone() {
            let id = &known.agent.id;
            let answers = known.active && known.connected && !self.drains.contains_key(id);
            let Some(unavailability) = known.agent.unavailability.filter(|_| answers) else { continue };
            if only.is_some_and(|only| only != id) {
                continue;
            }
            let tasks = self.tasks.iter().map(|task| &task.held);
            let holdings = tasks.chain(self.offers.iter().map(|offer| &offer.held)).filter(|held| held.agent == *id);
            let holders: Vec<FrameworkId> = holdings.map(|held| held.framework.clone()).collect();
            for framework in holders {
                let reachable = self.framework(&framework).is_some_and(|known| known.active);
                let is_it = |to: &FrameworkId, on: &AgentId| (to, on) == (&framework, id);
                let asked = self.inverse_offers.iter().any(|offer| is_it(&offer.framework, &offer.agent));
                let refused = self.inverse_refusals.iter().any(|other| is_it(&other.framework, &other.agent));
                if !reachable || asked || refused {
                    continue;
                }
                self.inverse_offers_made += 1;
                let (number, agent) = (self.inverse_offers_made, id.clone());
                let times_out_at = self.times_out_at(&framework);
                self.inverse_offers.push(LiveInverseOffer {
                    number,
                    times_out_at,
                    framework: framework.clone(),
                    agent,
                });
                let (number, agent) = (self.inverse_offer_id(number), id.clone());
                self.emit(Effect::InverseOffer(InverseOffer::new(number, framework, agent, unavailability)));
            }
        }
    }

    pub(super) fn answer_inverse(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
        each: bool,
    ) -> Result<(), Refused> {
        self.registered(framework).ok_or("no such framework")?;
        let mut named = ids.iter().enumerate();
        let is_wrong = |(i, id): (usize, &OfferId)| {
            let live = self.inverse_offers.iter().find(|offer| self.inverse_offer_id(offer.number) == *id);
            live.is_none_or(|offer| offer.framework != *framework) || ids[..i].contains(id)
        };
        if !each && named.any(is_wrong) {
            return Err("no such inverse offer, or not its own, or twice");
        }
        let its = self.inverse_offers.clone().into_iter().filter(|offer| offer.framework == *framework);
        for LiveInverseOffer { number, framework, agent, .. } in its {
            if ids.contains(&self.inverse_offer_id(number)) {
                self.inverse_offers.retain(|other| other.number != number);
                if !filters.refuse.is_zero() {
                    let until = self.now + filters.refuse.max(self.config.allocation_interval);
                    self.inverse_refusals.push(InverseRefusal { framework, agent, until });
                }
            }
        }
        Ok(())
    }

    /// Takes back inverse offers, in order of making.
    pub(super) fn rescind_inverse(&mut self, which: impl Fn(&LiveInverseOffer) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.inverse_offers).into_iter().partition(|offer| which(offer));
        self.inverse_offers = kept;
        let gone: Vec<LiveInverseOffer> = gone;
        for LiveInverseOffer { number, framework, .. } in gone {
            let offer = self.inverse_offer_id(number);
            self.emit(Effect::RescindInverseOffer { offer, framework });
        }
    }

    pub(crate) fn inverse_offer_id(&self, number: u64) -> OfferId {
        format!("{}I{number}", self.config.id_prefix).into()
    }
}
