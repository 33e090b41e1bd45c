//! [`TaskThreads`]: the threads of an executor, one per task, with their results over a channel.

use crate::job::Job;
use apportion::executor::Reports;
use apportion::{Task, TaskId, TaskState, TaskStatus, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The timeout of a task.
const MAX_DURATION: Duration = Duration::from_secs(60);

/// One thread per task. The resources of the offers bound the number of tasks, and so of threads.
pub(crate) struct TaskThreads<R> {
    waker: Arc<dyn Fn() + Send + Sync>,
    running: BTreeMap<TaskId, Work>,
    sender: Sender<(TaskId, R)>,
    results: Receiver<(TaskId, R)>,
}

#[derive(Debug)]
struct Work {
    until: Time,
    cancelled: CancelFlag,
    thread: JoinHandle<()>,
}

/// Tells the thread of a task that its result is not needed any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T, E> TaskThreads<Result<T, E>>
where
    Result<T, E>: Send + 'static,
    E: From<TaskError>,
{
    /// Returns no threads yet. Each thread calls `waker` when it ends.
    pub(crate) fn new(waker: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (sender, results) = mpsc::channel();
        Self { waker, running: BTreeMap::new(), sender, results }
    }

    /// Starts the thread of a task with that deadline. Fails if the system has no thread for it.
    fn spawn(
        &mut self,
        task: TaskId,
        until: Time,
        work: impl FnOnce(&CancelFlag) -> Result<T, E> + Send + 'static,
    ) -> Result<(), E> {
        let cancelled = CancelFlag::default();
        let (flag, id, done, waker) = (cancelled.clone(), task.clone(), self.sender.clone(), Arc::clone(&self.waker));
        let thread = Builder::new().name(task.to_string()).spawn(move || {
            let result = panic::catch_unwind(AssertUnwindSafe(|| work(&flag)));
            // The receiver is gone once the executor has ended.
            let _ = done.send((id, result.unwrap_or_else(|_| Err(TaskError::Panic.into()))));
            waker();
        });
        let thread = thread.map_err(|error| E::from(TaskError::Thread(error)))?;
        self.running.insert(task, Work { until, cancelled, thread });
        Ok(())
    }

    /// Cancels a task.
    fn cancel(&mut self, task: &TaskId) {
        if let Some(work) = self.running.remove(task) {
            work.cancelled.0.store(true, Ordering::Relaxed);
        }
    }

    /// Cancels and returns the tasks whose deadlines have passed.
    fn take_timed_out(&mut self, at: Time) -> Vec<TaskId> {
        let late = self.running.iter().filter(|(_, work)| work.until <= at);
        let late: Vec<TaskId> = late.map(|(task, _)| task.clone()).collect();
        late.iter().for_each(|task| self.cancel(task));
        late
    }

    /// Returns the results since the last call, except those of cancelled tasks.
    fn take_results(&mut self) -> Vec<(TaskId, Result<T, E>)> {
        let results: Vec<_> = self.results.try_iter().collect();
        results.into_iter().filter(|(task, _)| self.running.remove(task).is_some()).collect()
    }
}

impl<T: Serialize, E: From<TaskError> + fmt::Display> TaskThreads<Result<T, E>>
where
    Result<T, E>: Send + 'static,
{
    /// Starts the job of a task.
    pub(crate) fn launch(
        &mut self,
        task: &Task,
        reports: &mut Reports,
        work: impl FnOnce(Job, &CancelFlag) -> Result<T, E> + Send + 'static,
    ) {
        let Some(job) = Job::from_data(task.details.get("data")) else {
            return reports.failed(&task.id, "its data is no job");
        };
        let until = reports.at() + MAX_DURATION;
        reports.running(&task.id);
        reports.wake_at(until);
        if let Err(error) = self.spawn(task.id.clone(), until, move |cancelled| work(job, cancelled)) {
            reports.failed(&task.id, &error.to_string());
        }
    }

    /// Cancels a task, and reports it as killed.
    pub(crate) fn kill(&mut self, task: &TaskId, reports: &mut Reports) {
        self.cancel(task);
        reports.killed(task);
    }

    /// Reports the tasks that have ended, each with its result in its last status. (A status is acknowledged; a message could
    /// get lost.)
    pub(crate) fn report(&mut self, reports: &mut Reports) {
        for task in self.take_timed_out(reports.at()) {
            reports.failed(&task, &TaskError::TimedOut.to_string());
        }
        for (task, result) in self.take_results() {
            match result {
                Ok(result) => {
                    let mut status = TaskStatus::new(task, TaskState::Finished);
                    status.data = serde_json::to_vec(&result).ok();
                    reports.update(status);
                }
                Err(error) => reports.failed(&task, &error.to_string()),
            }
        }
    }
}

impl<R> TaskThreads<R> {
    /// Cancels all tasks, and joins their threads.
    pub(crate) fn close(&mut self) {
        let running = std::mem::take(&mut self.running);
        running.values().for_each(|work| work.cancelled.0.store(true, Ordering::Relaxed));
        for work in running.into_values() {
            let _ = work.thread.join();
        }
    }
}

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("its thread could not be started: {0}")]
    Thread(std::io::Error),
    #[error("its thread panicked")]
    Panic,
    #[error("it took longer than {} seconds", MAX_DURATION.as_secs())]
    TimedOut,
}

impl<R> fmt::Debug for TaskThreads<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskThreads").field("running", &self.running).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> (TaskThreads<Result<u32, TaskError>>, Receiver<()>) {
        let (ring, rings) = mpsc::channel();
        (TaskThreads::new(Arc::new(move || ring.send(()).unwrap())), rings)
    }

    #[test]
    fn results_come_with_the_bell_and_a_panic_is_one() {
        let (mut threads, rings) = threads();
        threads.spawn("a".into(), Time::MAX, |_| Ok(1)).unwrap();
        rings.recv().unwrap();
        assert!(matches!(threads.take_results()[..], [(_, Ok(1))]));
        threads.spawn("b".into(), Time::MAX, |_| panic!("on purpose")).unwrap();
        rings.recv().unwrap();
        assert!(matches!(threads.take_results()[..], [(_, Err(TaskError::Panic))]));
        assert!(threads.take_results().is_empty());
    }

    #[test]
    fn what_is_late_is_cancelled_and_its_result_not_wanted() {
        let (mut threads, rings) = threads();
        let wait = |cancelled: &CancelFlag| {
            while !cancelled.is_set() {
                std::thread::yield_now();
            }
            Ok(1)
        };
        threads.spawn("a".into(), Time::from_secs(2), wait).unwrap();
        threads.spawn("b".into(), Time::from_secs(3), wait).unwrap();
        assert!(threads.take_timed_out(Time::from_secs(1)).is_empty());
        assert_eq!(threads.take_timed_out(Time::from_secs(2)), ["a"]);
        rings.recv().unwrap();
        assert!(threads.take_results().is_empty());
        threads.close();
        rings.recv().unwrap();
        assert!(threads.take_results().is_empty());
    }
}
