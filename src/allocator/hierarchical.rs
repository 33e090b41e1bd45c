//! [`Hierarchical`]: the allocator of Mesos, put together from its rooms.
//!
//! `books` keeps the accounts, `refusals` the filters, `rules` the options; `cycle` decides who is offered what, and
//! `explain` tells why a framework is not.

use super::books::{Books, Newcomers, Requested};
use super::cycle::Cycle;
use super::explain::{Explanation, Reason};
use super::index::{AgentIx, FrameworkIx, MemberIx};
use super::offer_cap::bound_of_offers;
use super::quota::{IneffectiveLimit, Quota, QuotaError};
use super::refusals::Refusals;
use super::rules::{Options, Rules};
use super::share::Weight;
use super::snapshot::{Contents, SnapshotError};
use super::sorter::{Sorter, SorterChoice};
use super::verdicts::Verdicts;
use super::{AgentAccount, Allocator, AllocatorError, Change, EndedOffers, Explain, Holding, Persist, RoleAccount};
use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::json::Json;
use crate::offer::Conversion;
use crate::resources::{Resource, Resources};
use crate::role::Role;
use crate::scheduler::Request;
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexSet;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The allocator of Mesos: one sorter over the tree of roles, one over the frameworks of each role.
///
/// # Examples
///
/// ```
/// use apportion::allocator::{Allocator, Drf, Hierarchical, Options};
/// use apportion::{Agent, Framework, Role, Time};
/// use std::sync::Arc;
///
/// let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
/// for id in ["hadoop", "mpi"] {
///     allocator.add_framework(&Arc::new(Framework::new(id).role(Role::new(id)?)), &[])?;
/// }
/// for id in ["a1", "a2"] {
///     allocator.add_agent(&Arc::new(Agent::new(id, "cpus:4;mem:4096".parse()?)), &[])?;
/// }
/// let offers = allocator.allocate(Time::ZERO, None);
/// let frameworks: Vec<_> = offers.iter().map(|offer| offer.framework.as_str()).collect();
/// assert_eq!(frameworks, ["hadoop", "mpi"]); // one agent each
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Hierarchical<R = SorterChoice, F = SorterChoice> {
    pub(super) rules: Rules,
    pub(super) books: Books<R, F>,
    pub(super) refusals: Refusals,
    /// The members that agents are known not to be offered to, whatever is available of them.
    pub(super) unfit: Verdicts,
    /// The agents that were looked at in vain for members that are offered only so many offers; those that have changed since are
    /// forgotten at the next allocation.
    pub(super) vain: Verdicts,
    /// Counters for [`metrics`](Self::metrics).
    pub(super) allocation_runs: u64,
    pub(super) offers_made: u64,
}

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Starts with an empty cluster; each role gets a copy of the sorter for frameworks.
    #[must_use]
    pub fn new(options: Options, roles: R, frameworks: F) -> Self {
        Self {
            books: Books::new(roles, frameworks, &options.fair_sharing_excluded),
            rules: Rules::new(options),
            refusals: Refusals::default(),
            unfit: Verdicts::default(),
            vain: Verdicts::default(),
            allocation_runs: 0,
            offers_made: 0,
        }
    }

    pub(super) fn find_agent(&self, id: &AgentId) -> Result<AgentIx, AllocatorError> {
        self.books.ledger().find(id).ok_or_else(|| AllocatorError::UnknownAgent(id.clone()))
    }

    pub(super) fn find_framework(&self, id: &FrameworkId) -> Result<FrameworkIx, AllocatorError> {
        self.books.membership().find_framework(id).ok_or_else(|| AllocatorError::UnknownFramework(id.clone()))
    }

    /// Returns the member of a framework in a role that it is subscribed to.
    pub(super) fn find_subscribed(&self, id: &FrameworkId, role: &Role) -> Result<MemberIx, AllocatorError> {
        let (framework, membership) = (self.find_framework(id)?, self.books.membership());
        let member = membership.find_member(framework, role);
        member
            .filter(|member| membership.member(*member).is_subscribed)
            .ok_or_else(|| AllocatorError::RoleNotSubscribed { framework: id.clone(), role: role.clone() })
    }

    /// Returns the members of a framework in these of its roles, or, if there are none, in all that it is subscribed to.
    fn find_all_subscribed(&self, id: &FrameworkId, roles: &[Role]) -> Result<Vec<MemberIx>, AllocatorError> {
        if roles.is_empty() {
            let membership = self.books.membership();
            let members = membership.members_of(self.find_framework(id)?).iter().copied();
            return Ok(members.filter(|member| membership.member(*member).is_subscribed).collect());
        }
        roles.iter().map(|role| self.find_subscribed(id, role)).collect()
    }

    /// Brings the accounts of quota up to date.
    pub(super) fn update_quotas(&mut self) {
        self.books.update_quotas(&self.rules.options.min_allocatable);
    }

    fn forget_refusals(&mut self, members: impl IntoIterator<Item = MemberIx>) {
        for member in members {
            self.refusals.forget_member(member);
            self.forget_verdicts(member);
        }
    }

    /// Forgets what was found out of a member.
    fn forget_verdicts(&mut self, member: MemberIx) {
        self.unfit.forget_member(member);
        self.vain.forget_member(member);
    }

    /// Forgets that agents were looked at in vain that have changed since, in an allocation of all agents.
    fn forget_changed(&mut self) {
        if self.vain.is_empty() {
            return;
        }
        if self.books.ledger().is_all_dirty() {
            self.vain.clear();
        } else {
            self.books.ledger().dirty().for_each(|agent| self.vain.forget_agent(agent));
        }
    }

    /// Forgets what was found out of an agent that is another one now.
    fn agent_changed(&mut self, ix: AgentIx, before: &Agent, now: &Agent) {
        if before.attributes != now.attributes {
            self.refusals.forget_agent(ix);
        }
        if (&before.attributes, &before.hostname, &before.domain) != (&now.attributes, &now.hostname, &now.domain) {
            self.unfit.forget_agent(ix);
        }
    }

    /// Copies all that decisions about a framework in a role depend on.
    fn explanation(&self, at: Time, framework: &FrameworkId, role: &Role) -> Result<Explanation<R, F>, AllocatorError>
    where
        R: Clone,
    {
        let member = self.find_subscribed(framework, role)?;
        Ok(Explanation::new(&self.rules, &self.books, &self.refusals, member, at))
    }

    /// Takes an agent, if there is such a one, from those that the next allocation of all agents visits.
    pub(super) fn take_one(&mut self, agent: &AgentId) -> Option<AgentIx> {
        let agent = self.books.ledger().find(agent)?;
        if !self.vain.is_empty() {
            self.vain.forget_agent(agent);
        }
        self.books.unmark(agent);
        Some(agent)
    }

    /// Takes the agents that an allocation of all agents visits; see [`Books::take_dirty`].
    pub(super) fn take_changed(&mut self) -> (Vec<AgentIx>, Option<Newcomers>) {
        self.update_quotas();
        if self.books.quotas().accounts().holds_headroom() {
            // An offer of one agent may satisfy a guarantee, and so make headroom available on another.
            self.books.mark_all_dirty();
        }
        self.forget_changed();
        self.books.take_dirty(&self.vain)
    }

    /// Checks that resources of an agent are available to a role.
    pub(super) fn check_available(&self, agent: AgentIx, offer: &Holding) -> Result<(), AllocatorError> {
        let available = self.books.ledger()[agent].available().for_role(&offer.role);
        match available.shortfall(&offer.resources) {
            Some(shortfall) => {
                let (agent, shortfall) = (offer.agent.clone(), Box::new(shortfall));
                Err(AllocatorError::NotAvailable { agent, shortfall })
            }
            None => Ok(()),
        }
    }

    fn run_cycle(
        &mut self,
        at: Time,
        agents: &mut [AgentIx],
        newcomers: Option<&Newcomers>,
        offers: &mut Vec<Holding>,
    ) {
        let before = offers.len();
        let Self { rules, books, refusals, unfit, vain, .. } = self;
        Cycle::new(rules, books, refusals, [unfit, vain], at, newcomers, offers).run(agents);
        self.allocation_runs += 1;
        self.offers_made += (offers.len() - before) as u64;
    }

    pub(super) fn role_account(&self, role: Role) -> RoleAccount {
        RoleAccount {
            weight: self.books.membership().weights().get(&role).copied().unwrap_or_default(),
            share: self.books.share_of(&role),
            held: self.books.held_by(&role),
            quota: self.books.quotas().of(&role).cloned().unwrap_or_default(),
            role,
        }
    }
}

impl Hierarchical {
    /// Starts with an empty cluster, and DRF for roles and frameworks.
    #[must_use]
    pub fn with_options(options: Options) -> Self {
        Self::new(options, SorterChoice::default(), SorterChoice::default())
    }
}

impl Default for Hierarchical {
    /// Starts with an empty cluster, Mesos' options, and DRF for roles and frameworks.
    fn default() -> Self {
        Self::with_options(Options::default())
    }
}

/// The changes that an allocator is told, a method for each [`Change`].
impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Adds an agent, parts of which tasks may hold already. The frameworks of the tasks may be unknown:
    /// the resources of their tasks are not available, and count in no share.
    ///
    /// # Errors
    ///
    /// If the agent is known, or its resources cannot be added up.
    pub fn add_agent(&mut self, agent: &Arc<Agent>, held: &[Holding]) -> Result<(), AllocatorError> {
        if self.books.ledger().find(&agent.id).is_some() {
            return Err(AllocatorError::AgentExists(agent.id.clone()));
        }
        check_agent_of(&agent.id, held)?;
        self.books.add_agent(agent, held)
    }

    /// Replaces the metadata and the total of an agent.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, or its resources cannot be added up.
    pub fn update_agent(&mut self, agent: &Arc<Agent>) -> Result<(), AllocatorError> {
        let ix = self.find_agent(&agent.id)?;
        let before = Arc::clone(self.books.ledger()[ix].agent());
        self.books.update_agent(ix, agent)?;
        self.agent_changed(ix, &before, agent);
        Ok(())
    }

    /// Replaces the metadata and the total of an agent that comes back after a broken connection, and what tasks hold of it:
    /// `ended` are those that have ended meanwhile, `held` are those that were not known. It counts as no allocation.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, one of the ended tasks is, or the agent or what it holds cannot be added up.
    pub fn readmit_agent(
        &mut self,
        agent: &Arc<Agent>,
        held: &[Holding],
        ended: &[Holding],
    ) -> Result<(), AllocatorError> {
        let ix = self.find_agent(&agent.id)?;
        check_agent_of(&agent.id, held)?;
        check_agent_of(&agent.id, ended)?;
        let before = Arc::clone(self.books.ledger()[ix].agent());
        let removed = self.books.readmit_agent(ix, agent, held, ended)?;
        self.forget_refusals(removed);
        self.agent_changed(ix, &before, agent);
        Ok(())
    }

    /// Removes an agent on which nothing is offered or in use any more.
    ///
    /// # Errors
    ///
    /// If the agent is unknown or in use.
    pub fn remove_agent(&mut self, agent: &AgentId) -> Result<(), AllocatorError> {
        let ix = self.find_agent(agent)?;
        self.books.remove_agent(ix)?;
        self.refusals.forget_agent(ix);
        self.unfit.forget_agent(ix);
        self.vain.forget_agent(ix);
        Ok(())
    }

    /// Activates or deactivates an agent: an inactive one is not offered.
    ///
    /// # Errors
    ///
    /// If the agent is unknown.
    pub fn set_agent_active(&mut self, agent: &AgentId, active: bool) -> Result<(), AllocatorError> {
        let ix = self.find_agent(agent)?;
        self.books.set_agent_active(ix, active);
        Ok(())
    }

    /// Adds a framework; `held` are its tasks on agents that were added before it.
    ///
    /// # Errors
    ///
    /// If the framework is known or has no id, or a task did not come with its agent.
    pub fn add_framework(&mut self, framework: &Arc<Framework>, held: &[Holding]) -> Result<(), AllocatorError> {
        if self.books.membership().find_framework(&framework.id).is_some() {
            return Err(AllocatorError::FrameworkExists(framework.id.clone()));
        }
        if framework.id.as_str().is_empty() {
            return Err(AllocatorError::FrameworkWithoutId);
        }
        let revived = self.books.add_framework(framework, held)?;
        self.forget_refusals(revived);
        Ok(())
    }

    /// Replaces the metadata of a framework, and subscribes it to just its present roles.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    pub fn update_framework(&mut self, framework: &Arc<Framework>) -> Result<(), AllocatorError> {
        let ix = self.find_framework(&framework.id)?;
        let revived_or_left = self.books.update_framework(ix, framework);
        self.forget_refusals(revived_or_left);
        let members = self.books.membership().members_of(ix).to_vec();
        members.iter().for_each(|member| self.forget_verdicts(*member)); // it may have other constraints
        self.books.mark_all_dirty_for(members);
        Ok(())
    }

    /// Removes a framework that holds nothing any more.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or has offers or tasks.
    pub fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), AllocatorError> {
        let ix = self.find_framework(framework)?;
        let removed = self.books.remove_framework(ix)?;
        self.forget_refusals(removed);
        Ok(())
    }

    /// Activates or deactivates a framework: an inactive one is offered nothing, and its refusals are forgotten.
    ///
    /// # Errors
    ///
    /// If the framework is unknown.
    pub fn set_framework_active(&mut self, framework: &FrameworkId, active: bool) -> Result<(), AllocatorError> {
        let ix = self.find_framework(framework)?;
        let members = self.books.membership().members_of(ix).to_vec();
        if !active {
            self.forget_refusals(members.iter().copied());
        }
        self.books.set_framework_active(ix, active);
        self.books.mark_all_dirty_for(members);
        Ok(())
    }

    /// Stops offers to a framework for these of its roles, or for all if there are none here.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to one of the roles.
    pub fn suppress(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError> {
        for member in self.find_all_subscribed(framework, roles)? {
            let works_now = self.books.set_suppressed(member, true);
            if works_now {
                self.request_changed(member);
            }
        }
        Ok(())
    }

    /// Has a framework request so many offers under each of these roles, or of all if there are none here, in place of what it
    /// requested before. The roles that the request itself names are not looked at.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to one of the roles.
    pub fn request(
        &mut self,
        framework: &FrameworkId,
        roles: &[Role],
        request: &Request,
    ) -> Result<(), AllocatorError> {
        for member in self.find_all_subscribed(framework, roles)? {
            self.books.set_request(member, Requested::of(request));
            self.request_changed(member);
        }
        Ok(())
    }

    /// Opens places of a framework's request under a role again: so many offers that were made for it have ended unused.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to the role.
    pub fn reopen(&mut self, framework: &FrameworkId, role: &Role, places: u64) -> Result<(), AllocatorError> {
        let member = self.find_subscribed(framework, role)?;
        self.books.reopen(member, places);
        Ok(())
    }

    /// Has the next allocation look at all agents for a member whose request has changed, or has begun to work.
    fn request_changed(&mut self, member: MemberIx) {
        self.forget_verdicts(member);
        self.books.mark_all_dirty_for([member]);
    }

    /// Resumes offers to a framework for these of its roles, or for all if there are none here, and forgets its refusals.
    ///
    /// # Errors
    ///
    /// If the framework is unknown, or is not subscribed to one of the roles.
    pub fn revive(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError> {
        let members = self.find_all_subscribed(framework, roles)?;
        for member in members.iter().copied() {
            if self.books.set_request(member, None) {
                self.unfit.forget_member(member); // the request may have named agents
            }
            self.vain.forget_member(member);
            self.books.set_suppressed(member, false);
            self.refusals.forget_member(member);
        }
        self.books.mark_all_dirty_for(members);
        Ok(())
    }

    /// Sets the weight of a role, whether or not any framework is subscribed to it.
    pub fn set_weight(&mut self, role: &Role, weight: Weight) {
        self.books.set_weight(role, weight);
    }

    /// Sets the hosts that may be offered; none = all.
    pub fn set_whitelist(&mut self, hostnames: Option<Vec<Text>>) {
        self.rules.whitelist = hostnames.map(IndexSet::from_iter);
        self.books.mark_all_dirty();
    }

    /// Ends offers: tasks hold part of them from now on, the rest is available again.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, one of the offers is not live, the tasks hold more than was offered, or the results cannot be
    /// added up.
    pub fn end_offers(&mut self, ended: &EndedOffers<'_>) -> Result<(), AllocatorError> {
        let agent = self.find_agent(ended.agent)?;
        let removed = self.books.end_offers(agent, ended)?;
        self.forget_refusals(removed);
        Ok(())
    }

    /// Ends an offer: `tasks` hold part of it from now on, the rest is available again.
    ///
    /// # Errors
    ///
    /// See [`Hierarchical::end_offers`].
    pub fn end_offer(&mut self, offer: &Holding, tasks: &[&Resources]) -> Result<(), AllocatorError> {
        let Holding { framework, role, agent, resources } = offer;
        self.end_offers(&EndedOffers { framework, role, agent, offers: &[resources], conversions: &[], tasks })
    }

    /// Ends a task: what it held is available again.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, or there is no such task on it.
    pub fn end_task(&mut self, task: &Holding) -> Result<(), AllocatorError> {
        let agent = self.find_agent(&task.agent)?;
        let removed = self.books.end_task(agent, task)?;
        self.forget_refusals(removed);
        Ok(())
    }

    /// Converts resources of an agent that are available.
    ///
    /// # Errors
    ///
    /// If the agent is unknown, what is consumed is not available, or the result cannot be added up.
    pub fn convert(&mut self, agent: &AgentId, conversion: &Conversion) -> Result<(), AllocatorError> {
        self.books.convert(self.find_agent(agent)?, conversion)
    }

    /// Records that a framework refuses these resources, and any part of them, until then.
    ///
    /// # Errors
    ///
    /// If the agent or the framework is unknown, or the framework is not subscribed to the role.
    pub fn refuse(&mut self, refused: &Holding, until: Time) -> Result<(), AllocatorError> {
        let agent = self.find_agent(&refused.agent)?;
        let member = self.find_subscribed(&refused.framework, &refused.role)?;
        let membership = self.books.membership();
        let available = self.books.ledger()[agent].available();
        let bound = self.rules.cap.as_ref().map(|cap| bound_of_offers(available, cap));
        let offerable = bound.as_ref().unwrap_or(available);
        self.refusals.refuse(member, agent, &refused.resources, until, offerable);
        // This must not depend on what is cached: a restored allocator has other caches.
        if self.refusals.all_refuse(membership.active(), agent, offerable)
            && (self.rules.cap.is_none() || !membership.any_active_with_own_minimum())
        {
            self.books.unmark(agent);
        }
        Ok(())
    }

    /// Removes the refusals that end by then.
    pub fn expire(&mut self, at: Time) {
        let Self { books, refusals, .. } = self;
        refusals.expire(at, |agent| books.mark_dirty(agent));
    }
}

impl<R: Sorter + Clone, F: Sorter + Clone> Allocator for Hierarchical<R, F> {
    #[inline]
    fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError> {
        match change {
            Change::AddAgent { agent, held } => self.add_agent(agent, held),
            Change::UpdateAgent(agent) => self.update_agent(agent),
            Change::ReadmitAgent { agent, held, ended } => self.readmit_agent(agent, held, ended),
            Change::RemoveAgent(agent) => self.remove_agent(agent),
            Change::SetAgentActive { agent, active } => self.set_agent_active(agent, active),
            Change::AddFramework { framework, held } => self.add_framework(framework, held),
            Change::UpdateFramework(framework) => self.update_framework(framework),
            Change::RemoveFramework(framework) => self.remove_framework(framework),
            Change::SetFrameworkActive { framework, active } => self.set_framework_active(framework, active),
            Change::Suppress { framework, roles } => self.suppress(framework, roles),
            Change::Revive { framework, roles } => self.revive(framework, roles),
            Change::Request { framework, roles, request } => self.request(framework, roles, request),
            Change::Reopen { framework, role, places } => self.reopen(framework, role, places),
            Change::SetWeight { role, weight } => {
                self.set_weight(role, weight);
                Ok(())
            }
            Change::SetWhitelist(hostnames) => {
                self.set_whitelist(hostnames.map(<[Text]>::to_vec));
                Ok(())
            }
            Change::EndOffers(ended) => self.end_offers(&ended),
            Change::EndTask(task) => self.end_task(task),
            Change::Convert { agent, conversion } => self.convert(agent, conversion),
            Change::Refuse { refused, until } => self.refuse(refused, until),
            Change::Expire(at) => {
                self.expire(at);
                Ok(())
            }
        }
    }

    fn allocate_into(&mut self, at: Time, agent: Option<&AgentId>, offers: &mut Vec<Holding>) {
        match agent {
            Some(id) => {
                let Some(agent) = self.take_one(id) else { return };
                self.run_cycle(at, &mut [agent], None, offers);
            }
            None => {
                let (mut agents, newcomers) = self.take_changed();
                self.run_cycle(at, &mut agents, newcomers.as_ref(), offers);
            }
        }
    }

    fn has_pending(&self) -> bool {
        self.books.has_pending()
    }

    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        let account = &self.books.ledger()[self.books.ledger().find(agent)?];
        Some(AgentAccount {
            total: Cow::Borrowed(account.total()),
            offered: Cow::Borrowed(account.offered()),
            allocated: Cow::Borrowed(account.allocated()),
            available: Cow::Borrowed(account.available()),
            overcommitted: account.overcommitted().map(Cow::Borrowed),
            active: account.is_active(),
        })
    }

    fn next_expiry(&self) -> Option<Time> {
        self.refusals.next_end()
    }

    fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        let ineffective = self.books.set_quota(role, quota)?;
        self.books.mark_all_dirty();
        Ok(ineffective)
    }

    fn roles(&self) -> Vec<RoleAccount> {
        let (membership, ledger) = (self.books.membership(), self.books.ledger());
        let mut named: BTreeSet<&Role> = membership.role_paths().chain(membership.weights().keys()).collect();
        named.extend(self.books.quotas().iter().map(|(role, _)| role));
        named.extend(ledger.accounts().flat_map(|account| account.total().iter().filter_map(Resource::role)));
        let mut roles: BTreeSet<Role> = named.iter().flat_map(|role| role.ancestors()).collect();
        roles.extend(named.into_iter().cloned());
        roles.into_iter().map(|role| self.role_account(role)).collect()
    }

    fn explainer(&self) -> Option<&dyn Explain> {
        Some(self)
    }
}

impl<R: Sorter, F: Sorter + Clone> Persist for Hierarchical<R, F> {
    fn save(&self) -> Json {
        self.save_state()
    }

    fn load(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        self.load_state(saved, contents)
    }
}

impl<R: Sorter + Clone, F: Sorter + Clone> Explain for Hierarchical<R, F> {
    fn explain(
        &self,
        at: Time,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Result<Vec<Reason>, AllocatorError> {
        let agent = self.find_agent(agent)?;
        Ok(self.explanation(at, framework, role)?.of_agent(agent))
    }

    fn explain_all(
        &self,
        at: Time,
        framework: &FrameworkId,
        role: &Role,
    ) -> Result<Vec<(Reason, usize)>, AllocatorError> {
        let explanation = self.explanation(at, framework, role)?;
        Ok(explanation.of_agents(self.books.ledger().in_order_of_adding()))
    }
}

/// Checks that the tasks of an agent are said to be on it.
fn check_agent_of(agent: &AgentId, tasks: &[Holding]) -> Result<(), AllocatorError> {
    match tasks.iter().find(|task| task.agent != *agent) {
        Some(other) => Err(AllocatorError::OnOtherAgent { agent: agent.clone(), found: other.agent.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Drf;
    use crate::allocator::eligibility::Eligibility;
    use crate::framework::OfferConstraints;
    use crate::resources::{Limits, Quantities, Scalar};

    #[test]
    fn offer_constraints_do_not_hide_that_all_roles_are_at_their_limit() {
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
        let Hierarchical { rules, books, refusals, .. } = &allocator;
        assert!(Eligibility { rules, books, refusals }.all_at_limit());
    }

    #[test]
    fn names_that_nobody_has_are_forgotten() {
        let options = Options { fair_sharing_excluded: vec!["excluded".into()], ..Options::default() };
        let mut allocator = Hierarchical::new(options, Drf::default(), Drf::default());
        let role = Role::new("r").unwrap();
        allocator.add_framework(&Arc::new(Framework::new("f").role(role.clone())), &[]).unwrap();
        let agent = |resources: String| Arc::new(Agent::new("a", resources.parse().unwrap()));
        for n in 0..300 {
            allocator.add_agent(&agent(format!("cpus:1;mem:9;x{n}:2;y{n}(r):1")), &[]).unwrap();
            let limits = Limits::from_iter([(format!("z{n}"), Scalar::units(n))]);
            allocator.set_quota(&role, Quota::new(Quantities::new(), limits)).unwrap();
            let mut offers = allocator.allocate(Time::ZERO, None);
            let offer = offers.pop().unwrap();
            assert_eq!((offers, offer.resources.iter().count()), (Vec::new(), 4));
            allocator.end_offer(&offer, &[&offer.resources]).unwrap();
            // The task goes on holding what the agent does not tell any more.
            allocator.update_agent(&agent(format!("cpus:1;v{n}:1"))).unwrap();
            assert_eq!(allocator.roles()[0].held, offer.resources.quantities());
            allocator.end_task(&offer).unwrap();
            allocator.remove_agent(&"a".into()).unwrap();
            // Two tasks with one port: refused.
            let resources = format!("ports:[1-1];w{n}:1").parse().unwrap();
            let held = Holding { framework: "f".into(), role: role.clone(), agent: "a".into(), resources };
            allocator.add_agent(&agent(format!("cpus:1;u{n}:1")), &[held.clone(), held]).unwrap_err();
        }
        assert!(allocator.books.names().len() < 12, "{} names", allocator.books.names().len());
    }

    #[test]
    fn agents_that_nobody_else_takes_are_visited_for_a_newcomer_alone() {
        let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
        let framework = |id: &str, role: &str| Arc::new(Framework::new(id).role(Role::new(role).unwrap()));
        let agent = |id: &str| Arc::new(Agent::new(id, "cpus(a):1;cpus(b):1;cpus(c):1".parse().unwrap()));
        for id in ["x", "y"] {
            allocator.add_agent(&agent(id), &[]).unwrap();
        }
        allocator.add_framework(&framework("f", "a"), &[]).unwrap();
        let offers = allocator.allocate(Time::ZERO, None);
        allocator.end_offer(&offers[1], &[]).unwrap(); // what comes back waits for the next allocation
        allocator.add_framework(&framework("g", "b"), &[]).unwrap();
        let (agents, newcomers) = allocator.clone().take_changed();
        let newcomers = newcomers.unwrap();
        let is_dirty: Vec<bool> = agents.iter().map(|agent| newcomers.dirty.contains(*agent)).collect();
        assert_eq!((is_dirty, newcomers.members.len(), newcomers.roles.len()), (vec![false, true], 1, 1));
        let offers = allocator.allocate(Time::ZERO, None);
        let told: Vec<(&str, &str)> =
            offers.iter().map(|offer| (offer.agent.as_str(), offer.framework.as_str())).collect();
        assert_eq!(told, [("x", "g"), ("y", "g"), ("y", "f")]);
        assert!(!allocator.has_pending());
        // With quota, consumption may set something free for others too.
        allocator.set_quota(&Role::new("c").unwrap(), Quota::new(Quantities::new(), Limits::new())).unwrap();
        allocator.add_framework(&framework("h", "c"), &[]).unwrap();
        assert!(allocator.has_pending());
        assert_eq!(allocator.allocate(Time::ZERO, None).len(), 2);
    }
}
