//! What the master's effects and the schedulers' calls come to.

use super::executors::Outcome;
use super::{Cluster, Planned};
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
    /// Has the master told what executors have to say, once all that happens now has reached everyone.
    pub(super) fn take(&mut self, outcome: Outcome) {
        let now = self.now();
        for command in outcome.commands {
            self.schedule(now, command);
        }
        for (at, id) in outcome.wakes {
            self.plan(at, Planned::WakeExecutor(id));
        }
    }

    pub(super) fn clear(&mut self, gone: &Gone) {
        if let Some(executors) = &mut self.executors {
            executors.drop_all(|id| match gone {
                Gone::Agent(agent) => id.agent == *agent,
                Gone::Framework(framework) => id.framework == *framework,
            });
        }
        match gone {
            Gone::Agent(agent) => {
                // Those that have left are still members, to be looked at.
                for framework in self.members.keys().filter(|id| self.master.has_framework(id)) {
                    self.events.push_back((framework.clone(), Event::Failure(Failure::of_agent(agent.clone()))));
                }
            }
            Gone::Framework(framework) => self.forget(framework),
        }
    }

    /// Drops what is on its way to a scheduler.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        self.events.retain(|(to, _)| to != framework);
        self.offers.shift_remove(framework);
        self.agenda.retain(|_, planned| !matches!(planned, Planned::WakeScheduler(to) if to == framework));
    }

    pub(super) fn handle(&mut self, emitted: &Emitted) {
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
                self.hand_to_executor(&id, executor::Event::Message(data.clone()));
            }
            Effect::Shutdown { agent, framework, executor } => {
                let id = ExecutorRef::new(framework.clone(), agent.clone(), executor.clone());
                self.hand_to_executor(&id, executor::Event::Shutdown);
                self.end_executor(&id, 0);
            }
        }
    }

    fn rescind(&mut self, framework: &FrameworkId, offer: &OfferId) {
        let kept = self.offers.get_mut(framework).map_or(0, |offers| {
            let before = offers.len();
            offers.retain(|waiting| waiting.id != *offer);
            before - offers.len()
        });
        // An offer that never reached its framework need not be taken back from it, nor one of the scheduler before.
        if kept == 0 && !self.voided.contains(framework) {
            self.deliver(framework, Event::Rescind(offer.clone()));
        }
    }

    fn launch(&mut self, now: Time, agent: &AgentId, framework: &FrameworkId, task: &Task) {
        let (Some(executors), Some(member)) = (&mut self.executors, self.members.get(framework)) else {
            let status = TaskStatus::new(task.id.clone(), TaskState::Running);
            return self.schedule(now, Command::TaskStatus(framework.clone(), status));
        };
        let info = self.master.agent(agent);
        let introduce = |executor| {
            let mut subscribed = executor::Subscribed::new(executor);
            subscribed.framework = v1::framework_info(&member.framework);
            subscribed.agent = info.map(v1::agent_info).unwrap_or_default();
            subscribed
        };
        let whose = (framework.clone(), agent.clone());
        let outcome = executors.launch(whose, task.clone(), (self.wire, &member.dialect), &introduce, now);
        self.take(outcome);
    }

    fn kill(&mut self, now: Time, framework: &FrameworkId, task: &TaskId, grace: Option<Duration>) {
        let id = self.executors.as_ref().and_then(|executors| executors.of_task(framework, task)).cloned();
        if let Some(id) = id {
            self.hand_to_executor(&id, executor::Event::Kill { task: task.clone(), grace });
        } else {
            let status = TaskStatus::new(task.clone(), TaskState::Killed);
            self.schedule(now, Command::TaskStatus(framework.clone(), status));
        }
    }

    fn hand_to_executor(&mut self, id: &ExecutorRef, event: executor::Event) {
        let (now, wire) = (self.now(), self.wire);
        if let Some(executors) = &mut self.executors {
            let outcome = executors.receive(id, wire, event, now);
            self.take(outcome);
        }
    }

    /// Hands the oldest event to its scheduler, or else the offers of one framework; false if there are none.
    pub(super) fn hand_over(&mut self) -> bool {
        let (framework, event) = match self.events.pop_front() {
            Some(event) => event,
            None => match self.offers.shift_remove_index(0) {
                Some((framework, offers)) => (framework, Event::Offers(offers)),
                None => return false,
            },
        };
        if let Some(member) = self.members.get(&framework) {
            let event = self.wire.event(&member.dialect, event);
            self.tell(&framework, |scheduler, calls| scheduler.receive(event, calls));
        }
        true
    }

    /// Makes a scheduler's calls. One that is turned away is told as an error, and if it was to launch tasks, what
    /// becomes of them is told as Mesos does.
    pub(super) fn call(&mut self, framework: &FrameworkId, calls: Calls) {
        for at in calls.wakes() {
            self.plan(*at, Planned::WakeScheduler(framework.clone()));
        }
        for call in calls.into_vec() {
            let Some(member) = self.members.get(framework) else { return };
            let call = match self.wire.call(&member.dialect, framework, call) {
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
            if let Err(refusal) = self.command(Command::Call(framework.clone(), call)) {
                self.deliver(framework, Event::Error(refusal.to_string()));
                for status in self.master.launch_failures(framework, launched, &refusal) {
                    self.deliver(framework, Event::Update(status));
                }
            }
        }
    }
}

/// Whoever is no longer part of the cluster.
#[derive(Debug)]
pub(super) enum Gone {
    Agent(AgentId),
    Framework(FrameworkId),
}

impl Gone {
    /// Who leaves by that command.
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
