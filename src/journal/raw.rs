//! The serde types of journal input. Reading one checks names and JSON types; `decode` then checks the values.

use crate::agent::Domain;
use crate::attributes::WrittenAttributes;
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::json::{Number, Object};
use crate::resources::Written;
use crate::uuid::Uuid;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::collections::BTreeMap;

pub(crate) type Amounts = Object<Number>;

/// One line of input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct RawLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Number>,
    #[serde(rename = "do")]
    pub(crate) command: RawCommand,
}

/// Declares the body of a command: required fields and, after `;`, optional ones. Unknown fields are errors.
macro_rules! body {
    ($name:ident { $($field:ident : $type:ty),* ; $($option:ident : $option_type:ty),* }) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, expecting = "an object")]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub(crate) $option: Option<$option_type>,)*
        }
    };
}

body!(Configure { ;
    allocation_interval: Number, min_allocatable: Vec<Amounts>, fair_sharing_excluded: Vec<SmolStr>,
    filter_gpu_resources: bool, sorter: RawSorter, agent_order: RawOrder, domain: Domain, offer_timeout: Number
});
body!(AddAgent { id: AgentId, resources: Written ;
    hostname: SmolStr, attributes: WrittenAttributes, domain: Domain, unavailability: RawUnavailability,
    tasks: Vec<RawRunningTask>
});
body!(UpdateAgent { id: AgentId ; resources: Written, attributes: WrittenAttributes, domain: Domain });
body!(Id { id: SmolStr ; });
body!(RawFramework { id: FrameworkId, roles: Vec<SmolStr> ;
    name: SmolStr, capabilities: Vec<SmolStr>, suppressed_roles: Vec<SmolStr>,
    offer_filters: IndexMap<SmolStr, RawFilter>, offer_constraints: Json
});
body!(RawFilter { ; min_allocatable_resources: Vec<Amounts> });
body!(SetWeight { role: SmolStr, weight: f64 ; });
body!(SetQuota { role: SmolStr ; guarantees: Amounts, limits: Amounts });
body!(SetWhitelist { hostnames: Option<Vec<SmolStr>> ; });
body!(FrameworkRoles { framework: FrameworkId ; roles: Vec<SmolStr> });
body!(RawAccept { framework: FrameworkId, offers: Vec<OfferId>, operations: Vec<RawOperation> ;
    refuse_seconds: f64, feedback: BTreeMap<usize, OperationId>
});
body!(OfferAnswer { framework: FrameworkId, offers: Vec<OfferId> ; refuse_seconds: f64 });
body!(RawStatus { framework: FrameworkId, task: TaskId, state: SmolStr ; reason: SmolStr, message: SmolStr });
body!(Kill { framework: FrameworkId, task: TaskId ; grace: Number });
body!(Acknowledge { framework: FrameworkId, agent: AgentId, task: TaskId, uuid: Uuid ; });
body!(RawMessage { framework: FrameworkId, agent: AgentId, executor: ExecutorId, data: Bytes ; });
body!(RawExecutor { framework: FrameworkId, agent: AgentId, executor: ExecutorId ; });
body!(ExecutorEnded { framework: FrameworkId, agent: AgentId, executor: ExecutorId, status: i32 ; });
body!(ReconcileOperations { framework: FrameworkId, operations: Vec<RawOperationRef> ; });
body!(RawOperationRef { operation: OperationId ; agent: AgentId });
body!(Reconcile { framework: FrameworkId ; tasks: Vec<TaskId> });
body!(Operate { agent: AgentId, operations: Vec<RawOperation> ; });
body!(SetMaintenance { agent: AgentId, unavailability: Option<RawUnavailability> ; });
body!(Explain { framework: FrameworkId ; role: SmolStr, agent: AgentId });
body!(Empty { ; });
body!(RawUnavailability { start: Number ; duration: Number });
body!(RawRunningTask { id: TaskId, framework: FrameworkId, role: SmolStr, resources: Written ; });
body!(TaskList { tasks: Vec<RawTask> ; });
body!(ResourceList { resources: Written ; });
body!(VolumeList { volumes: Written ; });
body!(Grow { volume: Written, addition: Written ; });
body!(Shrink { volume: Written, subtract: Number ; });

/// A task; other fields are kept as its details.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub(crate) struct RawTask {
    pub(crate) id: TaskId,
    pub(crate) resources: Written,
    #[serde(flatten)]
    pub(crate) details: Map<String, Json>,
}

/// The sorter of roles and frameworks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"drf\", \"hdrf\", \"random\" or {\"random\": SEED}")]
pub(crate) enum RawSorter {
    Name(SmolStr),
    Random { random: u64 },
}

/// The order in which a batch visits agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"insertion\" or {\"shuffle\": SEED}")]
pub(crate) enum RawOrder {
    Name(SmolStr),
    Shuffle { shuffle: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawOperation {
    Launch(TaskList),
    LaunchGroup(TaskList),
    Reserve(ResourceList),
    Unreserve(ResourceList),
    Create(VolumeList),
    Destroy(VolumeList),
    GrowVolume(Grow),
    ShrinkVolume(Shrink),
}

/// A command of a journal, tagged with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawCommand {
    Configure(Configure),
    AddAgent(Box<AddAgent>),
    UpdateAgent(Box<UpdateAgent>),
    RemoveAgent(Id),
    DeactivateAgent(Id),
    ActivateAgent(Id),
    AddFramework(Box<RawFramework>),
    UpdateFramework(Box<RawFramework>),
    RemoveFramework(Id),
    DeactivateFramework(Id),
    ActivateFramework(Id),
    SetWeight(SetWeight),
    SetQuota(SetQuota),
    SetWhitelist(SetWhitelist),
    Suppress(FrameworkRoles),
    Revive(FrameworkRoles),
    Accept(RawAccept),
    Decline(OfferAnswer),
    TaskStatus(RawStatus),
    Kill(Kill),
    Reconcile(Reconcile),
    Operate(Operate),
    SetMaintenance(SetMaintenance),
    AcceptInverseOffer(OfferAnswer),
    DeclineInverseOffer(OfferAnswer),
    Subscribe(Box<RawFramework>),
    Acknowledge(Acknowledge),
    Message(RawMessage),
    Shutdown(RawExecutor),
    ReconcileOperations(ReconcileOperations),
    ExecutorMessage(RawMessage),
    ExecutorEnded(ExecutorEnded),
    Advance(Empty),
    Explain(Explain),
    State(Empty),
}

impl RawCommand {
    /// Returns the command's name in a journal.
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
