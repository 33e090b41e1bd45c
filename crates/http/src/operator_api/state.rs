//! GET_STATE and its parts: a [`Snapshot`] in the form of the operator API. The types here are Mesos' messages of these names.

use crate::settings::Settings;
use crate::view::{AgentEntry, ExecutorEntry, FrameworkEntry, Held, OfferEntry, Snapshot, Standing, Sums, TaskEntry};
use apportion::allocator::Holding;
use apportion::v1::{WrittenOffer, WrittenResources, WrittenStatus, agent_info, framework_info};
use apportion::{Details, Drain, ExecutorInfo, Framework, FrameworkId, Json, Offer, TaskState, Uuid};
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The capabilities of an agent: what the master's protocol with it allows.
pub(crate) const AGENT_CAPABILITIES: [&str; 8] = [
    "MULTI_ROLE",
    "HIERARCHICAL_ROLE",
    "RESERVATION_REFINEMENT",
    "RESOURCE_PROVIDER",
    "RESIZE_VOLUME",
    "AGENT_OPERATION_FEEDBACK",
    "AGENT_DRAINING",
    "TASK_RESOURCE_LIMITS",
];

/// A part of the state that a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    State,
    Agents,
    Frameworks,
    Tasks,
    Executors,
    /// The operations that are not acknowledged. There are none: an operation is done at once, and its status has no UUID to
    /// acknowledge it by.
    Operations,
}

impl Part {
    /// Returns the part that a type of call asks for.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "GET_STATE" => Self::State,
            "GET_AGENTS" => Self::Agents,
            "GET_FRAMEWORKS" => Self::Frameworks,
            "GET_TASKS" => Self::Tasks,
            "GET_EXECUTORS" => Self::Executors,
            "GET_OPERATIONS" => Self::Operations,
            _ => return None,
        })
    }

    /// Returns the response, as JSON.
    pub(crate) fn response(self, snapshot: &Snapshot) -> String {
        let mut response = Response::default();
        match self {
            Self::State => (response.r#type, response.get_state) = ("GET_STATE", Some(GetState::of(snapshot))),
            Self::Agents => (response.r#type, response.get_agents) = ("GET_AGENTS", Some(GetAgents::of(snapshot))),
            Self::Frameworks => {
                (response.r#type, response.get_frameworks) = ("GET_FRAMEWORKS", Some(GetFrameworks::of(snapshot)));
            }
            Self::Tasks => (response.r#type, response.get_tasks) = ("GET_TASKS", Some(GetTasks::of(snapshot))),
            Self::Executors => {
                (response.r#type, response.get_executors) = ("GET_EXECUTORS", Some(GetExecutors::of(snapshot)));
            }
            Self::Operations => (response.r#type, response.get_operations) = ("GET_OPERATIONS", Some(Nothing {})),
        }
        serde_json::to_string(&response).expect("its keys are texts")
    }
}

impl Snapshot {
    /// Returns the answer to the operator's call `GET_STATE`, as JSON.
    #[must_use]
    pub fn get_state(&self) -> String {
        Part::State.response(self)
    }
}

#[derive(Debug, Default, Serialize)]
struct Response<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    get_state: Option<GetState<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    get_agents: Option<GetAgents<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    get_frameworks: Option<GetFrameworks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    get_tasks: Option<GetTasks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    get_executors: Option<GetExecutors<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    get_operations: Option<Nothing>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

#[derive(Debug, Serialize)]
pub(super) struct GetState<'a> {
    get_tasks: GetTasks<'a>,
    get_executors: GetExecutors<'a>,
    get_frameworks: GetFrameworks<'a>,
    get_agents: GetAgents<'a>,
}

impl<'a> GetState<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let (allocated, offered) = (Arc::new(snapshot.allocated()), Arc::new(snapshot.offered()));
        Self {
            get_tasks: GetTasks::of(snapshot),
            get_executors: GetExecutors::of(snapshot),
            get_frameworks: GetFrameworks::with(snapshot, &allocated, &offered),
            get_agents: GetAgents::with(snapshot, &allocated, &offered),
        }
    }
}

#[derive(Debug, Serialize)]
struct GetAgents<'a> {
    agents: Vec<AgentForm<'a>>,
    recovered_agents: [(); 0],
}

impl<'a> GetAgents<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self::with(snapshot, &Arc::new(snapshot.allocated()), &Arc::new(snapshot.offered()))
    }

    fn with(snapshot: &'a Snapshot, allocated: &Arc<Held>, offered: &Arc<Held>) -> Self {
        let form = |agent: &&'a Arc<AgentEntry>| {
            let mut form = AgentForm::of(agent, |time| snapshot.nanoseconds(time));
            let id = &agent.agent.id;
            let held = allocated.by_agent.get(id);
            if let Some(info) = &mut form.drain_info {
                info.state = if held.is_some() { "DRAINING" } else { "DRAINED" };
            }
            form.allocated_resources = SumsForm::of(held);
            form.offered_resources = SumsForm::of(offered.by_agent.get(id));
            form
        };
        Self { agents: snapshot.agents().iter().map(form).collect(), recovered_agents: [] }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct TimeInfo {
    nanoseconds: i64,
}

#[derive(Debug, Serialize)]
struct Typed {
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Id<'a> {
    pub(super) value: &'a str,
}

fn is_empty(sums: &SumsForm) -> bool {
    sums.0.is_empty()
}

/// Sums as a list of resources, each with the role that it is allocated to.
#[derive(Debug, Default)]
pub(crate) struct SumsForm(Sums);

impl SumsForm {
    pub(crate) fn of(sums: Option<&Sums>) -> Self {
        Self(sums.cloned().unwrap_or_default()) // a pointer for each role
    }
}

impl Serialize for SumsForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (role, resources) in &self.0 {
            for resource in WrittenResources::new(resources).in_both_formats().allocated_to(role).each() {
                list.serialize_element(&resource)?;
            }
        }
        list.end()
    }
}

/// `mesos.v1.master.Response.GetAgents.Agent`
#[derive(Debug, Serialize)]
pub(super) struct AgentForm<'a> {
    agent_info: Details,
    active: bool,
    deactivated: bool,
    version: &'static str,
    pid: String,
    registered_time: TimeInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<TimeInfo>,
    total_resources: WrittenResources<'a>,
    #[serde(skip_serializing_if = "is_empty")]
    allocated_resources: SumsForm,
    #[serde(skip_serializing_if = "is_empty")]
    offered_resources: SumsForm,
    capabilities: [Typed; AGENT_CAPABILITIES.len()],
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_info: Option<DrainInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_drain_start_time: Option<TimeInfo>,
}

impl<'a> AgentForm<'a> {
    /// Returns an agent of which nothing is allocated and offered.
    pub(super) fn of(entry: &'a AgentEntry, nanoseconds: impl Fn(apportion::Time) -> i64) -> Self {
        let mut info = agent_info(&entry.agent);
        info.insert("port", i64::from(entry.address.1));
        let time = |time| TimeInfo { nanoseconds: nanoseconds(time) };
        Self {
            agent_info: info,
            active: entry.is_active(),
            deactivated: entry.deactivated,
            version: Settings::VERSION,
            pid: entry.pid(),
            registered_time: time(entry.registered),
            reregistered_time: entry.reregistered.map(time),
            total_resources: WrittenResources::new(&entry.total).in_both_formats(),
            allocated_resources: SumsForm::default(),
            offered_resources: SumsForm::default(),
            capabilities: AGENT_CAPABILITIES.map(|name| Typed { r#type: name }),
            drain_info: entry.drain.map(|(drain, _)| DrainInfo::of(drain)),
            estimated_drain_start_time: entry.drain.map(|(_, since)| time(since)),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct DrainInfo {
    pub(crate) state: &'static str,
    config: DrainConfig,
}

#[derive(Debug, Serialize)]
struct DrainConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_grace_period: Option<TimeInfo>,
    mark_gone: bool,
}

impl DrainInfo {
    pub(crate) fn of(drain: Drain) -> Self {
        let nanoseconds = |period: std::time::Duration| i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
        let max_grace_period = drain.max_grace_period.map(|period| TimeInfo { nanoseconds: nanoseconds(period) });
        Self { state: "DRAINING", config: DrainConfig { max_grace_period, mark_gone: drain.mark_gone } }
    }
}

#[derive(Debug, Serialize)]
struct GetFrameworks<'a> {
    frameworks: Vec<FrameworkForm<'a>>,
    completed_frameworks: Vec<FrameworkForm<'a>>,
}

impl<'a> GetFrameworks<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self::with(snapshot, &Arc::new(snapshot.allocated()), &Arc::new(snapshot.offered()))
    }

    fn with(snapshot: &'a Snapshot, allocated: &Arc<Held>, offered: &Arc<Held>) -> Self {
        let agents = snapshot.agents();
        let agents: BTreeMap<&str, &Arc<AgentEntry>> =
            agents.into_iter().map(|agent| (agent.agent.id.as_str(), agent)).collect();
        let mut offers: BTreeMap<&FrameworkId, Vec<OfferForm>> = BTreeMap::new();
        for offer in &snapshot.offers {
            let agent = agents.get(offer.holding.agent.as_str()).copied();
            let form = OfferForm::of(snapshot, offer, agent);
            offers.entry(&offer.holding.framework).or_default().push(form);
        }
        let form = |entry: &'a Arc<FrameworkEntry>| FrameworkForm::of(entry, |time| snapshot.nanoseconds(time));
        let frameworks = snapshot.frameworks.iter().map(|entry| {
            let id = &entry.framework.id;
            let mut form = form(entry);
            form.offer_constraints = Some(ConstraintsForm::of(&entry.framework));
            form.offers = offers.remove(id).unwrap_or_default();
            form.allocated_resources = SumsForm::of(allocated.by_framework.get(id));
            form.offered_resources = SumsForm::of(offered.by_framework.get(id));
            form
        });
        Self {
            frameworks: frameworks.collect(),
            completed_frameworks: snapshot.completed_frameworks.iter().map(form).collect(),
        }
    }
}

/// `mesos.v1.master.Response.GetFrameworks.Framework`
#[derive(Debug, Serialize)]
pub(super) struct FrameworkForm<'a> {
    framework_info: Details,
    active: bool,
    connected: bool,
    recovered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_time: Option<TimeInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<TimeInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unregistered_time: Option<TimeInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<OfferForm>,
    #[serde(skip_serializing_if = "is_empty")]
    allocated_resources: SumsForm,
    #[serde(skip_serializing_if = "is_empty")]
    offered_resources: SumsForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_constraints: Option<ConstraintsForm<'a>>,
}

impl<'a> FrameworkForm<'a> {
    /// Returns a framework that is offered nothing and holds nothing.
    pub(super) fn of(entry: &'a FrameworkEntry, nanoseconds: impl Fn(apportion::Time) -> i64) -> Self {
        let time = |time| TimeInfo { nanoseconds: nanoseconds(time) };
        Self {
            framework_info: framework_info(&entry.framework),
            active: entry.active,
            connected: entry.active,
            recovered: entry.recovered,
            registered_time: entry.registered.map(time),
            reregistered_time: entry.reregistered.map(time),
            unregistered_time: entry.unregistered.map(time),
            offers: Vec::new(),
            allocated_resources: SumsForm::default(),
            offered_resources: SumsForm::default(),
            offer_constraints: None,
        }
    }
}

/// `mesos.v1.scheduler.OfferConstraints`
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ConstraintsForm<'a> {
    Given(&'a Json),
    Missing(Nothing),
}

impl<'a> ConstraintsForm<'a> {
    pub(crate) fn of(framework: &'a Framework) -> Self {
        let given = framework.offer_constraints.as_v1();
        if given.is_null() { Self::Missing(Nothing {}) } else { Self::Given(given) }
    }
}

/// `mesos.v1.Offer`
#[derive(Debug)]
struct OfferForm(Offer);

impl OfferForm {
    fn of(snapshot: &Snapshot, offer: &OfferEntry, agent: Option<&Arc<AgentEntry>>) -> Self {
        let Holding { framework, role, agent: id, resources, .. } = &offer.holding;
        let mut form =
            Offer::new(snapshot.offer_id(offer), framework.clone(), role.clone(), id.clone(), resources.clone());
        if let Some(entry) = agent {
            form.hostname = entry.agent.hostname.clone();
            form.attributes = entry.agent.attributes.clone();
            form.domain = entry.agent.domain.clone();
            form.unavailability = entry.agent.unavailability;
            form.details.insert("url", agent_url(entry.address, &entry.agent.hostname));
        }
        Self(form)
    }
}

impl Serialize for OfferForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenOffer(&self.0).serialize(serializer)
    }
}

/// Returns Mesos' `URL` of an agent, as it stands in offers.
pub(crate) fn agent_url((ip, port): (IpAddr, u16), hostname: &str) -> serde_json::Value {
    let address = json!({"hostname": hostname, "ip": ip.to_string(), "port": port});
    json!({"scheme": "http", "address": address, "path": "/slave(1)"})
}

#[derive(Debug, Serialize)]
struct GetTasks<'a> {
    tasks: Vec<TaskForm<'a>>,
    unreachable_tasks: Vec<TaskForm<'a>>,
    completed_tasks: Vec<TaskForm<'a>>,
}

impl<'a> GetTasks<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let all = snapshot.tasks();
        let standing = |standing: Standing| {
            all.iter().filter(move |task| task.standing == standing).map(|task| TaskForm(task)).collect()
        };
        Self {
            tasks: standing(Standing::Live),
            unreachable_tasks: standing(Standing::Unreachable),
            completed_tasks: standing(Standing::Completed),
        }
    }
}

/// `mesos.v1.Task`
#[derive(Debug)]
pub(crate) struct TaskForm<'a>(pub(crate) &'a TaskEntry);

#[derive(Debug, Serialize)]
struct Task<'a> {
    name: TextOr<'a>,
    task_id: Id<'a>,
    framework_id: Id<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor_id: Option<Id<'a>>,
    agent_id: Id<'a>,
    state: TaskState,
    resources: WrittenResources<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<WrittenStatus<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_update_state: Option<TaskState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_update_uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kill_policy: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'a Json>,
}

/// A text of a message, or another one in its place.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TextOr<'a> {
    Given(&'a Json),
    Other(&'a str),
}

impl Serialize for TaskForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0;
        let detail = |name: &str| entry.task.details.get(name).filter(|json| !json.is_null());
        let executor = entry.executor_id();
        let latest = entry.statuses.iter().rev().find(|status| status.uuid.is_some());
        let task = Task {
            name: detail("name").map_or(TextOr::Other(entry.task.id.as_str()), TextOr::Given),
            task_id: Id { value: entry.task.id.as_str() },
            framework_id: Id { value: entry.framework.as_str() },
            executor_id: executor.as_deref().map(|value| Id { value }),
            agent_id: Id { value: entry.agent.as_str() },
            state: entry.state,
            resources: WrittenResources::new(&entry.task.resources).allocated_to(&entry.role),
            statuses: entry.statuses.iter().map(|status| WrittenStatus(status)).collect(),
            status_update_state: latest.map(|status| status.state),
            status_update_uuid: latest.and_then(|status| status.uuid),
            labels: detail("labels"),
            discovery: detail("discovery"),
            container: detail("container"),
            user: entry.user(),
            health_check: detail("health_check"),
            kill_policy: detail("kill_policy"),
            limits: detail("limits"),
        };
        task.serialize(serializer)
    }
}

#[derive(Debug, Serialize)]
struct GetExecutors<'a> {
    executors: Vec<ExecutorForm<'a>>,
}

impl<'a> GetExecutors<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self { executors: snapshot.executors.iter().map(ExecutorForm::of).collect() }
    }
}

#[derive(Debug, Serialize)]
struct ExecutorForm<'a> {
    agent_id: Id<'a>,
    executor_info: ExecutorInfo,
}

impl<'a> ExecutorForm<'a> {
    fn of(entry: &'a ExecutorEntry) -> Self {
        let mut info = entry.info.clone().unwrap_or_else(|| ExecutorInfo::new(entry.id.clone()));
        info.resources = entry.holding.resources.clone();
        info.role = Some(entry.holding.role.clone());
        info.details.insert("framework_id", json!({"value": entry.holding.framework.as_str()}));
        Self { agent_id: Id { value: entry.holding.agent.as_str() }, executor_info: info }
    }
}
