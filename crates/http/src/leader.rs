//! [`Leader`]: the master with the streams of its frameworks. It owns the [`Delivery`], does no I/O and never waits.

use crate::agents::Agents;
use crate::gate::{Gate, Session};
use crate::leader::events::Events;
use crate::leader::machines::Machines;
use crate::leader::recorder::Recorder;
use crate::operator_api::maintenance;
use crate::transport::stream::Signal;
use crate::view::{StateCounts, Touched, View};
use apportion::allocator::{Allocator as _, RoleAccount};
use apportion::delivery::{Delivery, Notice, Recipient};
use apportion::{
    AgentId, Call, Command, CommandError, Emitted, Event, Framework, FrameworkId, Master, Operation, OperationError,
    Registration, Time,
};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

mod enrolment;
pub(crate) mod events;
mod input;
mod kills;
pub(crate) mod machines;
mod recorder;
mod remote;
mod streams;
mod tally;

pub(crate) use input::Input;
pub(crate) use tally::Tally;

use remote::Remote;
use streams::{Streams, estimated_bytes};
use tally::Tallies;

/// A master with the streams of its frameworks.
#[derive(Debug)]
pub(crate) struct Leader {
    delivery: Delivery,
    view: View,
    /// The effects that the view has not seen yet. It is empty between inputs.
    effects: Vec<Emitted>,
    gate: Arc<Gate>,
    /// The agents within this program.
    agents: Box<dyn Agents>,
    /// The agents that are connected over the network.
    remote: Remote,
    streams: Streams<FrameworkId, Event>,
    tallies: Tallies,
    /// The number of streams that were opened.
    opened: u64,
    pub(crate) machines: Machines,
    recorder: Option<Recorder>,
    events: Events,
    signals: mpsc::UnboundedSender<Signal>,
}

impl Leader {
    pub(crate) fn new(gate: Arc<Gate>, agents: Box<dyn Agents>, signals: mpsc::UnboundedSender<Signal>) -> Self {
        let mut config = gate.settings.config.clone();
        if config.id_prefix.is_empty() {
            config.id_prefix = format!("{}-", gate.settings.id).into();
        }
        let view = View::new(gate.started, config.clone(), gate.settings.max_completed_tasks);
        let mut master = Master::new(config);
        master.watch_offers(); // each framework is told how many of its offers ended in which way
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
            remote: Remote::default(),
            streams: Streams::default(),
            tallies: Tallies::default(),
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
                    let framework: Arc<Framework> = Arc::from(framework);
                    self.update_agents(at, &framework);
                    self.gate.set_session(Session { framework, ..session });
                }
                drop(reply.send(result));
            }
            Input::Call { id, stream, call } => {
                if self.streams.get(&id).is_some_and(|open| open.id == stream)
                    && let Err(error) = self.call(at, &id, call)
                {
                    tracing::warn!(framework = %id, %error, "a call is not done");
                }
            }
            Input::OpenAgent { back, enrolment, cut, reply } => {
                let stream = self.open_agent(at, *back, enrolment, cut);
                drop(reply.send(stream)); // if nobody waits any more, the stream ends
            }
            Input::AgentCall { agent, stream, call } => self.agent_call(at, &agent, stream, *call),
            Input::Command { command, reply } => drop(reply.send(self.command(at, *command))),
            Input::WatchEffects(reply) => drop(reply.send(self.events.watch())),
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
            Input::WatchChanges(reply) => {
                self.run_timers(at);
                drop(reply.send((self.view.snapshot(self.delivery.master()), self.view.watch())));
            }
        }
        self.note();
    }

    /// Handles what a stream has to tell.
    pub(crate) fn handle_signal(&mut self, at: Time, signal: Signal) {
        match signal {
            Signal::Drained(Recipient::Framework(framework), id) => {
                if self.streams.get(&framework).is_some_and(|open| open.id == id) {
                    self.streams.set_drained(&framework);
                    self.pump(at, &framework);
                }
            }
            Signal::Ended(Recipient::Framework(framework), id) => {
                if self.streams.get(&framework).is_some_and(|open| open.id == id) {
                    tracing::info!(%framework, "the connection of a framework has ended");
                    self.disconnect(at, &framework);
                }
            }
            Signal::Drained(Recipient::Agent(agent), id) => {
                if self.remote.streams.get(&agent).is_some_and(|open| open.id == id) {
                    self.remote.streams.set_drained(&agent);
                    self.pump_agent(at, &agent);
                }
            }
            Signal::Ended(Recipient::Agent(agent), id) => {
                if self.remote.streams.get(&agent).is_some_and(|open| open.id == id) {
                    tracing::info!(%agent, "the connection of an agent has ended");
                    self.disconnect_agent(at, &agent);
                }
            }
            Signal::Unsent(agent, id, launches) => self.remote.note_unsent(&agent, id, launches),
            Signal::Drained(..) | Signal::Ended(..) => {} // operators have other streams
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
        while let Some((_, framework)) =
            self.streams.longest_full().filter(|(since, _)| *since + timeout <= at).cloned()
        {
            tracing::warn!(%framework, "a framework reads nothing, and is cut");
            self.disconnect(at, &framework);
        }
        while let Some((_, agent)) =
            self.remote.streams.longest_full().filter(|(since, _)| *since + timeout <= at).cloned()
        {
            tracing::warn!(%agent, "an agent reads nothing, and is cut");
            self.disconnect_agent(at, &agent);
        }
        self.ping_agents(at);
        self.note();
    }

    /// Passes on all messages there are.
    pub(crate) fn flush(&mut self, at: Time) {
        loop {
            while let Some(recipient) = self.delivery.poll_ready() {
                match recipient {
                    Recipient::Framework(framework) => self.pump(at, &framework),
                    Recipient::Agent(agent) if self.remote.agents.contains_key(&agent) => self.pump_agent(at, &agent),
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
        let longest = self.gate.settings.stream_timeout;
        let stuck = self.streams.longest_full().map(|(since, _)| *since + longest);
        let stuck_agent = self.remote.streams.longest_full().map(|(since, _)| *since + longest);
        let master = self.delivery.poll_timeout().map(|wake| wake.at);
        let all = [master, self.agents.poll_timeout(), self.remote.next_ping(), stuck, stuck_agent];
        all.into_iter().flatten().min()
    }

    /// Has the master handle a call. The stream of a framework that is torn down ends.
    fn call(&mut self, at: Time, id: &FrameworkId, call: Call) -> Result<(), CommandError> {
        let is_teardown = matches!(call, Call::Teardown);
        maintenance::note_answers(self, id, &call);
        self.run_call(at, id, call)?;
        if is_teardown {
            self.removed(id);
        }
        Ok(())
    }

    /// Has the master handle a command.
    pub(crate) fn command(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        if let Command::AddAgent(registration) = command {
            return maintenance::admit(self, at, registration);
        }
        if let Command::Call(id, call) = command {
            return self.call(at, &id, call);
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
        if let Some(tally) = self.tallies.get_mut(framework) {
            tally.called(&call);
        }
        let kill = if let Call::Kill(kill) = &call { Some((kill.task.clone(), kill.grace)) } else { None };
        let result = self.delivery.call(at, framework, call);
        self.observe(if result.is_ok() { touched } else { Touched::Nothing });
        if let (Some((task, grace)), Ok(())) = (kill, &result) {
            self.note_kill(framework, task, grace);
        }
        result
    }

    /// Runs the timers of the master that are due by then.
    fn run_timers(&mut self, at: Time) {
        self.delivery.advance(at);
        self.observe(Touched::Nothing);
    }

    /// Tells what has happened, and keeps the view up to date, after a command or a timer.
    fn observe(&mut self, touched: Touched) {
        while let Some(offer) = self.delivery.poll_ended_offer() {
            if let Some(tally) = self.tallies.get_mut(&offer.framework) {
                tally.ended(offer.end);
            }
        }
        while let Some(emitted) = self.delivery.poll_effect() {
            self.events.tell(&emitted);
            self.effects.push(emitted);
        }
        if !self.effects.is_empty() || touched != Touched::Nothing {
            let (agents, remote) = (&self.agents, &self.remote);
            let address = |agent: &AgentId| address_of(&**agents, remote, agent);
            self.view.observe(self.delivery.master(), self.effects.drain(..), touched, &address);
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
        self.streams.recipients()
    }

    /// Returns the accounts of all roles.
    pub(crate) fn roles(&self) -> Vec<RoleAccount> {
        self.delivery.master().allocator().roles()
    }

    /// Returns what a registered framework has called, was told and was offered.
    pub(crate) fn tally(&self, framework: &FrameworkId) -> Option<&Tally> {
        self.tallies.get(framework)
    }

    /// Returns the tasks of a framework by state: those that have not ended, and those that have since it registered.
    pub(crate) fn task_counts(&self, framework: &FrameworkId) -> (StateCounts, StateCounts) {
        self.view.task_counts(framework)
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::is_open)
    }

    /// Returns the address and the port of an agent.
    pub(crate) fn address(&self, agent: &AgentId) -> (IpAddr, u16) {
        address_of(&*self.agents, &self.remote, agent)
    }

    /// Returns the page of an agent that has registered over the network, unless its hostname could not stand in a link.
    pub(crate) fn page(&self, agent: &AgentId) -> Option<String> {
        let (_, port) = self.remote.agents.get(agent)?.address;
        let hostname = self.delivery.master().agent(agent)?.hostname.as_str();
        let is_ip_v6 = hostname.parse::<std::net::Ipv6Addr>().is_ok();
        let is_name = hostname.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        match (is_ip_v6, is_name && !hostname.is_empty()) {
            (true, _) => Some(format!("http://[{hostname}]:{port}/")),
            (false, true) => Some(format!("http://{hostname}:{port}/")),
            (false, false) => None,
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
                    tracing::warn!(%agent, "too much waits for an agent, which is disconnected");
                    self.observe(Touched::Agent(agent.clone()));
                    if let Some(open) = self.end_agent_stream(&agent) {
                        open.cut.notify_one();
                    }
                }
                notice @ (Notice::TooSlow(_) | _) => tracing::info!(?notice),
            }
        }
        failed
    }
}

/// Returns the address and the port of an agent: as it has registered, or within this program.
fn address_of(local: &dyn Agents, remote: &Remote, agent: &AgentId) -> (IpAddr, u16) {
    remote.agents.get(agent).map_or_else(|| local.address(agent), |known| known.address)
}

#[cfg(test)]
mod tests;
