//! [`Balance`]: what is available of an agent, given its total and what is held of it.

use crate::resources::{Disk, DiskSource, DiskType, Quantities, Ranges, Resource, Resources, Scalar, Set, Value};
use crate::text::Text;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The available resources of an agent.
///
/// Ordinarily the total contains all held resources, kind by kind, and the rest is available. A new total may describe held
/// resources in another form: reserved ones as unreserved, a volume as the disk that it was made of, a disk in another size.
/// Even then nothing is offered twice:
///
/// - Of a name no more is available than the total of all kinds less what is held of all kinds. The kinds use that up in
///   canonical order (unreserved before reserved, then by role), an indivisible resource whole or not at all: the last
///   kinds lose. An agent of which more is held than its total is *over-committed*: nothing of that name is available.
/// - A volume or a whole disk that is held in another size, or under another reservation, is not available.
/// - A port, or the member of a set, that is held in one kind is available in no other.
///
/// Shared resources are available however often they are held, before all others. One that is held and not in the total is
/// held once.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::allocator) struct Balance {
    /// The resources that can be offered.
    pub(in crate::allocator) available: Resources,
    /// True if the total contains all held resources, kind by kind.
    pub(super) is_covered: bool,
    /// By name, the amount by which what is held exceeds the total.
    pub(in crate::allocator) overcommitted: Quantities,
}

impl Balance {
    pub(in crate::allocator) fn new(total: &Resources, offered: &Resources, allocated: &Resources) -> Self {
        let mut available = total.clone();
        let mut is_covered = !repeats_members(total);
        // One after the other: a port that is held twice is in the total, but not in what the first leaves over.
        for held in [offered, allocated] {
            let unshared = unshared(held);
            is_covered &= available.contains(&unshared) && shared_of(held).all(|shared| has_shared(total, shared));
            available.remove(&unshared);
        }
        if is_covered {
            return Self { available, is_covered, overcommitted: Quantities::new() };
        }
        let held = Held::new(total, offered, allocated);
        let overcommitted = held.overcommitted();
        Self { available: held.cap(&available), is_covered, overcommitted }
    }
}

/// The held resources of an agent whose total does not contain them.
struct Held {
    /// By name, the scalars of the total and those held, in thousandths.
    scalars: BTreeMap<Text, (u128, u128)>,
    /// By name, the numbers and the members held.
    ranges: BTreeMap<Text, Ranges>,
    sets: BTreeMap<Text, Set>,
    /// The indivisible resources held that are not in the total.
    missing: Vec<Resource>,
}

impl Held {
    fn new(total: &Resources, offered: &Resources, allocated: &Resources) -> Self {
        let mut held =
            Self { scalars: BTreeMap::new(), ranges: BTreeMap::new(), sets: BTreeMap::new(), missing: Vec::new() };
        for resource in total {
            held.amounts(resource).0 += milli(resource);
        }
        let mut left = total.clone();
        for part in [offered, allocated] {
            let unshared = unshared(part);
            unshared.iter().for_each(|resource| held.add(resource));
            held.missing.extend(unshared.saturating_sub(&left).iter().filter(|it| it.is_indivisible()).cloned());
            left.remove(&unshared);
            for shared in shared_of(part).filter(|shared| !has_shared(total, shared)) {
                if !held.missing.iter().any(|known| known.same_shared(shared)) {
                    held.add(shared);
                    held.missing.push(shared.clone());
                }
            }
        }
        held
    }

    /// Returns the amounts of a name: in the total, and held.
    fn amounts(&mut self, resource: &Resource) -> &mut (u128, u128) {
        self.scalars.entry(resource.name().into()).or_default()
    }

    fn add(&mut self, resource: &Resource) {
        match resource.value() {
            Value::Scalar(_) => self.amounts(resource).1 += milli(resource),
            Value::Ranges(ranges) => self.ranges.entry(resource.name().into()).or_default().insert(ranges),
            Value::Set(set) => self.sets.entry(resource.name().into()).or_default().insert(set),
        }
    }

    fn overcommitted(&self) -> Quantities {
        let excess = |(name, (total, held)): (&Text, &(u128, u128))| {
            let excess = u64::try_from(held.saturating_sub(*total)).unwrap_or(u64::MAX);
            (name.clone(), Scalar::milli(excess))
        };
        self.scalars.iter().map(excess).collect()
    }

    /// Returns as much as may be available of what is not held kind by kind.
    fn cap(mut self, rest: &Resources) -> Resources {
        // Shared resources come first: they are available however much else there is.
        let shared: Vec<Option<Value>> =
            rest.iter().map(|resource| resource.is_shared().then(|| self.take(resource))).collect();
        let kept = rest.iter().zip(shared).map(|(resource, shared)| {
            let value = shared.unwrap_or_else(|| self.take(resource));
            resource.clone().with_value(value)
        });
        Resources::from_sorted(kept.collect())
    }

    /// Returns as much of a resource as may be available, and counts it as held.
    fn take(&mut self, resource: &Resource) -> Value {
        if let Some(position) = self.missing.iter().position(|missing| is_same_disk(missing, resource)) {
            self.missing.swap_remove(position);
            return Value::Scalar(Scalar::ZERO); // it is held, in another size or form
        }
        match resource.value() {
            Value::Scalar(_) => {
                let asked = milli(resource);
                let (total, held) = self.amounts(resource);
                let left = total.saturating_sub(*held);
                let is_whole = resource.is_indivisible() || resource.is_shared();
                let taken = if is_whole && left < asked { 0 } else { asked.min(left) };
                *held += taken;
                Value::Scalar(Scalar::milli(u64::try_from(taken).expect("no more than the resource has")))
            }
            Value::Ranges(ranges) => {
                let (mut free, held) = (ranges.clone(), self.ranges.entry(resource.name().into()).or_default());
                free.remove(held);
                held.insert(&free);
                Value::Ranges(free)
            }
            Value::Set(set) => {
                let (mut free, held) = (set.clone(), self.sets.entry(resource.name().into()).or_default());
                free.remove(held);
                held.insert(&free);
                Value::Set(free)
            }
        }
    }
}

/// Returns what is used up by being held: shared resources are not.
#[inline]
pub(super) fn unshared(held: &Resources) -> Cow<'_, Resources> {
    if held.iter().any(Resource::is_shared) {
        Cow::Owned(held.filter(|resource| !resource.is_shared()))
    } else {
        Cow::Borrowed(held)
    }
}

pub(super) fn shared_of(held: &Resources) -> impl Iterator<Item = &Resource> {
    held.iter().filter(|resource| resource.is_shared())
}

pub(super) fn has_shared(total: &Resources, shared: &Resource) -> bool {
    total.iter().any(|mine| mine.same_shared(shared))
}

/// Returns whether a total has a port, or the member of a set, in two kinds.
fn repeats_members(total: &Resources) -> bool {
    total.iter().as_slice().chunk_by(|a, b| a.name() == b.name()).filter(|alike| alike.len() > 1).any(|alike| {
        let (mut ranges, mut set) = (Ranges::default(), Set::default());
        alike.iter().any(|resource| match resource.value() {
            Value::Scalar(_) => false,
            Value::Ranges(more) => {
                let sum = ranges.count() + more.count();
                ranges.insert(more);
                ranges.count() < sum
            }
            Value::Set(more) => {
                let sum = set.as_slice().len() + more.as_slice().len();
                set.insert(more);
                set.as_slice().len() < sum
            }
        })
    })
}

/// Returns whether two indivisible resources are on one disk: the same volume, or the same whole disk, whatever its size,
/// reservation or volume.
fn is_same_disk(a: &Resource, b: &Resource) -> bool {
    let source = whole_disk(a);
    b.is_indivisible() && (a.kind() == b.kind() || source.is_some() && source == whole_disk(b)) && a.name() == b.name()
}

/// The identity of a whole disk of an agent: provider, type, root and id.
type WholeDisk<'a> = (Option<&'a Text>, DiskType, Option<&'a Text>, Option<&'a Text>);

/// Returns the whole disk that a resource is on, if it is on one.
fn whole_disk(resource: &Resource) -> Option<WholeDisk<'_>> {
    let kind = resource.kind()?;
    let Disk { source: Some(DiskSource { kind: disk, root, id, .. }), .. } = kind.disk.as_ref()? else { return None };
    let is_whole = *disk != DiskType::Path && (root.is_some() || id.is_some());
    is_whole.then_some((kind.provider.as_ref(), *disk, root.as_ref(), id.as_ref()))
}

fn milli(resource: &Resource) -> u128 {
    resource.scalar().unwrap_or_default().as_milli().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn text(resources: &str) -> Resources {
        resources.parse().unwrap()
    }

    fn array(resources: Json) -> Resources {
        serde_json::from_value(resources).unwrap()
    }

    fn mount(root: &str, size: f64) -> Json {
        let source = json!({"type": "MOUNT", "mount": {"root": root}});
        json!({"name": "disk", "type": "SCALAR", "scalar": {"value": size}, "disk": {"source": source}})
    }

    fn volume(size: f64, shared: bool) -> Json {
        let mut volume = json!({"name": "disk", "type": "SCALAR", "scalar": {"value": size},
            "reservations": [{"type": "STATIC", "role": "web"}],
            "disk": {"persistence": {"id": "v"}, "volume": {"container_path": "v", "mode": "RW"}}});
        if shared {
            volume["shared"] = json!({});
        }
        volume
    }

    /// Checks the available resources and the over-commitment of a total of which tasks hold a part; and that an offer of the
    /// rest reduces the available resources by itself alone.
    fn check(total: &Resources, held: &Resources, available: &Resources, overcommitted: &str) {
        let balance = Balance::new(total, &Resources::new(), held);
        assert_eq!(balance.available, *available, "{held:?} of {total:?}");
        assert_eq!(balance.overcommitted.to_string(), overcommitted, "{held:?} of {total:?}");
        for offered in available.iter().filter(|resource| !resource.is_shared()) {
            let offered = Resources::try_from_iter([offered.clone()]).unwrap();
            let after = Balance::new(total, &offered, held);
            assert_eq!(after.available, available.saturating_sub(&offered), "after {offered:?}");
        }
    }

    #[test]
    fn of_a_name_no_more_is_available_than_the_total_less_what_is_held() {
        for (total, held, available, overcommitted) in [
            ("cpus:4;mem:8", "cpus:1", "cpus:3;mem:8", ""),
            ("cpus:4;mem:8", "cpus(a):1", "cpus:3;mem:8", ""),
            ("cpus(a):4;mem:8", "cpus:1", "cpus(a):3;mem:8", ""),
            // The kinds use up what is left in canonical order.
            ("cpus:1;cpus(a):2;cpus(b):2", "cpus:2", "cpus(a):2;cpus(b):1", ""),
            ("cpus:1;cpus(a):2;cpus(b):2", "cpus(c):2", "cpus:1;cpus(a):2", ""),
            ("cpus:1;cpus(a):1", "cpus:3", "", "cpus:1"),
            ("cpus:1;cpus(a):1;mem:2", "cpus:1.5;foo:2", "cpus(a):0.5;mem:2", "foo:2"),
        ] {
            check(&text(total), &text(held), &text(available), overcommitted);
        }
    }

    #[test]
    fn a_port_held_in_one_kind_is_available_in_no_other() {
        check(&text("ports(a):[1-4]"), &text("ports:[2-2]"), &text("ports(a):[1-1,3-4]"), "");
        check(&text("ports:[1-2];ports(a):[2-4]"), &text("ports(a):[4-9]"), &text("ports:[1-2];ports(a):[3-3]"), "");
        check(&text("zones(a):{x,y}"), &text("zones:{x,z}"), &text("zones(a):{y}"), "");
        // A total that tells a port twice has it once.
        check(&text("ports:[1-2];ports(a):[2-4]"), &Resources::new(), &text("ports:[1-2];ports(a):[3-4]"), "");
    }

    #[test]
    fn a_disk_in_use_is_not_available_in_another_form() {
        let disks = |disks: Vec<Json>| array(Json::Array(disks));
        let (held, other) = (disks(vec![mount("/m", 100.0)]), mount("/n", 300.0));
        // Larger, though there is another disk that would make up for it.
        let larger = disks(vec![mount("/m", 200.0), other.clone()]);
        check(&larger, &held, &disks(vec![other.clone()]), "");
        // A volume on it.
        let mut on_it = volume(100.0, false);
        on_it["disk"]["source"] =
            held.iter().next().map(|_| json!({"type": "MOUNT", "mount": {"root": "/m"}})).unwrap();
        check(&disks(vec![on_it, other.clone()]), &held, &disks(vec![other]), "");
        // A volume told as the disk that it was made of, or in another size.
        let held = disks(vec![volume(40.0, false)]);
        check(&text("disk(web):100"), &held, &text("disk(web):60"), "");
        check(&disks(vec![volume(50.0, false)]), &held, &Resources::new(), "");
    }

    #[test]
    fn a_shared_volume_is_held_once_where_the_total_lacks_it() {
        let shared = array(json!([volume(40.0, true)]));
        let twice = shared.checked_add(&shared).unwrap();
        check(&text("disk(web):100"), &twice, &text("disk(web):60"), "");
        check(&text("disk(web):10"), &twice, &Resources::new(), "disk:30");
        check(&shared, &twice, &shared, "");
        // What is held besides comes off the disk, and not off the volume that several hold.
        let more = shared.checked_add(&text("disk(web):10")).unwrap();
        let held = shared.checked_add(&text("disk(a):10")).unwrap();
        check(&more, &held, &shared, "");
    }
}
