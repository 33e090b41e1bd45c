//! [`Set`]: a sorted, shared set of names.

use smol_str::SmolStr;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A set of names, such as zones: a sorted slice without duplicates that clones share.
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
pub struct Set(Arc<[SmolStr]>);

impl Set {
    /// Returns true if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names in byte order.
    #[must_use]
    pub fn as_slice(&self) -> &[SmolStr] {
        &self.0
    }

    /// Returns true if `other` is a subset. O(names of both).
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let mut mine = self.0.iter();
        Arc::ptr_eq(&self.0, &other.0) || other.0.iter().all(|name| mine.any(|own| own == name))
    }

    /// Returns true if `name` is a member. O(log names).
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|own| own.as_str().cmp(name)).is_ok()
    }

    /// Adds every name of `other`. O(names of both).
    pub fn insert(&mut self, other: &Self) {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut all = Vec::with_capacity(self.0.len() + other.0.len());
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let order = a.cmp(b);
            all.extend(if order.is_le() { mine.next() } else { theirs.next() });
            if order == Ordering::Equal {
                theirs.next();
            }
        }
        self.0 = all.into_iter().chain(mine).chain(theirs).cloned().collect();
    }

    /// Removes every name of `other`. O(names of both).
    pub fn remove(&mut self, other: &Self) {
        let mut theirs = other.0.iter().peekable();
        let left = self.0.iter().filter(|name| {
            while theirs.next_if(|removed| removed < name).is_some() {}
            theirs.peek() != Some(name)
        });
        self.0 = left.cloned().collect();
    }
}

impl<S: Into<SmolStr>> FromIterator<S> for Set {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut names: Vec<SmolStr> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0.join(","))
    }
}
