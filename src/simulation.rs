//! A discrete-event simulator of a cluster: a master, schedulers and agents in one process and in virtual time.
//!
//! It is meant for tests, examples and experiments. Virtual time jumps to the next event, so an idle day costs nothing, and
//! the same input always gives the same run. [`Cluster::run_paced`] calls back before each jump, so that a caller with a
//! clock can make the same run in real time.

mod delivery;
mod executors;
mod transport;

use crate::agent::Agent;
use crate::allocator::{Allocator, AllocatorError, Hierarchical};
use crate::executor::{Executor, Reports};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::master::{Command, CommandError, Config, Emitted, ExecutorRef, Master};
use crate::offer::Offer;
use crate::scheduler::{Call, Calls, Event, Scheduler, Subscribed};
use crate::task::ExecutorInfo;
use crate::time::Time;
use crate::v1::Dialect;
use delivery::Removal;
use executors::Executors;
use indexmap::IndexMap;
use std::collections::{BTreeMap, VecDeque};
use transport::Transport;

/// A simulated cluster: a master, its frameworks and its agents.
///
/// By default agents report each task as running when it is launched and as killed when it is killed; other commands can be
/// [scheduled](Cluster::schedule). With [executors](Cluster::with_executors), the executors report the states of tasks.
///
/// Within one instant the order is: effects of the master go to the agents and to the schedulers' queues; then the
/// schedulers handle their events one by one, and last their offers, all offers of one instant together; then the master
/// handles the reports of agents.
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
#[derive(Debug)]
pub struct Cluster<S, A = Hierarchical> {
    master: Master<A>,
    members: IndexMap<FrameworkId, Member<S>>,
    executors: Option<Executors>,
    /// Offers that are not delivered yet; those of one instant are delivered together.
    offers: IndexMap<FrameworkId, Vec<Offer>>,
    events: VecDeque<(FrameworkId, Event)>,
    /// Priority queue of future actions, by time and then in order of scheduling.
    agenda: BTreeMap<(Time, u64), Scheduled>,
    scheduled: u64,
    recorded: Option<VecDeque<(Time, Command)>>,
    transport: Transport,
    /// The tasks of a group whose launches are not complete yet.
    group: Option<delivery::Group>,
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
    WakeScheduler(FrameworkId),
    WakeExecutor(ExecutorRef),
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
        Self {
            master,
            members: IndexMap::new(),
            executors: None,
            offers: IndexMap::new(),
            events: VecDeque::new(),
            agenda: BTreeMap::new(),
            scheduled: 0,
            recorded: None,
            transport: Transport::InMemory,
            group: None,
        }
    }

    /// Records every command from now on, for [`Cluster::take_commands`]. A journal of them begins with the line that
    /// [`header`](crate::journal::header) writes of the master's configuration.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.recorded = Some(VecDeque::new());
        self
    }

    /// Runs tasks in executors, which `start` creates: one for all tasks of a framework on an agent that name the same
    /// executor, and one for each task that names none. `None` means that the executor cannot be started: the task fails.
    #[must_use]
    pub fn with_executors(
        mut self,
        start: impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static,
    ) -> Self {
        self.executors = Some(Executors::new(Box::new(start)));
        self
    }

    /// Encodes every message between master, schedulers and executors as [v1 JSON](crate::v1) and decodes it again, as a
    /// connection would. The run is the same.
    #[must_use]
    pub fn through_json(mut self) -> Self {
        self.transport = Transport::Json;
        self
    }

    /// Removes and returns the [recorded](Cluster::recording) commands, with those that the master rejected.
    pub fn take_commands(&mut self) -> impl Iterator<Item = (Time, Command)> {
        self.recorded.as_mut().map(std::mem::take).into_iter().flatten()
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
        self.members.insert(id.clone(), Member { framework, dialect, scheduler });
        self.deliver(&id, Event::Subscribed(Subscribed::new(id.clone())));
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
        self.command(Command::Call(framework.clone(), Call::Subscribe(Box::new(info))))?;
        self.drop_undelivered(framework);
        let member = self.members.get_mut(framework).ok_or_else(unknown)?;
        let old = std::mem::replace(&mut member.scheduler, scheduler);
        self.deliver(framework, Event::Subscribed(Subscribed::new(framework.clone())));
        Ok(old)
    }

    /// Runs a command on the master now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master rejects it.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let now = self.now();
        if let Some(recorded) = &mut self.recorded {
            recorded.push_back((now, command.clone()));
        }
        let removal = Removal::by(&command);
        self.master.handle(now, command)?;
        if let Some(removal) = removal {
            self.clean_up(&removal);
        }
        Ok(())
    }

    /// Schedules a command for `at`. If the master then rejects it, the error is dropped.
    pub fn schedule(&mut self, at: Time, command: Command) {
        self.push(at, Scheduled::Command(Box::new(command)));
    }

    /// Queues an event for a scheduler as if the master had sent it, to inject a duplicate status, for example.
    pub fn deliver(&mut self, framework: &FrameworkId, event: Event) {
        self.events.push_back((framework.clone(), event));
    }

    /// Runs an action on a scheduler that no event causes, such as adding work, and makes its calls.
    pub fn tell(&mut self, framework: &FrameworkId, action: impl FnOnce(&mut S, &mut Calls)) {
        let mut calls = Calls::new(self.now());
        if let Some(member) = self.members.get_mut(framework) {
            action(&mut member.scheduler, &mut calls);
        }
        self.call(framework, calls);
    }

    /// Runs an action on an executor that no event causes, such as reporting that a process has exited.
    pub fn act(&mut self, id: &ExecutorRef, action: impl FnOnce(&mut dyn Executor, &mut Reports)) {
        let (now, transport) = (self.now(), self.transport);
        if let Some(executors) = &mut self.executors {
            let output = executors.act(id, transport, now, |executor, reports| action(&mut **executor, reports));
            self.process(output);
        }
    }

    /// Terminates an executor with an exit status as wait(2) encodes it. Its tasks fail, and its scheduler gets a failure.
    pub fn end_executor(&mut self, id: &ExecutorRef, status: i32) {
        let now = self.now();
        if let Some(executors) = &mut self.executors {
            let output = executors.end(id, status, now);
            self.process(output);
        }
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

    /// Returns the time of the next event: now, if an effect, event or offer is still to be delivered.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        let is_busy = self.master.has_effects() || self.group.is_some();
        if is_busy || !self.events.is_empty() || !self.offers.is_empty() {
            return Some(self.now());
        }
        let scheduled = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.master.poll_timeout().map(|wake| wake.at);
        scheduled.into_iter().chain(timer).min().map(|next| next.max(self.now()))
    }

    /// Delivers the next effect due by `until` and returns it; `None` when there is none.
    pub fn step(&mut self, until: Time) -> Option<Emitted> {
        loop {
            if let Some(emitted) = self.master.poll_effect() {
                self.deliver_effect(&emitted);
                return Some(emitted);
            }
            self.launch_group();
            if self.deliver_next_event() {
                continue;
            }
            let next = self.next_due().filter(|next| *next <= until);
            self.master.advance(next.unwrap_or(until).max(self.now())).ok()?;
            let next = next?;
            if self.agenda.first_key_value().is_some_and(|((at, _), _)| *at <= next)
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
        self.master.now()
    }

    /// Returns the master.
    #[must_use]
    pub fn master(&self) -> &Master<A> {
        &self.master
    }

    /// Returns the scheduler of a framework.
    #[must_use]
    pub fn scheduler(&self, framework: &FrameworkId) -> Option<&S> {
        self.members.get(framework).map(|member| &member.scheduler)
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
                let _ = self.command(*command);
            }
            Scheduled::WakeScheduler(framework) => self.tell(&framework, Scheduler::woken),
            Scheduled::WakeExecutor(id) => self.act(&id, |executor, reports| executor.woken(reports)),
        }
    }
}

#[cfg(test)]
mod tests;
