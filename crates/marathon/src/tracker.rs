//! [`InstanceTracker`]: the instances that the framework believes to run, and the status updates about them.
//!
//! Updates come twice, late, and about tasks that the framework does not know (Mesos, *Designing Highly Available Mesos Frameworks*). An
//! update that is older than the last one is ignored, and a terminal state is final.

use crate::definition::AppDefinition;
use crate::health::{Health, Verdict};
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

    /// Returns whether it is up: it runs, is not told to end, and is healthy if its app has health checks.
    pub fn is_up(&self) -> bool {
        let is_well = self.definition.health_checks.is_empty() || self.healthy() == Some(true);
        self.state == TaskState::Running && !self.is_killed && is_well
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
}

impl InstanceTracker {
    /// Adds a launched instance. Returns its number.
    pub(crate) fn launch(&mut self, launch: Launch, definition: Arc<AppDefinition>, generation: u32) -> u64 {
        self.launched += 1;
        let mut running = launch.running();
        running.version = Some(version(generation));
        self.numbers.insert(launch.id.clone(), self.launched);
        let (state, is_killed, health, last_update) = (TaskState::Staging, false, None, f64::NEG_INFINITY);
        let instance = Instance { launch, state, generation, definition, is_killed, running, health, last_update };
        self.instances.insert(self.launched, instance);
        self.launched
    }

    /// Applies a status update.
    pub(crate) fn apply(&mut self, status: &TaskStatus, now: Time) -> StatusOutcome {
        let Some(number) = self.numbers.get(&status.task).copied() else {
            let is_old = status.state.is_terminal() || self.ended.contains(&status.task);
            return if is_old { StatusOutcome::Ignored } else { StatusOutcome::Unknown };
        };
        if !status.state.is_terminal() {
            if let Some(instance) = self.instances.get_mut(&number) {
                instance.apply(status, now);
            }
            return StatusOutcome::Changed(number);
        }
        self.numbers.swap_remove(&status.task);
        self.ended.insert(status.task.clone());
        match self.instances.remove(&number) {
            Some(instance) => StatusOutcome::Ended(number, Box::new(instance)),
            None => StatusOutcome::Ignored,
        }
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

    /// Returns the instances as the planner needs them.
    pub(crate) fn running(&self) -> Vec<Running> {
        self.instances.values().map(|instance| instance.running.clone()).collect()
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
