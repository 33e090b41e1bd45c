//! [`Reading`]: the older endpoints that show the state of the cluster. Their numbers are doubles but for ports and counts, and
//! ranges and sets are texts (Mesos, `master/http.cpp`).

use super::agents::Slave;
use super::frameworks::Framework;
use super::summary::Summary;
use super::tasks::Tasks;
use crate::gate::Gate;
use crate::settings::Settings;
use crate::transport::query::Query;
use crate::view::{AgentEntry, ExecutorEntry, Held, OfferEntry, Snapshot, Standing, TaskEntry};
use apportion::FrameworkId;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An endpoint that shows the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reading {
    /// `/state`
    State,
    /// `/state-summary`
    StateSummary,
    /// `/slaves`
    Slaves,
    /// `/frameworks`
    Frameworks,
    /// `/tasks`
    Tasks,
}

impl Reading {
    /// Returns the parameters that it knows.
    pub(crate) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::State | Self::StateSummary => &[],
            Self::Slaves => &["slave_id"],
            Self::Frameworks => &["framework_id"],
            Self::Tasks => &["framework_id", "limit", "offset", "order", "task_id"],
        }
    }

    /// Returns the answer, as JSON.
    pub(crate) fn answer(self, gate: &Gate, query: &Query, snapshot: &Snapshot) -> String {
        let view = Indexed::of(snapshot);
        let json = match self {
            Self::State => serde_json::to_string(&State::of(gate, &view)),
            Self::StateSummary => serde_json::to_string(&Summary::of(gate, &view)),
            Self::Slaves => serde_json::to_string(&Slaves::of(query, &view)),
            Self::Frameworks => serde_json::to_string(&Frameworks::of(query, &view)),
            Self::Tasks => serde_json::to_string(&Tasks::of(query, &view)),
        };
        json.expect("its keys are texts")
    }
}

/// A snapshot with sums and indices.
#[derive(Debug)]
pub(super) struct Indexed<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) agents: Vec<&'a Arc<AgentEntry>>,
    /// All tasks but copies, in order of coming.
    pub(super) tasks: Vec<&'a Arc<TaskEntry>>,
    tasks_of: BTreeMap<&'a FrameworkId, Vec<&'a TaskEntry>>,
    pub(super) offers_of: BTreeMap<&'a FrameworkId, Vec<&'a OfferEntry>>,
    pub(super) executors_of: BTreeMap<&'a FrameworkId, Vec<&'a ExecutorEntry>>,
    pub(super) allocated: Held,
    pub(super) offered: Held,
}

impl<'a> Indexed<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let mut tasks = snapshot.tasks();
        tasks.retain(|task| task.standing != Standing::Copy);
        let mut tasks_of: BTreeMap<_, Vec<&TaskEntry>> = BTreeMap::new();
        tasks.iter().for_each(|task| tasks_of.entry(&task.framework).or_default().push(task));
        let mut offers_of: BTreeMap<_, Vec<&OfferEntry>> = BTreeMap::new();
        snapshot.offers.iter().for_each(|offer| offers_of.entry(&offer.holding.framework).or_default().push(offer));
        let mut executors_of: BTreeMap<_, Vec<&ExecutorEntry>> = BTreeMap::new();
        for executor in &snapshot.executors {
            executors_of.entry(&executor.holding.framework).or_default().push(executor);
        }
        let (allocated, offered) = (snapshot.allocated(), snapshot.offered());
        Self { agents: snapshot.agents(), snapshot, tasks, tasks_of, offers_of, executors_of, allocated, offered }
    }

    pub(super) fn tasks_of(&self, framework: &FrameworkId, standing: Standing) -> impl Iterator<Item = &'a TaskEntry> {
        let tasks = self.tasks_of.get(framework).into_iter().flatten().copied();
        tasks.filter(move |task| task.standing == standing)
    }
}

#[derive(Debug, Serialize)]
struct Slaves<'a> {
    slaves: Vec<Slave<'a>>,
    recovered_slaves: [(); 0],
}

impl<'a> Slaves<'a> {
    fn of(query: &Query, view: &'a Indexed<'a>) -> Self {
        let named = query.get("slave_id");
        let slaves = view.agents.iter().filter(|agent| named.is_none_or(|named| agent.agent.id.as_str() == named));
        Self { slaves: slaves.map(|agent| Slave::in_full(agent, view)).collect(), recovered_slaves: [] }
    }
}

#[derive(Debug, Serialize)]
struct Frameworks<'a> {
    frameworks: Vec<Framework<'a>>,
    completed_frameworks: Vec<Framework<'a>>,
    unregistered_frameworks: [(); 0],
}

impl<'a> Frameworks<'a> {
    fn of(query: &Query, view: &'a Indexed<'a>) -> Self {
        let named = query.get("framework_id");
        let is_named = |framework: &Framework<'_>| named.is_none_or(|named| framework.id() == named);
        let forms =
            |entries: &'a [Arc<_>]| entries.iter().map(|entry| Framework::of(entry, view)).filter(is_named).collect();
        Self {
            frameworks: forms(&view.snapshot.frameworks),
            completed_frameworks: forms(&view.snapshot.completed_frameworks),
            unregistered_frameworks: [],
        }
    }
}

#[derive(Debug, Serialize)]
struct State<'a> {
    version: &'static str,
    build_date: &'static str,
    build_time: f64,
    build_user: &'static str,
    start_time: f64,
    elected_time: f64,
    id: &'a str,
    pid: String,
    hostname: &'a str,
    capabilities: [&'static str; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    activated_slaves: f64,
    deactivated_slaves: f64,
    unreachable_slaves: f64,
    leader: String,
    leader_info: Json,
    flags: Map<String, Json>,
    slaves: Vec<Slave<'a>>,
    recovered_slaves: [(); 0],
    frameworks: Vec<Framework<'a>>,
    completed_frameworks: Vec<Framework<'a>>,
    orphan_tasks: [(); 0],
    unregistered_frameworks: [(); 0],
}

impl<'a> State<'a> {
    fn of(gate: &'a Gate, view: &'a Indexed<'a>) -> Self {
        let (settings, started) = (&gate.settings, gate.started.as_secs_f64());
        let pid = settings.pid();
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let active = view.agents.iter().filter(|agent| agent.is_active()).count();
        let (id, port, hostname) = (settings.id.as_str(), settings.port, settings.hostname.as_str());
        let flags = settings.flags.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let Frameworks { frameworks, completed_frameworks, .. } = Frameworks::of(&Query::default(), view);
        Self {
            version: Settings::VERSION,
            build_date: "",
            build_time: 0.0,
            build_user: "",
            start_time: started,
            elected_time: started,
            id,
            hostname,
            capabilities: Settings::CAPABILITIES,
            cluster: settings.cluster.as_deref(),
            activated_slaves: number(active),
            deactivated_slaves: number(view.agents.len() - active),
            unreachable_slaves: number(view.snapshot.unreachable_agents),
            leader: pid.clone(),
            leader_info: json!({"id": id, "pid": pid, "port": port, "hostname": hostname}),
            pid,
            flags: flags.collect(),
            slaves: view.agents.iter().map(|agent| Slave::of(agent, view)).collect(),
            recovered_slaves: [],
            frameworks,
            completed_frameworks,
            orphan_tasks: [],
            unregistered_frameworks: [],
        }
    }
}
