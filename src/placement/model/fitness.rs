//! [`Fitness`]: which of the places where a task may run is the best one.

use super::app::App;
use crate::offer::Offer;
use crate::resources::{Resources, Scalar};
use std::fmt;
use std::sync::Arc;

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

/// A place where a task may run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Prospect<'a> {
    /// Whose task.
    pub app: &'a App,
    /// The offer, as it was made.
    pub offer: &'a Offer,
    /// What is left of it.
    pub left: &'a Resources,
    /// What tasks on the host use.
    pub used: Usage,
    /// A number from 0 to 1 (below 1), drawn by the planner's seed for this task and offer.
    pub draw: f64,
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

/// The ways to choose among places that are there.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// The first offer.
    #[default]
    First,
    /// Where least is left: full machines fill up, empty ones stay empty (Swarm, Fenzo).
    Binpack(Load),
    /// Where most is left (Swarm).
    Spread(Load),
    /// Any, by the seed.
    Random,
    /// A fitness of one's own.
    Own(Arc<dyn Fitness>),
}

/// What fills a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "one of the two that every task asks for, or both")]
pub enum Load {
    /// The mean over cpus and memory, as far as they are asked for.
    #[default]
    Both,
    /// Cpus.
    Cpus,
    /// Memory.
    Mem,
}

impl Strategy {
    /// The names of the strategies.
    pub const NAMES: [&str; 8] =
        ["first", "binpack", "spread", "binpack:cpus", "binpack:mem", "spread:cpus", "spread:mem", "random"];

    /// A fitness of one's own.
    pub fn own(fitness: impl Fitness + 'static) -> Self {
        Self::Own(Arc::new(fitness))
    }

    /// The strategy of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "first" => Some(Self::First),
            "binpack" => Some(Self::Binpack(Load::Both)),
            "spread" => Some(Self::Spread(Load::Both)),
            "binpack:cpus" => Some(Self::Binpack(Load::Cpus)),
            "binpack:mem" => Some(Self::Binpack(Load::Mem)),
            "spread:cpus" => Some(Self::Spread(Load::Cpus)),
            "spread:mem" => Some(Self::Spread(Load::Mem)),
            "random" => Some(Self::Random),
            _ => None,
        }
    }
}

impl Fitness for Strategy {
    fn score(&self, prospect: &Prospect<'_>) -> f64 {
        match self {
            Self::First => 0.0,
            Self::Binpack(load) => load.part(prospect),
            Self::Spread(load) => -load.part(prospect),
            Self::Random => prospect.draw,
            Self::Own(fitness) => fitness.score(prospect),
        }
    }

    /// The number of tasks there: many to pack, few to spread.
    fn tie_break(&self, prospect: &Prospect<'_>) -> f64 {
        match self {
            Self::First | Self::Random => 0.0,
            Self::Binpack(_) => f64::from(prospect.used.tasks),
            Self::Spread(_) => -f64::from(prospect.used.tasks),
            Self::Own(fitness) => fitness.tie_break(prospect),
        }
    }

    fn is_good_enough(&self, score: f64) -> bool {
        match self {
            Self::First => true,
            Self::Binpack(_) | Self::Spread(_) | Self::Random => false,
            Self::Own(fitness) => fitness.is_good_enough(score),
        }
    }

    fn is_of_load(&self) -> bool {
        match self {
            Self::First | Self::Binpack(_) | Self::Spread(_) => true,
            Self::Random => false,
            Self::Own(fitness) => fitness.is_of_load(),
        }
    }
}

impl Load {
    /// Which part of a machine is used once the task is there: (used + asked) / (used + left).
    fn part(self, prospect: &Prospect<'_>) -> f64 {
        let part = |name: &str, used: Scalar, asked: Scalar| {
            let there = used.as_f64() + prospect.left.amount(name).as_f64();
            (!asked.is_zero() && there > 0.0).then(|| (used.as_f64() + asked.as_f64()) / there)
        };
        let cpus = part("cpus", prospect.used.cpus, prospect.app.cpus).filter(|_| self != Self::Mem);
        let mem = part("mem", prospect.used.mem, prospect.app.mem).filter(|_| self != Self::Cpus);
        match (cpus, mem) {
            (Some(cpus), Some(mem)) => f64::midpoint(cpus, mem),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0.0,
        }
    }
}
