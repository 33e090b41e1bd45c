//! [`Room`]: which agents have room for a claim; and [`Queues`]: who waits before whom.

use super::agent_choice::{AgentChoice, Spot};
use super::claim::{Claim, ClaimId, DenialReason};
use super::claimable::Claimable;
use crate::agent::Agent;
use crate::id::{AgentId, FrameworkId};
use crate::resources::Resources;
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;
use std::sync::Arc;

/// The agents of a pool, for a claim to find room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a, A> {
    pub(super) allocator: &'a A,
    pub(super) agents: &'a IndexMap<AgentId, Arc<Agent>>,
    pub(super) choice: &'a AgentChoice,
}

/// The resources that a claim gets of an agent.
#[derive(Debug)]
pub(super) struct Quote {
    pub(super) agent: AgentId,
    pub(super) taken: Resources,
}

/// The checks that a claim fails, each with the number of agents.
type Reasons = Vec<(DenialReason, usize)>;

impl<A: Claimable> Room<'_, A> {
    /// Returns the agents that have room for a claim, the best first; or why there are none. With [`AgentChoice::first`] the
    /// first one alone, unless it is not `wanted`.
    pub(super) fn of(&self, claim: &Claim, mut is_wanted: impl FnMut(&Quote) -> bool) -> Result<Vec<Quote>, Reasons> {
        let (mut quotes, mut reasons) = (Vec::new(), Reasons::new());
        for agent in self.agents.values() {
            match self.allocator.quote(claim, &agent.id) {
                Ok(taken) => {
                    let score = self.score(agent, &taken);
                    let quote = Quote { agent: agent.id.clone(), taken };
                    let is_last = self.choice.is_first() && is_wanted(&quote);
                    quotes.push((score, quote));
                    if is_last {
                        break;
                    }
                }
                Err(reason) => add(&mut reasons, reason),
            }
        }
        if quotes.is_empty() {
            reasons.sort_by_key(|(_, agents)| std::cmp::Reverse(*agents));
            return Err(reasons);
        }
        quotes.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Ok(quotes.into_iter().map(|(_, quote)| quote).collect())
    }

    fn score(&self, agent: &Agent, taken: &Resources) -> f64 {
        if self.choice.is_first() {
            return 0.0;
        }
        let account = self.allocator.agent(&agent.id);
        let left = account.map_or_else(Resources::new, |account| account.available.saturating_sub(taken));
        self.choice.score(&Spot { agent, taken, left: &left })
    }
}

/// Adds a reason of one more agent: all shortages are one, reasons are grouped as those of offers.
fn add(reasons: &mut Reasons, reason: DenialReason) {
    let alike = reasons.iter_mut().find(|(known, _)| match (known, &reason) {
        (DenialReason::Short(_), DenialReason::Short(_)) => true,
        (DenialReason::Check(known), DenialReason::Check(reason)) => known.group() == reason.group(),
        (DenialReason::Short(_) | DenialReason::Check(_), _) => false,
    });
    match alike {
        None => reasons.push((reason, 1)),
        Some((known, agents)) => {
            *agents += 1;
            if let (DenialReason::Check(known), DenialReason::Check(reason)) = (known, reason) {
                known.merge(*reason);
            }
        }
    }
}

/// The claims that wait, by who claims; each one's as they came, and those who claim by their first claims.
#[derive(Debug, Default)]
pub(super) struct Queues<'a>(IndexMap<(&'a FrameworkId, &'a Role), Vec<(ClaimId, &'a Claim)>>);

impl<'a> Queues<'a> {
    pub(super) fn new(waiting: impl Iterator<Item = (&'a ClaimId, &'a Claim)>) -> Self {
        let mut queues = Self::default();
        for (id, claim) in waiting {
            queues.0.entry((&claim.framework, &claim.role)).or_default().push((*id, claim));
        }
        queues
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the claims in the order in which they are served.
    pub(super) fn in_order<A: Claimable>(&self, allocator: &mut A, at: Time) -> Vec<(ClaimId, &'a Claim)> {
        let claimants: Vec<(&FrameworkId, &Role)> = self.0.keys().copied().collect();
        self.at(allocator.claim_order(&claimants, at))
    }

    /// Returns the claims that are served before a new one. One's own do not count.
    pub(super) fn ahead_of<A: Claimable>(
        &self,
        claim: &Claim,
        allocator: &mut A,
        at: Time,
    ) -> Vec<(ClaimId, &'a Claim)> {
        if self.is_empty() {
            return Vec::new();
        }
        let claimant = (&claim.framework, &claim.role);
        let mut claimants: Vec<(&FrameworkId, &Role)> = self.0.keys().copied().collect();
        let own = claimants.iter().position(|one| *one == claimant).unwrap_or_else(|| {
            claimants.push(claimant);
            claimants.len() - 1
        });
        let order = allocator.claim_order(&claimants, at);
        self.at(order.into_iter().take_while(|position| *position != own))
    }

    /// Returns the claims of those at these positions.
    fn at(&self, positions: impl IntoIterator<Item = usize>) -> Vec<(ClaimId, &'a Claim)> {
        let claims = positions.into_iter().filter_map(|position| self.0.get_index(position));
        claims.flat_map(|(_, claims)| claims.iter().copied()).collect()
    }
}
