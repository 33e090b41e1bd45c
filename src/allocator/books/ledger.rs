//! [`Ledger`]: the account of each agent, and the agents that the next batch has to visit.

mod saved;

pub(super) use saved::{SavedAccount, SavedLedger};

use super::account::{Account, EndedOffers, TaskFault};
use super::balance::unshared;
use super::holdings::Holdings;
use crate::agent::Agent;
use crate::allocator::Holding;
use crate::allocator::index::{AgentIx, BitSet, IdMap, MemberIx, WorkSet};
use crate::id::AgentId;
use crate::resources::{Quantities, Resource, Resources, SumError};
use crate::text::Text;
use std::collections::BTreeMap;
use std::ops;
use std::sync::Arc;

/// The accounts of all agents, and the *dirty* ones among them: those whose available resources no batch has visited since
/// they, or what may be offered of them, changed.
#[derive(Debug, Clone, Default)]
pub(in crate::allocator) struct Ledger {
    agents: IdMap<AgentId, AgentIx, Account>,
    /// The number of agents that were ever added.
    added: u64,
    /// The agent that changed last.
    last: Option<AgentIx>,
    /// The agents that have available resources.
    with_available: WorkSet<AgentIx>,
    dirty: WorkSet<AgentIx>,
    /// Whether all agents with available resources are dirty.
    all_dirty: bool,
    /// The total and the available resources of the agent that was added last: agents that have the same share its lists.
    pool: (Resources, Resources),
    /// By name, the amounts by which agents are over-committed, in thousandths.
    overcommitted: BTreeMap<Text, u64>,
    /// The names that came into that map, and those that went.
    overcommitted_changes: Vec<(Text, bool)>,
}

/// Returns equal resources that share one list among agents. Disks do not: equal ones may be mounted differently.
fn pooled(resources: &Resources, pool: &mut Resources) -> Resources {
    if resources.iter().filter_map(Resource::kind).any(|kind| kind.disk.is_some()) {
        return resources.clone();
    }
    if pool != resources {
        *pool = resources.clone();
    }
    pool.clone()
}

impl ops::Index<AgentIx> for Ledger {
    type Output = Account;

    #[inline]
    fn index(&self, agent: AgentIx) -> &Account {
        &self.agents[agent]
    }
}

impl Ledger {
    /// Returns the index of an agent. Most lookups are for the agent that changed last, and need no hash.
    pub(in crate::allocator) fn find(&self, id: &AgentId) -> Option<AgentIx> {
        self.last.filter(|last| self.agents.has(*last, id)).or_else(|| self.agents.find(id))
    }

    pub(in crate::allocator) fn id(&self, agent: AgentIx) -> &AgentId {
        self.agents.id(agent)
    }

    /// The accounts of all agents, in no particular order.
    pub(in crate::allocator) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.agents.iter().map(|(_, account)| account)
    }

    /// Returns the number of agents.
    pub(in crate::allocator) fn len(&self) -> usize {
        self.agents.len()
    }

    /// Returns the number of agents that the next batch visits for all frameworks.
    pub(in crate::allocator) fn dirty_len(&self) -> usize {
        if self.all_dirty { self.with_available.len() } else { self.dirty.len() }
    }

    /// Opens an account for a new agent, of which tasks hold what is `allocated`.
    pub(super) fn open(&mut self, agent: &Arc<Agent>, allocated: Resources) -> Result<AgentIx, SumError> {
        agent.resources.check_types(&allocated)?;
        let total = pooled(&agent.resources, &mut self.pool.0);
        let mut account = Account::new(agent, total, allocated, self.added);
        account.available = pooled(&account.available, &mut self.pool.1);
        let ix = self.agents.insert(agent.id.clone(), account);
        self.added += 1;
        self.count_overcommitted(None, ix);
        self.changed(ix);
        Ok(ix)
    }

    /// Closes an account of which nothing is held any more.
    pub(super) fn close(&mut self, id: &AgentId) {
        if let Some((ix, account)) = self.agents.remove(id) {
            self.subtract_overcommitted(account.base.overcommitted.as_deref());
            self.dirty.remove(ix);
            self.with_available.remove(ix);
        }
    }

    pub(super) fn set_active(&mut self, agent: AgentIx, active: bool) {
        self.agents[agent].is_active = active;
        self.mark_dirty(agent);
    }

    /// Replaces the metadata and the total of an agent, and what its tasks hold. The list of the tasks is the caller's to
    /// change.
    pub(super) fn update(&mut self, ix: AgentIx, agent: &Arc<Agent>, allocated: Resources) -> Result<(), SumError> {
        let account = &mut self.agents[ix];
        agent.resources.check_types(&account.offered)?;
        agent.resources.check_types(&allocated)?;
        account.base.total = agent.resources.clone();
        account.base.agent = Arc::clone(agent);
        account.base.allocated = allocated;
        let before = account.base.overcommitted.clone();
        account.settle();
        self.count_overcommitted(before, ix);
        self.changed(ix);
        Ok(())
    }

    /// Moves available resources into an offer. In the hot loop: touches nothing but what is offered.
    pub(super) fn offer(
        &mut self,
        agent: AgentIx,
        member: MemberIx,
        resources: &Resources,
        earlier: Option<&Resources>,
    ) {
        let account = &mut self.agents[agent];
        account.note_offer(member, resources, earlier);
        account.offered.insert(resources);
        account.available.remove(&unshared(resources));
        if account.available.is_empty() {
            self.with_available.remove(agent);
        }
    }

    /// Moves all available resources, none of which is shared, into an offer.
    #[inline]
    pub(super) fn offer_whole(&mut self, agent: AgentIx, member: MemberIx, earlier: Option<&Resources>) -> Resources {
        let account = &mut self.agents[agent];
        let resources = std::mem::take(&mut account.available);
        account.note_offer(member, &resources, earlier);
        account.offered.insert(&resources);
        self.with_available.remove(agent);
        resources
    }

    /// Ends offers of a member; tasks hold part of them from now on. Fails, and changes nothing, if the tasks hold more than
    /// that, or what they hold cannot be added up.
    pub(super) fn end_offers(&mut self, agent: AgentIx, ended: &EndedOffers<'_>) -> Result<(), TaskFault> {
        let account = &mut self.agents[agent];
        let before = if ended.total.is_some() { account.base.overcommitted.clone() } else { account.if_uncovered() };
        account.end_offers(ended)?;
        self.count_overcommitted(before, agent);
        self.changed(agent);
        Ok(())
    }

    /// Ends a live offer of a member of which no task holds anything.
    #[inline]
    pub(super) fn end_unused(&mut self, agent: AgentIx, member: MemberIx, offer: &Resources) {
        let account = &mut self.agents[agent];
        let before = account.if_uncovered();
        account.end_unused(member, offer);
        self.count_overcommitted(before, agent);
        self.changed(agent);
    }

    /// Replaces an agent's total by a conversion of it.
    pub(super) fn convert(&mut self, agent: AgentIx, total: Resources) {
        let account = &mut self.agents[agent];
        account.base.total = total;
        let before = account.base.overcommitted.clone();
        account.settle();
        self.count_overcommitted(before, agent);
        self.changed(agent);
    }

    /// Ends a task of a member, or of a framework that is not known. Returns whether the member was charged for it; none, and
    /// nothing has changed, if there is no such task.
    pub(super) fn end_task(&mut self, agent: AgentIx, member: Option<MemberIx>, task: &Holding) -> Option<bool> {
        let account = &mut self.agents[agent];
        let is_charged = account.base.holdings.remove_task(member, task)?;
        let before = account.if_uncovered();
        account.end_task(&task.resources);
        self.count_overcommitted(before, agent);
        self.changed(agent);
        Some(is_charged)
    }

    /// Returns the lists of offers and tasks of an agent. What is allocated must be their sum in the end.
    pub(super) fn holdings_mut(&mut self, agent: AgentIx) -> &mut Holdings {
        &mut self.agents[agent].base.holdings
    }

    /// Returns the sum of the amounts by which agents are over-committed with a name, in thousandths.
    pub(super) fn overcommitted(&self, name: &str) -> u64 {
        self.overcommitted.get(name).copied().unwrap_or(0)
    }

    /// Returns whether agents have become over-committed with names, or are no longer.
    #[inline]
    pub(super) fn has_overcommitted_changes(&self) -> bool {
        !self.overcommitted_changes.is_empty()
    }

    /// Returns the names that agents have become over-committed with, or are no longer, in the order in which they did.
    pub(super) fn take_overcommitted_changes(&mut self) -> Vec<(Text, bool)> {
        std::mem::take(&mut self.overcommitted_changes)
    }

    /// Counts the amounts by which an agent is over-committed, in place of those before. Mostly there are none.
    #[inline]
    fn count_overcommitted(&mut self, before: Option<Box<Quantities>>, agent: AgentIx) {
        if before.is_some() || !self.agents[agent].is_covered {
            self.recount_overcommitted(before.as_deref(), agent);
        }
    }

    #[cold]
    fn recount_overcommitted(&mut self, before: Option<&Quantities>, agent: AgentIx) {
        self.subtract_overcommitted(before);
        for (name, excess) in self.agents[agent].overcommitted().into_iter().flat_map(Quantities::iter) {
            let changes = &mut self.overcommitted_changes;
            let sum = self.overcommitted.entry(name.into()).or_insert_with_key(|name| {
                changes.push((name.clone(), true));
                0
            });
            *sum = sum.saturating_add(excess.as_milli());
        }
    }

    fn subtract_overcommitted(&mut self, before: Option<&Quantities>) {
        for (name, excess) in before.into_iter().flat_map(Quantities::iter) {
            let Some(sum) = self.overcommitted.get_mut(name) else { continue };
            *sum = sum.saturating_sub(excess.as_milli());
            if *sum == 0 {
                self.overcommitted.remove(name);
                self.overcommitted_changes.push((name.into(), false));
            }
        }
    }

    /// Returns whether the invariants of an account hold.
    pub(super) fn is_balanced(&self, agent: AgentIx) -> bool {
        self.agents[agent].is_balanced()
    }

    /// Notes that what is available of an agent may have changed.
    #[inline]
    fn changed(&mut self, agent: AgentIx) {
        self.last = Some(agent);
        if self.agents[agent].available.is_empty() {
            self.with_available.remove(agent);
        } else {
            self.with_available.insert(agent);
            self.dirty.insert(agent);
        }
    }

    /// Has the next batch visit an agent, if it has available resources.
    pub(super) fn mark_dirty(&mut self, agent: AgentIx) {
        if !self.agents[agent].available.is_empty() {
            self.dirty.insert(agent);
        }
    }

    /// Has the next batch visit all agents that have available resources by then. O(1).
    pub(super) fn mark_all_dirty(&mut self) {
        self.all_dirty = true;
    }

    /// Takes an agent from those that the next batch visits: until something changes, no offer of it can be made.
    pub(super) fn unmark(&mut self, agent: AgentIx) {
        self.dirty.remove(agent);
    }

    /// Returns the dirty agents in the order in which they were added, and marks them clean.
    pub(super) fn take_dirty(&mut self) -> Vec<AgentIx> {
        let agents = if self.all_dirty { self.with_available.to_vec() } else { self.dirty.to_vec() };
        self.all_dirty = false;
        self.dirty.clear();
        self.in_order(agents)
    }

    /// The dirty agents, unless all are.
    pub(in crate::allocator) fn dirty(&self) -> impl Iterator<Item = AgentIx> {
        self.dirty.iter()
    }

    /// Returns the agents that have available resources, but for those that were looked at in vain, in the order in which they
    /// were added.
    pub(super) fn with_available_except(&self, vain: &BitSet<AgentIx>) -> Vec<AgentIx> {
        let agents = self.with_available.iter_except(vain);
        self.in_order(agents.collect())
    }

    /// Returns the agents that have available resources, in the order in which they were added.
    pub(in crate::allocator) fn with_available(&self) -> Vec<AgentIx> {
        self.in_order(self.with_available.to_vec())
    }

    /// Returns all agents, in the order in which they were added.
    pub(in crate::allocator) fn in_order_of_adding(&self) -> Vec<AgentIx> {
        self.in_order(self.agents.iter().map(|(agent, _)| agent).collect())
    }

    fn in_order(&self, mut agents: Vec<AgentIx>) -> Vec<AgentIx> {
        if !agents.is_sorted_by_key(|agent| self.agents[*agent].order) {
            agents.sort_by_cached_key(|agent| self.agents[*agent].order);
        }
        agents
    }

    /// Returns whether any agent has available resources.
    pub(super) fn has_available(&self) -> bool {
        !self.with_available.is_empty()
    }

    /// Returns whether all agents with available resources are dirty.
    pub(in crate::allocator) fn is_all_dirty(&self) -> bool {
        self.all_dirty
    }

    /// Returns whether a batch would visit any agent.
    pub(in crate::allocator) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty() || (self.all_dirty && !self.with_available.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::DenseIndex;
    use crate::role::Role;

    fn agent(id: &str) -> Arc<Agent> {
        Arc::new(Agent::new(id, "cpus:1".parse().unwrap()))
    }

    const MEMBER: fn() -> MemberIx = || MemberIx::new(0);

    fn end_offer(
        ledger: &mut Ledger,
        agent: AgentIx,
        offer: &Resources,
        tasks: &[&Resources],
    ) -> Result<(), TaskFault> {
        let (member, offers) = (MEMBER(), &[offer][..]);
        ledger.end_offers(agent, &EndedOffers { member, offers, offered: offer, left: offer, total: None, tasks })
    }

    #[test]
    fn an_account_with_its_id_fits_into_a_cache_line() {
        assert!(size_of::<Option<(AgentId, Account)>>() <= 64);
    }

    #[test]
    fn equal_volumes_keep_their_own_mounts() {
        let mut ledger = Ledger::default();
        for (id, path) in [("a", "data"), ("b", "other")] {
            let volume = serde_json::json!([{
                "name": "disk", "type": "SCALAR", "scalar": {"value": 5.0}, "reservations": [{"type": "STATIC", "role": "web"}],
                "disk": {"persistence": {"id": "v1"}, "volume": {"container_path": path, "mode": "RW"}},
            }]);
            let resources: Resources = serde_json::from_value(volume).unwrap();
            let agent = ledger.open(&Arc::new(Agent::new(id, resources)), Resources::new()).unwrap();
            for mine in [ledger[agent].total(), ledger[agent].available()] {
                assert_eq!(serde_json::to_value(mine).unwrap()[0]["disk"]["volume"]["container_path"], path);
            }
        }
    }

    #[test]
    fn an_agent_at_a_reused_index_comes_last() {
        let mut ledger = Ledger::default();
        let [a, b] = ["a", "b"].map(|id| ledger.open(&agent(id), Resources::new()).unwrap());
        ledger.close(&"a".into());
        let c = ledger.open(&agent("c"), Resources::new()).unwrap();
        assert_eq!(c, a);
        assert_eq!(ledger.with_available(), [b, c], "in the order in which they were added");
        ledger.mark_all_dirty();
        assert_eq!(ledger.take_dirty(), [b, c]);
    }

    #[test]
    fn an_agent_with_nothing_available_is_not_visited() {
        let mut ledger = Ledger::default();
        let [a, b] = ["a", "b"].map(|id| ledger.open(&agent(id), Resources::new()).unwrap());
        ledger.take_dirty();
        let offer = ledger.offer_whole(a, MEMBER(), None);
        ledger.mark_all_dirty();
        assert_eq!(ledger.take_dirty(), [b]);
        end_offer(&mut ledger, a, &offer, &[&offer]).unwrap();
        ledger.mark_all_dirty();
        assert_eq!(ledger.take_dirty(), [b], "a task has it all");
        ledger.offer_whole(b, MEMBER(), None);
        ledger.mark_all_dirty();
        assert!(!ledger.has_dirty(), "no agent has anything available");
    }

    #[test]
    fn the_balance_is_what_the_verbs_leave() {
        let mut ledger = Ledger::default();
        let ports = Arc::new(Agent::new("a", "cpus:4;ports:[1-10]".parse().unwrap()));
        let [held, offer]: [Resources; 2] = ["cpus:1;ports:[1-2]", "cpus:2;ports:[5-10]"].map(|it| it.parse().unwrap());
        let agent = ledger.open(&ports, held.clone()).unwrap();
        ledger.holdings_mut(agent).tasks.push((MEMBER(), held.clone()));
        ledger.offer(agent, MEMBER(), &offer, None);
        assert!(ledger.is_balanced(agent));
        let task: Resources = "cpus:1;ports:[5-5]".parse().unwrap();
        end_offer(&mut ledger, agent, &offer, &[&task]).unwrap();
        assert!(ledger.is_balanced(agent));
        let role = Role::new("r").unwrap();
        let task = Holding { framework: "f".into(), role, agent: "a".into(), resources: held };
        assert_eq!(ledger.end_task(agent, Some(MEMBER()), &task), Some(true));
        assert_eq!(ledger.end_task(agent, Some(MEMBER()), &task), None);
        assert!(ledger.is_balanced(agent));
        assert_eq!(*ledger[agent].available(), "cpus:3;ports:[1-4,6-10]".parse().unwrap());
    }

    #[test]
    fn tasks_that_no_sum_can_hold_are_refused_and_change_nothing() {
        let mut ledger = Ledger::default();
        let [most, one, offer]: [Resources; 3] =
            ["cpus:9000000000000", "cpus:1;mem:1", "cpus(a):1;mem:1"].map(|it| it.parse().unwrap());
        let total = most.checked_add(&offer).unwrap();
        let agent = ledger.open(&Arc::new(Agent::new("a", total)), most.clone()).unwrap();
        ledger.holdings_mut(agent).tasks.push((MEMBER(), most.clone()));
        ledger.offer(agent, MEMBER(), &offer, None);
        for tasks in [[&one, &offer], [&offer, &one]] {
            assert!(end_offer(&mut ledger, agent, &offer, &tasks).is_err());
        }
        assert_eq!((ledger[agent].allocated(), ledger[agent].offered()), (&most, &offer));
        assert!(ledger.is_balanced(agent));
        end_offer(&mut ledger, agent, &offer, &[&offer]).unwrap();
    }
}
