//! Delivery: the master's effects to agents and schedulers, and the schedulers' calls to the master.

use super::executors::Output;
use super::{Cluster, Scheduled};
use crate::allocator::Allocator;
use crate::executor;
use crate::id::{AgentId, FrameworkId, OfferId, TaskId};
use crate::master::{Command, Effect, Emitted, ExecutorRef};
use crate::scheduler::{Call, Calls, Event, Failure, Scheduler};
use crate::task::{Task, TaskState, TaskStatus};
use crate::time::Time;
use crate::v1;
use std::time::Duration;

impl<S: Scheduler, A: Allocator> Cluster<S, A> {
    /// Schedules the commands of executors for now, which is after all deliveries of this instant, and sets their timers.
    pub(super) fn process(&mut self, output: Output) {
        let now = self.now();
        for command in output.commands {
            self.schedule(now, command);
        }
        for (at, id) in output.wakes {
            self.wake(at, Scheduled::WakeExecutor(id));
        }
    }

    /// Drops the executors and the undelivered events of a removed agent or framework.
    pub(super) fn clean_up(&mut self, removal: &Removal) {
        if let Some(executors) = &mut self.executors {
            executors.drop_all(|id| match removal {
                Removal::Agent(agent) => id.agent == *agent,
                Removal::Framework(framework) => id.framework == *framework,
            });
        }
        match removal {
            Removal::Agent(agent) => {
                // Members stay after their framework is removed, so that callers can inspect their schedulers.
                for framework in self.members.keys().filter(|id| self.master.has_framework(id)) {
                    self.events.push_back((framework.clone(), Event::Failure(Failure::of_agent(agent.clone()))));
                }
            }
            Removal::Framework(framework) => self.drop_undelivered(framework),
        }
    }

    /// Drops the events, offers and timers of a scheduler.
    pub(super) fn drop_undelivered(&mut self, framework: &FrameworkId) {
        self.events.retain(|(to, _)| to != framework);
        self.offers.shift_remove(framework);
        self.agenda.retain(|_, action| !matches!(action, Scheduled::WakeScheduler(to) if to == framework));
    }

    /// Delivers an effect of the master: to an executor at once, to a scheduler through its queue.
    pub(super) fn deliver_effect(&mut self, emitted: &Emitted) {
        let now = emitted.at;
        match &emitted.effect {
            Effect::Offer(offer) => {
                self.offers.entry(offer.framework.clone()).or_default().push(offer.clone());
            }
            Effect::Rescind { offer, framework } => self.rescind(framework, offer),
            Effect::InverseOffer(offer) => {
                self.deliver(&offer.framework, Event::InverseOffers(vec![offer.clone()]));
            }
            Effect::RescindInverseOffer { offer, framework } => {
                self.deliver(framework, Event::RescindInverseOffer(offer.clone()));
            }
            Effect::Status { framework, status } => self.deliver(framework, Event::Update(status.clone())),
            Effect::OperationStatus { framework, status } => {
                self.deliver(framework, Event::UpdateOperation(status.clone()));
            }
            Effect::OperationFailed { framework, operation, error } => {
                if let Some(framework) = framework {
                    self.deliver(framework, Event::Error(format!("{operation}: {error}")));
                }
            }
            Effect::Warning { .. } => {} // for the operator, who has given the command
            Effect::ExecutorMessage { framework, agent, executor, data } => {
                let (agent, executor, data) = (agent.clone(), executor.clone(), data.clone());
                self.deliver(framework, Event::Message { agent, executor, data });
            }
            Effect::ExecutorEnded { framework, agent, executor, status } => {
                let ended = Failure::of_executor(agent.clone(), executor.clone(), *status);
                self.deliver(framework, Event::Failure(ended));
            }
            Effect::Launch { agent, framework, role: _, task } => self.launch(now, agent, framework, task),
            Effect::Kill { agent: _, framework, task, grace } => self.kill(now, framework, task, *grace),
            Effect::Acknowledge { agent: _, framework: _, task: _, uuid } => {
                if let Some(executors) = &mut self.executors {
                    executors.acknowledge(uuid);
                }
            }
            Effect::Message { agent, framework, executor, data } => {
                let id = ExecutorRef::new(framework.clone(), agent.clone(), executor.clone());
                self.deliver_to_executor(&id, executor::Event::Message(data.clone()));
            }
            Effect::Shutdown { agent, framework, executor } => {
                let id = ExecutorRef::new(framework.clone(), agent.clone(), executor.clone());
                self.deliver_to_executor(&id, executor::Event::Shutdown);
                self.end_executor(&id, 0);
            }
        }
    }

    fn rescind(&mut self, framework: &FrameworkId, offer: &OfferId) {
        let undelivered = self.offers.get_mut(framework).map_or(0, |offers| {
            let before = offers.len();
            offers.retain(|queued| queued.id != *offer);
            before - offers.len()
        });
        // A scheduler gets no rescind for an offer that it has not received.
        if undelivered == 0 && !self.failed_over.contains(framework) {
            self.deliver(framework, Event::Rescind(offer.clone()));
        }
    }

    fn launch(&mut self, now: Time, agent: &AgentId, framework: &FrameworkId, task: &Task) {
        let (Some(executors), Some(member)) = (&mut self.executors, self.members.get(framework)) else {
            let status = TaskStatus::new(task.id.clone(), TaskState::Running);
            return self.schedule(now, Command::TaskStatus(framework.clone(), status));
        };
        let info = self.master.agent(agent);
        let describe = |executor| {
            let mut subscribed = executor::Subscribed::new(executor);
            subscribed.framework = v1::framework_info(&member.framework);
            subscribed.agent = info.map(v1::agent_info).unwrap_or_default();
            subscribed
        };
        let owner = (framework.clone(), agent.clone());
        let output = executors.launch(owner, task.clone(), (self.transport, &member.dialect), &describe, now);
        self.process(output);
    }

    fn kill(&mut self, now: Time, framework: &FrameworkId, task: &TaskId, grace: Option<Duration>) {
        let id = self.executors.as_ref().and_then(|executors| executors.of_task(framework, task)).cloned();
        if let Some(id) = id {
            self.deliver_to_executor(&id, executor::Event::Kill { task: task.clone(), grace });
        } else {
            let status = TaskStatus::new(task.clone(), TaskState::Killed);
            self.schedule(now, Command::TaskStatus(framework.clone(), status));
        }
    }

    fn deliver_to_executor(&mut self, id: &ExecutorRef, event: executor::Event) {
        let (now, transport) = (self.now(), self.transport);
        if let Some(executors) = &mut self.executors {
            let output = executors.receive(id, transport, event, now);
            self.process(output);
        }
    }

    /// Delivers the oldest event to its scheduler, or the offers of one framework if there is no event. Returns false if
    /// there is neither.
    pub(super) fn deliver_next_event(&mut self) -> bool {
        let (framework, event) = match self.events.pop_front() {
            Some(event) => event,
            None => match self.offers.shift_remove_index(0) {
                Some((framework, offers)) => (framework, Event::Offers(offers)),
                None => return false,
            },
        };
        if let Some(member) = self.members.get(&framework) {
            let event = self.transport.event(&member.dialect, event);
            self.tell(&framework, |scheduler, calls| scheduler.receive(event, calls));
        }
        true
    }

    /// Makes a scheduler's calls. A rejected call becomes an error event, and a status for each task that it would have
    /// launched, as in Mesos.
    pub(super) fn call(&mut self, framework: &FrameworkId, calls: Calls) {
        for at in calls.wakes() {
            self.wake(*at, Scheduled::WakeScheduler(framework.clone()));
        }
        for call in calls.into_vec() {
            let Some(member) = self.members.get(framework) else { return };
            let call = match self.transport.call(&member.dialect, framework, call) {
                Ok(call) => call,
                Err(error) => {
                    self.deliver(framework, Event::Error(error.to_string()));
                    continue;
                }
            };
            let mut launched: Vec<TaskId> = Vec::new();
            if let Call::Accept(accept) = &call {
                launched.extend(accept.tasks().map(|task| task.id.clone()));
            }
            if let Err(error) = self.command(Command::Call(framework.clone(), call)) {
                self.deliver(framework, Event::Error(error.to_string()));
                for status in self.master.launch_failures(framework, launched, &error) {
                    self.deliver(framework, Event::Update(status));
                }
            }
        }
    }
}

/// An agent or framework that a command removes.
#[derive(Debug)]
pub(super) enum Removal {
    Agent(AgentId),
    Framework(FrameworkId),
}

impl Removal {
    /// Returns what a command removes, if anything.
    pub(super) fn by(command: &Command) -> Option<Self> {
        if let Command::RemoveAgent(agent) = command {
            Some(Self::Agent(agent.clone()))
        } else if let Command::RemoveFramework(framework) | Command::Call(framework, Call::Teardown) = command {
            Some(Self::Framework(framework.clone()))
        } else {
            None
        }
    }
}
