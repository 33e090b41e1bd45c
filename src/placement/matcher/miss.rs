//! [`Miss`]: how a near miss is found.

use super::desk::{Desk, Findings};
use super::search::Search;
use crate::constraint::{Candidate, Constraint, Field, Location, Reason, Remedy};
use crate::placement::model::barrier::Barrier;
use crate::placement::model::near_miss::{Change, NearMiss};
use crate::placement::model::ports::{HostPort, PortShortage};
use crate::placement::model::volume::VolumeSource;
use smol_str::SmolStr;

/// A near miss in the making.
#[derive(Debug)]
pub(super) struct Miss {
    index: usize,
    /// How large the change is, in thousandths.
    size: u64,
    changes: Vec<Change>,
}

/// What counts as much as all of an amount that is missing.
const WHOLE: u64 = 1_000;
/// A condition that no value of a field can meet.
const CONDITION: u64 = 10 * WHOLE;

impl Change {
    /// How much it counts, if it is about values of fields: these may do for one another.
    fn size_of_value(&self) -> Option<u64> {
        if matches!(self, Self::Without { .. }) { Some(CONDITION) } else { self.is_elsewhere().then_some(WHOLE) }
    }
}

impl Miss {
    /// What would let a task into that offer, if it takes less than the nearest so far.
    pub(super) fn of(
        search: &Search<'_>,
        desk: &Desk<'_>,
        index: usize,
        findings: &Findings,
        nearest: Option<&Self>,
    ) -> Option<Self> {
        let most = nearest.map_or(u64::MAX, |nearest| nearest.size);
        let mut miss = Self { index, size: 0, changes: Vec::new() };
        // First as if values could be had as one likes; and if they cannot, without the conditions that ask for them.
        let mut without: Vec<SmolStr> = Vec::new();
        loop {
            (miss.size, miss.changes) = (0, Vec::new());
            findings.all().try_for_each(|barrier| miss.lift(search, barrier, &without))?;
            let at_least: u64 = miss.size - miss.changes.iter().filter_map(Change::size_of_value).sum::<u64>();
            if at_least >= most {
                return None;
            }
            let unmet =
                if miss.changes.iter().any(Change::is_elsewhere) { miss.unmet(search, desk) } else { Vec::new() };
            if unmet.is_empty() {
                miss.trim(search, desk);
                return (miss.size < most).then_some(miss);
            }
            let before = without.len();
            without.extend(unmet.into_iter().filter(|clause| findings.fails(clause)));
            if without.len() == before {
                // What holds here would not hold there: stay here, then.
                without.extend(
                    findings.conditions().filter(|clause| !without.contains(clause)).cloned().collect::<Vec<_>>(),
                );
                if without.len() == before {
                    return None;
                }
            }
        }
    }

    /// Leaves out what is not needed beside the rest.
    fn trim(&mut self, search: &Search<'_>, desk: &Desk<'_>) {
        for at in (0..self.changes.len()).rev() {
            let Some(size) = self.changes[at].size_of_value() else { continue };
            let change = self.changes.remove(at);
            if self.unmet(search, desk).is_empty() {
                self.size -= size;
            } else {
                self.changes.insert(at, change);
            }
        }
    }

    /// Adds what lifts a barrier; nothing if nothing does.
    fn lift(&mut self, search: &Search<'_>, barrier: &Barrier, without: &[SmolStr]) -> Option<()> {
        match barrier {
            Barrier::OtherRole { wanted, .. } => self.add(WHOLE, Change::OfferTo(wanted.clone())),
            Barrier::NoneOfRole { accepted } => {
                let needs_amounts = search.amounts().into_iter().any(|(_, needed)| !needed.is_zero());
                let needs_ports = search.app.ports.iter().any(|port| port.host != HostPort::None);
                if !needs_amounts && !needs_ports {
                    self.add(WHOLE, Change::OfRole(accepted.first()?.clone()));
                }
            }
            Barrier::Away { home, .. } => {
                self.add(WHOLE, Change::Value { field: Field::Region, value: home.clone() });
            }
            Barrier::Condition { clause, .. } if without.contains(clause) => self.drop_condition(clause),
            Barrier::Condition { clause, reason } => {
                if !self.remedy(reason) {
                    self.drop_condition(clause);
                }
            }
            Barrier::Kept(reason) => self.remedy(reason).then_some(())?,
            Barrier::Maintenance { until, .. } => self.add(WHOLE, Change::NoMaintenance { until: *until }),
            Barrier::Short { name, needed, left } => {
                let amount = needed.saturating_sub(*left);
                self.add(part(amount.as_milli(), needed.as_milli()), Change::More { name, amount });
            }
            Barrier::Volume(shortage) => {
                let there = shortage.largest.filter(|_| shortage.disk == VolumeSource::Root).unwrap_or_default();
                let size = shortage.size.saturating_sub(there);
                self.add(part(size.as_milli(), shortage.size.as_milli()), Change::Disk { source: shortage.disk, size });
            }
            Barrier::Scarce { .. } => self.add(WHOLE, Change::NoGpus),
            Barrier::Ports(PortShortage::Fixed(number)) => {
                let is_new = !self.changes.contains(&Change::Port(*number));
                let wanted = search.app.ports.iter().filter(|port| port.host == HostPort::Fixed(*number));
                if wanted.count() > 1 {
                    return None; // wanted twice: no port will do
                }
                if is_new {
                    self.add(WHOLE, Change::Port(*number));
                }
            }
            Barrier::Ports(PortShortage::Dynamic { needed, left }) => {
                let more = needed.saturating_sub(*left);
                self.add(part(more as u64, *needed as u64), Change::Ports(more));
            }
        }
        Some(())
    }

    fn add(&mut self, size: u64, change: Change) {
        self.size = self.size.saturating_add(size);
        self.changes.push(change);
    }

    fn drop_condition(&mut self, clause: &SmolStr) {
        let change = Change::Without { clause: clause.clone() };
        if !self.changes.contains(&change) {
            self.add(CONDITION, change);
        }
    }

    /// Adds the values that a reason asks for; false if there are none, or others are asked for already.
    fn remedy(&mut self, reason: &Reason) -> bool {
        let Some(remedies) = reason.remedies() else { return false };
        let changes = remedies.into_iter().map(|(field, remedy)| match remedy {
            Remedy::Value(value) => Change::Value { field: field.clone(), value },
            Remedy::NewValue => Change::NewValue(field.clone()),
            Remedy::NoValue => Change::NoValue(field.clone()),
        });
        let new: Vec<Change> = changes.filter(|change| !self.changes.contains(change)).collect();
        let clashes = new
            .iter()
            .any(|change| self.changes.iter().any(|other| field(other).is_some_and(|one| Some(one) == field(change))));
        if !clashes {
            new.into_iter().for_each(|change| self.add(WHOLE, change));
        }
        !clashes
    }

    /// The conditions that would still not hold on an agent with the values that it is to have.
    fn unmet(&self, search: &Search<'_>, desk: &Desk<'_>) -> Vec<SmolStr> {
        // A new value may have to be a number for other conditions' sake.
        let unmet = ["new", "1000000"].map(|new| {
            let location = self.location(&desk.slots[self.index].location, new);
            let candidate = Candidate::new(&search.app.id, &location).instances(search.app.instances);
            let is_dropped = |text: &SmolStr| {
                self.changes.iter().any(|change| matches!(change, Change::Without { clause } if clause == text))
            };
            let clauses = search.app.require.iter().zip(&search.texts).filter(|(_, text)| !is_dropped(text));
            let fails = clauses.filter(|(clause, _)| !clause.holds(&candidate, &desk.placed));
            let mut unmet: Vec<SmolStr> = fails.map(|(_, text)| text.clone()).collect();
            let is_away = search.home.zip(location.region.as_ref()).is_some_and(|(home, region)| home != region);
            if is_away || desk.placed.keeper(&location).is_some() {
                unmet.push(SmolStr::default());
            }
            unmet
        });
        unmet.into_iter().min_by_key(Vec::len).unwrap_or_default()
    }

    /// The place as it is to be.
    fn location(&self, place: &Location, new: &str) -> Location {
        let mut location = place.clone();
        for change in &self.changes {
            let Some(field) = field(change) else { continue };
            let value = if let Change::Value { value, .. } = change { Some(value.clone()) } else { None };
            let value = value.or_else(|| matches!(change, Change::NewValue(_)).then(|| new.into()));
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

    /// The near miss as users see it; none if nothing has to change, for what was placed later has made room.
    pub(super) fn told(self, desk: &Desk<'_>) -> Option<NearMiss> {
        let offer = desk.slots[self.index].offer;
        let (id, agent, hostname) = (offer.id.clone(), offer.agent.clone(), offer.hostname.clone());
        (!self.changes.is_empty()).then_some(NearMiss { offer: id, agent, hostname, changes: self.changes })
    }
}

fn field(change: &Change) -> Option<&Field> {
    let (Change::Value { field, .. } | Change::NewValue(field) | Change::NoValue(field)) = change else { return None };
    Some(field)
}

/// Which part is missing, in thousandths and at least one.
fn part(missing: u64, needed: u64) -> u64 {
    let part = u128::from(missing) * u128::from(WHOLE) / u128::from(needed.max(1));
    u64::try_from(part).unwrap_or(WHOLE).max(1)
}
