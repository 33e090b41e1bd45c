//! [`Ledger`]: the one account of what each agent has and who holds it.
//!
//! The only file that moves amounts. Of every agent, what is available is its total less what is
//! offered and what is allocated; shared resources are always available.

use super::index::id_map::Registry;
use crate::agent::Agent;
use crate::id::AgentId;
use crate::offer::Conversion;
use crate::resources::{Resource, Resources, SumError};
use std::borrow::Cow;
use std::sync::Arc;

/// The dense number of an agent.
pub(crate) type AgentIx = usize;

/// One agent's account. What every offer looks at fits, with the agent's id, into a line of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    base: Box<Base>,
    /// Its place among the agents: the number of those added before it, ever.
    pub(crate) order: u64,
    pub(crate) active: bool,
    offered: Resources,
    available: Resources,
    has_gpus: bool,
    /// Whether the total contains all that is held: then what is given back is available again, without a look at the rest.
    covered: bool,
    /// Whether it may have something to give that was not looked at since.
    pending: bool,
    /// Whether it stands in the ledger's queue.
    queued: bool,
    /// Whether it is counted among those that have something to give.
    free: bool,
    /// Whether it is on the ledger's list of these.
    listed: bool,
}

/// What is seldom looked at.
#[derive(Debug, Clone)]
struct Base {
    agent: Arc<Agent>,
    total: Resources,
    allocated: Resources,
}

/// What each agent has, and how much of it is offered and allocated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    agents: Registry<AgentId, Account>,
    added: u64,
    /// What has changed last.
    last: AgentIx,
    /// How many agents have something to give.
    free: usize,
    /// All that have something to give, and others that have not any more.
    list: Vec<AgentIx>,
    /// All pending agents, and others that are not any more.
    queue: Vec<AgentIx>,
    /// How many agents are pending.
    pending: usize,
    /// Whether all are that have something to give.
    all_pending: bool,
    /// What the last agent has that was added, and what is available of it: many have the same, and share it.
    usual: (Resources, Resources),
}

impl Account {
    /// What the agent says of itself; what it has now is its total.
    pub(crate) fn agent(&self) -> &Arc<Agent> {
        &self.base.agent
    }

    /// All that the agent has.
    pub(crate) fn total(&self) -> &Resources {
        &self.base.total
    }

    /// What is in live offers.
    pub(crate) fn offered(&self) -> &Resources {
        &self.offered
    }

    /// What tasks hold.
    pub(crate) fn allocated(&self) -> &Resources {
        &self.base.allocated
    }

    /// What can be offered now.
    #[inline]
    pub(crate) fn available(&self) -> &Resources {
        &self.available
    }

    /// Whether the agent has gpus, in use or not.
    pub(crate) fn has_gpus(&self) -> bool {
        self.has_gpus
    }

    /// Total less what is held; where more is held than there is, nothing is left of it.
    fn settle(&mut self) {
        let Base { total, allocated, .. } = &*self.base;
        self.has_gpus = !total.amount("gpus").is_zero();
        let (offered, allocated) = (unshared(&self.offered), unshared(allocated));
        let mut available = total.clone();
        // One after the other: a port that is held twice is in the total, but not in what the first leaves over.
        self.covered = available.contains(&offered);
        available.remove(&offered);
        self.covered &= available.contains(&allocated);
        available.remove(&allocated);
        self.available = available;
    }

    /// Ends an offer of which tasks hold part from now on.
    fn end_offer(&mut self, offered: &Resources, tasks: &[&Resources]) {
        self.offered.remove(offered);
        tasks.iter().for_each(|task| self.base.allocated.insert(task));
        let mut rest = unshared(offered).into_owned();
        let taken = tasks.iter().all(|task| {
            let task = unshared(task);
            let fits = rest.contains(&task);
            rest.remove(&task);
            fits
        });
        // What a task holds beyond its offer was made of it by an operation.
        if self.covered && taken { self.available.insert(&rest) } else { self.settle() }
    }

    fn end_task(&mut self, resources: &Resources) {
        self.base.allocated.remove(resources);
        if self.covered { self.available.insert(&unshared(resources)) } else { self.settle() }
    }
}

/// What is used up by being held: shared resources are not.
fn unshared(held: &Resources) -> Cow<'_, Resources> {
    if held.iter().any(Resource::is_shared) {
        Cow::Owned(held.filter(|resource| !resource.is_shared()))
    } else {
        Cow::Borrowed(held)
    }
}

/// The same resources, in one place for many agents. Disks have none: equal ones may still be mounted in their own ways.
fn pooled(resources: &Resources, usual: &mut Resources) -> Resources {
    if resources.iter().filter_map(Resource::kind).any(|kind| kind.disk.is_some()) {
        return resources.clone();
    }
    if usual != resources {
        *usual = resources.clone();
    }
    usual.clone()
}

impl std::ops::Index<AgentIx> for Ledger {
    type Output = Account;

    #[inline]
    fn index(&self, agent: AgentIx) -> &Account {
        &self.agents[agent]
    }
}

impl Ledger {
    /// The number of an agent. It is most often asked for that of which something has just changed.
    pub(crate) fn find(&self, id: &AgentId) -> Option<AgentIx> {
        if self.agents.has(self.last, id) { Some(self.last) } else { self.agents.find(id) }
    }

    pub(crate) fn id(&self, agent: AgentIx) -> &AgentId {
        self.agents.id(agent)
    }

    /// Opens an account for an agent that is not yet known, `held` by its tasks.
    pub(crate) fn open(&mut self, agent: &Arc<Agent>, held: &[&Resources]) -> Result<AgentIx, SumError> {
        let mut allocated = Resources::new();
        for resources in held {
            allocated = allocated.checked_add(resources)?;
        }
        agent.resources.check_types(&allocated)?;
        let mut account = Account {
            base: Box::new(Base {
                agent: Arc::clone(agent),
                total: pooled(&agent.resources, &mut self.usual.0),
                allocated,
            }),
            order: self.added,
            active: true,
            offered: Resources::new(),
            available: Resources::new(),
            has_gpus: false,
            covered: false,
            pending: false,
            queued: false,
            free: false,
            listed: false,
        };
        account.settle();
        account.available = pooled(&account.available, &mut self.usual.1);
        let ix = self.agents.insert(agent.id.clone(), account);
        self.added += 1;
        self.changed(ix);
        Ok(ix)
    }

    /// Closes an account; whoever holds something of it has to be told before.
    pub(crate) fn close(&mut self, id: &AgentId) {
        if let Some(ix) = self.find(id) {
            self.unmark(ix);
            self.agents[ix].available = Resources::new();
            self.count(ix);
            self.agents.remove(id);
        }
    }

    pub(crate) fn set_active(&mut self, agent: AgentIx, active: bool) {
        self.agents[agent].active = active;
        self.mark(agent);
    }

    /// Takes what the agent says of itself now, its total too; what is held stays held.
    pub(crate) fn update(&mut self, ix: AgentIx, agent: &Arc<Agent>) -> Result<(), SumError> {
        let account = &mut self.agents[ix];
        agent.resources.check_types(&account.offered)?;
        agent.resources.check_types(account.allocated())?;
        account.base.total = agent.resources.clone();
        account.base.agent = Arc::clone(agent);
        account.settle();
        self.changed(ix);
        Ok(())
    }

    /// Moves what is available into an offer. In the hot loop: nothing but what is given is looked at.
    pub(crate) fn offer(&mut self, agent: AgentIx, resources: &Resources) {
        let account = &mut self.agents[agent];
        account.offered.insert(resources);
        account.available.remove(&unshared(resources));
        if account.available.is_empty() {
            self.count(agent);
        }
    }

    /// Moves all that is available into an offer; nothing of it is shared.
    #[inline]
    pub(crate) fn offer_whole(&mut self, agent: AgentIx) -> Resources {
        let account = &mut self.agents[agent];
        let resources = std::mem::take(&mut account.available);
        account.offered.insert(&resources);
        self.count(agent);
        resources
    }

    /// Ends an offer; `tasks` hold part of it from now on.
    pub(crate) fn end_offer(&mut self, agent: AgentIx, offered: &Resources, tasks: &[&Resources]) {
        self.agents[agent].end_offer(offered, tasks);
        self.changed(agent);
    }

    /// Makes one part of an agent's total into another.
    pub(crate) fn convert(&mut self, agent: AgentIx, conversion: &Conversion) {
        let account = &mut self.agents[agent];
        account.base.total.remove(&conversion.consumed);
        account.base.total.insert(&conversion.converted);
        account.settle();
        self.changed(agent);
    }

    /// Ends a task.
    pub(crate) fn end_task(&mut self, agent: AgentIx, resources: &Resources) {
        self.agents[agent].end_task(resources);
        self.changed(agent);
    }

    fn changed(&mut self, agent: AgentIx) {
        self.last = agent;
        self.count(agent);
        self.mark(agent);
    }

    /// Counts an agent among those that have something to give, or does so no longer.
    #[inline]
    fn count(&mut self, agent: AgentIx) {
        let account = &mut self.agents[agent];
        let free = !account.available.is_empty();
        if free != std::mem::replace(&mut account.free, free) {
            self.free = if free { self.free + 1 } else { self.free - 1 };
        }
        if free && !std::mem::replace(&mut account.listed, true) {
            self.list.push(agent);
            if self.list.len() > 2 * self.agents.len() + 64 {
                self.strike();
            }
        }
    }

    /// Has an agent looked at in the next batch, if there is something to give. O(1).
    pub(crate) fn mark(&mut self, agent: AgentIx) {
        let account = &mut self.agents[agent];
        if account.available.is_empty() || account.pending {
            return;
        }
        account.pending = true;
        self.pending += 1;
        if !std::mem::replace(&mut account.queued, true) {
            self.queue.push(agent);
            if self.queue.len() > 2 * self.agents.len() + 64 {
                self.weed();
            }
        }
    }

    /// Strikes those from the queue that are gone or not pending any more.
    fn weed(&mut self) {
        for agent in std::mem::take(&mut self.queue) {
            let Some(account) = self.agents.get_mut(agent) else { continue };
            // Whoever stands in it twice is seen pending only once.
            if std::mem::replace(&mut account.queued, false) && account.pending {
                self.queue.push(agent);
            }
        }
        for agent in &self.queue {
            self.agents[*agent].queued = true;
        }
    }

    /// Has every agent with something to give looked at in the next batch. O(1), in the mean of many: whoever is struck from
    /// the list was put there before.
    pub(crate) fn mark_all(&mut self) {
        self.all_pending = true;
        if self.list.len() > 2 * self.free + 64 {
            self.strike();
        }
    }

    /// The agents that have something to give, in the order in which they were added.
    pub(crate) fn with_available(&self) -> Vec<AgentIx> {
        let is_free = |agent: &AgentIx| self.agents.get(*agent).is_some_and(|account| account.free);
        self.in_order(self.list.iter().copied().filter(is_free).collect())
    }

    /// Agents in the order of their places, each once: a number that was used again may stand in a list twice.
    fn in_order(&self, mut agents: Vec<AgentIx>) -> Vec<AgentIx> {
        if !agents.is_sorted_by_key(|agent| self.agents[*agent].order) {
            agents.sort_by_cached_key(|agent| self.agents[*agent].order);
        }
        agents.dedup();
        agents
    }

    /// Strikes those from the list that are gone or have nothing to give.
    fn strike(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        list.retain(|agent| {
            let Some(account) = self.agents.get_mut(*agent) else { return false };
            account.listed = account.free;
            account.free
        });
        self.list = self.in_order(list);
    }

    /// The agents to be looked at, in the order in which they were added; they no longer are afterwards.
    pub(crate) fn take_pending(&mut self) -> Vec<AgentIx> {
        let (mut queue, mut pending) = (std::mem::take(&mut self.queue), Vec::with_capacity(self.pending));
        for agent in queue.drain(..) {
            let Some(account) = self.agents.get_mut(agent) else { continue };
            account.queued = false;
            if std::mem::replace(&mut account.pending, false) {
                pending.push(agent);
            }
        }
        (self.queue, self.pending) = (queue, 0);
        if std::mem::take(&mut self.all_pending) {
            self.strike();
            return self.list.clone();
        }
        self.in_order(pending)
    }

    /// The agent is being looked at: until something changes, nobody wants more of it.
    pub(crate) fn unmark(&mut self, agent: AgentIx) {
        if std::mem::replace(&mut self.agents[agent].pending, false) {
            self.pending -= 1;
        }
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.pending > 0 || (self.all_pending && self.free > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(id: &str) -> Arc<Agent> {
        Arc::new(Agent::new(id, "cpus:1".parse().unwrap()))
    }

    #[test]
    fn an_account_with_its_id_is_a_line_of_the_cache() {
        assert!(size_of::<Option<(AgentId, Account)>>() <= 64);
    }

    #[test]
    fn equal_volumes_are_each_mounted_in_their_own_way() {
        let mut ledger = Ledger::default();
        for (id, path) in [("a", "data"), ("b", "other")] {
            let volume = serde_json::json!([{
                "name": "disk", "type": "SCALAR", "scalar": {"value": 5.0}, "reservations": [{"type": "STATIC", "role": "web"}],
                "disk": {"persistence": {"id": "v1"}, "volume": {"container_path": path, "mode": "RW"}},
            }]);
            let resources: Resources = serde_json::from_value(volume).unwrap();
            let agent = ledger.open(&Arc::new(Agent::new(id, resources)), &[]).unwrap();
            for mine in [ledger[agent].total(), ledger[agent].available()] {
                assert_eq!(serde_json::to_value(mine).unwrap()[0]["disk"]["volume"]["container_path"], path);
            }
        }
    }

    #[test]
    fn who_has_the_number_of_another_is_listed_once() {
        let mut ledger = Ledger::default();
        for id in ["a", "b"] {
            ledger.open(&agent(id), &[]).unwrap();
        }
        ledger.close(&"a".into());
        let again = ledger.open(&agent("c"), &[]).unwrap();
        assert_eq!(ledger.with_available(), [1, again], "in the order in which they came");
        ledger.mark_all();
        assert_eq!(ledger.take_pending(), [1, again]);
        assert_eq!(ledger.list.len(), 2);
    }

    #[test]
    fn who_has_nothing_left_is_not_looked_at_again() {
        let mut ledger = Ledger::default();
        let agents = ["a", "b"].map(|id| ledger.open(&agent(id), &[]).unwrap());
        ledger.take_pending();
        let offer = ledger.offer_whole(agents[0]);
        ledger.mark_all();
        assert_eq!(ledger.take_pending(), [agents[1]]);
        ledger.end_offer(agents[0], &offer, &[&offer]);
        ledger.mark_all();
        assert_eq!(ledger.take_pending(), [agents[1]], "a task has it all");
        ledger.offer_whole(agents[1]);
        ledger.mark_all();
        assert!(!ledger.has_pending(), "nobody has anything to give");
    }
}
