//! [`NearestMiss`]: the search for the smallest change that would let a task in.

use super::pairing::{FailedChecks, Pairing};
use crate::constraint::{Candidate, Constraint, Field, Location, RejectReason, Remedy};
use crate::placement::model::barrier::Barrier;
use crate::placement::model::near_miss::{NearMiss, NeededChange};
use crate::placement::model::ports::{HostPort, PortShortage};
use crate::placement::model::volume::VolumeSource;
use crate::resources::{Resource, Scalar, Shortfall, Value};
use crate::text::Text;

/// The changes with which a task would fit one offer.
#[derive(Debug)]
pub(super) struct NearestMiss<'a> {
    pairing: Pairing<'a>,
    /// The cost of all changes, in thousandths.
    cost: u64,
    changes: Vec<NeededChange>,
}

/// The cost of a change that is no part of an amount: as much as all of an amount that is missing.
const WHOLE_COST: u64 = 1_000;

/// The cost of dropping a condition that no value of a field can meet.
const CONDITION_COST: u64 = 10 * WHOLE_COST;

impl NeededChange {
    /// Returns the cost of a change of a location, which another change of the location may make needless.
    fn location_cost(&self) -> Option<u64> {
        if matches!(self, Self::Without { .. }) {
            Some(CONDITION_COST)
        } else {
            self.is_elsewhere().then_some(WHOLE_COST)
        }
    }
}

impl<'a> NearestMiss<'a> {
    /// Returns the changes that lift the failed checks, if they cost less than the nearest miss so far.
    pub(super) fn of(pairing: Pairing<'a>, failed: &FailedChecks, nearest: Option<&Self>) -> Option<Self> {
        let limit = nearest.map_or(u64::MAX, |nearest| nearest.cost);
        let mut miss = Self { pairing, cost: 0, changes: Vec::new() };
        // At first each failed condition gets the value that it asks for. Conditions that such values do not meet are
        // dropped.
        let mut dropped: Vec<Text> = Vec::new();
        loop {
            (miss.cost, miss.changes) = (0, Vec::new());
            failed.all().try_for_each(|barrier| miss.lift(barrier, &dropped))?;
            let lower_bound = miss.cost - miss.changes.iter().filter_map(NeededChange::location_cost).sum::<u64>();
            if lower_bound >= limit {
                return None;
            }
            let is_elsewhere = miss.changes.iter().any(NeededChange::is_elsewhere);
            let unmet = if is_elsewhere { miss.unmet() } else { Vec::new() };
            if unmet.is_empty() {
                miss.trim();
                return (miss.cost < limit).then_some(miss);
            }
            let before = dropped.len();
            dropped.extend(unmet.into_iter().filter(|text| failed.clauses().any(|clause| clause == text)));
            if dropped.len() == before {
                // The clauses that fail at the changed location hold at this one: give up all changes of location.
                let rest: Vec<Text> = failed.clauses().filter(|clause| !dropped.contains(clause)).cloned().collect();
                if rest.is_empty() {
                    return None;
                }
                dropped.extend(rest);
            }
        }
    }

    /// Removes the changes of the location that are not needed beside the rest.
    fn trim(&mut self) {
        for at in (0..self.changes.len()).rev() {
            let Some(cost) = self.changes[at].location_cost() else { continue };
            let change = self.changes.remove(at);
            if self.unmet().is_empty() {
                self.cost -= cost;
            } else {
                self.changes.insert(at, change);
            }
        }
    }

    /// Adds the changes that lift a barrier, `dropped` conditions being given up; none if nothing does.
    fn lift(&mut self, barrier: &Barrier, dropped: &[Text]) -> Option<()> {
        let query = self.pairing.query;
        match barrier {
            Barrier::WrongRole { wanted, .. } => self.add(WHOLE_COST, NeededChange::OfferTo(wanted.clone())),
            Barrier::NoAcceptedRole { accepted } => {
                let needs_amounts = query.amounts().into_iter().any(|(_, needed)| !needed.is_zero());
                let needs_ports = query.app.ports.iter().any(|port| port.host != HostPort::None);
                if !needs_amounts && !needs_ports && query.app.ask.is_empty() {
                    self.add(WHOLE_COST, NeededChange::OfRole(accepted.first()?.clone()));
                }
            }
            Barrier::WrongRegion { home, .. } => {
                self.add(WHOLE_COST, NeededChange::Value { field: Field::Region, value: home.clone() });
            }
            Barrier::Condition { clause, .. } if dropped.contains(clause) => self.drop_condition(clause),
            Barrier::Condition { clause, reason } => {
                if !self.remedy(reason) {
                    self.drop_condition(clause);
                }
            }
            Barrier::ExclusivelyHeld(reason) => self.remedy(reason).then_some(())?,
            Barrier::Maintenance { until, .. } => self.add(WHOLE_COST, NeededChange::NoMaintenance { until: *until }),
            Barrier::Insufficient { name, needed, left, .. } => {
                let amount = needed.saturating_sub(*left);
                self.add(part(amount.as_milli(), needed.as_milli()), NeededChange::More { name, amount });
            }
            Barrier::Short(shortfall) => {
                let asked = &shortfall.asked;
                let is_of_any_role = asked.role().is_none() && !asked.is_revocable() && !asked.is_shared();
                if !is_of_any_role && !query.accepts(asked) {
                    return None; // the app takes no such thing
                }
                let missing = missing(shortfall)?;
                let of = |resource: &Resource| resource.value().count().as_milli();
                self.add(part(of(&missing), of(asked)), NeededChange::Other(Box::new(missing)));
            }
            Barrier::Volume(shortage) => {
                let there = shortage.largest.filter(|_| shortage.disk == VolumeSource::Root).unwrap_or_default();
                let size = shortage.size.saturating_sub(there);
                self.add(
                    part(size.as_milli(), shortage.size.as_milli()),
                    NeededChange::Disk { source: shortage.disk, size },
                );
            }
            Barrier::GpusReserved { .. } => self.add(WHOLE_COST, NeededChange::NoGpus),
            Barrier::Ports { shortage: PortShortage::Fixed(number), .. } => {
                let is_new = !self.changes.contains(&NeededChange::Port(*number));
                let wanted = query.app.ports.iter().filter(|port| port.host == HostPort::Fixed(*number));
                if wanted.count() > 1 {
                    return None; // asked for twice: no offer has that
                }
                if is_new {
                    self.add(WHOLE_COST, NeededChange::Port(*number));
                }
            }
            Barrier::Ports { shortage: PortShortage::Dynamic { needed, left }, .. } => {
                let more = needed.saturating_sub(*left);
                self.add(part(more as u64, *needed as u64), NeededChange::Ports(more));
            }
        }
        Some(())
    }

    fn add(&mut self, cost: u64, change: NeededChange) {
        self.cost = self.cost.saturating_add(cost);
        self.changes.push(change);
    }

    fn drop_condition(&mut self, clause: &Text) {
        let change = NeededChange::Without { clause: clause.clone() };
        if !self.changes.contains(&change) {
            self.add(CONDITION_COST, change);
        }
    }

    /// Adds the values that a reason asks for; returns false if there are none, or others are asked for already.
    fn remedy(&mut self, reason: &RejectReason) -> bool {
        let Some(remedies) = reason.remedies() else { return false };
        let changes = remedies.into_iter().map(|(field, remedy)| match remedy {
            Remedy::Value(value) => NeededChange::Value { field: field.clone(), value },
            Remedy::NewValue => NeededChange::NewValue(field.clone()),
            Remedy::NoValue => NeededChange::NoValue(field.clone()),
        });
        let new: Vec<NeededChange> = changes.filter(|change| !self.changes.contains(change)).collect();
        let clashes = new
            .iter()
            .any(|change| self.changes.iter().any(|other| field(other).is_some_and(|one| Some(one) == field(change))));
        if !clashes {
            new.into_iter().for_each(|change| self.add(WHOLE_COST, change));
        }
        !clashes
    }

    /// Returns the texts of the clauses that would not hold at the changed location; an empty text stands for a check
    /// that is no clause.
    fn unmet(&self) -> Vec<Text> {
        let Pairing { query, state, .. } = self.pairing;
        // A new value may have to be a number for other conditions' sake.
        let unmet = ["new", "1000000"].map(|new| {
            let location = self.location(new);
            let candidate = Candidate::new(&query.app.id, &location).instances(query.app.instances);
            let is_dropped = |text: &Text| {
                self.changes.iter().any(|change| matches!(change, NeededChange::Without { clause } if clause == text))
            };
            let clauses = query.app.require.iter().zip(&query.clause_texts).filter(|(_, text)| !is_dropped(text));
            let fails = clauses.filter(|(clause, _)| !clause.holds(&candidate, &state.placed));
            let mut unmet: Vec<Text> = fails.map(|(_, text)| text.clone()).collect();
            let is_in_wrong_region =
                query.home_region.zip(location.region.as_ref()).is_some_and(|(home, region)| home != region);
            if is_in_wrong_region || state.placed.exclusive_holder(&location, &query.app.id).is_some() {
                unmet.push(Text::default());
            }
            unmet
        });
        unmet.into_iter().min_by_key(Vec::len).unwrap_or_default()
    }

    /// Returns the location with its changes; `new` stands for a new value.
    fn location(&self, new: &str) -> Location {
        let mut location = Location::clone(&self.pairing.slot().location);
        for change in &self.changes {
            let Some(field) = field(change) else { continue };
            let value = if let NeededChange::Value { value, .. } = change { Some(value.clone()) } else { None };
            let value = value.or_else(|| matches!(change, NeededChange::NewValue(_)).then(|| new.into()));
            match field {
                Field::Hostname => location.hostname = value.unwrap_or_default(),
                Field::Region => location.region = value,
                Field::Zone => location.zone = value,
                Field::Attribute(name) => location.attributes.set(name, value.as_deref()),
                Field::App | Field::Task | Field::Image | Field::Label(_) => {}
            }
        }
        location
    }

    /// Returns the near miss as users see it; none if nothing has to change, for later launches of the same plan made
    /// room.
    pub(super) fn into_near_miss(self) -> Option<NearMiss> {
        let offer = &self.pairing.slot().offer;
        let (id, agent, hostname) = (offer.id.clone(), offer.agent.clone(), offer.hostname.clone());
        (!self.changes.is_empty()).then_some(NearMiss { offer: id, agent, hostname, changes: self.changes })
    }
}

/// Returns what would have to be there besides what is available; none if nothing would do.
fn missing(shortfall: &Shortfall) -> Option<Resource> {
    let Shortfall { asked, available, .. } = shortfall;
    let is_whole = asked.kind().is_some_and(|kind| kind.disk.is_some() || kind.shared);
    let value = match asked.value() {
        _ if is_whole => asked.value().clone(),
        Value::Scalar(amount) => {
            let are_members = available.iter().any(|part| part.scalar().is_none());
            if are_members && !amount.as_milli().is_multiple_of(1000) {
                return None;
            }
            let there = available.iter().map(|part| part.value().count()).sum::<Scalar>();
            Value::Scalar(*amount - there)
        }
        members @ (Value::Ranges(_) | Value::Set(_)) => {
            let mut rest = members.clone();
            available.iter().for_each(|part| rest.remove(part.value()));
            rest
        }
    };
    (!value.is_empty()).then(|| asked.clone().with_value(value))
}

fn field(change: &NeededChange) -> Option<&Field> {
    let (NeededChange::Value { field, .. } | NeededChange::NewValue(field) | NeededChange::NoValue(field)) = change
    else {
        return None;
    };
    Some(field)
}

/// Returns the part that is missing, in thousandths and at least one.
fn part(missing: u64, needed: u64) -> u64 {
    let part = u128::from(missing) * u128::from(WHOLE_COST) / u128::from(needed.max(1));
    u64::try_from(part).unwrap_or(WHOLE_COST).max(1)
}
