//! What the view keeps of an agent, a framework and a task.

use apportion::{
    Agent, AgentId, Drain, ExecutorId, Framework, FrameworkId, Resources, Role, Task, TaskState, TaskStatus, Time,
};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// An agent that is registered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentEntry {
    /// The number of agents that came before it.
    pub(crate) number: u64,
    /// The agent as it was registered and updated.
    pub(crate) agent: Arc<Agent>,
    /// Its total resources. Operations change them.
    pub(crate) total: Resources,
    pub(crate) address: (IpAddr, u16),
    pub(crate) registered: Time,
    /// The time at which it came back last, if it did.
    pub(crate) reregistered: Option<Time>,
    /// True if its connection is not broken.
    pub(crate) connected: bool,
    /// True if an operator has deactivated it, or drains it.
    pub(crate) deactivated: bool,
    /// How it drains, and since when, if it does.
    pub(crate) drain: Option<(Drain, Time)>,
}

impl AgentEntry {
    /// Returns whether it may be offered.
    pub(crate) fn is_active(&self) -> bool {
        self.connected && !self.deactivated
    }

    /// Returns its name in Mesos' own protocol.
    pub(crate) fn pid(&self) -> String {
        format!("slave(1)@{}:{}", self.address.0, self.address.1)
    }
}

/// A framework that is registered, recovered, or was removed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FrameworkEntry {
    /// The number of frameworks that came before it.
    pub(crate) number: u64,
    /// The framework as it described itself last.
    pub(crate) framework: Arc<Framework>,
    /// True if it is connected.
    pub(crate) active: bool,
    /// True if it was registered with the leader before, and has not subscribed since.
    pub(crate) recovered: bool,
    /// The roles for which it has suppressed offers.
    pub(crate) suppressed: Vec<Role>,
    /// The time of its first subscription; none if it is recovered.
    pub(crate) registered: Option<Time>,
    /// The time of its last subscription.
    pub(crate) reregistered: Option<Time>,
    /// The time at which it was disconnected or removed last.
    pub(crate) unregistered: Option<Time>,
}

/// A task. One that an agent brought is described as far as the agent does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskEntry {
    /// The number of tasks that came before it.
    pub(crate) number: u64,
    pub(crate) framework: FrameworkId,
    pub(crate) agent: AgentId,
    pub(crate) role: Role,
    /// The task as its framework sent it.
    pub(crate) task: Task,
    /// The executor that an agent said it runs in.
    pub(crate) executor: Option<ExecutorId>,
    /// The latest state.
    pub(crate) state: TaskState,
    /// The latest status of each state that it was in, in order of coming, without data.
    pub(crate) statuses: Vec<Arc<TaskStatus>>,
    pub(crate) standing: Standing,
}

impl TaskEntry {
    /// Returns the executor that its framework gave it, or that an agent told. A command task has none: its agent runs it in an
    /// executor of its own, which has the id of the task.
    pub(crate) fn executor_id(&self) -> Option<Cow<'_, str>> {
        let given = self.task.details.get("executor").and_then(|info| info.get("executor_id")?.get("value")?.as_str());
        let told = self.executor.as_ref().filter(|told| told.as_str() != self.task.id.as_str());
        given.or_else(|| told.map(|told| Cow::Borrowed(told.as_str())))
    }

    /// Returns the user that it runs as, if its framework said so.
    pub(crate) fn user(&self) -> Option<Cow<'_, str>> {
        let details = &self.task.details;
        let of_command = details.get("command").and_then(|command| command.get("user")?.as_str());
        of_command.or_else(|| details.get("executor")?.get("command")?.get("user")?.as_str())
    }

    /// Notes a status, in place of an earlier one of the same state.
    pub(crate) fn note(&mut self, status: Arc<TaskStatus>) {
        self.state = status.state;
        self.statuses.retain(|known| known.state != status.state);
        self.statuses.push(status);
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs, or is about to.
    Live,
    /// An agent has brought it although its id runs elsewhere, or its framework was told that it is lost. It holds its
    /// resources until it is killed, and nobody is told of it.
    Copy,
    /// Its agent is unreachable.
    Unreachable,
    /// It has ended.
    Completed,
}

impl Standing {
    /// Returns whether a task that stands so holds resources.
    pub(crate) fn holds(self) -> bool {
        matches!(self, Self::Live | Self::Copy)
    }
}
