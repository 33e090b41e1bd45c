//! The simulated agents: they start executors, deliver events to them and report their tasks.

use super::transport::Transport;
use crate::executor::{Call, Event, Executor, Reports, Session, Subscribed};
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::master::{Command, ExecutorRef};
use crate::task::{ExecutorInfo, StatusSource, Task, TaskState, TaskStatus};
use crate::time::Time;
use crate::uuid::Uuid;
use crate::v1::Dialect;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeMap;
use std::fmt;

/// Creates the executor of that description; `None` if it cannot be started.
pub(super) type Start = dyn FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send;

/// The executors of all agents: an ordered map by start number, with indices by id and by task.
pub(super) struct Executors {
    start: Box<Start>,
    running: BTreeMap<u64, (ExecutorRef, Running)>,
    numbers: IndexMap<ExecutorRef, u64>,
    started: u64,
    by_task: IndexMap<(FrameworkId, TaskId), ExecutorRef>,
    /// Statuses that no scheduler has acknowledged, with their executor.
    unacknowledged: IndexMap<Uuid, ExecutorRef>,
}

#[derive(Debug)]
struct Running {
    session: Session<Box<dyn Executor>>,
    dialect: Dialect,
    tasks: IndexSet<TaskId>,
    /// True if the executor was started for a task, or a group, that names none: it ends with the last of its tasks.
    single_task: bool,
}

/// The output of the agents: commands for the master, and timers of executors.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) commands: Vec<(AgentId, Command)>,
    pub(super) wakes: Vec<(Time, ExecutorRef)>,
}

/// Describes an executor, its framework and its agent, for the executor's registration.
pub(super) type Describe<'a> = dyn Fn(ExecutorInfo) -> Subscribed + 'a;

impl Executors {
    pub(super) fn new(start: Box<Start>) -> Self {
        Self {
            start,
            running: BTreeMap::new(),
            numbers: IndexMap::new(),
            started: 0,
            by_task: IndexMap::new(),
            unacknowledged: IndexMap::new(),
        }
    }

    /// Launches a task, or the tasks of a group together, after starting their executor if that is not running.
    pub(super) fn launch(
        &mut self,
        (framework, agent): (FrameworkId, AgentId),
        tasks: Vec<Task>,
        is_group: bool,
        (transport, dialect): (Transport, &Dialect),
        describe: &Describe<'_>,
        at: Time,
    ) -> Output {
        let mut output = Output::default();
        let Some(first) = tasks.first() else { return output };
        let mut fail = |framework: FrameworkId, state, reason: &'static str, message: &str| {
            for task in &tasks {
                let status = TaskStatus::new(task.id.clone(), state).reason(reason).message(message);
                output.report(&agent, framework.clone(), by_agent(status, at));
            }
        };
        let info = match ExecutorInfo::of(first) {
            Ok(info) => info,
            Err(error) => {
                fail(framework, TaskState::Error, "REASON_TASK_INVALID", &error.to_string());
                return output;
            }
        };
        let single_task = info.is_none();
        let info = info.unwrap_or_else(|| ExecutorInfo::new(first.id.as_str()));
        let id = ExecutorRef { framework, agent: agent.clone(), executor: info.id.clone() };
        if !self.numbers.contains_key(&id) {
            let Some(executor) = (self.start)(&id, &info) else {
                let message = "the executor cannot be started";
                fail(id.framework.clone(), TaskState::Failed, "REASON_CONTAINER_LAUNCH_FAILED", message);
                return output;
            };
            self.started += 1;
            let session = Session::new(id.executor.clone(), executor, seed(&id, self.started));
            let running = Running { session, dialect: dialect.clone(), tasks: IndexSet::new(), single_task };
            self.running.insert(self.started, (id.clone(), running));
            self.numbers.insert(id.clone(), self.started);
            self.deliver(&id, transport, Event::Subscribed(Box::new(describe(info))), at, &mut output);
        }
        for task in &tasks {
            if let Some(running) = self.of_mut(&id) {
                running.tasks.insert(task.id.clone());
                self.by_task.insert((id.framework.clone(), task.id.clone()), id.clone());
            }
        }
        if is_group {
            self.deliver(&id, transport, Event::LaunchGroup(tasks), at, &mut output);
        } else {
            for task in tasks {
                self.deliver(&id, transport, Event::Launch(task), at, &mut output);
            }
        }
        output
    }

    /// Returns the executor that runs a task.
    pub(super) fn of_task(&self, framework: &FrameworkId, task: &TaskId) -> Option<&ExecutorRef> {
        self.by_task.get(&(framework.clone(), task.clone()))
    }

    /// Delivers an event to an executor. If the executor is not running, the event is lost.
    pub(super) fn receive(&mut self, id: &ExecutorRef, transport: Transport, event: Event, at: Time) -> Output {
        let mut output = Output::default();
        self.deliver(id, transport, event, at, &mut output);
        output
    }

    /// Runs an action on an executor that no event causes.
    pub(super) fn act(
        &mut self,
        id: &ExecutorRef,
        transport: Transport,
        at: Time,
        action: impl FnOnce(&mut Box<dyn Executor>, &mut Reports),
    ) -> Output {
        let mut output = Output::default();
        if let Some(running) = self.of_mut(id) {
            let reports = running.session.act(at, action);
            self.handle_calls(id, transport, reports, at, &mut output);
        }
        output
    }

    /// Terminates an executor: its tasks fail.
    pub(super) fn end(&mut self, id: &ExecutorRef, status: i32, at: Time) -> Output {
        let mut output = Output::default();
        let Some(running) = self.remove(id) else { return output };
        for task in running.tasks {
            self.by_task.swap_remove(&(id.framework.clone(), task.clone()));
            let failed = TaskStatus::new(task, TaskState::Failed).reason("REASON_EXECUTOR_TERMINATED");
            output.report(&id.agent, id.framework.clone(), by_agent(failed.message("the executor has ended"), at));
        }
        output.commands.push((id.agent.clone(), Command::ExecutorEnded(id.clone(), status)));
        output
    }

    /// Drops the executors that match, without reports: their agent was lost or their framework removed.
    pub(super) fn drop_all(&mut self, matches: impl Fn(&ExecutorRef) -> bool) {
        self.running.retain(|_, (id, _)| !matches(id));
        self.numbers.retain(|id, _| !matches(id));
        self.by_task.retain(|_, id| !matches(id));
        self.unacknowledged.retain(|_, id| !matches(id));
    }

    /// Handles a scheduler's acknowledgement of a status.
    pub(super) fn acknowledge(&mut self, uuid: &Uuid) {
        self.unacknowledged.swap_remove(uuid);
    }

    pub(super) fn is_running(&self, id: &ExecutorRef) -> bool {
        self.numbers.contains_key(id)
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Returns the running executors, in order of starting.
    pub(super) fn running(&self) -> impl Iterator<Item = &ExecutorRef> {
        self.running.values().map(|(id, _)| id)
    }

    /// Returns the tasks of an executor, in order of launching.
    pub(super) fn tasks(&self, id: &ExecutorRef) -> impl Iterator<Item = &TaskId> {
        self.of(id).into_iter().flat_map(|running| &running.tasks)
    }

    fn of(&self, id: &ExecutorRef) -> Option<&Running> {
        self.running.get(self.numbers.get(id)?).map(|(_, running)| running)
    }

    fn of_mut(&mut self, id: &ExecutorRef) -> Option<&mut Running> {
        self.running.get_mut(self.numbers.get(id)?).map(|(_, running)| running)
    }

    fn remove(&mut self, id: &ExecutorRef) -> Option<Running> {
        let number = self.numbers.swap_remove(id)?;
        self.running.remove(&number).map(|(_, running)| running)
    }

    fn deliver(&mut self, id: &ExecutorRef, transport: Transport, event: Event, at: Time, output: &mut Output) {
        if let Some(running) = self.of_mut(id) {
            let event = transport.executor_event(&running.dialect, event);
            let reports = running.session.receive(event, at);
            self.handle_calls(id, transport, reports, at, output);
        }
    }

    /// Handles the calls of an executor. Its agent acknowledges each status at once.
    fn handle_calls(
        &mut self,
        id: &ExecutorRef,
        transport: Transport,
        reports: Reports,
        at: Time,
        output: &mut Output,
    ) {
        output.wakes.extend(reports.wakes().iter().map(|wake| (*wake, id.clone())));
        for call in reports.into_vec() {
            let Some(running) = self.of(id) else { return };
            let call = match transport.executor_call(&running.dialect, &id.framework, &id.executor, call) {
                Ok(call) => call,
                Err(error) => {
                    self.deliver(id, transport, Event::Error(error.to_string()), at, output);
                    continue;
                }
            };
            match call {
                Call::Update(status) => self.update(id, transport, *status, at, output),
                Call::Message(data) => {
                    output.commands.push((id.agent.clone(), Command::ExecutorMessage(id.clone(), data)));
                }
                Call::Subscribe { .. } | Call::Heartbeat => {}
            }
        }
    }

    fn update(&mut self, id: &ExecutorRef, transport: Transport, status: TaskStatus, at: Time, output: &mut Output) {
        let Some(running) = self.of_mut(id) else { return };
        let (task, ended) = (status.task.clone(), status.state.is_terminal());
        let (single_task, uuid) = (running.single_task, status.uuid);
        if ended {
            running.tasks.shift_remove(&task);
            self.by_task.swap_remove(&(id.framework.clone(), task.clone()));
        }
        self.unacknowledged.extend(uuid.map(|uuid| (uuid, id.clone())));
        output.report(&id.agent, id.framework.clone(), status);
        if let Some(uuid) = uuid {
            self.deliver(id, transport, Event::Acknowledged { task, uuid }, at, output);
        }
        if ended && single_task && self.of(id).is_some_and(|running| running.tasks.is_empty()) {
            self.remove(id);
        }
    }
}

impl Output {
    fn report(&mut self, agent: &AgentId, framework: FrameworkId, status: TaskStatus) {
        self.commands.push((agent.clone(), Command::TaskStatus(framework, status)));
    }
}

/// Stamps a status that the agent itself makes.
fn by_agent(status: TaskStatus, at: Time) -> TaskStatus {
    TaskStatus { source: Some(StatusSource::Agent), timestamp: Some(at.as_secs_f64()), ..status }
}

/// Returns the seed of an executor's UUIDs: the FNV-1a hash of its ids and its start number, so that no two executors
/// have the same.
fn seed(id: &ExecutorRef, number: u64) -> u64 {
    let names = [id.framework.as_str(), id.agent.as_str(), id.executor.as_str()];
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0xff])).chain(number.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl fmt::Debug for Executors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executors").field("running", &self.running).finish_non_exhaustive()
    }
}
