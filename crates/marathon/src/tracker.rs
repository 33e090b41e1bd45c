//! [`InstanceTracker`]: the instances that the framework believes to run, and the status updates about them.
//!
//! Updates come twice, late, and about tasks that the framework does not know (Mesos, *Designing Highly Available Mesos Frameworks*). An
//! update that is older than the last one is ignored, and a terminal state is final.

use crate::definition::AppDefinition;
use crate::health::{Health, Verdict};
use crate::readiness;
use crate::unreachable::UnreachableStrategy;
use apportion::placement::{Launch, Running, Version};
use apportion::{TaskId, TaskState, TaskStatus, Time};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A task that was launched and has not ended.
#[derive(Debug)]
pub struct Instance {
    /// The launch that the planner decided on: task id, app, agent, resources, ports.
    pub launch: Launch,
    /// The state in the last update.
    pub state: TaskState,
    /// The number of the version of its app that it is of ([`RunningApp::generation`](crate::RunningApp::generation)).
    pub generation: u32,
    /// The definition that it was launched with.
    pub definition: Arc<AppDefinition>,
    /// Whether the framework has told it to end.
    pub is_killed: bool,
    running: Running,
    /// The results of its health checks, from when it runs.
    health: Option<Health>,
    /// By readiness check, whether it was passed.
    passed: Vec<bool>,
    /// Since when its agent cannot be reached.
    unreachable_since: Option<Time>,
    /// The timestamp of the last update, in seconds on the clock of its sender.
    last_update: f64,
}

impl Instance {
    /// Returns whether it is healthy; `None` if its app has no health checks, or they have no result yet.
    pub fn healthy(&self) -> Option<bool> {
        let health = self.health.as_ref().filter(|_| !self.definition.health_checks.is_empty())?;
        match health.verdict() {
            Verdict::Unknown => None,
            Verdict::Healthy => Some(true),
            Verdict::Unhealthy | Verdict::TooManyFailures => Some(false),
        }
    }

    /// Returns whether it has passed all readiness checks of its app, if there are any.
    pub fn is_ready(&self) -> bool {
        self.passed.iter().all(|passed| *passed)
    }

    /// Returns whether it is up: it runs, is ready, is not told to end, and is healthy if its app has health checks.
    pub fn is_up(&self) -> bool {
        let is_well = self.definition.health_checks.is_empty() || self.healthy() == Some(true);
        self.state == TaskState::Running && !self.is_killed && is_well && self.is_ready()
    }

    /// Returns when another instance takes its place and when it is given up, while its agent cannot be reached.
    fn deadlines(&self) -> Option<(Time, Time)> {
        let UnreachableStrategy::Replace { inactive_after, expunge_after } = self.definition.unreachable_strategy
        else {
            return None;
        };
        self.unreachable_since.map(|since| (since + inactive_after, since + expunge_after))
    }

    /// Returns whether another instance takes its place, because its agent could not be reached for too long.
    pub(crate) fn is_inactive(&self, now: Time) -> bool {
        self.deadlines().is_some_and(|(inactive, _)| inactive <= now)
    }

    /// Returns whether it has failed a health check `maxConsecutiveFailures` times in a row.
    pub(crate) fn must_be_replaced(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.verdict() == Verdict::TooManyFailures)
    }

    fn apply(&mut self, status: &TaskStatus, now: Time) {
        if status.timestamp.is_some_and(|at| at < self.last_update) {
            return;
        }
        self.last_update = status.timestamp.unwrap_or(self.last_update);
        if is_unreachable(status) {
            self.unreachable_since.get_or_insert(now);
            self.state = TaskState::Unreachable;
            return;
        }
        self.unreachable_since = None;
        if let Some(passed) = readiness::passed(status).and_then(|check| self.passed.get_mut(check)) {
            *passed = true;
        }
        let is_step_back = self.state == TaskState::Running
            && matches!(status.state, TaskState::Staging | TaskState::Starting)
            || self.state == TaskState::Killing;
        if !is_step_back {
            self.state = status.state;
        }
        if self.state == TaskState::Running && self.health.is_none() {
            self.health = Some(Health::new(&self.definition.health_checks, now));
        }
        if let Some(health) = &mut self.health {
            health.apply(status, now);
        }
    }
}

/// Returns whether a task may still run on an agent that cannot be reached. A framework that does not know of partitions
/// hears that such a task is lost (Marathon's `TaskCondition`).
fn is_unreachable(status: &TaskStatus) -> bool {
    const MIGHT_COME_BACK: [&str; 5] = [
        "REASON_AGENT_REMOVED",
        "REASON_AGENT_DISCONNECTED",
        "REASON_SLAVE_REMOVED",
        "REASON_SLAVE_DISCONNECTED",
        "REASON_RECONCILIATION",
    ];
    let might_come_back = || status.reason.as_deref().is_some_and(|reason| MIGHT_COME_BACK.contains(&reason));
    status.state == TaskState::Unreachable || status.state == TaskState::Lost && might_come_back()
}

/// The effect of a status update.
#[derive(Debug)]
pub(crate) enum StatusOutcome {
    /// The instance of that number may be in another phase than before.
    Changed(u64),
    /// The instance of that number has ended.
    Ended(u64, Box<Instance>),
    /// The task runs, and was never launched by this framework.
    Unknown,
    /// The task has ended before.
    Ignored,
}

/// The instances that have not ended, by number and by task id.
#[derive(Debug, Default)]
pub(crate) struct InstanceTracker {
    /// By number, which grows with each launch.
    instances: BTreeMap<u64, Instance>,
    numbers: IndexMap<TaskId, u64>,
    launched: u64,
    ended: BTreeSet<TaskId>,
    /// Those of the ended ones that were given up: they may still run.
    given_up: BTreeSet<TaskId>,
}

impl InstanceTracker {
    /// Adds a launched instance. Returns its number.
    pub(crate) fn launch(&mut self, launch: Launch, definition: Arc<AppDefinition>, generation: u32) -> u64 {
        self.launched += 1;
        let mut running = launch.running();
        running.version = Some(version(generation));
        self.numbers.insert(launch.id.clone(), self.launched);
        let instance = Instance {
            passed: vec![false; definition.readiness_checks.len()],
            launch,
            state: TaskState::Staging,
            generation,
            definition,
            is_killed: false,
            running,
            health: None,
            unreachable_since: None,
            last_update: f64::NEG_INFINITY,
        };
        self.instances.insert(self.launched, instance);
        self.launched
    }

    /// Applies a status update.
    pub(crate) fn apply(&mut self, status: &TaskStatus, now: Time) -> StatusOutcome {
        let Some(number) = self.numbers.get(&status.task).copied() else {
            let is_known = self.ended.contains(&status.task) && !self.given_up.contains(&status.task);
            let is_old = status.state.is_terminal() || status.state == TaskState::Unreachable || is_known;
            return if is_old { StatusOutcome::Ignored } else { StatusOutcome::Unknown };
        };
        if !status.state.is_terminal() || is_unreachable(status) {
            let Some(instance) = self.instances.get_mut(&number) else { return StatusOutcome::Ignored };
            instance.apply(status, now);
            let is_given_up = instance.unreachable_since.is_some() && instance.is_killed
                || instance.deadlines().is_some_and(|(_, expunge)| expunge <= now);
            if !is_given_up {
                return StatusOutcome::Changed(number);
            }
            return match self.give_up(number) {
                Some(instance) => StatusOutcome::Ended(number, Box::new(instance)),
                None => StatusOutcome::Ignored,
            };
        }
        self.numbers.swap_remove(&status.task);
        self.ended.insert(status.task.clone());
        match self.instances.remove(&number) {
            Some(instance) => StatusOutcome::Ended(number, Box::new(instance)),
            None => StatusOutcome::Ignored,
        }
    }

    /// Removes an instance that may still run, on an agent that cannot be reached.
    pub(crate) fn give_up(&mut self, number: u64) -> Option<Instance> {
        let instance = self.instances.remove(&number)?;
        self.numbers.swap_remove(&instance.launch.id);
        self.ended.insert(instance.launch.id.clone());
        self.given_up.insert(instance.launch.id.clone());
        Some(instance)
    }

    /// Returns the instances that are to be given up by now.
    pub(crate) fn expired(&self, now: Time) -> Vec<u64> {
        let is_expired = |instance: &Instance| instance.deadlines().is_some_and(|(_, expunge)| expunge <= now);
        self.instances.iter().filter(|(_, instance)| is_expired(instance)).map(|(number, _)| *number).collect()
    }

    /// Returns the numbers of the instances whose agent cannot be reached.
    pub(crate) fn unreachable(&self) -> Vec<u64> {
        let unreachable = self.instances.iter().filter(|(_, instance)| instance.unreachable_since.is_some());
        unreachable.map(|(number, _)| *number).collect()
    }

    /// Returns the next time at which an instance whose agent cannot be reached is replaced or given up.
    pub(crate) fn next_deadline(&self, now: Time) -> Option<Time> {
        let deadlines = self.instances.values().filter_map(Instance::deadlines);
        deadlines.flat_map(|(inactive, expunge)| [inactive, expunge]).filter(|at| *at > now).min()
    }

    /// Marks an instance as killed. Returns the id of its task.
    pub(crate) fn kill(&mut self, number: u64) -> Option<TaskId> {
        let instance = self.instances.get_mut(&number)?;
        (instance.is_killed, instance.state) = (true, TaskState::Killing);
        Some(instance.launch.id.clone())
    }

    /// Returns all instances, in the order of their launch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// Returns the instance of that number.
    pub(crate) fn get(&self, number: u64) -> Option<&Instance> {
        self.instances.get(&number)
    }

    /// Returns the instance of that task.
    pub(crate) fn by_id(&self, id: &TaskId) -> Option<&Instance> {
        self.instances.get(self.numbers.get(id)?)
    }

    /// Returns the instances as the planner needs them; those of another version than `present` with what it was launched
    /// with.
    pub(crate) fn running(&self, present: impl Fn(&str) -> Option<u32>) -> Vec<Running> {
        let running = |instance: &Instance| {
            let mut running = instance.running.clone();
            if present(&instance.launch.app) != Some(instance.generation) {
                running.image.clone_from(&instance.definition.app.image);
                running.labels = Some(Arc::clone(&instance.definition.app.labels));
            }
            running
        };
        self.instances.values().map(running).collect()
    }

    /// Returns the ids of all tasks that have ended, none of which may be used again.
    pub(crate) fn ended(&self) -> &BTreeSet<TaskId> {
        &self.ended
    }
}

/// Returns a version of an app as it stands in the environment of tasks. Marathon's versions are times; these are counted, because several may
/// be of one time.
pub(crate) fn version_text(generation: u32) -> String {
    format!("1970-01-01T00:00:{:02}.{:09}Z", generation / 1_000_000_000, generation % 1_000_000_000)
}

/// Returns the same version as the planner compares it.
pub(crate) fn version(generation: u32) -> Version {
    version_text(generation).parse().expect("it is a time")
}
