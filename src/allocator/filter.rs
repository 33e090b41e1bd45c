//! [`Refusals`]: what declines leave behind. "Do not offer me this again for a while."

use super::ledger::AgentIx;
use super::tree::ClientId;
use crate::resources::Resources;
use crate::time::Time;
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// A framework within a role: the role's number, and its client in the role's tree.
pub(crate) type MemberKey = (usize, ClientId);

type Refused = IndexMap<AgentIx, SmallVec<[Refusal; 1]>, foldhash::fast::RandomState>;

#[derive(Debug, Clone)]
struct Refusal {
    resources: Resources,
    until: Time,
    number: u64,
}

/// All live refusals, and when each of them ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals {
    live: IndexMap<MemberKey, Refused, foldhash::fast::RandomState>,
    ends: BTreeMap<(Time, u64), (MemberKey, AgentIx)>,
    made: u64,
}

impl Refusals {
    /// Remembers that these resources were turned down. One that says no more than another is dropped.
    pub(crate) fn refuse(&mut self, member: MemberKey, agent: AgentIx, resources: Resources, until: Time) {
        let known = self.live.entry(member).or_default().entry(agent).or_default();
        if known.iter().any(|other| other.until >= until && other.resources.contains(&resources)) {
            return;
        }
        known.retain(|other| {
            let keep = other.until > until || !resources.contains(&other.resources);
            if !keep {
                self.ends.remove(&(other.until, other.number));
            }
            keep
        });
        known.push(Refusal { resources, until, number: self.made });
        self.ends.insert((until, self.made), (member, agent));
        self.made += 1;
    }

    /// Whether an offer of these resources is contained in one that was turned down.
    pub(crate) fn refuses(&self, member: MemberKey, agent: AgentIx, resources: &Resources) -> bool {
        self.first(member, agent, resources).is_some()
    }

    /// The first refusal that contains these resources: until when it holds, and what was refused.
    pub(crate) fn first(&self, member: MemberKey, agent: AgentIx, resources: &Resources) -> Option<(Time, &Resources)> {
        let known = self.live.get(&member)?.get(&agent)?;
        let refusal = known.iter().find(|refusal| refusal.resources.contains(resources))?;
        Some((refusal.until, &refusal.resources))
    }

    /// When the next refusal ends.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.ends.first_key_value().map(|((until, _), _)| *until)
    }

    /// Forgets the refusals that have ended, and tells of which agents they were.
    pub(crate) fn expire(&mut self, at: Time, mut ended: impl FnMut(AgentIx)) {
        while let Some(first) = self.ends.first_entry().filter(|first| first.key().0 <= at) {
            let ((_, number), (member, agent)) = first.remove_entry();
            ended(agent);
            let Some(refused) = self.live.get_mut(&member) else { continue };
            if let Some(known) = refused.get_mut(&agent) {
                known.retain(|refusal| refusal.number != number);
                if known.is_empty() {
                    refused.swap_remove(&agent);
                }
            }
            if refused.is_empty() {
                self.live.swap_remove(&member);
            }
        }
    }

    /// Forgets all that a framework turned down under a role.
    pub(crate) fn forget_member(&mut self, member: MemberKey) {
        for refusal in self.live.swap_remove(&member).into_iter().flat_map(IndexMap::into_values).flatten() {
            self.ends.remove(&(refusal.until, refusal.number));
        }
    }

    /// Forgets all that was turned down of an agent.
    pub(crate) fn forget_agent(&mut self, agent: AgentIx) {
        let ends = &mut self.ends;
        self.live.retain(|_, refused| {
            for refusal in refused.swap_remove(&agent).into_iter().flatten() {
                ends.remove(&(refusal.until, refusal.number));
            }
            !refused.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Weight;
    use crate::allocator::tree::ShareTree;

    fn member() -> MemberKey {
        (0, ShareTree::default().add(["f"].into_iter(), |_| Weight::ONE))
    }

    fn parse(text: &str) -> Resources {
        text.parse().unwrap()
    }

    #[test]
    fn two_halves_do_not_refuse_the_whole() {
        let mut refusals = Refusals::default();
        refusals.refuse(member(), 0, parse("cpus:1"), Time::MAX);
        refusals.refuse(member(), 0, parse("mem:1"), Time::MAX);
        assert!(refusals.refuses(member(), 0, &parse("cpus:0.5")));
        assert!(!refusals.refuses(member(), 0, &parse("cpus:1;mem:1")));
        assert!(!refusals.refuses(member(), 1, &parse("cpus:1")));
    }

    #[test]
    fn what_says_no_more_is_not_kept() {
        let mut refusals = Refusals::default();
        for secs in [1, 3, 2] {
            refusals.refuse(member(), 0, parse("cpus:1"), Time::from_secs(secs));
        }
        assert_eq!((refusals.ends.len(), refusals.next_end()), (1, Some(Time::from_secs(3))));
        refusals.refuse(member(), 0, parse("cpus:2"), Time::from_secs(4));
        assert_eq!(refusals.ends.len(), 1);
    }

    #[test]
    fn forgetting_leaves_no_timer_behind() {
        let mut refusals = Refusals::default();
        refusals.refuse(member(), 0, parse("cpus:1"), Time::from_secs(1));
        refusals.refuse(member(), 1, parse("cpus:1"), Time::from_secs(2));
        refusals.forget_agent(0);
        assert_eq!(refusals.next_end(), Some(Time::from_secs(2)));
        let mut ended = Vec::new();
        refusals.expire(Time::from_secs(2), |agent| ended.push(agent));
        assert_eq!((ended, refusals.live.len(), refusals.next_end()), (vec![1], 0, None));
    }
}
