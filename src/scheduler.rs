//! [`Scheduler`]: what the author of a framework writes.
//!
//! [`Event`]s come in, [`Call`]s go out, as in the Mesos v1 scheduler API. A scheduler holds no
//! connection and reads no clock, so the same one runs in a test, in a simulation and behind any
//! transport.
//!
//! What every framework repeats is here too: [`TaskIds`], [`Retries`] with a limit and longer and longer waits, a
//! [`Reconciler`] for a scheduler that takes over, and a [`Pace`] for declines.

mod call;
mod event;
mod pace;
mod reconciler;
mod retries;
mod task_ids;

pub use call::{Call, Kill, OperationRef, Request, TaskRef};
pub use event::{Event, Failure, Subscribed};
pub use pace::Pace;
pub use reconciler::Reconciler;
pub use retries::{Retries, Retry};
pub use task_ids::TaskIds;

use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::offer::{Accept, Filters, InverseOffer, Offer, OperationStatus};
use crate::task::TaskStatus;
use crate::time::Time;
use std::fmt;

/// A framework: decides what to take of the offers that it gets.
///
/// One method is required; the others do nothing unless written. Whatever the framework wants is
/// put into [`Calls`]; nothing happens to it before the method returns.
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
///             match self.waiting.pop_if(|task| offer.resources.contains(&task.resources)) {
///                 Some(task) => calls.accept(Accept::of(&offer).launch(task)),
///                 None => calls.decline(&offer),
///             }
///         }
///     }
/// }
/// ```
pub trait Scheduler: fmt::Debug + Send {
    /// Answers offers: accepts, declines, or keeps them for later.
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls);

    /// Learns the state of a task.
    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        let _ = (status, calls);
    }

    /// Learns that an offer is no longer its own.
    fn rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        let _ = (offer, calls);
    }

    /// Is asked to give back what its tasks hold on agents that will be down.
    fn inverse_offers(&mut self, offers: Vec<InverseOffer>, calls: &mut Calls) {
        let _ = (offers, calls);
    }

    /// Learns that it is no longer asked to give something back.
    fn inverse_rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        let _ = (offer, calls);
    }

    /// Learns that it is registered.
    fn subscribed(&mut self, framework: FrameworkId, calls: &mut Calls) {
        let _ = (framework, calls);
    }

    /// Learns that an agent is gone; its tasks are told one by one.
    fn agent_lost(&mut self, agent: AgentId, calls: &mut Calls) {
        let _ = (agent, calls);
    }

    /// Learns that an executor has ended, and how; its tasks are told one by one.
    fn executor_ended(&mut self, ended: Failure, calls: &mut Calls) {
        let _ = (ended, calls);
    }

    /// Is told something by an executor of its own.
    fn message(&mut self, agent: AgentId, executor: ExecutorId, data: Vec<u8>, calls: &mut Calls) {
        let _ = (agent, executor, data, calls);
    }

    /// Learns how an operation went of which it wanted to hear.
    fn operation_updated(&mut self, status: OperationStatus, calls: &mut Calls) {
        let _ = (status, calls);
    }

    /// Is woken, as it asked for by [`Calls::wake_at`].
    fn woken(&mut self, calls: &mut Calls) {
        let _ = calls;
    }

    /// Learns that a call was turned away; nothing has changed.
    fn rejected(&mut self, message: String, calls: &mut Calls) {
        let _ = (message, calls);
    }

    /// Hands an event to its method, and acknowledges what is to be acknowledged; a transport calls this one.
    fn receive(&mut self, event: Event, calls: &mut Calls) {
        match event {
            Event::Subscribed(subscribed) => self.subscribed(subscribed.framework, calls),
            Event::Offers(offers) => self.offers(offers, calls),
            Event::InverseOffers(offers) => self.inverse_offers(offers, calls),
            Event::Rescind(offer) => self.rescinded(offer, calls),
            Event::RescindInverseOffer(offer) => self.inverse_rescinded(offer, calls),
            Event::Update(status) => {
                let (task, from) = (status.task.clone(), status.uuid.zip(status.agent.clone()));
                self.update(status, calls);
                if let Some((uuid, agent)) = from {
                    calls.push(Call::Acknowledge { agent, task, uuid });
                }
            }
            Event::UpdateOperation(status) => {
                let (from, agent) = (status.uuid.zip(status.operation.clone()), status.agent.clone());
                self.operation_updated(status, calls);
                if let Some((uuid, operation)) = from {
                    calls.push(Call::AcknowledgeOperation { agent, operation, uuid });
                }
            }
            Event::Message { agent, executor, data } => self.message(agent, executor, data, calls),
            Event::Failure(failure) => match failure {
                Failure { agent: Some(agent), executor: None, .. } => self.agent_lost(agent, calls),
                ended => self.executor_ended(ended, calls),
            },
            Event::Error(message) => self.rejected(message, calls),
            Event::Heartbeat | Event::Unknown(_) => {}
        }
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

    fn rejected(&mut self, message: String, calls: &mut Calls) {
        (**self).rejected(message, calls);
    }

    fn receive(&mut self, event: Event, calls: &mut Calls) {
        (**self).receive(event, calls);
    }
}

/// Collects what a scheduler asks for while it handles one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calls {
    at: Time,
    queue: Vec<Call>,
    wakes: Vec<Time>,
}

impl Calls {
    /// Starts collecting at that moment.
    #[must_use]
    pub fn new(at: Time) -> Self {
        Self { at, queue: Vec::new(), wakes: Vec::new() }
    }

    /// The moment of the event: the only clock that a scheduler has.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// Takes something of an offer.
    pub fn accept(&mut self, accept: Accept) {
        self.push(Call::Accept(accept));
    }

    /// Takes nothing of an offer, and does not want it again for five seconds.
    pub fn decline(&mut self, offer: &Offer) {
        self.decline_for(offer, Filters::default());
    }

    /// Takes nothing of an offer, and does not want it again for a while.
    pub fn decline_for(&mut self, offer: &Offer, filters: Filters) {
        self.push(Call::Decline { offers: vec![offer.id.clone()], filters });
    }

    /// Wants no more offers, for any role, until it revives.
    pub fn suppress(&mut self) {
        self.push(Call::Suppress(Vec::new()));
    }

    /// Wants offers again for all its roles, filters forgotten.
    pub fn revive(&mut self) {
        self.push(Call::Revive(Vec::new()));
    }

    /// Ends a task.
    pub fn kill(&mut self, task: TaskId) {
        self.push(Call::Kill(task.into()));
    }

    /// Asks for the state of these tasks.
    pub fn reconcile(&mut self, tasks: impl IntoIterator<Item = TaskRef>) {
        self.push(Call::Reconcile(Some(tasks.into_iter().collect())));
    }

    /// Asks for the state of all tasks that the master knows of.
    pub fn reconcile_all(&mut self) {
        self.push(Call::Reconcile(None));
    }

    /// Says something to an executor of its own; it may get lost.
    pub fn message(&mut self, agent: AgentId, executor: ExecutorId, data: impl Into<Vec<u8>>) {
        self.push(Call::Message { agent, executor, data: data.into() });
    }

    /// Will give back what an inverse offer asks for.
    pub fn accept_inverse(&mut self, offer: &InverseOffer) {
        self.push(Call::AcceptInverseOffers { offers: vec![offer.id.clone()], filters: Filters::default() });
    }

    /// Will not give it back.
    pub fn decline_inverse(&mut self, offer: &InverseOffer) {
        self.push(Call::DeclineInverseOffers { offers: vec![offer.id.clone()], filters: Filters::default() });
    }

    /// Any call.
    pub fn push(&mut self, call: Call) {
        self.queue.push(call);
    }

    /// Wants to be [woken](Scheduler::woken) at that moment, once, or at once if it has passed.
    ///
    /// This asks nothing of the master: whoever carries the messages keeps the time.
    pub fn wake_at(&mut self, at: Time) {
        self.wakes.push(at);
    }

    /// When it wants to be woken, as it was asked for.
    #[must_use]
    pub fn wakes(&self) -> &[Time] {
        &self.wakes
    }

    /// What was asked for so far, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Call] {
        &self.queue
    }

    /// What was asked for, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<Call> {
        self.queue
    }
}
