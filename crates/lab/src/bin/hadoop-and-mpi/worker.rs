//! [`Worker`]: the executor of both frameworks. It runs several tasks at a time, each for its own duration.

use apportion::executor::{Executor, Reports};
use apportion::{ExecutorInfo, Resources, Task, TaskId, Time};
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Runs tasks. A rank of a gang begins when its scheduler sends `go GANG`, once all ranks of the gang are launched.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    ends: BTreeMap<Time, Vec<TaskId>>,
    parked: Vec<(String, TaskId, Duration)>,
}

/// Returns a task for a [`Worker`], with its duration and, for a rank, its gang.
pub(crate) fn task(id: TaskId, size: &Resources, executor: &str, length: Duration, gang: Option<&str>) -> Task {
    let label = |key: &str, value: String| json!({"key": key, "value": value});
    let seconds = Some(label("seconds", length.as_secs_f64().to_string()));
    let labels: Vec<Json> = seconds.into_iter().chain(gang.map(|gang| label("gang", gang.to_owned()))).collect();
    Task::new(id, size.clone())
        .lasts(length) // where agents run nothing, and only say so
        .detail("executor", ExecutorInfo::new(executor))
        .detail("labels", json!({"labels": labels}))
}

fn label<'t>(task: &'t Task, key: &str) -> Option<Cow<'t, str>> {
    let labels = task.details.get("labels")?.get("labels")?;
    labels.elements().find(|label| label.get("key").is_some_and(|name| name == key))?.get("value")?.as_str()
}

impl Worker {
    fn begin(&mut self, task: TaskId, length: Duration, reports: &mut Reports) {
        let end = reports.at() + length;
        self.ends.entry(end).or_default().push(task);
        reports.wake_at(end);
    }
}

impl Executor for Worker {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        reports.running(&task.id);
        let length = label(&task, "seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(1.0);
        let length = Duration::from_secs_f64(length);
        match label(&task, "gang") {
            Some(gang) => self.parked.push((gang.into_owned(), task.id, length)),
            None => self.begin(task.id, length, reports),
        }
    }

    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        let message = String::from_utf8_lossy(&data).into_owned();
        let Some(gang) = message.strip_prefix("go ") else { return };
        let (go, stay): (Vec<_>, Vec<_>) = self.parked.drain(..).partition(|(of, ..)| of == gang);
        self.parked = stay;
        for (_, task, length) in go {
            self.begin(task, length, reports);
        }
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.parked.retain(|(_, mine, _)| *mine != task);
        self.ends.values_mut().for_each(|tasks| tasks.retain(|mine| *mine != task));
        reports.killed(&task);
    }

    fn woken(&mut self, reports: &mut Reports) {
        while let Some(due) = self.ends.first_entry().filter(|due| *due.key() <= reports.at()) {
            due.remove().iter().for_each(|task| reports.finished(task));
        }
    }
}
