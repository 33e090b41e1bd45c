//! [`Round`]: one plan over all offers, made in parts: first the tasks that are bound to an agent by their volumes, then all
//! others.

use crate::volumes::VolumeSlots;
use apportion::placement::{App, Launch, Plan, Planner, Running, Unplaced};
use apportion::{Offer, OfferId};
use std::collections::BTreeSet;

/// An app as it is planned, to have `launch` instances more than the `present` ones.
#[derive(Debug)]
pub(crate) struct PlannedApp {
    pub(crate) app: App,
    pub(crate) present: u64,
    pub(crate) launch: u64,
}

impl PlannedApp {
    /// Places instances on the agents of free volumes, and leaves those that need volumes of their own: of so many that are
    /// `wanted` in all, those beyond the volumes that there are. `inactive` instances have volumes that are not counted on.
    pub(crate) fn place_by_volume(
        &mut self,
        volumes: &VolumeSlots,
        (wanted, inactive): (u64, u64),
        round: &mut Round<'_>,
    ) {
        let new = wanted.saturating_sub(volumes.len().saturating_sub(inactive));
        for (agent, free) in volumes.free() {
            let count = free.min(self.launch);
            if count == 0 {
                break;
            }
            let mut here = self.app.clone();
            here.instances = self.present + count;
            let placed = round.place(&here, |offer| offer.agent == agent);
            (self.present, self.launch) = (self.present + placed, self.launch - count);
            round.is_waiting |= placed < count;
        }
        self.app.instances = self.present + self.launch.min(new);
    }
}

/// A plan in the making, with what is left of the offers.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    planner: &'a Planner,
    running: Vec<Running>,
    offers: Vec<Offer>,
    launches: Vec<Launch>,
    unplaced: Vec<Unplaced>,
    /// Some instance waits for an agent whose offer does not come, or does not fit.
    is_waiting: bool,
}

impl<'a> Round<'a> {
    pub(crate) fn new(planner: &'a Planner, running: Vec<Running>, offers: &[Offer]) -> Self {
        let (launches, unplaced) = (Vec::new(), Vec::new());
        Self { planner, running, offers: offers.to_vec(), launches, unplaced, is_waiting: false }
    }

    /// Places the pending instances of an app in some of the offers. Returns how many were placed.
    fn place(&mut self, app: &App, is_suitable: impl Fn(&Offer) -> bool) -> u64 {
        let offers: Vec<Offer> = self.offers.iter().filter(|offer| is_suitable(offer)).cloned().collect();
        let plan = self.planner.plan([app], &self.running, &offers);
        let placed = plan.launches.len() as u64;
        for launch in plan.launches {
            if let Some(offer) = self.offers.iter_mut().find(|offer| offer.id == launch.offer) {
                offer.resources = offer.resources.saturating_sub(&launch.resources);
            }
            let mut running = launch.running();
            running.version = app.changed;
            self.running.push(running);
            self.launches.push(launch);
        }
        self.unplaced.extend(plan.unplaced.into_iter().filter(|one| !one.reasons.is_empty()));
        placed
    }

    /// Places all other instances. Returns the whole plan, and whether some instance waits for its agent.
    pub(crate) fn plan(self, apps: &[App]) -> (Plan, bool) {
        let mut plan = self.planner.plan(apps, &self.running, &self.offers);
        let used: BTreeSet<&OfferId> = self.launches.iter().map(|launch| &launch.offer).collect();
        plan.declines.retain(|offer| !used.contains(offer));
        plan.launches.splice(0..0, self.launches);
        plan.unplaced.extend(self.unplaced);
        (plan, self.is_waiting)
    }
}
