//! Maintenance in the API of operators: what the schedule of the [machines](Machines) means for agents.

use super::{Act, canonical};
use crate::leader::Leader;
use crate::leader::machines::{MachineError, MachineId, Machines, Schedule, Span};
use crate::protobuf::MessageType;
use crate::transport::answer::{Answer, bad_request};
use apportion::{Agent, AgentId, Call, Command, CommandError, FrameworkId, Registration, Text, Time, Unavailability};
use http::StatusCode;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Replaces the schedule: offers of agents whose windows change are rescinded, and made anew.
pub(crate) fn update(schedule: &Json) -> Result<Act, Answer> {
    let schedule = canonical(MessageType::named("mesos.v1.maintenance.Schedule"), schedule)?;
    let schedule: Schedule = serde_json::from_value(schedule).map_err(|error| bad_request(error.to_string()))?;
    Ok(Box::new(move |leader, at| {
        let before = leader.machines.clone();
        leader.machines.update(schedule).map_err(refused)?;
        reschedule(leader, at, &before)?;
        Ok(StatusCode::OK)
    }))
}

/// Takes machines down: their agents are removed, and do not come again before the machines are up.
pub(crate) fn start(machines: &Json) -> Result<Act, Answer> {
    let machines = read_machines(machines)?;
    Ok(Box::new(move |leader, at| {
        leader.machines.start(&machines).map_err(refused)?;
        let is_down = |agent: &&Agent| leader.machines.is_down(&agent.hostname, leader.address(&agent.id).0);
        let down: Vec<AgentId> = agents(leader).filter(is_down).map(|agent| agent.id.clone()).collect();
        for agent in down {
            tracing::info!(%agent, "an agent is removed: its machine is down for maintenance");
            leader.command(at, Command::RemoveAgent(agent)).map_err(|error| bad_request(error.to_string()))?;
        }
        Ok(StatusCode::OK)
    }))
}

/// Takes machines up again, and out of the schedule.
pub(crate) fn stop(machines: &Json) -> Result<Act, Answer> {
    let machines = read_machines(machines)?;
    Ok(Box::new(move |leader, at| {
        let before = leader.machines.clone();
        leader.machines.stop(&machines).map_err(refused)?;
        reschedule(leader, at, &before)?;
        Ok(StatusCode::OK)
    }))
}

fn read_machines(machines: &Json) -> Result<Vec<MachineId>, Answer> {
    let machines = machines.as_array().ok_or_else(|| bad_request("expected a list of machines"))?;
    let read = |machine| {
        let machine = canonical(MessageType::named("mesos.v1.MachineID"), machine)?;
        serde_json::from_value(machine).map_err(|error| bad_request(error.to_string()))
    };
    machines.iter().map(read).collect()
}

fn refused(error: MachineError) -> Answer {
    bad_request(error.to_string())
}

fn agents(leader: &Leader) -> impl Iterator<Item = &Agent> {
    leader.delivery().master().agents().map(AsRef::as_ref)
}

/// Tells the master which windows have changed. A window is that of all agents with its hostname.
fn reschedule(leader: &mut Leader, at: Time, before: &Machines) -> Result<(), Answer> {
    let mut hostnames: BTreeSet<&Text> = BTreeSet::new();
    let mut changed = Vec::new();
    for agent in agents(leader) {
        let address = leader.address(&agent.id).0;
        let window = leader.machines.unavailability(&agent.hostname, address);
        if before.unavailability(&agent.hostname, address) != window && hostnames.insert(&agent.hostname) {
            changed.push((agent.id.clone(), window.map(|span| on_clock_of(leader, span))));
        }
    }
    for (agent, window) in changed {
        let command = Command::SetMaintenance(agent, window);
        leader.command(at, command).map_err(|error| bad_request(error.to_string()))?;
    }
    Ok(())
}

/// Returns a window on the clock of the master, which begins with it: one that has begun earlier begins there.
fn on_clock_of(leader: &Leader, span: Span) -> Unavailability {
    let start = Duration::from_nanos(span.start.not_negative()).saturating_sub(leader.gate().started);
    let duration = span.duration.map(|duration| Duration::from_nanos(duration.not_negative()));
    Unavailability { start: Time::ZERO + start, duration }
}

/// Registers an agent, whose machine may be scheduled for maintenance, or down.
pub(crate) fn admit(leader: &mut Leader, at: Time, mut registration: Registration) -> Result<(), CommandError> {
    let agent = &mut registration.agent;
    let (id, address) = (agent.id.clone(), leader.address(&agent.id).0);
    if leader.machines.is_down(&agent.hostname, address) {
        let reason = format!("agent {id} is on {}, a machine that is down for maintenance", agent.hostname);
        return Err(CommandError::InvalidCall(reason.into()));
    }
    if let Some(span) = leader.machines.unavailability(&agent.hostname, address) {
        agent.unavailability = Some(on_clock_of(leader, span));
    }
    let is_scheduled = agent.unavailability.is_some();
    leader.register(at, registration)?;
    // The master remembers the windows of agents that have gone; the schedule may have changed since.
    let stands = |agent: &Agent| agent.unavailability.is_some();
    if !is_scheduled && leader.delivery().master().agent(&id).is_some_and(stands) {
        return leader.command(at, Command::SetMaintenance(id, None));
    }
    Ok(())
}

/// Notes what a framework is about to answer to inverse offers.
#[expect(clippy::wildcard_enum_match_arm, reason = "two calls are answers")]
pub(crate) fn note_answers(leader: &mut Leader, framework: &FrameworkId, call: &Call) {
    let (offers, is_accepted) = match call {
        Call::AcceptInverseOffers { offers, .. } => (offers, true),
        Call::DeclineInverseOffers { offers, .. } => (offers, false),
        _ => return,
    };
    let now = leader.gate().unix_time(leader.delivery().now());
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    for offer in offers {
        let master = leader.delivery().master();
        let own = master.inverse_offer(offer).filter(|(to, _)| *to == framework);
        let Some(agent) = own.and_then(|(_, agent)| master.agent(agent)) else { continue };
        let (hostname, address) = (agent.hostname.clone(), leader.address(&agent.id).0);
        leader.machines.answered(framework, (&hostname, address), is_accepted, now);
    }
}
