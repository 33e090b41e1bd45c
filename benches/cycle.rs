//! One full allocation cycle, and one steady-state event, over clusters of several sizes.
//!
//! The workloads are the ones that Mesos' own allocator was measured with: agents of 24 cpus, 4096 MB
//! of memory and disk and a thousand ports; frameworks all in `*`, or each in a role of its own.
#![expect(clippy::expect_used, reason = "a bench stops at the first surprise")]

use apportion::allocator::{Allocator, Hierarchical, Options, SorterChoice};
use apportion::{Agent, AgentId, Framework, Role, Time};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

/// A cluster of so many agents, frameworks and roles, with nothing held yet.
fn cluster(agents: usize, frameworks: usize, roles: usize) -> Hierarchical {
    let mut allocator = Hierarchical::new(Options::default(), SorterChoice::default(), SorterChoice::default());
    for i in 0..frameworks {
        let role = if roles == 1 { Role::default() } else { Role::new(format!("role{}", i % roles)).expect("a role") };
        let framework = Arc::new(Framework::new(format!("framework{i}")).role(role));
        allocator.add_framework(&framework, &[]).expect("a new framework");
    }
    let total = "cpus:24;mem:4096;disk:4096;ports:[31000-32000]".parse::<apportion::Resources>().expect("resources");
    for i in 0..agents {
        let agent = Arc::new(Agent::new(format!("agent{i}"), total.clone()));
        allocator.add_agent(&agent, &[]).expect("a new agent");
    }
    allocator
}

fn full_cycle(c: &mut Criterion) {
    let mut group = c.benchmark_group("full cycle");
    for (agents, frameworks, roles) in [(1_000, 100, 1), (1_000, 100, 100), (10_000, 1_000, 1), (10_000, 1_000, 1_000)]
    {
        let empty = cluster(agents, frameworks, roles);
        group.throughput(Throughput::Elements(agents as u64)).sample_size(10);
        let id = BenchmarkId::from_parameter(format!("{agents} agents, {frameworks} frameworks, {roles} roles"));
        group.bench_function(id, |b| {
            let cycle = |mut allocator: Hierarchical| allocator.allocate(Time::ZERO, None).len();
            b.iter_batched(|| empty.clone(), cycle, BatchSize::LargeInput);
        });
    }
}

/// One agent is given back and allocated again, as when its tasks end.
fn event(c: &mut Criterion) {
    let mut group = c.benchmark_group("event");
    for (agents, frameworks, roles) in [(1_000, 100, 1), (10_000, 1_000, 1), (10_000, 1_000, 1_000)] {
        let mut allocator = cluster(agents, frameworks, roles);
        let mut held = allocator.allocate(Time::ZERO, None);
        let mut next = 0;
        group.bench_function(
            BenchmarkId::from_parameter(format!("{agents} agents, {frameworks} frameworks, {roles} roles")),
            |b| {
                b.iter(|| {
                    next = (next + 7_919) % held.len();
                    let agent: AgentId = held[next].agent.clone();
                    allocator.end_offer(&held[next], &[]).expect("a live offer");
                    held[next] = allocator.allocate(Time::ZERO, Some(&agent)).pop().expect("one offer");
                });
            },
        );
    }
}

criterion_group!(benches, full_cycle, event);
criterion_main!(benches);
