//! Recovery: the agents that a new leader expects, and the allocations that wait for them.

use super::saved::sorted_map;
use super::{CommandError, Master};
use crate::allocator::Allocator;
use crate::id::AgentId;
use crate::master::command::Recovery;
use crate::resources::Scalar;
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The state of a recovery; by default there was none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expected {
    /// Whether each of the expected agents has come.
    #[serde(serialize_with = "sorted_map")]
    agents: IndexMap<AgentId, bool, foldhash::fast::RandomState>,
    /// The number of expected agents that have come.
    #[serde(skip)]
    back: usize,
    factor: Scalar,
    /// The time until which allocations may wait; none if they do not wait (any more).
    until: Option<Time>,
    /// The roles with a quota.
    with_quota: BTreeSet<Role>,
    /// True after `recover`, or after the first agent.
    has_begun: bool,
}

impl Expected {
    /// Returns whether an agent is expected and has not come.
    pub(super) fn is_missing(&self, agent: &AgentId) -> bool {
        self.agents.get(agent) == Some(&false)
    }

    pub(super) fn is_any_missing(&self) -> bool {
        self.back < self.agents.len()
    }

    /// Returns whether no allocation runs: while a quota is set, an early agent must not be offered as if it were the whole
    /// cluster.
    pub(super) fn holds_back(&self) -> bool {
        self.until.is_some() && !self.with_quota.is_empty()
    }

    /// Counts the agents that have come, after a restore.
    pub(super) fn recount(mut self) -> Self {
        self.back = self.agents.values().filter(|has_come| **has_come).count();
        self
    }

    pub(super) fn until(&self) -> Option<Time> {
        self.until
    }

    pub(super) fn progress(&self) -> (usize, usize) {
        (self.back, self.agents.len())
    }

    pub(super) fn set_quota(&mut self, role: &Role, is_empty: bool) {
        if is_empty {
            self.with_quota.remove(role);
        } else {
            self.with_quota.insert(role.clone());
        }
    }

    /// Notes that an agent has come.
    pub(super) fn came(&mut self, agent: &AgentId) {
        self.has_begun = true;
        if let Some(has_come) = self.agents.get_mut(agent)
            && !std::mem::replace(has_come, true)
        {
            self.back += 1;
            self.end_if_enough();
        }
    }

    /// Takes an agent off the list: it is unreachable or gone.
    pub(super) fn give_up(&mut self, agent: &AgentId) {
        if let Some(has_come) = self.agents.swap_remove(agent) {
            self.back -= usize::from(has_come);
            self.end_if_enough();
        }
    }

    /// Ends the waiting at the end of its time.
    pub(super) fn end(&mut self) {
        self.until = None;
    }

    /// Ends the waiting when enough agents have come.
    fn end_if_enough(&mut self) {
        let (back, expected) = (self.back as u128 * 1000, self.agents.len() as u128);
        if back >= expected * u128::from(self.factor.as_milli()) {
            self.until = None;
        }
    }
}

impl<A: Allocator> Master<A> {
    pub(super) fn recover(&mut self, recovery: Recovery) -> Result<(), CommandError> {
        if self.recovery.has_begun {
            return Err(CommandError::LateRecovery);
        }
        recovery.agents.iter().try_for_each(AgentId::check)?;
        self.recovery.has_begun = true;
        self.recovery.agents = recovery.agents.into_iter().map(|agent| (agent, false)).collect();
        self.recovery.factor = recovery.factor;
        self.recovery.until = Some(self.now + recovery.timeout);
        self.recovery.end_if_enough();
        Ok(())
    }
}
