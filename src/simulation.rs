//! A cluster in one process: our own master, any schedulers, and agents with executors or obedient ones.
//!
//! For tests, examples and experiments. In virtual time nothing waits: time jumps to whatever happens next.
//! [`Cluster::run_paced`] lets the caller wait in between, for the same run in real time.

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
use delivery::Gone;
use executors::Executors;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use transport::Wire;

/// A master, its frameworks and its agents, in one process and in virtual time.
///
/// Agents report each task as running as soon as it is launched, and as killed as soon as it is to
/// be; whatever else is to happen can be [scheduled](Cluster::schedule). With
/// [executors](Cluster::with_executors), those say what becomes of tasks.
///
/// What happens in one moment happens in this order: effects of the master reach agents and queues; then events reach
/// schedulers, one by one, and offers last, all of one moment together; then what agents have to say reaches the master.
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
    /// Offers that were made and not yet handed over: those of one moment go together.
    offers: IndexMap<FrameworkId, Vec<Offer>>,
    events: VecDeque<(FrameworkId, Event)>,
    agenda: BTreeMap<(Time, u64), Planned>,
    planned: u64,
    record: Option<VecDeque<(Time, Command)>>,
    wire: Wire,
    /// Frameworks whose offers are void since someone took over: they are not rescinded one by one.
    voided: BTreeSet<FrameworkId>,
}

/// A framework that takes part.
#[derive(Debug)]
struct Member<S> {
    framework: Framework,
    dialect: Dialect,
    scheduler: S,
}

/// What is to happen at a later moment.
#[derive(Debug)]
enum Planned {
    Command(Box<Command>),
    WakeScheduler(FrameworkId),
    WakeExecutor(ExecutorRef),
}

impl<S: Scheduler> Cluster<S> {
    /// An empty cluster under a master of its own.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_master(Master::new(config))
    }
}

impl<S: Scheduler, A: Allocator> Cluster<S, A> {
    /// A cluster under that master; its agents and frameworks, if it has any, are nobody's here.
    #[must_use]
    pub fn with_master(master: Master<A>) -> Self {
        Self {
            master,
            members: IndexMap::new(),
            executors: None,
            offers: IndexMap::new(),
            events: VecDeque::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            record: None,
            wire: Wire::Values,
            voided: BTreeSet::new(),
        }
    }

    /// Keeps every command from now on for [`Cluster::take_commands`].
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.record = Some(VecDeque::new());
        self
    }

    /// Runs tasks in executors, which `start` starts: once for all tasks of a framework on one agent that name the same
    /// one, and once for each task that names none. None = it cannot be started, and the task fails.
    #[must_use]
    pub fn with_executors(
        mut self,
        start: impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static,
    ) -> Self {
        self.executors = Some(Executors::new(Box::new(start)));
        self
    }

    /// Writes every message between master, schedulers and executors as [v1 JSON](crate::v1) and reads it again, as a
    /// connection would: the run is the same.
    #[must_use]
    pub fn through_json(mut self) -> Self {
        self.wire = Wire::Json;
        self
    }

    /// The commands since this was last asked, refused ones too, if they are [kept](Cluster::recording).
    pub fn take_commands(&mut self) -> impl Iterator<Item = (Time, Command)> {
        self.record.as_mut().map(std::mem::take).into_iter().flatten()
    }

    /// Adds an agent now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master refuses it.
    pub fn add_agent(&mut self, agent: Agent) -> Result<(), CommandError> {
        self.command(Command::AddAgent(agent, Vec::new()))
    }

    /// Loses an agent now, and all tasks and executors on it.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such agent.
    pub fn remove_agent(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        self.command(Command::RemoveAgent(agent.clone()))
    }

    /// Adds a framework now, with the scheduler that decides for it.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master refuses it.
    pub fn add_framework(&mut self, framework: Framework, scheduler: S) -> Result<(), CommandError> {
        self.command(Command::AddFramework(framework.clone()))?;
        let (id, dialect) = (framework.id.clone(), Dialect::of(&framework));
        self.members.insert(id.clone(), Member { framework, dialect, scheduler });
        self.deliver(&id, Event::Subscribed(Subscribed::new(id.clone())));
        Ok(())
    }

    /// Lets another scheduler take over a framework now, and hands back the one before: its offers are void, and what was
    /// on its way to it is lost. The new one learns of its tasks what it [asks for](Calls::reconcile).
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such framework.
    pub fn fail_over(&mut self, framework: &FrameworkId, scheduler: S) -> Result<S, CommandError> {
        let unknown = || AllocatorError::UnknownFramework(framework.clone());
        let info = self.members.get(framework).ok_or_else(unknown)?.framework.clone();
        self.command(Command::Call(framework.clone(), Call::Subscribe(Box::new(info))))?;
        self.forget(framework);
        self.voided.insert(framework.clone());
        let member = self.members.get_mut(framework).ok_or_else(unknown)?;
        let before = std::mem::replace(&mut member.scheduler, scheduler);
        self.deliver(framework, Event::Subscribed(Subscribed::new(framework.clone())));
        Ok(before)
    }

    /// Gives the master a command now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when it refuses it.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let now = self.now();
        if let Some(record) = &mut self.record {
            record.push_back((now, command.clone()));
        }
        let gone = Gone::by(&command);
        self.master.handle(now, command)?;
        if let Some(gone) = gone {
            self.clear(&gone);
        }
        Ok(())
    }

    /// Has the master given a command later; what is then refused is dropped.
    pub fn schedule(&mut self, at: Time, command: Command) {
        self.plan(at, Planned::Command(Box::new(command)));
    }

    /// Hands a scheduler an event, as if the master had sent it: a status for the second time, say.
    pub fn deliver(&mut self, framework: &FrameworkId, event: Event) {
        self.events.push_back((framework.clone(), event));
    }

    /// Lets a scheduler do something of its own accord, such as take in new work.
    pub fn tell(&mut self, framework: &FrameworkId, act: impl FnOnce(&mut S, &mut Calls)) {
        let mut calls = Calls::new(self.now());
        if let Some(member) = self.members.get_mut(framework) {
            act(&mut member.scheduler, &mut calls);
        }
        self.call(framework, calls);
    }

    /// Lets an executor do something of its own accord, such as report that a process has ended.
    pub fn act(&mut self, id: &ExecutorRef, act: impl FnOnce(&mut dyn Executor, &mut Reports)) {
        let (now, wire) = (self.now(), self.wire);
        if let Some(executors) = &mut self.executors {
            let outcome = executors.act(id, wire, now, |executor, reports| act(&mut **executor, reports));
            self.take(outcome);
        }
    }

    /// Ends an executor with that status, as wait(2) has it: its tasks fail, and its scheduler is told.
    pub fn end_executor(&mut self, id: &ExecutorRef, status: i32) {
        let now = self.now();
        if let Some(executors) = &mut self.executors {
            let outcome = executors.end(id, status, now);
            self.take(outcome);
        }
    }

    /// The executors that run, in order of starting.
    pub fn executors(&self) -> impl Iterator<Item = &ExecutorRef> {
        self.executors.iter().flat_map(Executors::running)
    }

    /// The tasks that an executor runs, in order of launching.
    pub fn tasks_of(&self, id: &ExecutorRef) -> impl Iterator<Item = &TaskId> {
        self.executors.iter().flat_map(|executors| executors.tasks(id))
    }

    /// How many statuses of executors no scheduler has acknowledged yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.executors.as_ref().map_or(0, Executors::unacknowledged)
    }

    /// When something happens next, if nobody interferes: now, if something has not been handed over yet.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        if self.master.has_effects() || !self.events.is_empty() || !self.offers.is_empty() {
            return Some(self.now());
        }
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.master.poll_timeout().map(|wake| wake.at);
        planned.into_iter().chain(timer).min().map(|next| next.max(self.now()))
    }

    /// Handles the next effect up to `until`, and shows it; none when nothing more happens by then.
    pub fn step(&mut self, until: Time) -> Option<Emitted> {
        loop {
            if let Some(emitted) = self.master.poll_effect() {
                self.handle(&emitted);
                return Some(emitted);
            }
            self.voided.clear();
            if self.hand_over() {
                continue;
            }
            let next = self.next_due().filter(|next| *next <= until);
            self.master.advance(next.unwrap_or(until).max(self.now())).ok()?;
            let next = next?;
            if self.agenda.first_key_value().is_some_and(|((at, _), _)| *at <= next)
                && let Some((_, planned)) = self.agenda.pop_first()
            {
                self.carry_out(planned);
            }
        }
    }

    /// Lets everything happen that happens by then.
    pub fn run_until(&mut self, until: Time) {
        while self.step(until).is_some() {}
    }

    /// The same, but before time goes on to a moment at which something happens, `wait` is called with it.
    ///
    /// This is how a run goes in real time: the caller has a clock, the library has none.
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

    /// The moment that the cluster has come to.
    #[must_use]
    pub fn now(&self) -> Time {
        self.master.now()
    }

    /// The master, to look at.
    #[must_use]
    pub fn master(&self) -> &Master<A> {
        &self.master
    }

    /// The scheduler of a framework, to look at.
    #[must_use]
    pub fn scheduler(&self, framework: &FrameworkId) -> Option<&S> {
        self.members.get(framework).map(|member| &member.scheduler)
    }

    fn plan(&mut self, at: Time, planned: Planned) {
        self.agenda.insert((at.max(self.now()), self.planned), planned);
        self.planned += 1;
    }

    fn carry_out(&mut self, planned: Planned) {
        match planned {
            Planned::Command(command) => {
                let _ = self.command(*command);
            }
            Planned::WakeScheduler(framework) => self.tell(&framework, Scheduler::woken),
            Planned::WakeExecutor(id) => self.act(&id, |executor, reports| executor.woken(reports)),
        }
    }
}

#[cfg(test)]
mod tests;
