//! [`Outbox`]: a queue of messages for each recipient, and the order over all of them.

use crate::time::Time;
use indexmap::IndexMap;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;

/// A message that waits for its recipient.
#[derive(Debug, Clone)]
pub(super) struct Queued<M> {
    pub(super) connection: u64,
    pub(super) at: Time,
    pub(super) cause: u64,
    pub(super) cost: u64,
    pub(super) message: M,
}

/// A queue of messages for each recipient.
///
/// Messages can be taken of all recipients in the order of the queue's filling, or of one recipient. A *late* message comes
/// after all others of its moment: offers wait until nothing else happens at the same time.
#[derive(Debug, Clone)]
pub(super) struct Outbox<K, M> {
    queues: IndexMap<K, Queue<M>, foldhash::fast::RandomState>,
    /// For each message in order, its recipient.
    order: VecDeque<Entry<K>>,
    /// The same for the late messages of the present moment.
    late: VecDeque<Entry<K>>,
    /// The number of entries of `order` and `late` that have no message any more.
    stale: usize,
    /// The number of messages.
    queued: usize,
    fillings: u64,
    /// The recipients that have a message and have not been announced since, by the cause of the oldest one.
    ready: BTreeMap<(u64, u64), K>,
    announced: u64,
}

/// The recipient of a message.
#[derive(Debug, Clone)]
struct Entry<K> {
    to: K,
    /// The filling of its queue that the message belongs to.
    filling: u64,
}

#[derive(Debug, Clone)]
struct Queue<M> {
    /// A number that changes when the queue is cleared: entries of another filling have no message any more.
    filling: u64,
    connection: u64,
    is_connected: bool,
    messages: VecDeque<Queued<M>>,
    /// The number of messages at the end that are late messages of the present moment.
    late: usize,
    /// The cost of the messages, and of what was charged beside them.
    cost: u64,
    /// The number of the next entries of this filling that have no message.
    skips: usize,
    ready: Option<(u64, u64)>,
}

impl<K, M> Default for Outbox<K, M> {
    fn default() -> Self {
        let (order, late, ready) = (VecDeque::new(), VecDeque::new(), BTreeMap::new());
        Self { queues: IndexMap::default(), order, late, stale: 0, queued: 0, fillings: 0, ready, announced: 0 }
    }
}

impl<K: Clone + Hash + Eq, M> Outbox<K, M> {
    /// Begins a connection of that number.
    pub(super) fn connect(&mut self, to: &K, connection: u64) {
        let index = self.index_of(to);
        (self.queues[index].connection, self.queues[index].is_connected) = (connection, true);
    }

    /// Ends the connection. What is queued stays until it is taken.
    pub(super) fn disconnect(&mut self, to: &K) {
        if let Some(queue) = self.queues.get_mut(to) {
            queue.is_connected = false;
        }
        self.forget_if_empty(to);
    }

    pub(super) fn is_connected(&self, to: &K) -> bool {
        self.queues.get(to).is_some_and(|queue| queue.is_connected)
    }

    /// Returns the number of queued messages.
    pub(super) fn len(&self) -> usize {
        self.queued
    }

    /// Returns the number of queued messages of a recipient.
    pub(super) fn len_of(&self, to: &K) -> usize {
        self.queues.get(to).map_or(0, |queue| queue.messages.len())
    }

    /// Returns what the queued messages of a recipient cost.
    pub(super) fn cost(&self, to: &K) -> u64 {
        self.queues.get(to).map_or(0, |queue| queue.cost)
    }

    /// Adds to what the queued messages of a recipient cost, and returns what they cost now.
    pub(super) fn charge(&mut self, to: &K, cost: u64) -> u64 {
        let index = self.index_of(to);
        let queue = &mut self.queues[index];
        queue.cost = queue.cost.saturating_add(cost);
        queue.cost
    }

    pub(super) fn refund(&mut self, to: &K, cost: u64) {
        if let Some(queue) = self.queues.get_mut(to) {
            queue.cost = queue.cost.saturating_sub(cost);
        }
    }

    /// Adds a message at the end, but before the late messages of the present moment. Returns what the recipient's messages
    /// cost now.
    pub(super) fn push(&mut self, to: &K, (at, cause): (Time, u64), cost: u64, message: M) -> u64 {
        let index = self.enqueue(to, (at, cause), cost, message);
        let queue = &mut self.queues[index];
        let last = queue.messages.len() - 1;
        for index in (last - queue.late..last).rev() {
            queue.messages.swap(index, index + 1);
            // What comes later is not told before what it comes after.
            queue.messages[index + 1].cause = cause;
        }
        self.order.push_back(Entry { to: to.clone(), filling: queue.filling });
        queue.cost
    }

    /// Adds a message that comes after all others of the present moment.
    pub(super) fn push_late(&mut self, to: &K, moment: (Time, u64), message: M) {
        let index = self.enqueue(to, moment, 0, message);
        let queue = &mut self.queues[index];
        queue.late += 1;
        self.late.push_back(Entry { to: to.clone(), filling: queue.filling });
    }

    /// Returns the index of a recipient's queue, after adding one if there is none.
    fn index_of(&mut self, to: &K) -> usize {
        if let Some(index) = self.queues.get_index_of(to) {
            return index;
        }
        self.fillings += 1;
        let (filling, messages) = (self.fillings, VecDeque::new());
        let queue =
            Queue { filling, connection: 0, is_connected: false, messages, late: 0, cost: 0, skips: 0, ready: None };
        self.queues.insert_full(to.clone(), queue).0
    }

    /// Appends a message, and returns the index of its queue.
    fn enqueue(&mut self, to: &K, (at, cause): (Time, u64), cost: u64, message: M) -> usize {
        let index = self.index_of(to);
        self.queued += 1;
        let queue = &mut self.queues[index];
        queue.cost = queue.cost.saturating_add(cost);
        queue.messages.push_back(Queued { connection: queue.connection, at, cause, cost, message });
        if queue.ready.is_none() {
            let announcement = (cause, self.announced);
            queue.ready = Some(announcement);
            self.ready.insert(announcement, to.clone());
            self.announced += 1;
        }
        index
    }

    /// Names a later cause for the late messages of a recipient: something was added to them.
    pub(super) fn delay_late(&mut self, to: &K, cause: u64) {
        if let Some(queue) = self.queues.get_mut(to) {
            let late = queue.late;
            queue.messages.iter_mut().rev().take(late).for_each(|queued| queued.cause = cause);
        }
    }

    /// Ends the moment: what is queued now comes before what will be.
    pub(super) fn end_moment(&mut self) {
        for entry in std::mem::take(&mut self.late) {
            if let Some(queue) = self.queues.get_mut(&entry.to) {
                queue.late = 0;
            }
            self.order.push_back(entry);
        }
    }

    /// Removes and returns the next message of all, if its cause is stored.
    pub(super) fn poll(&mut self, stored: u64) -> Option<(K, Queued<M>)> {
        loop {
            let entries = if self.order.is_empty() { &mut self.late } else { &mut self.order };
            let entry = entries.front()?;
            let queue = self.queues.get_mut(&entry.to).filter(|queue| queue.filling == entry.filling);
            match queue {
                Some(queue) if queue.skips > 0 => queue.skips -= 1,
                None => {}
                Some(queue) => {
                    queue.messages.front().filter(|queued| queued.cause <= stored)?;
                    let to = entries.pop_front()?.to;
                    let queued = self.take_first(&to)?;
                    self.forget_if_empty(&to);
                    return Some((to, queued));
                }
            }
            entries.pop_front();
            self.stale -= 1;
        }
    }

    /// Removes and returns the next message of one recipient, if its cause is stored.
    pub(super) fn poll_for(&mut self, to: &K, stored: u64) -> Option<Queued<M>> {
        self.queues.get(to)?.messages.front().filter(|queued| queued.cause <= stored)?;
        let queued = self.take_first(to)?;
        if let Some(queue) = self.queues.get_mut(to) {
            queue.skips += 1;
        }
        self.note_stale(1);
        self.forget_if_empty(to);
        Some(queued)
    }

    fn take_first(&mut self, to: &K) -> Option<Queued<M>> {
        let queue = self.queues.get_mut(to)?;
        let queued = queue.messages.pop_front()?;
        self.queued -= 1;
        queue.late = queue.late.min(queue.messages.len());
        queue.cost = queue.cost.saturating_sub(queued.cost);
        if queue.messages.is_empty()
            && let Some(key) = queue.ready.take()
        {
            self.ready.remove(&key);
        }
        Some(queued)
    }

    /// Removes and returns all messages of a recipient.
    pub(super) fn clear(&mut self, to: &K) -> Vec<M> {
        let Some(queue) = self.queues.get_mut(to) else { return Vec::new() };
        self.fillings += 1;
        (queue.filling, queue.skips, queue.cost, queue.late) = (self.fillings, 0, 0, 0);
        if let Some(key) = queue.ready.take() {
            self.ready.remove(&key);
        }
        let messages: Vec<M> = std::mem::take(&mut queue.messages).into_iter().map(|queued| queued.message).collect();
        self.queued -= messages.len();
        self.note_stale(messages.len());
        messages
    }

    /// Counts stale entries, and drops all of them once they are more than the others.
    fn note_stale(&mut self, number: usize) {
        self.stale += number;
        if self.stale > 64 && self.stale > self.queued {
            let queues = &mut self.queues;
            let mut has_message =
                |entry: &Entry<K>| match queues.get_mut(&entry.to).filter(|queue| queue.filling == entry.filling) {
                    Some(queue) if queue.skips > 0 => {
                        queue.skips -= 1;
                        false
                    }
                    queue => queue.is_some(),
                };
            self.order.retain(&mut has_message);
            self.late.retain(&mut has_message);
            self.stale = 0;
        }
    }

    fn forget_if_empty(&mut self, to: &K) {
        if self.queues.get(to).is_some_and(|queue| !queue.is_connected && queue.messages.is_empty()) {
            self.queues.swap_remove(to);
        }
    }

    /// Returns the next recipient that has got a message since it was returned last, if the message's cause is stored.
    pub(super) fn poll_ready(&mut self, stored: u64) -> Option<K> {
        let (key, _) = self.ready.first_key_value().filter(|((cause, _), _)| *cause <= stored)?;
        let key = *key;
        let to = self.ready.remove(&key)?;
        if let Some(queue) = self.queues.get_mut(&to) {
            queue.ready = None;
            // What is held still is announced once it is stored.
            let held = queue.messages.partition_point(|queued| queued.cause <= stored);
            if let Some(queued) = queue.messages.get(held) {
                let key = (queued.cause, self.announced);
                self.announced += 1;
                queue.ready = Some(key);
                self.ready.insert(key, to.clone());
            }
        }
        Some(to)
    }

    /// Returns whether there is a message whose cause is stored.
    pub(super) fn has_any(&self, stored: u64) -> bool {
        let is_stored = |queue: &Queue<M>| queue.messages.front().is_some_and(|queued| queued.cause <= stored);
        self.queued > 0 && (stored == u64::MAX || self.queues.values().any(is_stored))
    }
}
