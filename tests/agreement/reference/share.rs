//! Dominant shares as exact fractions.

use super::operations::same;
use super::{Held, Reference};
use apportion::allocator::Weight;
use apportion::{AgentId, Resource};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A fraction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    held: u128,
    of: u128,
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.held / self.of, other.held / other.of);
        let (my_rest, their_rest) = (self.held % self.of, other.held % other.of);
        match mine.cmp(&theirs) {
            // Of what is left over, the one whose inverse is larger is smaller: cross products may not fit.
            Ordering::Equal if my_rest > 0 && their_rest > 0 => {
                Self { held: other.of, of: their_rest }.cmp(&Self { held: self.of, of: my_rest })
            }
            Ordering::Equal => my_rest.cmp(&their_rest),
            differ => differ,
        }
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

impl Reference {
    /// The largest fraction of any one name that is held, of the whole cluster, over the weight.
    pub(super) fn share<'a>(&self, held: impl Iterator<Item = &'a Held>, weight: Weight) -> Share {
        let all = self.agents.iter().map(|known| (&known.agent.id, known.agent.resources.iter()));
        let totals = amounts(all.flat_map(|(id, resources)| resources.map(move |resource| (id, resource))));
        let held = amounts(held.flat_map(|held| held.resources.iter().map(move |resource| (&held.agent, resource))));
        let mut dominant = Share { held: 0, of: 1 };
        for (name, held) in held {
            let total = totals.get(&name).copied().unwrap_or(0);
            let excluded = self.config.options.fair_sharing_excluded.iter().any(|excluded| *excluded == name);
            if total > 0 && !excluded {
                let share = Share { held: held * 1_000_000, of: total * millionths(weight) };
                dominant = dominant.max(share);
            }
        }
        dominant
    }
}

/// Scalars by name; a shared resource of one agent counts once, however many hold it.
pub(crate) fn amounts<'a>(resources: impl Iterator<Item = (&'a AgentId, &'a Resource)>) -> BTreeMap<String, u128> {
    let mut amounts = BTreeMap::new();
    let mut shared: Vec<(&AgentId, &Resource)> = Vec::new();
    for (agent, resource) in resources {
        let Some(amount) = resource.scalar() else { continue };
        if resource.is_shared() {
            if shared.iter().any(|(on, other)| *on == agent && same(other, resource)) {
                continue;
            }
            shared.push((agent, resource));
        }
        *amounts.entry(resource.name().to_owned()).or_default() += u128::from(amount.as_milli());
    }
    amounts
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "weights are from 1 to 1e15 millionths")]
fn millionths(weight: Weight) -> u128 {
    (weight.as_f64() * 1e6).round() as u128
}
