//! The JSON of records: values of the v1 API in their v1 form, with all fields that nobody interprets.

use crate::machine::{AgentRecord, ContainerId, ExecutorKind, ExecutorRecord, Process, Run};
use apportion::v1::part;
use apportion::{Agent, Drain, ExecutorInfo, Framework, Resources, Role, Task, TaskStatus, Uuid};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AgentForm {
    #[serde(with = "part")]
    agent: Agent,
    boot_id: String,
    #[serde(with = "part")]
    checkpointed: Resources,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain: Option<Drain>,
    #[serde(default)]
    epoch: u64,
}

impl From<&AgentRecord> for AgentForm {
    fn from(record: &AgentRecord) -> Self {
        Self {
            agent: record.agent.clone(),
            boot_id: record.boot_id.to_string(),
            checkpointed: record.checkpointed.clone(),
            drain: record.drain,
            epoch: record.epoch,
        }
    }
}

impl From<AgentForm> for AgentRecord {
    fn from(form: AgentForm) -> Self {
        let mut record = Self::new(form.agent, form.boot_id);
        (record.checkpointed, record.drain, record.epoch) = (form.checkpointed, form.drain, form.epoch);
        record
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct FrameworkForm {
    #[serde(with = "part")]
    pub(super) framework: Framework,
}

pub(super) fn framework(framework: &Framework) -> FrameworkForm {
    FrameworkForm { framework: framework.clone() }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecutorForm {
    kind: KindForm,
    role: Role,
    executor_info: ExecutorInfo,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindForm {
    Custom,
    Default,
    Command,
    Docker,
}

impl From<ExecutorKind> for KindForm {
    fn from(kind: ExecutorKind) -> Self {
        match kind {
            ExecutorKind::Custom => Self::Custom,
            ExecutorKind::Default => Self::Default,
            ExecutorKind::Command => Self::Command,
            ExecutorKind::Docker => Self::Docker,
        }
    }
}

impl From<KindForm> for ExecutorKind {
    fn from(kind: KindForm) -> Self {
        match kind {
            KindForm::Custom => Self::Custom,
            KindForm::Default => Self::Default,
            KindForm::Command => Self::Command,
            KindForm::Docker => Self::Docker,
        }
    }
}

impl From<&ExecutorRecord> for ExecutorForm {
    fn from(record: &ExecutorRecord) -> Self {
        Self { kind: record.kind.into(), role: record.role.clone(), executor_info: record.info.clone() }
    }
}

impl ExecutorForm {
    pub(super) fn of(self, run: Run) -> ExecutorRecord {
        ExecutorRecord::new(run, self.kind.into(), self.role, self.executor_info)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProcessForm {
    pid: u32,
    started: u64,
}

impl From<Process> for ProcessForm {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, started: process.started }
    }
}

impl From<ProcessForm> for Process {
    fn from(form: ProcessForm) -> Self {
        Self { pid: form.pid, started: form.started }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TaskForm {
    #[serde(with = "part")]
    pub(super) task: Task,
}

impl From<&Task> for TaskForm {
    fn from(task: &Task) -> Self {
        Self { task: task.clone() }
    }
}

/// A line of `task.updates`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Update(#[serde(with = "boxed")] Box<TaskStatus>),
    Acknowledged(Uuid),
}

mod boxed {
    use apportion::TaskStatus;
    use apportion::v1::part;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(status: &TaskStatus, serializer: S) -> Result<S::Ok, S::Error> {
        part::serialize(status, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<TaskStatus>, D::Error> {
        part::deserialize(deserializer).map(Box::new)
    }
}

pub(super) fn to_json(form: &impl Serialize) -> String {
    serde_json::to_string(form).expect("the keys are text, and all numbers are finite or null")
}

/// Returns the run of folders of these names; none if one of them is no id.
pub(super) fn run(framework: &str, executor: &str, container: &str) -> Run {
    Run { framework: framework.into(), executor: executor.into(), container: ContainerId::new(container) }
}
