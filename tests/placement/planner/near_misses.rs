//! Near misses are true: with the change the task is placed, with anything less it is not.

use super::{CASES, problem, read};
use crate::tier::tier;
use apportion::constraint::{Clause, Condition, Field};
use apportion::placement::{Launch, NearMiss, NeededChange, Plan, Problem, Unplaced, VolumeSource};
use apportion::{Attributes, DiskType, Domain, Offer, Resource, Resources, Role, Scalar, Value};
use proptest::prelude::*;

/// The problem as it stands when the plan is carried out, for that app alone.
fn rest(problem: &Problem, plan: &Plan, waiting: &Unplaced) -> Problem {
    let mut rest = problem.clone();
    rest.running.extend(plan.launches.iter().map(Launch::running));
    for launch in &plan.launches {
        let offer = rest.offers.iter_mut().find(|offer| offer.id == launch.offer).unwrap();
        offer.resources = offer.resources.checked_sub(&launch.resources).unwrap();
    }
    rest.apps.iter_mut().filter(|app| app.id != waiting.app).for_each(|app| app.instances = 0);
    rest
}

/// The problem with these changes: to the offer, or to one more that is like it.
fn changed(problem: &Problem, near: &NearMiss, changes: &[NeededChange], app: &str, new: &str) -> Problem {
    let mut problem = problem.clone();
    let app = problem.apps.iter_mut().find(|one| one.id == app).unwrap();
    let at = problem.offers.iter().position(|offer| offer.id == near.offer).unwrap();
    let is_elsewhere = |change: &NeededChange| {
        matches!(change, NeededChange::Value { .. } | NeededChange::NewValue(_) | NeededChange::NoValue(_))
    };
    let at = if changes.iter().any(is_elsewhere) {
        let mut more = problem.offers[at].clone();
        more.id = "near".into();
        problem.offers.push(more);
        problem.offers.len() - 1
    } else {
        at
    };
    let offer = &mut problem.offers[at];
    let mut roles = vec![Role::default()];
    roles.extend(app.role.clone());
    let roles = app.accepted_roles.clone().or_else(|| problem.planner.accepted_roles.clone()).unwrap_or(roles);
    let role = roles.iter().find(|role| role.is_default()).unwrap_or(&roles[0]);
    for change in changes {
        match change {
            NeededChange::More { name, amount } => add(offer, &format!("{name}({role}):{amount}")),
            NeededChange::Other(missing) => add(offer, &other(missing, role)),
            NeededChange::Ports(count) => add(offer, &format!("ports({role}):[40000-{}]", 39_999 + count)),
            NeededChange::Port(number) => add(offer, &format!("ports({role}):[{number}-{number}]")),
            NeededChange::Disk { source: VolumeSource::Root, size } => add(offer, &format!("disk:{size}")),
            NeededChange::Disk { source, size } => offer.resources = with_disk(&offer.resources, *source, *size),
            NeededChange::Value { field, value } => set(offer, field, Some(value)),
            NeededChange::NewValue(field) => set(offer, field, Some(new)),
            NeededChange::NoValue(field) => set(offer, field, None),
            NeededChange::OfferTo(role) => offer.role = role.clone(),
            NeededChange::OfRole(role) => add(offer, &format!("x({role}):1")),
            NeededChange::NoMaintenance { .. } => offer.unavailability = None,
            NeededChange::NoGpus => offer.resources = offer.resources.filter(|resource| resource.name() != "gpus"),
            NeededChange::Without { clause } => {
                // Whoever asks for a zone may go anywhere: that is not to change.
                let condition = |text: &str| Clause::from(text.parse::<Condition>().unwrap());
                let of_places = clause.contains("@zone") || clause.contains("@region");
                app.require.retain(|one| one.to_string() != *clause);
                if of_places {
                    app.require.push(Clause::Any(vec![condition("@zone EXISTS"), condition("@zone ABSENT")]));
                }
            }
            other => unreachable!("{other}"),
        }
    }
    problem
}

/// The text of what is missing: where a number of members is, new members.
fn other(missing: &Resource, role: &Role) -> String {
    let (name, role) = (missing.name(), missing.role().unwrap_or(role));
    let count = missing.scalar().map_or(0, |count| count.as_milli() / 1000);
    match (name, missing.value()) {
        ("names", Value::Scalar(_)) => {
            format!("names({role}):{{{}}}", (0..count).map(|n| format!("new{n}")).collect::<Vec<_>>().join(","))
        }
        ("ids", Value::Scalar(_)) => format!("ids({role}):[900-{}]", 899 + count),
        (_, value) => format!("{name}({role}):{value}"),
    }
}

fn add(offer: &mut Offer, text: &str) {
    let more: Resources = text.replace("(*)", "").parse().unwrap();
    offer.resources = offer.resources.checked_add(&more).unwrap();
}

fn with_disk(resources: &Resources, source: VolumeSource, size: Scalar) -> Resources {
    let (kind, key) = if source == VolumeSource::Mount { (DiskType::Mount, "mount") } else { (DiskType::Path, "path") };
    let disk = serde_json::json!([{"name": "disk", "type": "SCALAR", "scalar": {"value": size},
        "disk": {"source": {"type": kind, key: {"root": "/new"}}}}]);
    resources.checked_add(&serde_json::from_value(disk).unwrap()).unwrap()
}

fn set(offer: &mut Offer, field: &Field, value: Option<&str>) {
    let mut domain = offer.domain.clone().unwrap_or_else(|| Domain { region: "".into(), zone: "".into() });
    let text = value.unwrap_or_default().into();
    match field {
        Field::Hostname => offer.hostname = text,
        Field::Region => domain.region = text,
        Field::Zone => domain.zone = text,
        Field::Attribute(name) => {
            let mut attributes = Attributes::new();
            for one in offer.attributes.iter().filter(|one| one.name != *name) {
                attributes.push(one.name.clone(), one.value.clone());
            }
            if let Some(value) = value {
                attributes.push(name.clone(), value.parse::<apportion::AttributeValue>().unwrap());
            }
            offer.attributes = attributes;
        }
        other => unreachable!("{other}"),
    }
    offer.domain = Some(domain);
}

fn places(problem: &Problem, near: &NearMiss, changes: &[NeededChange], app: &str) -> bool {
    let solved = |new: &&str| changed(problem, near, changes, app, new).solve();
    ["new", "1000000"].iter().any(|new| solved(new).launches.iter().any(|launch| launch.app == app))
}

/// The changes with less of one of them.
fn smaller(changes: &[NeededChange]) -> Vec<Vec<NeededChange>> {
    let mut all = Vec::new();
    for at in 0..changes.len() {
        let mut less = changes.to_vec();
        match &mut less[at] {
            NeededChange::More { amount, .. } if *amount > Scalar::milli(1) => {
                *amount = amount.saturating_sub(Scalar::milli(1))
            }
            NeededChange::Other(missing)
                if missing.name() == "licenses" && missing.scalar() > Some(Scalar::milli(1)) =>
            {
                let less = missing.scalar().unwrap_or_default() - Scalar::milli(1);
                **missing = missing.as_ref().clone().with_value(Value::Scalar(less));
            }
            NeededChange::Ports(count) if *count > 1 => *count -= 1,
            _ => drop(less.remove(at)),
        }
        all.push(less);
    }
    all
}

/// Whether it can be carried out here: a new disk may not suit a volume's maximum, or another volume may want it more; and
/// without a condition `MAX_SKEW` may know more values.
fn can_be_tried(problem: &Problem, near: &NearMiss, app: &str) -> bool {
    let app = problem.apps.iter().find(|one| one.id == app).unwrap();
    let disks = near.changes.iter().any(|change| matches!(change, NeededChange::Disk { .. }));
    let without = near.changes.iter().any(|change| matches!(change, NeededChange::Without { .. }));
    let skews = app.require.iter().any(|clause| clause.to_string().contains("MAX_SKEW"));
    let offer = problem.offers.iter().find(|offer| offer.id == near.offer).unwrap();
    let has_gpus =
        |is_amount: bool| offer.resources.iter().any(|one| one.name() == "gpus" && one.scalar().is_some() == is_amount);
    // A name has one type: gpus are an amount there, or a set.
    let clashes = near.changes.iter().any(|change| match change {
        NeededChange::More { name, .. } => *name == "gpus" && has_gpus(false),
        NeededChange::Other(missing) => missing.name() == "gpus" && has_gpus(true),
        _ => false,
    });
    let clashes = clashes || (!app.gpus.is_zero() && !app.ask.amount("gpus").is_zero());
    let is_open = (disks && app.volumes.len() > 1) || (without && skews) || clashes;
    !is_open
}

proptest! {
    #![proptest_config(tier(CASES))]

    #[test]
    fn near_misses_are_true_and_the_smallest(json in problem()) {
        let problem = read(&json);
        let plan = problem.solve();
        for waiting in &plan.unplaced {
            let Some(near) = &waiting.near_miss else { continue };
            let rest = rest(&problem, &plan, waiting);
            if !can_be_tried(&problem, near, &waiting.app) {
                continue;
            }
            prop_assert!(places(&rest, near, &near.changes, &waiting.app), "{near} is not enough for {}: {json}", waiting.app);
            for less in smaller(&near.changes) {
                prop_assert!(!places(&rest, near, &less, &waiting.app), "{less:?} is enough, not {near}, for {}: {json}", waiting.app);
            }
        }
    }

    /// Where there are offers, there is a near miss, unless two ports are one, or a task is kept out wherever it would go, or asks
    /// for what its app does not take.
    #[test]
    fn whoever_waits_is_told_what_is_missing(json in problem()) {
        let problem = read(&json);
        let plan = problem.solve();
        let keeps = json.to_string().contains("EXCLUSIVE") || json.to_string().contains("licenses(eng):1;");
        for waiting in plan.unplaced.iter().filter(|_| !keeps && !problem.offers.is_empty()) {
            let has_reasons = problem.offers.iter().all(|offer| waiting.reasons.iter().any(|one| one.offer == offer.id));
            prop_assert!(!has_reasons || waiting.near_miss.is_some(), "{} {json}", waiting.app);
        }
    }
}

#[test]
fn a_near_miss_reads_well() {
    let near = |apps: &str, offers: &str| {
        let problem: Problem = format!(r#"{{"apps": [{apps}], "offers": [{offers}]}}"#).parse().unwrap();
        problem.solve().unplaced[0].near_miss.as_ref().unwrap().to_string()
    };
    let offer = |id: u32, more: &str, attributes: &str| {
        format!(
            r#"{{"id": "o{id}", "hostname": "a{id}", "resources": "cpus:4;mem:512;{more}", "attributes": "{attributes}"}}"#
        )
    };
    let cases = [
        (r#"{"id": "a", "cpus": 4.25}"#, offer(7, "ports:[1-9]", ""), "0.25 more cpus on a7"),
        (
            r#"{"id": "a", "cpus": 5, "mem": 1024, "ports": [0, 0]}"#,
            offer(7, "ports:[1-1]", ""),
            "1 more cpus and 512 more mem and 1 more port on a7",
        ),
        (
            r#"{"id": "a", "instances": 2, "constraints": [["rack", "UNIQUE"]]}"#,
            offer(1, "ports:[1-9]", "rack:r1"),
            "one more rack",
        ),
        (
            r#"{"id": "a", "instances": 2, "constraints": [["hostname", "MAX_PER", 1]]}"#,
            offer(1, "ports:[1-9]", ""),
            "one more host",
        ),
        (
            r#"{"id": "a", "constraints": [["rack", "IS", "r2"]]}"#,
            offer(1, "ports:[1-9]", "rack:r1"),
            "one more agent like a1 with rack r2",
        ),
        (r#"{"id": "a", "ports": [80], "requirePorts": true}"#, offer(1, "ports:[1-9]", ""), "port 80 on a1"),
        (
            r#"{"id": "a", "constraints": [["rack", "LIKE", "x"]]}"#,
            offer(1, "ports:[1-9]", "rack:r1"),
            "no condition rack LIKE x on a1",
        ),
        (r#"{"id": "a"}"#, offer(1, "gpus:1;ports:[1-9]", ""), "no gpus on a1"),
    ];
    for (app, offer, text) in cases {
        assert_eq!(near(app, &offer), text);
    }
}

#[test]
fn the_nearest_is_the_one_that_lacks_the_smallest_part() {
    let problem: Problem = r#"{"app": {"id": "a", "cpus": 4, "mem": 1000}, "offers": [
        {"id": "o1", "hostname": "a1", "resources": "cpus:1;mem:1000;ports:[1-9]"},
        {"id": "o2", "hostname": "a2", "resources": "cpus:4;mem:900;ports:[1-9]"},
        {"id": "o3", "hostname": "a3", "resources": "cpus:3.9;mem:950;ports:[1-9]"},
        {"id": "o4", "hostname": "a4", "resources": "cpus:3.9;mem:950;ports:[1-9]"}]}"#
        .parse()
        .unwrap();
    let near = problem.solve().unplaced[0].near_miss.clone().unwrap();
    assert_eq!(near.to_string(), "0.1 more cpus and 50 more mem on a3");
    let json = serde_json::to_value(problem.solve()).unwrap();
    let told = serde_json::json!({"offer": "o3", "text": "0.1 more cpus and 50 more mem on a3"});
    assert_eq!(json["unplaced"][0]["near_miss"], told);
}
