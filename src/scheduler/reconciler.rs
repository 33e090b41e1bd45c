//! [`Reconciler`]: task reconciliation with backoff, after a failover.

use super::{Calls, TaskRef};
use crate::id::{AgentId, TaskId};
use crate::task::TaskStatus;
use crate::time::{self, Time};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Asks for the status of tasks until the master has answered for each of them.
///
/// Statuses may have been lost with the previous scheduler instance, and answers may be lost on their way. So the
/// reconciler repeats the request for tasks without an answer, with exponential backoff, as Mesos recommends
/// (*Reconciliation*). The master answers for tasks that it does not know too: with `TASK_LOST` or `TASK_UNKNOWN`.
///
/// In JSON it is an object, `{"pending":{"t1":"a1","t2":null},"backoff":10,"due":5}`, so that a scheduler can store it with its
/// state; times are seconds, to the microsecond.
///
/// # Examples
///
/// ```
/// use apportion::scheduler::{Calls, Reconciler, TaskRef};
/// use apportion::{Call, TaskState, TaskStatus, Time};
///
/// let mut calls = Calls::new(Time::ZERO);
/// let tasks = [TaskRef::on("t1", "a1"), TaskRef::on("t2", "a2")];
/// let mut reconciler = Reconciler::start(tasks, &mut calls); // in Scheduler::subscribed
/// assert!(matches!(calls.as_slice(), [Call::Reconcile(Some(asked))] if asked.len() == 2));
///
/// reconciler.observe(&TaskStatus::new("t1", TaskState::Running)); // in Scheduler::update
/// let mut later = Calls::new(calls.wakes()[0].at);
/// reconciler.woken(&mut later); // in Scheduler::woken
/// assert!(matches!(later.as_slice(), [Call::Reconcile(Some(asked))] if asked.len() == 1));
///
/// reconciler.observe(&TaskStatus::new("t2", TaskState::Lost));
/// assert!(reconciler.is_done());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciler {
    pending: IndexMap<TaskId, Option<AgentId>>,
    #[serde(with = "time::seconds")]
    backoff: Duration,
    due: Time,
}

impl Reconciler {
    /// The time between the first request and the second.
    pub const INITIAL_BACKOFF: Duration = Duration::from_secs(5);

    /// The longest time between two requests.
    pub const MAX_BACKOFF: Duration = Duration::from_secs(300);

    /// Asks for the status of these tasks.
    #[must_use]
    pub fn start(tasks: impl IntoIterator<Item = TaskRef>, calls: &mut Calls) -> Self {
        let pending = tasks.into_iter().map(|known| (known.task, known.agent)).collect();
        let mut reconciler = Self { pending, backoff: Self::INITIAL_BACKOFF, due: calls.at() };
        reconciler.woken(calls);
        reconciler
    }

    /// Takes any status of a task as the answer for it.
    pub fn observe(&mut self, status: &TaskStatus) {
        self.pending.shift_remove(&status.task);
    }

    /// Repeats the request for the tasks without an answer, if its time has come.
    pub fn woken(&mut self, calls: &mut Calls) {
        if self.is_done() || calls.at() < self.due {
            return;
        }
        let asked = self.pending.iter().map(|(task, agent)| TaskRef { task: task.clone(), agent: agent.clone() });
        calls.reconcile(asked);
        self.due = calls.at() + self.backoff;
        calls.wake_at(self.due);
        self.backoff = self.backoff.saturating_mul(2).min(Self::MAX_BACKOFF);
    }

    /// Returns whether all tasks have an answer.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns the tasks without an answer.
    pub fn pending(&self) -> impl Iterator<Item = &TaskId> {
        self.pending.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_back_off_and_ignore_other_timers() {
        let mut calls = Calls::new(Time::ZERO);
        let mut reconciler = Reconciler::start([TaskRef::from(TaskId::from("t"))], &mut calls);
        let mut asked = vec![0.0];
        for _ in 0..8 {
            let due = calls.wakes().last().unwrap().at;
            let mut early = Calls::new(Time::from_micros(due.as_micros() - 1));
            reconciler.woken(&mut early);
            assert!(early.as_slice().is_empty());
            calls = Calls::new(due);
            reconciler.woken(&mut calls);
            assert_eq!(calls.as_slice().len(), 1);
            asked.push(due.as_secs_f64());
        }
        assert_eq!(asked, [0.0, 5.0, 15.0, 35.0, 75.0, 155.0, 315.0, 615.0, 915.0]);
    }

    #[test]
    fn what_is_stored_goes_on_the_same() {
        let tasks = [TaskRef::on("t2", "a"), TaskRef::from(TaskId::from("t1"))];
        let mut reconciler = Reconciler::start(tasks, &mut Calls::new(Time::from_millis(500)));
        let stored = serde_json::to_string(&reconciler).unwrap();
        assert_eq!(stored, r#"{"pending":{"t2":"a","t1":null},"backoff":10,"due":5.5}"#);
        let mut restored: Reconciler = serde_json::from_str(&stored).unwrap();
        let [mut one, mut other] = [(); 2].map(|()| Calls::new(Time::from_secs(6)));
        reconciler.woken(&mut one);
        restored.woken(&mut other);
        assert_eq!((one, &reconciler), (other, &restored));
    }

    #[test]
    fn no_tasks_no_request() {
        let mut calls = Calls::new(Time::ZERO);
        assert!(Reconciler::start([], &mut calls).is_done());
        assert!(calls.as_slice().is_empty() && calls.wakes().is_empty());
    }
}
