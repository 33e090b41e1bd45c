//! [`Snapshot`]: a view at one moment, to read outside of the master's task.

use super::entry::{AgentEntry, FrameworkEntry, TaskEntry};
use super::pages::Pages;
use apportion::allocator::Holding;
use apportion::{AgentId, Config, ExecutorId, ExecutorInfo, FrameworkId, OfferId, Resource, Resources, Role, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The state of a cluster at one moment, as operators see it: of [`Server::snapshot`](crate::Server::snapshot).
///
/// It shares what it holds with the server. Sums and texts are made when they are asked for.
#[derive(Debug)]
pub struct Snapshot {
    /// The time of the start of the master, since 1970.
    pub(crate) started: Duration,
    pub(super) config: Arc<Config>,
    pub(super) agents: Pages<AgentEntry>,
    pub(super) tasks: Pages<TaskEntry>,
    /// The number of agents that are unreachable.
    pub(crate) unreachable_agents: usize,
    /// The frameworks that are registered or recovered, in order of coming.
    pub(crate) frameworks: Vec<Arc<FrameworkEntry>>,
    /// The frameworks that were removed, the oldest first.
    pub(crate) completed_frameworks: Vec<Arc<FrameworkEntry>>,
    /// The executors, in order of frameworks, agents and ids.
    pub(crate) executors: Vec<ExecutorEntry>,
    /// The live offers, in order of making.
    pub(crate) offers: Vec<OfferEntry>,
}

/// An executor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExecutorEntry {
    pub(crate) id: ExecutorId,
    pub(crate) holding: Holding,
    /// Its description; none if an agent has brought it.
    pub(crate) info: Option<ExecutorInfo>,
}

/// A live offer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OfferEntry {
    number: u64,
    pub(crate) holding: Holding,
}

impl OfferEntry {
    pub(super) fn new(number: u64, holding: Holding) -> Self {
        Self { number, holding }
    }
}

/// Resources by the role that they are allocated to.
pub(crate) type Sums = BTreeMap<Role, Resources>;

/// Sums for each agent and each framework.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) by_agent: BTreeMap<AgentId, Sums>,
    pub(crate) by_framework: BTreeMap<FrameworkId, Sums>,
}

impl Held {
    fn add(&mut self, framework: &FrameworkId, agent: &AgentId, role: &Role, resources: &Resources) {
        for sums in
            [self.by_agent.entry(agent.clone()).or_default(), self.by_framework.entry(framework.clone()).or_default()]
        {
            let sum = sums.entry(role.clone()).or_default();
            // A shared resource counts once, however many hold it.
            let counts = |resource: &Resource| !resource.is_shared() || !sum.iter().any(|known| known == resource);
            let added = if resources.iter().any(Resource::is_shared) { &resources.filter(counts) } else { resources };
            if let Err(error) = sum.try_add(added) {
                tracing::error!(%agent, %error, "a sum for operators is too large, and lacks a part");
            }
        }
    }
}

impl Snapshot {
    /// Returns a time in seconds since 1970.
    pub(crate) fn seconds(&self, time: Time) -> f64 {
        (self.started + time.since(Time::ZERO)).as_secs_f64()
    }

    /// Returns a time in nanoseconds since 1970.
    pub(crate) fn nanoseconds(&self, time: Time) -> i64 {
        i64::try_from((self.started + time.since(Time::ZERO)).as_nanos()).unwrap_or(i64::MAX)
    }

    pub(crate) fn offer_id(&self, offer: &OfferEntry) -> OfferId {
        self.config.offer_id(offer.number)
    }

    /// Returns the agents in order of coming.
    pub(crate) fn agents(&self) -> Vec<&Arc<AgentEntry>> {
        let mut agents: Vec<_> = self.agents.iter().collect();
        agents.sort_unstable_by_key(|agent| agent.number);
        agents
    }

    /// Returns the tasks in order of coming, those that have ended and copies included.
    pub(crate) fn tasks(&self) -> Vec<&Arc<TaskEntry>> {
        let mut tasks = Vec::with_capacity(self.tasks.len());
        tasks.extend(self.tasks.iter());
        tasks.sort_unstable_by_key(|task| task.number);
        tasks
    }

    /// Returns what tasks and executors hold.
    pub(crate) fn allocated(&self) -> Held {
        let mut held = Held::default();
        for task in self.tasks.iter().filter(|task| task.standing.holds()) {
            held.add(&task.framework, &task.agent, &task.role, &task.task.resources);
        }
        for executor in self.executors.iter().filter(|executor| !executor.holding.resources.is_empty()) {
            let Holding { framework, agent, role, resources, .. } = &executor.holding;
            held.add(framework, agent, role, resources);
        }
        held
    }

    /// Returns what is offered.
    pub(crate) fn offered(&self) -> Held {
        let mut held = Held::default();
        for Holding { framework, agent, role, resources, .. } in self.offers.iter().map(|offer| &offer.holding) {
            held.add(framework, agent, role, resources);
        }
        held
    }
}
