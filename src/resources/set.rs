//! [`Set`]: a sorted, shared set of names.

use crate::text::Text;
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
/// assert!(zones.contains("a") && zones.is_superset(&Set::from_iter(["a"])));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Set(Arc<Vec<Text>>);

/// The number of names for each of another set from which each is searched, instead of walking through all.
const MIN_SEARCHED: usize = 16;

impl Set {
    /// Returns true if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names in byte order.
    #[must_use]
    pub fn as_slice(&self) -> &[Text] {
        &self.0
    }

    /// Returns true if every name of `other` is one of these. O(names of both), or O(names of `other` · log names) if they are
    /// few.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        if self.has_many_more(other) {
            return other.0.iter().all(|name| self.contains(name));
        }
        let mut mine = self.0.iter();
        Arc::ptr_eq(&self.0, &other.0) || other.0.iter().all(|name| mine.any(|own| own == name))
    }

    /// Returns true if `name` is a member. O(log names).
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|own| own.as_str().cmp(name)).is_ok()
    }

    /// Iterates over the names in byte order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(Text::as_str)
    }

    /// Returns true if it is cheaper to search for each name of `other` than to walk through all.
    fn has_many_more(&self, other: &Self) -> bool {
        self.0.len() / MIN_SEARCHED >= other.0.len().max(1)
    }

    /// Adds every name of `other`. O(names of both); a search and a move in memory for each name of `other` if they are few.
    pub fn insert(&mut self, other: &Self) {
        if self.has_many_more(other) {
            let mine = Arc::make_mut(&mut self.0);
            for name in other.as_slice() {
                if let Err(at) = mine.binary_search(name) {
                    mine.insert(at, name.clone());
                }
            }
            return;
        }
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut all = Vec::with_capacity(self.0.len() + other.0.len());
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let order = a.cmp(b);
            all.extend(if order.is_le() { mine.next() } else { theirs.next() });
            if order == Ordering::Equal {
                theirs.next();
            }
        }
        self.0 = Arc::new(all.into_iter().chain(mine).chain(theirs).cloned().collect());
    }

    /// Removes every name of `other`. O(names of both); a search and a move in memory for each name of `other` if they are few.
    pub fn remove(&mut self, other: &Self) {
        if self.has_many_more(other) {
            let mine = Arc::make_mut(&mut self.0);
            for name in other.as_slice() {
                if let Ok(at) = mine.binary_search(name) {
                    mine.remove(at);
                }
            }
            return;
        }
        let mut theirs = other.0.iter().peekable();
        let left = self.0.iter().filter(|name| {
            while theirs.next_if(|removed| removed < name).is_some() {}
            theirs.peek() != Some(name)
        });
        self.0 = Arc::new(left.cloned().collect());
    }
}

impl<S: Into<Text>> FromIterator<S> for Set {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut names: Vec<Text> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self(Arc::new(names))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn names(least: usize, most: usize) -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("[a-c]{0,5}", least..most)
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_texts(
            a in prop_oneof![names(0, 6), names(40, 90)],
            b in prop_oneof![names(0, 6), names(40, 90)],
        ) {
            let (mine, theirs) = (Set::from_iter(&a), Set::from_iter(&b));
            let (mut sum, mut rest) = (mine.clone(), mine.clone());
            sum.insert(&theirs);
            rest.remove(&theirs);
            prop_assert_eq!(sum, Set::from_iter(a.union(&b)));
            prop_assert_eq!(rest, Set::from_iter(a.difference(&b)));
            prop_assert_eq!(mine.is_superset(&theirs), a.is_superset(&b));
            prop_assert!(mine.iter().eq(&a) && b.iter().all(|name| mine.contains(name) == a.contains(name)));
            prop_assert_eq!(&mine, &Set::from_iter(&a));
        }
    }
}
