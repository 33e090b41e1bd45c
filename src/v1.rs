//! The codec for the JSON messages of the Mesos v1 scheduler and executor APIs.
//!
//! It reads and writes [`scheduler::Event`], [`scheduler::Call`] and their counterparts of [`executor`](crate::executor) as
//! Mesos 1.11 does, so a scheduler that runs in a simulation talks to a real master without a change. Messages survive a
//! round trip: known fields are typed, and fields that the library does not interpret (`container`, `labels`, `url`, ...)
//! are kept in the `details` of their message.
//!
//! Mesos writes resources and offers differently for frameworks of different capabilities; a [`Dialect`] selects the
//! variant. The serde implementations of the messages use the default dialect, for frameworks with the capabilities
//! `MULTI_ROLE` and `RESERVATION_REFINEMENT`.
//!
//! Decoding is as lenient as Mesos: `null` means absent, `"5"` is accepted for a number, `"true"` for a bool, one object for
//! a list, and unknown fields are ignored. Other type mismatches are errors. What has the right shape and an invalid value
//! (a negative amount, a role that is none) is kept as it is in a call of a scheduler, for the master to reject:
//! [`Task::invalid`](crate::Task::invalid), [`Operation::Invalid`](crate::Operation::Invalid),
//! [`Call::Invalid`](scheduler::Call::Invalid); elsewhere it is an error. Lists of resources are sets in Mesos; they are written in canonical order.
//!
//! # Examples
//!
//! ```
//! use apportion::{Call, Filters};
//! use apportion::v1::{Dialect, SchedulerCall};
//!
//! let call = Call::Decline { offers: vec!["O1".into()], filters: Filters::NONE, each: true };
//! let json = Dialect::default().encode(&SchedulerCall::new("f1", call));
//! assert_eq!(
//!     json,
//!     r#"{"type":"DECLINE","framework_id":{"value":"f1"},"decline":{"filters":{"refuse_seconds":0.0},"offer_ids":[{"value":"O1"}]}}"#
//! );
//!
//! let kill = r#"{"type":"KILL","framework_id":{"value":"f1"},"kill":{"task_id":{"value":7}}}"#;
//! let error = Dialect::default().decode::<SchedulerCall>(kill).unwrap_err();
//! assert_eq!(error.to_string(), "kill.task_id.value: invalid type: a number, expected a string");
//! ```

mod call;
pub mod connection;
mod event;
mod executor;
mod framework;
mod labels;
mod offer;
mod operation;
pub mod part;
mod parts;
mod record_io;
mod task;
mod wire;

pub use parts::{WrittenOffer, WrittenResources, WrittenStatus};
pub use record_io::{RecordError, RecordReader, write_record};

use crate::agent::Agent;
use crate::details::Details;
use crate::framework::{Capability, Framework, OfferConstraintError};
use crate::id::{ExecutorId, FrameworkId, TaskId};
use crate::json::{self, Json};
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, ResourceError, Resources, ScalarError, SumError};
use crate::role::{Role, RoleError};
use crate::task::ExecutorInfoError;
use crate::{Text, executor as executors, scheduler};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The variant of v1 JSON that a framework reads and writes, as its capabilities determine.
///
/// # Examples
///
/// ```
/// use apportion::v1::Dialect;
/// use apportion::{Capability, Event, Framework, Offer, Role};
///
/// let offer = Offer::new("O1", "f1", Role::new("web")?, "a1", "cpus:4".parse()?);
/// let event = Event::Offers(vec![offer]);
/// let old = Framework::new("f1").role(Role::new("web")?);
/// let new = old.clone().capability(Capability::MultiRole).capability(Capability::ReservationRefinement);
///
/// assert!(Dialect::of(&old).encode(&event).contains(r#""scalar":{"value":4.0},"role":"*"}"#));
/// assert!(Dialect::of(&new).encode(&event).contains(r#""scalar":{"value":4.0},"allocation_info":{"role":"web"}}"#));
/// for framework in [old, new] {
///     let dialect = Dialect::of(&framework);
///     assert_eq!(dialect.decode::<Event>(dialect.encode(&event))?, event);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Offers and resources have an `allocation_info` with the role that they are allocated to.
    allocation_info: bool,
    /// Resources have a stack of `reservations`; otherwise one `role` and `reservation`.
    refined_reservations: bool,
    /// The role of offers without an `allocation_info`.
    default_role: Role,
}

impl Default for Dialect {
    /// Returns the dialect of frameworks with all capabilities.
    fn default() -> Self {
        Self { allocation_info: true, refined_reservations: true, default_role: Role::default() }
    }
}

impl Dialect {
    /// Returns the dialect of a framework with these capabilities and roles.
    #[must_use]
    pub fn of(framework: &Framework) -> Self {
        Self {
            allocation_info: framework.is_multi_role(),
            refined_reservations: framework.has_capability(Capability::ReservationRefinement),
            default_role: framework.roles.first().cloned().unwrap_or_default(),
        }
    }

    /// Encodes a message as compact JSON on one line.
    #[must_use]
    pub fn encode<M: Message>(&self, message: &M) -> String {
        message.to_json(self)
    }

    /// Decodes a message.
    ///
    /// # Errors
    ///
    /// [`V1Error`] when it is not JSON, names a key of an object twice, is not of the right shape, or has an invalid value.
    pub fn decode<M: Message>(&self, json: impl AsRef<[u8]>) -> Result<M, V1Error> {
        let text = std::str::from_utf8(json.as_ref()).map_err(|error| V1Error::Syntax(error.to_string()))?;
        let json = Json::parse(text).map_err(|error| V1Error::Syntax(error.to_string()))?;
        M::from_json(&json, self)
    }

    fn has_allocation_info(&self) -> bool {
        self.allocation_info
    }

    fn default_role(&self) -> &Role {
        &self.default_role
    }

    /// Encodes resources as frameworks send them to the master, allocated to `role` if there is one.
    fn framework_resources(&self, resources: &Resources, role: Option<&Role>) -> Vec<V1Resource> {
        V1Resource::all(resources).map(|object| self.adapt(object, role).without_star()).collect()
    }

    fn framework_resource(&self, resource: &Resource, role: Option<&Role>) -> V1Resource {
        self.adapt(resource.into(), role).without_star()
    }

    /// Encodes resources as the master sends them to frameworks, and agents to executors, allocated to `role` if there is
    /// one.
    fn master_resources(&self, resources: &Resources, role: Option<&Role>) -> Vec<V1Resource> {
        V1Resource::all(resources).map(|object| self.adapt(object, role)).collect()
    }

    fn adapt(&self, object: V1Resource, role: Option<&Role>) -> V1Resource {
        let object = if self.refined_reservations { object } else { object.unrefined() };
        match role.filter(|_| self.allocation_info) {
            Some(role) => object.allocate_to(role),
            None => object,
        }
    }
}

/// Returns Mesos' `FrameworkInfo` of a framework, as an agent tells it to the framework's executors.
///
/// A program that embeds a master and launches executors builds their SUBSCRIBED event with it, and with [`agent_info`].
///
/// # Examples
///
/// ```
/// use apportion::executor::{Event, Subscribed};
/// use apportion::v1::{Dialect, agent_info, framework_info};
/// use apportion::{Agent, ExecutorInfo, Framework, Role};
///
/// let framework = Framework::new("f1").role(Role::new("web")?);
/// let agent = Agent::new("a1", "cpus:4;mem:1024".parse()?);
///
/// let mut subscribed = Subscribed::new(ExecutorInfo::new("e1"));
/// subscribed.framework = framework_info(&framework);
/// subscribed.agent = agent_info(&agent);
/// let json = Dialect::of(&framework).encode(&Event::Subscribed(Box::new(subscribed)));
/// assert!(json.contains(r#""framework_info":{"user":"","name":"f1","id":{"value":"f1"},"role":"web""#), "{json}");
/// assert!(json.contains(r#""agent_info":{"#), "{json}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn framework_info(framework: &Framework) -> Details {
    to_object(&framework::FrameworkInfo::from(framework))
}

/// Returns Mesos' `AgentInfo` of an agent, as the agent tells it to executors; see [`framework_info`].
#[must_use]
pub fn agent_info(agent: &Agent) -> Details {
    to_object(&offer::AgentInfo::from(agent))
}

fn to_object(wire: &impl Serialize) -> Details {
    Json::of(wire).view().into()
}

/// The reason why JSON is not a message of the v1 APIs.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum V1Error {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// A field has the wrong type, or a required field of a message is missing.
    #[error("{path}: {what}", path = if path.is_empty() { "the message" } else { path })]
    Shape {
        /// The path of the field, as in `decline.offer_ids[0].value`; empty for the whole message.
        path: String,
        /// The value found and the type expected.
        what: String,
    },
    /// A field that this type of call or event requires is missing.
    #[error("expected '{0}' to be present")]
    Missing(&'static str),
    /// Two fields of a `FrameworkInfo` contradict each other.
    #[error("framework_info.{0}: expected it to be {1}")]
    Framework(&'static str, &'static str),
    /// A subscription names two framework ids.
    #[error("'framework_id' is {found}, 'subscribe.framework_info.id' is {expected}")]
    FrameworkIdMismatch {
        /// The id of the call.
        found: FrameworkId,
        /// The id of the `framework_info` in the call.
        expected: FrameworkId,
    },
    /// The resources of a task that a master or an agent launches are invalid. (In a call of a scheduler they are no error: the
    /// task is [kept as it is](crate::Task::invalid) for the master to reject.)
    #[error("task {task}: {error}")]
    Task {
        /// The task.
        task: TaskId,
        /// The reason.
        error: Text,
    },
    /// A REQUEST asks for offers of several kinds at once.
    #[error("request.requests: expected all of them to ask for the same resources")]
    SeveralRequests,
    /// A resource is invalid.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// Resources cannot be added up.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// An amount is invalid.
    #[error(transparent)]
    Amount(#[from] ScalarError),
    /// A role is invalid.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Offer constraints are invalid.
    #[error(transparent)]
    Constraints(#[from] OfferConstraintError),
}

impl V1Error {
    /// Returns whether a value of the right type is invalid; else the message itself has not the right shape.
    fn is_of_value(&self) -> bool {
        match self {
            Self::Framework(..)
            | Self::SeveralRequests
            | Self::Resource(_)
            | Self::Sum(_)
            | Self::Amount(_)
            | Self::Role(_)
            | Self::Constraints(_) => true,
            Self::Syntax(_)
            | Self::Shape { .. }
            | Self::Missing(_)
            | Self::FrameworkIdMismatch { .. }
            | Self::Task { .. } => false,
        }
    }
}

impl From<ExecutorInfoError> for V1Error {
    fn from(error: ExecutorInfoError) -> Self {
        match error {
            ExecutorInfoError::Shape { path, what } => Self::Shape { path, what },
            ExecutorInfoError::Resource(error) => Self::Resource(error),
            ExecutorInfoError::Sum(error) => Self::Sum(error),
            ExecutorInfoError::Role(error) => Self::Role(error),
        }
    }
}

impl From<json::ShapeError> for V1Error {
    fn from(error: json::ShapeError) -> Self {
        Self::Shape { path: error.path(), what: error.what() }
    }
}

/// A message of the v1 APIs. This trait is sealed.
pub trait Message: Sized + sealed::Sealed {
    /// Encodes the message as compact JSON on one line.
    #[must_use]
    fn to_json(&self, dialect: &Dialect) -> String;

    /// Decodes a message.
    ///
    /// # Errors
    ///
    /// [`V1Error`] when it is not of the right shape, or has an invalid value.
    fn from_json(json: &Json, dialect: &Dialect) -> Result<Self, V1Error>;
}

/// A call of the scheduler API with the id of the calling framework, as it goes over the connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SchedulerCall {
    /// The calling framework; empty in a subscription without an id.
    pub framework: FrameworkId,
    /// The call.
    pub call: scheduler::Call,
}

impl SchedulerCall {
    /// Returns a call of that framework.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, call: scheduler::Call) -> Self {
        Self { framework: framework.into(), call }
    }
}

/// A call of the executor API with the ids of the calling executor and its framework, as it goes over the connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecutorCall {
    /// The framework that the executor belongs to.
    pub framework: FrameworkId,
    /// The calling executor.
    pub executor: ExecutorId,
    /// The call.
    pub call: executors::Call,
}

impl ExecutorCall {
    /// Returns a call of that executor.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, executor: impl Into<ExecutorId>, call: executors::Call) -> Self {
        Self { framework: framework.into(), executor: executor.into(), call }
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "a trait that nobody can name seals Message")]
    pub trait Sealed {}
}

/// Seals a message type and implements serde for it in the default dialect.
macro_rules! message {
    ($($type:ty)*) => {
        $(
            impl sealed::Sealed for $type {}

            impl Serialize for $type {
                /// Writes v1 JSON in the default [`Dialect`].
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    WireFormat::to_wire(self, &Dialect::default()).serialize(serializer)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                /// Reads v1 JSON in the default [`Dialect`].
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Self::from_json(&Json::deserialize(deserializer)?, &Dialect::default()).map_err(de::Error::custom)
                }
            }
        )*
    };
}
message!(scheduler::Event scheduler::Call SchedulerCall executors::Event executors::Call ExecutorCall);

/// A message with a wire type: the struct that serde reads and writes.
trait WireFormat: Sized {
    type Wire: Serialize;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire;

    fn read(json: &Json, dialect: &Dialect) -> Result<Self, V1Error>;
}

impl<M: WireFormat + sealed::Sealed> Message for M {
    fn to_json(&self, dialect: &Dialect) -> String {
        json::to_string(&self.to_wire(dialect))
    }

    fn from_json(json: &Json, dialect: &Dialect) -> Result<Self, V1Error> {
        Self::read(json, dialect)
    }
}

/// A typed message, or the JSON of one that this crate does not know.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum KnownOrRaw<T> {
    Known(T),
    Raw(Details),
}

impl WireFormat for scheduler::Event {
    type Wire = KnownOrRaw<event::WireEvent>;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire {
        match (event::WireEvent::write(self, dialect), self) {
            (None, Self::Unknown(json)) => KnownOrRaw::Raw(json.clone()),
            (wire, _) => KnownOrRaw::Known(wire.expect("only unknown events have no wire type")),
        }
    }

    fn read(json: &Json, dialect: &Dialect) -> Result<Self, V1Error> {
        json::read_lenient::<event::WireEvent>(json.view())?.read(json, dialect)
    }
}

impl WireFormat for executors::Event {
    type Wire = KnownOrRaw<executor::WireEvent>;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire {
        match (executor::WireEvent::write(self, dialect), self) {
            (None, Self::Unknown(json)) => KnownOrRaw::Raw(json.clone()),
            (wire, _) => KnownOrRaw::Known(wire.expect("only unknown events have no wire type")),
        }
    }

    fn read(json: &Json, _: &Dialect) -> Result<Self, V1Error> {
        json::read_lenient::<executor::WireEvent>(json.view())?.read(json)
    }
}

impl WireFormat for scheduler::Call {
    type Wire = call::WireCall;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire {
        call::WireCall::write(self, dialect)
    }

    fn read(json: &Json, _: &Dialect) -> Result<Self, V1Error> {
        json::read_lenient::<call::WireCall>(json.view())?.read()
    }
}

impl WireFormat for executors::Call {
    type Wire = executor::WireCall;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire {
        executor::WireCall::write(self, dialect)
    }

    fn read(json: &Json, _: &Dialect) -> Result<Self, V1Error> {
        json::read_lenient::<executor::WireCall>(json.view())?.read()
    }
}

impl WireFormat for SchedulerCall {
    type Wire = call::WireCall;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire {
        let framework_id = (!self.framework.as_str().is_empty()).then(|| self.framework.clone().into());
        call::WireCall { framework_id, ..call::WireCall::write(&self.call, dialect) }
    }

    fn read(json: &Json, _: &Dialect) -> Result<Self, V1Error> {
        let mut wire: call::WireCall = json::read_lenient(json.view())?;
        let named = wire::unwrapped(wire.framework_id.take()).filter(|id| !id.as_str().is_empty());
        let call = wire.read()?;
        let framework = match (named, &call) {
            (Some(found), scheduler::Call::Subscribe(framework)) if found != framework.id => {
                return Err(V1Error::FrameworkIdMismatch { found, expected: framework.id.clone() });
            }
            (Some(named), _) => named,
            (None, scheduler::Call::Subscribe(framework)) => framework.id.clone(),
            (None, scheduler::Call::Invalid { kind, form }) if kind == "SUBSCRIBE" => {
                let id = || form.given.get("framework_info")?.get("id")?.get("value")?.as_str();
                FrameworkId::new(id().unwrap_or_default())
            }
            (None, _) => return Err(V1Error::Missing("framework_id")),
        };
        Ok(Self { framework, call })
    }
}

impl WireFormat for ExecutorCall {
    type Wire = executor::WireCall;

    fn to_wire(&self, dialect: &Dialect) -> Self::Wire {
        executor::WireCall {
            framework_id: Some(self.framework.clone().into()),
            executor_id: Some(self.executor.clone().into()),
            ..executor::WireCall::write(&self.call, dialect)
        }
    }

    fn read(json: &Json, _: &Dialect) -> Result<Self, V1Error> {
        let mut wire: executor::WireCall = json::read_lenient(json.view())?;
        let (framework, executor) = (wire.framework_id.take(), wire.executor_id.take());
        let call = wire.read()?;
        let framework = wire::unwrapped(framework).ok_or(V1Error::Missing("framework_id"))?;
        let executor = wire::unwrapped(executor).ok_or(V1Error::Missing("executor_id"))?;
        Ok(Self { framework, executor, call })
    }
}
