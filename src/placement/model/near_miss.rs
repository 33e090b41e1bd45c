//! [`NearMiss`]: the smallest change that would let one more task in.

use super::volume::VolumeSource;
use crate::constraint::Field;
use crate::id::{AgentId, OfferId};
use crate::resources::Scalar;
use crate::role::Role;
use crate::time::Time;
use smol_str::SmolStr;
use std::fmt;

/// The smallest change that would let one more instance of an app in: everything that would have to be otherwise with one
/// offer, or on one more agent that is like its agent but for that.
///
/// Which change is the smallest is a matter of weights: too little of an amount counts by the part of what is needed that
/// is missing, anything else as much as all of an amount that is missing, and a condition that no value of a field can
/// meet ten times that. Of equals it is the first offer's. All of it is needed: with less of any of it the task does not fit
/// there.
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
    /// The host of that.
    pub hostname: SmolStr,
    /// What would have to be otherwise: all of it.
    pub changes: Vec<Change>,
}

/// One thing that would have to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// So much more of an amount, of a role that the app takes.
    More {
        /// `cpus`, `mem`, `disk` or `gpus`.
        name: &'static str,
        /// How much.
        amount: Scalar,
    },
    /// So many more ports, whatever their numbers.
    Ports(usize),
    /// That port.
    Port(u16),
    /// So much more on a root disk that is not reserved, or one more disk of that kind and size. (Of several volumes, for
    /// the first that finds no disk.)
    Disk {
        /// The kind of disk.
        source: VolumeSource,
        /// How much.
        size: Scalar,
    },
    /// An agent where the field has that value.
    Value {
        /// The field.
        field: Field,
        /// The value.
        value: SmolStr,
    },
    /// An agent where the field has a value that no task has: one more host, one more rack.
    NewValue(Field),
    /// An agent that says nothing of that field.
    NoValue(Field),
    /// An offer to that role.
    OfferTo(Role),
    /// Anything at all of that role.
    OfRole(Role),
    /// No maintenance, or an end of it.
    NoMaintenance {
        /// When it ends, if that is known.
        until: Option<Time>,
    },
    /// An agent without gpus.
    NoGpus,
    /// No such condition: nobody can tell a value that would meet it.
    Without {
        /// The condition, as it is written.
        clause: SmolStr,
    },
}

impl Change {
    /// Whether it is about another agent, rather than more on this one.
    pub(in crate::placement) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Value { .. } | Self::NewValue(_) | Self::NoValue(_))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More { name, amount } => write!(f, "{amount} more {name}"),
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

/// A field as people name it.
fn named(field: &Field) -> String {
    if *field == Field::Hostname { "host".to_owned() } else { field.to_string().trim_start_matches('@').to_owned() }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Change::NewValue(field)] = self.changes.as_slice() {
            return write!(f, "one more {}", named(field));
        }
        let is_elsewhere = self.changes.iter().any(Change::is_elsewhere);
        if is_elsewhere {
            write!(f, "one more agent like {} with ", self.hostname)?;
        }
        for (i, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if i == 0 { "" } else { " and " })?;
        }
        if is_elsewhere { Ok(()) } else { write!(f, " on {}", self.hostname) }
    }
}
