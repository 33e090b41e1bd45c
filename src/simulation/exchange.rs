//! The messages between the master, the schedulers and the agents: sent through the network, and handled.

use super::network::{Crossing, Fate};
use super::{Arrival, Cluster, Scheduled};
use crate::allocator::Allocator;
use crate::delivery::{Closed, Envelope, FrameworkMessage};
use crate::id::FrameworkId;
use crate::scheduler::{self, Calls, Scheduler};

impl<S: Scheduler, A: Allocator> Cluster<S, A> {
    /// Sends all messages to agents.
    pub(super) fn run_agents(&mut self) {
        while let Some(Envelope { to, message, .. }) = self.delivery.poll_agent_message() {
            self.send(Arrival::ToAgent(to, message));
        }
    }

    /// Sends the reports of agents so that they arrive now, which is after all deliveries of this instant, and sets the
    /// agents' timers.
    pub(super) fn collect_reports(&mut self) {
        while let Some((agent, command)) = self.agents.poll_command() {
            let fate =
                self.network.as_mut().map_or(Fate::Arrives, |network| network(Crossing::Report(&agent, &command)));
            let now = self.now();
            let (first, again) = match fate {
                Fate::Arrives => (Some(now), None),
                Fate::Lost => (None, None),
                Fate::Late(delay) => (Some(now + delay), None),
                Fate::Twice(delay) => (Some(now), Some(now + delay)),
            };
            if let Some(at) = again {
                self.push(at, Scheduled::Arrival(Box::new(Arrival::FromAgent(command.clone()))));
            }
            if let Some(at) = first {
                self.push(at, Scheduled::Arrival(Box::new(Arrival::FromAgent(command))));
            }
        }
        while let Some((at, wake)) = self.agents.poll_wake() {
            self.wake(at, Scheduled::WakeAgent(wake));
        }
    }

    /// Sends a message: it arrives at once, unless the network decides otherwise.
    fn send(&mut self, arrival: Arrival) {
        let crossing = match &arrival {
            Arrival::ToScheduler(to, FrameworkMessage::Event(event)) => Some(Crossing::Event(to, event)),
            Arrival::ToScheduler(..) | Arrival::FromAgent(_) => None,
            Arrival::FromScheduler(from, call) => Some(Crossing::Call(from, call)),
            Arrival::ToAgent(to, message) => Some(Crossing::AgentMessage(to, message)),
        };
        let fate = match (&mut self.network, crossing) {
            (Some(network), Some(crossing)) => network(crossing),
            _ => Fate::Arrives,
        };
        let now = self.now();
        match fate {
            Fate::Arrives => self.arrive(arrival),
            Fate::Lost => {}
            Fate::Late(delay) => self.push(now + delay, Scheduled::Arrival(Box::new(arrival))),
            Fate::Twice(delay) => {
                self.push(now + delay, Scheduled::Arrival(Box::new(arrival.clone())));
                self.arrive(arrival);
            }
        }
    }

    /// Handles a message.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::ToScheduler(framework, message) => self.tell_message(&framework, message),
            Arrival::FromScheduler(framework, call) => {
                let _ = self.delivery.call(self.now(), &framework, call); // the scheduler gets a message
            }
            Arrival::ToAgent(agent, message) => {
                self.agents.receive(self.delivery.now(), &agent, message);
                self.collect_reports();
            }
            Arrival::FromAgent(command) => {
                let _ = self.delivery.handle(self.now(), command); // it may be about a task that was lost meanwhile
            }
        }
    }

    /// Has a scheduler handle its next message. Returns false if there is none.
    pub(super) fn run_next_message(&mut self) -> bool {
        if let Some((framework, message)) = self.injected.pop_front() {
            self.tell_message(&framework, message);
        } else if let Some(Envelope { to, message, .. }) = self.delivery.poll_framework_message() {
            self.send(Arrival::ToScheduler(to, message));
        } else {
            return false;
        }
        true
    }

    fn tell_message(&mut self, framework: &FrameworkId, message: FrameworkMessage) {
        let Some(member) = self.members.get_mut(framework) else { return };
        let mut calls = Calls::new(self.delivery.now());
        match message {
            FrameworkMessage::Event(event) => {
                let event = self.transport.event(&member.dialect, event);
                scheduler::deliver(&mut member.scheduler, event, &mut calls);
            }
            FrameworkMessage::Rejected(rejected) => member.scheduler.rejected(rejected, &mut calls),
            FrameworkMessage::Close(Closed::Removed) => self.drop_undelivered(framework),
            FrameworkMessage::Close(_) => {}
        }
        self.call(framework, calls);
    }

    /// Drops the messages and the timers of a scheduler.
    pub(super) fn drop_undelivered(&mut self, framework: &FrameworkId) {
        self.injected.retain(|(to, _)| to != framework);
        self.agenda.retain(|_, action| match action {
            Scheduled::WakeScheduler(to, _) => to != framework,
            Scheduled::Arrival(arrival) => match &**arrival {
                Arrival::ToScheduler(to, _) | Arrival::FromScheduler(to, _) => to != framework,
                Arrival::ToAgent(..) | Arrival::FromAgent(_) => true,
            },
            Scheduled::Command(_) | Scheduled::WakeAgent(_) => true,
        });
    }

    /// Sends a scheduler's calls, and sets its timers.
    pub(super) fn call(&mut self, framework: &FrameworkId, calls: Calls) {
        for timer in calls.wakes() {
            self.wake(timer.at, Scheduled::WakeScheduler(framework.clone(), timer.token));
        }
        for call in calls.into_vec() {
            let Some(member) = self.members.get(framework) else { return };
            match self.transport.call(&member.dialect, framework, call) {
                Ok(call) => self.send(Arrival::FromScheduler(framework.clone(), call)),
                Err(rejected) => {
                    self.injected.push_back((framework.clone(), FrameworkMessage::Rejected(*rejected)));
                }
            }
        }
    }
}
