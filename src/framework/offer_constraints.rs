//! [`OfferConstraints`]: a framework's constraints on the agents that it gets offers of, in Mesos' v1 JSON.

use crate::agent::Agent;
use crate::attributes::AttributeValue;
use crate::json::Json;
use crate::pattern::{Regex, RegexError};
use crate::role::{Role, RoleError};
use crate::text::Text;
use indexmap::IndexMap;
use serde::Deserialize;

/// The largest size of a compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Offer constraints by role, in disjunctive normal form: an agent is offered only if all constraints of at least one
/// group hold.
///
/// A role that is absent is unconstrained. The allocator evaluates the constraints, so that agents which the framework
/// cannot use are not offered and declined again and again (Mesos, `offer_constraints_filter.cpp`).
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
/// assert!(!constraints.admits(&Role::new("web")?, &agent));
/// assert!(constraints.admits(&Role::new("db")?, &agent));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OfferConstraints {
    roles: IndexMap<Role, Vec<Vec<AttributeConstraint>>>,
    v1: Json,
}

/// Invalid offer constraints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferConstraintError {
    /// The JSON is not a v1 `OfferConstraints` object.
    #[error("bad offer constraints: {0}")]
    Schema(String),
    /// The role name is invalid.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A role has no groups, or a group has no constraints.
    #[error("offer constraints of role {0}: expected at least one group, and one constraint in each")]
    Empty(Role),
    /// The selector does not name exactly one attribute or known pseudo-attribute.
    #[error("a selector: expected `attribute_name`, or `pseudoattribute_type` HOSTNAME, REGION or ZONE")]
    Selector,
    /// There is not exactly one predicate.
    #[error(
        "a predicate: expected one of exists, not_exists, text_equals, text_not_equals, text_matches, text_not_matches"
    )]
    Predicate,
    /// This build of the crate has no regular expressions.
    #[error("{pattern:?}: expected no pattern, which takes the feature `regex` of apportion")]
    NoPatterns {
        /// The pattern.
        pattern: String,
    },
    /// The pattern does not compile, or is too large.
    #[error("bad pattern {pattern:?}: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The error of the regular expression compiler.
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
    Attribute(Text),
    Hostname,
    Region,
    Zone,
}

#[derive(Debug, Clone)]
enum Predicate {
    Exists,
    NotExists,
    TextEquals(Text),
    TextNotEquals(Text),
    TextMatches(Regex),
    TextNotMatches(Regex),
}

impl OfferConstraints {
    /// Parses a v1 `OfferConstraints` object.
    ///
    /// # Errors
    ///
    /// [`OfferConstraintError`] if it is not such an object, has an empty group, or has an invalid pattern; in a build without the
    /// feature `regex`, if it has a pattern (`text_matches`, `text_not_matches`) at all.
    pub fn from_v1(v1: impl Into<Json>) -> Result<Self, OfferConstraintError> {
        let v1 = v1.into();
        let object: V1 = v1.read().map_err(|error| OfferConstraintError::Schema(error.to_string()))?;
        let mut roles = IndexMap::new();
        for (name, constraints) in object.role_constraints {
            let role = Role::new(name)?;
            let empty = constraints.groups.is_empty()
                || constraints.groups.iter().any(|group| group.attribute_constraints.is_empty());
            if empty {
                return Err(OfferConstraintError::Empty(role));
            }
            let group = |group: V1Group| group.attribute_constraints.into_iter().map(V1Constraint::validate).collect();
            roles.insert(role, constraints.groups.into_iter().map(group).collect::<Result<_, _>>()?);
        }
        Ok(Self { roles, v1 })
    }

    /// Returns the v1 object that the constraints were parsed from, or null if there was none.
    #[must_use]
    pub fn as_v1(&self) -> &Json {
        &self.v1
    }

    /// Returns the v1 object to write, or `None` if there was none.
    pub(crate) fn written(&self) -> Option<Json> {
        (!self.v1.is_null()).then(|| self.v1.clone())
    }

    /// Returns true if no role is constrained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// Iterates over the constrained roles.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.keys()
    }

    /// Returns true if an agent may be offered for a role.
    #[must_use]
    pub fn admits(&self, role: &Role, agent: &Agent) -> bool {
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
    /// A text predicate is true for scalars, ranges and sets, as in Mesos: it does not apply to them.
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
    role_constraints: IndexMap<Text, V1Role>,
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
    attribute_name: Option<Text>,
    pseudoattribute_type: Option<Text>,
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
    value: Text,
}

#[derive(Debug, Deserialize)]
struct V1Pattern {
    regex: String,
}

impl V1Constraint {
    fn validate(self) -> Result<AttributeConstraint, OfferConstraintError> {
        let selector = self.selector.ok_or(OfferConstraintError::Selector)?.validate()?;
        Ok(AttributeConstraint { selector, predicate: self.predicate.unwrap_or_default().validate()? })
    }
}

impl V1Selector {
    fn validate(self) -> Result<Selector, OfferConstraintError> {
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
    fn validate(self) -> Result<Predicate, OfferConstraintError> {
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
    /// Compiles the pattern so that it matches the whole text.
    fn compile(self) -> Result<Regex, OfferConstraintError> {
        let compile = |pattern: &str| Regex::new(pattern, MAX_PATTERN_BYTES);
        // Compile the text by itself first: `a)(b` is invalid, though it is valid in parentheses.
        let whole = compile(&self.regex).and_then(|_| compile(&format!("^(?:{})$", self.regex)));
        whole.map_err(|error| match error {
            #[cfg(not(feature = "regex"))]
            RegexError::Disabled => OfferConstraintError::NoPatterns { pattern: self.regex },
            #[cfg(feature = "regex")]
            RegexError::Invalid(why) => OfferConstraintError::Pattern { pattern: self.regex, why },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn constraints(selector: &Value, predicate: &Value) -> Result<OfferConstraints, OfferConstraintError> {
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
                assert_eq!(constraints.admits(&Role::new("r").unwrap(), &agent), holds, "{name} {predicate}");
            }
        }
    }

    #[test]
    fn an_attribute_named_hostname_is_not_the_host_name() {
        let agent = Agent::new("a1", "cpus:1".parse().unwrap()).attribute("HOSTNAME", "other");
        let equals = json!({"text_equals": {"value": "a1"}});
        let role = Role::new("r").unwrap();
        assert!(constraints(&json!({"pseudoattribute_type": "HOSTNAME"}), &equals).unwrap().admits(&role, &agent));
        assert!(!constraints(&json!({"attribute_name": "HOSTNAME"}), &equals).unwrap().admits(&role, &agent));
        assert!(!constraints(&json!({"pseudoattribute_type": "REGION"}), &equals).unwrap().admits(&role, &agent));
    }

    #[test]
    fn incomplete_and_contradictory_constraints_are_errors() {
        let name = json!({"attribute_name": "a"});
        let exists = json!({"exists": {}});
        assert_eq!(constraints(&json!({}), &exists), Err(OfferConstraintError::Selector));
        assert_eq!(constraints(&json!({"pseudoattribute_type": "RACK"}), &exists), Err(OfferConstraintError::Selector));
        assert_eq!(constraints(&name, &json!({})), Err(OfferConstraintError::Predicate));
        for pattern in ["[a", "a)(b", "(a{1000}){1000}"] {
            let refused = constraints(&name, &json!({"text_matches": {"regex": pattern}}));
            assert!(matches!(refused, Err(OfferConstraintError::Pattern { .. })), "{pattern}");
        }
        assert!(OfferConstraints::from_v1(Json::NULL).is_err());
        let empty = OfferConstraints::from_v1(json!({"role_constraints": {"r": {"groups": []}}}));
        assert!(matches!(empty, Err(OfferConstraintError::Empty(_))));
    }
}
