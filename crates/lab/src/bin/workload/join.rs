//! `add-and-update`: agents that are added with tasks, and later get more resources.

use crate::Arguments;
use crate::cluster::{Allocation, Cluster, agents, milli, timed};
use crate::report::{Failure, Report, Step};
use apportion::{Capability, Kind, Resource, Resources, Scalar, Value};

/// Each agent is added with a task on it, and offered at once. Then each gets ten revocable cpus, which are offered at once
/// too. No offer ever ends.
pub(crate) fn add_and_update(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (count, frameworks, roles) = (arguments.agents(), arguments.frameworks(), arguments.roles());
    let total: Resources = "cpus:2;mem:1024;disk:4096;ports:[31000-32000]".parse()?;
    let used: Resources = "cpus:1;mem:128;disk:1024;ports:[31126-31510,31512-31623,31810-31852,31854-31964]".parse()?;
    let held = Cluster::held(count, frameworks, roles, Some(&used))?;
    let mut cluster = Cluster::new(arguments);
    let seconds = cluster.add_frameworks(frameworks, roles, Some(Capability::RevocableResources))?;
    report.step(&Step { step: "add frameworks", seconds, ..Step::default() })?;

    let allocation = cluster.add_and_offer(&total, &held)?;
    report_step(report, "add agents", 0, allocation)?;
    allocation.expect("add agents", count, (milli(&total) - milli(&used)) * count as u64)?;

    let mut kind = Kind::default();
    kind.revocable = true;
    let more = Resource::new("cpus", Value::Scalar(Scalar::units(10))).with_kind(kind);
    let mut grown = total;
    grown.try_insert(more)?;
    let agents = agents(&grown, count);
    let (updated, seconds) = timed(|| {
        let mut milli = 0;
        for agent in &agents {
            cluster.allocator.update_agent(agent)?;
            milli += cluster.offer(Some(&agent.id));
        }
        Ok::<_, Failure>(milli)
    });
    let allocation = Allocation { seconds, offers: cluster.live.len() - count, milli: updated? };
    report_step(report, "update agents", 1, allocation)?;
    allocation.expect("update agents", count, 10_000 * count as u64)
}

fn report_step(report: &Report, step: &str, round: usize, allocation: Allocation) -> Result<(), Failure> {
    let (seconds, offers) = (allocation.seconds, allocation.offers);
    report.step(&Step { step, round: Some(round), seconds, offers, ..Step::default() })
}
