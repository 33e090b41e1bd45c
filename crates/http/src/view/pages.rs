//! [`Pages`]: a table whose copy costs little.

use std::sync::Arc;

/// The number of entries of a page.
const PAGE: usize = 64;

/// A place in a table. It is given out again once its entry is removed.
pub(crate) type Slot = usize;

/// A copy-on-write table: a clone copies a pointer for each page of entries, and a change after it copies one page. Both are
/// pointers to entries, which a change copies in the same way.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: Vec<Arc<[Option<Arc<T>>; PAGE]>>,
    /// The free places, the last one first.
    free: Vec<Slot>,
    length: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), free: Vec::new(), length: 0 }
    }
}

impl<T> Pages<T> {
    /// Adds an entry.
    pub(crate) fn insert(&mut self, entry: Arc<T>) -> Slot {
        if self.free.is_empty() {
            let first = self.pages.len() * PAGE;
            self.pages.push(Arc::new([const { None }; PAGE]));
            self.free.extend((first..first + PAGE).rev());
        }
        let slot = self.free.pop().expect("a page was added");
        Arc::make_mut(&mut self.pages[slot / PAGE])[slot % PAGE] = Some(entry);
        self.length += 1;
        slot
    }

    /// Removes an entry. Its place is free.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Arc<T>> {
        let entry = Arc::make_mut(self.pages.get_mut(slot / PAGE)?)[slot % PAGE].take()?;
        self.free.push(slot);
        self.length -= 1;
        Some(entry)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Arc<T>> {
        self.pages.get(slot / PAGE)?[slot % PAGE].as_ref()
    }

    /// Changes an entry. Copies of the table keep it as it was.
    pub(crate) fn change(&mut self, slot: Slot) -> Option<&mut T>
    where
        T: Clone,
    {
        Arc::make_mut(self.pages.get_mut(slot / PAGE)?)[slot % PAGE].as_mut().map(Arc::make_mut)
    }

    /// Returns a copy to read.
    pub(crate) fn copy(&self) -> Self {
        Self { pages: self.pages.clone(), free: Vec::new(), length: self.length }
    }

    /// Returns the entries in no order that means something.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.pages.iter().flat_map(|page| page.iter().flatten())
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_was() {
        let mut table = Pages::default();
        let slots: Vec<Slot> = (0..200).map(|number| table.insert(Arc::new(number))).collect();
        let before = table.copy();
        assert_eq!(table.remove(slots[70]).as_deref(), Some(&70));
        assert_eq!(table.remove(slots[70]), None);
        *table.change(slots[3]).unwrap() = 1000;
        assert_eq!(table.insert(Arc::new(2000)), slots[70], "a free place is taken first");
        assert_eq!(before.iter().map(|number| **number).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
        assert_eq!((table.get(slots[3]).map(|number| **number), table.len()), (Some(1000), 200));
        assert!(Arc::ptr_eq(&before.pages[2], &table.pages[2]), "a page without changes is shared");
        assert_eq!(table.get(100_000), None);
    }
}
