//! Two-level scheduling as a library: a *master* divides a cluster fairly among *frameworks* by
//! offering them resources, and each framework accepts the offers that it can use, by its own rules.
//!
//! The model is that of Apache Mesos. This crate implements it without I/O: commands go in, effects
//! come out. It reads no clock, starts no thread and draws random numbers only from seeds, so it can
//! be driven by any transport, replayed from a journal, and tested deterministically.
//!
//! # Example
//!
//! Two frameworks share two agents. This is all of the program `examples/quickstart.rs`:
//!
//! ```
#![doc = include_str!("../docs/quickstart.rs")]
//! ```
//!
//! # The map
//!
//! | to | see |
//! | --- | --- |
//! | calculate with resources exactly | [`Resources`], [`Scalar`], [`Ranges`], [`Quantities`] |
//! | write a framework | [`guide`], [`Scheduler`], [`Calls`], [`Offer`], [`Accept`] |
//! | write an executor | [`Executor`], [`Reports`], [`executor`] |
//! | talk to a Mesos master, or be one | [`v1`]: all messages as JSON |
//! | constrain where a task may run | [`constraint`], and [`placement`] for the planner |
//! | place tasks on shared devices such as GPUs | [`packing`] |
//! | embed a master behind a transport | [`delivery::Delivery`]; [`Master`], [`Command`], [`Effect`] |
//! | only share out: claims and leases, no offers | [`allocator::Pool`], [`guide::allocator`] |
//! | embed or replace the allocator | [`allocator`] |
//! | simulate a cluster in virtual time | [`simulation`] |
//! | record and replay, survive a restart | [`journal`], [`guide::recover`] |
//!
//! Each layer imports only from those below it: values and their arithmetic, then the messages of
//! the two levels, then the allocator (level one) and the planner (level two), then the master,
//! then the delivery of its messages, then the journal and the simulation, which drive it. `ARCHITECTURE.md` has the map and the
//! reasons.
//!
//! # Features
//!
//! | feature | has | costs |
//! | --- | --- | --- |
//! | `json` | [`journal`], [`v1`], [`Json`] from and to `serde_json::Value`, the documents of [`placement`] | `serde_json` |
//! | `placement` | [`placement`], [`packing`] | |
//! | `regex` | `LIKE` and `UNLIKE` of [`constraint`]s, `text_matches` of [`OfferConstraints`]; an error without it | `regex` |
//! | `simulation` | [`simulation`]; it takes `json` too | |
//! | `testing` | `testing`: suites that implementations of the seams must pass, and clusters of a seed | |
//!
//! The first four are on by default. Without them (`default-features = false`) there are the values, the messages of both levels, the
//! allocator with its [`Pool`](allocator::Pool), the master with its snapshots and the delivery of its messages.
//!
//! # Errors and panics
//!
//! Errors report bad input, with the value found and what was expected; a rejected input changes
//! nothing. No input causes a panic: a panic is a bug in this crate.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "json", feature = "placement")),
    allow(dead_code, reason = "a room has methods that only those call which are left out")
)]

mod agent;
pub mod allocator;
mod attributes;
mod bytes;
pub mod constraint;
pub mod delivery;
mod details;
mod draw;
pub mod executor;
#[cfg_attr(not(feature = "json"), expect(unnameable_types, reason = "the journal has its error for callers"))]
mod forms;
mod framework;
pub mod guide;
mod id;
mod invalid;
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub mod journal;
mod json;
mod master;
mod name;
mod offer;
#[cfg(feature = "placement")]
#[cfg_attr(docsrs, doc(cfg(feature = "placement")))]
pub mod packing;
mod pattern;
#[cfg(feature = "placement")]
#[cfg_attr(docsrs, doc(cfg(feature = "placement")))]
pub mod placement;
mod resources;
mod role;
pub mod scheduler;
#[cfg(feature = "simulation")]
#[cfg_attr(docsrs, doc(cfg(feature = "simulation")))]
pub mod simulation;
mod task;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod text;
mod time;
mod uuid;
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub mod v1;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The crates of which types stand in public signatures of this one, in the versions that it is built with.
///
/// # Examples
///
/// ```
/// use apportion::Task;
/// use apportion::export::serde_json::json;
///
/// let task = Task::new("t1", "cpus:1".parse()?).detail("command", json!({"value": "sleep 1"}));
/// assert_eq!(task.details.get("command").and_then(|command| command.get("value")).unwrap(), "sleep 1");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
pub mod export {
    pub use indexmap;
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub use serde_json;
}

pub use agent::{Agent, Domain, Unavailability};
pub use allocator::{Snapshot, SnapshotError};
pub use attributes::{Attribute, AttributeError, AttributeFault, AttributeValue, Attributes};
pub use details::Details;
pub use executor::{Executor, Reports};
pub use framework::{Capability, Framework, OfferConstraintError, OfferConstraints};
pub use id::{AgentId, ExecutorId, FrameworkId, IdError, OfferId, OperationId, TaskId};
pub use invalid::InvalidForm;
pub use json::{Json, JsonError, JsonRef};
pub use master::{
    AgentMessageMetrics, AgentMetrics, AgentState, AgentUpdate, CallMetrics, Command, CommandError, CommandMetrics,
    Config, Drain, Effect, EffectMetrics, Emitted, EndedOffer, ExecutorRef, Explanation, FrameworkMetrics,
    FrameworkOffers, FrameworkState, KnownAgent, KnownExecutor, KnownFramework, KnownOffer, KnownTask, Master, Metrics,
    OfferEnd, OfferMetrics, OfferState, Recovery, Registration, Remembered, RoleState, RunningExecutor, RunningTask,
    State, TaskMetrics, Wake, WakeReason,
};
pub use name::NameError;
pub use offer::{
    Accept, Conversion, Filters, InverseOffer, Offer, Operation, OperationError, OperationState, OperationStatus,
};
pub use resources::{
    Disk, DiskSource, DiskType, ItemFault, Kind, Limits, Numbers, Quantities, Range, Ranges, Reservation,
    ReservationType, Resource, ResourceError, Resources, ResourcesBuilder, Scalar, ScalarError, Set, Shortfall,
    SumError, Value,
};
pub use role::{Role, RoleError, RoleFault};
pub use scheduler::{Call, Calls, Event, Failure, Kill, Rejected, Request, RequestError, Scheduler, TaskRef, Timer};
pub use task::{ExecutorInfo, ExecutorInfoError, StatusSource, Task, TaskState, TaskStatus};
pub use text::Text;
pub use time::{Time, TimeError};
pub use uuid::{Uuid, UuidError};
