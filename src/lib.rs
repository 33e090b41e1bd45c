//! apportion
mod agent;
pub mod allocator;
mod attributes;
mod framework;
mod id;
pub mod journal;
mod master;
mod offer;
mod resources;
mod role;
mod scheduler;
pub mod simulation;
mod task;
mod time;

pub use agent::{Agent, Domain, Unavailability};
pub use attributes::{Attribute, AttributeError, AttributeFault, AttributeValue, Attributes};
pub use framework::{Capability, Framework};
pub use id::{AgentId, FrameworkId, OfferId, TaskId};
pub use master::{
    AgentState, AgentUpdate, Command, CommandError, Config, Effect, Emitted, FrameworkState, Master, OfferState,
    RoleState, RunningTask, State, Wake, WakeReason,
};
pub use offer::{Accept, Filters, Offer, Operation};
pub use resources::{
    Disk, DiskSource, DiskType, ItemFault, Kind, Quantities, Range, Ranges, Reservation, ReservationType, Resource,
    ResourceError, Resources, ResourcesBuilder, Scalar, ScalarError, Set, Shortfall, SumError, Value,
};
pub use role::{Role, RoleError, RoleFault};
pub use scheduler::{Call, Calls, Event, Scheduler};
pub use task::{Task, TaskState, TaskStatus};
pub use time::{Time, TimeError};
