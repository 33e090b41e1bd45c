//! [`Ranges`]: an interval set of whole numbers, such as ports.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::FlatMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A closed interval of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a range has two ends and nothing else")]
pub struct Range {
    /// The first number.
    pub begin: u64,
    /// The last number; in [`Ranges`] not less than `begin`.
    pub end: u64,
}

impl Range {
    /// Returns true if the number is in the range.
    #[must_use]
    pub const fn contains(self, number: u64) -> bool {
        self.begin <= number && number <= self.end
    }
}

impl From<RangeInclusive<u64>> for Range {
    fn from(numbers: RangeInclusive<u64>) -> Self {
        Self { begin: *numbers.start(), end: *numbers.end() }
    }
}

impl From<Range> for RangeInclusive<u64> {
    fn from(range: Range) -> Self {
        range.begin..=range.end
    }
}

/// The number of ranges up to which results are computed on the stack.
const MAX_INLINE: usize = 4;

/// The spare capacity above which a list is shrunk.
const MAX_SPARE: usize = 64;

/// The number of ranges for each of another list from which each is searched, instead of walking through all.
const MIN_SEARCHED: usize = 16;

type InlineRanges = SmallVec<[Range; MAX_INLINE]>;

/// An interval set of unsigned 64-bit numbers: sorted ranges that neither overlap nor touch.
///
/// # Examples
///
/// ```
/// use apportion::Ranges;
///
/// let mut ports = Ranges::from_iter([31_005..=31_009, 31_000..=31_004]);
/// assert_eq!(ports.to_string(), "[31000-31009]");
/// ports.remove(&Ranges::from_iter([31_003..=31_003]));
/// assert_eq!(ports.to_string(), "[31000-31002,31004-31009]");
/// assert!(ports.contains(31_002) && !ports.contains(31_003));
/// assert_eq!(ports.iter().max(), Some(31_009));
/// ```
#[derive(Clone, Default)]
pub struct Ranges(Repr);

/// Invariant: sorted, and neither overlapping nor touching. A single range, the common case, is stored inline; a list
/// is copy-on-write.
#[derive(Clone, Default)]
enum Repr {
    #[default]
    Empty,
    One(Range),
    Many(Arc<Vec<Range>>),
}

impl Ranges {
    /// Returns the number of members; 2^64 for the set of all numbers.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.as_slice().iter().map(|range| u128::from(range.end - range.begin) + 1).sum()
    }

    /// Returns true if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    /// Returns the ranges in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        match &self.0 {
            Repr::Empty => &[],
            Repr::One(range) => std::slice::from_ref(range),
            Repr::Many(ranges) => ranges,
        }
    }

    /// Iterates over the members in ascending order; [`as_slice`](Self::as_slice) has the ranges.
    #[must_use]
    pub fn iter(&self) -> Numbers<'_> {
        Numbers(self.as_slice().iter().flat_map(|range| range.begin..=range.end))
    }

    /// Returns true if the number is a member. O(log ranges).
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let ranges = self.as_slice();
        ranges.get(ranges.partition_point(|range| range.end < number)).is_some_and(|range| range.begin <= number)
    }

    /// Returns true if every member of `other` is one of these. O(ranges of both), or O(ranges of `other` · log ranges) if they
    /// are few.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        if let (Repr::Many(mine), Repr::Many(theirs)) = (&self.0, &other.0)
            && Arc::ptr_eq(mine, theirs)
        {
            return true;
        }
        if self.has_many_more(other) {
            return other.as_slice().iter().all(|theirs| {
                let mine = self.as_slice();
                let current = mine.get(mine.partition_point(|range| range.end < theirs.end));
                current.is_some_and(|range| range.begin <= theirs.begin)
            });
        }
        let mut mine = self.as_slice().iter();
        let mut current = mine.next();
        other.as_slice().iter().all(|theirs| {
            while current.is_some_and(|range| range.end < theirs.end) {
                current = mine.next();
            }
            current.is_some_and(|range| range.begin <= theirs.begin)
        })
    }

    /// Returns the lowest `count` members, or all if there are fewer.
    pub(super) fn first(&self, mut count: u64) -> Self {
        let cut = |range: &Range| {
            let last = range.begin.saturating_add(count.checked_sub(1)?).min(range.end);
            count = count.saturating_sub((last - range.begin).saturating_add(1));
            Some(Range { begin: range.begin, end: last })
        };
        self.as_slice().iter().map_while(cut).collect()
    }

    /// Adds every member of `other`. O(ranges of both); a search and a move in memory for each range of `other` if they are few.
    pub fn insert(&mut self, other: &Self) {
        let (mine, theirs) = (self.as_slice(), other.as_slice());
        if mine.is_empty() {
            *self = other.clone();
        } else if theirs.is_empty() {
        } else if self.has_many_more(other) {
            self.edit(|list| theirs.iter().for_each(|range| insert_one(list, *range)));
        } else if mine.len() + theirs.len() <= MAX_INLINE {
            let mut result = InlineRanges::new();
            union(mine, theirs, |range| result.push(range));
            self.0 = result.into();
        } else {
            let mut result = Vec::with_capacity(mine.len() + theirs.len());
            union(mine, theirs, |range| result.push(range));
            self.0 = result.into();
        }
    }

    /// Removes every member of `other`. O(ranges of both); a search and a move in memory for each range of `other` if they are
    /// few.
    pub fn remove(&mut self, other: &Self) {
        let (mine, theirs) = (self.as_slice(), other.as_slice());
        if mine.len() + theirs.len() <= MAX_INLINE {
            let mut result = InlineRanges::new();
            difference(mine, theirs, |range| result.push(range));
            self.0 = result.into();
        } else if self.has_many_more(other) {
            self.edit(|list| theirs.iter().for_each(|range| remove_one(list, *range)));
        } else {
            let mut result = Vec::with_capacity(mine.len() + theirs.len());
            difference(mine, theirs, |range| result.push(range));
            self.0 = result.into();
        }
    }
}

impl Ranges {
    /// Returns true if it is cheaper to search for each range of `other` than to walk through all.
    #[inline]
    fn has_many_more(&self, other: &Self) -> bool {
        self.as_slice().len() > MAX_INLINE && self.as_slice().len() / MIN_SEARCHED >= other.as_slice().len()
    }

    /// Changes a list in place, after copying it if it is shared.
    fn edit(&mut self, change: impl FnOnce(&mut Vec<Range>)) {
        let Repr::Many(list) = &mut self.0 else { return };
        let list = Arc::make_mut(list);
        change(list);
        if list.len() < 2 || list.capacity() > 2 * list.len() + MAX_SPARE {
            self.0 = std::mem::take(list).into();
        }
    }
}

/// Adds a range to a list, and joins it with those that it overlaps or touches.
fn insert_one(list: &mut Vec<Range>, mut added: Range) {
    let from = list.partition_point(|range| range.end.saturating_add(1) < added.begin);
    let to = list.partition_point(|range| range.begin <= added.end.saturating_add(1));
    if let Some((first, last)) = list[from..to].first().zip(list[from..to].last()) {
        (added.begin, added.end) = (added.begin.min(first.begin), added.end.max(last.end));
    }
    list.splice(from..to, [added]);
}

/// Removes a range from a list, and leaves what lies before and after it of those that it overlaps.
fn remove_one(list: &mut Vec<Range>, removed: Range) {
    let from = list.partition_point(|range| range.end < removed.begin);
    let to = list.partition_point(|range| range.begin <= removed.end);
    let Some((first, last)) = list[from..to].first().zip(list[from..to].last()) else { return };
    let before = removed.begin.checked_sub(1).filter(|end| first.begin <= *end);
    let after = removed.end.checked_add(1).filter(|begin| *begin <= last.end);
    let before = before.map(|end| Range { begin: first.begin, end });
    let after = after.map(|begin| Range { begin, end: last.end });
    list.splice(from..to, before.into_iter().chain(after));
}

impl From<InlineRanges> for Repr {
    fn from(ranges: InlineRanges) -> Self {
        match ranges.as_slice() {
            [] => Self::Empty,
            [range] => Self::One(*range),
            _ => Self::Many(Arc::new(ranges.into_vec())),
        }
    }
}

impl From<Vec<Range>> for Repr {
    fn from(mut ranges: Vec<Range>) -> Self {
        if ranges.capacity() - ranges.len() > MAX_SPARE {
            ranges.shrink_to_fit();
        }
        match ranges.as_slice() {
            [] => Self::Empty,
            [range] => Self::One(*range),
            _ => Self::Many(Arc::new(ranges)),
        }
    }
}

/// Pushes the union of two non-empty lists in ascending order: a merge that joins ranges that overlap or touch.
fn union(a: &[Range], b: &[Range], mut push: impl FnMut(Range)) {
    let (mut i, mut j) = (0, 0);
    let mut last = if a[0].begin <= b[0].begin { a[0] } else { b[0] };
    while i < a.len() && j < b.len() {
        let (left, right) = (a[i], b[j]);
        let next = if left.begin <= right.begin {
            i += 1;
            left
        } else {
            j += 1;
            right
        };
        if next.begin <= last.end.saturating_add(1) {
            last.end = last.end.max(next.end);
        } else {
            push(last);
            last = next;
        }
    }
    for &next in if i < a.len() { &a[i..] } else { &b[j..] } {
        if next.begin <= last.end.saturating_add(1) {
            last.end = last.end.max(next.end);
        } else {
            push(last);
            last = next;
        }
    }
    push(last);
}

/// Pushes the difference of two lists in ascending order.
fn difference(a: &[Range], b: &[Range], mut push: impl FnMut(Range)) {
    let mut cuts = b.iter().peekable();
    for range in a {
        let mut begin = Some(range.begin);
        while let (Some(from), Some(cut)) = (begin, cuts.peek()) {
            if cut.begin > range.end {
                break;
            }
            if cut.end >= from {
                if cut.begin > from {
                    push(Range { begin: from, end: cut.begin - 1 });
                }
                begin = cut.end.checked_add(1).filter(|next| *next <= range.end);
            }
            if cut.end >= range.end {
                break; // the cut may overlap the next range too
            }
            cuts.next();
        }
        if let Some(begin) = begin {
            push(Range { begin, end: range.end });
        }
    }
}

impl FromIterator<Range> for Ranges {
    /// Sorts and merges ranges; a range whose end is before its begin is empty.
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut sorted: InlineRanges = ranges.into_iter().filter(|range| range.begin <= range.end).collect();
        sorted.sort_unstable();
        sorted.dedup_by(|range, last| {
            let touch = range.begin <= last.end.saturating_add(1);
            if touch {
                last.end = last.end.max(range.end);
            }
            touch
        });
        Self(sorted.into())
    }
}

impl FromIterator<RangeInclusive<u64>> for Ranges {
    /// Sorts and merges ranges; a range whose end is before its begin is empty.
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u64>>>(ranges: I) -> Self {
        ranges.into_iter().map(Range::from).collect()
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        numbers.into_iter().map(|number| number..=number).collect()
    }
}

impl<'a> IntoIterator for &'a Ranges {
    type Item = u64;
    type IntoIter = Numbers<'a>;

    fn into_iter(self) -> Numbers<'a> {
        self.iter()
    }
}

/// The iterator over the members of [`Ranges`], in ascending order.
#[derive(Debug, Clone)]
pub struct Numbers<'a>(Members<std::slice::Iter<'a, Range>, &'a Range>);

type Members<I, R> = FlatMap<I, RangeInclusive<u64>, fn(R) -> RangeInclusive<u64>>;

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Numbers<'_> {
    fn next_back(&mut self) -> Option<u64> {
        self.0.next_back()
    }
}

impl PartialEq for Ranges {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Ranges {}

impl PartialOrd for Ranges {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranges {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl Hash for Ranges {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, range) in self.as_slice().iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}-{}", range.begin, range.end)?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ranges() -> impl Strategy<Value = Ranges> {
        prop::collection::vec((0_u64..40, 0_u64..6), 0..8)
            .prop_map(|pieces| pieces.into_iter().map(|(begin, more)| begin..=begin + more).collect())
    }

    /// Many ranges, most of which the others do not touch.
    fn many_ranges() -> impl Strategy<Value = Ranges> {
        prop::collection::vec((0_u64..400, 0_u64..3), 40..90)
            .prop_map(|pieces| pieces.into_iter().map(|(begin, more)| begin..=begin + more).collect())
    }

    fn members(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.iter().collect()
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_numbers(a in prop_oneof![ranges(), many_ranges()], b in prop_oneof![ranges(), many_ranges()]) {
            let (mut sum, mut rest) = (a.clone(), a.clone());
            sum.insert(&b);
            rest.remove(&b);
            prop_assert_eq!(members(&sum), members(&a).union(&members(&b)).copied().collect());
            prop_assert_eq!(members(&rest), members(&a).difference(&members(&b)).copied().collect());
            prop_assert_eq!(a.is_superset(&b), members(&a).is_superset(&members(&b)));
            prop_assert!(b.iter().all(|number| a.contains(number) == members(&a).contains(&number)));
            prop_assert!(a.iter().rev().eq(members(&a).into_iter().rev()));
            prop_assert_eq!(&a.iter().collect::<Ranges>(), &a);
            prop_assert_eq!(a.count(), members(&a).len() as u128);
            for set in [&sum, &rest] {
                prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].end + 1 < pair[1].begin));
            }
        }
    }

    #[test]
    fn the_ends_of_a_long_list_do_not_overflow() {
        let mut list = Ranges::from_iter((0..100).map(|i| i * 4..=i * 4 + 1).chain([u64::MAX - 1..=u64::MAX]));
        let before = list.clone();
        for end in [0..=0, u64::MAX..=u64::MAX] {
            let end = Ranges::from_iter([end]);
            assert!(list.is_superset(&end));
            list.remove(&end);
            assert!(!list.is_superset(&end));
            assert_eq!(list.count() + 1, before.count());
            list.insert(&end);
            assert_eq!(list, before);
        }
        list.insert(&Ranges::from_iter([1..=u64::MAX]));
        assert_eq!(list, Ranges::from_iter([0..=u64::MAX]));
        let mut rest = before;
        rest.remove(&list);
        assert!(rest.is_empty());
    }

    #[test]
    fn the_smallest_and_the_largest_number_do_not_overflow() {
        let all = Ranges::from_iter([0..=u64::MAX]);
        assert_eq!(all.count(), 1 << 64);
        let mut left = all.clone();
        left.remove(&Ranges::from_iter([0..=0, u64::MAX..=u64::MAX]));
        assert_eq!(left, Ranges::from_iter([1..=u64::MAX - 1]));
        left.remove(&all);
        assert!(left.is_empty());
    }
}
