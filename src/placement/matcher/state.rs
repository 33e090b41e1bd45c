//! [`States`]: what offers have come to, each state once for all offers that share it.
//!
//! Offers that were alike when they came, and on whose hosts the same has happened since, are alike still: what is left of
//! them, what their hosts bear, whether one more task fits and what it takes is worked out once for all of them.

use crate::constraint::Location;
use crate::offer::Offer;
use crate::placement::model::fitness::Usage;
use crate::resources::{Resources, Scalar};
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// An offer, and what it has come to.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) offer: &'a Offer,
    pub(super) location: Arc<Location>,
    pub(super) state: StateId,
    /// Its host, by number.
    pub(super) host: usize,
    /// How many tasks were launched in it.
    pub(super) launches: usize,
}

/// What some offers have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StateId(u32);

#[derive(Debug)]
pub(super) struct State {
    /// What is left of the offer.
    pub(super) left: Resources,
    /// What the tasks on its host use.
    pub(super) used: Usage,
}

/// What happens to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A task of an app comes to its host; not from this offer.
    Task { app: u32, cpus: Scalar, mem: Scalar },
    /// There is something on its host that counts for nothing but what it uses.
    Load { cpus: Scalar, mem: Scalar },
}

/// What a task takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    pub(super) resources: Resources,
    pub(super) ports: Vec<Option<u64>>,
}

#[derive(Debug, Default)]
pub(super) struct States {
    all: Vec<State>,
    steps: Map<(StateId, Step), StateId>,
    launches: Map<(StateId, usize), (StateId, Taken)>,
    /// The states of offers that nothing has happened to, by a hash of what they are.
    fresh: Map<u64, SmallVec<[(StateId, usize); 1]>>,
}

type Map<K, V> = IndexMap<K, V, foldhash::fast::FixedState>;

impl States {
    /// The state of an offer that just came; `offers` are those that came before, and it.
    pub(super) fn arrive(&mut self, offers: &[Offer], index: usize) -> StateId {
        let offer = &offers[index];
        let known = self.fresh.entry(hash(offer)).or_default();
        let alike = |(_, other): &&(StateId, usize)| {
            let other = &offers[*other];
            other.resources == offer.resources
                && other.role == offer.role
                && other.unavailability == offer.unavailability
        };
        if let Some((state, _)) = known.iter().find(alike) {
            return *state;
        }
        let state = push(&mut self.all, State { left: offer.resources.clone(), used: Usage::default() });
        known.push((state, index));
        state
    }

    pub(super) fn get(&self, id: StateId) -> &State {
        &self.all[id.0 as usize]
    }

    /// What an offer comes to.
    pub(super) fn step(&mut self, from: StateId, step: Step) -> StateId {
        if let Some(next) = self.steps.get(&(from, step)) {
            return *next;
        }
        let (Step::Task { cpus, mem, .. } | Step::Load { cpus, mem }) = step;
        let next = self.apart(from, cpus, mem);
        self.steps.insert((from, step), next);
        next
    }

    /// What an offer comes to when something happens on its host that is like nothing else.
    pub(super) fn apart(&mut self, from: StateId, cpus: Scalar, mem: Scalar) -> StateId {
        let State { left, used } = self.get(from);
        let (left, mut used) = (left.clone(), *used);
        used.add(cpus, mem);
        push(&mut self.all, State { left, used })
    }

    /// What an offer comes to when a task of that app is launched in it, and what the task takes, if that was worked out.
    pub(super) fn launched(&self, from: StateId, app: usize) -> Option<&(StateId, Taken)> {
        self.launches.get(&(from, app))
    }

    /// The same, now that it was.
    pub(super) fn launch(
        &mut self,
        from: StateId,
        app: usize,
        taken: Taken,
        cpus: Scalar,
        mem: Scalar,
    ) -> (StateId, Taken) {
        let State { left, used } = self.get(from);
        let (left, mut used) = (left.saturating_sub(&taken.resources), *used);
        used.add(cpus, mem);
        let next = push(&mut self.all, State { left, used });
        self.launches.insert((from, app), (next, taken.clone()));
        (next, taken)
    }
}

fn push(all: &mut Vec<State>, state: State) -> StateId {
    all.push(state);
    StateId(u32::try_from(all.len() - 1).unwrap_or(u32::MAX))
}

fn hash(offer: &Offer) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    for resource in &offer.resources {
        (resource.name(), resource.value()).hash(&mut hasher);
    }
    hasher.finish()
}
