//! Allocations of all agents, over clusters of many sizes: what an offer costs, and what it costs to find nothing.
//!
//! The workloads are the ones that Mesos' own allocator was measured with; see `README.md` here.
#![expect(clippy::expect_used, reason = "a bench stops at the first surprise")]

mod cluster;

use cluster::{Cluster, Size};
use criterion::measurement::WallTime;
use criterion::{
    AxisScale, BatchSize, BenchmarkGroup, BenchmarkId, Criterion, PlotConfiguration, Throughput, criterion_group,
    criterion_main,
};
use std::cell::RefCell;
use std::time::Duration;

fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group.plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group
}

/// All that an allocation offers is given back before the next one.
fn full(group: &mut BenchmarkGroup<'_, WallTime>, line: &str, x: usize, size: Size) {
    let cluster = RefCell::new(Cluster::offered(size));
    group.throughput(Throughput::Elements(size.agents as u64));
    group.bench_function(BenchmarkId::new(line, x), |b| {
        b.iter_batched(
            || cluster.borrow_mut().give_back(),
            |()| assert_eq!(cluster.borrow_mut().cycle(), size.agents),
            BatchSize::PerIteration,
        );
    });
}

/// Over the number of agents: a line for one role, and one for as many roles as frameworks.
fn over_agents(c: &mut Criterion) {
    let mut group = group(c, "full cycle over agents");
    for agents in [100, 1_000, 10_000] {
        for roles in [1, 1_000] {
            let line = format!("1000 frameworks in {roles} roles");
            full(&mut group, &line, agents, Size { agents, frameworks: 1_000, roles });
        }
    }
}

fn over_frameworks(c: &mut Criterion) {
    let mut group = group(c, "full cycle over frameworks");
    for frameworks in [10, 100, 1_000, 10_000] {
        full(&mut group, "1000 agents, 1 role", frameworks, Size { agents: 1_000, frameworks, roles: 1 });
        full(&mut group, "1000 agents, a role each", frameworks, Size { agents: 1_000, frameworks, roles: frameworks });
    }
}

/// An allocation when all is offered already.
fn idle(c: &mut Criterion) {
    let mut group = group(c, "idle cycle over agents");
    for agents in [1_000, 10_000, 100_000] {
        let mut cluster = Cluster::offered(Size { agents, frameworks: 100, roles: 100 });
        group.bench_function(BenchmarkId::new("100 frameworks in 100 roles", agents), |b| {
            b.iter(|| assert_eq!(cluster.cycle(), 0));
        });
    }
}

criterion_group!(benches, over_agents, over_frameworks, idle);
criterion_main!(benches);
