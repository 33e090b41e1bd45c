//! The agents' side: executors that are started, run tasks and end.

use super::transport::Wire;
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

/// Starts the executor of that description; none if it cannot be started.
pub(super) type Start = dyn FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send;

/// All executors on all agents.
pub(super) struct Executors {
    start: Box<Start>,
    /// In order of starting: by the number that each was given then.
    running: BTreeMap<u64, (ExecutorRef, Running)>,
    numbers: IndexMap<ExecutorRef, u64>,
    started: u64,
    by_task: IndexMap<(FrameworkId, TaskId), ExecutorRef>,
    /// Statuses that no scheduler has acknowledged yet, and whose they are.
    unacknowledged: IndexMap<Uuid, ExecutorRef>,
}

#[derive(Debug)]
struct Running {
    session: Session<Box<dyn Executor>>,
    dialect: Dialect,
    tasks: IndexSet<TaskId>,
    /// Started for one task alone, and ends with it.
    own: bool,
}

/// What comes of something that happened to an executor.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What the master is told.
    pub(super) commands: Vec<Command>,
    /// When executors want to be woken.
    pub(super) wakes: Vec<(Time, ExecutorRef)>,
}

/// What an executor is told of itself, its framework and its agent when it registers.
pub(super) type Introduce<'a> = dyn Fn(ExecutorInfo) -> Subscribed + 'a;

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

    /// Starts a task, and its executor if that does not run yet.
    pub(super) fn launch(
        &mut self,
        (framework, agent): (FrameworkId, AgentId),
        task: Task,
        (wire, dialect): (Wire, &Dialect),
        introduce: &Introduce<'_>,
        at: Time,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let info = match ExecutorInfo::of(&task) {
            Ok(info) => info,
            Err(error) => {
                let why = TaskStatus::new(task.id, TaskState::Error).reason("REASON_TASK_INVALID");
                outcome.tell(framework, of_agent(why.message(error.to_string()), at));
                return outcome;
            }
        };
        let own = info.is_none();
        let info = info.unwrap_or_else(|| ExecutorInfo::new(task.id.as_str()));
        let id = ExecutorRef { framework, agent, executor: info.id.clone() };
        if !self.numbers.contains_key(&id) {
            let Some(executor) = (self.start)(&id, &info) else {
                let why = TaskStatus::new(task.id, TaskState::Failed).reason("REASON_CONTAINER_LAUNCH_FAILED");
                outcome.tell(id.framework, of_agent(why.message("the executor cannot be started"), at));
                return outcome;
            };
            self.started += 1;
            let session = Session::new(id.executor.clone(), executor, seed(&id, self.started));
            let running = Running { session, dialect: dialect.clone(), tasks: IndexSet::new(), own };
            self.running.insert(self.started, (id.clone(), running));
            self.numbers.insert(id.clone(), self.started);
            self.hand(&id, wire, Event::Subscribed(Box::new(introduce(info))), at, &mut outcome);
        }
        if let Some(running) = self.of_mut(&id) {
            running.tasks.insert(task.id.clone());
            self.by_task.insert((id.framework.clone(), task.id.clone()), id.clone());
        }
        self.hand(&id, wire, Event::Launch(task), at, &mut outcome);
        outcome
    }

    /// The executor that runs a task.
    pub(super) fn of_task(&self, framework: &FrameworkId, task: &TaskId) -> Option<&ExecutorRef> {
        self.by_task.get(&(framework.clone(), task.clone()))
    }

    /// Hands an event to an executor; to one that does not run, it is lost.
    pub(super) fn receive(&mut self, id: &ExecutorRef, wire: Wire, event: Event, at: Time) -> Outcome {
        let mut outcome = Outcome::default();
        self.hand(id, wire, event, at, &mut outcome);
        outcome
    }

    /// Lets an executor do something of its own accord.
    pub(super) fn act(
        &mut self,
        id: &ExecutorRef,
        wire: Wire,
        at: Time,
        act: impl FnOnce(&mut Box<dyn Executor>, &mut Reports),
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(running) = self.of_mut(id) {
            let reports = running.session.act(at, act);
            self.take(id, wire, reports, at, &mut outcome);
        }
        outcome
    }

    /// An executor ends: what it ran has failed.
    pub(super) fn end(&mut self, id: &ExecutorRef, status: i32, at: Time) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(running) = self.remove(id) else { return outcome };
        for task in running.tasks {
            self.by_task.swap_remove(&(id.framework.clone(), task.clone()));
            let failed = TaskStatus::new(task, TaskState::Failed).reason("REASON_EXECUTOR_TERMINATED");
            outcome.tell(id.framework.clone(), of_agent(failed.message("the executor has ended"), at));
        }
        outcome.commands.push(Command::ExecutorEnded(id.clone(), status));
        outcome
    }

    /// Whatever was there of that kind is gone without a word: an agent was lost, a framework has left.
    pub(super) fn drop_all(&mut self, gone: impl Fn(&ExecutorRef) -> bool) {
        self.running.retain(|_, (id, _)| !gone(id));
        self.numbers.retain(|id, _| !gone(id));
        self.by_task.retain(|_, id| !gone(id));
        self.unacknowledged.retain(|_, id| !gone(id));
    }

    /// A scheduler has taken note of a status.
    pub(super) fn acknowledge(&mut self, uuid: &Uuid) {
        self.unacknowledged.swap_remove(uuid);
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    /// The executors that run, in order of starting.
    pub(super) fn running(&self) -> impl Iterator<Item = &ExecutorRef> {
        self.running.values().map(|(id, _)| id)
    }

    /// The tasks of an executor, in order of launching.
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

    fn hand(&mut self, id: &ExecutorRef, wire: Wire, event: Event, at: Time, outcome: &mut Outcome) {
        if let Some(running) = self.of_mut(id) {
            let event = wire.executor_event(&running.dialect, event);
            let reports = running.session.receive(event, at);
            self.take(id, wire, reports, at, outcome);
        }
    }

    /// Takes what an executor has to say. Its agent has each status safe at once, and says so.
    fn take(&mut self, id: &ExecutorRef, wire: Wire, reports: Reports, at: Time, outcome: &mut Outcome) {
        outcome.wakes.extend(reports.wakes().iter().map(|wake| (*wake, id.clone())));
        for call in reports.into_vec() {
            let Some(running) = self.of(id) else { return };
            let said = match wire.executor_call(&running.dialect, &id.framework, &id.executor, call) {
                Ok(call) => call,
                Err(error) => {
                    self.hand(id, wire, Event::Error(error.to_string()), at, outcome);
                    continue;
                }
            };
            match said {
                Call::Update(status) => self.update(id, wire, *status, at, outcome),
                Call::Message(data) => outcome.commands.push(Command::ExecutorMessage(id.clone(), data)),
                Call::Subscribe { .. } | Call::Heartbeat => {}
            }
        }
    }

    fn update(&mut self, id: &ExecutorRef, wire: Wire, status: TaskStatus, at: Time, outcome: &mut Outcome) {
        let Some(running) = self.of_mut(id) else { return };
        let (task, ended) = (status.task.clone(), status.state.is_terminal());
        let (own, uuid) = (running.own, status.uuid);
        if ended {
            running.tasks.shift_remove(&task);
            self.by_task.swap_remove(&(id.framework.clone(), task.clone()));
        }
        self.unacknowledged.extend(uuid.map(|uuid| (uuid, id.clone())));
        outcome.tell(id.framework.clone(), status);
        if let Some(uuid) = uuid {
            self.hand(id, wire, Event::Acknowledged { task, uuid }, at, outcome);
        }
        if ended && own {
            self.remove(id);
        }
    }
}

impl Outcome {
    fn tell(&mut self, framework: FrameworkId, status: TaskStatus) {
        self.commands.push(Command::TaskStatus(framework, status));
    }
}

/// News that the agent itself tells.
fn of_agent(status: TaskStatus, at: Time) -> TaskStatus {
    TaskStatus { source: Some(StatusSource::Agent), timestamp: Some(at.as_secs_f64()), ..status }
}

/// A seed of its own for each executor that is started, so that no two statuses have the same UUID: FNV-1a of its names.
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
