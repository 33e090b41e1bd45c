//! [`Unfit`]: the members whose offer constraints do not admit an agent, as far as that was found out.
//!
//! A constraint may have to match a pattern. So a verdict is found once, and kept until the agent or the framework changes; it
//! depends on nothing else.

use super::index::{AgentIx, BitSet, IndexVec, MemberIx};

/// The verdicts that were against a member. What is not noted has to be checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfit {
    agents: IndexVec<AgentIx, BitSet<MemberIx>>,
    /// By member: the agents in whose sets it is.
    members: IndexVec<MemberIx, BitSet<AgentIx>>,
}

impl Unfit {
    /// Notes that a member's constraints do not admit an agent.
    pub(super) fn note(&mut self, member: MemberIx, agent: AgentIx) {
        self.agents.grow_to(agent, BitSet::default);
        self.members.grow_to(member, BitSet::default);
        self.agents[agent].insert(member);
        self.members[member].insert(agent);
    }

    /// Returns the members that are known not to be admitted to an agent; none if there are none.
    #[inline]
    pub(super) fn of(&self, agent: AgentIx) -> Option<&BitSet<MemberIx>> {
        self.agents.get(agent).filter(|members| !members.is_empty())
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
        let mut unfit = Unfit::default();
        for (of_member, of_agent) in [(0, 0), (0, 1), (70, 1), (70, 1)] {
            unfit.note(member(of_member), agent(of_agent));
        }
        unfit.forget_member(member(0));
        unfit.forget_member(member(5));
        assert!(unfit.of(agent(0)).is_none() && unfit.of(agent(9)).is_none());
        assert_eq!(unfit.of(agent(1)).map(|members| members.iter().collect::<Vec<_>>()), Some(vec![member(70)]));
        unfit.forget_agent(agent(1));
        assert!(unfit.of(agent(1)).is_none() && unfit.members[member(70)].is_empty());
    }
}
