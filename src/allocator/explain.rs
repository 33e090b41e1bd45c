//! [`Explanation`]: why a framework is not offered an agent.
//!
//! Reasons come from the decision itself: the first that applies is found by the same checks that the
//! cycle makes, then it is lifted in a copy of the books, and the next one is looked for. So each
//! reason is true in this sense: lift those before it, and it is what prevents the offer; lift it too,
//! and the next one, or the offer, follows.

mod reason;

pub use reason::Reason;

use super::Holding;
use super::books::Books;
use super::cycle::{Cycle, Orders};
use super::eligibility::{Eligibility, Stage, is_usable, reaches};
use super::index::{AgentIx, MemberIx};
use super::quota::Barrier;
use super::refusals::Refusals;
use super::resource_names::is_quota_managed;
use super::rules::Rules;
use super::sorter::Sorter;
use crate::framework::{Capability, Framework, OfferConstraints};
use crate::resources::{Quantities, Resource, Resources, Scalar};
use crate::role::Role;
use crate::time::Time;
use std::sync::Arc;

/// A copy of all that a decision depends on, in which reasons are lifted one after the other.
#[derive(Debug)]
pub(super) struct Explanation<R, F> {
    rules: Rules,
    books: Books<R, F>,
    refusals: Refusals,
    member: MemberIx,
    agent: AgentIx,
    reasons: Vec<Reason>,
}

impl<R: Sorter + Clone, F: Sorter + Clone> Explanation<R, F> {
    /// Copies all that the decision about a member and an agent depends on.
    pub(super) fn new(
        rules: &Rules,
        books: &Books<R, F>,
        refusals: &Refusals,
        member: MemberIx,
        agent: AgentIx,
    ) -> Self {
        let (rules, books, refusals) = (rules.clone(), books.clone(), refusals.clone());
        Self { rules, books, refusals, member, agent, reasons: Vec::new() }
    }

    /// Returns all that prevents an offer, in the order of the checks; [`Reason::Starved`] if nothing does.
    pub(super) fn reasons(mut self, at: Time) -> Vec<Reason> {
        // 1. Checks that look at no other framework.
        self.update_quotas();
        while let Some(reason) = self.first_reason() {
            let is_lifted = self.lift(&reason);
            self.reasons.push(reason);
            if !is_lifted {
                return self.reasons;
            }
            self.update_quotas();
        }
        // 2. Frameworks that come first.
        self.outranked(at);
        // 3. Nothing prevents it: the member waits for the next allocation.
        if self.reasons.is_empty() {
            let since = self.books.membership().member(self.member).useful_offer_at;
            self.reasons.push(Reason::Starved { since });
        }
        self.reasons
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
    fn first_reason(&self) -> Option<Reason> {
        let (account, membership) = (&self.books.ledger()[self.agent], self.books.membership());
        let (member, framework, role) = (membership.member(self.member), self.framework(), self.role());
        if !account.is_active() {
            return Some(Reason::AgentInactive);
        }
        if !self.rules.allow(account) {
            return Some(Reason::NotWhitelisted { hostname: account.agent().hostname.clone() });
        }
        if !membership.framework(member.framework).is_active() {
            return Some(Reason::FrameworkInactive);
        }
        if member.is_suppressed {
            return Some(Reason::Suppressed);
        }
        if !framework.offer_constraints.admits(role, account.agent()) {
            return Some(Reason::OfferConstraints);
        }
        let overcommitted = || account.overcommitted().cloned().unwrap_or_default();
        if account.available().is_empty() {
            let (offered, allocated) = (account.offered().clone(), account.allocated().clone());
            return Some(Reason::NothingAvailable { offered, allocated, overcommitted: overcommitted() });
        }
        let left = account.available().for_role(role);
        if left.is_empty() {
            let mut roles: Vec<Role> = account.available().iter().filter_map(Resource::role).cloned().collect();
            roles.sort_unstable();
            roles.dedup();
            return Some(Reason::Reserved { roles });
        }
        let eligibility = self.eligibility();
        let minimum = eligibility.minimum(framework, role);
        if !reaches(&left, minimum) {
            return Some(Reason::MinAllocatable { asked: minimum.to_vec(), left, overcommitted: overcommitted() });
        }
        self.missing_capability(&left, minimum).or_else(|| self.quota_or_refusal(&left, minimum))
    }

    /// Returns the capability or the region that the framework lacks.
    fn missing_capability(&self, left: &Resources, minimum: &[Quantities]) -> Option<Reason> {
        let (account, options, framework) = (&self.books.ledger()[self.agent], &self.rules.options, self.framework());
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
    fn quota_or_refusal(&self, left: &Resources, minimum: &[Quantities]) -> Option<Reason> {
        let (eligibility, membership, framework) = (self.eligibility(), self.books.membership(), self.framework());
        let role = membership.member(self.member).role;
        let usable = left.filter(|resource| is_usable(framework, resource));
        let stages = [Stage::Guarantees, Stage::FairShares];
        let offers: Vec<Resources> =
            stages.into_iter().filter_map(|stage| eligibility.cut(stage, role, usable.clone())).collect();
        let Some(offer) = offers.iter().find(|offer| reaches(offer, minimum)) else {
            let (accounts, quota) = (self.books.quotas().accounts(), membership.quota_of(role));
            let barrier = accounts.barrier(self.books.names(), quota, &usable.filter(is_quota_managed))?;
            return Some(self.barrier_reason(barrier));
        };
        let (until, refused) = self.refusals.first(self.member, self.agent, offer)?;
        Some(Reason::Filtered { until, refused: refused.clone() })
    }

    fn barrier_reason(&self, barrier: Barrier) -> Reason {
        let names = self.books.names();
        match barrier {
            Barrier::Limit { role, name, limit, consumed } => Reason::QuotaLimit {
                role,
                name: names.name(name).into(),
                limit: Scalar::milli(limit),
                consumed: Scalar::milli(consumed),
            },
            Barrier::Headroom { name, free, required, roles } => Reason::Headroom {
                name: names.name(name).into(),
                free: Scalar::milli(free),
                required: Scalar::milli(required),
                roles,
            },
        }
    }

    /// Lifts a reason; returns false if that would make resources out of nothing.
    fn lift(&mut self, reason: &Reason) -> bool {
        let (role, mut framework) = (self.role().clone(), self.framework().clone());
        let ix = self.books.membership().member(self.member).framework;
        match reason {
            Reason::AgentInactive => self.books.set_agent_active(self.agent, true),
            Reason::NotWhitelisted { .. } => self.rules.whitelist = None,
            Reason::FrameworkInactive => self.books.set_framework_active(ix, true),
            Reason::Suppressed => self.books.set_suppressed(self.member, false),
            Reason::OfferConstraints => framework.offer_constraints = OfferConstraints::default(),
            Reason::MinAllocatable { .. } => drop(framework.offer_filters.insert(role, Vec::new())),
            Reason::Capability { capability } => framework.capabilities.push(*capability),
            Reason::Region { .. } => framework.capabilities.push(Capability::RegionAware),
            Reason::QuotaLimit { role, .. } => self.books.lift_limits(role),
            Reason::Headroom { .. } => self.books.lift_guarantees(),
            Reason::Filtered { .. } => self.refusals.forget_member(self.member),
            Reason::NothingAvailable { .. }
            | Reason::Reserved { .. }
            | Reason::Outranked { .. }
            | Reason::Starved { .. } => return false,
        }
        self.books.replace_framework(ix, Arc::new(framework));
        true
    }

    /// Adds the members that are offered the agent before this one: suppresses one after the other.
    fn outranked(&mut self, at: Time) {
        let (asked, own_role) = (self.framework().id.clone(), self.role().clone());
        loop {
            let offers = self.dry_run(at);
            let Some(first) = offers.first() else { return };
            if offers.iter().any(|offer| offer.framework == asked && offer.role == own_role) {
                return;
            }
            self.reasons.push(Reason::Outranked {
                share: self.books.share_of(&first.role),
                own_share: self.books.share_of(&own_role),
                framework: first.framework.clone(),
                role: first.role.clone(),
            });
            let membership = self.books.membership();
            let framework = membership.find_framework(&first.framework);
            let Some(member) = framework.and_then(|ix| membership.find_member(ix, &first.role)) else { return };
            self.books.set_suppressed(member, true);
        }
    }

    /// Returns the offers of the agent that the next allocation would make.
    fn dry_run(&self, at: Time) -> Vec<Holding> {
        let (mut books, mut refusals, mut offers) = (self.books.clone(), self.refusals.clone(), Vec::new());
        let mut orders = Orders::default();
        let cycle = Cycle::new(&self.rules, &mut books, &mut refusals, &mut orders, at, &mut offers);
        cycle.run(&mut [self.agent]);
        offers
    }
}
