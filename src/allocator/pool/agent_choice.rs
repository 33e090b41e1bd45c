//! [`AgentChoice`]: which of the agents that a claim fits gets it.

use crate::agent::Agent;
use crate::resources::Resources;
use std::fmt;
use std::sync::Arc;

/// Scores the agents on which a claim has room; the best score gets it, and of equals the agent that was added first.
///
/// # Examples
///
/// Old machines first, by a closure:
///
/// ```
/// use apportion::AttributeValue;
/// use apportion::allocator::AgentChoice;
///
/// let oldest = AgentChoice::by("oldest", |spot| match spot.agent.attributes.first("age") {
///     Some(AttributeValue::Scalar(years)) => *years,
///     _ => 0.0,
/// });
/// assert_eq!(format!("{oldest:?}"), "AgentChoice(\"oldest\")");
/// ```
#[derive(Clone)]
pub struct AgentChoice {
    name: &'static str,
    score: Option<Arc<Score>>,
}

/// The score of a spot: more is better.
type Score = dyn Fn(&Spot<'_>) -> f64 + Send + Sync;

/// An agent on which a claim has room.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Spot<'a> {
    /// The agent.
    pub agent: &'a Agent,
    /// The resources that the claim would get.
    pub taken: &'a Resources,
    /// The resources that would be left available of the agent.
    pub left: &'a Resources,
}

impl Spot<'_> {
    /// Returns the part of the agent that would be left available: the mean over the scalars that the claim takes, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a score; what is allocated is exact")]
    pub fn left_over(&self) -> f64 {
        let (left, total) = (self.left.quantities(), self.agent.resources.quantities());
        let parts: Vec<f64> = (self.taken.quantities().iter())
            .filter(|(name, _)| !total.amount(name).is_zero())
            .map(|(name, _)| left.amount(name).as_milli() as f64 / total.amount(name).as_milli() as f64)
            .collect();
        if parts.is_empty() { 0.0 } else { parts.iter().sum::<f64>() / parts.len() as f64 }
    }
}

impl AgentChoice {
    /// Takes the first agent that has room. It looks at no other: the cheapest choice.
    #[must_use]
    pub const fn first() -> Self {
        Self { name: "first", score: None }
    }

    /// Takes the agent of which the least is left: large claims find room elsewhere (best fit).
    #[must_use]
    pub fn pack() -> Self {
        Self::by("pack", |spot| -spot.left_over())
    }

    /// Takes the agent of which the most is left: claims do not crowd (worst fit).
    #[must_use]
    pub fn spread() -> Self {
        Self::by("spread", |spot| spot.left_over())
    }

    /// Takes the agent of the highest score; NaN is the lowest. It must be a function of the spot alone.
    #[must_use]
    pub fn by(name: &'static str, score: impl Fn(&Spot<'_>) -> f64 + Send + Sync + 'static) -> Self {
        Self { name, score: Some(Arc::new(score)) }
    }

    /// Returns true if the first agent that has room is as good as any.
    pub(super) fn is_first(&self) -> bool {
        self.score.is_none()
    }

    pub(super) fn score(&self, spot: &Spot<'_>) -> f64 {
        let score = self.score.as_ref().map_or(0.0, |score| score(spot));
        if score.is_nan() { f64::NEG_INFINITY } else { score }
    }
}

impl Default for AgentChoice {
    fn default() -> Self {
        Self::first()
    }
}

impl fmt::Debug for AgentChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgentChoice").field(&self.name).finish()
    }
}
