//! [`Strategy`]: the built-in fitnesses, and custom ones.

use super::fitness::{Fitness, Prospect};
use crate::resources::Scalar;
use std::sync::Arc;

/// How the planner chooses among offers that preferences and spreads leave equal.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// Takes the first offer.
    #[default]
    First,
    /// Takes the offer of the fullest host: full machines fill up, empty ones stay empty (Swarm, Fenzo).
    Binpack(Load),
    /// Takes the offer of the emptiest host (Swarm).
    Spread(Load),
    /// Takes any offer, by the planner's seed.
    Random,
    /// Asks a custom fitness.
    Custom(Arc<dyn Fitness>),
}

/// The resource by which a host is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "one of the two resources that every task asks for, or both")]
pub enum Load {
    /// The mean over cpus and memory, as far as the task asks for them.
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

    /// Creates a strategy that asks a custom fitness.
    pub fn custom(fitness: impl Fitness + 'static) -> Self {
        Self::Custom(Arc::new(fitness))
    }

    /// Returns the strategy of a name, if there is one.
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
            Self::Custom(fitness) => fitness.score(prospect),
        }
    }

    /// Prefers many tasks on the host to pack, few to spread.
    fn tie_break(&self, prospect: &Prospect<'_>) -> f64 {
        match self {
            Self::First | Self::Random => 0.0,
            Self::Binpack(_) => f64::from(prospect.used.tasks),
            Self::Spread(_) => -f64::from(prospect.used.tasks),
            Self::Custom(fitness) => fitness.tie_break(prospect),
        }
    }

    fn is_good_enough(&self, score: f64) -> bool {
        match self {
            Self::First => true,
            Self::Binpack(_) | Self::Spread(_) | Self::Random => false,
            Self::Custom(fitness) => fitness.is_good_enough(score),
        }
    }

    fn depends_on_load_only(&self) -> bool {
        match self {
            Self::First | Self::Binpack(_) | Self::Spread(_) => true,
            Self::Random => false,
            Self::Custom(fitness) => fitness.depends_on_load_only(),
        }
    }
}

impl Load {
    /// Returns the part of a host that is used once the task runs there: (used + asked) / (used + left).
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
