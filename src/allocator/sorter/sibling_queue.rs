//! [`Lineup`]: siblings, of which the first is always known.

use crate::allocator::share::{Share, Totals, Weight};
use crate::allocator::tree::{ClientId, NodeId, ShareTree, Standing};
use std::cmp::Ordering;

/// By what siblings are ordered: smaller share, then fewer gifts, then smaller name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    /// The share, for a first comparison that almost always decides.
    approx: f64,
    /// What is held of the dominant resource, in thousandths; 0 of the first one if nothing is held.
    held: u64,
    count: u64,
    rank: u64,
    weight: Weight,
    resource: u32,
    /// Whether it is awake.
    awake: bool,
}

impl Key {
    #[inline]
    pub(super) fn of(standing: Standing<'_>, totals: &Totals) -> Self {
        let Standing { held, weight, count, rank, is_awake: awake } = standing;
        let (resource, held, of) = totals.dominant(held);
        Self { approx: Share::quotient(held, of, weight), held, count, rank, weight, resource: small(resource), awake }
    }

    fn cmp(&self, other: &Self, totals: &Totals) -> Ordering {
        match (self.rank == other.rank, self.is_before(other, totals)) {
            (true, _) => Ordering::Equal, // no two siblings have the same name
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        }
    }

    /// In the hot loop: one comparison after the other, until one decides.
    #[inline]
    fn is_before(&self, other: &Self, totals: &Totals) -> bool {
        if Share::clearly_differ(self.approx, other.approx) {
            return self.approx < other.approx;
        }
        if self.resource == other.resource && self.weight == other.weight {
            return (self.held, self.count, self.rank) < (other.held, other.count, other.rank);
        }
        self.is_exactly_before(other, totals)
    }

    /// The same for shares of different resources that may well be equal.
    #[cold]
    fn is_exactly_before(&self, other: &Self, totals: &Totals) -> bool {
        let by_share = self.share(totals).cmp(&other.share(totals));
        by_share.then_with(|| (self.count, self.rank).cmp(&(other.count, other.rank))) == Ordering::Less
    }

    fn share(&self, totals: &Totals) -> Share {
        Share::new(self.held, totals.fair(self.resource as usize), self.weight)
    }
}

/// Where a sibling is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    /// In the line.
    InLine,
    /// In the line, but taken out for now.
    Passed,
    /// At that place of the heap.
    Moved(u32),
    /// Nowhere: asleep, or taken out for now.
    Out,
}

/// The children of one node: a *line*, in the order of some moment, and a heap of those that have moved since. The first
/// of all is the first of either.
///
/// Whoever is given something goes behind most others, and to the end of a heap at one comparison. Once the whole line has
/// moved, the heap is sorted to be the next line; when all were served in turn, it is in order already. So a gift costs a
/// few comparisons in the long run while shares grow alike, and O(log siblings) in any case.
#[derive(Debug, Clone, Default)]
pub(super) struct Lineup {
    /// Of what state of the tree and the totals it is.
    stamp: Option<(u64, u64)>,
    /// By slot.
    keys: Vec<Key>,
    /// By slot: the clients, where the children are leaves.
    clients: Vec<Option<ClientId>>,
    /// By slot.
    spots: Vec<Spot>,
    /// Slots in the order that they once had; the spot of each tells whether it still stands there.
    line: Vec<u32>,
    /// Nobody stands in the line before this.
    head: usize,
    /// How many are in the line but taken out, none of them before `back`.
    passed: usize,
    back: usize,
    /// The slots of those that have moved: each is before those at `2 i + 1` and `2 i + 2`.
    heap: Vec<u32>,
    /// How many keys have changed since there is this line.
    changes: usize,
    /// How many looks at those that have moved, or at where they once stood, there were since.
    looks: usize,
    /// The next line, while it is made.
    next: Vec<u32>,
    /// Places of the heap that are still to be looked at, while somebody is looked for.
    ahead: Vec<usize>,
}

impl Lineup {
    pub(super) fn is_of(&self, stamp: (u64, u64)) -> bool {
        self.stamp == Some(stamp)
    }

    /// All children of a node line up anew. O(children · log children); O(children) as long as the order is nearly the same.
    pub(super) fn rebuild(&mut self, stamp: (u64, u64), tree: &ShareTree, totals: &Totals, node: NodeId) {
        let children = tree.children(node);
        self.stamp = Some(stamp);
        self.keys.clear();
        self.keys.extend(children.iter().map(|child| Key::of(tree.standing(*child), totals)));
        self.clients.clear();
        self.clients.extend(children.iter().map(|child| tree.client(*child)));
        self.spots.clear();
        self.spots.resize(children.len(), Spot::Out);
        self.heap.clear();
        // The line that there was is the best guess.
        let (keys, spots) = (&self.keys, &mut self.spots);
        let mut is_new = |slot: &u32| {
            let key = keys.get(*slot as usize).filter(|key| key.awake);
            key.is_some() && std::mem::replace(&mut spots[*slot as usize], Spot::InLine) == Spot::Out
        };
        self.line.retain(&mut is_new);
        self.line.extend((0..small(children.len())).filter(is_new));
        self.line.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize], totals));
        (self.head, self.passed, self.changes, self.looks) = (0, 0, 0, 0);
    }

    /// The slot of the first.
    #[inline]
    pub(super) fn first(&mut self, totals: &Totals) -> Option<usize> {
        self.line_up_if_it_pays(totals);
        let slot = self.first_in_line().or_else(|| {
            // So many changes pay for an order of all.
            if self.heap.len() > 1 && self.changes >= self.keys.len() {
                self.line_up(totals);
            }
            self.first_in_line()
        });
        self.earlier(slot, self.heap.first().copied(), totals)
    }

    #[inline]
    fn first_in_line(&mut self) -> Option<u32> {
        loop {
            let slot = *self.line.get(self.head)?;
            if self.spots[slot as usize] == Spot::InLine {
                return Some(slot);
            }
            self.head += 1;
            self.looks += 1;
        }
    }

    #[inline]
    fn earlier(&self, one: Option<u32>, other: Option<u32>, totals: &Totals) -> Option<usize> {
        let first = match (one, other) {
            (Some(one), Some(other)) if self.is_before(other, one, totals) => Some(other),
            (one, other) => one.or(other),
        };
        first.map(|slot| slot as usize)
    }

    #[inline]
    fn is_before(&self, one: u32, other: u32, totals: &Totals) -> bool {
        self.keys[one as usize].is_before(&self.keys[other as usize], totals)
    }

    /// Takes the child at a slot out until it is put back.
    pub(super) fn take_out(&mut self, slot: usize, totals: &Totals) {
        match self.spots[slot] {
            Spot::InLine => {
                self.spots[slot] = Spot::Passed;
                self.back = if self.passed == 0 { self.head } else { self.back.min(self.head) };
                self.passed += 1;
            }
            Spot::Moved(at) => self.leave(at, totals),
            Spot::Passed | Spot::Out => {}
        }
    }

    /// Puts the child at a slot back where it was.
    pub(super) fn put_back(&mut self, slot: usize, totals: &Totals) {
        match self.spots[slot] {
            Spot::Passed => {
                self.spots[slot] = Spot::InLine;
                self.head = self.head.min(self.back);
                self.passed -= 1;
            }
            Spot::Out if self.keys[slot].awake => self.join(slot, totals),
            Spot::Out | Spot::InLine | Spot::Moved(_) => {}
        }
    }

    /// Changes the key of the child at a slot.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, key: Key, totals: &Totals) {
        if self.keys[slot] == key {
            return;
        }
        self.keys[slot] = key;
        self.changes += 1;
        self.passed -= usize::from(self.spots[slot] == Spot::Passed);
        match (self.spots[slot], key.awake) {
            (Spot::Moved(at), true) => self.settle(at as usize, totals),
            (Spot::Moved(at), false) => self.leave(at, totals),
            (_, true) => self.join(slot, totals),
            (_, false) => self.spots[slot] = Spot::Out,
        }
    }

    /// To the end of the heap, and from there to where it belongs.
    #[inline]
    fn join(&mut self, slot: usize, totals: &Totals) {
        let at = self.heap.len();
        self.heap.push(small(slot));
        // Most go behind all others.
        if at > 0 && self.is_before(small(slot), self.heap[(at - 1) / 2], totals) {
            self.rise(at, totals);
        } else {
            self.spots[slot] = Spot::Moved(small(at));
        }
    }

    /// Out of the heap; the last one takes its place.
    fn leave(&mut self, at: u32, totals: &Totals) {
        let at = at as usize;
        let slot = self.heap.swap_remove(at);
        self.spots[slot as usize] = Spot::Out;
        if at < self.heap.len() {
            self.settle(at, totals);
        }
    }

    /// Up or down the heap, to where it belongs now.
    fn settle(&mut self, at: usize, totals: &Totals) {
        self.rise(at, totals);
        self.sink(at, totals);
    }

    /// Up to where nobody above comes later.
    fn rise(&mut self, mut at: usize, totals: &Totals) {
        let slot = self.heap[at];
        while at > 0 {
            let above = (at - 1) / 2;
            let other = self.heap[above];
            if !self.is_before(slot, other, totals) {
                break;
            }
            self.place(other, at);
            at = above;
        }
        self.place(slot, at);
    }

    /// Down to where nobody below comes earlier.
    fn sink(&mut self, mut at: usize, totals: &Totals) {
        let slot = self.heap[at];
        loop {
            let mut below = 2 * at + 1;
            let Some(&one) = self.heap.get(below) else { break };
            let mut first = one;
            if let Some(&other) = self.heap.get(below + 1)
                && self.is_before(other, one, totals)
            {
                (first, below) = (other, below + 1);
            }
            if !self.is_before(first, slot, totals) {
                break;
            }
            self.place(first, at);
            at = below;
        }
        self.place(slot, at);
    }

    #[inline]
    fn place(&mut self, slot: u32, at: usize) {
        self.heap[at] = slot;
        self.spots[slot as usize] = Spot::Moved(small(at));
    }

    /// The slot of the first that is no leaf, or whose client is wanted. O(those before it), which is little each.
    pub(super) fn first_wanted(&mut self, totals: &Totals, wanted: &dyn Fn(ClientId) -> bool) -> Option<usize> {
        self.line_up_if_it_pays(totals);
        let test = |client: Option<ClientId>| client.is_none_or(wanted);
        let mut unmoved = None;
        for &slot in &self.line[self.head..] {
            let at = slot as usize;
            if self.spots[at] != Spot::InLine {
                self.looks += 1;
            } else if test(self.clients[at]) {
                unmoved = Some(slot);
                break;
            }
        }
        let mut first = unmoved;
        // Whoever is below comes later, so nobody needs to look below one who is wanted, or comes too late.
        self.ahead.extend((!self.heap.is_empty()).then_some(0));
        while let Some(at) = self.ahead.pop() {
            self.looks += 1;
            let slot = self.heap[at];
            if first.is_some_and(|first| self.is_before(first, slot, totals)) {
                continue;
            }
            if test(self.clients[slot as usize]) {
                first = Some(slot);
            } else {
                self.ahead.extend((2 * at + 1..2 * at + 3).filter(|below| *below < self.heap.len()));
            }
        }
        first.map(|slot| slot as usize)
    }

    /// So many looks in vain pay for an order of all: whoever stands in front and is put back again and again would have
    /// those behind looked for past all that have moved.
    #[inline]
    fn line_up_if_it_pays(&mut self, totals: &Totals) {
        if self.looks > self.keys.len() {
            self.line_up(totals);
        }
    }

    /// Those that have moved go back into the line, where they belong now.
    fn line_up(&mut self, totals: &Totals) {
        let (keys, spots) = (&self.keys, &self.spots);
        self.line.retain(|slot| matches!(spots[*slot as usize], Spot::InLine | Spot::Passed));
        if !self.heap.is_sorted_by(|a, b| keys[*a as usize].is_before(&keys[*b as usize], totals)) {
            self.heap.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize], totals));
        }
        let mut rest = self.line.as_slice();
        self.next.clear();
        for &slot in &self.heap {
            let before = rest.partition_point(|other| keys[*other as usize].is_before(&keys[slot as usize], totals));
            self.next.extend_from_slice(&rest[..before]);
            self.next.push(slot);
            rest = &rest[before..];
        }
        self.next.extend_from_slice(rest);
        std::mem::swap(&mut self.line, &mut self.next);
        self.heap.drain(..).for_each(|slot| self.spots[slot as usize] = Spot::InLine);
        (self.head, self.back, self.changes, self.looks) = (0, 0, 0, 0);
    }
}

fn small(slot: usize) -> u32 {
    u32::try_from(slot).expect("fewer than 2^32 nodes fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(held: u32, rank: usize, awake: bool) -> Key {
        Key {
            approx: f64::from(held),
            held: held.into(),
            count: 0,
            rank: rank as u64,
            weight: Weight::ONE,
            resource: 0,
            awake,
        }
    }

    /// So many siblings who hold nothing, in the order of their slots.
    fn lineup(siblings: usize) -> (Lineup, Totals) {
        let totals = Totals::default();
        let mut tree = ShareTree::default();
        for sibling in 0..siblings {
            let client = tree.add(std::iter::once(format!("{sibling:03}").as_str()), |_| Weight::ONE);
            tree.set_active(client, true);
        }
        let mut lineup = Lineup::default();
        lineup.rebuild((0, 0), &tree, &totals, tree.root());
        for slot in 0..siblings {
            lineup.set(slot, key(0, slot, true), &totals);
        }
        (lineup, totals)
    }

    /// What happens to a sibling.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Holds(u32),
        Sleeps,
        IsTakenOut,
        IsPutBack,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..6_u32).prop_map(Event::Holds),
            1 => Just(Event::Sleeps),
            3 => Just(Event::IsTakenOut),
            3 => Just(Event::IsPutBack),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_look_at_all(events in prop::collection::vec((event(), 0..40_usize, 0..40_usize), 1..300)) {
            let (mut lineup, totals) = lineup(40);
            let mut plain: Vec<(u32, bool, bool)> = vec![(0, true, false); 40]; // held, awake, taken out
            for (event, slot, unwanted) in events {
                let (held, awake, out) = &mut plain[slot];
                match event {
                    Event::IsTakenOut if *awake => {
                        lineup.take_out(slot, &totals);
                        *out = true;
                    }
                    Event::IsTakenOut => {}
                    Event::IsPutBack => {
                        lineup.put_back(slot, &totals);
                        *out = false;
                    }
                    // As the sorter does it: who was taken out is put back before its key changes.
                    Event::Holds(_) | Event::Sleeps => {
                        lineup.put_back(slot, &totals);
                        *out = false;
                        if let Event::Holds(amount) = event {
                            (*held, *awake) = (amount, true);
                        } else {
                            *awake = false;
                        }
                        lineup.set(slot, key(*held, slot, *awake), &totals);
                    }
                }
                let standing = |slot: &usize| plain[*slot].1 && !plain[*slot].2;
                let first = |wanted: &dyn Fn(usize) -> bool| {
                    (0..40).filter(standing).filter(|slot| wanted(*slot)).min_by_key(|slot| (plain[*slot].0, *slot))
                };
                prop_assert_eq!(lineup.first(&totals), first(&|_| true));
                let wanted = |client: ClientId| client.index() >= unwanted;
                prop_assert_eq!(lineup.first_wanted(&totals, &wanted), first(&|slot| slot >= unwanted));
            }
        }
    }

    #[test]
    fn few_are_looked_at_behind_one_who_takes_nothing() {
        let (mut lineup, totals) = lineup(400);
        let mut looks = 0;
        for gift in 1..400_usize {
            assert_eq!(lineup.first(&totals), Some(0));
            // A new line is a look at all.
            looks += if lineup.heap.is_empty() { 400 } else { 0 };
            lineup.take_out(0, &totals);
            let before = lineup.head;
            assert_eq!(lineup.first(&totals), Some(gift));
            looks += if lineup.heap.is_empty() { 400 } else { lineup.head - before };
            lineup.put_back(0, &totals);
            lineup.set(gift, key(1, gift, true), &totals);
        }
        assert!(looks < 4 * 400 * 20, "{looks}"); // 79,800, if all between were looked at each time
    }

    #[test]
    fn whoever_is_served_in_turn_stays_in_order() {
        let (mut lineup, totals) = lineup(100);
        for gift in 0..1_000_usize {
            let first = lineup.first(&totals);
            assert_eq!(first, Some(gift % 100));
            lineup.set(gift % 100, key(u32::try_from(gift / 100).unwrap() + 1, gift % 100, true), &totals);
        }
    }
}
