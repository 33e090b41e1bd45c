//! [`Slave`]: an agent.

use super::amounts::{Amounts, AttributeForm};
use super::reading::Indexed;
use crate::operator_api::{AGENT_CAPABILITIES, DrainInfo, SumsForm};
use crate::settings::Settings;
use crate::view::AgentEntry;
use apportion::v1::WrittenResources;
use apportion::{Domain, Resource, Resources};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// An agent. Lists of its resources in full stand at `/slaves` alone.
#[derive(Debug, Serialize)]
pub(super) struct Slave<'a> {
    id: &'a str,
    hostname: &'a str,
    port: u16,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Json>,
    pid: String,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: Amounts<'a>,
    used_resources: Amounts<'a>,
    offered_resources: Amounts<'a>,
    reserved_resources: BTreeMap<&'a str, Amounts<'a>>,
    unreserved_resources: Amounts<'a>,
    active: bool,
    deactivated: bool,
    version: &'static str,
    capabilities: [&'static str; AGENT_CAPABILITIES.len()],
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_info: Option<DrainInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_drain_start_time_seconds: Option<f64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    in_full: Option<InFull>,
}

#[derive(Debug, Serialize)]
struct InFull {
    reserved_resources_full: BTreeMap<String, List>,
    unreserved_resources_full: List,
    used_resources_full: SumsForm,
    offered_resources_full: SumsForm,
}

/// Resources as a list of v1.
#[derive(Debug)]
struct List(Resources);

impl Serialize for List {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenResources::new(&self.0).in_both_formats().serialize(serializer)
    }
}

/// Attributes as an object. Of several with one name the last counts.
#[derive(Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a apportion::Attributes);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut by_name = Vec::with_capacity(self.0.iter().len());
        for attribute in self.0.iter() {
            by_name.retain(|known: &&apportion::Attribute| known.name != attribute.name);
            by_name.push(attribute);
        }
        let mut map = serializer.serialize_map(Some(by_name.len()))?;
        for attribute in by_name {
            map.serialize_entry(attribute.name.as_str(), &AttributeForm(&attribute.value))?;
        }
        map.end()
    }
}

impl<'a> Slave<'a> {
    pub(super) fn of(entry: &'a AgentEntry, view: &'a Indexed<'a>) -> Self {
        let id = &entry.agent.id;
        let (allocated, offered) = (view.allocated.by_agent.get(id), view.offered.by_agent.get(id));
        let mut drain_info = entry.drain.map(|(drain, _)| DrainInfo::of(drain));
        if let Some(info) = drain_info.as_mut().filter(|_| allocated.is_none()) {
            info.state = "DRAINED";
        }
        let mut reserved: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
        for resource in &entry.total {
            if let Some(role) = resource.role() {
                reserved.entry(role.as_str()).or_default().push(resource);
            }
        }
        Self {
            id: id.as_str(),
            hostname: entry.agent.hostname.as_str(),
            port: entry.address.1,
            attributes: Attributes(&entry.agent.attributes),
            domain: entry.agent.domain.as_ref().map(domain),
            pid: entry.pid(),
            registered_time: view.snapshot.seconds(entry.registered),
            reregistered_time: entry.reregistered.map(|time| view.snapshot.seconds(time)),
            resources: Amounts::of([&entry.total]),
            used_resources: Amounts::of(allocated.into_iter().flat_map(BTreeMap::values)),
            offered_resources: Amounts::of(offered.into_iter().flat_map(BTreeMap::values)),
            reserved_resources: reserved.into_iter().map(|(role, list)| (role, Amounts::of_each(list))).collect(),
            unreserved_resources: Amounts::of_each(entry.total.iter().filter(|resource| resource.role().is_none())),
            active: entry.is_active(),
            deactivated: entry.deactivated,
            version: Settings::VERSION,
            capabilities: AGENT_CAPABILITIES,
            drain_info,
            estimated_drain_start_time_seconds: entry.drain.map(|(_, since)| view.snapshot.seconds(since)),
            in_full: None,
        }
    }

    pub(super) fn in_full(entry: &'a AgentEntry, view: &'a Indexed<'a>) -> Self {
        let id = &entry.agent.id;
        let mut reserved = BTreeMap::new();
        for role in entry.total.iter().filter_map(Resource::role) {
            let of_role = |resource: &Resource| resource.role() == Some(role);
            reserved.entry(role.to_string()).or_insert_with(|| List(entry.total.filter(of_role)));
        }
        let in_full = InFull {
            reserved_resources_full: reserved,
            unreserved_resources_full: List(entry.total.unreserved()),
            used_resources_full: SumsForm::of(view.allocated.by_agent.get(id)),
            offered_resources_full: SumsForm::of(view.offered.by_agent.get(id)),
        };
        Self { in_full: Some(in_full), ..Self::of(entry, view) }
    }
}

/// Returns Mesos' `DomainInfo`.
pub(crate) fn domain(domain: &Domain) -> Json {
    json!({"fault_domain": {"region": {"name": domain.region.as_str()}, "zone": {"name": domain.zone.as_str()}}})
}
