//! Explanations as lines of a journal.

use crate::allocator::{Extent, Holder, Reason};
use crate::id::{AgentId, FrameworkId};
use crate::master::Explanation;
use crate::resources::{Resource, Resources};
use crate::role::Role;
use crate::time::Time;
use serde::Serialize;
use serde_json::{Value as Json, json};

#[derive(Debug, Serialize)]
pub(super) struct ExplanationLine<'a> {
    framework: &'a FrameworkId,
    role: &'a Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a AgentId>,
    reasons: Vec<Json>,
}

impl<'a> From<&'a Explanation> for ExplanationLine<'a> {
    fn from(explanation: &'a Explanation) -> Self {
        let for_one_agent = explanation.agent.is_some();
        let line = |(reason, agents): &(Reason, usize)| {
            let mut line = details(reason);
            line["kind"] = reason.kind().into();
            if !for_one_agent {
                line["agents"] = (*agents).into();
            }
            line
        };
        Self {
            framework: &explanation.framework,
            role: &explanation.role,
            agent: explanation.agent.as_ref(),
            reasons: explanation.reasons.iter().map(line).collect(),
        }
    }
}

/// Returns a reason's fields, its kind first. Of several agents an amount is a sum, or the least and the most, or left out.
pub(super) fn details(reason: &Reason) -> Json {
    let kind = reason.kind();
    match reason {
        Reason::Recovering { back, expected, until } => {
            json!({ "kind": kind, "back": back, "expected": expected, "until": until })
        }
        Reason::AgentInactive | Reason::FrameworkInactive | Reason::Suppressed | Reason::OfferConstraints => {
            json!({ "kind": kind })
        }
        Reason::Requested { offers, open } => json!({ "kind": kind, "offers": offers, "open": open }),
        Reason::RequestMet { offers } => json!({ "kind": kind, "offers": offers }),
        Reason::MaxOffers { live, most } => json!({ "kind": kind, "live": live, "most": most }),
        Reason::NotWhitelisted { hostname } => with(json!({ "kind": kind }), "hostname", hostname.as_ref()),
        Reason::NothingAvailable { offered, allocated, overcommitted, holders } => {
            let line = json!({ "kind": kind, "offered": sum(offered), "allocated": sum(allocated) });
            let line = with(line, "overcommitted", Some(overcommitted).filter(|excess| !excess.is_empty()));
            let holders: Vec<Json> = holders.iter().map(holder).collect();
            with(line, "holders", Some(holders).filter(|holders| !holders.is_empty()))
        }
        Reason::Reserved { roles } => json!({ "kind": kind, "roles": roles }),
        Reason::MinAllocatable { asked, left, overcommitted } => {
            let line = json!({ "kind": kind, "asked": asked, "left": range(left) });
            with(line, "overcommitted", Some(overcommitted).filter(|excess| !excess.is_empty()))
        }
        Reason::Capability { capability } => json!({ "kind": kind, "capability": capability.as_str() }),
        Reason::Region { agent, master } => json!({ "kind": kind, "region": agent, "master": master }),
        Reason::QuotaLimit { role, name, limit, consumed, indivisible } => {
            let line = json!({ "kind": kind, "role": role, "name": name, "limit": limit, "consumed": consumed });
            with(line, "indivisible", indivisible.as_deref().map(alone))
        }
        Reason::Headroom { name, free, required, roles, indivisible } => {
            let line = json!({ "kind": kind, "name": name, "free": free, "required": required, "roles": roles });
            with(line, "indivisible", indivisible.as_deref().map(alone))
        }
        Reason::Starved { since, waited, next } => {
            let line = json!({ "kind": kind, "since": since, "next": next });
            with(line, "waited", waited.map(|waited| Time::ZERO + waited))
        }
        Reason::Filtered { until, last, refused } => {
            let line = json!({ "kind": kind, "until": until });
            let line = with(line, "last", Some(last).filter(|last| *last != until));
            let refused = if let Extent::One(refused) = refused { Some(refused) } else { None };
            with(line, "refused", refused)
        }
        Reason::Outranked { framework, role, share, own_share } => {
            json!({ "kind": kind, "framework": framework, "role": role, "share": share, "own_share": own_share })
        }
    }
}

fn holder(holder: &Holder) -> Json {
    let Holder { framework, role, offers, amounts, since, timed_out, .. } = holder;
    let holder = json!({ "framework": framework, "role": role, "offers": offers, "amounts": amounts, "since": since });
    with(holder, "timed_out", Some(timed_out).filter(|timed_out| **timed_out > 0))
}

/// Returns the resources of one agent, or the sum of several.
fn sum(extent: &Extent) -> Json {
    match extent {
        Extent::One(resources) => json!(resources),
        Extent::Several(amounts) => json!(amounts.sum),
    }
}

/// Returns the resources of one agent, or by name the least and the most of several.
fn range(extent: &Extent) -> Json {
    match extent {
        Extent::One(resources) => json!(resources),
        Extent::Several(amounts) => {
            let range = |(name, most): (&str, _)| (name.to_owned(), json!([amounts.least.amount(name), most]));
            let ranges = amounts.most.iter().map(range);
            Json::Object(ranges.collect())
        }
    }
}

/// Returns one resource as resources are printed.
fn alone(resource: &Resource) -> Json {
    json!(Resources::try_from_iter([resource.clone()]).unwrap_or_default())
}

/// Adds a field, if there is a value.
fn with<T: Serialize>(mut line: Json, field: &str, value: Option<T>) -> Json {
    if let Some(value) = value {
        line[field] = json!(value);
    }
    line
}
