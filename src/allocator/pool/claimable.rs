//! [`Claimable`]: what a pool asks of its allocator.

use super::claim::{Claim, DenialReason};
use super::order::in_order;
use super::quote::Quotes;
use crate::allocator::books::Portion;
use crate::allocator::explain::Reason;
use crate::allocator::hierarchical::Hierarchical;
use crate::allocator::index::MemberIx;
use crate::allocator::sorter::Sorter;
use crate::allocator::{Allocator, AllocatorError, Change, EndedOffers, Holding};
use crate::id::{AgentId, FrameworkId};
use crate::resources::{Resources, Served};
use crate::role::Role;
use crate::time::Time;
use std::collections::BTreeMap;

/// An allocator that can be asked for resources, and not only offers them: a [`Pool`](super::Pool) grants claims of it.
///
/// One's own says how it holds something; the rest has defaults. `examples/fcfs.rs` in the repository has one of five lines.
///
/// # Contract
///
/// - What [`quote`](Self::quote) says can be [offered](Self::offer) at once.
/// - An offer that is [taken back](Self::take_back) leaves nothing behind.
pub trait Claimable: Allocator {
    /// Is called before quotes and orders are asked for, at the time of the pool.
    fn prepare(&mut self, at: Time) {
        let _ = at;
    }

    /// Returns what a claim would get of an agent now, or the first check that it fails. The default serves it from what is
    /// available to the role on an active agent.
    ///
    /// # Errors
    ///
    /// [`DenialReason`] with that check.
    fn quote(&self, claim: &Claim, agent: &AgentId) -> Result<Resources, DenialReason> {
        match self.agent(agent).filter(|account| account.active) {
            Some(account) => serve(&account.available.for_role(&claim.role), &claim.ask),
            None => Err(DenialReason::Check(Box::new(Reason::AgentInactive))),
        }
    }

    /// Makes an offer of these resources: they are held until it [ends](Change::EndOffers).
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if they are not available, or the offer names what is unknown; nothing has changed then.
    fn offer(&mut self, at: Time, offer: &Holding) -> Result<(), AllocatorError>;

    /// Takes an offer back that was made last, as if it had not been made. The default ends it.
    fn take_back(&mut self, offer: &Holding) {
        let Holding { framework, role, agent, resources } = offer;
        let offers: &[&Resources] = &[resources];
        let ended = EndedOffers { framework, role, agent, offers, conversions: &[], tasks: &[] };
        self.apply(Change::EndOffers(ended)).expect("the offer was made just now");
    }

    /// Returns the order in which those who claim are served, by their positions; whoever is not to be served is left out. They
    /// come in the order of their first waiting claims, and the default leaves it at that: first come, first served.
    fn claim_order(&mut self, claimants: &[(&FrameworkId, &Role)], at: Time) -> Vec<usize> {
        let _ = at;
        (0..claimants.len()).collect()
    }
}

/// Serves what is asked for from resources.
pub(super) fn serve(usable: &Resources, ask: &Resources) -> Result<Resources, DenialReason> {
    let Served { taken, mut short, .. } = usable.serve(ask, |_| true);
    if short.is_empty() { Ok(taken) } else { Err(DenialReason::Short(Box::new(short.swap_remove(0)))) }
}

impl<R: Sorter + Clone, F: Sorter + Clone> Claimable for Hierarchical<R, F> {
    fn prepare(&mut self, _: Time) {
        self.update_quotas();
    }

    /// The checks of an offer, in their order.
    fn quote(&self, claim: &Claim, agent: &AgentId) -> Result<Resources, DenialReason> {
        let unknown = |_| DenialReason::Check(Box::new(Reason::nothing()));
        let agent = self.find_agent(agent).map_err(unknown)?;
        let member = self.find_subscribed(&claim.framework, &claim.role).map_err(unknown)?;
        let quotes = Quotes { rules: &self.rules, books: &self.books, refusals: &self.refusals };
        quotes.of_agent(agent, member, &claim.ask)
    }

    fn offer(&mut self, at: Time, offer: &Holding) -> Result<(), AllocatorError> {
        let (agent, member) = (self.find_agent(&offer.agent)?, self.find_subscribed(&offer.framework, &offer.role)?);
        self.check_available(agent, offer)?;
        self.books.offer(agent, member, Portion::Part(offer.resources.clone()), at, None);
        Ok(())
    }

    fn take_back(&mut self, offer: &Holding) {
        if let Ok(agent) = self.find_agent(&offer.agent) {
            self.books.take_back(agent, offer, &[]);
        }
    }

    /// Asks the sorters: smallest share first.
    fn claim_order(&mut self, claimants: &[(&FrameworkId, &Role)], at: Time) -> Vec<usize> {
        let positions = claimants.iter().enumerate();
        let positions: BTreeMap<MemberIx, usize> = positions
            .filter_map(|(position, (framework, role))| Some((self.find_subscribed(framework, role).ok()?, position)))
            .collect();
        in_order(self, positions.keys().copied(), at).into_iter().map(|member| positions[&member]).collect()
    }
}
