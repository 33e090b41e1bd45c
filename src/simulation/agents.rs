//! [`Agents`]: simulated agents, which do what a master tells them.

use super::executors::{Executors, Output, Start};
use super::transport::Transport;
use crate::agent::Agent;
use crate::delivery::{AgentMessage, Closed};
use crate::executor::{Event, Executor, Reports, Subscribed};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::master::{Command, ExecutorRef};
use crate::task::{ExecutorInfo, Task, TaskState, TaskStatus};
use crate::time::Time;
use crate::v1::{self, Dialect};
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// The agents of a simulated cluster.
///
/// They report each task as running when it is launched and as killed when it is killed; with
/// [executors](Agents::with_executors), the executors report the states of tasks.
///
/// [`Cluster`](super::Cluster) has some; they work over any [`Delivery`](crate::delivery::Delivery): pass its messages to
/// [`Agents::receive`], and the commands that come out back to it.
///
/// # Examples
///
/// ```
/// use apportion::delivery::{Delivery, FrameworkMessage};
/// use apportion::simulation::Agents;
/// use apportion::{Accept, Agent, Call, Command, Config, Event, Framework, Master, Role, Task, TaskState, Time};
///
/// let (mut delivery, mut agents) = (Delivery::new(Master::new(Config::default())), Agents::new());
/// let agent = Agent::new("a1", "cpus:8;mem:4096".parse()?);
/// delivery.handle(Time::ZERO, Command::AddAgent(agent.into()))?;
/// let id = delivery.subscribe(Time::ZERO, Framework::new("f1").role(Role::default()))?;
///
/// let mut states = Vec::new();
/// while let Some(envelope) = delivery.poll_framework_message() {
///     match envelope.message {
///         FrameworkMessage::Event(Event::Offers(offers)) => {
///             let accept = Accept::of(&offers[0]).launch(Task::new("t1", "cpus:1;mem:64".parse()?));
///             delivery.call(envelope.at, &id, Call::Accept(accept))?;
///         }
///         FrameworkMessage::Event(Event::Update(status)) => states.push(status.state),
///         _ => {}
///     }
///     while let Some(envelope) = delivery.poll_agent_message() {
///         agents.receive(envelope.at, &envelope.to, envelope.message);
///     }
///     while let Some(command) = agents.poll_command() {
///         delivery.handle(envelope.at, command)?;
///     }
/// }
/// assert_eq!(states, [TaskState::Running]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Agents {
    registered: IndexMap<AgentId, Arc<Agent>>,
    executors: Option<Executors>,
    transport: Transport,
    commands: VecDeque<Command>,
    wakes: VecDeque<(Time, ExecutorRef)>,
}

impl Agents {
    /// Returns agents that report each task as running and as killed themselves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs tasks in executors, which `start` creates: one for all tasks of a framework on an agent that name the same
    /// executor, and one for each task that names none. `None` means that the executor cannot be started: the task fails.
    #[must_use]
    pub fn with_executors(
        mut self,
        start: impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static,
    ) -> Self {
        let start: Box<Start> = Box::new(start);
        self.executors = Some(Executors::new(start));
        self
    }

    /// Encodes every message between agents and executors as [v1 JSON](crate::v1) and decodes it again.
    #[must_use]
    pub fn through_json(mut self) -> Self {
        self.transport = Transport::Json;
        self
    }

    /// Handles a message of the master to an agent.
    pub fn receive(&mut self, at: Time, agent: &AgentId, message: AgentMessage) {
        match message {
            AgentMessage::Registered(info) => {
                self.registered.insert(agent.clone(), info);
            }
            AgentMessage::Launch { framework, role: _, task } => self.launch(at, agent, &framework, vec![task], false),
            AgentMessage::LaunchGroup { framework, role: _, tasks } => self.launch(at, agent, &framework, tasks, true),
            AgentMessage::Kill { framework, task, grace } => {
                let executor = self.executors.as_ref().and_then(|executors| executors.of_task(&framework, &task));
                match executor.filter(|id| id.agent == *agent).cloned() {
                    Some(id) => self.pass(at, &id, Event::Kill { task, grace }),
                    None => self.report(agent, framework, TaskStatus::new(task, TaskState::Killed)),
                }
            }
            AgentMessage::Acknowledge { uuid, .. } => {
                if let Some(executors) = &mut self.executors {
                    executors.acknowledge(&uuid);
                }
            }
            AgentMessage::Message { framework, executor, data } => {
                self.pass(at, &ExecutorRef::new(framework, agent.clone(), executor), Event::Message(data));
            }
            AgentMessage::ShutdownExecutor { framework, executor } => {
                let id = ExecutorRef::new(framework, agent.clone(), executor);
                self.pass(at, &id, Event::Shutdown);
                self.end_executor(at, &id, 0);
            }
            AgentMessage::ShutdownFramework { framework } => {
                self.drop_executors(|id| id.agent == *agent && id.framework == framework);
            }
            AgentMessage::Shutdown { .. } | AgentMessage::Close(Closed::Removed) => {
                self.registered.swap_remove(agent);
                self.drop_executors(|id| id.agent == *agent);
            }
            // The master keeps account of operations, and kills the tasks of an agent that drains.
            AgentMessage::Operation { .. } | AgentMessage::Drain(_) | AgentMessage::Close(_) => {}
        }
    }

    /// Runs an action on an executor that no message causes, such as reporting that a process has exited. Returns false if it
    /// does not run.
    pub fn act(&mut self, at: Time, id: &ExecutorRef, action: impl FnOnce(&mut dyn Executor, &mut Reports)) -> bool {
        let transport = self.transport;
        let Some(executors) = self.executors.as_mut().filter(|executors| executors.is_running(id)) else {
            return false;
        };
        let output = executors.act(id, transport, at, |executor, reports| action(&mut **executor, reports));
        self.queue(output);
        true
    }

    /// Wakes an executor: a timer of [`Agents::poll_wake`] is due. Nothing happens if it has ended.
    pub fn wake(&mut self, at: Time, id: &ExecutorRef) {
        self.act(at, id, |executor, reports| executor.woken(reports));
    }

    /// Terminates an executor with an exit status as wait(2) encodes it. Its tasks fail. Returns false if it does not run.
    pub fn end_executor(&mut self, at: Time, id: &ExecutorRef, status: i32) -> bool {
        let Some(executors) = self.executors.as_mut().filter(|executors| executors.is_running(id)) else {
            return false;
        };
        let output = executors.end(id, status, at);
        self.queue(output);
        true
    }

    /// Removes and returns the next command for the master.
    #[must_use]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Removes and returns the next timer that an executor has set, for [`Agents::wake`].
    #[must_use]
    pub fn poll_wake(&mut self) -> Option<(Time, ExecutorRef)> {
        self.wakes.pop_front()
    }

    /// Returns the running executors, in order of starting.
    pub fn executors(&self) -> impl Iterator<Item = &ExecutorRef> {
        self.executors.iter().flat_map(Executors::running)
    }

    /// Returns the tasks of an executor, in order of launching.
    pub fn tasks_of(&self, id: &ExecutorRef) -> impl Iterator<Item = &TaskId> {
        self.executors.iter().flat_map(|executors| executors.tasks(id))
    }

    /// Returns the number of executors' statuses that no scheduler has acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.executors.as_ref().map_or(0, Executors::unacknowledged)
    }

    fn launch(&mut self, at: Time, agent: &AgentId, framework: &Arc<Framework>, tasks: Vec<Task>, is_group: bool) {
        let Some(executors) = &mut self.executors else {
            for task in tasks {
                self.report(agent, framework.id.clone(), TaskStatus::new(task.id, TaskState::Running));
            }
            return;
        };
        let info = self.registered.get(agent);
        let describe = |executor| {
            let mut subscribed = Subscribed::new(executor);
            subscribed.framework = v1::framework_info(framework);
            subscribed.agent = info.map(|agent| v1::agent_info(agent)).unwrap_or_default();
            subscribed
        };
        let (owner, dialect) = ((framework.id.clone(), agent.clone()), Dialect::of(framework));
        let output = executors.launch(owner, tasks, is_group, (self.transport, &dialect), &describe, at);
        self.queue(output);
    }

    /// Passes an event to an executor. If it has ended, the event is lost.
    fn pass(&mut self, at: Time, id: &ExecutorRef, event: Event) {
        if let Some(executors) = &mut self.executors {
            let output = executors.receive(id, self.transport, event, at);
            self.queue(output);
        }
    }

    fn report(&mut self, agent: &AgentId, framework: FrameworkId, status: TaskStatus) {
        let status = TaskStatus { agent: Some(agent.clone()), ..status };
        self.commands.push_back(Command::TaskStatus(framework, status));
    }

    fn queue(&mut self, output: Output) {
        self.commands.extend(output.commands);
        self.wakes.extend(output.wakes);
    }

    fn drop_executors(&mut self, matches: impl Fn(&ExecutorRef) -> bool) {
        if let Some(executors) = &mut self.executors {
            executors.drop_all(matches);
        }
    }
}
