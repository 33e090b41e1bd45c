//! [`ToMaster`] and [`FromMaster`]: the messages between an agent and its master.

use apportion::{
    Agent, AgentId, Drain, ExecutorId, Framework, FrameworkId, Operation, Resources, Role, RunningExecutor, Task,
    TaskId, TaskState, TaskStatus, Text, Uuid,
};
use std::sync::Arc;
use std::time::Duration;

/// A message of an agent to its master.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToMaster {
    /// The answer to a [`FromMaster::Ping`].
    Pong {
        /// The number of the ping.
        seq: u64,
    },
    /// A status of a task. It is repeated until it is [acknowledged](FromMaster::Acknowledge).
    StatusUpdate {
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The status.
        status: Box<TaskStatus>,
        /// The latest state of the task, which may be a later one than that of the status.
        latest_state: TaskState,
    },
    /// An executor of a framework has ended. Executors that the agent has made for a command are not told.
    ExecutorExited {
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// Its status as wait(2) encodes it.
        status: i32,
    },
    /// A message of an executor to its scheduler.
    Message {
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// The resources of the agent have changed.
    UpdateResources(Resources),
    /// The agent goes for good. Its executors are being shut down.
    Unregister,
}

/// An agent as it registers: REGISTER if its id is empty, else REREGISTER.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Enrolment {
    /// The agent; its resources are those after all operations.
    pub agent: Agent,
    /// The version of its program.
    pub version: Text,
    /// Equal for all attempts of one start, so that the master gives one id only.
    pub nonce: Uuid,
    /// The frameworks of its tasks and executors.
    pub frameworks: Vec<Arc<Framework>>,
    /// The executors of frameworks. Executors that the agent has made for a command are not among them.
    pub executors: Vec<RunningExecutor>,
    /// All tasks but those whose terminal status is acknowledged.
    pub tasks: Vec<BroughtTask>,
    /// The highest epoch of a master that it has seen.
    pub epoch: u64,
}

/// A task that an agent brings when it registers again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BroughtTask {
    /// The framework that the task belongs to.
    pub framework: FrameworkId,
    /// The role that its resources are allocated to.
    pub role: Role,
    /// The task.
    pub task: Task,
    /// Its latest state.
    pub state: TaskState,
    /// The state that was last sent to the master, with the UUID of its status, if one was.
    pub sent: Option<(TaskState, Uuid)>,
    /// The executor that runs it; `None` for one that the agent has made for it.
    pub executor: Option<ExecutorId>,
}

/// A message of a master to an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FromMaster {
    /// The agent is registered.
    Registered(Registered),
    /// The master is there.
    Ping {
        /// The number of the ping.
        seq: u64,
        /// False if the master takes the agent for disconnected: it has to register again.
        connected: bool,
    },
    /// Launch a task. Nothing happens if there is one of that id.
    Run {
        /// The framework that the task belongs to.
        framework: Arc<Framework>,
        /// The role that its resources are allocated to.
        role: Role,
        /// The task.
        task: Task,
    },
    /// Launch the tasks of a group together, in one executor.
    RunGroup {
        /// The framework that the tasks belong to.
        framework: Arc<Framework>,
        /// The role that their resources are allocated to.
        role: Role,
        /// The tasks; each names the same executor.
        tasks: Vec<Task>,
    },
    /// Kill a task.
    Kill {
        /// The framework that the task belongs to.
        framework: FrameworkId,
        /// The task.
        task: TaskId,
        /// The time that the task has to shut down, if the call says so.
        grace: Option<Duration>,
    },
    /// Shut down an executor and all its tasks.
    ShutdownExecutor {
        /// The framework that the executor belongs to.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
    },
    /// Shut down all executors of a framework, which is completed, and forget it.
    ShutdownFramework(FrameworkId),
    /// Pass a message of a scheduler to its executor.
    Message {
        /// The framework.
        framework: FrameworkId,
        /// The executor.
        executor: ExecutorId,
        /// The payload.
        data: Vec<u8>,
    },
    /// A framework has changed.
    UpdateFramework(Arc<Framework>),
    /// A framework has acknowledged a status.
    Acknowledge {
        /// The framework.
        framework: FrameworkId,
        /// The task that the status is about.
        task: TaskId,
        /// The UUID of the status.
        uuid: Uuid,
    },
    /// An operation on the agent's resources is done: keep the result.
    Operation(Operation),
    /// Drain: the tasks are killed.
    Drain(Drain),
    /// End all tasks, forget the id and exit.
    Shutdown {
        /// The reason for people.
        message: Text,
    },
}

/// The answer of a master to an [`Enrolment`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The id of the agent: a new one, or that which it came with.
    pub agent: AgentId,
    /// The epoch of the master.
    pub epoch: u64,
    /// The time without a ping after which the agent takes the master for lost: the interval of pings times the number that may be
    /// missed.
    pub ping_timeout: Duration,
    /// The frameworks that are completed, whose tasks and executors are to be ended.
    pub completed: Vec<FrameworkId>,
    /// The tasks that are to be ended.
    pub ends: Vec<(FrameworkId, TaskId)>,
}

impl Registered {
    /// Returns an answer of the first epoch, with Mesos' ping time-out of 75 s and with nothing to end.
    #[must_use]
    pub fn new(agent: impl Into<AgentId>) -> Self {
        Self {
            agent: agent.into(),
            epoch: 0,
            ping_timeout: Duration::from_secs(75),
            completed: Vec::new(),
            ends: Vec::new(),
        }
    }
}
