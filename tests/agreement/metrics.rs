//! The counters and gauges of a master and of its allocator against a plain recount of all that there is.

use crate::reference::{Amounts, Fate, Held, Reference, Refusal, amounts, of_quantities, of_resources};
use apportion::allocator::{AllocatorMetrics, Quota, RoleMetrics};
use apportion::{Master, Metrics, OfferMetrics, Quantities, Role, TaskMetrics, TaskState};
use std::collections::BTreeSet;

/// Compares what a master counts with what can be counted in its state and in the reference.
pub(crate) fn check(master: &Master, reference: &Reference) -> Result<(), String> {
    let metrics = master.metrics();
    of_master(&metrics, master, reference).map_err(|wrong| format!("{wrong} of {metrics:?}"))?;
    let metrics = master.allocator().metrics();
    of_allocator(&metrics, reference).map_err(|wrong| format!("{wrong} of {metrics:?}"))
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, counted: T, recounted: T) -> Result<(), String> {
    if counted == recounted { Ok(()) } else { Err(format!("{what}: {counted:?}, and recounted {recounted:?},")) }
}

fn of_master(metrics: &Metrics, master: &Master, reference: &Reference) -> Result<(), String> {
    let state = master.state();
    let OfferMetrics { live, made, accepted, declined, rescinded, timed_out, void, .. } = metrics.offers;
    equal("live offers", live, state.offers.len())?;
    equal("offers made", made, accepted + declined + rescinded + timed_out + void + live as u64)?;
    equal("offers told", metrics.effects.offer, made)?;
    let ended = rescinded + timed_out;
    equal("offers rescinded", metrics.effects.rescind, ended)?;
    let active = state.agents.iter().filter(|agent| agent.active).count();
    let connected = state.agents.iter().filter(|agent| agent.connected).count();
    equal("active agents", (metrics.agents.active, metrics.agents.inactive), (active, state.agents.len() - active))?;
    equal(
        "agents",
        (metrics.agents.connected, metrics.agents.disconnected),
        (connected, state.agents.len() - connected),
    )?;
    let unreachable =
        reference.departed.iter().filter(|departed| matches!(departed.fate, Fate::Unreachable { .. })).count();
    equal("unreachable agents", metrics.agents.unreachable, unreachable)?;
    let connected = state.frameworks.iter().filter(|framework| framework.active).count();
    equal("connected frameworks", metrics.frameworks.connected, connected)?;
    let TaskMetrics { staging, starting, running, killing, .. } = metrics.tasks;
    let tasks = |state| reference.tasks.iter().filter(|task| task.state == state).count() as u64;
    let live = [TaskState::Staging, TaskState::Starting, TaskState::Running, TaskState::Killing].map(tasks);
    equal("live tasks", [staging, starting, running, killing], live)?;
    let by_kind = metrics.calls.named().chain(metrics.agent_messages.named()).chain(metrics.other_commands.named());
    #[expect(clippy::cast_precision_loss, reason = "a few hundred commands")]
    let commands = metrics.commands as f64;
    equal("commands by kind", by_kind.map(|(_, number)| number).sum(), commands)
}

fn of_allocator(metrics: &AllocatorMetrics, reference: &Reference) -> Result<(), String> {
    let agents = reference.agents.iter().map(|known| &known.agent);
    let total = amounts(agents.flat_map(|agent| agent.resources.iter().map(move |resource| (&agent.id, resource))));
    equal("total", amounts_of(&metrics.total), total)?;
    equal("held", amounts_of(&metrics.offered_or_allocated), held(reference))?;
    equal("headroom", amounts_of(&metrics.headroom), reference.headroom())?;
    equal("required headroom", amounts_of(&metrics.required_headroom), reference.required())?;
    equal("agents", metrics.agents, reference.agents.len())?;
    let live: Vec<&Refusal> = lasting(&reference.refusals);
    equal("refusals", metrics.refusals, live.len())?;
    for role in &metrics.roles {
        of_role(role, reference, &live).map_err(|wrong| format!("{}: {wrong}", role.role))?;
    }
    let refused = metrics.roles.iter().map(|role| role.refusals).sum::<usize>();
    equal("refusals of all roles", refused, live.len())?;
    let missing = reference.quotas.keys().find(|role| !metrics.roles.iter().any(|known| known.role == **role));
    equal("roles with quota", missing, None)
}

fn of_role(metrics: &RoleMetrics, reference: &Reference, refusals: &[&Refusal]) -> Result<(), String> {
    let RoleMetrics { role, quota, consumed, below_guarantee, .. } = metrics;
    let own = |refusal: &&&Refusal| refusal.held.role == *role;
    equal("refusals", metrics.refusals, refusals.iter().filter(own).count())?;
    let has_quota = reference.quotas.contains_key(role);
    equal("quota", *quota != Quota::default(), has_quota)?;
    let if_quota = |amounts: Amounts| if has_quota { amounts } else { Amounts::new() };
    equal("consumed", amounts_of(consumed), if_quota(without_zeros(reference.consumed(role))))?;
    equal("below guarantee", amounts_of(below_guarantee), if_quota(reference.unsatisfied(role)))?;
    equal("held", amounts_of(&metrics.held), held_by(reference, role))
}

fn amounts_of(quantities: &Quantities) -> Amounts {
    of_quantities(quantities)
}

fn without_zeros(mut amounts: Amounts) -> Amounts {
    amounts.retain(|_, amount| *amount > 0);
    amounts
}

/// What known frameworks hold, a shared resource of an agent once for each role at the top, and what the tasks of unknown
/// ones hold.
fn held(reference: &Reference) -> Amounts {
    let is_known = |framework| reference.framework(framework).is_some();
    let tops: BTreeSet<Role> = reference.weighing().map(|held| held.role.top()).collect();
    let by_top = tops.iter().map(|top| held_by(reference, top));
    let unknown = reference.holdings().filter(|held| !is_known(&held.framework));
    let mut sum = Amounts::new();
    for (name, amount) in by_top.chain(unknown.map(|held| of_resources(&held.resources))).flatten() {
        *sum.entry(name).or_default() += amount;
    }
    without_zeros(sum)
}

fn held_by(reference: &Reference, role: &Role) -> Amounts {
    let its = reference.weighing().filter(|held| held.role.is_within(role));
    amounts(its.flat_map(|held| held.resources.iter().map(move |resource| (&held.agent, resource))))
}

/// The refusals that no other one implies: those that a list without duplicates would have.
fn lasting(refusals: &[Refusal]) -> Vec<&Refusal> {
    let implies = |one: &Refusal, other: &Refusal| {
        let place = |held: &Held| (held.framework.clone(), held.role.clone(), held.agent.clone());
        place(&one.held) == place(&other.held)
            && one.until >= other.until
            && one.held.resources.contains(&other.held.resources)
    };
    let is_lasting = |(at, refusal): &(usize, &Refusal)| {
        let others = refusals.iter().enumerate().filter(|(other, _)| other != at);
        // Of several that imply each other the first stays.
        !others.into_iter().any(|(other, by)| implies(by, refusal) && (other < *at || !implies(refusal, by)))
    };
    refusals.iter().enumerate().filter(is_lasting).map(|(_, refusal)| refusal).collect()
}
