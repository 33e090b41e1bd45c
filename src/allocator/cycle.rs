//! [`Cycle`]: the loop agent → role → framework, run once for guarantees and once for fair shares.
//!
//! Mostly the first framework of the first role is offered all that is available of an agent, so orders are asked for client
//! by client. Where many at the head refuse an agent, the orders are asked for those that may accept.

use super::Holding;
use super::books::{Books, Newcomers, Portion};
use super::demand::RunningDemand;
use super::demand_snapshot::DemandSnapshot;
use super::eligibility::{Availability, Eligibility, OfferedShared, Stage};
use super::index::{AgentIx, BitSet, FrameworkIx, MemberIx, RoleIx};
use super::refusals::Refusals;
use super::rules::Rules;
use super::sorter::Sorter;
use super::tree::ClientId;
use super::verdicts::Verdicts;
use crate::draw::{draw, draw_for};
use crate::resources::Resources;
use crate::time::Time;
use indexmap::IndexMap;

/// After so many clients that were not offered anything, the orders are asked only for those that may accept.
const MAX_SKIPS: usize = 4;

/// The most chunks of an agent that are offered in one allocation.
const MAX_CHUNKS: u32 = 1_024;

/// One allocation of some agents.
#[derive(Debug)]
pub(super) struct Cycle<'a, R, F> {
    rules: &'a Rules,
    books: &'a mut Books<R, F>,
    refusals: &'a mut Refusals,
    unfit: &'a mut Verdicts,
    /// The agents that were looked at in vain for members that are offered only so many offers.
    vain: &'a mut Verdicts,
    /// Scratch: the members that have refused all that is available of an agent, or are unfit for it.
    out: BitSet<MemberIx>,
    /// The moment of the allocation, which random draws are a function of.
    at: Time,
    /// The offers made are appended here.
    offers: &'a mut Vec<Holding>,
    /// If a member may be given something of an agent more than once: the position of each member's offer of an agent, to merge
    /// theirs into one offer.
    merged: Option<IndexMap<(MemberIx, AgentIx), usize, foldhash::fast::RandomState>>,
    /// The members whose offer of an agent was extended, once for each time.
    extended: Vec<MemberIx>,
    offered_shared: OfferedShared,
    /// The clients that could still be offered something; none if the sorter does not ask.
    demand: Option<RunningDemand>,
    availability: Availability,
    /// Whether any member is offered only so many offers.
    is_gated: bool,
    /// The frameworks of such members that were made an offer, and may not be made another.
    sated: Vec<FrameworkIx>,
    /// The number of chunks that were offered of each agent that is divided; none if there is no such agent.
    chunks: Option<IndexMap<AgentIx, u32, foldhash::fast::RandomState>>,
    /// If some agents have to be visited only for new members: these members.
    newcomers: Option<&'a Newcomers>,
    /// True if the agent being visited is visited only for new members.
    is_for_newcomers: bool,
}

impl<'a, R: Sorter, F: Sorter + Clone> Cycle<'a, R, F> {
    /// Agents that are not dirty are visited only for `newcomers`, if there are any.
    pub(super) fn new(
        rules: &'a Rules,
        books: &'a mut Books<R, F>,
        refusals: &'a mut Refusals,
        [unfit, vain]: [&'a mut Verdicts; 2],
        at: Time,
        newcomers: Option<&'a Newcomers>,
        offers: &'a mut Vec<Holding>,
    ) -> Self {
        Self {
            is_gated: books.membership().any_gated(),
            rules,
            books,
            refusals,
            unfit,
            vain,
            out: BitSet::default(),
            at,
            offers,
            merged: None,
            extended: Vec::new(),
            offered_shared: OfferedShared::default(),
            demand: None,
            availability: Availability::default(),
            sated: Vec::new(),
            chunks: None,
            newcomers,
            is_for_newcomers: false,
        }
    }

    /// Offers what is available of these agents, each to the first members in order that are eligible. Returns the members
    /// of which an offer counts as more than one allocation, once for each further one.
    pub(super) fn run(mut self, agents: &mut [AgentIx]) -> Vec<MemberIx> {
        let offers_before = self.offers.len();
        // 1. Bring the accounts of quota up to date.
        self.books.update_quotas(&self.rules.options.min_allocatable);
        let held_headroom = self.books.quotas().accounts().holds_headroom();
        // 2. Bring the agents in order.
        self.rules.arrange(agents, self.at, self.books.ledger());
        // 3. Compute the demand, if the sorter asks for it.
        if self.books.asks_for_demand() {
            self.demand = Some(self.demand_snapshot().of_all_agents());
        }
        // 4. Satisfy guarantees.
        let any_below_guarantee = self.any_below_guarantee();
        // Beside requests that divide an agent, all members come once more after each chunk.
        if any_below_guarantee || self.books.membership().any_dividing() {
            self.merged = Some(IndexMap::default());
        }
        if any_below_guarantee {
            for &agent in &*agents {
                if !self.any_below_guarantee() {
                    break;
                }
                self.visit_agent(Stage::Guarantees, agent);
            }
        }
        // 5. Divide the rest fairly.
        for &agent in &*agents {
            self.visit_agent(Stage::FairShares, agent);
            if self.is_gated && self.merged.is_none() {
                self.settle(); // else what was offered may still be extended
            }
        }
        self.settle();
        // 6. Mark what the next batch has to visit. Shared resources can be offered again then; all else that is available
        // was refused by all members just now.
        for agent in self.offered_shared.keys() {
            self.books.mark_dirty(*agent);
        }
        for (agent, _) in self.chunks.iter().flatten().filter(|(_, chunks)| **chunks >= MAX_CHUNKS) {
            self.books.mark_dirty(*agent);
        }
        // Headroom is free for other roles once its guarantee is met.
        if held_headroom && self.offers.len() > offers_before {
            self.books.mark_all_dirty();
        }
        self.extended
    }

    #[inline]
    fn eligibility(&self) -> Eligibility<'_, R, F> {
        Eligibility { rules: self.rules, books: self.books, refusals: self.refusals }
    }

    fn demand_snapshot(&self) -> DemandSnapshot<'_, R, F> {
        let (availability, offered_shared) = (&self.availability, &self.offered_shared);
        DemandSnapshot { eligibility: self.eligibility(), unfit: self.unfit, availability, offered_shared }
    }

    fn any_below_guarantee(&self) -> bool {
        !self.books.quotas().accounts().below_guarantee().is_empty()
    }

    /// Updates the cache of what is available of an agent.
    #[inline]
    fn refresh_availability(&mut self, agent: AgentIx) {
        let eligibility = Eligibility { rules: self.rules, books: self.books, refusals: self.refusals };
        eligibility.refresh(agent, &mut self.availability);
    }

    /// Recomputes whether the members that were made an offer may be made another.
    fn settle(&mut self) {
        for framework in self.sated.drain(..) {
            self.books.settle(framework);
        }
    }

    /// Offers an agent to the roles in order; if it is divided, chunk by chunk, until nobody takes another one.
    fn visit_agent(&mut self, stage: Stage, agent: AgentIx) {
        if let Some(newcomers) = self.newcomers {
            self.is_for_newcomers = !newcomers.dirty.contains(agent);
        }
        while self.chunks_of(agent) < MAX_CHUNKS && self.offer_agent(stage, agent) {
            *self.chunks.get_or_insert_default().entry(agent).or_default() += 1;
            if self.merged.is_none() {
                self.settle();
            }
        }
        if self.is_for_newcomers && self.is_gated {
            self.note_newcomers_in_vain(agent);
        }
    }

    /// Notes that an agent has nothing for the newcomers that could still be made an offer.
    fn note_newcomers_in_vain(&mut self, agent: AgentIx) {
        let membership = self.books.membership();
        for member in self.newcomers.iter().flat_map(|newcomers| newcomers.members.iter()) {
            if membership.is_gated(member) && membership.may_be_offered(member) {
                self.vain.note(member, agent);
            }
        }
    }

    /// Offers an agent to the roles in order. Returns true once a chunk was offered: then roles and members are sorted anew.
    fn offer_agent(&mut self, stage: Stage, agent: AgentIx) -> bool {
        self.refresh_availability(agent);
        let is_quota_managed = self.availability.is_quota_managed();
        let (eligibility, account) = (self.eligibility(), &self.books.ledger()[agent]);
        if account.available().is_empty()
            || !self.rules.allow(account)
            || eligibility.all_refused(agent, &self.availability)
            || (is_quota_managed && eligibility.all_at_limit())
        {
            return false;
        }
        if self.books.draws_roles() {
            let number = self.draw_of(agent);
            self.books.set_role_draw(number);
        }
        if let Some(demand) = &self.demand {
            self.books.set_demand(demand.now());
        }
        let mut is_chunk = false;
        for passed in 0.. {
            let Some(client) = self.next_role(stage, agent, is_quota_managed, passed) else { break };
            let role = self.books.membership().role_at(client);
            if stage == Stage::FairShares || self.eligibility().is_below_guarantee(role) {
                is_chunk = self.visit_role(stage, agent, role);
                if is_chunk || self.books.ledger()[agent].available().is_empty() {
                    break;
                }
                self.refresh_availability(agent);
            }
        }
        if let Some(mut demand) = self.demand.take() {
            self.demand_snapshot().refresh_agent(agent, &mut demand);
            self.demand = Some(demand);
        }
        is_chunk
    }

    /// Offers an agent to the members of a role in order. Returns true once a chunk was offered.
    fn visit_role(&mut self, stage: Stage, agent: AgentIx, role: RoleIx) -> bool {
        let mut share = self.eligibility().role_share(role, agent, &self.availability, &self.offered_shared);
        if share.is_empty() {
            return false;
        }
        if self.books.draws_members(role) {
            let number = draw_for(self.draw_of(agent), self.books.membership().role(role).as_str());
            self.books.set_member_draw(role, number);
        }
        for passed in 0.. {
            let Some(client) = self.next_member(role, agent, passed) else { break };
            let member = self.books.membership().member_at(role, client);
            if self.is_gated && !self.may_take(member, agent) {
                continue;
            }
            if !self.eligibility().admits(member, agent) {
                self.unfit.note(member, agent);
            } else if let Some(portion) = self.eligibility().portion(stage, agent, member, &share) {
                if self.offer(agent, member, portion) {
                    return true;
                }
                if self.books.ledger()[agent].available().is_empty() {
                    break;
                }
                share = self.eligibility().role_share(role, agent, &self.availability, &self.offered_shared);
                if share.is_empty() {
                    break;
                }
            } else if self.is_gated && stage == Stage::FairShares && self.books.membership().is_gated(member) {
                self.vain.note(member, agent);
            }
        }
        false
    }

    /// Returns the number that random orders of an agent are a function of, another one for each of its chunks.
    fn draw_of(&self, agent: AgentIx) -> u64 {
        let number = draw(self.at.as_micros(), self.books.ledger()[agent].order());
        match self.chunks_of(agent) {
            0 => number,
            chunks => draw(number, u64::from(chunks)),
        }
    }

    /// Returns the number of chunks of an agent that were offered.
    #[inline]
    fn chunks_of(&self, agent: AgentIx) -> u32 {
        self.chunks.as_ref().and_then(|chunks| chunks.get(&agent).copied()).unwrap_or(0)
    }

    /// Returns whether a member that is offered only so many offers may be offered something of an agent: a new offer, or more
    /// with the one that it was made a moment ago.
    fn may_take(&self, member: MemberIx, agent: AgentIx) -> bool {
        if self.books.membership().may_be_offered(member) {
            return !(self.is_for_newcomers && self.vain.contains(member, agent));
        }
        let merged = self.merged.as_ref().is_some_and(|merged| merged.contains_key(&(member, agent)));
        merged && !self.eligibility().is_divided_for(member)
    }

    /// Returns the next role in order, after so many that were passed over or did not take all; the first begins it.
    fn next_role(&mut self, stage: Stage, agent: AgentIx, is_quota_managed: bool, passed: usize) -> Option<ClientId> {
        if let Some((only, is_active)) = self.books.membership().tree().only_client() {
            return (passed == 0 && is_active).then_some(only);
        }
        if self.is_for_newcomers
            && let Some((role, _)) = self.newcomers.and_then(|newcomers| newcomers.only)
        {
            return (passed == 0).then(|| self.books.membership().client_of(role));
        }
        if passed == 0 {
            self.books.begin_roles();
        }
        let available = self.books.ledger()[agent].available();
        let offerable = self.availability.offerable(available);
        if self.is_for_newcomers
            && let Some(newcomers) = self.newcomers
        {
            self.books.next_role_within(&newcomers.roles)
        } else if passed < MAX_SKIPS && !self.knows_who_is_out(agent) {
            self.books.next_role()
        } else if stage == Stage::Guarantees {
            self.books.next_role_below_guarantee()
        } else {
            let within_limits = is_quota_managed && !self.books.membership().any_own_minimum();
            let (own, divides) = (self.books.membership().with_own_minimum(), self.rules.cap.is_some());
            let out = Self::out(self.refusals, self.unfit, own, &mut self.out, agent, offerable, divides);
            self.books.next_role_that_may_accept(out, within_limits)
        }
    }

    /// Returns the next member of a role in order, after so many; the first begins it.
    fn next_member(&mut self, role: RoleIx, agent: AgentIx, passed: usize) -> Option<ClientId> {
        if let Some((only, is_active)) = self.books.membership().member_tree(role).only_client() {
            return (passed == 0 && is_active).then_some(only);
        }
        if self.is_for_newcomers
            && let Some((_, only)) = self.newcomers.and_then(|newcomers| newcomers.only)
        {
            return (passed == 0).then(|| self.books.membership().member(only).client);
        }
        if passed == 0 {
            self.books.begin_members(role);
        }
        let available = self.books.ledger()[agent].available();
        let offerable = self.availability.offerable(available);
        let (own, divides) = (self.books.membership().with_own_minimum(), self.rules.cap.is_some());
        if self.is_for_newcomers
            && let Some(newcomers) = self.newcomers
        {
            self.books.next_member_within(role, &newcomers.members)
        } else if (passed >= MAX_SKIPS || self.knows_who_is_out(agent))
            && let Some(out) = Self::out(self.refusals, self.unfit, own, &mut self.out, agent, offerable, divides)
        {
            self.books.next_member_except(role, out)
        } else {
            self.books.next_member(role)
        }
    }

    /// Returns whether it is known at once which members will not be offered what is available of an agent.
    fn knows_who_is_out(&self, agent: AgentIx) -> bool {
        let available = self.books.ledger()[agent].available();
        let offerable = self.availability.offerable(available);
        self.refusals.cached_refused_all(agent, offerable).is_some() || self.unfit.of(agent).is_some()
    }

    /// Returns the members that have refused all that may be offered of an agent, or are unfit for it; none if there are none.
    /// If all agents are divided, those with a minimum of their `own` may be offered more than others.
    fn out<'s>(
        refusals: &'s mut Refusals,
        unfit: &Verdicts,
        own: &BitSet<MemberIx>,
        scratch: &'s mut BitSet<MemberIx>,
        agent: AgentIx,
        offerable: &Resources,
        divides: bool,
    ) -> Option<&'s BitSet<MemberIx>> {
        let refused_all = refusals.refused_all(agent, offerable);
        let are_all_alike = own.is_empty() || !divides;
        let unfit = unfit.of(agent);
        if unfit.is_none() && are_all_alike {
            return refused_all;
        }
        scratch.clear();
        if let Some(refused_all) = refused_all {
            scratch.insert_all(refused_all);
        }
        if !are_all_alike {
            scratch.remove_all(own);
        }
        if let Some(unfit) = unfit {
            scratch.insert_all(unfit);
        }
        Some(scratch)
    }

    /// Makes an offer, or adds to the one that a member was made of the agent in this allocation. Returns whether it is a chunk.
    fn offer(&mut self, agent: AgentIx, member: MemberIx, portion: Portion) -> bool {
        if let Portion::Part(resources) = &portion
            && resources.iter().any(|resource| resource.is_shared() && resource.scalar().is_some())
        {
            let shared = resources.iter().filter(|resource| resource.is_shared()).cloned();
            self.offered_shared.entry(agent).or_default().extend(shared);
        }
        let is_chunk = self.eligibility().is_divided_for(member);
        let earlier = self.merged.as_ref().filter(|_| !is_chunk);
        let earlier = earlier.and_then(|merged| merged.get(&(member, agent)).copied());
        let extended = earlier.map(|earlier| &self.offers[earlier].resources);
        let resources = self.books.offer(agent, member, portion, self.at, extended);
        if let Some(earlier) = earlier {
            self.offers[earlier].resources.insert(&resources);
            self.extended.push(member);
            return is_chunk;
        }
        if let Some(merged) = &mut self.merged
            && !is_chunk
        {
            merged.insert((member, agent), self.offers.len());
        }
        let membership = self.books.membership();
        let &super::books::Member { framework, role, .. } = membership.member(member);
        if self.is_gated && !membership.may_be_offered(member) {
            self.sated.push(framework);
        }
        self.offers.push(Holding {
            framework: membership.framework_id(framework).clone(),
            role: membership.role(role).clone(),
            agent: self.books.ledger().id(agent).clone(),
            resources,
        });
        is_chunk
    }
}
