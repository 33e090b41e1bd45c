//! [`Registry`]: ids outside, dense numbers inside.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

/// Things by their id, and by a dense number that stays theirs until they are removed.
///
/// The table holds numbers alone, so that a thing is found by its id with little memory looked at besides its own.
#[derive(Debug, Clone)]
pub(crate) struct Registry<Id, T> {
    table: HashTable<u32>,
    /// Of a seed of its own, so that nobody can choose ids that collide; no order comes of it.
    hasher: foldhash::fast::RandomState,
    slots: Vec<Slot<Id, T>>,
    free: Vec<usize>,
}

/// Begins where a line of the cache does.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Slot<Id, T>(Option<(Id, T)>);

impl<Id, T> Default for Registry<Id, T> {
    fn default() -> Self {
        let hasher = foldhash::fast::RandomState::default();
        Self { table: HashTable::new(), hasher, slots: Vec::new(), free: Vec::new() }
    }
}

impl<Id: Hash + Eq, T> Registry<Id, T> {
    pub(crate) fn find(&self, id: &Id) -> Option<usize> {
        let found = self.table.find(self.hasher.hash_one(id), |ix| self.has(*ix as usize, id));
        found.map(|ix| *ix as usize)
    }

    /// Whether a number is that of an id.
    #[inline]
    pub(crate) fn has(&self, ix: usize, id: &Id) -> bool {
        matches!(self.slots.get(ix), Some(Slot(Some((known, _)))) if known == id)
    }

    /// Adds something under an id that is not yet taken.
    pub(crate) fn insert(&mut self, id: Id, thing: T) -> usize {
        let ix = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot(None));
            self.slots.len() - 1
        });
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let hash = hasher.hash_one(&id);
        slots[ix] = Slot(Some((id, thing)));
        let number = u32::try_from(ix).expect("fewer than 2^32 things fit into memory");
        self.table
            .insert_unique(hash, number, |ix| slots[*ix as usize].0.as_ref().map_or(0, |(id, _)| hasher.hash_one(id)));
        ix
    }

    pub(crate) fn remove(&mut self, id: &Id) -> Option<(usize, T)> {
        let hash = self.hasher.hash_one(id);
        let slots = &self.slots;
        let is_it = |ix: &u32| matches!(&slots[*ix as usize], Slot(Some((known, _))) if known == id);
        let (ix, _) = self.table.find_entry(hash, is_it).ok()?.remove();
        let ix = ix as usize;
        self.free.push(ix);
        self.slots[ix].0.take().map(|(_, thing)| (ix, thing))
    }

    /// The id of a number that is in use.
    #[inline]
    pub(crate) fn id(&self, ix: usize) -> &Id {
        &self.slots[ix].0.as_ref().expect("a number is only kept for as long as its thing is there").0
    }

    /// The thing of a number, if there is one.
    pub(crate) fn get(&self, ix: usize) -> Option<&T> {
        self.slots.get(ix)?.0.as_ref().map(|(_, thing)| thing)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, ix: usize) -> Option<&mut T> {
        self.slots.get_mut(ix)?.0.as_mut().map(|(_, thing)| thing)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// All things by their number, from the lowest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().enumerate().filter_map(|(ix, slot)| Some((ix, &slot.0.as_ref()?.1)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(ix, slot)| Some((ix, &mut slot.0.as_mut()?.1)))
    }

    /// All ids, by their number.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Id> {
        self.slots.iter().filter_map(|slot| slot.0.as_ref()).map(|(id, _)| id)
    }
}

impl<Id, T> std::ops::Index<usize> for Registry<Id, T> {
    type Output = T;

    #[inline]
    fn index(&self, ix: usize) -> &T {
        &self.slots[ix].0.as_ref().expect("a number is only kept for as long as its thing is there").1
    }
}

impl<Id, T> std::ops::IndexMut<usize> for Registry<Id, T> {
    #[inline]
    fn index_mut(&mut self, ix: usize) -> &mut T {
        &mut self.slots[ix].0.as_mut().expect("a number is only kept for as long as its thing is there").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_and_leads_to_its_new_thing() {
        let mut registry = Registry::default();
        let numbers = ["a", "b", "c"].map(|id| registry.insert(id, id.to_uppercase()));
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(registry.remove(&"b"), Some((1, "B".to_owned())));
        assert_eq!((registry.find(&"b"), registry.remove(&"b"), registry.len()), (None, None, 2));
        assert_eq!(registry.insert("d", "D".to_owned()), 1);
        assert!(registry.has(1, &"d") && !registry.has(1, &"b") && !registry.has(7, &"d"));
        assert_eq!(registry.ids().collect::<Vec<_>>(), [&"a", &"d", &"c"]);
        assert_eq!((registry.find(&"d"), registry[1].as_str()), (Some(1), "D"));
    }
}
