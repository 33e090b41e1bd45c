//! [`Master`]: the offer protocol as a state machine. Commands go in, effects come out.

mod absent;
mod accept;
mod agents;
mod command;
mod command_error;
mod drains;
mod effect;
mod executors;
mod explain;
mod frameworks;
mod known;
mod maintenance;
mod metrics;
mod offer_watch;
mod offers;
mod operations;
mod recent;
mod reconcile;
mod recovery;
mod registered;
mod registration;
mod requests;
mod saved;
mod state;
mod tasks;
mod timers;

pub use command::{Command, Drain, ExecutorRef, Recovery};
pub use command_error::CommandError;
pub use effect::{Effect, Emitted};
pub use explain::Explanation;
pub use known::{KnownAgent, KnownExecutor, KnownFramework, KnownOffer, KnownTask};
pub use metrics::{
    AgentMessageMetrics, AgentMetrics, CallMetrics, CommandMetrics, EffectMetrics, FrameworkMetrics, FrameworkOffers,
    Metrics, OfferMetrics, TaskMetrics,
};
pub use offer_watch::{EndedOffer, OfferEnd};
pub use registration::{AgentUpdate, Registration, RunningExecutor, RunningTask};
pub use state::{AgentState, FrameworkState, OfferState, RoleState, State};
pub use timers::{Wake, WakeReason};

use crate::agent::Agent;
use crate::allocator::{Allocator, Change, Hierarchical, Options, SorterChoice};
use crate::id::{AgentId, FrameworkId};
use crate::scheduler::Call;
use crate::text::Text;
use crate::time::Time;
use absent::Absent;
use agents::Inactive;
use drains::Drains;
use executors::Executors;
use frameworks::{FrameworkEntry, Removals};
use indexmap::IndexMap;
use maintenance::Maintenance;
use metrics::Counters;
use offer_watch::OfferWatch;
use offers::Offers;
use recent::Recent;
use recovery::Expected;
use registered::Registered;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;

/// The configuration of a master, fixed for its lifetime.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The interval of batch allocations, at least one microsecond.
    ///
    /// It bounds how finely a cluster is divided: a framework that takes one task of each offer and declines the rest gets one
    /// task of an agent in each batch, and meanwhile the rest goes to whoever comes next. Agents that come or change and
    /// frameworks that come or revive are allocated for at once.
    pub allocation_interval: Duration,
    /// The time after which an unanswered offer or inverse offer is rescinded; `None` means never, and zero at once. A framework may
    /// have [one of its own](crate::Framework::offer_timeout), of which zero means never.
    pub offer_timeout: Option<Duration>,
    /// The length of the refusal that an offer which times out leaves behind, as if its framework had declined it for that
    /// time; zero = none. Without it the next batch may offer the same to the same framework again.
    pub timeout_refusal: Duration,
    /// The allocator's options.
    pub options: Options,
    /// The order in which roles, and the frameworks of each role, are offered resources.
    pub sorter: SorterChoice,
    /// The text before the ids of offers and inverse offers: with one of its own for each leader, an id is never used twice.
    pub id_prefix: Text,
    /// The numbers of removed frameworks, absent agents and their tasks that the master remembers.
    pub remembered: Remembered,
}

impl Config {
    /// Returns the defaults of Mesos; see [`Config::default`].
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::new().allocation_interval(Duration::from_millis(100)).offer_timeout(Duration::from_secs(30));
    /// assert_eq!(config.offer_timeout, Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the interval of batch allocations.
    #[must_use]
    pub fn allocation_interval(mut self, interval: Duration) -> Self {
        self.allocation_interval = interval;
        self
    }

    /// Sets the time after which an unanswered offer or inverse offer is rescinded.
    #[must_use]
    pub fn offer_timeout(mut self, timeout: Duration) -> Self {
        self.offer_timeout = Some(timeout);
        self
    }

    /// Sets the length of the refusal that an offer which times out leaves behind.
    #[must_use]
    pub fn timeout_refusal(mut self, length: Duration) -> Self {
        self.timeout_refusal = length;
        self
    }

    /// Sets the allocator's options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets the order in which roles, and the frameworks of each role, are offered resources.
    #[must_use]
    pub fn sorter(mut self, sorter: SorterChoice) -> Self {
        self.sorter = sorter;
        self
    }

    /// Sets the text before the ids of offers and inverse offers.
    #[must_use]
    pub fn id_prefix(mut self, prefix: impl Into<Text>) -> Self {
        self.id_prefix = prefix.into();
        self
    }

    /// Sets the numbers of things that the master remembers.
    #[must_use]
    pub fn remembered(mut self, remembered: Remembered) -> Self {
        self.remembered = remembered;
        self
    }
}

/// The numbers of things that a master remembers after they have gone; the oldest are forgotten first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remembered {
    /// Frameworks that were removed: their tasks are killed when an agent brings them.
    pub frameworks: usize,
    /// Tasks of each framework that were on unreachable agents.
    pub unreachable_tasks: usize,
    /// Agents that are unreachable or gone.
    pub agents: usize,
}

impl Remembered {
    /// Sets the number of removed frameworks.
    #[must_use]
    pub fn frameworks(mut self, number: usize) -> Self {
        self.frameworks = number;
        self
    }

    /// Sets the number of tasks of each framework on unreachable agents.
    #[must_use]
    pub fn unreachable_tasks(mut self, number: usize) -> Self {
        self.unreachable_tasks = number;
        self
    }

    /// Sets the number of agents that are unreachable or gone.
    #[must_use]
    pub fn agents(mut self, number: usize) -> Self {
        self.agents = number;
        self
    }
}

impl Default for Remembered {
    /// Returns Mesos' defaults (`--max_completed_frameworks`, `--max_unreachable_tasks_per_framework`,
    /// `--registry_max_agent_count`).
    fn default() -> Self {
        Self { frameworks: 50, unreachable_tasks: 1000, agents: 100_000 }
    }
}

impl Default for Config {
    /// Returns Mesos' defaults: a batch every second, offers without a timeout.
    fn default() -> Self {
        Self {
            allocation_interval: Duration::from_secs(1),
            offer_timeout: None,
            timeout_refusal: Duration::ZERO,
            options: Options::default(),
            sorter: SorterChoice::default(),
            id_prefix: Text::default(),
            remembered: Remembered::default(),
        }
    }
}

/// The master of a cluster, as a pure state machine.
///
/// [`Master::handle`] and [`Master::advance`] are its inputs, [`Master::poll_effect`] and [`Master::poll_timeout`] its
/// outputs; the other methods are queries. Effects stay queued until they are polled, and the queue never influences a
/// decision.
///
/// The master's clock is the time of its commands. A command first runs all timers due up to its time, in order of time;
/// at one instant they run in the order of [`WakeReason`].
///
/// # Examples
///
/// ```
/// use apportion::{Accept, Agent, Call, Command, Config, Effect, Framework, Master, Role, Task, Time};
///
/// let mut master = Master::new(Config::default());
/// let agent = Agent::new("a1", "cpus:8;mem:4096".parse()?).hostname("host-1");
/// master.handle(Time::ZERO, Command::AddAgent(agent.into()))?;
/// master.handle(Time::ZERO, Command::AddFramework(Framework::new("marathon").role(Role::default())))?;
///
/// assert!(matches!(master.poll_effect().map(|emitted| emitted.effect), Some(Effect::Subscribed { .. })));
/// let Some(Effect::Offer(offer)) = master.poll_effect().map(|emitted| emitted.effect) else { panic!("no offer") };
/// let task = Task::new("web-1", "cpus:0.25;mem:256".parse()?);
/// let call = Call::Accept(Accept::of(&offer).launch(task));
/// master.handle(Time::ZERO, Command::Call("marathon".into(), call))?;
/// assert!(matches!(master.poll_effect().map(|emitted| emitted.effect), Some(Effect::Launch { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Master<A = Hierarchical> {
    config: Config,
    now: Time,
    allocator: A,
    agents: Registered,
    inactive: Inactive,
    drains: Drains,
    absent: Absent,
    recovery: Expected,
    frameworks: IndexMap<FrameworkId, FrameworkEntry, foldhash::fast::RandomState>,
    removals: Removals,
    /// The frameworks that were removed last.
    removed: Recent<FrameworkId, ()>,
    offers: Offers,
    tasks: Tasks,
    executors: Executors,
    /// The number of task groups that were launched.
    groups: u64,
    maintenance: Maintenance,
    /// The time of the next batch; none while a batch could not offer anything.
    next_batch: Option<Time>,
    effects: VecDeque<Emitted>,
    counters: Counters,
    watch: Option<OfferWatch>,
}

impl Master {
    /// Returns a master of an empty cluster, with the hierarchical allocator of Mesos.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_allocator(config, |config| {
            Hierarchical::new(config.options.clone(), config.sorter.clone(), config.sorter.within_roles())
        })
    }
}

impl<A: Allocator> Master<A> {
    /// The number of effects of timers after which one call stops advancing time. It bounds the memory of the queue when
    /// time jumps far ahead while an offer times out and is made again every few seconds.
    pub const MAX_TIMER_EFFECTS: usize = 1 << 20;

    /// Returns a master of an empty cluster, with the allocator that `make` returns for its configuration. The options and
    /// the sorter in it are the allocator's to follow.
    ///
    /// # Examples
    ///
    /// One's own order of roles, and Mesos' of the frameworks within them:
    ///
    /// ```
    /// use apportion::allocator::{Drf, Hierarchical, Random};
    /// use apportion::{Config, Master};
    ///
    /// let master = Master::with_allocator(Config::new(), |config| {
    ///     Hierarchical::new(config.options.clone(), Random::new(7), Drf::default())
    /// });
    /// assert!(!master.has_effects());
    /// ```
    #[must_use]
    pub fn with_allocator(config: Config, make: impl FnOnce(&Config) -> A) -> Self {
        Self {
            now: Time::ZERO,
            allocator: make(&config),
            config,
            agents: Registered::default(),
            inactive: Inactive::default(),
            drains: Drains::default(),
            absent: Absent::default(),
            recovery: Expected::default(),
            frameworks: IndexMap::default(),
            removals: Removals::default(),
            removed: Recent::default(),
            offers: Offers::default(),
            tasks: Tasks::default(),
            executors: Executors::default(),
            groups: 0,
            maintenance: Maintenance::default(),
            next_batch: None,
            effects: VecDeque::new(),
            counters: Counters::default(),
            watch: None,
        }
    }

    /// Runs all timers due up to `at`, then applies the command.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the state does not allow the command, which then changes nothing; the timers have run. The
    /// errors of [`Master::advance`] too.
    pub fn handle(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        self.counters.count_command(&command);
        let applied = self.advance(at).and_then(|()| self.apply(command));
        self.counters.rejected_commands += u64::from(applied.is_err());
        applied?;
        self.finish_drains()?;
        self.maintenance.mark_dirty();
        self.schedule_batch();
        Ok(())
    }

    /// Runs all timers due up to `at`, in order of time.
    ///
    /// # Errors
    ///
    /// [`CommandError::TimeWentBack`] when `at` is before the current time; [`CommandError::TooManyTimerEffects`] when the
    /// timers cause more than [`Master::MAX_TIMER_EFFECTS`] effects: time has advanced part of the way, and another call
    /// continues from there.
    pub fn advance(&mut self, at: Time) -> Result<(), CommandError> {
        if at < self.now {
            return Err(CommandError::TimeWentBack { now: self.now, at });
        }
        self.run_timers(at)
    }

    /// Removes and returns the oldest effect of the queue.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Emitted> {
        self.effects.pop_front()
    }

    /// Returns whether the queue has an effect.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Returns an agent as it was registered and updated, if there is one of that id.
    #[must_use]
    pub fn agent(&self, agent: &AgentId) -> Option<&Agent> {
        self.agents.get(agent).map(|agent| &**agent)
    }

    /// Returns the current time: that of the last command or timer.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the registered agents, in order of coming.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.iter()
    }

    /// Returns an agent as it was registered and updated, if it is connected.
    pub(crate) fn connected_agent(&self, agent: &AgentId) -> Option<&Arc<Agent>> {
        self.agents.get(agent).filter(|agent| !self.inactive.is_disconnected(&agent.id))
    }

    /// Returns the allocator.
    #[must_use]
    pub fn allocator(&self) -> &A {
        &self.allocator
    }

    fn apply(&mut self, command: Command) -> Result<(), CommandError> {
        match command {
            Command::AddAgent(registration) => self.add_agent(registration),
            Command::UpdateAgent(update) => self.update_agent(update),
            Command::RemoveAgent(agent) | Command::UnregisterAgent(agent) => self.remove_agent(&agent),
            Command::DeactivateAgent(agent) => self.set_agent_active(&agent, false),
            Command::ActivateAgent(agent) => self.set_agent_active(&agent, true),
            Command::DisconnectAgent(agent) => self.disconnect_agent(&agent),
            Command::AgentUnreachable(agent) => self.agent_unreachable(&agent),
            Command::AgentGone(agent) => self.agent_gone(&agent),
            Command::DrainAgent(agent, drain) => self.drain_agent(&agent, drain),
            Command::Recover(recovery) => self.recover(recovery),
            Command::RecoverFramework(framework, give_up_after) => self.recover_framework(framework, give_up_after),
            Command::AddFramework(framework) => self.add_framework(framework),
            Command::DeactivateFramework(framework) => self.set_framework_active(&framework, false),
            Command::ActivateFramework(framework) => self.set_framework_active(&framework, true),
            Command::SetWeight(role, weight) => Ok(self.allocator.apply(Change::SetWeight { role: &role, weight })?),
            Command::SetQuota(role, quota) => {
                let is_empty = quota.is_empty();
                for limit in self.allocator.set_quota(&role, quota)? {
                    self.emit(Effect::Warning { command: "set_quota", message: limit.to_string() });
                }
                self.recovery.set_quota(&role, is_empty);
                Ok(())
            }
            Command::SetWhitelist(hostnames) => Ok(self.allocator.apply(Change::SetWhitelist(hostnames.as_deref()))?),
            Command::SetMaintenance(agent, unavailability) => self.set_maintenance(&agent, unavailability),
            Command::Operate(agent, operations) => self.operate(&agent, operations),
            Command::Call(framework, call) => self.call(framework, call),
            Command::TaskStatus(framework, status) => self.task_status(framework, status),
            Command::ExecutorMessage(from, data) => {
                from.executor.check()?;
                self.executor_message(from, data)
            }
            Command::ExecutorEnded(ended, status) => {
                ended.executor.check()?;
                self.executor_ended(ended, status)
            }
        }
    }

    fn call(&mut self, framework: FrameworkId, call: Call) -> Result<(), CommandError> {
        let need_not_be_registered = matches!(call, Call::Subscribe(_) | Call::Teardown | Call::Invalid { .. });
        if !need_not_be_registered {
            self.framework(&framework)?;
        }
        match call {
            Call::Subscribe(info) => self.subscribe(framework, *info),
            Call::Teardown => self.remove_framework(&framework),
            Call::AcknowledgeOperation { .. } => Ok(()),
            Call::Request(request) => self.request(&framework, *request),
            Call::Invalid { form, .. } => Err(CommandError::InvalidCall(form.error.clone())),
            Call::Accept(accept) => self.accept(&framework, accept),
            Call::Decline { offers, filters, each } => self.decline(&framework, &offers, filters, each),
            Call::AcceptInverseOffers { offers, filters, each }
            | Call::DeclineInverseOffers { offers, filters, each } => {
                self.answer_inverse(&framework, &offers, filters, each)
            }
            Call::Suppress(roles) => self.suppress(&framework, &roles),
            Call::Revive(roles) => self.revive(&framework, &roles),
            Call::Kill(kill) => self.kill(framework, kill),
            Call::Reconcile(tasks) => self.reconcile(&framework, tasks),
            Call::Acknowledge { agent, task, uuid } => {
                // The agent may have been removed meanwhile: that is no error of the framework.
                if self.agents.contains(&agent) {
                    self.emit(Effect::Acknowledge { agent, framework, task, uuid });
                }
                Ok(())
            }
            Call::ReconcileOperations(operations) => {
                self.reconcile_operations(&framework, operations);
                Ok(())
            }
            Call::Message { agent, executor, data } => {
                executor.check()?;
                self.message(ExecutorRef { framework, agent, executor }, data)
            }
            Call::Shutdown { agent, executor } => {
                executor.check()?;
                self.shutdown(ExecutorRef { framework, agent, executor })
            }
            Call::UpdateFramework(info) => self.update_framework(&framework, *info),
        }
    }

    fn emit(&mut self, effect: Effect) {
        self.counters.count_effect(&effect);
        self.effects.push_back(Emitted { at: self.now, effect });
    }
}
