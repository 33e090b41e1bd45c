//! [`Barrier`]: why an offer will not do for a task.

use super::ports::PortShortage;
use super::volume::VolumeShortage;
use crate::constraint::Reason;
use crate::id::OfferId;
use crate::resources::Scalar;
use crate::role::Role;
use crate::time::Time;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use smol_str::SmolStr;
use std::fmt;

/// Why an offer will not do for a task.
///
/// It prints the details; [`Barrier::kind`] is the short word for it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Barrier {
    /// The offer was made to another role.
    #[error("offered to {offered}, the app runs as {wanted}")]
    OtherRole {
        /// To which it was made.
        offered: Role,
        /// The app's.
        wanted: Role,
    },
    /// Nothing in the offer is of a role that the app takes.
    #[error("nothing of {}", Roles(.accepted))]
    NoneOfRole {
        /// The roles that it takes.
        accepted: Vec<Role>,
    },
    /// The agent stands in another region, and the app does not ask for regions.
    #[error("in {region}, not in {home}")]
    WrongRegion {
        /// Where the agent stands.
        region: SmolStr,
        /// Where the app stays.
        home: SmolStr,
    },
    /// A condition does not hold.
    #[error("{clause}: {reason}")]
    Condition {
        /// The condition, as it is written.
        clause: SmolStr,
        /// Why it does not hold.
        reason: Reason,
    },
    /// A task there lets no other in.
    #[error("{0}")]
    ExclusivelyHeld(Reason),
    /// The agent is, or soon will be, down for maintenance.
    #[error("down from {start}{}, it is {now}", Until(.until))]
    Maintenance {
        /// From when on.
        start: Time,
        /// Until when, if that is known.
        until: Option<Time>,
        /// Now.
        now: Time,
    },
    /// Too little of a resource is left.
    #[error("{needed} needed, {left} left")]
    Short {
        /// `cpus`, `mem`, `disk` or `gpus`.
        name: &'static str,
        /// What the task takes.
        needed: Scalar,
        /// What is left, of the roles that it takes.
        left: Scalar,
    },
    /// There is no disk for a volume.
    #[error(transparent)]
    Volume(VolumeShortage),
    /// There are gpus, and the app wants none.
    #[error("{gpus} gpus left, which the app does not want")]
    GpusReserved {
        /// How many.
        gpus: Scalar,
    },
    /// The ports that it needs are not left.
    #[error(transparent)]
    Ports(PortShortage),
}

impl Barrier {
    /// The short word for it: `role`, `region`, `attributes` (the field of a condition is not there), `constraint` (it
    /// is, but does not fit), `maintenance`, `cpus`, `mem`, `disk`, `gpus`, `scarce` or `ports`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OtherRole { .. } | Self::NoneOfRole { .. } => "role",
            Self::WrongRegion { .. } => "region",
            Self::Condition { reason, .. } if reason.is_absence() => "attributes",
            Self::Condition { .. } | Self::ExclusivelyHeld(_) => "constraint",
            Self::Maintenance { .. } => "maintenance",
            Self::Short { name, .. } => name,
            Self::Volume(_) => "disk",
            Self::GpusReserved { .. } => "scarce",
            Self::Ports(_) => "ports",
        }
    }
}

struct Roles<'a>(&'a [Role]);

impl fmt::Display for Roles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, role) in self.0.iter().enumerate() {
            write!(f, "{}{role}", if i == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}

struct Until<'a>(&'a Option<Time>);

impl fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |until| write!(f, " to {until}"))
    }
}

/// Why one offer will not do.
///
/// In JSON: `{"offer": "o1", "kind": "cpus", "detail": "0.25 needed, 0.1 left"}`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Obstacle {
    /// Which offer.
    pub offer: OfferId,
    /// Why.
    pub barrier: Barrier,
}

impl Serialize for Obstacle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Obstacle", 3)?;
        object.serialize_field("offer", &self.offer)?;
        object.serialize_field("kind", self.barrier.kind())?;
        object.serialize_field("detail", &self.barrier.to_string())?;
        object.end()
    }
}
