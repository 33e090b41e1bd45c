//! [`View`]: the cluster as operators see it, which is more than a master remembers: names and labels of tasks, their statuses,
//! and what has ended.
//!
//! The master's task keeps it up to date: it [touches](Touched) what a command is about, and passes the effects on. What is true
//! is then asked of the master, item by item. Whoever wants to read takes a [`Snapshot`], which costs the master's task little,
//! and makes an answer of it elsewhere.

mod change;
mod entry;
mod frameworks;
mod pages;
mod snapshot;
mod state_counts;
mod tasks;
mod touched;

#[cfg(test)]
pub(crate) use change::MAX_WAITING as MAX_WAITING_CHANGES;
pub(crate) use change::{Change, Told};
pub(crate) use entry::{AgentEntry, FrameworkEntry, Standing, TaskEntry};
pub use snapshot::Snapshot;
pub(crate) use snapshot::{ExecutorEntry, Held, OfferEntry, Sums};
pub(crate) use state_counts::StateCounts;
pub(crate) use touched::Touched;

use crate::transport::clock::set_unreachable_time;
use apportion::allocator::Holding;
use apportion::{AgentId, Config, Effect, Emitted, FrameworkId, KnownAgent, Master, Time};
use change::MAX_WAITING;
use frameworks::Frameworks;
use indexmap::IndexMap;
use pages::{Pages, Slot};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;
use tokio::sync::broadcast;

type Map<K, V> = IndexMap<K, V, foldhash::fast::RandomState>;

/// The state of the cluster as operators see it.
#[derive(Debug)]
pub(crate) struct View {
    started: Duration,
    config: Arc<Config>,
    now: Time,
    agents: Pages<AgentEntry>,
    agent_slots: Map<AgentId, Slot>,
    /// The number of agents that ever came.
    came: u64,
    frameworks: Frameworks,
    tasks: Tasks,
    changes: Changes,
}

/// Where agents are reached.
type Addresses<'a> = &'a dyn Fn(&AgentId) -> (IpAddr, u16);

/// The changes, for all who watch.
#[derive(Debug)]
struct Changes(broadcast::Sender<Arc<Told>>);

impl Changes {
    /// Tells a change, which is made only if somebody watches.
    fn tell(&self, change: impl FnOnce() -> Change) {
        if self.0.receiver_count() > 0 {
            let _ = self.0.send(Arc::new(Told::new(change()))); // the last one may just have gone
        }
    }
}

impl View {
    /// Returns the view of an empty cluster. Of each framework that many completed tasks are kept.
    pub(crate) fn new(started: Duration, config: Config, max_completed_tasks: usize) -> Self {
        Self {
            started,
            now: Time::ZERO,
            agents: Pages::default(),
            agent_slots: Map::default(),
            came: 0,
            frameworks: Frameworks::new(config.remembered.frameworks),
            tasks: Tasks::new(max_completed_tasks, config.remembered.unreachable_tasks),
            changes: Changes(broadcast::channel(MAX_WAITING).0),
            config: Arc::new(config),
        }
    }

    /// Returns a receiver of all changes from now on. One that falls too far behind gets an error.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Told>> {
        self.changes.0.subscribe()
    }

    /// Returns the tasks of a framework by state: those that have not ended, and those that have since it registered.
    pub(crate) fn task_counts(&self, framework: &FrameworkId) -> (StateCounts, StateCounts) {
        self.tasks.counts(framework)
    }

    /// Returns the state at this moment, live offers and executors as the master has them.
    pub(crate) fn snapshot(&self, master: &Master) -> Snapshot {
        let executors = master.known_executors().map(|executor| ExecutorEntry {
            id: executor.id.clone(),
            holding: executor.holding.clone(),
            info: executor.info.cloned(),
        });
        let offers = master.known_offers().map(|offer| OfferEntry::new(offer.number, Holding::clone(offer.holding)));
        Snapshot {
            started: self.started,
            config: self.config.clone(),
            agents: self.agents.copy(),
            tasks: self.tasks.copy(),
            unreachable_agents: master.metrics().agents.unreachable,
            frameworks: self.frameworks.registered().cloned().collect(),
            completed_frameworks: self.frameworks.completed().cloned().collect(),
            executors: executors.collect(),
            offers: offers.collect(),
        }
    }

    /// Notes what has happened: the effects, in their order, and then what a command that was done is about.
    pub(crate) fn observe(
        &mut self,
        master: &Master,
        effects: impl Iterator<Item = Emitted>,
        touched: Touched,
        addresses: Addresses<'_>,
    ) {
        let mut agents = Vec::new();
        for Emitted { at, effect, .. } in effects {
            self.now = at;
            self.effect(master, effect, &touched, &mut agents);
        }
        self.now = master.now();
        match touched {
            Touched::Nothing => {}
            Touched::Registered(agent, tasks) => {
                let seconds = self.seconds();
                self.tasks.registered(master, &agent, tasks, seconds, &self.changes);
                self.read_agent(master, &agent, true, addresses);
                agents.retain(|other| *other != agent);
            }
            Touched::Agent(agent) | Touched::Unreachable(agent) => agents.push(agent),
            Touched::Machine(agent) => agents.extend(self.on_machine_of(&agent)),
            Touched::Framework(framework) => self.read_framework(master, &framework),
            Touched::Status(framework, status) => {
                self.tasks.status_of_untold(master, &framework, *status, self.seconds(), &self.changes);
            }
        }
        agents.dedup();
        for agent in agents {
            self.read_agent(master, &agent, false, addresses);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most effects are messages that change nothing that operators see"
    )]
    fn effect(&mut self, master: &Master, effect: Effect, touched: &Touched, agents: &mut Vec<AgentId>) {
        match effect {
            Effect::Launch { agent, framework, role, task, .. } => {
                self.tasks.launched(framework, agent, role, task, &self.changes);
            }
            Effect::Status { framework, mut status } => {
                set_unreachable_time(self.started, &mut status);
                let seconds = self.seconds();
                self.tasks.status(master, &framework, status, touched, seconds, &self.changes);
            }
            Effect::Subscribed { framework } => {
                let known = master.known_framework(&framework);
                let entry = known.map(|known| self.frameworks.subscribed(known, self.now));
                if let Some((entry, is_new)) = entry {
                    let told = if is_new { Change::FrameworkAdded } else { Change::FrameworkUpdated };
                    self.changes.tell(|| told(entry));
                }
            }
            Effect::FrameworkRemoved { framework } => self.remove_framework(&framework),
            Effect::AgentLost { agent } | Effect::Operation { agent, .. } => agents.push(agent),
            _ => {}
        }
    }

    /// Reads a framework again.
    fn read_framework(&mut self, master: &Master, framework: &FrameworkId) {
        match master.known_framework(framework) {
            Some(known) => {
                if let Some((entry, is_new)) = self.frameworks.read(known, self.now) {
                    let told = if is_new { Change::FrameworkAdded } else { Change::FrameworkUpdated };
                    self.changes.tell(|| told(entry));
                }
            }
            None => self.remove_framework(framework),
        }
    }

    fn remove_framework(&mut self, framework: &FrameworkId) {
        let seconds = self.seconds();
        self.tasks.end_framework(framework, seconds, &self.changes);
        let Some(removed) = self.frameworks.remove(framework, self.now) else {
            self.tasks.forget_framework(framework); // it was known by its tasks alone
            return;
        };
        self.changes.tell(|| Change::FrameworkRemoved(removed.entry));
        for forgotten in removed.forgotten {
            self.tasks.forget_framework(&forgotten);
        }
    }

    /// Reads an agent again, and which of its tasks still run.
    fn read_agent(&mut self, master: &Master, agent: &AgentId, has_come: bool, addresses: Addresses<'_>) {
        let slot = self.agent_slots.get(agent).copied();
        match (master.known_agent(agent), slot) {
            (Some(known), None) => {
                let entry = Arc::new(AgentEntry {
                    number: self.came,
                    agent: known.agent.clone(),
                    total: known.total.into_owned(),
                    address: addresses(agent),
                    registered: self.now,
                    reregistered: None,
                    connected: known.connected,
                    deactivated: known.deactivated || known.drain.is_some(),
                    drain: known.drain.map(|drain| (drain, self.now)),
                });
                self.came += 1;
                self.agent_slots.insert(agent.clone(), self.agents.insert(entry.clone()));
                self.changes.tell(|| Change::AgentAdded(entry));
            }
            (Some(known), Some(slot)) => self.update_agent(known, slot, has_come, addresses),
            (None, Some(slot)) => {
                self.agent_slots.swap_remove(agent);
                self.agents.remove(slot);
                self.changes.tell(|| Change::AgentRemoved(agent.clone()));
            }
            (None, None) => {}
        }
        let seconds = self.seconds();
        self.tasks.check_agent(master, agent, seconds, &self.changes);
    }

    fn update_agent(&mut self, known: KnownAgent<'_>, slot: Slot, has_come: bool, addresses: Addresses<'_>) {
        let Some(before) = self.agents.get(slot) else { return };
        let since = before.drain.map_or(self.now, |(_, since)| since);
        let after = AgentEntry {
            number: before.number,
            agent: known.agent.clone(),
            total: known.total.into_owned(),
            address: if has_come { addresses(&known.agent.id) } else { before.address },
            registered: before.registered,
            reregistered: if has_come { Some(self.now) } else { before.reregistered },
            connected: known.connected,
            deactivated: known.deactivated || known.drain.is_some(),
            drain: known.drain.map(|drain| (drain, since)),
        };
        if after != **before
            && let Some(entry) = self.agents.change(slot)
        {
            *entry = after;
            let entry = self.agents.get(slot).cloned();
            if let Some(entry) = entry {
                self.changes.tell(|| Change::AgentUpdated(entry));
            }
        }
    }

    /// Returns the agents on the machine of an agent.
    fn on_machine_of(&self, agent: &AgentId) -> Vec<AgentId> {
        let entry = |id| self.agent_slots.get(id).and_then(|slot| self.agents.get(*slot));
        let Some(hostname) = entry(agent).map(|entry| &entry.agent.hostname) else { return Vec::new() };
        let here = self.agents.iter().filter(|entry| entry.agent.hostname == *hostname);
        here.map(|entry| entry.agent.id.clone()).collect()
    }

    /// Returns the current time in seconds since 1970.
    fn seconds(&self) -> f64 {
        (self.started + self.now.since(Time::ZERO)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
