//! [`Explanation`]: the reasons why an agent is not offered to a framework.

use super::offers::LiveOffer;
use super::{CommandError, Master};
use crate::allocator::{Allocator, AllocatorError, Holder, Reason};
use crate::id::{AgentId, FrameworkId};
use crate::role::Role;
use indexmap::IndexMap;

/// The reasons why an agent, or all agents together, are not offered to a framework under a role.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The framework.
    pub framework: FrameworkId,
    /// The role.
    pub role: Role,
    /// The agent, if one was asked about.
    pub agent: Option<AgentId>,
    /// The reasons, in the order of the checks, each with the number of agents that it holds for. For one agent: every
    /// failing check. For all agents: every failing check of each; the numbers in a reason are those of all its agents. There
    /// is always one: a cluster without agents has nothing available.
    pub reasons: Vec<(Reason, usize)>,
}

impl<A: Allocator> Master<A> {
    /// Explains why an agent is not offered to a framework, under one role or each of its roles. Without `agent`, explains
    /// it for all agents together.
    ///
    /// # Complexity
    ///
    /// See [`Explain`](crate::allocator::Explain). From an allocator that [explains nothing](Allocator::explainer) come no
    /// reasons but the master's own.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the framework, the role or the agent is unknown.
    pub fn explain(
        &self,
        framework: &FrameworkId,
        role: Option<&Role>,
        agent: Option<&AgentId>,
    ) -> Result<Vec<Explanation>, CommandError> {
        let unknown = || AllocatorError::UnknownFramework(framework.clone());
        let entry = self.frameworks.get(framework).ok_or_else(unknown)?; // a recovered one, too
        let roles = role.map_or_else(|| entry.framework.roles.clone(), |role| vec![role.clone()]);
        if let Some(unknown) = agent.filter(|agent| !self.agents.contains(agent)) {
            return Err(AllocatorError::UnknownAgent(unknown.clone()).into());
        }
        let explain = |role: Role| {
            let mut reasons = match (self.allocator.explainer(), agent) {
                (Some(explainer), Some(agent)) => {
                    let reasons = explainer.explain(self.now, framework, &role, agent)?;
                    reasons.into_iter().map(|reason| (reason, 1)).collect()
                }
                (Some(explainer), None) => explainer.explain_all(self.now, framework, &role)?,
                (None, _) => Vec::new(),
            };
            if let (true, Some(until)) = (self.recovery.holds_back(), self.recovery.until()) {
                reasons.retain(|(reason, _)| !matches!(reason, Reason::Starved { .. })); // the next allocation waits, too
                let agents = if agent.is_some() { 1 } else { self.agents.len() };
                let (back, expected) = self.recovery.progress();
                reasons.insert(0, (Reason::Recovering { back, expected, until }, agents));
            }
            if self.agents.is_empty() {
                reasons.push((Reason::nothing(), 0));
            }
            reasons.iter_mut().for_each(|(reason, _)| self.complete(reason, agent));
            Ok(Explanation { framework: framework.clone(), role, agent: agent.cloned(), reasons })
        };
        roles.into_iter().map(explain).collect()
    }

    /// Adds to a reason what the allocator does not know.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other reasons are the allocator's alone")]
    fn complete(&self, reason: &mut Reason, agent: Option<&AgentId>) {
        match reason {
            Reason::NothingAvailable { holders, .. } => *holders = self.holders(agent),
            Reason::Starved { next, .. } => {
                let interval = self.config.allocation_interval;
                *next = Some(self.next_batch.unwrap_or_else(|| self.now.next_multiple_of(interval)));
            }
            _ => {}
        }
    }

    /// Returns the frameworks with live offers of an agent, or, without `agent`, of all agents that have nothing available.
    fn holders(&self, agent: Option<&AgentId>) -> Vec<Holder> {
        let has_nothing = |id: &AgentId| self.allocator.agent(id).is_some_and(|account| account.available.is_empty());
        let mut holders: IndexMap<(&FrameworkId, &Role), Holder> = IndexMap::new();
        for (_, LiveOffer { holding, made_at, .. }) in self.offers.iter() {
            if agent.map_or_else(|| has_nothing(&holding.agent), |agent| *agent == holding.agent) {
                let holder = holders
                    .entry((&holding.framework, &holding.role))
                    .or_insert_with(|| Holder::new(holding.framework.clone(), holding.role.clone(), *made_at));
                holder.add_offer(&holding.resources);
            }
        }
        let holders = holders.into_values().map(|mut holder| {
            holder.timed_out = self.frameworks.get(&holder.framework).map_or(0, |entry| entry.timed_out);
            holder
        });
        holders.collect()
    }
}
