//! The serde types of journal input. Reading one checks names and JSON types; `decode` then checks the values.

use crate::agent::Domain;
use crate::allocator::Snapshot;
use crate::attributes::WrittenAttributes;
use crate::bytes::Bytes;
use crate::details::{Details, read_with_details};
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::json::Json;
use crate::json::{Number, Object};
use crate::resources::Written;
use crate::text::Text;
use crate::uuid::Uuid;
use indexmap::IndexMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
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

/// Declares the body of a command with the framework that it is for, and the same without.
macro_rules! of_framework {
    ($name:ident, $lone:ident { $($field:ident : $type:ty),* ; $($option:ident : $option_type:ty),* }) => {
        body!($name { framework: FrameworkId, $($field: $type),* ; $($option: $option_type),* });
        body!($lone { $($field: $type),* ; $($option: $option_type),* });

        impl $lone {
            pub(crate) fn of(self, framework: FrameworkId) -> $name {
                $name { framework, $($field: self.$field,)* $($option: self.$option,)* }
            }
        }

        impl From<$name> for $lone {
            fn from(whole: $name) -> Self {
                Self { $($field: whole.$field,)* $($option: whole.$option,)* }
            }
        }
    };
}

body!(Configure { ;
    format: u64, allocation_interval: Number, min_allocatable: Vec<Amounts>, fair_sharing_excluded: Vec<Text>,
    filter_gpu_resources: bool, sorter: RawSorter, agent_order: RawOrder, domain: Domain, offer_timeout: Number,
    timeout_refusal: Number, max_offer: Amounts, id_prefix: Text, remembered: RawRemembered
});
body!(RawRemembered { ; frameworks: usize, unreachable_tasks: usize, agents: usize });
body!(AddAgent { id: AgentId, resources: Written ;
    hostname: Text, attributes: WrittenAttributes, domain: Domain, unavailability: RawUnavailability,
    tasks: Vec<RawRunningTask>, executors: Vec<RawRunningExecutor>
});
body!(UpdateAgent { id: AgentId ; resources: Written, attributes: WrittenAttributes, domain: Domain });
body!(Id { id: Text ; });
body!(RawFramework { id: FrameworkId, roles: Vec<Text> ;
    name: Text, capabilities: Vec<Text>, suppressed_roles: Vec<Text>,
    offer_filters: IndexMap<Text, RawFilter>, offer_constraints: Json, failover_timeout: Number, checkpoint: bool,
    max_offers: RawCount, offer_timeout: Number, principal: Text, user: Text, hostname: Json, webui_url: Json, labels: Json,
    details: Details,
    framework: FrameworkId, give_up_after: Number
});
body!(RawDrain { ; max_grace_period: Number, mark_gone: bool });
body!(DrainAgent { id: AgentId ; max_grace_period: Number, mark_gone: bool });
body!(Recover { agents: Vec<AgentId> ; factor: Number, timeout: Number });
body!(RawFilter { ; min_allocatable_resources: Vec<Amounts> });
body!(SetWeight { role: Text, weight: f64 ; });
body!(SetQuota { role: Text ; guarantees: Amounts, limits: Amounts });
body!(SetWhitelist { hostnames: Option<Vec<Text>> ; });
body!(FrameworkRoles { framework: FrameworkId ; roles: Vec<Text> });
of_framework!(RawAccept, LoneAccept { offers: Vec<OfferId>, operations: Vec<RawOperation> ;
    refuse_seconds: f64, feedback: BTreeMap<usize, OperationId>, each: bool, role: Text, agent: AgentId
});
body!(OfferAnswer { framework: FrameworkId, offers: Vec<OfferId> ; refuse_seconds: f64, each: bool });
of_framework!(RawStatus, LoneStatus { task: TaskId, state: Text ;
    reason: Text, message: Text, agent: AgentId, source: Text, uuid: Uuid, data: Bytes, healthy: bool,
    timestamp: f64, executor: ExecutorId, container_status: Json, check_status: Json, labels: Json, limitation: Json,
    unreachable_time: Json, details: Details
});
body!(Kill { framework: FrameworkId, task: TaskId ; grace: Number, agent: AgentId });
body!(RawRequest { framework: FrameworkId, offers: RawCount ; roles: Vec<Text>, each: Amounts, most: Amounts, agents: Vec<AgentId>,
    if_suppressed: bool });
body!(InvalidCall { framework: FrameworkId, kind: Text, given: Json, error: Text ; });
body!(AcknowledgeOperation { framework: FrameworkId, operation: OperationId, uuid: Uuid ; agent: AgentId });
body!(Acknowledge { framework: FrameworkId, agent: AgentId, task: TaskId, uuid: Uuid ; });
body!(RawMessage { framework: FrameworkId, agent: AgentId, executor: ExecutorId, data: Bytes ; });
body!(RawExecutor { framework: FrameworkId, agent: AgentId, executor: ExecutorId ; });
body!(ExecutorEnded { framework: FrameworkId, agent: AgentId, executor: ExecutorId, status: i32 ; });
body!(ReconcileOperations { framework: FrameworkId, operations: Vec<RawOperationRef> ; });
body!(RawOperationRef { operation: OperationId ; agent: AgentId });
body!(Reconcile { framework: FrameworkId ; tasks: Vec<RawTaskRef> });
body!(TaskOnAgent { task: TaskId ; agent: AgentId });
body!(Operate { agent: AgentId, operations: Vec<RawOperation> ; });
body!(SetMaintenance { agent: AgentId, unavailability: Option<RawUnavailability> ; });
body!(Explain { framework: FrameworkId ; role: Text, agent: AgentId });
body!(Empty { ; });
body!(Restore { snapshot: Snapshot ; });
body!(RawUnavailability { start: Number ; duration: Number });
body!(RawRunningExecutor { id: ExecutorId, framework: FrameworkId, role: Text, resources: Written ; });
body!(TaskList { tasks: Vec<RawTask> ; });
body!(TaskGroup { tasks: Vec<RawTask> ; executor: Json });
body!(ResourceList { resources: Written ; });
body!(VolumeList { volumes: Written ; });
body!(Grow { volume: Written, addition: Written ; });
body!(Shrink { volume: Written, subtract: Number ; });

/// A task; other fields are kept as its details.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RawTask {
    pub(crate) id: TaskId,
    pub(crate) resources: Written,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Text>,
    #[serde(flatten)]
    pub(crate) details: Details,
}

read_with_details!(RawTask { id: TaskId, resources: Written ; agent: AgentId, role: Text ; ; details });

/// A task that comes with its agent; other fields are kept as its details.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RawRunningTask {
    pub(crate) id: TaskId,
    pub(crate) framework: FrameworkId,
    pub(crate) role: Text,
    pub(crate) resources: Written,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executor: Option<ExecutorId>,
    /// The detail `executor`, whose name is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executor_info: Option<Json>,
    #[serde(flatten)]
    pub(crate) details: Details,
}

read_with_details!(RawRunningTask {
    id: TaskId, framework: FrameworkId, role: Text, resources: Written ;
    state: Text, executor: ExecutorId, executor_info: Json ; ; details
});

/// A task to be reconciled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a task id or {\"task\": ID, \"agent\": ID}")]
pub(crate) enum RawTaskRef {
    Id(TaskId),
    OnAgent(TaskOnAgent),
}

/// The sorter of roles and frameworks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"drf\", \"hdrf\", \"random\" or {\"random\": SEED}")]
pub(crate) enum RawSorter {
    Name(Text),
    Random { random: u64 },
}

/// A number of things. One that is not a whole number is not malformed, but invalid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number")]
pub(crate) enum RawCount {
    Whole(u64),
    Other(Number),
}

/// The order in which a batch visits agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"insertion\" or {\"shuffle\": SEED}")]
pub(crate) enum RawOrder {
    Name(Text),
    Shuffle { shuffle: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawOperation {
    Launch(TaskList),
    LaunchGroup(TaskGroup),
    Reserve(ResourceList),
    Unreserve(ResourceList),
    Create(VolumeList),
    Destroy(VolumeList),
    GrowVolume(Grow),
    ShrinkVolume(Shrink),
}

/// A command of a journal, tagged with its name. It is moved a few times while it is read, so what is large is boxed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawCommand {
    Configure(Box<Configure>),
    AddAgent(Box<AddAgent>),
    UpdateAgent(Box<UpdateAgent>),
    RemoveAgent(Id),
    DeactivateAgent(Id),
    ActivateAgent(Id),
    DisconnectAgent(Id),
    AgentUnreachable(Id),
    AgentGone(Id),
    UnregisterAgent(Id),
    DrainAgent(DrainAgent),
    Recover(Recover),
    #[serde(deserialize_with = "to_be_given_up")]
    RecoverFramework(Box<RawFramework>),
    #[serde(deserialize_with = "own")]
    AddFramework(Box<RawFramework>),
    #[serde(deserialize_with = "called")]
    UpdateFramework(Box<RawFramework>),
    RemoveFramework(Id),
    DeactivateFramework(Id),
    ActivateFramework(Id),
    SetWeight(SetWeight),
    SetQuota(Box<SetQuota>),
    SetWhitelist(SetWhitelist),
    Suppress(FrameworkRoles),
    Revive(FrameworkRoles),
    Accept(Box<RawAccept>),
    Decline(OfferAnswer),
    TaskStatus(Box<RawStatus>),
    Kill(Kill),
    Reconcile(Reconcile),
    Operate(Operate),
    SetMaintenance(SetMaintenance),
    AcceptInverseOffer(OfferAnswer),
    DeclineInverseOffer(OfferAnswer),
    #[serde(deserialize_with = "called")]
    Subscribe(Box<RawFramework>),
    Acknowledge(Acknowledge),
    Message(RawMessage),
    Shutdown(RawExecutor),
    ReconcileOperations(ReconcileOperations),
    AcknowledgeOperation(AcknowledgeOperation),
    Request(RawRequest),
    InvalidCall(InvalidCall),
    ExecutorMessage(RawMessage),
    ExecutorEnded(ExecutorEnded),
    Advance(Empty),
    Explain(Explain),
    State(Empty),
    Snapshot(Empty),
    Restore(Restore),
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
            Self::DisconnectAgent(_) => "disconnect_agent",
            Self::AgentUnreachable(_) => "agent_unreachable",
            Self::AgentGone(_) => "agent_gone",
            Self::UnregisterAgent(_) => "unregister_agent",
            Self::DrainAgent(_) => "drain_agent",
            Self::Recover(_) => "recover",
            Self::RecoverFramework(_) => "recover_framework",
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
            Self::AcknowledgeOperation(_) => "acknowledge_operation",
            Self::Request(_) => "request",
            Self::InvalidCall(_) => "invalid_call",
            Self::ExecutorMessage(_) => "executor_message",
            Self::ExecutorEnded(_) => "executor_ended",
            Self::Advance(_) => "advance",
            Self::Explain(_) => "explain",
            Self::State(_) => "state",
            Self::Snapshot(_) => "snapshot",
            Self::Restore(_) => "restore",
        }
    }
}

const CALLER: &str = "framework";
const GIVE_UP_AFTER: &str = "give_up_after";

/// Reads the framework of a call: another one may send it.
fn called<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<RawFramework>, D::Error> {
    let raw = Box::<RawFramework>::deserialize(deserializer)?;
    if raw.give_up_after.is_some() { Err(D::Error::unknown_field(GIVE_UP_AFTER, &[])) } else { Ok(raw) }
}

/// Reads a framework that speaks for itself.
pub(super) fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<RawFramework>, D::Error> {
    let raw = called(deserializer)?;
    if raw.framework.is_some() { Err(D::Error::unknown_field(CALLER, &[])) } else { Ok(raw) }
}

/// Reads a framework with the time after which it is given up.
fn to_be_given_up<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<RawFramework>, D::Error> {
    let raw = Box::<RawFramework>::deserialize(deserializer)?;
    if raw.framework.is_some() {
        return Err(D::Error::unknown_field(CALLER, &[]));
    }
    if raw.give_up_after.is_none() { Err(D::Error::missing_field(GIVE_UP_AFTER)) } else { Ok(raw) }
}
