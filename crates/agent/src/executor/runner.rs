//! [`Runner`]: the built-in executors as a state machine.

use super::checks::{CheckKind, Checker, Finding, Probe, ProbeResult};
use super::ending::Ending;
use super::work::Work;
use apportion::executor::{Executor, Reports, Subscribed};
use apportion::{Json, Task, TaskId, TaskState, TaskStatus, Text, Time, Uuid};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The built-in executors: tasks, their kills, checks and ends, without processes and without a clock.
///
/// Launches, kills and acknowledgements come in from the agent, through [`Executor`]. What is to be done to processes or containers
/// comes out of [`Runner::poll_action`], and what has become of them comes in through [`started`](Self::started),
/// [`not_started`](Self::not_started), [`ended`](Self::ended) and [`probed`](Self::probed). Statuses go out through [`Reports`], and
/// are told in the order of Mesos' `launcher/executor.cpp` and `default_executor.cpp`: TASK_STARTING, TASK_RUNNING, the end.
///
/// # Examples
///
/// ```
/// use apportion::executor::{Executor, Reports};
/// use apportion::{Task, Time};
/// use apportion_agent::executor::{Action, Ending, Runner};
///
/// let mut runner = Runner::command(7);
/// let mut reports = Reports::new(Time::ZERO);
/// let command = apportion::Json::object([("value", "true")]);
/// runner.launch(Task::new("t1", "cpus:1".parse()?).detail("command", command), &mut reports);
/// let Some(Action::Start { task, .. }) = runner.poll_action() else { panic!("it is started") };
/// runner.started(&task.id, None, &mut reports); // by the program around it
/// runner.ended(&task.id, &Ending::Exited(0), &mut reports);
/// assert_eq!(reports.as_slice().len(), 3); // TASK_STARTING, TASK_RUNNING, TASK_FINISHED
/// assert!(!runner.is_done(), "until the last is acknowledged");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug)]
pub struct Runner {
    kind: Kind,
    seed: u64,
    stamped: u64,
    says_killing: bool,
    has_launched: bool,
    is_shutting_down: bool,
    shutdown_grace: Duration,
    tasks: BTreeMap<TaskId, Run>,
    groups: u64,
    /// The statuses that the agent has not stored, in order.
    unacknowledged: Vec<TaskStatus>,
    actions: VecDeque<Action>,
}

/// The kind of a built-in executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One task.
    Command,
    /// Groups of tasks.
    Default,
    /// One task in a container of an engine.
    Docker,
}

/// What is to be done to the process or the container of a task.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a program that overlooks one of these leaves something undone")]
pub enum Action {
    /// Start it, and tell [`Runner::started`] or [`Runner::not_started`], and then [`Runner::ended`].
    Start {
        /// The task.
        task: Box<Task>,
        /// What it says about how it is run.
        work: Box<Work>,
    },
    /// Ask it to end: SIGTERM to its group. A start that takes its time is given up; then this comes again once it has been told.
    Terminate {
        /// The task.
        task: TaskId,
        /// The time until [`Kill`](Self::Kill), which may come sooner.
        grace: Duration,
    },
    /// End it and all that it has started: SIGKILL.
    Kill(TaskId),
    /// Make a check, and tell [`Runner::probed`].
    Probe {
        /// The task.
        task: TaskId,
        /// The check.
        probe: Box<Probe>,
    },
}

/// A task that has not ended.
#[derive(Debug)]
struct Run {
    group: u64,
    is_running: bool,
    grace: Duration,
    completion: Option<Duration>,
    completes_by: Option<Time>,
    killing: Option<Killing>,
    is_unhealthy: bool,
    probes: Vec<Probe>,
    checkers: Vec<Checker>,
    healthy: Option<bool>,
    /// Mesos' `ContainerStatus`, if the program around it knows one.
    container: Option<Json>,
}

/// A kill that has begun.
#[derive(Debug)]
struct Killing {
    why: Why,
    /// The time at which it is ended by force; `None` once that has been done.
    due: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Asked,
    Completion,
}

impl Runner {
    /// Returns a command executor: it runs one task, and is done with it. UUIDs of statuses are drawn from `seed`.
    #[must_use]
    pub fn command(seed: u64) -> Self {
        Self::new(Kind::Command, seed)
    }

    /// Returns a default executor: it runs groups of tasks. A task that is killed or fails takes its group along.
    #[must_use]
    pub fn groups(seed: u64) -> Self {
        Self::new(Kind::Default, seed)
    }

    /// Returns a docker executor: it runs one task in a container.
    #[must_use]
    pub fn docker(seed: u64) -> Self {
        Self::new(Kind::Docker, seed)
    }

    fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            seed,
            stamped: 0,
            says_killing: false,
            has_launched: false,
            is_shutting_down: false,
            shutdown_grace: Duration::from_secs(5),
            tasks: BTreeMap::new(),
            groups: 0,
            unacknowledged: Vec::new(),
            actions: VecDeque::new(),
        }
    }

    /// Sets the time that the agent gives the executor after SHUTDOWN. Tasks have one second less, so that their end can be told.
    #[must_use]
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Returns the next thing to do, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns true if no task is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Returns true if the executor has nothing more to do: no task is left, and the agent has stored all statuses.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_idle() && (self.has_launched || self.is_shutting_down) && self.unacknowledged.is_empty()
    }

    /// Takes the start of a task, with Mesos' `ContainerStatus` if there is more to tell than the agent knows.
    pub fn started(&mut self, task: &TaskId, container: Option<Json>, reports: &mut Reports) {
        let Some(run) = self.tasks.get_mut(task).filter(|run| !run.is_running) else { return };
        run.is_running = true;
        run.container = container;
        run.checkers =
            std::mem::take(&mut run.probes).into_iter().map(|probe| Checker::new(probe, reports.at())).collect();
        run.checkers.iter().filter_map(Checker::due).for_each(|due| reports.wake_at(due));
        if let Some(completion) = run.completion {
            let due = reports.at() + completion;
            run.completes_by = Some(due);
            reports.wake_at(due);
        }
        if let Some(killing) = &run.killing {
            killing.due.into_iter().for_each(|due| reports.wake_at(due));
            let grace = killing.due.map_or(Duration::ZERO, |due| due - reports.at());
            self.actions.push_back(Action::Terminate { task: task.clone(), grace }); // it was killed while it was being started
        } else {
            self.tell(task, TaskState::Running, |status| status, reports);
        }
    }

    /// Takes a failure to start a task.
    pub fn not_started(&mut self, task: &TaskId, why: &str, reports: &mut Reports) {
        self.ended(task, &Ending::NotStarted(why.to_owned()), reports);
    }

    /// Takes the end of a task. Nothing of it is left.
    pub fn ended(&mut self, task: &TaskId, ending: &Ending, reports: &mut Reports) {
        let Some(run) = self.tasks.get(task) else { return };
        let (state, reason) = match &run.killing {
            Some(Killing { why: Why::Completion, .. }) => {
                (TaskState::Failed, Some("REASON_MAX_COMPLETION_TIME_REACHED"))
            }
            Some(Killing { why: Why::Asked, .. }) => (TaskState::Killed, None),
            None if ending.is_success() => (TaskState::Finished, None),
            None => (TaskState::Failed, ending.reason()),
        };
        let message = ending.message(if self.kind == Kind::Docker { "Container" } else { "Command" });
        let is_unhealthy = run.is_unhealthy;
        let complete = |mut status: TaskStatus| {
            status.message = Some(message.into());
            status.reason = reason.map(Text::from);
            if is_unhealthy {
                status.healthy = Some(false);
            }
            status
        };
        self.tell(task, state, complete, reports);
        let Some(run) = self.tasks.remove(task) else { return };
        if state != TaskState::Finished {
            self.kill_group(run.group, reports);
        }
    }

    /// Takes the result of a check.
    pub fn probed(&mut self, task: &TaskId, kind: CheckKind, result: &ProbeResult, reports: &mut Reports) {
        let Some(run) = self.tasks.get_mut(task).filter(|run| run.killing.is_none()) else { return };
        let Some(checker) = run.checkers.iter_mut().find(|checker| checker.kind() == kind) else { return };
        let finding = checker.result(reports.at(), result);
        checker.due().into_iter().for_each(|due| reports.wake_at(due));
        match finding {
            None => {}
            Some(Finding::Changed(_)) => {
                let reason = "REASON_TASK_CHECK_STATUS_UPDATED";
                self.tell(task, TaskState::Running, |status| status.reason(reason), reports);
            }
            Some(Finding::Health { is_healthy, kill }) => {
                run.healthy = Some(is_healthy);
                run.is_unhealthy |= kill;
                let reason = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
                self.tell(task, TaskState::Running, |status| status.reason(reason), reports);
                if kill {
                    self.begin_kill(task, None, Why::Asked, reports);
                }
            }
        }
    }

    /// Reports a state of a task, with what is known of its health, checks and container.
    fn tell(
        &mut self,
        task: &TaskId,
        state: TaskState,
        complete: impl FnOnce(TaskStatus) -> TaskStatus,
        reports: &mut Reports,
    ) {
        let mut status = TaskStatus::new(task.clone(), state);
        if let Some(run) = self.tasks.get(task) {
            status.healthy = run.healthy.filter(|_| !state.is_terminal());
            let check = run.checkers.iter().find_map(Checker::check_status);
            for (name, value) in [("check_status", check), ("container_status", run.container.clone())] {
                if let Some(value) = value {
                    status.details.insert(name, value);
                }
            }
        }
        self.stamped += 1;
        let uuid = Uuid::from_seed(self.seed, self.stamped);
        status.uuid = Some(uuid);
        status.timestamp = Some(reports.at().as_secs_f64());
        let status = complete(status);
        self.unacknowledged.push(status.clone());
        reports.update(status);
    }

    fn begin(&mut self, task: Task, group: u64, reports: &mut Reports) {
        if self.tasks.contains_key(&task.id) {
            return; // the agent has sent it twice
        }
        let work = Work::of(&task);
        let (grace, completion, probes) = match &work {
            Ok(work) => (work.grace, work.max_completion, work.probes.clone()),
            Err(_) => (Duration::ZERO, None, Vec::new()),
        };
        let run = Run {
            group,
            is_running: false,
            grace,
            completion,
            completes_by: None,
            killing: None,
            is_unhealthy: false,
            probes,
            checkers: Vec::new(),
            healthy: None,
            container: None,
        };
        self.tasks.insert(task.id.clone(), run);
        match work {
            Ok(work) => {
                self.tell(&task.id, TaskState::Starting, |status| status, reports);
                self.actions.push_back(Action::Start { task: Box::new(task), work: Box::new(work) });
            }
            Err(error) => self.not_started(&task.id, &error.to_string(), reports),
        }
    }

    /// Begins to kill a task, or shortens a kill that has begun.
    fn begin_kill(&mut self, task: &TaskId, grace: Option<Duration>, why: Why, reports: &mut Reports) {
        let Some(run) = self.tasks.get_mut(task) else { return };
        let grace = grace.unwrap_or(run.grace);
        let due = reports.at() + grace;
        reports.wake_at(due);
        match &mut run.killing {
            Some(killing) => killing.due = killing.due.map(|before| before.min(due)),
            None => {
                run.killing = Some(Killing { why, due: Some(due) });
                if self.says_killing {
                    self.tell(task, TaskState::Killing, |status| status, reports);
                }
                self.actions.push_back(Action::Terminate { task: task.clone(), grace });
            }
        }
    }

    /// Has the program look at once whether there is something to do, which it does after a timer: a transport may wait otherwise
    /// after it has passed an event on.
    fn prompt(&self, reports: &mut Reports) {
        if !self.actions.is_empty() || self.is_done() {
            reports.wake_at(reports.at());
        }
    }

    fn kill_group(&mut self, group: u64, reports: &mut Reports) {
        let others = self.tasks.iter().filter(|(_, run)| run.group == group && run.killing.is_none());
        for task in others.map(|(task, _)| task.clone()).collect::<Vec<_>>() {
            self.begin_kill(&task, None, Why::Asked, reports);
        }
    }

    /// Does what is due for a task.
    fn wake(&mut self, task: &TaskId, reports: &mut Reports) {
        let at = reports.at();
        let Some(run) = self.tasks.get_mut(task) else { return };
        match &mut run.killing {
            Some(killing) => {
                if run.is_running && killing.due.is_some_and(|due| due <= at) {
                    killing.due = None;
                    self.actions.push_back(Action::Kill(task.clone()));
                }
            }
            None if run.completes_by.is_some_and(|due| due <= at) => {
                self.begin_kill(task, Some(Duration::ZERO), Why::Completion, reports);
            }
            None => {
                for probe in run.checkers.iter_mut().filter_map(|checker| checker.begin(at)) {
                    self.actions.push_back(Action::Probe { task: task.clone(), probe: Box::new(probe) });
                }
            }
        }
    }
}

impl Executor for Runner {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        self.launch_group(vec![task], reports);
    }

    fn launch_group(&mut self, tasks: Vec<Task>, reports: &mut Reports) {
        if self.is_shutting_down || (self.kind != Kind::Default && self.has_launched) {
            for task in tasks {
                if self.tasks.contains_key(&task.id) {
                    continue; // the agent has sent it twice
                }
                let why =
                    if self.is_shutting_down { "The executor is shutting down" } else { "This executor runs one task" };
                self.tell(&task.id, TaskState::Failed, |status| status.message(why), reports);
            }
            return;
        }
        self.has_launched = true;
        self.groups += 1;
        let group = self.groups;
        let ids: Vec<_> = tasks.iter().map(|task| task.id.clone()).collect();
        for task in tasks {
            self.begin(task, group, reports);
        }
        if self.kind == Kind::Default && ids.iter().any(|id| !self.tasks.contains_key(id)) {
            self.kill_group(group, reports); // one cannot be run
        }
        self.prompt(reports);
    }

    fn kill(&mut self, task: TaskId, grace: Option<Duration>, reports: &mut Reports) {
        self.begin_kill(&task, grace, Why::Asked, reports);
        self.prompt(reports);
    }

    fn subscribed(&mut self, subscribed: Subscribed, reports: &mut Reports) {
        // A status that was made while the subscription was on its way stands in no call: an agent stores each uuid once.
        self.unacknowledged.iter().for_each(|status| reports.update(status.clone()));
        let capabilities = subscribed.framework.get("capabilities");
        let mut kinds =
            capabilities.iter().flat_map(|list| list.elements()).filter_map(|capability| capability.get("type"));
        self.says_killing = kinds.any(|kind| kind.as_str().is_some_and(|kind| kind == "TASK_KILLING_STATE"));
    }

    fn acknowledged(&mut self, _: TaskId, uuid: Uuid, reports: &mut Reports) {
        self.unacknowledged.retain(|status| status.uuid != Some(uuid));
        self.prompt(reports);
    }

    fn shutdown(&mut self, reports: &mut Reports) {
        self.is_shutting_down = true;
        let longest = self.shutdown_grace.saturating_sub(Duration::from_secs(1));
        for (task, grace) in self.tasks.iter().map(|(task, run)| (task.clone(), run.grace)).collect::<Vec<_>>() {
            self.begin_kill(&task, Some(grace.min(longest)), Why::Asked, reports);
        }
        self.prompt(reports);
    }

    fn woken(&mut self, reports: &mut Reports) {
        let before = self.actions.len();
        for task in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.wake(&task, reports);
        }
        if self.actions.len() > before {
            self.prompt(reports);
        }
    }
}

#[cfg(test)]
mod tests;
