//! The one loop: agent → role → framework, run once for guarantees and once for fair shares.
//!
//! Most often the first framework of the first role takes all that an agent has, so orders are asked for client by client.
//! Where many in front do not want an agent, those that may are picked out instead.

use super::Holding;
use super::amounts::Amounts;
use super::demand::Demand;
use super::hierarchical::Hierarchical;
use super::index::bit_set::Bits;
use super::ledger::AgentIx;
use super::resource_names::is_firm;
use super::roster::{MemberIx, Place, RoleIx};
use super::rules::AgentOrder;
use super::sorter::{Queues, Sorter};
use super::tree::ClientId;
use crate::agent::Domain;
use crate::draw::{draw, draw_for};
use crate::framework::{Capability, Framework};
use crate::resources::{Quantities, Resource, Resources};
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;

/// What one pass of the loop may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// To roles that lack some of their guarantee: that much, and what may come along with it.
    Guarantees,
    /// To all roles: whatever is left, but for what is kept free for guarantees.
    FairShares,
}

/// The state of one allocation.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    /// When it is: what is drawn at random is drawn for it.
    at: Time,
    /// What was given, in that order; last of all what was given so far in this cycle.
    given: Vec<Holding>,
    /// Which of these was given to whom of what, if both stages may give the same: it is one offer.
    merged: Option<IndexMap<(MemberIx, AgentIx), usize, foldhash::fast::RandomState>>,
    /// The shared resources that were given, by agent.
    shared: IndexMap<AgentIx, Vec<Resource>, foldhash::fast::RandomState>,
    /// Who could still be given something; none if the sorter does not ask.
    demand: Option<Demand>,
    /// What is known of the resources that were looked at last: many agents have the same.
    known: Known,
    queues: Queues,
}

/// What is to be known of resources before they are offered to anybody.
#[derive(Debug, Default)]
struct Known {
    resources: Resources,
    /// Whether they reach the general minimum.
    is_worth: bool,
    /// Whether anybody may have them, and each once: nothing of it is reserved, revocable or shared.
    is_open: bool,
    /// Whether, as far as minimums go, quota divides all of it.
    is_plain: bool,
}

impl Cycle {
    fn new(at: Time, given: Vec<Holding>, queues: Queues) -> Self {
        Self { at, given, queues, ..Self::default() }
    }
}

/// What somebody may have of an agent.
#[derive(Debug, Clone)]
pub(super) enum Portion {
    /// All that is available, which is [open](Known::is_open). Most often it is, and then no list has to be made or shared.
    Whole,
    /// Some of it.
    Part(Resources),
}

impl Portion {
    pub(super) fn of<'a>(&'a self, available: &'a Resources) -> &'a Resources {
        match self {
            Self::Whole => available,
            Self::Part(resources) => resources,
        }
    }
}

/// What is left of an agent for a role.
pub(super) struct Left {
    pub(super) portion: Portion,
    /// Whether it reaches the general minimum.
    is_worth: bool,
}

impl Left {
    fn is_empty(&self) -> bool {
        matches!(&self.portion, Portion::Part(resources) if resources.is_empty())
    }
}

/// After so many clients who did not take anything, only those who may are asked for.
const PATIENCE: usize = 4;

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Gives what is available on these agents to whoever comes first and may have it; appends that to `given`.
    pub(super) fn run_cycle(&mut self, at: Time, candidates: &mut [AgentIx], given: &mut Vec<Holding>) {
        self.settle_quotas();
        let keeps_free = self.quotas.accounts.keeps_free();
        if let AgentOrder::Shuffle(seed) = self.options.agent_order {
            candidates.sort_by_cached_key(|agent| draw(draw(seed, at.as_micros()), self.ledger[*agent].order));
        }
        let before = given.len();
        let mut cycle = Cycle::new(at, std::mem::take(given), std::mem::take(&mut self.queues));
        if self.sorter.asks_for_demand() {
            cycle.demand = Some(self.survey(&cycle));
        }
        if self.quotas.accounts.lacking().len() > 0 {
            cycle.merged = Some(IndexMap::default());
            for &agent in &*candidates {
                if self.quotas.accounts.lacking().len() == 0 {
                    break;
                }
                self.visit(Stage::Guarantees, agent, &mut cycle);
            }
        }
        for &agent in &*candidates {
            self.visit(Stage::FairShares, agent, &mut cycle);
        }
        // What is shared can be offered again in the next cycle; all else was refused by everyone just now.
        for agent in cycle.shared.keys() {
            self.ledger.mark(*agent);
        }
        // What a guarantee was kept free for may be had by others once the guarantee is met.
        if keeps_free && cycle.given.len() > before {
            self.ledger.mark_all();
        }
        (*given, self.queues) = (cycle.given, cycle.queues);
    }

    fn visit(&mut self, stage: Stage, agent: AgentIx, cycle: &mut Cycle) {
        self.get_to_know(agent, cycle);
        let is_plain = cycle.known.is_plain;
        if self.ledger[agent].available().is_empty()
            || !self.is_candidate(agent)
            || self.is_known_unwanted(agent)
            || (is_plain && self.nobody_may_have_more())
        {
            return;
        }
        if self.sorter.draws() {
            let number = draw(cycle.at.as_micros(), self.ledger[agent].order);
            self.sorter.draw(number);
        }
        if let Some(demand) = &cycle.demand {
            self.sorter.demand(demand);
        }
        cycle.queues.roles.clear();
        for next in 0.. {
            if next == cycle.queues.roles.len() {
                self.more_roles(stage, agent, is_plain, &mut cycle.queues.roles);
            }
            let Some(role) = cycle.queues.roles.get(next) else { break };
            let role = self.role_of[role.index()];
            if stage == Stage::FairShares || self.lacks_guarantee(role) {
                self.visit_role(stage, agent, role, cycle);
                if self.ledger[agent].available().is_empty() {
                    break;
                }
                self.get_to_know(agent, cycle);
            }
        }
        if let Some(mut demand) = cycle.demand.take() {
            self.look_at(agent, cycle, &mut demand);
            cycle.demand = Some(demand);
        }
    }

    fn visit_role(&mut self, stage: Stage, agent: AgentIx, role: RoleIx, cycle: &mut Cycle) {
        let mut left = self.left_for(role, agent, cycle);
        if left.is_empty() {
            return;
        }
        let entry = &mut self.roles[role];
        if entry.sorter.draws() {
            let number = draw(cycle.at.as_micros(), self.ledger[agent].order);
            entry.sorter.draw(draw_for(number, entry.role.as_str()));
        }
        cycle.queues.members.clear();
        for next in 0.. {
            if next == cycle.queues.members.len() {
                self.more_members(role, agent, &mut cycle.queues.members);
            }
            let Some(&client) = cycle.queues.members.get(next) else { break };
            if let Some(portion) = self.share(stage, agent, (role, client), &left) {
                self.give(agent, (role, client), portion, cycle);
                if self.ledger[agent].available().is_empty() {
                    break;
                }
                left = self.left_for(role, agent, cycle);
                if left.is_empty() {
                    break;
                }
            }
        }
    }

    /// Asks for the next role in order.
    fn more_roles(&mut self, stage: Stage, agent: AgentIx, is_plain: bool, order: &mut Vec<ClientId>) {
        if let Some((only, is_active)) = self.tree.only_client() {
            order.extend((order.is_empty() && is_active).then_some(only));
            return;
        }
        let available = self.ledger[agent].available();
        if order.len() < PATIENCE && self.refusals.known_content(agent, available).is_none() {
            return self.sorter.more(&self.tree, &self.totals, order);
        }
        let accounts = &self.quotas.accounts;
        if stage == Stage::Guarantees {
            let lacking = accounts.lacking();
            let wanted = |client: ClientId| lacking.contains(client.index());
            return self.sorter.more_of(&wanted, &self.tree, &self.totals, order);
        }
        let content = self.refusals.content(agent, available);
        let (roles, role_of, awake) = (&self.roles, &self.role_of, &self.seats.awake);
        let closed = (is_plain && self.choosy == 0).then(|| accounts.closed());
        let is_open = |client: ClientId| closed.is_none_or(|closed| !closed.contains(client.index()));
        let may_want = |client: ClientId| {
            content.is_none_or(|content| {
                let members = &roles[role_of[client.index()]].numbers;
                members.iter().any(|member| awake.contains(*member) && !content.contains(*member))
            })
        };
        let wanted = |client: ClientId| is_open(client) && may_want(client);
        self.sorter.more_of(&wanted, &self.tree, &self.totals, order);
    }

    /// Asks for the next framework of a role in order.
    fn more_members(&mut self, role: RoleIx, agent: AgentIx, order: &mut Vec<ClientId>) {
        let entry = &mut self.roles[role];
        if let Some((only, is_active)) = entry.tree.only_client() {
            order.extend((order.is_empty() && is_active).then_some(only));
            return;
        }
        let available = self.ledger[agent].available();
        if (order.len() >= PATIENCE || self.refusals.known_content(agent, available).is_some())
            && let Some(content) = self.refusals.content(agent, available)
        {
            let numbers = &entry.numbers;
            let wanted = |client: ClientId| !content.contains(numbers[client.index()]);
            entry.sorter.more_of(&wanted, &entry.tree, &self.totals, order);
        } else {
            entry.sorter.more(&entry.tree, &self.totals, order);
        }
    }

    /// Whether, as far as minimums go, quota divides all of these.
    fn is_plain(&self, available: &Resources) -> bool {
        let is_minimum = |name| self.options.min_allocatable.iter().any(|minimum| !minimum.amount(name).is_zero());
        !self.quotas.is_empty()
            && available.iter().all(|resource| {
                resource.kind().is_none() && (resource.scalar().is_some() || !is_minimum(resource.name()))
            })
    }

    /// Whether the limits of all roles leave too little for any offer of nothing but what quota divides.
    fn nobody_may_have_more(&self) -> bool {
        let closed = self.quotas.accounts.closed().len();
        self.choosy == 0 && closed > 0 && closed == self.roles.len()
    }

    /// Whether everybody is known to have turned down all that is available of an agent.
    pub(super) fn is_known_unwanted(&self, agent: AgentIx) -> bool {
        let content: Option<&Bits> = self.refusals.known_content(agent, self.ledger[agent].available());
        content.is_some_and(|content| self.seats.awake.is_within(content))
    }

    /// Whether a role lacks some of its own guarantee.
    pub(super) fn lacks_guarantee(&self, role: RoleIx) -> bool {
        self.quotas.accounts.lacking().contains(self.roles[role].client.index())
    }

    /// Looks at what is available of an agent, if it is something else than what was looked at last.
    #[inline]
    fn get_to_know(&self, agent: AgentIx, cycle: &mut Cycle) {
        let available = self.ledger[agent].available();
        if !cycle.known.resources.is_same(available) {
            self.look_at_all(available, &mut cycle.known);
        }
    }

    fn look_at_all(&self, available: &Resources, known: &mut Known) {
        *known = Known {
            is_worth: reaches(available, &self.options.min_allocatable),
            is_open: available.iter().all(|it| it.role().is_none() && !it.is_revocable() && !it.is_shared()),
            is_plain: self.is_plain(available),
            resources: available.clone(),
        };
    }

    /// What a role may have of an agent, less the shared resources that were given in this cycle.
    #[inline]
    pub(super) fn left_for(&self, role: RoleIx, agent: AgentIx, cycle: &Cycle) -> Left {
        let known = &cycle.known;
        let is_known = known.resources.is_same(self.ledger[agent].available());
        if is_known && known.is_open {
            Left { portion: Portion::Whole, is_worth: known.is_worth }
        } else {
            self.part_for(role, agent, cycle, is_known)
        }
    }

    /// The same, where some of it may be for others.
    fn part_for(&self, role: RoleIx, agent: AgentIx, cycle: &Cycle, is_known: bool) -> Left {
        let (available, known) = (self.ledger[agent].available(), &cycle.known);
        let mut resources = available.for_role(&self.roles[role].role);
        if let Some(given) = cycle.shared.get(&agent) {
            resources = resources.filter(|resource| !given.iter().any(|given| given.same_shared(resource)));
        }
        let is_worth = if is_known && known.resources.is_same(&resources) {
            known.is_worth
        } else {
            reaches(&resources, &self.options.min_allocatable)
        };
        Left { portion: Portion::Part(resources), is_worth }
    }

    /// What a framework would be offered of what is left for its role: the eligibility chain.
    pub(super) fn share(&self, stage: Stage, agent: AgentIx, place: Place, left: &Left) -> Option<Portion> {
        let role = &self.roles[place.0].role;
        let member = self.member(place);
        let entry = &self.frameworks[member.framework];
        let (framework, account) = (&entry.framework, &self.ledger[agent]);
        let resources = left.portion.of(account.available());
        let is_wanted = if entry.is_choosy {
            let own_minimum = framework.offer_filters.get(role);
            own_minimum.map_or(left.is_worth, |minimum| reaches(resources, minimum))
                && framework.offer_constraints.admit(role, account.agent())
        } else {
            left.is_worth
        };
        if !is_wanted || !self.is_able(framework, agent) {
            return None;
        }
        if matches!(left.portion, Portion::Whole) && self.quotas.is_empty() {
            return (!self.refusals.refuses(member.number, agent, resources)).then_some(Portion::Whole);
        }
        let usable = resources.filter(|resource| Self::is_usable(framework, resource));
        let offer = self.cut(stage, place.0, usable)?;
        let wanted = (offer.is_same(resources) || reaches(&offer, self.minimum(framework, role)))
            && !self.refusals.refuses(member.number, agent, &offer);
        wanted.then_some(Portion::Part(offer))
    }

    /// What an offer to a framework under a role must contain one of.
    pub(super) fn minimum<'a>(&'a self, framework: &'a Framework, role: &Role) -> &'a [Quantities] {
        framework.offer_filters.get(role).map_or(self.options.min_allocatable.as_slice(), Vec::as_slice)
    }

    /// Whether a framework can deal with a resource of that kind.
    pub(super) fn is_usable(framework: &Framework, resource: &Resource) -> bool {
        (!resource.is_shared() || framework.can(Capability::SharedResources))
            && (!resource.is_revocable() || framework.can(Capability::RevocableResources))
    }

    /// As much of it as quota allows at this stage; none if there is nothing to give for a guarantee.
    pub(super) fn cut(&self, stage: Stage, role: RoleIx, left: Resources) -> Option<Resources> {
        if self.quotas.is_empty() {
            return Some(left);
        }
        let entry = &self.roles[role];
        let unsatisfied = match (stage, entry.quota) {
            (Stage::Guarantees, Some(node)) if self.lacks_guarantee(role) => self.quotas.accounts.unsatisfied(node),
            (Stage::Guarantees, _) => return None,
            (Stage::FairShares, _) => Amounts::default(),
        };
        let firm = left.filter(is_firm);
        let (given, is_guaranteed) = self.quotas.accounts.cut(&self.names, entry.quota, &firm, &unsatisfied);
        if stage == Stage::Guarantees && !is_guaranteed {
            return None;
        }
        if firm.is_same(&left) {
            return Some(given);
        }
        let mut offer = left.filter(|resource| {
            // With a guarantee come what is reserved to just this role, and what quota is not about.
            let exactly =
                resource.role() == Some(&entry.role) || resource.scalar().is_none() || resource.is_revocable();
            !is_firm(resource) && (exactly || stage == Stage::FairShares)
        });
        offer.insert(&given);
        Some(offer)
    }

    /// Whether a framework can deal with what an agent has and where it stands.
    fn is_able(&self, framework: &Framework, agent: AgentIx) -> bool {
        let account = &self.ledger[agent];
        let gpus = self.options.filter_gpu_resources && account.has_gpus();
        let is_away =
            |home: &Domain| account.agent().domain.as_ref().is_some_and(|domain| domain.region != home.region);
        let remote = self.options.domain.as_ref().is_some_and(is_away);
        (!gpus || framework.can(Capability::GpuResources)) && (!remote || framework.can(Capability::RegionAware))
    }

    fn give(&mut self, agent: AgentIx, place: Place, portion: Portion, cycle: &mut Cycle) {
        let offer = match portion {
            Portion::Whole => self.ledger.offer_whole(agent),
            Portion::Part(offer) => {
                self.ledger.offer(agent, &offer);
                offer
            }
        };
        let weighed = self.names.weigh(&offer);
        self.quotas.taken(weighed);
        if !weighed.shared.is_empty() {
            let given = offer.iter().filter(|resource| resource.is_shared()).cloned();
            cycle.shared.entry(agent).or_default().extend(given);
        }
        self.charge(place, agent, &offer, 1);
        let member = self.member_mut(place);
        member.offered_at = cycle.at;
        let (number, framework) = (member.number, member.framework);
        if let Some(merged) = &mut cycle.merged {
            if let Some(before) = merged.get(&(number, agent)) {
                cycle.given[*before].resources.insert(&offer);
                return;
            }
            merged.insert((number, agent), cycle.given.len());
        }
        self.add_holdings(place, 1);
        cycle.given.push(Holding {
            framework: self.frameworks.id(framework).clone(),
            role: self.roles[place.0].role.clone(),
            agent: self.ledger.id(agent).clone(),
            resources: offer,
        });
    }
}

/// Whether an offer is worth making: not empty, and one of the minimums is reached.
pub(super) fn reaches(resources: &Resources, minimum: &[Quantities]) -> bool {
    !resources.is_empty() && (minimum.is_empty() || minimum.iter().any(|minimum| resources.reaches(minimum)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::allocator::{Allocator, Drf, Options, Quota};
    use crate::framework::OfferConstraints;
    use crate::resources::{Limits, Scalar};
    use std::sync::Arc;

    #[test]
    fn nobody_may_have_more_whatever_the_constraints() {
        let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
        let role = Role::new("a").unwrap();
        let mut framework = Framework::new("f").role(role.clone());
        let constraint = serde_json::json!({"selector": {"attribute_name": "rack"}, "predicate": {"exists": {}}});
        let groups =
            serde_json::json!({"role_constraints": {"a": {"groups": [{"attribute_constraints": [constraint]}]}}});
        framework.offer_constraints = OfferConstraints::from_v1(groups).unwrap();
        allocator.add_framework(&Arc::new(framework), &[]).unwrap();
        let none = Limits::from_iter([("cpus", Scalar::ZERO), ("mem", Scalar::ZERO)]);
        allocator.set_quota(&role, Quota::new(Quantities::new(), none)).unwrap();
        allocator.add_agent(&Arc::new(Agent::new("x", "cpus:1;mem:64".parse().unwrap())), &[]).unwrap();
        assert_eq!(allocator.allocate(Time::ZERO, None), []);
        assert!(allocator.nobody_may_have_more());
    }
}
