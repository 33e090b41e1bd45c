//! [`Books`]: the only room that moves amounts.
//!
//! Holdings move by four verbs: [`offer`](Books::offer), [`end_offer`](Books::end_offer), [`end_task`](Books::end_task) and
//! [`adopt`](Books::adopt). Each keeps the ledger of agents, the trees of shares and the accounts of quota in step. Debug
//! builds assert conservation after each: of an agent, total = available + offered + allocated.

mod account;
mod agents;
mod balance;
mod holdings;
mod ledger;
mod membership;
mod orders;
mod saved;

pub(super) use account::Account;
use account::TaskFault;
use agents::converted;
pub(super) use balance::Balance;
use holdings::Holdings;
pub(super) use ledger::Ledger;
pub(super) use membership::{Member, Membership, Requested, RoleFilter};
pub(super) use saved::SavedBooks;

use super::amounts::Amounts;
use super::index::{AgentIx, BitSet, FrameworkIx, MemberIx, RoleIx};
use super::quota::{IneffectiveLimit, Quota, QuotaAccounts, QuotaError, Quotas};
use super::resource_names::ResourceNames;
use super::share::{Totals, Weight};
use super::sorter::Sorter;
use super::tree::ClientId;
use super::verdicts::Verdicts;
use super::{AllocatorError, EndedOffers, Holding};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::resources::{Limits, Quantities, Resources};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use indexmap::{IndexMap, IndexSet};
use std::borrow::Cow;
use std::sync::Arc;

/// The accounts of agents, of the members of roles, and of quota, kept in step.
#[derive(Debug, Clone)]
pub(super) struct Books<R, F> {
    ledger: Ledger,
    membership: Membership<R, F>,
    quotas: Quotas,
    totals: Totals,
    names: ResourceNames,
    /// The amounts that tasks of frameworks hold that are not known.
    orphaned: Amounts,
    /// The members that have come, or have become able to take more, since the last allocation of all agents.
    newcomers: IndexSet<MemberIx, foldhash::fast::RandomState>,
}

/// Members that are new, or can take more than before. Agents that are not dirty have nothing for any other member.
#[derive(Debug, Clone, Default)]
pub(super) struct Newcomers {
    pub(super) members: BitSet<MemberIx>,
    /// Their roles.
    pub(super) roles: BitSet<ClientId>,
    /// The one that there is, with its role: no order is needed then.
    pub(super) only: Option<(RoleIx, MemberIx)>,
    /// The agents that have to be visited for all members.
    pub(super) dirty: BitSet<AgentIx>,
}

/// A part of what is available of an agent.
#[derive(Debug, Clone)]
pub(super) enum Portion {
    /// All of it, and nothing of it is shared. This is the usual case, and no list has to be built or compared.
    Whole,
    /// These resources.
    Part(Resources),
}

impl Portion {
    /// Returns the resources, given what is available.
    pub(super) fn of<'a>(&'a self, available: &'a Resources) -> &'a Resources {
        match self {
            Self::Whole => available,
            Self::Part(resources) => resources,
        }
    }
}

impl<R: Sorter, F: Sorter + Clone> Books<R, F> {
    /// Opens the books of an empty cluster; resources of the names in `excluded` count for no share.
    pub(super) fn new(role_sorter: R, member_sorter: F, excluded: &[Text]) -> Self {
        let mut names = ResourceNames::default();
        let excluded = excluded.iter().map(|name| names.retain(name)).collect();
        Self {
            ledger: Ledger::default(),
            membership: Membership::new(role_sorter, member_sorter),
            quotas: Quotas::default(),
            totals: Totals::without(excluded),
            names,
            orphaned: Amounts::default(),
            newcomers: IndexSet::default(),
        }
    }

    #[inline]
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    #[inline]
    pub(super) fn membership(&self) -> &Membership<R, F> {
        &self.membership
    }

    #[inline]
    pub(super) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    pub(super) fn names(&self) -> &ResourceNames {
        &self.names
    }

    // The four verbs.

    /// Moves available resources of an agent into an offer to a member, and returns them. If it extends an `earlier` offer,
    /// both count as one holding.
    #[inline]
    pub(super) fn offer(
        &mut self,
        agent: AgentIx,
        member: MemberIx,
        portion: Portion,
        at: Time,
        earlier: Option<&Resources>,
    ) -> Resources {
        let offer = match portion {
            Portion::Whole => self.ledger.offer_whole(agent, member, earlier),
            Portion::Part(offer) => {
                self.ledger.offer(agent, member, &offer, earlier);
                offer
            }
        };
        self.quotas.add_held(self.names.weigh(&offer));
        self.charge(member, agent, &offer, 1);
        self.membership.note_offer(member, at);
        if earlier.is_none() {
            self.membership.add_offer(member);
        }
        self.assert_conservation(agent);
        offer
    }

    /// Ends offers of an agent: `tasks` hold part of them from now on, the rest is available. Returns the member if it was
    /// removed with its last holding. On an error nothing has changed.
    #[inline]
    pub(super) fn end_offers(
        &mut self,
        agent: AgentIx,
        ended: &EndedOffers<'_>,
    ) -> Result<Option<MemberIx>, AllocatorError> {
        let member = self.find_holder(ended.framework, ended.role);
        let offered = |member| self.ledger[agent].first_not_offered(member, ended.offers).is_none();
        let Some(member) = member.filter(|member| offered(*member)) else {
            return Err(self.not_offered(agent, member, ended));
        };
        match ended.offers {
            [offer] if ended.tasks.is_empty() && ended.conversions.is_empty() => {
                self.ledger.end_unused(agent, member, offer);
            }
            [offer] if ended.conversions.is_empty() => {
                let (offers, tasks) = (ended.offers, ended.tasks);
                let change = account::EndedOffers { member, offers, offered: offer, left: offer, total: None, tasks };
                self.ledger.end_offers(agent, &change).map_err(|fault| fault.of(ended.agent))?;
            }
            _ => self.end_converted_offers(agent, member, ended)?,
        }
        self.overcommitted_changed();
        for offer in ended.offers {
            self.quotas.remove_held(self.names.weigh(offer));
        }
        for task in ended.tasks {
            self.quotas.add_held(self.names.weigh(task));
        }
        self.quota_room_changed();
        self.assert_conservation(agent);
        if !ended.tasks.is_empty() {
            self.membership.note_launch(member);
        }
        for offer in ended.offers {
            self.release(member, agent, offer);
        }
        for task in ended.tasks {
            self.charge(member, agent, task, 0);
        }
        self.membership.add_tasks(member, ended.tasks.len() as u64);
        self.membership.end_offers(member, ended.offers.len() as u64);
        if self.membership.any_gated() {
            self.settle(self.membership.member(member).framework);
        }
        let removed = self.remove_if_unused(member).then_some(member);
        self.names.forget_unused();
        Ok(removed)
    }

    /// Ends offers that operations convert parts of, or several at once.
    fn end_converted_offers(
        &mut self,
        agent: AgentIx,
        member: MemberIx,
        ended: &EndedOffers<'_>,
    ) -> Result<(), AllocatorError> {
        let account = &self.ledger[agent];
        let old = account.total().clone();
        let offered = holdings::sum(ended.offers.iter().copied());
        let (mut left, mut total) = (offered.clone(), old.clone());
        for conversion in ended.conversions {
            for sum in [&mut left, &mut total] {
                *sum = converted(sum, conversion, ended.agent)?;
            }
        }
        let converted = !ended.conversions.is_empty();
        if converted {
            self.check_conversion(agent, &total)?;
        }
        let change = account::EndedOffers {
            member,
            offers: ended.offers,
            offered: &offered,
            left: &left,
            total: converted.then(|| total.clone()),
            tasks: ended.tasks,
        };
        self.ledger.end_offers(agent, &change).map_err(|fault| fault.of(ended.agent))?;
        if converted {
            self.total_changed(&old, &total);
        }
        Ok(())
    }

    #[cold]
    fn not_offered(&self, agent: AgentIx, member: Option<MemberIx>, ended: &EndedOffers<'_>) -> AllocatorError {
        let account = &self.ledger[agent];
        let first = member.and_then(|member| account.first_not_offered(member, ended.offers)).unwrap_or(0);
        let offer = Holding {
            framework: ended.framework.clone(),
            role: ended.role.clone(),
            agent: ended.agent.clone(),
            resources: ended.offers.get(first).map_or_else(Resources::new, |offer| Resources::clone(offer)),
        };
        let offered = member.map_or_else(Resources::new, |member| account.offered_to(member));
        AllocatorError::NotOffered { offer: Box::new(offer), offered }
    }

    /// Ends a task: what it held is available. Returns the member if it was removed with its last holding. On an error
    /// nothing has changed.
    pub(super) fn end_task(&mut self, agent: AgentIx, task: &Holding) -> Result<Option<MemberIx>, AllocatorError> {
        let member = self.holder(task);
        let is_charged = self.ledger.end_task(agent, member, task).ok_or_else(|| self.not_held(agent, member, task))?;
        self.overcommitted_changed();
        self.quotas.remove_held(self.names.weigh(&task.resources));
        self.quota_room_changed();
        self.assert_conservation(agent);
        if !is_charged {
            self.subtract_orphan(task);
        }
        let removed = member.filter(|_| is_charged).and_then(|member| {
            self.release(member, agent, &task.resources);
            self.end_task_of(member)
        });
        self.names.forget_unused();
        Ok(removed)
    }

    #[cold]
    fn not_held(&self, agent: AgentIx, member: Option<MemberIx>, task: &Holding) -> AllocatorError {
        let held = self.ledger[agent].holdings().sum_of_tasks(member, task);
        AllocatorError::NotHeld { task: Box::new(task.clone()), held }
    }

    /// Takes back an offer of an allocation that was only tried, as if it had not been made. `extended` are the members of
    /// which an offer counts as more than one allocation.
    pub(super) fn take_back(&mut self, agent: AgentIx, offer: &Holding, extended: &[MemberIx]) {
        let Some(member) = self.holder(offer) else { return };
        self.ledger.end_unused(agent, member, &offer.resources);
        self.quotas.remove_held(self.names.weigh(&offer.resources));
        self.release(member, agent, &offer.resources);
        let allocations = 1 + extended.iter().filter(|other| **other == member).count();
        self.membership.uncount(member, allocations as u64);
        self.membership.end_offers(member, 1);
        self.membership.reopen(member, 1);
        self.membership.settle(self.membership.member(member).framework);
        self.assert_conservation(agent);
    }

    /// Charges frameworks for tasks that were registered with an agent, or before their framework. The tasks of a framework
    /// under one role on one agent count as so many allocations together.
    fn adopt(&mut self, tasks: &[Holding], allocations: u64) {
        let mut sums: IndexMap<(FrameworkIx, &Role, AgentIx), Vec<&Resources>> = IndexMap::new();
        for task in tasks {
            let Some(agent) = self.ledger.find(&task.agent) else { continue };
            match self.membership.find_framework(&task.framework) {
                Some(framework) => sums.entry((framework, &task.role, agent)).or_default().push(&task.resources),
                None => self.add_orphan(agent, task),
            }
        }
        for ((framework, role, agent), tasks) in sums {
            let member = self.membership.get_or_insert_member(framework, role, &mut self.quotas);
            self.membership.add_tasks(member, tasks.len() as u64);
            self.charge(member, agent, &holdings::sum(tasks.iter().copied()), allocations);
            self.ledger.holdings_mut(agent).tasks.extend(tasks.into_iter().map(|task| (member, task.clone())));
        }
    }

    /// Adds a task of a framework that is not known.
    fn add_orphan(&mut self, agent: AgentIx, task: &Holding) {
        self.orphaned.add(&self.names.scalars(&task.resources));
        self.ledger.holdings_mut(agent).orphans.push(task.clone());
    }

    /// Subtracts what a task held that was one of a framework that is not known.
    fn subtract_orphan(&mut self, task: &Holding) {
        self.orphaned.sub(&self.names.scalars(&task.resources));
    }

    #[inline]
    fn charge(&mut self, member: MemberIx, agent: AgentIx, resources: &Resources, allocations: u64) {
        let (order, weighed) = (self.ledger[agent].order(), self.names.weigh(resources));
        self.membership.charge(member, order, weighed, allocations, &mut self.quotas);
    }

    #[inline]
    fn release(&mut self, member: MemberIx, agent: AgentIx, resources: &Resources) {
        let (order, weighed) = (self.ledger[agent].order(), self.names.weigh(resources));
        self.membership.release(member, order, weighed, &mut self.quotas);
    }

    fn end_task_of(&mut self, member: MemberIx) -> Option<MemberIx> {
        self.membership.end_tasks(member, 1);
        self.remove_if_unused(member).then_some(member)
    }

    /// Recomputes whether the members of a framework may be offered something: one that may again has missed what has
    /// changed of agents meanwhile.
    pub(super) fn settle(&mut self, framework: FrameworkIx) {
        let woken = self.membership.settle(framework);
        if !woken.is_empty() {
            self.mark_all_dirty_for(woken);
        }
    }

    /// Removes a member that is not subscribed and holds nothing any more. Returns whether it did.
    fn remove_if_unused(&mut self, member: MemberIx) -> bool {
        let is_removed = self.membership.remove_if_unused(member, &mut self.quotas);
        if is_removed {
            self.newcomers.swap_remove(&member); // its index may become another's
        }
        is_removed
    }

    /// Returns the member that holds an offer or a task.
    fn holder(&self, holding: &Holding) -> Option<MemberIx> {
        self.find_holder(&holding.framework, &holding.role)
    }

    fn find_holder(&self, framework: &FrameworkId, role: &Role) -> Option<MemberIx> {
        self.membership.find_member(self.membership.find_framework(framework)?, role)
    }

    #[inline]
    fn assert_conservation(&self, agent: AgentIx) {
        debug_assert!(
            self.ledger.is_balanced(agent),
            "total = available + offered + allocated, or a sum of holdings, does not hold of {:?}",
            self.ledger[agent]
        );
    }

    // Dirty agents: those that the next batch visits.

    pub(super) fn mark_dirty(&mut self, agent: AgentIx) {
        self.ledger.mark_dirty(agent);
    }

    pub(super) fn mark_all_dirty(&mut self) {
        self.ledger.mark_all_dirty();
    }

    /// Has the next allocation look at all agents, but at those that are not dirty only for these members.
    pub(super) fn mark_all_dirty_for(&mut self, members: impl IntoIterator<Item = MemberIx>) {
        if self.quotas.is_empty() {
            self.newcomers.extend(members);
        } else {
            self.ledger.mark_all_dirty(); // with quota, what is offered to one may set something free for others
        }
    }

    /// Takes an agent from those that the next batch visits.
    pub(super) fn unmark(&mut self, agent: AgentIx) {
        self.ledger.unmark(agent);
    }

    /// Returns the agents to visit, in the order in which they were added, and marks them clean. Some of them may have to be
    /// visited only for [`Newcomers`].
    ///
    /// Agents that were looked at in `vain` for the only newcomer, and have not changed since, are left out.
    pub(super) fn take_dirty(&mut self, vain: &Verdicts) -> (Vec<AgentIx>, Option<Newcomers>) {
        let mut newcomers = Newcomers::default();
        for member in std::mem::take(&mut self.newcomers) {
            if self.membership.active().contains(member) {
                let role = self.membership.member(member).role;
                newcomers.only = newcomers.members.is_empty().then_some((role, member));
                newcomers.members.insert(member);
                newcomers.roles.insert(self.membership.client_of(role));
            }
        }
        if newcomers.members.is_empty() || self.ledger.is_all_dirty() {
            return (self.ledger.take_dirty(), None);
        }
        for agent in self.ledger.take_dirty() {
            newcomers.dirty.insert(agent);
        }
        let vain = newcomers.only.and_then(|(_, only)| vain.of_member(only));
        let agents = match vain {
            Some(vain) => self.ledger.with_available_except(vain),
            None => self.ledger.with_available(),
        };
        (agents, Some(newcomers))
    }

    /// Returns whether an allocation of all agents could make any offer.
    pub(super) fn has_pending(&self) -> bool {
        self.ledger.has_dirty() || (!self.newcomers.is_empty() && self.ledger.has_available())
    }

    // Frameworks and roles: who may hold it. Members in a result are those whose refusals no longer count.

    /// Adds a framework and charges it for its tasks. Fails, and changes nothing, if one of them is not on its agent.
    pub(super) fn add_framework(
        &mut self,
        framework: &Arc<Framework>,
        tasks: &[Holding],
    ) -> Result<Vec<MemberIx>, AllocatorError> {
        let mut holdings: IndexMap<AgentIx, Holdings> = IndexMap::new();
        for task in tasks {
            let agent =
                self.ledger.find(&task.agent).ok_or_else(|| AllocatorError::UnknownAgent(task.agent.clone()))?;
            let holdings = holdings.entry(agent).or_insert_with(|| self.ledger[agent].holdings().clone());
            if task.framework != framework.id || !holdings.remove_orphan(task) {
                return Err(self.not_held(agent, None, task));
            }
        }
        for (agent, holdings) in holdings {
            *self.ledger.holdings_mut(agent) = holdings;
        }
        tasks.iter().for_each(|task| self.subtract_orphan(task));
        let ix = self.membership.add_framework(framework);
        let revived = self.membership.subscribe(ix, &mut self.quotas);
        self.adopt(tasks, 1);
        self.mark_all_dirty_for(self.membership.members_of(ix).to_vec());
        Ok(revived)
    }

    /// Replaces what a framework says of itself, and subscribes it to just its present roles.
    #[must_use]
    pub(super) fn update_framework(&mut self, ix: FrameworkIx, framework: &Arc<Framework>) -> Vec<MemberIx> {
        self.replace_framework(ix, Arc::clone(framework));
        let membership = &self.membership;
        let has_left = |member: &MemberIx| !framework.roles.contains(membership.role(membership.member(*member).role));
        let left: Vec<MemberIx> = membership.members_of(ix).iter().copied().filter(has_left).collect();
        let mut forgotten = self.membership.subscribe(ix, &mut self.quotas);
        for member in left {
            self.membership.unsubscribe(member);
            self.membership.update_activity(member);
            self.remove_if_unused(member);
            forgotten.push(member);
        }
        forgotten
    }

    /// Replaces what a framework says of itself, but does not subscribe it to other roles.
    pub(super) fn replace_framework(&mut self, ix: FrameworkIx, framework: Arc<Framework>) {
        self.membership.replace_framework(ix, framework);
    }

    /// Removes a framework that holds nothing any more.
    pub(super) fn remove_framework(&mut self, ix: FrameworkIx) -> Result<Vec<MemberIx>, AllocatorError> {
        let (membership, id) = (&self.membership, self.membership.framework_id(ix).clone());
        let mut removed = membership.members_of(ix).to_vec();
        let in_use = removed.iter().map(|member| membership.member(*member)).find(|member| member.holdings() > 0);
        if let Some(member) = in_use {
            let (role, holdings) = (membership.role(member.role).clone(), member.holdings());
            return Err(AllocatorError::FrameworkInUse { framework: id, role, holdings });
        }
        removed.retain(|member| {
            self.membership.unsubscribe(*member);
            self.remove_if_unused(*member)
        });
        self.membership.remove_framework(&id);
        Ok(removed)
    }

    pub(super) fn set_framework_active(&mut self, framework: FrameworkIx, active: bool) {
        self.membership.set_framework_active(framework, active);
    }

    /// Suppresses a member, or no longer; returns whether a request has begun to work by that.
    pub(super) fn set_suppressed(&mut self, member: MemberIx, suppressed: bool) -> bool {
        let worked = self.membership.member(member).request_at_work().is_some();
        self.membership.set_suppressed(member, suppressed);
        !worked && self.membership.member(member).request_at_work().is_some()
    }

    /// Has a member be offered nothing, by a request neither.
    pub(super) fn silence(&mut self, member: MemberIx) {
        self.membership.set_request(member, None);
        self.membership.set_suppressed(member, true);
    }

    /// Lifts the minimum that a member's request has.
    pub(super) fn lift_each(&mut self, member: MemberIx) {
        self.membership.change_request(member, |request| request.each = None);
    }

    /// Lifts the most that offers have by a member's request.
    pub(super) fn lift_most(&mut self, member: MemberIx) {
        self.membership.change_request(member, |request| request.most = Limits::new());
    }

    /// Replaces the request of a member; returns whether it had or has one.
    pub(super) fn set_request(&mut self, member: MemberIx, requested: Option<Requested>) -> bool {
        self.membership.set_request(member, requested)
    }

    /// Opens places of a member's request again.
    pub(super) fn reopen(&mut self, member: MemberIx, places: u64) {
        self.membership.reopen(member, places);
        self.settle(self.membership.member(member).framework);
    }

    /// Returns the dominant share of a role and its descendants, over its weight.
    pub(super) fn share_of(&self, role: &Role) -> f64 {
        let tree = self.membership.tree();
        let node = tree.find(role.components());
        node.map_or(0.0, |node| tree.dominant_share(node, &self.totals).as_f64())
    }

    /// Returns what a role and its descendants hold, offered or in use.
    pub(super) fn held_by(&self, role: &Role) -> Quantities {
        let tree = self.membership.tree();
        let node = tree.find(role.components());
        node.map_or_else(Quantities::new, |node| self.names.quantities(tree.held(node)))
    }

    /// Returns what all agents have.
    pub(super) fn total(&self) -> Quantities {
        self.names.quantities(self.totals.amounts())
    }

    /// Returns what frameworks hold of all agents, offered or in use: a shared resource of an agent once for each role at the top
    /// that holds it, and once for each task of a framework that is not known.
    pub(super) fn held(&self) -> Quantities {
        let tree = self.membership.tree();
        // The root itself keeps no sum.
        let top = tree.children(tree.root()).iter();
        let sum = top.fold(self.orphaned.clone(), |sum, role| sum.saturating_add(tree.held(*role)));
        self.names.quantities(&sum)
    }

    /// Returns the accounts of quota as they are at the next allocation, and the names that they use. They are opened anew
    /// if quotas have changed since the last one.
    pub(super) fn quota_accounts(&self, minimums: &[Quantities]) -> (Cow<'_, QuotaAccounts>, Cow<'_, ResourceNames>) {
        if !self.quotas.is_stale() {
            return (Cow::Borrowed(self.quotas.accounts()), Cow::Borrowed(&self.names));
        }
        let (mut quotas, mut names) = (self.quotas.clone(), self.names.clone());
        quotas.reopen(&mut names, self.membership.quota_managed(), minimums);
        (Cow::Owned(quotas.into_accounts()), Cow::Owned(names))
    }

    pub(super) fn set_weight(&mut self, role: &Role, weight: Weight) {
        self.membership.set_weight(role, weight);
    }

    // Quota.

    pub(super) fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        self.quotas.set(role, quota)
    }

    /// Removes the limits of a role.
    pub(super) fn lift_limits(&mut self, role: &Role) {
        self.quotas.lift_limits(role);
    }

    /// Removes all guarantees.
    pub(super) fn lift_guarantees(&mut self) {
        self.quotas.lift_guarantees();
    }

    /// Opens the accounts of quota anew if quotas have changed. `minimums` is the general minimum of an offer.
    pub(super) fn update_quotas(&mut self, minimums: &[Quantities]) {
        if self.quotas.reopen(&mut self.names, self.membership.quota_managed(), minimums) {
            self.membership.update_quotas(&mut self.quotas);
            self.names.forget_unused();
        }
    }
}

impl TaskFault {
    fn of(self, agent: &AgentId) -> AllocatorError {
        let agent = agent.clone();
        match self {
            Self::TooLarge(shortfall) => AllocatorError::TaskTooLarge { agent, shortfall: Box::new(shortfall) },
            Self::Uncountable(source) => AllocatorError::Held { agent, source },
        }
    }
}
