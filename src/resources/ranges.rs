//! [`Ranges`]: a set of whole numbers, written as ranges; ports above all.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// The numbers from `begin` to `end`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a range has two ends and nothing else")]
pub struct Range {
    /// The first number.
    pub begin: u64,
    /// The last number; never below `begin` in [`Ranges`].
    pub end: u64,
}

/// A set of unsigned 64-bit numbers, kept as sorted ranges that neither overlap nor touch.
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
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ranges(SmallVec<[Range; 1]>);

impl Ranges {
    /// How many numbers there are; more than 64 bits can tell only for the set of all.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.0.iter().map(|range| u128::from(range.end - range.begin) + 1).sum()
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, from the lowest.
    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// The numbers, from the lowest.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|range| range.begin..=range.end)
    }

    /// Whether every number of `other` is in here. O(pieces of both).
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let mut mine = self.0.iter();
        let mut current = mine.next();
        other.0.iter().all(|theirs| {
            while current.is_some_and(|range| range.end < theirs.end) {
                current = mine.next();
            }
            current.is_some_and(|range| range.begin <= theirs.begin)
        })
    }

    /// Adds every number of `other`. O(pieces of both).
    pub fn insert(&mut self, other: &Self) {
        if !other.is_empty() {
            *self = self.0.iter().chain(&other.0).copied().collect();
        }
    }

    /// Takes away every number of `other`; what is not there is passed over. O(pieces of both).
    pub fn remove(&mut self, other: &Self) {
        let mut left = SmallVec::new();
        let mut cuts = other.0.iter().peekable();
        for range in &self.0 {
            let mut begin = Some(range.begin);
            while let (Some(from), Some(cut)) = (begin, cuts.peek()) {
                if cut.begin > range.end {
                    break;
                }
                if cut.end >= from {
                    if cut.begin > from {
                        left.push(Range { begin: from, end: cut.begin - 1 });
                    }
                    begin = cut.end.checked_add(1).filter(|next| *next <= range.end);
                }
                if cut.end >= range.end {
                    break; // it may reach into the next range too
                }
                cuts.next();
            }
            if let Some(begin) = begin {
                left.push(Range { begin, end: range.end });
            }
        }
        self.0 = left;
    }
}

impl FromIterator<Range> for Ranges {
    /// Sorts and merges; a range whose end is before its begin counts as empty.
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut sorted: SmallVec<[Range; 8]> = ranges.into_iter().filter(|range| range.begin <= range.end).collect();
        sorted.sort_unstable();
        let mut merged: SmallVec<[Range; 1]> = SmallVec::new();
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.begin <= last.end.saturating_add(1) => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }
}

impl FromIterator<std::ops::RangeInclusive<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = std::ops::RangeInclusive<u64>>>(ranges: I) -> Self {
        ranges.into_iter().map(|range| Range { begin: *range.start(), end: *range.end() }).collect()
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, range) in self.0.iter().enumerate() {
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

    fn members(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.numbers().collect()
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_numbers(a in ranges(), b in ranges()) {
            let (mut sum, mut rest) = (a.clone(), a.clone());
            sum.insert(&b);
            rest.remove(&b);
            prop_assert_eq!(members(&sum), members(&a).union(&members(&b)).copied().collect());
            prop_assert_eq!(members(&rest), members(&a).difference(&members(&b)).copied().collect());
            prop_assert_eq!(a.contains(&b), members(&a).is_superset(&members(&b)));
            prop_assert_eq!(a.count(), members(&a).len() as u128);
            for set in [&sum, &rest] {
                prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].end + 1 < pair[1].begin));
            }
        }
    }

    #[test]
    fn the_ends_of_the_number_line_do_not_overflow() {
        let all = Ranges::from_iter([0..=u64::MAX]);
        assert_eq!(all.count(), 1 << 64);
        let mut left = all.clone();
        left.remove(&Ranges::from_iter([0..=0, u64::MAX..=u64::MAX]));
        assert_eq!(left, Ranges::from_iter([1..=u64::MAX - 1]));
        left.remove(&all);
        assert!(left.is_empty());
    }
}
