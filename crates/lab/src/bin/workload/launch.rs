//! `launch-loop`: frameworks of three kinds launch all their tasks.

use crate::Arguments;
use crate::cluster::{Allocation, Cluster, agent_id, agents, framework_id, timed};
use crate::report::{Failure, Report, Step, expect};
use apportion::allocator::Holding;
use apportion::{AgentId, Framework, FrameworkId, Resources, Role};
use indexmap::IndexMap;
use std::sync::Arc;

/// The most rounds until all tasks run: several times the number that Mesos' benchmark takes.
const MOST_ROUNDS: usize = 10_000;

/// The number of frameworks of each kind: Mesos' benchmark has 4, 500 and 50.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Each in its own role, with thousands of small tasks.
    busy: usize,
    /// All in one role, each with a few tasks.
    crowd: usize,
    /// Each in its own role, with some large tasks.
    calm: usize,
}

impl Mix {
    /// Divides frameworks into kinds in the proportions of Mesos' benchmark, which has 554.
    pub(crate) fn of(frameworks: usize) -> Self {
        let busy = (frameworks * 4 / 554).max(1);
        let calm = (frameworks * 50 / 554).min(frameworks - busy);
        Self { busy, crowd: frameworks - busy - calm, calm }
    }

    pub(crate) fn roles(self) -> usize {
        self.busy + self.calm + usize::from(self.crowd > 0)
    }

    fn role(self, number: usize) -> Result<Role, Failure> {
        let crowd = (self.busy..self.busy + self.crowd).contains(&number);
        Ok(if crowd { Role::new("crowd")? } else { Role::new(format!("role{number}"))? })
    }

    fn work(self, number: usize) -> Result<Work, Failure> {
        let (task, left, per_offer) = match number {
            busy if busy < self.busy => ("cpus:0.07;mem:400", 4_000, 100),
            crowd if crowd < self.busy + self.crowd => ("cpus:0.1;mem:4000", 5, 1),
            _ => ("cpus:1;mem:1000", 20, 5),
        };
        Ok(Work { task: task.parse()?, left, per_offer })
    }

    fn tasks(self) -> usize {
        4_000 * self.busy + 5 * self.crowd + 20 * self.calm
    }
}

/// The tasks that a framework still has to launch.
#[derive(Debug)]
struct Work {
    task: Resources,
    left: usize,
    per_offer: usize,
}

/// Each round allocates all agents; every offer is filled with tasks, and the rest of it is returned at once. A framework
/// that has launched all its tasks suppresses offers. The rounds end when all tasks run.
pub(crate) fn launch_loop(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let mix = Mix::of(arguments.frameworks());
    let mut cluster = Cluster::new(arguments);
    let mut work: IndexMap<FrameworkId, Work> = IndexMap::new();
    for number in 0..arguments.frameworks() {
        let framework = Framework::new(framework_id(number)).role(mix.role(number)?);
        cluster.allocator.add_framework(&Arc::new(framework), &[])?;
        work.insert(framework_id(number), mix.work(number)?);
    }
    let total: Resources = "cpus:64;mem:488000".parse()?;
    for agent in agents(&total, arguments.agents()) {
        cluster.allocator.add_agent(&agent, &[])?;
    }
    // The free resources by our own account, from which the expected number of offers follows.
    let mut free: IndexMap<AgentId, Resources> =
        (0..arguments.agents()).map(|number| (agent_id(number), total.clone())).collect();

    let mut launched = 0;
    for round in 0..arguments.rounds(MOST_ROUNDS) {
        let allocation = cluster.batch();
        let offered = free.values().filter(|rest| is_offered(rest));
        let (count, milli) =
            offered.fold((0, 0), |(count, milli), rest| (count + 1, milli + crate::cluster::milli(rest)));
        allocation.expect(&format!("round {round}"), count, milli)?;
        let (done, answered) = timed(|| answer(&mut cluster, &mut work, &mut free));
        launched += done?;
        report_step(report, round, allocation, answered)?;
        if launched == mix.tasks() {
            return Ok(());
        }
    }
    // With `--rounds`, the run may end before all tasks run.
    if arguments.rounds.is_some() {
        Ok(())
    } else {
        expect("launch-loop", "tasks", launched as u64, mix.tasks() as u64)
    }
}

fn report_step(report: &Report, round: usize, allocation: Allocation, before: f64) -> Result<(), Failure> {
    let (seconds, offers) = (allocation.seconds, allocation.offers);
    report.step(&Step { step: "cycle", round: Some(round), seconds, offers, before: Some(before), ..Step::default() })
}

/// Returns whether the resources reach Mesos' minimum of 0.01 cpus or 32 MB.
fn is_offered(rest: &Resources) -> bool {
    rest.amount("cpus").as_milli() >= 10 || rest.amount("mem").as_milli() >= 32_000
}

/// Answers all offers. Returns the number of launched tasks.
fn answer(
    cluster: &mut Cluster,
    work: &mut IndexMap<FrameworkId, Work>,
    free: &mut IndexMap<AgentId, Resources>,
) -> Result<usize, Failure> {
    let mut launched = 0;
    for Holding { framework, role, agent, resources } in std::mem::take(&mut cluster.live) {
        let (Some(work), Some(free)) = (work.get_mut(&framework), free.get_mut(&agent)) else { continue };
        let (mut tasks, mut rest) = (0, resources.clone());
        while tasks < work.per_offer.min(work.left) {
            let Ok(less) = rest.checked_sub(&work.task) else { break };
            (tasks, rest) = (tasks + 1, less);
        }
        let offer = Holding { framework, role, agent, resources };
        cluster.allocator.end_offer(&offer, &vec![&work.task; tasks])?;
        *free = rest;
        work.left -= tasks;
        launched += tasks;
        if tasks > 0 && work.left == 0 {
            cluster.allocator.suppress(&offer.framework, &[])?;
        }
    }
    Ok(launched)
}
