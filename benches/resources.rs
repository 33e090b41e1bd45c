//! The arithmetic of resources: sums, differences, containment, filters, copies and text.
#![expect(clippy::expect_used, reason = "a bench stops at the first surprise")]

use apportion::{Ranges, Reservation, Resource, Resources, Role, Scalar, Value};
use criterion::{
    AxisScale, BatchSize, BenchmarkId, Criterion, PlotConfiguration, Throughput, criterion_group, criterion_main,
};
use std::hint::black_box;
use std::time::Duration;

const SCALARS: &str = "cpus:1;disk:256;gpus:1;mem:128";

fn parse(text: &str) -> Resources {
    text.parse().expect("resources")
}

/// The four scalars under each of so many reservations.
fn reserved(reservations: usize) -> Resources {
    let under = |i: usize| {
        let reservation = Reservation::dynamic(Role::new(format!("role{i}")).expect("a role")).by("someone");
        let scalars = [("cpus", 1), ("disk", 256), ("gpus", 1), ("mem", 128)];
        scalars
            .map(|(name, units)| Resource::new(name, Value::Scalar(Scalar::units(units))).reserved(reservation.clone()))
    };
    Resources::try_from_iter((0..reservations).flat_map(under)).expect("sums that can be told")
}

/// So many ranges of six ports, each beginning ten after the last.
fn ports(first: u64, pieces: u64) -> Resources {
    let ranges = (0..pieces).map(|i| first + 10 * i..=first + 10 * i + 5).collect::<Ranges>();
    Resources::try_from_iter([Resource::new("ports", Value::Ranges(ranges))]).expect("one resource")
}

fn scalars(c: &mut Criterion) {
    let mut group = c.benchmark_group("four scalars");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let r = parse(SCALARS);
    let mut total = r.clone();
    group.bench_function("total += r, total -= r", |b| {
        b.iter(|| {
            total.try_add(black_box(&r)).expect("a sum that can be told");
            total.remove(black_box(&r));
        });
    });
    let half = parse("cpus:0.5;mem:64");
    group.bench_function("copy", |b| b.iter(|| black_box(&r).clone()));
    group.bench_function("copy, change", |b| b.iter(|| black_box(&r).saturating_sub(&half)));
    group.bench_function("contains two", |b| b.iter(|| black_box(&r).contains(&half)));
    group.bench_function("unreserved", |b| b.iter(|| black_box(&r).unreserved()));
    group.bench_function("quantities", |b| b.iter(|| black_box(&r).quantities()));
    group.bench_function("parse", |b| b.iter(|| parse(black_box(SCALARS))));
    group.bench_function("print", |b| b.iter(|| black_box(&r).to_string()));
}

fn reservations(c: &mut Criterion) {
    let mut group = c.benchmark_group("four scalars in each of n reservations");
    group.plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for n in [1, 10, 100, 1_000] {
        let r = reserved(n);
        let mut total = r.clone();
        group.throughput(Throughput::Elements(4 * n as u64));
        group.bench_function(BenchmarkId::new("total += r, total -= r", n), |b| {
            b.iter(|| {
                total.try_add(black_box(&r)).expect("a sum that can be told");
                total.remove(black_box(&r));
            });
        });
        group.bench_function(BenchmarkId::new("contains", n), |b| b.iter(|| black_box(&total).contains(&r)));
    }
}

fn ranges(c: &mut Criterion) {
    let mut group = c.benchmark_group("ranges of n pieces");
    group.plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for n in [1, 10, 100, 1_000] {
        let (a, b) = (ports(1, n), ports(3, n));
        group.throughput(Throughput::Elements(n));
        let own = || parse(&a.to_string());
        group.bench_function(BenchmarkId::new("a += b", n), |bench| {
            let add = |mut a: Resources| a.try_add(&b).map(|()| a);
            bench.iter_batched(own, add, BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("a -= b", n), |bench| {
            let remove = |mut a: Resources| {
                a.remove(&b);
                a
            };
            bench.iter_batched(own, remove, BatchSize::SmallInput);
        });
        let same = own();
        group.bench_function(BenchmarkId::new("a contains a", n), |bench| {
            bench.iter(|| black_box(&a).contains(&same));
        });
    }
}

criterion_group!(benches, scalars, reservations, ranges);
criterion_main!(benches);
