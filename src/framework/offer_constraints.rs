//! [`OfferConstraints`]: which agents a framework wants to be offered at all, in Mesos' v1 form.

use crate::agent::Agent;
use crate::attributes::AttributeValue;
use crate::role::{Role, RoleError};
use indexmap::IndexMap;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value as Json;
use smol_str::SmolStr;

/// How much memory a compiled pattern may take, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// By role, groups of constraints: an agent is offered only if all constraints of one group hold.
///
/// A role that is not mentioned is not constrained. Checked by the master, so that what a framework
/// has no use for need not be offered and declined (Mesos, `offer_constraints_filter.cpp`).
///
/// # Examples
///
/// ```
/// use apportion::{Agent, OfferConstraints, Role};
///
/// let json = serde_json::json!({"role_constraints": {"web": {"groups": [{"attribute_constraints": [
///     {"selector": {"attribute_name": "rack"}, "predicate": {"text_matches": {"regex": "r[12]"}}}
/// ]}]}}});
/// let constraints = OfferConstraints::from_v1(json)?;
/// let agent = Agent::new("a1", "cpus:1".parse()?).attribute("rack", "r3");
/// assert!(!constraints.admit(&Role::new("web")?, &agent));
/// assert!(constraints.admit(&Role::new("db")?, &agent));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OfferConstraints {
    roles: IndexMap<Role, Vec<Vec<AttributeConstraint>>>,
    v1: Json,
}

/// Offer constraints that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferConstraintError {
    /// Not of Mesos' v1 form.
    #[error("bad offer constraints: {0}")]
    Form(String),
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A role without groups, or a group without constraints.
    #[error("offer constraints of role {0}: expected at least one group, and one constraint in each")]
    Empty(Role),
    /// Neither or both of an attribute's name and a known pseudo-attribute.
    #[error("a selector: expected `attribute_name`, or `pseudoattribute_type` HOSTNAME, REGION or ZONE")]
    Selector,
    /// None, or several, of the predicates.
    #[error(
        "a predicate: expected one of exists, not_exists, text_equals, text_not_equals, text_matches, text_not_matches"
    )]
    Predicate,
    /// A pattern that does not compile, or becomes too large.
    #[error("bad pattern {pattern:?}: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the compiler says.
        why: String,
    },
}

#[derive(Debug, Clone)]
struct AttributeConstraint {
    selector: Selector,
    predicate: Predicate,
}

#[derive(Debug, Clone)]
enum Selector {
    Attribute(SmolStr),
    Hostname,
    Region,
    Zone,
}

#[derive(Debug, Clone)]
enum Predicate {
    Exists,
    NotExists,
    TextEquals(SmolStr),
    TextNotEquals(SmolStr),
    TextMatches(Regex),
    TextNotMatches(Regex),
}

impl OfferConstraints {
    /// Reads Mesos' v1 `OfferConstraints` object.
    ///
    /// # Errors
    ///
    /// [`OfferConstraintError`] when it is not of that form, says nothing, or holds a bad pattern.
    pub fn from_v1(v1: Json) -> Result<Self, OfferConstraintError> {
        let object = V1::deserialize(&v1).map_err(|error| OfferConstraintError::Form(error.to_string()))?;
        let mut roles = IndexMap::new();
        for (name, constraints) in object.role_constraints {
            let role = Role::new(name)?;
            let empty = constraints.groups.is_empty()
                || constraints.groups.iter().any(|group| group.attribute_constraints.is_empty());
            if empty {
                return Err(OfferConstraintError::Empty(role));
            }
            let group = |group: V1Group| group.attribute_constraints.into_iter().map(V1Constraint::check).collect();
            roles.insert(role, constraints.groups.into_iter().map(group).collect::<Result<_, _>>()?);
        }
        Ok(Self { roles, v1 })
    }

    /// The object that it was read from.
    #[must_use]
    pub fn as_v1(&self) -> &Json {
        &self.v1
    }

    /// Whether nothing is constrained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// The roles that are constrained.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.keys()
    }

    /// Whether an agent may be offered under a role.
    #[must_use]
    pub fn admit(&self, role: &Role, agent: &Agent) -> bool {
        let groups = self.roles.get(role);
        groups.is_none_or(|groups| groups.iter().any(|group| group.iter().all(|constraint| constraint.holds(agent))))
    }
}

impl PartialEq for OfferConstraints {
    fn eq(&self, other: &Self) -> bool {
        self.v1 == other.v1
    }
}

impl AttributeConstraint {
    /// Numbers, ranges and sets pass every test of text: it does not apply to them.
    fn holds(&self, agent: &Agent) -> bool {
        let domain = agent.domain.as_ref();
        let text = match &self.selector {
            Selector::Attribute(name) => match agent.attributes.first(name) {
                None => None,
                Some(AttributeValue::Text(text)) => Some(text),
                Some(AttributeValue::Scalar(_) | AttributeValue::Ranges(_) | AttributeValue::Set(_)) => {
                    return !matches!(self.predicate, Predicate::NotExists);
                }
            },
            Selector::Hostname => Some(&agent.hostname),
            Selector::Region => domain.map(|domain| &domain.region),
            Selector::Zone => domain.map(|domain| &domain.zone),
        };
        match (&self.predicate, text) {
            (Predicate::Exists | Predicate::TextEquals(_) | Predicate::TextMatches(_), None) => false,
            (Predicate::NotExists | Predicate::TextNotEquals(_) | Predicate::TextNotMatches(_), None) => true,
            (Predicate::Exists, Some(_)) => true,
            (Predicate::NotExists, Some(_)) => false,
            (Predicate::TextEquals(value), Some(text)) => text == value,
            (Predicate::TextNotEquals(value), Some(text)) => text != value,
            (Predicate::TextMatches(pattern), Some(text)) => pattern.is_match(text),
            (Predicate::TextNotMatches(pattern), Some(text)) => !pattern.is_match(text),
        }
    }
}

#[derive(Debug, Deserialize)]
struct V1 {
    #[serde(default)]
    role_constraints: IndexMap<SmolStr, V1Role>,
}

#[derive(Debug, Deserialize)]
struct V1Role {
    #[serde(default)]
    groups: Vec<V1Group>,
}

#[derive(Debug, Deserialize)]
struct V1Group {
    #[serde(default)]
    attribute_constraints: Vec<V1Constraint>,
}

#[derive(Debug, Deserialize)]
struct V1Constraint {
    selector: Option<V1Selector>,
    predicate: Option<V1Predicate>,
}

#[derive(Debug, Deserialize)]
struct V1Selector {
    attribute_name: Option<SmolStr>,
    pseudoattribute_type: Option<SmolStr>,
}

#[derive(Debug, Default, Deserialize)]
struct V1Predicate {
    exists: Option<Json>,
    not_exists: Option<Json>,
    text_equals: Option<V1Text>,
    text_not_equals: Option<V1Text>,
    text_matches: Option<V1Pattern>,
    text_not_matches: Option<V1Pattern>,
}

#[derive(Debug, Deserialize)]
struct V1Text {
    value: SmolStr,
}

#[derive(Debug, Deserialize)]
struct V1Pattern {
    regex: String,
}

impl V1Constraint {
    fn check(self) -> Result<AttributeConstraint, OfferConstraintError> {
        let selector = self.selector.ok_or(OfferConstraintError::Selector)?.check()?;
        Ok(AttributeConstraint { selector, predicate: self.predicate.unwrap_or_default().check()? })
    }
}

impl V1Selector {
    fn check(self) -> Result<Selector, OfferConstraintError> {
        match (self.attribute_name, self.pseudoattribute_type.as_deref()) {
            (Some(name), None) => Ok(Selector::Attribute(name)),
            (None, Some("HOSTNAME")) => Ok(Selector::Hostname),
            (None, Some("REGION")) => Ok(Selector::Region),
            (None, Some("ZONE")) => Ok(Selector::Zone),
            _ => Err(OfferConstraintError::Selector),
        }
    }
}

impl V1Predicate {
    fn check(self) -> Result<Predicate, OfferConstraintError> {
        let given = [
            self.exists.map(|_| Ok(Predicate::Exists)),
            self.not_exists.map(|_| Ok(Predicate::NotExists)),
            self.text_equals.map(|text| Ok(Predicate::TextEquals(text.value))),
            self.text_not_equals.map(|text| Ok(Predicate::TextNotEquals(text.value))),
            self.text_matches.map(|pattern| pattern.compile().map(Predicate::TextMatches)),
            self.text_not_matches.map(|pattern| pattern.compile().map(Predicate::TextNotMatches)),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(predicate), None) => predicate,
            _ => Err(OfferConstraintError::Predicate),
        }
    }
}

impl V1Pattern {
    /// The pattern, matching the whole of a text.
    fn compile(self) -> Result<Regex, OfferConstraintError> {
        let bad =
            |error: regex::Error| OfferConstraintError::Pattern { pattern: self.regex.clone(), why: error.to_string() };
        // By itself first: `a)(b` is no pattern, whatever stands around it.
        Regex::new(&self.regex).map_err(bad)?;
        RegexBuilder::new(&format!("^(?:{})$", self.regex)).size_limit(PATTERN_BYTES).build().map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn constraints(selector: &Json, predicate: &Json) -> Result<OfferConstraints, OfferConstraintError> {
        let constraint = json!({"selector": selector, "predicate": predicate});
        OfferConstraints::from_v1(
            json!({"role_constraints": {"r": {"groups": [{"attribute_constraints": [constraint]}]}}}),
        )
    }

    #[test]
    fn each_predicate_holds_for_absent_text_and_numbers_as_in_mesos() {
        let agent =
            Agent::new("a1", "cpus:1".parse().unwrap()).attributes("text:abc;number:1;ports:[1-2]".parse().unwrap());
        let cases = [
            (json!({"exists": {}}), [false, true, true]),
            (json!({"not_exists": {}}), [true, false, false]),
            (json!({"text_equals": {"value": "ab"}}), [false, false, true]),
            (json!({"text_not_equals": {"value": "ab"}}), [true, true, true]),
            (json!({"text_matches": {"regex": "ab"}}), [false, false, true]),
            (json!({"text_matches": {"regex": "ab|abc"}}), [false, true, true]),
            (json!({"text_not_matches": {"regex": "a.c"}}), [true, false, true]),
        ];
        for (predicate, expected) in cases {
            for (name, holds) in
                [("absent", expected[0]), ("text", expected[1]), ("number", expected[2]), ("ports", expected[2])]
            {
                let constraints = constraints(&json!({"attribute_name": name}), &predicate).unwrap();
                assert_eq!(constraints.admit(&Role::new("r").unwrap(), &agent), holds, "{name} {predicate}");
            }
        }
    }

    #[test]
    fn an_attribute_called_hostname_is_not_the_host() {
        let agent = Agent::new("a1", "cpus:1".parse().unwrap()).attribute("HOSTNAME", "other");
        let equals = json!({"text_equals": {"value": "a1"}});
        let role = Role::new("r").unwrap();
        assert!(constraints(&json!({"pseudoattribute_type": "HOSTNAME"}), &equals).unwrap().admit(&role, &agent));
        assert!(!constraints(&json!({"attribute_name": "HOSTNAME"}), &equals).unwrap().admit(&role, &agent));
        assert!(!constraints(&json!({"pseudoattribute_type": "REGION"}), &equals).unwrap().admit(&role, &agent));
    }

    #[test]
    fn what_says_nothing_or_too_much_is_refused() {
        let name = json!({"attribute_name": "a"});
        let exists = json!({"exists": {}});
        assert_eq!(constraints(&json!({}), &exists), Err(OfferConstraintError::Selector));
        assert_eq!(constraints(&json!({"pseudoattribute_type": "RACK"}), &exists), Err(OfferConstraintError::Selector));
        assert_eq!(constraints(&name, &json!({})), Err(OfferConstraintError::Predicate));
        for pattern in ["[a", "a)(b", "(a{1000}){1000}"] {
            let refused = constraints(&name, &json!({"text_matches": {"regex": pattern}}));
            assert!(matches!(refused, Err(OfferConstraintError::Pattern { .. })), "{pattern}");
        }
        let empty = OfferConstraints::from_v1(json!({"role_constraints": {"r": {"groups": []}}}));
        assert!(matches!(empty, Err(OfferConstraintError::Empty(_))));
    }
}
