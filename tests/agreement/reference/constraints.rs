//! Offer constraints: read anew from their JSON form at every decision.

use super::{KnownAgent, KnownFramework, Reference};
use apportion::{AttributeValue, Role};
use regex::Regex;
use serde_json::Value as Json;

impl Reference {
    /// Whether all constraints of one of the role's groups hold; a role that is not mentioned has none.
    pub(super) fn is_admitted(to: &KnownFramework, role: &Role, known: &KnownAgent) -> bool {
        let constraints = Json::from(to.framework.offer_constraints.as_v1());
        let groups = &constraints["role_constraints"][role.as_str()]["groups"];
        let Some(groups) = groups.as_array() else { return true };
        groups.iter().any(|group| {
            let constraints = group["attribute_constraints"].as_array();
            constraints.is_some_and(|constraints| constraints.iter().all(|constraint| holds(constraint, known)))
        })
    }
}

fn holds(constraint: &Json, known: &KnownAgent) -> bool {
    let agent = &known.agent;
    let (selector, predicate) = (&constraint["selector"], &constraint["predicate"]);
    let mut is_text = true;
    let text = match (selector["attribute_name"].as_str(), selector["pseudoattribute_type"].as_str()) {
        (Some(name), _) => agent.attributes.first(name).map(|value| match value {
            AttributeValue::Text(text) => text.to_string(),
            other => {
                is_text = false;
                other.to_string()
            }
        }),
        (None, Some("HOSTNAME")) => Some(agent.hostname.to_string()),
        (None, Some("REGION")) => agent.domain.as_ref().map(|domain| domain.region.to_string()),
        (None, _) => agent.domain.as_ref().map(|domain| domain.zone.to_string()),
    };
    let (name, argument) = predicate.as_object().and_then(|object| object.iter().next()).expect("one predicate");
    let matches = |text: &str| {
        let pattern = argument["regex"].as_str().expect("a pattern");
        Regex::new(&format!("^(?:{pattern})$")).expect("a good pattern").is_match(text)
    };
    match (name.as_str(), text) {
        ("exists", text) => text.is_some(),
        ("not_exists", text) => text.is_none(),
        ("text_equals" | "text_matches", None) => false,
        ("text_not_equals" | "text_not_matches", None) => true,
        // To numbers, ranges and sets no test of text applies.
        (_, Some(_)) if !is_text => true,
        ("text_equals", Some(text)) => argument["value"] == text,
        ("text_not_equals", Some(text)) => argument["value"] != text,
        ("text_matches", Some(text)) => matches(&text),
        ("text_not_matches", Some(text)) => !matches(&text),
        (other, _) => panic!("an unknown predicate {other}"),
    }
}
