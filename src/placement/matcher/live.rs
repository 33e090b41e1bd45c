//! [`LiveState`]: the state of a plan that is kept from one plan to the next.
//!
//! Its invariant: at any time between plans it is what [`PlanState::new`](super::PlanState) would make of the same apps,
//! offers and tasks, but for the numbers of states, apps and ended tasks. A change looks only at the host that it is on.

mod compaction;
mod transaction;

use self::transaction::Undo;
use super::app;
use super::candidates::ranks_by_request;
use super::index::{AppIx, HostIx, OfferIx};
use super::offer_state::HeldOffer;
use super::plan_state::{PlanState, TaskLoad};
use super::query::ListedApp;
use super::table::Table;
use super::task_ids::TaskIds;
use crate::id::{OfferId, TaskId};
use crate::offer::Offer;
use crate::placement::model::app::{App, full_id};
use crate::placement::model::change::{Change, ChangeError, Misfit};
use crate::placement::model::plan::{Launch, Plan};
use crate::placement::model::planner::Planner;
use crate::placement::model::running::Running;
use crate::text::Text;
use indexmap::{IndexMap, IndexSet};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

type Map<K, V> = IndexMap<K, V, foldhash::fast::FixedState>;

/// The apps, the offers and the running tasks, indexed for the next plan.
#[derive(Debug)]
pub(in crate::placement) struct LiveState {
    planner: Planner,
    apps: IndexMap<Text, KnownApp, foldhash::fast::FixedState>,
    numbers: AppNumbers,
    state: PlanState<'static>,
    /// The hosts of offers.
    hosts: Map<Text, HostIx>,
    offers: Map<OfferId, OfferIx>,
    /// The number of offers that are gone, but still have their slot.
    gone: usize,
    tasks: Map<TaskId, LiveTask>,
    /// How many states of offers there may be before those are dropped that no offer is in.
    most_states: usize,
    /// The log of the open transactions.
    log: Vec<Undo>,
    open_transactions: usize,
}

/// An app with its number.
#[derive(Debug)]
struct KnownApp {
    app: App,
    ix: AppIx,
}

/// Numbers for apps: each definition gets one of its own, as does the id of each app that has tasks only.
#[derive(Debug, Default)]
struct AppNumbers {
    undefined: Map<Text, AppIx>,
    next: usize,
}

impl AppNumbers {
    fn next(&mut self) -> AppIx {
        self.next += 1;
        AppIx::new(self.next - 1)
    }

    /// Returns the number of an app that is not defined.
    fn of_undefined(&mut self, app: &Text) -> AppIx {
        if let Some(ix) = self.undefined.get(app) {
            return *ix;
        }
        let ix = self.next();
        self.undefined.insert(app.clone(), ix);
        ix
    }
}

/// A task that runs.
#[derive(Debug)]
struct LiveTask {
    /// Its index in the placed and the running tasks.
    index: usize,
    /// The offer that it was launched in.
    offer: Option<OfferId>,
    /// An open transaction has released it.
    is_released: bool,
}

impl LiveState {
    pub(in crate::placement) fn new(planner: Planner) -> Self {
        let task_ids = TaskIds::new(Cow::Owned(planner.taken.clone()), std::iter::empty());
        Self {
            planner,
            apps: IndexMap::default(),
            numbers: AppNumbers::default(),
            state: PlanState::empty(Cow::Owned(Vec::new()), task_ids),
            hosts: Map::default(),
            offers: Map::default(),
            gone: 0,
            tasks: Map::default(),
            most_states: compaction::MIN_STATES,
            log: Vec::new(),
            open_transactions: 0,
        }
    }

    pub(in crate::placement) fn planner(&self) -> &Planner {
        &self.planner
    }

    /// Iterates over the apps in order.
    pub(in crate::placement) fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.values().map(|known| &known.app)
    }

    /// Iterates over the offers in order of arrival, with what is left of them.
    pub(in crate::placement) fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.state.offers().map(|offer| &*self.state.slot(offer).offer)
    }

    /// Iterates over the tasks in order, without those that are released.
    pub(in crate::placement) fn running(&self) -> impl Iterator<Item = &Running> {
        let tasks = self.state.running.iter().enumerate();
        tasks.filter(|(index, _)| self.state.placed.contains(*index)).map(|(_, task)| task)
    }

    /// Takes a change in.
    pub(in crate::placement) fn apply(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::App(app) => self.define(*app),
            Change::Scale { app, instances } => {
                let known = self.apps.get_mut(&app).ok_or(ChangeError::UnknownApp(app))?;
                known.app.instances = instances;
            }
            Change::AppRemoved(id) => {
                self.apps.shift_remove(&id).ok_or_else(|| ChangeError::UnknownApp(id.clone()))?;
                self.redefine_tasks(&id);
            }
            Change::Offer(offer) => self.add_offer(*offer)?,
            Change::OfferGone(id) => {
                let offer = self.offers.swap_remove(&id).ok_or(ChangeError::UnknownOffer(id))?;
                let host = self.state.slot(offer).host;
                self.state.hosts[host.index()].retain(|other| *other != offer);
                self.state.slots[offer.index()].is_gone = true;
                self.state.candidates.offer_changed(offer);
                self.gone += 1;
            }
            Change::Started(task) => self.add_task(*task)?,
            Change::Ended(id) => self.end_task(&id)?,
            Change::Now(now) => {
                self.planner.now = now;
                self.state.candidates.clear();
            }
        }
        Ok(())
    }

    /// Makes a plan of all apps, and takes its launches in.
    pub(in crate::placement) fn plan(&mut self) -> Plan {
        self.plan_places(0..self.apps.len())
    }

    /// Makes a plan of some apps, in their order among all.
    pub(in crate::placement) fn plan_only<'i>(&mut self, apps: impl IntoIterator<Item = &'i str>) -> Plan {
        let places = apps.into_iter().filter_map(|id| self.apps.get_index_of(&full_id(id)));
        let places: BTreeSet<usize> = places.collect();
        self.plan_places(places.into_iter())
    }

    fn plan_places(&mut self, places: impl Iterator<Item = usize>) -> Plan {
        let is_to_do = |place: &usize| {
            let app = &self.apps[*place].app;
            app.group.is_some() || self.state.pending(app) > 0
        };
        let places: Vec<usize> = places.filter(is_to_do).collect();
        self.compact(places.iter().all(|place| ranks_by_request(&self.planner, &self.apps[*place].app)));
        self.state.placed.clear_domains();
        let Self { planner, apps, state, .. } = self;
        let listed = places.into_iter().map(|place| {
            let KnownApp { app, ix } = &apps[place];
            ListedApp { planner, ix: *ix, place, app }
        });
        let unplaced = super::place(state, listed);
        state.placed.clear_domains();
        let launches = self.take_launches();
        Plan { launches, declines: Vec::new(), unplaced }
    }

    /// Returns every check that keeps a task of an app from an offer.
    pub(in crate::placement) fn check(&mut self, app: &App, offer: &OfferId) -> Result<(), Misfit> {
        self.compact(ranks_by_request(&self.planner, app));
        let offer = *self.offers.get(offer).ok_or_else(|| Misfit::UnknownOffer(offer.clone()))?;
        self.state.placed.clear_domains();
        let listed = ListedApp { planner: &self.planner, ix: AppIx::NONE, place: 0, app };
        let barriers = app::failed_checks(&mut self.state, listed, offer);
        self.state.placed.clear_domains();
        if barriers.is_empty() { Ok(()) } else { Err(Misfit::Barriers(barriers)) }
    }

    /// Forgets all offers, and returns those that nothing was launched in.
    pub(in crate::placement) fn clear_offers(&mut self) -> Vec<OfferId> {
        self.compact(false);
        let unused = self.state.unused_offers();
        self.state.slots.clear();
        self.state.hosts.clear();
        self.state.table = Table::default();
        self.state.candidates.clear();
        self.hosts.clear();
        self.offers.clear();
        unused
    }

    fn define(&mut self, app: App) {
        let (id, ix) = (app.id.clone(), self.numbers.next());
        self.apps.insert(id.clone(), KnownApp { app, ix });
        self.redefine_tasks(&id);
    }

    /// Derives the tasks of an app anew from its definition.
    fn redefine_tasks(&mut self, id: &Text) {
        let app = self.apps.get(id).map(|known| &known.app);
        let mut hosts: IndexSet<HostIx> = IndexSet::new();
        for index in self.state.placed.indices(id) {
            let task = self.state.running[index].placed(app);
            hosts.extend(self.hosts.get(&task.location.hostname));
            self.state.placed.remove(index);
            self.state.placed.put_back(index, task);
        }
        hosts.into_iter().for_each(|host| self.refresh_host(host));
    }

    fn add_offer(&mut self, offer: Offer) -> Result<(), ChangeError> {
        if self.offers.contains_key(&offer.id) {
            return Err(ChangeError::KnownOffer(offer.id));
        }
        let ix = OfferIx::new(self.state.slots.len());
        let host = self.host(&offer.hostname);
        self.offers.insert(offer.id.clone(), ix);
        self.state.hosts[host.index()].push(ix);
        self.state.push_slot(HeldOffer::Kept(Arc::new(offer)), host);
        self.state.table = Table::default();
        self.refresh_host(host);
        Ok(())
    }

    /// Returns the number of a host.
    fn host(&mut self, hostname: &Text) -> HostIx {
        if let Some(host) = self.hosts.get(hostname) {
            return *host;
        }
        let host = HostIx::new(self.state.hosts.len());
        self.state.hosts.push(smallvec![]);
        self.hosts.insert(hostname.clone(), host);
        host
    }

    fn add_task(&mut self, task: Running) -> Result<(), ChangeError> {
        if self.tasks.contains_key(&task.task) {
            return Err(ChangeError::KnownTask(task.task));
        }
        self.state.task_ids.take(task.task.clone());
        self.state.placed.push(task.placed(self.apps.get(&task.app).map(|known| &known.app)));
        if let Some(host) = self.hosts.get(&task.location.hostname).copied() {
            let load = self.load(&task);
            self.state.add_load(host, load);
        }
        self.push_running(task, None);
        Ok(())
    }

    /// Adds a task that is placed already.
    fn push_running(&mut self, task: Running, offer: Option<OfferId>) {
        let index = self.state.running.len();
        self.tasks.insert(task.task.clone(), LiveTask { index, offer, is_released: false });
        self.state.running.to_mut().push(task);
    }

    fn end_task(&mut self, id: &TaskId) -> Result<(), ChangeError> {
        let task = self.tasks.swap_remove(id).ok_or_else(|| ChangeError::UnknownTask(id.clone()))?;
        self.state.task_ids.retire(id);
        self.state.placed.remove(task.index);
        self.refresh_host_of(task.index);
        Ok(())
    }

    /// Takes in the launches of a plan: their tasks run from now on, and their offers are what is left of them.
    fn take_launches(&mut self) -> Vec<Launch> {
        let launches = std::mem::take(&mut self.state.launches);
        let mut used: IndexSet<OfferIx, foldhash::fast::FixedState> = IndexSet::default();
        for launch in &launches {
            let mut task = launch.running();
            // So that it is outdated once the app changes.
            task.version = self.apps.get(&launch.app).and_then(|known| known.app.changed);
            self.push_running(task, Some(launch.offer.clone()));
            used.extend(self.offers.get(&launch.offer));
        }
        let mut hosts: IndexSet<HostIx, foldhash::fast::FixedState> = IndexSet::default();
        let mut earlier = Vec::new();
        for offer in used {
            let left = self.state.offer_state(offer).left.clone();
            let before = self.replace_offer(offer, |offer| offer.resources = left);
            hosts.insert(self.state.slot(offer).host);
            earlier.push((offer, before));
        }
        hosts.into_iter().for_each(|host| self.refresh_host(host));
        if self.open_transactions > 0 && !launches.is_empty() {
            let launches = launches.iter().map(|launch| (launch.id.clone(), launch.offer.clone())).collect();
            self.log.push(Undo::Planned { launches, offers: earlier });
        }
        launches
    }

    /// Changes an offer, and returns what it was before. The states of the offers on its host have to be refreshed.
    fn replace_offer(&mut self, offer: OfferIx, change: impl FnOnce(&mut Offer)) -> HeldOffer<'static> {
        let mut changed = Offer::clone(&self.state.slot(offer).offer);
        change(&mut changed);
        self.set_offer(offer, HeldOffer::Kept(Arc::new(changed)))
    }

    fn set_offer(&mut self, offer: OfferIx, held: HeldOffer<'static>) -> HeldOffer<'static> {
        let slot = &mut self.state.slots[offer.index()];
        slot.initial = self.state.states.intern(&held);
        std::mem::replace(&mut slot.offer, held)
    }

    /// Refreshes the offers on the host of a task.
    fn refresh_host_of(&mut self, task: usize) {
        if let Some(host) = self.hosts.get(&self.state.running[task].location.hostname) {
            self.refresh_host(*host);
        }
    }

    /// Derives the states of the offers on a host anew from the tasks there.
    fn refresh_host(&mut self, host: HostIx) {
        let Some(first) = self.state.hosts[host.index()].first().copied() else { return };
        for offer in &self.state.hosts[host.index()] {
            let slot = &mut self.state.slots[offer.index()];
            slot.state = slot.initial;
            self.state.candidates.offer_changed(*offer);
        }
        let location = Arc::clone(&self.state.slot(first).location);
        let tasks: SmallVec<[usize; 32]> =
            self.state.placed.indexed_neighbours(&location.hostname).map(|(index, _)| index).collect();
        for index in tasks {
            let app = load_of(&self.apps, &mut self.numbers, &self.state.running[index]);
            self.state.add_load(host, app);
        }
    }

    fn load(&mut self, task: &Running) -> TaskLoad {
        load_of(&self.apps, &mut self.numbers, task)
    }
}

/// Returns what a task is to the offers of its host.
fn load_of(apps: &Map<Text, KnownApp>, numbers: &mut AppNumbers, task: &Running) -> TaskLoad {
    match apps.get(&task.app) {
        Some(KnownApp { app, ix }) => TaskLoad::new(task, *ix, Some(app)),
        None => TaskLoad::new(task, numbers.of_undefined(&task.app), None),
    }
}
