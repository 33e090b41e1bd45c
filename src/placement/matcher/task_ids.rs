//! [`TaskIds`]: numbers the tasks of each app, past the ids that are taken.

use crate::id::TaskId;
use crate::text::Text;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeSet;

/// The ids that are taken, and by app name the last number that was given out.
#[derive(Debug)]
pub(super) struct TaskIds<'a> {
    running: IndexSet<&'a TaskId, foldhash::fast::FixedState>,
    /// The ids of ended tasks: there may be many more of these than are looked for.
    ended: &'a BTreeSet<TaskId>,
    last: IndexMap<Text, u64, foldhash::fast::FixedState>,
}

impl<'a> TaskIds<'a> {
    pub(super) fn new(ended: &'a BTreeSet<TaskId>, running: impl Iterator<Item = &'a TaskId>) -> Self {
        Self { running: running.collect(), ended, last: IndexMap::default() }
    }

    /// Returns the last number that was given out under a name; 0 = none.
    pub(super) fn last(&self, name: &Text) -> u64 {
        self.last.get(name).copied().unwrap_or(0)
    }

    /// Makes an earlier number the last one again.
    pub(super) fn rewind(&mut self, name: Text, last: u64) {
        self.last.insert(name, last);
    }

    /// Returns the name with the next number that makes an id which is not taken.
    pub(super) fn next(&mut self, name: &Text) -> TaskId {
        if !self.last.contains_key(name) {
            self.last.insert(name.clone(), 0);
        }
        let number = &mut self.last[name];
        loop {
            *number += 1;
            let id = TaskId::new(Text::from_display(format_args!("{name}.{number}")));
            if !self.running.contains(&id) && !self.ended.contains(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_skip_taken_ids_and_go_back() {
        let (ended, running) = (BTreeSet::from([TaskId::from("web.2")]), [TaskId::from("db.1")]);
        let (mut ids, web) = (TaskIds::new(&ended, running.iter()), Text::from("web"));
        assert_eq!([ids.next(&web), ids.next(&web)], ["web.1", "web.3"].map(TaskId::from));
        assert_eq!(ids.next(&"db".into()), TaskId::from("db.2"));
        assert_eq!(ids.last(&web), 3);
        ids.rewind(web.clone(), 1);
        assert_eq!(ids.next(&web), TaskId::from("web.3"));
    }
}
