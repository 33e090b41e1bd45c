//! The executor side of the protocol: the [`Executor`] trait, its [`Event`]s and its [`Call`]s.
//!
//! ```text
//!     agent                                      executor
//!       | -- subscribed ------------------------> |
//!       | -- launch(task) ----------------------> |   reports.running, finished, failed, killed
//!       | -- kill(task, grace) -----------------> |        |
//!       | <---------- update(status, uuid) ------ | <------+
//!       | -- acknowledged(task, uuid) ----------> |   until then the update is sent again after each subscription
//! ```
//!
//! ```
//! use apportion::executor::{Call, Executor, Reports};
//! use apportion::{Task, TaskState, Time};
//!
//! /// Each task is done as soon as it is launched.
//! #[derive(Debug)]
//! struct Instant;
//!
//! impl Executor for Instant {
//!     fn launch(&mut self, task: Task, reports: &mut Reports) {
//!         reports.running(&task.id);
//!         reports.finished(&task.id);
//!     }
//! }
//!
//! let mut reports = Reports::new(Time::ZERO);
//! Instant.launch(Task::new("t1", "cpus:1".parse()?), &mut reports);
//! let [Call::Update(first), Call::Update(last)] = reports.as_slice() else { panic!("two statuses") };
//! assert_eq!((first.state, last.state), (TaskState::Running, TaskState::Finished));
//! # Ok::<(), apportion::ResourceError>(())
//! ```
//!
//! An executor runs tasks of one framework on one agent. Events come in and calls go out, as in the Mesos v1 executor API.
//! Like a [`Scheduler`](crate::Scheduler), an executor holds no connection and reads no clock. A [`Session`] keeps the
//! protocol state that every executor needs: status UUIDs and unacknowledged updates.

mod call;
mod event;
mod session;

pub use call::Call;
pub use event::{Event, Subscribed};
pub use session::Session;

use crate::id::TaskId;
use crate::task::{Task, TaskState, TaskStatus};
use crate::time::Time;
use crate::uuid::Uuid;
use std::fmt;
use std::time::Duration;

/// The behaviour of an executor: it runs the tasks that its agent launches, and reports their states.
///
/// Only [`Executor::launch`] is required; the other methods have minimal defaults. An executor queues its calls in
/// [`Reports`]; the transport sends them after the method has returned.
///
/// # Examples
///
/// ```
/// use apportion::executor::{Executor, Reports};
/// use apportion::{Task, TaskId};
/// use std::collections::BTreeMap;
/// use std::time::Duration;
///
/// /// Sleeps for as many seconds as each task says.
/// #[derive(Debug, Default)]
/// struct Sleeper {
///     ends: BTreeMap<apportion::Time, Vec<TaskId>>,
/// }
///
/// impl Executor for Sleeper {
///     fn launch(&mut self, task: Task, reports: &mut Reports) {
///         reports.running(&task.id);
///         let seconds = task.details.get("sleep").and_then(|seconds| seconds.as_u64()).unwrap_or(1);
///         let end = reports.at() + Duration::from_secs(seconds);
///         self.ends.entry(end).or_default().push(task.id);
///         reports.wake_at(end);
///     }
///
///     fn woken(&mut self, reports: &mut Reports) {
///         let later = self.ends.split_off(&(reports.at() + Duration::from_micros(1)));
///         for task in std::mem::replace(&mut self.ends, later).into_values().flatten() {
///             reports.finished(&task);
///         }
///     }
///
///     fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
///         self.ends.values_mut().for_each(|tasks| tasks.retain(|mine| *mine != task));
///         reports.killed(&task);
///     }
/// }
/// ```
pub trait Executor: fmt::Debug + Send {
    /// Launches a task.
    fn launch(&mut self, task: Task, reports: &mut Reports);

    /// Launches a task group. The default launches the tasks one by one.
    fn launch_group(&mut self, tasks: Vec<Task>, reports: &mut Reports) {
        for task in tasks {
            self.launch(task, reports);
        }
    }

    /// Kills a task, within the grace period if there is one. The default only reports the task as killed.
    fn kill(&mut self, task: TaskId, grace: Option<Duration>, reports: &mut Reports) {
        let _ = grace;
        reports.killed(&task);
    }

    /// Handles a message from the scheduler.
    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        let _ = (data, reports);
    }

    /// Handles the registration with the agent.
    fn subscribed(&mut self, subscribed: Subscribed, reports: &mut Reports) {
        let _ = (subscribed, reports);
    }

    /// Handles the agent's acknowledgement of a status.
    fn acknowledged(&mut self, task: TaskId, uuid: Uuid, reports: &mut Reports) {
        let _ = (task, uuid, reports);
    }

    /// Kills all tasks and shuts the executor down.
    fn shutdown(&mut self, reports: &mut Reports) {
        let _ = reports;
    }

    /// Handles the rejection of a call by the agent.
    fn rejected(&mut self, message: String, reports: &mut Reports) {
        let _ = (message, reports);
    }

    /// Handles a timer that was set with [`Reports::wake_at`].
    fn woken(&mut self, reports: &mut Reports) {
        let _ = reports;
    }

    /// Dispatches an event to the method for it. Transports call this through a [`Session`].
    fn receive(&mut self, event: Event, reports: &mut Reports) {
        match event {
            Event::Subscribed(subscribed) => self.subscribed(*subscribed, reports),
            Event::Launch(task) => self.launch(task, reports),
            Event::LaunchGroup(tasks) => self.launch_group(tasks, reports),
            Event::Kill { task, grace } => self.kill(task, grace, reports),
            Event::Acknowledged { task, uuid } => self.acknowledged(task, uuid, reports),
            Event::Message(data) => self.message(data, reports),
            Event::Shutdown => self.shutdown(reports),
            Event::Error(message) => self.rejected(message, reports),
            Event::Heartbeat | Event::Unknown(_) => {}
        }
    }
}

impl<E: Executor + ?Sized> Executor for Box<E> {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        (**self).launch(task, reports);
    }

    fn launch_group(&mut self, tasks: Vec<Task>, reports: &mut Reports) {
        (**self).launch_group(tasks, reports);
    }

    fn kill(&mut self, task: TaskId, grace: Option<Duration>, reports: &mut Reports) {
        (**self).kill(task, grace, reports);
    }

    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        (**self).message(data, reports);
    }

    fn subscribed(&mut self, subscribed: Subscribed, reports: &mut Reports) {
        (**self).subscribed(subscribed, reports);
    }

    fn acknowledged(&mut self, task: TaskId, uuid: Uuid, reports: &mut Reports) {
        (**self).acknowledged(task, uuid, reports);
    }

    fn shutdown(&mut self, reports: &mut Reports) {
        (**self).shutdown(reports);
    }

    fn rejected(&mut self, message: String, reports: &mut Reports) {
        (**self).rejected(message, reports);
    }

    fn woken(&mut self, reports: &mut Reports) {
        (**self).woken(reports);
    }

    fn receive(&mut self, event: Event, reports: &mut Reports) {
        (**self).receive(event, reports);
    }
}

/// The queue of calls and timers that an executor fills while it handles one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reports {
    at: Time,
    queue: Vec<Call>,
    wakes: Vec<Time>,
}

impl Reports {
    /// Returns an empty queue for an event at `at`.
    #[must_use]
    pub fn new(at: Time) -> Self {
        Self { at, queue: Vec::new(), wakes: Vec::new() }
    }

    /// Returns the time of the event, the only clock that an executor has.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// Reports a task as starting: it is being prepared.
    pub fn starting(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Starting));
    }

    /// Reports a task as running.
    pub fn running(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Running));
    }

    /// Reports a task as finished: it has ended successfully.
    pub fn finished(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Finished));
    }

    /// Reports a task as failed, with the reason.
    pub fn failed(&mut self, task: &TaskId, why: &str) {
        self.update(TaskStatus::new(task.clone(), TaskState::Failed).message(why));
    }

    /// Reports a task as killed.
    pub fn killed(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Killed));
    }

    /// Reports any other status. The [`Session`] adds its UUID, timestamp, source and executor.
    pub fn update(&mut self, status: TaskStatus) {
        self.push(Call::Update(Box::new(status)));
    }

    /// Sends a message to the scheduler. Delivery is not guaranteed.
    pub fn message(&mut self, data: impl Into<Vec<u8>>) {
        self.push(Call::Message(data.into()));
    }

    /// Queues any other call.
    pub fn push(&mut self, call: Call) {
        self.queue.push(call);
    }

    /// Sets a one-shot timer: [`Executor::woken`] is called at `at`, or at once if that has passed.
    pub fn wake_at(&mut self, at: Time) {
        self.wakes.push(at);
    }

    /// Returns the timers that were set, in order of setting.
    #[must_use]
    pub fn wakes(&self) -> &[Time] {
        &self.wakes
    }

    /// Returns the calls queued so far, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Call] {
        &self.queue
    }

    /// Returns the queued calls, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<Call> {
        self.queue
    }

    fn iter_mut(&mut self) -> std::slice::IterMut<'_, Call> {
        self.queue.iter_mut()
    }
}
