//! What a master measures: for Mesos' `/metrics/snapshot` and GET_METRICS, and as Prometheus reads it.

mod frameworks;
mod mesos;
mod prometheus;
mod system;
mod traffic;

pub(crate) use mesos::snapshot;
pub(crate) use prometheus::{CONTENT_TYPE, exposition};
pub use system::figures as system_figures;
pub(crate) use traffic::{Connected, OTHER, Traffic};

use crate::leader::Leader;
use apportion::allocator::{Allocator as _, AllocatorMetrics};
use apportion::delivery::{DeliveryMetrics, Recipient};
use apportion::{FrameworkId, Metrics, Resource, Scalar, Time};
use frameworks::FrameworkFigures;
use std::collections::BTreeMap;
use std::time::Duration;

/// All that the master's task measures, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    master: Metrics,
    allocator: AllocatorMetrics,
    delivery: DeliveryMetrics,
    /// By name of a resource.
    amounts: BTreeMap<String, Amounts>,
    /// The time since the start.
    uptime: Duration,
    /// What waits for each framework with an open stream: messages, and about how many bytes.
    streams: Vec<(FrameworkId, usize, u64)>,
    is_recording: bool,
    /// Of each registered framework, if they are published.
    frameworks: Vec<FrameworkFigures>,
}

/// What all agents have of a resource, and what tasks and executors hold of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    total: Scalar,
    used: Scalar,
    revocable_total: Scalar,
    revocable_used: Scalar,
}

impl Figures {
    /// Reads all figures. O(agents + frameworks + roles).
    pub(crate) fn of(leader: &Leader) -> Self {
        let delivery = leader.delivery();
        let master = delivery.master();
        let mut amounts: BTreeMap<String, Amounts> = BTreeMap::new();
        for account in master.agents().filter_map(|agent| master.allocator().agent(&agent.id)) {
            let mut add = |resource: &Resource, pick: fn(&mut Amounts, bool) -> &mut Scalar| {
                let Some(amount) = resource.scalar() else { return };
                if !amounts.contains_key(resource.name()) {
                    amounts.insert(resource.name().to_owned(), Amounts::default());
                }
                let sums = amounts.get_mut(resource.name()).expect("it is there now");
                let sum = pick(sums, resource.is_revocable());
                *sum = Scalar::milli(sum.as_milli().saturating_add(amount.as_milli()));
            };
            for resource in account.total.iter() {
                add(resource, |sums, revocable| if revocable { &mut sums.revocable_total } else { &mut sums.total });
            }
            for resource in account.allocated.iter() {
                add(resource, |sums, revocable| if revocable { &mut sums.revocable_used } else { &mut sums.used });
            }
        }
        let is_each_published = leader.gate().settings.per_framework_metrics;
        let waiting = |framework: &FrameworkId| {
            let (messages, bytes) = delivery.queued_for(&Recipient::Framework(framework.clone()));
            (framework.clone(), messages, bytes)
        };
        Self {
            master: master.metrics(),
            allocator: master.allocator().metrics(),
            delivery: delivery.metrics(),
            amounts,
            uptime: delivery.now().since(Time::ZERO),
            streams: leader.streams().map(waiting).collect(),
            is_recording: leader.is_recording(),
            frameworks: if is_each_published { FrameworkFigures::all(leader) } else { Vec::new() },
        }
    }

    fn amounts(&self, name: &str) -> Amounts {
        self.amounts.get(name).copied().unwrap_or_default()
    }

    /// Returns about how many bytes wait for all frameworks.
    fn queued_bytes(&self) -> u64 {
        self.streams.iter().map(|(_, _, bytes)| bytes).sum()
    }
}
