//! Plans one app: places its pending instances, and explains why the others have to wait.

use super::domains::TopologyDomains;
use super::index::OfferIx;
use super::near_miss::NearestMiss;
use super::pairing::Pairing;
use super::plan_state::PlanState;
use super::port_holders::PortHolders;
use super::query::{ListedApp, Query};
use super::selector::Selector;
use crate::placement::model::barrier::{Barrier, Obstacle};
use crate::placement::model::near_miss::NearMiss;
use crate::placement::model::plan::{GroupShortage, Unplaced};

/// An app that has to wait.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    pub(super) app: ListedApp<'a>,
    pub(super) instances: u64,
    /// The shortage of its group, if it is of a group.
    pub(super) group: Option<GroupShortage>,
    /// Why it waits; none = to be explained when all is placed.
    pub(super) explanation: Option<Explanation>,
}

/// The explanation of an app that has to wait: why no offer will do for one more instance.
#[derive(Debug, Default)]
pub(super) struct Explanation {
    /// Every check that fails, offer by offer.
    pub(super) reasons: Vec<Obstacle>,
    pub(super) near_miss: Option<NearMiss>,
}

/// Places the pending instances of an app until one finds no place, and returns how many have to wait.
pub(super) fn plan_app(state: &mut PlanState<'_>, listed: ListedApp<'_>) -> u64 {
    let mut pending = state.pending(listed.app);
    if pending == 0 {
        return 0;
    }

    // 1. Compile the app, once for all its instances.
    let query = Query::new(listed);

    // 2. Maintain what its conditions count: tasks by value, and the domains of its `MAX_SKEW`.
    if query.has_custom_constraints() {
        state.placed.restore_all_orders();
    }
    for field in query.counted_fields() {
        state.placed.index_field(&field);
    }
    let mut domains: Vec<TopologyDomains<'_>> =
        query.max_skew.iter().map(|field| TopologyDomains::set(&query, field, state)).collect();

    // 3. Classify the offers, and rank them within their classes.
    let mut selector = Selector::new(&query, state);

    // 4. Launch instance after instance in the best offer. Where one finds none, the others would not either.
    while pending > 0 {
        let Some(offer) = selector.select(state) else { break };
        state.launch(&query, offer, |state| Pairing::new(&query, state, offer).allocation());
        domains.iter_mut().for_each(|domains| domains.task_launched(offer, state));
        selector.task_launched(offer, state);
        pending -= 1;
    }
    selector.keep(state);
    pending
}

/// Returns every check that fails, offer by offer, and the smallest change that would let one more instance in; nothing if
/// the plan is to be without reasons.
pub(super) fn explain(state: &mut PlanState<'_>, listed: ListedApp<'_>) -> Explanation {
    if listed.planner.omits_reasons {
        return Explanation::default();
    }
    let query = Query::new(listed);
    restore_order(&query, state);
    for field in &query.max_skew {
        TopologyDomains::set(&query, field, state);
    }
    let holders = PortHolders::new(state);
    let (mut reasons, mut nearest) = (Vec::new(), None::<NearestMiss<'_>>);
    for offer in state.offers() {
        let pairing = Pairing::new(&query, state, offer);
        let failed = pairing.failed_checks(holders);
        nearest = NearestMiss::of(pairing, &failed, nearest.as_ref()).or(nearest);
        let id = &pairing.slot().offer.id;
        reasons.extend(failed.reported.into_iter().map(|barrier| Obstacle { offer: id.clone(), barrier }));
    }
    Explanation { reasons, near_miss: nearest.and_then(NearestMiss::into_near_miss) }
}

/// Returns every check that fails for one more task of an app in one offer.
pub(super) fn failed_checks(state: &mut PlanState<'_>, listed: ListedApp<'_>, offer: OfferIx) -> Vec<Barrier> {
    let query = Query::new(listed);
    restore_order(&query, state);
    query.counted_fields().iter().for_each(|field| state.placed.index_field(field));
    for field in &query.max_skew {
        TopologyDomains::set(&query, field, state);
    }
    Pairing::new(&query, state, offer).failed_checks(PortHolders::new(state)).reported
}

/// Restores the order of the placed tasks that reasons, or constraints of which nothing is known, may look at.
fn restore_order(query: &Query<'_>, state: &mut PlanState<'_>) {
    if query.has_custom_constraints() {
        state.placed.restore_all_orders();
    } else {
        state.placed.restore_order(&query.app.id);
    }
}

impl Waiting<'_> {
    /// Returns the app as the plan reports it.
    pub(super) fn explained(self, state: &mut PlanState<'_>) -> Unplaced {
        let Explanation { reasons, near_miss } = self.explanation.unwrap_or_else(|| explain(state, self.app));
        let app = self.app.app.id.clone();
        let (instances, group) = (self.instances, self.group);
        Unplaced { app, instances, reasons, near_miss, expansion: None, group }
    }
}
