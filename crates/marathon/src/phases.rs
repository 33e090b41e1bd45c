//! [`InstancesByPhase`]: the instances of one app, grouped by phase.

use crate::upgrade_strategy::KillSelection;
use std::collections::{BTreeMap, BTreeSet};

/// The phase of an instance in the rollout of its app. An instance is *up* while it runs and, if the app has health checks,
/// is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Of the present version, and not up: not yet, or no longer.
    Starting,
    /// Of the present version, and up.
    Up,
    /// Of an older version, and not up.
    OldDown,
    /// Of an older version, and up.
    OldUp,
    /// Told to end, and not ended yet.
    Killed,
    /// On an agent that could not be reached for so long that another instance takes its place.
    Inactive,
}

/// A partition of an app's instances by phase: a map from instance to phase, and its inverse, an ordered set per phase. An
/// instance is a number that grows with each launch, so that a smaller number is an older instance.
#[derive(Debug, Clone, Default)]
pub(crate) struct InstancesByPhase {
    phases: BTreeMap<u64, Phase>,
    instances: BTreeMap<Phase, BTreeSet<u64>>,
}

impl InstancesByPhase {
    /// Adds an instance in that phase, or moves it there.
    pub(crate) fn set(&mut self, instance: u64, phase: Phase) {
        self.remove(instance);
        self.phases.insert(instance, phase);
        self.instances.entry(phase).or_default().insert(instance);
    }

    /// Removes an instance that has ended.
    pub(crate) fn remove(&mut self, instance: u64) {
        let phase = self.phases.remove(&instance);
        if let Some(instances) = phase.and_then(|phase| self.instances.get_mut(&phase)) {
            instances.remove(&instance);
        }
    }

    /// Moves all instances to the phases of an older version.
    pub(crate) fn mark_all_old(&mut self) {
        for (new, old) in [(Phase::Starting, Phase::OldDown), (Phase::Up, Phase::OldUp)] {
            for instance in self.instances.remove(&new).unwrap_or_default() {
                self.set(instance, old);
            }
        }
    }

    /// Returns the number of instances in a phase.
    pub(crate) fn count(&self, phase: Phase) -> u64 {
        self.instances.get(&phase).map_or(0, |instances| instances.len() as u64)
    }

    /// Returns the number of all instances but those whose place another one takes.
    pub(crate) fn total(&self) -> u64 {
        self.phases.len() as u64 - self.count(Phase::Inactive)
    }

    /// Returns up to `count` instances of a phase, in the order in which they are killed.
    pub(crate) fn select(&self, phase: Phase, count: u64, order: KillSelection) -> Vec<u64> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let instances = self.instances.get(&phase).into_iter().flatten().copied();
        match order {
            KillSelection::OldestFirst => instances.take(count).collect(),
            KillSelection::YoungestFirst => instances.rev().take(count).collect(),
        }
    }
}
