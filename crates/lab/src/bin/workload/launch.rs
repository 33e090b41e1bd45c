//! `launch-loop`: frameworks of three sorts launch all that they have to run.

use crate::Arguments;
use crate::cluster::{Cluster, Given, agent_id, agents, framework_id, timed};
use crate::report::{Failure, Report, Step, expect};
use apportion::allocator::{Allocator, Holding};
use apportion::{AgentId, Framework, FrameworkId, Resources, Role};
use indexmap::IndexMap;
use std::sync::Arc;

/// Within which all tasks have to run: several times what Mesos' benchmark takes.
const MOST_ROUNDS: usize = 10_000;

/// How many frameworks there are of each sort: Mesos' benchmark has 4, 500 and 50.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// In a role of their own, each with thousands of small tasks.
    busy: usize,
    /// All in one role, each with a few tasks.
    crowd: usize,
    /// In a role of their own, each with some large tasks.
    calm: usize,
}

impl Mix {
    /// Divides so many frameworks as Mesos' benchmark does its 554.
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

/// What a framework still has to run.
#[derive(Debug)]
struct Work {
    task: Resources,
    left: usize,
    per_offer: usize,
}

/// Each round: all agents are allocated, and of every offer tasks take what they can, the rest is given
/// back at once. A framework that has launched all it had wants no more offers. Until all tasks run.
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
    // What is free by our own account, which says how many agents have to be offered.
    let mut free: IndexMap<AgentId, Resources> =
        (0..arguments.agents()).map(|number| (agent_id(number), total.clone())).collect();

    let mut launched = 0;
    for round in 0..arguments.rounds(MOST_ROUNDS) {
        let given = cluster.batch();
        let offered = free.values().filter(|rest| is_offered(rest));
        let (count, milli) =
            offered.fold((0, 0), |(count, milli), rest| (count + 1, milli + crate::cluster::milli(rest)));
        given.expect(&format!("round {round}"), count, milli)?;
        let (done, answered) = timed(|| answer(&mut cluster, &mut work, &mut free));
        launched += done?;
        tell(report, round, given, answered)?;
        if launched == mix.tasks() {
            return Ok(());
        }
    }
    // Who asks for a few rounds gets a few; else all tasks have to run.
    if arguments.rounds.is_some() {
        Ok(())
    } else {
        expect("launch-loop", "tasks", launched as u64, mix.tasks() as u64)
    }
}

fn tell(report: &Report, round: usize, given: Given, before: f64) -> Result<(), Failure> {
    let (seconds, offers) = (given.seconds, given.offers);
    report.step(&Step { step: "cycle", round: Some(round), seconds, offers, before: Some(before), ..Step::default() })
}

/// Whether Mesos' minimum of 0.01 cpus or 32 MB is reached.
fn is_offered(rest: &Resources) -> bool {
    rest.amount("cpus").as_milli() >= 10 || rest.amount("mem").as_milli() >= 32_000
}

/// Answers all offers; tells how many tasks were launched.
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
