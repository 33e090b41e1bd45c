//! What a task takes of an offer: amounts, ports, disks for volumes.

use apportion::placement::{HostPort, PortRequest, VolumeRequest, VolumeSource};
use apportion::{DiskType, Resource, Resources, Scalar, Value};
use std::collections::BTreeSet;

/// Takes an amount of one pool after another.
pub(super) fn amount(pools: &[Resource], left: &mut Resources, needed: Scalar) -> Vec<Resource> {
    let (mut parts, mut missing) = (Vec::new(), needed);
    for pool in pools {
        let part = pool.scalar().unwrap_or_default().min(missing);
        if !part.is_zero() {
            missing = missing.checked_sub(part).unwrap();
            let part = pool.clone().with_value(Value::Scalar(part));
            *left = left.checked_sub(&Resources::try_from_iter([part.clone()]).unwrap()).unwrap();
            parts.push(part);
        }
    }
    parts
}

/// What a task gets of the other resources that it asks for, entry by entry and member by member; none for an entry that is
/// short. What the request reserves goes first.
pub(super) fn others(
    ask: &Resources,
    left: &mut Resources,
    takes: impl Fn(&Resource) -> bool,
) -> Vec<Option<Vec<Resource>>> {
    let mut entries: Vec<&Resource> = ask.iter().collect();
    entries.sort_by_key(|entry| entry.role().is_none());
    entries.into_iter().map(|entry| other(entry, left, &takes)).collect()
}

fn other(entry: &Resource, left: &mut Resources, takes: impl Fn(&Resource) -> bool) -> Option<Vec<Resource>> {
    let suits = |pool: &&Resource| {
        pool.name() == entry.name() && takes(pool) && (entry.role().is_none() || entry.role() == pool.role())
    };
    let mut pools: Vec<Resource> = left.iter().filter(suits).cloned().collect();
    pools.sort_by_key(|pool| std::cmp::Reverse(pool.role().map_or(0, |role| role.as_str().len())));
    let is_amount = pools.iter().all(|pool| pool.scalar().is_some());
    if let (true, Some(needed)) = (is_amount, entry.scalar()) {
        let there: u64 = pools.iter().filter_map(Resource::scalar).map(Scalar::as_milli).sum();
        return (there >= needed.as_milli()).then(|| amount(&pools, left, needed));
    }
    let members = |resource: &Resource| match resource.value() {
        Value::Scalar(_) => Vec::new(),
        Value::Ranges(ranges) => ranges.iter().map(|number| Value::Ranges([number].into_iter().collect())).collect(),
        Value::Set(set) => set.iter().map(|name| Value::Set([name].into_iter().collect())).collect::<Vec<_>>(),
    };
    let mut there: Vec<Resource> = Vec::new();
    for pool in &pools {
        there.extend(members(pool).into_iter().map(|member| pool.clone().with_value(member)));
    }
    let chosen: Vec<Resource> = match entry.scalar() {
        Some(count) => there.into_iter().take(usize::try_from(count.as_milli() / 1000).unwrap()).collect(),
        None => there.into_iter().filter(|one| members(entry).contains(one.value())).collect(),
    };
    let wanted = entry.scalar().map_or_else(|| members(entry).len() as u64, |count| count.as_milli() / 1000);
    if (chosen.len() as u64) < wanted {
        return None;
    }
    *left = left.checked_sub(&Resources::try_from_iter(chosen.clone()).unwrap()).unwrap();
    Some(chosen)
}

/// The ports that a task gets and the resources that they are: the lowest of each pool, one pool after another.
pub(super) fn ports(wanted: &[PortRequest], pools: &[Resource]) -> Option<(Vec<Option<u64>>, Vec<Resource>)> {
    let numbers = |pool: &Resource| match pool.value() {
        Value::Ranges(ranges) => ranges.iter().collect::<BTreeSet<u64>>(),
        Value::Scalar(_) | Value::Set(_) => BTreeSet::new(),
    };
    let pools: Vec<(&Resource, BTreeSet<u64>)> = pools.iter().map(|pool| (pool, numbers(pool))).collect();
    let fixed: Vec<u64> = wanted
        .iter()
        .filter_map(|port| if let HostPort::Fixed(n) = port.host { Some(n.into()) } else { None })
        .collect();
    let mut given: Vec<(u64, usize)> = Vec::new();
    let mut ports = Vec::new();
    for port in wanted {
        let found = match port.host {
            HostPort::None => {
                ports.push(None);
                continue;
            }
            HostPort::Fixed(number) => {
                let pool = pools.iter().position(|(_, numbers)| numbers.contains(&number.into()))?;
                (u64::from(number), pool)
            }
            HostPort::Dynamic => {
                let all = pools.iter().enumerate().flat_map(|(i, (_, numbers))| numbers.iter().map(move |n| (*n, i)));
                let mut free = all.filter(|(n, _)| !fixed.contains(n) && given.iter().all(|(taken, _)| taken != n));
                free.next()?
            }
        };
        if given.iter().any(|(number, _)| *number == found.0) {
            return None; // wanted twice by number
        }
        given.push(found);
        ports.push(Some(found.0));
    }
    let part = |(number, pool): &(u64, usize)| {
        pools[*pool].0.clone().with_value(Value::Ranges(std::iter::once(*number..=*number).collect()))
    };
    Some((ports, given.iter().map(part).collect()))
}

/// A disk for each volume, the biggest first: of divided disks the one with the most space, of whole ones the smallest.
pub(super) fn volumes(wanted: &[VolumeRequest], left: &mut Resources) -> Option<Vec<Resource>> {
    let mut wanted: Vec<&VolumeRequest> = wanted.iter().collect();
    wanted.sort_by_key(|volume| std::cmp::Reverse(volume.size));
    let mut taken = Vec::new();
    for volume in wanted {
        let suits = |disk: &&Resource| {
            let source = disk.kind().and_then(|kind| kind.disk.as_ref()).and_then(|disk| disk.source.as_ref());
            let is_volume =
                disk.kind().and_then(|kind| kind.disk.as_ref()).is_some_and(|disk| disk.persistence.is_some());
            let kind = match volume.source {
                VolumeSource::Root => None,
                VolumeSource::Path => Some(DiskType::Path),
                VolumeSource::Mount => Some(DiskType::Mount),
            };
            let path = source.and_then(|source| source.root.as_deref());
            let at =
                volume.patterns.iter().all(|(pattern, must)| path.is_some_and(|path| pattern.matches(path)) == *must);
            let whole = volume.source == VolumeSource::Mount;
            let size = disk.scalar().unwrap_or_default();
            let size = size >= volume.size && !(whole && volume.max_size.is_some_and(|max_size| size > max_size));
            let free = disk.role().is_none() && !disk.is_revocable() && !disk.is_shared() && !is_volume;
            disk.name() == "disk" && free && source.map(|source| source.kind) == kind && at && size
        };
        let mut disks: Vec<&Resource> = left.iter().filter(suits).collect();
        let size = |disk: &&Resource| disk.scalar().unwrap_or_default();
        let disk = if volume.source == VolumeSource::Mount {
            disks.sort_by_key(size);
            disks.first()?.to_owned().clone()
        } else {
            disks.sort_by_key(|disk| std::cmp::Reverse(size(disk)));
            disks.first()?.to_owned().clone().with_value(Value::Scalar(volume.size))
        };
        *left = left.checked_sub(&Resources::try_from_iter([disk.clone()]).unwrap()).unwrap();
        taken.push(disk);
    }
    Some(taken)
}
