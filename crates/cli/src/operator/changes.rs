//! Changes by operators: quotas, weights, reservations, agents and frameworks.

use super::Printer;
use super::arguments::{Amounts, DrainArguments, QuotaSet, ReserveArguments};
use super::http::Master;
use apportion::allocator::Weight;
use apportion::v1::agent_info;
use apportion::{Agent, Reservation, Resources, Role};
use apportion_console::Failure;
use serde_json::{Map, Value as Json, json};

/// Sets the quota of a role.
pub(super) fn set_quota(master: &Master, set: &QuotaSet, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let amounts = |amounts: &Option<Amounts>| -> Map<String, Json> {
        let amounts = amounts.iter().flat_map(|Amounts(amounts)| amounts);
        amounts.map(|(name, amount)| (name.clone(), json!({ "value": amount.as_f64() }))).collect()
    };
    let config = json!({
        "role": set.role.as_str(), "guarantees": amounts(&set.guarantee), "limits": amounts(&set.limit),
    });
    let update = json!({ "force": set.force, "quota_configs": [config] });
    master.call("UPDATE_QUOTA", Some(update))?;
    printer.line(&format!("the quota of {} is set", set.role))
}

/// Removes the quota of a role.
pub(super) fn remove_quota(master: &Master, role: &Role, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let update = json!({ "quota_configs": [{ "role": role.as_str() }] });
    master.call("UPDATE_QUOTA", Some(update))?;
    printer.line(&format!("{role} has no quota"))
}

/// Sets weights of roles.
pub(super) fn set_weights(
    master: &Master,
    weights: &[(Role, Weight)],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let info = |(role, weight): &(Role, Weight)| json!({ "role": role.as_str(), "weight": weight.as_f64() });
    let infos: Vec<Json> = weights.iter().map(info).collect();
    master.call("UPDATE_WEIGHTS", Some(json!({ "weight_infos": infos })))?;
    for (role, weight) in weights {
        printer.line(&format!("the weight of {role} is {weight}"))?;
    }
    Ok(())
}

/// Reserves resources of an agent.
pub(super) fn reserve(master: &Master, arguments: &ReserveArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let (resources, text) = reserved(arguments)?;
    let body = json!({ "agent_id": { "value": arguments.agent }, "resources": resources });
    master.call("RESERVE_RESOURCES", Some(body))?;
    printer.line(&format!("{text} of {} is reserved for {}", arguments.agent, arguments.role))
}

/// Ends a reservation.
pub(super) fn unreserve(
    master: &Master,
    arguments: &ReserveArguments,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (resources, text) = reserved(arguments)?;
    let body = json!({ "agent_id": { "value": arguments.agent }, "resources": resources });
    master.call("UNRESERVE_RESOURCES", Some(body))?;
    printer.line(&format!("{text} of {} is not reserved for {} any more", arguments.agent, arguments.role))
}

/// Returns the resources with their reservation, as v1 JSON, and without it, as text.
fn reserved(arguments: &ReserveArguments) -> Result<(Json, Resources), Failure> {
    let mut reservation = Reservation::dynamic(arguments.role.clone());
    if let Some(principal) = arguments.by.as_ref().or(arguments.connection.principal.as_ref()) {
        reservation = reservation.by(principal.as_str());
    }
    let refused = |error: &dyn std::error::Error| Failure::Run(error.to_string());
    let (mut plain, mut reserved) = (Resources::new(), Resources::new());
    for resource in arguments.resources.iter().flat_map(Resources::iter) {
        if !resource.reservations().is_empty() {
            return Err(Failure::Run(format!("expected a resource without a reservation, found {resource}")));
        }
        plain.try_insert(resource.clone()).map_err(|error| refused(&error))?;
        reserved.try_insert(resource.clone().reserved(reservation.clone())).map_err(|error| refused(&error))?;
    }
    // The library writes resources as a part of messages.
    let info = agent_info(&Agent::new("", reserved));
    let json = info.get("resources").map_or_else(|| "[]".to_owned(), |resources| resources.to_string());
    Ok((serde_json::from_str(&json).map_err(|error| refused(&error))?, plain))
}

/// Drains an agent.
pub(super) fn drain(master: &Master, drain: &DrainArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut body = agent_id(&drain.agent);
    body["mark_gone"] = drain.mark_gone.into();
    if let Some(grace) = drain.grace {
        body["max_grace_period"] = json!({ "seconds": grace.as_secs(), "nanos": grace.subsec_nanos() });
    }
    master.call("DRAIN_AGENT", Some(body))?;
    let then = if drain.mark_gone { ", and gone after that" } else { "" };
    printer.line(&format!("{} is being drained{then}", drain.agent))
}

/// Stops offering an agent.
pub(super) fn deactivate(master: &Master, agent: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    master.call("DEACTIVATE_AGENT", Some(agent_id(agent)))?;
    printer.line(&format!("{agent} is not offered any more"))
}

/// Offers an agent again.
pub(super) fn reactivate(master: &Master, agent: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    master.call("REACTIVATE_AGENT", Some(agent_id(agent)))?;
    printer.line(&format!("{agent} is offered again"))
}

/// Declares an agent gone for good.
pub(super) fn gone(master: &Master, agent: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    master.call("MARK_AGENT_GONE", Some(agent_id(agent)))?;
    printer.line(&format!("{agent} is gone for good"))
}

/// Removes a framework.
pub(super) fn teardown(master: &Master, framework: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    master.call("TEARDOWN", Some(json!({ "framework_id": { "value": framework } })))?;
    printer.line(&format!("{framework} is removed"))
}

fn agent_id(agent: &str) -> Json {
    json!({ "agent_id": { "value": agent } })
}
