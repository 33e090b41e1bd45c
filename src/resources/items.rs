//! [`Items`]: a copy-on-write list.

use super::Resource;
use std::ops::Deref;
use std::sync::Arc;

/// A copy-on-write list of resources: a clone costs a reference count, the first change to a clone copies the list.
#[derive(Debug, Clone, Default)]
pub(super) struct Items(Option<Arc<Vec<Resource>>>);

impl Items {
    pub(super) const EMPTY: Self = Self(None);

    /// Returns the list for mutation, and copies it first if it is shared.
    pub(super) fn make_mut(&mut self) -> &mut Vec<Resource> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Returns true if the list is not empty and a mutation does not copy it.
    pub(super) fn is_unshared(&self) -> bool {
        self.0.as_ref().is_some_and(|items| Arc::strong_count(items) == 1)
    }

    /// Returns true if both share one list, and so are equal; false does not mean that they differ. O(1).
    #[inline]
    pub(super) fn ptr_eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    pub(super) fn into_vec(self) -> Vec<Resource> {
        self.0.map(Arc::unwrap_or_clone).unwrap_or_default()
    }
}

impl Deref for Items {
    type Target = [Resource];

    #[inline]
    fn deref(&self) -> &[Resource] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl From<Vec<Resource>> for Items {
    fn from(items: Vec<Resource>) -> Self {
        Self((!items.is_empty()).then(|| Arc::new(items)))
    }
}

impl PartialEq for Items {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other) || **self == **other
    }
}

impl Eq for Items {}
