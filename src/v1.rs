//! The messages of the Mesos v1 scheduler and executor APIs as JSON.
//!
//! [`scheduler::Event`], [`scheduler::Call`] and their namesakes of [`executor`](crate::executor) are written and read as Mesos 1.11 does, so a scheduler that runs in a simulation talks to
//! a real master without a change. What is read is what was written: known fields are typed, what the library does not
//! interpret (`container`, `labels`, `url`, ...) is kept as it is in the `details` of its message.
//!
//! Two frameworks may be told the same offer in two ways, as their capabilities say: [`Form`] is which. The serde forms of
//! the messages are those of the default form, for frameworks with the capabilities `MULTI_ROLE` and
//! `RESERVATION_REFINEMENT`.
//!
//! Coming in, `null` is as good as absent, `"5"` a number, `"true"` a bool, one object where a list is expected a list of
//! one; unknown fields of a message do no harm. A number for a string, a bool for a number and the like are refused, and so
//! is what means nothing: a resource, role or UUID that cannot be. Lists of resources are sets in Mesos: they come out in
//! canonical order.
//!
//! # Examples
//!
//! ```
//! use apportion::{Call, Filters};
//! use apportion::v1::{Form, SchedulerCall};
//!
//! let call = Call::Decline { offers: vec!["O1".into()], filters: Filters::NONE };
//! let json = Form::default().encode(&SchedulerCall::new("f1", call));
//! assert_eq!(
//!     json,
//!     r#"{"type":"DECLINE","framework_id":{"value":"f1"},"decline":{"filters":{"refuse_seconds":0.0},"offer_ids":[{"value":"O1"}]}}"#
//! );
//!
//! let kill = r#"{"type":"KILL","framework_id":{"value":"f1"},"kill":{"task_id":{"value":7}}}"#;
//! let error = Form::default().decode::<SchedulerCall>(kill).unwrap_err();
//! assert_eq!(error.to_string(), "kill.task_id.value: invalid type: a number, expected a string");
//! ```

mod call;
mod event;
mod executor;
mod framework;
mod lenient;
mod offer;
mod operation;
mod task;
mod wire;

use crate::agent::Agent;
use crate::framework::{Capability, Framework, OfferConstraintError};
use crate::id::{ExecutorId, FrameworkId, TaskId};
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, ResourceError, Resources, ScalarError, SumError};
use crate::role::{Role, RoleError};
use crate::{executor as executors, scheduler};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value as Json};

/// Which form of v1 JSON a framework reads and writes.
///
/// # Examples
///
/// ```
/// use apportion::v1::Form;
/// use apportion::{Capability, Event, Framework, Offer, Role};
///
/// let offer = Offer::new("O1", "f1", Role::new("web")?, "a1", "cpus:4".parse()?);
/// let event = Event::Offers(vec![offer]);
/// let old = Framework::new("f1").role(Role::new("web")?);
/// let new = old.clone().capability(Capability::MultiRole).capability(Capability::ReservationRefinement);
///
/// assert!(Form::of(&old).encode(&event).contains(r#""scalar":{"value":4.0},"role":"*"}"#));
/// assert!(Form::of(&new).encode(&event).contains(r#""scalar":{"value":4.0},"allocation_info":{"role":"web"}}"#));
/// for framework in [old, new] {
///     let form = Form::of(&framework);
///     assert_eq!(form.decode::<Event>(form.encode(&event))?, event);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Offers and resources say under which role they are offered, in `allocation_info`.
    roles: bool,
    /// Resources say how they are reserved as a stack, in `reservations`; else in `role` and `reservation`.
    refined: bool,
    /// The role of whatever does not say so.
    role: Role,
}

impl Default for Form {
    /// The form for frameworks that can do all.
    fn default() -> Self {
        Self { roles: true, refined: true, role: Role::default() }
    }
}

impl Form {
    /// The form for a framework of these capabilities and roles.
    #[must_use]
    pub fn of(framework: &Framework) -> Self {
        Self {
            roles: framework.knows_roles(),
            refined: framework.can(Capability::ReservationRefinement),
            role: framework.roles.first().cloned().unwrap_or_default(),
        }
    }

    /// Writes a message: compact, on one line.
    #[must_use]
    pub fn encode<M: Message>(&self, message: &M) -> String {
        message.to_json(self)
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`V1Error`] when it is not JSON, not of the right shape, or means nothing.
    pub fn decode<M: Message>(&self, json: impl AsRef<[u8]>) -> Result<M, V1Error> {
        let json = serde_json::from_slice(json.as_ref()).map_err(|error| V1Error::Syntax(error.to_string()))?;
        M::from_json(&json, self)
    }

    fn tells_roles(&self) -> bool {
        self.roles
    }

    fn only_role(&self) -> &Role {
        &self.role
    }

    /// Resources as a framework gives them to the master; `role` is for whom they are, if that is to be said.
    fn asked(&self, resources: &Resources, role: Option<&Role>) -> Vec<V1Resource> {
        V1Resource::all(resources).map(|object| self.put(object, role).without_star()).collect()
    }

    fn asked_one(&self, resource: &Resource, role: Option<&Role>) -> V1Resource {
        self.put(resource.into(), role).without_star()
    }

    /// Resources as the master gives them to a framework, and an agent to its executors.
    fn given(&self, resources: &Resources, role: Option<&Role>) -> Vec<V1Resource> {
        V1Resource::all(resources).map(|object| self.put(object, role)).collect()
    }

    fn put(&self, object: V1Resource, role: Option<&Role>) -> V1Resource {
        let object = if self.refined { object } else { object.unrefined() };
        match role.filter(|_| self.roles) {
            Some(role) => object.allocate_to(role),
            None => object,
        }
    }
}

impl Framework {
    /// Whether it is told under which role it is offered something: it says so, or could not do without.
    #[must_use]
    pub fn knows_roles(&self) -> bool {
        self.can(Capability::MultiRole) || self.roles.len() != 1
    }
}

/// What a framework says of itself, as executors are told.
pub(crate) fn framework_info(framework: &Framework) -> Map<String, Json> {
    whole(&framework::FrameworkInfo::from(framework))
}

/// What an agent says of itself, as executors are told.
pub(crate) fn agent_info(agent: &Agent) -> Map<String, Json> {
    whole(&offer::AgentInfo::from(agent))
}

fn whole(shape: &impl Serialize) -> Map<String, Json> {
    let json = serde_json::to_value(shape).expect("a shape has text keys");
    if let Json::Object(fields) = json { fields } else { Map::new() }
}

/// Why something is no message of the v1 APIs.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum V1Error {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// A field is of the wrong kind, or a message lacks one that it must have.
    #[error("{path}: {what}", path = if path.is_empty() { "the message" } else { path })]
    Shape {
        /// Which field, as in `decline.offer_ids[0].value`; empty for the whole message.
        path: String,
        /// What was found and what was expected.
        what: String,
    },
    /// A field is not there that this type of message must have.
    #[error("expected '{0}' to be present")]
    Missing(&'static str),
    /// What a framework says of itself does not go together.
    #[error("framework_info.{0}: expected it to be {1}")]
    Framework(&'static str, &'static str),
    /// A call is in the name of another framework than it says itself.
    #[error("'framework_id' is {found}, 'subscribe.framework_info.id' is {expected}")]
    OtherFramework {
        /// The id beside the body.
        found: FrameworkId,
        /// The id in the body.
        expected: FrameworkId,
    },
    /// A task asks for what cannot be; Mesos answers the task with `TASK_ERROR` and goes on.
    #[error("task {task}: {error}")]
    Task {
        /// Which task.
        task: TaskId,
        /// Why not.
        error: Box<Self>,
    },
    /// A resource that cannot be.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// Resources that cannot be added up.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// An amount that cannot be.
    #[error(transparent)]
    Amount(#[from] ScalarError),
    /// A role that cannot be.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Offer constraints that cannot be.
    #[error(transparent)]
    Constraints(#[from] OfferConstraintError),
}

impl V1Error {
    fn of_task(self, task: &TaskId) -> Self {
        Self::Task { task: task.clone(), error: Box::new(self) }
    }
}

impl From<lenient::ShapeError> for V1Error {
    fn from(error: lenient::ShapeError) -> Self {
        Self::Shape { path: error.path(), what: error.what() }
    }
}

/// A message of the v1 APIs. It cannot be implemented outside of this crate.
pub trait Message: Sized + sealed::Sealed {
    /// Writes it in that form: compact, on one line.
    #[must_use]
    fn to_json(&self, form: &Form) -> String;

    /// Reads it in that form.
    ///
    /// # Errors
    ///
    /// [`V1Error`] when it is not of the right shape, or means nothing.
    fn from_json(json: &Json, form: &Form) -> Result<Self, V1Error>;
}

/// A call of the scheduler API, and the framework that calls; its id is empty before it has one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SchedulerCall {
    /// Who calls.
    pub framework: FrameworkId,
    /// What for.
    pub call: scheduler::Call,
}

impl SchedulerCall {
    /// A call in the name of that framework.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, call: scheduler::Call) -> Self {
        Self { framework: framework.into(), call }
    }
}

/// A call of the executor API, the executor that calls and the framework that it belongs to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecutorCall {
    /// Whose executor.
    pub framework: FrameworkId,
    /// Which one.
    pub executor: ExecutorId,
    /// What it has to say.
    pub call: executors::Call,
}

impl ExecutorCall {
    /// A call in the name of that executor.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, executor: impl Into<ExecutorId>, call: executors::Call) -> Self {
        Self { framework: framework.into(), executor: executor.into(), call }
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that nobody can name it is what seals Message")]
    pub trait Sealed {}
}

/// Makes a type a message, and its default form its serde form.
macro_rules! message {
    ($($type:ty)*) => {
        $(
            impl sealed::Sealed for $type {}

            impl Serialize for $type {
                /// The v1 JSON of the default [`Form`].
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Shaped::shape(self, &Form::default()).serialize(serializer)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                /// Reads v1 JSON of the default [`Form`].
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Self::from_json(&Json::deserialize(deserializer)?, &Form::default()).map_err(de::Error::custom)
                }
            }
        )*
    };
}
message!(scheduler::Event scheduler::Call SchedulerCall executors::Event executors::Call ExecutorCall);

/// What has a shape in v1 JSON.
trait Shaped: Sized {
    type Shape: Serialize;

    fn shape(&self, form: &Form) -> Self::Shape;

    fn read(json: &Json, form: &Form) -> Result<Self, V1Error>;
}

impl<M: Shaped + sealed::Sealed> Message for M {
    fn to_json(&self, form: &Form) -> String {
        serde_json::to_string(&self.shape(form)).expect("a shape has text keys")
    }

    fn from_json(json: &Json, form: &Form) -> Result<Self, V1Error> {
        Self::read(json, form)
    }
}

/// A message that is known, or one that is handed on as it came.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum KnownOrNot<T> {
    Known(T),
    Unknown(Map<String, Json>),
}

impl Shaped for scheduler::Event {
    type Shape = KnownOrNot<event::EventShape>;

    fn shape(&self, form: &Form) -> Self::Shape {
        match (event::EventShape::write(self, form), self) {
            (None, Self::Unknown(whole)) => KnownOrNot::Unknown(whole.clone()),
            (shape, _) => KnownOrNot::Known(shape.expect("only what is not known has no shape")),
        }
    }

    fn read(json: &Json, form: &Form) -> Result<Self, V1Error> {
        lenient::read::<event::EventShape>(json)?.read(json, form)
    }
}

impl Shaped for executors::Event {
    type Shape = KnownOrNot<executor::EventShape>;

    fn shape(&self, form: &Form) -> Self::Shape {
        match (executor::EventShape::write(self, form), self) {
            (None, Self::Unknown(whole)) => KnownOrNot::Unknown(whole.clone()),
            (shape, _) => KnownOrNot::Known(shape.expect("only what is not known has no shape")),
        }
    }

    fn read(json: &Json, _: &Form) -> Result<Self, V1Error> {
        lenient::read::<executor::EventShape>(json)?.read(json)
    }
}

impl Shaped for scheduler::Call {
    type Shape = call::CallShape;

    fn shape(&self, form: &Form) -> Self::Shape {
        call::CallShape::write(self, form)
    }

    fn read(json: &Json, _: &Form) -> Result<Self, V1Error> {
        lenient::read::<call::CallShape>(json)?.read()
    }
}

impl Shaped for executors::Call {
    type Shape = executor::CallShape;

    fn shape(&self, form: &Form) -> Self::Shape {
        executor::CallShape::write(self, form)
    }

    fn read(json: &Json, _: &Form) -> Result<Self, V1Error> {
        lenient::read::<executor::CallShape>(json)?.read()
    }
}

impl Shaped for SchedulerCall {
    type Shape = call::CallShape;

    fn shape(&self, form: &Form) -> Self::Shape {
        let framework_id = (!self.framework.as_str().is_empty()).then(|| self.framework.clone().into());
        call::CallShape { framework_id, ..call::CallShape::write(&self.call, form) }
    }

    fn read(json: &Json, _: &Form) -> Result<Self, V1Error> {
        let mut shape: call::CallShape = lenient::read(json)?;
        let named = wire::bare(shape.framework_id.take()).filter(|id| !id.as_str().is_empty());
        let call = shape.read()?;
        let framework = match (named, &call) {
            (Some(found), scheduler::Call::Subscribe(framework)) if found != framework.id => {
                return Err(V1Error::OtherFramework { found, expected: framework.id.clone() });
            }
            (Some(named), _) => named,
            (None, scheduler::Call::Subscribe(framework)) => framework.id.clone(),
            (None, _) => return Err(V1Error::Missing("framework_id")),
        };
        Ok(Self { framework, call })
    }
}

impl Shaped for ExecutorCall {
    type Shape = executor::CallShape;

    fn shape(&self, form: &Form) -> Self::Shape {
        executor::CallShape {
            framework_id: Some(self.framework.clone().into()),
            executor_id: Some(self.executor.clone().into()),
            ..executor::CallShape::write(&self.call, form)
        }
    }

    fn read(json: &Json, _: &Form) -> Result<Self, V1Error> {
        let mut shape: executor::CallShape = lenient::read(json)?;
        let (framework, executor) = (shape.framework_id.take(), shape.executor_id.take());
        let call = shape.read()?;
        let framework = wire::bare(framework).ok_or(V1Error::Missing("framework_id"))?;
        let executor = wire::bare(executor).ok_or(V1Error::Missing("executor_id"))?;
        Ok(Self { framework, executor, call })
    }
}
