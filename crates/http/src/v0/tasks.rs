//! [`Tasks`]: the tasks, latest first, page by page.

use super::amounts::Amounts;
use super::reading::Indexed;
use crate::transport::query::Query;
use crate::view::TaskEntry;
use apportion::{Json, JsonRef, TaskState, TaskStatus};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// The number of tasks that are shown if a request does not say.
const LIMIT: usize = 100;

#[derive(Debug, Serialize)]
pub(super) struct Tasks<'a> {
    tasks: Vec<Task<'a>>,
}

impl<'a> Tasks<'a> {
    /// Returns the tasks by the time of their first status, of which those that have none are the earliest. What is no number is
    /// taken as if it were not given, as in Mesos.
    pub(super) fn of(query: &Query, view: &Indexed<'a>) -> Self {
        let number = |name: &str| query.get(name).and_then(|given| given.parse::<i64>().ok());
        let limit = number("limit").map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let offset = number("offset").map_or(0, |offset| usize::try_from(offset).unwrap_or(0));
        let is_named = |task: &&Arc<TaskEntry>| {
            query.get("framework_id").is_none_or(|named| task.framework.as_str() == named)
                && query.get("task_id").is_none_or(|named| task.task.id.as_str() == named)
        };
        let mut tasks: Vec<&'a Arc<TaskEntry>> = view.tasks.iter().copied().filter(is_named).collect();
        let first = |task: &TaskEntry| task.statuses.first().and_then(|status| status.timestamp).unwrap_or(0.0);
        tasks.sort_by(|one, other| first(one).total_cmp(&first(other)).then(one.number.cmp(&other.number)));
        if query.get("order") != Some("asc") {
            tasks.reverse();
        }
        Self { tasks: tasks.into_iter().skip(offset).take(limit).map(|task| Task::of(task)).collect() }
    }
}

/// A task.
#[derive(Debug, Serialize)]
pub(crate) struct Task<'a> {
    id: &'a str,
    name: Cow<'a, str>,
    framework_id: &'a str,
    executor_id: Cow<'a, str>,
    slave_id: &'a str,
    state: TaskState,
    resources: Amounts<'a>,
    role: &'a str,
    statuses: Vec<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<JsonRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<&'a Json>,
}

impl<'a> Task<'a> {
    pub(crate) fn of(entry: &'a TaskEntry) -> Self {
        let id = entry.task.id.as_str();
        let detail = |name: &str| entry.task.details.get(name).filter(|json| !json.is_null());
        Self {
            id,
            name: detail("name").and_then(Json::as_str).unwrap_or(Cow::Borrowed(id)),
            framework_id: entry.framework.as_str(),
            executor_id: entry.executor_id().unwrap_or_default(),
            slave_id: entry.agent.as_str(),
            state: entry.state,
            resources: Amounts::of([&entry.task.resources]),
            role: entry.role.as_str(),
            statuses: entry.statuses.iter().map(|status| Status::of(status)).collect(),
            user: entry.user(),
            labels: detail("labels").and_then(|labels| labels.get("labels")),
            discovery: detail("discovery"),
            container: detail("container"),
            health_check: detail("health_check"),
        }
    }
}

#[derive(Debug, Serialize)]
struct Status<'a> {
    state: TaskState,
    timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<JsonRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_status: Option<ContainerStatus<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
}

impl<'a> Status<'a> {
    fn of(status: &'a TaskStatus) -> Self {
        Self {
            state: status.state,
            timestamp: status.timestamp.unwrap_or(0.0),
            labels: status.details.get("labels").and_then(|labels| labels.get("labels")),
            container_status: status.details.get("container_status").map(|container| ContainerStatus {
                container_id: container.get("container_id"),
                network_infos: container.get("network_infos"),
                cgroup_info: container.get("cgroup_info"),
            }),
            healthy: status.healthy,
        }
    }
}

/// The part of a container's state that v0 shows.
#[derive(Debug, Serialize)]
struct ContainerStatus<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<JsonRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_infos: Option<JsonRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup_info: Option<JsonRef<'a>>,
}
