//! A cluster of any size to measure on, all of it offered.

use apportion::allocator::{Allocator, Drf, Hierarchical, Holding, Options};
use apportion::{Agent, Framework, Resources, Role, Time};
use std::sync::Arc;

/// How large a cluster is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) agents: usize,
    pub(crate) frameworks: usize,
    /// 1 = all in the default role; else the frameworks are dealt out among so many.
    pub(crate) roles: usize,
}

/// An allocator, and the offers that are out.
pub(crate) struct Cluster {
    pub(crate) allocator: Hierarchical<Drf, Drf>,
    pub(crate) live: Vec<Holding>,
}

impl Cluster {
    /// The agents and frameworks that Mesos' own allocator was measured with: 24 cpus, 4096 MB of memory and
    /// of disk, and a thousand ports on each agent, all of it free.
    pub(crate) fn free(size: Size) -> Self {
        let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
        for i in 0..size.frameworks {
            let role = Role::new(format!("role{}", i % size.roles)).expect("a role");
            let role = if size.roles == 1 { Role::default() } else { role };
            let framework = Arc::new(Framework::new(format!("framework{i}")).role(role));
            allocator.add_framework(&framework, &[]).expect("a new framework");
        }
        let total: Resources = "cpus:24;mem:4096;disk:4096;ports:[31000-32000]".parse().expect("resources");
        for i in 0..size.agents {
            let agent = Arc::new(Agent::new(format!("agent{i}"), total.clone()));
            allocator.add_agent(&agent, &[]).expect("a new agent");
        }
        Self { allocator, live: Vec::new() }
    }

    /// The same, after three cycles: each agent is offered to one framework.
    pub(crate) fn offered(size: Size) -> Self {
        let mut cluster = Self::free(size);
        for _ in 0..3 {
            cluster.give_back();
            assert_eq!(cluster.cycle(), size.agents);
        }
        cluster
    }

    pub(crate) fn give_back(&mut self) {
        for offer in self.live.drain(..) {
            self.allocator.end_offer(&offer, &[]).expect("a live offer");
        }
    }

    /// Allocates all agents; tells how many offers that made.
    pub(crate) fn cycle(&mut self) -> usize {
        let before = self.live.len();
        self.allocator.allocate_into(Time::ZERO, None, &mut self.live);
        self.live.len() - before
    }

    /// Gives back one offer and allocates its agent again.
    #[allow(dead_code, reason = "of the benches that have this module, one needs it")]
    pub(crate) fn event(&mut self, place: usize) {
        self.allocator.end_offer(&self.live[place], &[]).expect("a live offer");
        let offer = self.live.swap_remove(place);
        self.allocator.allocate_into(Time::ZERO, Some(&offer.agent), &mut self.live);
    }
}
