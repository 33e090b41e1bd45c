//! [`Ranking`]: a tree of shares with the sorter that orders its clients.

use super::demand::Demand;
use super::resource_names::Weighed;
use super::share::{Totals, Weight};
use super::snapshot::SnapshotError;
use super::sorter::Sorter;
use super::tree::{ClientId, ShareTree, Times};
use crate::time::Time;

/// A [`ShareTree`] and its [`Sorter`]. The tree only changes through the ranking, so that the sorter learns of every change.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranking<S> {
    tree: ShareTree,
    sorter: S,
}

impl<S> Ranking<S> {
    /// Ranks an empty tree.
    pub(super) fn new(sorter: S) -> Self {
        Self { tree: ShareTree::default(), sorter }
    }

    #[inline]
    pub(super) fn tree(&self) -> &ShareTree {
        &self.tree
    }
}

impl<S: Sorter> Ranking<S> {
    /// Adds a client that is inactive; see [`ShareTree::add`].
    pub(super) fn add<'p>(
        &mut self,
        path: impl Iterator<Item = &'p str>,
        arrival: u64,
        weight: impl FnMut(usize) -> Weight,
    ) -> ClientId {
        self.tree.add(path, arrival, weight)
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        self.tree.remove(client);
    }

    pub(super) fn set_active(&mut self, client: ClientId, active: bool) {
        self.tree.set_active(client, active);
        self.sorter.charged(&self.tree, client);
    }

    /// Sets the weight of the node at the end of a path of names, if there is one.
    pub(super) fn set_weight<'p>(&mut self, path: impl Iterator<Item = &'p str>, weight: Weight) {
        if let Some(node) = self.tree.find(path) {
            self.tree.set_weight(node, weight);
        }
    }

    /// Adds to the holdings of a client and to its number of allocations. `agent` is its order of registration.
    #[inline]
    pub(super) fn charge(&mut self, client: ClientId, agent: u64, weighed: &Weighed, allocations: u64) {
        self.tree.charge(client, agent, weighed, allocations);
        self.sorter.charged(&self.tree, client);
    }

    /// Notes when a client was offered something, or something that a task was launched on, if the sorter keeps times.
    #[inline]
    pub(super) fn note_offer(&mut self, client: ClientId, at: Time, is_useful: bool) {
        if self.sorter.keeps_times() {
            self.tree.note_offer(client, at, is_useful);
            self.sorter.charged(&self.tree, client);
        }
    }

    /// Subtracts from the holdings of a client.
    #[inline]
    pub(super) fn release(&mut self, client: ClientId, agent: u64, weighed: &Weighed) {
        self.tree.release(client, agent, weighed);
        self.sorter.charged(&self.tree, client);
    }

    /// Sets the number of allocations of the node at a path, before any order is asked for.
    pub(super) fn set_count(&mut self, path: &str, count: u64) -> Result<(), SnapshotError> {
        self.tree.set_count(path, count)
    }

    /// Sets the order of arrival of the node at a path, before any order is asked for.
    pub(super) fn set_arrival(&mut self, path: &str, arrival: u64) -> Result<(), SnapshotError> {
        self.tree.set_arrival(path, arrival)
    }

    /// Sets the times of the last offers of the node at a path, before any order is asked for, if the sorter keeps times.
    pub(super) fn set_times(&mut self, path: &str, times: Times) -> Result<(), SnapshotError> {
        if self.sorter.keeps_times() { self.tree.set_times(path, times) } else { Ok(()) }
    }

    /// Subtracts from the number of allocations of a client.
    pub(super) fn uncount(&mut self, client: ClientId, allocations: u64) {
        self.tree.uncount(client, allocations);
        self.sorter.charged(&self.tree, client);
    }

    /// See [`Sorter::begin`].
    #[inline]
    pub(super) fn begin(&mut self, totals: &Totals) {
        self.sorter.begin(&self.tree, totals);
    }

    /// See [`Sorter::next`].
    #[inline]
    pub(super) fn next(&mut self, totals: &Totals) -> Option<ClientId> {
        self.sorter.next(&self.tree, totals)
    }

    /// See [`Sorter::next_wanted`].
    pub(super) fn next_wanted(&mut self, wanted: &dyn Fn(ClientId) -> bool, totals: &Totals) -> Option<ClientId> {
        self.sorter.next_wanted(wanted, &self.tree, totals)
    }

    /// See [`Sorter::asks_for_demand`].
    pub(super) fn asks_for_demand(&self) -> bool {
        self.sorter.asks_for_demand()
    }

    /// See [`Sorter::demand`].
    pub(super) fn set_demand(&mut self, demand: &Demand) {
        self.sorter.demand(demand);
    }

    /// See [`Sorter::draws`].
    #[inline]
    pub(super) fn draws(&self) -> bool {
        self.sorter.draws()
    }

    /// See [`Sorter::draw`].
    pub(super) fn set_draw(&mut self, number: u64) {
        self.sorter.draw(number);
    }
}
