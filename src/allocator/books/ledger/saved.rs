//! The ledger in a snapshot.

use super::{Account, Ledger, pooled};
use crate::agent::Agent;
use crate::allocator::AllocatorError;
use crate::allocator::index::{AgentIx, MemberIx};
use crate::allocator::snapshot::{SnapshotError, check_count, is_identical};
use crate::id::AgentId;
use crate::resources::Resources;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The accounts, in the order in which the agents were added.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::allocator) struct SavedLedger {
    added: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all_dirty: bool,
    pub(in crate::allocator) accounts: Vec<SavedAccount>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::allocator) struct SavedAccount {
    pub(in crate::allocator) agent: AgentId,
    order: u64,
    /// The total, unless it is what the agent has registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<Resources>,
    /// The available resources, if they print otherwise than those that follow from the rest: disks keep their mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    available: Option<Resources>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    inactive: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dirty: bool,
}

impl SavedAccount {
    /// Returns the agent with its present total.
    pub(in crate::allocator) fn present(&self, agent: &Agent) -> Agent {
        let resources = self.total.as_ref().unwrap_or(&agent.resources).clone();
        Agent { resources, ..agent.clone() }
    }
}

impl Account {
    /// Returns the live offers and the tasks of frameworks that are known.
    pub(in crate::allocator) fn all_holdings(&self) -> [Vec<(MemberIx, &Resources)>; 2] {
        let holdings = self.holdings();
        let listed = holdings.offers.iter();
        let mut offers: Vec<(MemberIx, &Resources)> =
            listed.flat_map(|alike| (0..alike.count).map(|_| (alike.member, &alike.resources))).collect();
        if offers.is_empty() && !self.offered.is_empty() {
            offers.push((self.offered_to, &self.offered));
        }
        [offers, holdings.tasks.iter().map(|(member, task)| (*member, task)).collect()]
    }
}

impl Ledger {
    pub(in crate::allocator) fn save(&self) -> SavedLedger {
        let save = |agent: AgentIx| {
            let account = &self.agents[agent];
            let balance = account.balance().available;
            SavedAccount {
                agent: self.id(agent).clone(),
                order: account.order,
                total: Some(account.total()).filter(|total| !is_identical(total, &account.agent().resources)).cloned(),
                available: Some(&account.available).filter(|available| !is_identical(available, &balance)).cloned(),
                inactive: !account.is_active,
                dirty: self.dirty.contains(agent),
            }
        };
        let accounts = self.in_order_of_adding().into_iter().map(save).collect();
        SavedLedger { added: self.added, all_dirty: self.all_dirty, accounts }
    }

    /// Prepares an empty ledger for the accounts of a snapshot.
    pub(in crate::allocator) fn load(&mut self, saved: &SavedLedger) -> Result<(), SnapshotError> {
        self.added = check_count("agents added", saved.added)?;
        self.all_dirty = saved.all_dirty;
        Ok(())
    }

    /// Opens the account of an agent as it was saved, of which that is offered and allocated.
    pub(in crate::allocator) fn reopen(
        &mut self,
        saved: SavedAccount,
        agent: &Arc<Agent>,
        (offered, allocated): (Resources, Resources),
    ) -> Result<AgentIx, SnapshotError> {
        if self.agents.find(&agent.id).is_some() {
            return Err(SnapshotError::repeated("agent", agent.id.as_str()));
        }
        if saved.order >= self.added {
            return Err(SnapshotError::Count { kind: "agents before it", found: saved.order, most: self.added });
        }
        let total = saved.total.unwrap_or_else(|| agent.resources.clone());
        let held = |source| AllocatorError::Held { agent: agent.id.clone(), source };
        total.check_types(&offered).map_err(held)?;
        total.check_types(&allocated).map_err(held)?;
        offered.check_types(&allocated).map_err(held)?;
        let total = pooled(&total, &mut self.pool.0);
        let mut account = Account::new(agent, total, allocated, saved.order);
        (account.is_active, account.offered) = (!saved.inactive, offered);
        account.settle();
        if let Some(available) = saved.available {
            if available != account.available {
                let (found, expected) = (Box::new(available), Box::new(account.available));
                return Err(SnapshotError::Available { agent: agent.id.clone(), found, expected });
            }
            account.available = available;
        }
        account.available = pooled(&account.available, &mut self.pool.1);
        let has_available = !account.available.is_empty();
        let ix = self.agents.insert(agent.id.clone(), account);
        self.count_overcommitted(None, ix);
        if has_available {
            self.with_available.insert(ix);
        }
        if saved.dirty {
            self.dirty.insert(ix);
        }
        Ok(ix)
    }

    /// Sets the live offers of an agent, of which the sum is offered.
    pub(in crate::allocator) fn set_offers(&mut self, agent: AgentIx, offers: &[(MemberIx, &Resources)]) {
        let account = &mut self.agents[agent];
        match offers {
            [(only, _)] => account.offered_to = *only, // the account itself knows a single one
            offers => offers.iter().for_each(|(member, offer)| account.base.holdings.add_offer(*member, offer)),
        }
    }
}
