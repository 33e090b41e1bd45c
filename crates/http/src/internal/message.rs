//! The messages of the internal protocol: [`AgentCall`] to the master, [`MasterEvent`] from it.

use super::form::{base64, nanoseconds};
use apportion::delivery::AgentMessage;
use apportion::v1::part;
use apportion::{
    Agent, AgentId, Drain, ExecutorId, ExecutorInfo, Framework, FrameworkId, Operation, Resources, Role, Task, TaskId,
    TaskState, TaskStatus, Uuid,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A call of an agent: `{"type": "PONG", "body": {"seq": 7}}`.
///
/// [`Register`](Self::Register) and [`Reregister`](Self::Reregister) open the stream of events; all other calls belong to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum AgentCall {
    /// An agent that has no id yet asks for one.
    Register(Box<Register>),
    /// An agent that has an id returns, with all that it runs.
    Reregister(Box<Reregister>),
    /// The answer to a [`MasterEvent::Ping`].
    Pong {
        /// The number of the ping.
        seq: u64,
    },
    /// A task has a new state. The agent repeats it until it is [acknowledged](MasterEvent::Acknowledge).
    StatusUpdate {
        /// The framework that the task belongs to.
        framework_id: FrameworkId,
        /// The status.
        #[serde(with = "part")]
        status: TaskStatus,
        /// The latest state of the task, which may be later than that of the status: statuses go one after the other.
        latest_state: TaskState,
    },
    /// An executor has ended. The statuses of its tasks come first.
    ExecutorExited {
        /// The framework that the executor belongs to.
        framework_id: FrameworkId,
        /// The executor.
        executor_id: ExecutorId,
        /// The status of its process, as wait(2) encodes it: 256 times the exit code, or the number of the signal.
        status: i32,
    },
    /// A message of an executor to its framework.
    Message {
        /// The framework that the executor belongs to.
        framework_id: FrameworkId,
        /// The executor.
        executor_id: ExecutorId,
        /// The payload.
        #[serde(with = "base64")]
        data: Vec<u8>,
    },
    /// The total of the agent has changed, as when an operation could not be kept.
    UpdateResources {
        /// The whole total, with reservations and volumes.
        #[serde(with = "part")]
        resources: Resources,
    },
    /// The agent ends for good: its tasks are lost.
    Unregister,
}

impl AgentCall {
    /// Returns the type of the call: `REGISTER`, `PONG`, ...
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Register(_) => "REGISTER",
            Self::Reregister(_) => "REREGISTER",
            Self::Pong { .. } => "PONG",
            Self::StatusUpdate { .. } => "STATUS_UPDATE",
            Self::ExecutorExited { .. } => "EXECUTOR_EXITED",
            Self::Message { .. } => "MESSAGE",
            Self::UpdateResources { .. } => "UPDATE_RESOURCES",
            Self::Unregister => "UNREGISTER",
        }
    }
}

/// The description of an agent, and where it is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Register {
    /// The agent as it is now. Its resources are the total, with the reservations and the volumes that it has kept. The id is
    /// empty as long as the master has given none.
    #[serde(with = "part")]
    pub agent_info: Agent,
    /// The address that frameworks and operators reach the agent by.
    pub ip: IpAddr,
    /// The port that they reach it by.
    pub port: u16,
    /// The version of the agent's program, as Mesos' are written: `1.11.0`.
    pub version: String,
    /// Drawn once when the agent starts: a repeated registration with the same nonce gets the same id.
    pub nonce: Uuid,
}

impl Register {
    /// Describes an agent that is reached by that address.
    #[must_use]
    pub fn new(agent_info: Agent, address: SocketAddr, nonce: Uuid) -> Self {
        let version = crate::Settings::VERSION.to_owned();
        Self { agent_info, ip: address.ip(), port: address.port(), version, nonce }
    }
}

/// An agent that returns, with what runs on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reregister {
    /// The agent, with its id.
    pub registration: Register,
    /// The frameworks that the executors and the tasks belong to.
    #[serde(default, with = "part")]
    pub frameworks: Vec<Framework>,
    /// The executors that have not ended.
    #[serde(default)]
    pub executors: Vec<ReportedExecutor>,
    /// All tasks but those of which a terminal status was acknowledged.
    #[serde(default)]
    pub tasks: Vec<ReportedTask>,
    /// The highest epoch of a master that the agent has seen; 0 for none.
    #[serde(default)]
    pub epoch: u64,
}

impl Reregister {
    /// Describes an agent that returns, and on which nothing runs.
    #[must_use]
    pub fn new(registration: Register) -> Self {
        Self { registration, frameworks: Vec::new(), executors: Vec::new(), tasks: Vec::new(), epoch: 0 }
    }
}

/// An executor that an agent runs when it returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedExecutor {
    /// The framework that the executor belongs to.
    pub framework_id: FrameworkId,
    /// The executor. Its resources are those that it holds itself, besides those of its tasks; its role is the one that they are
    /// allocated to. Those that the agent adds for executors of its own are not counted.
    pub executor_info: ExecutorInfo,
}

impl ReportedExecutor {
    /// Describes an executor of that framework.
    #[must_use]
    pub fn new(framework_id: impl Into<FrameworkId>, executor_info: ExecutorInfo) -> Self {
        Self { framework_id: framework_id.into(), executor_info }
    }
}

/// A task that an agent has when it returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedTask {
    /// The framework that the task belongs to.
    pub framework_id: FrameworkId,
    /// The task as it was launched, with the role that it is allocated to.
    #[serde(with = "part")]
    pub task: Task,
    /// The executor that runs it, if the task names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_id: Option<ExecutorId>,
    /// The latest state.
    pub latest_state: TaskState,
    /// The state that the framework was told last, if it was told any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_update_state: Option<TaskState>,
    /// The id of that status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_update_uuid: Option<Uuid>,
}

impl ReportedTask {
    /// Describes a task of that framework, of which nothing was told yet.
    #[must_use]
    pub fn new(framework_id: impl Into<FrameworkId>, task: Task, latest_state: TaskState) -> Self {
        let framework_id = framework_id.into();
        let (executor_id, status_update_state, status_update_uuid) = (None, None, None);
        Self { framework_id, task, executor_id, latest_state, status_update_state, status_update_uuid }
    }
}

/// A record of the stream to an agent: `{"type": "PING", "body": {"seq": 7, "connected": true}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum MasterEvent {
    /// The first event of a stream that [`AgentCall::Register`] has opened.
    Registered(Welcome),
    /// The first event of a stream that [`AgentCall::Reregister`] has opened. Tasks that must end are killed after it.
    Reregistered(Welcome),
    /// Answer with a [`AgentCall::Pong`]. An agent that hears none for [the time of all](Welcome::ping_limit) returns anew.
    Ping {
        /// The number of the ping.
        seq: u64,
        /// False if the master takes the agent for disconnected: it is to return anew.
        connected: bool,
    },
    /// Launch a task. The detail `executor` of the task is its executor, if it names one. A task that is known is not launched
    /// again.
    Run {
        /// The framework that the task belongs to.
        #[serde(with = "part")]
        framework_info: Framework,
        /// The task, with the role that its resources are allocated to.
        #[serde(with = "part")]
        task: Task,
    },
    /// Launch the tasks of a group in the executor that all of them name.
    RunGroup {
        /// The framework that the tasks belong to.
        #[serde(with = "part")]
        framework_info: Framework,
        /// The tasks, with the role that their resources are allocated to.
        #[serde(with = "part")]
        tasks: Vec<Task>,
    },
    /// Kill a task. A task that is not known has ended: its last status is told again, or it is lost.
    Kill {
        /// The framework that the task belongs to.
        framework_id: FrameworkId,
        /// The task.
        task_id: TaskId,
        /// The time that the task has to shut down, if the framework or a drain said so.
        #[serde(default, with = "nanoseconds", skip_serializing_if = "Option::is_none")]
        grace_period: Option<Duration>,
    },
    /// Shut down an executor and all its tasks.
    ShutdownExecutor {
        /// The framework that the executor belongs to.
        framework_id: FrameworkId,
        /// The executor.
        executor_id: ExecutorId,
    },
    /// Shut down all executors and tasks of a framework that is removed.
    ShutdownFramework {
        /// The framework.
        framework_id: FrameworkId,
    },
    /// Pass a message of a framework to its executor.
    Message {
        /// The framework.
        framework_id: FrameworkId,
        /// The executor.
        executor_id: ExecutorId,
        /// The payload.
        #[serde(with = "base64")]
        data: Vec<u8>,
    },
    /// A framework has another description.
    UpdateFramework {
        /// The framework.
        #[serde(with = "part")]
        framework_info: Framework,
    },
    /// A framework has acknowledged a status: stop repeating it.
    Acknowledge {
        /// The framework.
        framework_id: FrameworkId,
        /// The task that the status is about.
        task_id: TaskId,
        /// The id of the status.
        uuid: Uuid,
    },
    /// Keep the result of an operation on the agent's resources: the master has decided it already.
    ApplyOperation {
        /// The framework; none for an operator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        framework_id: Option<FrameworkId>,
        /// The operation.
        #[serde(with = "part")]
        operation: Operation,
    },
    /// Drain: the tasks are killed by events of their own, which follow.
    Drain(Drain),
    /// Shut down for good: end all tasks, forget the id, and exit.
    Shutdown {
        /// The reason for people.
        message: String,
    },
    /// The registration is refused. The stream ends.
    Error {
        /// The reason for people.
        message: String,
    },
}

impl MasterEvent {
    /// Returns the event that takes a message to an agent; `None` for what the stream itself says.
    #[must_use]
    pub fn of(agent: &AgentId, message: AgentMessage) -> Option<Self> {
        let allocated = |mut task: Task, role: &Role| {
            (task.agent, task.role) = (Some(agent.clone()), Some(role.clone()));
            task
        };
        Some(match message {
            AgentMessage::Launch { framework, role, task } => {
                Self::Run { framework_info: Framework::clone(&framework), task: allocated(task, &role) }
            }
            AgentMessage::LaunchGroup { framework, role, tasks } => Self::RunGroup {
                framework_info: Framework::clone(&framework),
                tasks: tasks.into_iter().map(|task| allocated(task, &role)).collect(),
            },
            AgentMessage::Kill { framework, task, grace } => {
                Self::Kill { framework_id: framework, task_id: task, grace_period: grace }
            }
            AgentMessage::Acknowledge { framework, task, uuid } => {
                Self::Acknowledge { framework_id: framework, task_id: task, uuid }
            }
            AgentMessage::Message { framework, executor, data } => {
                Self::Message { framework_id: framework, executor_id: executor, data }
            }
            AgentMessage::ShutdownExecutor { framework, executor } => {
                Self::ShutdownExecutor { framework_id: framework, executor_id: executor }
            }
            AgentMessage::ShutdownFramework { framework } => Self::ShutdownFramework { framework_id: framework },
            AgentMessage::Operation { framework, operation } => {
                Self::ApplyOperation { framework_id: framework, operation }
            }
            AgentMessage::Drain(drain) => Self::Drain(drain),
            AgentMessage::Shutdown { message } => Self::Shutdown { message: message.to_owned() },
            AgentMessage::Registered(_) | AgentMessage::Close(_) | _ => return None, // the stream says these
        })
    }

    /// Returns the tasks that the event launches.
    #[expect(clippy::wildcard_enum_match_arm, reason = "two events launch tasks")]
    pub(crate) fn launches(&self) -> Vec<(FrameworkId, TaskId)> {
        match self {
            Self::Run { framework_info, task } => vec![(framework_info.id.clone(), task.id.clone())],
            Self::RunGroup { framework_info, tasks } => {
                tasks.iter().map(|task| (framework_info.id.clone(), task.id.clone())).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a master tells an agent that has registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Welcome {
    /// The id of the agent.
    pub agent_id: AgentId,
    /// The epoch of the master: a later leader has a higher one.
    pub epoch: u64,
    /// The interval of pings.
    #[serde(with = "nanoseconds")]
    pub ping_interval: Duration,
    /// The number of pings in a row that may be missed.
    pub max_ping_timeouts: u32,
}

impl Welcome {
    /// Describes a master that pings at that interval, and takes an agent for unreachable after so many pings that it has missed.
    #[must_use]
    pub fn new(agent_id: impl Into<AgentId>, epoch: u64, ping_interval: Duration, max_ping_timeouts: u32) -> Self {
        Self { agent_id: agent_id.into(), epoch, ping_interval, max_ping_timeouts }
    }

    /// Returns the time without a ping after which an agent takes its connection for broken.
    #[must_use]
    pub fn ping_limit(&self) -> Duration {
        self.ping_interval.saturating_mul(self.max_ping_timeouts)
    }
}
