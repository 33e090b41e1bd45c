//! Ten thousand tasks over five thousand offers: a hundred apps of a hundred instances, with nothing to heed, with one
//! constraint each, and with all of them together; and one app of ten thousand.
//!
//! The offers are of 100 racks in 4 data centres, 4 cpus each: half of the cluster is full in the end.
#![expect(clippy::expect_used, reason = "a bench stops at the first surprise")]

use apportion::constraint::{Clause, Condition, PreferenceWeight};
use apportion::placement::{App, Planner, Problem, Spread, Strategy};
use apportion::{Domain, Offer, Resources, Role};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

const OFFERS: usize = 5_000;
const APPS: usize = 100;
const INSTANCES: u64 = 100;

fn offers() -> Vec<Offer> {
    let resources: Resources = "cpus:4;mem:8192;disk:10000;ports:[31000-32000]".parse().expect("resources");
    let offer = |i: usize| {
        let (agent, rack) = (format!("agent-{i}"), i % 100);
        let mut offer = Offer::new(format!("o{i}"), "f1", Role::default(), agent.as_str(), resources.clone());
        offer.agent = agent.as_str().into();
        offer.attributes =
            format!("rack:rack-{rack};dc:dc{};kernel:4.{}", rack % 4, i % 7).parse().expect("attributes");
        offer.domain = Some(Domain { region: "eu".into(), zone: format!("z{}", rack % 4).into() });
        offer
    };
    (0..OFFERS).map(offer).collect()
}

fn condition(text: &str) -> Condition {
    text.parse().expect("a condition")
}

fn app(i: usize) -> App {
    let mut app = App::new(format!("app-{i}")).instances(INSTANCES);
    app.labels = Arc::new([("tier".into(), ["web", "batch"][i % 2].into())].into());
    app
}

/// Percents of the instances for three data centres by name, and what is left for all others.
fn spread() -> Spread {
    let problem: Problem = r#"{"app": {"id": "a", "placement": {"spread":
        [{"field": "dc", "targets": {"dc0": 40, "dc1": 30, "dc2": 20}}]}}}"#
        .parse()
        .expect("a problem");
    problem.apps[0].spread[0].clone()
}

/// Away from the other tier; every other app beside the one before it.
fn affine(i: usize, app: App) -> App {
    let app = app.require(condition("hostname MAX_PER 2"));
    match i % 4 {
        0 | 1 => app.require(condition(&format!("@label.tier IS_NOT {}", ["batch", "web"][i % 2]))),
        _ => app.require(condition(&format!("@app IS /app-{}", i - 2))),
    }
}

fn spreading(mut app: App) -> App {
    app.spread.push(spread());
    app
}

fn packed(mut app: App) -> App {
    app.strategy = Strategy::by_name("binpack");
    app
}

fn all_together(i: usize) -> App {
    let wish =
        |text: &str, weight| Clause::from(condition(text)).soften(PreferenceWeight::new(weight).expect("a weight"));
    packed(spreading(app(i)))
        .require(condition("hostname UNIQUE"))
        .require(condition("rack GROUP_BY 100"))
        .require(condition("kernel LIKE 4\\.[0-5]"))
        .require(condition("@app IS_NOT /app-1"))
        .prefer(wish("@label.tier IS web", 50.0))
        .prefer(wish("kernel GE 4.3", 20.0))
}

fn placement(c: &mut Criterion) {
    let offers = offers();
    let hundred = |make: &dyn Fn(usize) -> App| (0..APPS).map(make).collect::<Vec<_>>();
    let cases = [
        ("no constraint", hundred(&app)),
        ("no constraint, one app", vec![App::new("app").instances(APPS as u64 * INSTANCES)]),
        ("hostname UNIQUE", hundred(&|i| app(i).require(condition("hostname UNIQUE")))),
        ("rack GROUP_BY", hundred(&|i| app(i).require(condition("rack GROUP_BY")))),
        ("affinity", hundred(&|i| affine(i, app(i)))),
        ("spread with targets", hundred(&|i| spreading(app(i)))),
        ("binpack", hundred(&|i| packed(app(i)))),
        ("all together", hundred(&all_together)),
    ];
    let mut group = c.benchmark_group("placement");
    for (name, apps) in &cases {
        let planner = Planner::new();
        let placed = planner.plan(apps, &[], &offers).launches.len();
        assert_eq!(placed, APPS * usize::try_from(INSTANCES).expect("few"), "{name}");
        group.throughput(Throughput::Elements(placed as u64)).sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_with_large_drop(|| planner.plan(apps, &[], &offers));
        });
    }
}

criterion_group!(benches, placement);
criterion_main!(benches);
