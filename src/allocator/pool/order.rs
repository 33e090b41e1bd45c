//! The order in which claims are served: that of the sorters, roles first and then the frameworks of a role.

use crate::allocator::books::Books;
use crate::allocator::demand_snapshot::DemandSnapshot;
use crate::allocator::eligibility::{Availability, Eligibility, OfferedShared};
use crate::allocator::hierarchical::Hierarchical;
use crate::allocator::index::{BitSet, MemberIx, RoleIx};
use crate::allocator::sorter::Sorter;
use crate::allocator::tree::ClientId;
use crate::draw::{draw, draw_for};
use crate::time::Time;

/// Returns those of these members that are active, the one to be served first first.
pub(super) fn in_order<R: Sorter + Clone, F: Sorter + Clone>(
    allocator: &mut Hierarchical<R, F>,
    members: impl Iterator<Item = MemberIx>,
    at: Time,
) -> Vec<MemberIx> {
    prepare(allocator, at);
    let books = &mut allocator.books;
    let (mut wanted, mut roles) = (BitSet::<MemberIx>::default(), BitSet::<ClientId>::default());
    for member in members {
        wanted.insert(member);
        roles.insert(books.membership().client_of(books.membership().member(member).role));
    }
    let mut order = Vec::with_capacity(wanted.len());
    books.begin_roles();
    while let Some(client) = books.next_role_within(&roles) {
        let role = books.membership().role_at(client);
        draw_members(books, role, at);
        books.begin_members(role);
        while let Some(client) = books.next_member_within(role, &wanted) {
            order.push(books.membership().member_at(role, client));
        }
    }
    order
}

/// Tells sorters that ask what the order of roles depends on besides shares.
fn prepare<R: Sorter + Clone, F: Sorter + Clone>(allocator: &mut Hierarchical<R, F>, at: Time) {
    let Hierarchical { rules, books, refusals, unfit, .. } = allocator;
    if books.asks_for_demand() {
        let (availability, offered_shared) = (&Availability::default(), &OfferedShared::default());
        let eligibility = Eligibility { rules, books, refusals };
        let demand = DemandSnapshot { eligibility, unfit, availability, offered_shared }.of_all_agents();
        books.set_demand(demand.now());
    }
    if books.draws_roles() {
        books.set_role_draw(draw(at.as_micros(), 0));
    }
}

fn draw_members<R: Sorter, F: Sorter + Clone>(books: &mut Books<R, F>, role: RoleIx, at: Time) {
    if books.draws_members(role) {
        let number = draw_for(draw(at.as_micros(), 0), books.membership().role(role).as_str());
        books.set_member_draw(role, number);
    }
}
