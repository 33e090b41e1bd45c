//! Resources to play with: few names, small amounts, every kind that semantics tell apart.

use apportion::{ExecutorInfo, Operation, Reservation, Resource, Resources, Role, Scalar, Value};
use serde_json::json;

/// How many agents there are to come and go.
pub(crate) const AGENTS: usize = 3;

const TOTALS: [&str; 14] = [
    "cpus:2;mem:64",
    "cpus:2;mem:64",
    "cpus:1;mem:128;ports:[1-4]",
    "cpus:2;cpus(a):1;mem:64;ports:[1-2];ports(a):[3-4]",
    "cpus:1;mem(a/b):64;mem:64;cpus(d):1",
    "cpus:1;gpus:1;mem:32",
    "cpus(a):1;mem(a):32",
    "cpus:3;mem:32;zones:{x,y}",
    "cpus:4;mem:256;disk:20;disk(a):20",
    "cpus:0.009;mem:31.999;ports:[1-2]",
    "mem:96;foo:3",
    "cpus:2;mem:64;disk(d):10;foo:1",
    "cpus:2;mem:64;ports:[1-2];zones:{x}",
    // As much of a kind as can be told.
    "cpus:9000000000000;cpus(a):9000000000000;mem:64",
];

const SPECIAL: [&str; 6] = [
    r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}}"#,
    r#"{"name":"disk","type":"SCALAR","scalar":{"value":8},"reservations":[{"type":"STATIC","role":"a"}],
        "disk":{"persistence":{"id":"s"},"volume":{"container_path":"s","mode":"RW"}},"shared":{}}"#,
    r#"{"name":"disk","type":"SCALAR","scalar":{"value":16},"disk":{"source":{"type":"MOUNT","mount":{"root":"/m"}}}}"#,
    r#"{"name":"disk","type":"SCALAR","scalar":{"value":4},"reservations":[{"type":"STATIC","role":"a"},
        {"type":"DYNAMIC","role":"a/b"}],"disk":{"persistence":{"id":"v"},"volume":{"container_path":"v","mode":"RW"}}}"#,
    r#"{"name":"mem","type":"SCALAR","scalar":{"value":32},"reservations":[{"type":"DYNAMIC","role":"d"}],"revocable":{}}"#,
    r#"{"name":"disk","type":"SCALAR","scalar":{"value":8},"reservations":[{"type":"DYNAMIC","role":"d"}],
        "disk":{"persistence":{"id":"s"},"volume":{"container_path":"s","mode":"RW"}},"shared":{}}"#,
];

/// What an agent has: one of a few plain totals, and sometimes something special with it.
pub(crate) fn agent_resources(die: usize) -> Resources {
    let plain: Resources = TOTALS[die % TOTALS.len()].parse().expect("resources");
    let special: String = match die / TOTALS.len() {
        which @ 0..=5 => SPECIAL[which].to_owned(),
        6 => SPECIAL[..3].join(","),
        7 => SPECIAL[1..5].join(","),
        8 => SPECIAL.join(","),
        9 => format!("{},{}", SPECIAL[1], SPECIAL[1].replace(r#""value":8"#, r#""value":9"#)),
        _ => String::new(),
    };
    let special: Resources = serde_json::from_str(&format!("[{special}]")).expect("resources");
    plain.checked_add(&special).expect("small amounts of the same types")
}

/// A part of resources: each whole, a bit of it, or not at all.
pub(crate) fn part(resources: &Resources, mut die: impl FnMut() -> usize) -> Resources {
    let taken = resources.iter().filter_map(|resource| match die() % 4 {
        0 => None,
        1 => Some(resource.clone()),
        _ if resource.is_indivisible() => Some(resource.clone()),
        which => Some(resource.clone().with_value(a_bit(resource.value(), which))),
    });
    Resources::try_from_iter(taken.collect::<Vec<_>>()).expect("no more than there was")
}

fn a_bit(value: &Value, which: usize) -> Value {
    match value {
        Value::Scalar(amount) => {
            let units = if amount.as_milli() > 4000 { 16_000 } else { 500 };
            Value::Scalar((*amount).min(Scalar::milli(units * (which as u64 - 1))))
        }
        Value::Ranges(ranges) => Value::Ranges(ranges.iter().take(1).collect()),
        Value::Set(set) => Value::Set(set.as_slice().iter().take(1).cloned().collect()),
    }
}

/// The resources as they would be with a reservation to `role` on top, which need not make sense.
pub(crate) fn reserved_to(resources: &Resources, role: &Role) -> Resources {
    let sensible =
        |resource: &&Resource| !role.is_default() && resource.role().is_none_or(|owner| role.is_below(owner));
    let reserved =
        resources.iter().filter(sensible).map(|resource| resource.clone().reserved(Reservation::dynamic(role.clone())));
    Resources::try_from_iter(reserved.collect::<Vec<_>>()).expect("no more than there was")
}

/// The same things as an agent may tell them after a change of its configuration: reserved otherwise, disks in another
/// size, volumes as the disks that they were made of.
pub(crate) fn told_otherwise(resources: &Resources, mut die: impl FnMut() -> usize) -> Resources {
    let role: Role = "a".parse().expect("a role");
    let told = resources.iter().map(|resource| {
        let mut kind = resource.kind().cloned().unwrap_or_default();
        let volume = kind.disk.as_ref().is_some_and(|disk| disk.persistence.is_some());
        match die() % 4 {
            0 if volume => {
                let source = kind.disk.take().and_then(|disk| disk.source);
                kind.disk = source.map(|source| {
                    let mut disk = apportion::Disk::default();
                    disk.source = Some(source);
                    disk
                });
                kind.shared = false;
                Resource::new(resource.name(), resource.value().clone()).with_kind(kind)
            }
            0 | 1 if !volume && kind.reservations.is_empty() => {
                resource.clone().reserved(Reservation::fixed(role.clone()))
            }
            0 if !volume => {
                kind.reservations.clear();
                resource.clone().with_kind(kind)
            }
            2 => match resource.scalar() {
                Some(amount) if amount <= Scalar::units(1000) => {
                    let amount = amount.checked_add(Scalar::units(2)).expect("a small amount");
                    resource.clone().with_value(Value::Scalar(amount))
                }
                _ => resource.clone(),
            },
            _ => resource.clone(),
        }
    });
    Resources::try_from_iter(told.collect::<Vec<_>>()).unwrap_or_else(|_| resources.clone())
}

/// Volumes on the disks among the resources.
pub(crate) fn volumes_of(resources: &Resources, die: usize) -> Resources {
    let disks = resources.iter().filter(|resource| resource.name() == "disk");
    let volumes = disks.map(|disk| {
        let mut kind = disk.kind().cloned().unwrap_or_default();
        let volume: Resource = volume(["v", "w", "s", "v"][die], if die == 3 { "RO" } else { "RW" });
        let made = volume.kind().and_then(|kind| kind.disk.clone()).expect("a volume");
        let source = kind.disk.take().and_then(|disk| disk.source);
        kind.disk = Some(made);
        if let Some(disk) = &mut kind.disk {
            disk.source = source;
        }
        kind.shared = die == 2;
        disk.clone().with_kind(kind)
    });
    Resources::try_from_iter(volumes.collect::<Vec<_>>()).expect("no more than there was")
}

fn volume(id: &str, mode: &str) -> Resource {
    let json = format!(
        r#"[{{"name":"disk","type":"SCALAR","scalar":{{"value":1}},
        "disk":{{"persistence":{{"id":"{id}"}},"volume":{{"container_path":"p","mode":"{mode}"}}}}}}]"#
    );
    let resources: Resources = serde_json::from_str(&json).expect("a volume");
    resources.into_iter().next().expect("one resource")
}

/// Grows a volume by some of the disk beside it, or shrinks it.
pub(crate) fn resized(grow: bool, taken: &Resources, beside: &Resources) -> Operation {
    let fallback = || volume("none", "RW");
    let volume = taken.iter().find(|resource| resource.is_indivisible()).cloned().unwrap_or_else(fallback);
    if !grow {
        return Operation::ShrinkVolume { volume: Box::new(volume), subtract: Scalar::units(1) };
    }
    let disk = beside
        .iter()
        .find(|resource| resource.name() == "disk" && !resource.is_indivisible() && resource.role() == volume.role());
    let addition = disk.cloned().unwrap_or_else(fallback).with_value(Value::Scalar(Scalar::units(1)));
    Operation::GrowVolume { volume: Box::new(volume), addition: Box::new(addition) }
}

/// An executor of one of two ids, not always the same under one id.
pub(crate) fn executor(die: usize) -> apportion::Json {
    let mut info = ExecutorInfo::new(["e1", "e2"][die % 2]);
    info.resources = ["cpus:0.25", "", "mem:8", "cpus:0.25"][die / 2 % 4].parse().expect("resources");
    info.detail("command", json!({"value": "x"})).into()
}
