//! The one loop: agent → role → framework.

use super::Holding;
use super::hierarchical::{FrameworkIx, Hierarchical, RoleIx};
use super::ledger::AgentIx;
use super::sorter::Sorter;
use super::tree::ClientId;
use crate::framework::{Capability, Framework};
use crate::resources::{Quantities, Resource, Resources};
use indexmap::IndexMap;

/// What a cycle has given so far: one offer for each framework, role and agent, in the order of giving.
type Given = IndexMap<(FrameworkIx, RoleIx, AgentIx), Resources, foldhash::fast::RandomState>;

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Gives what is available on these agents to whoever comes first and may have it.
    pub(super) fn run_cycle(&mut self, candidates: &[AgentIx]) -> Vec<Holding> {
        let mut given = Given::default();
        for &agent in candidates {
            if self.is_candidate(agent) {
                self.visit(agent, &mut given);
            }
            self.ledger.unmark(agent);
        }
        // What is shared can be offered again in the next cycle; all else was refused by everyone just now.
        for ((_, _, agent), offer) in &given {
            if offer.iter().any(Resource::is_shared) {
                self.ledger.mark(*agent);
            }
        }
        let holding = |((framework, role, agent), resources)| Holding {
            framework: self.frameworks[framework].framework.id.clone(),
            role: self.roles[role].role.clone(),
            agent: self.ledger[agent].agent.id.clone(),
            resources,
        };
        given.into_iter().map(holding).collect()
    }

    fn visit(&mut self, agent: AgentIx, given: &mut Given) {
        let mut roles = Vec::new();
        self.sorter.order(&self.tree, &self.totals, &mut roles);
        let mut members = Vec::new();
        for role in roles {
            let role = self.role_of[role.index()];
            if self.ledger[agent].available().is_empty() {
                return;
            }
            let mut left = self.left_for(role, agent, given);
            if left.is_empty() {
                continue;
            }
            let entry = &mut self.roles[role];
            members.clear();
            entry.sorter.order(&entry.tree, &self.totals, &mut members);
            for &client in &members {
                if let Some(offer) = self.offer(agent, (role, client), &left) {
                    self.give(agent, (role, client), offer, given);
                    left = self.left_for(role, agent, given);
                    if left.is_empty() {
                        break;
                    }
                }
            }
        }
    }

    /// What a role may have of an agent, less the shared resources that were given in this cycle.
    fn left_for(&self, role: RoleIx, agent: AgentIx, given: &Given) -> Resources {
        let left = self.ledger[agent].available().for_role(&self.roles[role].role);
        if !left.iter().any(Resource::is_shared) {
            return left;
        }
        let offers = given.iter().filter(|((_, _, on), _)| *on == agent);
        let shared: Vec<_> =
            offers.flat_map(|(_, offer)| offer.iter()).filter(|resource| resource.is_shared()).collect();
        left.filter(|resource| !shared.iter().any(|offered| offered.same_shared(resource)))
    }

    /// What a framework would be offered of what is left for its role: the eligibility chain.
    fn offer(&self, agent: AgentIx, place: (RoleIx, ClientId), left: &Resources) -> Option<Resources> {
        let framework = &self.frameworks[self.member(place).framework].framework;
        let minimum = framework.offer_filters.get(&self.roles[place.0].role).unwrap_or(&self.options.min_allocatable);
        if !reaches(left, minimum) || !self.is_able(framework, agent) {
            return None;
        }
        let able = |resource: &Resource| {
            (!resource.is_shared() || framework.can(Capability::SharedResources))
                && (!resource.is_revocable() || framework.can(Capability::RevocableResources))
        };
        let offer = left.filter(able);
        let wanted = reaches(&offer, minimum) && !self.refusals.refuses(place, agent, &offer);
        wanted.then_some(offer)
    }

    /// Whether a framework can deal with what an agent has and where it stands.
    fn is_able(&self, framework: &Framework, agent: AgentIx) -> bool {
        let account = &self.ledger[agent];
        let gpus = self.options.filter_gpu_resources && account.has_gpus();
        let domains = account.agent.domain.as_ref().zip(self.options.domain.as_ref());
        let remote = domains.is_some_and(|(agent, home)| agent.region != home.region);
        (!gpus || framework.can(Capability::GpuResources)) && (!remote || framework.can(Capability::RegionAware))
    }

    fn give(&mut self, agent: AgentIx, place: (RoleIx, ClientId), offer: Resources, given: &mut Given) {
        self.ledger.offer(agent, &offer);
        self.charge_gift(place, agent, &offer);
        let key = (self.member(place).framework, place.0, agent);
        match given.get_mut(&key) {
            Some(before) => before.insert(&offer),
            None => {
                self.add_holdings(place, 1);
                given.insert(key, offer);
            }
        }
    }
}

/// Whether an offer is worth making: not empty, and one of the minimums is reached.
fn reaches(resources: &Resources, minimum: &[Quantities]) -> bool {
    !resources.is_empty() && (minimum.is_empty() || minimum.iter().any(|minimum| resources.reaches(minimum)))
}
