//! [`Barrier`]: a check that keeps a task off an offer.

use super::ports::{PortHolder, PortShortage};
use super::volume::VolumeShortage;
use super::withheld::{Withheld, WithheldParts};
use crate::constraint::RejectReason;
use crate::id::OfferId;
use crate::resources::{Scalar, Shortfall};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;

/// A check that keeps a task off an offer.
///
/// Its text is the details; [`Barrier::kind`] is the short word for it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Barrier {
    /// The offer was made to another role.
    #[error("offered to {offered}, the app runs as {wanted}")]
    WrongRole {
        /// The role that it was made to.
        offered: Role,
        /// The role of the app.
        wanted: Role,
    },
    /// The offer has no resource of a role that the app accepts.
    #[error("nothing of {}", Roles(.accepted))]
    NoAcceptedRole {
        /// The roles that the app accepts.
        accepted: Vec<Role>,
    },
    /// The agent is in another region than the planner's, and the app constrains no region or zone.
    #[error("in {region}, not in {home}")]
    WrongRegion {
        /// The region of the agent.
        region: Text,
        /// The region of the planner.
        home: Text,
    },
    /// A condition does not hold.
    #[error("{clause}: {reason}")]
    Condition {
        /// The condition, as it is written.
        clause: Text,
        /// Why it does not hold.
        reason: RejectReason,
    },
    /// A task with a required `EXCLUSIVE` holds the place.
    #[error("{0}")]
    ExclusivelyHeld(RejectReason),
    /// The agent is, or soon will be, unavailable for maintenance.
    #[error("down from {start}{}, it is {now}", Until(.until))]
    Maintenance {
        /// The start of the maintenance window.
        start: Time,
        /// The end of the maintenance window, if it is known.
        until: Option<Time>,
        /// The time of the plan.
        now: Time,
    },
    /// Too little of a resource is left.
    #[error("{needed} needed, {left} left{}", WithheldParts(.withheld))]
    Insufficient {
        /// `cpus`, `mem`, `disk` or `gpus`.
        name: &'static str,
        /// The amount that the task takes.
        needed: Scalar,
        /// The amount that is left, of the roles that the app accepts.
        left: Scalar,
        /// The amounts that are left besides, and that the app does not accept.
        withheld: Vec<Withheld>,
    },
    /// Too little of another resource is left, of the roles that the app accepts.
    #[error("{0}")]
    Short(Box<Shortfall>),
    /// No disk suits a volume.
    #[error(transparent)]
    Volume(VolumeShortage),
    /// The offer has gpus, which are reserved for apps that want some; this one wants none.
    #[error("{gpus} gpus left, which the app does not want")]
    GpusReserved {
        /// The amount of gpus that is left.
        gpus: Scalar,
    },
    /// The ports that the task needs are not left.
    #[error("{}{}", MissingPorts(.shortage, .holder), WithheldParts(.withheld))]
    Ports {
        /// The ports that are missing.
        shortage: PortShortage,
        /// The holder of the port that is missing by number, if it is known.
        holder: Option<PortHolder>,
        /// If there are too few ports: those that are left besides, and that the app does not accept.
        withheld: Vec<Withheld>,
    },
}

impl Barrier {
    /// Returns the short word for it: `role`, `region`, `attributes` (the agent lacks the field of a condition),
    /// `constraint` (its value does not meet the condition), `maintenance`, `cpus`, `mem`, `disk`, `gpus`, `resources`
    /// (any other), `scarce` or `ports`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::WrongRole { .. } | Self::NoAcceptedRole { .. } => "role",
            Self::WrongRegion { .. } => "region",
            Self::Condition { reason, .. } if reason.is_absence() => "attributes",
            Self::Condition { .. } | Self::ExclusivelyHeld(_) => "constraint",
            Self::Maintenance { .. } => "maintenance",
            Self::Insufficient { name, .. } => name,
            Self::Short(_) => "resources",
            Self::Volume(_) => "disk",
            Self::GpusReserved { .. } => "scarce",
            Self::Ports { .. } => "ports",
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

struct MissingPorts<'a>(&'a PortShortage, &'a Option<PortHolder>);

impl fmt::Display for MissingPorts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (PortShortage::Fixed(number), Some(holder)) => write!(f, "{number} needed, which {holder}"),
            (shortage, _) => shortage.fmt(f),
        }
    }
}

struct Until<'a>(&'a Option<Time>);

impl fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |until| write!(f, " to {until}"))
    }
}

/// A barrier with the offer that it keeps a task off.
///
/// In JSON: `{"offer": "o1", "kind": "cpus", "detail": "0.25 needed, 0.1 left"}`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Obstacle {
    /// The offer.
    pub offer: OfferId,
    /// The check that fails.
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
