//! Tasks: their holdings and states, from launch to a terminal status.

use super::{CommandError, Effect, Master};
use crate::allocator::{Allocator, AllocatorError, Holding};
use crate::framework::Capability;
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::scheduler::{Kill, TaskRef};
use crate::task::{StatusSource, TaskState, TaskStatus};
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};

/// The source of statuses that the master makes itself.
const MASTER: Option<StatusSource> = Some(StatusSource::Master);

/// The tasks that are not terminal: an ordered map by launch number, with indices by id and by agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    live: BTreeMap<u64, LiveTask>,
    by_id: IndexMap<FrameworkId, IndexMap<TaskId, u64, foldhash::fast::RandomState>, foldhash::fast::RandomState>,
    by_agent: IndexMap<AgentId, BTreeSet<u64>, foldhash::fast::RandomState>,
    added: u64,
}

#[derive(Debug, Clone)]
pub(super) struct LiveTask {
    pub(super) id: TaskId,
    pub(super) holding: Holding,
    pub(super) state: TaskState,
}

impl Tasks {
    pub(super) fn add(&mut self, id: TaskId, holding: Holding, state: TaskState) {
        let number = self.added;
        self.added += 1;
        self.by_id.entry(holding.framework.clone()).or_default().insert(id.clone(), number);
        self.by_agent.entry(holding.agent.clone()).or_default().insert(number);
        self.live.insert(number, LiveTask { id, holding, state });
    }

    pub(super) fn contains(&self, framework: &FrameworkId, task: &TaskId) -> bool {
        self.find(framework, task).is_some()
    }

    /// Returns whether a framework has any task, registered or not.
    pub(super) fn has_any(&self, framework: &FrameworkId) -> bool {
        self.by_id.contains_key(framework)
    }

    fn find(&self, framework: &FrameworkId, task: &TaskId) -> Option<u64> {
        self.by_id.get(framework)?.get(task).copied()
    }

    fn remove(&mut self, number: u64) -> Option<LiveTask> {
        let task = self.live.remove(&number)?;
        let (framework, agent) = (&task.holding.framework, &task.holding.agent);
        if let Some(tasks) = self.by_id.get_mut(framework) {
            tasks.swap_remove(&task.id);
            if tasks.is_empty() {
                self.by_id.swap_remove(framework);
            }
        }
        if let Some(tasks) = self.by_agent.get_mut(agent) {
            tasks.remove(&number);
            if tasks.is_empty() {
                self.by_agent.swap_remove(agent);
            }
        }
        Some(task)
    }

    /// Returns the tasks of a framework, in order of launching.
    pub(super) fn of_framework(&self, framework: &FrameworkId) -> Vec<&LiveTask> {
        let mut numbers: Vec<u64> = self.by_id.get(framework).into_iter().flat_map(IndexMap::values).copied().collect();
        numbers.sort_unstable();
        numbers.iter().map(|number| &self.live[number]).collect()
    }

    /// Returns the frameworks with tasks on an agent, in order of their first task there.
    pub(super) fn frameworks_on(&self, agent: &AgentId) -> IndexSet<FrameworkId> {
        let numbers = self.by_agent.get(agent).into_iter().flatten();
        numbers.map(|number| self.live[number].holding.framework.clone()).collect()
    }

    fn numbers_on(&self, agent: &AgentId) -> Vec<u64> {
        self.by_agent.get(agent).into_iter().flatten().copied().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LiveTask> {
        self.live.values()
    }
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
        let number = self.find_task(&framework, &status.task)?;
        if let Some(task) = self.tasks.live.get_mut(&number) {
            task.state = status.state;
            status.agent = Some(task.holding.agent.clone());
        }
        if status.state.is_terminal() {
            self.end_task(number);
        }
        // The task of a framework that is not registered ends like any other, but there is nobody to tell.
        if self.has_framework(&framework) {
            self.emit(Effect::Status { framework, status });
        }
        Ok(())
    }

    fn end_task(&mut self, number: u64) -> Option<LiveTask> {
        let task = self.tasks.remove(number)?;
        self.allocator.end_task(&task.holding).expect("an agent is only removed after its tasks");
        Some(task)
    }

    pub(super) fn kill(&mut self, framework: FrameworkId, kill: Kill) -> Result<(), CommandError> {
        let number = self.find_task(&framework, &kill.task)?;
        let agent = self.tasks.live[&number].holding.agent.clone();
        self.emit(Effect::Kill { agent, framework, task: kill.task, grace: kill.grace });
        Ok(())
    }

    pub(super) fn reconcile(
        &mut self,
        framework: &FrameworkId,
        tasks: Option<Vec<TaskRef>>,
    ) -> Result<(), CommandError> {
        let partition_aware = self.framework(framework)?.framework.has_capability(Capability::PartitionAware);
        let unknown = if partition_aware { TaskState::Unknown } else { TaskState::Lost };
        let known = |task: &LiveTask| (task.id.clone(), task.state, Some(task.holding.agent.clone()));
        let answers: Vec<_> = match tasks {
            None => self.tasks.of_framework(framework).into_iter().map(known).collect(),
            Some(asked) => {
                let answer = |asked: TaskRef| match self.tasks.find(framework, &asked.task) {
                    Some(number) => known(&self.tasks.live[&number]),
                    None => (asked.task, unknown, asked.agent),
                };
                asked.into_iter().map(answer).collect()
            }
        };
        for (task, state, agent) in answers {
            let reason = Some("REASON_RECONCILIATION".into());
            let status = TaskStatus { agent, reason, source: MASTER, ..TaskStatus::new(task, state) };
            self.emit(Effect::Status { framework: framework.clone(), status });
        }
        Ok(())
    }

    /// Returns the statuses that Mesos sends for the tasks of a rejected accept: `TASK_ERROR` for an invalid task, for the
    /// others `TASK_DROPPED`, or `TASK_LOST` if the framework is not `PARTITION_AWARE`. A task that is already running gets
    /// none.
    #[must_use]
    pub fn launch_failures(
        &self,
        framework: &FrameworkId,
        tasks: Vec<TaskId>,
        error: &CommandError,
    ) -> Vec<TaskStatus> {
        let partition_aware =
            self.framework(framework).is_ok_and(|entry| entry.framework.has_capability(Capability::PartitionAware));
        let status = |task: TaskId| {
            let (state, reason) = match (error.invalid_task() == Some(&task), partition_aware) {
                (true, _) => (TaskState::Error, "REASON_TASK_INVALID"),
                (false, true) => (TaskState::Dropped, "REASON_INVALID_OFFERS"),
                (false, false) => (TaskState::Lost, "REASON_INVALID_OFFERS"),
            };
            let status = TaskStatus::new(task, state).reason(reason).message(error.to_string());
            TaskStatus { source: MASTER, ..status }
        };
        tasks.into_iter().filter(|task| !self.tasks.contains(framework, task)).map(status).collect()
    }

    /// Ends all tasks on an agent that is being removed, with a `TASK_LOST` status to each registered framework.
    pub(super) fn lose_tasks(&mut self, agent: &AgentId) {
        for number in self.tasks.numbers_on(agent) {
            let Some(task) = self.end_task(number) else { continue };
            if self.framework(&task.holding.framework).is_ok() {
                let status = TaskStatus {
                    agent: Some(agent.clone()),
                    reason: Some("REASON_AGENT_REMOVED".into()),
                    source: MASTER,
                    ..TaskStatus::new(task.id, TaskState::Lost)
                };
                self.emit(Effect::Status { framework: task.holding.framework, status });
            }
        }
    }

    /// Ends all tasks of a framework that is being removed, without statuses.
    pub(super) fn drop_tasks(&mut self, framework: &FrameworkId) {
        let ids: Vec<TaskId> = self.tasks.of_framework(framework).iter().map(|task| task.id.clone()).collect();
        for id in ids {
            if let Some(number) = self.tasks.find(framework, &id) {
                self.end_task(number);
            }
        }
    }

    /// Returns the holdings of a framework's tasks: agents may register tasks before the framework does.
    pub(super) fn holdings_of(&self, framework: &FrameworkId) -> Vec<Holding> {
        self.tasks.of_framework(framework).iter().map(|task| task.holding.clone()).collect()
    }

    pub(super) fn unknown_framework(framework: &FrameworkId) -> CommandError {
        AllocatorError::UnknownFramework(framework.clone()).into()
    }
}
