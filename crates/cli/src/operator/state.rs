//! `/state` of a master and of an agent, as far as it is about tasks.

use serde::Deserialize;

/// `/state` of a master.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct State {
    slaves: Vec<Slave>,
    frameworks: Vec<Framework>,
    completed_frameworks: Vec<Framework>,
}

/// An agent, as the master knows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Slave {
    pub(super) id: String,
    pub(super) hostname: String,
    pid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Framework {
    user: String,
    tasks: Vec<Task>,
    unreachable_tasks: Vec<Task>,
    completed_tasks: Vec<Task>,
}

/// A task, as the master knows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) framework_id: String,
    pub(super) executor_id: String,
    pub(super) slave_id: String,
    pub(super) state: String,
    user: String,
    statuses: Vec<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    timestamp: f64,
}

/// A task, and whether it has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) task: &'a Task,
    pub(super) has_ended: bool,
    framework_user: &'a str,
}

impl State {
    /// Returns all tasks: those that run, cannot be reached, and have ended.
    pub(super) fn tasks(&self) -> impl Iterator<Item = Placed<'_>> {
        self.frameworks.iter().chain(&self.completed_frameworks).flat_map(|framework| {
            let placed = |has_ended| move |task| Placed { task, has_ended, framework_user: &framework.user };
            let live = framework.tasks.iter().chain(&framework.unreachable_tasks).map(placed(false));
            live.chain(framework.completed_tasks.iter().map(placed(true)))
        })
    }

    /// Returns a connected agent.
    pub(super) fn agent(&self, id: &str) -> Option<&Slave> {
        self.slaves.iter().find(|slave| slave.id == id)
    }
}

impl Slave {
    /// Returns its address, `HOST:PORT`, which stands in its `pid` behind the `@`.
    pub(super) fn authority(&self) -> Option<&str> {
        Some(self.pid.split_once('@')?.1).filter(|authority| !authority.is_empty())
    }
}

impl Task {
    /// Returns the id of its executor, which is the task's own if the framework names none.
    pub(super) fn executor(&self) -> &str {
        if self.executor_id.is_empty() { &self.id } else { &self.executor_id }
    }

    /// Returns when it reached its first state, in seconds since 1970.
    pub(super) fn since(&self) -> Option<f64> {
        self.statuses.iter().map(|status| status.timestamp).reduce(f64::min)
    }
}

impl Placed<'_> {
    /// Returns the user that it runs as.
    pub(super) fn user(&self) -> &str {
        if self.task.user.is_empty() { self.framework_user } else { &self.task.user }
    }

    /// Returns its id with that of its framework.
    pub(super) fn named(&self) -> String {
        format!("{} of {}", self.task.id, self.task.framework_id)
    }
}

/// `/state` of an agent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AgentState {
    frameworks: Vec<AgentFramework>,
    completed_frameworks: Vec<AgentFramework>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AgentFramework {
    id: String,
    executors: Vec<Executor>,
    completed_executors: Vec<Executor>,
}

/// An executor, with its sandbox.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Executor {
    pub(super) id: String,
    pub(super) directory: String,
    tasks: Vec<Id>,
    queued_tasks: Vec<Id>,
    completed_tasks: Vec<Id>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Id {
    id: String,
}

impl AgentState {
    /// Returns the executor of a task: the one that runs it, or the last one that did.
    pub(super) fn executor_of(&self, framework: &str, task: &str) -> Option<&Executor> {
        let frameworks = self.frameworks.iter().chain(&self.completed_frameworks);
        let frameworks: Vec<_> = frameworks.filter(|known| known.id == framework).collect();
        let live = frameworks.iter().flat_map(|framework| &framework.executors);
        let ended = frameworks.iter().flat_map(|framework| framework.completed_executors.iter().rev());
        let has_it = |executor: &&Executor| {
            let mut tasks = executor.tasks.iter().chain(&executor.queued_tasks).chain(&executor.completed_tasks);
            tasks.any(|known| known.id == task)
        };
        live.chain(ended).find(has_it)
    }
}
