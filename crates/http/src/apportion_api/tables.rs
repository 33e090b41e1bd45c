//! `GET /apportion/summary`, and the lists behind `/apportion/{agents,frameworks,roles,tasks,offers}`.
//!
//! A list is told in pages: at a hundred thousand tasks, an answer has as many rows as were asked for.

use crate::apportion_api::inspector::Image;
use crate::gate::Gate;
use crate::settings::Settings;
use crate::transport::answer::Answer;
use crate::transport::query::Query;
use apportion::allocator::{AllocatorMetrics, Holding, Quota, RoleMetrics};
use apportion::{
    AgentId, AgentState, Framework, FrameworkId, FrameworkState, KnownFramework, KnownOffer, KnownTask, Limits, Master,
    Quantities, Role, RoleState, Scalar, Time,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The rows of an answer that does not say how many it wants, and the most.
const LIMIT: (usize, usize) = (100, 1000);

/// A list of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Agents,
    Frameworks,
    Roles,
    Tasks,
    Offers,
}

/// Which rows are wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// A part of a name or an id, in lower case.
    search: Option<String>,
    framework: Option<FrameworkId>,
    agent: Option<AgentId>,
    role: Option<String>,
    offset: usize,
    limit: usize,
    newest_first: bool,
}

impl Wanted {
    pub(super) fn read(query: &Query) -> Result<Self, Answer> {
        Ok(Self {
            search: query.text("search").map(str::to_lowercase),
            framework: query.text("framework").map(FrameworkId::from),
            agent: query.text("agent").map(AgentId::from),
            role: query.text("role").map(str::to_owned),
            offset: query.number("offset", 0, usize::MAX)?,
            limit: query.number("limit", LIMIT.0, LIMIT.1)?,
            newest_first: query.text("order").is_some_and(|order| order.eq_ignore_ascii_case("desc")),
        })
    }

    /// Returns whether one of these texts contains what is searched for.
    fn finds(&self, texts: &[&str]) -> bool {
        let Some(search) = &self.search else { return true };
        texts.iter().any(|text| text.to_lowercase().contains(search))
    }

    fn is_role(&self, role: &Role) -> bool {
        self.role.as_ref().is_none_or(|wanted| wanted == role.as_str())
    }

    fn is_framework(&self, framework: &FrameworkId) -> bool {
        self.framework.as_ref().is_none_or(|wanted| wanted == framework)
    }

    fn is_agent(&self, agent: &AgentId) -> bool {
        self.agent.as_ref().is_none_or(|wanted| wanted == agent)
    }

    /// Returns whether it wants what is held, on a host of that name.
    fn holds(&self, holding: &Holding, id: &str, hostname: &str) -> bool {
        self.is_framework(&holding.framework)
            && self.is_agent(&holding.agent)
            && self.is_role(&holding.role)
            && self.finds(&[id, holding.framework.as_str(), holding.role.as_str(), holding.agent.as_str(), hostname])
    }

    /// Returns the wanted page of the rows that were found.
    fn page<'a, T>(&self, found: &'a [T]) -> Vec<&'a T> {
        if self.newest_first {
            found.iter().rev().skip(self.offset).take(self.limit).collect()
        } else {
            found.iter().skip(self.offset).take(self.limit).collect()
        }
    }
}

impl Table {
    /// Returns a page of the list.
    pub(super) fn rows(self, image: &Image, wanted: &Wanted) -> Json {
        let (total, items) = match self {
            Self::Agents => agents(image, wanted),
            Self::Frameworks => frameworks(image, wanted),
            Self::Roles => roles(image, wanted),
            Self::Tasks => tasks(image, wanted),
            Self::Offers => offers(image, wanted),
        };
        json!({"at": image.master.now(), "total": total, "offset": wanted.offset, "items": items})
    }
}

/// Returns what is known of a master before it is asked.
pub(super) fn about(gate: &Gate) -> Json {
    let Settings { id, hostname, port, cluster, .. } = &gate.settings;
    json!({"id": id, "hostname": hostname, "port": port, "cluster": cluster, "version": Settings::VERSION,
        "started": gate.started.as_secs_f64()})
}

/// Returns the cluster in a few numbers.
pub(super) fn summary(image: &Image, about: Json) -> Json {
    let (state, metrics) = (image.state(), image.metrics());
    let AllocatorMetrics { total, headroom, required_headroom, .. } = metrics;
    let (mut offered, mut allocated) = (Quantities::new(), Quantities::new());
    for agent in &state.agents {
        add(&mut offered, &agent.offered.quantities());
        add(&mut allocated, &agent.allocated.quantities());
    }
    let tasks: usize = state.frameworks.iter().map(|framework| framework.tasks.len()).sum();
    json!({
        "at": image.master.now(),
        "master": about,
        "allocation_interval": seconds(image.master.config().allocation_interval),
        "agents": state.agents.len(), "frameworks": state.frameworks.len(), "roles": state.roles.len(),
        "tasks": tasks, "offers": state.offers.len(),
        "total": total, "offered": offered, "allocated": allocated,
        "headroom": {"free": headroom, "required": required_headroom},
    })
}

/// The sum of what a framework holds: of all agents, or of one agent under one role.
#[derive(Debug, Default)]
struct Tally {
    offers: usize,
    tasks: usize,
    offered: Quantities,
    allocated: Quantities,
}

/// The kind of the holder of a part of an agent.
#[derive(Debug, Clone, Copy)]
enum Holder {
    Offer,
    Task,
    Executor,
}

impl Tally {
    fn add(&mut self, holder: Holder, holding: &Holding) {
        let amounts = holding.resources.quantities();
        match holder {
            Holder::Offer => {
                self.offers += 1;
                add(&mut self.offered, &amounts);
            }
            Holder::Task => {
                self.tasks += 1;
                add(&mut self.allocated, &amounts);
            }
            Holder::Executor => add(&mut self.allocated, &amounts),
        }
    }
}

/// Returns all that is held of the agents.
fn held(master: &Master) -> impl Iterator<Item = (Holder, &Holding)> {
    let offers = master.known_offers().map(|offer| (Holder::Offer, offer.holding));
    let tasks = master.known_tasks().map(|task| (Holder::Task, task.holding));
    let executors = master.known_executors().map(|executor| (Holder::Executor, executor.holding));
    offers.chain(tasks).chain(executors)
}

/// Returns the names of frameworks, for people.
fn names<'a>(master: &'a Master) -> BTreeMap<&'a FrameworkId, &'a str> {
    let name = |KnownFramework { framework, .. }: KnownFramework<'a>| Some((&framework.id, framework.name.as_deref()?));
    master.known_frameworks().filter_map(name).collect()
}

fn agents(image: &Image, wanted: &Wanted) -> (usize, Vec<Json>) {
    let master = &image.master;
    let hostname = |id: &AgentId| master.agent(id).map_or("", |agent| agent.hostname.as_str());
    let found: Vec<&AgentState> = image
        .state()
        .agents
        .iter()
        .filter(|agent| wanted.is_agent(&agent.id) && wanted.finds(&[agent.id.as_str(), hostname(&agent.id)]))
        .collect();
    let page = wanted.page(&found);
    let mut holders: BTreeMap<&AgentId, BTreeMap<(&FrameworkId, &Role), Tally>> =
        page.iter().map(|agent| (&agent.id, BTreeMap::new())).collect();
    for (holder, holding) in held(master) {
        if let Some(tallies) = holders.get_mut(&holding.agent) {
            tallies.entry((&holding.framework, &holding.role)).or_default().add(holder, holding);
        }
    }
    let names = names(master);
    let row = |agent: &&&AgentState| {
        let known = master.agent(&agent.id);
        let found = holders.get(&agent.id).into_iter().flatten();
        let holders: Vec<Json> = found
            .map(|((framework, role), Tally { offers, tasks, offered, allocated })| {
                json!({"framework": framework, "name": names.get(framework), "role": role, "offers": offers, "tasks": tasks,
                    "offered": offered, "allocated": allocated})
            })
            .collect();
        json!({
            "id": agent.id, "hostname": hostname(&agent.id), "attributes": known.map(|agent| &agent.attributes),
            "domain": known.and_then(|agent| agent.domain.as_ref()),
            "total": agent.total, "available": agent.available, "offered": agent.offered, "allocated": agent.allocated,
            "amounts": {"total": agent.total.quantities(), "available": agent.available.quantities()},
            "overcommitted": agent.overcommitted, "active": agent.active, "connected": agent.connected,
            "draining": agent.draining, "held": holders,
        })
    };
    (found.len(), page.iter().map(row).collect())
}

fn frameworks(image: &Image, wanted: &Wanted) -> (usize, Vec<Json>) {
    let is_wanted = |(state, framework): &(&FrameworkState, &Framework)| {
        let mut texts = vec![state.id.as_str(), framework.name.as_deref().unwrap_or_default()];
        texts.extend(state.roles.iter().map(Role::as_str));
        wanted.is_framework(&state.id)
            && (wanted.role.is_none() || state.roles.iter().any(|role| wanted.is_role(role)))
            && wanted.finds(&texts)
    };
    let described = image.master.known_frameworks().map(|known| &**known.framework);
    let found: Vec<(&FrameworkState, &Framework)> =
        image.state().frameworks.iter().zip(described).filter(is_wanted).collect();
    let page = wanted.page(&found);
    let mut tallies: BTreeMap<&FrameworkId, Tally> =
        page.iter().map(|(state, _)| (&state.id, Tally::default())).collect();
    for (holder, holding) in held(&image.master) {
        if let Some(tally) = tallies.get_mut(&holding.framework) {
            tally.add(holder, holding);
        }
    }
    let row = |(state, framework): &&(&FrameworkState, &Framework)| {
        let none = Tally::default();
        let Tally { offers, offered, allocated, .. } = tallies.get(&state.id).unwrap_or(&none);
        let capabilities: Vec<&str> = framework.capabilities.iter().map(|known| known.as_str()).collect();
        json!({
            "id": state.id, "name": framework.name, "principal": framework.principal, "roles": state.roles,
            "suppressed": state.suppressed, "active": state.active, "recovered": state.recovered,
            "capabilities": capabilities, "tasks": state.tasks.len(), "offers": offers,
            "offered": offered, "allocated": allocated,
        })
    };
    (found.len(), page.iter().map(row).collect())
}

fn roles(image: &Image, wanted: &Wanted) -> (usize, Vec<Json>) {
    let state = image.state();
    let gauges: BTreeMap<&Role, &RoleMetrics> = image.metrics().roles.iter().map(|role| (&role.role, role)).collect();
    let is_wanted = |role: &&RoleState| wanted.is_role(&role.role) && wanted.finds(&[role.role.as_str()]);
    let found: Vec<&RoleState> = state.roles.iter().filter(is_wanted).collect();
    let mut members: BTreeMap<&Role, Vec<&FrameworkId>> = BTreeMap::new();
    for framework in &state.frameworks {
        framework.roles.iter().for_each(|role| members.entry(role).or_default().push(&framework.id));
    }
    let row = |role: &&&RoleState| {
        let gauges = gauges.get(&role.role);
        let Quota { guarantees, limits, .. } = &role.quota;
        let consumed = gauges.map(|gauges| &gauges.consumed);
        json!({
            "role": role.role, "weight": role.weight.as_f64(), "share": role.share,
            "offered": role.offered, "allocated": role.allocated, "reserved": role.reserved,
            "quota": {"guarantees": guarantees, "limits": limits},
            "consumed": consumed, "left": consumed.map(|consumed| left(limits, consumed)),
            "below_guarantee": gauges.map(|gauges| &gauges.below_guarantee),
            "refusals": gauges.map_or(0, |gauges| gauges.refusals),
            "frameworks": members.get(&role.role).into_iter().flatten().take(LIMIT.1).collect::<Vec<_>>(),
        })
    };
    (found.len(), wanted.page(&found).iter().map(row).collect())
}

/// Returns what limits still allow.
fn left(limits: &Limits, consumed: &Quantities) -> BTreeMap<String, Scalar> {
    let left = |(name, limit): (&str, Scalar)| (name.to_owned(), limit.saturating_sub(consumed.amount(name)));
    limits.iter().map(left).collect()
}

fn tasks(image: &Image, wanted: &Wanted) -> (usize, Vec<Json>) {
    let master = &image.master;
    let hostname = |id: &AgentId| master.agent(id).map_or("", |agent| agent.hostname.as_str());
    let is_wanted = |task: &KnownTask<'_>| wanted.holds(task.holding, task.id.as_str(), hostname(&task.holding.agent));
    let found: Vec<KnownTask<'_>> = master.known_tasks().filter(is_wanted).collect();
    let names = names(master);
    let row = |task: &&KnownTask<'_>| {
        let holding = task.holding;
        json!({
            "id": task.id, "state": task.state, "framework": holding.framework, "framework_name": names.get(&holding.framework),
            "role": holding.role, "agent": holding.agent, "hostname": hostname(&holding.agent), "resources": holding.resources,
        })
    };
    (found.len(), wanted.page(&found).iter().map(row).collect())
}

fn offers(image: &Image, wanted: &Wanted) -> (usize, Vec<Json>) {
    let master = &image.master;
    let hostname = |id: &AgentId| master.agent(id).map_or("", |agent| agent.hostname.as_str());
    let id = |offer: &KnownOffer<'_>| master.config().offer_id(offer.number);
    let is_wanted =
        |offer: &KnownOffer<'_>| wanted.holds(offer.holding, id(offer).as_str(), hostname(&offer.holding.agent));
    let found: Vec<KnownOffer<'_>> = master.known_offers().filter(is_wanted).collect();
    let names = names(master);
    let row = |offer: &&KnownOffer<'_>| {
        let KnownOffer { holding, made_at, .. } = **offer;
        json!({
            "id": id(offer), "framework": holding.framework, "framework_name": names.get(&holding.framework),
            "role": holding.role, "agent": holding.agent, "hostname": hostname(&holding.agent), "resources": holding.resources,
            "made_at": made_at, "age": seconds(master.now().since(made_at)),
        })
    };
    (found.len(), wanted.page(&found).iter().map(row).collect())
}

fn add(sum: &mut Quantities, more: &Quantities) {
    more.iter().for_each(|(name, amount)| sum.add(name, amount));
}

/// Returns a span as the journal has it: a number of seconds.
fn seconds(span: std::time::Duration) -> Time {
    Time::ZERO + span
}

#[cfg(test)]
mod tests;
