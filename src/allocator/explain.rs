//! [`Reason`]: why a framework is not offered what it is not.
//!
//! Reasons come from the decision itself: the first that holds is found by the same checks that the
//! cycle makes, then it is lifted in a copy of the allocator, and the next one is looked for. So each
//! reason is true in this sense: take those before it away, and it is what stands in the way; take
//! it away too, and the next one, or the offer, follows.

mod reason;

pub use reason::Reason;

use super::cycle::{Stage, reaches};
use super::hierarchical::Hierarchical;
use super::ledger::AgentIx;
use super::quota::Barrier;
use super::resource_names::is_firm;
use super::roster::Place;
use super::sorter::Sorter;
use super::{Allocator, AllocatorError};
use crate::framework::{Capability, Framework};
use crate::id::{AgentId, FrameworkId};
use crate::resources::{Quantities, Resource, Resources, Scalar};
use crate::role::Role;
use crate::time::Time;
use std::sync::Arc;

impl<R: Sorter + Clone, F: Sorter + Clone> Hierarchical<R, F> {
    /// Why a framework is not offered an agent under a role: all that stands in the way, in the order
    /// of the checks. If nothing does, it is [`Reason::Starved`]: the next allocation will offer it.
    ///
    /// O(cluster): it decides in a copy.
    ///
    /// # Errors
    ///
    /// If the agent or the framework is unknown, or does not have the role.
    pub fn explain(
        &self,
        at: Time,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Result<Vec<Reason>, AllocatorError> {
        let ix = self.find_agent(agent)?;
        let place = self.places(framework, std::slice::from_ref(role))?;
        let mut world = self.clone();
        let mut reasons = Vec::new();
        for place in place {
            world.settle_quotas();
            while let Some(reason) = world.first_reason(place, ix) {
                let last = !world.lift(place, ix, &reason);
                world.settle_quotas();
                reasons.push(reason);
                if last {
                    return Ok(reasons);
                }
            }
            world.outranked(at, place, ix, &mut reasons);
            if reasons.is_empty() {
                reasons.push(Reason::Starved { since: self.member(place).useful_at });
            }
        }
        Ok(reasons)
    }

    /// The first check that fails, of those that look at nobody else.
    fn first_reason(&self, place: Place, agent: AgentIx) -> Option<Reason> {
        let (account, role) = (&self.ledger[agent], &self.roles[place.0].role);
        let framework = self.framework_of(place);
        if !account.active {
            return Some(Reason::AgentInactive);
        }
        if !self.is_candidate(agent) {
            return Some(Reason::NotWhitelisted { hostname: account.agent().hostname.clone() });
        }
        if !self.is_framework_active(place) {
            return Some(Reason::FrameworkInactive);
        }
        if self.is_suppressed(place) {
            return Some(Reason::Suppressed);
        }
        if !framework.offer_constraints.admit(role, account.agent()) {
            return Some(Reason::OfferConstraints);
        }
        if account.available().is_empty() {
            let (offered, allocated) = (account.offered().clone(), account.allocated().clone());
            return Some(Reason::NothingAvailable { offered, allocated });
        }
        let left = account.available().for_role(role);
        if left.is_empty() {
            let mut roles: Vec<Role> = account.available().iter().filter_map(Resource::role).cloned().collect();
            roles.sort_unstable();
            roles.dedup();
            return Some(Reason::Reserved { roles });
        }
        let minimum = self.minimum(framework, role);
        if !reaches(&left, minimum) {
            return Some(Reason::MinAllocatable { asked: minimum.to_vec(), left });
        }
        if let Some(reason) = self.inability(framework, agent, &left, minimum) {
            return Some(reason);
        }
        self.quota_reason(place, agent, &left)
    }

    /// What a framework cannot deal with.
    fn inability(
        &self,
        framework: &Framework,
        agent: AgentIx,
        left: &Resources,
        minimum: &[Quantities],
    ) -> Option<Reason> {
        let account = &self.ledger[agent];
        let lacks = |capability| !framework.can(capability);
        if self.options.filter_gpu_resources && account.has_gpus() && lacks(Capability::GpuResources) {
            return Some(Reason::Capability { capability: Capability::GpuResources });
        }
        if let Some((agent, master)) = account.agent().domain.as_ref().zip(self.options.domain.as_ref())
            && agent.region != master.region
            && lacks(Capability::RegionAware)
        {
            return Some(Reason::Region { agent: agent.region.clone(), master: master.region.clone() });
        }
        if reaches(&left.filter(|resource| Self::is_usable(framework, resource)), minimum) {
            return None;
        }
        let shared = lacks(Capability::SharedResources) && left.iter().any(Resource::is_shared);
        let capability = if shared { Capability::SharedResources } else { Capability::RevocableResources };
        Some(Reason::Capability { capability })
    }

    /// What of quota, or which refusal, stands in the way.
    fn quota_reason(&self, place: Place, agent: AgentIx, left: &Resources) -> Option<Reason> {
        let entry = &self.roles[place.0];
        let framework = self.framework_of(place);
        let minimum = self.minimum(framework, &entry.role);
        let usable = left.filter(|resource| Self::is_usable(framework, resource));
        let stages = [Stage::Guarantees, Stage::FairShares];
        let offers: Vec<Resources> =
            stages.into_iter().filter_map(|stage| self.cut(stage, place.0, usable.clone())).collect();
        let Some(offer) = offers.iter().find(|offer| reaches(offer, minimum)) else {
            let barrier = self.quotas.accounts.barrier(&self.names, entry.quota, &usable.filter(is_firm))?;
            return Some(self.barrier_reason(barrier));
        };
        let (until, refused) = self.refusals.first(self.member(place).number, agent, offer)?;
        Some(Reason::Filtered { until, refused: refused.clone() })
    }

    fn barrier_reason(&self, barrier: Barrier) -> Reason {
        let names = &self.names;
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

    /// Takes a reason away; false if that would mean to make resources out of nothing.
    fn lift(&mut self, place: Place, agent: AgentIx, reason: &Reason) -> bool {
        let role = self.roles[place.0].role.clone();
        let mut framework = self.framework_of(place).clone();
        match reason {
            Reason::AgentInactive => self.ledger.set_active(agent, true),
            Reason::NotWhitelisted { .. } => self.set_whitelist(None),
            Reason::FrameworkInactive => drop(self.set_framework_active(&framework.id, true)),
            Reason::Suppressed => self.unsuppress(place),
            Reason::OfferConstraints => framework.offer_constraints = crate::framework::OfferConstraints::default(),
            Reason::MinAllocatable { .. } => drop(framework.offer_filters.insert(role, Vec::new())),
            Reason::Capability { capability } => framework.capabilities.push(*capability),
            Reason::Region { .. } => framework.capabilities.push(Capability::RegionAware),
            Reason::QuotaLimit { role, .. } => self.quotas.lift_limits(role),
            Reason::Headroom { .. } => self.quotas.lift_guarantees(),
            Reason::Filtered { .. } => self.forget_refusals(place),
            Reason::NothingAvailable { .. }
            | Reason::Reserved { .. }
            | Reason::Outranked { .. }
            | Reason::Starved { .. } => return false,
        }
        self.replace_framework(self.member(place).framework, Arc::new(framework));
        true
    }

    /// Who would be offered the agent before the framework is; all others are silenced one after the other.
    fn outranked(&mut self, at: Time, place: Place, agent: AgentIx, reasons: &mut Vec<Reason>) {
        let asked = self.framework_of(place).id.clone();
        let own_role = self.roles[place.0].role.clone();
        loop {
            let mut decided = Vec::new();
            self.clone().run_cycle(at, &mut [agent], &mut decided);
            let Some(first) = decided.first() else { return };
            if decided.iter().any(|offer| offer.framework == asked && offer.role == own_role) {
                return;
            }
            reasons.push(Reason::Outranked {
                share: self.share_of(&first.role),
                own_share: self.share_of(&own_role),
                framework: first.framework.clone(),
                role: first.role.clone(),
            });
            if self.suppress(&first.framework, std::slice::from_ref(&first.role)).is_err() {
                return;
            }
        }
    }
}
