//! [`Delivery`]: what every transport of a master has to do, once and without I/O.
//!
//! A [`Master`] decides; its effects name what has happened. A transport needs messages: the offers of a moment together, the
//! tasks of a group together, no rescind of an offer that was never sent, and the end of a connection in its place among
//! the messages. [`Delivery`] makes these of the effects, and commands of what comes in:
//!
//! ```text
//!                 handle, call, subscribe                       poll_framework_message
//!   frameworks --------------------------> +----------+ -------------------------------> schedulers
//!   agents                                 | Delivery |   poll_agent_message
//!   operators                              | (Master) | -------------------------------> agents
//!   clock      --------------------------> +----------+   poll_notice
//!                 advance, poll_timeout        |     ^ -------------------------------> operators
//!                                 poll_command |     | stored
//!                                              v     |
//!                                             storage
//! ```

mod batches;
mod message;
mod metrics;
mod outbox;
mod route;

pub use message::{AgentMessage, Closed, Envelope, FrameworkMessage, Notice, Part, Recipient, Recorded};
pub use metrics::DeliveryMetrics;

use crate::allocator::{Allocator, Hierarchical};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::master::{Command, CommandError, Emitted, EndedOffer, Master, Wake};
use crate::offer::{InverseOffer, Offer};
use crate::scheduler::{Call, Rejected, TaskRef};
use crate::time::Time;
use batches::{BatchNumber, Batches};
use outbox::{Outbox, Queued};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// A master with a queue of messages for each framework and agent, and for the operators.
///
/// Its inputs are commands: [`handle`](Self::handle) for all, [`call`](Self::call) and [`subscribe`](Self::subscribe) for
/// those of frameworks. A broken connection is a command, too: [`Command::DeactivateFramework`] and
/// [`Command::DisconnectAgent`]. What was not sent by then is dropped.
///
/// Its outputs are messages, taken of all recipients in order ([`poll_framework_message`](Self::poll_framework_message),
/// [`poll_agent_message`](Self::poll_agent_message)) or of one recipient ([`poll_message_to_framework`](Self::poll_message_to_framework),
/// [`poll_message_to_agent`](Self::poll_message_to_agent)) when [`poll_ready`](Self::poll_ready) names it. The order of one
/// recipient's messages is the same both ways. Offers come after all other messages of their moment.
///
/// A recipient never makes the others wait: one whose messages cost more than its [queue holds](Self::bounded) is
/// disconnected, by a command like any other.
///
/// *Write, then tell*: with [`recording`](Self::recording) every command can be stored, and with [`holding`](Self::holding) no
/// message leaves before the command that caused it [is stored](Self::stored).
///
/// # Examples
///
/// ```
/// use apportion::delivery::{AgentMessage, Delivery, FrameworkMessage};
/// use apportion::{Accept, Agent, Call, Command, Config, Event, Framework, Master, Role, Task, Time};
///
/// let mut delivery = Delivery::new(Master::new(Config::default()));
/// let agent = Agent::new("a1", "cpus:8;mem:4096".parse()?);
/// delivery.handle(Time::ZERO, Command::AddAgent(agent.into()))?;
/// let id = delivery.subscribe(Time::ZERO, Framework::new("").role(Role::default()))?; // no id: it is given one
///
/// let next = |delivery: &mut Delivery| delivery.poll_framework_message().map(|envelope| envelope.message);
/// assert!(matches!(next(&mut delivery), Some(FrameworkMessage::Event(Event::Subscribed(_)))));
/// let Some(FrameworkMessage::Event(Event::Offers(offers))) = next(&mut delivery) else { panic!("no offers") };
/// let accept = Accept::of(&offers[0]).launch(Task::new("t1", "cpus:1;mem:64".parse()?));
/// delivery.call(Time::ZERO, &id, Call::Accept(accept))?;
///
/// let messages: Vec<_> = std::iter::from_fn(|| delivery.poll_agent_message()).map(|envelope| envelope.message).collect();
/// assert!(matches!(&messages[..], [AgentMessage::Registered(_), AgentMessage::Launch { .. }]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Delivery<A = Hierarchical> {
    master: Master<A>,
    frameworks: Outbox<FrameworkId, ToFramework>,
    agents: Outbox<AgentId, AgentMessage>,
    notices: VecDeque<Queued<Notice>>,
    offers: Batches<Offer>,
    inverse_offers: Batches<InverseOffer>,
    /// The time of the last message.
    moment: Time,
    /// The call that is being handled, or was last: the master may refuse it, or a part of it.
    call: Option<Call>,
    handled: u64,
    /// The number of the last command that is stored; the largest number if messages are not held.
    stored: u64,
    recorded: Option<VecDeque<Recorded>>,
    observed: Option<VecDeque<Emitted>>,
    bound: Bound,
    overflowing: Vec<Recipient>,
    connections: u64,
    /// The number of frameworks that were given an id.
    named: u64,
    /// The number of recipients that were disconnected because they were too slow.
    too_slow: u64,
}

/// A message, or the number of a batch of offers that becomes one.
#[derive(Debug, Clone)]
enum ToFramework {
    Message(FrameworkMessage),
    Offers(BatchNumber),
    InverseOffers(BatchNumber),
}

/// The cost of messages, and the largest that a queue may have.
#[derive(Clone)]
struct Bound {
    limit: u64,
    cost: Arc<Cost>,
}

type Cost = dyn Fn(Part<'_>) -> u64 + Send + Sync;

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<A: Allocator> Delivery<A> {
    /// The number of messages that a queue holds by default, and of notices in any case.
    pub const MAX_QUEUED: u64 = 1 << 20;

    /// Returns the delivery of a master. The frameworks and agents that the master has already count as connected.
    #[must_use]
    pub fn new(master: Master<A>) -> Self {
        Self {
            moment: master.now(),
            master,
            frameworks: Outbox::default(),
            agents: Outbox::default(),
            notices: VecDeque::new(),
            offers: Batches::default(),
            inverse_offers: Batches::default(),
            call: None,
            handled: 0,
            stored: u64::MAX,
            recorded: None,
            observed: None,
            bound: Bound { limit: Self::MAX_QUEUED, cost: Arc::new(|_| 1) },
            overflowing: Vec::new(),
            connections: 0,
            named: 0,
            too_slow: 0,
        }
    }

    /// Bounds each queue: a framework or an agent whose untaken messages cost more than `limit` is disconnected. The unit is
    /// the caller's: bytes, for example. Without this each part costs 1, and the limit is [`Self::MAX_QUEUED`]. Messages that
    /// [are held](Self::holding) count, too: the limit bounds how far storage may fall behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::delivery::{Delivery, FrameworkMessage, Notice};
    /// use apportion::{Agent, Command, Config, Framework, Master, Role, Time};
    ///
    /// let mut delivery = Delivery::new(Master::new(Config::default())).bounded(2, |_| 1).recording();
    /// delivery.subscribe(Time::ZERO, Framework::new("slow").role(Role::default()))?;
    /// for id in ["a1", "a2"] {
    ///     delivery.handle(Time::ZERO, Command::AddAgent(Agent::new(id, "cpus:1;mem:64".parse()?).into()))?;
    /// }
    /// let last = std::iter::from_fn(|| delivery.poll_command()).last().map(|recorded| recorded.command);
    /// assert_eq!(last, Some(Command::DeactivateFramework("slow".into())));
    /// assert!(matches!(delivery.poll_notice().map(|told| told.message), Some(Notice::TooSlow(_))));
    /// assert!(matches!(delivery.poll_framework_message().map(|told| told.message), Some(FrameworkMessage::Close(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bounded(mut self, limit: u64, cost: impl Fn(Part<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.bound = Bound { limit, cost: Arc::new(cost) };
        self
    }

    /// Keeps every command for [`Self::poll_command`], those that the master rejects, too.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.recorded = Some(VecDeque::new());
        self
    }

    /// Holds every message until the command that caused it [is stored](Self::stored).
    #[must_use]
    pub fn holding(mut self) -> Self {
        self.stored = 0;
        self
    }

    /// Keeps every effect of the master for [`Self::poll_effect`].
    #[must_use]
    pub fn observing(mut self) -> Self {
        self.observed = Some(VecDeque::new());
        self
    }

    /// Handles a command. One that comes later than its time is handled now: threads need not agree on a clock.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects it.
    pub fn handle(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        let result = self.run_at(at, command);
        self.disconnect_slow();
        result
    }

    /// Runs a command, but disconnects nobody who is slow.
    fn run_at(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        if at > self.now() {
            self.advance(at); // what is due now, the master runs before the command
        }
        self.run(command, Closed::Disconnected)
    }

    /// Runs a command now. A connection that it breaks is closed for that reason.
    fn run(&mut self, command: Command, broken: Closed) -> Result<(), CommandError> {
        let at = self.now();
        self.handled += 1;
        if let Some(recorded) = &mut self.recorded {
            recorded.push_back(Recorded { number: self.handled, at, command: command.clone() });
        }
        self.call = if let Command::Call(_, call) = &command { Some(call.clone()) } else { None };
        let change = Change::of(&command);
        let result = self.master.handle(at, command);
        let change = change.filter(|_| result.is_ok());
        if let Some(change) = &change {
            self.begin(change);
        }
        self.route();
        if let Some(change) = change {
            self.end(change, broken);
        }
        result
    }

    /// Handles a call of a framework as a transport does, since an answer may cross a rescind: answers to offers are judged
    /// [each for itself](crate::Accept::each), and a KILL of an unknown task is answered as a reconciliation of it. A call
    /// that the master rejects is a [`FrameworkMessage::Rejected`] for the framework as well.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects the call, to be logged. Over the v1 API it is no error of the request.
    pub fn call(&mut self, at: Time, framework: &FrameworkId, call: Call) -> Result<(), CommandError> {
        let result = self.run_at(at, Command::Call(framework.clone(), judged_each(call)));
        let result = match (result, self.call.take()) {
            (Err(CommandError::UnknownTask { .. }), Some(Call::Kill(kill))) => {
                let unknown = TaskRef { task: kill.task, agent: kill.agent };
                self.run(Command::Call(framework.clone(), Call::Reconcile(Some(vec![unknown]))), Closed::Disconnected)
            }
            (Err(error), Some(call)) => {
                let rejected = FrameworkMessage::Rejected(Rejected::new(call, error.to_string()));
                self.begin_moment(self.now());
                self.tell(framework, self.now(), rejected);
                Err(error)
            }
            (result, _) => result,
        };
        self.disconnect_slow();
        result
    }

    /// Subscribes a framework: a new one, one that comes back, or another instance of one, whose connection then ends with
    /// [`Closed::FailedOver`]. Its first message is [`Event::Subscribed`](crate::Event::Subscribed).
    ///
    /// A framework without an id is given one: the master's [`id_prefix`](crate::Config::id_prefix), `F` and a number.
    /// Returns the id.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects it: a v1 connection tells it as
    /// [`Event::Error`](crate::Event::Error), and ends.
    pub fn subscribe(&mut self, at: Time, mut framework: Framework) -> Result<FrameworkId, CommandError> {
        while framework.id.as_str().is_empty() {
            self.named += 1;
            let id = FrameworkId::from(format!("{}F{}", self.master.config().id_prefix, self.named));
            if !self.master.has_known(&id) {
                framework.id = id;
            }
        }
        let id = framework.id.clone();
        self.handle(at, Command::Call(id.clone(), Call::Subscribe(Box::new(framework))))?;
        Ok(id)
    }

    /// Runs the timers that are due by then, and advances the clock; not back.
    pub fn advance(&mut self, at: Time) {
        // One timer at a time: a jump in time makes no more than its messages.
        while let Some(wake) = self.master.poll_timeout().filter(|wake| wake.at <= at) {
            let _ = self.master.advance(wake.at.max(self.now())); // errs on what a further call mends
            self.route();
            self.disconnect_slow();
        }
        if at > self.now() {
            let _ = self.master.advance(at); // nothing is due
        }
    }

    /// Notes that this command and all before it are stored: their messages may leave. Only if messages
    /// [are held](Self::holding).
    pub fn stored(&mut self, number: u64) {
        self.stored = self.stored.max(number);
    }

    /// Removes and returns the next message to any framework.
    #[must_use]
    pub fn poll_framework_message(&mut self) -> Option<Envelope<FrameworkId, FrameworkMessage>> {
        loop {
            let (to, queued) = self.frameworks.poll(self.stored)?;
            if let Some(envelope) = self.seal(to, queued) {
                return Some(envelope);
            }
        }
    }

    /// Removes and returns the next message to this framework.
    #[must_use]
    pub fn poll_message_to_framework(
        &mut self,
        framework: &FrameworkId,
    ) -> Option<Envelope<FrameworkId, FrameworkMessage>> {
        loop {
            let queued = self.frameworks.poll_for(framework, self.stored)?;
            if let Some(envelope) = self.seal(framework.clone(), queued) {
                return Some(envelope);
            }
        }
    }

    /// Removes and returns the next message to any agent.
    #[must_use]
    pub fn poll_agent_message(&mut self) -> Option<Envelope<AgentId, AgentMessage>> {
        let (to, queued) = self.agents.poll(self.stored)?;
        Some(envelope(to, queued))
    }

    /// Removes and returns the next message to this agent.
    #[must_use]
    pub fn poll_message_to_agent(&mut self, agent: &AgentId) -> Option<Envelope<AgentId, AgentMessage>> {
        let queued = self.agents.poll_for(agent, self.stored)?;
        Some(envelope(agent.clone(), queued))
    }

    /// Removes and returns the next message to the operators. The oldest are dropped when there are more than
    /// [`Self::MAX_QUEUED`].
    #[must_use]
    pub fn poll_notice(&mut self) -> Option<Envelope<Recipient, Notice>> {
        self.notices.front().filter(|queued| queued.cause <= self.stored)?;
        self.notices.pop_front().map(|queued| envelope(Recipient::Operator, queued))
    }

    /// Returns the next framework or agent that has got messages since it was returned last.
    #[must_use]
    pub fn poll_ready(&mut self) -> Option<Recipient> {
        let framework = self.frameworks.poll_ready(self.stored).map(Recipient::Framework);
        framework.or_else(|| self.agents.poll_ready(self.stored).map(Recipient::Agent))
    }

    /// Removes and returns the next command to store, if commands are [recorded](Self::recording).
    #[must_use]
    pub fn poll_command(&mut self) -> Option<Recorded> {
        self.recorded.as_mut()?.pop_front()
    }

    /// Removes and returns the next effect of the master, if effects are [observed](Self::observing). Its message is queued
    /// already.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Emitted> {
        self.observed.as_mut()?.pop_front()
    }

    /// Removes and returns the next offer that has ended, if the master [watches offers](Master::watch_offers).
    #[must_use]
    pub fn poll_ended_offer(&mut self) -> Option<EndedOffer> {
        self.master.poll_ended_offer()
    }

    /// Returns the next timer of the master, if there is one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Wake> {
        self.master.poll_timeout()
    }

    /// Returns whether there is a message that may leave, to a framework or to an agent.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        self.frameworks.has_any(self.stored) || self.agents.has_any(self.stored)
    }

    /// Returns whether there is an effect for [`Self::poll_effect`].
    #[must_use]
    pub fn has_effects(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| !observed.is_empty())
    }

    /// Returns the current time of the master.
    #[must_use]
    pub fn now(&self) -> Time {
        self.master.now()
    }

    /// Returns the number of the last command.
    #[must_use]
    pub fn last_command(&self) -> u64 {
        self.handled
    }

    /// Returns the master.
    #[must_use]
    pub fn master(&self) -> &Master<A> {
        &self.master
    }

    /// Returns the master. Messages that were not taken are lost.
    #[must_use]
    pub fn into_master(self) -> Master<A> {
        self.master
    }
}

/// A change of connections that a command brings, besides that of a subscription.
#[derive(Debug)]
enum Change {
    Registers(AgentId),
    Disconnects(Recipient),
    Removes(Recipient),
    Connects(FrameworkId),
}

impl Change {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few commands are about a connection")]
    fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::AddAgent(registration) => Self::Registers(registration.agent.id.clone()),
            Command::DisconnectAgent(agent) | Command::AgentUnreachable(agent) => {
                Self::Disconnects(Recipient::Agent(agent.clone()))
            }
            Command::RemoveAgent(agent) | Command::UnregisterAgent(agent) | Command::AgentGone(agent) => {
                Self::Removes(Recipient::Agent(agent.clone()))
            }
            Command::DeactivateFramework(framework) => Self::Disconnects(Recipient::Framework(framework.clone())),
            Command::ActivateFramework(framework) => Self::Connects(framework.clone()),
            Command::Call(framework, Call::Teardown) => Self::Removes(Recipient::Framework(framework.clone())),
            _ => return None,
        })
    }
}

/// Has a call judged part by part.
fn judged_each(mut call: Call) -> Call {
    if let Call::Accept(accept) = &mut call {
        accept.each = true;
    } else if let Call::Decline { each, .. }
    | Call::AcceptInverseOffers { each, .. }
    | Call::DeclineInverseOffers { each, .. } = &mut call
    {
        *each = true;
    }
    call
}

fn envelope<To, Message>(to: To, queued: Queued<Message>) -> Envelope<To, Message> {
    let Queued { connection, at, cause, cost: _, message } = queued;
    Envelope { to, connection, at, cause, message }
}
