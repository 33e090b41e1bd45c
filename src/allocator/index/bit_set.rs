//! [`BitSet`]: a set of dense indices.

use super::DenseIndex;
use std::marker::PhantomData;

/// A bit set over dense indices that counts its members.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct BitSet<I> {
    words: Vec<u64>,
    len: usize,
    index: PhantomData<I>,
}

impl<I> Default for BitSet<I> {
    fn default() -> Self {
        Self { words: Vec::new(), len: 0, index: PhantomData }
    }
}

/// Returns the position of an index's word, and its bit there.
#[inline]
pub(super) fn locate(ix: impl DenseIndex) -> (usize, u64) {
    (ix.position() / 64, 1 << (ix.position() % 64))
}

impl<I: DenseIndex> BitSet<I> {
    /// Adds an index; returns whether it is new.
    pub(in crate::allocator) fn insert(&mut self, ix: I) -> bool {
        let (at, bit) = locate(ix);
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        let word = &mut self.words[at];
        let is_new = *word & bit == 0;
        *word |= bit;
        self.len += usize::from(is_new);
        is_new
    }

    pub(in crate::allocator) fn remove(&mut self, ix: I) {
        if self.contains(ix) {
            let (at, bit) = locate(ix);
            self.words[at] &= !bit;
            self.len -= 1;
        }
    }

    /// Adds or removes an index.
    pub(in crate::allocator) fn set(&mut self, ix: I, is_member: bool) {
        if is_member {
            self.insert(ix);
        } else {
            self.remove(ix);
        }
    }

    pub(in crate::allocator) fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }

    /// Returns the number of members.
    pub(in crate::allocator) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::allocator) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(in crate::allocator) fn contains(&self, ix: I) -> bool {
        let (at, bit) = locate(ix);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    /// Returns a word of the set: the bit `b` of the word `at` stands for the index `64 * at + b`.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// Iterates over the members in ascending order.
    pub(in crate::allocator) fn iter(&self) -> impl Iterator<Item = I> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let some = |word: u64| (word != 0).then_some(word);
            let rest = std::iter::successors(some(*word), move |word| some(word & (word - 1)));
            rest.map(move |word| I::new(at * 64 + word.trailing_zeros() as usize))
        })
    }

    /// Adds all members of another set.
    pub(in crate::allocator) fn insert_all(&mut self, others: &Self) {
        if self.words.len() < others.words.len() {
            self.words.resize(others.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&others.words) {
            self.len += (theirs & !*mine).count_ones() as usize;
            *mine |= theirs;
        }
    }

    /// Removes all members of another set.
    pub(in crate::allocator) fn remove_all(&mut self, others: &Self) {
        for (mine, theirs) in self.words.iter_mut().zip(&others.words) {
            self.len -= (*mine & theirs).count_ones() as usize;
            *mine &= !theirs;
        }
    }

    /// Returns whether every member is one of `others` too.
    pub(in crate::allocator) fn is_subset(&self, others: &Self) -> bool {
        let theirs = others.words.iter().chain(std::iter::repeat(&0));
        self.len <= others.len && self.words.iter().zip(theirs).all(|(mine, theirs)| mine & !theirs == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::MemberIx;

    fn set(positions: &[usize]) -> BitSet<MemberIx> {
        let mut set = BitSet::default();
        positions.iter().for_each(|position| assert!(set.insert(MemberIx::new(*position))));
        set
    }

    #[test]
    fn subsets_are_told_from_others() {
        let (mine, theirs) = (set(&[0, 63, 64, 200]), set(&[63, 64]));
        assert!(theirs.is_subset(&mine) && !mine.is_subset(&theirs) && set(&[]).is_subset(&set(&[])));
    }

    #[test]
    fn a_union_has_each_member_once() {
        let mut mine = set(&[1, 64]);
        mine.insert_all(&set(&[0, 64, 200]));
        let members: Vec<usize> = mine.iter().map(DenseIndex::position).collect();
        assert_eq!((members, mine.len()), (vec![0, 1, 64, 200], 4));
    }

    #[test]
    fn a_removed_index_is_no_member() {
        let mut mine = set(&[5, 70]);
        mine.remove(MemberIx::new(70));
        mine.remove(MemberIx::new(1000));
        let members = [5, 70, 1000].map(|position| mine.contains(MemberIx::new(position)));
        assert_eq!((members, mine.len()), ([true, false, false], 1));
    }
}
