//! Changes of placed tasks other than the last one: tasks that end, and tasks that come back.

use super::{Placed, PlacedTask};
use crate::text::Text;

impl Placed {
    /// Returns the number of indices: of tasks that are placed, and of those that were removed.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns the number of indices without a task.
    pub(crate) fn removed(&self) -> usize {
        self.removed
    }

    /// Returns true if the task of an index was not removed.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.tasks.get(index).is_some_and(Option::is_some)
    }

    /// Returns the indices of all tasks of an app, outdated ones included.
    pub(crate) fn indices(&self, app: &str) -> Vec<usize> {
        let all = self.by_app.get(app).into_iter().flat_map(|tasks| &tasks.indices);
        all.copied().filter(|index| self.contains(*index)).collect()
    }

    /// Returns by index the tasks, without those that were removed.
    pub(crate) fn into_tasks(self) -> Vec<Option<PlacedTask>> {
        self.tasks
    }

    /// Removes the task of an index; the others keep theirs. Drops all topology domains.
    pub(crate) fn remove(&mut self, index: usize) -> Option<PlacedTask> {
        let task = self.tasks.get_mut(index)?.take()?;
        self.removed += 1;
        self.clear_domains();
        if let Some(tasks) = self.by_app.get_mut(&task.app) {
            tasks.count -= usize::from(!task.is_outdated);
        }
        for (field, field_index) in &mut self.indexed {
            field_index.remove(index, field, &task);
        }
        for field in &task.exclusive {
            if let (Some(value), Some(values)) = (task.location.value(field), self.exclusive_holders.get_mut(field))
                && let Some(holders) = values.get_mut(value.as_ref())
            {
                holders.retain(|holder| *holder != index);
                if holders.is_empty() {
                    values.swap_remove(value.as_ref());
                }
            }
            self.has_reordered_holders = true;
        }
        Some(task)
    }

    /// Puts a task back at the index that it was [removed](Self::remove) from, or another in its place: of the same app
    /// and on the same host. Drops all topology domains.
    pub(crate) fn put_back(&mut self, index: usize, task: PlacedTask) {
        debug_assert!(!self.contains(index), "the index is free");
        self.removed -= 1;
        self.clear_domains();
        if let Some(tasks) = self.by_app.get_mut(&task.app) {
            tasks.count += usize::from(!task.is_outdated);
        }
        for (field, field_index) in &mut self.indexed {
            field_index.insert(index, field, &task);
        }
        for field in &task.exclusive {
            if let Some(value) = task.location.value(field) {
                let values = self.exclusive_holders.entry(field.clone()).or_default();
                let holders = values.entry(value.into()).or_default();
                if let Err(at) = holders.binary_search(&index) {
                    holders.insert(at, index);
                }
            }
            self.has_reordered_holders = true;
        }
        self.tasks[index] = Some(task);
    }

    /// Drops the topology domains of all apps.
    pub(crate) fn clear_domains(&mut self) {
        self.domains.clear();
    }

    /// Restores what an index over tasks that were only ever added would have, the order of first tasks: of the values in
    /// an app's tallies, and of the fields with values that are held exclusively.
    pub(crate) fn restore_order(&mut self, app: &str) {
        for (field, field_index) in &mut self.indexed {
            field_index.restore_order(field, app, super::siblings(&self.by_app, &self.tasks, app));
        }
        if std::mem::take(&mut self.has_reordered_holders) {
            self.exclusive_holders.retain(|_, values| !values.is_empty());
            let tasks = &self.tasks;
            self.exclusive_holders.sort_by_cached_key(|field, values| {
                let first = values.values().filter_map(|holders| holders.first()).min().copied();
                let task = first.and_then(|first| tasks[first].as_ref());
                (first, task.and_then(|task| task.exclusive.iter().position(|one| one == field)))
            });
        }
    }

    /// [Restores](Self::restore_order) the order for all apps.
    pub(crate) fn restore_all_orders(&mut self) {
        let mut apps: Vec<Text> = self.indexed.values().flat_map(|index| index.reordered().cloned()).collect();
        apps.sort_unstable();
        apps.dedup();
        apps.iter().for_each(|app| self.restore_order(app));
        self.restore_order("");
    }
}
