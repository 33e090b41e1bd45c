//! apportion
mod id;
mod resources;
mod role;
mod time;

pub use id::{AgentId, FrameworkId, OfferId, TaskId};
pub use resources::{
    Disk, DiskSource, DiskType, ItemFault, Kind, Quantities, Range, Ranges, Reservation, ReservationType, Resource,
    ResourceError, Resources, ResourcesBuilder, Scalar, ScalarError, Set, Shortfall, SumError, Value,
};
pub use role::{Role, RoleError, RoleFault};
pub use time::{Time, TimeError};
