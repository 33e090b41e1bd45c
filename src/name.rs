//! [`NameError`]: text that is none of the known names.

/// Text that is not one of the names of a kind of value, such as the states of a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found:?} is no {kind}: expected one of {}", .expected.join(", "))]
pub struct NameError {
    /// The text.
    pub found: String,
    /// The kind of value.
    pub kind: &'static str,
    /// The names of the kind.
    pub expected: Vec<&'static str>,
}

/// Finds the value of a name.
pub(crate) fn find<T: Copy>(
    kind: &'static str,
    all: &[T],
    name: fn(T) -> &'static str,
    text: &str,
) -> Result<T, NameError> {
    let error = || NameError { found: text.to_owned(), kind, expected: all.iter().map(|it| name(*it)).collect() };
    all.iter().copied().find(|it| name(*it) == text).ok_or_else(error)
}
