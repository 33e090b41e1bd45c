//! [`Updates`]: the statuses of one task on their way from its executor to its framework.
//!
//! ```text
//!     executor or agent --> incoming --stored--> pending --sent, again and again--> acknowledged
//!                           (queue)              (queue, one in flight)
//! ```

use super::input::Ticket;
use super::timers::TimerKey;
use apportion::{TaskState, TaskStatus, Uuid};
use std::collections::VecDeque;
use std::time::Duration;

/// The most statuses of a task that wait for their acknowledgement.
pub(super) const MAX_WAITING: usize = 1_024;

/// The most UUIDs of acknowledged statuses that are remembered, so that none is taken in twice.
const MAX_REMEMBERED: usize = 1_024;

/// The time after which a status that is not acknowledged is sent again; it doubles each time (Mesos,
/// `STATUS_UPDATE_RETRY_INTERVAL_MIN` and `_MAX`).
const FIRST_RETRY: Duration = Duration::from_secs(10);
const MAX_RETRY: Duration = Duration::from_secs(600);

/// The time after which a status that could not be stored is stored again; it doubles each time.
const FIRST_STORE_RETRY: Duration = Duration::from_secs(1);
const MAX_STORE_RETRY: Duration = Duration::from_secs(30);

/// The statuses of one task.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Updates {
    /// Not stored; the flag says whether the executor waits for an acknowledgement.
    incoming: VecDeque<(TaskStatus, bool)>,
    /// The record of the first one of `incoming` that is being written.
    storing: Option<Ticket>,
    failed_stores: u32,
    /// Stored and not acknowledged; the first one is in flight.
    pending: VecDeque<TaskStatus>,
    /// How often the first one of `pending` was sent.
    tries: u32,
    /// UUIDs that were taken in.
    seen: VecDeque<Uuid>,
    last_sent: Option<(TaskState, Uuid)>,
    /// The timer after which the first status is sent or stored again.
    pub(super) timer: Option<TimerKey>,
}

impl Updates {
    /// Returns the statuses of a task that was found on disk.
    pub(super) fn recovered(updates: Vec<TaskStatus>, acknowledged: &[Uuid]) -> Self {
        let mut found = Self::default();
        for status in updates {
            found.remember(status.uuid);
            if status.uuid.is_some_and(|uuid| !acknowledged.contains(&uuid)) {
                found.pending.push_back(status);
            }
        }
        found
    }

    /// Returns whether a status of that UUID was taken in.
    pub(super) fn has_seen(&self, uuid: &Uuid) -> bool {
        self.seen.contains(uuid)
    }

    /// Returns whether any status was taken in.
    pub(super) fn is_any(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Returns whether a status of that UUID was taken in and is not stored.
    pub(super) fn is_incoming(&self, uuid: &Uuid) -> bool {
        self.incoming.iter().any(|(status, _)| status.uuid == Some(*uuid))
    }

    pub(super) fn is_full(&self) -> bool {
        self.incoming.len() + self.pending.len() >= MAX_WAITING
    }

    /// Returns whether nothing is left to store, to send or to acknowledge.
    pub(super) fn is_done(&self) -> bool {
        self.incoming.is_empty() && self.pending.is_empty()
    }

    /// Returns whether all is stored.
    pub(super) fn is_stored(&self) -> bool {
        self.incoming.is_empty()
    }

    /// Returns whether a terminal status waits to be stored.
    pub(super) fn is_end_incoming(&self) -> bool {
        self.incoming.iter().any(|(status, _)| status.state.is_terminal())
    }

    pub(super) fn push(&mut self, status: TaskStatus, from_executor: bool) {
        self.remember(status.uuid);
        self.incoming.push_back((status, from_executor));
    }

    fn remember(&mut self, uuid: Option<Uuid>) {
        if self.seen.len() >= MAX_REMEMBERED + MAX_WAITING {
            self.seen.pop_front();
        }
        self.seen.extend(uuid);
    }

    /// Returns the status that is to be stored next, unless one is being stored.
    pub(super) fn next_to_store(&self) -> Option<&TaskStatus> {
        self.incoming.front().filter(|_| self.storing.is_none()).map(|(status, _)| status)
    }

    pub(super) fn storing(&mut self, ticket: Ticket) {
        self.storing = Some(ticket);
    }

    pub(super) fn is_from_executor(&self) -> bool {
        self.incoming.front().is_some_and(|(_, from_executor)| *from_executor)
    }

    /// Notes that the first status could not be stored. Returns the time after which it is tried again.
    pub(super) fn store_failed(&mut self) -> Duration {
        self.storing = None;
        let wait = doubled(FIRST_STORE_RETRY, self.failed_stores, MAX_STORE_RETRY);
        self.failed_stores = self.failed_stores.saturating_add(1);
        wait
    }

    /// Moves the first status on, which is stored or need not be. Returns it, and whether the executor waits for an acknowledgement.
    pub(super) fn stored(&mut self) -> Option<(TaskStatus, bool)> {
        (self.storing, self.failed_stores) = (None, 0);
        let (status, from_executor) = self.incoming.pop_front()?;
        self.pending.push_back(status.clone());
        Some((status, from_executor))
    }

    /// Returns the status in flight.
    pub(super) fn first(&self) -> Option<&TaskStatus> {
        self.pending.front()
    }

    /// Returns whether the status in flight was not sent yet.
    pub(super) fn is_unsent(&self) -> bool {
        self.tries == 0 && !self.pending.is_empty()
    }

    /// Notes that the first status was sent. Returns the time after which it is sent again.
    pub(super) fn sent(&mut self) -> Duration {
        let wait = doubled(FIRST_RETRY, self.tries, MAX_RETRY);
        self.tries = self.tries.saturating_add(1);
        self.last_sent = self.pending.front().and_then(|status| Some((status.state, status.uuid?))).or(self.last_sent);
        wait
    }

    /// Has the first status sent at once when there is a master again.
    pub(super) fn send_anew(&mut self) {
        self.tries = 0;
    }

    /// Returns the state that was last sent, with the UUID of its status.
    pub(super) fn last_sent(&self) -> Option<(TaskState, Uuid)> {
        self.last_sent
    }

    /// Removes the status in flight if it has that UUID.
    pub(super) fn acknowledge(&mut self, uuid: &Uuid) -> bool {
        let is_first = self.pending.front().is_some_and(|status| status.uuid == Some(*uuid));
        if is_first {
            self.pending.pop_front();
            self.tries = 0;
        }
        is_first
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1_u32 << times.min(16)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(number: u64, state: TaskState) -> TaskStatus {
        let mut status = TaskStatus::new("t1", state);
        status.uuid = Some(Uuid::from_seed(1, number));
        status
    }

    #[test]
    fn one_status_is_in_flight_until_its_own_uuid_is_acknowledged() {
        let mut updates = Updates::default();
        let [first, second] = [status(1, TaskState::Running), status(2, TaskState::Finished)];
        for status in [&first, &second] {
            updates.push(status.clone(), true);
            assert_eq!(updates.stored(), Some((status.clone(), true)));
        }
        assert_eq!(updates.first(), Some(&first));
        assert!(!updates.acknowledge(&second.uuid.unwrap()), "it is not in flight");
        assert!(updates.acknowledge(&first.uuid.unwrap()));
        assert!(!updates.acknowledge(&first.uuid.unwrap()), "twice");
        assert_eq!(updates.first(), Some(&second));
        assert!(updates.acknowledge(&second.uuid.unwrap()));
        assert!(updates.is_done() && updates.has_seen(&first.uuid.unwrap()));
    }

    #[test]
    fn retries_double_from_ten_seconds_to_ten_minutes() {
        let mut updates = Updates::recovered(vec![status(1, TaskState::Running)], &[]);
        let waits: Vec<u64> = (0..9).map(|_| updates.sent().as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        updates.send_anew();
        assert_eq!(updates.sent(), FIRST_RETRY);
    }

    #[test]
    fn what_is_acknowledged_on_disk_is_not_sent_again() {
        let [first, second] = [status(1, TaskState::Running), status(2, TaskState::Finished)];
        let updates = Updates::recovered(vec![first.clone(), second.clone()], &[first.uuid.unwrap()]);
        assert_eq!(updates.first(), Some(&second));
        assert!(updates.has_seen(&first.uuid.unwrap()));
    }
}
