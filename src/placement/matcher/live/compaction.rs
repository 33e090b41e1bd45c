//! Drops what is kept of offers and tasks that are gone, once it is much.

use super::super::offer_state::OfferStates;
use super::super::table::Table;
use super::{AppNumbers, LiveState};
use crate::constraint::Placed;

/// So many states of offers are always kept.
pub(super) const MIN_STATES: usize = 4_096;

/// So many ended tasks are always kept.
const MIN_ENDED: usize = 64;

impl LiveState {
    /// Compacts what has to be, unless a transaction is open. Offers that are gone may leave gaps between the others if these
    /// are told apart by nothing but what is asked of them.
    pub(super) fn compact(&mut self, may_have_gaps: bool) {
        if self.open_transactions > 0 {
            return;
        }
        let most_gaps = if may_have_gaps { self.state.slots.len() / 2 } else { 0 };
        if self.gone > most_gaps {
            self.compact_offers();
        }
        if self.state.placed.removed() > MIN_ENDED.max(self.state.placed.len() / 2) {
            self.compact_tasks();
        }
        if self.state.states.len() > self.most_states {
            self.compact_states();
        }
    }

    /// Drops the slots of offers that are gone, and numbers the others anew in the same order.
    fn compact_offers(&mut self) {
        self.gone = 0;
        self.hosts.clear();
        self.state.hosts.clear();
        self.state.table = Table::default();
        self.state.candidates.clear();
        for mut slot in std::mem::take(&mut self.state.slots).into_iter().filter(|slot| !slot.is_gone) {
            let ix = super::OfferIx::new(self.state.slots.len());
            slot.host = self.host(&slot.location.hostname);
            self.state.hosts[slot.host.index()].push(ix);
            self.offers[&slot.offer.id] = ix;
            self.state.slots.push(slot);
        }
    }

    /// Drops the tasks that have ended, and numbers the others anew in the same order. Fields are indexed again when an app
    /// counts them.
    fn compact_tasks(&mut self) {
        let mut running = Vec::with_capacity(self.tasks.len());
        let earlier = std::mem::take(&mut self.state.running).into_owned();
        let placed = std::mem::replace(&mut self.state.placed, Placed::new()).into_tasks();
        for (task, placed) in earlier.into_iter().zip(placed) {
            let Some(placed) = placed else { continue };
            if let Some(live) = self.tasks.get_mut(&task.task) {
                live.index = running.len();
            }
            running.push(task);
            self.state.placed.push(placed);
        }
        self.state.running = running.into();
    }

    /// Drops the states that no offer is in, and the numbers of apps that are no more.
    fn compact_states(&mut self) {
        self.state.states = OfferStates::default();
        self.state.candidates.clear();
        self.numbers = AppNumbers::default();
        for known in self.apps.values_mut() {
            known.ix = self.numbers.next();
        }
        for slot in &mut self.state.slots {
            slot.initial = self.state.states.intern(&slot.offer);
        }
        for host in 0..self.state.hosts.len() {
            self.refresh_host(super::HostIx::new(host));
        }
        self.most_states = MIN_STATES.max(2 * self.state.states.len());
    }
}
