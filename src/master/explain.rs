//! [`Explanation`]: the reasons why an agent is not offered to a framework.

use super::{CommandError, Master};
use crate::allocator::{Allocator, AllocatorError, Reason};
use crate::id::{AgentId, FrameworkId};
use crate::role::Role;

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
    /// The reasons, each with the number of agents that it holds for. For one agent: every failing check, in the order of
    /// the checks. For all agents: the first failing check of each agent, grouped by kind.
    pub reasons: Vec<(Reason, usize)>,
}

impl<A: Allocator> Master<A> {
    /// Explains why an agent is not offered to a framework, under one role or each of its roles. Without `agent`, explains
    /// it for all agents together.
    ///
    /// # Complexity
    ///
    /// O(cluster) for one agent, O(agents × cluster) for all.
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
        let roles = match role {
            Some(role) => vec![role.clone()],
            None => self.framework(framework)?.framework.roles.clone(),
        };
        if let Some(unknown) = agent.filter(|agent| !self.agents.contains_key(*agent)) {
            return Err(AllocatorError::UnknownAgent(unknown.clone()).into());
        }
        let explain = |role: Role| {
            let reasons_for = |agent: &AgentId| self.allocator.explain(self.now, framework, &role, agent);
            let reasons = match agent {
                Some(agent) => reasons_for(agent)?.into_iter().map(|reason| (reason, 1)).collect(),
                None => {
                    let mut by_kind: Vec<(Reason, usize)> = Vec::new();
                    for agent in self.agents.keys() {
                        let Some(first) = reasons_for(agent)?.into_iter().next() else { continue };
                        match by_kind.iter_mut().find(|(reason, _)| reason.kind() == first.kind()) {
                            Some((_, agents)) => *agents += 1,
                            None => by_kind.push((first, 1)),
                        }
                    }
                    by_kind
                }
            };
            Ok(Explanation { framework: framework.clone(), role, agent: agent.cloned(), reasons })
        };
        self.framework(framework)?;
        roles.into_iter().map(explain).collect()
    }
}
