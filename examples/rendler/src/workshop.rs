//! [`Workshop`]: where an executor has its work done while it goes on listening.

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

/// How long any work may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Work on tasks, each on a thread of its own: as many as there are tasks, which the offers limit.
pub(crate) struct Workshop<R> {
    bell: Arc<dyn Fn() + Send + Sync>,
    running: BTreeMap<TaskId, Work>,
    sender: Sender<(TaskId, R)>,
    results: Receiver<(TaskId, R)>,
}

#[derive(Debug)]
struct Work {
    until: Time,
    cancelled: Cancelled,
    thread: JoinHandle<()>,
}

/// Whether nobody wants the result of some work any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T, E> Workshop<Result<T, E>>
where
    Result<T, E>: Send + 'static,
    E: From<Broken>,
{
    /// A workshop that rings the bell whenever something is done.
    pub(crate) fn new(bell: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (sender, results) = mpsc::channel();
        Self { bell, running: BTreeMap::new(), sender, results }
    }

    /// Begins with the work of a task, that is to be done by then; an error if the machine has no thread for it.
    fn begin(
        &mut self,
        task: TaskId,
        until: Time,
        work: impl FnOnce(&Cancelled) -> Result<T, E> + Send + 'static,
    ) -> Result<(), E> {
        let cancelled = Cancelled::default();
        let (flag, id, done, bell) = (cancelled.clone(), task.clone(), self.sender.clone(), Arc::clone(&self.bell));
        let thread = Builder::new().name(task.to_string()).spawn(move || {
            let result = panic::catch_unwind(AssertUnwindSafe(|| work(&flag)));
            // Nobody listens any more once the executor has ended.
            let _ = done.send((id, result.unwrap_or_else(|_| Err(Broken::Panic.into()))));
            bell();
        });
        let thread = thread.map_err(|error| E::from(Broken::Thread(error)))?;
        self.running.insert(task, Work { until, cancelled, thread });
        Ok(())
    }

    /// Does not want the work of a task any more.
    fn cancel(&mut self, task: &TaskId) {
        if let Some(work) = self.running.remove(task) {
            work.cancelled.0.store(true, Ordering::Relaxed);
        }
    }

    /// Cancels what should have been done by that moment, and tells what that was.
    fn late(&mut self, at: Time) -> Vec<TaskId> {
        let late = self.running.iter().filter(|(_, work)| work.until <= at);
        let late: Vec<TaskId> = late.map(|(task, _)| task.clone()).collect();
        late.iter().for_each(|task| self.cancel(task));
        late
    }

    /// What was done since this was last asked.
    fn done(&mut self) -> Vec<(TaskId, Result<T, E>)> {
        let results: Vec<_> = self.results.try_iter().collect();
        results.into_iter().filter(|(task, _)| self.running.remove(task).is_some()).collect()
    }
}

impl<T: Serialize, E: From<Broken> + fmt::Display> Workshop<Result<T, E>>
where
    Result<T, E>: Send + 'static,
{
    /// Begins with the job that a task brings.
    pub(crate) fn launch(
        &mut self,
        task: &Task,
        reports: &mut Reports,
        work: impl FnOnce(Job, &Cancelled) -> Result<T, E> + Send + 'static,
    ) {
        let Some(job) = Job::of_data(task.details.get("data")) else {
            return reports.failed(&task.id, "its data is no job");
        };
        let until = reports.at() + PATIENCE;
        reports.running(&task.id);
        reports.wake_at(until);
        if let Err(error) = self.begin(task.id.clone(), until, move |cancelled| work(job, cancelled)) {
            reports.failed(&task.id, &error.to_string());
        }
    }

    /// Cancels the work of a task, and says so.
    pub(crate) fn kill(&mut self, task: &TaskId, reports: &mut Reports) {
        self.cancel(task);
        reports.killed(task);
    }

    /// Says which tasks have ended, and with what result. A status is acknowledged, a message may get lost.
    pub(crate) fn report(&mut self, reports: &mut Reports) {
        for task in self.late(reports.at()) {
            reports.failed(&task, &Broken::Late.to_string());
        }
        for (task, result) in self.done() {
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

impl<R> Workshop<R> {
    /// Cancels all work, and waits until it has noticed.
    pub(crate) fn close(&mut self) {
        let running = std::mem::take(&mut self.running);
        running.values().for_each(|work| work.cancelled.0.store(true, Ordering::Relaxed));
        for work in running.into_values() {
            let _ = work.thread.join();
        }
    }
}

/// Why work came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("its thread could not be started: {0}")]
    Thread(std::io::Error),
    #[error("its thread panicked")]
    Panic,
    #[error("it took longer than {} seconds", PATIENCE.as_secs())]
    Late,
}

impl<R> fmt::Debug for Workshop<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop").field("running", &self.running).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workshop() -> (Workshop<Result<u32, Broken>>, Receiver<()>) {
        let (ring, rings) = mpsc::channel();
        (Workshop::new(Arc::new(move || ring.send(()).unwrap())), rings)
    }

    #[test]
    fn results_come_with_the_bell_and_a_panic_is_one() {
        let (mut workshop, rings) = workshop();
        workshop.begin("a".into(), Time::MAX, |_| Ok(1)).unwrap();
        rings.recv().unwrap();
        assert!(matches!(workshop.done()[..], [(_, Ok(1))]));
        workshop.begin("b".into(), Time::MAX, |_| panic!("on purpose")).unwrap();
        rings.recv().unwrap();
        assert!(matches!(workshop.done()[..], [(_, Err(Broken::Panic))]));
        assert!(workshop.done().is_empty());
    }

    #[test]
    fn what_is_late_is_cancelled_and_its_result_not_wanted() {
        let (mut workshop, rings) = workshop();
        let wait = |cancelled: &Cancelled| {
            while !cancelled.is() {
                std::thread::yield_now();
            }
            Ok(1)
        };
        workshop.begin("a".into(), Time::from_secs(2), wait).unwrap();
        workshop.begin("b".into(), Time::from_secs(3), wait).unwrap();
        assert!(workshop.late(Time::from_secs(1)).is_empty());
        assert_eq!(workshop.late(Time::from_secs(2)), ["a".into()]);
        rings.recv().unwrap();
        assert!(workshop.done().is_empty());
        workshop.close();
        rings.recv().unwrap();
        assert!(workshop.done().is_empty());
    }
}
