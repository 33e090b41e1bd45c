//! [`Role`]: the path to which resources are allocated.

use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// A role: `*`, or a path of names such as `eng/backend`.
///
/// Roles form a tree. Resources reserved to a role are available to it and its descendants; what a role holds, for
/// shares and quota, includes what its descendants hold. `*` is the default role and has no descendants.
///
/// Names follow the rules of Mesos (`roles.cpp`): no component is empty, `.`, `..` or `*`, none begins with `-`, and
/// none contains white space or DEL.
///
/// # Examples
///
/// ```
/// use apportion::Role;
///
/// let backend: Role = "eng/backend".parse()?;
/// assert!(backend.is_within(&"eng".parse()?));
/// assert!(!Role::new("engine")?.is_within(&"eng".parse()?)); // a path, not a prefix of text
/// # Ok::<(), apportion::RoleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct Role(Text);

/// Text that is not a valid [`Role`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{found:?} is not a role: {why}")]
pub struct RoleError {
    /// The text.
    pub found: Text,
    /// The rule that it violates.
    pub why: RoleFault,
}

/// The rule that an invalid role name violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoleFault {
    /// The text is empty, or has a leading, trailing or double slash.
    #[error("expected a name between slashes, found nothing")]
    EmptyComponent,
    /// `.`, `..`, or `*` as part of a path.
    #[error("a component is `.`, `..` or `*`")]
    ReservedComponent,
    /// A component that begins with `-`.
    #[error("a component begins with `-`")]
    LeadingDash,
    /// White space or DEL.
    #[error("it contains white space or DEL")]
    BadCharacter,
    /// The path is longer than [`Role::MAX_BYTES`]; the cost of a path grows with the square of its length.
    #[error("it is longer than {} bytes", Role::MAX_BYTES)]
    TooLong,
}

impl Role {
    /// The maximum length of a path, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Makes a role from a path.
    ///
    /// # Errors
    ///
    /// [`RoleError`] if the path violates a rule of role names.
    pub fn new(path: impl Into<Text>) -> Result<Self, RoleError> {
        let path = path.into();
        match find_fault(&path) {
            Some(why) => Err(RoleError { found: path, why }),
            None => Ok(Self(path)),
        }
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for `*`.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == "*"
    }

    /// Iterates over the components of the path, from the top-level role down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Iterates over the ancestors of the role, the parent first; a top-level role has none.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        self.paths_to_top().skip(1).map(|path| Self(Text::new(path)))
    }

    /// Iterates over the paths of the role and its ancestors, from the role up to the top level.
    pub(crate) fn paths_to_top(&self) -> impl Iterator<Item = &str> {
        let above = self.0.rmatch_indices('/').map(|(end, _)| &self.0[..end]);
        std::iter::once(self.0.as_str()).chain(above)
    }

    /// Returns the top-level role of the path, which may be the role itself.
    #[must_use]
    pub fn top(&self) -> Self {
        self.ancestors().last().unwrap_or_else(|| self.clone())
    }

    /// Returns true if this role is `other` or a descendant of `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self == other || self.is_below(other)
    }

    /// Returns true if this role is a strict descendant of `other`.
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn find_fault(path: &str) -> Option<RoleFault> {
    if path == "*" {
        return None;
    }
    if path.len() > Role::MAX_BYTES {
        return Some(RoleFault::TooLong);
    }
    path.split('/').find_map(|name| match name {
        "" => Some(RoleFault::EmptyComponent),
        "." | ".." | "*" => Some(RoleFault::ReservedComponent),
        _ if name.starts_with('-') => Some(RoleFault::LeadingDash),
        _ if name.contains([' ', '\t', '\n', '\u{b}', '\u{c}', '\r', '\u{7f}']) => Some(RoleFault::BadCharacter),
        _ => None,
    })
}

impl Default for Role {
    fn default() -> Self {
        Self(Text::new_static("*"))
    }
}

impl AsRef<str> for Role {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Role {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Role {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl Borrow<str> for Role {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(path: &str) -> Result<Self, RoleError> {
        Self::new(path)
    }
}

impl TryFrom<Text> for Role {
    type Error = RoleError;

    fn try_from(path: Text) -> Result<Self, RoleError> {
        Self::new(path)
    }
}

impl From<Role> for Text {
    fn from(role: Role) -> Self {
        role.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_mesos() {
        for good in ["*", "a", "a/b/c", "web-1", "a.b", "ä", "a*", "..."] {
            assert!(Role::new(good).is_ok(), "{good:?}");
        }
        let bad = [
            ("", RoleFault::EmptyComponent),
            ("/a", RoleFault::EmptyComponent),
            ("a/", RoleFault::EmptyComponent),
            ("a//b", RoleFault::EmptyComponent),
            ("a/./b", RoleFault::ReservedComponent),
            ("..", RoleFault::ReservedComponent),
            ("a/*", RoleFault::ReservedComponent),
            ("-a", RoleFault::LeadingDash),
            ("a/-b", RoleFault::LeadingDash),
            ("a b", RoleFault::BadCharacter),
            ("a\u{7f}", RoleFault::BadCharacter),
        ];
        for (name, why) in bad {
            assert_eq!(Role::new(name).unwrap_err().why, why, "{name:?}");
        }
    }

    #[test]
    fn ancestors_go_up_to_the_top() {
        let role = Role::new("a/b/c").unwrap();
        let up: Vec<_> = role.ancestors().map(|role| role.to_string()).collect();
        assert_eq!(up, ["a/b", "a"]);
        assert_eq!(role.top().as_str(), "a");
        assert_eq!(Role::default().top(), Role::default());
    }

    #[test]
    fn a_longer_name_is_not_a_descendant() {
        let (a, ab, child) = (Role::new("a").unwrap(), Role::new("ab").unwrap(), Role::new("a/b").unwrap());
        assert!(!ab.is_within(&a) && child.is_below(&a) && !a.is_below(&a) && a.is_within(&a));
    }
}
