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

    /// Drops the executors of an agent that is removed, and tells the schedulers that it is lost; drops the undelivered events
    /// of a framework that is removed.
    pub(super) fn clean_up(&mut self, removal: &Removal) {
        match removal {
            Removal::Agent(agent) => {
                self.drop_executors(|id| id.agent == *agent);
                self.tell_lost(agent);
            }
            Removal::Reach(agent) => self.tell_lost(agent),
            Removal::Framework(framework) => self.drop_undelivered(framework),
        }
    }

    fn drop_executors(&mut self, matches: impl Fn(&ExecutorRef) -> bool) {
        if let Some(executors) = &mut self.executors {
            executors.drop_all(matches);
        }
    }

    /// Tells the schedulers that an agent is lost. Members stay after their framework is removed, so that callers can inspect
    /// their schedulers.
    fn tell_lost(&mut self, agent: &AgentId) {
        for framework in self.members.keys().filter(|id| self.master.has_framework(id)) {
            self.events.push_back((framework.clone(), Event::Failure(Failure::of_agent(agent.clone()))));
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
        let continues = matches!(&emitted.effect, Effect::Launch { group, .. } if *group == self.group_number());
        if !continues {
            self.launch_group();
        }
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
            Effect::Launch { agent, framework, role: _, task, group: None } => {
                self.launch(now, (framework, agent), vec![task.clone()], false);
            }
            Effect::Launch { agent, framework, role: _, task, group: Some(number) } => {
                let group = self.group.get_or_insert_with(|| Group {
                    number: *number,
                    at: now,
                    owner: (framework.clone(), agent.clone()),
                    tasks: Vec::new(),
                });
                group.tasks.push(task.clone());
            }
            Effect::Kill { agent, framework, task, grace } => self.kill(now, agent, framework, task, *grace),
            Effect::ShutdownAgent { agent, .. } => {
                self.drop_executors(|id| id.agent == *agent);
                self.tell_lost(agent);
            }
            Effect::ShutdownFramework { agent, framework } => {
                self.drop_executors(|id| id.agent == *agent && id.framework == *framework);
            }
            Effect::FrameworkRemoved { framework } => self.drop_undelivered(framework),
            // These agents keep no state of their own, and there is no operator.
            Effect::Operation { .. } | Effect::Drain { .. } | Effect::TaskConflict { .. } => {}
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
        if undelivered == 0 {
            self.deliver(framework, Event::Rescind(offer.clone()));
        }
    }

    fn group_number(&self) -> Option<u64> {
        self.group.as_ref().map(|group| group.number)
    }

    /// Launches the group whose tasks have been collected, if there is one.
    pub(super) fn launch_group(&mut self) {
        if let Some(Group { at, owner: (framework, agent), tasks, .. }) = self.group.take() {
            self.launch(at, (&framework, &agent), tasks, true);
        }
    }

    fn launch(&mut self, now: Time, owner: (&FrameworkId, &AgentId), tasks: Vec<Task>, is_group: bool) {
        let (framework, agent) = owner;
        let (Some(executors), Some(member)) = (&mut self.executors, self.members.get(framework)) else {
            for task in tasks {
                let status = TaskStatus { agent: Some(agent.clone()), ..TaskStatus::new(task.id, TaskState::Running) };
                self.schedule(now, Command::TaskStatus(framework.clone(), status));
            }
            return;
        };
        let info = self.master.agent(agent);
        let describe = |executor| {
            let mut subscribed = executor::Subscribed::new(executor);
            subscribed.framework = v1::framework_info(&member.framework);
            subscribed.agent = info.map(v1::agent_info).unwrap_or_default();
            subscribed
        };
        let owner = (framework.clone(), agent.clone());
        let transport = (self.transport, &member.dialect);
        let output = executors.launch(owner, tasks, is_group, transport, &describe, now);
        self.process(output);
    }

    fn kill(&mut self, now: Time, agent: &AgentId, framework: &FrameworkId, task: &TaskId, grace: Option<Duration>) {
        let executor = self.executors.as_ref().and_then(|executors| executors.of_task(framework, task));
        if let Some(id) = executor.filter(|id| id.agent == *agent).cloned() {
            self.deliver_to_executor(&id, executor::Event::Kill { task: task.clone(), grace });
        } else {
            let status = TaskStatus::new(task.clone(), TaskState::Killed);
            let status = TaskStatus { agent: Some(agent.clone()), ..status };
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

    /// Makes a scheduler's calls. A rejected call becomes an error event.
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
            if let Err(error) = self.command(Command::Call(framework.clone(), judged_each(call))) {
                self.deliver(framework, Event::Error(error.to_string()));
            }
        }
    }
}

/// Has a call judged part by part, as every transport does.
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

/// The tasks of a group whose launches are being delivered: an executor gets them together.
#[derive(Debug)]
pub(super) struct Group {
    number: u64,
    at: Time,
    owner: (FrameworkId, AgentId),
    tasks: Vec<Task>,
}

/// An agent or framework that a command removes.
#[derive(Debug)]
pub(super) enum Removal {
    Agent(AgentId),
    /// The agent cannot be reached, but what runs there goes on.
    Reach(AgentId),
    Framework(FrameworkId),
}

impl Removal {
    /// Returns what a command removes, if anything.
    pub(super) fn by(command: &Command) -> Option<Self> {
        if let Command::RemoveAgent(agent) | Command::UnregisterAgent(agent) = command {
            Some(Self::Agent(agent.clone()))
        } else if let Command::AgentUnreachable(agent) = command {
            Some(Self::Reach(agent.clone()))
        } else if let Command::Call(framework, Call::Teardown) = command {
            Some(Self::Framework(framework.clone()))
        } else {
            None
        }
    }
}
