//! [`SiblingQueue`]: a priority queue over the children of one node, made of a sorted run and a min-heap of re-keyed entries.

use crate::allocator::index::{IndexVec, SlotIx};
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;

/// What siblings are ordered by: a total order, in which no two siblings are equal.
pub(super) trait SiblingKey: PartialEq {
    /// What a comparison needs besides both keys.
    type Context;

    /// Returns whether there is an active client at or below the sibling: others are not in the queue.
    fn is_active(&self) -> bool;

    /// Returns whether this sibling comes before another one. In the hot loop.
    fn is_before(&self, other: &Self, context: &Self::Context) -> bool;

    /// Compares the keys of two active siblings.
    fn compare(&self, other: &Self, context: &Self::Context) -> Ordering {
        match (self.is_before(other, context), other.is_before(self, context)) {
            (true, _) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => Ordering::Equal, // the same sibling
        }
    }
}

/// The state of a sibling in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the run.
    InRun,
    /// Popped from the run; its entry there is kept for when it is pushed back.
    PoppedFromRun,
    /// In the heap, at that position.
    InHeap(u32),
    /// In neither: inactive, or popped from the heap.
    Out,
}

/// A priority queue over the children of one node: a *run*, sorted at some moment, and a binary min-heap of the entries
/// that were re-keyed since. The minimum is the smaller one of both heads.
///
/// A sibling that is allocated something mostly goes behind all others, which is the end of the heap, at one comparison.
/// Once the whole run was re-keyed, the heap is sorted to be the next run; if the siblings were served in turn, it is sorted
/// already. So a change costs a few comparisons, amortised, while shares grow alike, and O(log siblings) in any case. To look
/// past the minimum, pop it and push it back when the walk ends.
#[derive(Debug, Clone)]
pub(super) struct SiblingQueue<K> {
    /// The versions of the tree and the totals that it was built for.
    version: Option<(u64, u64)>,
    keys: IndexVec<SlotIx, K>,
    /// The clients of those children that are leaves.
    clients: IndexVec<SlotIx, Option<ClientId>>,
    states: IndexVec<SlotIx, State>,
    /// The run. An entry is deleted lazily: the slot's state tells whether it is still there.
    run: Vec<SlotIx>,
    /// No entry of the run before this position is [`State::InRun`].
    head: usize,
    /// The number of entries that are [`State::PoppedFromRun`], none of them before `first_popped`.
    popped: usize,
    first_popped: usize,
    /// A binary heap: the entry at `i` comes before those at `2 i + 1` and `2 i + 2`.
    heap: Vec<SlotIx>,
    /// The number of keys changed since the run was made.
    changes: usize,
    /// The number of probes since then that found an entry which is gone from the run or was not wanted in the heap.
    wasted_probes: usize,
    /// Scratch: the next run, while it is merged.
    merged: Vec<SlotIx>,
    /// Scratch: the positions of the heap that a search has still to probe.
    frontier: Vec<usize>,
}

impl<K> Default for SiblingQueue<K> {
    fn default() -> Self {
        Self {
            version: None,
            keys: IndexVec::default(),
            clients: IndexVec::default(),
            states: IndexVec::default(),
            run: Vec::new(),
            head: 0,
            popped: 0,
            first_popped: 0,
            heap: Vec::new(),
            changes: 0,
            wasted_probes: 0,
            merged: Vec::new(),
            frontier: Vec::new(),
        }
    }
}

impl<K: SiblingKey> SiblingQueue<K> {
    pub(super) fn is_of(&self, version: (u64, u64)) -> bool {
        self.version == Some(version)
    }

    /// Builds the queue anew from the children of a node. O(children · log children), and O(children) if the order is
    /// nearly the same as before.
    pub(super) fn rebuild(
        &mut self,
        version: (u64, u64),
        tree: &ShareTree,
        node: NodeId,
        key: impl Fn(NodeId) -> K,
        context: &K::Context,
    ) {
        let children = tree.children(node);
        self.version = Some(version);
        self.keys.clear();
        self.keys.extend(children.iter().map(|child| key(*child)));
        self.clients.clear();
        self.clients.extend(children.iter().map(|child| tree.client(*child)));
        self.states.clear();
        self.states.extend(children.iter().map(|_| State::Out));
        self.heap.clear();
        // The old run is the best guess at the new one.
        let (keys, states) = (&self.keys, &mut self.states);
        let mut is_new = |slot: &SlotIx| {
            let key = keys.get(*slot).filter(|key| key.is_active());
            key.is_some() && std::mem::replace(&mut states[*slot], State::InRun) == State::Out
        };
        self.run.retain(&mut is_new);
        self.run.extend(keys.indices().filter(is_new));
        self.run.sort_by(|a, b| keys[*a].compare(&keys[*b], context));
        (self.head, self.popped, self.changes, self.wasted_probes) = (0, 0, 0, 0);
    }

    /// Returns the minimum.
    #[inline]
    pub(super) fn first(&mut self, context: &K::Context) -> Option<SlotIx> {
        self.rebuild_run_if_wasteful(context);
        let slot = self.first_in_run().or_else(|| {
            // As many changes as siblings pay for a new run.
            if self.heap.len() > 1 && self.changes >= self.keys.len() {
                self.rebuild_run(context);
            }
            self.first_in_run()
        });
        match (slot, self.heap.first().copied()) {
            (Some(one), Some(other)) if self.is_before(other, one, context) => Some(other),
            (one, other) => one.or(other),
        }
    }

    #[inline]
    fn first_in_run(&mut self) -> Option<SlotIx> {
        loop {
            let slot = *self.run.get(self.head)?;
            if self.states[slot] == State::InRun {
                return Some(slot);
            }
            self.head += 1;
            self.wasted_probes += 1;
        }
    }

    #[inline]
    fn is_before(&self, one: SlotIx, other: SlotIx, context: &K::Context) -> bool {
        self.keys[one].is_before(&self.keys[other], context)
    }

    /// Removes a sibling until it is [pushed back](Self::push_back).
    pub(super) fn pop(&mut self, slot: SlotIx, context: &K::Context) {
        match self.states[slot] {
            State::InRun => {
                self.states[slot] = State::PoppedFromRun;
                self.first_popped = if self.popped == 0 { self.head } else { self.first_popped.min(self.head) };
                self.popped += 1;
            }
            State::InHeap(at) => self.remove_from_heap(at, context),
            State::PoppedFromRun | State::Out => {}
        }
    }

    /// Adds a sibling again that was popped.
    pub(super) fn push_back(&mut self, slot: SlotIx, context: &K::Context) {
        match self.states[slot] {
            State::PoppedFromRun => {
                self.states[slot] = State::InRun;
                self.head = self.head.min(self.first_popped);
                self.popped -= 1;
            }
            State::Out if self.keys[slot].is_active() => self.push_to_heap(slot, context),
            State::Out | State::InRun | State::InHeap(_) => {}
        }
    }

    /// Changes the key of a sibling.
    #[inline]
    pub(super) fn set_key(&mut self, slot: SlotIx, key: K, context: &K::Context) {
        if self.keys[slot] == key {
            return;
        }
        let is_active = key.is_active();
        self.keys[slot] = key;
        self.changes += 1;
        self.popped -= usize::from(self.states[slot] == State::PoppedFromRun);
        match (self.states[slot], is_active) {
            (State::InHeap(at), true) => self.sift(at as usize, context),
            (State::InHeap(at), false) => self.remove_from_heap(at, context),
            (_, true) => self.push_to_heap(slot, context),
            (_, false) => self.states[slot] = State::Out,
        }
    }

    #[inline]
    fn push_to_heap(&mut self, slot: SlotIx, context: &K::Context) {
        let at = self.heap.len();
        self.heap.push(slot);
        // Most come after all others.
        if at > 0 && self.is_before(slot, self.heap[(at - 1) / 2], context) {
            self.sift_up(at, context);
        } else {
            self.states[slot] = State::InHeap(small(at));
        }
    }

    fn remove_from_heap(&mut self, at: u32, context: &K::Context) {
        let at = at as usize;
        let slot = self.heap.swap_remove(at);
        self.states[slot] = State::Out;
        if at < self.heap.len() {
            self.sift(at, context);
        }
    }

    /// Restores the heap's invariant for an entry that may be too far up or down.
    fn sift(&mut self, at: usize, context: &K::Context) {
        self.sift_up(at, context);
        self.sift_down(at, context);
    }

    fn sift_up(&mut self, mut at: usize, context: &K::Context) {
        let slot = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            let other = self.heap[parent];
            if !self.is_before(slot, other, context) {
                break;
            }
            self.put(other, at);
            at = parent;
        }
        self.put(slot, at);
    }

    fn sift_down(&mut self, mut at: usize, context: &K::Context) {
        let slot = self.heap[at];
        loop {
            let mut child = 2 * at + 1;
            let Some(&one) = self.heap.get(child) else { break };
            let mut first = one;
            if let Some(&other) = self.heap.get(child + 1)
                && self.is_before(other, one, context)
            {
                (first, child) = (other, child + 1);
            }
            if !self.is_before(first, slot, context) {
                break;
            }
            self.put(first, at);
            at = child;
        }
        self.put(slot, at);
    }

    #[inline]
    fn put(&mut self, slot: SlotIx, at: usize) {
        self.heap[at] = slot;
        self.states[slot] = State::InHeap(small(at));
    }

    /// Returns the first sibling that is an inner node, or whose client is wanted. O(siblings before it).
    pub(super) fn first_wanted(&mut self, context: &K::Context, wanted: &dyn Fn(ClientId) -> bool) -> Option<SlotIx> {
        self.rebuild_run_if_wasteful(context);
        let is_wanted = |client: Option<ClientId>| client.is_none_or(wanted);
        let mut first = None;
        for &slot in &self.run[self.head..] {
            if self.states[slot] != State::InRun {
                self.wasted_probes += 1;
            } else if is_wanted(self.clients[slot]) {
                first = Some(slot);
                break;
            }
        }
        // What is below an entry comes after it: no need to look below one that is wanted, or comes too late.
        self.frontier.extend((!self.heap.is_empty()).then_some(0));
        while let Some(at) = self.frontier.pop() {
            self.wasted_probes += 1;
            let slot = self.heap[at];
            if first.is_some_and(|first| self.is_before(first, slot, context)) {
                continue;
            }
            if is_wanted(self.clients[slot]) {
                first = Some(slot);
            } else {
                self.frontier.extend((2 * at + 1..2 * at + 3).filter(|child| *child < self.heap.len()));
            }
        }
        first
    }

    /// Rebuilds the run after n wasted probes, so that an ineligible minimum, which is popped and pushed back again and
    /// again, cannot make every lookup rescan what is behind it.
    #[inline]
    fn rebuild_run_if_wasteful(&mut self, context: &K::Context) {
        if self.wasted_probes > self.keys.len() {
            self.rebuild_run(context);
        }
    }

    /// Merges the heap into the run.
    fn rebuild_run(&mut self, context: &K::Context) {
        let (keys, states) = (&self.keys, &self.states);
        self.run.retain(|slot| matches!(states[*slot], State::InRun | State::PoppedFromRun));
        if !self.heap.is_sorted_by(|a, b| keys[*a].is_before(&keys[*b], context)) {
            self.heap.sort_by(|a, b| keys[*a].compare(&keys[*b], context));
        }
        let mut rest = self.run.as_slice();
        self.merged.clear();
        for &slot in &self.heap {
            let before = rest.partition_point(|other| keys[*other].is_before(&keys[slot], context));
            self.merged.extend_from_slice(&rest[..before]);
            self.merged.push(slot);
            rest = &rest[before..];
        }
        self.merged.extend_from_slice(rest);
        std::mem::swap(&mut self.run, &mut self.merged);
        self.heap.drain(..).for_each(|slot| self.states[slot] = State::InRun);
        (self.head, self.first_popped, self.changes, self.wasted_probes) = (0, 0, 0, 0);
    }
}

fn small(at: usize) -> u32 {
    u32::try_from(at).expect("fewer than 2^32 nodes fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::DenseIndex;
    use crate::allocator::share::Weight;
    use proptest::prelude::*;

    fn slot(position: usize) -> SlotIx {
        SlotIx::new(position)
    }

    /// What is held, and the position among the siblings.
    #[derive(Debug, Clone, PartialEq)]
    struct Key(u32, usize, bool);

    impl SiblingKey for Key {
        type Context = ();

        fn is_active(&self) -> bool {
            self.2
        }

        fn is_before(&self, other: &Self, (): &()) -> bool {
            (self.0, self.1) < (other.0, other.1)
        }
    }

    fn key(held: u32, position: usize, is_active: bool) -> Key {
        Key(held, position, is_active)
    }

    /// So many siblings that hold nothing, in the order of their slots.
    fn queue(siblings: usize) -> SiblingQueue<Key> {
        let mut tree = ShareTree::default();
        for sibling in 0..siblings {
            let client = tree.add(std::iter::once(format!("{sibling:03}").as_str()), 0, |_| Weight::ONE);
            tree.set_active(client, true);
        }
        let mut queue = SiblingQueue::default();
        let position = |node: NodeId| tree.slot(node).position();
        queue.rebuild((0, 0), &tree, tree.root(), |node| key(0, position(node), true), &());
        queue
    }

    #[derive(Debug, Clone, Copy)]
    enum Event {
        Holds(u32),
        Deactivates,
        IsPopped,
        IsPushedBack,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..6_u32).prop_map(Event::Holds),
            1 => Just(Event::Deactivates),
            3 => Just(Event::IsPopped),
            3 => Just(Event::IsPushedBack),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(events in prop::collection::vec((event(), 0..40_usize, 0..40_usize), 1..300)) {
            let mut queue = queue(40);
            let mut plain: Vec<(u32, bool, bool)> = vec![(0, true, false); 40]; // held, active, popped
            for (event, position, unwanted) in events {
                let at = slot(position);
                let (held, active, popped) = &mut plain[position];
                match event {
                    Event::IsPopped if *active => {
                        queue.pop(at, &());
                        *popped = true;
                    }
                    Event::IsPopped => {}
                    Event::IsPushedBack => {
                        queue.push_back(at, &());
                        *popped = false;
                    }
                    // As the sorter does it: a popped sibling is pushed back before its key changes.
                    Event::Holds(_) | Event::Deactivates => {
                        queue.push_back(at, &());
                        *popped = false;
                        if let Event::Holds(amount) = event {
                            (*held, *active) = (amount, true);
                        } else {
                            *active = false;
                        }
                        queue.set_key(at, key(*held, position, *active), &());
                    }
                }
                let is_queued = |position: &usize| plain[*position].1 && !plain[*position].2;
                let first = |wanted: &dyn Fn(usize) -> bool| {
                    let queued = (0..40).filter(is_queued).filter(|position| wanted(*position));
                    queued.min_by_key(|position| (plain[*position].0, *position)).map(slot)
                };
                prop_assert_eq!(queue.first(&()), first(&|_| true));
                let wanted = |client: ClientId| client.index() >= unwanted;
                prop_assert_eq!(queue.first_wanted(&(), &wanted), first(&|position| position >= unwanted));
            }
        }
    }

    #[test]
    fn an_ineligible_minimum_wastes_few_probes() {
        let mut queue = queue(400);
        let mut probes = 0;
        for allocation in 1..400_usize {
            assert_eq!(queue.first(&()), Some(slot(0)));
            // A new run probes all.
            probes += if queue.heap.is_empty() { 400 } else { 0 };
            queue.pop(slot(0), &());
            let before = queue.head;
            assert_eq!(queue.first(&()), Some(slot(allocation)));
            probes += if queue.heap.is_empty() { 400 } else { queue.head - before };
            queue.push_back(slot(0), &());
            queue.set_key(slot(allocation), key(1, allocation, true), &());
        }
        assert!(probes < 4 * 400 * 20, "{probes}"); // 79,800 if each lookup probed all between
    }

    #[test]
    fn siblings_that_are_served_in_turn_stay_in_order() {
        let mut queue = queue(100);
        for allocation in 0..1_000_usize {
            let position = allocation % 100;
            assert_eq!(queue.first(&()), Some(slot(position)));
            queue.set_key(slot(position), key(u32::try_from(allocation / 100).unwrap() + 1, position, true), &());
        }
    }
}
