//! [`Quotes`]: which agents have room for a claim. It reads the books and decides; it changes nothing.

use super::agent_choice::{AgentChoice, Spot};
use super::claim::DenialReason;
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
use crate::resources::{Resources, Served};

/// A reader of the books, whose accounts of quota are up to date.
#[derive(Debug)]
pub(super) struct Quotes<'a, R, F> {
    pub(super) rules: &'a Rules,
    pub(super) books: &'a Books<R, F>,
    pub(super) refusals: &'a Refusals,
}

/// The resources that a claim gets of an agent.
#[derive(Debug)]
pub(super) struct Quote {
    pub(super) agent: AgentIx,
    pub(super) taken: Resources,
}

/// The checks that a claim fails, each with the number of agents.
pub(super) type Reasons = Vec<(DenialReason, usize)>;

impl<R: Sorter, F: Sorter + Clone> Quotes<'_, R, F> {
    /// Returns the agents that have room for what a member asks for, the best first; or why there are none. With
    /// [`AgentChoice::first`] the first one alone, unless it is not `wanted`.
    pub(super) fn of_all(
        &self,
        member: MemberIx,
        ask: &Resources,
        choice: &AgentChoice,
        mut is_wanted: impl FnMut(&Quote) -> bool,
    ) -> Result<Vec<Quote>, Reasons> {
        let (mut quotes, mut reasons) = (Vec::new(), Reasons::new());
        for agent in self.books.ledger().in_order_of_adding() {
            match self.of_agent(agent, member, ask) {
                Ok(taken) => {
                    let quote = Quote { agent, taken };
                    let score = self.score(&quote, choice);
                    let is_last = choice.is_first() && is_wanted(&quote);
                    quotes.push((score, quote));
                    if is_last {
                        break;
                    }
                }
                Err(reason) => add(&mut reasons, reason),
            }
        }
        if quotes.is_empty() {
            reasons.sort_by_key(|(_, agents)| std::cmp::Reverse(*agents));
            return Err(reasons);
        }
        quotes.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Ok(quotes.into_iter().map(|(_, quote)| quote).collect())
    }

    fn score(&self, quote: &Quote, choice: &AgentChoice) -> f64 {
        if choice.is_first() {
            return 0.0;
        }
        let account = &self.books.ledger()[quote.agent];
        let left = account.available().saturating_sub(&quote.taken);
        choice.score(&Spot { agent: account.agent(), taken: &quote.taken, left: &left })
    }

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
        let Served { taken, mut short, .. } = usable.serve(ask, |_| true);
        if !short.is_empty() {
            return Err(DenialReason::Short(Box::new(short.swap_remove(0))));
        }
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
        if accounts.cut(names, quota, &managed, &unsatisfied).0 == managed {
            return None;
        }
        let barrier = accounts.barrier(names, quota, &managed);
        Some(barrier.map_or_else(Reason::nothing, |barrier| Reason::of_barrier(names, barrier)))
    }
}

fn refuse<T>(reason: Reason) -> Result<T, DenialReason> {
    Err(DenialReason::Check(Box::new(reason)))
}

/// Adds a reason of one more agent: all shortages are one, reasons are grouped as those of offers.
fn add(reasons: &mut Reasons, reason: DenialReason) {
    let alike = reasons.iter_mut().find(|(known, _)| match (known, &reason) {
        (DenialReason::Short(_), DenialReason::Short(_)) => true,
        (DenialReason::Check(known), DenialReason::Check(reason)) => known.group() == reason.group(),
        (DenialReason::Short(_) | DenialReason::Check(_), _) => false,
    });
    match alike {
        None => reasons.push((reason, 1)),
        Some((known, agents)) => {
            *agents += 1;
            if let (DenialReason::Check(known), DenialReason::Check(reason)) = (known, reason) {
                known.merge(*reason);
            }
        }
    }
}
