//! [`Refusals`]: the filters that declines leave behind, "do not offer me this again for a while".
//!
//! Refusals are indexed by agent, where the cycle asks for them. Each agent caches the set of members that refuse all of its
//! available resources, so that none of these is checked again until the available resources change.

mod saved;

pub(super) use saved::SavedRefusals;

use super::index::{AgentIx, BitSet, IndexVec, MemberIx};
use crate::resources::Resources;
use crate::time::Time;
use std::collections::BTreeMap;
use std::ops::Range;

/// The cached set of an agent is recomputed by [`Refusals::refuse`] only up to so many refusals; beyond, only on demand.
const MAX_EAGER: usize = 32;

#[derive(Debug, Clone)]
struct Refusal {
    member: MemberIx,
    until: Time,
    resources: Resources,
}

/// The refusals of one agent.
#[derive(Debug, Clone, Default)]
struct AgentRefusals {
    /// Sorted by member; those of a member in the order of refusing.
    live: Vec<Refusal>,
    /// A cache: the members that refuse all of `snapshot`.
    refused_all: BitSet<MemberIx>,
    /// The available resources that `refused_all` was computed for.
    snapshot: Resources,
}

impl AgentRefusals {
    fn of(&self, member: MemberIx) -> &[Refusal] {
        &self.live[self.range(member)]
    }

    fn range(&self, member: MemberIx) -> Range<usize> {
        let start = self.live.partition_point(|refusal| refusal.member < member);
        start..start + self.live[start..].partition_point(|refusal| refusal.member == member)
    }

    /// Returns the first refusal of a member that contains these resources.
    fn first(&self, member: MemberIx, resources: &Resources) -> Option<&Refusal> {
        self.of(member).iter().find(|refusal| refusal.resources.contains(resources))
    }

    fn refuses(&self, member: MemberIx, resources: &Resources) -> bool {
        if self.snapshot == *resources {
            self.refused_all.contains(member)
        } else {
            self.first(member, resources).is_some()
        }
    }

    /// Recomputes `refused_all` if it was computed for other resources.
    fn refresh(&mut self, available: &Resources) {
        if self.snapshot != *available {
            self.snapshot = available.clone();
            self.refused_all.clear();
            for refusal in &self.live {
                if refusal.resources.contains(available) {
                    self.refused_all.insert(refusal.member);
                }
            }
        }
    }

    /// Removes the refusals of a member that match, and returns their number.
    fn remove(&mut self, member: MemberIx, matches: impl Fn(&Refusal) -> bool) -> usize {
        let range = self.range(member);
        let before = self.live.len();
        for at in range.rev() {
            if matches(&self.live[at]) {
                self.live.remove(at);
            }
        }
        if self.first(member, &self.snapshot).is_none() {
            self.refused_all.remove(member);
        }
        before - self.live.len()
    }
}

/// The refusals of one member.
#[derive(Debug, Clone, Default)]
struct MemberRefusals {
    /// The agents of which it has refused something; perhaps some of which no refusal is left.
    agents: Vec<AgentIx>,
    /// The number of live refusals.
    live: usize,
}

/// All live refusals, and a queue of the times when they end.
///
/// A refusal takes some 40 to 60 bytes: 24 of its own, 8 in the queue, 4 in the list of its member, and the spare capacity
/// of these. Queue and lists delete lazily: they may name refusals that are gone, and are compacted when most of them are.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    agents: IndexVec<AgentIx, Option<Box<AgentRefusals>>>,
    members: IndexVec<MemberIx, MemberRefusals>,
    /// By end: members and agents. Invariant: the last entry of the first list is live.
    ends: BTreeMap<Time, Vec<(MemberIx, AgentIx)>>,
    /// The number of live refusals.
    live: usize,
    /// The number of entries in `ends`.
    queued: usize,
}

impl Refusals {
    /// Returns the number of live refusals.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Returns the number of live refusals of a member.
    pub(super) fn len_of(&self, member: MemberIx) -> usize {
        self.members.get(member).map_or(0, |refusals| refusals.live)
    }

    /// Records that a member refused these resources of an agent, of which `available` is available now. Drops refusals that
    /// are implied by others.
    pub(super) fn refuse(
        &mut self,
        member: MemberIx,
        agent: AgentIx,
        resources: &Resources,
        until: Time,
        available: &Resources,
    ) {
        self.agents.grow_to(agent, || None);
        let refusals = self.agents[agent].get_or_insert_default();
        let known = refusals.of(member);
        if known.iter().any(|other| other.until >= until && other.resources.contains(resources)) {
            return;
        }
        let is_first = known.is_empty();
        let is_implied = |other: &Refusal| other.until <= until && resources.contains(&other.resources);
        if known.iter().any(is_implied) {
            let removed = refusals.remove(member, is_implied);
            self.live -= removed;
            self.members[member].live -= removed;
        }
        if refusals.live.len() <= MAX_EAGER {
            refusals.refresh(available);
        }
        if resources.contains(&refusals.snapshot) {
            refusals.refused_all.insert(member);
        }
        let at = refusals.live.partition_point(|other| other.member <= member);
        refusals.live.insert(at, Refusal { member, until, resources: resources.clone() });
        self.ends.entry(until).or_default().push((member, agent));
        (self.live, self.queued) = (self.live + 1, self.queued + 1);
        if is_first {
            self.list_agent(member, agent);
        }
        self.members[member].live += 1;
        self.compact();
    }

    /// Returns whether any member has refused something of an agent.
    pub(super) fn has_any(&self, agent: AgentIx) -> bool {
        self.of(agent).is_some()
    }

    /// Returns whether a member has refused resources that contain these.
    #[inline]
    pub(super) fn refuses(&self, member: MemberIx, agent: AgentIx, resources: &Resources) -> bool {
        self.of(agent).is_some_and(|refusals| refusals.refuses(member, resources))
    }

    /// Returns the first refusal that contains these resources: when it ends, and what was refused.
    pub(super) fn first(&self, member: MemberIx, agent: AgentIx, resources: &Resources) -> Option<(Time, &Resources)> {
        let refusal = self.of(agent)?.first(member, resources)?;
        Some((refusal.until, &refusal.resources))
    }

    /// Returns the members that have refused all available resources of an agent; none if it has no refusals.
    pub(super) fn refused_all(&mut self, agent: AgentIx, available: &Resources) -> Option<&BitSet<MemberIx>> {
        let refusals = self.agents.get_mut(agent)?.as_mut()?;
        refusals.refresh(available);
        Some(&refusals.refused_all)
    }

    /// Returns whether all of these members have refused all available resources of an agent, whatever is cached.
    pub(super) fn all_refuse(&mut self, members: &BitSet<MemberIx>, agent: AgentIx, available: &Resources) -> bool {
        let Some(refusals) = self.agents.get_mut(agent).and_then(Option::as_mut) else { return false };
        // Fewer refusals than members cannot be those of all.
        if refusals.live.len() < members.len() {
            return false;
        }
        refusals.refresh(available);
        members.is_subset(&refusals.refused_all)
    }

    /// Returns the members that have refused all available resources of an agent, if that is cached for these resources.
    #[inline]
    pub(super) fn cached_refused_all(&self, agent: AgentIx, available: &Resources) -> Option<&BitSet<MemberIx>> {
        let refusals = self.of(agent)?;
        (refusals.snapshot == *available).then_some(&refusals.refused_all)
    }

    /// Returns when the next refusal ends.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.ends.first_key_value().map(|(until, _)| *until)
    }

    /// Removes the refusals that end by `at`, and calls `ended` with their agents.
    pub(super) fn expire(&mut self, at: Time, mut ended: impl FnMut(AgentIx)) {
        while let Some(first) = self.ends.first_entry().filter(|first| *first.key() <= at) {
            let (until, list) = first.remove_entry();
            self.queued -= list.len();
            for (member, agent) in list {
                if self.remove(member, agent, |refusal| refusal.until == until) {
                    ended(agent);
                }
            }
        }
        self.compact();
    }

    /// Removes all refusals of a member.
    pub(super) fn forget_member(&mut self, member: MemberIx) {
        let agents = self.members.get_mut(member).map(|mine| std::mem::take(&mut mine.agents)).unwrap_or_default();
        for agent in agents {
            self.remove(member, agent, |_| true);
        }
        self.compact();
    }

    /// Removes all refusals of an agent.
    pub(super) fn forget_agent(&mut self, agent: AgentIx) {
        if let Some(refusals) = self.agents.get_mut(agent).and_then(Option::take) {
            self.live -= refusals.live.len();
            refusals.live.iter().for_each(|refusal| self.members[refusal.member].live -= 1);
            self.compact();
        }
    }

    #[inline]
    fn of(&self, agent: AgentIx) -> Option<&AgentRefusals> {
        self.agents.get(agent)?.as_deref()
    }

    /// Removes the refusals of a member and an agent that match; returns whether there were any.
    fn remove(&mut self, member: MemberIx, agent: AgentIx, matches: impl Fn(&Refusal) -> bool) -> bool {
        let Some(refusals) = self.agents.get_mut(agent).and_then(Option::as_mut) else { return false };
        let removed = refusals.remove(member, matches);
        self.live -= removed;
        self.members[member].live -= removed;
        if refusals.live.is_empty() {
            self.agents[agent] = None;
        }
        removed > 0
    }

    /// Adds to the list of agents of which a member has refused something; compacts the list before it grows.
    fn list_agent(&mut self, member: MemberIx, agent: AgentIx) {
        self.members.grow_to(member, MemberRefusals::default);
        let list = &mut self.members[member].agents;
        if list.len() == list.capacity() {
            let agents = &self.agents;
            list.sort_unstable();
            list.dedup();
            list.retain(|agent| agents[*agent].as_ref().is_some_and(|refusals| !refusals.of(member).is_empty()));
            // Amortised O(log agents): the next compaction comes after as many insertions as entries were kept.
            list.reserve(list.len() + 1);
        }
        list.push(agent);
    }

    /// Restores the invariant of `ends`, and compacts all of it when most entries are gone.
    fn compact(&mut self) {
        let (agents, queued) = (&self.agents, &mut self.queued);
        let is_live = |member: MemberIx, agent: AgentIx, until: Time| {
            let refusals = agents.get(agent).and_then(Option::as_ref);
            refusals.is_some_and(|refusals| refusals.of(member).iter().any(|refusal| refusal.until == until))
        };
        if *queued > 2 * self.live + 64 {
            self.ends.retain(|until, list| {
                // A member that refuses more of the same agent until the same end has several entries.
                list.sort_unstable();
                list.dedup();
                list.retain(|(member, agent)| is_live(*member, *agent, *until));
                !list.is_empty()
            });
            *queued = self.ends.values().map(Vec::len).sum();
        }
        while let Some(mut first) = self.ends.first_entry() {
            let until = *first.key();
            let list = first.get_mut();
            while list.pop_if(|(member, agent)| !is_live(*member, *agent, until)).is_some() {
                *queued -= 1;
            }
            if !list.is_empty() {
                break;
            }
            first.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::DenseIndex;
    use proptest::prelude::*;

    fn parse(text: &str) -> Resources {
        text.parse().unwrap()
    }

    fn member(position: usize) -> MemberIx {
        MemberIx::new(position)
    }

    fn agent(position: usize) -> AgentIx {
        AgentIx::new(position)
    }

    #[test]
    fn two_halves_do_not_refuse_the_whole() {
        let mut refusals = Refusals::default();
        refusals.refuse(member(0), agent(0), &parse("cpus:1"), Time::MAX, &parse("cpus:1"));
        refusals.refuse(member(0), agent(0), &parse("mem:1"), Time::MAX, &Resources::new());
        assert!(refusals.refuses(member(0), agent(0), &parse("cpus:0.5")));
        assert!(!refusals.refuses(member(0), agent(0), &parse("cpus:1;mem:1")));
        assert!(!refusals.refuses(member(0), agent(1), &parse("cpus:1")));
    }

    #[test]
    fn an_implied_refusal_is_not_kept() {
        let mut refusals = Refusals::default();
        for secs in [1, 3, 2] {
            refusals.refuse(member(0), agent(0), &parse("cpus:1"), Time::from_secs(secs), &Resources::new());
        }
        assert_eq!((refusals.live, refusals.next_end()), (1, Some(Time::from_secs(3))));
        refusals.refuse(member(0), agent(0), &parse("cpus:2"), Time::from_secs(4), &Resources::new());
        assert_eq!(refusals.live, 1);
    }

    #[test]
    fn the_queue_of_ends_is_compacted() {
        let mut refusals = Refusals::default();
        for amount in 1..1_000 {
            let resources = parse(&format!("cpus:{amount}"));
            refusals.refuse(member(0), agent(0), &resources, Time::MAX, &Resources::new());
        }
        for _ in 1..1_000 {
            refusals.refuse(member(1), agent(0), &parse("cpus:1"), Time::MAX, &Resources::new());
            refusals.forget_member(member(1));
        }
        assert_eq!(refusals.live, 1);
        assert!(refusals.queued <= 2 + 64, "{}", refusals.queued);
    }

    #[test]
    fn the_list_of_a_members_agents_is_compacted_seldom() {
        let mut refusals = Refusals::default();
        let resources = parse("cpus:1");
        for at in 0..63 {
            refusals.refuse(member(0), agent(at), &resources, Time::from_secs(at as u64), &Resources::new());
        }
        let mut compactions = 0;
        for at in 0..63 {
            refusals.expire(Time::from_secs(at as u64), |_| ());
            let before = refusals.members[member(0)].agents.len();
            refusals.refuse(member(0), agent(at), &resources, Time::from_secs(64 + at as u64), &Resources::new());
            compactions += usize::from(refusals.members[member(0)].agents.len() <= before);
        }
        assert!(compactions <= 2, "{compactions} times for 63 refusals");
    }

    #[test]
    fn forgetting_leaves_no_timer_behind() {
        let mut refusals = Refusals::default();
        refusals.refuse(member(0), agent(0), &parse("cpus:1"), Time::from_secs(1), &Resources::new());
        refusals.refuse(member(0), agent(1), &parse("cpus:1"), Time::from_secs(2), &Resources::new());
        refusals.forget_agent(agent(0));
        assert_eq!(refusals.next_end(), Some(Time::from_secs(2)));
        let mut ended = Vec::new();
        refusals.expire(Time::from_secs(2), |agent| ended.push(agent));
        assert_eq!((ended, refusals.live, refusals.next_end()), (vec![agent(1)], 0, None));
    }

    /// A reference: all refusals in one list.
    type Plain = Vec<(MemberIx, AgentIx, Resources, Time)>;

    fn refuse_plainly(plain: &mut Plain, member: MemberIx, agent: AgentIx, resources: &Resources, until: Time) {
        let same = |it: &(MemberIx, AgentIx, Resources, Time)| (it.0, it.1) == (member, agent);
        if !plain.iter().any(|it| same(it) && it.3 >= until && it.2.contains(resources)) {
            plain.retain(|it| !same(it) || it.3 > until || !resources.contains(&it.2));
            plain.push((member, agent, resources.clone(), until));
        }
    }

    const KINDS: [&str; 4] = ["cpus:1", "cpus:2", "cpus:1;mem:1", "mem:2"];

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(commands in prop::collection::vec((0..8_u8, 0..3_usize, 0..3_usize, 0..4_usize, 1..9_u64), 1..200)) {
            let (mut refusals, mut plain) = (Refusals::default(), Plain::new());
            for (command, member_at, agent_at, kind, secs) in commands {
                let (of_member, of_agent) = (member(member_at), agent(agent_at));
                let (resources, at) = (parse(KINDS[kind]), Time::from_secs(secs));
                match command {
                    0..4 => {
                        refusals.refuse(of_member, of_agent, &resources, at, &parse(KINDS[usize::from(command)]));
                        refuse_plainly(&mut plain, of_member, of_agent, &resources, at);
                    }
                    4 => {
                        let mut ended = Vec::new();
                        refusals.expire(at, |agent| ended.push(agent));
                        let mut plainly: Vec<_> = plain.iter().filter(|it| it.3 <= at).map(|it| it.1).collect();
                        plain.retain(|it| it.3 > at);
                        for list in [&mut ended, &mut plainly] {
                            list.sort_unstable();
                            list.dedup();
                        }
                        prop_assert_eq!(ended, plainly);
                    }
                    5 => {
                        refusals.forget_member(of_member);
                        plain.retain(|it| it.0 != of_member);
                    }
                    6 => {
                        refusals.forget_agent(of_agent);
                        plain.retain(|it| it.1 != of_agent);
                    }
                    _ => drop(refusals.refused_all(of_agent, &resources).is_some()),
                }
                prop_assert_eq!(refusals.next_end(), plain.iter().map(|it| it.3).min());
                for of_member in (0..3).map(member) {
                    prop_assert_eq!(refusals.len_of(of_member), plain.iter().filter(|it| it.0 == of_member).count());
                }
                prop_assert!(refusals.live == plain.len() && refusals.queued <= 2 * plain.len() + 64);
                for of_agent in (0..3).map(agent) {
                    for offer in KINDS.map(parse) {
                        let refuses = |member| plain.iter().any(|it| (it.0, it.1) == (member, of_agent) && it.2.contains(&offer));
                        for of_member in (0..3).map(member) {
                            prop_assert_eq!(refusals.refuses(of_member, of_agent, &offer), refuses(of_member));
                        }
                        let refused_all = refusals.refused_all(of_agent, &offer).cloned().unwrap_or_default();
                        prop_assert!((0..3).map(member).all(|member| refused_all.contains(member) == refuses(member)));
                    }
                }
            }
        }
    }
}
