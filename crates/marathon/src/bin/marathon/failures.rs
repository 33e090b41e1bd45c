//! [`Failures`]: how often the tasks of each app have failed, and the last words of the last one.

use apportion::{Effect, TaskId, TaskState, Text};
use apportion_marathon::Marathon;
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// The failures of an app.
#[derive(Debug)]
pub(crate) struct AppFailures {
    pub(crate) count: u64,
    /// The last task that failed.
    pub(crate) task: TaskId,
    /// Its state, with the reason.
    pub(crate) why: String,
    /// The last line that it wrote, if it was a process.
    pub(crate) last_words: Option<String>,
}

/// The failures of all apps, in the order in which they first failed.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    by_app: IndexMap<Text, AppFailures>,
    /// The apps of the tasks that have been launched and have not ended.
    apps: BTreeMap<TaskId, Text>,
}

impl Failures {
    /// Notes a launch or an end. `last_words` is asked for the last line of a task that failed.
    pub(crate) fn note(
        &mut self,
        effect: &Effect,
        marathon: &Marathon,
        last_words: impl FnOnce(&TaskId) -> Option<String>,
    ) {
        if let Effect::Launch { task, .. } = effect
            && let Some(instance) = marathon.task(&task.id)
        {
            self.apps.insert(task.id.clone(), instance.launch.app.clone());
        }
        let Effect::Status { status, .. } = effect else { return };
        if !status.state.is_terminal() {
            return;
        }
        let Some(app) = self.apps.remove(&status.task) else { return };
        if ![TaskState::Failed, TaskState::Error].contains(&status.state) {
            return;
        }
        let count = self.by_app.get(&app).map_or(0, |failures| failures.count);
        let why = status.message.as_deref().or(status.reason.as_deref());
        let why = format!("{}{}", status.state, why.map(|why| format!(" ({why})")).unwrap_or_default());
        let (task, last_words) = (status.task.clone(), last_words(&status.task));
        self.by_app.insert(app, AppFailures { count: count + 1, task, why, last_words });
    }

    /// Returns the failures of each app that had some.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Text, &AppFailures)> {
        self.by_app.iter()
    }
}
