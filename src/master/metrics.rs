//! [`Metrics`]: counters and gauges of a master, for operators.

use super::Master;
use crate::allocator::Allocator;
use crate::resources::Quantities;
use crate::task::TaskState;
use serde::Serialize;

/// Counters and gauges of a master. Counters start at 0 with the master, and with one that is restored.
///
/// The names of Mesos' metrics are given where there is one. What the allocator counts, it tells itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// The commands that were handled, those that were rejected included.
    pub commands: u64,
    /// The commands that were rejected.
    pub rejected_commands: u64,
    /// The offers by how they ended, and those that have not yet.
    pub offers: OfferMetrics,
    /// The agents by how they are.
    pub agents: AgentMetrics,
    /// The frameworks by how they are.
    pub frameworks: FrameworkMetrics,
    /// The tasks by state, and those that have ended.
    pub tasks: TaskMetrics,
    /// The effects that were not polled yet (`master/event_queue_messages` and its like).
    pub queued_effects: usize,
}

/// Counters of offers, and the number of live ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct OfferMetrics {
    /// The live offers (`master/outstanding_offers`).
    pub live: usize,
    /// The offers that were made.
    pub made: u64,
    /// Those that were accepted with an operation that was done.
    pub accepted: u64,
    /// Those that were declined, or accepted without an operation that was done.
    pub declined: u64,
    /// Those that were rescinded, other than for a timeout.
    pub rescinded: u64,
    /// Those that were rescinded because nobody answered in time.
    pub timed_out: u64,
    /// Those whose framework has failed over or was removed.
    pub void: u64,
}

/// The agents by how they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct AgentMetrics {
    /// Those that are registered and connected (`master/slaves_connected`).
    pub connected: usize,
    /// Those whose connection is broken (`master/slaves_disconnected`).
    pub disconnected: usize,
    /// Those that may be offered (`master/slaves_active`).
    pub active: usize,
    /// Those that are remembered as unreachable (`master/slaves_unreachable`).
    pub unreachable: usize,
}

/// The frameworks by how they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct FrameworkMetrics {
    /// Those that are connected (`master/frameworks_connected`).
    pub connected: usize,
    /// Those whose connection is broken (`master/frameworks_disconnected`).
    pub disconnected: usize,
    /// Those that a new leader expects to subscribe.
    pub recovered: usize,
}

/// Gauges of live tasks by their latest state, and counters of those that have ended by their last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct TaskMetrics {
    /// Launched and not reported yet (`master/tasks_staging`).
    pub staging: u64,
    /// `master/tasks_starting`.
    pub starting: u64,
    /// `master/tasks_running`.
    pub running: u64,
    /// `master/tasks_killing`.
    pub killing: u64,
    /// `master/tasks_finished`.
    pub finished: u64,
    /// `master/tasks_failed`.
    pub failed: u64,
    /// `master/tasks_killed`.
    pub killed: u64,
    /// `master/tasks_error`.
    pub error: u64,
    /// `master/tasks_lost`.
    pub lost: u64,
    /// `master/tasks_dropped`.
    pub dropped: u64,
    /// Told to be unreachable, so often; a task that comes back counts as launched anew.
    pub unreachable: u64,
    /// `master/tasks_gone`.
    pub gone: u64,
    /// `master/tasks_gone_by_operator`.
    pub gone_by_operator: u64,
}

impl TaskMetrics {
    /// Counts a task in that state.
    pub(super) fn count(&mut self, state: TaskState) {
        let counter = match state {
            TaskState::Staging => &mut self.staging,
            TaskState::Starting => &mut self.starting,
            TaskState::Running => &mut self.running,
            TaskState::Killing => &mut self.killing,
            TaskState::Finished => &mut self.finished,
            TaskState::Failed => &mut self.failed,
            TaskState::Killed => &mut self.killed,
            TaskState::Error => &mut self.error,
            TaskState::Lost => &mut self.lost,
            TaskState::Dropped => &mut self.dropped,
            TaskState::Unreachable => &mut self.unreachable,
            TaskState::Gone => &mut self.gone,
            TaskState::GoneByOperator => &mut self.gone_by_operator,
            TaskState::Unknown => return,
        };
        *counter += 1;
    }
}

/// The counters of a master.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    pub(super) commands: u64,
    pub(super) rejected_commands: u64,
    /// The offers that were made and have ended; how many are live is not counted here.
    pub(super) offers: OfferMetrics,
    /// The tasks that have ended.
    pub(super) ended_tasks: TaskMetrics,
}

impl<A: Allocator> Master<A> {
    /// Returns the amounts that tasks and executors hold, without what is in offers. O(tasks + executors).
    #[must_use]
    pub fn in_use(&self) -> Quantities {
        let held = self.tasks.iter().map(|task| &task.holding).chain(self.executors.holdings());
        let mut sum = Quantities::new();
        held.for_each(|holding| sum += &holding.resources.quantities());
        sum
    }

    /// Returns the counters and gauges. O(agents + frameworks + tasks), without a copy of any of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Master, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    /// assert!(master.handle(Time::ZERO, Command::RemoveAgent("a9".into())).is_err());
    /// let metrics = master.metrics();
    /// assert_eq!((metrics.agents.connected, metrics.commands, metrics.rejected_commands), (1, 2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let mut tasks = self.counters.ended_tasks;
        self.tasks.iter().filter(|task| !task.is_copy).for_each(|task| tasks.count(task.state));
        let disconnected = self.agents.keys().filter(|id| self.inactive.is_disconnected(id)).count();
        let is_active = |id: &&_| self.allocator.agent(id).is_some_and(|account| account.active);
        let agents = AgentMetrics {
            connected: self.agents.len() - disconnected,
            disconnected,
            active: self.agents.keys().filter(is_active).count(),
            unreachable: self.absent.unreachable(),
        };
        let recovered = self.frameworks.values().filter(|entry| entry.is_recovered).count();
        let connected = self.connected_frameworks().count();
        let frameworks =
            FrameworkMetrics { connected, disconnected: self.frameworks.len() - recovered - connected, recovered };
        Metrics {
            commands: self.counters.commands,
            rejected_commands: self.counters.rejected_commands,
            offers: OfferMetrics { live: self.offers.len(), ..self.counters.offers },
            agents,
            frameworks,
            tasks,
            queued_effects: self.effects.len(),
        }
    }
}
