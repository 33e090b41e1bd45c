//! The framework side of the protocol: the [`Scheduler`] trait, its [`Event`]s and its [`Call`]s.
//!
//! ```text
//!     master                                                     scheduler
//!       | -- subscribed(framework) ---------------------------->  |
//!       | -- offers([O1: cpus:4 on a1, O2: cpus:2 on a2]) ----->  |
//!       | <- accept([O1], launch t1), decline([O2], for 5 s) ---  |
//!       | -- update(t1 is running) ---------------------------->  |
//!       | <- acknowledge -------------------------------------- deliver
//! ```
//!
//! ```
//! use apportion::{Accept, Call, Calls, Event, Offer, Role, Scheduler, Task, Time, scheduler};
//!
//! /// Launches one task on the first offer.
//! struct One(Option<Task>);
//!
//! impl Scheduler for One {
//!     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
//!         for offer in offers {
//!             match self.0.take() {
//!                 Some(task) => calls.accept(Accept::of(&offer).launch(task)),
//!                 None => calls.decline(&offer),
//!             }
//!         }
//!     }
//! }
//!
//! let offer = |id: &str| Offer::new(id, "f1", Role::default(), "a1", "cpus:4".parse().unwrap());
//! let mut calls = Calls::new(Time::ZERO);
//! let mut one = One(Some(Task::new("t1", "cpus:1".parse()?)));
//! scheduler::deliver(&mut one, Event::Offers(vec![offer("O1"), offer("O2")]), &mut calls);
//! let kinds: Vec<_> = calls.as_slice().iter().map(|call| call.kind()).collect();
//! assert_eq!(kinds, ["ACCEPT", "DECLINE"]);
//! # Ok::<(), apportion::ResourceError>(())
//! ```
//!
//! Events come in and calls go out, as in the Mesos v1 scheduler API. A scheduler holds no connection and reads no
//! clock, so the same type runs in a test, in a simulation and behind any transport.
//!
//! The module also has what most frameworks need: [`TaskIds`] (unique task ids), [`Retries`] (bounded retries with
//! exponential backoff), [`Reconciler`] (task reconciliation after a failover) and [`Pace`] (decline, suppress and revive
//! at a limited rate).

mod call;
mod event;
mod pace;
mod reconciler;
mod rejected;
mod request;
mod retries;
mod task_ids;

pub use call::{Call, Kill, OperationRef, TaskRef};
pub use event::{Event, Failure, Subscribed};
pub use pace::{Fit, Pace};
pub use reconciler::Reconciler;
pub use rejected::Rejected;
pub use request::{Request, RequestError};
pub use retries::{Retries, Retry};
pub use task_ids::TaskIds;

use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::offer::{Accept, Filters, InverseOffer, Offer, OperationStatus};
use crate::role::Role;
use crate::task::TaskStatus;
use crate::time::Time;
use std::time::Duration;

/// The decisions of a framework: which offers it accepts, and how it reacts to task states and failures.
///
/// Only [`Scheduler::offers`] is required; the other methods do nothing by default. A scheduler queues its calls in
/// [`Calls`]; the transport sends them after the method has returned.
///
/// # Examples
///
/// ```
/// use apportion::{Accept, Calls, Offer, Scheduler, Task};
///
/// /// Runs each task on the first offer that holds it.
/// #[derive(Debug)]
/// struct FirstFit {
///     waiting: Vec<Task>,
/// }
///
/// impl Scheduler for FirstFit {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         for offer in offers {
///             let task = self.waiting.pop_if(|task| match offer.resources.take(&task.resources, &offer.role) {
///                 Ok((taken, _)) => {
///                     task.resources = taken; // what is reserved for the role first
///                     true
///                 }
///                 Err(_) => false,
///             });
///             match task {
///                 Some(task) => calls.accept(Accept::of(&offer).launch(task)),
///                 None => calls.decline(&offer),
///             }
///         }
///     }
/// }
/// ```
pub trait Scheduler: Send {
    /// Answers offers: accepts or declines each of them, or holds it to answer later.
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls);

    /// Handles a task status. [`deliver`] acknowledges it afterwards.
    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        let _ = (status, calls);
    }

    /// Handles the rescission of an offer, which can no longer be accepted.
    fn rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        let _ = (offer, calls);
    }

    /// Answers inverse offers: requests to give back what the framework's tasks hold on agents that will be down.
    fn inverse_offers(&mut self, offers: Vec<InverseOffer>, calls: &mut Calls) {
        let _ = (offers, calls);
    }

    /// Handles the rescission of an inverse offer, which needs no answer any more.
    fn inverse_rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        let _ = (offer, calls);
    }

    /// Handles the loss of the connection to the master, once for each [`Scheduler::subscribed`] at most. Outstanding offers are void,
    /// without a rescind, and calls are dropped until the framework is subscribed again. Timers go on.
    fn disconnected(&mut self, calls: &mut Calls) {
        let _ = calls;
    }

    /// Handles the registration of the framework with a master, the first one or one after a failover.
    fn subscribed(&mut self, framework: FrameworkId, calls: &mut Calls) {
        let _ = (framework, calls);
    }

    /// Handles the removal of an agent. Each of its tasks gets a status of its own.
    fn agent_lost(&mut self, agent: AgentId, calls: &mut Calls) {
        let _ = (agent, calls);
    }

    /// Handles the termination of an executor. Each of its tasks gets a status of its own.
    fn executor_ended(&mut self, ended: Failure, calls: &mut Calls) {
        let _ = (ended, calls);
    }

    /// Handles a message from an executor of the framework.
    fn message(&mut self, agent: AgentId, executor: ExecutorId, data: Vec<u8>, calls: &mut Calls) {
        let _ = (agent, executor, data, calls);
    }

    /// Handles the status of an operation for which the framework asked for feedback.
    fn operation_updated(&mut self, status: OperationStatus, calls: &mut Calls) {
        let _ = (status, calls);
    }

    /// Handles a timer that was set with [`Calls::wake_at`].
    fn woken(&mut self, calls: &mut Calls) {
        let _ = calls;
    }

    /// Handles a timer with the token that [`Calls::wake_for`] gave it, or 0. Transports call this; the default calls
    /// [`Scheduler::woken`].
    fn woken_for(&mut self, token: u64, calls: &mut Calls) {
        let _ = token;
        self.woken(calls);
    }

    /// Handles the rejection of a call by the master. Over the v1 API a master tells only of a call that is wrong in itself, by a
    /// status of 400 to 499; what it cannot do, it does not.
    fn rejected(&mut self, rejected: Rejected, calls: &mut Calls) {
        let _ = (rejected, calls);
    }

    /// Handles the end of the subscription: another instance of the framework has subscribed, or the framework was removed.
    /// No event comes after it.
    fn error(&mut self, message: String, calls: &mut Calls) {
        let _ = (message, calls);
    }

    /// Dispatches an event to the method for it. Transports call [`deliver`], which calls this method.
    ///
    /// A scheduler that wraps another overrides this to see each event.
    fn receive(&mut self, event: Event, calls: &mut Calls) {
        match event {
            Event::Subscribed(subscribed) => self.subscribed(subscribed.framework, calls),
            Event::Offers(offers) => self.offers(offers, calls),
            Event::InverseOffers(offers) => self.inverse_offers(offers, calls),
            Event::Rescind(offer) => self.rescinded(offer, calls),
            Event::RescindInverseOffer(offer) => self.inverse_rescinded(offer, calls),
            Event::Update(status) => self.update(status, calls),
            Event::UpdateOperation(status) => self.operation_updated(status, calls),
            Event::Message { agent, executor, data } => self.message(agent, executor, data, calls),
            Event::Failure(failure) => match failure {
                Failure { agent: Some(agent), executor: None, .. } => self.agent_lost(agent, calls),
                ended => self.executor_ended(ended, calls),
            },
            Event::Error(message) => self.error(message, calls),
            Event::Heartbeat | Event::Unknown(_) => {}
        }
    }
}

/// Delivers an event to a scheduler, then acknowledges a status that has a UUID, whatever the scheduler did with it. Every
/// transport calls this.
///
/// # Examples
///
/// ```
/// use apportion::{Call, Calls, Event, Scheduler, TaskState, TaskStatus, Time, Uuid, scheduler};
/// # #[derive(Debug)]
/// # struct Nothing;
/// # impl Scheduler for Nothing {
/// #     fn offers(&mut self, _: Vec<apportion::Offer>, _: &mut Calls) {}
/// # }
///
/// let mut status = TaskStatus::new("t1", TaskState::Running);
/// status.uuid = Some(Uuid::from_seed(1, 1));
/// status.agent = Some("a1".into());
/// let mut calls = Calls::new(Time::ZERO);
/// scheduler::deliver(&mut Nothing, Event::Update(status), &mut calls);
/// assert!(matches!(calls.as_slice(), [Call::Acknowledge { .. }]));
/// ```
pub fn deliver<S: Scheduler + ?Sized>(scheduler: &mut S, event: Event, calls: &mut Calls) {
    let acknowledgement = acknowledgement_of(&event);
    scheduler.receive(event, calls);
    if let Some(call) = acknowledgement {
        calls.push(call);
    }
}

/// Returns the call that acknowledges a status; none for one without a UUID, which is not repeated.
fn acknowledgement_of(event: &Event) -> Option<Call> {
    if let Event::Update(status) = event {
        let (uuid, agent) = status.uuid.zip(status.agent.clone())?;
        Some(Call::Acknowledge { agent, task: status.task.clone(), uuid })
    } else if let Event::UpdateOperation(status) = event {
        let (uuid, operation) = status.uuid.zip(status.operation.clone())?;
        Some(Call::AcknowledgeOperation { agent: status.agent.clone(), operation, uuid })
    } else {
        None
    }
}

impl<S: Scheduler + ?Sized> Scheduler for Box<S> {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        (**self).offers(offers, calls);
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        (**self).update(status, calls);
    }

    fn rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        (**self).rescinded(offer, calls);
    }

    fn inverse_offers(&mut self, offers: Vec<InverseOffer>, calls: &mut Calls) {
        (**self).inverse_offers(offers, calls);
    }

    fn inverse_rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        (**self).inverse_rescinded(offer, calls);
    }

    fn disconnected(&mut self, calls: &mut Calls) {
        (**self).disconnected(calls);
    }

    fn subscribed(&mut self, framework: FrameworkId, calls: &mut Calls) {
        (**self).subscribed(framework, calls);
    }

    fn agent_lost(&mut self, agent: AgentId, calls: &mut Calls) {
        (**self).agent_lost(agent, calls);
    }

    fn executor_ended(&mut self, ended: Failure, calls: &mut Calls) {
        (**self).executor_ended(ended, calls);
    }

    fn message(&mut self, agent: AgentId, executor: ExecutorId, data: Vec<u8>, calls: &mut Calls) {
        (**self).message(agent, executor, data, calls);
    }

    fn operation_updated(&mut self, status: OperationStatus, calls: &mut Calls) {
        (**self).operation_updated(status, calls);
    }

    fn woken(&mut self, calls: &mut Calls) {
        (**self).woken(calls);
    }

    fn woken_for(&mut self, token: u64, calls: &mut Calls) {
        (**self).woken_for(token, calls);
    }

    fn rejected(&mut self, rejected: Rejected, calls: &mut Calls) {
        (**self).rejected(rejected, calls);
    }

    fn error(&mut self, message: String, calls: &mut Calls) {
        (**self).error(message, calls);
    }

    fn receive(&mut self, event: Event, calls: &mut Calls) {
        (**self).receive(event, calls);
    }
}

/// A timer that a scheduler has set, for the transport to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Timer {
    /// The time at which it is due.
    pub at: Time,
    /// The number by which the scheduler knows its purpose; 0 if it gave none.
    pub token: u64,
}

/// The queue of calls and timers that a scheduler fills while it handles one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calls {
    at: Time,
    queue: Vec<Call>,
    wakes: Vec<Timer>,
}

impl Calls {
    /// Returns an empty queue for an event at `at`.
    #[must_use]
    pub fn new(at: Time) -> Self {
        Self { at, queue: Vec::new(), wakes: Vec::new() }
    }

    /// Returns the time of the event, the only clock that a scheduler has.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// Accepts offers and runs operations on their resources.
    pub fn accept(&mut self, accept: Accept) {
        self.push(Call::Accept(accept));
    }

    /// Declines an offer with the default filter: its resources are not offered again for five seconds.
    pub fn decline(&mut self, offer: &Offer) {
        self.decline_for(offer, Filters::default());
    }

    /// Declines an offer with a filter of another length: a [`Duration`] or [`Filters`].
    pub fn decline_for(&mut self, offer: &Offer, filters: impl Into<Filters>) {
        self.decline_all([offer], filters);
    }

    /// Declines offers in one call, with a filter of that length. No offers, no call.
    pub fn decline_all<'a>(&mut self, offers: impl IntoIterator<Item = &'a Offer>, filters: impl Into<Filters>) {
        let offers: Vec<OfferId> = offers.into_iter().map(|offer| offer.id.clone()).collect();
        if !offers.is_empty() {
            self.push(Call::Decline { offers, filters: filters.into(), each: false });
        }
    }

    /// Suppresses offers for all roles until [`Calls::revive`].
    pub fn suppress(&mut self) {
        self.push(Call::Suppress(Vec::new()));
    }

    /// Suppresses offers for these roles. No roles, no call: [`Calls::suppress`] is for all.
    pub fn suppress_roles(&mut self, roles: impl IntoIterator<Item = Role>) {
        let roles: Vec<Role> = roles.into_iter().collect();
        if !roles.is_empty() {
            self.push(Call::Suppress(roles));
        }
    }

    /// Asks for offers for all roles again and clears the framework's filters. The master makes the offers at once, without waiting
    /// for the next batch: to do this often is what [`Pace`] is against.
    pub fn revive(&mut self) {
        self.push(Call::Revive(Vec::new()));
    }

    /// Asks for offers for these roles again and clears the filters for them. No roles, no call: [`Calls::revive`] is for all.
    pub fn revive_roles(&mut self, roles: impl IntoIterator<Item = Role>) {
        let roles: Vec<Role> = roles.into_iter().collect();
        if !roles.is_empty() {
            self.push(Call::Revive(roles));
        }
    }

    /// Requests so many offers for roles that are suppressed. See [`Request`].
    ///
    /// # Examples
    ///
    /// A framework that is offered nothing but the two offers that it needs:
    ///
    /// ```
    /// use apportion::scheduler::Calls;
    /// use apportion::{Request, Time};
    ///
    /// let mut calls = Calls::new(Time::ZERO);
    /// calls.suppress();
    /// calls.request(Request::offers(2).each("cpus:1;mem:512".parse()?));
    /// assert_eq!(calls.as_slice().len(), 2);
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    pub fn request(&mut self, request: Request) {
        self.push(request.into());
    }

    /// Kills a task, by its own kill policy.
    pub fn kill(&mut self, task: TaskId) {
        self.push(Call::Kill(task.into()));
    }

    /// Kills a task that has this time to shut down, whatever its kill policy says.
    pub fn kill_within(&mut self, task: TaskId, grace: Duration) {
        self.push(Call::Kill(Kill::new(task).within(grace)));
    }

    /// Asks for the current status of these tasks (explicit reconciliation).
    pub fn reconcile(&mut self, tasks: impl IntoIterator<Item = TaskRef>) {
        self.push(Call::Reconcile(Some(tasks.into_iter().collect())));
    }

    /// Asks for the current status of all tasks of the framework that the master knows (implicit reconciliation).
    pub fn reconcile_all(&mut self) {
        self.push(Call::Reconcile(None));
    }

    /// Sends a message to an executor of the framework. Delivery is not guaranteed.
    pub fn message(&mut self, agent: AgentId, executor: ExecutorId, data: impl Into<Vec<u8>>) {
        self.push(Call::Message { agent, executor, data: data.into() });
    }

    /// Accepts an inverse offer: the framework will give the resources back.
    pub fn accept_inverse(&mut self, offer: &InverseOffer) {
        self.push(Call::AcceptInverseOffers {
            offers: vec![offer.id.clone()],
            filters: Filters::default(),
            each: false,
        });
    }

    /// Declines an inverse offer: the framework will keep the resources.
    pub fn decline_inverse(&mut self, offer: &InverseOffer) {
        self.push(Call::DeclineInverseOffers {
            offers: vec![offer.id.clone()],
            filters: Filters::default(),
            each: false,
        });
    }

    /// Queues any other call.
    pub fn push(&mut self, call: Call) {
        self.queue.push(call);
    }

    /// Sets a one-shot timer: [`Scheduler::woken`] is called at `at`, or at once if that has passed.
    ///
    /// The timer is kept by the transport; no call goes to the master.
    pub fn wake_at(&mut self, at: Time) {
        self.wake_for(at, 0);
    }

    /// Sets a one-shot timer with a token, which [`Scheduler::woken_for`] gets: one scheduler can tell its timers apart.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Calls, Offer, Scheduler, Time};
    ///
    /// #[derive(Default)]
    /// struct Jobs {
    ///     started: Vec<u64>,
    /// }
    ///
    /// impl Scheduler for Jobs {
    ///     fn offers(&mut self, _: Vec<Offer>, calls: &mut Calls) {
    ///         calls.wake_for(Time::from_secs(60), 7); // the job 7 starts in a minute
    ///     }
    ///
    ///     fn woken_for(&mut self, job: u64, _: &mut Calls) {
    ///         self.started.push(job);
    ///     }
    /// }
    ///
    /// let (mut jobs, mut calls) = (Jobs::default(), Calls::new(Time::ZERO));
    /// jobs.offers(Vec::new(), &mut calls);
    /// let timer = calls.wakes()[0];
    /// jobs.woken_for(timer.token, &mut Calls::new(timer.at)); // as a transport does
    /// assert_eq!(jobs.started, [7]);
    /// ```
    pub fn wake_for(&mut self, at: Time, token: u64) {
        self.wakes.push(Timer { at, token });
    }

    /// Returns the timers that were set, in order of setting.
    #[must_use]
    pub fn wakes(&self) -> &[Timer] {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_for_some_roles_or_offers_is_never_one_for_all() {
        let mut calls = Calls::new(Time::ZERO);
        calls.suppress_roles([]);
        calls.revive_roles([]);
        calls.decline_all([], Filters::NONE);
        assert_eq!(calls.as_slice(), []);

        let role: Role = "web".parse().unwrap();
        calls.suppress_roles([role.clone()]);
        calls.revive_roles([role.clone()]);
        let offers = ["O1", "O2"].map(|id| Offer::new(id, "f", Role::default(), "a", crate::Resources::new()));
        calls.decline_all(&offers, Duration::from_secs(7));
        calls.kill_within("t1".into(), Duration::from_secs(3));
        let filters = Filters::refuse_for(Duration::from_secs(7));
        let kill = Kill { task: "t1".into(), agent: None, grace: Some(Duration::from_secs(3)) };
        let declined = Call::Decline { offers: vec!["O1".into(), "O2".into()], filters, each: false };
        let expected = [Call::Suppress(vec![role.clone()]), Call::Revive(vec![role]), declined, Call::Kill(kill)];
        assert_eq!(calls.into_vec(), expected);
    }
}
