//! `decline`, `suppress`, `extreme-suppress`: allocations while frameworks decline or suppress offers.

use crate::Arguments;
use crate::cluster::{Cluster, MACHINE, framework_id, milli, timed};
use crate::report::{Failure, Report, Step};
use apportion::Resources;
use std::fmt::Write;
use std::time::Duration;

/// The refusal of all declines: it outlasts every run.
const FOR_GOOD: Duration = Duration::from_secs(365 * 24 * 3600);
/// The number of rounds in which `suppress` reaches all frameworks.
const SUPPRESS_ROUNDS: usize = 5;

/// Adds agents with tasks on them, and offers the rest of each at once. Returns the free resources of all agents.
fn running(arguments: &Arguments, report: &Report, mem: u32) -> Result<(Cluster, u64), Failure> {
    let (agents, frameworks, roles) = (arguments.agents(), arguments.frameworks(), arguments.roles());
    let total: Resources = MACHINE.parse()?;
    let mut used = format!("cpus:16;mem:{mem};disk:1024;ports:[");
    for port in (31_000..31_030).step_by(2) {
        write!(used, "{port}-{port},").expect("text grows");
    }
    let used: Resources = (used + "31030-32000]").parse()?;
    let held = Cluster::held(agents, frameworks, roles, Some(&used))?;
    let mut cluster = Cluster::new(arguments);
    let seconds = cluster.add_frameworks(frameworks, roles, None)?;
    report.step(&Step { step: "add frameworks", seconds, ..Step::default() })?;
    let allocation = cluster.add_and_offer(&total, &held)?;
    let (seconds, offers) = (allocation.seconds, allocation.offers);
    report.step(&Step { step: "add agents", seconds, offers, ..Step::default() })?;
    let free = (milli(&total) - milli(&used)) * agents as u64;
    allocation.expect("add agents", agents, free)?;
    Ok((cluster, free))
}

fn round(
    cluster: &mut Cluster,
    report: &Report,
    round: usize,
    before: f64,
    (offers, free): (usize, u64),
) -> Result<(), Failure> {
    let allocation = cluster.batch();
    report.step(&Step {
        step: "round",
        round: Some(round),
        seconds: allocation.seconds,
        offers: allocation.offers,
        before: Some(before),
        ..Step::default()
    })?;
    allocation.expect(&format!("round {round}"), offers, free)
}

/// Each round declines every live offer for good, and allocates all agents. Once the last framework has refused every agent,
/// there is nothing to offer.
pub(crate) fn decline(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (mut cluster, free) = running(arguments, report, 2_014)?;
    let frameworks = arguments.frameworks();
    for number in 0..arguments.rounds(2 * frameworks) {
        let before = cluster.end_offers(Some(FOR_GOOD))?;
        let expected = if number + 1 < frameworks { (arguments.agents(), free) } else { (0, 0) };
        round(&mut cluster, report, number, before, expected)?;
    }
    Ok(())
}

fn silence(cluster: &mut Cluster, numbers: std::ops::Range<usize>) -> Result<f64, Failure> {
    let frameworks: Vec<_> = numbers.map(framework_id).collect();
    let (done, seconds) = timed(|| frameworks.iter().try_for_each(|id| cluster.allocator.suppress(id, &[])));
    done?;
    Ok(seconds)
}

/// Each of five rounds ends all offers, suppresses a fifth of the frameworks, and allocates all agents.
pub(crate) fn suppress(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (mut cluster, free) = running(arguments, report, 1_024)?;
    let step = arguments.frameworks() / SUPPRESS_ROUNDS;
    for number in 0..arguments.rounds(SUPPRESS_ROUNDS).min(SUPPRESS_ROUNDS) {
        let mut before = cluster.end_offers(None)?;
        before += silence(&mut cluster, number * step..(number + 1) * step)?;
        let awake = (number + 1) * step < arguments.frameworks();
        let expected = if awake { (arguments.agents(), free) } else { (0, 0) };
        round(&mut cluster, report, number, before, expected)?;
    }
    Ok(())
}

/// Suppresses all but a hundredth of the frameworks; then each round ends all offers and allocates all agents.
pub(crate) fn extreme_suppress(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (mut cluster, free) = running(arguments, report, 1_024)?;
    let seconds = silence(&mut cluster, 0..arguments.frameworks() * 99 / 100)?;
    report.step(&Step { step: "suppress", seconds, ..Step::default() })?;
    for number in 0..arguments.rounds(SUPPRESS_ROUNDS) {
        let before = cluster.end_offers(None)?;
        round(&mut cluster, report, number, before, (arguments.agents(), free))?;
    }
    Ok(())
}
