//! [`Fitness`]: which of the places where a task may run is the best one.

use super::ports::PortRequest;
use super::volume::VolumeRequest;
use crate::offer::Offer;
use crate::resources::{Resources, Scalar};
use crate::role::Role;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::fmt;

/// How good a place is for a task, among those where it may run.
///
/// It is asked only where preferences and spreads leave several places alike.
///
/// # Examples
///
/// A fitness of one's own: old machines first.
///
/// ```
/// use apportion::AttributeValue;
/// use apportion::placement::{Fitness, Prospect, Strategy};
///
/// #[derive(Debug)]
/// struct OldestFirst;
///
/// impl Fitness for OldestFirst {
///     fn score(&self, prospect: &Prospect<'_>) -> f64 {
///         match prospect.offer.attributes.first("age") {
///             Some(AttributeValue::Scalar(years)) => *years,
///             _ => 0.0,
///         }
///     }
/// }
///
/// let strategy = Strategy::own(OldestFirst);
/// ```
pub trait Fitness: fmt::Debug + Send + Sync {
    /// How good it is: more is better; what is no number is worst.
    fn score(&self, prospect: &Prospect<'_>) -> f64;

    /// What decides between places of the same score.
    fn tie_break(&self, prospect: &Prospect<'_>) -> f64 {
        let _ = prospect;
        0.0
    }

    /// Whether a place of that score will do as well as any: then no others are looked at, unless preferences, spreads or a
    /// `GROUP_BY` have to choose. By default none does, and each instance has all offers looked at.
    fn is_good_enough(&self, score: f64) -> bool {
        let _ = score;
        false
    }

    /// Whether scores depend on nothing of an offer but what is left of it and what tasks on its host use. Then they are
    /// kept until one of these changes, and shared by offers that are alike: choosing one of thousands takes no longer than
    /// choosing one of ten. Not for those that look at the offer itself or at the draw.
    fn is_of_load(&self) -> bool {
        false
    }
}

/// A place where a task may run, as a fitness sees it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Prospect<'a> {
    /// What the app asks for one of its tasks.
    pub app: &'a TaskRequest<'a>,
    /// The offer, as it was made.
    pub offer: &'a Offer,
    /// What is left of it.
    pub left: &'a Resources,
    /// What tasks on the host use.
    pub used: Usage,
    /// A number from 0 to 1 (below 1), drawn by the planner's seed for this task and offer.
    pub draw: f64,
}

/// What an app asks for one of its tasks: the part of an app that a fitness may look at.
///
/// Conditions, preferences and spreads are not in it: a fitness chooses among places that these leave alike.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TaskRequest<'a> {
    /// The id of the app.
    pub id: &'a str,
    /// How many tasks of the app are to run.
    pub instances: u64,
    /// What the task takes of cpus.
    pub cpus: Scalar,
    /// What the task takes of memory, in MB.
    pub mem: Scalar,
    /// What the task takes of the root disk, in MB.
    pub disk: Scalar,
    /// What the task takes of gpus.
    pub gpus: Scalar,
    /// Its ports.
    pub ports: &'a [PortRequest],
    /// Its persistent volumes.
    pub volumes: &'a [VolumeRequest],
    /// The role of the app.
    pub role: Option<&'a Role>,
    /// The image of its container.
    pub image: Option<&'a str>,
    /// Its labels.
    pub labels: &'a BTreeMap<SmolStr, SmolStr>,
    /// The group of the app.
    pub group: Option<&'a str>,
}

/// What the tasks on a host use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Of cpus.
    pub cpus: Scalar,
    /// Of memory.
    pub mem: Scalar,
    /// How many tasks there are.
    pub tasks: u32,
}

impl Usage {
    /// Counts one more task.
    pub(in crate::placement) fn add(&mut self, cpus: Scalar, mem: Scalar) {
        self.cpus = self.cpus.checked_add(cpus).unwrap_or(Scalar::milli(u64::MAX));
        self.mem = self.mem.checked_add(mem).unwrap_or(Scalar::milli(u64::MAX));
        self.tasks = self.tasks.saturating_add(1);
    }
}
