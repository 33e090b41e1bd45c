//! [`NearMiss`]: the smallest change with which one more task would fit.

use super::volume::VolumeSource;
use crate::constraint::Field;
use crate::id::{AgentId, OfferId};
use crate::resources::{Resource, Scalar};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;

/// The smallest change with which one more task of an app would fit: a change of one offer, or one more agent that is
/// like the offer's agent but for the change.
///
/// Changes are compared by cost: a missing amount costs the part of the need that is missing, any other change costs 1,
/// and a condition that no value of a field can meet costs 10. Among equals the first offer wins. The change is
/// minimal: with less of any of it the task does not fit.
///
/// # Examples
///
/// ```
/// use apportion::constraint::Condition;
/// use apportion::placement::{App, Planner};
/// use apportion::{Offer, Role, Scalar};
///
/// let app = App::new("db").instances(3).cpus(Scalar::milli(500)).require("rack UNIQUE".parse::<Condition>()?);
/// let offer = |agent: &str, cpus: &str, rack: &str| {
///     let mut offer = Offer::new(agent, "f1", Role::default(), agent, format!("cpus:{cpus};mem:512;ports:[1-9]").parse().unwrap());
///     offer.attributes = format!("rack:{rack}").parse().unwrap();
///     offer
/// };
/// let near_miss = |offers: &[Offer]| Planner::new().plan([&app], &[], offers).unplaced[0].near_miss.clone().unwrap();
/// let (first, second) = (offer("a1", "4", "r1"), offer("a2", "4", "r2"));
/// assert_eq!(near_miss(&[first.clone(), second.clone()]).to_string(), "one more rack");
/// assert_eq!(near_miss(&[first, second, offer("a7", "0.25", "r3")]).to_string(), "0.25 more cpus on a7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearMiss {
    /// The offer.
    pub offer: OfferId,
    /// Its agent.
    pub agent: AgentId,
    /// The host of the agent.
    pub hostname: Text,
    /// The changes, all of which are needed.
    pub changes: Vec<NeededChange>,
}

/// One part of a near miss.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NeededChange {
    /// More of an amount, of a role that the app accepts.
    More {
        /// `cpus`, `mem`, `disk` or `gpus`.
        name: &'static str,
        /// The amount that is missing.
        amount: Scalar,
    },
    /// More of another resource, of a role that the app accepts: an amount, which is also a number of members; members that
    /// are named; or a whole disk.
    Other(Box<Resource>),
    /// More ports, of any numbers.
    Ports(usize),
    /// A port of this number.
    Port(u16),
    /// More unreserved space on a root disk, or one more disk of a kind and size. (Of several volumes, for the first
    /// that finds no disk.)
    Disk {
        /// The kind of disk.
        source: VolumeSource,
        /// The missing space on a root disk, or the size of the disk.
        size: Scalar,
    },
    /// An agent where the field has this value.
    Value {
        /// The field.
        field: Field,
        /// The value.
        value: Text,
    },
    /// An agent where the field has a value that no task has: one more host, one more rack.
    NewValue(Field),
    /// An agent without the field.
    NoValue(Field),
    /// An offer made to this role.
    OfferTo(Role),
    /// Any resource of this role.
    OfRole(Role),
    /// No maintenance of the agent.
    NoMaintenance {
        /// The end of the maintenance window, if it is known.
        until: Option<Time>,
    },
    /// An agent without gpus.
    NoGpus,
    /// An app without this condition, which no known value meets.
    Without {
        /// The condition, as it is written.
        clause: Text,
    },
}

impl NeededChange {
    /// Returns true for a change that takes another agent, rather than more on this one.
    pub(in crate::placement) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Value { .. } | Self::NewValue(_) | Self::NoValue(_))
    }
}

impl fmt::Display for NeededChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More { name, amount } => write!(f, "{amount} more {name}"),
            Self::Other(resource) => match resource.scalar().filter(|_| resource.kind().is_none()) {
                Some(amount) => write!(f, "{amount} more {}", resource.name()),
                None => resource.fmt(f),
            },
            Self::Ports(1) => f.write_str("1 more port"),
            Self::Ports(count) => write!(f, "{count} more ports"),
            Self::Port(number) => write!(f, "port {number}"),
            Self::Disk { source: VolumeSource::Root, size } => write!(f, "{size} more disk"),
            Self::Disk { source, size } => write!(f, "a {} disk of {size}", source.name()),
            Self::Value { field, value } => write!(f, "{} {value}", named(field)),
            Self::NewValue(field) => write!(f, "another {}", named(field)),
            Self::NoValue(field) => write!(f, "no {}", named(field)),
            Self::OfferTo(role) => write!(f, "an offer to {role}"),
            Self::OfRole(role) => write!(f, "something of {role}"),
            Self::NoMaintenance { until: None } => f.write_str("no maintenance"),
            Self::NoMaintenance { until: Some(until) } => write!(f, "an end of maintenance (at {until})"),
            Self::NoGpus => f.write_str("no gpus"),
            Self::Without { clause } => write!(f, "no condition {clause}"),
        }
    }
}

/// Returns a field in plain words.
fn named(field: &Field) -> String {
    if *field == Field::Hostname { "host".to_owned() } else { field.to_string().trim_start_matches('@').to_owned() }
}

impl Serialize for NearMiss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("NearMiss", 2)?;
        object.serialize_field("offer", &self.offer)?;
        object.serialize_field("text", &self.to_string())?;
        object.end()
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [NeededChange::NewValue(field)] = self.changes.as_slice() {
            return write!(f, "one more {}", named(field));
        }
        let is_elsewhere = self.changes.iter().any(NeededChange::is_elsewhere);
        if is_elsewhere {
            write!(f, "one more agent like {} with ", self.hostname)?;
        }
        for (i, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if i == 0 { "" } else { " and " })?;
        }
        if is_elsewhere { Ok(()) } else { write!(f, " on {}", self.hostname) }
    }
}
