//! [`Explanation`]: why a framework is not offered an agent.
//!
//! Reasons come from the decision itself: the first that applies is found by the same checks that the
//! cycle makes, then it is lifted in a copy of the books, and the next one is looked for. So each
//! reason is true in this sense: lift those before it, and it is what prevents the offer; lift it too,
//! and the next one, or the offer, follows.

mod reason;

pub use reason::{AmountSummary, Extent, Holder, Reason};

use super::Holding;
use super::books::{Books, Requested};
use super::cycle::Cycle;
use super::eligibility::{Eligibility, Stage, is_usable, reaches};
use super::index::{AgentIx, MemberIx};
use super::refusals::Refusals;
use super::resource_names::is_quota_managed;
use super::rules::Rules;
use super::sorter::Sorter;
use super::verdicts::Verdicts;
use crate::agent::Agent;
use crate::framework::{Capability, Framework, OfferConstraints};
use crate::resources::{Quantities, Resource, Resources};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// A copy of all that a decision depends on, in which reasons are lifted one after the other.
#[derive(Debug, Clone)]
pub(super) struct Explanation<R, F> {
    rules: Rules,
    books: Books<R, F>,
    refusals: Refusals,
    member: MemberIx,
    at: Time,
    /// Whether its request was told.
    is_request_told: bool,
}

/// Reasons of several agents, grouped as [`Reason::group`] says: each with the number of agents.
type Groups = BTreeMap<(u8, Text, Text), (Reason, usize)>;

/// The state of an agent that the outcome of a trial depends on: agents with equal states have the same outcome.
struct Trial {
    agent: Arc<Agent>,
    available: Resources,
    has_gpus: bool,
    outcome: Option<Reason>,
}

impl<R: Sorter + Clone, F: Sorter + Clone> Explanation<R, F> {
    /// Copies all that decisions about a member depend on.
    pub(super) fn new(rules: &Rules, books: &Books<R, F>, refusals: &Refusals, member: MemberIx, at: Time) -> Self {
        let (rules, books, refusals) = (rules.clone(), books.clone(), refusals.clone());
        Self { rules, books, refusals, member, at, is_request_told: false }
    }

    /// Returns all that prevents an offer of an agent, in the order of the checks; [`Reason::Starved`] if nothing does.
    pub(super) fn of_agent(mut self, agent: AgentIx) -> Vec<Reason> {
        let mut reasons = Vec::new();
        // 1. Checks that look at no other framework.
        self.update_quotas();
        while let Some(reason) = self.first_reason(agent) {
            let is_lifted = reason.is_liftable();
            if is_lifted {
                self.lift(&reason, &[agent]);
                self.update_quotas();
            }
            reasons.push(reason);
            if !is_lifted {
                return reasons;
            }
        }
        // 2. Frameworks that come first: each is suppressed, to find the next one.
        while let Some((reason, member)) = self.outranked(agent) {
            reasons.push(reason);
            self.books.silence(member);
        }
        // 3. Nothing prevents it: the member waits for the next allocation.
        if reasons.iter().all(Reason::is_passed_over) {
            reasons.push(self.starved());
        }
        reasons
    }

    /// Returns all that prevents offers of these agents, in the order of the checks, each reason with the number of agents.
    /// Of the members that come first only the first one of each agent is told.
    ///
    /// Agents from which the same reasons have to be lifted share a copy of the books. So this costs a look at each agent for
    /// each of its reasons, and a copy for each set of reasons that some agent has.
    pub(super) fn of_agents(self, agents: Vec<AgentIx>) -> Vec<(Reason, usize)> {
        let mut groups = Groups::new();
        let mut copies = vec![(self, agents, true)];
        while let Some((mut copy, agents, is_first)) = copies.pop() {
            copy.update_quotas();
            let mut lifts: IndexMap<_, (Reason, Vec<AgentIx>)> = IndexMap::new();
            let mut trial: Option<Trial> = None;
            let any_selective = copy.books.membership().any_selective();
            for agent in agents {
                let Some(reason) = copy.first_reason(agent) else {
                    let outcome = match trial.as_ref().filter(|trial| copy.is_like(trial, agent, any_selective)) {
                        Some(trial) => trial.outcome.clone(),
                        None => {
                            let outcome = copy.outranked(agent).map(|(reason, _)| reason);
                            let is_plain = !copy.refusals.has_any(agent); // else its outcome is that of no other agent
                            trial = is_plain.then(|| copy.trial_of(agent, outcome.clone()));
                            outcome
                        }
                    };
                    let reason = outcome.or_else(|| is_first.then(|| copy.starved()));
                    reason.into_iter().for_each(|reason| add(&mut groups, reason));
                    continue;
                };
                if reason.is_liftable() {
                    lifts.entry(reason.lifted()).or_insert_with(|| (reason.clone(), Vec::new())).1.push(agent);
                }
                add(&mut groups, reason);
            }
            let mut lifts = lifts.into_values();
            let last = lifts.next_back();
            for (reason, agents) in lifts {
                let mut other = copy.clone();
                other.lift(&reason, &agents);
                copies.push((other, agents, is_first && reason.is_passed_over()));
            }
            if let Some((reason, agents)) = last {
                copy.lift(&reason, &agents);
                copies.push((copy, agents, is_first && reason.is_passed_over()));
            }
        }
        groups.into_values().collect()
    }

    fn update_quotas(&mut self) {
        self.books.update_quotas(&self.rules.options.min_allocatable);
    }

    fn eligibility(&self) -> Eligibility<'_, R, F> {
        Eligibility { rules: &self.rules, books: &self.books, refusals: &self.refusals }
    }

    fn framework(&self) -> &Framework {
        let membership = self.books.membership();
        membership.framework(membership.member(self.member).framework).framework()
    }

    fn role(&self) -> &Role {
        self.books.membership().role(self.books.membership().member(self.member).role)
    }

    /// Returns the first check that fails, of those that look at no other framework.
    fn first_reason(&self, agent: AgentIx) -> Option<Reason> {
        let (account, membership) = (&self.books.ledger()[agent], self.books.membership());
        let (member, framework, role) = (membership.member(self.member), self.framework(), self.role());
        if !account.is_active() {
            return Some(Reason::AgentInactive);
        }
        if !self.rules.allow(account) {
            return Some(Reason::NotWhitelisted { hostname: Some(account.agent().hostname.clone()) });
        }
        if !membership.framework(member.framework).is_active() {
            return Some(Reason::FrameworkInactive);
        }
        match member.request_at_work().filter(|request| request.names(&account.agent().id)) {
            None if member.is_suppressed => return Some(Reason::Suppressed),
            Some(_) | None if self.is_request_told => {}
            Some(&Requested { offers, open: 0, .. }) => return Some(Reason::RequestMet { offers }),
            Some(&Requested { offers, open, .. }) => return Some(Reason::Requested { offers, open }),
            None => {}
        }
        if let Some(most) = membership.full_at(member.framework) {
            return Some(Reason::MaxOffers { live: membership.live_offers(member.framework), most });
        }
        if !framework.offer_constraints.admits(role, account.agent()) {
            return Some(Reason::OfferConstraints);
        }
        let overcommitted = || account.overcommitted().cloned().unwrap_or_default();
        if account.available().is_empty() {
            let (offered, allocated) = (account.offered().into(), account.allocated().into());
            let holders = Vec::new();
            return Some(Reason::NothingAvailable { offered, allocated, overcommitted: overcommitted(), holders });
        }
        let left = account.available().for_role(role);
        if left.is_empty() {
            let mut roles: Vec<Role> = account.available().iter().filter_map(Resource::role).cloned().collect();
            roles.sort_unstable();
            roles.dedup();
            return Some(Reason::Reserved { roles });
        }
        let eligibility = self.eligibility();
        let minimum = eligibility.minimum_of(self.member);
        if !reaches(&left, minimum) {
            let (asked, left) = (minimum.to_vec(), Extent::One(left));
            return Some(Reason::MinAllocatable { asked, left, overcommitted: overcommitted() });
        }
        self.missing_capability(agent, &left, minimum).or_else(|| self.quota_or_refusal(agent, &left, minimum))
    }

    /// Returns the capability or the region that the framework lacks.
    fn missing_capability(&self, agent: AgentIx, left: &Resources, minimum: &[Quantities]) -> Option<Reason> {
        let (account, options, framework) = (&self.books.ledger()[agent], &self.rules.options, self.framework());
        let lacks = |capability| !framework.has_capability(capability);
        if options.filter_gpu_resources && account.has_gpus() && lacks(Capability::GpuResources) {
            return Some(Reason::Capability { capability: Capability::GpuResources });
        }
        if let Some((agent, master)) = account.agent().domain.as_ref().zip(options.domain.as_ref())
            && agent.region != master.region
            && lacks(Capability::RegionAware)
        {
            return Some(Reason::Region { agent: agent.region.clone(), master: master.region.clone() });
        }
        if reaches(&left.filter(|resource| is_usable(framework, resource)), minimum) {
            return None;
        }
        let shared = lacks(Capability::SharedResources) && left.iter().any(Resource::is_shared);
        let capability = if shared { Capability::SharedResources } else { Capability::RevocableResources };
        Some(Reason::Capability { capability })
    }

    /// Returns what of quota, or which refusal, prevents an offer.
    fn quota_or_refusal(&self, agent: AgentIx, left: &Resources, minimum: &[Quantities]) -> Option<Reason> {
        let (eligibility, membership, framework) = (self.eligibility(), self.books.membership(), self.framework());
        let role = membership.member(self.member).role;
        let usable = left.filter(|resource| is_usable(framework, resource));
        let cap = eligibility.cap_of(self.member);
        let cut = |stage| eligibility.cut(stage, role, usable.clone(), cap.as_deref());
        let offers: Vec<Resources> = [Stage::Guarantees, Stage::FairShares].into_iter().filter_map(cut).collect();
        let Some(offer) = offers.iter().find(|offer| reaches(offer, minimum)) else {
            let (accounts, quota) = (self.books.quotas().accounts(), membership.quota_of(role));
            if let Some(barrier) = accounts.barrier(self.books.names(), quota, &usable.filter(is_quota_managed)) {
                return Some(Reason::of_barrier(self.books.names(), barrier));
            }
            // What does not divide is larger than an offer may be.
            let (asked, left) = (minimum.to_vec(), Extent::One(left.clone()));
            return cap.map(|_| Reason::MinAllocatable { asked, left, overcommitted: Quantities::new() });
        };
        let (until, refused) = self.refusals.first(self.member, agent, offer)?;
        Some(Reason::Filtered { until, last: until, refused: refused.into() })
    }

    /// Lifts a reason of these agents.
    fn lift(&mut self, reason: &Reason, agents: &[AgentIx]) {
        let (role, mut framework) = (self.role().clone(), self.framework().clone());
        let ix = self.books.membership().member(self.member).framework;
        match reason {
            Reason::AgentInactive => agents.iter().for_each(|agent| self.books.set_agent_active(*agent, true)),
            Reason::NotWhitelisted { .. } => self.rules.whitelist = None,
            Reason::FrameworkInactive => self.books.set_framework_active(ix, true),
            Reason::Suppressed => drop(self.books.set_suppressed(self.member, false)),
            Reason::Requested { .. } => self.is_request_told = true,
            Reason::RequestMet { .. } => {
                self.is_request_told = true;
                self.books.reopen(self.member, 1);
            }
            Reason::MaxOffers { .. } => framework.max_offers = None,
            Reason::OfferConstraints => framework.offer_constraints = OfferConstraints::default(),
            // It is enough, but does not divide into offers.
            Reason::MinAllocatable { asked, left: Extent::One(left), .. } if reaches(left, asked) => {
                self.rules.lift_max_offer();
                self.books.lift_most(self.member);
            }
            Reason::MinAllocatable { .. } => {
                framework.offer_filters.insert(role, Vec::new());
                self.books.lift_each(self.member);
            }
            Reason::Capability { capability } => framework.capabilities.push(*capability),
            Reason::Region { .. } => framework.capabilities.push(Capability::RegionAware),
            Reason::QuotaLimit { role, .. } => self.books.lift_limits(role),
            Reason::Headroom { .. } => self.books.lift_guarantees(),
            Reason::Filtered { .. } => self.refusals.forget_member(self.member),
            Reason::Recovering { .. }
            | Reason::NothingAvailable { .. }
            | Reason::Reserved { .. }
            | Reason::Outranked { .. }
            | Reason::Starved { .. } => return,
        }
        self.books.replace_framework(ix, Arc::new(framework));
        self.books.settle(ix);
    }

    /// Returns the first member that the next allocation offers an agent, if that leaves nothing for the member asked about.
    fn outranked(&mut self, agent: AgentIx) -> Option<(Reason, MemberIx)> {
        let offers = self.trial(agent);
        let (asked, own_role) = (&self.framework().id, self.role());
        let first = offers.first()?;
        if offers.iter().any(|offer| offer.framework == *asked && offer.role == *own_role) {
            return None;
        }
        let membership = self.books.membership();
        let member = membership.find_member(membership.find_framework(&first.framework)?, &first.role)?;
        let reason = Reason::Outranked {
            share: self.books.share_of(&first.role),
            own_share: self.books.share_of(own_role),
            framework: first.framework.clone(),
            role: first.role.clone(),
        };
        Some((reason, member))
    }

    /// Returns the offers of an agent that the next allocation would make: makes them, and takes them back.
    fn trial(&mut self, agent: AgentIx) -> Vec<Holding> {
        let mut offers = Vec::new();
        let Self { rules, books, refusals, at, .. } = self;
        let mut verdicts = [Verdicts::default(), Verdicts::default()]; // what is lifted changes who is fit
        let verdicts = verdicts.each_mut();
        let extended = Cycle::new(rules, books, refusals, verdicts, *at, None, &mut offers).run(&mut [agent]);
        for offer in &offers {
            self.books.take_back(agent, offer, &extended);
        }
        offers
    }

    fn trial_of(&self, agent: AgentIx, outcome: Option<Reason>) -> Trial {
        let account = &self.books.ledger()[agent];
        let (available, has_gpus) = (account.available().clone(), account.has_gpus());
        Trial { agent: Arc::clone(account.agent()), available, has_gpus, outcome }
    }

    /// Returns whether a trial of an agent is sure to have the same outcome.
    fn is_like(&self, trial: &Trial, agent: AgentIx, any_selective: bool) -> bool {
        let account = &self.books.ledger()[agent];
        account.available() == &trial.available
            && account.has_gpus() == trial.has_gpus
            && account.agent().domain == trial.agent.domain
            && !any_selective
            && !self.books.draws()
            && !self.refusals.has_any(agent)
    }

    fn starved(&self) -> Reason {
        let since = self.books.membership().member(self.member).useful_offer_at;
        Reason::Starved { since, waited: since.map(|since| self.at.since(since)), next: None }
    }
}

/// Adds a reason of one more agent to its group.
fn add(groups: &mut Groups, reason: Reason) {
    match groups.entry(reason.group()) {
        Entry::Occupied(mut group) => {
            let (known, agents) = group.get_mut();
            known.merge(reason);
            *agents += 1;
        }
        Entry::Vacant(place) => drop(place.insert((reason, 1))),
    }
}
