//! [`Framework`]: a framework with its tasks, offers and executors.

use super::amounts::Amounts;
use super::reading::Indexed;
use super::tasks::Task;
use crate::operator_api::ConstraintsForm;
use crate::view::{ExecutorEntry, FrameworkEntry, OfferEntry, Standing};
use apportion::{Details, Json, OfferId};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The fields of a framework that `/state-summary` shows, too.
#[derive(Debug, Serialize)]
pub(super) struct Basics<'a> {
    id: &'a str,
    name: &'a str,
    used_resources: Amounts<'a>,
    offered_resources: Amounts<'a>,
    capabilities: Vec<&'static str>,
    hostname: Cow<'a, str>,
    webui_url: Cow<'a, str>,
    active: bool,
    connected: bool,
    recovered: bool,
}

impl<'a> Basics<'a> {
    pub(super) fn of(entry: &'a FrameworkEntry, view: &'a Indexed<'a>) -> Self {
        let framework = &entry.framework;
        let (allocated, offered) = held(entry, view);
        Self {
            id: framework.id.as_str(),
            name: framework.name.as_deref().unwrap_or(framework.id.as_str()),
            used_resources: Amounts::of(allocated),
            offered_resources: Amounts::of(offered),
            capabilities: framework.capabilities.iter().map(|capability| capability.as_str()).collect(),
            hostname: text(&framework.details, "hostname"),
            webui_url: text(&framework.details, "webui_url"),
            active: entry.active,
            connected: entry.active,
            recovered: entry.recovered,
        }
    }
}

type Lists<'a> = Vec<&'a apportion::Resources>;

/// Returns what a framework holds, and what it is offered. One that was removed has nothing, though another may have its id.
fn held<'a>(entry: &'a FrameworkEntry, view: &'a Indexed<'a>) -> (Lists<'a>, Lists<'a>) {
    let id = &entry.framework.id;
    let lists = |sums: Option<&'a crate::view::Sums>| sums.into_iter().flat_map(BTreeMap::values).collect();
    (lists(view.allocated.by_framework.get(id)), lists(view.offered.by_framework.get(id)))
}

fn text<'a>(details: &'a Details, name: &str) -> Cow<'a, str> {
    details.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// A framework.
#[derive(Debug, Serialize)]
pub(super) struct Framework<'a> {
    #[serde(flatten)]
    basics: Basics<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    user: &'a str,
    failover_timeout: f64,
    checkpoint: bool,
    registered_time: f64,
    unregistered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: Amounts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<&'a str>>,
    tasks: Vec<Task<'a>>,
    unreachable_tasks: Vec<Task<'a>>,
    completed_tasks: Vec<Task<'a>>,
    offers: Vec<OfferForm<'a>>,
    executors: Vec<ExecutorForm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Json>,
    offer_constraints: ConstraintsForm<'a>,
}

impl<'a> Framework<'a> {
    pub(super) fn of(entry: &'a FrameworkEntry, view: &'a Indexed<'a>) -> Self {
        let framework = &entry.framework;
        let (allocated, offered) = held(entry, view);
        let seconds = |time: Option<apportion::Time>| time.map(|time| view.snapshot.seconds(time));
        let tasks = |standing| view.tasks_of(&framework.id, standing).map(Task::of).collect();
        let role = framework.roles.first().filter(|_| !framework.is_multi_role());
        let offers = view.offers_of.get(&framework.id).into_iter().flatten();
        let executors = view.executors_of.get(&framework.id).into_iter().flatten();
        Self {
            basics: Basics::of(entry, view),
            principal: framework.principal.as_deref(),
            user: framework.user.as_deref().unwrap_or_default(),
            failover_timeout: framework.failover_timeout.map_or(0.0, |timeout| timeout.as_secs_f64()),
            checkpoint: framework.checkpoint,
            registered_time: seconds(entry.registered).unwrap_or(0.0),
            unregistered_time: seconds(entry.unregistered).unwrap_or(0.0),
            reregistered_time: seconds(entry.reregistered.filter(|_| entry.reregistered != entry.registered)),
            resources: Amounts::of(allocated.into_iter().chain(offered)),
            role: role.map(apportion::Role::as_str),
            roles: role.is_none().then(|| framework.roles.iter().map(apportion::Role::as_str).collect()),
            tasks: tasks(Standing::Live),
            unreachable_tasks: tasks(Standing::Unreachable),
            completed_tasks: tasks(Standing::Completed),
            offers: offers.map(|offer| OfferForm::of(offer, view)).collect(),
            executors: executors.map(|executor| ExecutorForm::of(executor)).collect(),
            labels: framework.details.get("labels"),
            offer_constraints: ConstraintsForm::of(framework),
        }
    }

    pub(super) fn id(&self) -> &str {
        self.basics.id
    }
}

#[derive(Debug, Serialize)]
struct AllocationInfo<'a> {
    role: &'a str,
}

#[derive(Debug, Serialize)]
struct OfferForm<'a> {
    id: OfferId,
    framework_id: &'a str,
    allocation_info: AllocationInfo<'a>,
    slave_id: &'a str,
    resources: Amounts<'a>,
}

impl<'a> OfferForm<'a> {
    fn of(offer: &'a OfferEntry, view: &Indexed<'_>) -> Self {
        Self {
            id: view.snapshot.offer_id(offer),
            framework_id: offer.holding.framework.as_str(),
            allocation_info: AllocationInfo { role: offer.holding.role.as_str() },
            slave_id: offer.holding.agent.as_str(),
            resources: Amounts::of([&offer.holding.resources]),
        }
    }
}

#[derive(Debug, Serialize)]
struct ExecutorForm<'a> {
    executor_id: &'a str,
    name: Cow<'a, str>,
    framework_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Json>,
    role: &'a str,
    resources: Amounts<'a>,
    slave_id: &'a str,
}

impl<'a> ExecutorForm<'a> {
    fn of(executor: &'a ExecutorEntry) -> Self {
        let details = executor.info.as_ref().map(|info| &info.details);
        let detail = |name: &str| details.and_then(|details| details.get(name));
        Self {
            executor_id: executor.id.as_str(),
            name: details.map(|details| text(details, "name")).unwrap_or_default(),
            framework_id: executor.holding.framework.as_str(),
            command: detail("command"),
            container: detail("container"),
            labels: detail("labels"),
            role: executor.holding.role.as_str(),
            resources: Amounts::of([&executor.holding.resources]),
            slave_id: executor.holding.agent.as_str(),
        }
    }
}
