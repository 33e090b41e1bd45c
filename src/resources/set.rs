//! [`Set`]: a set of names.

use smol_str::SmolStr;
use std::fmt;

/// A set of names, such as the zones that an agent reaches; sorted, each once.
///
/// # Examples
///
/// ```
/// use apportion::Set;
///
/// let zones = Set::from_iter(["b", "a", "b"]);
/// assert_eq!(zones.to_string(), "{a,b}");
/// assert!(zones.contains(&Set::from_iter(["a"])));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Set(Vec<SmolStr>);

impl Set {
    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in byte order.
    #[must_use]
    pub fn as_slice(&self) -> &[SmolStr] {
        &self.0
    }

    /// Whether every name of `other` is in here.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|name| self.has(name))
    }

    /// Whether `name` is in here.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|mine| mine.as_str().cmp(name)).is_ok()
    }

    /// Adds every name of `other`.
    pub fn insert(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Takes away every name of `other`; what is not there is passed over.
    pub fn remove(&mut self, other: &Self) {
        self.0.retain(|name| !other.has(name));
    }
}

impl<S: Into<SmolStr>> FromIterator<S> for Set {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut names: Vec<SmolStr> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0.join(","))
    }
}
