//! Tasks: their holdings and states, from launch to a terminal status.

use super::metrics::StateCounts;
use super::{CommandError, Effect, Master};
use crate::allocator::{Allocator, Change, Holding, SnapshotError, check_count};
use crate::framework::{Capability, Framework};
use crate::id::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::json::Json;
use crate::scheduler::Kill;
use crate::task::{StatusSource, Task, TaskState, TaskStatus};
use crate::time::Time;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The source of statuses that the master makes itself.
pub(super) const MASTER: Option<StatusSource> = Some(StatusSource::Master);

/// The field of a status, and the detail here, with the state of the container.
const CONTAINER_STATUS: &str = "container_status";

/// The tasks that are not terminal: an ordered map by launch number, with indices by id and by agent.
///
/// A *copy* is a task that an agent brought although its id runs elsewhere, or although its framework was told that it is
/// lost. A copy holds its resources until it ends, but its framework does not hear of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tasks {
    live: BTreeMap<u64, LiveTask>,
    #[serde(skip)]
    by_id: IndexMap<FrameworkId, IndexMap<TaskId, u64, foldhash::fast::RandomState>, foldhash::fast::RandomState>,
    #[serde(skip)]
    copies: BTreeMap<FrameworkId, BTreeMap<(TaskId, AgentId), u64>>,
    #[serde(skip)]
    by_agent: IndexMap<AgentId, BTreeSet<u64>, foldhash::fast::RandomState>,
    /// The numbers of tasks by state, without copies.
    #[serde(skip)]
    by_state: StateCounts,
    added: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveTask {
    pub(super) id: TaskId,
    pub(super) holding: Holding,
    pub(super) state: TaskState,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_copy: bool,
    /// The time to shut down by the task's own kill policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) grace: Option<Duration>,
    /// What the latest statuses told besides the state.
    #[serde(default, skip_serializing_if = "Told::is_empty")]
    told: Told,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    executor: Option<ExecutorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container_status: Option<Json>,
}

impl Told {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl LiveTask {
    pub(super) fn new(task: &Task, holding: Holding, state: TaskState, executor: Option<ExecutorId>) -> Self {
        let told = Told { executor, ..Told::default() };
        Self { id: task.id.clone(), holding, state, is_copy: false, grace: own_grace(task), told }
    }

    pub(super) fn copy(self) -> Self {
        Self { is_copy: true, ..self }
    }

    /// Returns the executor that runs the task, if that is known.
    pub(super) fn executor(&self) -> Option<&ExecutorId> {
        self.told.executor.as_ref()
    }

    /// Returns a status of the master with the latest that is known of the task.
    pub(super) fn status(&self, reason: &'static str) -> TaskStatus {
        let mut status = TaskStatus::new(self.id.clone(), self.state).reason(reason);
        status.source = MASTER;
        status.agent = Some(self.holding.agent.clone());
        status.executor = self.told.executor.clone();
        status.healthy = self.told.healthy;
        let container = self.told.container_status.clone();
        status.details.extend(container.map(|container| (CONTAINER_STATUS, container)));
        status
    }

    fn note(&mut self, status: &TaskStatus) {
        self.state = status.state;
        self.told.executor = status.executor.clone().or_else(|| self.told.executor.take());
        self.told.healthy = status.healthy;
        self.told.container_status = status.details.get(CONTAINER_STATUS).cloned();
    }
}

/// Returns the time to shut down by the kill policy of a task (`TaskInfo.kill_policy.grace_period`).
fn own_grace(task: &Task) -> Option<Duration> {
    let nanoseconds = task.details.get("kill_policy")?.get("grace_period")?.get("nanoseconds")?;
    nanoseconds.as_u64().map(Duration::from_nanos)
}

impl Tasks {
    pub(super) fn add(&mut self, task: LiveTask) {
        self.index(self.added, &task);
        self.live.insert(self.added, task);
        self.added += 1;
    }

    /// Makes the indices of tasks that come from a snapshot.
    pub(super) fn reindex(mut self) -> Result<Self, SnapshotError> {
        check_count("tasks", self.added)?;
        for (number, task) in std::mem::take(&mut self.live) {
            if number >= self.added {
                return Err(SnapshotError::Count { kind: "tasks", found: number, most: self.added });
            }
            let framework = &task.holding.framework;
            let known = match task.is_copy {
                true => self.find_copy(framework, &task.id, &task.holding.agent),
                false => self.find(framework, &task.id),
            };
            if known.is_some() {
                return Err(SnapshotError::repeated("task", task.id.as_str()));
            }
            self.index(number, &task);
            self.live.insert(number, task);
        }
        Ok(self)
    }

    fn index(&mut self, number: u64, task: &LiveTask) {
        let Holding { framework, agent, .. } = &task.holding;
        if task.is_copy {
            let copies = self.copies.entry(framework.clone()).or_default();
            copies.insert((task.id.clone(), agent.clone()), number);
        } else {
            self.by_id.entry(framework.clone()).or_default().insert(task.id.clone(), number);
            self.by_state.add(task.state);
        }
        self.by_agent.entry(agent.clone()).or_default().insert(number);
    }

    /// Returns the live task of a framework with that id; a copy is none.
    pub(super) fn get(&self, framework: &FrameworkId, task: &TaskId) -> Option<&LiveTask> {
        self.find(framework, task).map(|number| &self.live[&number])
    }

    pub(super) fn contains(&self, framework: &FrameworkId, task: &TaskId) -> bool {
        self.find(framework, task).is_some()
    }

    /// Returns whether a framework has any task or copy of one, registered or not.
    pub(super) fn has_any(&self, framework: &FrameworkId) -> bool {
        self.by_id.contains_key(framework) || self.copies.contains_key(framework)
    }

    /// Returns whether any task, or copy of one, is on an agent.
    pub(super) fn any_on(&self, agent: &AgentId) -> bool {
        self.by_agent.contains_key(agent)
    }

    pub(super) fn find(&self, framework: &FrameworkId, task: &TaskId) -> Option<u64> {
        self.by_id.get(framework)?.get(task).copied()
    }

    /// Returns the copy of a task on an agent.
    pub(super) fn find_copy(&self, framework: &FrameworkId, task: &TaskId, agent: &AgentId) -> Option<u64> {
        self.copies.get(framework)?.get(&(task.clone(), agent.clone())).copied()
    }

    fn remove(&mut self, number: u64) -> Option<LiveTask> {
        let task = self.live.remove(&number)?;
        let (framework, agent) = (&task.holding.framework, &task.holding.agent);
        if task.is_copy {
            if let Some(copies) = self.copies.get_mut(framework) {
                copies.remove(&(task.id.clone(), agent.clone()));
                if copies.is_empty() {
                    self.copies.remove(framework);
                }
            }
        } else if let Some(tasks) = self.by_id.get_mut(framework) {
            tasks.swap_remove(&task.id);
            if tasks.is_empty() {
                self.by_id.swap_remove(framework);
            }
            self.by_state.remove(task.state);
        }
        if let Some(tasks) = self.by_agent.get_mut(agent) {
            tasks.remove(&number);
            if tasks.is_empty() {
                self.by_agent.swap_remove(agent);
            }
        }
        Some(task)
    }

    pub(super) fn holding(&self, number: u64) -> Option<&Holding> {
        self.live.get(&number).map(|task| &task.holding)
    }

    fn numbers_of(&self, framework: &FrameworkId) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.by_id.get(framework).into_iter().flat_map(IndexMap::values).copied().collect();
        numbers.sort_unstable();
        numbers
    }

    fn copies_of(&self, framework: &FrameworkId) -> impl Iterator<Item = u64> {
        self.copies.get(framework).into_iter().flat_map(BTreeMap::values).copied()
    }

    /// Returns the tasks of a framework, in order of launching, without copies.
    pub(super) fn of_framework(&self, framework: &FrameworkId) -> Vec<&LiveTask> {
        self.numbers_of(framework).iter().map(|number| &self.live[number]).collect()
    }

    /// Returns what a framework's tasks and copies hold.
    pub(super) fn holdings_of(&self, framework: &FrameworkId) -> impl Iterator<Item = &Holding> {
        let numbers = self.numbers_of(framework).into_iter().chain(self.copies_of(framework));
        numbers.map(|number| &self.live[&number].holding)
    }

    /// Returns the frameworks with tasks on an agent, in order of their first task there.
    pub(super) fn frameworks_on(&self, agent: &AgentId) -> IndexSet<FrameworkId> {
        self.on(agent).filter(|(_, task)| !task.is_copy).map(|(_, task)| task.holding.framework.clone()).collect()
    }

    /// Returns the tasks and copies on an agent, in order of launching.
    pub(super) fn on(&self, agent: &AgentId) -> impl Iterator<Item = (u64, &LiveTask)> {
        self.by_agent.get(agent).into_iter().flatten().map(|number| (*number, &self.live[number]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LiveTask> {
        self.live.values()
    }

    /// Returns the numbers of tasks by state, without copies.
    pub(super) fn by_state(&self) -> StateCounts {
        self.by_state
    }

    /// Notes what a status tells of a task that is no copy. Returns the agent of the task.
    fn note(&mut self, number: u64, status: &TaskStatus) -> Option<&AgentId> {
        let task = self.live.get_mut(&number)?;
        self.by_state.remove(task.state);
        self.by_state.add(status.state);
        task.note(status);
        Some(&task.holding.agent)
    }

    /// Replaces the state and the executor of a task by those that its agent brought.
    pub(super) fn renew(&mut self, number: u64, state: TaskState, executor: Option<ExecutorId>) {
        if let Some(task) = self.live.get_mut(&number) {
            if !task.is_copy {
                self.by_state.remove(task.state);
                self.by_state.add(state);
            }
            task.state = state;
            task.told.executor = executor.or_else(|| task.told.executor.take());
        }
    }
}

/// Returns the state of a task that is no more: partition-aware frameworks tell the reasons apart, the others do not.
pub(super) fn lost_or(framework: &Framework, state: TaskState) -> TaskState {
    if framework.has_capability(Capability::PartitionAware) { state } else { TaskState::Lost }
}

/// Returns a status of the master about a task on an agent.
pub(super) fn by_master(task: TaskId, state: TaskState, reason: &'static str, agent: Option<AgentId>) -> TaskStatus {
    TaskStatus { agent, source: MASTER, ..TaskStatus::new(task, state).reason(reason) }
}

/// Adds the time since when an agent is unreachable, as v1 has it.
pub(super) fn unreachable_since(mut status: TaskStatus, since: Time) -> TaskStatus {
    let nanoseconds = i64::try_from(since.since(Time::ZERO).as_nanos()).unwrap_or(i64::MAX);
    status.details.insert("unreachable_time", Json::object([("nanoseconds", nanoseconds)]));
    status
}

impl<A: Allocator> Master<A> {
    fn find_task(&self, framework: &FrameworkId, task: &TaskId) -> Result<u64, CommandError> {
        if let Some(number) = self.tasks.find(framework, task) {
            return Ok(number); // its framework may be not registered yet
        }
        self.framework(framework)?;
        Err(CommandError::UnknownTask { framework: framework.clone(), task: task.clone() })
    }

    pub(super) fn task_status(&mut self, framework: FrameworkId, mut status: TaskStatus) -> Result<(), CommandError> {
        let number = self.tasks.find(&framework, &status.task);
        if let Some(agent) = status.agent.clone() {
            let copy = self.tasks.find_copy(&framework, &status.task, &agent);
            let is_elsewhere = number.is_some_and(|number| self.tasks.live[&number].holding.agent != agent);
            if is_elsewhere || (number.is_none() && copy.is_some()) {
                self.copy_status(framework, status, agent, copy);
                return Ok(());
            }
        }
        let Some(number) = number else {
            if status.uuid.is_none() {
                self.find_task(&framework, &status.task)?;
            } else if self.has_framework(&framework) {
                // The agent repeats a status until it is acknowledged, also of a task that has ended.
                self.emit(Effect::Status { framework, status });
            }
            return Ok(());
        };
        if let Some(agent) = self.tasks.note(number, &status) {
            status.agent = Some(agent.clone());
        }
        if status.state.is_terminal() {
            self.counters.ended_tasks.count(status.state);
            self.end_task(number);
        }
        // The task of a framework that is not registered ends like any other, but there is nobody to tell.
        if self.has_framework(&framework) {
            self.emit(Effect::Status { framework, status });
        }
        Ok(())
    }

    /// Handles a status of a copy. The framework does not hear of it, so the master acknowledges it.
    fn copy_status(&mut self, framework: FrameworkId, status: TaskStatus, agent: AgentId, copy: Option<u64>) {
        if status.state.is_terminal()
            && let Some(copy) = copy
        {
            self.end_task(copy);
        }
        if let Some(uuid) = status.uuid
            && self.agents.contains(&agent)
        {
            self.emit(Effect::Acknowledge { agent, framework, task: status.task, uuid });
        }
    }

    pub(super) fn end_task(&mut self, number: u64) -> Option<LiveTask> {
        let task = self.drop_freed_task(number)?;
        self.allocator.apply(Change::EndTask(&task.holding)).expect("an agent is only removed after its tasks");
        Some(task)
    }

    /// Drops a task whose resources the allocator has freed already.
    pub(super) fn drop_freed_task(&mut self, number: u64) -> Option<LiveTask> {
        let task = self.tasks.remove(number)?;
        if !self.tasks.any_on(&task.holding.agent) {
            self.note_idle(&task.holding.agent);
        }
        Some(task)
    }

    pub(super) fn kill(&mut self, framework: FrameworkId, kill: Kill) -> Result<(), CommandError> {
        let number = self.find_task(&framework, &kill.task)?;
        let agent = self.tasks.live[&number].holding.agent.clone();
        if let Some(named) = kill.agent.filter(|named| *named != agent) {
            return Err(CommandError::WrongAgent { task: kill.task, named, agent });
        }
        self.emit(Effect::Kill { agent, framework, task: kill.task, grace: kill.grace });
        Ok(())
    }

    /// Ends tasks of an agent, each with a status to its framework if that is registered. Copies end without one.
    pub(super) fn end_tasks_with(
        &mut self,
        numbers: Vec<u64>,
        state: impl Fn(&Framework) -> TaskState,
        tell: impl Fn(TaskStatus) -> TaskStatus,
    ) {
        for number in numbers {
            if let Some(task) = self.end_task(number) {
                self.tell_ended(task, &state, &tell);
            }
        }
    }

    /// Tells a framework that one of its tasks has ended; it does not hear of a copy.
    pub(super) fn tell_ended(
        &mut self,
        task: LiveTask,
        state: impl Fn(&Framework) -> TaskState,
        tell: impl Fn(TaskStatus) -> TaskStatus,
    ) {
        if let Ok(entry) = self.framework(&task.holding.framework)
            && !task.is_copy
        {
            let status = TaskStatus::new(task.id, state(&entry.framework));
            self.counters.ended_tasks.count(status.state);
            let status = tell(TaskStatus { agent: Some(task.holding.agent), source: MASTER, ..status });
            self.emit(Effect::Status { framework: task.holding.framework, status });
        }
    }

    /// Ends all tasks and copies of a framework that is being removed, without statuses.
    pub(super) fn drop_tasks(&mut self, framework: &FrameworkId) {
        let copies: Vec<u64> = self.tasks.copies_of(framework).collect();
        for number in self.tasks.numbers_of(framework).into_iter().chain(copies) {
            self.end_task(number);
        }
    }
}
