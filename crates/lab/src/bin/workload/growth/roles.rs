//! Operations over siblings: a cluster of a hundred agents and n roles with a framework each.

use super::{Operation, each};
use crate::cluster::{MACHINE, agents, framework_id, role};
use crate::report::{Failure, expect};
use apportion::allocator::{Allocator, Drf, Hierarchical, Holding, Options, Quota, Weight};
use apportion::{Agent, Framework, Resources, Scalar, Time};
use std::sync::Arc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("agent-update", "an agent's total, and an offer elsewhere", 10_000, agent_update),
    Operation::new("agent-leave", "an agent that leaves and comes, and an offer elsewhere", 10_000, agent_leave),
    Operation::new("role-weight", "a weight, and an offer", 10_000, weight),
    Operation::new("role-join", "a framework that comes in a new role and leaves", 10_000, join),
    Operation::new("role-quota", "a quota and the batch after it", 10_000, quota),
    Operation::new("role-suppress", "suppress and revive with an event each", 10_000, suppress),
    Operation::new("framework-update", "an update of a framework", 10_000, framework_update),
];

/// The agents of these clusters.
const AGENTS: usize = 100;
/// How often each operation is done.
const TIMES: u32 = 200;

struct Cluster {
    allocator: Hierarchical<Drf, Drf>,
    agents: Vec<Arc<Agent>>,
    live: Vec<Holding>,
}

impl Cluster {
    fn new(roles: usize) -> Result<Self, Failure> {
        let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
        for number in 0..roles {
            allocator.add_framework(&framework(number)?, &[])?;
        }
        let total: Resources = MACHINE.parse()?;
        let agents = agents(&total, AGENTS);
        for agent in &agents {
            allocator.add_agent(agent, &[])?;
        }
        let live = allocator.allocate(Time::ZERO, None);
        expect("begin", "offers", live.len() as u64, AGENTS as u64)?;
        Ok(Self { allocator, agents, live })
    }

    /// Ends the offer of an agent, and offers it again.
    fn event(&mut self, number: usize) -> Result<(), Failure> {
        let place = number % self.live.len();
        self.allocator.end_offer(&self.live[place], &[])?;
        let offers = self.allocator.allocate(Time::ZERO, Some(&self.live[place].agent.clone()));
        expect("event", "offers", offers.len() as u64, 1)?;
        self.live[place] = offers.into_iter().next().unwrap_or_else(|| self.live[place].clone());
        Ok(())
    }
}

fn framework(number: usize) -> Result<Arc<Framework>, Failure> {
    Ok(Arc::new(Framework::new(framework_id(number)).role(role(number, usize::MAX)?)))
}

fn agent_update(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    let totals: [Resources; 2] = [MACHINE.parse()?, "cpus:24;mem:5000;disk:4096;ports:[31000-32000]".parse()?];
    each(TIMES, |number| {
        let changed = Agent::new(cluster.agents[0].id.clone(), totals[number % 2].clone());
        cluster.allocator.update_agent(&Arc::new(changed))?;
        cluster.event(1 + number % 50)
    })
}

fn agent_leave(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    each(TIMES, |number| {
        let last = cluster.live.len() - 1;
        let id = cluster.live[last].agent.clone();
        let agent = cluster.agents.iter().find(|agent| agent.id == id).cloned();
        cluster.allocator.end_offer(&cluster.live[last], &[])?;
        cluster.allocator.remove_agent(&id)?;
        cluster.event(number % last)?;
        if let Some(agent) = agent {
            cluster.allocator.add_agent(&agent, &[])?;
        }
        let offers = cluster.allocator.allocate(Time::ZERO, Some(&id));
        expect("agent-leave", "offers", offers.len() as u64, 1)?;
        cluster.live.truncate(last);
        cluster.live.extend(offers);
        Ok(())
    })
}

fn weight(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    let weights = [Weight::try_from_f64(2.0), Weight::try_from_f64(3.0)].map(Result::unwrap_or_default);
    each(TIMES, |number| {
        cluster.allocator.set_weight(&role(number * 7 % roles, usize::MAX)?, weights[number % 2]);
        cluster.event(number)
    })
}

fn join(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    each(TIMES, |number| {
        let new = framework(roles + number)?;
        cluster.allocator.add_framework(&new, &[])?;
        cluster.event(number)?;
        let held: Vec<usize> = (0..cluster.live.len()).filter(|at| cluster.live[*at].framework == new.id).collect();
        cluster.allocator.set_framework_active(&new.id, false)?;
        held.into_iter().try_for_each(|place| cluster.event(place))?;
        Ok(cluster.allocator.remove_framework(&new.id)?)
    })
}

fn quota(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    each(TIMES, |number| {
        let limit = Quota::default().limit("cpus", Scalar::units(1_000 + number as u64 % 2));
        cluster.allocator.set_quota(&role(number * 7 % roles, usize::MAX)?, limit)?;
        let offers = cluster.allocator.allocate(Time::ZERO, None);
        expect("quota", "offers", offers.len() as u64, 0)
    })
}

fn with_some_quota(cluster: &mut Cluster, roles: usize) -> Result<(), Failure> {
    for number in 0..roles.min(10) {
        let limit = Quota::default().limit("cpus", Scalar::units(1_000_000));
        cluster.allocator.set_quota(&role(number, usize::MAX)?, limit)?;
    }
    cluster.allocator.allocate(Time::ZERO, None);
    Ok(())
}

fn suppress(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    with_some_quota(&mut cluster, roles)?;
    each(TIMES, |number| {
        let id = framework_id(number * 7 % roles);
        cluster.allocator.suppress(&id, &[])?;
        cluster.event(number)?;
        cluster.allocator.revive(&id, &[])?;
        cluster.event(number + 1)
    })
}

fn framework_update(roles: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(roles)?;
    with_some_quota(&mut cluster, roles)?;
    each(TIMES, |number| {
        cluster.allocator.update_framework(&framework(number * 7 % roles)?)?;
        cluster.event(number)
    })
}
