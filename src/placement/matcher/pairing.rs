//! [`Pairing`]: an app and an offer in the current state of the plan: checks whether a task fits, and allocates.

use super::index::OfferIx;
use super::offer_state::{Allocation, OfferState, Slot};
use super::plan_state::PlanState;
use super::port_holders::PortHolders;
use super::ports::{self, AssignedPorts};
use super::query::Query;
use super::volumes;
use crate::constraint::{Candidate, Clause, Constraint, RejectReason, Verdict};
use crate::draw::{draw, mix};
use crate::placement::model::app::GpuBehavior;
use crate::placement::model::barrier::Barrier;
use crate::placement::model::fitness::Prospect;
use crate::placement::model::ports::{PortHolder, PortShortage};
use crate::placement::model::volume::VolumeShortage;
use crate::resources::{Resource, Resources, Scalar, Served, Shortfall};
use crate::text::Text;
use std::borrow::Cow;

/// An app paired with an offer in the current state of the plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairing<'a> {
    pub(super) query: &'a Query<'a>,
    pub(super) state: &'a PlanState<'a>,
    pub(super) offer: OfferIx,
}

/// The checks that fail for a pairing.
#[derive(Debug)]
pub(super) struct FailedChecks {
    /// The checks that the plan reports.
    pub(super) reported: Vec<Barrier>,
    /// The checks that the reported ones imply or hide: a near miss has to lift these too.
    implied: Vec<Barrier>,
}

impl FailedChecks {
    pub(super) fn all(&self) -> impl Iterator<Item = &Barrier> {
        self.reported.iter().chain(&self.implied)
    }

    /// Returns the texts of the clauses among them.
    pub(super) fn clauses(&self) -> impl Iterator<Item = &Text> {
        self.reported
            .iter()
            .filter_map(|barrier| if let Barrier::Condition { clause, .. } = barrier { Some(clause) } else { None })
    }
}

impl<'a> Pairing<'a> {
    pub(super) fn new(query: &'a Query<'a>, state: &'a PlanState<'a>, offer: OfferIx) -> Self {
        Self { query, state, offer }
    }

    #[inline]
    pub(super) fn slot(self) -> &'a Slot<'a> {
        self.state.slot(self.offer)
    }

    #[inline]
    fn offer_state(self) -> &'a OfferState {
        self.state.offer_state(self.offer)
    }

    /// Returns the pairing as constraints see it.
    #[inline]
    fn candidate(self) -> Candidate<'a> {
        Candidate::new(&self.query.app.id, &self.slot().location).instances(self.query.app.instances)
    }

    /// Returns the pairing as a fitness sees it.
    #[inline]
    pub(super) fn prospect(self) -> Prospect<'a> {
        let (OfferState { left, used }, seed) = (self.offer_state(), self.query.planner.seed.unwrap_or(0));
        let nth_launch = self.state.launches.len() as u64 + 1;
        Prospect {
            app: &self.query.request,
            offer: &self.slot().offer,
            left,
            used: *used,
            draw: unit(draw(seed.wrapping_add(nth_launch), self.offer.index() as u64)),
        }
    }

    /// Returns true if a clause holds.
    #[inline]
    pub(super) fn holds(self, clause: &Clause) -> bool {
        clause.holds(&self.candidate(), &self.state.placed)
    }

    /// Returns true if a task passes the checks that depend only on the state of the offer: all but clauses and
    /// regions.
    pub(super) fn fits(self) -> bool {
        let (query, Rest { left, short, .. }) = (self.query, self.rest());
        let is_there = |(name, needed): (_, Scalar)| needed.is_zero() || query.available(&left, name) >= needed;
        short.is_empty()
            && query.amounts().into_iter().all(is_there)
            && self.role_mismatch().is_none()
            && self.maintenance().is_none()
            && self.reserved_gpus().is_none()
            && self.volumes(&left).is_ok()
            && self.ports(&left).is_ok()
    }

    /// Returns every check that fails.
    pub(super) fn failed_checks(self, holders: PortHolders<'_>) -> FailedChecks {
        let (query, Rest { left, short, .. }) = (self.query, self.rest());
        let (mut reported, mut implied) = (Vec::new(), Vec::new());
        reported.extend(self.role_mismatch());
        if let Some(Barrier::WrongRole { .. }) = reported.first() {
            implied.extend(self.no_accepted_role());
        }
        reported.extend(self.wrong_region());
        for (clause, text) in query.app.require.iter().zip(&query.clause_texts) {
            if let Verdict::Reject(reason) = clause.check(&self.candidate(), &self.state.placed) {
                visit_parts(reason, &mut |reason| reported.push(Barrier::Condition { clause: text.clone(), reason }));
            }
        }
        reported.extend(self.state.exclusive_holder(self.offer, query.app).map(Barrier::ExclusivelyHeld));
        reported.extend(self.maintenance());
        for (name, needed) in query.amounts() {
            let available = query.available(&left, name);
            let is_short = available < needed;
            if is_short {
                let withheld = query.withheld(&left, name);
                reported.push(Barrier::Insufficient { name, needed, left: available, withheld });
            }
            if name == "disk" {
                let volume = self.volumes(&left).err().map(Barrier::Volume);
                if is_short { &mut implied } else { &mut reported }.extend(volume);
            }
        }
        reported.extend(short.into_iter().map(|shortfall| Barrier::Short(Box::new(shortfall))));
        reported.extend(self.reserved_gpus());
        if let Err(first) = self.ports(&left) {
            let mut all = ports::shortages(&query.app.ports, &query.pools(&left, "ports"));
            let barrier = |shortage| self.missing_ports(shortage, &left, holders);
            if reported.is_empty() {
                reported.push(barrier(first));
                all.retain(|one| *one != first);
            }
            implied.extend(all.into_iter().map(barrier));
        }
        FailedChecks { reported, implied }
    }

    /// Returns the barrier of missing ports, with who has them as far as that is known.
    fn missing_ports(self, shortage: PortShortage, left: &Resources, holders: PortHolders<'_>) -> Barrier {
        match shortage {
            PortShortage::Fixed(number) => {
                let port = u64::from(number);
                let reserved = || {
                    let mut pools = left.iter().filter(|pool| pool.name() == "ports" && !self.query.accepts(pool));
                    let role = pools.find(|pool| ports::has_number(pool, port))?.role()?;
                    Some(PortHolder::Reserved(role.clone()))
                };
                let task = holders.task(&self.slot().location.hostname, port);
                Barrier::Ports { shortage, holder: task.map(PortHolder::Task).or_else(reserved), withheld: Vec::new() }
            }
            PortShortage::Dynamic { .. } => {
                Barrier::Ports { shortage, holder: None, withheld: self.query.withheld(left, "ports") }
            }
        }
    }

    fn role_mismatch(self) -> Option<Barrier> {
        let offered = &self.slot().offer.role;
        if let Some(wanted) = self.query.app.role.as_ref().filter(|role| *role != offered) {
            return Some(Barrier::WrongRole { offered: offered.clone(), wanted: wanted.clone() });
        }
        self.no_accepted_role()
    }

    fn no_accepted_role(self) -> Option<Barrier> {
        let accepted = self.slot().offer.resources.iter().any(|resource| self.query.accepts(resource));
        (!accepted).then(|| Barrier::NoAcceptedRole { accepted: self.query.accepted_roles.clone() })
    }

    /// An offer without a region counts as in the home region.
    fn wrong_region(self) -> Option<Barrier> {
        let (home, region) = self.query.home_region.zip(self.slot().location.region.as_ref())?;
        (home != region).then(|| Barrier::WrongRegion { region: region.clone(), home: home.clone() })
    }

    /// Returns true if the app has to stay in one region, and the offer is of another.
    pub(super) fn is_in_wrong_region(self) -> bool {
        let region = self.slot().location.region.as_ref();
        self.query.home_region.zip(region).is_some_and(|(home, region)| home != region)
    }

    /// An agent is unavailable from `start - draining` (exclusive) to `start + duration` (inclusive), as in Marathon.
    fn maintenance(self) -> Option<Barrier> {
        let (planner, window) = (self.query.planner, self.slot().offer.unavailability?);
        let (now, until) = (planner.now, window.duration.map(|duration| window.start + duration));
        let is_unavailable = now + planner.draining > window.start && until.is_none_or(|until| now <= until);
        is_unavailable.then_some(Barrier::Maintenance { start: window.start, until, now })
    }

    fn reserved_gpus(self) -> Option<Barrier> {
        if self.query.app.wants_gpus() || self.query.gpu_behavior != GpuBehavior::Restricted {
            return None;
        }
        // A set of that name is none: gpus are an amount.
        let gpus = self.offer_state().left.iter().filter(|resource| resource.name() == "gpus");
        let gpus = gpus.filter_map(Resource::scalar).sum::<Scalar>();
        (!gpus.is_zero()).then_some(Barrier::GpusReserved { gpus })
    }

    /// Takes the other resources that the app asks for, before all else: they leave the least choice.
    fn rest(self) -> Rest<'a> {
        let (ask, left) = (&self.query.app.ask, &self.offer_state().left);
        if ask.is_empty() {
            return Rest { taken: Resources::new(), left: Cow::Borrowed(left), short: Vec::new() };
        }
        let Served { taken, left, short } = left.serve(ask, |resource| self.query.accepts(resource));
        Rest { taken, left: Cow::Owned(left), short }
    }

    fn ports(self, left: &Resources) -> Result<AssignedPorts, PortShortage> {
        if self.query.app.ports.is_empty() {
            return Ok(AssignedPorts::default());
        }
        let pick = self.query.planner.seed.map(mix);
        let start = pick.and_then(|pick| ports::start(&self.slot().offer.resources, pick));
        ports::assign(&self.query.app.ports, &self.query.pools(left, "ports"), start)
    }

    /// Returns the disks of the task's volumes, which are taken beside its amount of the root disk.
    fn volumes(self, left: &Resources) -> Result<Vec<Resource>, VolumeShortage> {
        let app = self.query.app;
        if app.volumes.is_empty() {
            return Ok(Vec::new());
        }
        let mut parts = Vec::new();
        self.query.take(left, "disk", app.disk, &mut parts);
        let scratch = Resources::try_from_iter(parts).unwrap_or_default();
        volumes::assign(&app.volumes, &left.saturating_sub(&scratch))
    }

    /// Returns the allocation of a task, which must fit.
    pub(super) fn allocation(self) -> Allocation {
        let Rest { taken, left, .. } = self.rest();
        let mut parts: Vec<Resource> = taken.into_iter().collect();
        for (name, needed) in self.query.amounts() {
            self.query.take(&left, name, needed, &mut parts);
        }
        parts.extend(self.volumes(&left).unwrap_or_default());
        let assigned = self.ports(&left).unwrap_or_default();
        parts.extend(assigned.resources);
        Allocation { resources: Resources::try_from_iter(parts).unwrap_or_default(), ports: assigned.ports }
    }
}

/// An offer without the other resources that an app asks for.
#[derive(Debug)]
struct Rest<'a> {
    taken: Resources,
    left: Cow<'a, Resources>,
    short: Vec<Shortfall>,
}

/// Visits a reason, or each of its parts if several must hold together.
fn visit_parts(reason: RejectReason, visit: &mut dyn FnMut(RejectReason)) {
    if let RejectReason::Several(reasons) = reason {
        reasons.into_iter().for_each(|reason| visit_parts(reason, visit));
    } else {
        visit(reason);
    }
}

/// Returns a number from 0 to 1, below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
