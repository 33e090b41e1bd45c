//! Reservations and offer constraints.

use super::{Operation, each, whole};
use crate::cluster::{agent_id, framework_id, role};
use crate::report::{Failure, expect};
use apportion::allocator::{Allocator, Drf, Hierarchical, Options};
use apportion::{Agent, Framework, OfferConstraints, Resources, Role, Time};
use std::sync::Arc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("reservations-join", "n frameworks come to an agent with n reservations", 2_000, join),
    Operation::new(
        "reservations-cycle",
        "an offer of a cycle over agents with n reservations each",
        500,
        reserved_cycle,
    ),
    Operation::new(
        "constraints-cycle",
        "an agent of a cycle of 1,000 frameworks that constrain",
        1_000,
        constraints_cycle,
    ),
    Operation::new(
        "constraints-again",
        "an agent of another cycle of 1,000 frameworks that constrain",
        1_000,
        constraints_again,
    ),
    Operation::new(
        "constraints-revive",
        "a revive and its batch, 1,000 frameworks that constrain, by agents",
        1_000,
        constraints_revive,
    ),
    Operation::new("explain-agent", "why a framework is not offered an agent, by frameworks", 1_000, explain),
];

fn allocator() -> Hierarchical<Drf, Drf> {
    Hierarchical::new(Options::default(), Drf::default(), Drf::default())
}

/// Returns an agent with a reservation of each of so many roles.
fn reserved(agent: usize, roles: usize) -> Result<Arc<Agent>, Failure> {
    let resources: Vec<String> =
        (0..roles).map(|number| format!("cpus(role{number}):1;mem(role{number}):64")).collect();
    Ok(Arc::new(Agent::new(agent_id(agent), resources.join(";").parse()?)))
}

fn framework(number: usize) -> Result<Framework, Failure> {
    Ok(Framework::new(framework_id(number)).role(role(number, usize::MAX)?))
}

/// A master allocates for all agents when a framework comes.
fn join(n: usize) -> Result<f64, Failure> {
    let mut allocator = allocator();
    allocator.add_agent(&reserved(0, n)?, &[])?;
    let frameworks = (0..n).map(framework).collect::<Result<Vec<_>, _>>()?;
    let seconds = whole(|| {
        for framework in frameworks {
            allocator.add_framework(&Arc::new(framework), &[])?;
            let offers = allocator.allocate(Time::ZERO, None);
            expect("reservations-join", "offers", offers.len() as u64, 1)?;
        }
        Ok(1)
    })?;
    Ok(seconds)
}

fn reserved_cycle(n: usize) -> Result<f64, Failure> {
    let mut allocator = allocator();
    for number in 0..n {
        allocator.add_framework(&Arc::new(framework(number)?), &[])?;
    }
    for number in 0..10 {
        allocator.add_agent(&reserved(number, n)?, &[])?;
    }
    whole(|| {
        let offers = allocator.allocate(Time::ZERO, None).len();
        expect("reservations-cycle", "offers", offers as u64, 10 * n as u64)?;
        Ok(offers)
    })
}

/// Returns an allocator whose 1,000 frameworks want agents of a rack that none is in.
fn constrained(agents: usize) -> Result<Hierarchical<Drf, Drf>, Failure> {
    let mut allocator = allocator();
    for number in 0..1_000 {
        let constraint = format!(
            r#"{{"role_constraints": {{"role{number}": {{"groups": [{{"attribute_constraints": [
                {{"selector": {{"attribute_name": "rack"}}, "predicate": {{"text_matches": {{"regex": "x[0-9]+y{number}"}}}}}}]}}]}}}}}}"#
        );
        let json: serde_json::Value = serde_json::from_str(&constraint).map_err(Failure::Json)?;
        let mut framework = framework(number)?;
        framework.offer_constraints =
            OfferConstraints::from_v1(json).map_err(|error| Failure::Arguments(error.to_string()))?;
        allocator.add_framework(&Arc::new(framework), &[])?;
    }
    let total: Resources = crate::cluster::MACHINE.parse()?;
    for number in 0..agents {
        let agent = Agent::new(agent_id(number), total.clone()).attribute("rack", format!("r{}", number % 40).as_str());
        allocator.add_agent(&Arc::new(agent), &[])?;
    }
    Ok(allocator)
}

fn constraints_cycle(agents: usize) -> Result<f64, Failure> {
    let mut allocator = constrained(agents)?;
    whole(|| {
        expect("constraints-cycle", "offers", allocator.allocate(Time::ZERO, None).len() as u64, 0)?;
        Ok(agents)
    })
}

fn constraints_again(agents: usize) -> Result<f64, Failure> {
    let mut allocator = constrained(agents)?;
    allocator.allocate(Time::ZERO, None);
    allocator.set_whitelist(None); // all agents are visited again
    whole(|| {
        expect("constraints-again", "offers", allocator.allocate(Time::ZERO, None).len() as u64, 0)?;
        Ok(agents)
    })
}

fn constraints_revive(agents: usize) -> Result<f64, Failure> {
    let mut allocator = constrained(agents)?;
    allocator.allocate(Time::ZERO, None);
    each(3, |number| {
        allocator.revive(&framework_id(number), &[])?;
        expect("constraints-revive", "offers", allocator.allocate(Time::ZERO, None).len() as u64, 0)
    })
}

fn explain(frameworks: usize) -> Result<f64, Failure> {
    let mut allocator = allocator();
    for number in 0..frameworks {
        allocator.add_framework(&Arc::new(framework(number)?), &[])?;
    }
    let total: Resources = crate::cluster::MACHINE.parse()?;
    for number in 0..10_000 {
        allocator.add_agent(&Arc::new(Agent::new(agent_id(number), total.clone())), &[])?;
    }
    allocator.allocate(Time::ZERO, None);
    each(20, |number| {
        let role: Role = role(number % frameworks, usize::MAX)?;
        let explainer = allocator.explainer().ok_or_else(|| Failure::Arguments("no reasons".into()))?;
        let reasons = explainer.explain(Time::ZERO, &framework_id(number % frameworks), &role, &agent_id(number))?;
        expect("explain", "agents without a reason", u64::from(reasons.is_empty()), 0)
    })
}
