//! A discrete-event simulator of a cluster: a master, schedulers and agents in one process and in virtual time.
//!
//! ```text
//!     your schedulers  <--- events ---   master in a   --- messages --->  simulated agents
//!                      ---- calls --->    Delivery     <--- statuses ---  your executors, if any
//!                                            ^
//!                       agenda: timers, ends of tasks, faults, commands that you schedule; time jumps from one to the next
//! ```
//!
//! ```
//! use apportion::simulation::Cluster;
//! use apportion::{
//!     Accept, Agent, Calls, Command, Config, Framework, Offer, Role, Scheduler, Task, TaskState, TaskStatus, Time,
//! };
//! use std::time::Duration;
//!
//! /// Runs a task of an hour, and again if its agent is lost.
//! #[derive(Debug, Default)]
//! struct Hour {
//!     launched: u32,
//!     runs: bool,
//!     finished: bool,
//! }
//!
//! impl Scheduler for Hour {
//!     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
//!         for offer in offers {
//!             if self.runs || self.finished {
//!                 calls.decline(&offer);
//!                 continue;
//!             }
//!             self.launched += 1;
//!             self.runs = true;
//!             let task = Task::new(format!("hour.{}", self.launched), "cpus:1".parse().unwrap());
//!             calls.accept(Accept::of(&offer).launch(task.lasts(Duration::from_secs(3600))));
//!         }
//!     }
//!
//!     fn update(&mut self, status: TaskStatus, _: &mut Calls) {
//!         self.finished |= status.state == TaskState::Finished;
//!         self.runs &= !status.state.is_terminal();
//!     }
//! }
//!
//! let mut cluster = Cluster::new(Config::default());
//! for host in ["a1", "a2"] {
//!     cluster.add_agent(Agent::new(host, "cpus:1;mem:1024".parse()?))?;
//! }
//! cluster.add_framework(Framework::new("f1").role(Role::default()), Hour::default())?;
//! cluster.run_until(Time::from_secs(1800));
//! cluster.partition(&"a1".into())?; // half an hour before the end of the task, and the master notices
//! cluster.schedule(Time::from_secs(1875), Command::AgentUnreachable("a1".into()));
//! cluster.run_until(Time::from_secs(3 * 3600));
//! let hour = cluster.scheduler(&"f1".into()).unwrap();
//! assert_eq!((hour.launched, hour.finished), (2, true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is meant for tests, examples and experiments. Virtual time jumps to the next event, so an idle day costs nothing, and
//! the same input always gives the same run. [`Cluster::run_paced`] calls back before each jump, so that a caller with a
//! clock can make the same run in real time.
//!
//! Faults can be injected: schedulers and masters fail over ([`Cluster::fail_over`],
//! [`Cluster::fail_master`]), agents are cut off ([`Cluster::partition`], [`Cluster::heal`]) or lost, executors end, and
//! messages are lost, late, doubled or out of order ([`Cluster::with_network`]).

mod agents;
mod any;
mod exchange;
mod executors;
mod failures;
mod machines;
mod network;
mod transport;

pub use agents::{AgentWake, Agents};
pub use any::AnyScheduler;
pub use machines::Machines;
pub use network::{Crossing, Fate, Faults};

use crate::agent::Agent;
use crate::allocator::{Allocator, AllocatorError, Hierarchical};
use crate::delivery::{AgentMessage, Delivery, Envelope, FrameworkMessage, Notice, Recipient};
use crate::executor::{Executor, Reports};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::master::{Command, CommandError, Config, Emitted, ExecutorRef, Master};
use crate::scheduler::{Call, Calls, Event, Scheduler};
use crate::task::ExecutorInfo;
use crate::time::Time;
use crate::v1::Dialect;
use indexmap::IndexMap;
use network::Network;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use transport::Transport;

/// The most refused commands that are kept.
const MAX_REFUSED: usize = 1 << 16;

/// A simulated cluster: a master, its frameworks and its agents.
///
/// By default agents report each task as running when it is launched and as killed when it is killed; other commands can be
/// [scheduled](Cluster::schedule). With [executors](Cluster::with_executors), the executors report the states of tasks.
///
/// It is a [`Delivery`] in virtual time, with a scheduler for each framework and simulated [`Agents`]. Within one instant the
/// order is: agents handle the messages of the master; then the schedulers handle their events one by one, and last their
/// offers, all offers of one instant together; then the master handles the reports of agents.
///
/// # Examples
///
/// ```
/// use apportion::simulation::Cluster;
/// use apportion::{Accept, Agent, Calls, Config, Framework, Offer, Role, Scheduler, Task, Time};
///
/// #[derive(Debug)]
/// struct One(Option<Task>);
///
/// impl Scheduler for One {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         for offer in offers {
///             match self.0.take() {
///                 Some(task) => calls.accept(Accept::of(&offer).launch(task)),
///                 None => calls.decline(&offer),
///             }
///         }
///     }
/// }
///
/// let mut cluster = Cluster::new(Config::default());
/// cluster.add_agent(Agent::new("a1", "cpus:4;mem:1024".parse()?))?;
/// let task = Task::new("t1", "cpus:1;mem:64".parse()?);
/// cluster.add_framework(Framework::new("f1").role(Role::default()), One(Some(task)))?;
/// cluster.run_until(Time::from_secs(1));
/// assert_eq!(cluster.master().state().agents[0].allocated, "cpus:1;mem:64".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster<S, A = Hierarchical> {
    delivery: Delivery<A>,
    members: IndexMap<FrameworkId, Member<S>>,
    agents: Agents,
    /// Messages to schedulers that do not come from the master: they are handled first.
    injected: VecDeque<(FrameworkId, FrameworkMessage)>,
    network: Option<Box<Network>>,
    refused: VecDeque<Refused>,
    records: bool,
    /// Priority queue of future actions, by time and then in order of scheduling.
    agenda: BTreeMap<(Time, u64), Scheduled>,
    scheduled: u64,
    transport: Transport,
}

/// The reason why an action on a cluster is not possible; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInCluster {
    /// There is no such agent.
    #[error("agent {0} is not in the cluster")]
    Agent(AgentId),
    /// No framework of that id was added with a scheduler.
    #[error("framework {0} has no scheduler in the cluster")]
    Framework(FrameworkId),
    /// The executor does not run.
    #[error("executor {} of framework {} does not run on agent {}", .0.executor, .0.framework, .0.agent)]
    Executor(ExecutorRef),
}

/// A command that was [scheduled](Cluster::schedule) and that the master has rejected.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// The time of the command.
    pub at: Time,
    /// The command.
    pub command: Command,
    /// The reason.
    pub error: CommandError,
}

/// A framework of the cluster with its scheduler.
#[derive(Debug)]
struct Member<S> {
    framework: Framework,
    dialect: Dialect,
    scheduler: S,
}

/// An action on the agenda.
#[derive(Debug)]
enum Scheduled {
    Command(Box<Command>),
    /// With the token of the timer.
    WakeScheduler(FrameworkId, u64),
    WakeAgent(AgentWake),
    /// A message that arrives now.
    Arrival(Box<Arrival>),
}

/// A message on its way.
#[derive(Debug, Clone)]
enum Arrival {
    ToScheduler(FrameworkId, FrameworkMessage),
    FromScheduler(FrameworkId, Call),
    ToAgent(AgentId, AgentMessage),
    FromAgent(Command),
}

impl<S: fmt::Debug, A: fmt::Debug> fmt::Debug for Cluster<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delivery, members, agents, agenda, .. } = self;
        f.debug_struct("Cluster")
            .field("delivery", delivery)
            .field("members", members)
            .field("agents", agents)
            .field("agenda", agenda)
            .finish_non_exhaustive()
    }
}

impl<S: Scheduler> Cluster<S> {
    /// Returns an empty cluster with a new master.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_master(Master::new(config))
    }
}

impl<S: Scheduler, A: Allocator> Cluster<S, A> {
    /// Returns a cluster with that master. Frameworks that are registered with it already have no scheduler in the cluster,
    /// and get no events.
    #[must_use]
    pub fn with_master(master: Master<A>) -> Self {
        let mut agents = Agents::new();
        for agent in master.agents() {
            agents.receive(master.now(), &agent.id, AgentMessage::Registered(Arc::clone(agent)));
        }
        Self {
            delivery: Self::delivery_of(master),
            members: IndexMap::new(),
            agents,
            injected: VecDeque::new(),
            network: None,
            refused: VecDeque::new(),
            records: false,
            agenda: BTreeMap::new(),
            scheduled: 0,
            transport: Transport::InMemory,
        }
    }

    /// Records every command from now on, for [`Cluster::take_commands`]. A journal of them begins with the line that
    /// [`header`](crate::journal::header) writes of the master's configuration.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.delivery = self.delivery.recording();
        self.records = true;
        self
    }

    /// Runs tasks in executors, which `start` creates: one for all tasks of a framework on an agent that name the same
    /// executor, and one for each task that names none. `None` means that the executor cannot be started: the task fails.
    #[must_use]
    pub fn with_executors(
        mut self,
        start: impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static,
    ) -> Self {
        self.agents = self.agents.with_executors(start);
        self
    }

    /// Has agents of another kind instead of the obedient ones. They register by themselves.
    #[must_use]
    pub fn with_machines(mut self, machines: impl Machines) -> Self {
        self.agents = self.agents.with_machines(machines);
        self
    }

    /// Runs an action on the agents of [another kind](Cluster::with_machines), such as a fault. Returns what it returns, or `None` if
    /// the agents are not of that type.
    pub fn act_on_machines<M: Machines, T>(&mut self, action: impl FnOnce(&mut M) -> T) -> Option<T> {
        self.run_agents();
        self.agents.advance(self.delivery.now());
        let result = self.agents.machines_mut().map(action);
        self.collect_reports();
        result
    }

    /// Encodes every message between master, schedulers and executors as [v1 JSON](crate::v1) and decodes it again, as a
    /// connection would. The run is the same.
    #[must_use]
    pub fn through_json(mut self) -> Self {
        self.transport = Transport::Json;
        self.agents = self.agents.through_json();
        self
    }

    /// Removes and returns the [recorded](Cluster::recording) commands, with those that the master rejected.
    pub fn take_commands(&mut self) -> impl Iterator<Item = (Time, Command)> {
        std::iter::from_fn(|| self.delivery.poll_command()).map(|recorded| (recorded.at, recorded.command))
    }

    /// Adds an agent now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects it.
    pub fn add_agent(&mut self, agent: Agent) -> Result<(), CommandError> {
        self.command(Command::AddAgent(agent.into()))
    }

    /// Removes an agent now, with all tasks and executors on it.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such agent.
    pub fn remove_agent(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        self.command(Command::RemoveAgent(agent.clone()))
    }

    /// Adds a framework now, with its scheduler.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects it.
    pub fn add_framework(&mut self, framework: Framework, scheduler: S) -> Result<(), CommandError> {
        self.command(Command::AddFramework(framework.clone()))?;
        let (id, dialect) = (framework.id.clone(), Dialect::of(&framework));
        self.members.insert(id, Member { framework, dialect, scheduler });
        Ok(())
    }

    /// Fails a framework over to another scheduler now, and returns the old one. Outstanding offers are void, and events and
    /// timers of the old scheduler are lost. The new one can [reconcile](Calls::reconcile) its tasks.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such framework.
    pub fn fail_over(&mut self, framework: &FrameworkId, scheduler: S) -> Result<S, CommandError> {
        let unknown = || AllocatorError::UnknownFramework(framework.clone());
        let info = self.members.get(framework).ok_or_else(unknown)?.framework.clone();
        self.delivery.subscribe(self.now(), info)?;
        self.drop_undelivered(framework);
        let member = self.members.get_mut(framework).ok_or_else(unknown)?;
        Ok(std::mem::replace(&mut member.scheduler, scheduler))
    }

    /// Runs a command on the master now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects it.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.delivery.handle(self.now(), command)
    }

    /// Schedules a command for `at`. If the master then rejects it, [`Cluster::poll_refused`] tells.
    pub fn schedule(&mut self, at: Time, command: Command) {
        self.push(at, Scheduled::Command(Box::new(command)));
    }

    /// Queues an event for a scheduler as if the master had sent it, to inject a duplicate status, for example. The master
    /// knows nothing of it: a [`Command::TaskStatus`] is what changes a task.
    ///
    /// # Errors
    ///
    /// [`NotInCluster`] when the framework has no scheduler here.
    pub fn deliver(&mut self, framework: &FrameworkId, event: Event) -> Result<(), NotInCluster> {
        self.check_framework(framework)?;
        self.injected.push_back((framework.clone(), FrameworkMessage::Event(event)));
        Ok(())
    }

    /// Runs an action on a scheduler that no event causes, such as adding work, and makes its calls. Returns what the action
    /// returns.
    ///
    /// # Errors
    ///
    /// [`NotInCluster`] when the framework has no scheduler here.
    pub fn tell<T>(
        &mut self,
        framework: &FrameworkId,
        action: impl FnOnce(&mut S, &mut Calls) -> T,
    ) -> Result<T, NotInCluster> {
        let mut calls = Calls::new(self.now());
        let member = self.members.get_mut(framework);
        let member = member.ok_or_else(|| NotInCluster::Framework(framework.clone()))?;
        let result = action(&mut member.scheduler, &mut calls);
        self.call(framework, calls);
        Ok(result)
    }

    /// Runs an action on an executor that no event causes, such as reporting that a process has exited.
    ///
    /// # Errors
    ///
    /// [`NotInCluster`] when the executor does not run.
    pub fn act(
        &mut self,
        id: &ExecutorRef,
        action: impl FnOnce(&mut dyn Executor, &mut Reports),
    ) -> Result<(), NotInCluster> {
        let is_running = self.agents.act(self.now(), id, action);
        self.collect_reports();
        if is_running { Ok(()) } else { Err(NotInCluster::Executor(id.clone())) }
    }

    /// Wakes an executor: something that it waits for outside of the cluster has happened. Nothing happens if it has ended.
    pub fn wake_executor(&mut self, id: &ExecutorRef) {
        self.agents.wake(self.now(), &AgentWake::Executor(id.clone()));
        self.collect_reports();
    }

    /// Terminates an executor with an exit status as wait(2) encodes it. Its tasks fail, and its scheduler gets a failure.
    ///
    /// # Errors
    ///
    /// [`NotInCluster`] when the executor does not run.
    pub fn end_executor(&mut self, id: &ExecutorRef, status: i32) -> Result<(), NotInCluster> {
        let is_running = self.agents.end_executor(self.now(), id, status);
        self.collect_reports();
        if is_running { Ok(()) } else { Err(NotInCluster::Executor(id.clone())) }
    }

    /// Returns the running executors, in order of starting.
    pub fn executors(&self) -> impl Iterator<Item = &ExecutorRef> {
        self.agents.executors()
    }

    /// Returns the tasks of an executor, in order of launching.
    pub fn tasks_of(&self, id: &ExecutorRef) -> impl Iterator<Item = &TaskId> {
        self.agents.tasks_of(id)
    }

    /// Returns the number of executors' statuses that no scheduler has acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.agents.unacknowledged()
    }

    /// Removes and returns the next [scheduled](Cluster::schedule) command that the master has rejected. The oldest are
    /// dropped when there are more than 65,536.
    #[must_use]
    pub fn poll_refused(&mut self) -> Option<Refused> {
        self.refused.pop_front()
    }

    /// Removes and returns the next message to the operators.
    #[must_use]
    pub fn poll_notice(&mut self) -> Option<Envelope<Recipient, Notice>> {
        self.delivery.poll_notice()
    }

    /// Returns the time of the next event: now, if an effect, event or offer is still to be delivered.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        if self.delivery.has_messages() || self.delivery.has_effects() || !self.injected.is_empty() {
            return Some(self.now());
        }
        let scheduled = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.delivery.poll_timeout().map(|wake| wake.at);
        scheduled.into_iter().chain(timer).chain(self.agents.poll_timeout()).min().map(|next| next.max(self.now()))
    }

    /// Runs up to `until`, but no further than the next effect of the master, and returns it; `None` when there is none.
    pub fn step(&mut self, until: Time) -> Option<Emitted> {
        loop {
            self.run_agents();
            if let Some(emitted) = self.delivery.poll_effect() {
                return Some(emitted);
            }
            if self.run_next_message() {
                continue;
            }
            let next = self.next_due().filter(|next| *next <= until);
            self.delivery.advance(next.unwrap_or(until));
            let next = next?;
            if self.agents.poll_timeout().is_some_and(|due| due <= next) {
                self.agents.advance(next);
                self.collect_reports();
            } else if self.agenda.first_key_value().is_some_and(|((at, _), _)| *at <= next)
                && let Some((_, scheduled)) = self.agenda.pop_first()
            {
                self.execute(scheduled);
            }
        }
    }

    /// Runs everything that happens up to `until`.
    pub fn run_until(&mut self, until: Time) {
        while self.step(until).is_some() {}
    }

    /// Runs until nothing is to come any more, but not beyond `until`. Returns whether it has come to rest: a scheduler that
    /// declines what it is offered, for example, gets it again and again, and never does.
    pub fn run_until_idle(&mut self, until: Time) -> bool {
        while let Some(next) = self.next_due().filter(|next| *next <= until) {
            self.run_until(next);
        }
        self.next_due().is_none()
    }

    /// Runs everything that happens up to `until`, and calls `wait` with the new time before each jump in time.
    ///
    /// A caller with a clock can make a run in real time this way.
    ///
    /// # Examples
    ///
    /// ```
    /// # use apportion::simulation::Cluster;
    /// # use apportion::{Config, Scheduler, Time};
    /// # fn run<S: Scheduler>(mut cluster: Cluster<S>) {
    /// let start = std::time::Instant::now();
    /// cluster.run_paced(Time::from_secs(60), |moment| {
    ///     std::thread::sleep(moment.since(Time::ZERO).saturating_sub(start.elapsed()));
    /// });
    /// # }
    /// ```
    pub fn run_paced(&mut self, until: Time, mut wait: impl FnMut(Time)) {
        while let Some(next) = self.next_due().filter(|next| *next <= until) {
            if next > self.now() {
                wait(next);
            }
            self.run_until(next);
        }
        if until > self.now() {
            wait(until);
        }
        self.run_until(until);
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.delivery.now()
    }

    /// Returns the master.
    #[must_use]
    pub fn master(&self) -> &Master<A> {
        self.delivery.master()
    }

    /// Returns the scheduler of a framework.
    #[must_use]
    pub fn scheduler(&self, framework: &FrameworkId) -> Option<&S> {
        self.members.get(framework).map(|member| &member.scheduler)
    }

    /// Returns the scheduler of a framework. Calls are made with [`Cluster::tell`].
    #[must_use]
    pub fn scheduler_mut(&mut self, framework: &FrameworkId) -> Option<&mut S> {
        self.members.get_mut(framework).map(|member| &mut member.scheduler)
    }

    fn check_framework(&self, framework: &FrameworkId) -> Result<(), NotInCluster> {
        let is_here = self.members.contains_key(framework);
        if is_here { Ok(()) } else { Err(NotInCluster::Framework(framework.clone())) }
    }

    /// Adds a wake-up to the agenda. At the end of time there is none: it could only be for now, again and again.
    fn wake(&mut self, at: Time, action: Scheduled) {
        if self.now() < Time::MAX {
            self.push(at, action);
        }
    }

    /// Adds an action to the agenda, not before now.
    fn push(&mut self, at: Time, action: Scheduled) {
        self.agenda.insert((at.max(self.now()), self.scheduled), action);
        self.scheduled += 1;
    }

    fn execute(&mut self, action: Scheduled) {
        match action {
            Scheduled::Command(command) => {
                if let Err(error) = self.command(Command::clone(&command)) {
                    if self.refused.len() >= MAX_REFUSED {
                        self.refused.pop_front();
                    }
                    self.refused.push_back(Refused { at: self.now(), command: *command, error });
                }
            }
            Scheduled::WakeScheduler(framework, token) => {
                // Its framework may have been removed.
                let _ = self.tell(&framework, |scheduler, calls| scheduler.woken_for(token, calls));
            }
            Scheduled::WakeAgent(wake) => {
                self.agents.wake(self.now(), &wake);
                self.collect_reports();
            }
            Scheduled::Arrival(arrival) => self.arrive(*arrival),
        }
    }
}

#[cfg(test)]
mod tests;
