//! [`Regex`]: regular expressions, by the crate `regex`. Without the feature of that name there are none.

/// A compiled expression.
#[cfg(feature = "regex")]
#[derive(Debug, Clone)]
pub(crate) struct Regex(regex::Regex);

/// A compiled expression, of which there are none.
#[cfg(not(feature = "regex"))]
#[derive(Debug, Clone)]
pub(crate) enum Regex {}

/// The reason why there is no compiled expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RegexError {
    /// This build of the library has no regular expressions.
    #[cfg(not(feature = "regex"))]
    Disabled,
    /// The message of the compiler.
    #[cfg(feature = "regex")]
    Invalid(String),
}

#[cfg(feature = "regex")]
impl Regex {
    /// Compiles an expression of up to so many bytes.
    pub(crate) fn new(text: &str, max_bytes: usize) -> Result<Self, RegexError> {
        let compiled = regex::RegexBuilder::new(text).size_limit(max_bytes).build();
        compiled.map(Self).map_err(|error| RegexError::Invalid(error.to_string()))
    }

    /// Returns true if the expression matches a part of the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(not(feature = "regex"))]
impl Regex {
    /// Returns an error.
    pub(crate) fn new(_: &str, _: usize) -> Result<Self, RegexError> {
        Err(RegexError::Disabled)
    }

    /// Cannot be called: there is no expression.
    pub(crate) fn is_match(&self, _: &str) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::constraint::{Condition, ConditionError};
    use crate::framework::{OfferConstraintError, OfferConstraints};

    /// Returns what a condition and an offer constraint say of an expression.
    fn said(expression: &str) -> [Option<String>; 2] {
        let condition = format!("rack LIKE {expression}").parse::<Condition>().err();
        let constraint = serde_json::json!({"selector": {"attribute_name": "rack"},
            "predicate": {"text_matches": {"regex": expression}}});
        let constraints = OfferConstraints::from_v1(
            serde_json::json!({"role_constraints": {"r": {"groups": [{"attribute_constraints": [constraint]}]}}}),
        );
        if cfg!(feature = "regex") {
            assert!(!matches!(condition, Some(ConditionError::NoPatterns { .. })));
        } else {
            assert!(matches!(condition, Some(ConditionError::NoPatterns { .. })));
            assert!(matches!(constraints, Err(OfferConstraintError::NoPatterns { .. })));
        }
        [condition.map(|error| error.to_string()), constraints.err().map(|error| error.to_string())]
    }

    #[test]
    fn without_the_feature_an_expression_is_an_error_that_names_it() {
        let [condition, constraints] = said("r[12]");
        let disabled = r#""r[12]": expected no pattern, which takes the feature `regex` of apportion"#;
        let expected = (!cfg!(feature = "regex")).then(|| disabled.to_owned());
        assert_eq!((condition, constraints), (expected.clone(), expected));
    }
}
