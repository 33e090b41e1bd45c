//! The suite of sorters: an allocator asks for orders, and each is checked as it is begun.

use super::allocator::check_saved_allocator;
use super::shrink::Broken;
use super::step::Step;
use crate::allocator::{ClientId, Demand, Hierarchical, Options, ShareTree, Sorter, Totals};
use std::collections::BTreeSet;

/// Runs a sequence on an allocator with a sorter; see [`Suite::sorter`](super::Suite::sorter).
///
/// # Errors
///
/// [`Broken`] with what does not hold.
///
/// # Panics
///
/// If a text in a step is not of resources, a role or a weight.
pub fn check_sorter<S: Sorter + Clone + 'static>(make: &impl Fn() -> S, steps: &[Step]) -> Result<(), Broken> {
    let watched = || Watched { sorter: make(), new: make(), order: Vec::new(), returned: BTreeSet::new(), next: 0 };
    let make = || Hierarchical::new(Options::default().min_allocatable([]), watched(), watched());
    check_saved_allocator(&make, steps)
}

/// A sorter, with the order that it has begun. What does not hold is a panic, which the suite reports.
#[derive(Debug, Clone)]
struct Watched<S> {
    sorter: S,
    /// One that never learns of a change, and is never asked.
    new: S,
    /// The order that was begun, the positions that were returned, and the one after the last of these.
    order: Vec<ClientId>,
    returned: BTreeSet<usize>,
    next: usize,
}

/// Begins an order of a sorter, and returns all of it.
fn order<S: Sorter>(sorter: &mut S, tree: &ShareTree, totals: &Totals) -> Vec<ClientId> {
    sorter.begin(tree, totals);
    std::iter::from_fn(|| sorter.next(tree, totals)).take(2 * tree.capacity()).collect()
}

impl<S: Sorter + Clone> Watched<S> {
    /// Returns the next client of the order, which must be the one that the sorter has returned. One that was passed over may
    /// come later, once it is wanted.
    fn checked(&mut self, found: Option<ClientId>, wanted: &dyn Fn(ClientId) -> bool) -> Option<ClientId> {
        let first = |from: usize| {
            let mut rest = self.order.iter().copied().enumerate().skip(from);
            rest.find(|(position, client)| !self.returned.contains(position) && wanted(*client))
        };
        let (after, of_all) = (first(self.next), first(0));
        let found_at = [after, of_all].into_iter().find(|one| one.map(|(_, client)| client) == found);
        match found_at {
            Some(Some((position, _))) => {
                self.returned.insert(position);
                self.next = self.next.max(position + 1);
            }
            Some(None) => self.next = self.order.len(),
            None => panic!("of the order {:?} it goes on with {found:?}, and {after:?} comes next", self.order),
        }
        found
    }
}

impl<S: Sorter + Clone + 'static> Sorter for Watched<S> {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        let mut copy = self.sorter.clone();
        let whole = order(&mut copy, tree, totals);
        let active: BTreeSet<ClientId> = tree.active_clients().collect();
        let ordered: BTreeSet<ClientId> = whole.iter().copied().collect();
        assert!(ordered.len() == whole.len(), "the order has a client twice: {whole:?}");
        assert!(ordered == active, "the order is {whole:?}, and these clients are active: {active:?}");
        let again = order(&mut copy, tree, totals);
        assert!(again == whole, "the order is {whole:?}, and begun again it is {again:?}");
        let new = order(&mut self.new.clone(), tree, totals);
        assert!(
            new == whole,
            "the order is {whole:?}, and that of a new sorter is {new:?}: it depends on more than tree and totals"
        );
        copy.begin(tree, totals);
        let is_wanted = |client: ClientId| client.index() % 2 == 1;
        let wanted = std::iter::from_fn(|| copy.next_wanted(&is_wanted, tree, totals));
        let wanted: Vec<ClientId> = wanted.take(2 * tree.capacity()).collect();
        let expected: Vec<ClientId> = whole.iter().copied().filter(|client| is_wanted(*client)).collect();
        assert!(wanted == expected, "of the order {whole:?} {expected:?} are wanted, and it returns {wanted:?}");
        self.sorter.begin(tree, totals);
        (self.order, self.next) = (whole, 0);
        self.returned.clear();
    }

    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId> {
        let found = self.sorter.next(tree, totals);
        self.checked(found, &|_| true)
    }

    fn next_wanted(
        &mut self,
        wanted: &dyn Fn(ClientId) -> bool,
        tree: &ShareTree,
        totals: &Totals,
    ) -> Option<ClientId> {
        let found = self.sorter.next_wanted(wanted, tree, totals);
        self.checked(found, wanted)
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        self.sorter.charged(tree, client);
    }

    fn asks_for_demand(&self) -> bool {
        self.sorter.asks_for_demand()
    }

    fn demand(&mut self, demand: &Demand) {
        self.sorter.demand(demand);
        self.new.demand(demand);
    }

    fn keeps_times(&self) -> bool {
        self.sorter.keeps_times()
    }

    fn draws(&self) -> bool {
        self.sorter.draws()
    }

    fn draw(&mut self, number: u64) {
        self.sorter.draw(number);
        self.new.draw(number);
    }
}
