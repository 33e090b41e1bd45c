//! [`Reconciler`]: what a scheduler that takes over asks about the tasks of the one before.

use super::{Calls, TaskRef};
use crate::id::{AgentId, TaskId};
use crate::task::TaskStatus;
use crate::time::Time;
use indexmap::IndexMap;
use std::time::Duration;

/// Asks for the state of tasks until each of them was heard of.
///
/// A status may have been lost with the scheduler before, and an answer may be lost on its way; so one asks again for
/// what was not answered, later and later (Mesos, *Reconciliation*). A task that the master does not know is answered too:
/// as lost or unknown.
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
/// reconciler.heard(&TaskStatus::new("t1", TaskState::Running)); // in Scheduler::update
/// let mut later = Calls::new(calls.wakes()[0]);
/// reconciler.woken(&mut later); // in Scheduler::woken
/// assert!(matches!(later.as_slice(), [Call::Reconcile(Some(asked))] if asked.len() == 1));
///
/// reconciler.heard(&TaskStatus::new("t2", TaskState::Lost));
/// assert!(reconciler.is_done());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Reconciler {
    waiting: IndexMap<TaskId, Option<AgentId>>,
    wait: Duration,
    due: Time,
}

impl Reconciler {
    /// How long the first answer may take.
    pub const FIRST: Duration = Duration::from_secs(5);

    /// The longest that one waits before asking again.
    pub const LONGEST: Duration = Duration::from_secs(300);

    /// Asks for the state of these tasks.
    #[must_use]
    pub fn start(tasks: impl IntoIterator<Item = TaskRef>, calls: &mut Calls) -> Self {
        let waiting = tasks.into_iter().map(|known| (known.task, known.agent)).collect();
        let mut reconciler = Self { waiting, wait: Self::FIRST, due: calls.at() };
        reconciler.woken(calls);
        reconciler
    }

    /// Takes note of news; whatever they say, they are an answer.
    pub fn heard(&mut self, status: &TaskStatus) {
        self.waiting.shift_remove(&status.task);
    }

    /// Asks again for what was not answered, if it is time.
    pub fn woken(&mut self, calls: &mut Calls) {
        if self.is_done() || calls.at() < self.due {
            return;
        }
        let asked = self.waiting.iter().map(|(task, agent)| TaskRef { task: task.clone(), agent: agent.clone() });
        calls.reconcile(asked);
        self.due = calls.at() + self.wait;
        calls.wake_at(self.due);
        self.wait = self.wait.saturating_mul(2).min(Self::LONGEST);
    }

    /// Whether all tasks were heard of.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The tasks that were not heard of yet.
    pub fn waiting(&self) -> impl Iterator<Item = &TaskId> {
        self.waiting.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_later_and_later_and_not_when_woken_for_something_else() {
        let mut calls = Calls::new(Time::ZERO);
        let mut reconciler = Reconciler::start([TaskRef::from(TaskId::from("t"))], &mut calls);
        let mut asked = vec![0.0];
        for _ in 0..8 {
            let due = *calls.wakes().last().unwrap();
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
    fn without_tasks_there_is_nothing_to_ask() {
        let mut calls = Calls::new(Time::ZERO);
        assert!(Reconciler::start([], &mut calls).is_done());
        assert!(calls.as_slice().is_empty() && calls.wakes().is_empty());
    }
}
