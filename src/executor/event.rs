//! [`Event`]: what an executor is told.

use crate::id::TaskId;
use crate::task::{ExecutorInfo, Task};
use crate::uuid::Uuid;
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// What an executor is told: the events of the Mesos v1 executor API, whose JSON is their serde form.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It is registered with its agent.
    Subscribed(Box<Subscribed>),
    /// Start this.
    Launch(Task),
    /// Start these, all or none.
    LaunchGroup(Vec<Task>),
    /// End this.
    Kill {
        /// Which task.
        task: TaskId,
        /// How long it has to end by itself, if something was said of it.
        grace: Option<Duration>,
    },
    /// The agent has a status safe: it need not be told again.
    Acknowledged {
        /// The task that the status was about.
        task: TaskId,
        /// The status.
        uuid: Uuid,
    },
    /// The scheduler has something to say.
    Message(Vec<u8>),
    /// End all tasks, and then itself.
    Shutdown,
    /// Something that it said was turned away.
    Error(String),
    /// The connection lives.
    Heartbeat,
    /// An event of a kind that this crate does not know, whole: to be noted and passed over.
    Unknown(Map<String, Json>),
}

/// An executor's registration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Subscribed {
    /// What its framework says of it.
    pub executor: ExecutorInfo,
    /// What its framework says of itself (Mesos' `FrameworkInfo`), untouched.
    pub framework: Map<String, Json>,
    /// What its agent says of itself (Mesos' `AgentInfo`), untouched.
    pub agent: Map<String, Json>,
    /// The container that it runs in (Mesos' `ContainerID`), if it runs in one.
    pub container: Option<Map<String, Json>>,
}

impl Subscribed {
    /// A registration of that executor, on an agent and for a framework of which nothing is said.
    #[must_use]
    pub fn new(executor: ExecutorInfo) -> Self {
        Self { executor, framework: Map::new(), agent: Map::new(), container: None }
    }
}
