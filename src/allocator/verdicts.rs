//! [`Verdicts`]: pairs of a member and an agent of which is known that nothing will be offered.
//!
//! Two kinds are kept. A member is *unfit* for an agent if its offer constraints, or the agents that its request names, do not
//! admit it: a constraint may have to match a pattern, so that is found out once, and kept until the agent or the framework
//! changes. An agent was looked at *in vain* for a member that is offered only so many offers at a time: when it may be offered
//! something again, only the other agents are looked at, and those that have changed meanwhile.

use super::index::{AgentIx, BitSet, IndexVec, MemberIx};

/// Pairs of a member and an agent, found from either side. What is not noted has to be checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdicts {
    agents: IndexVec<AgentIx, BitSet<MemberIx>>,
    /// By member: the agents in whose sets it is.
    members: IndexVec<MemberIx, BitSet<AgentIx>>,
}

impl Verdicts {
    /// Notes a member and an agent.
    pub(super) fn note(&mut self, member: MemberIx, agent: AgentIx) {
        self.agents.grow_to(agent, BitSet::default);
        self.members.grow_to(member, BitSet::default);
        self.agents[agent].insert(member);
        self.members[member].insert(agent);
    }

    /// Returns the members that are noted with an agent; none if there are none.
    #[inline]
    pub(super) fn of(&self, agent: AgentIx) -> Option<&BitSet<MemberIx>> {
        self.agents.get(agent).filter(|members| !members.is_empty())
    }

    /// Returns whether a member and an agent are noted.
    pub(super) fn contains(&self, member: MemberIx, agent: AgentIx) -> bool {
        self.agents.get(agent).is_some_and(|members| members.contains(member))
    }

    /// Returns the agents that are noted with a member; none if there never were any.
    pub(super) fn of_member(&self, member: MemberIx) -> Option<&BitSet<AgentIx>> {
        self.members.get(member)
    }

    /// Returns whether nothing was noted since everything was forgotten.
    pub(super) fn is_empty(&self) -> bool {
        self.members.len() == 0
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets what is known of a member.
    pub(super) fn forget_member(&mut self, member: MemberIx) {
        let agents = self.members.get_mut(member).map(std::mem::take).unwrap_or_default();
        agents.iter().for_each(|agent| self.agents[agent].remove(member));
    }

    /// Forgets what is known of an agent.
    pub(super) fn forget_agent(&mut self, agent: AgentIx) {
        let members = self.agents.get_mut(agent).map(std::mem::take).unwrap_or_default();
        members.iter().for_each(|member| self.members[member].remove(agent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::DenseIndex;

    #[test]
    fn what_is_forgotten_is_gone_from_both_sides() {
        let (member, agent) = (MemberIx::new, AgentIx::new);
        let mut verdicts = Verdicts::default();
        for (of_member, of_agent) in [(0, 0), (0, 1), (70, 1), (70, 1)] {
            verdicts.note(member(of_member), agent(of_agent));
        }
        verdicts.forget_member(member(0));
        verdicts.forget_member(member(5));
        assert!(verdicts.of(agent(0)).is_none() && verdicts.of(agent(9)).is_none());
        assert_eq!(verdicts.of(agent(1)).map(|members| members.iter().collect::<Vec<_>>()), Some(vec![member(70)]));
        verdicts.forget_agent(agent(1));
        assert!(verdicts.of(agent(1)).is_none() && verdicts.members[member(70)].is_empty());
    }
}
