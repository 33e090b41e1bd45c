//! [`Busy`]: agents whose tasks end all the time, and who note how long what they free stays unused.

use apportion::delivery::AgentMessage;
use apportion::{AgentId, Command, FrameworkId, StatusSource, Task, TaskId, TaskState, TaskStatus, Time, Uuid};
use apportion_http::Agents;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The launches that the agents have seen. The thread that measures reads them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The tasks that were launched.
    pub(crate) launched: AtomicU64,
    /// The launches on freed resources.
    waited: Mutex<Vec<Waited>>,
}

/// A launch on freed resources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waited {
    /// The time since they were freed.
    pub(crate) total: Duration,
    /// The time since the first batch after that: what is left without the wait for it.
    pub(crate) beyond_batch: Duration,
}

impl Seen {
    /// Returns the times there are, and begins anew.
    pub(crate) fn take(&self) -> Vec<Waited> {
        std::mem::take(&mut *self.waited.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A task that ends.
type End = (Time, AgentId, FrameworkId, TaskId);

/// Agents whose tasks run for 30 ± 10 s; the first ones for 0 to 40 s, so that the ends are spread from the start.
#[derive(Debug)]
pub(crate) struct Busy {
    /// The time at which the clock of the master stood at 0.
    epoch: Option<Instant>,
    ends: BinaryHeap<Reverse<End>>,
    commands: VecDeque<Command>,
    /// By agent, when that was freed which no task has used since.
    freed: HashMap<AgentId, VecDeque<Time>>,
    draws: fastrand::Rng,
    told: u64,
    /// The interval of the master's batches.
    interval: Duration,
    seen: Arc<Seen>,
}

impl Busy {
    pub(crate) fn new(seed: u64, interval: Duration, seen: Arc<Seen>) -> Self {
        let (ends, commands, freed) = (BinaryHeap::new(), VecDeque::new(), HashMap::new());
        Self { epoch: None, ends, commands, freed, draws: fastrand::Rng::with_seed(seed), told: 0, interval, seen }
    }

    fn launch(&mut self, at: Time, agent: &AgentId, framework: &FrameworkId, task: Task) {
        let shortest = match self.freed.get_mut(agent).and_then(VecDeque::pop_front) {
            Some(freed) => {
                // The clock, not `at`: that stands still while the master handles what has come meanwhile.
                let now = self.epoch.map_or(at, |epoch| Time::ZERO + epoch.elapsed());
                let batch = freed.next_multiple_of(self.interval);
                let waited = Waited { total: now.since(freed), beyond_batch: now.since(batch) };
                self.seen.waited.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
                20_000
            }
            None => 0,
        };
        self.seen.launched.fetch_add(1, Ordering::Relaxed);
        let runs = Duration::from_millis(self.draws.u64(shortest..=40_000));
        self.tell(framework, task.id.clone(), TaskState::Running);
        self.ends.push(Reverse((at + runs, agent.clone(), framework.clone(), task.id)));
    }

    fn tell(&mut self, framework: &FrameworkId, task: TaskId, state: TaskState) {
        self.told += 1;
        let mut status = TaskStatus::new(task, state);
        status.uuid = Some(Uuid::from_seed(1, self.told));
        status.source = Some(StatusSource::Executor);
        self.commands.push_back(Command::TaskStatus(framework.clone(), status));
    }
}

impl Agents for Busy {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is asked of these agents")]
    fn receive(&mut self, at: Time, agent: &AgentId, message: AgentMessage) {
        match message {
            AgentMessage::Launch { framework, task, .. } => self.launch(at, agent, &framework.id, task),
            AgentMessage::LaunchGroup { framework, tasks, .. } => {
                tasks.into_iter().for_each(|task| self.launch(at, agent, &framework.id, task));
            }
            _ => {}
        }
    }

    fn advance(&mut self, at: Time) {
        self.epoch.get_or_insert_with(|| Instant::now() - at.since(Time::ZERO));
        while self.ends.peek().is_some_and(|Reverse((end, ..))| *end <= at) {
            let Some(Reverse((end, agent, framework, task))) = self.ends.pop() else { break };
            self.tell(&framework, task, TaskState::Finished);
            self.freed.entry(agent).or_default().push_back(end);
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.ends.peek().map(|Reverse((end, ..))| *end)
    }
}
