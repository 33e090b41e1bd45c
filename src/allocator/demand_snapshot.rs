//! [`DemandSnapshot`]: computes [`RunningDemand`] from what could still be offered of each agent, and to which roles.

use super::demand::{RunningDemand, Unallocated};
use super::eligibility::{Availability, Eligibility, OfferedShared, Stage};
use super::index::{AgentIx, MemberIx, NameIx};
use super::sorter::Sorter;
use super::verdicts::Verdicts;
use crate::resources::Resources;

/// A reader of the books that keeps a [`RunningDemand`] up to date.
pub(super) struct DemandSnapshot<'a, R, F> {
    pub(super) eligibility: Eligibility<'a, R, F>,
    pub(super) unfit: &'a Verdicts,
    pub(super) availability: &'a Availability,
    pub(super) offered_shared: &'a OfferedShared,
}

impl<R: Sorter, F: Sorter + Clone> DemandSnapshot<'_, R, F> {
    /// Computes the demand of all agents. O(agents · frameworks).
    pub(super) fn of_all_agents(&self) -> RunningDemand {
        let mut demand = RunningDemand::default();
        for agent in self.eligibility.books.ledger().with_available() {
            self.refresh_agent(agent, &mut demand);
        }
        demand
    }

    /// Recomputes the contribution of an agent of which something was offered. O(frameworks).
    pub(super) fn refresh_agent(&self, agent: AgentIx, demand: &mut RunningDemand) {
        let (eligibility, membership) = (&self.eligibility, self.eligibility.books.membership());
        let account = &eligibility.books.ledger()[agent];
        let unfit = self.unfit.of(agent);
        let mut unallocated = Unallocated::default();
        if eligibility.rules.allow(account) {
            for role in membership.roles() {
                let share = eligibility.role_share(role, agent, self.availability, self.offered_shared);
                let is_unfit = |member: &MemberIx| unfit.is_some_and(|unfit| unfit.contains(*member));
                let members = membership.active_members(role).filter(|member| !is_unfit(member));
                let is_open = |member: &MemberIx| !membership.any_gated() || membership.may_be_offered(*member);
                let mut members = members.filter(is_open).filter(|member| eligibility.admits(*member, agent));
                let portion = members.find_map(|member| eligibility.portion(Stage::FairShares, agent, member, &share));
                if let Some(portion) = portion {
                    unallocated.clients.push(membership.client_of(role));
                    unallocated.names.extend(self.enough(portion.of(account.available())));
                }
            }
        }
        unallocated.names.sort_unstable();
        unallocated.names.dedup();
        demand.set(agent, unallocated);
    }

    /// The names of which an offer holds at least the smallest minimum.
    fn enough<'r>(&'r self, offer: &'r Resources) -> impl Iterator<Item = NameIx> + 'r {
        let minimum = |name: &str| {
            let minimums = self.eligibility.rules.options.min_allocatable.iter().map(|minimum| minimum.amount(name));
            minimums.filter(|amount| !amount.is_zero()).min().unwrap_or_default()
        };
        let scalars = offer.iter().filter(|resource| resource.scalar().is_some());
        let names = scalars.filter(move |resource| offer.amount(resource.name()) >= minimum(resource.name()));
        names.filter_map(|resource| self.eligibility.books.names().find(resource.name()))
    }
}
