//! [`Tasks`]: the tasks that the framework believes to run, and what it is told of them.
//!
//! News come twice, late, and of tasks that nobody knows (Mesos, *Designing Highly Available Mesos Frameworks*). What is older
//! than what was heard before is passed over, and the end of a task is final.

use crate::definition::Definition;
use crate::health::{Health, Verdict};
use apportion::placement::{Launch, Running, Version};
use apportion::{TaskId, TaskState, TaskStatus, Time};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A task that was launched and has not ended.
#[derive(Debug)]
pub struct Instance {
    pub launch: Launch,
    pub state: TaskState,
    /// The version of its app that it is of: the later the version, the greater.
    pub generation: u32,
    /// How the app was when it was launched.
    pub definition: Arc<Definition>,
    /// Whether it was told to end.
    pub is_killed: bool,
    running: Running,
    /// How it is doing, since it runs.
    health: Option<Health>,
    /// When the last news came about, on the clock of whoever told it.
    heard: f64,
}

impl Instance {
    /// Whether it is healthy; none if that is not looked at, or not known yet.
    pub fn healthy(&self) -> Option<bool> {
        let health = self.health.as_ref().filter(|_| !self.definition.health.is_empty())?;
        match health.verdict() {
            Verdict::Unknown => None,
            Verdict::Healthy => Some(true),
            Verdict::Unhealthy | Verdict::Hopeless => Some(false),
        }
    }

    /// Whether it runs, and is healthy if that is looked at, and is to stay.
    pub fn is_up(&self) -> bool {
        let is_well = self.definition.health.is_empty() || self.healthy() == Some(true);
        self.state == TaskState::Running && !self.is_killed && is_well
    }

    /// Whether it has failed so many checks that it is to be replaced.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.verdict() == Verdict::Hopeless)
    }

    fn hear(&mut self, status: &TaskStatus, now: Time) {
        if status.timestamp.is_some_and(|at| at < self.heard) {
            return;
        }
        self.heard = status.timestamp.unwrap_or(self.heard);
        let is_step_back = self.state == TaskState::Running
            && matches!(status.state, TaskState::Staging | TaskState::Starting)
            || self.state == TaskState::Killing;
        if !is_step_back {
            self.state = status.state;
        }
        if self.state == TaskState::Running && self.health.is_none() {
            self.health = Some(Health::new(&self.definition.health, now));
        }
        if let Some(health) = &mut self.health {
            health.hear(status, now);
        }
    }
}

/// What the news of a task come to.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The task of that number may be doing otherwise than before.
    Changed(u64),
    /// The task of that number has ended.
    Ended(u64, Box<Instance>),
    /// Nobody knows it, and it runs.
    Stranger,
    /// It has ended before.
    Nothing,
}

/// The tasks that run, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    /// By the numbers of their launch.
    instances: BTreeMap<u64, Instance>,
    numbers: IndexMap<TaskId, u64>,
    launched: u64,
    ended: BTreeSet<TaskId>,
}

impl Tasks {
    /// A task is launched: its number.
    pub(crate) fn launch(&mut self, launch: Launch, definition: Arc<Definition>, generation: u32) -> u64 {
        self.launched += 1;
        let mut running = launch.running();
        running.version = Some(version(generation));
        self.numbers.insert(launch.id.clone(), self.launched);
        let (state, is_killed, health, heard) = (TaskState::Staging, false, None, f64::NEG_INFINITY);
        let instance = Instance { launch, state, generation, definition, is_killed, running, health, heard };
        self.instances.insert(self.launched, instance);
        self.launched
    }

    /// Takes note of news.
    pub(crate) fn hear(&mut self, status: &TaskStatus, now: Time) -> Heard {
        let Some(number) = self.numbers.get(&status.task).copied() else {
            let is_old = status.state.is_terminal() || self.ended.contains(&status.task);
            return if is_old { Heard::Nothing } else { Heard::Stranger };
        };
        if !status.state.is_terminal() {
            if let Some(instance) = self.instances.get_mut(&number) {
                instance.hear(status, now);
            }
            return Heard::Changed(number);
        }
        self.numbers.swap_remove(&status.task);
        self.ended.insert(status.task.clone());
        match self.instances.remove(&number) {
            Some(instance) => Heard::Ended(number, Box::new(instance)),
            None => Heard::Nothing,
        }
    }

    /// A task is told to end: its id.
    pub(crate) fn kill(&mut self, number: u64) -> Option<TaskId> {
        let instance = self.instances.get_mut(&number)?;
        (instance.is_killed, instance.state) = (true, TaskState::Killing);
        Some(instance.launch.id.clone())
    }

    /// All of them, in the order of their launch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Instance> {
        self.instances.get(&number)
    }

    pub(crate) fn by_id(&self, id: &TaskId) -> Option<&Instance> {
        self.instances.get(self.numbers.get(id)?)
    }

    /// The tasks as the planner sees them.
    pub(crate) fn running(&self) -> Vec<Running> {
        self.instances.values().map(|instance| instance.running.clone()).collect()
    }

    /// The ids of those that have ended: no other gets them.
    pub(crate) fn ended(&self) -> &BTreeSet<TaskId> {
        &self.ended
    }
}

/// A version of an app as tasks are told. Marathon's are moments; these are counted, as several may be of one moment.
pub(crate) fn version_text(generation: u32) -> String {
    format!("1970-01-01T00:00:{:02}.{:09}Z", generation / 1_000_000_000, generation % 1_000_000_000)
}

/// The same as the planner compares them.
pub(crate) fn version(generation: u32) -> Version {
    version_text(generation).parse().expect("it is a time")
}
