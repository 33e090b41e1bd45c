//! Two-level scheduling as a library: a *master* divides a cluster fairly among *frameworks* by
//! offering them resources, and each framework takes what suits it by its own rules.
//!
//! Apache Mesos showed the idea. This crate is it without the sockets: commands go in, effects come
//! out. It reads no clock, starts no thread and draws no random number that a seed did not give, so
//! it can be driven by any transport, replayed from a log, and tested to the last corner.
//!
//! # Example
//!
//! Two frameworks share two machines. This is `examples/quickstart.rs`, whole:
//!
//! ```
#![doc = include_str!("../examples/quickstart.rs")]
//! ```
//!
//! # The map
//!
//! | to | see |
//! | --- | --- |
//! | count resources exactly | [`Resources`], [`Scalar`], [`Ranges`], [`Quantities`] |
//! | write a framework | [`guide`], [`Scheduler`], [`Calls`], [`Offer`], [`Accept`] |
//! | write what runs its tasks | [`Executor`], [`Reports`], [`executor`] |
//! | talk to a Mesos master, or be one | [`v1`]: all messages as JSON |
//! | say where a task may run | [`constraint`], and [`placement`] for the planner |
//! | embed a master | [`Master`], [`Command`], [`Effect`] |
//! | embed or replace the allocator | [`allocator`] |
//! | run all of it in virtual time | [`simulation`] |
//! | record and replay | [`journal`] |
//!
//! Each layer imports only from those below it: values and their arithmetic, then the messages of
//! the two levels, then the allocator (level one) and the planner (level two), then the master,
//! then what drives it from text or in virtual time. `ARCHITECTURE.md` has the map and the whys.
//!
//! # Errors and panics
//!
//! Errors are bad input; they carry what was found and what was expected, and what was refused has
//! changed nothing. A panic is a defect of ours: no input causes one.

mod agent;
pub mod allocator;
mod attributes;
mod bytes;
pub mod constraint;
mod draw;
pub mod executor;
mod framework;
pub mod guide;
mod id;
pub mod journal;
mod master;
mod offer;
pub mod packing;
pub mod placement;
mod resources;
mod role;
pub mod scheduler;
pub mod simulation;
mod task;
mod time;
mod uuid;
pub mod v1;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use agent::{Agent, Domain, Unavailability};
pub use attributes::{Attribute, AttributeError, AttributeFault, AttributeValue, Attributes};
pub use executor::{Executor, Reports};
pub use framework::{Capability, Framework, OfferConstraintError, OfferConstraints};
pub use id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
pub use master::{
    AgentState, AgentUpdate, Command, CommandError, Config, Effect, Emitted, ExecutorRef, Explanation, FrameworkState,
    Master, OfferState, RoleState, RunningTask, State, Wake, WakeReason,
};
pub use offer::{
    Accept, Conversion, Filters, InverseOffer, Offer, Operation, OperationError, OperationState, OperationStatus,
};
pub use resources::{
    Disk, DiskSource, DiskType, ItemFault, Kind, Limits, Quantities, Range, Ranges, Reservation, ReservationType,
    Resource, ResourceError, Resources, ResourcesBuilder, Scalar, ScalarError, Set, Shortfall, SumError, Value,
};
pub use role::{Role, RoleError, RoleFault};
pub use scheduler::{Call, Calls, Event, Failure, Kill, Scheduler, TaskRef};
pub use task::{ExecutorInfo, StatusSource, Task, TaskState, TaskStatus};
pub use time::{Time, TimeError};
pub use uuid::{Uuid, UuidError};
