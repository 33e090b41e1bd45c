//! A constraint and a fitness of one's own: licences for a number of hosts, and the cheapest machines first.
//!
//!     cargo run --release --example own_rules

use apportion::constraint::{Candidate, Clause, Constraint, Placed, RejectReason, Verdict};
use apportion::placement::{App, Fitness, Planner, Prospect, Strategy};
use apportion::{AttributeValue, Offer, Role, Scalar};
use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;

/// Accepts at most that many distinct hosts: there is a licence for each.
#[derive(Debug)]
struct Licences(usize);

impl Constraint for Licences {
    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        let mut hosts: BTreeSet<&str> =
            placed.siblings(candidate.app).map(|task| task.location.hostname.as_str()).collect();
        hosts.insert(&candidate.location.hostname);
        if hosts.len() <= self.0 {
            Verdict::Accept
        } else {
            Verdict::Reject(RejectReason::custom(format!("all {} licences are in use on other hosts", self.0)))
        }
    }
}

/// Prefers the lowest price an hour, for the part of the machine that the task takes.
#[derive(Debug)]
struct Cheapest;

impl Fitness for Cheapest {
    fn score(&self, prospect: &Prospect<'_>) -> f64 {
        let part = prospect.app.cpus.as_f64() / prospect.offer.resources.amount("cpus").as_f64();
        match prospect.offer.attributes.first("price") {
            Some(AttributeValue::Scalar(price)) => -price * part,
            _ => f64::NEG_INFINITY, // no price: only when nothing else is left
        }
    }
}

fn offer(agent: &str, cpus: u64, attributes: &str) -> Result<Offer, Box<dyn Error>> {
    let mut offer =
        Offer::new(agent, "f1", Role::default(), agent, format!("cpus:{cpus};mem:8192;ports:[1-9]").parse()?);
    offer.attributes = attributes.parse()?;
    Ok(offer)
}

fn main() -> std::process::ExitCode {
    apportion_console::example("Plugs in a constraint and a fitness of its own.", plan)
}

fn plan(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let offers = [
        offer("on-demand", 8, "price:0.4")?,
        offer("spot-1", 4, "price:0.1")?,
        offer("spot-2", 2, "price:0.06")?,
        offer("bare-metal", 64, "")?,
    ];
    let solver = App::new("solver").instances(6).cpus(Scalar::units(2)).require(Clause::custom(Licences(2)));
    let web = App::new("web").instances(2);
    let planner = Planner::new().strategy(Strategy::custom(Cheapest));

    let plan = planner.plan([&solver, &web], &[], &offers);
    for launch in &plan.launches {
        writeln!(out, "{:10} on {}", launch.id.as_str(), launch.agent)?;
    }
    for waiting in &plan.unplaced {
        writeln!(out, "{} more of {} have to wait:", waiting.instances, waiting.app)?;
        for reason in &waiting.reasons {
            writeln!(out, "    {}: {}", reason.offer, reason.barrier)?;
        }
        if let Some(near_miss) = &waiting.near_miss {
            writeln!(out, "    the smallest change: {near_miss}")?;
        }
    }
    Ok(())
}
