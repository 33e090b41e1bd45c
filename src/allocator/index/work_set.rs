//! [`WorkSet`]: a set of dense indices that is iterated often.

use super::DenseIndex;
use super::bit_set::{BitSet, locate};
use std::marker::PhantomData;

/// A dirty set: a bit set with a summary, a bit for each word that is not 0.
///
/// Insertion and removal are O(1). An iteration is O(members + capacity / 4096), from the lowest index.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct WorkSet<I> {
    words: Vec<u64>,
    summary: Vec<u64>,
    len: usize,
    index: PhantomData<I>,
}

impl<I> Default for WorkSet<I> {
    fn default() -> Self {
        Self { words: Vec::new(), summary: Vec::new(), len: 0, index: PhantomData }
    }
}

impl<I: DenseIndex> WorkSet<I> {
    /// Adds an index; returns whether it is new.
    #[inline]
    pub(in crate::allocator) fn insert(&mut self, ix: I) -> bool {
        let (at, bit) = locate(ix);
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
            self.summary.resize(at / 64 + 1, 0);
        }
        let word = &mut self.words[at];
        if *word & bit != 0 {
            return false;
        }
        if *word == 0 {
            self.summary[at / 64] |= 1 << (at % 64);
        }
        *word |= bit;
        self.len += 1;
        true
    }

    /// Removes an index; returns whether it was a member.
    #[inline]
    pub(in crate::allocator) fn remove(&mut self, ix: I) -> bool {
        let (at, bit) = locate(ix);
        let Some(word) = self.words.get_mut(at).filter(|word| **word & bit != 0) else { return false };
        *word &= !bit;
        if *word == 0 {
            self.summary[at / 64] &= !(1 << (at % 64));
        }
        self.len -= 1;
        true
    }

    /// Returns the number of members.
    pub(in crate::allocator) fn len(&self) -> usize {
        self.len
    }

    /// Returns whether an index is a member.
    pub(in crate::allocator) fn contains(&self, ix: I) -> bool {
        let (at, bit) = locate(ix);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    /// Removes all members.
    pub(in crate::allocator) fn clear(&mut self) {
        for (at, summary) in self.summary.iter_mut().enumerate() {
            ones(std::mem::take(summary)).for_each(|bit| self.words[at * 64 + bit] = 0);
        }
        self.len = 0;
    }

    pub(in crate::allocator) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All members, from the lowest.
    pub(in crate::allocator) fn iter(&self) -> impl Iterator<Item = I> {
        let words = self.summary.iter().enumerate().flat_map(|(at, word)| ones(*word).map(move |bit| at * 64 + bit));
        words.flat_map(|at| ones(self.words[at]).map(move |bit| I::new(at * 64 + bit)))
    }

    /// All members that are not in another set, from the lowest. O(members / 64) beside what it returns.
    pub(in crate::allocator) fn iter_except(&self, others: &BitSet<I>) -> impl Iterator<Item = I> {
        let words = self.summary.iter().enumerate().flat_map(|(at, word)| ones(*word).map(move |bit| at * 64 + bit));
        words.flat_map(move |at| ones(self.words[at] & !others.word(at)).map(move |bit| I::new(at * 64 + bit)))
    }

    /// All members, from the lowest, as a list.
    pub(in crate::allocator) fn to_vec(&self) -> Vec<I> {
        let mut members = Vec::with_capacity(self.len);
        self.iter().for_each(|ix| members.push(ix));
        members
    }
}

/// The positions of the bits that are 1.
#[inline]
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::AgentIx;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_an_ordered_set(changes in prop::collection::vec((0..10_u8, 0..9_000_usize), 0..300)) {
            let (mut set, mut plain) = (WorkSet::default(), BTreeSet::new());
            for (change, position) in changes {
                match change {
                    0 => {
                        set.clear();
                        plain.clear();
                    }
                    1..6 => prop_assert_eq!(set.insert(AgentIx::new(position % 200)), plain.insert(position % 200)),
                    6..8 => prop_assert_eq!(set.insert(AgentIx::new(position)), plain.insert(position)),
                    _ => prop_assert_eq!(set.remove(AgentIx::new(position % 200)), plain.remove(&(position % 200))),
                }
                prop_assert_eq!(set.to_vec(), plain.iter().map(|position| AgentIx::new(*position)).collect::<Vec<_>>());
                prop_assert_eq!(set.is_empty(), plain.is_empty());
            }
        }
    }
}
