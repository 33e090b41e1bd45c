//! [`Registry`]: ids outside, dense numbers inside.

use indexmap::IndexMap;
use std::hash::Hash;

/// Things by their id, and by a dense number that stays theirs until they are removed.
#[derive(Debug, Clone)]
pub(crate) struct Registry<Id, T> {
    index: IndexMap<Id, usize, foldhash::fast::RandomState>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<Id, T> Default for Registry<Id, T> {
    fn default() -> Self {
        Self { index: IndexMap::default(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<Id: Hash + Eq, T> Registry<Id, T> {
    pub(crate) fn find(&self, id: &Id) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Adds something under an id that is not yet taken.
    pub(crate) fn insert(&mut self, id: Id, thing: T) -> usize {
        let ix = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[ix] = Some(thing);
        self.index.insert(id, ix);
        ix
    }

    pub(crate) fn remove(&mut self, id: &Id) -> Option<(usize, T)> {
        let ix = self.index.swap_remove(id)?;
        self.free.push(ix);
        self.slots[ix].take().map(|thing| (ix, thing))
    }

    /// The thing of a number, if there is one.
    pub(crate) fn get_mut(&mut self, ix: usize) -> Option<&mut T> {
        self.slots.get_mut(ix).and_then(Option::as_mut)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// All things by their number, from the lowest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().enumerate().filter_map(|(ix, slot)| Some((ix, slot.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(ix, slot)| Some((ix, slot.as_mut()?)))
    }

    /// All ids, in no particular order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Id> {
        self.index.keys()
    }
}

impl<Id, T> std::ops::Index<usize> for Registry<Id, T> {
    type Output = T;

    #[inline]
    fn index(&self, ix: usize) -> &T {
        self.slots[ix].as_ref().expect("a number is only kept for as long as its thing is there")
    }
}

impl<Id, T> std::ops::IndexMut<usize> for Registry<Id, T> {
    #[inline]
    fn index_mut(&mut self, ix: usize) -> &mut T {
        self.slots[ix].as_mut().expect("a number is only kept for as long as its thing is there")
    }
}
