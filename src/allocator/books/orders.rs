//! Orders: the rankings of roles and members, as far as they are asked for.

use super::{Books, RoleFilter};
use crate::allocator::demand::Demand;
use crate::allocator::index::{BitSet, MemberIx, RoleIx};
use crate::allocator::sorter::Sorter;
use crate::allocator::tree::ClientId;

impl<R: Sorter, F: Sorter + Clone> Books<R, F> {
    /// Returns whether the sorter of roles asks for demand.
    pub(in crate::allocator) fn asks_for_demand(&self) -> bool {
        self.membership.ranking().asks_for_demand()
    }

    pub(in crate::allocator) fn set_demand(&mut self, demand: &Demand) {
        self.membership.ranking_mut().set_demand(demand);
    }

    /// Returns whether any order is drawn.
    pub(in crate::allocator) fn draws(&self) -> bool {
        self.draws_roles() || self.membership.roles().any(|role| self.draws_members(role))
    }

    /// Returns whether the order of roles is drawn.
    #[inline]
    pub(in crate::allocator) fn draws_roles(&self) -> bool {
        self.membership.ranking().draws()
    }

    pub(in crate::allocator) fn set_role_draw(&mut self, number: u64) {
        self.membership.ranking_mut().set_draw(number);
    }

    /// Returns whether the order of a role's members is drawn.
    #[inline]
    pub(in crate::allocator) fn draws_members(&self, role: RoleIx) -> bool {
        self.membership.member_ranking(role).draws()
    }

    pub(in crate::allocator) fn set_member_draw(&mut self, role: RoleIx, number: u64) {
        self.membership.member_ranking_mut(role).set_draw(number);
    }

    /// Begins the order of roles.
    #[inline]
    pub(in crate::allocator) fn begin_roles(&mut self) {
        self.membership.ranking_mut().begin(&self.totals);
    }

    /// Returns the next role in order.
    #[inline]
    pub(in crate::allocator) fn next_role(&mut self) -> Option<ClientId> {
        self.membership.ranking_mut().next(&self.totals)
    }

    /// Returns the next role in order that is below its guarantee.
    pub(in crate::allocator) fn next_role_below_guarantee(&mut self) -> Option<ClientId> {
        let filter = RoleFilter::Within(self.quotas.accounts().below_guarantee());
        self.membership.next_role_of(filter, &self.totals)
    }

    /// Returns the next of these roles in order.
    pub(in crate::allocator) fn next_role_within(&mut self, roles: &BitSet<ClientId>) -> Option<ClientId> {
        self.membership.next_role_of(RoleFilter::Within(roles), &self.totals)
    }

    /// Returns the next role in order with a member that is active and not in `refused_all`; if `within_limits`, one that is
    /// not at its limit.
    pub(in crate::allocator) fn next_role_that_may_accept(
        &mut self,
        refused_all: Option<&BitSet<MemberIx>>,
        within_limits: bool,
    ) -> Option<ClientId> {
        let at_limit = within_limits.then(|| self.quotas.accounts().at_limit());
        self.membership.next_role_of(RoleFilter::MayAccept { refused_all, at_limit }, &self.totals)
    }

    /// Begins the order of the members of a role.
    #[inline]
    pub(in crate::allocator) fn begin_members(&mut self, role: RoleIx) {
        self.membership.member_ranking_mut(role).begin(&self.totals);
    }

    /// Returns the next member of a role in order.
    #[inline]
    pub(in crate::allocator) fn next_member(&mut self, role: RoleIx) -> Option<ClientId> {
        self.membership.member_ranking_mut(role).next(&self.totals)
    }

    /// Returns the next member of a role in order that is not one of these.
    pub(in crate::allocator) fn next_member_except(
        &mut self,
        role: RoleIx,
        except: &BitSet<MemberIx>,
    ) -> Option<ClientId> {
        self.membership.next_member_of(role, &|member| !except.contains(member), &self.totals)
    }

    /// Returns the next of these members of a role in order.
    pub(in crate::allocator) fn next_member_within(
        &mut self,
        role: RoleIx,
        within: &BitSet<MemberIx>,
    ) -> Option<ClientId> {
        self.membership.next_member_of(role, &|member| within.contains(member), &self.totals)
    }
}
