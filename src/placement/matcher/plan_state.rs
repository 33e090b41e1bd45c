//! [`PlanState`]: a plan in the making, with an undo log.

use super::candidates::KeptCandidates;
use super::index::{AppIx, HostIx, OfferIx, StateIx};
use super::offer_state::{Allocation, HeldOffer, Launched, OfferState, OfferStates, Slot, Transition};
use super::query::Query;
use super::table::{Column, Table};
use super::task_ids::TaskIds;
use crate::constraint::{Field, Location, Placed, PlacedTask, RejectReason};
use crate::id::OfferId;
use crate::offer::Offer;
use crate::placement::model::app::App;
use crate::placement::model::plan::Launch;
use crate::placement::model::planner::Planner;
use crate::placement::model::running::Running;
use crate::resources::Ranges;
use crate::text::Text;
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// The current states of the offers, the placed tasks, and the launches so far.
///
/// [`launch`](Self::launch) is the only change. Launches after [`begin`](Self::begin) are kept by
/// [`commit`](Self::commit) and taken back by [`rollback`](Self::rollback).
#[derive(Debug)]
pub(super) struct PlanState<'a> {
    /// The running and the launched tasks, as constraints see them.
    pub(super) placed: Placed,
    pub(super) launches: Vec<Launch>,
    /// By index of a placed task: those before the launches, ended ones included.
    pub(super) running: Cow<'a, [Running]>,
    pub(super) slots: Vec<Slot<'a>>,
    pub(super) table: Table,
    pub(super) states: OfferStates<'a>,
    /// By host, its offers.
    pub(super) hosts: Vec<SmallVec<[OfferIx; 1]>>,
    pub(super) task_ids: TaskIds<'a>,
    pub(super) candidates: KeptCandidates,
    /// The launches since `begin`, if launches may be taken back.
    undo_log: Option<Vec<Undo>>,
}

/// The record that takes one launch back.
#[derive(Debug)]
struct Undo {
    offer: OfferIx,
    /// The earlier states of the offers on the host.
    states: SmallVec<[(OfferIx, StateIx); 1]>,
    /// The name and the last number of the app's task ids.
    name: Text,
    last_id: u64,
}

/// What a running task is to the offers of its host.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskLoad {
    transition: Transition,
    /// Its image and labels are those of its app.
    is_as_in_app: bool,
}

impl TaskLoad {
    pub(super) fn new(task: &Running, ix: AppIx, app: Option<&App>) -> Self {
        let (cpus, mem) = match (&task.resources, app) {
            (Some(resources), _) => (resources.amount("cpus"), resources.amount("mem")),
            (None, Some(app)) => (app.cpus, app.mem),
            (None, None) => Default::default(),
        };
        let transition = Transition { app: ix, is_outdated: task.is_outdated(app), cpus, mem };
        Self { transition, is_as_in_app: task.image.is_none() && task.labels.is_none() }
    }
}

type HostNumbers<'a> = IndexMap<&'a str, HostIx, foldhash::fast::FixedState>;

impl<'a> PlanState<'a> {
    pub(super) fn new(
        planner: &'a Planner,
        apps: &IndexMap<&str, &App>,
        running: &'a [Running],
        offers: &'a [Offer],
    ) -> Self {
        let task_ids = TaskIds::new(Cow::Borrowed(&planner.taken), running.iter().map(|task| task.task.clone()));
        let mut state = Self::empty(Cow::Borrowed(running), task_ids);
        state.slots.reserve_exact(offers.len());
        state.hosts.reserve_exact(offers.len());
        let hosts = state.add_offers(offers);
        state.add_running(running, apps, &hosts);
        state
    }

    /// Makes the state without offers, in which no task is placed yet.
    pub(super) fn empty(running: Cow<'a, [Running]>, task_ids: TaskIds<'a>) -> Self {
        Self {
            placed: Placed::new(),
            launches: Vec::new(),
            running,
            slots: Vec::new(),
            table: Table::default(),
            states: OfferStates::default(),
            hosts: Vec::new(),
            task_ids,
            candidates: KeptCandidates::default(),
            undo_log: None,
        }
    }

    fn add_offers(&mut self, offers: &'a [Offer]) -> HostNumbers<'a> {
        let mut hosts = HostNumbers::default();
        for (index, offer) in offers.iter().enumerate() {
            let (ix, next) = (OfferIx::new(index), HostIx::new(self.hosts.len()));
            let host = *hosts.entry(offer.hostname.as_str()).or_insert(next);
            if host == next {
                self.hosts.push(SmallVec::new());
            }
            self.hosts[host.index()].push(ix);
            self.push_slot(HeldOffer::Borrowed(offer), host);
        }
        hosts
    }

    /// Adds an offer after all others, as if no task were on its host.
    pub(super) fn push_slot(&mut self, offer: HeldOffer<'a>, host: HostIx) {
        let (location, state) = (Arc::new(Location::from(&*offer)), self.states.intern(&offer));
        self.slots.push(Slot { offer, location, initial: state, state, host, launches: 0, is_gone: false });
    }

    fn add_running(&mut self, running: &'a [Running], apps: &IndexMap<&str, &App>, hosts: &HostNumbers<'_>) {
        let mut unplanned: IndexSet<&str> = IndexSet::new();
        for task in running {
            let id = task.app.as_str();
            let (index, app) = match apps.get_full(id) {
                Some((index, _, app)) => (index, Some(*app)),
                None => (apps.len() + unplanned.insert_full(id).0, None),
            };
            if let Some(host) = hosts.get(task.location.hostname.as_str()) {
                self.add_load(*host, TaskLoad::new(task, AppIx::new(index), app));
            }
            self.placed.push(task.placed(app));
        }
    }

    /// Adds a running task to the states of its host's offers.
    pub(super) fn add_load(&mut self, host: HostIx, TaskLoad { transition, is_as_in_app }: TaskLoad) {
        for offer in &self.hosts[host.index()] {
            let slot = &mut self.slots[offer.index()];
            slot.state = if is_as_in_app {
                self.states.transition(slot.state, transition)
            } else {
                self.states.fork_unique(slot.state, transition.cpus, transition.mem)
            };
            self.candidates.offer_changed(*offer);
        }
    }

    /// Returns all offers, as listed.
    pub(super) fn offers(&self) -> impl Iterator<Item = OfferIx> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| !slot.is_gone).map(|(index, _)| OfferIx::new(index))
    }

    /// Returns the number of offers, those that are gone included.
    pub(super) fn offer_count(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn slot(&self, offer: OfferIx) -> &Slot<'a> {
        &self.slots[offer.index()]
    }

    /// Returns the remaining resources of an offer and the load of its host.
    #[inline]
    pub(super) fn offer_state(&self, offer: OfferIx) -> &OfferState {
        self.states.get(self.slot(offer).state)
    }

    /// Returns the offers on the host of an offer, itself included.
    pub(super) fn same_host(&self, offer: OfferIx) -> &[OfferIx] {
        &self.hosts[self.slot(offer).host.index()]
    }

    /// Returns the offers of which nothing is taken.
    pub(super) fn unused_offers(&self) -> Vec<OfferId> {
        self.slots.iter().filter(|slot| slot.launches == 0).map(|slot| slot.offer.id.clone()).collect()
    }

    /// Returns the host ports of a placed task.
    pub(super) fn host_ports(&self, task: usize) -> Ranges {
        match self.running.get(task) {
            Some(running) => running.host_ports(),
            None => {
                let launch = self.launches.get(task - self.running.len());
                launch.map(|launch| launch.resources.ranges("ports")).unwrap_or_default()
            }
        }
    }

    /// Returns the column of a field's values as they print.
    pub(super) fn printed_column(&mut self, field: &Field) -> Arc<Column> {
        self.table.printed(&self.slots, field)
    }

    /// Returns the column of the typed values of several fields.
    pub(super) fn exact_column(&mut self, fields: &[&Field]) -> Arc<Column> {
        self.table.exact(&self.slots, fields)
    }

    /// Returns how many instances of an app are still to be placed.
    pub(super) fn pending(&self, app: &App) -> u64 {
        app.instances.saturating_sub(self.placed.count(&app.id) as u64)
    }

    /// Returns the reason against an offer whose place a task with a required `EXCLUSIVE` holds.
    pub(super) fn exclusive_holder(&self, offer: OfferIx, app: &App) -> Option<RejectReason> {
        let (field, value, task) = self.placed.exclusive_holder(&self.slot(offer).location, &app.id)?;
        Some(RejectReason::ExclusivelyHeld { field: field.clone(), value: value.clone(), task: task.clone() })
    }

    /// Launches a task of the app in an offer that it fits; `allocate` is asked once for all offers of equal state.
    pub(super) fn launch(&mut self, query: &Query<'_>, offer: OfferIx, allocate: impl FnOnce(&Self) -> Allocation) {
        let (app, before) = (query.app, self.slot(offer).state);
        let launched = match self.states.launched(before, query.ix) {
            Some(launched) => launched.clone(),
            None => {
                let allocation = allocate(self);
                self.states.record_launch(before, query.ix, allocation, app.cpus, app.mem)
            }
        };
        let Launched { state: next, allocation: Allocation { resources, ports } } = launched;
        let last_id = self.undo_log.is_some().then(|| self.task_ids.last(&query.name));
        let id = self.task_ids.next(&query.name);

        let mut earlier = SmallVec::new();
        for other in &self.hosts[self.slot(offer).host.index()] {
            let slot = &mut self.slots[other.index()];
            earlier.push((*other, slot.state));
            slot.state = if *other == offer {
                next
            } else {
                let added = Transition { app: query.ix, is_outdated: false, cpus: app.cpus, mem: app.mem };
                self.states.transition(slot.state, added)
            };
            self.candidates.offer_changed(*other);
        }
        if let (Some(log), Some(last_id)) = (&mut self.undo_log, last_id) {
            log.push(Undo { offer, states: earlier, name: query.name.clone(), last_id });
        }

        let slot = &mut self.slots[offer.index()];
        slot.launches += 1;
        self.placed.push(PlacedTask {
            app: app.id.clone(),
            id: id.clone(),
            location: Arc::clone(&slot.location),
            image: app.image.clone(),
            labels: Arc::clone(&app.labels),
            exclusive: query.exclusive.clone(),
            is_outdated: false,
        });
        self.launches.push(Launch {
            offer: slot.offer.id.clone(),
            app: app.id.clone(),
            id,
            resources,
            ports,
            agent: slot.offer.agent.clone(),
            location: Arc::clone(&slot.location),
            requests: Arc::clone(&query.ports),
        });
    }

    /// Begins a transaction: logs launches from now on, so that they may be taken back.
    pub(super) fn begin(&mut self) {
        self.undo_log = Some(Vec::new());
    }

    /// Ends the transaction and keeps its launches.
    pub(super) fn commit(&mut self) {
        self.undo_log = None;
    }

    /// Ends the transaction and takes its launches back, the last one first.
    pub(super) fn rollback(&mut self) {
        for undo in self.undo_log.take().into_iter().flatten().rev() {
            for (offer, state) in undo.states {
                self.slots[offer.index()].state = state;
                self.candidates.offer_changed(offer);
            }
            self.slots[undo.offer.index()].launches -= 1;
            self.task_ids.rewind(undo.name, undo.last_id);
            self.launches.pop();
            self.placed.pop();
        }
    }
}
