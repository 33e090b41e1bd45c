//! [`Books`]: the only room that moves amounts.
//!
//! Holdings move by four verbs: [`offer`](Books::offer), [`end_offer`](Books::end_offer), [`end_task`](Books::end_task) and
//! [`adopt`](Books::adopt). Each keeps the ledger of agents, the trees of shares and the accounts of quota in step. Debug
//! builds assert conservation after each: of an agent, total = available + offered + allocated.

mod balance;
mod ledger;
mod membership;
mod orders;

pub(super) use balance::Balance;
pub(super) use ledger::{Account, Ledger};
pub(super) use membership::{Member, Membership, RoleFilter};

use super::index::{AgentIx, BitSet, FrameworkIx, MemberIx};
use super::quota::{IneffectiveLimit, Quota, QuotaError, Quotas};
use super::resource_names::ResourceNames;
use super::share::{Totals, Weight};
use super::sorter::Sorter;
use super::tree::ClientId;
use super::{AllocatorError, Holding};
use crate::agent::Agent;
use crate::framework::Framework;
use crate::offer::Conversion;
use crate::resources::{Quantities, Resource, Resources, Scalar, SumError};
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The accounts of agents, of the members of roles, and of quota, kept in step.
#[derive(Debug, Clone)]
pub(super) struct Books<R, F> {
    ledger: Ledger,
    membership: Membership<R, F>,
    quotas: Quotas,
    totals: Totals,
    names: ResourceNames,
    /// The members that were added since the last allocation of all agents.
    newcomers: Vec<MemberIx>,
}

/// Members that are new. Agents that are not dirty have nothing for any other member.
#[derive(Debug, Clone, Default)]
pub(super) struct Newcomers {
    pub(super) members: BitSet<MemberIx>,
    /// Their roles.
    pub(super) roles: BitSet<ClientId>,
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
    pub(super) fn new(role_sorter: R, member_sorter: F, excluded: &[SmolStr]) -> Self {
        let mut names = ResourceNames::default();
        let excluded = excluded.iter().map(|name| names.retain(name)).collect();
        Self {
            ledger: Ledger::default(),
            membership: Membership::new(role_sorter, member_sorter),
            quotas: Quotas::default(),
            totals: Totals::without(excluded),
            names,
            newcomers: Vec::new(),
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

    /// Moves available resources of an agent into an offer to a member, and returns them. If it `extends` an earlier offer,
    /// both count as one holding.
    #[inline]
    pub(super) fn offer(
        &mut self,
        agent: AgentIx,
        member: MemberIx,
        portion: Portion,
        at: Time,
        extends: bool,
    ) -> Resources {
        let offer = match portion {
            Portion::Whole => self.ledger.offer_whole(agent),
            Portion::Part(offer) => {
                self.ledger.offer(agent, &offer);
                offer
            }
        };
        self.quotas.add_held(self.names.weigh(&offer));
        self.charge(member, agent, &offer, 1);
        self.membership.note_offer(member, at);
        self.membership.add_holdings(member, u64::from(!extends));
        self.assert_conservation(agent);
        offer
    }

    /// Ends an offer: `tasks` hold part of it from now on, the rest is available. Returns the member if it was removed with
    /// its last holding. Fails, and changes nothing, if what the tasks hold cannot be added up.
    pub(super) fn end_offer(
        &mut self,
        agent: AgentIx,
        offer: &Holding,
        tasks: &[&Resources],
    ) -> Result<Option<MemberIx>, SumError> {
        self.ledger.end_offer(agent, &offer.resources, tasks)?;
        self.overcommitted_changed();
        let removed = self.move_to_tasks(agent, offer, tasks);
        self.names.forget_unused();
        Ok(removed)
    }

    /// Charges tasks for what they hold of an offer, in place of the offer. Returns the member if it was removed.
    fn move_to_tasks(&mut self, agent: AgentIx, offer: &Holding, tasks: &[&Resources]) -> Option<MemberIx> {
        self.quotas.remove_held(self.names.weigh(&offer.resources));
        for task in tasks {
            self.quotas.add_held(self.names.weigh(task));
        }
        self.quota_room_changed();
        self.assert_conservation(agent);
        let member = self.holder(offer)?;
        if !tasks.is_empty() {
            self.membership.note_launch(member);
        }
        self.release(member, agent, &offer.resources);
        for task in tasks {
            self.charge(member, agent, task, 0);
        }
        self.membership.add_holdings(member, tasks.len() as u64);
        self.end_holding(member)
    }

    /// Ends a task: what it held is available. Returns the member if it was removed with its last holding.
    #[must_use]
    pub(super) fn end_task(&mut self, agent: AgentIx, task: &Holding) -> Option<MemberIx> {
        self.ledger.end_task(agent, &task.resources);
        self.overcommitted_changed();
        self.quotas.remove_held(self.names.weigh(&task.resources));
        self.quota_room_changed();
        self.assert_conservation(agent);
        let removed = self.holder(task).and_then(|member| {
            self.release(member, agent, &task.resources);
            self.end_holding(member)
        });
        self.names.forget_unused();
        removed
    }

    /// Takes back an offer of an allocation that was only tried, as if it had not been made. `extended` are the members of
    /// which an offer counts as more than one allocation.
    pub(super) fn take_back(&mut self, agent: AgentIx, offer: &Holding, extended: &[MemberIx]) {
        let freed = self.ledger.end_offer(agent, &offer.resources, &[]);
        debug_assert!(freed.is_ok(), "no task holds any of it");
        self.quotas.remove_held(self.names.weigh(&offer.resources));
        let Some(member) = self.holder(offer) else { return };
        self.release(member, agent, &offer.resources);
        let allocations = 1 + extended.iter().filter(|other| **other == member).count();
        self.membership.uncount(member, allocations as u64);
        self.membership.end_holding(member);
        self.assert_conservation(agent);
    }

    /// Charges frameworks for tasks that were registered with an agent, or before their framework. The tasks of a framework
    /// under one role on one agent count as one allocation.
    pub(super) fn adopt(&mut self, tasks: &[Holding]) {
        self.adopt_as(tasks, 1);
    }

    /// Replaces what `ended` tasks held of an agent by what is `held`, besides what is `known` to stay. It counts as no
    /// allocation. Returns the members that were removed with their last holding.
    pub(super) fn replace_held(
        &mut self,
        agent: AgentIx,
        known: Resources,
        held: &[Holding],
        ended: &[Holding],
    ) -> Result<Vec<MemberIx>, AllocatorError> {
        let account = &self.ledger[agent];
        let info = Arc::clone(account.agent());
        let uncountable = |source| AllocatorError::Held { agent: info.id.clone(), source };
        let mut allocated = known;
        held.iter().try_for_each(|task| allocated.try_add(&task.resources)).map_err(uncountable)?;
        let present = Agent { resources: account.total().clone(), ..Agent::clone(&info) };
        self.check_totals(&present, Some(agent), account.offered(), &allocated)?;
        self.ledger.hold(agent, allocated).map_err(uncountable)?;
        self.overcommitted_changed();
        for task in held {
            self.quotas.add_held(self.names.weigh(&task.resources));
        }
        for task in ended {
            self.quotas.remove_held(self.names.weigh(&task.resources));
        }
        self.adopt_as(held, 0);
        let mut removed = Vec::new();
        for task in ended {
            if let Some(member) = self.holder(task) {
                self.release(member, agent, &task.resources);
                removed.extend(self.end_holding(member));
            }
        }
        self.quota_room_changed();
        self.names.forget_unused();
        self.assert_conservation(agent);
        Ok(removed)
    }

    fn adopt_as(&mut self, tasks: &[Holding], allocations: u64) {
        let mut sums: IndexMap<(FrameworkIx, &Role, AgentIx), (Resources, u64)> = IndexMap::new();
        for task in tasks {
            let framework = self.membership.find_framework(&task.framework);
            let Some((framework, agent)) = framework.zip(self.ledger.find(&task.agent)) else { continue };
            let (sum, tasks) = sums.entry((framework, &task.role, agent)).or_default();
            sum.insert(&task.resources);
            *tasks += 1;
        }
        for ((framework, role, agent), (sum, tasks)) in sums {
            let member = self.membership.get_or_insert_member(framework, role, &mut self.quotas);
            self.membership.add_holdings(member, tasks);
            self.charge(member, agent, &sum, allocations);
            self.assert_conservation(agent);
        }
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

    fn end_holding(&mut self, member: MemberIx) -> Option<MemberIx> {
        self.membership.end_holding(member);
        self.membership.remove_if_unused(member, &mut self.quotas).then_some(member)
    }

    /// Returns the member that holds an offer or a task.
    fn holder(&self, holding: &Holding) -> Option<MemberIx> {
        let framework = self.membership.find_framework(&holding.framework)?;
        self.membership.find_member(framework, &holding.role)
    }

    #[inline]
    fn assert_conservation(&self, agent: AgentIx) {
        debug_assert!(
            self.ledger.is_balanced(agent),
            "total = available + offered + allocated does not hold of {:?}",
            self.ledger[agent]
        );
    }

    // Agents: what there is.

    /// Checks that the cluster can be counted with an agent's new total in place of its old one. An agent counts with its
    /// total of each name, or with the amount that is held if that is larger.
    fn check_totals(
        &self,
        agent: &Agent,
        old: Option<AgentIx>,
        offered: &Resources,
        allocated: &Resources,
    ) -> Result<(), AllocatorError> {
        let mut sums: BTreeMap<&str, u128> = scalar_sums(&agent.resources).collect();
        let overcommitted = Balance::new(&agent.resources, offered, allocated).overcommitted;
        for (name, excess) in overcommitted.iter() {
            *sums.entry(name).or_default() += u128::from(excess.as_milli());
        }
        let old = old.map(|ix| &self.ledger[ix]);
        let old_total = old.map_or_else(Quantities::new, |old| old.total().quantities());
        for (name, amount) in sums {
            let total = self.names.find(name).map_or(0, |name| self.totals.amount(name));
            let excess = old.and_then(Account::overcommitted).map_or(Scalar::ZERO, |excess| excess.amount(name));
            let others = u128::from(total.saturating_sub(old_total.amount(name).as_milli()))
                + u128::from(self.ledger.overcommitted(name).saturating_sub(excess.as_milli()));
            if others + amount >= u128::from(u64::MAX) {
                return Err(AllocatorError::ClusterTooLarge { agent: agent.id.clone(), name: name.into() });
            }
        }
        Ok(())
    }

    /// Opens an account for a new agent on which tasks hold resources already.
    pub(super) fn add_agent(&mut self, agent: &Arc<Agent>, tasks: &[Holding]) -> Result<(), AllocatorError> {
        let held = |source| AllocatorError::Held { agent: agent.id.clone(), source };
        let mut allocated = Resources::new();
        tasks.iter().try_for_each(|task| allocated.try_add(&task.resources)).map_err(held)?;
        self.check_totals(agent, None, &Resources::new(), &allocated)?;
        self.ledger.open(agent, allocated).map_err(held)?;
        self.overcommitted_changed();
        self.total_changed(&Resources::new(), &agent.resources);
        for task in tasks {
            self.quotas.add_held(self.names.weigh(&task.resources));
        }
        self.adopt(tasks);
        self.names.forget_unused();
        Ok(())
    }

    /// Replaces the metadata and the total of an agent.
    pub(super) fn update_agent(&mut self, ix: AgentIx, agent: &Arc<Agent>) -> Result<(), AllocatorError> {
        let account = &self.ledger[ix];
        self.check_totals(agent, Some(ix), account.offered(), account.allocated())?;
        let old = account.total().clone();
        let held = |source| AllocatorError::Held { agent: agent.id.clone(), source };
        self.ledger.update(ix, agent).map_err(held)?;
        self.overcommitted_changed();
        self.total_changed(&old, &agent.resources);
        self.names.forget_unused();
        self.assert_conservation(ix);
        Ok(())
    }

    /// Closes the account of an agent of which nothing is held any more.
    pub(super) fn remove_agent(&mut self, agent: AgentIx) {
        let (id, old) = (self.ledger.id(agent).clone(), self.ledger[agent].total().clone());
        self.total_changed(&old, &Resources::new());
        self.ledger.close(&id);
        self.overcommitted_changed();
        self.names.forget_unused();
    }

    /// Converts part of an agent's total.
    pub(super) fn convert(&mut self, agent: AgentIx, conversion: &Conversion) {
        let old = self.ledger[agent].total().clone();
        self.ledger.convert(agent, conversion);
        self.overcommitted_changed();
        let new = self.ledger[agent].total().clone();
        self.total_changed(&old, &new);
        self.names.forget_unused();
        self.assert_conservation(agent);
    }

    pub(super) fn set_agent_active(&mut self, agent: AgentIx, active: bool) {
        self.ledger.set_active(agent, active);
    }

    /// Counts the uses of names that agents are, or are no longer, over-committed with.
    #[inline]
    fn overcommitted_changed(&mut self) {
        if self.ledger.has_overcommitted_changes() {
            self.count_overcommitted();
        }
    }

    #[cold]
    fn count_overcommitted(&mut self) {
        for (name, is_overcommitted) in self.ledger.take_overcommitted_changes() {
            if is_overcommitted {
                self.names.retain(&name);
            } else {
                self.names.release_name(&name);
            }
        }
    }

    fn total_changed(&mut self, old: &Resources, new: &Resources) {
        self.names.retain_all(new);
        self.totals.sub(&self.names.scalars(old));
        self.totals.add(&self.names.scalars(new));
        self.quotas.total_changed(&mut self.names, old, new);
        self.names.release_all(old);
        self.quota_room_changed();
    }

    /// Roles that a quota had held back may now be offered more, on any agent.
    #[inline]
    fn quota_room_changed(&mut self) {
        if !self.quotas.is_empty() {
            self.ledger.mark_all_dirty();
        }
    }

    // Dirty agents: those that the next batch visits.

    pub(super) fn mark_dirty(&mut self, agent: AgentIx) {
        self.ledger.mark_dirty(agent);
    }

    pub(super) fn mark_all_dirty(&mut self) {
        self.ledger.mark_all_dirty();
    }

    /// Takes an agent from those that the next batch visits.
    pub(super) fn unmark(&mut self, agent: AgentIx) {
        self.ledger.unmark(agent);
    }

    /// Returns the agents to visit, in the order in which they were added, and marks them clean. Some of them may have to be
    /// visited only for [`Newcomers`].
    pub(super) fn take_dirty(&mut self) -> (Vec<AgentIx>, Option<Newcomers>) {
        let mut newcomers = Newcomers::default();
        for member in std::mem::take(&mut self.newcomers) {
            if self.membership.active().contains(member) {
                newcomers.members.insert(member);
                newcomers.roles.insert(self.membership.client_of(self.membership.member(member).role));
            }
        }
        if newcomers.members.is_empty() || self.ledger.is_all_dirty() {
            return (self.ledger.take_dirty(), None);
        }
        for agent in self.ledger.take_dirty() {
            newcomers.dirty.insert(agent);
        }
        (self.ledger.with_available(), Some(newcomers))
    }

    /// Returns whether an allocation of all agents could make any offer.
    pub(super) fn has_pending(&self) -> bool {
        self.ledger.has_dirty() || (!self.newcomers.is_empty() && self.ledger.has_available())
    }

    // Frameworks and roles: who may hold it. Members in a result are those whose refusals no longer count.

    /// Adds a framework and charges it for its tasks.
    #[must_use]
    pub(super) fn add_framework(&mut self, framework: &Arc<Framework>, tasks: &[Holding]) -> Vec<MemberIx> {
        let ix = self.membership.add_framework(framework);
        let revived = self.membership.subscribe(ix, &mut self.quotas);
        self.adopt(tasks);
        if self.quotas.is_empty() {
            // The next allocation has to look at all agents, but at those that are not dirty only for the new members.
            self.newcomers.extend_from_slice(self.membership.members_of(ix));
        } else {
            self.ledger.mark_all_dirty();
        }
        revived
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
            self.membership.remove_if_unused(member, &mut self.quotas);
            forgotten.push(member);
        }
        forgotten
    }

    /// Replaces what a framework says of itself, but does not subscribe it to other roles.
    pub(super) fn replace_framework(&mut self, ix: FrameworkIx, framework: Arc<Framework>) {
        self.membership.replace_framework(ix, framework);
    }

    /// Removes a framework that holds nothing any more.
    #[must_use]
    pub(super) fn remove_framework(&mut self, ix: FrameworkIx) -> Vec<MemberIx> {
        let mut removed = self.membership.members_of(ix).to_vec();
        removed.retain(|member| {
            self.membership.unsubscribe(*member);
            self.membership.remove_if_unused(*member, &mut self.quotas)
        });
        let id = self.membership.framework_id(ix).clone();
        self.membership.remove_framework(&id);
        removed
    }

    pub(super) fn set_framework_active(&mut self, framework: FrameworkIx, active: bool) {
        self.membership.set_framework_active(framework, active);
    }

    pub(super) fn set_suppressed(&mut self, member: MemberIx, suppressed: bool) {
        self.membership.set_suppressed(member, suppressed);
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

/// The sums of scalars by name, in thousandths: those of several kinds may be more than 64 bits hold.
fn scalar_sums(resources: &Resources) -> impl Iterator<Item = (&str, u128)> {
    let by_name = resources.iter().as_slice().chunk_by(|a, b| a.name() == b.name());
    by_name.map(|alike| {
        let amounts = alike.iter().filter_map(Resource::scalar);
        (alike[0].name(), amounts.map(|amount| u128::from(amount.as_milli())).sum())
    })
}
