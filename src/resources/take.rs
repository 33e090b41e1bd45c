//! [`Resources::take`]: which of the available resources a task gets.

use super::{Disk, DiskType, Kind, Resource, Resources, Scalar, Set, Shortfall, Value};
use crate::role::Role;
use std::cmp::Reverse;
use std::collections::BTreeMap;

impl Resources {
    /// Takes what a task of `role` asks for out of these resources, and returns it with what is left.
    ///
    /// Where [`checked_sub`](Self::checked_sub) subtracts resources of exactly these reservations, `take` chooses them: first
    /// what is reserved to the role itself, then to its parent and so on up, at last what is unreserved; within each in
    /// canonical order. What is reserved to others is never taken (Mesos, `Resources::find`, would take it as a last resort).
    ///
    /// An entry of the request is one of these:
    ///
    /// - a number, `cpus:4` or `ports:2`: that amount, or as many members of ranges or of a set, the lowest first;
    /// - members, `ports:[80-80]` or `zones:{a}`: these and no others;
    /// - either of them with reservations, `cpus(web):1`: resources with exactly these reservations;
    /// - a disk with a source: that amount of one such disk. A source of which only the type is given stands for any disk of
    ///   the type. A disk that is indivisible (MOUNT, BLOCK, RAW with an id) is taken whole if it is large enough, and of
    ///   several the smallest of the same role is, so more may be taken than was asked for. Volumes and shared resources are
    ///   asked for by their ids.
    ///
    /// Apart from the reservations, the resources taken are of the kind that is asked for: `cpus:1` takes nothing revocable, and
    /// `disk:1` is of the root disk. An entry with reservations or a full source is served before one that leaves a choice.
    ///
    /// O(entries of `ask` · n log n) with n the entries of `self`.
    ///
    /// # Errors
    ///
    /// [`Shortfall`] with the first entry of the request for which there is too little, and with what the task could have
    /// taken of it. A fraction of a member is never available.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Resources, Role};
    ///
    /// let offered: Resources = "cpus:3;cpus(spark):3;mem:4096;ports:[31000-31009]".parse()?;
    /// let spark: Role = "spark".parse()?;
    /// let (taken, left) = offered.take(&"cpus:4;mem:1408;ports:2".parse()?, &spark)?;
    /// assert_eq!(taken.to_string(), "cpus:1;cpus(spark):3;mem:1408;ports:[31000-31001]");
    /// assert_eq!(left.to_string(), "cpus:2;mem:2688;ports:[31002-31009]");
    ///
    /// let shortfall = left.take(&"cpus:4".parse()?, &spark).unwrap_err();
    /// assert_eq!(shortfall.to_string(), "cpus:4 was asked for, cpus:2 is available");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(&self, ask: &Self, role: &Role) -> Result<(Self, Self), Shortfall> {
        let Served { taken, left, mut short } = self.serve(ask, |resource| resource.is_for(role));
        if short.is_empty() { Ok((taken, left)) } else { Err(short.swap_remove(0)) }
    }

    /// Takes what is asked for out of the resources that may be taken, as [`take`](Self::take) does.
    pub(crate) fn serve(&self, ask: &Self, may_take: impl Fn(&Resource) -> bool) -> Served {
        let mut served = Served { taken: Self::new(), left: self.clone(), short: Vec::new() };
        for asked in by_choice(ask) {
            // An entry that is short uses up what there is for it.
            let (found, shortfall) = find(&served.left, asked, &may_take);
            served.left.remove(&found);
            served.taken.insert(&found);
            served.short.extend(shortfall);
        }
        served
    }
}

/// The outcome of a request: it is served if nothing is short.
#[derive(Debug)]
pub(crate) struct Served {
    /// The resources taken; if something is short, as much as there is.
    pub(crate) taken: Resources,
    /// The resources that are left.
    pub(crate) left: Resources,
    /// The entries of the request for which there is too little.
    pub(crate) short: Vec<Shortfall>,
}

/// Returns the entries of a request, those first that leave the least choice; of disks that leave the same, the largest.
fn by_choice(ask: &Resources) -> Vec<&Resource> {
    let mut entries: Vec<&Resource> = ask.iter().collect();
    entries.sort_by_key(|asked| {
        let size = if disk(asked).is_some() { asked.scalar() } else { None };
        (asked.reservations().is_empty(), any_disk_type(asked).is_some(), Reverse(size))
    });
    entries
}

/// Finds the resources for one entry of a request, or what there is of them.
fn find(
    available: &Resources,
    asked: &Resource,
    may_take: impl Fn(&Resource) -> bool,
) -> (Resources, Option<Shortfall>) {
    let mut suitable: Vec<&Resource> = available.iter().filter(|it| may_take(it) && suits(it, asked)).collect();
    // The roles of one path are the deeper the longer. The sort is stable.
    suitable.sort_by_key(|it| {
        (Reverse(it.role().map_or(0, |role| role.as_str().len())), it.scalar().filter(|_| !it.merges()))
    });
    let (found, is_all) = if disk(asked).is_some() || asked.is_shared() {
        from_one_disk(&suitable, asked).map_or_else(|| (Vec::new(), false), |found| (found, true))
    } else {
        gather(&suitable, asked.value())
    };
    let found = Resources::try_from_iter(found).expect("parts of one sum have a sum");
    let shortfall = || Shortfall { asked: asked.clone(), available: suitable.into_iter().cloned().collect() };
    (found, (!is_all).then(shortfall))
}

fn disk(resource: &Resource) -> Option<&Disk> {
    resource.kind().and_then(|kind| kind.disk.as_ref())
}

/// Returns the type of a disk of which nothing else is given, so that any of the type will do.
fn any_disk_type(asked: &Resource) -> Option<DiskType> {
    let Disk { source: Some(source), persistence: None, .. } = disk(asked)? else { return None };
    let is_bare = [&source.root, &source.id, &source.vendor, &source.profile].iter().all(|field| field.is_none());
    is_bare.then_some(source.kind)
}

/// Returns true if a resource is of the name and kind that are asked for, apart from reservations that the request leaves open.
fn suits(resource: &Resource, asked: &Resource) -> bool {
    let plain = Kind::default();
    let (kind, wanted) = (resource.kind().unwrap_or(&plain), asked.kind().unwrap_or(&plain));
    let same_disk = || match any_disk_type(asked) {
        Some(of_type) => kind.disk.as_ref().is_some_and(|disk| {
            disk.persistence.is_none() && disk.source.as_ref().is_some_and(|source| source.kind == of_type)
        }),
        None => kind.disk == wanted.disk,
    };
    resource.same_name(asked)
        && (wanted.reservations.is_empty() || kind.reservations == wanted.reservations)
        && (kind.revocable, kind.shared, &kind.provider) == (wanted.revocable, wanted.shared, &wanted.provider)
        && same_disk()
}

/// Takes a value out of the first disk or shared resource that has enough by itself.
fn from_one_disk(suitable: &[&Resource], asked: &Resource) -> Option<Vec<Resource>> {
    let mut parts: BTreeMap<&Disk, Vec<&Resource>> = BTreeMap::new();
    let divisible = suitable.iter().filter_map(|it| Some((disk(it).filter(|_| it.merges())?, *it)));
    divisible.for_each(|(disk, part)| parts.entry(disk).or_default().push(part));
    suitable.iter().find_map(|it| {
        if it.is_shared() {
            let enough = it.copies() >= asked.copies() && it.value().contains(asked.value());
            let mut part = it.like(it.value().clone());
            part.copies = asked.copies;
            enough.then(|| vec![part])
        } else if it.is_indivisible() {
            it.value().contains(asked.value()).then(|| vec![(*it).clone()])
        } else {
            let (found, is_all) = gather(&parts.remove(disk(it)?)?, asked.value());
            is_all.then_some(found)
        }
    })
}

/// Takes a value out of resources, in their order, and returns whether they have all of it.
fn gather(parts: &[&Resource], wanted: &Value) -> (Vec<Resource>, bool) {
    let (mut missing, mut found) = (wanted.clone(), Vec::new());
    for part in parts {
        if missing.is_empty() {
            break;
        }
        let (bit, rest) = split(part.value(), missing);
        missing = rest;
        if !bit.is_empty() {
            found.push(part.like(bit));
        }
    }
    (found, missing.is_empty())
}

/// Splits what is wanted into the part that is there, and the rest. A number stands for that many members.
fn split(there: &Value, wanted: Value) -> (Value, Value) {
    let members = |amount: Scalar| usize::try_from(amount.as_milli() / 1000).unwrap_or(usize::MAX);
    match (there, wanted) {
        (Value::Scalar(there), Value::Scalar(wanted)) => {
            let bit = wanted.min(*there);
            (Value::Scalar(bit), Value::Scalar(wanted.saturating_sub(bit)))
        }
        (Value::Ranges(there), Value::Scalar(wanted)) => {
            let bit = there.first(wanted.as_milli() / 1000);
            let taken = Scalar::units(u64::try_from(bit.count()).unwrap_or(u64::MAX));
            (Value::Ranges(bit), Value::Scalar(wanted.saturating_sub(taken)))
        }
        (Value::Set(there), Value::Scalar(wanted)) => {
            let bit: Set = there.as_slice().iter().take(members(wanted)).cloned().collect();
            let taken = Scalar::units(bit.as_slice().len() as u64);
            (Value::Set(bit), Value::Scalar(wanted.saturating_sub(taken)))
        }
        (Value::Ranges(there), Value::Ranges(wanted)) => {
            let (mut rest, mut bit) = (wanted.clone(), wanted);
            rest.remove(there);
            bit.remove(&rest);
            (Value::Ranges(bit), Value::Ranges(rest))
        }
        (Value::Set(there), Value::Set(wanted)) => {
            let (mut rest, mut bit) = (wanted.clone(), wanted);
            rest.remove(there);
            bit.remove(&rest);
            (Value::Set(bit), Value::Set(rest))
        }
        (Value::Scalar(_) | Value::Ranges(_) | Value::Set(_), wanted) => (Value::Scalar(Scalar::ZERO), wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{DiskSource, Reservation};
    use crate::text::Text;
    use proptest::prelude::*;

    fn parse(text: &str) -> Resources {
        text.parse().unwrap()
    }

    fn role(path: &str) -> Role {
        path.parse().unwrap()
    }

    fn disks(items: impl IntoIterator<Item = (Disk, u64)>) -> Resources {
        let disk = |(disk, units)| Resource::new("disk", Value::Scalar(Scalar::units(units))).on_disk(disk);
        Resources::try_from_iter(items.into_iter().map(disk)).unwrap()
    }

    fn source(kind: DiskType, root: &str) -> Disk {
        let source = DiskSource::new(kind);
        Disk::of(if root.is_empty() { source } else { source.root(root) })
    }

    #[test]
    fn reserved_resources_are_taken_first_and_the_deepest_before_those() {
        let available = parse("cpus:2;cpus(eng):2;cpus(eng/web):2;cpus(ops):2;cpus(eng/web/a):2");
        for (amount, taken) in [
            ("1", "cpus(eng/web):1"),
            ("3", "cpus(eng):1;cpus(eng/web):2"),
            ("5", "cpus:1;cpus(eng):2;cpus(eng/web):2"),
            ("6", "cpus:2;cpus(eng):2;cpus(eng/web):2"),
        ] {
            let found = available.take(&parse(&format!("cpus:{amount}")), &role("eng/web")).unwrap();
            assert_eq!(found.0, parse(taken));
            assert_eq!(found.0.checked_add(&found.1), Ok(available.clone()));
        }
        let shortfall = available.take(&parse("cpus:6.001"), &role("eng/web")).unwrap_err();
        let expected = "cpus:6.001 was asked for, cpus(eng/web):2;cpus(eng):2;cpus:2 is available";
        assert_eq!(shortfall.to_string(), expected);
    }

    #[test]
    fn members_are_counted_or_named() {
        let available = parse("ports:[1-3,7-9];ports(a):[20-21];names:{x,y};names(a):{z}");
        for (ask, taken) in [
            ("ports:1", "ports(a):[20-20]"),
            ("ports:4", "ports:[1-2];ports(a):[20-21]"),
            ("ports:6", "ports:[1-3,7-7];ports(a):[20-21]"),
            ("ports:[3-3,8-9,21-21]", "ports:[3-3,8-9];ports(a):[21-21]"),
            ("ports(a):1", "ports(a):[20-20]"),
            ("ports(a):[20-20];ports:2", "ports:[1-1];ports(a):[20-21]"),
            ("names:2", "names:{x};names(a):{z}"),
            ("names:{y,z}", "names:{y};names(a):{z}"),
        ] {
            match ask.parse::<Resources>() {
                Ok(ask) => assert_eq!(available.take(&ask, &role("a")).unwrap().0, parse(taken), "{ask}"),
                // One name has one type in a collection.
                Err(error) => assert!(error.to_string().contains("same type"), "{error}"),
            }
        }
        for short in [
            "ports:9",
            "ports:0.5",
            "ports:1.5",
            "ports:[4-4]",
            "ports:{x}",
            "names:4",
            "names:{w}",
            "ports(b):1",
            "x:1",
        ] {
            assert!(available.take(&parse(short), &role("a")).is_err(), "{short}");
        }
    }

    #[test]
    fn what_the_request_reserves_is_taken_as_it_is() {
        let available = parse("cpus:2;cpus(a):2;cpus(b):2");
        let take = |ask: &str, by: &str| available.take(&parse(ask), &role(by));
        assert_eq!(take("cpus(a):1;cpus:2", "a").unwrap().0, parse("cpus:1;cpus(a):2"));
        assert!(take("cpus(a):3", "a").is_err());
        assert!(take("cpus(b):1", "a").is_err(), "it is not usable by the role");
        assert_eq!(take("", "a").unwrap(), (Resources::new(), available.clone()));
    }

    #[test]
    fn an_indivisible_disk_is_taken_whole_and_the_smallest_that_is_large_enough() {
        use DiskType::{Mount, Path};
        let available = disks([
            (source(Mount, "/a"), 300),
            (source(Mount, "/b"), 100),
            (source(Mount, "/c"), 200),
            (source(Path, "/p"), 50),
            (source(Path, "/q"), 80),
            (source(Path, "/q").volume("v"), 500),
        ]);
        let any = Role::default();
        let take = |asks: Vec<(Disk, u64)>| available.take(&disks(asks), &any).map(|(taken, _)| taken);
        let mount = |units| (source(Mount, ""), units);
        assert_eq!(take(vec![mount(150)]).unwrap(), disks([(source(Mount, "/c"), 200)]));
        let two = disks([(source(Mount, "/b"), 100), (source(Mount, "/c"), 200)]);
        assert_eq!(take(vec![mount(90), mount(120)]).unwrap(), two);
        assert_eq!(take(vec![mount(90), (source(Mount, "/b"), 10)]).unwrap(), two);
        assert!(take(vec![mount(250), mount(250)]).is_err());
        assert_eq!(take(vec![(source(Path, ""), 60)]).unwrap(), disks([(source(Path, "/q"), 60)]));
        assert!(take(vec![(source(Path, ""), 81)]).is_err(), "no sum over two disks, and no volume");
        assert!(available.take(&parse("disk:1"), &any).is_err(), "the root disk is another");
        let volume = (source(Path, "/q").volume("v"), 1);
        assert_eq!(take(vec![volume]).unwrap(), disks([(source(Path, "/q").volume("v"), 500)]));
    }

    #[test]
    fn only_the_kind_that_is_asked_for_is_taken() {
        let revocable = |text: &str| {
            let kind = Kind { revocable: true, ..Kind::default() };
            Resources::try_from_iter(parse(text).into_iter().map(|it| it.with_kind(kind.clone()))).unwrap()
        };
        let available = parse("cpus:1").checked_add(&revocable("cpus:4")).unwrap();
        assert!(available.take(&parse("cpus:2"), &role("a")).is_err());
        assert_eq!(available.take(&revocable("cpus:2"), &role("a")).unwrap().0, revocable("cpus:2"));
    }

    #[test]
    fn copies_of_a_shared_volume_are_taken_by_its_id() {
        let volume = |copies| {
            let kind = Kind { shared: true, disk: Some(Disk::default().volume("v")), ..Kind::default() };
            let reservation = Reservation::dynamic(role("a"));
            let volume = Resource::new("disk", Value::Scalar(Scalar::units(5))).with_kind(kind).reserved(reservation);
            Resources::try_from_iter(std::iter::repeat_n(volume, copies)).unwrap()
        };
        let (taken, left) = volume(3).take(&volume(2), &role("a/b")).unwrap();
        assert_eq!((taken, left), (volume(2), volume(1)));
        assert!(volume(3).take(&volume(4), &role("a/b")).is_err());
        assert!(volume(3).take(&parse("disk:5"), &role("a/b")).is_err());
    }

    /// The unit that the plain reference moves: a thousandth of a scalar, or a member.
    type Unit = (Text, Option<Role>, String);

    fn units(of: &Resources) -> Vec<Unit> {
        let mut units = Vec::new();
        for it in of {
            let members: Vec<String> = match it.value() {
                Value::Scalar(amount) => (0..amount.as_milli()).map(|_| String::new()).collect(),
                Value::Ranges(ranges) => ranges.iter().map(|number| format!("{number:03}")).collect(),
                Value::Set(set) => set.as_slice().iter().map(ToString::to_string).collect(),
            };
            units.extend(members.into_iter().map(|member| (it.name().into(), it.role().cloned(), member)));
        }
        units
    }

    /// Takes unit by unit: of those left that will do, the one that is reserved deepest, and of these the lowest.
    fn slowly(available: &Resources, ask: &Resources, by: &Role) -> Option<Vec<Unit>> {
        let (mut left, mut taken) = (units(available), Vec::new());
        let mut wanted: Vec<(Option<Text>, Option<Role>, Option<String>)> = Vec::new();
        for it in ask {
            let is_counted = available.iter().any(|other| other.name() == it.name() && other.scalar().is_none());
            match it.value() {
                Value::Scalar(amount) if is_counted => {
                    let count = amount.as_milli() / 1000 + u64::from(amount.as_milli() % 1000 > 0) * 1000;
                    wanted.extend((0..count).map(|_| (Some(it.name().into()), it.role().cloned(), None)));
                }
                Value::Scalar(_) | Value::Ranges(_) | Value::Set(_) => {
                    let unit = |(name, role, member): Unit| (Some(name), role, Some(member));
                    wanted.extend(units(&Resources::try_from_iter([it.clone()]).unwrap()).into_iter().map(unit));
                }
            }
        }
        wanted.sort_by_key(|(_, role, _)| role.is_none());
        for (name, role, member) in wanted {
            let will_do = |unit: &Unit| {
                name.as_ref() == Some(&unit.0)
                    && unit.1.as_ref().is_none_or(|reserved| by.is_within(reserved))
                    && (role.is_none() || role == unit.1)
                    && member.as_ref().is_none_or(|member| *member == unit.2)
            };
            let depth = |unit: &Unit| unit.1.as_ref().map_or(0, |role| role.components().count());
            let best = (0..left.len())
                .filter(|i| will_do(&left[*i]))
                .min_by_key(|i| (Reverse(depth(&left[*i])), left[*i].2.clone()))?;
            taken.push(left.remove(best));
        }
        taken.sort();
        Some(taken)
    }

    /// Scalars of a few thousandths, numbers and names; each member is in one entry only.
    fn available() -> impl Strategy<Value = Resources> {
        let roles = prop::sample::select(vec!["", "(a)", "(a/b)", "(c)"]);
        prop::collection::vec((roles, 0_u64..6, 0_u64..12, 0_u64..4), 0..5).prop_map(|parts| {
            let mut text = String::new();
            let (mut next, mut names) = (0, 0);
            for (role, milli, ports, members) in parts {
                text += &format!("x{role}:{};", Scalar::milli(milli));
                if ports > 0 {
                    text += &format!("p{role}:[{next}-{}];", next + ports - 1);
                    next += ports + ports % 2;
                }
                for _ in 0..members {
                    text += &format!("s{role}:{{n{names}}};");
                    names += 1;
                }
            }
            parse(&text)
        })
    }

    fn ask() -> impl Strategy<Value = Resources> {
        let scalar = prop_oneof![2 => (0_u64..9).prop_map(|milli| format!("x:{};", Scalar::milli(milli))), 1 => Just("x(a):0.002;x:0.001".into())];
        let ports = prop_oneof![
            (0_u64..14).prop_map(|count| format!("p:{count};")),
            (0_u64..20, 0_u64..4).prop_map(|(from, more)| format!("p:[{from}-{}];", from + more)),
            Just("p(a/b):2;p:3;".into()),
            Just("p:0.5;".into()),
        ];
        let names = prop_oneof![
            (0_u64..5).prop_map(|count| format!("s:{count};")),
            Just("s:{n1,n3};".into()),
            Just("s(a):{n0};s:{n2};".into())
        ];
        (scalar, ports, names, 0_u8..8).prop_map(|(scalar, ports, names, which)| {
            let parts = [scalar, ports, names];
            let chosen = parts.iter().enumerate().filter(|(i, _)| which >> i & 1 == 1).map(|(_, part)| part.as_str());
            parse(&chosen.collect::<Vec<_>>().join(";"))
        })
    }

    proptest! {
        #[test]
        fn takes_what_a_search_unit_by_unit_takes(available in available(), ask in ask(), by in prop::sample::select(vec!["a", "a/b", "c", "*"])) {
            let by = role(by);
            let plain = slowly(&available, &ask, &by);
            let Ok((taken, left)) = available.take(&ask, &by) else {
                prop_assert_eq!(plain, None);
                return Ok(());
            };
            let mut moved = units(&taken);
            moved.sort();
            prop_assert_eq!(Some(moved), plain);
            prop_assert!(taken.is_same(&taken.for_role(&by)));
            for it in ask.iter() {
                prop_assert_eq!(taken.amount(it.name()), ask.amount(it.name()));
            }
            prop_assert_eq!(taken.checked_add(&left), Ok(available));
        }
    }
}
