//! [`Scheduler`]: what the author of a framework writes.
//!
//! [`Event`]s come in, [`Call`]s go out, as in the Mesos v1 scheduler API. A scheduler holds no
//! connection and reads no clock, so the same one runs in a test, in a simulation and behind any
//! transport.

use crate::id::{AgentId, FrameworkId, OfferId, TaskId};
use crate::offer::{Accept, Filters, InverseOffer, Offer};
use crate::role::Role;
use crate::task::TaskStatus;
use crate::time::Time;
use std::fmt;

/// What a framework is told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It is registered under that id.
    Subscribed(FrameworkId),
    /// It may take something of these.
    Offers(Vec<Offer>),
    /// It is asked to give these back.
    InverseOffers(Vec<InverseOffer>),
    /// An offer is no longer its own.
    Rescind(OfferId),
    /// It is no longer asked to give that back.
    RescindInverseOffer(OfferId),
    /// News of one of its tasks.
    Update(TaskStatus),
    /// An agent is gone.
    Failure(AgentId),
    /// A call of it was turned away; nothing has changed.
    Error(String),
}

/// What a framework asks for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Takes something of offers.
    Accept(Accept),
    /// Takes nothing of offers.
    Decline {
        /// Which offers.
        offers: Vec<OfferId>,
        /// For how long not to be offered the same again.
        filters: Filters,
    },
    /// Will give back what these inverse offers ask for.
    AcceptInverseOffers {
        /// Which inverse offers.
        offers: Vec<OfferId>,
        /// For how long not to be asked again.
        filters: Filters,
    },
    /// Will not give it back.
    DeclineInverseOffers {
        /// Which inverse offers.
        offers: Vec<OfferId>,
        /// For how long not to be asked again.
        filters: Filters,
    },
    /// Wants no offers for these roles; none = for all that it has.
    Suppress(Vec<Role>),
    /// Wants offers for these roles again, filters forgotten; none = for all that it has.
    Revive(Vec<Role>),
    /// Ends a task.
    Kill(TaskId),
    /// Asks for the state of these tasks; none = of all that it has.
    Reconcile(Option<Vec<TaskId>>),
    /// Leaves, and all its tasks with it.
    Teardown,
}

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

    /// Learns that a call was turned away; nothing has changed.
    fn rejected(&mut self, message: String, calls: &mut Calls) {
        let _ = (message, calls);
    }

    /// Hands an event to its method; a transport calls this one.
    fn receive(&mut self, event: Event, calls: &mut Calls) {
        match event {
            Event::Subscribed(framework) => self.subscribed(framework, calls),
            Event::Offers(offers) => self.offers(offers, calls),
            Event::InverseOffers(offers) => self.inverse_offers(offers, calls),
            Event::Rescind(offer) => self.rescinded(offer, calls),
            Event::RescindInverseOffer(offer) => self.inverse_rescinded(offer, calls),
            Event::Update(status) => self.update(status, calls),
            Event::Failure(agent) => self.agent_lost(agent, calls),
            Event::Error(message) => self.rejected(message, calls),
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
}

impl Calls {
    /// Starts collecting at that moment.
    #[must_use]
    pub fn new(at: Time) -> Self {
        Self { at, queue: Vec::new() }
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
        self.push(Call::Kill(task));
    }

    /// Any call.
    pub fn push(&mut self, call: Call) {
        self.queue.push(call);
    }

    /// What was asked for, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<Call> {
        self.queue
    }
}
