//! [`Snapshot`]: a master as a value that can be stored, and back.

mod effect;

use super::absent::{Absent, SavedAbsent};
use super::agents::Inactive;
use super::drains::Drains;
use super::executors::{Executors, SavedExecutor};
use super::frameworks::SavedFramework;
use super::maintenance::{Maintenance, SavedMaintenance};
use super::offers::Offers;
use super::recovery::Expected;
use super::tasks::Tasks;
use super::{Config, Master};
use crate::agent::Agent;
use crate::allocator::{
    Allocator, Contents, Hierarchical, Holding, Persist, Snapshot, SnapshotError, SorterChoice, check_count,
};
use crate::framework::Framework;
use crate::id::FrameworkId;
use crate::json::Json;
use crate::time::Time;
use effect::SavedEffect;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MASTER: &str = "master";
const ALLOCATOR: &str = "of_allocator";

/// A master in a snapshot. What can be derived is left out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMaster {
    config: Config,
    now: Time,
    agents: Vec<Agent>,
    inactive: Inactive,
    drains: Drains,
    absent: SavedAbsent,
    recovery: Expected,
    frameworks: Vec<SavedFramework>,
    frameworks_came: u64,
    /// The frameworks that were removed last, from the oldest.
    removed: Vec<FrameworkId>,
    offers: Offers,
    tasks: Tasks,
    executors: Vec<SavedExecutor>,
    groups: u64,
    maintenance: SavedMaintenance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_batch: Option<Time>,
    effects: Vec<SavedEffect>,
}

impl Master {
    /// Restores a master from a snapshot, with the hierarchical allocator of Mesos and the sorter of its configuration.
    ///
    /// # Errors
    ///
    /// Those of [`Master::restore_with`]; [`SnapshotError::Unknown`] for a sorter of one's own, which `restore_with` is given.
    pub fn restore(snapshot: Snapshot) -> Result<Self, SnapshotError> {
        let master = Self::restore_with(snapshot, |config| {
            let (options, sorter) = (config.options.clone(), config.sorter.clone());
            Hierarchical::new(options, sorter.clone(), sorter.within_roles())
        })?;
        if matches!(master.config.sorter, SorterChoice::Missing(_)) {
            return Err(SnapshotError::Unknown { kind: "the sorter", id: "other".into() });
        }
        Ok(master)
    }
}

impl<A: Allocator + Persist> Master<A> {
    /// Takes a snapshot: all that decisions depend on, and the effects that were not polled yet.
    ///
    /// # Complexity
    ///
    /// O(cluster): a tenth of a second for 1,000 agents and 8,000 tasks.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let saved = SavedMaster {
            config: self.config.clone(),
            now: self.now,
            agents: self.agents.iter().map(|agent| Agent::clone(agent)).collect(),
            inactive: self.inactive.clone(),
            drains: self.drains.clone(),
            absent: self.absent.save(),
            recovery: self.recovery.clone(),
            frameworks: self.frameworks.values().map(|entry| entry.save()).collect(),
            frameworks_came: self.frameworks_came(),
            removed: self.removed.iter().map(|(framework, ())| framework.clone()).collect(),
            offers: self.offers.clone(),
            tasks: self.tasks.clone(),
            executors: self.executors.save(),
            groups: self.groups,
            maintenance: self.maintenance.save(),
            next_batch: self.next_batch,
            effects: self.effects.iter().map(SavedEffect::from).collect(),
        };
        Snapshot::of(MASTER, saved).with(ALLOCATOR, self.allocator.save())
    }

    /// Restores a master from a snapshot, with the new allocator that `make` returns for its configuration: of the same options
    /// and sorters as the original had.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] for a snapshot of another version, one that is malformed, and one whose parts contradict each other.
    pub fn restore_with(snapshot: Snapshot, make: impl FnOnce(&Config) -> A) -> Result<Self, SnapshotError> {
        let (saved, of_allocator) = read(&snapshot)?;
        let mut master = Self::with_allocator(saved.config.clone(), make);
        master.load_saved(saved, of_allocator)?;
        Ok(master)
    }

    /// Restores a snapshot into a new master. On an error the master is of no use.
    pub(crate) fn load(&mut self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let is_new = self.now == Time::ZERO && self.agents.is_empty() && self.frameworks.is_empty();
        if !is_new {
            return Err(SnapshotError::NotNew);
        }
        let (saved, of_allocator) = read(&snapshot)?;
        self.load_saved(saved, of_allocator)
    }

    fn load_saved(&mut self, saved: SavedMaster, of_allocator: Json) -> Result<(), SnapshotError> {
        self.config = saved.config;
        self.now = saved.now;
        self.inactive = saved.inactive;
        self.drains = saved.drains;
        self.absent = Absent::restore(saved.absent)?;
        self.recovery = saved.recovery.recount();
        self.restore_frameworks(saved.frameworks, saved.frameworks_came)?;
        for framework in saved.removed {
            self.removed.insert(framework, (), usize::MAX);
        }
        self.offers = saved.offers;
        self.offers.check()?;
        self.tasks = saved.tasks.reindex()?;
        self.executors = Executors::restore(saved.executors)?;
        self.groups = check_count("task groups", saved.groups)?;
        self.maintenance = Maintenance::restore(saved.maintenance)?;
        self.next_batch = saved.next_batch;
        self.effects = saved.effects.into_iter().map(Into::into).collect();
        for agent in saved.agents {
            let id = agent.id.clone();
            self.maintenance.schedule(&id, agent.unavailability);
            if self.agents.insert(Arc::new(agent)).is_some() {
                return Err(SnapshotError::repeated("agent", id.as_str()));
            }
        }
        self.load_allocator(of_allocator)
    }

    fn load_allocator(&mut self, saved: Json) -> Result<(), SnapshotError> {
        let agents: Vec<Arc<Agent>> = self.agents.iter().cloned().collect();
        let frameworks: Vec<Arc<Framework>> =
            self.frameworks.values().map(|entry| Arc::clone(&entry.framework)).collect();
        let offers: Vec<Holding> = self.offers.iter().map(|(_, offer)| offer.holding.clone()).collect();
        let tasks = self.tasks.iter().map(|task| &task.holding).chain(self.executors.holdings());
        let tasks: Vec<Holding> = tasks.cloned().collect();
        for offer in &offers {
            if !self.frameworks.contains_key(&offer.framework) {
                return Err(SnapshotError::unknown("framework", offer.framework.as_str()));
            }
        }
        let (agents_of, executors) = (offers.iter().chain(&tasks), self.executors.agents());
        if let Some(unknown) = agents_of.map(|held| &held.agent).chain(executors).find(|id| !self.agents.contains(id)) {
            return Err(SnapshotError::unknown("agent", unknown.as_str()));
        }
        let contents = Contents { agents: &agents, frameworks: &frameworks, offers: &offers, tasks: &tasks };
        self.allocator.load(saved, &contents)?;
        let mut ids = self.agents.iter().map(|agent| &agent.id);
        match ids.find(|id| self.allocator.agent(id).is_none()) {
            Some(missing) => Err(SnapshotError::unknown("the account of agent", missing.as_str())),
            None => Ok(()),
        }
    }
}

/// Reads a snapshot: the master, and what its allocator has saved.
fn read(snapshot: &Snapshot) -> Result<(SavedMaster, Json), SnapshotError> {
    let saved = snapshot.state(MASTER)?;
    Ok((saved, snapshot.part(ALLOCATOR).ok_or_else(|| SnapshotError::unknown("the part", ALLOCATOR))?))
}

/// Serializes a map in the order of its keys: its own order depends on what was removed.
pub(super) fn sorted_map<K, V, H, S>(map: &IndexMap<K, V, H>, serializer: S) -> Result<S::Ok, S::Error>
where
    K: Serialize + Ord,
    V: Serialize,
    S: Serializer,
{
    map.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

/// Serializes a set in order, see [`sorted_map`].
pub(super) fn sorted_set<T: Serialize + Ord, H, S: Serializer>(
    set: &IndexSet<T, H>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    set.iter().collect::<BTreeSet<_>>().serialize(serializer)
}
