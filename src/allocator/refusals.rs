//! [`Refusals`]: what declines leave behind. "Do not offer me this again for a while."
//!
//! Kept by agent, for there they are asked for. Of each agent it is known whom a refusal keeps from all that is
//! available: as long as that does not change, they need not be looked at again.

use super::index::bit_set::Bits;
use super::ledger::AgentIx;
use super::roster::MemberIx;
use crate::resources::Resources;
use crate::time::Time;
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug, Clone)]
struct Refusal {
    member: u32,
    until: Time,
    resources: Resources,
}

/// What was turned down of one agent.
#[derive(Debug, Clone, Default)]
struct Refused {
    /// By member; of each, in the order of refusing.
    live: Vec<Refusal>,
    /// Who has turned down all of `whole`.
    content: Bits,
    /// Of what `content` tells.
    whole: Resources,
}

impl Refused {
    fn of(&self, member: u32) -> &[Refusal] {
        &self.live[self.range(member)]
    }

    fn range(&self, member: u32) -> Range<usize> {
        let start = self.live.partition_point(|refusal| refusal.member < member);
        start..start + self.live[start..].partition_point(|refusal| refusal.member == member)
    }

    fn first(&self, member: u32, resources: &Resources) -> Option<&Refusal> {
        self.of(member).iter().find(|refusal| refusal.resources.contains(resources))
    }

    fn holds(&self, member: MemberIx, resources: &Resources) -> bool {
        if self.whole == *resources {
            self.content.contains(member)
        } else {
            self.first(small(member), resources).is_some()
        }
    }

    /// Has `content` tell of `available`.
    fn look_at(&mut self, available: &Resources) {
        if self.whole != *available {
            self.whole = available.clone();
            self.content.clear();
            for refusal in &self.live {
                if refusal.resources.contains(available) {
                    self.content.insert(refusal.member as usize);
                }
            }
        }
    }

    /// Forgets some of what a member has turned down, and tells how much that was.
    fn forget(&mut self, member: u32, goes: impl Fn(&Refusal) -> bool) -> usize {
        let range = self.range(member);
        let before = self.live.len();
        for at in range.rev() {
            if goes(&self.live[at]) {
                self.live.remove(at);
            }
        }
        if self.first(member, &self.whole).is_none() {
            self.content.remove(member as usize);
        }
        before - self.live.len()
    }
}

/// All live refusals, and when each of them ends.
///
/// Some 40 to 60 bytes for each: 24 of its own, 8 in the list of its end, 4 in that of its member, and what
/// these grow ahead. Lists may name refusals that are gone; when most of one does, it is weeded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals {
    agents: Vec<Option<Box<Refused>>>,
    /// By member: the agents of which it has turned something down.
    members: Vec<Vec<u32>>,
    /// By end: whose refusals, and of which agents. The last of the first list is live.
    ends: BTreeMap<Time, Vec<(u32, u32)>>,
    live: usize,
    /// How many there are in `ends`.
    listed: usize,
}

/// So many refusals of one agent are looked at whenever something else is available of it; more only when it pays.
const FEW: usize = 32;

fn small(ix: usize) -> u32 {
    u32::try_from(ix).expect("fewer than 2^32 agents and frameworks fit into memory")
}

impl Refusals {
    /// Remembers that these resources were turned down, of what is available of an agent now. One that says no more than
    /// another is dropped.
    pub(crate) fn refuse(
        &mut self,
        member: MemberIx,
        agent: AgentIx,
        resources: &Resources,
        until: Time,
        available: &Resources,
    ) {
        if self.agents.len() <= agent {
            self.agents.resize_with(agent + 1, || None);
        }
        let (ix, refused) = (small(member), self.agents[agent].get_or_insert_default());
        let known = refused.of(ix);
        if known.iter().any(|other| other.until >= until && other.resources.contains(resources)) {
            return;
        }
        let is_new = known.is_empty();
        let says_no_more = |other: &Refusal| other.until <= until && resources.contains(&other.resources);
        if known.iter().any(says_no_more) {
            self.live -= refused.forget(ix, says_no_more);
        }
        if refused.live.len() <= FEW {
            refused.look_at(available);
        }
        if resources.contains(&refused.whole) {
            refused.content.insert(member);
        }
        let place = refused.live.partition_point(|other| other.member <= ix);
        refused.live.insert(place, Refusal { member: ix, until, resources: resources.clone() });
        self.ends.entry(until).or_default().push((ix, small(agent)));
        (self.live, self.listed) = (self.live + 1, self.listed + 1);
        if is_new {
            self.list_agent(member, small(agent));
        }
        self.weed();
    }

    /// Whether an offer of these resources is contained in one that was turned down.
    #[inline]
    pub(crate) fn refuses(&self, member: MemberIx, agent: AgentIx, resources: &Resources) -> bool {
        let refused = self.agents.get(agent).and_then(Option::as_ref);
        refused.is_some_and(|refused| refused.holds(member, resources))
    }

    /// The first refusal that contains these resources: until when it holds, and what was refused.
    pub(crate) fn first(&self, member: MemberIx, agent: AgentIx, resources: &Resources) -> Option<(Time, &Resources)> {
        let refusal = self.agents.get(agent)?.as_ref()?.first(small(member), resources)?;
        Some((refusal.until, &refusal.resources))
    }

    /// Who has turned down all that is available of an agent; none if nobody has turned down anything.
    pub(crate) fn content(&mut self, agent: AgentIx, available: &Resources) -> Option<&Bits> {
        let refused = self.agents.get_mut(agent)?.as_mut()?;
        refused.look_at(available);
        Some(&refused.content)
    }

    /// Who has turned down these resources of an agent, if that is known without a look at each refusal.
    #[inline]
    pub(crate) fn known_content(&self, agent: AgentIx, resources: &Resources) -> Option<&Bits> {
        let refused = self.agents.get(agent)?.as_ref()?;
        (refused.whole == *resources).then_some(&refused.content)
    }

    /// When the next refusal ends.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.ends.first_key_value().map(|(until, _)| *until)
    }

    /// Forgets the refusals that have ended, and tells of which agents they were.
    pub(crate) fn expire(&mut self, at: Time, mut ended: impl FnMut(AgentIx)) {
        while let Some(first) = self.ends.first_entry().filter(|first| *first.key() <= at) {
            let (until, list) = first.remove_entry();
            self.listed -= list.len();
            for (member, agent) in list {
                if self.drop_some(member, agent as usize, |refusal| refusal.until == until) {
                    ended(agent as usize);
                }
            }
        }
        self.weed();
    }

    /// Forgets all that a framework turned down under a role.
    pub(crate) fn forget_member(&mut self, member: MemberIx) {
        let agents = self.members.get_mut(member).map(std::mem::take).unwrap_or_default();
        for agent in agents {
            self.drop_some(small(member), agent as usize, |_| true);
        }
        self.weed();
    }

    /// Forgets all that was turned down of an agent.
    pub(crate) fn forget_agent(&mut self, agent: AgentIx) {
        if let Some(refused) = self.agents.get_mut(agent).and_then(Option::take) {
            self.live -= refused.live.len();
            self.weed();
        }
    }

    fn drop_some(&mut self, member: u32, agent: AgentIx, goes: impl Fn(&Refusal) -> bool) -> bool {
        let Some(refused) = self.agents.get_mut(agent).and_then(Option::as_mut) else { return false };
        let gone = refused.forget(member, goes);
        self.live -= gone;
        if refused.live.is_empty() {
            self.agents[agent] = None;
        }
        gone > 0
    }

    fn is_live(agents: &[Option<Box<Refused>>], member: u32, agent: u32, until: Time) -> bool {
        let refused = agents.get(agent as usize).and_then(Option::as_ref);
        refused.is_some_and(|refused| refused.of(member).iter().any(|refusal| refusal.until == until))
    }

    /// Lists an agent of which a member has turned something down, and weeds the list before it grows.
    fn list_agent(&mut self, member: MemberIx, agent: u32) {
        if self.members.len() <= member {
            self.members.resize_with(member + 1, Vec::new);
        }
        let list = &mut self.members[member];
        if list.len() == list.capacity() {
            let agents = &self.agents;
            let refuses =
                |agent: &u32| agents[*agent as usize].as_ref().is_some_and(|it| !it.of(small(member)).is_empty());
            list.sort_unstable();
            list.dedup();
            list.retain(refuses);
            // Not again before as many have come.
            list.reserve(list.len() + 1);
        }
        list.push(agent);
    }

    /// Strikes out what is gone: from the end of the first list, so that the next end is known; everywhere, if most is gone.
    fn weed(&mut self) {
        let (agents, listed) = (&self.agents, &mut self.listed);
        if *listed > 2 * self.live + 64 {
            self.ends.retain(|until, list| {
                // Whoever refused more of the same agent until the same end is named again.
                list.sort_unstable();
                list.dedup();
                list.retain(|(member, agent)| Self::is_live(agents, *member, *agent, *until));
                !list.is_empty()
            });
            *listed = self.ends.values().map(Vec::len).sum();
        }
        while let Some(mut first) = self.ends.first_entry() {
            let until = *first.key();
            let list = first.get_mut();
            while list.pop_if(|(member, agent)| !Self::is_live(agents, *member, *agent, until)).is_some() {
                *listed -= 1;
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
    use proptest::prelude::*;

    fn parse(text: &str) -> Resources {
        text.parse().unwrap()
    }

    #[test]
    fn two_halves_do_not_refuse_the_whole() {
        let mut refusals = Refusals::default();
        refusals.refuse(0, 0, &parse("cpus:1"), Time::MAX, &parse("cpus:1"));
        refusals.refuse(0, 0, &parse("mem:1"), Time::MAX, &Resources::new());
        assert!(refusals.refuses(0, 0, &parse("cpus:0.5")));
        assert!(!refusals.refuses(0, 0, &parse("cpus:1;mem:1")));
        assert!(!refusals.refuses(0, 1, &parse("cpus:1")));
    }

    #[test]
    fn what_says_no_more_is_not_kept() {
        let mut refusals = Refusals::default();
        for secs in [1, 3, 2] {
            refusals.refuse(0, 0, &parse("cpus:1"), Time::from_secs(secs), &Resources::new());
        }
        assert_eq!((refusals.live, refusals.next_end()), (1, Some(Time::from_secs(3))));
        refusals.refuse(0, 0, &parse("cpus:2"), Time::from_secs(4), &Resources::new());
        assert_eq!(refusals.live, 1);
    }

    #[test]
    fn who_turns_down_again_and_again_is_listed_once() {
        let mut refusals = Refusals::default();
        for amount in 1..1_000 {
            refusals.refuse(0, 0, &parse(&format!("cpus:{amount}")), Time::MAX, &Resources::new());
        }
        for _ in 1..1_000 {
            refusals.refuse(1, 0, &parse("cpus:1"), Time::MAX, &Resources::new());
            refusals.forget_member(1);
        }
        assert_eq!(refusals.live, 1);
        assert!(refusals.listed <= 2 + 64, "{}", refusals.listed);
    }

    #[test]
    fn the_list_of_a_members_agents_is_weeded_seldom() {
        let mut refusals = Refusals::default();
        for agent in 0..63 {
            refusals.refuse(0, agent, &parse("cpus:1"), Time::from_secs(agent as u64), &Resources::new());
        }
        let mut weeded = 0;
        for agent in 0..63 {
            refusals.expire(Time::from_secs(agent as u64), |_| ());
            let before = refusals.members[0].len();
            refusals.refuse(0, agent, &parse("cpus:1"), Time::from_secs(64 + agent as u64), &Resources::new());
            weeded += usize::from(refusals.members[0].len() <= before);
        }
        assert!(weeded <= 2, "{weeded} times for 63 refusals");
    }

    #[test]
    fn forgetting_leaves_no_timer_behind() {
        let mut refusals = Refusals::default();
        refusals.refuse(0, 0, &parse("cpus:1"), Time::from_secs(1), &Resources::new());
        refusals.refuse(0, 1, &parse("cpus:1"), Time::from_secs(2), &Resources::new());
        refusals.forget_agent(0);
        assert_eq!(refusals.next_end(), Some(Time::from_secs(2)));
        let mut ended = Vec::new();
        refusals.expire(Time::from_secs(2), |agent| ended.push(agent));
        assert_eq!((ended, refusals.live, refusals.next_end()), (vec![1], 0, None));
    }
    /// Refusals as they are told: a plain list.
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
            for (command, member, agent, kind, secs) in commands {
                let (resources, at) = (parse(KINDS[kind]), Time::from_secs(secs));
                match command {
                    0..4 => {
                        refusals.refuse(member, agent, &resources, at, &parse(KINDS[usize::from(command)]));
                        refuse_plainly(&mut plain, member, agent, &resources, at);
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
                        refusals.forget_member(member);
                        plain.retain(|it| it.0 != member);
                    }
                    6 => {
                        refusals.forget_agent(agent);
                        plain.retain(|it| it.1 != agent);
                    }
                    _ => drop(refusals.content(agent, &resources).is_some()),
                }
                prop_assert_eq!(refusals.next_end(), plain.iter().map(|it| it.3).min());
                prop_assert!(refusals.live == plain.len() && refusals.listed <= 2 * plain.len() + 64);
                for agent in 0..3 {
                    for offer in KINDS.map(parse) {
                        let refuses = |member| plain.iter().any(|it| (it.0, it.1) == (member, agent) && it.2.contains(&offer));
                        for member in 0..3 {
                            prop_assert_eq!(refusals.refuses(member, agent, &offer), refuses(member));
                        }
                        let content = refusals.content(agent, &offer).cloned().unwrap_or_default();
                        prop_assert!((0..3).all(|member| content.contains(member) == refuses(member)));
                    }
                }
            }
        }
    }
}
