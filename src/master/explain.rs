//! [`Explanation`]: why a framework is not being offered what it is not.

use super::{CommandError, Master};
use crate::allocator::{Allocator, AllocatorError, Reason};
use crate::id::{AgentId, FrameworkId};
use crate::role::Role;

/// Why a framework is not offered anything under a role, or not a certain agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The framework.
    pub framework: FrameworkId,
    /// The role.
    pub role: Role,
    /// The agent, if one was asked about.
    pub agent: Option<AgentId>,
    /// The reasons, and for how many agents each holds. For one agent: all that stand in the way, in
    /// the order of the checks. Else: of each agent the first one, those of a kind together.
    pub reasons: Vec<(Reason, usize)>,
}

impl<A: Allocator> Master<A> {
    /// Why a framework is not offered an agent, or any agent, under a role, or each of its roles.
    ///
    /// O(cluster) for one agent, O(agents ×
    /// cluster) for all.
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
            let of_agent = |agent: &AgentId| self.allocator.explain(self.now, framework, &role, agent);
            let reasons = match agent {
                Some(agent) => of_agent(agent)?.into_iter().map(|reason| (reason, 1)).collect(),
                None => {
                    let mut kinds: Vec<(Reason, usize)> = Vec::new();
                    for agent in self.agents.keys() {
                        let Some(first) = of_agent(agent)?.into_iter().next() else { continue };
                        match kinds.iter_mut().find(|(known, _)| known.kind() == first.kind()) {
                            Some((_, agents)) => *agents += 1,
                            None => kinds.push((first, 1)),
                        }
                    }
                    kinds
                }
            };
            Ok(Explanation { framework: framework.clone(), role, agent: agent.cloned(), reasons })
        };
        self.framework(framework)?;
        roles.into_iter().map(explain).collect()
    }
}
