//! [`Framework`]: a framework's registration, its roles and capabilities.

mod offer_constraints;

pub use offer_constraints::{OfferConstraintError, OfferConstraints};

use crate::details::Details;
use crate::id::FrameworkId;
use crate::json::Json;
use crate::name::{self, NameError};
use crate::resources::Quantities;
use crate::role::Role;
use crate::text::Text;
use indexmap::IndexMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A capability of a framework. Without it, the framework gets no offers of the resources that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// It gets offers of agents with GPUs.
    GpuResources,
    /// It gets offers of revocable resources.
    RevocableResources,
    /// It gets offers of shared resources.
    SharedResources,
    /// It gets offers of agents in other regions.
    RegionAware,
    /// It distinguishes unreachable, gone and unknown tasks, instead of `TASK_LOST` for all of them.
    PartitionAware,
    /// It understands the state `TASK_KILLING`.
    TaskKillingState,
    /// It may have several roles; each offer names the role that it is for.
    MultiRole,
    /// It understands the refined format of reservations, a stack instead of a single role.
    ReservationRefinement,
}

impl Capability {
    /// All capabilities.
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

    /// Returns the Mesos name of the capability.
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

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Capability {
    type Err = NameError;

    /// Parses the Mesos name.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::Capability;
    ///
    /// assert_eq!("GPU_RESOURCES".parse(), Ok(Capability::GpuResources));
    /// assert!(Capability::ALL.iter().all(|known| known.to_string().parse() == Ok(*known)));
    /// ```
    fn from_str(text: &str) -> Result<Self, NameError> {
        name::find("capability", &Self::ALL, Self::as_str, text)
    }
}

/// A framework as it subscribes: its id, the roles that it takes resources for, and its capabilities.
///
/// # Examples
///
/// ```
/// use apportion::{Capability, Framework, Role};
///
/// let framework = Framework::new("marathon").role("eng/web".parse()?).capability(Capability::GpuResources);
/// assert!(framework.has_capability(Capability::GpuResources));
/// # Ok::<(), apportion::RoleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Framework {
    /// The id; empty until a master assigns one.
    pub id: FrameworkId,
    /// The name for people.
    pub name: Option<Text>,
    /// The roles that it takes resources for, without duplicates.
    pub roles: Vec<Role>,
    /// The capabilities.
    pub capabilities: Vec<Capability>,
    /// The roles that are suppressed when it subscribes: it gets no offers for them until it revives them.
    pub suppressed: Vec<Role>,
    /// By role, alternative minimums: an offer must reach at least one. They replace the master's general minimum.
    pub offer_filters: IndexMap<Role, Vec<Quantities>>,
    /// By role, constraints on the agents that it gets offers of.
    pub offer_constraints: OfferConstraints,
    /// The time that it may be deactivated before the master removes it and kills its tasks; `None` for ever.
    ///
    /// v1 JSON has no word for ever: there it is the longest time that Mesos can count, 2<sup>63</sup> − 1 nanoseconds.
    pub failover_timeout: Option<Duration>,
    /// The number of live offers at which it is offered nothing more; `None` for no bound.
    pub max_offers: Option<u64>,
    /// The time after which an offer to it that it does not answer is rescinded; zero = never. `None`: as
    /// [configured](crate::Config::offer_timeout).
    ///
    /// Offers keep the timeout that they were made with. Inverse offers have it, too.
    pub offer_timeout: Option<Duration>,
    /// True if its tasks outlive a broken connection of their agent, which keeps them on disk.
    pub checkpoint: bool,
    /// The principal that it authenticates as.
    pub principal: Option<Text>,
    /// The user that its tasks run as, unless they name another.
    pub user: Option<Text>,
    /// Further fields by their Mesos names (`hostname`, `webui_url`, `labels`, ...), unchanged.
    pub details: Details,
}

impl Framework {
    /// Makes a framework without roles; [`Framework::role`] adds them.
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
            failover_timeout: None,
            max_offers: None,
            offer_timeout: None,
            checkpoint: false,
            principal: None,
            user: None,
            details: Details::new(),
        }
    }

    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Adds a capability.
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Suppresses offers for `role` until the framework revives it.
    #[must_use]
    pub fn suppressed(mut self, role: Role) -> Self {
        self.suppressed.push(role);
        self
    }

    /// Sets the time that it may be deactivated before the master removes it.
    #[must_use]
    pub fn failover_timeout(mut self, timeout: Duration) -> Self {
        self.failover_timeout = Some(timeout);
        self
    }

    /// Bounds the number of its live offers: at so many it is passed over, until one of them ends.
    ///
    /// # Examples
    ///
    /// A framework that decides slowly, and leaves the rest of the cluster to others meanwhile:
    ///
    /// ```
    /// use apportion::{Framework, Role};
    /// use std::time::Duration;
    ///
    /// let framework = Framework::new("slow").role(Role::default()).max_offers(10).offer_timeout(Duration::from_secs(60));
    /// assert_eq!(framework.max_offers, Some(10));
    /// ```
    #[must_use]
    pub fn max_offers(mut self, offers: u64) -> Self {
        self.max_offers = Some(offers);
        self
    }

    /// Sets the time after which an offer to it that it does not answer is rescinded; zero = never.
    ///
    /// # Examples
    ///
    /// A framework that thinks long may hold its offers for ten minutes, whatever the others may do:
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Effect, Framework, Master, Role, Time};
    /// use std::time::Duration;
    ///
    /// let mut master = Master::new(Config::new().offer_timeout(Duration::from_secs(5)));
    /// let framework = Framework::new("planner").role(Role::default()).offer_timeout(Duration::from_secs(600));
    /// master.handle(Time::ZERO, Command::AddFramework(framework))?;
    /// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    /// assert_eq!(master.poll_timeout().map(|wake| wake.at), Some(Time::from_secs(600)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn offer_timeout(mut self, timeout: Duration) -> Self {
        self.offer_timeout = Some(timeout);
        self
    }

    /// Has agents keep its tasks on disk, so that they outlive a broken connection.
    #[must_use]
    pub fn checkpoint(mut self) -> Self {
        self.checkpoint = true;
        self
    }

    /// Returns whether the framework is treated as `MULTI_ROLE`: it has the capability, or it does not have exactly one
    /// role.
    #[must_use]
    pub fn is_multi_role(&self) -> bool {
        self.has_capability(Capability::MultiRole) || self.roles.len() != 1
    }

    /// Sets a further field.
    #[must_use]
    pub fn detail(mut self, name: impl Into<Text>, value: impl Into<Json>) -> Self {
        self.details.insert(name, value);
        self
    }

    /// Returns true if the framework has that capability.
    #[must_use]
    pub fn has_capability(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
