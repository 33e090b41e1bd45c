//! `cycle` and `event`: an allocation of all agents, and of one.

use crate::Arguments;
use crate::cluster::{Cluster, MACHINE, milli};
use crate::report::{Failure, Latency, Report, Step, expect};
use apportion::Resources;
use apportion::allocator::{Allocator, Holding};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// The number of events of a round.
const EVENTS: usize = 2_000;

/// Returns a cluster with all agents and frameworks, and nothing offered.
fn filled(arguments: &Arguments, report: &Report) -> Result<(Cluster, u64), Failure> {
    let (agents, frameworks, roles) = (arguments.agents(), arguments.frameworks(), arguments.roles());
    let total: Resources = MACHINE.parse()?;
    let used = arguments.used.then(in_use).transpose()?;
    let held = Cluster::held(agents, frameworks, roles, used.as_ref())?;
    let mut cluster = Cluster::new(arguments);
    let seconds = cluster.add_frameworks(frameworks, roles, None)?;
    report.step(&Step { step: "add frameworks", seconds, ..Step::default() })?;
    let seconds = cluster.add_agents(&total, &held)?;
    report.step(&Step { step: "add agents", seconds, ..Step::default() })?;
    let free = milli(&total) - used.as_ref().map_or(0, milli);
    Ok((cluster, free * agents as u64))
}

/// The resources of each agent that tasks hold. Every second one of the first ports is among them.
fn in_use() -> Result<Resources, Failure> {
    let mut text = "cpus:16;mem:1024;disk:1024;ports:[".to_owned();
    for port in (31_000..31_030).step_by(2) {
        write!(text, "{port}-{port},").expect("text grows");
    }
    Ok((text + "31030-31030]").parse()?)
}

/// In each round all agents are free: one allocation offers each of them to one framework, and one more finds nothing to
/// offer.
pub(crate) fn cycle(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (mut cluster, all) = filled(arguments, report)?;
    for round in 0..arguments.rounds(3) {
        let before = (round > 0).then(|| cluster.end_offers(None)).transpose()?;
        let allocation = cluster.batch();
        let (seconds, offers) = (allocation.seconds, allocation.offers);
        report.step(&Step { step: "cycle", round: Some(round), seconds, offers, before, ..Step::default() })?;
        allocation.expect("cycle", arguments.agents(), all)?;
        let allocation = cluster.batch();
        report.step(&Step { step: "idle cycle", seconds: allocation.seconds, ..Step::default() })?;
        allocation.expect("idle cycle", 0, 0)?;
    }
    Ok(())
}

/// Each event ends the one offer of an agent and allocates the agent again, which makes one offer.
pub(crate) fn event(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (mut cluster, all) = filled(arguments, report)?;
    for round in 0..3 {
        if round > 0 {
            cluster.end_offers(None)?;
        }
        cluster.batch().expect("cycle", arguments.agents(), all)?;
    }
    let mut draw = fastrand::Rng::with_seed(arguments.seed);
    let (mut back, mut again, mut whole, mut offers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..arguments.rounds(5) {
        let first = whole.len();
        for _ in 0..EVENTS {
            let place = draw.usize(..cluster.live.len());
            let (ended, offered) = one_event(&mut cluster, place, &mut offers, all / arguments.agents() as u64)?;
            back.push(ended);
            again.push(offered);
            whole.push(ended + offered);
        }
        let seconds = whole[first..].iter().sum::<Duration>().as_secs_f64();
        let latency = Some(Latency::of(whole[first..].to_vec()));
        report.step(&Step {
            step: "events",
            round: Some(round),
            seconds,
            offers: EVENTS,
            latency,
            ..Step::default()
        })?;
    }
    for (step, spans) in [("all events", whole), ("give back", back), ("allocate", again)] {
        let seconds = spans.iter().sum::<Duration>().as_secs_f64();
        let times = Some(spans.len() as u64);
        report.step(&Step { step, seconds, times, latency: Some(Latency::of(spans)), ..Step::default() })?;
    }
    Ok(())
}

/// Returns the duration of ending the offer, and of allocating again.
fn one_event(
    cluster: &mut Cluster,
    place: usize,
    offers: &mut Vec<Holding>,
    expected: u64,
) -> Result<(Duration, Duration), Failure> {
    let offer = &cluster.live[place];
    let start = Instant::now();
    cluster.allocator.end_offer(offer, &[])?;
    let ended = start.elapsed();
    cluster.allocator.allocate_into(cluster.now, Some(&offer.agent), offers);
    let milli = crate::cluster::read(offers);
    let offered = start.elapsed() - ended;
    expect("event", "offers", offers.len() as u64, 1)?;
    expect("event", "thousandths of scalars", milli, expected)?;
    if let Some(offer) = offers.pop() {
        cluster.live[place] = offer;
    }
    Ok((ended, offered))
}
