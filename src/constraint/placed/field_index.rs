//! [`FieldIndex`]: the placed tasks by their value of a field.

use super::PlacedTask;
use crate::constraint::tally::Map;
use crate::constraint::{Field, Tally};
use crate::text::Text;
use indexmap::IndexSet;
use smallvec::SmallVec;

/// An index over the values of a field.
///
/// A task is known by its index in order of placement.
#[derive(Debug, Clone, Default)]
pub(super) struct FieldIndex {
    by_app: Map<Text, Tally>,
    /// By value, the tasks of any app that are not outdated.
    current: Map<Text, TaskList>,
    /// By value, the outdated tasks.
    outdated: Map<Text, TaskList>,
    /// The apps whose tally may list its values in another order than that of their first tasks.
    reordered: IndexSet<Text, foldhash::fast::FixedState>,
}

type TaskList = SmallVec<[usize; 2]>;

impl FieldIndex {
    /// Adds a task after all others.
    pub(super) fn add(&mut self, index: usize, field: &Field, task: &PlacedTask) {
        let value = task.location.value(field);
        let value = value.as_deref();
        if let Some(value) = value {
            let tasks = self.tasks_of(task);
            match tasks.get_mut(value) {
                Some(list) => list.push(index),
                None => drop(tasks.insert(value.into(), SmallVec::from_slice(&[index]))),
            }
        }
        if !task.is_outdated {
            match self.by_app.get_mut(&task.app) {
                Some(tally) => tally.add(value),
                None => self.by_app.entry(task.app.clone()).or_default().add(value),
            }
        }
    }

    /// Undoes the last [`add`](Self::add).
    pub(super) fn remove_last(&mut self, field: &Field, task: &PlacedTask) {
        let value = task.location.value(field).map(Text::from);
        if let Some(value) = &value {
            let tasks = self.tasks_of(task);
            if let Some(list) = tasks.get_mut(value) {
                list.pop();
                if list.is_empty() {
                    tasks.swap_remove(value);
                }
            }
        }
        if !task.is_outdated
            && let Some(tally) = self.by_app.get_mut(&task.app)
        {
            tally.remove_last(&value);
        }
    }

    /// Removes any task.
    pub(super) fn remove(&mut self, index: usize, field: &Field, task: &PlacedTask) {
        let value = task.location.value(field).map(Text::from);
        if let Some(value) = &value {
            let tasks = self.tasks_of(task);
            if let Some(list) = tasks.get_mut(value) {
                if let Ok(at) = list.binary_search(&index) {
                    list.remove(at);
                }
                if list.is_empty() {
                    tasks.swap_remove(value);
                }
            }
        }
        if !task.is_outdated
            && let Some(tally) = self.by_app.get_mut(&task.app)
        {
            tally.remove(&value);
            self.reordered.insert(task.app.clone());
        }
    }

    /// Adds a task at its place among the others.
    pub(super) fn insert(&mut self, index: usize, field: &Field, task: &PlacedTask) {
        let value = task.location.value(field);
        let value = value.as_deref();
        if let Some(value) = value {
            let list = self.tasks_of(task).entry(value.into()).or_default();
            if let Err(at) = list.binary_search(&index) {
                list.insert(at, index);
            }
        }
        if !task.is_outdated {
            self.by_app.entry(task.app.clone()).or_default().add(value);
            self.reordered.insert(task.app.clone());
        }
    }

    /// Counts the tasks of an app anew, if its values may be out of order; `siblings` are its tasks in order.
    pub(super) fn restore_order<'a>(
        &mut self,
        field: &Field,
        app: &str,
        siblings: impl Iterator<Item = &'a PlacedTask>,
    ) {
        if !self.reordered.swap_remove(app) {
            return;
        }
        let mut tally = Tally::default();
        siblings.for_each(|task| tally.add(task.location.value(field).as_deref()));
        self.by_app.insert(app.into(), tally);
    }

    /// Returns the apps whose tally may be out of order.
    pub(super) fn reordered(&self) -> impl Iterator<Item = &Text> {
        self.reordered.iter()
    }

    pub(super) fn tally(&self, app: &str) -> Option<&Tally> {
        self.by_app.get(app)
    }

    /// Iterates over the tasks with a value: those that are not outdated, then the others.
    pub(super) fn with(&self, value: &str) -> impl Iterator<Item = usize> {
        [&self.current, &self.outdated].into_iter().filter_map(move |tasks| tasks.get(value)).flatten().copied()
    }

    fn tasks_of(&mut self, task: &PlacedTask) -> &mut Map<Text, TaskList> {
        if task.is_outdated { &mut self.outdated } else { &mut self.current }
    }
}
