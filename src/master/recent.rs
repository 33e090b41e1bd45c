//! [`Recent`]: a bounded map that forgets its oldest entries.

use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::hash::Hash;

/// A map of bounded size: an ordered map by age, with an index by key.
#[derive(Debug, Clone)]
pub(super) struct Recent<K, V> {
    by_age: BTreeMap<u64, K>,
    entries: IndexMap<K, (u64, V), foldhash::fast::RandomState>,
    inserted: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { by_age: BTreeMap::new(), entries: IndexMap::default(), inserted: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Inserts an entry as the newest, and removes the oldest ones beyond `limit`. Returns the removed entries.
    pub(super) fn insert(&mut self, key: K, value: V, limit: usize) -> Vec<(K, V)> {
        self.remove(&key);
        let mut removed = Vec::new();
        self.inserted += 1;
        self.by_age.insert(self.inserted, key.clone());
        self.entries.insert(key, (self.inserted, value));
        while self.entries.len() > limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            removed.extend(self.entries.swap_remove_entry(&oldest).map(|(key, (_, value))| (key, value)));
        }
        removed
    }

    /// The entries, from the oldest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.by_age.values().filter_map(|key| Some((key, self.get(key)?)))
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (age, value) = self.entries.swap_remove(key)?;
        self.by_age.remove(&age);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_are_forgotten() {
        let mut recent = Recent::default();
        for key in ["a", "b", "c"] {
            recent.insert(key, key.len(), 3);
        }
        recent.insert("a", 7, 3); // now the newest
        assert_eq!(recent.insert("d", 1, 3), [("b", 1)], "b is the oldest");
        assert_eq!((recent.get(&"a"), recent.contains(&"b")), (Some(&7), false));
        assert_eq!(recent.remove(&"c"), Some(1));
        assert_eq!(recent.insert("e", 1, 0).len(), 3, "with a limit of 0 nothing stays");
    }
}
