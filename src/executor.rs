//! [`Executor`]: what the author of an executor writes.
//!
//! An executor runs tasks of one framework on one agent. [`Event`]s come in, [`Call`]s go out, as in the Mesos v1 executor
//! API; like a [`Scheduler`](crate::Scheduler) it holds no connection and reads no clock.

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

/// An executor: runs the tasks that it is given, and tells how they fare.
///
/// One method is required; the others do the least that is right unless written. Whatever it has to say is put into
/// [`Reports`]; nothing happens to it before the method returns.
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
    /// Starts a task.
    fn launch(&mut self, task: Task, reports: &mut Reports);

    /// Starts tasks that belong together; one by one, unless written.
    fn launch_group(&mut self, tasks: Vec<Task>, reports: &mut Reports) {
        for task in tasks {
            self.launch(task, reports);
        }
    }

    /// Ends a task, within that time if one is given; unless written it is only said to be killed.
    fn kill(&mut self, task: TaskId, grace: Option<Duration>, reports: &mut Reports) {
        let _ = grace;
        reports.killed(&task);
    }

    /// Is told something by its scheduler.
    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        let _ = (data, reports);
    }

    /// Learns that it is registered.
    fn subscribed(&mut self, subscribed: Subscribed, reports: &mut Reports) {
        let _ = (subscribed, reports);
    }

    /// Learns that its agent has a status safe.
    fn acknowledged(&mut self, task: TaskId, uuid: Uuid, reports: &mut Reports) {
        let _ = (task, uuid, reports);
    }

    /// Is to end all its tasks, and then itself.
    fn shutdown(&mut self, reports: &mut Reports) {
        let _ = reports;
    }

    /// Learns that something that it said was turned away.
    fn rejected(&mut self, message: String, reports: &mut Reports) {
        let _ = (message, reports);
    }

    /// Is woken, as it asked for by [`Reports::wake_at`].
    fn woken(&mut self, reports: &mut Reports) {
        let _ = reports;
    }

    /// Hands an event to its method; a transport calls this one, by way of a [`Session`].
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

/// Collects what an executor has to say while it handles one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reports {
    at: Time,
    queue: Vec<Call>,
    wakes: Vec<Time>,
}

impl Reports {
    /// Starts collecting at that moment.
    #[must_use]
    pub fn new(at: Time) -> Self {
        Self { at, queue: Vec::new(), wakes: Vec::new() }
    }

    /// The moment of the event: the only clock that an executor has.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// A task is being prepared.
    pub fn starting(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Starting));
    }

    /// A task runs.
    pub fn running(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Running));
    }

    /// A task ended well.
    pub fn finished(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Finished));
    }

    /// A task ended badly, and why.
    pub fn failed(&mut self, task: &TaskId, why: &str) {
        self.update(TaskStatus::new(task.clone(), TaskState::Failed).message(why));
    }

    /// A task was killed.
    pub fn killed(&mut self, task: &TaskId) {
        self.update(TaskStatus::new(task.clone(), TaskState::Killed));
    }

    /// Any news of a task. What names and dates it is added by the [`Session`].
    pub fn update(&mut self, status: TaskStatus) {
        self.push(Call::Update(Box::new(status)));
    }

    /// Says something to the scheduler; it may get lost.
    pub fn message(&mut self, data: impl Into<Vec<u8>>) {
        self.push(Call::Message(data.into()));
    }

    /// Any call.
    pub fn push(&mut self, call: Call) {
        self.queue.push(call);
    }

    /// Wants to be [woken](Executor::woken) at that moment, once, or at once if it has passed.
    pub fn wake_at(&mut self, at: Time) {
        self.wakes.push(at);
    }

    /// When it wants to be woken, as it was asked for.
    #[must_use]
    pub fn wakes(&self) -> &[Time] {
        &self.wakes
    }

    /// What it has to say so far, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Call] {
        &self.queue
    }

    /// What it has to say, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<Call> {
        self.queue
    }

    fn iter_mut(&mut self) -> std::slice::IterMut<'_, Call> {
        self.queue.iter_mut()
    }
}
