//! [`Master`]: the offer protocol as a state machine. Commands go in, effects come out.

mod command;
mod effect;
mod executors;
mod explain;
mod maintenance;
mod offers;
mod operations;
mod state;
mod tasks;
mod timers;

pub use command::{AgentUpdate, Command, CommandError, ExecutorRef, RunningTask};
pub use effect::{Effect, Emitted};
pub use explain::Explanation;
pub use state::{AgentState, FrameworkState, OfferState, RoleState, State};
pub use timers::{Wake, WakeReason};

use crate::agent::Agent;
use crate::allocator::{Allocator, AllocatorError, Hierarchical, Holding, Options, SorterChoice};
use crate::framework::Framework;
use crate::id::{self, AgentId, FrameworkId};
use crate::offer::{repeated_volume, volume_id};
use crate::role::Role;
use crate::scheduler::Call;
use crate::task::TaskState;
use crate::time::Time;
use indexmap::IndexMap;
use maintenance::Maintenance;
use offers::Offers;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;

/// The configuration of a master, fixed for its lifetime.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The interval of batch allocations, at least one microsecond.
    pub allocation_interval: Duration,
    /// The time after which an unanswered offer or inverse offer is rescinded; `None` means never.
    pub offer_timeout: Option<Duration>,
    /// The allocator's options.
    pub options: Options,
    /// The order in which roles, and the frameworks of each role, are offered resources.
    pub sorter: SorterChoice,
}

impl Default for Config {
    /// Returns Mesos' defaults: a batch every second, offers without a timeout.
    fn default() -> Self {
        Self {
            allocation_interval: Duration::from_secs(1),
            offer_timeout: None,
            options: Options::default(),
            sorter: SorterChoice::default(),
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
/// at one instant, batches run before the expiry of refusals, and that before offer timeouts.
///
/// # Examples
///
/// ```
/// use apportion::{Accept, Agent, Call, Command, Config, Effect, Framework, Master, Role, Task, Time};
///
/// let mut master = Master::new(Config::default());
/// let agent = Agent::new("a1", "cpus:8;mem:4096".parse()?).hostname("host-1");
/// master.handle(Time::ZERO, Command::AddAgent(agent, vec![]))?;
/// master.handle(Time::ZERO, Command::AddFramework(Framework::new("marathon").role(Role::default())))?;
///
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
    agents: IndexMap<AgentId, Arc<Agent>, foldhash::fast::RandomState>,
    frameworks: IndexMap<FrameworkId, FrameworkEntry, foldhash::fast::RandomState>,
    offers: Offers,
    tasks: Tasks,
    maintenance: Maintenance,
    /// The time of the next batch; none while a batch could not offer anything.
    next_batch: Option<Time>,
    effects: VecDeque<Emitted>,
}

#[derive(Debug, Clone)]
struct FrameworkEntry {
    framework: Arc<Framework>,
    active: bool,
    suppressed: Vec<Role>,
}

impl Master {
    /// Returns a master of an empty cluster, with the hierarchical allocator of Mesos.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (options, sorter) = (config.options.clone(), config.sorter.clone());
        Self::with_allocator(config, Hierarchical::new(options, sorter.clone(), sorter.within_roles()))
    }
}

impl<A: Allocator> Master<A> {
    /// The number of effects of timers after which one call stops advancing time. It bounds the memory of the queue when
    /// time jumps far ahead while an offer times out and is made again every few seconds.
    pub const MAX_TIMER_EFFECTS: usize = 1 << 20;

    /// Returns a master of an empty cluster, with that allocator. The allocator keeps its own options: those of `config`
    /// are not used.
    #[must_use]
    pub fn with_allocator(config: Config, allocator: A) -> Self {
        Self {
            config,
            now: Time::ZERO,
            allocator,
            agents: IndexMap::default(),
            frameworks: IndexMap::default(),
            offers: Offers::default(),
            tasks: Tasks::default(),
            maintenance: Maintenance::default(),
            next_batch: None,
            effects: VecDeque::new(),
        }
    }

    /// Runs all timers due up to `at`, then applies the command.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the state does not allow the command, which then changes nothing; the timers have run. The
    /// errors of [`Master::advance`] too.
    pub fn handle(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        self.advance(at)?;
        self.apply(command)?;
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

    /// Returns whether a framework is registered.
    pub(crate) fn has_framework(&self, id: &FrameworkId) -> bool {
        self.frameworks.contains_key(id)
    }

    /// Returns the current time: that of the last command or timer.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns the allocator.
    #[must_use]
    pub fn allocator(&self) -> &A {
        &self.allocator
    }

    fn apply(&mut self, command: Command) -> Result<(), CommandError> {
        match command {
            Command::AddAgent(agent, tasks) => self.add_agent(agent, tasks),
            Command::UpdateAgent(update) => self.update_agent(update),
            Command::RemoveAgent(agent) => self.remove_agent(&agent),
            Command::DeactivateAgent(agent) => {
                self.allocator.set_agent_active(&agent, false)?;
                self.rescind(|offer| offer.holding.agent == agent);
                self.rescind_inverse(|_, asked| *asked == agent);
                Ok(())
            }
            Command::ActivateAgent(agent) => Ok(self.allocator.set_agent_active(&agent, true)?),
            Command::AddFramework(framework) => self.add_framework(framework),
            Command::UpdateFramework(framework) => self.update_framework(framework),
            Command::RemoveFramework(framework) => self.remove_framework(&framework),
            Command::DeactivateFramework(framework) => self.set_framework_active(&framework, false),
            Command::ActivateFramework(framework) => self.set_framework_active(&framework, true),
            Command::SetWeight(role, weight) => {
                self.allocator.set_weight(&role, weight);
                Ok(())
            }
            Command::SetQuota(role, quota) => {
                for limit in self.allocator.set_quota(&role, quota)? {
                    self.emit(Effect::Warning { command: "set_quota", message: limit.to_string() });
                }
                Ok(())
            }
            Command::SetWhitelist(hostnames) => {
                self.allocator.set_whitelist(hostnames);
                Ok(())
            }
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
        if let Call::Subscribe(info) = call {
            return self.subscribe(framework, *info);
        }
        self.framework(&framework)?;
        match call {
            Call::Subscribe(_) | Call::AcknowledgeOperation { .. } | Call::Request(_) => Ok(()),
            Call::Accept(accept) => self.accept(&framework, accept),
            Call::Decline { offers, filters } => self.decline(&framework, &offers, filters),
            Call::AcceptInverseOffers { offers, filters } | Call::DeclineInverseOffers { offers, filters } => {
                self.answer_inverse(&framework, &offers, filters)
            }
            Call::Suppress(roles) => self.suppress(&framework, &roles),
            Call::Revive(roles) => self.revive(&framework, &roles),
            Call::Kill(kill) => self.kill(framework, kill),
            Call::Reconcile(tasks) => self.reconcile(&framework, tasks),
            Call::Acknowledge { agent, task, uuid } => {
                // The agent may have been removed meanwhile: that is no error of the framework.
                if self.agents.contains_key(&agent) {
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
            Call::UpdateFramework(info) => {
                let info = Self::check_id(&framework, *info)?;
                self.update_framework(info)
            }
            Call::Teardown => self.remove_framework(&framework),
        }
    }

    /// Registers a framework, or fails it over to a new scheduler instance, which voids its outstanding offers.
    fn subscribe(&mut self, framework: FrameworkId, info: Framework) -> Result<(), CommandError> {
        let info = Self::check_id(&framework, info)?;
        if self.framework(&framework).is_err() {
            return self.add_framework(info);
        }
        self.update_framework(info)?;
        self.set_framework_active(&framework, false)?;
        self.set_framework_active(&framework, true)
    }

    /// Checks that a call describes the framework that it comes from.
    fn check_id(framework: &FrameworkId, info: Framework) -> Result<Framework, CommandError> {
        if info.id == *framework {
            Ok(info)
        } else {
            Err(CommandError::FrameworkIdMismatch { framework: framework.clone(), named: info.id })
        }
    }

    fn add_agent(&mut self, agent: Agent, tasks: Vec<RunningTask>) -> Result<(), CommandError> {
        agent.id.check()?;
        check_volumes(&agent)?;
        let mut seen = BTreeSet::new();
        for running in &tasks {
            running.framework.check()?;
            running.task.id.check()?;
            let (framework, task) = (&running.framework, &running.task.id);
            if self.tasks.contains(framework, task) || !seen.insert((framework, task)) {
                return Err(CommandError::TaskExists { framework: framework.clone(), task: task.clone() });
            }
        }
        let holding = |running: &RunningTask| Holding {
            framework: running.framework.clone(),
            role: running.role.clone(),
            agent: agent.id.clone(),
            resources: running.task.resources.clone(),
        };
        let holdings: Vec<Holding> = tasks.iter().map(holding).collect();
        let known = self.maintenance.window(&agent.hostname);
        let window = agent.unavailability.or(known); // what the agent comes with counts for its machine
        let agent = Arc::new(Agent { unavailability: window, ..agent });
        self.allocator.add_agent(&agent, &holdings)?;
        for (running, holding) in tasks.into_iter().zip(holdings) {
            self.tasks.add(running.task.id, holding, TaskState::Running);
        }
        if window != known {
            self.change_window(&agent.hostname, window);
        }
        self.maintenance.schedule(&agent.id, window);
        self.agents.insert(agent.id.clone(), Arc::clone(&agent));
        self.make_offers(Some(&agent.id));
        Ok(())
    }

    fn update_agent(&mut self, update: AgentUpdate) -> Result<(), CommandError> {
        let id = update.id;
        let unknown = || AllocatorError::UnknownAgent(id.clone());
        let before = self.agents.get(&id).ok_or_else(unknown)?;
        let total = self.allocator.agent(&id).ok_or_else(unknown)?.total.clone();
        let mut before = Agent::clone(before);
        before.resources = total; // operations change the total in the allocator only
        let mut agent = before.clone();
        agent.resources = update.resources.unwrap_or(agent.resources);
        agent.attributes = update.attributes.unwrap_or(agent.attributes);
        agent.domain = update.domain.or(agent.domain);
        if agent == before {
            return Ok(());
        }
        check_volumes(&agent)?;
        let agent = Arc::new(agent);
        self.allocator.update_agent(&agent)?;
        self.agents.insert(id.clone(), agent);
        self.make_offers(Some(&id));
        Ok(())
    }

    fn remove_agent(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        if !self.agents.contains_key(agent) {
            return Err(AllocatorError::UnknownAgent(agent.clone()).into());
        }
        self.rescind(|offer| offer.holding.agent == *agent);
        self.rescind_inverse(|_, asked| asked == agent);
        self.maintenance.clear_refusals(|_, refused| refused == agent);
        self.maintenance.schedule(agent, None); // the window stays with the machine
        self.lose_tasks(agent);
        self.allocator.remove_agent(agent)?;
        self.agents.shift_remove(agent);
        Ok(())
    }

    fn framework(&self, id: &FrameworkId) -> Result<&FrameworkEntry, CommandError> {
        self.frameworks.get(id).ok_or_else(|| Self::unknown_framework(id))
    }

    fn add_framework(&mut self, framework: Framework) -> Result<(), CommandError> {
        framework.id.check()?;
        check_framework(&framework)?;
        let framework = Arc::new(framework);
        self.allocator.add_framework(&framework, &self.holdings_of(&framework.id))?;
        let suppressed = framework.suppressed.clone();
        self.frameworks.insert(framework.id.clone(), FrameworkEntry { framework, active: true, suppressed });
        self.make_offers(None);
        Ok(())
    }

    fn update_framework(&mut self, framework: Framework) -> Result<(), CommandError> {
        check_framework(&framework)?;
        let framework = Arc::new(framework);
        self.allocator.update_framework(&framework)?;
        let (id, roles) = (&framework.id, &framework.roles);
        self.rescind(|offer| offer.holding.framework == *id && !roles.contains(&offer.holding.role));
        if let Some(entry) = self.frameworks.get_mut(id) {
            entry.suppressed.clone_from(&framework.suppressed);
            entry.framework = framework;
        }
        Ok(())
    }

    /// Removes a framework with all that it holds. One that is not registered, and known only by tasks that came with their
    /// agents, loses these.
    fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), CommandError> {
        let is_registered = self.has_framework(framework);
        if !is_registered && !self.tasks.has_any(framework) {
            return Err(Self::unknown_framework(framework));
        }
        self.drop_offers(framework);
        self.maintenance.drop_framework(framework);
        self.drop_tasks(framework);
        if is_registered {
            self.allocator.remove_framework(framework)?;
            self.frameworks.shift_remove(framework);
        }
        Ok(())
    }

    fn set_framework_active(&mut self, id: &FrameworkId, active: bool) -> Result<(), CommandError> {
        self.allocator.set_framework_active(id, active)?;
        if let Some(entry) = self.frameworks.get_mut(id) {
            entry.active = active;
        }
        if active {
            self.make_offers(None);
        } else {
            self.rescind(|offer| offer.holding.framework == *id);
            self.rescind_inverse(|framework, _| framework == id);
            self.maintenance.clear_refusals(|framework, _| framework == id);
        }
        Ok(())
    }

    fn suppress(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), CommandError> {
        self.allocator.suppress(id, roles)?;
        if let Some(entry) = self.frameworks.get_mut(id) {
            let (all, before) = (&entry.framework.roles, &entry.suppressed);
            let suppressed = |role: &&Role| before.contains(*role) || roles.is_empty() || roles.contains(*role);
            entry.suppressed = all.iter().filter(suppressed).cloned().collect();
        }
        Ok(())
    }

    fn revive(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), CommandError> {
        self.allocator.revive(id, roles)?;
        self.maintenance.clear_refusals(|framework, _| framework == id);
        if let Some(entry) = self.frameworks.get_mut(id) {
            entry.suppressed.retain(|role| !roles.is_empty() && !roles.contains(role));
        }
        self.make_offers(None);
        Ok(())
    }

    fn emit(&mut self, effect: Effect) {
        self.effects.push_back(Emitted { at: self.now, effect });
    }
}

/// Checks a framework's description: it names each role once, and suppressions, offer filters and offer constraints name
/// only its own roles.
fn check_framework(framework: &Framework) -> Result<(), CommandError> {
    let mut roles = BTreeSet::new();
    if let Some(role) = framework.roles.iter().find(|role| !roles.insert(*role)) {
        return Err(CommandError::DuplicateRole { framework: framework.id.clone(), role: role.clone() });
    }
    let mut referenced =
        framework.suppressed.iter().chain(framework.offer_filters.keys()).chain(framework.offer_constraints.roles());
    match referenced.find(|role| !roles.contains(role)) {
        Some(role) => {
            let (framework, role) = (framework.id.clone(), role.clone());
            Err(AllocatorError::RoleNotSubscribed { framework, role }.into())
        }
        None => Ok(()),
    }
}

/// Checks that volumes have valid persistence ids, and those of one role different ones (Mesos,
/// `validateUniquePersistenceID`).
fn check_volumes(agent: &Agent) -> Result<(), CommandError> {
    agent.resources.iter().filter_map(volume_id).try_for_each(|volume| id::check(volume))?;
    match repeated_volume(&agent.resources) {
        Some(id) => Err(CommandError::DuplicateVolume { agent: agent.id.clone(), id: id.clone() }),
        None => Ok(()),
    }
}
