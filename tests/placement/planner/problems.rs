//! Random problems: apps with all kinds of conditions, offers of all kinds, tasks that run.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

fn of<T: Clone + std::fmt::Debug + 'static>(options: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(options.to_vec())
}

/// Marathon's conditions and those on top, over a few fields with few values.
fn condition() -> impl Strategy<Value = Json> {
    let place = of(&["@hostname", "rack", "zone", "@zone", "@region", "level"]);
    let counting = (place, 0..12_usize, 1..4_u64).prop_map(|(field, operator, number)| match operator {
        0 | 1 => json!([field, "UNIQUE"]),
        2 => json!([field, "CLUSTER"]),
        3 => json!([field, "GROUP_BY"]),
        4 | 5 => json!([field, "GROUP_BY", number]),
        6 | 7 => json!([field, "MAX_PER", number - 1]),
        8..=10 => json!([field, "MAX_SKEW", number]),
        _ => json!([field, "EXCLUSIVE"]),
    });
    let looking = of(&[
        json!(["rack", "CLUSTER", "r1"]),
        json!(["rack", "LIKE", "r[12]"]),
        json!(["rack", "UNLIKE", "r1"]),
        json!(["zone", "IS", "a"]),
        json!(["zone", "IS_NOT", "a"]),
        json!(["rack", "IN", ["r0", "r2"]]),
        json!(["rack", "NOT_IN", ["r0", "r3"]]),
        json!(["zone", "EXISTS"]),
        json!(["zone", "ABSENT"]),
        json!(["tags", "HAS", "a"]),
        json!(["tags", "HAS", ["a", 7]]),
        json!(["tags", "LACKS", "7"]),
        json!(["level", "GT", 1]),
        json!(["level", "LE", "2.5"]),
        json!(["level", "IS", "1.0"]),
        json!(["@region", "IS", "eu"]),
        json!(["@zone", "LIKE", ".*1"]),
        json!(["@hostname", "UNLIKE", "h[01]"]),
    ]);
    let beside = of(&[
        json!(["@app", "IS", "/a0"]),
        json!(["@app", "IS_NOT", "/a1"]),
        json!(["@app", "ABSENT"]),
        json!(["@task", "LACKS", "a0.2"]),
        json!(["@task", "LIKE", ".*1"]),
        json!(["@image", "IS", "redis"]),
        json!(["@image", "UNLIKE", "redis:.*"]),
        json!(["@label.tier", "IS", "web"]),
        json!(["@label.tier", "NOT_IN", ["db"]]),
        json!(["@label.n", "GE", 2]),
    ]);
    prop_oneof![4 => counting, 3 => looking, 2 => beside]
}

fn clause() -> impl Strategy<Value = Json> {
    condition().prop_recursive(2, 6, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            3 => inner.clone(),
            1 => list().prop_map(|of| json!({"any": of})),
            1 => list().prop_map(|of| json!({"all": of})),
            1 => inner.clone().prop_map(|of| json!({"not": of})),
        ]
    })
}

fn placement() -> impl Strategy<Value = Json> {
    let weight = of(&[-100.0, -50.0, 0.5, 30.0, 50.0, 70.0, 100.0]);
    let wish = (clause(), weight).prop_map(|(of, weight)| json!({"if": of, "weight": weight}));
    let targets = of(&[
        json!(null),
        json!({"r1": 50, "a": 30}),
        json!({"r0": 0, "r2": 100}),
        json!({"r0": 20, "r1": 30, "b": 60.5, "*": 0}),
        json!({}),
        json!({"1": 70}),
    ]);
    let spread = (of(&["rack", "zone", "@zone", "hostname", "level"]), of(&[50, 20]), targets);
    let spread = spread.prop_filter_map("percents", |(field, weight, targets)| {
        let percents: f64 = targets.as_object().into_iter().flatten().filter_map(|(_, percent)| percent.as_f64()).sum();
        (percents <= 100.0).then(|| json!({"field": field, "weight": weight, "targets": targets}))
    });
    let strategy = of(&["first", "first", "binpack", "spread", "binpack:cpus", "spread:mem"]);
    let few = |of: BoxedStrategy<Json>, most: usize| prop::collection::vec(of, 0..=most);
    (few(clause().boxed(), 3), few(wish.boxed(), 2), few(spread.boxed(), 2), prop::option::of(strategy)).prop_map(
        |(require, prefer, spread, strategy)| {
            json!({"require": require, "prefer": prefer, "spread": spread, "strategy": strategy})
        },
    )
}

fn app() -> impl Strategy<Value = Json> {
    let ports = of(&[
        json!({"ports": []}),
        json!({"ports": []}),
        json!({"ports": [0, 0]}),
        json!({"ports": [2, 0], "requirePorts": true}),
        json!({"portDefinitions": [{"port": 3, "name": "x"}], "requirePorts": true}),
    ]);
    let volumes = of(&[
        json!([]),
        json!([]),
        json!([]),
        json!([{"containerPath": "d", "persistent": {"size": 3}}]),
        json!([{"containerPath": "d", "persistent": {"size": 2, "type": "path"}},
               {"containerPath": "e", "persistent": {"size": 1, "type": "mount", "maxSize": 6}}]),
    ]);
    let amounts = (of(&[0.0, 0.5, 1.0, 2.0]), of(&[0, 5, 10, 20]), of(&[0, 0, 1, 4]), of(&[0, 0, 0, 0, 1]));
    let roles = (
        of(&[None, None, None, Some("eng")]),
        of(&[None, None, None, Some(json!(["*", "eng"])), Some(json!(["eng"]))]),
    );
    let image = of(&[None, Some("redis"), Some("redis:7"), Some("hub:5000/redis@sha256:0")]);
    let labels = of(&[json!({}), json!({"tier": "web", "n": "2"}), json!({"tier": "db"})]);
    let ask = of(&[
        "",
        "",
        "",
        "licenses:2",
        "licenses:1.5;names:1",
        "names:{b};ids:2",
        "names:2;gpus:{g}",
        "ids:[1-1,5-5]",
        "licenses(eng):1;licenses:2;ids:3",
    ]);
    let labels = (labels, ask).prop_map(|(mut labels, ask)| {
        labels[super::ASK] = json!(ask);
        labels
    });
    (0_u64..7, amounts, ports, volumes, roles, image, labels, prop_oneof![1 => Just(json!({})), 4 => placement()])
        .prop_map(|(instances, amounts, ports, volumes, roles, image, labels, placement)| {
            let mut app = ports;
            let docker = image.map(|image| json!({"image": image}));
            app["instances"] = json!(instances);
            for (key, amount) in ["cpus", "mem", "disk", "gpus"].iter().zip([
                amounts.0,
                f64::from(amounts.1),
                f64::from(amounts.2),
                f64::from(amounts.3),
            ]) {
                app[*key] = json!(amount);
            }
            app["role"] = json!(roles.0);
            app["acceptedResourceRoles"] = json!(roles.1);
            app["container"] = json!({"docker": docker, "volumes": volumes});
            app["labels"] = labels;
            app["placement"] = placement;
            app["versionInfo"] = json!({"lastConfigChangeAt": "2026-01-02T00:00:00Z"});
            app
        })
}

fn attributes() -> impl Strategy<Value = String> {
    let parts = [
        of(&["", "rack:r0", "rack:r1", "rack:r2", "rack:r3"]).boxed(),
        of(&["", "zone:a", "zone:b"]).boxed(),
        of(&["", "level:1", "level:1.0004", "level:2.5", "level:x"]).boxed(),
        of(&["", "tags:{a,7}", "tags:a,b", "tags:[6-7]", "rack:r9"]).boxed(),
    ];
    parts.prop_map(|parts| parts.join(";"))
}

fn offer() -> impl Strategy<Value = Json> {
    let amounts = (
        0_u64..6,
        of(&[10, 20, 50]),
        0_u64..5,
        of(&[0, 1, 2, 2, 2]),
        of(&["", ";cpus(eng):1;mem(eng):10;ports(eng):[8-9]", ";cpus(ops):3"]),
        of(&[
            "",
            ";licenses:3;names:{a,b,c};ids:[1-5]",
            ";licenses:1;licenses(eng):2;names(eng):{b,d};ids(eng):[5-6];ids:[1-2]",
        ]),
    );
    let disks = of(&[
        json!([]),
        json!([]),
        json!([{"name": "disk", "type": "SCALAR", "scalar": {"value": 6}}]),
        json!([{"name": "disk", "type": "SCALAR", "scalar": {"value": 5}},
            {"name": "disk", "type": "SCALAR", "scalar": {"value": 4}, "disk": {"source": {"type": "PATH", "path": {"root": "/p"}}}},
            {"name": "disk", "type": "SCALAR", "scalar": {"value": 3}, "disk": {"source": {"type": "MOUNT", "mount": {"root": "/m"}}}},
            {"name": "disk", "type": "SCALAR", "scalar": {"value": 7}, "disk": {"source": {"type": "MOUNT", "mount": {"root": "/n"}}}}]),
    ]);
    let domain = (of(&[None, Some("eu"), Some("us")]), of(&[None, Some("z1"), Some("z2")]));
    let window =
        of(&[json!(null), json!(null), json!(null), json!({"start": 5, "duration": 10}), json!({"start": 200})]);
    (amounts, disks, attributes(), domain, of(&["*", "*", "*", "eng"]), window, 0_usize..7).prop_map(
        |((cpus, mem, ports, gpus, more, others), disks, attributes, (region, zone), role, window, host)| {
            let text = format!(
                "cpus:{cpus};mem:{mem};ports:[1-{}];{}{more}{others}",
                ports + 1,
                ["gpus:2", "gpus:{g}", ""][gpus]
            );
            let plain: apportion::Resources = text.parse().unwrap();
            let disks: apportion::Resources = serde_json::from_value(disks).unwrap();
            let resources = serde_json::to_value(plain.checked_add(&disks).unwrap()).unwrap();
            json!({"hostname": format!("h{host}"), "resources": resources, "attributes": attributes,
                "region": region, "zone": zone, "role": role, "unavailability": window})
        },
    )
}

/// Problems for everything but seeds and random choice.
pub(crate) fn problem() -> impl Strategy<Value = Json> {
    let version = of(&[None, Some("2026-01-01T00:00:00Z"), Some("2026-01-03T00:00:00Z")]);
    let running = (0_usize..4, 1_u64..6, 0_usize..7, attributes(), version).prop_map(
        |(app, number, host, attributes, version)| {
            json!({"app": format!("a{app}"), "task": format!("a{app}.{number}"), "hostname": format!("h{host}"),
            "attributes": attributes, "version": version})
        },
    );
    let options = (
        of(&["first", "binpack", "spread"]),
        of(&[None, Some("eu")]),
        of(&[0, 10, 100]),
        of(&["restricted", "unrestricted"]),
    );
    let lists = (
        prop::collection::vec(app(), 1..4),
        prop::collection::vec(running, 0..4),
        prop::collection::vec(offer(), 0..8),
    );
    (lists, options).prop_map(|((mut apps, mut running, mut offers), (strategy, region, now, gpus))| {
        for (i, app) in apps.iter_mut().enumerate() {
            app["id"] = json!(format!("a{i}"));
        }
        for (i, offer) in offers.iter_mut().enumerate() {
            offer["id"] = json!(format!("o{i}"));
        }
        let mut ids = BTreeSet::new();
        running.retain(|task| ids.insert(task["task"].to_string()));
        json!({"apps": apps, "running": running, "offers": offers, "options": {"strategy": strategy, "region": region,
            "now": now, "draining_seconds": 2, "gpu_scheduling_behavior": gpus}})
    })
}
