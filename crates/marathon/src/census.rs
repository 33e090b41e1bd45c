//! [`Census`]: how the tasks of one app are doing, counted.

use crate::definition::KillFirst;
use std::collections::{BTreeMap, BTreeSet};

/// What a task is to its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Of the present version, launched and not up yet, or no longer.
    Starting,
    /// Of the present version, running, and healthy if that is looked at.
    Up,
    /// Of an older version, not up.
    OldDown,
    /// Of an older version, up.
    OldUp,
    /// Being killed, and still there.
    Dying,
}

/// The tasks of an app by what they are to it. A task is a number: the later it was launched, the greater.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    classes: BTreeMap<u64, Class>,
    tasks: BTreeMap<Class, BTreeSet<u64>>,
}

impl Census {
    /// A task is of that class from now on.
    pub(crate) fn put(&mut self, task: u64, class: Class) {
        self.remove(task);
        self.classes.insert(task, class);
        self.tasks.entry(class).or_default().insert(task);
    }

    /// A task has ended.
    pub(crate) fn remove(&mut self, task: u64) {
        let class = self.classes.remove(&task);
        if let Some(tasks) = class.and_then(|class| self.tasks.get_mut(&class)) {
            tasks.remove(&task);
        }
    }

    /// All tasks are of an older version from now on.
    pub(crate) fn grow_old(&mut self) {
        for (new, old) in [(Class::Starting, Class::OldDown), (Class::Up, Class::OldUp)] {
            for task in self.tasks.remove(&new).unwrap_or_default() {
                self.put(task, old);
            }
        }
    }

    pub(crate) fn count(&self, class: Class) -> u64 {
        self.tasks.get(&class).map_or(0, |tasks| tasks.len() as u64)
    }

    /// How many there are.
    pub(crate) fn all(&self) -> u64 {
        self.classes.len() as u64
    }

    /// Up to so many of a class, in that order.
    pub(crate) fn first(&self, class: Class, count: u64, order: KillFirst) -> Vec<u64> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let tasks = self.tasks.get(&class).into_iter().flatten().copied();
        match order {
            KillFirst::Oldest => tasks.take(count).collect(),
            KillFirst::Youngest => tasks.rev().take(count).collect(),
        }
    }
}
