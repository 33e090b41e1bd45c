//! [`InvalidForm`]: a value that was given in an invalid form.

use crate::json::Json;
use crate::text::Text;

/// A value that cannot be read, as it was given, with the error.
///
/// A message may have an invalid part, such as a task that asks for a negative amount. The part is kept, so that the master
/// can reject it by itself and handle the rest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InvalidForm {
    /// The JSON of the value.
    pub given: Json,
    /// The error.
    pub error: Text,
}

impl InvalidForm {
    /// Keeps a value with the error in it.
    #[must_use]
    pub fn new(given: impl Into<Json>, error: impl Into<Text>) -> Self {
        Self { given: given.into(), error: error.into() }
    }
}

impl PartialEq for InvalidForm {
    /// Compares what was given: the error follows from it, though each reader may word it otherwise.
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}
