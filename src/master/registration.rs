//! [`Registration`] and [`AgentUpdate`]: an agent as it registers, and a change to it.

use crate::agent::{Agent, Domain};
use crate::attributes::Attributes;
use crate::id::{AgentId, ExecutorId, FrameworkId};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{Task, TaskState};

/// An agent as it registers, for the first time or again, with the tasks and the executors that run on it.
///
/// # Examples
///
/// ```
/// use apportion::{Agent, Command, Registration, Role, RunningTask, Task};
///
/// let agent = Agent::new("a1", "cpus:8;mem:32768".parse()?);
/// let task = Task::new("web-1", "cpus:1;mem:512".parse()?);
/// let registration = Registration::from(agent).task(RunningTask::new("marathon", Role::default(), task));
/// assert_eq!(registration.tasks.len(), 1);
/// let command = Command::AddAgent(registration);
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Registration {
    /// The agent.
    pub agent: Agent,
    /// The tasks that run on it.
    pub tasks: Vec<RunningTask>,
    /// The executors that run on it.
    pub executors: Vec<RunningExecutor>,
}

impl From<Agent> for Registration {
    /// Returns the registration of an agent on which nothing runs.
    fn from(agent: Agent) -> Self {
        Self { agent, tasks: Vec::new(), executors: Vec::new() }
    }
}

impl Registration {
    /// Adds a task that runs on the agent.
    #[must_use]
    pub fn task(mut self, task: RunningTask) -> Self {
        self.tasks.push(task);
        self
    }

    /// Adds an executor that runs on the agent.
    #[must_use]
    pub fn executor(mut self, executor: RunningExecutor) -> Self {
        self.executors.push(executor);
        self
    }
}

/// A task that already runs on an agent when the agent registers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunningTask {
    /// The framework that the task belongs to, registered or not.
    pub framework: FrameworkId,
    /// The role that the task's resources are allocated to.
    pub role: Role,
    /// The task: its id, its resources, and further fields.
    pub task: Task,
    /// The latest state. A task in a terminal state holds nothing, and the master does not take it in.
    pub state: TaskState,
    /// The executor that runs the task, if it has one that the agent told.
    pub executor: Option<ExecutorId>,
}

impl RunningTask {
    /// Returns a task of that framework, allocated to that role, in the state `TASK_RUNNING`.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, role: Role, task: Task) -> Self {
        Self { framework: framework.into(), role, task, state: TaskState::Running, executor: None }
    }

    /// Sets the state.
    #[must_use]
    pub fn state(mut self, state: TaskState) -> Self {
        self.state = state;
        self
    }

    /// Names the executor that runs the task.
    #[must_use]
    pub fn executor(mut self, executor: impl Into<ExecutorId>) -> Self {
        self.executor = Some(executor.into());
        self
    }
}

/// An executor that already runs on an agent when the agent registers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunningExecutor {
    /// The executor's id.
    pub id: ExecutorId,
    /// The framework that the executor belongs to, registered or not.
    pub framework: FrameworkId,
    /// The role that the executor's resources are allocated to.
    pub role: Role,
    /// The resources that the executor itself holds, besides those of its tasks.
    pub resources: Resources,
}

impl RunningExecutor {
    /// Returns an executor of that framework that holds those resources under that role.
    #[must_use]
    pub fn new(id: impl Into<ExecutorId>, framework: impl Into<FrameworkId>, role: Role, resources: Resources) -> Self {
        Self { id: id.into(), framework: framework.into(), role, resources }
    }
}

/// A change to an agent; a field that is `None` stays as it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentUpdate {
    /// The agent.
    pub id: AgentId,
    /// The new total resources.
    pub resources: Option<Resources>,
    /// The new attributes.
    pub attributes: Option<Attributes>,
    /// The new domain.
    pub domain: Option<Domain>,
}

impl AgentUpdate {
    /// Returns an update that changes nothing.
    #[must_use]
    pub fn new(id: impl Into<AgentId>) -> Self {
        Self { id: id.into(), resources: None, attributes: None, domain: None }
    }

    /// Sets the new total resources.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }
}
