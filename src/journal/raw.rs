//! Commands as they stand in a journal: their shape is checked, their values are not yet.

use crate::agent::Domain;
use crate::attributes::WrittenAttributes;
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::resources::Written;
use crate::uuid::Uuid;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::collections::BTreeMap;

pub(crate) type Amounts = BTreeMap<SmolStr, f64>;

/// One line of input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<f64>,
    #[serde(rename = "do")]
    pub(crate) command: WrittenCommand,
}

/// Declares the body of a command: the fields that it must have, and after `;` those that it may.
macro_rules! body {
    ($name:ident { $($field:ident : $type:ty),* ; $($option:ident : $option_type:ty),* }) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub(crate) $option: Option<$option_type>,)*
        }
    };
}

body!(Configure { ;
    allocation_interval: f64, min_allocatable: Vec<Amounts>, fair_sharing_excluded: Vec<SmolStr>,
    filter_gpu_resources: bool, sorter: WrittenSorter, agent_order: WrittenOrder, domain: Domain, offer_timeout: f64
});
body!(AddAgent { id: AgentId, resources: Written ;
    hostname: SmolStr, attributes: WrittenAttributes, domain: Domain, unavailability: WrittenUnavailability,
    tasks: Vec<WrittenRunning>
});
body!(UpdateAgent { id: AgentId ; resources: Written, attributes: WrittenAttributes, domain: Domain });
body!(Id { id: SmolStr ; });
body!(WrittenFramework { id: FrameworkId, roles: Vec<SmolStr> ;
    name: SmolStr, capabilities: Vec<SmolStr>, suppressed_roles: Vec<SmolStr>,
    offer_filters: IndexMap<SmolStr, WrittenFilter>, offer_constraints: Json
});
body!(WrittenFilter { ; min_allocatable_resources: Vec<Amounts> });
body!(SetWeight { role: SmolStr, weight: f64 ; });
body!(SetQuota { role: SmolStr ; guarantees: Amounts, limits: Amounts });
body!(SetWhitelist { hostnames: Option<Vec<SmolStr>> ; });
body!(Roles { framework: FrameworkId ; roles: Vec<SmolStr> });
body!(WrittenAccept { framework: FrameworkId, offers: Vec<OfferId>, operations: Vec<WrittenOperation> ;
    refuse_seconds: f64, feedback: BTreeMap<usize, OperationId>
});
body!(Answer { framework: FrameworkId, offers: Vec<OfferId> ; refuse_seconds: f64 });
body!(WrittenStatus { framework: FrameworkId, task: TaskId, state: SmolStr ; reason: SmolStr, message: SmolStr });
body!(Kill { framework: FrameworkId, task: TaskId ; grace: f64 });
body!(Acknowledge { framework: FrameworkId, agent: AgentId, task: TaskId, uuid: Uuid ; });
body!(WrittenMessage { framework: FrameworkId, agent: AgentId, executor: ExecutorId, data: Bytes ; });
body!(WrittenExecutor { framework: FrameworkId, agent: AgentId, executor: ExecutorId ; });
body!(WrittenEnd { framework: FrameworkId, agent: AgentId, executor: ExecutorId, status: i32 ; });
body!(ReconcileOperations { framework: FrameworkId, operations: Vec<WrittenReference> ; });
body!(WrittenReference { operation: OperationId ; agent: AgentId });
body!(Reconcile { framework: FrameworkId ; tasks: Vec<TaskId> });
body!(Operate { agent: AgentId, operations: Vec<WrittenOperation> ; });
body!(SetMaintenance { agent: AgentId, unavailability: Option<WrittenUnavailability> ; });
body!(Explain { framework: FrameworkId ; role: SmolStr, agent: AgentId });
body!(Nothing { ; });
body!(WrittenUnavailability { start: f64 ; duration: f64 });
body!(WrittenRunning { id: TaskId, framework: FrameworkId, role: SmolStr, resources: Written ; });
body!(Tasks { tasks: Vec<WrittenTask> ; });
body!(Taken { resources: Written ; });
body!(Volumes { volumes: Written ; });
body!(Grow { volume: Written, addition: Written ; });
body!(Shrink { volume: Written, subtract: f64 ; });

/// A task: further fields are kept as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WrittenTask {
    pub(crate) id: TaskId,
    pub(crate) resources: Written,
    #[serde(flatten)]
    pub(crate) details: Map<String, Json>,
}

/// The order in which roles and frameworks are served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"drf\", \"hdrf\", \"random\" or {\"random\": SEED}")]
pub(crate) enum WrittenSorter {
    Name(SmolStr),
    Random { random: u64 },
}

/// The order in which agents are given away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"insertion\" or {\"shuffle\": SEED}")]
pub(crate) enum WrittenOrder {
    Name(SmolStr),
    Shuffle { shuffle: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WrittenOperation {
    Launch(Tasks),
    LaunchGroup(Tasks),
    Reserve(Taken),
    Unreserve(Taken),
    Create(Volumes),
    Destroy(Volumes),
    GrowVolume(Grow),
    ShrinkVolume(Shrink),
}

/// Every command of a journal, by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WrittenCommand {
    Configure(Configure),
    AddAgent(Box<AddAgent>),
    UpdateAgent(Box<UpdateAgent>),
    RemoveAgent(Id),
    DeactivateAgent(Id),
    ActivateAgent(Id),
    AddFramework(Box<WrittenFramework>),
    UpdateFramework(Box<WrittenFramework>),
    RemoveFramework(Id),
    DeactivateFramework(Id),
    ActivateFramework(Id),
    SetWeight(SetWeight),
    SetQuota(SetQuota),
    SetWhitelist(SetWhitelist),
    Suppress(Roles),
    Revive(Roles),
    Accept(WrittenAccept),
    Decline(Answer),
    TaskStatus(WrittenStatus),
    Kill(Kill),
    Reconcile(Reconcile),
    Operate(Operate),
    SetMaintenance(SetMaintenance),
    AcceptInverseOffer(Answer),
    DeclineInverseOffer(Answer),
    Subscribe(Box<WrittenFramework>),
    Acknowledge(Acknowledge),
    Message(WrittenMessage),
    Shutdown(WrittenExecutor),
    ReconcileOperations(ReconcileOperations),
    ExecutorMessage(WrittenMessage),
    ExecutorEnded(WrittenEnd),
    Advance(Nothing),
    Explain(Explain),
    State(Nothing),
}

impl WrittenCommand {
    /// The name of the command in a journal.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Configure(_) => "configure",
            Self::AddAgent(_) => "add_agent",
            Self::UpdateAgent(_) => "update_agent",
            Self::RemoveAgent(_) => "remove_agent",
            Self::DeactivateAgent(_) => "deactivate_agent",
            Self::ActivateAgent(_) => "activate_agent",
            Self::AddFramework(_) => "add_framework",
            Self::UpdateFramework(_) => "update_framework",
            Self::RemoveFramework(_) => "remove_framework",
            Self::DeactivateFramework(_) => "deactivate_framework",
            Self::ActivateFramework(_) => "activate_framework",
            Self::SetWeight(_) => "set_weight",
            Self::SetQuota(_) => "set_quota",
            Self::SetWhitelist(_) => "set_whitelist",
            Self::Suppress(_) => "suppress",
            Self::Revive(_) => "revive",
            Self::Accept(_) => "accept",
            Self::Decline(_) => "decline",
            Self::TaskStatus(_) => "task_status",
            Self::Kill(_) => "kill",
            Self::Reconcile(_) => "reconcile",
            Self::Operate(_) => "operate",
            Self::SetMaintenance(_) => "set_maintenance",
            Self::AcceptInverseOffer(_) => "accept_inverse_offer",
            Self::DeclineInverseOffer(_) => "decline_inverse_offer",
            Self::Subscribe(_) => "subscribe",
            Self::Acknowledge(_) => "acknowledge",
            Self::Message(_) => "message",
            Self::Shutdown(_) => "shutdown",
            Self::ReconcileOperations(_) => "reconcile_operations",
            Self::ExecutorMessage(_) => "executor_message",
            Self::ExecutorEnded(_) => "executor_ended",
            Self::Advance(_) => "advance",
            Self::Explain(_) => "explain",
            Self::State(_) => "state",
        }
    }
}
