//! [`OfferStates`]: an interner of the remaining resources of offers with the loads of their hosts.
//!
//! Offers that were alike at first, and on whose hosts the same has happened since, share one state. What follows from
//! the state (whether one more task fits, what it takes, how full the host is) is computed once for all of them.

use super::index::{AppIx, HostIx, StateIx};
use crate::constraint::Location;
use crate::offer::Offer;
use crate::placement::model::fitness::Usage;
use crate::resources::{Resources, Scalar};
use indexmap::IndexMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// An offer that is borrowed for one plan, or kept between plans.
#[derive(Debug, Clone)]
pub(super) enum HeldOffer<'a> {
    Borrowed(&'a Offer),
    Kept(Arc<Offer>),
}

impl Deref for HeldOffer<'_> {
    type Target = Offer;

    #[inline]
    fn deref(&self) -> &Offer {
        match self {
            Self::Borrowed(offer) => offer,
            Self::Kept(offer) => offer,
        }
    }
}

/// An offer with its state in the plan.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) offer: HeldOffer<'a>,
    pub(super) location: Arc<Location>,
    /// The state of the offer if no task were on its host.
    pub(super) initial: StateIx,
    pub(super) state: StateIx,
    pub(super) host: HostIx,
    /// How many tasks were launched in the offer.
    pub(super) launches: usize,
    /// It is no offer any more, and has no place among the others.
    pub(super) is_gone: bool,
}

/// The remaining resources of an offer and the load of its host.
#[derive(Debug)]
pub(super) struct OfferState {
    /// The remaining resources of the offer.
    pub(super) left: Resources,
    /// The load of the tasks on the host.
    pub(super) used: Usage,
}

/// A task of an app that is added to the host of an offer, and takes nothing from the offer itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Transition {
    pub(super) app: AppIx,
    /// Its own app does not see it.
    pub(super) is_outdated: bool,
    pub(super) cpus: Scalar,
    pub(super) mem: Scalar,
}

/// The resources and host ports of a task.
#[derive(Debug, Clone, Default)]
pub(super) struct Allocation {
    pub(super) resources: Resources,
    /// Its host ports, in the order of the app's ports.
    pub(super) ports: Vec<Option<u64>>,
}

/// The outcome of a launch: the next state of the offer, and what the task takes.
#[derive(Debug, Clone)]
pub(super) struct Launched {
    pub(super) state: StateIx,
    pub(super) allocation: Allocation,
}

/// The distinct states, and the transitions between them that were taken before.
#[derive(Debug, Default)]
pub(super) struct OfferStates<'a> {
    all: Vec<OfferState>,
    transitions: Map<(StateIx, Transition), StateIx>,
    launches: Map<(StateIx, AppIx), Launched>,
    /// The initial states by a hash of the offer, or the next free number, each with one offer that is in it.
    initial: Map<u64, (StateIx, HeldOffer<'a>)>,
}

type Map<K, V> = IndexMap<K, V, foldhash::fast::FixedState>;

impl<'a> OfferStates<'a> {
    /// Returns the number of distinct states.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the initial state of an offer, shared with the offers before it that are alike.
    pub(super) fn intern(&mut self, offer: &HeldOffer<'a>) -> StateIx {
        let mut hash = hash(offer);
        while let Some((state, other)) = self.initial.get(&hash) {
            if other.resources == offer.resources
                && other.role == offer.role
                && other.unavailability == offer.unavailability
            {
                return *state;
            }
            hash = hash.wrapping_add(1);
        }
        let state = push(&mut self.all, OfferState { left: offer.resources.clone(), used: Usage::default() });
        self.initial.insert(hash, (state, offer.clone()));
        state
    }

    pub(super) fn get(&self, state: StateIx) -> &OfferState {
        &self.all[state.index()]
    }

    /// Returns the state after a task is added to the host; equal changes of equal states lead to one state.
    pub(super) fn transition(&mut self, from: StateIx, transition: Transition) -> StateIx {
        if let Some(next) = self.transitions.get(&(from, transition)) {
            return *next;
        }
        let next = self.fork_unique(from, transition.cpus, transition.mem);
        self.transitions.insert((from, transition), next);
        next
    }

    /// Returns a new state for a change on the host that is like no other.
    pub(super) fn fork_unique(&mut self, from: StateIx, cpus: Scalar, mem: Scalar) -> StateIx {
        let OfferState { left, used } = self.get(from);
        let (left, mut used) = (left.clone(), *used);
        used.add(cpus, mem);
        push(&mut self.all, OfferState { left, used })
    }

    /// Returns the outcome of a launch of an app's task in an offer, if one was [recorded](Self::record_launch).
    pub(super) fn launched(&self, from: StateIx, app: AppIx) -> Option<&Launched> {
        self.launches.get(&(from, app))
    }

    /// Records the outcome of a launch in which the task takes `allocation`.
    pub(super) fn record_launch(
        &mut self,
        from: StateIx,
        app: AppIx,
        allocation: Allocation,
        cpus: Scalar,
        mem: Scalar,
    ) -> Launched {
        let OfferState { left, used } = self.get(from);
        let (left, mut used) = (left.saturating_sub(&allocation.resources), *used);
        used.add(cpus, mem);
        let next = push(&mut self.all, OfferState { left, used });
        let launched = Launched { state: next, allocation };
        self.launches.insert((from, app), launched.clone());
        launched
    }
}

fn push(all: &mut Vec<OfferState>, state: OfferState) -> StateIx {
    all.push(state);
    StateIx::new(all.len() - 1)
}

fn hash(offer: &Offer) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    for resource in &offer.resources {
        (resource.name(), resource.value()).hash(&mut hasher);
    }
    hasher.finish()
}
