//! [`TaskIds`]: numbers the tasks of each app, past the ids that are taken.

use crate::id::TaskId;
use crate::text::Text;
use indexmap::{IndexMap, IndexSet};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The ids that are taken, and by app name the last number that was given out.
#[derive(Debug)]
pub(super) struct TaskIds<'a> {
    running: IndexSet<TaskId, foldhash::fast::FixedState>,
    /// The ids of ended tasks: there may be many more of these than are looked for.
    ended: Cow<'a, BTreeSet<TaskId>>,
    last: IndexMap<Text, u64, foldhash::fast::FixedState>,
}

impl<'a> TaskIds<'a> {
    pub(super) fn new(ended: Cow<'a, BTreeSet<TaskId>>, running: impl Iterator<Item = TaskId>) -> Self {
        Self { running: running.collect(), ended, last: IndexMap::default() }
    }

    /// Takes the id of a running task.
    pub(super) fn take(&mut self, id: TaskId) {
        self.running.insert(id);
    }

    /// Forgets the id of a task that has ended, if the number alone keeps it from being given out again.
    pub(super) fn retire(&mut self, id: &TaskId) {
        let (name, number) = id.as_str().rsplit_once('.').unwrap_or_default();
        let is_past = match number.parse::<u64>() {
            Ok(number) => self.last.get(name).is_some_and(|last| number <= *last),
            // No id that is given out is like that.
            Err(_) => true,
        };
        if is_past {
            self.running.swap_remove(id);
        }
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
        let mut ids = TaskIds::new(Cow::Borrowed(&ended), running.into_iter());
        let web = Text::from("web");
        assert_eq!([ids.next(&web), ids.next(&web)], ["web.1", "web.3"].map(TaskId::from));
        assert_eq!(ids.next(&"db".into()), TaskId::from("db.2"));
        assert_eq!(ids.last(&web), 3);
        ids.rewind(web.clone(), 1);
        assert_eq!(ids.next(&web), TaskId::from("web.3"));
    }

    #[test]
    fn an_id_that_has_ended_is_not_given_out_again() {
        let mut ids = TaskIds::new(Cow::default(), ["web.1", "web.2", "other"].map(TaskId::from).into_iter());
        ["web.2", "other"].iter().for_each(|id| ids.retire(&TaskId::from(*id)));
        assert_eq!(ids.running.len(), 2);
        assert_eq!(ids.next(&"web".into()), TaskId::from("web.3"));
        ["web.1", "web.2"].iter().for_each(|id| ids.retire(&TaskId::from(*id)));
        assert!(ids.running.is_empty());
    }
}
