//! [`Leader`]: the master with the streams of its frameworks. It owns the [`Delivery`], does no I/O and never waits.

use crate::agents::Agents;
use crate::clock::set_unreachable_time;
use crate::encoding::Encoding;
use crate::events::{Events, Watch};
use crate::gate::{Gate, Session};
use crate::machines::Machines;
use crate::operator_api::{agent_url, maintenance};
use crate::recorder::Recorder;
use crate::stream::{Encoder, Signal, Source, Stream, stream};
use crate::view::{Snapshot, Told, Touched, View};
use apportion::delivery::{Closed, Delivery, FrameworkMessage, Notice, Part, Recipient};
use apportion::v1::Dialect;
use apportion::{
    AgentId, Call, Command, CommandError, Emitted, Event, Framework, FrameworkId, Master, Offer, Operation,
    OperationError, Registration, Time, Unavailability, Uuid,
};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

/// What comes in.
pub(crate) enum Input {
    /// A framework subscribes. The stream says how that went.
    Subscribe {
        framework: Box<Framework>,
        encoding: Encoding,
        /// Cuts the connection.
        cut: Arc<Notify>,
        reply: oneshot::Sender<Stream>,
    },
    /// A subscription that is refused before the master sees it.
    Refuse { reason: String, encoding: Encoding, reply: oneshot::Sender<Stream> },
    /// A framework changes its description.
    Update { id: FrameworkId, framework: Box<Framework>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// A framework calls over the stream of that id.
    Call { id: FrameworkId, stream: Uuid, call: Call },
    /// A command of an operator, or of the program around.
    Command { command: Box<Command>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody watches events.
    Watch(oneshot::Sender<Watch>),
    /// A question.
    Query(Box<dyn FnOnce(&Master) + Send>),
    /// Something that takes several commands, or what the master itself does not know.
    Act(Step),
    /// The state of the cluster as operators see it, at this moment.
    Snapshot(oneshot::Sender<Snapshot>),
    /// The same, and all changes after it.
    WatchState(oneshot::Sender<(Snapshot, broadcast::Receiver<Arc<Told>>)>),
}

/// What a leader is to do.
pub(crate) type Step = Box<dyn FnOnce(&mut Leader, Time) + Send>;

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subscribe { .. } => "Subscribe",
            Self::Refuse { .. } => "Refuse",
            Self::Update { .. } => "Update",
            Self::Call { .. } => "Call",
            Self::Command { .. } => "Command",
            Self::Watch(_) => "Watch",
            Self::Query(_) => "Query",
            Self::Act(_) => "Act",
            Self::Snapshot(_) => "Snapshot",
            Self::WatchState(_) => "WatchState",
        })
    }
}

/// A master with the streams of its frameworks.
#[derive(Debug)]
pub(crate) struct Leader {
    delivery: Delivery,
    view: View,
    /// The effects that the view has not seen yet. It is empty between inputs.
    effects: Vec<Emitted>,
    gate: Arc<Gate>,
    agents: Box<dyn Agents>,
    streams: BTreeMap<FrameworkId, Open>,
    /// The number of streams that were opened.
    opened: u64,
    pub(crate) machines: Machines,
    recorder: Option<Recorder>,
    events: Events,
    signals: mpsc::UnboundedSender<Signal>,
}

/// An open stream.
#[derive(Debug)]
struct Open {
    id: Uuid,
    source: Source,
    cut: Arc<Notify>,
    /// True once SUBSCRIBED was sent; what comes before belongs to the stream before.
    has_begun: bool,
    /// The time since which the client has taken nothing, while there is something.
    full_since: Option<Time>,
}

impl Leader {
    pub(crate) fn new(gate: Arc<Gate>, agents: Box<dyn Agents>, signals: mpsc::UnboundedSender<Signal>) -> Self {
        let mut config = gate.settings.config.clone();
        if config.id_prefix.is_empty() {
            config.id_prefix = format!("{}-", gate.settings.id).into();
        }
        let view = View::new(gate.started, config.clone(), gate.settings.max_completed_tasks);
        let master = Master::new(config);
        let delivery = Delivery::new(master).bounded(gate.settings.stream_buffer, estimated_bytes).observing();
        let record = gate.settings.record.clone();
        let delivery = if record.is_some() { delivery.recording() } else { delivery };
        let master = || delivery.master().clone();
        let recorder = record.map(|file| Recorder::start(file, gate.settings.record_size, master()));
        Self {
            delivery,
            view,
            effects: Vec::new(),
            gate,
            agents,
            streams: BTreeMap::new(),
            opened: 0,
            machines: Machines::default(),
            recorder,
            events: Events::new(),
            signals,
        }
    }

    /// Handles what has come in. Call [`Self::flush`] afterwards.
    pub(crate) fn handle(&mut self, at: Time, input: Input) {
        match input {
            Input::Subscribe { framework, encoding, cut, reply } => {
                let stream = self.subscribe(at, *framework, encoding, cut);
                drop(reply.send(stream)); // if nobody waits any more, the stream ends
            }
            Input::Refuse { reason, encoding, reply } => drop(reply.send(self.refusal(reason, encoding))),
            Input::Update { id, framework, reply } => {
                let result = self.run_call(at, &id, Call::UpdateFramework(framework.clone()));
                if let (Ok(()), Some(session)) = (&result, self.gate.session(&id)) {
                    self.gate.set_session(Session { framework: Arc::from(framework), ..session });
                }
                drop(reply.send(result));
            }
            Input::Call { id, stream, call } => {
                if self.streams.get(&id).is_some_and(|open| open.id == stream) {
                    self.call(at, &id, call);
                }
            }
            Input::Command { command, reply } => drop(reply.send(self.command(at, *command))),
            Input::Watch(reply) => drop(reply.send(self.events.watch())),
            Input::Query(query) => {
                self.run_timers(at);
                query(self.delivery.master());
            }
            Input::Act(act) => {
                self.run_timers(at);
                act(self, at);
            }
            Input::Snapshot(reply) => {
                self.run_timers(at);
                drop(reply.send(self.view.snapshot(self.delivery.master())));
            }
            Input::WatchState(reply) => {
                self.run_timers(at);
                drop(reply.send((self.view.snapshot(self.delivery.master()), self.view.watch())));
            }
        }
        self.note();
    }

    /// Handles what a stream has to tell.
    pub(crate) fn handle_signal(&mut self, at: Time, signal: Signal) {
        match signal {
            Signal::Drained(framework, id) => {
                if let Some(open) = self.streams.get_mut(&framework).filter(|open| open.id == id) {
                    open.full_since = None;
                    self.pump(at, &framework);
                }
            }
            Signal::Ended(framework, id) => {
                if self.streams.get(&framework).is_some_and(|open| open.id == id) {
                    tracing::info!(%framework, "the connection of a framework has ended");
                    self.disconnect(at, &framework);
                }
            }
        }
        self.note();
    }

    /// Runs the timers that are due by then.
    pub(crate) fn advance(&mut self, at: Time) {
        let is_due = self.delivery.poll_timeout().is_some_and(|wake| wake.at <= at);
        self.run_timers(at);
        if is_due && self.recorder.is_some() {
            self.record();
            self.recorder.iter_mut().for_each(|recorder| recorder.advance(at));
        }
        self.agents.advance(at);
        let timeout = self.gate.settings.stream_timeout;
        let is_stuck = |open: &Open| open.full_since.is_some_and(|since| since + timeout <= at);
        let stuck: Vec<FrameworkId> =
            self.streams.iter().filter(|(_, open)| is_stuck(open)).map(|(id, _)| id.clone()).collect();
        for framework in stuck {
            tracing::warn!(%framework, "a framework reads nothing, and is cut");
            self.disconnect(at, &framework);
        }
        self.note();
    }

    /// Passes on all messages there are.
    pub(crate) fn flush(&mut self, at: Time) {
        loop {
            while let Some(recipient) = self.delivery.poll_ready() {
                match recipient {
                    Recipient::Framework(framework) => self.pump(at, &framework),
                    Recipient::Agent(agent) => {
                        while let Some(envelope) = self.delivery.poll_message_to_agent(&agent) {
                            self.agents.receive(at, &agent, envelope.message);
                        }
                    }
                    Recipient::Operator | _ => {}
                }
            }
            let Some(command) = self.agents.poll_command() else { break };
            let mut next = Some(command);
            while let Some(command) = next {
                if let Err(error) = self.command(at, command) {
                    tracing::warn!(%error, "the master rejects what an agent tells");
                }
                next = self.agents.poll_command();
            }
        }
        self.note();
        self.record();
    }

    /// Passes on to the journal what the master was told.
    fn record(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        while let Some(recorded) = self.delivery.poll_command() {
            recorder.command(recorded);
        }
        recorder.rotate_if_due(self.delivery.master());
    }

    /// Returns the time of the next timer, if there is one.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let timeout = self.gate.settings.stream_timeout;
        let stuck = self.streams.values().filter_map(|open| open.full_since).map(|since| since + timeout).min();
        let master = self.delivery.poll_timeout().map(|wake| wake.at);
        [master, self.agents.poll_timeout(), stuck].into_iter().flatten().min()
    }

    fn subscribe(&mut self, at: Time, mut framework: Framework, encoding: Encoding, cut: Arc<Notify>) -> Stream {
        let known = self.gate.session(&framework.id);
        if let Some(Session { framework: known, .. }) = &known {
            // As in Mesos, these two stay as they were.
            framework.user.clone_from(&known.user);
            framework.checkpoint = known.checkpoint;
            if framework.principal != known.principal {
                return self.refusal("Framework principal cannot be changed".to_owned(), encoding);
            }
        } else if self.delivery.master().has_removed(&framework.id) {
            return self.refusal("Framework has been removed".to_owned(), encoding);
        }
        let dialect = Dialect::of(&framework);
        let mut described = framework.clone();
        let subscribed = self.delivery.subscribe(at, framework);
        self.observe(Touched::Nothing); // an effect tells it
        let id = match subscribed {
            Ok(id) => id,
            Err(error) => return self.refusal(error.to_string(), encoding),
        };
        let stream_id = self.next_stream_id();
        let encoder = Encoder { encoding, dialect };
        let interval = self.gate.settings.heartbeat_interval;
        let (source, stream) = stream((id.clone(), stream_id), encoder, interval, self.signals.clone());
        described.id = id.clone();
        tracing::info!(framework = %id, stream = %stream_id, "a framework has subscribed");
        self.gate.set_session(Session { framework: Arc::new(described), stream: Some(stream_id) });
        let open = Open { id: stream_id, source, cut, has_begun: false, full_since: None };
        if let Some(before) = self.streams.insert(id, open) {
            tracing::info!(stream = %before.id, "another connection takes a framework over: this stream ends");
            before.end(Closed::FailedOver.event());
        }
        stream
    }

    /// Returns a stream that says why there is no subscription, and ends.
    fn refusal(&mut self, reason: String, encoding: Encoding) -> Stream {
        tracing::info!(reason, "a subscription is refused");
        let id = self.next_stream_id();
        let encoder = Encoder { encoding, dialect: Dialect::default() };
        let interval = self.gate.settings.heartbeat_interval;
        let (source, stream) = stream((FrameworkId::from(""), id), encoder, interval, self.signals.clone());
        let _ = source.events.try_send(Event::Error(reason)); // the stream is empty
        stream
    }

    fn next_stream_id(&mut self) -> Uuid {
        self.opened += 1;
        Uuid::from_seed(self.gate.settings.seed, self.opened)
    }

    fn call(&mut self, at: Time, id: &FrameworkId, call: Call) {
        let is_teardown = matches!(call, Call::Teardown);
        maintenance::note_answers(self, id, &call);
        match self.run_call(at, id, call) {
            Ok(()) if is_teardown => self.removed(id),
            Ok(()) => {}
            Err(error) => tracing::warn!(framework = %id, %error, "a call is not done"),
        }
    }

    /// Has the master handle a command.
    pub(crate) fn command(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        if let Command::AddAgent(registration) = command {
            return maintenance::admit(self, at, registration);
        }
        if let Command::Call(id, call) = command {
            let is_teardown = matches!(call, Call::Teardown);
            self.run_call(at, &id, call)?;
            if is_teardown {
                self.removed(&id);
            }
            return Ok(());
        }
        self.run(at, command)
    }

    fn run(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        let touched = Touched::by(&command, self.delivery.master());
        let result = self.delivery.handle(at, command);
        self.observe(if result.is_ok() { touched } else { Touched::Nothing });
        result
    }

    fn run_call(&mut self, at: Time, framework: &FrameworkId, call: Call) -> Result<(), CommandError> {
        let touched = Touched::by_call(framework, &call);
        let result = self.delivery.call(at, framework, call);
        self.observe(if result.is_ok() { touched } else { Touched::Nothing });
        result
    }

    /// Runs the timers of the master that are due by then.
    fn run_timers(&mut self, at: Time) {
        self.delivery.advance(at);
        self.observe(Touched::Nothing);
    }

    /// Tells what has happened, and keeps the view up to date, after a command or a timer.
    fn observe(&mut self, touched: Touched) {
        while let Some(emitted) = self.delivery.poll_effect() {
            self.events.tell(&emitted);
            self.effects.push(emitted);
        }
        if !self.effects.is_empty() || touched != Touched::Nothing {
            self.view.observe(self.delivery.master(), self.effects.drain(..), touched, &*self.agents);
        }
    }

    /// Has the master register an agent as it is.
    pub(crate) fn register(&mut self, at: Time, registration: Registration) -> Result<(), CommandError> {
        self.run(at, Command::AddAgent(registration))
    }

    /// Runs an operation of an operator. Returns the reason why it has failed, if it has.
    pub(crate) fn operate(
        &mut self,
        at: Time,
        agent: AgentId,
        operation: Operation,
    ) -> Result<Option<OperationError>, CommandError> {
        self.note(); // what was told before is about others
        self.run(at, Command::Operate(agent, vec![operation]))?;
        Ok(self.note())
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns the frameworks with an open stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &FrameworkId> {
        self.streams.keys()
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::is_open)
    }

    /// Returns the address of an agent.
    pub(crate) fn address(&self, agent: &AgentId) -> IpAddr {
        self.agents.address(agent).0
    }

    /// Breaks the connection of a framework.
    fn disconnect(&mut self, at: Time, framework: &FrameworkId) {
        if let Some(open) = self.streams.remove(framework) {
            open.cut.notify_one();
        }
        self.gate.end_stream(framework);
        let deactivated = self.run(at, Command::DeactivateFramework(framework.clone()));
        if let Err(error) = deactivated {
            tracing::debug!(%framework, %error, "a framework had gone already");
        }
    }

    /// Notes that a framework was removed: its stream ends.
    fn removed(&mut self, framework: &FrameworkId) {
        self.gate.remove(framework);
        self.machines.forget(framework);
        if let Some(open) = self.streams.remove(framework) {
            open.end(None);
        }
    }

    /// Reads what the master has to tell to operators. Returns the reason why an operation has failed, if one has.
    fn note(&mut self) -> Option<OperationError> {
        let mut failed = None;
        while let Some(envelope) = self.delivery.poll_notice() {
            match envelope.message {
                Notice::FrameworkRemoved { framework } => {
                    tracing::info!(%framework, "a framework was removed");
                    self.removed(&framework);
                }
                Notice::TooSlow(Recipient::Framework(framework)) => {
                    self.observe(Touched::Framework(framework.clone()));
                    tracing::warn!(%framework, "too much waits for a framework, which is cut");
                    self.gate.end_stream(&framework);
                    if let Some(open) = self.streams.remove(&framework) {
                        open.cut.notify_one();
                    }
                }
                Notice::Warning { command, message } => tracing::warn!(command, message),
                Notice::TaskConflict { agent, framework, task } => {
                    tracing::warn!(%agent, %framework, %task, "an agent came with a task that runs elsewhere");
                }
                Notice::OperationFailed { operation, error } => {
                    tracing::info!(operation, %error, "an operation is not done");
                    failed = Some(error);
                }
                Notice::TooSlow(Recipient::Agent(agent)) => {
                    tracing::warn!(%agent, "too much waits for an agent");
                    self.observe(Touched::Agent(agent));
                }
                notice @ (Notice::TooSlow(_) | _) => tracing::info!(?notice),
            }
        }
        failed
    }

    /// Passes messages to the stream of a framework as long as it takes some.
    fn pump(&mut self, at: Time, framework: &FrameworkId) {
        loop {
            if let Some(open) = self.streams.get_mut(framework) {
                if open.full_since.is_some() {
                    return; // until it has taken what there is
                }
                if open.source.events.capacity() == 0 {
                    open.source.is_full.store(true, Ordering::Release);
                    if open.source.events.capacity() == 0 {
                        open.full_since = Some(at);
                        return;
                    }
                }
            }
            let Some(envelope) = self.delivery.poll_message_to_framework(framework) else { return };
            match envelope.message {
                FrameworkMessage::Event(event) => self.send(framework, event),
                FrameworkMessage::Close(closed) => self.close(framework, closed),
                FrameworkMessage::Rejected(_) | _ => {} // 202 was the answer, the reason is in the log
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events lack something")]
    fn send(&mut self, framework: &FrameworkId, event: Event) {
        let event = match event {
            Event::Subscribed(mut subscribed) => {
                subscribed.heartbeat = Some(self.gate.settings.heartbeat_interval);
                subscribed.master = self.gate.settings.master_info().into();
                Event::Subscribed(subscribed)
            }
            Event::Update(mut status) => {
                let time = self.gate.unix_time(self.delivery.now());
                status.timestamp.get_or_insert(time.as_secs_f64());
                set_unreachable_time(self.gate.started, &mut status);
                Event::Update(status)
            }
            Event::Offers(offers) => Event::Offers(offers.into_iter().map(|offer| self.addressed(offer)).collect()),
            Event::InverseOffers(mut offers) => {
                for offer in &mut offers {
                    let url = self.url(&offer.agent, None);
                    offer.details.insert("url", url);
                    offer.unavailability = self.unix_window(&offer.agent, offer.unavailability);
                }
                Event::InverseOffers(offers)
            }
            event => event,
        };
        let Some(open) = self.streams.get_mut(framework) else { return };
        open.has_begun |= matches!(event, Event::Subscribed(_));
        match open.source.events.try_send(event) {
            Ok(()) => {}
            // The connection has ended: that will be told. It cannot be full, there was room.
            Err(TrySendError::Closed(_) | TrySendError::Full(_)) => {}
        }
    }

    fn addressed(&self, mut offer: Offer) -> Offer {
        let url = self.url(&offer.agent, Some(&offer.hostname));
        offer.details.insert("url", url);
        offer.unavailability = offer.unavailability.map(|window| self.unix_window(&offer.agent, window));
        offer
    }

    /// Returns the maintenance window of an agent on the clock of people: as the schedule has it, also if it began before the
    /// clock of the master.
    fn unix_window(&self, agent: &AgentId, window: Unavailability) -> Unavailability {
        let hostname = self.delivery.master().agent(agent).map(|agent| &agent.hostname);
        let scheduled = hostname.and_then(|hostname| self.machines.unavailability(hostname, self.address(agent)));
        let unix_time = self.gate.unix_time(window.start);
        let start = scheduled.map_or(unix_time, |span| Duration::from_nanos(span.start.not_negative()));
        Unavailability { start: Time::ZERO + start, ..window }
    }

    fn url(&self, agent: &AgentId, hostname: Option<&str>) -> Json {
        let known = self.delivery.master().agent(agent).map(|agent| agent.hostname.as_str());
        agent_url(self.agents.address(agent), hostname.or(known).unwrap_or_default())
    }

    fn close(&mut self, framework: &FrameworkId, closed: Closed) {
        // The end of a stream that another one has followed comes before that one's SUBSCRIBED.
        if self.streams.get(framework).is_none_or(|open| !open.has_begun) {
            return;
        }
        if closed == Closed::Removed {
            self.gate.remove(framework);
        } else {
            self.gate.end_stream(framework);
        }
        if let Some(open) = self.streams.remove(framework) {
            open.end(closed.event());
        }
    }
}

impl Open {
    /// Ends the stream, with a last event if there is one. A client that does not read is cut.
    fn end(self, last: Option<Event>) {
        if let Some(event) = last
            && self.source.events.try_send(event).is_err()
        {
            self.cut.notify_one();
        }
    }
}

/// Estimates the bytes of a message: what is bounded is memory, not records.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events are small")]
fn estimated_bytes(part: Part<'_>) -> u64 {
    const FIXED: u64 = 512;
    match part {
        Part::Offer(offer) => FIXED + 128 * (offer.resources.iter().count() + offer.attributes.iter().len()) as u64,
        Part::Framework(FrameworkMessage::Event(event)) => match event {
            Event::Update(status) => {
                let texts = status.task.as_str().len() + status.data.as_ref().map_or(0, Vec::len);
                FIXED + (128 * status.details.len() + texts) as u64
            }
            Event::Message { data, .. } => FIXED + data.len() as u64,
            _ => FIXED,
        },
        Part::InverseOffer(_) | Part::Framework(_) | Part::Agent(_) | _ => FIXED,
    }
}

#[cfg(test)]
mod tests;
