//! [`Desk`]: where a plan is made, one instance after another.

use super::app::{App, GpuBehavior};
use super::barrier::{Barrier, Obstacle};
use super::choice::Choice;
use super::fitness::{Prospect, Usage};
use super::ports::{self, Assigned};
use super::search::Search;
use super::{Launch, Plan, Planner, Running, Unplaced, volume};
use crate::constraint::{Candidate, Clause, Constraint, Location, Placed, PlacedTask, Reason, Verdict};
use crate::id::TaskId;
use crate::offer::Offer;
use crate::resources::{Resource, Resources, Value};
use indexmap::{IndexMap, IndexSet};
use smol_str::{SmolStr, format_smolstr};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// All that is known while a plan is made.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    planner: &'a Planner,
    pub(super) slots: Vec<Slot<'a>>,
    pub(super) placed: Placed,
    hosts: IndexMap<SmolStr, Host>,
    ids: BTreeSet<TaskId>,
    launches: Vec<Launch>,
}

/// A host: what is used on it, and which offers are of it, by index.
#[derive(Debug, Default)]
struct Host {
    used: Usage,
    offers: Vec<usize>,
}

/// An offer, and what is left of it.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    offer: &'a Offer,
    pub(super) location: Arc<Location>,
    left: Resources,
    used: bool,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        planner: &'a Planner,
        apps: &IndexMap<&str, &App>,
        running: &[Running],
        offers: &'a [Offer],
    ) -> Self {
        let slot = |offer: &'a Offer| Slot {
            offer,
            location: Arc::new(Location::from(offer)),
            left: offer.resources.clone(),
            used: false,
        };
        let mut desk = Self {
            planner,
            slots: offers.iter().map(slot).collect(),
            placed: Placed::new(),
            hosts: IndexMap::new(),
            ids: planner.taken.iter().chain(running.iter().map(|task| &task.task)).cloned().collect(),
            launches: Vec::new(),
        };
        for (index, offer) in offers.iter().enumerate() {
            desk.hosts.entry(offer.hostname.clone()).or_default().offers.push(index);
        }
        for task in running {
            let app = apps.get(task.app.as_str()).copied();
            let (cpus, mem) = match (&task.resources, app) {
                (Some(resources), _) => (resources.amount("cpus"), resources.amount("mem")),
                (None, Some(app)) => (app.cpus, app.mem),
                (None, None) => Default::default(),
            };
            desk.hosts.entry(task.location.hostname.clone()).or_default().used.add(cpus, mem);
            if !task.is_old(app) {
                desk.placed.push(task.placed(app));
            }
        }
        desk
    }

    /// Serves all apps, and says what came of it.
    pub(super) fn serve(mut self, apps: &IndexMap<&str, &'a App>) -> Plan {
        let mut waiting = Vec::new();
        for app in apps.values() {
            let search = self.place(app);
            if search.waiting > 0 {
                waiting.push(search);
            }
        }
        let unplaced = waiting.iter().map(|search| self.unplaced(search)).collect();
        Plan {
            declines: self.slots.iter().filter(|slot| !slot.used).map(|slot| slot.offer.id.clone()).collect(),
            launches: self.launches,
            unplaced,
        }
    }

    /// Places the pending instances of an app, until one finds no place: the others would not either.
    fn place(&mut self, app: &'a App) -> Search<'a> {
        let mut search = Search::new(self.planner, app);
        for field in search.counted() {
            self.placed.watch(&field);
        }
        for (spread, _, known) in &mut search.spreads {
            let tally = self.placed.tally(&app.id, &spread.field);
            let of_tasks = tally.iter().filter_map(|(value, _)| value.cloned());
            let of_offers = self.slots.iter().filter_map(|slot| slot.location.value(&spread.field).map(SmolStr::from));
            *known = of_tasks.chain(of_offers).collect::<IndexSet<_>>().len();
        }
        self.know(&search);
        let known_for_good = search.skews.is_empty() || search.other.iter().all(|clause| clause.is_static());
        let (mut choice, mut number) = (Choice::new(&search, self), 0);
        search.waiting = app.instances.saturating_sub(self.placed.siblings(&app.id).count() as u64);
        while search.waiting > 0 {
            let Some(index) = self.choose(&search, &mut choice) else { break };
            self.launch(&search, index, &mut number);
            let host = self.hosts.get(&self.slots[index].offer.hostname);
            choice.forget(host.map_or(&[], |host| host.offers.as_slice()));
            search.waiting -= 1;
            if !known_for_good {
                self.know(&search);
            }
        }
        search
    }

    /// Finds out which values of the fields of a `MAX_SKEW` offers have that meet the other conditions.
    fn know(&mut self, search: &Search<'_>) {
        for field in &search.skews {
            let meets = |slot: &&Slot<'_>| {
                let candidate = candidate(search, slot);
                search.other.iter().all(|clause| clause.check(&candidate, &self.placed).is_accept())
            };
            let values = self.slots.iter().filter(meets).filter_map(|slot| slot.location.value(field));
            let values: Vec<SmolStr> = values.map(SmolStr::from).collect();
            self.placed.know(&search.app.id, field, values);
        }
    }

    /// Whether an offer will not do, as far as these conditions go: if so, whether that will stay so for further
    /// instances.
    pub(super) fn first_barrier(&self, search: &Search<'_>, clauses: &[&Clause], index: usize) -> Option<bool> {
        let mut found = None;
        let _ = self.examine(search, clauses, index, &mut |_, lasts| {
            found = Some(lasts);
            ControlFlow::Break(())
        });
        found
    }

    /// The same of the conditions alone.
    pub(super) fn barred(&self, search: &Search<'_>, index: usize, clauses: &[&Clause]) -> Option<bool> {
        clauses.iter().find(|clause| !self.accepts(search, index, clause)).map(|clause| clause.is_lasting())
    }

    /// Whether a condition holds.
    pub(super) fn accepts(&self, search: &Search<'_>, index: usize, clause: &Clause) -> bool {
        clause.check(&candidate(search, &self.slots[index]), &self.placed).is_accept()
    }

    fn unplaced(&mut self, search: &Search<'_>) -> Unplaced {
        self.know(search);
        let clauses: Vec<&Clause> = search.app.require.iter().collect();
        let mut reasons = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            let _ = self.examine(search, &clauses, index, &mut |barrier, _| {
                reasons.push(Obstacle { offer: slot.offer.id.clone(), barrier });
                ControlFlow::Continue(())
            });
        }
        Unplaced { app: search.app.id.clone(), instances: search.waiting, reasons }
    }

    /// Makes every check of an offer as it stands, and tells each that fails, and whether it will fail for good
    /// while further instances of the app are placed.
    fn examine(
        &self,
        search: &Search<'_>,
        clauses: &[&Clause],
        index: usize,
        told: &mut dyn FnMut(Barrier, bool) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (slot, clean) = (&self.slots[index], Cell::new(true));
        let mut tell = |barrier: Barrier, lasts: bool| {
            clean.set(false);
            told(barrier, lasts)
        };
        if let Some(barrier) = role(search, slot) {
            tell(barrier, true)?;
        }
        if let (Some(home), Some(region)) = (search.home, &slot.location.region)
            && home != region
        {
            tell(Barrier::Away { region: region.clone(), home: home.clone() }, true)?;
        }
        self.conditions(search, clauses, slot, &mut tell)?;
        if let Some(kept) = self.kept(index) {
            tell(Barrier::Kept(kept), true)?;
        }
        if let Some(barrier) = self.maintenance(slot) {
            tell(barrier, true)?;
        }
        for barrier in amounts(search, slot) {
            tell(barrier, true)?;
        }
        let gpus = slot.left.amount("gpus");
        if search.app.gpus.is_zero() && !gpus.is_zero() && search.gpu_behavior == GpuBehavior::Restricted {
            tell(Barrier::Scarce { gpus }, true)?;
        }
        if clean.get()
            && let Err(shortage) = self.ports(search, slot)
        {
            tell(Barrier::Ports(shortage), true)?;
        }
        ControlFlow::Continue(())
    }

    fn conditions(
        &self,
        search: &Search<'_>,
        clauses: &[&Clause],
        slot: &Slot<'_>,
        tell: &mut dyn FnMut(Barrier, bool) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let candidate = candidate(search, slot);
        for clause in clauses {
            match clause.check(&candidate, &self.placed) {
                Verdict::Accept => {}
                Verdict::Reject(Reason::Several(reasons)) => {
                    for reason in reasons {
                        tell(condition(clause, reason), clause.is_lasting())?;
                    }
                }
                Verdict::Reject(reason) => tell(condition(clause, reason), clause.is_lasting())?,
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether a task keeps all others away from there.
    pub(super) fn kept(&self, index: usize) -> Option<Reason> {
        let (field, value, task) = self.placed.keeper(&self.slots[index].location)?;
        Some(Reason::Kept { field: field.clone(), value: value.clone(), task: task.clone() })
    }

    /// An agent is out of bounds from `start - draining` (not at that very moment) to `start + duration`, as in Marathon.
    fn maintenance(&self, slot: &Slot<'_>) -> Option<Barrier> {
        let (now, window) = (self.planner.now, slot.offer.unavailability?);
        let until = window.duration.map(|duration| window.start + duration);
        let out = now + self.planner.draining > window.start && until.is_none_or(|until| now <= until);
        out.then_some(Barrier::Maintenance { start: window.start, until, now })
    }

    fn ports(&self, search: &Search<'_>, slot: &Slot<'_>) -> Result<Assigned, ports::PortShortage> {
        let pick = self.planner.seed.map(|seed| mixed(seed, 0));
        let start = pick.and_then(|pick| ports::start(&slot.offer.resources, pick));
        ports::assign(&search.app.ports, &search.pools(&slot.left, "ports"), start)
    }

    /// The place as a fitness sees it.
    pub(super) fn prospect<'s>(&'s self, search: &Search<'s>, index: usize) -> Prospect<'s> {
        let (slot, seed) = (&self.slots[index], self.planner.seed.unwrap_or(0));
        Prospect {
            app: search.app,
            offer: slot.offer,
            left: &slot.left,
            used: self.hosts.get(&slot.offer.hostname).map(|host| host.used).unwrap_or_default(),
            draw: unit(mixed(mixed(seed, self.launches.len() as u64 + 1), index as u64)),
        }
    }

    fn launch(&mut self, search: &Search<'_>, index: usize, number: &mut u64) {
        let (slot, app) = (&self.slots[index], search.app);
        let assigned = self.ports(search, slot).unwrap_or_default();
        let mut parts = taken(search, &slot.left);
        parts.extend(assigned.resources);
        let resources = Resources::try_from_iter(parts).unwrap_or_default();
        let id = self.new_id(app, number);
        let slot = &mut self.slots[index];
        slot.left.remove(&resources);
        slot.used = true;
        self.hosts.entry(slot.offer.hostname.clone()).or_default().used.add(app.cpus, app.mem);
        let mut task = PlacedTask::new(app.id.clone(), id.clone(), Arc::clone(&slot.location));
        task.image.clone_from(&app.image);
        task.labels = Arc::clone(&app.labels);
        task.exclusive = app.exclusive();
        self.placed.push(task);
        self.launches.push(Launch {
            offer: slot.offer.id.clone(),
            app: app.id.clone(),
            id,
            resources,
            env: ports::environment(&slot.offer.hostname, &app.ports, &assigned.ports),
            ports: assigned.ports,
            agent: slot.offer.agent.clone(),
            location: Arc::clone(&slot.location),
        });
    }

    /// The app's id without its slashes, and the next number that gives an id of its own.
    fn new_id(&mut self, app: &App, number: &mut u64) -> TaskId {
        let name = app.id.trim_start_matches('/').replace('/', "_");
        loop {
            *number += 1;
            let id = TaskId::new(format_smolstr!("{name}.{number}"));
            if self.ids.insert(id.clone()) {
                return id;
            }
        }
    }
}

fn candidate<'s>(search: &'s Search<'_>, slot: &'s Slot<'_>) -> Candidate<'s> {
    Candidate::new(&search.app.id, &slot.location).instances(search.app.instances)
}

fn condition(clause: &Clause, reason: Reason) -> Barrier {
    Barrier::Condition { clause: clause.to_string(), reason }
}

fn role(search: &Search<'_>, slot: &Slot<'_>) -> Option<Barrier> {
    if let Some(wanted) = search.app.role.as_ref().filter(|role| **role != slot.offer.role) {
        return Some(Barrier::OtherRole { offered: slot.offer.role.clone(), wanted: wanted.clone() });
    }
    let any = slot.offer.resources.iter().any(|resource| search.takes(resource));
    (!any).then(|| Barrier::NoneOfRole { accepted: search.accepted.clone() })
}

/// What falls short of the amounts and disks that a task takes.
fn amounts(search: &Search<'_>, slot: &Slot<'_>) -> Vec<Barrier> {
    let mut barriers = Vec::new();
    for (name, needed) in search.amounts() {
        let left = search.available(&slot.left, name);
        if left < needed {
            barriers.push(Barrier::Short { name, needed, left });
        } else if name == "disk" && !search.app.volumes.is_empty() {
            let scratch = Resources::try_from_iter(part(search, &slot.left, name, needed)).unwrap_or_default();
            let rest = slot.left.saturating_sub(&scratch);
            barriers.extend(volume::assign(&search.app.volumes, &rest).err().map(Barrier::Volume));
        }
    }
    barriers
}

/// What a task takes, but for its ports.
fn taken(search: &Search<'_>, left: &Resources) -> Vec<Resource> {
    let mut all = Vec::new();
    for (name, needed) in search.amounts() {
        all.extend(part(search, left, name, needed));
    }
    if !search.app.volumes.is_empty() {
        let scratch = Resources::try_from_iter(all.iter().cloned()).unwrap_or_default();
        all.extend(volume::assign(&search.app.volumes, &left.saturating_sub(&scratch)).unwrap_or_default());
    }
    all
}

/// An amount, of reserved resources first; a task may take of both.
fn part(search: &Search<'_>, left: &Resources, name: &str, needed: crate::resources::Scalar) -> Vec<Resource> {
    let (mut parts, mut missing) = (Vec::new(), needed);
    for pool in search.pools(left, name) {
        let amount = pool.scalar().unwrap_or_default().min(missing);
        if !amount.is_zero() {
            let kind = pool.kind().cloned().unwrap_or_default();
            parts.push(Resource::new(name, Value::Scalar(amount)).with_kind(kind));
            missing = missing.saturating_sub(amount);
        }
    }
    parts
}

/// Mixes two numbers into one that shows nothing of them (the finaliser of splitmix64).
fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 to 1, below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
