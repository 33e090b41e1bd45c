//! Explanations as lines of a journal.

use crate::allocator::Reason;
use crate::id::{AgentId, FrameworkId};
use crate::master::Explanation;
use crate::resources::Quantities;
use crate::role::Role;
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

/// Returns a reason's fields, its kind first.
fn details(reason: &Reason) -> Json {
    let kind = reason.kind();
    match reason {
        Reason::AgentInactive | Reason::FrameworkInactive | Reason::Suppressed | Reason::OfferConstraints => {
            json!({ "kind": kind })
        }
        Reason::NotWhitelisted { hostname } => json!({ "kind": kind, "hostname": hostname }),
        Reason::NothingAvailable { offered, allocated, overcommitted } => {
            let line = json!({ "kind": kind, "offered": offered, "allocated": allocated });
            with_overcommitted(line, overcommitted)
        }
        Reason::Reserved { roles } => json!({ "kind": kind, "roles": roles }),
        Reason::MinAllocatable { asked, left, overcommitted } => {
            with_overcommitted(json!({ "kind": kind, "asked": asked, "left": left }), overcommitted)
        }
        Reason::Capability { capability } => json!({ "kind": kind, "capability": capability.as_str() }),
        Reason::Region { agent, master } => json!({ "kind": kind, "region": agent, "master": master }),
        Reason::QuotaLimit { role, name, limit, consumed } => {
            json!({ "kind": kind, "role": role, "name": name, "limit": limit, "consumed": consumed })
        }
        Reason::Headroom { name, free, required, roles } => {
            json!({ "kind": kind, "name": name, "free": free, "required": required, "roles": roles })
        }
        Reason::Starved { since } => json!({ "kind": kind, "since": since }),
        Reason::Filtered { until, refused } => json!({ "kind": kind, "until": until, "refused": refused }),
        Reason::Outranked { framework, role, share, own_share } => {
            json!({ "kind": kind, "framework": framework, "role": role, "share": share, "own_share": own_share })
        }
    }
}

/// Adds by how much the agent is over-committed, if it is.
fn with_overcommitted(mut line: Json, overcommitted: &Quantities) -> Json {
    if !overcommitted.is_empty() {
        line["overcommitted"] = json!(overcommitted);
    }
    line
}
