//! [`Quotes`]: what a claim would get of an agent. It reads the books and decides; it changes nothing.

use super::claim::DenialReason;
use super::claimable::serve;
use crate::allocator::amounts::Amounts;
use crate::allocator::books::{Account, Books};
use crate::allocator::eligibility::{Eligibility, is_usable, reaches};
use crate::allocator::explain::{Extent, Reason};
use crate::allocator::index::{AgentIx, MemberIx, RoleIx};
use crate::allocator::refusals::Refusals;
use crate::allocator::resource_names::is_quota_managed;
use crate::allocator::rules::Rules;
use crate::allocator::sorter::Sorter;
use crate::framework::{Capability, Framework};
use crate::resources::Resources;

/// A reader of the books, whose accounts of quota are up to date.
#[derive(Debug)]
pub(super) struct Quotes<'a, R, F> {
    pub(super) rules: &'a Rules,
    pub(super) books: &'a Books<R, F>,
    pub(super) refusals: &'a Refusals,
}

impl<R: Sorter, F: Sorter + Clone> Quotes<'_, R, F> {
    /// Returns what a member that asks for resources gets of an agent, or the first check that fails: those of an offer, in
    /// their order.
    pub(super) fn of_agent(
        &self,
        agent: AgentIx,
        member: MemberIx,
        ask: &Resources,
    ) -> Result<Resources, DenialReason> {
        let (account, membership) = (&self.books.ledger()[agent], self.books.membership());
        let (member, entry) = (membership.member(member), membership.framework(membership.member(member).framework));
        let (framework, role) = (entry.framework(), membership.role(member.role));
        if !account.is_active() {
            return refuse(Reason::AgentInactive);
        }
        if !self.rules.allow(account) {
            return refuse(Reason::NotWhitelisted { hostname: Some(account.agent().hostname.clone()) });
        }
        if !entry.is_active() {
            return refuse(Reason::FrameworkInactive);
        }
        if !framework.offer_constraints.admits(role, account.agent()) {
            return refuse(Reason::OfferConstraints);
        }
        if let Some(reason) = self.missing_capability(account, framework) {
            return refuse(reason);
        }
        // All that the role may have of the agent, as it would be offered; of it the claim takes a part.
        let left = account.available().for_role(role);
        let usable = left.filter(|resource| is_usable(framework, resource));
        let taken = serve(&usable, ask)?;
        let eligibility = Eligibility { rules: self.rules, books: self.books, refusals: self.refusals };
        let minimum = eligibility.minimum(framework, role);
        if !reaches(&usable, minimum) {
            let overcommitted = account.overcommitted().cloned().unwrap_or_default();
            let (asked, left) = (minimum.to_vec(), Extent::One(usable));
            return refuse(Reason::MinAllocatable { asked, left, overcommitted });
        }
        match self.quota_barrier(&eligibility, member.role, &taken) {
            Some(reason) => refuse(reason),
            None => Ok(taken),
        }
    }

    fn missing_capability(&self, account: &Account, framework: &Framework) -> Option<Reason> {
        let (options, lacks) = (&self.rules.options, |capability| !framework.has_capability(capability));
        if options.filter_gpu_resources && account.has_gpus() && lacks(Capability::GpuResources) {
            return Some(Reason::Capability { capability: Capability::GpuResources });
        }
        let (agent, master) = account.agent().domain.as_ref().zip(options.domain.as_ref())?;
        let is_remote = agent.region != master.region && lacks(Capability::RegionAware);
        is_remote.then(|| Reason::Region { agent: agent.region.clone(), master: master.region.clone() })
    }

    /// Returns the limit, or the headroom of others, that does not leave all of the resources to a role.
    fn quota_barrier(&self, eligibility: &Eligibility<'_, R, F>, role: RoleIx, taken: &Resources) -> Option<Reason> {
        let (quotas, names) = (self.books.quotas(), self.books.names());
        if quotas.is_empty() {
            return None;
        }
        let (accounts, quota) = (quotas.accounts(), self.books.membership().quota_of(role));
        let unsatisfied = match quota {
            Some(quota) if eligibility.is_below_guarantee(role) => accounts.unsatisfied(quota),
            _ => Amounts::default(),
        };
        let managed = taken.filter(is_quota_managed);
        if accounts.cut(names, quota, &managed, &unsatisfied, None).0 == managed {
            return None;
        }
        let barrier = accounts.barrier(names, quota, &managed);
        Some(barrier.map_or_else(Reason::nothing, |barrier| Reason::of_barrier(names, barrier)))
    }
}

fn refuse<T>(reason: Reason) -> Result<T, DenialReason> {
    Err(DenialReason::Check(Box::new(reason)))
}
