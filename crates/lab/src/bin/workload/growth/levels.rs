//! Other sorters than DRF: one offer, an event, a cycle.

use super::{Operation, each, whole};
use crate::cluster::{MACHINE, agents, framework_id, role};
use crate::report::{Failure, expect};
use apportion::allocator::{
    Allocator, Drf, Hdrf, Hierarchical, Holding, Node, Options, Ordered, Policy, Random, Share, Sorter,
};
use apportion::{Framework, Resources, Time};
use std::sync::Arc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("random-event", "an event over n frameworks", 4_000, random_event),
    Operation::new("hdrf-event", "an event over 400 frameworks, by agents", 1_000, hdrf_event),
    Operation::new("hdrf-cycle", "an offer of a cycle over 20 frameworks, by agents", 4_000, hdrf_cycle),
    Operation::new("policy-event", "an event over 1,000 agents, by roles", 1_000, policy_event),
    Operation::new("policy-cycle", "an offer of a cycle over n roles and agents", 1_000, policy_cycle),
];

/// DRF as a policy of one's own.
#[derive(Debug, Clone)]
struct DominantShare;

impl Policy for DominantShare {
    type Key = (Share, u64);

    fn key(&self, node: &Node<'_>) -> Self::Key {
        (node.share(), node.count())
    }
}

struct Cluster<S> {
    allocator: Hierarchical<S, Drf>,
    live: Vec<Holding>,
    now: Time,
}

impl<S: Sorter + Clone> Cluster<S> {
    fn new(sorter: S, agent_count: usize, frameworks: usize) -> Result<Self, Failure> {
        let mut allocator = Hierarchical::new(Options::default(), sorter, Drf::default());
        for number in 0..frameworks {
            let framework = Framework::new(framework_id(number)).role(role(number, usize::MAX)?);
            allocator.add_framework(&Arc::new(framework), &[])?;
        }
        let total: Resources = MACHINE.parse()?;
        for agent in agents(&total, agent_count) {
            allocator.add_agent(&agent, &[])?;
        }
        Ok(Self { allocator, live: Vec::new(), now: Time::ZERO })
    }

    fn cycle(&mut self) -> Result<usize, Failure> {
        for offer in self.live.drain(..) {
            self.allocator.end_offer(&offer, &[])?;
        }
        self.now += std::time::Duration::from_secs(1);
        self.allocator.allocate_into(self.now, None, &mut self.live);
        Ok(self.live.len())
    }

    fn event(&mut self, number: usize) -> Result<(), Failure> {
        let place = number % self.live.len().max(1);
        let agent = self.live[place].agent.clone();
        self.allocator.end_offer(&self.live[place], &[])?;
        self.now += std::time::Duration::from_millis(1);
        let offers = self.allocator.allocate(self.now, Some(&agent));
        expect("event", "offers", offers.len() as u64, 1)?;
        self.live.swap_remove(place);
        self.live.extend(offers);
        Ok(())
    }

    fn events(mut self, times: u32) -> Result<f64, Failure> {
        self.cycle()?;
        each(times, |number| self.event(number))
    }

    fn cycles(mut self) -> Result<f64, Failure> {
        self.cycle()?;
        whole(|| self.cycle())
    }
}

fn random_event(frameworks: usize) -> Result<f64, Failure> {
    Cluster::new(Random::new(7), 100, frameworks)?.events(200)
}

fn hdrf_event(agents: usize) -> Result<f64, Failure> {
    Cluster::new(Hdrf::default(), agents, 400)?.events(100)
}

fn hdrf_cycle(agents: usize) -> Result<f64, Failure> {
    Cluster::new(Hdrf::default(), agents, 20)?.cycles()
}

fn policy_event(roles: usize) -> Result<f64, Failure> {
    Cluster::new(Ordered::new(DominantShare), 1_000, roles)?.events(1_000)
}

fn policy_cycle(size: usize) -> Result<f64, Failure> {
    Cluster::new(Ordered::new(DominantShare), size, size)?.cycles()
}
