//! [`Framework`]: what a custom scheduler says of itself.

mod offer_constraints;

pub use offer_constraints::{OfferConstraintError, OfferConstraints};

use crate::id::FrameworkId;
use crate::resources::Quantities;
use crate::role::Role;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

/// What a framework is able to deal with; without it, it is not offered such resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Agents with gpus are offered to it.
    GpuResources,
    /// Revocable resources are offered to it.
    RevocableResources,
    /// Shared resources are offered to it.
    SharedResources,
    /// Agents of other regions are offered to it.
    RegionAware,
    /// It tells unknown tasks from lost ones.
    PartitionAware,
    /// It knows the state of a task that is being killed.
    TaskKillingState,
    /// It may have several roles, and is told under which one it is offered something.
    MultiRole,
    /// It reads reservations as a stack, not only as one role.
    ReservationRefinement,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::GpuResources,
        Self::RevocableResources,
        Self::SharedResources,
        Self::RegionAware,
        Self::PartitionAware,
        Self::TaskKillingState,
        Self::MultiRole,
        Self::ReservationRefinement,
    ];

    /// Mesos' name of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GpuResources => "GPU_RESOURCES",
            Self::RevocableResources => "REVOCABLE_RESOURCES",
            Self::SharedResources => "SHARED_RESOURCES",
            Self::RegionAware => "REGION_AWARE",
            Self::PartitionAware => "PARTITION_AWARE",
            Self::TaskKillingState => "TASK_KILLING_STATE",
            Self::MultiRole => "MULTI_ROLE",
            Self::ReservationRefinement => "RESERVATION_REFINEMENT",
        }
    }
}

/// A framework: its id, the roles in whose name it takes resources, and what it is able to deal with.
///
/// # Examples
///
/// ```
/// use apportion::{Capability, Framework, Role};
///
/// let framework = Framework::new("marathon").role("eng/web".parse()?).capability(Capability::GpuResources);
/// assert!(framework.can(Capability::GpuResources));
/// # Ok::<(), apportion::RoleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Framework {
    /// Its id; empty before a master has given it one.
    pub id: FrameworkId,
    /// Its name, for people.
    pub name: Option<SmolStr>,
    /// The roles that it takes resources for, each once.
    pub roles: Vec<Role>,
    /// What it is able to deal with.
    pub capabilities: Vec<Capability>,
    /// Those of its roles for which it wants no offers at first.
    pub suppressed: Vec<Role>,
    /// By role, the minimum that an offer must contain one of; replaces the general one.
    pub offer_filters: IndexMap<Role, Vec<Quantities>>,
    /// By role, which agents it wants to be offered at all.
    pub offer_constraints: OfferConstraints,
    /// Further fields, by Mesos' names (`user`, `failover_timeout`, `labels`, ...), untouched.
    pub details: Map<String, Json>,
}

impl Framework {
    /// A framework without roles; [`Framework::role`] adds them.
    #[must_use]
    pub fn new(id: impl Into<FrameworkId>) -> Self {
        Self {
            id: id.into(),
            name: None,
            roles: Vec::new(),
            capabilities: Vec::new(),
            suppressed: Vec::new(),
            offer_filters: IndexMap::new(),
            offer_constraints: OfferConstraints::default(),
            details: Map::new(),
        }
    }

    /// The same, with one more role.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// The same, with one more capability.
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// The same, wanting no offers for `role` until it revives it.
    #[must_use]
    pub fn suppressed(mut self, role: Role) -> Self {
        self.suppressed.push(role);
        self
    }

    /// The same, with a further field.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Whether it is able to deal with that.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
