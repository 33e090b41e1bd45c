//! One agent given back and allocated again, as when its tasks end, over clusters of many sizes.
//!
//! The cost has to stay the same however many agents there are, and to grow at most with the logarithm of the
//! number of frameworks and roles: the lines of the plots are flat, or nearly so.
#![expect(clippy::expect_used, reason = "a bench stops at the first surprise")]

mod cluster;

use cluster::{Cluster, Size};
use criterion::measurement::WallTime;
use criterion::{
    AxisScale, BenchmarkGroup, BenchmarkId, Criterion, PlotConfiguration, criterion_group, criterion_main,
};
use std::time::Duration;

fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group.plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group
}

fn events(group: &mut BenchmarkGroup<'_, WallTime>, line: &str, x: usize, size: Size) {
    let mut cluster = Cluster::offered(size);
    let mut draw = fastrand::Rng::with_seed(1);
    group.bench_function(BenchmarkId::new(line, x), |b| b.iter(|| cluster.event(draw.usize(..size.agents))));
}

fn over_agents(c: &mut Criterion) {
    let mut group = group(c, "event over agents");
    for agents in [1_000, 10_000, 100_000] {
        for roles in [1, 1_000] {
            let line = format!("1000 frameworks in {roles} roles");
            events(&mut group, &line, agents, Size { agents, frameworks: 1_000, roles });
        }
    }
}

fn over_frameworks(c: &mut Criterion) {
    let mut group = group(c, "event over frameworks");
    for frameworks in [10, 100, 1_000, 10_000] {
        for (line, roles) in [("1 role", 1), ("10 roles", 10), ("a role each", frameworks)] {
            let line = format!("10000 agents, {line}");
            events(&mut group, &line, frameworks, Size { agents: 10_000, frameworks, roles });
        }
    }
}

criterion_group!(benches, over_agents, over_frameworks);
criterion_main!(benches);
