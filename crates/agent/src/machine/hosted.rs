//! [`Hosted`]: the executors of an agent and their tasks, with the indices over them.

use super::input::{Limitation, StreamId};
use super::record::{ContainerId, ExecutorKind, Process, Run};
use super::settings::Containerizer;
use super::timers::TimerKey;
use super::updates::Updates;
use apportion::{
    ExecutorId, ExecutorInfo, Framework, FrameworkId, Resources, Role, Task, TaskId, TaskState, TaskStatus, Text,
};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The most completed frameworks, completed executors of a framework and completed tasks of an executor that are remembered
/// (Mesos, `slave/constants.hpp`).
const MAX_COMPLETED_FRAMEWORKS: usize = 50;
const MAX_COMPLETED_EXECUTORS: usize = 150;
const MAX_COMPLETED_TASKS: usize = 200;

/// The most statuses of a task that are remembered for people: one for each state.
const MAX_STATUSES: usize = 16;

/// The number of a run, in order of launching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunIx(u64);

/// An executor on an agent: one run of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HostedExecutor {
    /// The run.
    pub run: Run,
    /// Its kind.
    pub kind: ExecutorKind,
    /// The role that the resources of its tasks are allocated to.
    pub role: Role,
    /// The executor, with its own resources.
    pub info: ExecutorInfo,
    /// What contains it.
    pub containerizer: Containerizer,
    /// The sandbox.
    pub directory: PathBuf,
    /// True if it outlives the agent.
    pub checkpoint: bool,
    /// How far it is.
    pub phase: Phase,
    /// Its process, once that is started.
    pub process: Option<Process>,
    /// Its tasks, in order of coming, until their terminal status is acknowledged.
    pub tasks: IndexMap<TaskId, HostedTask>,
    /// The latest of its completed tasks, in order of completion.
    pub completed_tasks: VecDeque<HostedTask>,
    pub(super) stream: Option<StreamId>,
    /// True if its record is stored, or need not be.
    pub(super) is_stored: bool,
    /// What its launch is at.
    pub(super) step: Text,
    pub(super) timer: Option<TimerKey>,
    pub(super) cause: Option<Cause>,
    /// Its wait status, which the master is told after the statuses of its tasks.
    pub(super) exit: Option<i32>,
}

/// How far an executor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It is being stored.
    Storing,
    /// Its container is being launched, or it has not subscribed.
    Launching,
    /// It ran before the agent's start, and has not subscribed since.
    Recovering,
    /// It has subscribed.
    Running,
    /// It is to end.
    Terminating,
    /// It has ended, and nothing of it is left. Statuses of its tasks may not be acknowledged.
    Ended,
}

/// Why an executor ends, for the statuses of its tasks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    /// It has not subscribed in time; what it was at.
    NotRegistered(String),
    /// It has not subscribed again in time.
    NotReregistered,
    /// It could not be launched.
    NotLaunched(Text),
    /// It has reached a limit.
    Limit(Limitation),
    /// Another reason; its tasks fail like those of one that ends by itself.
    Other,
}

/// A task on an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HostedTask {
    /// The task.
    pub task: Task,
    /// Its latest state.
    pub state: TaskState,
    /// How far its launch is.
    pub stage: Stage,
    /// Its statuses: the latest one of each state, in order of coming.
    pub statuses: Vec<TaskStatus>,
    /// The number of its group.
    pub(super) group: Option<u64>,
    /// Set if it is to be killed, with the grace period of the call.
    pub(super) kill: Option<Option<Duration>>,
    /// True if its statuses are stored.
    pub(super) is_durable: bool,
    /// True if the agent knows nothing of it but statuses of its executor.
    pub(super) is_stranger: bool,
    pub(super) updates: Updates,
}

/// How far the launch of a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It is being stored.
    Storing,
    /// It waits for its executor.
    Queued,
    /// It was stored before the agent's start. Its executor will tell whether it has it.
    Unclear,
    /// Its executor has it.
    Launched,
}

impl HostedTask {
    pub(super) fn new(task: Task, is_durable: bool) -> Self {
        Self {
            task,
            state: TaskState::Staging,
            stage: if is_durable { Stage::Storing } else { Stage::Queued },
            statuses: Vec::new(),
            group: None,
            kill: None,
            is_durable,
            is_stranger: false,
            updates: Updates::default(),
        }
    }

    /// Returns whether the task still needs a terminal status.
    pub(super) fn is_open(&self) -> bool {
        !self.is_stranger && !self.state.is_terminal() && !self.updates.is_end_incoming()
    }

    /// Returns whether its executor does not have it.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Storing | Stage::Queued) && !self.state.is_terminal()
    }

    /// Notes a status. The first terminal state stays.
    pub(super) fn note(&mut self, status: &TaskStatus) {
        if !self.state.is_terminal() {
            self.state = status.state;
        }
        self.statuses.retain(|known| known.state != status.state);
        if self.statuses.len() < MAX_STATUSES {
            let mut status = status.clone();
            status.data = None;
            self.statuses.push(status);
        }
    }
}

impl HostedExecutor {
    pub(super) fn new(run: Run, kind: ExecutorKind, role: Role, info: ExecutorInfo, directory: PathBuf) -> Self {
        Self {
            run,
            kind,
            role,
            info,
            containerizer: Containerizer::Mesos,
            directory,
            checkpoint: false,
            phase: Phase::Launching,
            process: None,
            tasks: IndexMap::new(),
            completed_tasks: VecDeque::new(),
            stream: None,
            is_stored: true,
            step: Text::default(),
            timer: None,
            cause: None,
            exit: None,
        }
    }

    /// Returns the resources of the executor and of its tasks that have not ended.
    #[must_use]
    pub fn resources(&self) -> Resources {
        let live = self.tasks.values().filter(|task| !task.is_stranger && !task.state.is_terminal());
        live.fold(self.info.resources.clone(), |sum, task| {
            sum.checked_add(&task.task.resources).unwrap_or(sum) // a sum of what the master has allocated is in range
        })
    }

    /// Returns the name for people: that of the executor's info, or an empty one.
    #[must_use]
    pub fn name(&self) -> String {
        text_of(&self.info, "name")
    }

    /// Returns the source: that of the executor's info, or an empty one.
    #[must_use]
    pub fn source(&self) -> String {
        text_of(&self.info, "source")
    }

    /// Returns whether its container was to be launched.
    pub(super) fn was_launched(&self) -> bool {
        !self.step.is_empty()
    }

    /// Returns whether its process may live.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase != Phase::Ended
    }
}

fn text_of(info: &ExecutorInfo, field: &str) -> String {
    info.details.get(field).and_then(|text| text.as_str()).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// A framework on an agent.
#[derive(Debug, Clone)]
pub(super) struct HostedFramework {
    pub(super) info: Arc<Framework>,
    pub(super) is_stored: bool,
    /// True if the framework is completed: nothing of it is told to the master any more.
    pub(super) is_terminating: bool,
    /// The runs that have not ended.
    pub(super) live: BTreeMap<ExecutorId, RunIx>,
    pub(super) runs: BTreeSet<RunIx>,
    /// The runs that have a task of that id.
    by_task: BTreeMap<TaskId, Vec<RunIx>>,
    completed: VecDeque<HostedExecutor>,
}

impl HostedFramework {
    fn new(info: Arc<Framework>) -> Self {
        Self {
            info,
            is_stored: false,
            is_terminating: false,
            live: BTreeMap::new(),
            runs: BTreeSet::new(),
            by_task: BTreeMap::new(),
            completed: VecDeque::new(),
        }
    }
}

/// The executors of an agent and their tasks.
///
/// Invariants: a run is in `runs` of its framework; in `live` if it has not ended; each of its tasks is in `by_task`.
#[derive(Debug, Default)]
pub(super) struct Hosted {
    frameworks: IndexMap<FrameworkId, HostedFramework>,
    runs: BTreeMap<RunIx, HostedExecutor>,
    by_container: BTreeMap<ContainerId, RunIx>,
    by_stream: BTreeMap<StreamId, RunIx>,
    completed: VecDeque<HostedFramework>,
    launched: u64,
}

impl Hosted {
    /// Adds a framework, or takes its changes over. Returns it, and whether it is to be stored now.
    pub(super) fn update_framework(&mut self, info: Framework) -> (Arc<Framework>, bool) {
        let entry = self.frameworks.entry(info.id.clone());
        let framework = entry.or_insert_with(|| HostedFramework::new(Arc::new(info.clone())));
        if *framework.info != info {
            framework.info = Arc::new(info);
            framework.is_stored = false;
        }
        let is_to_store = framework.info.checkpoint && !framework.is_stored;
        framework.is_stored |= is_to_store;
        (Arc::clone(&framework.info), is_to_store)
    }

    pub(super) fn framework(&self, id: &FrameworkId) -> Option<&HostedFramework> {
        self.frameworks.get(id)
    }

    pub(super) fn framework_mut(&mut self, id: &FrameworkId) -> Option<&mut HostedFramework> {
        self.frameworks.get_mut(id)
    }

    /// Returns the live frameworks, in order of coming.
    pub(super) fn frameworks(&self) -> impl Iterator<Item = &HostedFramework> {
        self.frameworks.values()
    }

    /// Returns the latest of the completed frameworks, in order of completion.
    pub(super) fn completed(&self) -> impl Iterator<Item = &HostedFramework> {
        self.completed.iter()
    }

    /// Returns the runs of a framework whose statuses are not all acknowledged, and then those that are completed.
    pub(super) fn executors_of<'a>(
        &'a self,
        framework: &'a HostedFramework,
    ) -> (impl Iterator<Item = &'a HostedExecutor>, impl Iterator<Item = &'a HostedExecutor>) {
        (framework.runs.iter().filter_map(|ix| self.runs.get(ix)), framework.completed.iter())
    }

    /// Adds a run of a framework that is known, with its tasks.
    pub(super) fn add(&mut self, executor: HostedExecutor) -> RunIx {
        self.launched += 1;
        let ix = RunIx(self.launched);
        let framework = self.frameworks.get_mut(&executor.run.framework).expect("its framework was added before");
        framework.runs.insert(ix);
        if executor.is_live() {
            framework.live.insert(executor.run.executor.clone(), ix);
        }
        for task in executor.tasks.keys() {
            framework.by_task.entry(task.clone()).or_default().push(ix);
        }
        self.by_container.insert(executor.run.container.clone(), ix);
        self.runs.insert(ix, executor);
        ix
    }

    pub(super) fn add_task(&mut self, ix: RunIx, task: HostedTask) {
        let Some(executor) = self.runs.get_mut(&ix) else { return };
        let id = task.task.id.clone();
        if let Some(framework) = self.frameworks.get_mut(&executor.run.framework) {
            let runs = framework.by_task.entry(id.clone()).or_default();
            if !runs.contains(&ix) {
                runs.push(ix);
            }
        }
        match executor.tasks.get_mut(&id) {
            // The id is used again before the last status of the task before is acknowledged: that one still goes first.
            Some(before) => {
                let updates = std::mem::take(&mut before.updates);
                *before = HostedTask { updates, ..task };
            }
            None => {
                executor.tasks.insert(id, task);
            }
        }
    }

    pub(super) fn get(&self, ix: RunIx) -> Option<&HostedExecutor> {
        self.runs.get(&ix)
    }

    pub(super) fn get_mut(&mut self, ix: RunIx) -> Option<&mut HostedExecutor> {
        self.runs.get_mut(&ix)
    }

    pub(super) fn task(&self, ix: RunIx, task: &TaskId) -> Option<&HostedTask> {
        self.runs.get(&ix)?.tasks.get(task)
    }

    pub(super) fn task_mut(&mut self, ix: RunIx, task: &TaskId) -> Option<&mut HostedTask> {
        self.runs.get_mut(&ix)?.tasks.get_mut(task)
    }

    /// Returns all runs, in order of launching.
    pub(super) fn all(&self) -> impl Iterator<Item = (RunIx, &HostedExecutor)> {
        self.runs.iter().map(|(ix, executor)| (*ix, executor))
    }

    /// Returns the run of an executor that has not ended.
    pub(super) fn live(&self, framework: &FrameworkId, executor: &ExecutorId) -> Option<RunIx> {
        self.frameworks.get(framework)?.live.get(executor).copied()
    }

    pub(super) fn of_container(&self, container: &ContainerId) -> Option<RunIx> {
        self.by_container.get(container).copied()
    }

    pub(super) fn of_stream(&self, stream: StreamId) -> Option<RunIx> {
        self.by_stream.get(&stream).copied()
    }

    /// Returns the runs that have a task of that id: several if the id was used again.
    pub(super) fn of_task(&self, framework: &FrameworkId, task: &TaskId) -> &[RunIx] {
        self.frameworks.get(framework).and_then(|framework| framework.by_task.get(task)).map_or(&[], Vec::as_slice)
    }

    /// Sets the stream of a run. Returns the one before.
    pub(super) fn set_stream(&mut self, ix: RunIx, stream: Option<StreamId>) -> Option<StreamId> {
        let executor = self.runs.get_mut(&ix)?;
        let before = std::mem::replace(&mut executor.stream, stream);
        if let Some(before) = before {
            self.by_stream.remove(&before);
        }
        if let Some(stream) = stream {
            self.by_stream.insert(stream, ix);
        }
        before
    }

    /// Notes that a run has ended.
    pub(super) fn end(&mut self, ix: RunIx) {
        let Some(executor) = self.runs.get_mut(&ix) else { return };
        executor.phase = Phase::Ended;
        if let Some(framework) = self.frameworks.get_mut(&executor.run.framework)
            && framework.live.get(&executor.run.executor) == Some(&ix)
        {
            framework.live.remove(&executor.run.executor);
        }
    }

    /// Moves a task to those that are completed.
    pub(super) fn complete_task(&mut self, ix: RunIx, id: &TaskId) {
        let Some(executor) = self.runs.get_mut(&ix) else { return };
        let Some(task) = executor.tasks.shift_remove(id) else { return };
        if let Some(framework) = self.frameworks.get_mut(&executor.run.framework)
            && let Some(runs) = framework.by_task.get_mut(id)
        {
            runs.retain(|run| *run != ix);
            if runs.is_empty() {
                framework.by_task.remove(id);
            }
        }
        if !task.is_stranger {
            push_bounded(&mut executor.completed_tasks, task, MAX_COMPLETED_TASKS);
        }
    }

    /// Moves a run that has ended and has no tasks to those that are completed.
    pub(super) fn complete_run(&mut self, ix: RunIx) {
        let Some(executor) = self.runs.remove(&ix) else { return };
        self.by_container.remove(&executor.run.container);
        if let Some(framework) = self.frameworks.get_mut(&executor.run.framework) {
            framework.runs.remove(&ix);
            push_bounded(&mut framework.completed, executor, MAX_COMPLETED_EXECUTORS);
        }
    }

    /// Moves a framework without runs to those that are completed.
    pub(super) fn complete_framework(&mut self, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.shift_remove(id) {
            push_bounded(&mut self.completed, framework, MAX_COMPLETED_FRAMEWORKS);
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(value);
}
