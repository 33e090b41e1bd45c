//! One allocation: guarantees first, then fair shares; agent by agent, role by role, framework by framework.

use super::quota::{self, chop, is_under_quota};
use super::{Held, LiveOffer, Reference};
use apportion::{AgentId, Effect, FrameworkId, Offer, Resources, Role};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Guarantees,
    FairShares,
}

impl Reference {
    /// Offers what there is on one agent, or on all of them.
    pub(super) fn allocate(&mut self, only: Option<&AgentId>) {
        if self.waits_for_agents() {
            return;
        }
        let before = self.offers_made;
        let concerned = self.agents.iter().filter(|known| only.is_none_or(|only| *only == known.agent.id));
        let candidates: Vec<AgentId> =
            concerned.filter(|known| self.gives_offers(known)).map(|known| known.agent.id.clone()).collect();
        for stage in [Stage::Guarantees, Stage::FairShares] {
            for agent in &candidates {
                while self.chunks_of(agent, before) < 1024 && self.allocate_agent(stage, agent, before) {}
            }
        }
        let new: Vec<LiveOffer> = self.offers.iter().filter(|offer| offer.number > before).cloned().collect();
        for offer in new {
            self.emit_offer(&offer);
        }
        self.ask_back(only);
    }

    /// The number of chunks of an agent that were offered since.
    fn chunks_of(&self, agent: &AgentId, before: u64) -> usize {
        let new = self.offers.iter().filter(|offer| offer.number > before && offer.is_chunk);
        new.filter(|offer| offer.held.agent == *agent).count()
    }

    /// Returns true once a chunk was offered: then it is the turn of the first one again.
    fn allocate_agent(&mut self, stage: Stage, agent: &AgentId, before: u64) -> bool {
        if self.available(agent).is_empty() || stage == Stage::Guarantees && self.quotas.is_empty() {
            return false; // only to save time: nobody could be given anything
        }
        for role in self.role_order() {
            for framework in self.framework_order(&role) {
                if stage == Stage::Guarantees && self.unsatisfied(&role).is_empty() {
                    break;
                }
                if !self.may_take(&framework, &role, agent, before) || !self.is_admitted_to(&framework, &role, agent) {
                    continue;
                }
                let left = self.left_for(agent, &role, before);
                if left.is_empty() {
                    break; // nothing is left for anyone in the role
                }
                if let Some(resources) = self.offer_for(stage, agent, &role, &framework, &left) {
                    let is_chunk = self.gets_chunks(&framework, &role);
                    self.give(Held { framework, role: role.clone(), agent: agent.clone(), resources }, before);
                    if is_chunk {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether a framework may be made an offer, or be given more with the one that it was made a moment ago.
    fn may_take(&self, framework: &FrameworkId, role: &Role, agent: &AgentId, before: u64) -> bool {
        let its = |held: &Held| (&held.framework, &held.role, &held.agent) == (framework, role, agent);
        let mut new = self.offers.iter().filter(|offer| offer.number > before && !offer.is_chunk);
        self.is_active_in(framework, role) || new.any(|offer| its(&offer.held))
    }

    fn is_admitted_to(&self, framework: &FrameworkId, role: &Role, agent: &AgentId) -> bool {
        let known = self.framework(framework).zip(self.agent(agent));
        let named = |request: &super::Wanted| request.agents.is_empty() || request.agents.contains(agent);
        known.is_some_and(|(to, known)| Self::is_admitted(to, role, known))
            && self.working_request(framework, role).is_none_or(named)
    }

    /// What is available to a role: what is shared is offered once in an allocation.
    fn left_for(&self, agent: &AgentId, role: &Role, before: u64) -> Resources {
        let given = self.offers.iter().filter(|offer| offer.number > before && offer.held.agent == *agent);
        let shared = given.map(|offer| offer.held.resources.filter(|resource| resource.is_shared()));
        shared.fold(self.available(agent), |left, shared| left.saturating_sub(&shared)).for_role(role)
    }

    /// What a framework is offered of what is left for its role, if anything.
    fn offer_for(
        &self,
        stage: Stage,
        agent: &AgentId,
        role: &Role,
        framework: &FrameworkId,
        left: &Resources,
    ) -> Option<Resources> {
        let (to, known) = (self.framework(framework)?, self.agent(agent)?);
        if !self.reaches_minimum(to, role, left) || !self.is_capable(to, known) {
            return None;
        }
        let left = Self::stripped(to, left);
        let resources = match stage {
            Stage::Guarantees => self.guaranteed(framework, role, &left)?,
            Stage::FairShares => self.cut_to_chunk(framework, role, &self.fair_share(role, &left)),
        };
        let held = Held { framework: framework.clone(), role: role.clone(), agent: agent.clone(), resources };
        let wanted = self.reaches_minimum(to, role, &held.resources) && !self.is_refused(&held);
        wanted.then_some(held.resources)
    }

    fn guaranteed(&self, framework: &FrameworkId, role: &Role, left: &Resources) -> Option<Resources> {
        let base = left.filter(is_under_quota);
        // Above the role there may be a limit that is lower than the guarantee.
        let within = self.within_limits(role, &base, &quota::Amounts::new());
        let guaranteed = chop(&within, &self.unsatisfied(role), |_| false);
        if guaranteed.is_empty() {
            return None;
        }
        let taken = quota::of_resources(&guaranteed);
        let extra = self.within_limits(role, &base.saturating_sub(&guaranteed), &taken);
        let extra = self.within_headroom(&extra);
        let others = left
            .filter(|resource| resource.role() == Some(role) || resource.scalar().is_none() || resource.is_revocable());
        // The guarantee comes first in a chunk.
        let most = self.most_of_an_offer(framework, role);
        let guaranteed = chop(&guaranteed, &most, |name| !most.contains_key(name));
        let rest = quota::less(&most, &quota::of_resources(&guaranteed));
        let extra = chop(&extra, &rest, |name| !most.contains_key(name));
        Some(sum(sum(others, &guaranteed), &extra))
    }

    fn fair_share(&self, role: &Role, left: &Resources) -> Resources {
        let extra = self.within_limits(role, &left.filter(is_under_quota), &quota::Amounts::new());
        sum(left.filter(|resource| !is_under_quota(resource)), &self.within_headroom(&extra))
    }

    /// Holds it from now on. What both stages give is one offer.
    fn give(&mut self, held: Held, before: u64) {
        self.served.count(&held.role, &held.framework);
        let is_chunk = self.gets_chunks(&held.framework, &held.role);
        let same = |offer: &&mut LiveOffer| {
            let to = &offer.held;
            offer.number > before && (&to.framework, &to.role, &to.agent) == (&held.framework, &held.role, &held.agent)
        };
        if let Some(offer) = self.offers.iter_mut().find(same).filter(|_| !is_chunk) {
            offer.held.resources = sum(offer.held.resources.clone(), &held.resources);
        } else {
            self.offers_made += 1;
            let times_out_at = self.times_out_at(&held.framework);
            self.note_made(&held.framework, &held.role, self.offers_made);
            self.offers.push(LiveOffer { number: self.offers_made, times_out_at, is_chunk, held });
        }
    }

    fn emit_offer(&mut self, offer: &LiveOffer) {
        let held = offer.held.clone();
        let Some(known) = self.agent(&held.agent) else { return };
        let id = self.offer_id(offer.number);
        let mut told = Offer::new(id, held.framework, held.role, held.agent.clone(), held.resources);
        told.hostname = known.agent.hostname.clone();
        told.attributes = known.agent.attributes.clone();
        told.domain = known.agent.domain.clone();
        told.unavailability = known.agent.unavailability;
        self.emit(Effect::Offer(told));
    }
}

fn sum(one: Resources, other: &Resources) -> Resources {
    one.checked_add(other).expect("parts of one agent's total")
}
