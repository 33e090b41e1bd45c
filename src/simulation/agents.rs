//! [`Agents`]: simulated agents, which do what a master tells them.

use super::executors::{Executors, Output, Start};
use super::machines::Machines;
use super::transport::Transport;
use crate::agent::Agent;
use crate::delivery::{AgentMessage, Closed};
use crate::executor::{Event, Executor, Reports, Subscribed};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::master::{Command, ExecutorRef, Registration, RunningExecutor, RunningTask};
use crate::role::Role;
use crate::task::{ExecutorInfo, Task, TaskState, TaskStatus};
use crate::time::Time;
use crate::v1::{self, Dialect};
use indexmap::IndexMap;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// The agents of a simulated cluster.
///
/// They report each task as running when it is launched and as killed when it is killed, and as finished when it
/// [lasts](Task::lasts) so long; with [executors](Agents::with_executors), the executors report the states of tasks. An agent
/// whose connection is [cut](Agents::cut) goes on, and what it has to report waits until it is [healed](Agents::heal).
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
///     while let Some((_, command)) = agents.poll_command() {
///         delivery.handle(envelope.at, command)?;
///     }
/// }
/// assert_eq!(states, [TaskState::Running]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Agents {
    registered: IndexMap<AgentId, Registered>,
    executors: Option<Executors>,
    transport: Transport,
    commands: VecDeque<(AgentId, Command)>,
    wakes: VecDeque<(Time, AgentWake)>,
    /// The number of tasks that were launched.
    launched: u64,
    /// Agents of another kind, which stand in for all of these.
    machines: Option<Box<dyn Machines>>,
}

/// A registered agent.
#[derive(Debug)]
struct Registered {
    agent: Arc<Agent>,
    tasks: IndexMap<(FrameworkId, TaskId), Live>,
    /// True while its connection is cut.
    is_cut: bool,
    /// The reports that wait for the connection.
    unsent: Vec<Command>,
}

/// A task on an agent, until the master has got its last status.
#[derive(Debug)]
struct Live {
    number: u64,
    role: Role,
    task: Task,
    state: TaskState,
}

/// A timer of an agent, for [`Agents::wake`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentWake {
    /// An executor has asked to be woken.
    Executor(ExecutorRef),
    /// A task is over.
    #[non_exhaustive]
    TaskEnds {
        /// The agent that runs it.
        agent: AgentId,
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
        /// The number of its launch.
        launch: u64,
    },
}

impl Agents {
    /// Returns agents that report the states of tasks themselves.
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

    /// Has agents of another kind instead.
    #[must_use]
    pub fn with_machines(mut self, machines: impl Machines) -> Self {
        self.machines = Some(Box::new(machines));
        self
    }

    /// Returns the agents of another kind, if they are of that type.
    pub fn machines_mut<M: Machines>(&mut self) -> Option<&mut M> {
        let machines: &mut dyn Any = &mut **self.machines.as_mut()?;
        machines.downcast_mut()
    }

    /// Has agents [of another kind](Self::with_machines) do what is due by then.
    pub fn advance(&mut self, at: Time) {
        if let Some(machines) = &mut self.machines {
            machines.advance(at);
        }
    }

    /// Returns the time at which something is due for agents [of another kind](Self::with_machines).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.machines.as_ref()?.poll_timeout()
    }

    /// Handles that another master leads. Agents register with it as it [is said](Self::registration), or by themselves.
    pub(super) fn master_failed(&mut self) {
        if let Some(machines) = &mut self.machines {
            machines.master_failed();
        }
    }

    /// Encodes every message between agents and executors as [v1 JSON](crate::v1) and decodes it again.
    #[must_use]
    pub fn through_json(mut self) -> Self {
        self.transport = Transport::Json;
        self
    }

    /// Handles a message of the master to an agent; an agent whose connection is cut does not get it.
    pub fn receive(&mut self, at: Time, agent: &AgentId, message: AgentMessage) {
        if self.is_cut(agent) {
            return;
        }
        if let Some(machines) = &mut self.machines {
            return machines.receive(at, agent, message);
        }
        match message {
            AgentMessage::Registered(info) => match self.registered.get_mut(agent) {
                Some(registered) => registered.agent = info,
                None => {
                    let (tasks, unsent) = (IndexMap::new(), Vec::new());
                    self.registered.insert(agent.clone(), Registered { agent: info, tasks, is_cut: false, unsent });
                }
            },
            AgentMessage::Launch { framework, role, task } => {
                self.launch(at, agent, &framework, &role, vec![task], false);
            }
            AgentMessage::LaunchGroup { framework, role, tasks } => {
                self.launch(at, agent, &framework, &role, tasks, true);
            }
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
                if let Some(registered) = self.registered.get_mut(agent) {
                    registered.tasks.retain(|(of, _), _| *of != framework);
                }
            }
            AgentMessage::Shutdown { .. } | AgentMessage::Close(Closed::Removed) => {
                self.registered.shift_remove(agent);
                self.drop_executors(|id| id.agent == *agent);
            }
            // The master keeps account of operations, and kills the tasks of an agent that drains.
            AgentMessage::Operation { .. } | AgentMessage::Drain(_) | AgentMessage::Close(_) => {}
        }
    }

    /// Returns the agents that are registered, or were when their connection was cut, in order of coming.
    pub fn ids(&self) -> impl Iterator<Item = &AgentId> {
        self.registered.keys()
    }

    /// Cuts the connection of an agent: it gets no messages and its reports wait. Returns false if there is no such agent.
    pub fn cut(&mut self, agent: &AgentId) -> bool {
        if let Some(machines) = &mut self.machines {
            return machines.cut(agent);
        }
        let registered = self.registered.get_mut(agent);
        registered.map(|registered| registered.is_cut = true).is_some()
    }

    /// Heals the connection of an agent that was cut. Its reports that waited come after the present ones; the agent itself has
    /// to come first, with the [registration](Agents::registration) of before. Returns false if there is no such agent.
    pub fn heal(&mut self, agent: &AgentId) -> bool {
        if let Some(machines) = &mut self.machines {
            return machines.heal(agent);
        }
        let Some(registered) = self.registered.get_mut(agent) else { return false };
        registered.is_cut = false;
        let unsent = std::mem::take(&mut registered.unsent);
        self.commands.extend(unsent.into_iter().map(|command| (agent.clone(), command)));
        true
    }

    /// Returns whether the connection of an agent is cut.
    #[must_use]
    pub fn is_cut(&self, agent: &AgentId) -> bool {
        if let Some(machines) = &self.machines {
            return machines.is_cut(agent);
        }
        self.registered.get(agent).is_some_and(|registered| registered.is_cut)
    }

    /// Returns an agent as it registers again: with its tasks and executors.
    #[must_use]
    pub fn registration(&self, agent: &AgentId) -> Option<Registration> {
        let registered = self.registered.get(agent)?;
        let mut registration = Registration::from(Agent::clone(&registered.agent));
        let mut executors: IndexMap<(&FrameworkId, _), RunningExecutor> = IndexMap::new();
        for ((framework, _), live) in &registered.tasks {
            let mut running =
                RunningTask::new(framework.clone(), live.role.clone(), live.task.clone()).state(live.state);
            if let Ok(Some(info)) = ExecutorInfo::of(&live.task) {
                running = running.executor(info.id.clone());
                let executor =
                    RunningExecutor::new(info.id.clone(), framework.clone(), live.role.clone(), info.resources);
                executors.entry((framework, info.id)).or_insert(executor);
            }
            registration = registration.task(running);
        }
        registration.executors = executors.into_values().collect();
        Some(registration)
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

    /// Handles a timer of [`Agents::poll_wake`] that is due. Nothing happens if what it is about has ended.
    pub fn wake(&mut self, at: Time, wake: &AgentWake) {
        match wake {
            AgentWake::Executor(id) => {
                self.act(at, id, |executor, reports| executor.woken(reports));
            }
            AgentWake::TaskEnds { agent, framework, task, launch } => {
                let tasks = self.registered.get(agent).map(|registered| &registered.tasks);
                let live = tasks.and_then(|tasks| tasks.get(&(framework.clone(), task.clone())));
                if live.is_some_and(|live| live.number == *launch && !live.state.is_terminal()) {
                    self.report(agent, framework.clone(), TaskStatus::new(task.clone(), TaskState::Finished));
                }
            }
        }
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

    /// Removes and returns the next command for the master, with the agent that it comes from.
    #[must_use]
    pub fn poll_command(&mut self) -> Option<(AgentId, Command)> {
        if let Some(machines) = &mut self.machines {
            return machines.poll_command();
        }
        let (agent, command) = self.commands.pop_front()?;
        if let Command::TaskStatus(framework, status) = &command
            && status.state.is_terminal()
            && let Some(registered) = self.registered.get_mut(&agent)
        {
            registered.tasks.shift_remove(&(framework.clone(), status.task.clone()));
        }
        Some((agent, command))
    }

    /// Removes and returns the next timer that is to be set, for [`Agents::wake`].
    #[must_use]
    pub fn poll_wake(&mut self) -> Option<(Time, AgentWake)> {
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

    fn launch(
        &mut self,
        at: Time,
        agent: &AgentId,
        framework: &Arc<Framework>,
        role: &Role,
        tasks: Vec<Task>,
        is_group: bool,
    ) {
        let Some(registered) = self.registered.get_mut(agent) else { return };
        for task in &tasks {
            self.launched += 1;
            let (number, state) = (self.launched, TaskState::Staging);
            let live = Live { number, role: role.clone(), task: task.clone(), state };
            registered.tasks.insert((framework.id.clone(), task.id.clone()), live);
            if let Some(duration) = task.duration().filter(|_| self.executors.is_none()) {
                let (agent, framework, task) = (agent.clone(), framework.id.clone(), task.id.clone());
                let wake = AgentWake::TaskEnds { agent, framework, task, launch: number };
                self.wakes.push_back((at + duration, wake));
            }
        }
        let Some(executors) = &mut self.executors else {
            for task in tasks {
                self.report(agent, framework.id.clone(), TaskStatus::new(task.id, TaskState::Running));
            }
            return;
        };
        let describe = |executor| {
            let mut subscribed = Subscribed::new(executor);
            subscribed.framework = v1::framework_info(framework);
            subscribed.agent = v1::agent_info(&registered.agent);
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
        self.send(agent.clone(), Command::TaskStatus(framework, status));
    }

    fn queue(&mut self, output: Output) {
        for (agent, command) in output.commands {
            self.send(agent, command);
        }
        let wakes = output.wakes.into_iter();
        self.wakes.extend(wakes.map(|(at, executor)| (at, AgentWake::Executor(executor))));
    }

    /// Queues a command for the master. Over a connection that is cut statuses wait; other messages are lost.
    fn send(&mut self, agent: AgentId, command: Command) {
        let Some(registered) = self.registered.get_mut(&agent) else { return };
        if let Command::TaskStatus(framework, status) = &command
            && let Some(live) = registered.tasks.get_mut(&(framework.clone(), status.task.clone()))
        {
            live.state = status.state;
        }
        if !registered.is_cut {
            self.commands.push_back((agent, command));
        } else if matches!(command, Command::TaskStatus(..)) {
            registered.unsent.push(command);
        }
    }

    fn drop_executors(&mut self, matches: impl Fn(&ExecutorRef) -> bool) {
        if let Some(executors) = &mut self.executors {
            executors.drop_all(matches);
        }
    }
}
