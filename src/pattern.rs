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
