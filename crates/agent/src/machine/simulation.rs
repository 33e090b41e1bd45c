//! Agents in a simulated cluster: [`Hosts`] has their state machines, in place of the obedient agents of
//! [`apportion::simulation`], with executors that outlive them.

mod convert;
mod disk;
mod host;

pub use disk::Disk;
pub use host::StartExecutor;

use super::Settings;
use apportion::delivery::AgentMessage;
use apportion::simulation::Machines;
use apportion::{AgentId, Command, Executor, ExecutorInfo, Time};
use host::Host;
use std::collections::{BTreeMap, VecDeque};

/// Hosts, each with an agent, a disk and executors, for [`Cluster::with_machines`](apportion::simulation::Cluster::with_machines).
///
/// An agent can [crash](Self::crash) while its executors go on, and starts again with what it has stored.
///
/// # Examples
///
/// ```
/// use apportion::simulation::Cluster;
/// use apportion::executor::{Executor, Reports};
/// use apportion::{Accept, Agent, Calls, Config, Framework, Offer, Role, Scheduler, Task, TaskState, TaskStatus, Time};
/// use apportion_agent::machine::Settings;
/// use apportion_agent::machine::simulation::Hosts;
///
/// #[derive(Debug)]
/// struct Instant;
///
/// impl Executor for Instant {
///     fn launch(&mut self, task: Task, reports: &mut Reports) {
///         reports.finished(&task.id);
///     }
/// }
///
/// #[derive(Debug, Default)]
/// struct One(Vec<TaskState>);
///
/// impl Scheduler for One {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         if self.0.is_empty() {
///             calls.accept(Accept::of(&offers[0]).launch(Task::new("t1", "cpus:1".parse().unwrap())));
///         }
///     }
///
///     fn update(&mut self, status: TaskStatus, _: &mut Calls) {
///         self.0.push(status.state);
///     }
/// }
///
/// let mut hosts = Hosts::new(|_, _| Some(Box::new(Instant)));
/// hosts.add(Time::ZERO, "h1", Settings::new(Agent::new("", "cpus:4;mem:1024".parse()?), "/work"));
/// let mut cluster = Cluster::new(Config::default()).with_machines(hosts);
/// cluster.add_framework(Framework::new("f1").role(Role::default()), One::default())?;
/// cluster.run_until(Time::from_secs(5));
/// assert_eq!(cluster.scheduler(&"f1".into()).expect("it is there").0, [TaskState::Finished]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Hosts {
    hosts: BTreeMap<AgentId, Host>,
    commands: VecDeque<(AgentId, Command)>,
    start: StartExecutor,
    now: Time,
}

impl Hosts {
    /// Returns no hosts. Executors are created by `start`, which is told the agent; `None` means that one cannot be started.
    #[must_use]
    pub fn new(start: impl FnMut(&AgentId, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static) -> Self {
        let start = StartExecutor::new(start);
        Self { hosts: BTreeMap::new(), commands: VecDeque::new(), start, now: Time::ZERO }
    }

    /// Adds a host whose agent has that id once it is registered, and starts the agent.
    pub fn add(&mut self, at: Time, id: impl Into<AgentId>, settings: Settings) {
        let id = id.into();
        let mut host = Host::new(id.clone(), settings);
        self.now = self.now.max(at);
        host.start_agent(self.now);
        self.hosts.insert(id, host);
        self.run_at_once();
    }

    /// Returns the agents, in order.
    pub fn ids(&self) -> impl Iterator<Item = &AgentId> {
        self.hosts.keys()
    }

    /// Kills an agent: what is not stored is lost, and executors that do not checkpoint end. With `after`, it does so in the middle
    /// of something: after it has had that many more effects.
    pub fn crash(&mut self, id: &AgentId, after: u32) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.crash_after(self.now, after);
        }
        self.run_at_once();
    }

    /// Starts an agent again that has crashed.
    pub fn restart(&mut self, id: &AgentId) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.start_agent(self.now);
        }
        self.run_at_once();
    }

    /// Boots the machine of an agent: all its executors end, and the agent starts again.
    pub fn boot(&mut self, id: &AgentId) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.boot(self.now);
        }
        self.run_at_once();
    }

    /// Kills the executor of that number, in order of their containers' ids. Returns false if there is none.
    pub fn kill_executor(&mut self, id: &AgentId, number: usize) -> bool {
        let now = self.now;
        let is_killed = self.hosts.get_mut(id).is_some_and(|host| host.kill_executor(now, number));
        self.run_at_once();
        is_killed
    }

    /// Breaks the stream to the executor of that number. Returns false if there is none.
    pub fn break_stream(&mut self, id: &AgentId, number: usize) -> bool {
        let now = self.now;
        let is_broken = self.hosts.get_mut(id).is_some_and(|host| host.break_stream(now, number));
        self.run_at_once();
        is_broken
    }

    /// Has the disk of an agent refuse everything, or not any more.
    pub fn fill_disk(&mut self, id: &AgentId, is_full: bool) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.is_disk_full = is_full;
        }
    }

    /// Returns what an agent has stored.
    #[must_use]
    pub fn disk(&self, id: &AgentId) -> Option<&Disk> {
        self.hosts.get(id).map(|host| &host.disk)
    }

    /// Returns the number of executors whose process runs.
    #[must_use]
    pub fn executors(&self) -> usize {
        self.hosts.values().map(Host::executors).sum()
    }

    /// Returns the state machine of an agent, if it runs.
    #[must_use]
    pub fn machine(&self, id: &AgentId) -> Option<&super::AgentMachine> {
        self.hosts.get(id)?.machine.as_ref()
    }

    fn run_at_once(&mut self) {
        for (id, host) in &mut self.hosts {
            host.run(self.now);
            self.commands.extend(host.take_commands().map(|command| (id.clone(), command)));
        }
    }
}

impl Machines for Hosts {
    fn receive(&mut self, at: Time, agent: &AgentId, message: AgentMessage) {
        self.now = self.now.max(at);
        if let Some(host) = self.hosts.get_mut(agent) {
            host.receive(self.now, message);
        }
        self.run_at_once();
    }

    fn advance(&mut self, at: Time) {
        while let Some(due) = Machines::poll_timeout(self).filter(|due| *due <= at) {
            self.now = self.now.max(due);
            for host in self.hosts.values_mut() {
                host.advance(self.now, &mut self.start);
            }
            self.run_at_once();
        }
        self.now = self.now.max(at);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.hosts.values().filter_map(Host::poll_timeout).min()
    }

    fn poll_command(&mut self) -> Option<(AgentId, Command)> {
        self.commands.pop_front()
    }

    fn cut(&mut self, agent: &AgentId) -> bool {
        let now = self.now;
        let is_here = self.hosts.get_mut(agent).map(|host| host.cut(now)).is_some();
        self.run_at_once();
        is_here
    }

    fn heal(&mut self, agent: &AgentId) -> bool {
        let host = self.hosts.get_mut(agent);
        host.map(|host| host.is_cut = false).is_some() // it tries again by itself
    }

    fn is_cut(&self, agent: &AgentId) -> bool {
        self.hosts.get(agent).is_some_and(|host| host.is_cut)
    }

    fn master_failed(&mut self) {
        for host in self.hosts.values_mut() {
            host.lose_master(self.now);
        }
        self.run_at_once();
    }
}
