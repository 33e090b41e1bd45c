//! [`Slab`]: items at indices that are reused.

use super::{DenseIndex, IndexVec};
use std::ops;

/// A slab: an array of slots with a free list. Insertion and removal are O(1); an index stays valid until its item is removed,
/// and the index freed last is reused first.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct Slab<I, T> {
    slots: IndexVec<I, Option<T>>,
    free: Vec<I>,
}

impl<I, T> Default for Slab<I, T> {
    fn default() -> Self {
        Self { slots: IndexVec::default(), free: Vec::new() }
    }
}

impl<I: DenseIndex, T> Slab<I, T> {
    pub(in crate::allocator) fn insert(&mut self, item: T) -> I {
        match self.free.pop() {
            Some(ix) => {
                self.slots[ix] = Some(item);
                ix
            }
            None => self.slots.push(Some(item)),
        }
    }

    pub(in crate::allocator) fn remove(&mut self, ix: I) -> Option<T> {
        let item = self.slots.get_mut(ix)?.take()?;
        self.free.push(ix);
        Some(item)
    }

    #[inline]
    pub(in crate::allocator) fn get(&self, ix: I) -> Option<&T> {
        self.slots.get(ix)?.as_ref()
    }

    /// All items, from the lowest index.
    pub(in crate::allocator) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.slots.iter().filter_map(|(ix, slot)| Some((ix, slot.as_ref()?)))
    }
}

impl<I: DenseIndex, T> ops::Index<I> for Slab<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, ix: I) -> &T {
        self.slots[ix].as_ref().expect("an index is not kept beyond its item")
    }
}

impl<I: DenseIndex, T> ops::IndexMut<I> for Slab<I, T> {
    #[inline]
    fn index_mut(&mut self, ix: I) -> &mut T {
        self.slots[ix].as_mut().expect("an index is not kept beyond its item")
    }
}
