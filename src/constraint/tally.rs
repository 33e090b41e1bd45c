//! [`Tally`]: a multiset of the values of a field.

use crate::text::Text;
use indexmap::{Equivalent, IndexMap};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// A hash map that iterates in order of insertion, so that no verdict depends on hashes.
pub(super) type Map<K, V> = IndexMap<K, V, foldhash::fast::RandomState>;

/// A multiset of values: how many tasks have each value of a field. Tasks without a value count under `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    counts: Map<Option<Text>, u64>,
    /// A histogram of the counts: how many values have each count. Its keys are few, so that the minimum and the excess
    /// over all values are cheap to compute.
    histogram: BTreeMap<u64, u64>,
}

impl Tally {
    /// Returns the number of tasks with that value.
    #[must_use]
    pub fn count(&self, value: &str) -> u64 {
        self.counts.get(&ValueRef(value)).copied().unwrap_or(0)
    }

    /// Iterates over the values in order of their first task, each with the number of tasks that have it.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&Text>, u64)> {
        self.counts.iter().map(|(value, count)| (value.as_ref(), *count))
    }

    /// Returns the number of distinct values; `None` counts as one.
    pub(crate) fn groups(&self) -> u64 {
        self.counts.len() as u64
    }

    /// Returns the smallest count of any value; `None` counts as a value.
    pub(crate) fn fewest(&self) -> Option<u64> {
        self.histogram.first_key_value().map(|(count, _)| *count)
    }

    /// Returns the smallest count of any value other than `None`.
    pub(super) fn fewest_of_values(&self) -> Option<u64> {
        let without_value = self.counts.get(&None);
        let is_of_value = |(count, values): &(&u64, &u64)| Some(*count) != without_value || **values > 1;
        self.histogram.iter().find(is_of_value).map(|(count, _)| *count)
    }

    /// Returns the first value, as they sort, of those with the smallest count of any value other than `None`.
    pub(super) fn first_with_fewest(&self) -> Option<Text> {
        let fewest = self.fewest_of_values()?;
        self.iter().filter(|(_, count)| *count == fewest).filter_map(|(value, _)| value).min().cloned()
    }

    /// Returns the sum over all values of the tasks beyond `limit`. O(distinct counts).
    pub(crate) fn excess_over(&self, limit: u64) -> u64 {
        self.histogram.range(limit..).map(|(count, values)| (count - limit) * values).sum()
    }

    pub(super) fn add(&mut self, value: Option<&str>) {
        let existing = match value {
            Some(value) => self.counts.get_mut(&ValueRef(value)),
            None => self.counts.get_mut(&None),
        };
        let count = match existing {
            Some(count) => count,
            None => self.counts.entry(value.map(Text::from)).or_default(),
        };
        *count += 1;
        move_count(&mut self.histogram, *count - 1, *count);
    }

    /// Undoes the last [`add`](Self::add), which was of this value.
    pub(super) fn remove_last(&mut self, value: &Option<Text>) {
        let Some(count) = self.counts.get_mut(value) else { return };
        *count -= 1;
        move_count(&mut self.histogram, *count + 1, *count);
        if *count == 0 {
            self.counts.shift_remove(value);
        }
    }

    /// Removes any task that has this value. The values may be in another order afterwards.
    pub(super) fn remove(&mut self, value: &Option<Text>) {
        let Some(count) = self.counts.get_mut(value) else { return };
        *count -= 1;
        move_count(&mut self.histogram, *count + 1, *count);
        if *count == 0 {
            self.counts.swap_remove(value);
        }
    }
}

/// A borrowed value as a lookup key for `Option<Text>`.
struct ValueRef<'a>(&'a str);

impl Hash for ValueRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Some(self.0).hash(state);
    }
}

impl Equivalent<Option<Text>> for ValueRef<'_> {
    fn equivalent(&self, value: &Option<Text>) -> bool {
        value.as_deref() == Some(self.0)
    }
}

/// Moves one value in the histogram from one count to another; count 0 is not kept.
fn move_count(histogram: &mut BTreeMap<u64, u64>, from: u64, to: u64) {
    if let Some(values) = histogram.get_mut(&from) {
        *values -= 1;
        if *values == 0 {
            histogram.remove(&from);
        }
    }
    if to > 0 {
        *histogram.entry(to).or_default() += 1;
    }
}
