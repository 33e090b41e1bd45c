//! [`Fitness`]: scores the offers in which a task may run.

use super::ports::PortRequest;
use super::volume::VolumeRequest;
use crate::offer::Offer;
use crate::resources::{Resources, Scalar};
use crate::role::Role;
use crate::text::Text;
use std::collections::BTreeMap;
use std::fmt;

/// Scores the offers in which a task may run.
///
/// It decides only among offers that preferences, spreads and a `GROUP_BY` leave equal.
///
/// # Examples
///
/// A custom fitness: old machines first.
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
/// let strategy = Strategy::custom(OldestFirst);
/// ```
pub trait Fitness: fmt::Debug + Send + Sync {
    /// Returns the score of an offer: more is better; NaN is the worst score.
    fn score(&self, prospect: &Prospect<'_>) -> f64;

    /// Returns the score that decides between offers of equal [`score`](Self::score).
    fn tie_break(&self, prospect: &Prospect<'_>) -> f64 {
        let _ = prospect;
        0.0
    }

    /// Returns true if an offer of this score is as good as any: the planner then takes it without looking at the
    /// others, unless preferences, spreads or a `GROUP_BY` have to choose. By default no score is, and the planner
    /// looks at all offers for each instance.
    fn is_good_enough(&self, score: f64) -> bool {
        let _ = score;
        false
    }

    /// Returns true if scores depend only on [`Prospect::app`], [`Prospect::left`] and [`Prospect::used`]. The planner
    /// then keeps them until one of these changes, and shares them between like offers: choosing one of thousands takes
    /// no longer than choosing one of ten. Must be false if scores depend on the offer itself or on the draw.
    fn depends_on_load_only(&self) -> bool {
        false
    }
}

/// A task and an offer that it fits, as a fitness sees them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Prospect<'a> {
    /// The request of the app for one of its tasks.
    pub app: &'a TaskRequest<'a>,
    /// The offer, as it was made.
    pub offer: &'a Offer,
    /// The resources that are left of it.
    pub left: &'a Resources,
    /// The load of the tasks on its host.
    pub used: Usage,
    /// A number from 0 to 1 (below 1), drawn by the planner's seed for this task and offer.
    pub draw: f64,
}

/// The request of an app for one of its tasks: the part of an app that a fitness sees.
///
/// Conditions, preferences and spreads are not in it: a fitness chooses among offers that these leave equal.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TaskRequest<'a> {
    /// The id of the app.
    pub id: &'a str,
    /// The number of tasks of the app that are to run.
    pub instances: u64,
    /// The cpus of the task.
    pub cpus: Scalar,
    /// The memory of the task, in MB.
    pub mem: Scalar,
    /// The root disk of the task, in MB.
    pub disk: Scalar,
    /// The gpus of the task.
    pub gpus: Scalar,
    /// Its other resources.
    pub ask: &'a Resources,
    /// Its ports.
    pub ports: &'a [PortRequest],
    /// Its persistent volumes.
    pub volumes: &'a [VolumeRequest],
    /// The role of the app.
    pub role: Option<&'a Role>,
    /// The image of its container.
    pub image: Option<&'a str>,
    /// Its labels.
    pub labels: &'a BTreeMap<Text, Text>,
    /// The group of the app.
    pub group: Option<&'a str>,
}

/// The load of the tasks on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// The cpus that they use.
    pub cpus: Scalar,
    /// The memory that they use, in MB.
    pub mem: Scalar,
    /// The number of tasks.
    pub tasks: u32,
}

impl Usage {
    /// Adds a task.
    pub(in crate::placement) fn add(&mut self, cpus: Scalar, mem: Scalar) {
        self.cpus = self.cpus.checked_add(cpus).unwrap_or(Scalar::milli(u64::MAX));
        self.mem = self.mem.checked_add(mem).unwrap_or(Scalar::milli(u64::MAX));
        self.tasks = self.tasks.saturating_add(1);
    }
}
