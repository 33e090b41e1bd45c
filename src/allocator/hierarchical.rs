//! [`Hierarchical`]: what happens to agents, frameworks and roles. Who stands where is in `roster`, the deciding in `cycle`.

use super::index::id_map::Registry;
use super::ledger::{AgentIx, Ledger};
use super::quota::{Quota, QuotaError, Quotas};
use super::refusals::Refusals;
use super::resource_names::Names;
use super::roster::{FrameworkEntry, RoleEntry, RoleIx, Seats};
use super::rules::Options;
use super::share::{Totals, Weight};
use super::sorter::{Queues, Sorter, SorterChoice};
use super::tree::ShareTree;
use super::{AgentAccount, Allocator, AllocatorError, Holding, Reason, RoleAccount};
use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::offer::Conversion;
use crate::resources::{Quantities, Resource, Resources};
use crate::role::Role;
use crate::time::Time;
use indexmap::{IndexMap, IndexSet};
use smol_str::SmolStr;
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
    pub(super) options: Options,
    pub(super) ledger: Ledger,
    pub(super) frameworks: Registry<FrameworkId, FrameworkEntry>,
    pub(super) roles: Registry<Role, RoleEntry<F>>,
    /// The roles that have a framework; a client's number leads to its role by `role_of`.
    pub(super) tree: ShareTree,
    pub(super) role_of: Vec<RoleIx>,
    pub(super) seats: Seats,
    /// How many frameworks have minimums of their own.
    pub(super) choosy: usize,
    pub(super) queues: Queues,
    pub(super) sorter: R,
    pub(super) fresh: F,
    pub(super) weights: IndexMap<Role, Weight>,
    pub(super) totals: Totals,
    pub(super) names: Names,
    pub(super) refusals: Refusals,
    pub(super) quotas: Quotas,
    whitelist: Option<IndexSet<SmolStr>>,
}

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Starts with an empty cluster; each role gets a copy of the sorter for frameworks.
    #[must_use]
    pub fn new(options: Options, roles: R, frameworks: F) -> Self {
        let mut names = Names::default();
        let excluded = options.fair_sharing_excluded.iter().map(|name| names.intern(name)).collect();
        Self {
            options,
            ledger: Ledger::default(),
            frameworks: Registry::default(),
            roles: Registry::default(),
            tree: ShareTree::default(),
            role_of: Vec::new(),
            seats: Seats::default(),
            choosy: 0,
            queues: Queues::default(),
            sorter: roles,
            fresh: frameworks,
            weights: IndexMap::new(),
            totals: Totals::without(excluded),
            names,
            refusals: Refusals::default(),
            quotas: Quotas::default(),
            whitelist: None,
        }
    }

    /// Whether an agent may be offered to anyone.
    pub(super) fn is_candidate(&self, agent: AgentIx) -> bool {
        let account = &self.ledger[agent];
        account.active && self.whitelist.as_ref().is_none_or(|hosts| hosts.contains(&account.agent().hostname))
    }

    /// An agent's total has changed, and with it what there is to share and to guarantee.
    fn total_changed(&mut self, old: &Resources, new: &Resources) {
        self.totals.sub(&self.names.all(old));
        self.totals.add(&self.names.all(new));
        self.quotas.total_changed(&mut self.names, old, new);
        self.room_changed();
    }

    /// There may be more room now for those whom a quota had held back, on any agent.
    fn room_changed(&mut self) {
        if !self.quotas.is_empty() {
            self.ledger.mark_all();
        }
    }

    /// Checks that the cluster can be counted with an agent's new total in place of its old one.
    fn check_totals(&mut self, agent: &Agent, old: Option<AgentIx>) -> Result<(), AllocatorError> {
        let old = old.map_or_else(Quantities::new, |ix| self.ledger[ix].total().quantities());
        for (name, amount) in agent.resources.quantities().iter() {
            let others = self.totals.amounts.of(self.names.intern(name)).saturating_sub(old.amount(name).as_milli());
            if others.checked_add(amount.as_milli()).is_none() {
                return Err(AllocatorError::ClusterTooLarge { agent: agent.id.clone(), name: name.into() });
            }
        }
        Ok(())
    }
}

impl<R: Sorter + Clone, F: Sorter + Clone> Allocator for Hierarchical<R, F> {
    fn add_agent(&mut self, agent: &Arc<Agent>, held: &[Holding]) -> Result<(), AllocatorError> {
        if self.ledger.find(&agent.id).is_some() {
            return Err(AllocatorError::AgentExists(agent.id.clone()));
        }
        self.check_totals(agent, None)?;
        let resources: Vec<_> = held.iter().map(|holding| &holding.resources).collect();
        if let Some(resource) = held_twice(&resources) {
            return Err(AllocatorError::HeldTwice { agent: agent.id.clone(), resource: Box::new(resource) });
        }
        let opened = self.ledger.open(agent, &resources);
        opened.map_err(|source| AllocatorError::Held { agent: agent.id.clone(), source })?;
        self.total_changed(&Resources::new(), &agent.resources);
        for resources in resources {
            self.quotas.taken(self.names.weigh(resources));
        }
        self.adopt(held);
        Ok(())
    }

    fn update_agent(&mut self, agent: &Arc<Agent>) -> Result<(), AllocatorError> {
        let ix = self.find_agent(&agent.id)?;
        self.check_totals(agent, Some(ix))?;
        let before = Arc::clone(self.ledger[ix].agent());
        let old = self.ledger[ix].total().clone();
        let updated = self.ledger.update(ix, agent);
        updated.map_err(|source| AllocatorError::Held { agent: agent.id.clone(), source })?;
        self.total_changed(&old, &agent.resources);
        if before.attributes != agent.attributes {
            self.refusals.forget_agent(ix);
        }
        Ok(())
    }

    fn remove_agent(&mut self, agent: &AgentId) -> Result<(), AllocatorError> {
        let ix = self.find_agent(agent)?;
        let old = self.ledger[ix].total().clone();
        self.total_changed(&old, &Resources::new());
        self.refusals.forget_agent(ix);
        self.ledger.close(agent);
        Ok(())
    }

    fn set_agent_active(&mut self, agent: &AgentId, active: bool) -> Result<(), AllocatorError> {
        let ix = self.find_agent(agent)?;
        self.ledger.set_active(ix, active);
        Ok(())
    }

    fn add_framework(&mut self, framework: &Arc<Framework>, held: &[Holding]) -> Result<(), AllocatorError> {
        if self.frameworks.find(&framework.id).is_some() {
            return Err(AllocatorError::FrameworkExists(framework.id.clone()));
        }
        let entry = FrameworkEntry::new(Arc::clone(framework));
        self.choosy += usize::from(entry.has_minimums());
        let ix = self.frameworks.insert(framework.id.clone(), entry);
        self.subscribe(ix);
        self.adopt(held);
        self.ledger.mark_all();
        Ok(())
    }

    fn update_framework(&mut self, framework: &Arc<Framework>) -> Result<(), AllocatorError> {
        let ix = self.find_framework(&framework.id)?;
        self.replace_framework(ix, Arc::clone(framework));
        let left: Vec<_> = {
            let places = self.frameworks[ix].places.iter();
            places.filter(|(role, _)| !framework.roles.contains(&self.roles[*role].role)).copied().collect()
        };
        self.subscribe(ix);
        for place in left {
            self.member_mut(place).subscribed = false;
            self.forget_refusals(place);
            self.wake(place);
            self.leave_if_done(place);
        }
        self.ledger.mark_all();
        Ok(())
    }

    fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), AllocatorError> {
        let ix = self.find_framework(framework)?;
        for place in self.frameworks[ix].places.clone() {
            self.member_mut(place).subscribed = false;
            self.leave_if_done(place);
        }
        if let Some((_, entry)) = self.frameworks.remove(framework) {
            self.choosy -= usize::from(entry.has_minimums());
        }
        Ok(())
    }

    fn set_framework_active(&mut self, framework: &FrameworkId, active: bool) -> Result<(), AllocatorError> {
        let ix = self.find_framework(framework)?;
        self.frameworks[ix].active = active;
        for place in self.frameworks[ix].places.clone() {
            if !active {
                self.forget_refusals(place);
            }
            self.wake(place);
        }
        self.ledger.mark_all();
        Ok(())
    }

    fn suppress(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError> {
        for place in self.places(framework, roles)? {
            self.member_mut(place).suppressed = true;
            self.wake(place);
        }
        Ok(())
    }

    fn revive(&mut self, framework: &FrameworkId, roles: &[Role]) -> Result<(), AllocatorError> {
        for place in self.places(framework, roles)? {
            self.member_mut(place).suppressed = false;
            self.forget_refusals(place);
            self.wake(place);
        }
        self.ledger.mark_all();
        Ok(())
    }

    fn set_weight(&mut self, role: &Role, weight: Weight) {
        if weight == Weight::ONE {
            self.weights.swap_remove(role);
        } else {
            self.weights.insert(role.clone(), weight);
        }
        if let Some(node) = self.tree.find(role.components()) {
            self.tree.set_weight(node, weight);
        }
    }

    fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<(), QuotaError> {
        self.quotas.set(role, quota)?;
        self.ledger.mark_all();
        Ok(())
    }

    fn set_whitelist(&mut self, hostnames: Option<Vec<SmolStr>>) {
        self.whitelist = hostnames.map(IndexSet::from_iter);
        self.ledger.mark_all();
    }

    fn end_offer(&mut self, offer: &Holding, tasks: &[&Resources]) -> Result<(), AllocatorError> {
        let agent = self.find_agent(&offer.agent)?;
        self.ledger.end_offer(agent, &offer.resources, tasks);
        self.quotas.returned(self.names.weigh(&offer.resources));
        for task in tasks {
            self.quotas.taken(self.names.weigh(task));
        }
        self.room_changed();
        let Some(framework) = self.frameworks.find(&offer.framework) else { return Ok(()) };
        let Some(place) = self.place(framework, &offer.role) else { return Ok(()) };
        if !tasks.is_empty() {
            let member = self.member_mut(place);
            member.useful_at = Some(member.offered_at);
        }
        self.release(place, agent, &offer.resources);
        for task in tasks {
            self.charge(place, agent, task, 0);
        }
        self.add_holdings(place, tasks.len() as u64);
        self.end_holding(place);
        Ok(())
    }

    fn end_task(&mut self, task: &Holding) -> Result<(), AllocatorError> {
        let agent = self.find_agent(&task.agent)?;
        self.ledger.end_task(agent, &task.resources);
        self.quotas.returned(self.names.weigh(&task.resources));
        self.room_changed();
        let Some(framework) = self.frameworks.find(&task.framework) else { return Ok(()) };
        if let Some(place) = self.place(framework, &task.role) {
            self.release(place, agent, &task.resources);
            self.end_holding(place);
        }
        Ok(())
    }

    fn convert(&mut self, agent: &AgentId, conversion: &Conversion) -> Result<(), AllocatorError> {
        let ix = self.find_agent(agent)?;
        let old = self.ledger[ix].total().clone();
        self.ledger.convert(ix, conversion);
        let new = self.ledger[ix].total().clone();
        self.total_changed(&old, &new);
        Ok(())
    }

    fn refuse(&mut self, refused: &Holding, until: Time) -> Result<(), AllocatorError> {
        let agent = self.find_agent(&refused.agent)?;
        for place in self.places(&refused.framework, std::slice::from_ref(&refused.role))? {
            let available = self.ledger[agent].available();
            self.refusals.refuse(self.member(place).number, agent, &refused.resources, until, available);
        }
        if self.is_known_unwanted(agent) {
            self.ledger.unmark(agent);
        }
        Ok(())
    }

    fn allocate_into(&mut self, at: Time, agent: Option<&AgentId>, offers: &mut Vec<Holding>) {
        match agent {
            Some(id) => {
                let Some(agent) = self.ledger.find(id) else { return };
                self.ledger.unmark(agent);
                self.run_cycle(at, &mut [agent], offers);
            }
            None => {
                self.settle_quotas();
                if self.quotas.accounts.keeps_free() {
                    // What is given on one agent may meet a guarantee, and so free something on another.
                    self.ledger.mark_all();
                }
                let mut candidates = self.ledger.take_pending();
                self.run_cycle(at, &mut candidates, offers);
            }
        }
    }

    fn has_pending(&self) -> bool {
        self.ledger.has_pending()
    }

    fn next_expiry(&self) -> Option<Time> {
        self.refusals.next_end()
    }

    fn expire(&mut self, at: Time) {
        self.refusals.expire(at, |agent| self.ledger.mark(agent));
    }

    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        let account = &self.ledger[self.ledger.find(agent)?];
        Some(AgentAccount {
            total: account.total(),
            offered: account.offered(),
            allocated: account.allocated(),
            available: account.available(),
            active: account.active,
        })
    }

    fn explain(
        &self,
        at: Time,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) -> Result<Vec<Reason>, AllocatorError> {
        Self::explain(self, at, framework, role, agent)
    }

    fn roles(&self) -> Vec<RoleAccount> {
        let known = self.roles.ids().flat_map(|role| std::iter::once(role.clone()).chain(role.ancestors()));
        let mut roles: Vec<Role> =
            known.chain(self.weights.keys().cloned()).chain(self.quotas.iter().map(|(role, _)| role.clone())).collect();
        roles.sort_unstable();
        roles.dedup();
        roles.into_iter().map(|role| self.role_account(role)).collect()
    }
}

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    fn role_account(&self, role: Role) -> RoleAccount {
        let weight = self.weights.get(&role).copied().unwrap_or_default();
        let node = self.tree.find(role.components());
        RoleAccount {
            share: self.share_of(&role),
            held: node.map_or_else(Quantities::new, |node| self.names.quantities(self.tree.held(node))),
            quota: self.quotas.of(&role).cloned().unwrap_or_default(),
            role,
            weight,
        }
    }
}

/// A range or set of which two tasks claim to hold the same member: when one of them ended, the other would lose it.
fn held_twice(held: &[&Resources]) -> Option<Resource> {
    let mut members = Resources::new();
    for resource in held.iter().flat_map(|resources| resources.iter()) {
        if resource.scalar().is_none() && !resource.is_shared() {
            let one = Resources::try_from_iter([resource.clone()]).ok()?;
            if members.saturating_sub(&one) != members {
                return Some(resource.clone());
            }
            members = members.checked_add(&one).ok()?;
        }
    }
    None
}
