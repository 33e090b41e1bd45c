//! [`Frameworks`]: those that are known, and those that were removed last.

use super::Map;
use super::entry::FrameworkEntry;
use apportion::{FrameworkId, KnownFramework, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// The frameworks.
#[derive(Debug)]
pub(super) struct Frameworks {
    registered: Map<FrameworkId, Arc<FrameworkEntry>>,
    completed: VecDeque<Arc<FrameworkEntry>>,
    max_completed: usize,
    /// The number of frameworks that ever came.
    came: u64,
}

/// A framework that was removed.
#[derive(Debug)]
pub(super) struct Removed {
    pub(super) entry: Arc<FrameworkEntry>,
    /// The frameworks that are forgotten, because there are too many.
    pub(super) forgotten: Vec<FrameworkId>,
}

impl Frameworks {
    pub(super) fn new(max_completed: usize) -> Self {
        Self { registered: Map::default(), completed: VecDeque::new(), max_completed, came: 0 }
    }

    /// Returns the frameworks that are registered or recovered, in order of coming.
    pub(super) fn registered(&self) -> impl Iterator<Item = &Arc<FrameworkEntry>> {
        self.registered.values()
    }

    /// Returns the frameworks that were removed, the oldest first.
    pub(super) fn completed(&self) -> impl Iterator<Item = &Arc<FrameworkEntry>> {
        self.completed.iter()
    }

    /// Notes a subscription. Returns the framework, and whether it is a new one.
    pub(super) fn subscribed(&mut self, known: KnownFramework<'_>, now: Time) -> (Arc<FrameworkEntry>, bool) {
        let is_new = !self.registered.contains_key(&known.framework.id);
        let mut entry = self.described(known);
        entry.registered.get_or_insert(now);
        (entry.reregistered, entry.unregistered) = (Some(now), None);
        (self.put(entry), is_new)
    }

    /// Notes what is known of a framework. Returns it if that is something else than before, and whether it is a new one.
    pub(super) fn read(&mut self, known: KnownFramework<'_>, now: Time) -> Option<(Arc<FrameworkEntry>, bool)> {
        let before = self.registered.get(&known.framework.id).cloned();
        let mut entry = self.described(known);
        if before.as_ref().is_some_and(|before| before.active && !entry.active) {
            entry.unregistered = Some(now);
        } else if entry.active {
            entry.unregistered = None;
        }
        if before.as_deref() == Some(&entry) {
            return None;
        }
        Some((self.put(entry), before.is_none()))
    }

    /// Removes a framework.
    pub(super) fn remove(&mut self, framework: &FrameworkId, now: Time) -> Option<Removed> {
        let mut entry = self.registered.shift_remove(framework)?;
        let removed = Arc::make_mut(&mut entry);
        (removed.active, removed.recovered, removed.unregistered) = (false, false, Some(now));
        self.completed.push_back(entry.clone());
        let too_many = self.completed.len().saturating_sub(self.max_completed);
        let forgotten = self.completed.drain(..too_many).map(|entry| entry.framework.id.clone());
        Some(Removed { entry, forgotten: forgotten.collect() })
    }

    fn described(&self, known: KnownFramework<'_>) -> FrameworkEntry {
        let before = self.registered.get(&known.framework.id);
        FrameworkEntry {
            number: before.map_or(self.came, |before| before.number),
            framework: known.framework.clone(),
            active: known.active,
            recovered: known.recovered,
            suppressed: known.suppressed.to_vec(),
            registered: before.and_then(|before| before.registered),
            reregistered: before.and_then(|before| before.reregistered),
            unregistered: before.and_then(|before| before.unregistered),
        }
    }

    fn put(&mut self, entry: FrameworkEntry) -> Arc<FrameworkEntry> {
        if entry.number == self.came {
            self.came += 1;
            self.completed.retain(|other| other.framework.id != entry.framework.id); // it has come again
        }
        let entry = Arc::new(entry);
        self.registered.insert(entry.framework.id.clone(), entry.clone());
        entry
    }
}
