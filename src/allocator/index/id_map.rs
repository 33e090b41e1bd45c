//! [`IdMap`]: from ids to dense indices and the things that they stand for.

use super::{DenseIndex, Slab};
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};
use std::ops;

/// A hash map from ids to the entries of a slab.
///
/// The table holds indices alone, so that a lookup by id touches little memory besides the entry.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct IdMap<Id, I, T> {
    table: HashTable<I>,
    /// Seeded for this map alone, so that nobody can choose ids that collide. No order depends on it.
    hasher: foldhash::fast::RandomState,
    entries: Slab<I, Entry<Id, T>>,
}

/// Aligned to a cache line.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Entry<Id, T> {
    id: Id,
    thing: T,
}

impl<Id, I, T> Default for IdMap<Id, I, T> {
    fn default() -> Self {
        Self { table: HashTable::new(), hasher: foldhash::fast::RandomState::default(), entries: Slab::default() }
    }
}

impl<Id: Hash + Eq, I: DenseIndex, T> IdMap<Id, I, T> {
    pub(in crate::allocator) fn find(&self, id: &Id) -> Option<I> {
        self.table.find(self.hasher.hash_one(id), |ix| self.has(*ix, id)).copied()
    }

    /// Returns whether `ix` is the index of `id`.
    #[inline]
    pub(in crate::allocator) fn has(&self, ix: I, id: &Id) -> bool {
        self.entries.get(ix).is_some_and(|entry| entry.id == *id)
    }

    /// Adds a thing under an id that is not yet taken.
    pub(in crate::allocator) fn insert(&mut self, id: Id, thing: T) -> I {
        let (entries, hasher) = (&mut self.entries, &self.hasher);
        let hash = hasher.hash_one(&id);
        let ix = entries.insert(Entry { id, thing });
        self.table.insert_unique(hash, ix, |ix| hasher.hash_one(&entries[*ix].id));
        ix
    }

    pub(in crate::allocator) fn remove(&mut self, id: &Id) -> Option<(I, T)> {
        let hash = self.hasher.hash_one(id);
        let entries = &self.entries;
        let is_it = |ix: &I| entries.get(*ix).is_some_and(|entry| entry.id == *id);
        let (ix, _) = self.table.find_entry(hash, is_it).ok()?.remove();
        self.entries.remove(ix).map(|entry| (ix, entry.thing))
    }

    /// Returns the id of an index that is in use.
    #[inline]
    pub(in crate::allocator) fn id(&self, ix: I) -> &Id {
        &self.entries[ix].id
    }

    /// Returns the number of things.
    pub(in crate::allocator) fn len(&self) -> usize {
        self.table.len()
    }

    /// All things, from the lowest index.
    pub(in crate::allocator) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.entries.iter().map(|(ix, entry)| (ix, &entry.thing))
    }

    /// All ids, from the lowest index.
    pub(in crate::allocator) fn ids(&self) -> impl Iterator<Item = &Id> {
        self.entries.iter().map(|(_, entry)| &entry.id)
    }
}

impl<Id, I: DenseIndex, T> ops::Index<I> for IdMap<Id, I, T> {
    type Output = T;

    #[inline]
    fn index(&self, ix: I) -> &T {
        &self.entries[ix].thing
    }
}

impl<Id, I: DenseIndex, T> ops::IndexMut<I> for IdMap<Id, I, T> {
    #[inline]
    fn index_mut(&mut self, ix: I) -> &mut T {
        &mut self.entries[ix].thing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::RoleIx;

    #[test]
    fn an_index_is_reused_and_leads_to_its_new_thing() {
        let mut map = IdMap::default();
        let [a, b, c] = ["a", "b", "c"].map(|id| map.insert(id, id.to_uppercase()));
        assert_eq!([a, b, c], [0, 1, 2].map(RoleIx::new));
        assert_eq!(map.remove(&"b"), Some((b, "B".to_owned())));
        assert_eq!((map.find(&"b"), map.remove(&"b"), map.len()), (None, None, 2));
        assert_eq!(map.insert("d", "D".to_owned()), b);
        assert!(map.has(b, &"d") && !map.has(b, &"b") && !map.has(RoleIx::new(7), &"d"));
        assert_eq!(map.ids().collect::<Vec<_>>(), [&"a", &"d", &"c"]);
        assert_eq!((map.find(&"d"), map[b].as_str()), (Some(b), "D"));
    }
}
