//! The one loop: agent → role → framework, run once for guarantees and once for fair shares.

use super::Holding;
use super::demand::Demand;
use super::hierarchical::{AgentOrder, Hierarchical};
use super::ledger::AgentIx;
use super::names::{Amounts, Names};
use super::quota::{Quotas, Round, is_firm};
use super::roster::{FrameworkIx, Place, RoleIx};
use super::sorter::Sorter;
use crate::draw::{draw, draw_for};
use crate::framework::{Capability, Framework};
use crate::resources::{Quantities, Resource, Resources};
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;

/// What a cycle has given so far: one offer for each framework, role and agent, in the order of giving.
type Given = IndexMap<(FrameworkIx, RoleIx, AgentIx), Resources, foldhash::fast::RandomState>;

/// What one pass of the loop may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// To roles that lack some of their guarantee: that much, and what may come along with it.
    Guarantees,
    /// To all roles: whatever is left, but for what is kept free for guarantees.
    FairShares,
}

/// The state of one allocation.
pub(super) struct Cycle {
    /// When it is, in microseconds: what is drawn at random is drawn for it.
    moment: u64,
    /// How quotas stand; none if there are none.
    pub(super) round: Option<Round>,
    given: Given,
    /// Who could still be given something; none if the sorter does not ask.
    demand: Option<Demand>,
}

impl Cycle {
    pub(super) fn new(moment: u64, quotas: &Quotas, names: &mut Names) -> Self {
        let round = (!quotas.is_empty()).then(|| Round::new(quotas, names));
        Self { moment, round, given: Given::default(), demand: None }
    }

    /// Whether a role lacks some of its guarantee.
    pub(super) fn lacks_guarantee(&self, role: &Role) -> bool {
        self.unsatisfied(role).is_some()
    }

    /// What a role lacks of its guarantee; none if it lacks nothing.
    fn unsatisfied(&self, role: &Role) -> Option<Amounts> {
        let lacking = self.round.as_ref()?.unsatisfied(role);
        (!lacking.is_empty()).then_some(lacking)
    }
}

/// What a framework would be offered, and how much of it counts against quota.
pub(super) struct Share {
    pub(super) offer: Resources,
    firm: Resources,
}

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Gives what is available on these agents to whoever comes first and may have it.
    pub(super) fn run_cycle(&mut self, at: Time, mut candidates: Vec<AgentIx>) -> Vec<Holding> {
        candidates.retain(|agent| self.is_candidate(*agent));
        let moment = at.as_micros();
        if let AgentOrder::Shuffle(seed) = self.options.agent_order {
            candidates.sort_by_cached_key(|agent| draw(draw(seed, moment), self.ledger[*agent].order));
        }
        let mut cycle = Cycle::new(moment, &self.quotas, &mut self.names);
        if self.sorter.asks_for_demand() {
            cycle.demand = Some(self.survey(&cycle));
        }
        let guarantees = cycle.round.as_ref().is_some_and(Round::has_guarantees);
        for stage in [Stage::Guarantees, Stage::FairShares] {
            if stage == Stage::FairShares || guarantees {
                for &agent in &candidates {
                    self.visit(stage, agent, &mut cycle);
                    if let Some(mut demand) = cycle.demand.take() {
                        self.look_at(agent, &cycle, &mut demand);
                        cycle.demand = Some(demand);
                    }
                }
            }
        }
        // What is shared can be offered again in the next cycle; all else was refused by everyone just now.
        for ((_, _, agent), offer) in &cycle.given {
            if offer.iter().any(Resource::is_shared) {
                self.ledger.mark(*agent);
            }
        }
        // What a guarantee was kept free for may be had by others once the guarantee is met.
        if cycle.round.is_some() && !cycle.given.is_empty() {
            self.ledger.mark_all();
        }
        let holding = |((framework, role, agent), resources)| Holding {
            framework: self.frameworks[framework].framework.id.clone(),
            role: self.roles[role].role.clone(),
            agent: self.ledger[agent].agent.id.clone(),
            resources,
        };
        cycle.given.into_iter().map(holding).collect()
    }

    fn visit(&mut self, stage: Stage, agent: AgentIx, cycle: &mut Cycle) {
        if self.ledger[agent].available().is_empty() {
            return;
        }
        let mut roles = Vec::new();
        let number = draw(cycle.moment, self.ledger[agent].order);
        self.sorter.draw(number);
        if let Some(demand) = &cycle.demand {
            self.sorter.demand(demand);
        }
        self.sorter.order(&self.tree, &self.totals, &mut roles);
        let mut members = Vec::new();
        for role in roles {
            let role = self.role_of[role.index()];
            if stage == Stage::Guarantees && !cycle.lacks_guarantee(&self.roles[role].role) {
                continue;
            }
            if self.ledger[agent].available().is_empty() {
                return;
            }
            let mut left = self.left_for(role, agent, cycle);
            if left.is_empty() {
                continue;
            }
            let entry = &mut self.roles[role];
            members.clear();
            entry.sorter.draw(draw_for(number, entry.role.as_str()));
            entry.sorter.order(&entry.tree, &self.totals, &mut members);
            for &client in &members {
                if let Some(share) = self.share(stage, agent, (role, client), &left, cycle) {
                    self.give(agent, (role, client), share, cycle);
                    left = self.left_for(role, agent, cycle);
                    if left.is_empty() {
                        break;
                    }
                }
            }
        }
    }

    /// What a role may have of an agent, less the shared resources that were given in this cycle.
    pub(super) fn left_for(&self, role: RoleIx, agent: AgentIx, cycle: &Cycle) -> Resources {
        let left = self.ledger[agent].available().for_role(&self.roles[role].role);
        if !left.iter().any(Resource::is_shared) {
            return left;
        }
        let offers = cycle.given.iter().filter(|((_, _, on), _)| *on == agent);
        let shared: Vec<_> =
            offers.flat_map(|(_, offer)| offer.iter()).filter(|resource| resource.is_shared()).collect();
        left.filter(|resource| !shared.iter().any(|offered| offered.same_shared(resource)))
    }

    /// What a framework would be offered of what is left for its role: the eligibility chain.
    pub(super) fn share(
        &self,
        stage: Stage,
        agent: AgentIx,
        place: Place,
        left: &Resources,
        cycle: &Cycle,
    ) -> Option<Share> {
        let role = &self.roles[place.0].role;
        let framework = self.framework_of(place);
        let minimum = self.minimum(framework, role);
        let admitted = framework.offer_constraints.admit(role, &self.ledger[agent].agent);
        if !admitted || !reaches(left, minimum) || !self.is_able(framework, agent) {
            return None;
        }
        let usable = left.filter(|resource| Self::is_usable(framework, resource));
        let share = self.cut(stage, role, usable, cycle)?;
        let wanted = reaches(&share.offer, minimum) && !self.refusals.refuses(place, agent, &share.offer);
        wanted.then_some(share)
    }

    /// What an offer to a framework under a role must contain one of.
    pub(super) fn minimum<'a>(&'a self, framework: &'a Framework, role: &Role) -> &'a [Quantities] {
        framework.offer_filters.get(role).unwrap_or(&self.options.min_allocatable)
    }

    /// Whether a framework can deal with a resource of that kind.
    pub(super) fn is_usable(framework: &Framework, resource: &Resource) -> bool {
        (!resource.is_shared() || framework.can(Capability::SharedResources))
            && (!resource.is_revocable() || framework.can(Capability::RevocableResources))
    }

    /// As much of it as quota allows at this stage; none if there is nothing to give for a guarantee.
    pub(super) fn cut(&self, stage: Stage, role: &Role, left: Resources, cycle: &Cycle) -> Option<Share> {
        let Some(round) = &cycle.round else { return Some(Share { offer: left, firm: Resources::new() }) };
        let unsatisfied = match stage {
            Stage::Guarantees => cycle.unsatisfied(role)?,
            Stage::FairShares => Amounts::default(),
        };
        let (guaranteed, extra) = round.cut(&self.names, role, &left.filter(is_firm), &unsatisfied);
        if stage == Stage::Guarantees && guaranteed.is_empty() {
            return None;
        }
        let mut firm = guaranteed;
        firm.insert(&extra);
        let mut offer = left.filter(|resource| {
            // With a guarantee come what is reserved to just this role, and what quota is not about.
            let exactly = resource.role() == Some(role) || resource.scalar().is_none() || resource.is_revocable();
            !is_firm(resource) && (exactly || stage == Stage::FairShares)
        });
        offer.insert(&firm);
        Some(Share { offer, firm })
    }

    /// Whether a framework can deal with what an agent has and where it stands.
    fn is_able(&self, framework: &Framework, agent: AgentIx) -> bool {
        let account = &self.ledger[agent];
        let gpus = self.options.filter_gpu_resources && account.has_gpus();
        let domains = account.agent.domain.as_ref().zip(self.options.domain.as_ref());
        let remote = domains.is_some_and(|(agent, home)| agent.region != home.region);
        (!gpus || framework.can(Capability::GpuResources)) && (!remote || framework.can(Capability::RegionAware))
    }

    fn give(&mut self, agent: AgentIx, place: Place, share: Share, cycle: &mut Cycle) {
        let Share { offer, firm } = share;
        self.ledger.offer(agent, &offer);
        self.quotas.held_changed(&mut self.names, &Resources::new(), &[&offer]);
        self.charge_gift(place, agent, &offer);
        if let Some(round) = &mut cycle.round {
            round.give(&mut self.names, &self.roles[place.0].role, &firm);
        }
        self.member_mut(place).offered_at = Time::from_micros(cycle.moment);
        let key = (self.member(place).framework, place.0, agent);
        match cycle.given.get_mut(&key) {
            Some(before) => before.insert(&offer),
            None => {
                self.add_holdings(place, 1);
                cycle.given.insert(key, offer);
            }
        }
    }
}

/// Whether an offer is worth making: not empty, and one of the minimums is reached.
pub(super) fn reaches(resources: &Resources, minimum: &[Quantities]) -> bool {
    !resources.is_empty() && (minimum.is_empty() || minimum.iter().any(|minimum| resources.reaches(minimum)))
}
