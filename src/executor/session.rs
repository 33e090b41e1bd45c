//! [`Session`]: the protocol state of an executor between two messages.

use super::{Call, Event, Executor, Reports};
use crate::id::{ExecutorId, TaskId};
use crate::task::{StatusSource, Task, TaskStatus};
use crate::time::Time;
use crate::uuid::Uuid;
use indexmap::IndexMap;

/// An executor with the state that its agent protocol needs: it stamps every status with UUID, time and source, keeps those
/// that are not acknowledged, and repeats them when the executor reconnects.
///
/// The transport passes events in and sends the calls that come out. A session does no I/O: UUIDs are drawn from a seed,
/// and the time is that of the events.
///
/// # Examples
///
/// ```
/// use apportion::executor::{Call, Event, Executor, Reports, Session};
/// use apportion::{Task, Time};
///
/// #[derive(Debug)]
/// struct Instant;
///
/// impl Executor for Instant {
///     fn launch(&mut self, task: Task, reports: &mut Reports) {
///         reports.finished(&task.id);
///     }
/// }
///
/// let mut session = Session::new("e1", Instant, 7);
/// let task = Task::new("t1", "cpus:1".parse()?);
/// let reports = session.receive(Event::Launch(task), Time::ZERO);
/// let [Call::Update(status)] = reports.as_slice() else { panic!("one status") };
/// assert!(status.uuid.is_some());
///
/// // Nothing is acknowledged: a reconnecting executor repeats all of it.
/// let Call::Subscribe { tasks, updates } = session.subscribe() else { panic!("a registration") };
/// assert_eq!((tasks.len(), updates.len()), (1, 1));
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug)]
pub struct Session<E> {
    id: ExecutorId,
    executor: E,
    seed: u64,
    stamped: u64,
    unacknowledged_tasks: IndexMap<TaskId, Task>,
    unacknowledged_updates: IndexMap<Uuid, TaskStatus>,
}

impl<E: Executor> Session<E> {
    /// Returns a session for an executor that is not registered. The UUIDs of its statuses are drawn from `seed`.
    #[must_use]
    pub fn new(id: impl Into<ExecutorId>, executor: E, seed: u64) -> Self {
        Self {
            id: id.into(),
            executor,
            seed,
            stamped: 0,
            unacknowledged_tasks: IndexMap::new(),
            unacknowledged_updates: IndexMap::new(),
        }
    }

    /// Returns the call that registers or reconnects the executor, with everything that is not acknowledged.
    #[must_use]
    pub fn subscribe(&self) -> Call {
        Call::Subscribe {
            tasks: self.unacknowledged_tasks.values().cloned().collect(),
            updates: self.unacknowledged_updates.values().cloned().collect(),
        }
    }

    /// Passes an event to the executor. The caller sends the calls that are returned, and calls [`Session::wake`] for the
    /// timers.
    pub fn receive(&mut self, event: Event, at: Time) -> Reports {
        match &event {
            Event::Launch(task) => self.track(task),
            Event::LaunchGroup(tasks) => tasks.iter().for_each(|task| self.track(task)),
            Event::Acknowledged { task, uuid } => {
                self.unacknowledged_tasks.shift_remove(task);
                self.unacknowledged_updates.shift_remove(uuid);
            }
            Event::Subscribed(_)
            | Event::Kill { .. }
            | Event::Message(_)
            | Event::Shutdown
            | Event::Error(_)
            | Event::Heartbeat
            | Event::Unknown(_) => {}
        }
        self.act(at, |executor, reports| executor.receive(event, reports))
    }

    /// Fires a timer of the executor.
    pub fn wake(&mut self, at: Time) -> Reports {
        self.act(at, Executor::woken)
    }

    /// Runs an action on the executor that no event causes, such as reporting that a process has exited.
    pub fn act(&mut self, at: Time, action: impl FnOnce(&mut E, &mut Reports)) -> Reports {
        let mut reports = Reports::new(at);
        action(&mut self.executor, &mut reports);
        for call in reports.iter_mut() {
            if let Call::Update(status) = call {
                self.stamp(status, at);
            }
        }
        reports
    }

    /// Returns the executor.
    #[must_use]
    pub fn executor(&self) -> &E {
        &self.executor
    }

    fn track(&mut self, task: &Task) {
        self.unacknowledged_tasks.insert(task.id.clone(), task.clone());
    }

    fn stamp(&mut self, status: &mut TaskStatus, at: Time) {
        self.stamped += 1;
        let uuid = *status.uuid.get_or_insert_with(|| Uuid::from_seed(self.seed, self.stamped));
        status.executor.get_or_insert_with(|| self.id.clone());
        status.source.get_or_insert(StatusSource::Executor);
        status.timestamp.get_or_insert(at.as_secs_f64());
        self.unacknowledged_updates.insert(uuid, status.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskState;

    #[derive(Debug)]
    struct Slow;

    impl Executor for Slow {
        fn launch(&mut self, task: Task, reports: &mut Reports) {
            reports.running(&task.id);
            reports.wake_at(reports.at() + std::time::Duration::from_secs(9));
        }

        fn woken(&mut self, reports: &mut Reports) {
            reports.finished(&"t1".into());
        }
    }

    fn statuses(reports: &Reports) -> Vec<&TaskStatus> {
        let updates = reports.as_slice().iter().map(|call| {
            let Call::Update(status) = call else { panic!("{call:?} is no status") };
            &**status
        });
        updates.collect()
    }

    #[test]
    fn an_acknowledged_status_is_not_repeated() {
        let mut session = Session::new("e1", Slow, 1);
        let launched = session.receive(Event::Launch(Task::new("t1", "cpus:1".parse().unwrap())), Time::ZERO);
        assert_eq!(launched.wakes(), [Time::from_secs(9)]);
        let running = statuses(&launched)[0].clone();
        assert_eq!((running.executor.as_ref().unwrap().as_str(), running.timestamp), ("e1", Some(0.0)));

        let ended = session.wake(Time::from_secs(9));
        let finished = statuses(&ended)[0].clone();
        assert_eq!((finished.state, finished.timestamp), (TaskState::Finished, Some(9.0)));
        assert_ne!(finished.uuid, running.uuid);

        let uuid = running.uuid.unwrap();
        session.receive(Event::Acknowledged { task: "t1".into(), uuid }, Time::from_secs(9));
        assert_eq!(session.subscribe(), Call::Subscribe { tasks: vec![], updates: vec![finished] });
    }
}
