//! [`NearMiss`]: the smallest change that would let one more task in.

use super::barrier::Barrier;
use super::desk::{Desk, Findings};
use super::ports::{HostPort, PortShortage};
use super::search::Search;
use super::volume::VolumeSource;
use crate::constraint::{Candidate, Constraint, Field, Location, Reason, Remedy};
use crate::id::{AgentId, OfferId};
use crate::resources::Scalar;
use crate::role::Role;
use crate::time::Time;
use smol_str::SmolStr;
use std::fmt;

/// The smallest change that would let one more instance of an app in: everything that would have to be otherwise with one
/// offer, or on one more agent that is like its agent but for that.
///
/// Which change is the smallest is a matter of weights: too little of an amount counts by the part of what is needed that
/// is missing, anything else as much as all of an amount that is missing, and a condition that no value of a field can
/// meet ten times that. Of equals it is the first offer's. All of it is needed: with less of any of it the task does not fit
/// there.
///
/// # Examples
///
/// ```
/// use apportion::constraint::Condition;
/// use apportion::placement::{App, Planner};
/// use apportion::{Offer, Role, Scalar};
///
/// let app = App::new("db").instances(3).cpus(Scalar::milli(500)).require("rack UNIQUE".parse::<Condition>()?);
/// let offer = |agent: &str, cpus: &str, rack: &str| {
///     let mut offer = Offer::new(agent, "f1", Role::default(), agent, format!("cpus:{cpus};mem:512;ports:[1-9]").parse().unwrap());
///     offer.attributes = format!("rack:{rack}").parse().unwrap();
///     offer
/// };
/// let near_miss = |offers: &[Offer]| Planner::new().plan([&app], &[], offers).unplaced[0].near_miss.clone().unwrap();
/// let (first, second) = (offer("a1", "4", "r1"), offer("a2", "4", "r2"));
/// assert_eq!(near_miss(&[first.clone(), second.clone()]).to_string(), "one more rack");
/// assert_eq!(near_miss(&[first, second, offer("a7", "0.25", "r3")]).to_string(), "0.25 more cpus on a7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearMiss {
    /// The offer.
    pub offer: OfferId,
    /// Its agent.
    pub agent: AgentId,
    /// The host of that.
    pub hostname: SmolStr,
    /// What would have to be otherwise: all of it.
    pub changes: Vec<Change>,
}

/// One thing that would have to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// So much more of an amount, of a role that the app takes.
    More {
        /// `cpus`, `mem`, `disk` or `gpus`.
        name: &'static str,
        /// How much.
        amount: Scalar,
    },
    /// So many more ports, whatever their numbers.
    Ports(usize),
    /// That port.
    Port(u16),
    /// So much more on a root disk that is not reserved, or one more disk of that kind and size. (Of several volumes, for
    /// the first that finds no disk.)
    Disk {
        /// The kind of disk.
        source: VolumeSource,
        /// How much.
        size: Scalar,
    },
    /// An agent where the field has that value.
    Value {
        /// The field.
        field: Field,
        /// The value.
        value: SmolStr,
    },
    /// An agent where the field has a value that no task has: one more host, one more rack.
    NewValue(Field),
    /// An agent that says nothing of that field.
    NoValue(Field),
    /// An offer to that role.
    OfferTo(Role),
    /// Anything at all of that role.
    OfRole(Role),
    /// No maintenance, or an end of it.
    NoMaintenance {
        /// When it ends, if that is known.
        until: Option<Time>,
    },
    /// An agent without gpus.
    NoGpus,
    /// No such condition: nobody can tell a value that would meet it.
    Without {
        /// The condition, as it is written.
        clause: SmolStr,
    },
}

impl Change {
    /// Whether it is about another agent, rather than more on this one.
    fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Value { .. } | Self::NewValue(_) | Self::NoValue(_))
    }

    /// How much it counts, if it is about values of fields: these may do for one another.
    fn size_of_value(&self) -> Option<u64> {
        if matches!(self, Self::Without { .. }) { Some(CONDITION) } else { self.is_elsewhere().then_some(WHOLE) }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More { name, amount } => write!(f, "{amount} more {name}"),
            Self::Ports(1) => f.write_str("1 more port"),
            Self::Ports(count) => write!(f, "{count} more ports"),
            Self::Port(number) => write!(f, "port {number}"),
            Self::Disk { source: VolumeSource::Root, size } => write!(f, "{size} more disk"),
            Self::Disk { source, size } => write!(f, "a {} disk of {size}", source.name()),
            Self::Value { field, value } => write!(f, "{} {value}", named(field)),
            Self::NewValue(field) => write!(f, "another {}", named(field)),
            Self::NoValue(field) => write!(f, "no {}", named(field)),
            Self::OfferTo(role) => write!(f, "an offer to {role}"),
            Self::OfRole(role) => write!(f, "something of {role}"),
            Self::NoMaintenance { until: None } => f.write_str("no maintenance"),
            Self::NoMaintenance { until: Some(until) } => write!(f, "an end of maintenance (at {until})"),
            Self::NoGpus => f.write_str("no gpus"),
            Self::Without { clause } => write!(f, "no condition {clause}"),
        }
    }
}

/// A field as people name it.
fn named(field: &Field) -> String {
    if *field == Field::Hostname { "host".to_owned() } else { field.to_string().trim_start_matches('@').to_owned() }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Change::NewValue(field)] = self.changes.as_slice() {
            return write!(f, "one more {}", named(field));
        }
        let is_elsewhere = self.changes.iter().any(Change::is_elsewhere);
        if is_elsewhere {
            write!(f, "one more agent like {} with ", self.hostname)?;
        }
        for (i, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if i == 0 { "" } else { " and " })?;
        }
        if is_elsewhere { Ok(()) } else { write!(f, " on {}", self.hostname) }
    }
}

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
