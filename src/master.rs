//! [`Master`]: the protocol as one state machine. Commands go in, effects come out.

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
use crate::id::{AgentId, FrameworkId};
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

/// What holds for a master as long as it lives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How often resources that came back are allocated; at least a microsecond.
    pub allocation_interval: Duration,
    /// How long an offer may go unanswered; none = for ever.
    pub offer_timeout: Option<Duration>,
    /// What holds for all frameworks and agents.
    pub options: Options,
    /// In which order roles, and the frameworks of each, are served.
    pub sorter: SorterChoice,
}

impl Default for Config {
    /// Mesos' defaults: a batch every second, offers that do not time out.
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
/// Three kinds of methods: [`Master::handle`] and [`Master::advance`] go in; [`Master::poll_effect`]
/// and [`Master::poll_timeout`] come out; the others only look. Effects may be left in the queue for
/// as long as one likes: that never changes a decision.
///
/// Time is that of the commands. One at a later moment first runs every timer due up to then, in
/// order of time: batches, then ends of refusals, then offer timeouts, then the command.
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
    /// When the next batch runs; none while there is nothing that it could give.
    batch: Option<Time>,
    effects: VecDeque<Emitted>,
}

#[derive(Debug, Clone)]
struct FrameworkEntry {
    framework: Arc<Framework>,
    active: bool,
    suppressed: Vec<Role>,
}

impl Master {
    /// A master of an empty cluster, with the allocator of Mesos.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (options, sorter) = (config.options.clone(), config.sorter.clone());
        Self::with_allocator(config, Hierarchical::new(options, sorter.clone(), sorter.within_roles()))
    }
}

impl<A: Allocator> Master<A> {
    /// After how many effects of timers alone a jump in time ends early: an offer that times out, and is made again, for
    /// a million years must not fill the memory.
    pub const LONGEST_SLEEP: usize = 1 << 20;

    /// A master of an empty cluster, with that allocator; its options are its own.
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
            batch: None,
            effects: VecDeque::new(),
        }
    }

    /// Takes a command at that moment, after every timer due up to then.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the state does not allow it; nothing has changed then, but for the timers. Those of
    /// [`Master::advance`] too.
    pub fn handle(&mut self, at: Time, command: Command) -> Result<(), CommandError> {
        self.advance(at)?;
        self.apply(command)?;
        self.maintenance.look_again();
        self.schedule_batch();
        Ok(())
    }

    /// Runs every timer due up to that moment.
    ///
    /// # Errors
    ///
    /// [`CommandError::TimeWentBack`] when it is before the last one; [`CommandError::SleptTooLong`] when more than
    /// [`Master::LONGEST_SLEEP`] effects come about before: time stands where it got to, and may be advanced further.
    pub fn advance(&mut self, at: Time) -> Result<(), CommandError> {
        if at < self.now {
            return Err(CommandError::TimeWentBack { now: self.now, at });
        }
        self.run_timers(at)
    }

    /// The next effect, in the order in which they came about.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Emitted> {
        self.effects.pop_front()
    }

    /// Whether an effect waits to be polled.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// What an agent says of itself, if it is known.
    #[must_use]
    pub fn agent(&self, agent: &AgentId) -> Option<&Agent> {
        self.agents.get(agent).map(|agent| &**agent)
    }

    /// Whether a framework is registered.
    pub(crate) fn has_framework(&self, id: &FrameworkId) -> bool {
        self.frameworks.contains_key(id)
    }

    /// The moment of the last command or timer.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The allocator, to look at.
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
                self.rescind_inverse(|_, on| *on == agent);
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
            Command::SetQuota(role, quota) => Ok(self.allocator.set_quota(&role, quota)?),
            Command::SetWhitelist(hostnames) => {
                self.allocator.set_whitelist(hostnames);
                Ok(())
            }
            Command::SetMaintenance(agent, unavailability) => self.set_maintenance(&agent, unavailability),
            Command::Operate(agent, operations) => self.operate(&agent, operations),
            Command::Call(framework, call) => self.call(framework, call),
            Command::TaskStatus(framework, status) => self.task_status(framework, status),
            Command::ExecutorMessage(from, data) => self.executor_message(from, data),
            Command::ExecutorEnded(ended, status) => self.executor_ended(ended, status),
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
                // An agent that is gone need not be told; nobody did anything wrong.
                if self.agents.contains_key(&agent) {
                    self.emit(Effect::Acknowledge { agent, framework, task, uuid });
                }
                Ok(())
            }
            Call::ReconcileOperations(operations) => {
                self.reconcile_operations(&framework, operations);
                Ok(())
            }
            Call::Message { agent, executor, data } => self.message(ExecutorRef { framework, agent, executor }, data),
            Call::Shutdown { agent, executor } => self.shutdown(ExecutorRef { framework, agent, executor }),
            Call::UpdateFramework(info) => {
                let info = Self::named(&framework, *info)?;
                self.update_framework(info)
            }
            Call::Teardown => self.remove_framework(&framework),
        }
    }

    /// Registers a framework, or lets it take over: offers that were out are void then.
    fn subscribe(&mut self, framework: FrameworkId, info: Framework) -> Result<(), CommandError> {
        let info = Self::named(&framework, info)?;
        if self.framework(&framework).is_err() {
            return self.add_framework(info);
        }
        self.update_framework(info)?;
        self.set_framework_active(&framework, false)?;
        self.set_framework_active(&framework, true)
    }

    /// What a framework says of itself, under its own name.
    fn named(framework: &FrameworkId, info: Framework) -> Result<Framework, CommandError> {
        if info.id == *framework {
            Ok(info)
        } else {
            Err(CommandError::OtherFramework { framework: framework.clone(), named: info.id })
        }
    }

    fn add_agent(&mut self, agent: Agent, tasks: Vec<RunningTask>) -> Result<(), CommandError> {
        let mut ids = BTreeSet::new();
        for running in &tasks {
            let (framework, task) = (&running.framework, &running.task.id);
            if self.tasks.has(framework, task) || !ids.insert((framework, task)) {
                return Err(CommandError::TaskExists { framework: framework.clone(), task: task.clone() });
            }
        }
        let holding = |running: &RunningTask| Holding {
            framework: running.framework.clone(),
            role: running.role.clone(),
            agent: agent.id.clone(),
            resources: running.task.resources.clone(),
        };
        let held: Vec<Holding> = tasks.iter().map(holding).collect();
        let agent = Arc::new(agent);
        self.allocator.add_agent(&agent, &held)?;
        for (running, holding) in tasks.into_iter().zip(held) {
            self.tasks.add(running.task.id, holding, TaskState::Running);
        }
        self.maintenance.plan(&agent.id, agent.unavailability);
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
        before.resources = total; // operations change it
        let mut agent = before.clone();
        agent.resources = update.resources.unwrap_or(agent.resources);
        agent.attributes = update.attributes.unwrap_or(agent.attributes);
        agent.domain = update.domain.or(agent.domain);
        if agent == before {
            return Ok(());
        }
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
        self.rescind_inverse(|_, on| on == agent);
        self.maintenance.forget(|_, on| on == agent);
        self.maintenance.plan(agent, None);
        self.lose_tasks(agent);
        self.allocator.remove_agent(agent)?;
        self.agents.shift_remove(agent);
        Ok(())
    }

    fn framework(&self, id: &FrameworkId) -> Result<&FrameworkEntry, CommandError> {
        self.frameworks.get(id).ok_or_else(|| Self::unknown_framework(id))
    }

    fn add_framework(&mut self, framework: Framework) -> Result<(), CommandError> {
        check_framework(&framework)?;
        let framework = Arc::new(framework);
        self.allocator.add_framework(&framework, &self.held_by(&framework.id))?;
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

    fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), CommandError> {
        self.framework(framework)?;
        self.drop_offers(framework);
        self.maintenance.drop_framework(framework);
        self.drop_tasks(framework);
        self.allocator.remove_framework(framework)?;
        self.frameworks.shift_remove(framework);
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
            self.maintenance.forget(|framework, _| framework == id);
        }
        Ok(())
    }

    fn suppress(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), CommandError> {
        self.allocator.suppress(id, roles)?;
        if let Some(entry) = self.frameworks.get_mut(id) {
            let all = &entry.framework.roles;
            let suppressed = &entry.suppressed;
            let now = |role: &&Role| suppressed.contains(*role) || roles.is_empty() || roles.contains(*role);
            entry.suppressed = all.iter().filter(now).cloned().collect();
        }
        Ok(())
    }

    fn revive(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), CommandError> {
        self.allocator.revive(id, roles)?;
        self.maintenance.forget(|framework, _| framework == id);
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

/// Checks what a framework says of itself: each role once, and nothing said of roles that it does not have.
fn check_framework(framework: &Framework) -> Result<(), CommandError> {
    let mut roles = BTreeSet::new();
    if let Some(role) = framework.roles.iter().find(|role| !roles.insert(*role)) {
        return Err(CommandError::RoleTwice { framework: framework.id.clone(), role: role.clone() });
    }
    let mut spoken_of =
        framework.suppressed.iter().chain(framework.offer_filters.keys()).chain(framework.offer_constraints.roles());
    match spoken_of.find(|role| !roles.contains(role)) {
        Some(role) => {
            let (framework, role) = (framework.id.clone(), role.clone());
            Err(AllocatorError::RoleNotSubscribed { framework, role }.into())
        }
        None => Ok(()),
    }
}
