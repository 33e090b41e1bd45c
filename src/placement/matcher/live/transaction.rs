//! Transactions: what was planned, released and restored may be taken back.

use super::super::index::OfferIx;
use super::super::offer_state::HeldOffer;
use super::LiveState;
use crate::id::{OfferId, TaskId};
use crate::placement::model::change::ReleaseError;
use crate::text::Text;

/// The record that takes one step back.
#[derive(Debug)]
pub(super) enum Undo {
    /// A plan was made, which launched tasks.
    Planned {
        /// In order.
        launches: Vec<(TaskId, OfferId)>,
        /// The offers that it used, as they were before.
        offers: Vec<(OfferIx, HeldOffer<'static>)>,
    },
    /// A task was released, or restored if `is_back`.
    Released {
        task: TaskId,
        is_back: bool,
        /// The offer that its resources went to, as it was before.
        offer: Option<(OfferIx, HeldOffer<'static>)>,
    },
}

impl LiveState {
    /// Begins a transaction within those that are open, and returns the length of the log.
    pub(in crate::placement) fn begin(&mut self) -> usize {
        self.compact(false);
        self.open_transactions += 1;
        self.log.len()
    }

    /// Ends the innermost transaction and keeps what was done in it, unless an outer one is rolled back.
    pub(in crate::placement) fn commit(&mut self) {
        self.open_transactions -= 1;
        if self.open_transactions > 0 {
            return;
        }
        for step in std::mem::take(&mut self.log) {
            if let Undo::Released { task: id, .. } = step
                && self.tasks.get(&id).is_some_and(|task| task.is_released)
            {
                self.tasks.swap_remove(&id);
                self.state.task_ids.retire(&id);
            }
        }
    }

    /// Ends the innermost transaction, which began at a length of the log, and takes back what was done in it.
    pub(in crate::placement) fn rollback(&mut self, begin: usize) {
        while self.log.len() > begin {
            match self.log.pop() {
                Some(Undo::Planned { launches, offers }) => self.take_back(launches, offers),
                Some(Undo::Released { task, is_back, offer }) => {
                    if let Some((ix, earlier)) = offer {
                        self.set_offer(ix, earlier);
                    }
                    self.set_released(&task, is_back);
                }
                None => {}
            }
        }
        self.open_transactions -= 1;
    }

    /// Removes the tasks of a plan, the last one first.
    fn take_back(&mut self, launches: Vec<(TaskId, OfferId)>, offers: Vec<(OfferIx, HeldOffer<'static>)>) {
        for (id, offer) in launches.iter().rev() {
            self.tasks.swap_remove(id);
            self.state.running.to_mut().pop();
            let popped = self.state.placed.pop();
            debug_assert_eq!(popped.map(|task| task.id).as_ref(), Some(id), "tasks are taken back in reverse");
            if let Some((name, number)) = id.as_str().rsplit_once('.')
                && let Ok(number) = number.parse::<u64>()
            {
                self.state.task_ids.rewind(Text::new(name), number - 1);
            }
            if let Some(ix) = self.offers.get(offer) {
                self.state.slots[ix.index()].launches -= 1;
            }
        }
        for (ix, earlier) in offers {
            self.set_offer(ix, earlier);
            self.refresh_host(self.state.slot(ix).host);
        }
    }

    /// Takes a task away, and gives its resources to the offer that it was launched in, or else to the first one of its
    /// host.
    pub(in crate::placement) fn release(&mut self, id: &TaskId) -> Result<(), ReleaseError> {
        let task = self.tasks.get(id).ok_or_else(|| ReleaseError::UnknownTask(id.clone()))?;
        if task.is_released {
            return Err(ReleaseError::Released(id.clone()));
        }
        let mut offer = None;
        if let (Some(ix), Some(resources)) = (self.offer_of(id), &self.state.running[task.index].resources) {
            let held = &self.state.slot(ix).offer;
            let sum = held.resources.checked_add(resources);
            let sum = sum.map_err(|_| ReleaseError::NoSum { task: id.clone(), offer: held.id.clone() })?;
            offer = Some((ix, self.replace_offer(ix, |offer| offer.resources = sum)));
        }
        self.set_released(id, true);
        self.log.push(Undo::Released { task: id.clone(), is_back: false, offer });
        Ok(())
    }

    /// Puts a released task back.
    pub(in crate::placement) fn restore(&mut self, id: &TaskId) -> Result<(), ReleaseError> {
        let task = self.tasks.get(id).ok_or_else(|| ReleaseError::UnknownTask(id.clone()))?;
        if !task.is_released {
            return Err(ReleaseError::NotReleased(id.clone()));
        }
        let mut offer = None;
        if let (Some(ix), Some(resources)) = (self.offer_of(id), &self.state.running[task.index].resources) {
            let left = self.state.slot(ix).offer.resources.checked_sub(resources);
            let taken = |shortfall| ReleaseError::Taken { task: id.clone(), shortfall: Box::new(shortfall) };
            let left = left.map_err(taken)?;
            offer = Some((ix, self.replace_offer(ix, |offer| offer.resources = left)));
        }
        self.set_released(id, false);
        self.log.push(Undo::Released { task: id.clone(), is_back: true, offer });
        Ok(())
    }

    /// Returns the offer that the resources of a task go to: the same one as long as a transaction is open.
    fn offer_of(&self, id: &TaskId) -> Option<OfferIx> {
        let task = self.tasks.get(id)?;
        let launched_in = task.offer.as_ref().and_then(|offer| self.offers.get(offer));
        let first = || {
            let host = self.hosts.get(&self.state.running[task.index].location.hostname)?;
            self.state.hosts[host.index()].first()
        };
        launched_in.or_else(first).copied()
    }

    /// Takes a task away or puts it back, and refreshes the offers of its host.
    fn set_released(&mut self, id: &TaskId, is_released: bool) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.is_released = is_released;
        let index = task.index;
        if is_released {
            self.state.placed.remove(index);
        } else {
            let running = &self.state.running[index];
            let placed = running.placed(self.apps.get(&running.app).map(|known| &known.app));
            self.state.placed.put_back(index, placed);
        }
        self.refresh_host_of(index);
    }
}
