//! [`SchedulerDriver`] and [`ExecutorDriver`]: a connection with whom it serves, and one question: what next?

use super::{Answer, Codec, Connection, ExecutorConnection, HttpRequest, Output, RequestId, StopReason};
use crate::executor::{self, Executor, Reports, Session};
use crate::scheduler::{Call, Calls, Event, Rejected, Scheduler, Timer, deliver};
use crate::time::Time;
use crate::v1::{Dialect, ExecutorCall, SchedulerCall};
use std::collections::BTreeSet;
use std::time::Duration;

/// The next thing that the program around a driver has to do. `C` are the calls of its connection, `E` the events.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a program that overlooks one of these loses something")]
pub enum Step<C, E> {
    /// Send this request, and pass on its [`Answer`]s as they come.
    Request(HttpRequest),
    /// Write this to a log, if there is one: an event that cannot be read, a lost connection, a call that is dropped or rejected.
    Log(Output<C, E>),
    /// Wait for an answer, but no longer than this.
    Wait(Duration),
    /// Stop: there is nothing more to do.
    Stop(StopReason),
}

/// The longest time that a driver has its program wait.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// A scheduler with its [`Connection`]: the events that come in reach the scheduler, its calls go out, its timers fire. What is
/// left is an HTTP client, a clock and a loop of a few lines around [`next`](Self::next); the guide has them whole, in section
/// [*Connect it*](crate::guide#7-connect-it).
///
/// # Examples
///
/// ```
/// use apportion::v1::connection::{Answer, Connection, SchedulerDriver, Step};
/// use apportion::{Calls, Framework, Offer, Role, Scheduler, Time};
///
/// struct Decliner;
/// impl Scheduler for Decliner {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         calls.decline_all(&offers, std::time::Duration::from_secs(60));
///     }
/// }
///
/// let framework = Framework::new("").role(Role::new("web")?);
/// let mut driver = SchedulerDriver::new(Connection::new(["m1:5050"], framework, 7)?, Decliner);
/// let Step::Request(subscribe) = driver.next(Time::ZERO) else { panic!("it subscribes") };
/// assert_eq!(driver.next(Time::ZERO), Step::Wait(std::time::Duration::from_secs(75)));
/// driver.handle(Time::ZERO, subscribe.id, Answer::failed("connection refused"));
/// let Step::Log(why) = driver.next(Time::ZERO) else { panic!("it is told") };
/// assert!(format!("{why:?}").contains("connection refused"));
/// assert!(matches!(driver.next(Time::ZERO), Step::Wait(_))); // until the next attempt
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SchedulerDriver<S, K = Dialect> {
    connection: Connection<K>,
    scheduler: S,
    timers: BTreeSet<Timer>,
    stopped: Option<StopReason>,
}

impl<S: Scheduler, K: Codec<SchedulerCall, Event>> SchedulerDriver<S, K> {
    /// Returns the driver of a scheduler over a new connection.
    pub fn new(connection: Connection<K>, scheduler: S) -> Self {
        Self { connection, scheduler, timers: BTreeSet::new(), stopped: None }
    }

    /// Returns what to do next. Fires the timers that are due, and passes events on.
    ///
    /// A timer that the scheduler sets twice, for one time and with one token, fires once.
    pub fn next(&mut self, at: Time) -> Step<Call, Event> {
        self.connection.handle_timeout(at);
        for timer in take_due(&mut self.timers, |timer| timer.at <= at) {
            self.act(at, |scheduler, calls| scheduler.woken_for(timer.token, calls));
        }
        while let Some(output) = self.connection.poll_output() {
            match output {
                Output::Event(event) => self.act(at, |scheduler, calls| deliver(scheduler, event, calls)),
                Output::Stopped(reason) => self.stopped = Some(reason),
                Output::Rejected { call, status, why } => {
                    let rejected = Rejected::new(call.clone(), why.clone());
                    self.act(at, |scheduler, calls| scheduler.rejected(rejected, calls));
                    return Step::Log(Output::Rejected { call, status, why });
                }
                Output::Disconnected { why, retry_at } => {
                    self.act(at, Scheduler::disconnected);
                    return Step::Log(Output::Disconnected { why, retry_at });
                }
                output @ (Output::Unreadable { .. } | Output::Dropped(_) | Output::AttemptFailed { .. }) => {
                    return Step::Log(output);
                }
            }
        }
        if let Some(request) = self.connection.poll_request(at) {
            return Step::Request(request);
        }
        match &self.stopped {
            Some(reason) => Step::Stop(reason.clone()),
            None => {
                let timer = self.timers.first().map(|timer| timer.at);
                wait(at, self.connection.poll_timeout().into_iter().chain(timer))
            }
        }
    }

    /// Takes what has come back for a request.
    pub fn handle(&mut self, at: Time, id: RequestId, answer: Answer) {
        self.connection.handle(at, id, answer);
    }

    /// Runs an action on the scheduler that no event causes, such as an order of its operator. What it calls goes out, and its
    /// timers are kept.
    pub fn act(&mut self, at: Time, action: impl FnOnce(&mut S, &mut Calls)) {
        let mut calls = Calls::new(at);
        action(&mut self.scheduler, &mut calls);
        self.timers.extend(calls.wakes().iter().copied());
        calls.into_vec().into_iter().for_each(|call| self.connection.send(call));
    }

    /// Returns the scheduler.
    pub fn scheduler(&self) -> &S {
        &self.scheduler
    }

    /// Returns the connection.
    pub fn connection(&self) -> &Connection<K> {
        &self.connection
    }

    /// Returns the connection, to replace the list of masters or to stop, for example.
    pub fn connection_mut(&mut self) -> &mut Connection<K> {
        &mut self.connection
    }
}

/// An executor with its [`ExecutorConnection`]: what [`SchedulerDriver`] is for a scheduler.
#[derive(Debug)]
pub struct ExecutorDriver<X, K = Dialect> {
    connection: ExecutorConnection<K>,
    session: Session<X>,
    timers: BTreeSet<Time>,
    stopped: Option<StopReason>,
}

impl<X: Executor, K: Codec<ExecutorCall, executor::Event>> ExecutorDriver<X, K> {
    /// Returns the driver of an executor's session over a new connection.
    pub fn new(connection: ExecutorConnection<K>, session: Session<X>) -> Self {
        Self { connection, session, timers: BTreeSet::new(), stopped: None }
    }

    /// Returns what to do next. Fires the timers that are due, and passes events on.
    pub fn next(&mut self, at: Time) -> Step<executor::Call, executor::Event> {
        self.connection.handle_timeout(at);
        for _ in take_due(&mut self.timers, |timer| *timer <= at) {
            let reports = self.session.wake(at);
            self.take(reports);
        }
        while let Some(output) = self.connection.poll_output() {
            match output {
                Output::Event(event) => {
                    let reports = self.session.receive(event, at);
                    self.take(reports);
                }
                Output::Stopped(reason) => self.stopped = Some(reason),
                output @ (Output::Rejected { .. }
                | Output::Unreadable { .. }
                | Output::Dropped(_)
                | Output::AttemptFailed { .. }
                | Output::Disconnected { .. }) => return Step::Log(output),
            }
        }
        let session = &self.session;
        if let Some(request) = self.connection.poll_request(at, || session.subscribe()) {
            return Step::Request(request);
        }
        match &self.stopped {
            Some(reason) => Step::Stop(reason.clone()),
            None => wait(at, self.connection.poll_timeout().into_iter().chain(self.timers.first().copied())),
        }
    }

    /// Takes what has come back for a request.
    pub fn handle(&mut self, at: Time, id: RequestId, answer: Answer) {
        self.connection.handle(at, id, answer);
    }

    /// Runs an action on the executor that no event causes, such as reporting that a process has exited.
    pub fn act(&mut self, at: Time, action: impl FnOnce(&mut X, &mut Reports)) {
        let reports = self.session.act(at, action);
        self.take(reports);
    }

    /// Returns the executor.
    pub fn executor(&self) -> &X {
        self.session.executor()
    }

    /// Returns the connection.
    pub fn connection(&self) -> &ExecutorConnection<K> {
        &self.connection
    }

    fn take(&mut self, reports: Reports) {
        self.timers.extend(reports.wakes().iter().copied());
        reports.into_vec().into_iter().for_each(|call| self.connection.send(call));
    }
}

/// Removes the timers that are due. What they set in turn, if it is due too, waits for the next step.
fn take_due<T: Ord>(timers: &mut BTreeSet<T>, is_due: impl Fn(&T) -> bool) -> Vec<T> {
    let mut due = Vec::new();
    while timers.first().is_some_and(&is_due) {
        due.extend(timers.pop_first());
    }
    due
}

/// Waits for the first of these timers.
fn wait<C, E>(at: Time, timers: impl Iterator<Item = Time>) -> Step<C, E> {
    Step::Wait(timers.min().map_or(MAX_WAIT, |due| (due - at).min(MAX_WAIT)))
}
