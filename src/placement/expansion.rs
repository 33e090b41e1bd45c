//! The search for the [`Expansion`] of each app that waits.

use super::model::app::App;
use super::model::expansion::{Addition, Expansion};
use super::model::near_miss::{NearMiss, NeededChange};
use super::model::plan::{Launch, Plan, Unplaced};
use super::model::planner::Planner;
use super::model::ports::HostPort;
use super::model::running::Running;
use super::model::volume::VolumeSource;
use crate::agent::Domain;
use crate::constraint::{Field, Location, Operator};
use crate::offer::Offer;
use crate::resources::{Ranges, Reservation, Resource, Resources, Scalar, Value};
use crate::role::Role;
use crate::text::Text;

/// The number of times that a nearest miss is granted before the search is given up.
const MAX_ROUNDS: usize = 32;

/// The most instances and hosts of one app: beyond, nothing is tried.
const MAX_TRIED: u64 = 10_000;

/// The number of offers that may be looked at, over all apps: later apps have no expansion.
const MAX_OFFERS: usize = 1_000_000;

/// Finds the expansion for each app that waits in a plan. An app of a group has none: its tasks wait for one another.
pub(super) fn expand(planner: &Planner, apps: &[App], running: &[Running], offers: &[Offer], plan: &mut Plan) {
    let mut running = running.to_vec();
    let mut left = offers.to_vec();
    for launch in &plan.launches {
        adopt(launch, &mut left, &mut running);
    }
    let is_small = |unplaced: &&mut Unplaced| unplaced.group.is_none() && unplaced.instances <= MAX_TRIED;
    let most = MAX_OFFERS / offers.len().max(1);
    for unplaced in plan.unplaced.iter_mut().filter(is_small).take(most) {
        let Some(app) = apps.iter().find(|app| app.id == unplaced.app) else { continue };
        let search = Search {
            planner,
            app,
            running: running.clone(),
            offers: left.clone(),
            templates: offers.to_vec(),
            hosts: 0,
            found: Expansion::default(),
        };
        unplaced.expansion = search.run();
    }
}

/// Takes the resources of a launch from its offer.
fn adopt(launch: &Launch, offers: &mut [Offer], running: &mut Vec<Running>) {
    if let Some(offer) = offers.iter_mut().find(|offer| offer.id == launch.offer) {
        offer.resources = offer.resources.saturating_sub(&launch.resources);
    }
    running.push(launch.running());
}

/// The search for the expansion of one app.
#[derive(Debug)]
struct Search<'a> {
    planner: &'a Planner,
    app: &'a App,
    running: Vec<Running>,
    /// The offers, with what is left and what was added.
    offers: Vec<Offer>,
    /// The same offers as they were at first: what one more agent would have.
    templates: Vec<Offer>,
    /// The number of hosts added.
    hosts: u64,
    found: Expansion,
}

impl Search<'_> {
    fn run(mut self) -> Option<Expansion> {
        let (mut waiting, mut near) = self.place();
        // The hosts of the round before, if they were of use: more of them will be, too.
        let mut before: Option<(NearMiss, u64)> = None;
        for _ in 0..MAX_ROUNDS {
            if waiting == 0 {
                return Some(self.found);
            }
            let is_more = before.is_some();
            let (miss, batch) = match before.take() {
                Some((miss, each)) => (miss, waiting.div_ceil(each)),
                None => (near.take()?, 1),
            };
            let is_of_hosts =
                miss.changes.iter().any(|change| change.is_elsewhere() || matches!(change, NeededChange::Port(_)));
            let added = if is_of_hosts { self.add_hosts(&miss, batch)? } else { self.add_amounts(&miss, waiting)? };
            let (left, next) = self.place();
            let placed = waiting - left;
            if placed > 0 {
                self.record(added, placed);
                before = is_of_hosts.then(|| (miss, placed.div_ceil(batch)));
            } else if !is_more {
                return None; // what a near miss asks for is not enough: made-up values may not do
            }
            (waiting, near) = (left, next);
        }
        None
    }

    /// Places what fits. Returns the number of the rest, and their nearest miss.
    fn place(&mut self) -> (u64, Option<NearMiss>) {
        let plan = self.planner.plan([self.app], &self.running, &self.offers);
        for launch in &plan.launches {
            adopt(launch, &mut self.offers, &mut self.running);
        }
        let unplaced = plan.unplaced.into_iter().next();
        unplaced.map_or((0, None), |unplaced| (unplaced.instances, unplaced.near_miss))
    }

    /// Adds hosts like the one of a near miss, but for its changes.
    fn add_hosts(&mut self, near: &NearMiss, count: u64) -> Option<Added> {
        if self.hosts + count > MAX_TRIED {
            return None;
        }
        let template = self.templates.iter().find(|offer| offer.id == near.offer)?.clone();
        let mut with = Vec::new();
        for change in &near.changes {
            match change {
                NeededChange::NewValue(field) if *field != Field::Hostname => {
                    with.push(Text::from_display(format_args!("another {}", plain(field))));
                }
                NeededChange::Port(number) => with.push(Text::from_display(format_args!("port {number}"))),
                NeededChange::More { .. } | NeededChange::Ports(_) => with.push(Text::from_display(change)),
                NeededChange::Value { .. }
                | NeededChange::NewValue(_)
                | NeededChange::NoValue(_)
                | NeededChange::Other(_)
                | NeededChange::Disk { .. }
                | NeededChange::OfferTo(_)
                | NeededChange::OfRole(_)
                | NeededChange::NoMaintenance { .. }
                | NeededChange::NoGpus
                | NeededChange::Without { .. } => {}
            }
        }
        for _ in 0..count {
            self.hosts += 1;
            let name = format!("new-{}", self.hosts);
            let mut offer = template.clone();
            offer.id = name.as_str().into();
            offer.agent = name.as_str().into();
            offer.hostname = name.as_str().into();
            for change in &near.changes {
                self.grant(change, &name, &mut offer)?;
            }
            describe(self.app, &offer, &mut with);
            self.templates.push(offer.clone());
            self.offers.push(offer);
        }
        Some(Added::Hosts { count, with })
    }

    /// Grants a change of one more host.
    fn grant(&self, change: &NeededChange, name: &str, offer: &mut Offer) -> Option<()> {
        match change {
            NeededChange::Value { field, value } => set(offer, field, value),
            NeededChange::NewValue(field) => set(offer, field, name),
            NeededChange::Port(number) => self.add(offer, "ports", Value::Ranges(ranges((*number).into(), 1)))?,
            NeededChange::More { name, amount } => self.add(offer, name, Value::Scalar(*amount))?,
            NeededChange::Ports(count) => {
                let ports = unused(offer, *count as u64)?;
                self.add(offer, "ports", Value::Ranges(ports))?;
            }
            NeededChange::NoValue(_)
            | NeededChange::Other(_)
            | NeededChange::Disk { .. }
            | NeededChange::OfferTo(_)
            | NeededChange::OfRole(_)
            | NeededChange::NoMaintenance { .. }
            | NeededChange::NoGpus
            | NeededChange::Without { .. } => return None,
        }
        Some(())
    }

    /// Adds to the offer of a near miss what so many instances need.
    fn add_amounts(&mut self, near: &NearMiss, instances: u64) -> Option<Added> {
        let is_amount = |change: &NeededChange| {
            matches!(
                change,
                NeededChange::More { .. }
                    | NeededChange::Ports(_)
                    | NeededChange::Disk { source: VolumeSource::Root, .. }
            )
        };
        if !near.changes.iter().all(is_amount) {
            return None;
        }
        let at = self.offers.iter().position(|offer| offer.id == near.offer)?;
        let mut offer = self.offers[at].clone();
        let before = self.left(&offer);
        for (name, missing) in self.missing(&before, instances) {
            let value = match name {
                "ports" => Value::Ranges(unused(&offer, missing.as_milli() / 1000)?),
                _ => Value::Scalar(missing),
            };
            self.add(&mut offer, name, value)?;
        }
        self.offers[at] = offer;
        Some(Added::Amounts(before))
    }

    /// Counts what was added and used by so many instances.
    fn record(&mut self, added: Added, placed: u64) {
        match added {
            Added::Hosts { count, with } => {
                let same = self.found.additions.iter_mut().find_map(|addition| match addition {
                    Addition::Hosts { count, with: other } if *other == with => Some(count),
                    Addition::Hosts { .. } | Addition::Amount { .. } => None,
                });
                match same {
                    Some(sum) => *sum += count,
                    None => self.found.additions.push(Addition::Hosts { count, with }),
                }
            }
            Added::Amounts(before) => {
                for (name, missing) in self.missing(&before, placed) {
                    let same = self.found.additions.iter_mut().find_map(|addition| match addition {
                        Addition::Amount { name: other, amount } if *other == name => Some(amount),
                        Addition::Hosts { .. } | Addition::Amount { .. } => None,
                    });
                    match same {
                        Some(sum) => *sum = sum.checked_add(missing).unwrap_or(*sum),
                        None => self.found.additions.push(Addition::Amount { name, amount: missing }),
                    }
                }
            }
        }
    }

    /// Returns what one instance takes, by name.
    fn needs(&self) -> [(&'static str, Scalar); 5] {
        let app = self.app;
        let root = app.volumes.iter().filter(|volume| volume.source == VolumeSource::Root).map(|volume| volume.size);
        let disk = root.fold(app.disk, |sum, size| sum.checked_add(size).unwrap_or(sum));
        let ports = app.ports.iter().filter(|port| port.host != HostPort::None).count();
        let ports = Scalar::units(u32::try_from(ports).unwrap_or(u32::MAX).into());
        [("cpus", app.cpus), ("mem", app.mem), ("disk", disk), ("gpus", app.gpus), ("ports", ports)]
    }

    /// Returns what is left for the app, by name.
    fn left(&self, offer: &Offer) -> Left {
        let usable = |resource: &&Resource| {
            let is_volume = resource.kind().is_some_and(|kind| kind.disk.is_some());
            !is_volume && !resource.is_revocable() && !resource.is_shared() && self.accepts(resource.role())
        };
        let amount = |name: &str| {
            let resources = offer.resources.iter().filter(usable).filter(|resource| resource.name() == name);
            resources.map(|resource| resource.value().count()).sum::<Scalar>()
        };
        ["cpus", "mem", "disk", "gpus", "ports"].map(amount)
    }

    /// Returns the amounts that so many instances lack, without those that are there.
    fn missing(&self, left: &Left, instances: u64) -> Vec<(&'static str, Scalar)> {
        let missing = |((name, need), left): ((&'static str, Scalar), &Scalar)| {
            let all = Scalar::milli(need.as_milli().saturating_mul(instances).min(Scalar::MAX.as_milli()));
            (name, all.saturating_sub(*left))
        };
        self.needs().into_iter().zip(left).map(missing).filter(|(_, amount)| !amount.is_zero()).collect()
    }

    fn accepts(&self, role: Option<&Role>) -> bool {
        let default = Role::default();
        let role = role.unwrap_or(&default);
        match self.app.accepted_roles.as_ref().or(self.planner.accepted_roles.as_ref()) {
            Some(accepted) => accepted.contains(role),
            None => role.is_default() || self.app.role.as_ref() == Some(role),
        }
    }

    /// Adds to the resources of an offer, of a role that the app accepts.
    fn add(&self, offer: &mut Offer, name: &str, value: Value) -> Option<()> {
        let mut resource = Resource::new(name, value);
        if !self.accepts(None) {
            let accepted = self.app.accepted_roles.as_ref().or(self.planner.accepted_roles.as_ref())?;
            resource = resource.reserved(Reservation::fixed(accepted.first()?.clone()));
        }
        let more = Resources::try_from_iter([resource]).ok()?;
        offer.resources = offer.resources.checked_add(&more).ok()?;
        Some(())
    }
}

/// What is left in an offer for an app: cpus, mem, disk, gpus, ports.
type Left = [Scalar; 5];

/// What was added in one round.
#[derive(Debug)]
enum Added {
    Hosts {
        count: u64,
        with: Vec<Text>,
    },
    /// To an offer in which that was left.
    Amounts(Left),
}

/// Adds the values of an offer that conditions of the app ask for.
fn describe(app: &App, offer: &Offer, with: &mut Vec<Text>) {
    let location = Location::from(offer);
    for condition in app.conditions() {
        let is_asked_for = match &condition.operator {
            Operator::Is(_)
            | Operator::In(_)
            | Operator::Like(_)
            | Operator::Has(_)
            | Operator::Exists
            | Operator::Compare(..)
            | Operator::Cluster(_) => !condition.field.is_of_tasks() && condition.field != Field::Hostname,
            Operator::Unique
            | Operator::GroupBy(_)
            | Operator::MaxPer(_)
            | Operator::MaxSkew(_)
            | Operator::Exclusive
            | Operator::IsNot(_)
            | Operator::NotIn(_)
            | Operator::Unlike(_)
            | Operator::Lacks(_)
            | Operator::Absent => false,
        };
        if let Some(value) = location.value(&condition.field).filter(|_| is_asked_for) {
            let text = Text::from_display(format_args!("{}:{value}", plain(&condition.field)));
            if !with.contains(&text) {
                with.push(text);
            }
        }
    }
}

/// Sets the value of a field of an offer's location.
fn set(offer: &mut Offer, field: &Field, value: &str) {
    match field {
        Field::Hostname => offer.hostname = value.into(),
        Field::Region => offer.domain.get_or_insert_with(no_domain).region = value.into(),
        Field::Zone => offer.domain.get_or_insert_with(no_domain).zone = value.into(),
        Field::Attribute(name) => offer.attributes.set(name, Some(value)),
        Field::App | Field::Task | Field::Image | Field::Label(_) => {}
    }
}

fn no_domain() -> Domain {
    Domain { region: Text::default(), zone: Text::default() }
}

/// Returns a field without its mark.
fn plain(field: &Field) -> String {
    field.to_string().trim_start_matches('@').to_owned()
}

/// Returns so many ports beyond those of an offer.
fn unused(offer: &Offer, count: u64) -> Option<Ranges> {
    let last = offer.resources.ranges("ports").as_slice().last().map_or(0, |range| range.end);
    last.checked_add(count).map(|_| ranges(last + 1, count))
}

fn ranges(begin: u64, count: u64) -> Ranges {
    (count > 0).then(|| begin..=begin + (count - 1)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Problem;

    fn expansion(app: &str, offers: &str) -> Option<String> {
        let problem: Problem = format!(r#"{{"app": {app}, "offers": [{offers}]}}"#).parse().unwrap();
        let mut plan = problem.solve();
        problem.expand(&mut plan);
        plan.unplaced[0].expansion.as_ref().map(ToString::to_string)
    }

    fn offer(n: u32, resources: &str, attributes: &str) -> String {
        format!(r#"{{"id": "o{n}", "hostname": "h{n}", "resources": "{resources}", "attributes": "{attributes}"}}"#)
    }

    #[test]
    fn amounts_are_those_of_all_that_wait() {
        let small = offer(1, "cpus:1;mem:128;ports:[1-3]", "");
        let app = |more: &str| format!(r#"{{"id": "a", "instances": 13, "ports": [], "mem": 1{more}}}"#);
        assert_eq!(expansion(&app(""), &small).unwrap(), "12 cpus");
        assert_eq!(expansion(&app(r#", "disk": 2"#), &small).unwrap(), "12 cpus and 26 disk");
        let ports = r#"{"id": "a", "instances": 4, "cpus": 0.1, "mem": 1, "ports": [0, 0]}"#;
        assert_eq!(expansion(ports, &small).unwrap(), "5 ports");
    }

    #[test]
    fn hosts_are_counted_by_what_is_particular_about_them() {
        let (one, big) =
            (offer(1, "cpus:4;mem:4096;ports:[1-9]", "rack:r1"), offer(2, "cpus:4;mem:4096;ports:[1-9]", "rack:r2"));
        let app = |instances: u32, constraint: &str| {
            format!(r#"{{"id": "a", "instances": {instances}, "cpus": 2, "constraints": [{constraint}]}}"#)
        };
        assert_eq!(expansion(&app(5, r#"["hostname", "UNIQUE"]"#), &one).unwrap(), "4 more hosts");
        assert_eq!(expansion(&app(1001, r#"["hostname", "UNIQUE"]"#), &one).unwrap(), "1000 more hosts");
        assert_eq!(expansion(&app(6, r#"["rack", "IS", "r2"]"#), &one).unwrap(), "3 more hosts with rack:r2");
        assert_eq!(
            expansion(&app(3, r#"["rack", "UNIQUE"]"#), &format!("{one},{big}")).unwrap(),
            "1 more host with another rack"
        );
        assert_eq!(expansion(&app(4, r#"["rack", "MAX_PER", "1"]"#), &one).unwrap(), "3 more hosts with another rack");
        assert_eq!(expansion(&app(1, r#"["rack", "LIKE", "x.*"]"#), &one), None, "no number of hosts would do");
        assert_eq!(expansion(&app(20_001, r#"["hostname", "UNIQUE"]"#), &one), None, "too many to try");
        let port = r#"{"id": "a", "instances": 3, "ports": [5], "requirePorts": true}"#;
        assert_eq!(expansion(port, &one).unwrap(), "2 more hosts with port 5");
    }
}
