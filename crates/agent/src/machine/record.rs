//! [`Record`]: what an agent keeps on disk, and [`Recovered`]: what it finds there when it starts.

use apportion::{
    Agent, AgentId, Drain, ExecutorId, ExecutorInfo, Framework, FrameworkId, Resources, Role, Task, TaskId, TaskStatus,
    Text, Uuid,
};
use std::fmt;
use std::sync::Arc;

/// The id of a container: one run of one executor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(Text);

impl ContainerId {
    /// Returns the id of that text.
    #[must_use]
    pub fn new(id: impl Into<Text>) -> Self {
        Self(id.into())
    }

    /// Returns the id as text: a UUID, if it is one of this agent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run of an executor, as sandboxes and checkpoints are ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a path has these parts")]
pub struct Run {
    /// The framework that the executor belongs to.
    pub framework: FrameworkId,
    /// The executor.
    pub executor: ExecutorId,
    /// Its container.
    pub container: ContainerId,
}

/// A process, known again after a restart of the agent: a pid is used again, but not with the same start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a process is known by these two")]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The time of its start since boot, in clock ticks: the 22nd field of `/proc/PID/stat`.
    pub started: u64,
}

/// The kind of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutorKind {
    /// An executor of its framework: a program that the framework names.
    Custom,
    /// The built-in executor of task groups (`type: DEFAULT`).
    Default,
    /// The built-in executor that runs one task's command as a process.
    Command,
    /// The built-in executor that runs one task as a Docker container.
    Docker,
}

impl ExecutorKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Custom, Self::Default, Self::Command, Self::Docker];

    /// Returns whether the agent has made the executor for one task. The master does not know such executors.
    #[must_use]
    pub fn is_of_one_task(self) -> bool {
        match self {
            Self::Command | Self::Docker => true,
            Self::Custom | Self::Default => false,
        }
    }

    /// Returns its name, as the subcommand of the built-in executors has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Default => "default",
            Self::Command => "command",
            Self::Docker => "docker",
        }
    }
}

/// What an agent keeps on disk.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// The agent itself. It replaces the one before; a new id replaces `latest`.
    Agent(Box<AgentRecord>),
    /// A framework, new or changed.
    Framework(Arc<Framework>),
    /// A run of an executor, before it is launched.
    Executor(Box<ExecutorRecord>),
    /// The process of a run.
    Process(Run, Process),
    /// A task of a run, before it is handed to the executor.
    Task(Run, Box<Task>),
    /// A status of a task, before the executor is told that it is stored.
    Update(Run, Box<TaskStatus>),
    /// A status that its framework has acknowledged.
    Acknowledged(Run, TaskId, Uuid),
    /// A task whose terminal status is acknowledged: its files can go.
    ForgetTask(Run, TaskId),
    /// A run that has ended, with nothing left to tell: its files can go.
    ForgetRun(Run),
    /// A framework without executors: its files can go.
    ForgetFramework(FrameworkId),
    /// The agent gives up its id: `latest` goes.
    ForgetAgent,
    /// Nothing of the agents of before is left: their files can go.
    ForgetStrays,
}

/// The agent as it is kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentRecord {
    /// The agent as it was started, with its id.
    pub agent: Agent,
    /// The boot of the machine that it was started in.
    pub boot_id: Text,
    /// The resources that operations have made: those with a dynamic reservation, and persistent volumes.
    pub checkpointed: Resources,
    /// How it drains, if it does.
    pub drain: Option<Drain>,
    /// The highest epoch of a master that it has seen.
    pub epoch: u64,
}

impl AgentRecord {
    /// Returns the record of an agent that no operation has changed and that does not drain.
    #[must_use]
    pub fn new(agent: Agent, boot_id: impl Into<Text>) -> Self {
        Self { agent, boot_id: boot_id.into(), checkpointed: Resources::new(), drain: None, epoch: 0 }
    }
}

/// A run of an executor as it is kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecutorRecord {
    /// The run.
    pub run: Run,
    /// Its kind.
    pub kind: ExecutorKind,
    /// The role that the resources of its tasks are allocated to.
    pub role: Role,
    /// The executor as it was launched.
    pub info: ExecutorInfo,
}

impl ExecutorRecord {
    /// Returns the record of a run.
    #[must_use]
    pub fn new(run: Run, kind: ExecutorKind, role: Role, info: ExecutorInfo) -> Self {
        Self { run, kind, role, info }
    }
}

/// What an agent finds on disk when it starts.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// The id of the agent; `None` if it has never been registered or has given up its id.
    pub id: Option<AgentId>,
    /// The agent of that id; `None` if it cannot be read.
    pub agent: Option<AgentRecord>,
    /// Its frameworks, in order of their ids.
    pub frameworks: Vec<RecoveredFramework>,
    /// Runs of agents of before on this machine, which still may have a process.
    pub strays: Vec<Stray>,
}

/// A run of which nobody wants to hear: it is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what it takes to find a run")]
pub struct Stray {
    /// The run.
    pub run: Run,
    /// Its process, if it is known.
    pub process: Option<Process>,
}

/// A framework on disk.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecoveredFramework {
    /// Its id.
    pub id: FrameworkId,
    /// The framework; `None` if it cannot be read. Its executors are ended then.
    pub framework: Option<Framework>,
    /// The runs of its executors, in order of their ids.
    pub runs: Vec<RecoveredRun>,
}

impl RecoveredFramework {
    /// Returns a framework without executors.
    #[must_use]
    pub fn new(id: impl Into<FrameworkId>, framework: Option<Framework>) -> Self {
        Self { id: id.into(), framework, runs: Vec::new() }
    }
}

/// A run of an executor on disk.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecoveredRun {
    /// The run.
    pub run: Run,
    /// The executor; `None` if it cannot be read.
    pub record: Option<ExecutorRecord>,
    /// True if something of it cannot be read. It is ended then.
    pub is_broken: bool,
    /// Its process, if one was started.
    pub process: Option<Process>,
    /// Its tasks, in order of their ids.
    pub tasks: Vec<RecoveredTask>,
}

impl RecoveredRun {
    /// Returns a run without a process and without tasks.
    #[must_use]
    pub fn new(run: Run, record: Option<ExecutorRecord>) -> Self {
        let is_broken = record.is_none();
        Self { run, record, is_broken, process: None, tasks: Vec::new() }
    }
}

/// A task on disk.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecoveredTask {
    /// The task.
    pub task: Task,
    /// Its statuses, in order of coming.
    pub updates: Vec<TaskStatus>,
    /// The UUIDs of those that are acknowledged.
    pub acknowledged: Vec<Uuid>,
}

impl RecoveredTask {
    /// Returns a task without statuses.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self { task, updates: Vec::new(), acknowledged: Vec::new() }
    }
}
