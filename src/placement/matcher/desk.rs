//! [`Desk`]: what is known while a plan is made, what keeps a task off an offer, and what a launch changes.

use super::ports::{self, Assigned};
use super::search::Search;
use super::state::{Slot, State, StateId, States, Step, Taken};
use super::table::Table;
use super::volumes;
use crate::constraint::{Candidate, Clause, Constraint, Location, Placed, PlacedTask, Reason, Verdict};
use crate::draw::{draw, mix};
use crate::id::TaskId;
use crate::offer::Offer;
use crate::placement::model::app::{App, GpuBehavior};
use crate::placement::model::barrier::Barrier;
use crate::placement::model::fitness::Prospect;
use crate::placement::model::plan::Launch;
use crate::placement::model::planner::Planner;
use crate::placement::model::ports::PortShortage;
use crate::placement::model::running::Running;
use crate::placement::model::volume::VolumeShortage;
use crate::resources::{Resource, Resources, Scalar, Value};
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};
use std::sync::Arc;

/// All that is known while a plan is made.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) planner: &'a Planner,
    pub(super) slots: Vec<Slot<'a>>,
    pub(super) table: Table,
    pub(super) placed: Placed,
    pub(super) launches: Vec<Launch>,
    states: States,
    /// By host, its offers.
    hosts: Vec<SmallVec<[usize; 1]>>,
    /// Ids that are taken by others.
    ids: IndexSet<&'a TaskId, foldhash::fast::FixedState>,
    /// By the name that ids begin with, the last number that was given.
    numbers: IndexMap<SmolStr, u64, foldhash::fast::FixedState>,
    /// What each launch has changed, while launches may have to be undone.
    changes: Option<Vec<Change>>,
}

/// What a launch has changed: the states of offers as they were, and the last number that was given.
#[derive(Debug)]
struct Change {
    states: SmallVec<[(usize, StateId); 1]>,
    slot: usize,
    name: SmolStr,
    number: u64,
}

/// The checks of an offer that fail.
#[derive(Debug)]
pub(super) struct Findings {
    /// Those that are told.
    pub(super) told: Vec<Barrier>,
    /// Those that are looked at, or told, only where others are well.
    silent: Vec<Barrier>,
}

impl Findings {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Barrier> {
        self.told.iter().chain(&self.silent)
    }

    /// The conditions among them.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &SmolStr> {
        self.told
            .iter()
            .filter_map(|barrier| if let Barrier::Condition { clause, .. } = barrier { Some(clause) } else { None })
    }

    /// Whether that condition is among them.
    pub(super) fn fails(&self, condition: &str) -> bool {
        self.conditions().any(|clause| clause == condition)
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        planner: &'a Planner,
        apps: &IndexMap<&str, &App>,
        running: &'a [Running],
        offers: &'a [Offer],
    ) -> Self {
        let mut desk = Self {
            planner,
            slots: Vec::with_capacity(offers.len()),
            table: Table::default(),
            placed: Placed::new(),
            launches: Vec::new(),
            states: States::default(),
            hosts: Vec::with_capacity(offers.len()),
            ids: planner.taken.iter().chain(running.iter().map(|task| &task.task)).collect(),
            numbers: IndexMap::default(),
            changes: None,
        };
        let mut hosts: IndexMap<&str, usize, foldhash::fast::FixedState> = IndexMap::default();
        for (index, offer) in offers.iter().enumerate() {
            let next = desk.hosts.len();
            let host = *hosts.entry(offer.hostname.as_str()).or_insert(next);
            if host == next {
                desk.hosts.push(SmallVec::new());
            }
            desk.hosts[host].push(index);
            let (location, state) = (Arc::new(Location::from(offer)), desk.states.arrive(offers, index));
            desk.slots.push(Slot { offer, location, state, host, launches: 0 });
        }
        let mut others: IndexSet<&str> = IndexSet::new();
        for task in running {
            let app = apps.get_full(task.app.as_str());
            let number =
                app.map_or_else(|| apps.len() + others.insert_full(task.app.as_str()).0, |(number, ..)| number);
            let app = app.map(|(.., app)| *app);
            if let Some(host) = hosts.get(task.location.hostname.as_str()) {
                desk.bears(*host, task, app, number);
            }
            if !task.is_old(app) {
                desk.placed.push(task.placed(app));
            }
        }
        desk
    }

    /// A task runs on a host: its offers come to something else.
    fn bears(&mut self, host: usize, task: &Running, app: Option<&App>, number: usize) {
        let (cpus, mem) = match (&task.resources, app) {
            (Some(resources), _) => (resources.amount("cpus"), resources.amount("mem")),
            (None, Some(app)) => (app.cpus, app.mem),
            (None, None) => Default::default(),
        };
        let is_plain = task.image.is_none() && task.labels.is_none();
        for index in &self.hosts[host] {
            let slot = &mut self.slots[*index];
            slot.state = if task.is_old(app) {
                self.states.step(slot.state, Step::Load { cpus, mem })
            } else if is_plain {
                self.states.step(slot.state, Step::Task { app: short(number), cpus, mem })
            } else {
                self.states.apart(slot.state, cpus, mem)
            };
        }
    }

    /// What an offer has come to.
    pub(super) fn state(&self, index: usize) -> &State {
        self.states.get(self.slots[index].state)
    }

    /// The offers of the same host.
    pub(super) fn beside(&self, index: usize) -> &[usize] {
        &self.hosts[self.slots[index].host]
    }

    /// A task of the app, there.
    pub(super) fn candidate<'s>(&'s self, search: &'s Search<'_>, index: usize) -> Candidate<'s> {
        Candidate::new(&search.app.id, &self.slots[index].location).instances(search.app.instances)
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, search: &Search<'_>, index: usize, clause: &Clause) -> bool {
        clause.holds(&self.candidate(search, index), &self.placed)
    }

    /// Whether a task fits, as far as the state of an offer tells: all but conditions and regions.
    pub(super) fn fits(&self, search: &Search<'_>, index: usize) -> bool {
        let (slot, left) = (&self.slots[index], &self.state(index).left);
        search.amounts().into_iter().all(|(name, needed)| needed.is_zero() || search.available(left, name) >= needed)
            && self.role(search, slot).is_none()
            && self.maintenance(slot).is_none()
            && scarce(search, left).is_none()
            && volumes(search, left).is_ok()
            && self.ports(search, slot, left).is_ok()
    }

    /// Every check that fails of an offer as it stands.
    pub(super) fn findings(&self, search: &Search<'_>, index: usize) -> Findings {
        let (slot, left) = (&self.slots[index], &self.state(index).left);
        let (mut told, mut silent) = (Vec::new(), Vec::new());
        told.extend(self.role(search, slot));
        if let (Some(Barrier::OtherRole { .. }), Some(none)) = (told.first(), none_of_role(search, slot)) {
            silent.push(none);
        }
        if let (Some(home), Some(region)) = (search.home, &slot.location.region)
            && home != region
        {
            told.push(Barrier::Away { region: region.clone(), home: home.clone() });
        }
        let candidate = self.candidate(search, index);
        for (clause, text) in search.app.require.iter().zip(&search.texts) {
            if let Verdict::Reject(reason) = clause.check(&candidate, &self.placed) {
                each_reason(reason, &mut |reason| told.push(Barrier::Condition { clause: text.clone(), reason }));
            }
        }
        told.extend(self.kept(index).map(Barrier::Kept));
        told.extend(self.maintenance(slot));
        for (name, needed) in search.amounts() {
            let there = search.available(left, name);
            let is_short = there < needed;
            if is_short {
                told.push(Barrier::Short { name, needed, left: there });
            }
            if name == "disk" {
                let volume = volumes(search, left).err().map(Barrier::Volume);
                if is_short { &mut silent } else { &mut told }.extend(volume);
            }
        }
        told.extend(scarce(search, left));
        if let Err(first) = self.ports(search, slot, left) {
            let mut all = ports::shortages(&search.app.ports, &search.pools(left, "ports"));
            if told.is_empty() {
                told.push(Barrier::Ports(first));
                all.retain(|one| *one != first);
            }
            silent.extend(all.into_iter().map(Barrier::Ports));
        }
        Findings { told, silent }
    }

    /// Why no other task may come there, if one keeps them away.
    pub(super) fn kept(&self, index: usize) -> Option<Reason> {
        let (field, value, task) = self.placed.keeper(&self.slots[index].location)?;
        Some(Reason::Kept { field: field.clone(), value: value.clone(), task: task.clone() })
    }

    fn role(&self, search: &Search<'_>, slot: &Slot<'_>) -> Option<Barrier> {
        if let Some(wanted) = search.app.role.as_ref().filter(|role| **role != slot.offer.role) {
            return Some(Barrier::OtherRole { offered: slot.offer.role.clone(), wanted: wanted.clone() });
        }
        none_of_role(search, slot)
    }

    /// An agent is out of bounds from `start - draining` (not at that very moment) to `start + duration`, as in Marathon.
    fn maintenance(&self, slot: &Slot<'_>) -> Option<Barrier> {
        let (now, window) = (self.planner.now, slot.offer.unavailability?);
        let until = window.duration.map(|duration| window.start + duration);
        let out = now + self.planner.draining > window.start && until.is_none_or(|until| now <= until);
        out.then_some(Barrier::Maintenance { start: window.start, until, now })
    }

    fn ports(&self, search: &Search<'_>, slot: &Slot<'_>, left: &Resources) -> Result<Assigned, PortShortage> {
        if search.app.ports.is_empty() {
            return Ok(Assigned::default());
        }
        let pick = self.planner.seed.map(mix);
        let start = pick.and_then(|pick| ports::start(&slot.offer.resources, pick));
        ports::assign(&search.app.ports, &search.pools(left, "ports"), start)
    }

    /// The place as a fitness sees it.
    pub(super) fn prospect<'s>(&'s self, search: &'s Search<'_>, index: usize) -> Prospect<'s> {
        let (slot, state, seed) = (&self.slots[index], self.state(index), self.planner.seed.unwrap_or(0));
        Prospect {
            app: &search.request,
            offer: slot.offer,
            left: &state.left,
            used: state.used,
            draw: unit(draw(seed.wrapping_add(self.launches.len() as u64 + 1), index as u64)),
        }
    }

    /// Launches a task of the app in an offer in which it fits.
    pub(super) fn launch(&mut self, search: &Search<'_>, index: usize) {
        let (app, before) = (search.app, self.slots[index].state);
        let taken = match self.states.launched(before, search.number) {
            Some(taken) => taken.clone(),
            None => {
                let taken = self.take(search, index);
                self.states.launch(before, search.number, taken, app.cpus, app.mem)
            }
        };
        let (next, Taken { resources, ports }) = taken;
        let id = self.new_id(search);
        let mut states = SmallVec::new();
        for other in &self.hosts[self.slots[index].host] {
            let slot = &mut self.slots[*other];
            states.push((*other, slot.state));
            slot.state = if *other == index {
                next
            } else {
                let step = Step::Task { app: short(search.number), cpus: app.cpus, mem: app.mem };
                self.states.step(slot.state, step)
            };
        }
        if let Some(changes) = &mut self.changes {
            let (name, number) = (search.name.clone(), self.numbers.get(&search.name).copied().unwrap_or(1) - 1);
            changes.push(Change { states, slot: index, name, number });
        }
        let slot = &mut self.slots[index];
        slot.launches += 1;
        self.placed.push(PlacedTask {
            app: app.id.clone(),
            id: id.clone(),
            location: Arc::clone(&slot.location),
            image: app.image.clone(),
            labels: Arc::clone(&app.labels),
            exclusive: search.exclusive.clone(),
        });
        self.launches.push(Launch {
            offer: slot.offer.id.clone(),
            app: app.id.clone(),
            id,
            resources,
            ports,
            agent: slot.offer.agent.clone(),
            location: Arc::clone(&slot.location),
            requests: Arc::clone(&search.ports),
        });
    }

    /// What a task takes of an offer in which it fits.
    fn take(&self, search: &Search<'_>, index: usize) -> Taken {
        let (slot, left) = (&self.slots[index], &self.state(index).left);
        let mut parts = Vec::new();
        for (name, needed) in search.amounts() {
            part(search, left, name, needed, &mut parts);
        }
        parts.extend(volumes(search, left).unwrap_or_default());
        let assigned = self.ports(search, slot, left).unwrap_or_default();
        parts.extend(assigned.resources);
        Taken { resources: Resources::try_from_iter(parts).unwrap_or_default(), ports: assigned.ports }
    }

    /// The app's id without its slashes, and the next number that gives an id of its own.
    fn new_id(&mut self, search: &Search<'_>) -> TaskId {
        if !self.numbers.contains_key(&search.name) {
            self.numbers.insert(search.name.clone(), 0);
        }
        let number = &mut self.numbers[&search.name];
        loop {
            *number += 1;
            let id = TaskId::new(format_smolstr!("{}.{number}", search.name));
            if !self.ids.contains(&id) {
                return id;
            }
        }
    }

    /// From now on launches may be undone.
    pub(super) fn begin(&mut self) {
        self.changes = Some(Vec::new());
    }

    /// What was launched since the beginning stays launched.
    pub(super) fn keep(&mut self) {
        self.changes = None;
    }

    /// Undoes what was launched since the beginning.
    pub(super) fn undo(&mut self) {
        for change in self.changes.take().into_iter().flatten().rev() {
            for (index, state) in change.states {
                self.slots[index].state = state;
            }
            self.slots[change.slot].launches -= 1;
            self.numbers.insert(change.name, change.number);
            self.launches.pop();
            self.placed.pop();
        }
    }
}

fn none_of_role(search: &Search<'_>, slot: &Slot<'_>) -> Option<Barrier> {
    let any = slot.offer.resources.iter().any(|resource| search.takes(resource));
    (!any).then(|| Barrier::NoneOfRole { accepted: search.accepted.clone() })
}

/// Tells parts that must all hold one by one.
fn each_reason(reason: Reason, tell: &mut dyn FnMut(Reason)) {
    if let Reason::Several(reasons) = reason {
        reasons.into_iter().for_each(|reason| each_reason(reason, tell));
    } else {
        tell(reason);
    }
}

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn scarce(search: &Search<'_>, left: &Resources) -> Option<Barrier> {
    if !search.app.gpus.is_zero() || search.gpu_behavior != GpuBehavior::Restricted {
        return None;
    }
    let gpus = left.amount("gpus");
    (!gpus.is_zero()).then_some(Barrier::Scarce { gpus })
}

/// The disks that the volumes of a task take, beside what it takes of the root disk.
fn volumes(search: &Search<'_>, left: &Resources) -> Result<Vec<Resource>, VolumeShortage> {
    if search.app.volumes.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    part(search, left, "disk", search.app.disk, &mut parts);
    let scratch = Resources::try_from_iter(parts).unwrap_or_default();
    volumes::assign(&search.app.volumes, &left.saturating_sub(&scratch))
}

/// An amount, of reserved resources first; a task may take of both.
fn part(search: &Search<'_>, left: &Resources, name: &str, needed: Scalar, parts: &mut Vec<Resource>) {
    if needed.is_zero() {
        return;
    }
    let mut missing = needed;
    for pool in search.pools(left, name) {
        let amount = pool.scalar().unwrap_or_default().min(missing);
        if !amount.is_zero() {
            parts.push(pool.like(Value::Scalar(amount)));
            missing = missing.saturating_sub(amount);
        }
    }
}

/// A number from 0 to 1, below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
