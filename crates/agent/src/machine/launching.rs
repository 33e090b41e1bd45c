//! Launches: tasks that the master sends, on their way to an executor; and kills, which may overtake them.

use super::describe::{Description, describe, launch, sandbox};
use super::effect::Effect;
use super::hosted::{Cause, HostedExecutor, HostedTask, Phase, RunIx, Stage};
use super::input::Rejected;
use super::record::{ContainerId, ExecutorKind, ExecutorRecord, Record, Run};
use super::timers::Timer;
use super::{AfterStore, AgentMachine};
use apportion::executor::Event;
use apportion::{
    Capability, ExecutorId, ExecutorInfo, Framework, FrameworkId, Role, StatusSource, Task, TaskId, TaskState,
    TaskStatus, Text,
};
use apportion_http::internal::AgentCall;
use std::sync::Arc;
use std::time::Duration;

/// Why tasks are not launched.
#[derive(Debug, Clone)]
struct Refusal {
    state: TaskState,
    reason: &'static str,
    message: String,
}

/// Returns the state of a task that never began.
pub(super) fn lost_or_dropped(framework: &Framework) -> TaskState {
    if framework.has_capability(Capability::PartitionAware) { TaskState::Dropped } else { TaskState::Lost }
}

impl AgentMachine {
    /// Handles the launch of a task, or of a group.
    pub(super) fn run(&mut self, framework: Framework, mut tasks: Vec<Task>, is_group: bool) -> Result<(), Rejected> {
        framework.id.check()?;
        tasks.iter().try_for_each(|task| task.id.check())?;
        let is_known = |task: &Task| {
            let runs = self.hosted.of_task(&framework.id, &task.id);
            runs.iter().any(|ix| self.hosted.task(*ix, &task.id).is_some_and(|known| !known.state.is_terminal()))
        };
        let Some(first) = tasks.first() else { return Ok(()) };
        let is_completed = self.hosted.framework(&framework.id).is_some_and(|hosted| hosted.is_terminating);
        if is_completed || tasks.iter().any(is_known) {
            return Ok(()); // the framework is gone, or the launch is repeated
        }
        let custom = ExecutorInfo::of(first);
        if let Ok(Some(info)) = &custom {
            info.id.check()?;
        }
        let agent = self.id().clone();
        let role = first.role.clone().or_else(|| framework.roles.first().cloned()).unwrap_or_default();
        for task in &mut tasks {
            task.agent = Some(agent.clone());
            task.role.get_or_insert_with(|| role.clone());
        }
        let framework = self.update_framework(framework);

        let (custom, invalid) = match custom {
            Ok(custom) => (custom, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let described = describe(&tasks[0], custom, is_group, &self.settings.containerizers);
        let live = self.hosted.live(&framework.id, &described.info.id);
        if let Some(refusal) = self.refusal(&framework, &described, live, invalid) {
            self.refuse(&framework.id, &role, &described, tasks, &refusal);
        } else if let Some(ix) = live {
            self.add_tasks(ix, tasks, is_group);
        } else {
            self.start_run(&framework, &role, described, tasks, is_group);
        }
        Ok(())
    }

    /// Takes a framework in, or its changes over.
    pub(super) fn update_framework(&mut self, framework: Framework) -> Arc<Framework> {
        let (framework, is_to_store) = self.hosted.update_framework(framework);
        if is_to_store {
            self.store(Record::Framework(Arc::clone(&framework)), AfterStore::Framework(framework.id.clone()));
        }
        framework
    }

    fn refusal(
        &self,
        framework: &Framework,
        described: &Description,
        live: Option<RunIx>,
        invalid: Option<String>,
    ) -> Option<Refusal> {
        let dropped = lost_or_dropped(framework);
        if let Some(message) = invalid {
            return Some(Refusal { state: TaskState::Error, reason: "REASON_TASK_INVALID", message });
        }
        let drop = |reason, message: &str| Some(Refusal { state: dropped, reason, message: message.to_owned() });
        if self.leaving.is_some() {
            return drop("REASON_AGENT_DISCONNECTED", "The agent is shutting down");
        }
        if self.drain.is_some() {
            return drop("REASON_AGENT_DRAINING", "The agent is draining");
        }
        if live.and_then(|ix| self.hosted.get(ix)).is_some_and(|executor| executor.phase == Phase::Terminating) {
            return drop("REASON_EXECUTOR_TERMINATED", "The executor is terminating");
        }
        let error = described.containerizer.as_ref().err()?;
        let reason = "REASON_CONTAINER_LAUNCH_FAILED";
        Some(Refusal { state: TaskState::Failed, reason, message: error.clone() })
    }

    /// Returns a new run of an executor.
    fn new_run(&mut self, framework: &FrameworkId, role: &Role, described: &Description) -> HostedExecutor {
        let container = ContainerId::new(Text::from_display(self.draw()));
        let run = Run { framework: framework.clone(), executor: described.info.id.clone(), container };
        let directory = sandbox(&self.settings.work_dir, self.id(), &run);
        HostedExecutor::new(run, described.kind, role.clone(), described.info.clone(), directory)
    }

    /// Lists tasks that are not launched, in a run that has ended before it began, and tells their framework.
    fn refuse(
        &mut self,
        framework: &FrameworkId,
        role: &Role,
        described: &Description,
        tasks: Vec<Task>,
        refusal: &Refusal,
    ) {
        let mut executor = self.new_run(framework, role, described);
        executor.phase = Phase::Ended;
        let is_new = self.hosted.live(framework, &described.info.id).is_none();
        executor.exit = (is_new && !described.kind.is_of_one_task()).then_some(super::ending::UNKNOWN_STATUS);
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        executor.tasks = tasks.into_iter().map(|task| (task.id.clone(), HostedTask::new(task, false))).collect();
        let ix = self.hosted.add(executor);
        for task in ids {
            self.end_task(ix, &task, refusal.state, refusal.reason, &refusal.message);
        }
    }

    /// Launches an executor for tasks.
    fn start_run(
        &mut self,
        framework: &Arc<Framework>,
        role: &Role,
        described: Description,
        tasks: Vec<Task>,
        is_group: bool,
    ) {
        let mut executor = self.new_run(&framework.id, role, &described);
        executor.containerizer = described.containerizer.unwrap_or(super::Containerizer::Mesos);
        executor.checkpoint = framework.checkpoint;
        executor.phase = Phase::Storing;
        executor.is_stored = !framework.checkpoint;
        let record = ExecutorRecord::new(executor.run.clone(), executor.kind, role.clone(), executor.info.clone());
        let ix = self.hosted.add(executor);
        if framework.checkpoint {
            self.store(Record::Executor(Box::new(record)), AfterStore::Launch(ix));
        }
        self.add_tasks(ix, tasks, is_group);
    }

    /// Gives tasks to an executor that runs or will run.
    fn add_tasks(&mut self, ix: RunIx, tasks: Vec<Task>, is_group: bool) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let (is_durable, run) = (executor.checkpoint, executor.run.clone());
        let group = if is_group { self.next_group() } else { None };
        for task in tasks {
            self.hosted.add_task(ix, HostedTask { group, ..HostedTask::new(task.clone(), is_durable) });
            if is_durable {
                let then = AfterStore::Task(ix, task.id.clone());
                self.store(Record::Task(run.clone(), Box::new(task)), then);
            }
        }
        self.resize(ix);
        self.go_on(ix);
    }

    fn next_group(&mut self) -> Option<u64> {
        self.drawn += 1;
        Some(self.drawn)
    }

    pub(super) fn run_stored(&mut self, ix: RunIx, result: Result<(), Text>) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let framework = self.hosted.framework(&executor.run.framework);
        let has_framework = framework.is_some_and(|framework| framework.is_stored);
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        match result {
            Ok(()) if !has_framework && executor.phase == Phase::Storing => {
                self.run_stored(ix, Err("its framework is not stored".into()));
            }
            Ok(()) => {
                executor.is_stored = true;
                self.go_on(ix);
            }
            Err(error) if executor.phase == Phase::Storing => {
                for task in executor.tasks.values_mut() {
                    task.is_durable = false;
                }
                self.end_run(ix, Some(Cause::NotLaunched(error)), None);
            }
            Err(_) => {}
        }
    }

    pub(super) fn task_stored(&mut self, ix: RunIx, id: &TaskId, result: Result<(), Text>) {
        let Some(task) = self.hosted.task_mut(ix, id).filter(|task| task.stage == Stage::Storing) else { return };
        match result {
            Ok(()) => {
                task.stage = Stage::Queued;
                self.go_on(ix);
            }
            Err(error) if !task.state.is_terminal() => {
                let group = task.group;
                self.end_waiting(ix, id, group, TaskState::Failed, "REASON_CONTAINER_LAUNCH_FAILED", &error);
            }
            Err(_) => {}
        }
    }

    /// Takes the next step of a launch: starts the container once all is stored, and hands tasks to an executor that has
    /// subscribed.
    fn go_on(&mut self, ix: RunIx) {
        let Some(executor) = self.hosted.get(ix) else { return };
        match executor.phase {
            Phase::Storing => {
                let is_ready = executor.tasks.values().any(|task| task.stage == Stage::Queued && task.is_open());
                if executor.is_stored && is_ready {
                    self.launch(ix);
                }
            }
            Phase::Running => self.hand_over(ix),
            Phase::Launching | Phase::Recovering | Phase::Terminating | Phase::Ended => {}
        }
    }

    fn launch(&mut self, ix: RunIx) {
        let due = self.now + self.settings.executor_registration_timeout;
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        executor.phase = Phase::Launching;
        executor.step = "being launched".into();
        executor.timer = Some(self.timers.set(due, Timer::Run(ix)));
        let Some(executor) = self.hosted.get(ix) else { return };
        let Some(framework) = self.hosted.framework(&executor.run.framework) else { return };
        let launch = launch(&self.settings, &framework.info, executor);
        self.emit(Effect::Launch(Box::new(launch)));
    }

    /// Hands the tasks over that are stored and wait for their executor, groups as a whole.
    pub(super) fn hand_over(&mut self, ix: RunIx) {
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        if executor.stream.is_none() {
            return;
        }
        let storing: Vec<u64> = executor
            .tasks
            .values()
            .filter(|task| task.is_waiting() && task.stage == Stage::Storing)
            .filter_map(|task| task.group)
            .collect();
        let mut events: Vec<(Option<u64>, Vec<Task>)> = Vec::new();
        for task in executor.tasks.values_mut() {
            let is_ready = task.stage == Stage::Queued && task.is_open();
            if !is_ready || task.group.is_some_and(|group| storing.contains(&group)) {
                continue;
            }
            task.stage = Stage::Launched;
            match events.last_mut().filter(|(group, _)| group.is_some() && *group == task.group) {
                Some((_, tasks)) => tasks.push(task.task.clone()),
                None => events.push((task.group, vec![task.task.clone()])),
            }
        }
        for (group, mut tasks) in events {
            let event = match group {
                Some(_) => Event::LaunchGroup(tasks),
                None => Event::Launch(tasks.remove(0)),
            };
            self.tell(ix, event);
        }
    }

    /// Sends an event to an executor, if it has a stream.
    pub(super) fn tell(&mut self, ix: RunIx, event: Event) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let Some(stream) = executor.stream else { return };
        let Some(framework) = self.hosted.framework(&executor.run.framework) else { return };
        let dialect = apportion::v1::Dialect::of(&framework.info);
        self.emit(Effect::Executor { stream, dialect, event });
    }

    pub(super) fn pass_message(&mut self, framework: &FrameworkId, executor: &ExecutorId, data: Vec<u8>) {
        if let Some(ix) = self.hosted.live(framework, executor) {
            self.tell(ix, Event::Message(data));
        }
    }

    /// Tells the new limits of a container.
    pub(super) fn resize(&mut self, ix: RunIx) {
        let Some(executor) = self.hosted.get(ix) else { return };
        if executor.phase == Phase::Running && !executor.kind.is_of_one_task() {
            let (container, resources) = (executor.run.container.clone(), executor.resources());
            self.emit(Effect::Resize(container, resources));
        }
    }

    /// Kills a task, wherever it is. One that has ended has its last status told again; one that is not here is lost.
    pub(super) fn kill(&mut self, framework: &FrameworkId, id: &TaskId, grace: Option<Duration>) {
        let is_live = |ix: &RunIx| self.hosted.task(*ix, id).is_some_and(|task| !task.state.is_terminal());
        let runs = self.hosted.of_task(framework, id).to_vec();
        let Some(ix) = runs.iter().copied().find(is_live) else {
            runs.iter().for_each(|ix| self.resend(*ix, id));
            if runs.is_empty() {
                self.tell_lost(framework, id);
            }
            return;
        };
        let Some(task) = self.hosted.task_mut(ix, id) else { return };
        task.kill = Some(grace);
        let (stage, group, is_open) = (task.stage, task.group, task.is_open());
        match stage {
            Stage::Storing | Stage::Queued if is_open => {
                let reason = "REASON_TASK_KILLED_DURING_LAUNCH";
                self.end_waiting(ix, id, group, TaskState::Killed, reason, "Killed before its executor got it");
            }
            Stage::Launched => self.tell(ix, Event::Kill { task: id.clone(), grace }),
            Stage::Storing | Stage::Queued | Stage::Unclear => {}
        }
    }

    /// Tells that a task is not here, once: the master that asked for it knows it as lost then.
    fn tell_lost(&mut self, framework: &FrameworkId, id: &TaskId) {
        let known = self.hosted.framework(framework);
        let state = known.map_or(TaskState::Lost, |framework| lost_or_dropped(&framework.info));
        let mut status = TaskStatus::new(id.clone(), state).reason("REASON_RECONCILIATION");
        status = status.message("The agent does not know the task");
        (status.agent, status.source) = (Some(self.id().clone()), Some(StatusSource::Agent));
        status.timestamp = Some(self.now.as_secs_f64());
        self.tell_master(AgentCall::StatusUpdate { framework_id: framework.clone(), status, latest_state: state });
    }

    /// Ends a task that its executor has not got, with its group, and the executor if it was launched for them.
    fn end_waiting(
        &mut self,
        ix: RunIx,
        id: &TaskId,
        group: Option<u64>,
        state: TaskState,
        reason: &str,
        message: &str,
    ) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let is_of = |task: &&HostedTask| task.task.id == *id || (group.is_some() && task.group == group);
        let ids = executor.tasks.values().filter(is_of).filter(|task| task.is_waiting() && task.is_open());
        let ids: Vec<TaskId> = ids.map(|task| task.task.id.clone()).collect();
        let is_stored = |task: &HostedTask| task.stage != Stage::Storing;
        for id in ids {
            if let Some(task) = self.hosted.task_mut(ix, &id)
                && !is_stored(task)
                && state == TaskState::Failed
            {
                task.is_durable = false; // there is no file for its statuses
            }
            self.end_task(ix, &id, state, reason, message);
        }
        self.end_if_needless(ix);
    }

    /// Ends an executor that has never subscribed and has no task left.
    fn end_if_needless(&mut self, ix: RunIx) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let is_new = matches!(executor.phase, Phase::Storing | Phase::Launching);
        let has_work = executor.tasks.values().any(HostedTask::is_open);
        let is_made = executor.kind != ExecutorKind::Custom;
        if !has_work
            && (is_new
                || (is_made
                    && executor.phase == Phase::Running
                    && executor.tasks.values().all(|task| task.stage != Stage::Launched)))
        {
            self.shut_down_run(ix, Cause::Other);
        }
    }
}
