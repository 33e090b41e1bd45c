//! [`Ledger`]: the one account of what each agent has and who holds it.
//!
//! The only file that moves amounts. Of every agent, what is available is its total less what is
//! offered and what is allocated; shared resources are always available.

use super::registry::Registry;
use crate::agent::Agent;
use crate::id::AgentId;
use crate::offer::Conversion;
use crate::resources::{Resource, Resources, SumError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The dense number of an agent.
pub(crate) type AgentIx = usize;

/// One agent's account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// What the agent says of itself; what it has now is `total`.
    pub(crate) agent: Arc<Agent>,
    /// Its place among the agents: the number of those added before it, ever.
    pub(crate) order: u64,
    pub(crate) active: bool,
    total: Resources,
    offered: Resources,
    allocated: Resources,
    available: Resources,
}

/// What each agent has, and how much of it is offered and allocated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    agents: Registry<AgentId, Account>,
    added: u64,
    /// All agents, by their place.
    by_place: BTreeMap<u64, AgentIx>,
    /// Agents that may have something to give that was not looked at since, by their place.
    pending: BTreeMap<u64, AgentIx>,
    /// Whether that is so for all agents.
    all_pending: bool,
}

impl Account {
    /// All that the agent has.
    pub(crate) fn total(&self) -> &Resources {
        &self.total
    }

    /// What is in live offers.
    pub(crate) fn offered(&self) -> &Resources {
        &self.offered
    }

    /// What tasks hold.
    pub(crate) fn allocated(&self) -> &Resources {
        &self.allocated
    }

    /// What can be offered now.
    pub(crate) fn available(&self) -> &Resources {
        &self.available
    }

    /// Whether the agent has gpus, in use or not.
    pub(crate) fn has_gpus(&self) -> bool {
        !self.total.amount("gpus").is_zero()
    }

    /// Total less what is held; where more is held than there is, nothing is left of it.
    fn settle(&mut self) {
        let mut available = self.total.clone();
        for held in [&self.offered, &self.allocated] {
            available.remove(&unshared(held));
        }
        self.available = available;
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

impl std::ops::Index<AgentIx> for Ledger {
    type Output = Account;

    fn index(&self, agent: AgentIx) -> &Account {
        &self.agents[agent]
    }
}

impl Ledger {
    pub(crate) fn find(&self, id: &AgentId) -> Option<AgentIx> {
        self.agents.find(id)
    }

    /// Opens an account for an agent that is not yet known, `held` by its tasks.
    pub(crate) fn open(&mut self, agent: &Arc<Agent>, held: &[&Resources]) -> Result<AgentIx, SumError> {
        let mut allocated = Resources::new();
        for resources in held {
            allocated = allocated.checked_add(resources)?;
        }
        agent.resources.check_types(&allocated)?;
        let mut account = Account {
            agent: Arc::clone(agent),
            order: self.added,
            active: true,
            total: agent.resources.clone(),
            offered: Resources::new(),
            allocated,
            available: Resources::new(),
        };
        account.settle();
        let ix = self.agents.insert(agent.id.clone(), account);
        self.by_place.insert(self.added, ix);
        self.added += 1;
        self.mark(ix);
        Ok(ix)
    }

    /// Closes an account; whoever holds something of it has to be told before.
    pub(crate) fn close(&mut self, id: &AgentId) {
        if let Some((_, account)) = self.agents.remove(id) {
            self.by_place.remove(&account.order);
            self.pending.remove(&account.order);
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
        agent.resources.check_types(&account.allocated)?;
        account.total = agent.resources.clone();
        account.agent = Arc::clone(agent);
        self.changed(ix);
        Ok(())
    }

    /// Moves what is available into an offer. In the hot loop: nothing but what is given is looked at.
    pub(crate) fn offer(&mut self, agent: AgentIx, resources: &Resources) {
        let account = &mut self.agents[agent];
        account.offered.insert(resources);
        account.available.remove(&unshared(resources));
    }

    /// Ends an offer; `tasks` hold part of it from now on.
    pub(crate) fn end_offer(&mut self, agent: AgentIx, offered: &Resources, tasks: &[&Resources]) {
        let account = &mut self.agents[agent];
        account.offered.remove(offered);
        tasks.iter().for_each(|task| account.allocated.insert(task));
        self.changed(agent);
    }

    /// Makes one part of an agent's total into another.
    pub(crate) fn convert(&mut self, agent: AgentIx, conversion: &Conversion) {
        let total = &mut self.agents[agent].total;
        total.remove(&conversion.consumed);
        total.insert(&conversion.converted);
        self.changed(agent);
    }

    /// Ends a task.
    pub(crate) fn end_task(&mut self, agent: AgentIx, resources: &Resources) {
        self.agents[agent].allocated.remove(resources);
        self.changed(agent);
    }

    fn changed(&mut self, agent: AgentIx) {
        self.agents[agent].settle();
        self.mark(agent);
    }

    /// Has an agent looked at in the next batch, if there is something to give.
    pub(crate) fn mark(&mut self, agent: AgentIx) {
        let account = &self.agents[agent];
        if !account.available.is_empty() {
            self.pending.insert(account.order, agent);
        }
    }

    /// Has every agent with something to give looked at in the next batch. O(1).
    pub(crate) fn mark_all(&mut self) {
        self.all_pending = true;
    }

    /// The agents that have something to give, in the order in which they were added.
    pub(crate) fn with_available(&self) -> impl Iterator<Item = AgentIx> {
        self.by_place.values().copied().filter(|agent| !self.agents[*agent].available.is_empty())
    }

    /// The agents to be looked at, in the order in which they were added; they no longer are afterwards.
    pub(crate) fn take_pending(&mut self) -> Vec<AgentIx> {
        let pending = std::mem::take(&mut self.pending);
        if std::mem::take(&mut self.all_pending) {
            self.with_available().collect()
        } else {
            pending.into_values().collect()
        }
    }

    /// The agent is being looked at: until something changes, nobody wants more of it.
    pub(crate) fn unmark(&mut self, agent: AgentIx) {
        self.pending.remove(&self.agents[agent].order);
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.all_pending || !self.pending.is_empty()
    }
}
