//! Requests of offers.

use super::{Operation, each};
use crate::cluster::{agent_id, framework_id, role};
use crate::report::{Failure, expect};
use apportion::{Agent, Call, Command, Config, Effect, Filters, Framework, Master, OfferId, Request, Time};
use std::time::Duration;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("request-held", "a request where another framework is offered all of n agents", 50_000, held),
    Operation::new(
        "request-again",
        "a requested offer that is declined and made again, beside n agents that are too small",
        50_000,
        again,
    ),
];

/// A master with so many small agents and a large one, and a framework that is offered nothing by itself.
fn cluster(agents: usize, other: bool) -> Result<Master, Failure> {
    let mut master = Master::new(Config::new());
    let mut tell = |command| master.handle(Time::ZERO, command);
    let own = role(0, usize::MAX)?;
    tell(Command::AddFramework(Framework::new(framework_id(0)).role(own.clone()).suppressed(own)))?;
    if other {
        tell(Command::AddFramework(Framework::new(framework_id(1)).role(role(1, usize::MAX)?)))?;
    }
    for number in 0..agents {
        tell(Command::AddAgent(Agent::new(agent_id(number), "cpus:1;mem:64".parse()?).into()))?;
    }
    tell(Command::AddAgent(Agent::new(agent_id(agents), "cpus:4;mem:64".parse()?).into()))?;
    Ok(master)
}

fn request() -> Result<Command, Failure> {
    Ok(Command::Call(framework_id(0), Request::offers(1).each("cpus:2".parse()?).into()))
}

/// Takes the effects, and returns the last offer.
fn last_offer(master: &mut Master) -> Option<OfferId> {
    let mut last = None;
    while let Some(emitted) = master.poll_effect() {
        if let Effect::Offer(offer) = emitted.effect {
            last = Some(offer.id);
        }
    }
    last
}

fn held(agents: usize) -> Result<f64, Failure> {
    let mut master = cluster(agents, true)?;
    last_offer(&mut master);
    let seconds = each(200, |_| {
        master.handle(Time::ZERO, request()?)?;
        Ok(())
    })?;
    expect("request-held", "offers", u64::from(last_offer(&mut master).is_some()), 0)?;
    Ok(seconds)
}

fn again(agents: usize) -> Result<f64, Failure> {
    let mut master = cluster(agents, false)?;
    master.handle(Time::ZERO, request()?)?;
    let mut offer = last_offer(&mut master);
    let (mut now, mut declined) = (Time::ZERO, 0);
    let seconds = each(200, |_| {
        let Some(id) = offer.take() else { return Ok(()) };
        declined += 1;
        let decline = Call::Decline { offers: vec![id], filters: Filters::refuse_for(Duration::ZERO), each: false };
        master.handle(now, Command::Call(framework_id(0), decline))?;
        now += Duration::from_secs(1);
        master.advance(now)?;
        offer = last_offer(&mut master);
        Ok(())
    })?;
    expect("request-again", "offers declined", declined, 201)?;
    Ok(seconds)
}
