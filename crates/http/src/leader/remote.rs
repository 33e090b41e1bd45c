//! The agents that are connected over the network: their streams, their pings, and what they tell.

use super::Leader;
use super::kills::Kills;
use super::streams::{Open, Streams};
use crate::internal::api::Enrolment;
use crate::internal::{AgentCall, MasterEvent, Welcome};
use apportion::delivery::{AgentMessage, Closed};
use apportion::{AgentId, AgentUpdate, Command, ExecutorId, ExecutorRef, Framework, FrameworkId, TaskId, Time, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;

/// The agents that have registered over the network, and that the master knows: with a stream, or disconnected.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) agents: BTreeMap<AgentId, RemoteAgent>,
    pub(super) streams: Streams<AgentId, MasterEvent>,
    /// The agents by the nonces of their registrations.
    pub(super) nonces: BTreeMap<Uuid, AgentId>,
    /// The next pings, by time.
    pings: BTreeSet<(Time, AgentId)>,
    /// The number of agents that were given an id.
    pub(super) named: u64,
}

/// The frameworks of which an agent is to be told, each as it is now; none if it was removed.
pub(super) type Updates = BTreeMap<FrameworkId, Option<Arc<Framework>>>;

/// An agent that has registered over the network.
#[derive(Debug)]
pub(super) struct RemoteAgent {
    pub(super) address: (IpAddr, u16),
    pub(super) nonce: Uuid,
    /// The id of its latest stream. Calls that it sent before that broke may come after its end.
    pub(super) stream: Uuid,
    enrolment: Enrolment,
    pub(super) updates: Updates,
    /// The launches that did not leave the latest stream, which has ended.
    unsent: Vec<(FrameworkId, TaskId)>,
    pub(super) kills: Kills,
    pings: Pings,
}

/// The pings of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pings {
    /// The time of the next one.
    next: Time,
    /// The number of the last one.
    seq: u64,
    is_answered: bool,
    /// The number of pings in a row that were not answered.
    missed: u32,
}

impl RemoteAgent {
    /// Returns an agent that has just registered.
    pub(super) fn new(address: (IpAddr, u16), nonce: Uuid, stream: Uuid, enrolment: Enrolment, at: Time) -> Self {
        let pings = Pings { next: at, seq: 0, is_answered: true, missed: 0 };
        let (updates, unsent, kills) = (BTreeMap::new(), Vec::new(), Kills::default());
        Self { address, nonce, stream, enrolment, updates, unsent, kills, pings }
    }
}

impl Remote {
    /// Adds an agent, which is pinged next at that time. Returns the one of that id from before.
    pub(super) fn insert(&mut self, id: AgentId, mut agent: RemoteAgent, first_ping: Time) -> Option<RemoteAgent> {
        let before = self.remove(&id);
        agent.pings.next = first_ping;
        self.pings.insert((first_ping, id.clone()));
        self.nonces.insert(agent.nonce, id.clone());
        self.agents.insert(id, agent);
        before
    }

    /// Puts an agent back as it was.
    pub(super) fn restore(&mut self, id: AgentId, agent: RemoteAgent) {
        let next = agent.pings.next;
        self.insert(id, agent, next);
    }

    /// Forgets an agent. Its stream is not touched.
    pub(super) fn remove(&mut self, id: &AgentId) -> Option<RemoteAgent> {
        let agent = self.agents.remove(id)?;
        self.pings.remove(&(agent.pings.next, id.clone()));
        self.nonces.remove(&agent.nonce);
        Some(agent)
    }

    /// Removes and returns what an agent is to be told next of a framework, once its stream has begun.
    fn next_update(&mut self, id: &AgentId) -> Option<(FrameworkId, Option<Arc<Framework>>)> {
        self.streams.get(id).filter(|open| open.has_begun)?;
        self.agents.get_mut(id)?.updates.pop_first()
    }

    /// Removes and returns a kill that an agent may not have got, once its stream has begun.
    fn next_kill(&mut self, id: &AgentId) -> Option<MasterEvent> {
        self.streams.get(id).filter(|open| open.has_begun)?;
        let (framework_id, task_id, grace_period) = self.agents.get_mut(id)?.kills.next()?;
        Some(MasterEvent::Kill { framework_id, task_id, grace_period })
    }

    /// Notes launches that did not leave a stream, unless another one has followed.
    pub(super) fn note_unsent(&mut self, id: &AgentId, stream: Uuid, launches: Vec<(FrameworkId, TaskId)>) {
        if let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.stream == stream) {
            agent.unsent.extend(launches);
        }
    }

    /// Returns the time of the next ping.
    pub(super) fn next_ping(&self) -> Option<Time> {
        self.pings.first().map(|(at, _)| *at)
    }

    /// Notes the answer to a ping; one to an earlier ping says nothing of now.
    fn pong(&mut self, id: &AgentId, seq: u64) {
        if let Some(agent) = self.agents.get_mut(id)
            && agent.pings.seq == seq
        {
            (agent.pings.is_answered, agent.pings.missed) = (true, 0);
        }
    }

    /// Sends the next ping to an agent, if its stream has room. Returns false if it has missed too many.
    fn ping(&mut self, id: &AgentId, next: Time, most: u32) -> bool {
        let Some(agent) = self.agents.get_mut(id) else { return true };
        let before = agent.pings;
        let missed = if before.is_answered { 0 } else { before.missed + 1 };
        if missed >= most {
            return false;
        }
        agent.pings = Pings { next, seq: before.seq + 1, is_answered: false, missed };
        self.pings.remove(&(before.next, id.clone()));
        self.pings.insert((next, id.clone()));
        if let Some(open) = self.streams.get(id).filter(|open| open.has_begun) {
            // A stream that is full or has ended takes none: the ping counts as missed.
            let _ = open.source.events.try_send(Box::new(MasterEvent::Ping { seq: before.seq + 1, connected: true }));
        }
        true
    }
}

impl Leader {
    /// Handles a call of an agent over the stream of that id.
    pub(super) fn agent_call(&mut self, at: Time, id: &AgentId, stream: Uuid, call: AgentCall) {
        if self.remote.agents.get(id).is_none_or(|agent| agent.stream != stream) {
            return; // another stream has followed, or the agent was removed
        }
        let executor = |framework: FrameworkId, executor: ExecutorId| ExecutorRef::new(framework, id.clone(), executor);
        let command = match call {
            AgentCall::Pong { seq } => return self.remote.pong(id, seq),
            AgentCall::StatusUpdate { framework_id, mut status, latest_state: _ } => {
                status.agent = Some(id.clone());
                Command::TaskStatus(framework_id, status)
            }
            AgentCall::ExecutorExited { framework_id, executor_id, status } => {
                Command::ExecutorEnded(executor(framework_id, executor_id), status)
            }
            AgentCall::Message { framework_id, executor_id, data } => {
                Command::ExecutorMessage(executor(framework_id, executor_id), data)
            }
            AgentCall::UpdateResources { resources } => {
                Command::UpdateAgent(AgentUpdate::new(id.clone()).resources(resources))
            }
            AgentCall::Unregister => Command::UnregisterAgent(id.clone()),
            AgentCall::Register(_) | AgentCall::Reregister(_) => return, // they open a stream
        };
        if let Err(error) = self.command(at, command) {
            tracing::warn!(agent = %id, %error, "the master rejects what an agent tells");
        }
        if self.remote.streams.get(id).is_none() {
            self.forget_agent_if_removed(id); // else the end of its stream does
        }
    }

    /// Passes messages to the stream of an agent as long as it takes some.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other messages are events as they are")]
    pub(super) fn pump_agent(&mut self, at: Time, id: &AgentId) {
        loop {
            if !self.remote.streams.has_room(id, at) {
                return;
            }
            if let Some((framework_id, framework)) = self.remote.next_update(id) {
                self.send_agent(
                    id,
                    match framework {
                        Some(framework) => {
                            MasterEvent::UpdateFramework { framework_info: Framework::clone(&framework) }
                        }
                        None => MasterEvent::ShutdownFramework { framework_id },
                    },
                );
                continue;
            }
            if let Some(kill) = self.remote.next_kill(id) {
                self.send_agent(id, kill);
                continue;
            }
            let Some(envelope) = self.delivery.poll_message_to_agent(id) else { return };
            match envelope.message {
                AgentMessage::Close(closed) => self.close_agent(id, closed),
                AgentMessage::Registered(_) => {
                    let welcome = self.welcome(id);
                    let enrolment = self.remote.agents.get(id).map(|agent| agent.enrolment);
                    let welcome = match enrolment {
                        Some(Enrolment::New) => MasterEvent::Registered(welcome),
                        Some(Enrolment::Returns) | None => MasterEvent::Reregistered(welcome),
                    };
                    self.begin_agent(id, welcome);
                }
                AgentMessage::Shutdown { message } => {
                    self.begin_agent(id, MasterEvent::Shutdown { message: message.to_owned() });
                }
                message => {
                    if let Some(event) = MasterEvent::of(id, message) {
                        self.send_agent(id, event);
                    }
                }
            }
        }
    }

    fn welcome(&self, id: &AgentId) -> Welcome {
        let settings = &self.gate.settings;
        let epoch = u64::try_from(self.gate.started.as_millis()).unwrap_or(u64::MAX);
        Welcome::new(id.clone(), epoch, self.ping_interval(), settings.max_agent_ping_timeouts.max(1))
    }

    /// Sends an event that a stream may begin with.
    fn begin_agent(&mut self, id: &AgentId, event: MasterEvent) {
        if let Some(open) = self.remote.streams.get_mut(id) {
            open.has_begun = true;
        }
        self.send_agent(id, event);
    }

    fn send_agent(&mut self, id: &AgentId, event: MasterEvent) {
        let Some(open) = self.remote.streams.get(id) else { return };
        // It fails when the connection has ended, which will be told. It cannot be full, there was room.
        if let Err(TrySendError::Closed(event) | TrySendError::Full(event)) =
            open.source.events.try_send(Box::new(event))
        {
            let stream = open.id;
            self.remote.note_unsent(id, stream, event.launches());
        }
    }

    /// Ends the stream of an agent that the master has disconnected or removed.
    fn close_agent(&mut self, id: &AgentId, closed: Closed) {
        // The end of a stream that another one has followed comes before that one's first event.
        if self.remote.streams.get(id).is_none_or(|open| open.has_begun) {
            if let Some(open) = self.end_agent_stream(id) {
                tracing::info!(agent = %id, ?closed, "the stream of an agent ends");
                drop(open);
            }
            self.forget_agent_if_removed(id);
        }
    }

    /// Forgets an agent that the master does not know any more.
    pub(super) fn forget_agent_if_removed(&mut self, id: &AgentId) {
        if self.delivery.master().agent(id).is_none() {
            self.remote.remove(id);
        }
    }

    /// Ends the stream of an agent, after what it was sent.
    pub(super) fn end_agent_stream(&mut self, id: &AgentId) -> Option<Open<MasterEvent>> {
        let open = self.remote.streams.remove(id)?;
        self.gate.agents.end_stream(open.id);
        Some(open)
    }

    /// Handles the end of the connection of an agent. Launches that did not leave this master are dropped.
    pub(super) fn disconnect_agent(&mut self, at: Time, id: &AgentId) {
        if let Some(open) = self.end_agent_stream(id) {
            open.cut.notify_one();
        }
        let mut unsent =
            self.remote.agents.get_mut(id).map(|agent| std::mem::take(&mut agent.unsent)).unwrap_or_default();
        while let Some(envelope) = self.delivery.poll_message_to_agent(id) {
            unsent.extend(MasterEvent::of(id, envelope.message).iter().flat_map(MasterEvent::launches));
        }
        if let Err(error) = self.run(at, Command::DisconnectAgent(id.clone())) {
            tracing::debug!(agent = %id, %error, "an agent had gone already");
        }
        for (framework, task) in unsent {
            self.drop_launch(at, id, framework, task, "REASON_AGENT_DISCONNECTED");
        }
    }

    /// Pings the agents whose time has come. One that has missed too many pings is unreachable.
    pub(super) fn ping_agents(&mut self, at: Time) {
        let (interval, most) = (self.ping_interval(), self.gate.settings.max_agent_ping_timeouts.max(1));
        while let Some((_, id)) = self.remote.pings.first().filter(|(due, _)| *due <= at).cloned() {
            if self.delivery.master().agent(&id).is_none() {
                drop(self.end_agent_stream(&id));
                self.remote.remove(&id);
            } else if !self.remote.ping(&id, at + interval, most) {
                tracing::warn!(agent = %id, missed = most, "an agent does not answer, and is unreachable");
                if let Err(error) = self.run(at, Command::AgentUnreachable(id.clone())) {
                    tracing::error!(agent = %id, %error, "an agent cannot be given up");
                }
                if let Some(open) = self.end_agent_stream(&id) {
                    open.cut.notify_one();
                }
                self.remote.remove(&id);
            }
        }
    }

    pub(super) fn ping_interval(&self) -> Duration {
        self.gate.settings.agent_ping_timeout.max(Duration::from_millis(1))
    }

    /// Tells all agents that a framework has changed.
    pub(super) fn update_agents(&mut self, at: Time, framework: &Arc<Framework>) {
        let connected: Vec<AgentId> = self.remote.streams.recipients().cloned().collect();
        for id in connected {
            if let Some(agent) = self.remote.agents.get_mut(&id) {
                agent.updates.insert(framework.id.clone(), Some(framework.clone()));
                self.pump_agent(at, &id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
