//! The effects of a master become messages in the queues of their recipients.

use super::{AgentMessage, Change, Closed, Delivery, Envelope, FrameworkMessage, Notice, Part, Recipient, ToFramework};
use super::{envelope, outbox::Queued};
use crate::allocator::Allocator;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::master::{Command, Effect, Emitted};
use crate::offer::{InverseOffer, Offer};
use crate::role::Role;
use crate::scheduler::{Event, Failure, Rejected, Subscribed};
use crate::task::Task;
use crate::time::Time;
use std::sync::Arc;

/// The tasks of a group whose launches are being read.
struct Group {
    number: u64,
    at: Time,
    agent: AgentId,
    framework: Arc<Framework>,
    role: Role,
    tasks: Vec<Task>,
}

impl<A: Allocator> Delivery<A> {
    /// Queues the messages for all effects of the master.
    pub(super) fn route(&mut self) {
        let mut group: Option<Group> = None;
        while let Some(emitted) = self.master.poll_effect() {
            self.begin_moment(emitted.at);
            if let Some(observed) = &mut self.observed {
                observed.push_back(emitted.clone());
            }
            let Emitted { at, effect } = emitted;
            if let Effect::Launch { agent, framework, role, task, group: Some(number) } = effect {
                if group.as_ref().is_some_and(|open| open.number != number) {
                    self.launch_group(group.take());
                }
                let open = group.take();
                let Some(framework) = self.master.registered(&framework).cloned() else { continue };
                let new = || Group { number, at, agent, framework, role, tasks: Vec::new() };
                group.insert(open.unwrap_or_else(new)).tasks.push(task);
                continue;
            }
            self.launch_group(group.take());
            self.deliver(at, effect);
        }
        self.launch_group(group);
    }

    fn launch_group(&mut self, group: Option<Group>) {
        if let Some(Group { at, agent, framework, role, tasks, .. }) = group {
            self.tell_agent(&agent, at, AgentMessage::LaunchGroup { framework, role, tasks });
        }
    }

    /// If a later moment begins, ends the one before: its offers are complete.
    pub(super) fn begin_moment(&mut self, at: Time) {
        if at > self.moment {
            self.moment = at;
            self.frameworks.end_moment();
            self.offers.close();
            self.inverse_offers.close();
        }
    }

    fn deliver(&mut self, at: Time, effect: Effect) {
        match effect {
            Effect::Subscribed { framework } => self.open_connection(&framework, at),
            Effect::Offer(offer) => self.offer(at, offer),
            Effect::Rescind { offer, framework } => self.rescind(at, &framework, offer),
            Effect::InverseOffer(offer) => self.inverse_offer(at, offer),
            Effect::RescindInverseOffer { offer, framework } => match self.inverse_offers.remove(&offer) {
                Some(cost) => self.frameworks.refund(&framework, cost),
                None => self.tell_event(&framework, at, Event::RescindInverseOffer(offer)),
            },
            Effect::Status { framework, status } => self.tell_event(&framework, at, Event::Update(status)),
            Effect::OperationStatus { framework, status } => {
                self.tell_event(&framework, at, Event::UpdateOperation(status));
            }
            Effect::OperationFailed { framework, operation, error } => match (framework, self.call.clone()) {
                (Some(framework), Some(call)) => {
                    let rejected = Rejected::new(call, format!("{operation}: {error}"));
                    self.tell(&framework, at, FrameworkMessage::Rejected(rejected));
                }
                _ => self.notify(at, Notice::OperationFailed { operation, error }),
            },
            Effect::ExecutorMessage { framework, agent, executor, data } => {
                self.tell_event(&framework, at, Event::Message { agent, executor, data });
            }
            Effect::ExecutorEnded { framework, agent, executor, status } => {
                self.tell_event(&framework, at, Event::Failure(Failure::of_executor(agent, executor, status)));
            }
            Effect::AgentLost { agent } => {
                let everyone: Vec<FrameworkId> = self.master.connected_frameworks().cloned().collect();
                for framework in everyone {
                    self.tell_event(&framework, at, Event::Failure(Failure::of_agent(agent.clone())));
                }
            }
            Effect::Launch { agent, framework, role, task, group: _ } => {
                if let Some(framework) = self.master.registered(&framework).cloned() {
                    self.tell_agent(&agent, at, AgentMessage::Launch { framework, role, task });
                }
            }
            Effect::Kill { agent, framework, task, grace } => {
                self.tell_agent(&agent, at, AgentMessage::Kill { framework, task, grace });
            }
            Effect::Acknowledge { agent, framework, task, uuid } => {
                self.tell_agent(&agent, at, AgentMessage::Acknowledge { framework, task, uuid });
            }
            Effect::Message { agent, framework, executor, data } => {
                self.tell_agent(&agent, at, AgentMessage::Message { framework, executor, data });
            }
            Effect::Shutdown { agent, framework, executor } => {
                self.tell_agent(&agent, at, AgentMessage::ShutdownExecutor { framework, executor });
            }
            Effect::ShutdownFramework { agent, framework } => {
                self.tell_agent(&agent, at, AgentMessage::ShutdownFramework { framework });
            }
            Effect::Operation { agent, framework, operation } => {
                self.tell_agent(&agent, at, AgentMessage::Operation { framework, operation });
            }
            Effect::Drain { agent, drain } => self.tell_agent(&agent, at, AgentMessage::Drain(drain)),
            Effect::ShutdownAgent { agent, message } => {
                // The agent is not registered any more, or was not before.
                self.queue_for_agent(&agent, at, AgentMessage::Shutdown { message });
                self.queue_for_agent(&agent, at, AgentMessage::Close(Closed::Removed));
            }
            Effect::TaskConflict { agent, framework, task } => {
                self.notify(at, Notice::TaskConflict { agent, framework, task });
            }
            Effect::FrameworkRemoved { framework } => {
                self.close_framework(&framework, at, Closed::Removed);
                self.notify(at, Notice::FrameworkRemoved { framework });
            }
            Effect::Warning { command, message } => self.notify(at, Notice::Warning { command, message }),
        }
    }

    fn offer(&mut self, at: Time, offer: Offer) {
        let (framework, cost) = (offer.framework.clone(), (self.bound.cost)(Part::Offer(&offer)));
        if self.master.is_connected(&framework) {
            let batch = self.offers.add(&framework, offer, cost);
            self.add_late(&framework, at, cost, batch.map(ToFramework::Offers));
        }
    }

    fn inverse_offer(&mut self, at: Time, offer: InverseOffer) {
        let (framework, cost) = (offer.framework.clone(), (self.bound.cost)(Part::InverseOffer(&offer)));
        if self.master.is_connected(&framework) {
            let batch = self.inverse_offers.add(&framework, offer, cost);
            self.add_late(&framework, at, cost, batch.map(ToFramework::InverseOffers));
        }
    }

    /// Charges an offer to its framework, and queues its batch if that is a new one.
    fn add_late(&mut self, framework: &FrameworkId, at: Time, cost: u64, batch: Option<ToFramework>) {
        match batch {
            Some(batch) => self.frameworks.push_late(framework, (at, self.handled), batch),
            None => self.frameworks.delay_late(framework, self.handled),
        }
        let cost = self.frameworks.charge(framework, cost);
        self.check_framework(framework, cost);
    }

    /// Tells that an offer is void, unless the offer was not sent yet.
    fn rescind(&mut self, at: Time, framework: &FrameworkId, offer: OfferId) {
        match self.offers.remove(&offer) {
            Some(cost) => self.frameworks.refund(framework, cost),
            None => self.tell_event(framework, at, Event::Rescind(offer)),
        }
    }

    fn tell_event(&mut self, framework: &FrameworkId, at: Time, event: Event) {
        self.tell(framework, at, FrameworkMessage::Event(event));
    }

    /// Queues a message for a framework, if it is connected.
    pub(super) fn tell(&mut self, framework: &FrameworkId, at: Time, message: FrameworkMessage) {
        if self.master.is_connected(framework) {
            let cost = (self.bound.cost)(Part::Framework(&message));
            let cost = self.frameworks.push(framework, (at, self.handled), cost, ToFramework::Message(message));
            self.check_framework(framework, cost);
        }
    }

    /// Notes a framework whose messages cost too much.
    fn check_framework(&mut self, framework: &FrameworkId, cost: u64) {
        if cost > self.bound.limit {
            self.overflowing.push(Recipient::Framework(framework.clone()));
        }
    }

    /// Queues a message for an agent, if it is connected.
    fn tell_agent(&mut self, agent: &AgentId, at: Time, message: AgentMessage) {
        if self.master.connected_agent(agent).is_some() {
            let cost = self.queue_for_agent(agent, at, message);
            if cost > self.bound.limit {
                self.overflowing.push(Recipient::Agent(agent.clone()));
            }
        }
    }

    /// Queues a message for an agent, and returns what its messages cost now.
    fn queue_for_agent(&mut self, agent: &AgentId, at: Time, message: AgentMessage) -> u64 {
        let cost = (self.bound.cost)(Part::Agent(&message));
        self.agents.push(agent, (at, self.handled), cost, message)
    }

    pub(super) fn notify(&mut self, at: Time, notice: Notice) {
        if self.notices.len() as u64 >= Self::MAX_QUEUED {
            self.notices.pop_front();
        }
        self.notices.push_back(Queued { connection: 0, at, cause: self.handled, cost: 0, message: notice });
    }

    /// Makes the connection of an agent that registers. It has no messages yet.
    pub(super) fn begin(&mut self, change: &Change) {
        match change {
            Change::Registers(agent) => {
                let Some(info) = self.master.connected_agent(agent).cloned() else { return };
                let at = self.now();
                self.connections += 1;
                self.agents.connect(agent, self.connections);
                self.queue_for_agent(agent, at, AgentMessage::Registered(info));
            }
            Change::Connects(framework) => {
                if !self.frameworks.is_connected(framework) {
                    self.connections += 1;
                    self.frameworks.connect(framework, self.connections);
                }
            }
            Change::Disconnects(_) | Change::Removes(_) => {}
        }
    }

    /// Ends the connection of a recipient that a command has disconnected or removed.
    pub(super) fn end(&mut self, change: Change, broken: Closed) {
        let at = self.now();
        let (recipient, closed) = match change {
            Change::Disconnects(recipient) => (recipient, broken),
            Change::Removes(recipient) => (recipient, Closed::Removed),
            Change::Registers(_) | Change::Connects(_) => return,
        };
        match recipient {
            Recipient::Framework(framework) => self.close_framework(&framework, at, closed),
            Recipient::Agent(agent) => self.close_agent(&agent, at, closed),
            Recipient::Operator => {}
        }
    }

    /// Opens a connection for a framework that has subscribed. The one of another instance ends.
    fn open_connection(&mut self, framework: &FrameworkId, at: Time) {
        self.close_framework(framework, at, Closed::FailedOver);
        self.connections += 1;
        self.frameworks.connect(framework, self.connections);
        self.tell_event(framework, at, Event::Subscribed(Subscribed::new(framework.clone())));
    }

    /// Ends the connection of a framework, if it has one: what was not sent is dropped, except that the connection has ended.
    fn close_framework(&mut self, framework: &FrameworkId, at: Time, closed: Closed) {
        let mut end = self.frameworks.is_connected(framework).then_some(closed);
        for message in self.frameworks.clear(framework) {
            match message {
                ToFramework::Offers(batch) => drop(self.offers.take(framework, batch)),
                ToFramework::InverseOffers(batch) => drop(self.inverse_offers.take(framework, batch)),
                ToFramework::Message(FrameworkMessage::Close(before)) => end = end.or(Some(before)),
                ToFramework::Message(_) => {}
            }
        }
        if let Some(closed) = end {
            let message = ToFramework::Message(FrameworkMessage::Close(closed));
            self.frameworks.push(framework, (at, self.handled), 0, message);
        }
        self.frameworks.disconnect(framework);
    }

    /// Ends the connection of an agent, if it has one: what was not sent is dropped, except that it is to shut down.
    fn close_agent(&mut self, agent: &AgentId, at: Time, closed: Closed) {
        if !self.agents.is_connected(agent) {
            return;
        }
        let shutdown =
            self.agents.clear(agent).into_iter().find(|message| matches!(message, AgentMessage::Shutdown { .. }));
        for message in shutdown.into_iter().chain([AgentMessage::Close(closed)]) {
            self.agents.push(agent, (at, self.handled), 0, message);
        }
        self.agents.disconnect(agent);
    }

    /// Disconnects those whose messages cost too much.
    pub(super) fn disconnect_slow(&mut self) {
        while let Some(recipient) = self.overflowing.pop() {
            let (cost, command) = match &recipient {
                Recipient::Framework(id) => (self.frameworks.cost(id), Command::DeactivateFramework(id.clone())),
                Recipient::Agent(id) => (self.agents.cost(id), Command::DisconnectAgent(id.clone())),
                Recipient::Operator => continue,
            };
            if cost > self.bound.limit && self.run(command, Closed::TooSlow).is_ok() {
                self.too_slow += 1;
                self.notify(self.now(), Notice::TooSlow(recipient));
            }
        }
    }

    /// Makes the message of what was queued for a framework; none of offers that were all rescinded.
    pub(super) fn seal(
        &mut self,
        to: FrameworkId,
        queued: Queued<ToFramework>,
    ) -> Option<Envelope<FrameworkId, FrameworkMessage>> {
        let Queued { connection, at, cause, cost, message } = queued;
        let message = match message {
            ToFramework::Message(message) => message,
            ToFramework::Offers(batch) => {
                let (offers, cost) = self.offers.take(&to, batch);
                self.frameworks.refund(&to, cost);
                FrameworkMessage::Event(Some(offers).filter(|offers| !offers.is_empty()).map(Event::Offers)?)
            }
            ToFramework::InverseOffers(batch) => {
                let (offers, cost) = self.inverse_offers.take(&to, batch);
                self.frameworks.refund(&to, cost);
                FrameworkMessage::Event(Some(offers).filter(|offers| !offers.is_empty()).map(Event::InverseOffers)?)
            }
        };
        Some(envelope(to, Queued { connection, at, cause, cost, message }))
    }
}
