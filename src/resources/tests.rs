//! The arithmetic of collections, by the rules of Mesos.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Resources {
    text.parse().unwrap()
}

fn v1(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

#[test]
fn text_is_printed_in_canonical_order() {
    let cases = [
        ("ports:[1-2];mem:64;disk:10;cpus:1", "cpus:1;disk:10;mem:64;ports:[1-2]"),
        ("cpus(b):1;cpus:2;cpus(a):3", "cpus:2;cpus(a):3;cpus(b):1"),
        ("cpus:0.1;cpus:0.2", "cpus:0.3"),
        (" cpus : 1 ; ;mem:0;", "cpus:1"),
        ("cpus(*):1", "cpus:1"),
        ("zones:{b,a};ports:[1-3,4-6]", "ports:[1-6];zones:{a,b}"),
        ("cpus:1;ports:[];ports(web):[ ];zones:{}", "cpus:1"),
    ];
    for (written, printed) in cases {
        assert_eq!(parse(written).to_string(), printed, "{written}");
    }
}

#[test]
fn text_errors_name_the_item() {
    let cases = [
        ("cpus:1;mem", "mem", "expected name:value"),
        ("cpus:many", "cpus:many", "not an amount"),
        (":1", ":1", "expected name:value"),
        ("cpus(eng:1", "cpus(eng:1", "expected name:value"),
        ("cpus(a/):1", "cpus(a/):1", "not a role"),
        ("ports:[5]", "ports:[5]", "ranges of whole numbers"),
        ("ports:[9-1]", "ports:[9-1]", "ends at 1, before it begins at 9"),
        ("ports:[1-2", "ports:[1-2", "ranges of whole numbers"),
        ("ports:[1.5-2]", "ports:[1.5-2]", "ranges of whole numbers"),
        ("ports:[,]", "ports:[,]", "ranges of whole numbers"),
        ("zones:{a", "zones:{a", "set of names"),
        ("zones:{b,a, b}", "zones:{b,a, b}", "names \"b\" twice"),
        ("cpus:1;cpus:[1-2]", "cpus:[1-2]", "same type"),
        ("mem:9000000000000;mem:1", "mem:1", "no more than"),
    ];
    for (text, item, why) in cases {
        let error = text.parse::<Resources>().unwrap_err();
        assert_eq!(error.item, item);
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}

#[test]
fn a_resource_without_text_form_makes_the_whole_an_array() {
    let json = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}},{"name":"cpus","type":"SCALAR","scalar":{"value":2.0},"reservations":[{"type":"DYNAMIC","role":"web","principal":"ann","labels":{"labels":[{"key":"k","value":"v"}]}}]}]"#;
    assert_eq!(serde_json::to_string(&v1(json)).unwrap(), json);
    assert_eq!(serde_json::to_string(&parse("mem:1;cpus(web):2")).unwrap(), r#""cpus(web):2;mem:1""#);
}

#[test]
fn the_pre_refinement_format_is_accepted() {
    let old = v1(r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"web"}]"#);
    assert_eq!(old, parse("cpus(web):1"));
    let dynamic = v1(r#"[{"name":"cpus","scalar":{"value":1},"role":"web","reservation":{"principal":"ann"}}]"#);
    assert_eq!(dynamic.iter().next().unwrap().reservations()[0].kind, ReservationType::Dynamic);
}

#[test]
fn an_empty_stack_of_reservations_leaves_the_old_format() {
    let old = |fields: &str| v1(&format!(r#"[{{"name":"cpus","scalar":{{"value":1}},"reservations":[],{fields}}}]"#));
    assert_eq!(old(r#""role":"web""#), parse("cpus(web):1"));
    assert_eq!(old(r#""role":"*""#), parse("cpus:1"));
    let dynamic = old(r#""role":"web","reservation":{"principal":"ann"}"#);
    let expected = Reservation::dynamic("web".parse().unwrap()).by("ann");
    assert_eq!(dynamic.iter().next().unwrap().reservations(), [expected]);
}

#[test]
fn names_that_text_would_change_make_an_array() {
    let odd = |name: &str, role: &str| {
        let resource = Resource::new(name, Value::Scalar(Scalar::units(1)));
        let reserved = resource.reserved(Reservation::fixed(Role::new(role).unwrap()));
        Resources::builder().resource(reserved).build().unwrap()
    };
    for (name, role) in [("x", "\u{3000}a"), ("x", "a\u{a0}"), ("x", "a(b"), (" x", "a"), ("x:", "a"), ("x;y", "a")] {
        let resources = odd(name, role);
        let json = serde_json::to_string(&resources).unwrap();
        assert!(json.starts_with('['), "{json}");
        assert_eq!(v1(&json), resources);
    }
    assert!(serde_json::to_string(&odd("x{y", "a{b")).unwrap().starts_with('"'));
    assert_eq!(odd("x{y", "a{b"), parse("x{y(a{b):1"));
}

#[test]
fn fields_that_mesos_refuses_are_named() {
    let volume = r#""persistence":{"id":"v"},"volume":{"container_path":"v","mode":"RW"}"#;
    let source = |source: &str| format!(r#"{{"name":"disk","scalar":{{"value":1}},"disk":{{"source":{source}}}}}"#);
    let cases = [
        (source(r#"{"type":"BLOCK","path":{"root":"/x"}}"#), "disk.source.path"),
        (source(r#"{"type":"RAW","mount":{"root":"/x"}}"#), "disk.source.mount"),
        (source(r#"{"type":"MOUNT","path":{"root":"/x"},"mount":{"root":"/x"}}"#), "disk.source.path"),
        (source(r#"{"type":"PATH"}"#), "disk.source.path"),
        (source(r#"{"type":"MOUNT"}"#), "disk.source.mount"),
        (source(r#"{"type":"TAPE"}"#), "disk.source.type"),
        (source("{}"), "disk.source.type"),
        (r#"{"name":"mem","scalar":{"value":1},"disk":{"source":{"type":"RAW"}}}"#.into(), "disk"),
        (format!(r#"{{"name":"cpus","scalar":{{"value":1}},"disk":{{{volume}}}}}"#), "disk"),
        (
            r#"{"name":"disk","scalar":{"value":1},"disk":{"volume":{"container_path":"v","host_path":"/v"}}}"#.into(),
            "disk.volume.host_path",
        ),
        (r#"{"name":"mem","scalar":{"value":1},"shared":{}}"#.into(), "shared"),
        (r#"{"name":"disk","scalar":{"value":1},"shared":{},"disk":{}}"#.into(), "shared"),
        (r#"{"name":"mem","scalar":{"value":1},"reservations":[{"role":"a"}]}"#.into(), "reservations.type"),
        (
            r#"{"name":"mem","scalar":{"value":1},"reservations":[{"type":"ODD","role":"a"}]}"#.into(),
            "reservations.type",
        ),
    ];
    for (object, field) in cases {
        let error = serde_json::from_str::<Resources>(&format!("[{object}]")).unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`: expected")), "{object}: {error}");
    }
    v1(&format!(r#"[{{"name":"disk","scalar":{{"value":1}},"shared":{{}},"disk":{{{volume}}}}}]"#));
}

/// Returns one of the fields, or none.
fn one_of(fields: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::of(proptest::sample::select(fields))
}

proptest! {
    #[test]
    fn what_is_accepted_prints_back_to_an_equal_value(
        name in proptest::sample::select(&["disk", "disk", "disk", "mem", "z"][..]),
        value in proptest::sample::select(&[
            r#""scalar":{"value":1.5}"#, r#""scalar":{"value":0}"#, r#""ranges":{"range":[{"begin":1,"end":2}]}"#,
            r#""set":{"item":["","a"]}"#, r#""set":{"item":[" a"]}"#, r#""set":{"item":["b","a"]}"#, r#""set":{}"#,
        ][..]),
        role in one_of(&[
            r#""role":"a""#, r#""role":"*""#, r#""role":"a","reservation":{"labels":{"labels":[{"key":"k"}]}}"#,
            r#""reservations":[{"type":"STATIC","role":"a"}]"#, r#""reservations":[{"role":"a"}]"#,
            r#""reservations":[{"type":"STATIC","role":"a","principal":"p","labels":{"labels":[{"key":"k"}]}}]"#,
            r#""reservations":[{"type":"DYNAMIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}]"#,
        ]),
        source in one_of(&[
            r#""source":{"type":"PATH","path":{"root":"/p"}}"#, r#""source":{"type":"PATH","path":{}}"#,
            r#""source":{"type":"PATH"}"#, r#""source":{"type":"MOUNT","mount":{"root":"/m"},"id":"i","profile":"q"}"#,
            r#""source":{"type":"MOUNT","path":{"root":"/m"}}"#, r#""source":{"type":"BLOCK","path":{"root":"/b"}}"#,
            r#""source":{"type":"BLOCK","id":"b","vendor":"v"}"#, r#""source":{"type":"RAW"}"#,
            r#""source":{"type":"RAW","mount":{}}"#, r#""source":{"type":"ODD"}"#,
        ]),
        persistence in one_of(&[r#""persistence":{"id":"v","principal":"p"}"#]),
        volume in one_of(&[
            r#""volume":{"container_path":"v","mode":"RO"}"#, r#""volume":{"container_path":"v","host_path":"/v"}"#,
        ]),
        marks in one_of(&[r#""shared":{}"#, r#""revocable":{}"#, r#""provider_id":{"value":"p"}"#]),
    ) {
        let disk: Vec<&str> = [source, persistence, volume].into_iter().flatten().collect();
        let disk = (!disk.is_empty()).then(|| format!(r#""disk":{{{}}}"#, disk.join(",")));
        let fields = [Some(value), role, disk.as_deref(), marks].into_iter().flatten().collect::<Vec<_>>().join(",");
        let object = format!(r#"{{"name":"{name}",{fields}}}"#);
        if let Ok(accepted) = serde_json::from_str::<Resources>(&format!("[{object}]")) {
            let printed = serde_json::to_string(&accepted).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Resources>(&printed).unwrap(), &accepted, "{}", printed);
            for resource in &accepted {
                let old = v1::V1Resource::from(resource).unrefined();
                prop_assert_eq!(&Resource::try_from(old).unwrap(), resource);
            }
        }
    }
}

#[test]
fn empty_values_are_nothing() {
    for empty in [
        r#"[{"name":"ports","type":"RANGES","ranges":{}}]"#,
        r#"[{"name":"ports","type":"RANGES","ranges":{"range":[]}}]"#,
        r#"[{"name":"zones","type":"SET","set":{}}]"#,
        r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":0}}]"#,
    ] {
        assert_eq!(v1(empty), Resources::new(), "{empty}");
    }
}

#[test]
fn invalid_v1_objects_are_errors() {
    let wrong = |json: &str| serde_json::from_str::<Resources>(json).unwrap_err().to_string();
    let reserved = |stack: &str| format!(r#"[{{"name":"cpus","scalar":{{"value":1}},"reservations":{stack}}}]"#);
    assert!(
        wrong(r#"[{"name":"ports","ranges":{"range":[{"begin":1,"end":5},{"begin":5,"end":6}]}}]"#)
            .contains("overlap at 5")
    );
    assert!(wrong(r#"[{"name":"cpus","type":"SCALAR"}]"#).contains("type SCALAR"));
    assert!(wrong(r#"[{"name":"zones","set":{"item":["a","b","a"]}}]"#).contains("names \"a\" twice"));
    assert!(wrong(&reserved(r#"[{"type":"STATIC","role":"*"}]"#)).contains("reserved to `*`"));
    assert!(wrong(&reserved(r#"[{"type":"DYNAMIC","role":"a"},{"type":"DYNAMIC","role":"b"}]"#)).contains("found b"));
    assert!(
        wrong(&reserved(r#"[{"type":"DYNAMIC","role":"a"},{"type":"STATIC","role":"a/b"}]"#)).contains("found a/b")
    );
}

const VOLUME: &str = r#"{"name":"disk","type":"SCALAR","scalar":{"value":5},"reservations":[{"type":"STATIC","role":"web"}],
    "disk":{"persistence":{"id":"v1"},"volume":{"container_path":"data","mode":"RW"}}}"#;

#[test]
fn volumes_are_indivisible_and_never_merge() {
    let volume = v1(&format!("[{VOLUME}]"));
    let both = volume.checked_add(&parse("disk(web):7")).unwrap();
    assert_eq!(both.quantities().amount("disk"), Scalar::units(12));
    assert!(both.contains(&volume) && !both.contains(&parse("disk(web):8")));
    let smaller = v1(&format!("[{}]", VOLUME.replace("5}", "4}")));
    assert!(!both.contains(&smaller));
    assert_eq!(both.saturating_sub(&smaller), both);
    assert_eq!(both.checked_sub(&volume).unwrap(), parse("disk(web):7"));
}

#[test]
fn mount_options_are_not_part_of_the_identity() {
    let (here, there) = (v1(&format!("[{VOLUME}]")), v1(&format!("[{}]", VOLUME.replace("\"data\"", "\"other\""))));
    assert!(here.contains(&there));
}

#[test]
fn copies_of_a_shared_volume_count_once_in_quantities() {
    let shared = v1(&format!("[{}]", VOLUME.replace("\"disk\":{", "\"shared\":{},\"disk\":{")));
    let two = shared.checked_add(&shared).unwrap();
    assert!(two.contains(&two) && !shared.contains(&two));
    assert_eq!(two.quantities().amount("disk"), Scalar::units(5));
    assert_eq!(two.checked_sub(&shared).unwrap(), shared);
    let json = serde_json::to_string(&two).unwrap();
    assert_eq!(v1(&json), two);
}

#[test]
fn reservations_are_for_the_role_and_its_descendants() {
    let agent = parse("cpus:1;cpus(a):2;cpus(a/b):4;cpus(c):8");
    let for_role = |role: &str| agent.for_role(&role.parse().unwrap()).quantities().amount("cpus").as_milli() / 1000;
    assert_eq!([for_role("*"), for_role("a"), for_role("a/b"), for_role("a/b/x"), for_role("c")], [1, 3, 7, 7, 9]);
}

#[test]
fn minimums_count_all_kinds_and_members_of_sets() {
    let agent = parse("cpus:1;cpus(a):2;ports:[1-10];zones:{a,b}");
    let minimum = |json: &str| serde_json::from_str::<Quantities>(json).unwrap();
    assert!(agent.reaches(&minimum(r#"{"cpus":3,"ports":10,"zones":2}"#)));
    assert!(!agent.reaches(&minimum(r#"{"cpus":3,"ports":11}"#)));
    assert!(!agent.reaches(&minimum(r#"{"mem":0.001}"#)));
}

#[test]
fn a_clone_does_not_change_with_the_original() {
    let before = parse("cpus:1;ports:[1-2,4-5];zones:{a}");
    let (mut more, mut less) = (before.clone(), before.clone());
    more.try_add(&before).unwrap();
    less.remove(&parse("ports:[1-4];zones:{a}"));
    assert_eq!(more, parse("cpus:2;ports:[1-2,4-5];zones:{a}"));
    assert_eq!(less, parse("cpus:1;ports:[5-5]"));
    assert_eq!(before, parse("cpus:1;ports:[1-2,4-5];zones:{a}"));
    let (mut twice, itself) = (before.clone(), before);
    twice.try_add(&itself).unwrap();
    assert_eq!(twice, more);
    twice.remove(&twice.clone());
    assert_eq!(twice, Resources::new());
}

#[test]
fn a_failed_sum_changes_nothing() {
    let cases = [
        ("cpus:1;mem:9000000000000", "cpus:1;mem:1", "mem:1", "mem:9000000000000"),
        ("cpus:1;cpus(a):2;mem:1", "cpus:1;cpus(b):[1-2]", "cpus(b):[1-2]", "cpus:1"),
        ("mem:{a}", "cpus:1;mem:1", "mem:1", "mem:{a}"),
    ];
    for (mine, added, which, to) in cases {
        // The items of `added` may conflict with each other, so each is added by itself.
        let mut sum = parse(mine);
        let items = added.split(';').map(|item| parse(item).into_iter().next().unwrap());
        let error = items.clone().try_for_each(|item| sum.try_insert(item)).unwrap_err();
        assert_eq!((error.added.to_string(), error.to.name()), (which.into(), to.split(['(', ':']).next().unwrap()));
        if let Ok(added) = added.parse::<Resources>() {
            let mut whole = parse(mine);
            let error = whole.try_add(&added).unwrap_err();
            assert_eq!((error.added.to_string(), error.to.to_string()), (which.into(), to.into()));
            assert_eq!(whole, parse(mine));
            assert_eq!(parse(mine).checked_add(&added).unwrap_err(), error);
        }
    }
}

#[test]
fn names_of_any_length_are_in_byte_order() {
    let names = ["a", "a\0", "abcdefg", "abcdefg\0", "abcdefgh", "abcdefghi", "abcdefgi", "b", "ü"];
    for rotated in 0..names.len() {
        let items = names.iter().cycle().skip(rotated).take(names.len());
        let all = Resources::try_from_iter(items.map(|name| Resource::new(*name, Value::Scalar(Scalar::units(1)))));
        let all = all.unwrap();
        assert_eq!(all.iter().map(Resource::name).collect::<Vec<_>>(), names);
        for name in names {
            let one = Resources::builder().scalar(name, Scalar::units(1)).build().unwrap();
            assert!(all.contains(&one) && !all.saturating_sub(&one).contains(&one), "{name:?}");
        }
    }
}

fn any_resources() -> impl Strategy<Value = Resources> {
    let item = prop_oneof![
        (prop::sample::select(vec!["cpus", "mem", "cpus(a)", "mem(a/b)"]), 1_u64..5_000)
            .prop_map(|(name, milli)| format!("{name}:{}", Scalar::milli(milli))),
        (prop::sample::select(vec!["ports", "ports(a)"]), 0_u64..30, 0_u64..9)
            .prop_map(|(name, begin, more)| format!("{name}:[{begin}-{}]", begin + more)),
        prop::sample::select(vec!["a", "b", "c"]).prop_map(|zone| format!("zones:{{{zone}}}")),
    ];
    prop::collection::vec(item, 0..8).prop_map(|items| parse(&items.join(";")))
}

/// A resource of few names, kinds, types and values, so that many are equal.
fn any_resource() -> impl Strategy<Value = Resource> {
    let value = prop_oneof![
        (1_u64..4).prop_map(|units| Value::Scalar(Scalar::units(units))),
        prop::collection::vec((0_u64..12, 0_u64..3), 1..5).prop_map(|pieces| {
            Value::Ranges(pieces.into_iter().map(|(begin, more)| begin..=begin + more).collect())
        }),
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
            .prop_map(|names| Value::Set(names.into_iter().collect())),
    ];
    let name = prop::sample::select(vec!["cpus", "disk", "ephemeral-storage", "ephemeral-things"]);
    (name, value, 0_u8..8, any::<bool>()).prop_map(|(name, value, kind, revocable)| {
        let mut special = Kind { revocable, ..Kind::default() };
        if kind & 1 != 0 {
            special.reservations.push(Reservation::dynamic("a".parse().unwrap()));
        }
        if kind & 2 != 0 {
            special.disk = Some(Disk { persistence: Some("volume".into()), ..Disk::default() });
        }
        special.shared = kind & 4 != 0;
        Resource::new(name, value).with_kind(special)
    })
}

/// Returns the result of adding resources one by one: all, or the first error with the index of its resource.
fn one_by_one(items: &[Resource]) -> Result<Resources, (usize, SumError)> {
    let mut sum = Resources::new();
    for (i, item) in items.iter().enumerate() {
        sum.try_insert(item.clone()).map_err(|error| (i, error))?;
    }
    Ok(sum)
}

proptest! {
    #[test]
    fn many_at_once_are_as_many_one_by_one(
        mut items in prop::collection::vec(any_resource(), 0..60),
        (position, name, amount) in (0_usize..60, prop::sample::select(vec!["cpus", "a", "z"]), 0..=u64::MAX),
        types in any::<bool>(),
    ) {
        if types {
            items.retain(|item| matches!(item.value(), Value::Scalar(_)) == (item.name() < "e"));
        }
        let odd = Resource::new(name, Value::Scalar(Scalar::milli(amount >> (position % 20))));
        items.insert(position.min(items.len()), odd);
        let (own, plain) = (sorted::collect(items.clone()), one_by_one(&items));
        prop_assert_eq!(own.clone().map_err(|(i, _)| i).map(Resources::from_sorted), plain.clone().map_err(|(i, _)| i));
        if let (Err((_, own)), Err((_, plain))) = (own, plain) {
            prop_assert_eq!(own.to_string(), plain.to_string());
        }
    }
}

#[test]
fn an_amount_above_the_largest_is_refused() {
    let too_much = |milli: u64| Resource::new("cpus", Value::Scalar(Scalar::milli(milli)));
    for milli in [Scalar::MAX.as_milli() + 1, u64::MAX] {
        let error = Resources::builder().scalar("cpus", Scalar::milli(milli)).build().unwrap_err();
        let expected = format!("cannot add cpus:{} to cpus:0", Scalar::milli(milli));
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(Resources::try_from_iter([too_much(milli)]), Err(error.clone()));
        let mut some = parse("mem:1");
        assert_eq!(some.try_insert(too_much(milli)), Err(error));
        assert_eq!(some, parse("mem:1"));
        let volume = Kind { disk: Some(Disk { persistence: Some("v".into()), ..Disk::default() }), ..Kind::default() };
        assert!(some.try_insert(too_much(milli).with_kind(volume)).is_err());
        assert!(Resources::try_from_iter((0..30).map(|_| too_much(1)).chain([too_much(milli)])).is_err());
    }
    let most = Resources::builder().scalar("cpus", Scalar::MAX).build().unwrap();
    assert_eq!(most, parse("cpus:9000000000000"));
}

/// 80,000 names in descending order, mount disks of one root, ports and zones in one each: square costs would take minutes.
#[test]
fn long_lists_are_read_in_less_than_the_square_of_their_length() {
    let n = 80_000_usize;
    let text = |item: &dyn Fn(usize) -> String| (0..n).rev().map(item).collect::<Vec<_>>().join(";");
    let names = parse(&text(&|i| format!("n{i:06}:1")));
    assert_eq!(names.iter().count(), n);
    assert_eq!(parse(&text(&|i| format!("ports:[{0}-{0}]", i * 2))).amount("ports"), Scalar::units(n as u64));
    assert_eq!(parse(&text(&|i| format!("zones:{{z{i:06}}}"))).amount("zones"), Scalar::units(n as u64));
    let disk = r#"{"name":"disk","scalar":{"value":7},"disk":{"source":{"type":"MOUNT","mount":{"root":"/m"}}}}"#;
    let disks = v1(&format!("[{}]", vec![disk; n].join(",")));
    assert_eq!(disks.iter().count(), n);
    let (mut more, copy) = (disks.clone(), v1(&serde_json::to_string(&disks).unwrap()));
    assert!(disks.contains(&copy));
    more.try_add(&copy).unwrap();
    assert_eq!(more.iter().count(), 2 * n);
    more.remove(&copy);
    assert_eq!(more, disks);
    let clash = text(&|i| format!("n{i:06}:1")) + ";n000000:[1-2]";
    assert_eq!(clash.parse::<Resources>().unwrap_err().item, "n000000:[1-2]");
}

/// A plain reference: the same rules on an unsorted list with linear search.
#[derive(Debug, Clone, Default)]
struct Plain(Vec<Resource>);

impl Plain {
    fn of(resources: &Resources) -> Self {
        Self(resources.iter().cloned().collect())
    }

    fn position(&self, of: &Resource) -> Option<usize> {
        self.0.iter().position(|mine| {
            let same = mine.name() == of.name() && mine.kind() == of.kind();
            same && (of.merges() || mine.value() == of.value())
        })
    }

    fn add(&mut self, added: &Resource) {
        match self.position(added) {
            Some(at) if added.is_shared() => self.0[at].copies += added.copies,
            Some(at) if added.merges() => self.0[at].value.add(&added.value),
            _ => self.0.push(added.clone()),
        }
    }

    fn remove(&mut self, removed: &Resource) {
        let Some(at) = self.position(removed) else { return };
        match removed {
            shared if shared.is_shared() => self.0[at].copies = self.0[at].copies.saturating_sub(shared.copies),
            part if part.merges() => self.0[at].value.remove(&part.value),
            _ => self.0[at].copies = 0,
        }
        self.0.retain(|mine| mine.copies > 0 && !mine.value.is_empty());
    }

    fn contains(&self, asked: &Resources) -> bool {
        let mut left = self.clone();
        asked.iter().all(|resource| {
            let found = left.position(resource).is_some_and(|at| {
                let enough = left.0[at].value().contains(resource.value());
                enough && (!resource.is_shared() || left.0[at].copies >= resource.copies)
            });
            left.remove(resource);
            found
        })
    }

    /// Returns the resources in canonical order.
    fn sorted(&self) -> Vec<Resource> {
        let mut list = self.0.clone();
        list.sort();
        list
    }
}

proptest! {
    #[test]
    fn sums_and_differences_are_those_of_a_plain_list(
        a in prop::collection::vec(any_resource(), 0..12),
        b in prop::collection::vec(any_resource(), 0..40),
    ) {
        let added = |items: Vec<Resource>| items.into_iter().fold(Resources::new(), |mut sum, item| {
            let _ = sum.try_insert(item); // ignore an item whose name has another type
            sum
        });
        let (a, b) = (added(a), added(b));
        let list = |resources: &Resources| resources.iter().cloned().collect::<Vec<_>>();
        if let Ok(sum) = a.checked_add(&b) {
            let mut plain = Plain::of(&a);
            b.iter().for_each(|resource| plain.add(resource));
            prop_assert_eq!(list(&sum), plain.sorted());
        } else {
            let types = |of: &Resources| of.iter().map(|r| (r.name().to_owned(), r.value().type_name())).collect::<Vec<_>>();
            let (mine, theirs) = (types(&a), types(&b));
            prop_assert!(theirs.iter().any(|(name, of)| mine.iter().any(|(known, other)| known == name && of != other)));
        }
        let mut plain = Plain::of(&a);
        b.iter().for_each(|resource| plain.remove(resource));
        prop_assert_eq!(list(&a.saturating_sub(&b)), plain.sorted());
        prop_assert_eq!(a.contains(&b), Plain::of(&a).contains(&b));
        prop_assert_eq!(a.filter(|resource| !resource.is_shared()).iter().count(), a.iter().filter(|r| !r.is_shared()).count());
    }

    #[test]
    fn text_and_json_round_trip(a in any_resources()) {
        prop_assert_eq!(&parse(&a.to_string()), &a);
        prop_assert_eq!(v1(&serde_json::to_string(&a).unwrap()), a);
    }

    #[test]
    fn a_contained_amount_can_be_subtracted_and_added_back(a in any_resources(), b in any_resources()) {
        match a.checked_sub(&b) {
            Ok(rest) => {
                prop_assert!(a.contains(&b));
                prop_assert_eq!(&rest.checked_add(&b).unwrap(), &a);
            }
            Err(shortfall) => {
                prop_assert!(!a.contains(&b));
                prop_assert!(b.iter().any(|asked| *asked == shortfall.asked));
            }
        }
        let sum = a.checked_add(&b).unwrap();
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        prop_assert_eq!(sum, b.checked_add(&a).unwrap());
    }
}

#[test]
fn clones_are_independent() {
    let first = parse("cpus:4;ports:[1-9]");
    let mut second = first.clone();
    second.insert(&parse("cpus:1"));
    assert_eq!((first.to_string(), second.to_string()), ("cpus:4;ports:[1-9]".into(), "cpus:5;ports:[1-9]".into()));
    second.remove(&second.clone());
    assert_eq!((second, first.filter(|resource| resource.name() != "cpus")), (Resources::new(), parse("ports:[1-9]")));
}
