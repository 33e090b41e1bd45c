//! [`Items`]: the entries of a collection, shared between its copies until one of them changes.

use super::Resource;
use std::ops::Deref;
use std::sync::Arc;

/// Entries in canonical order. A copy costs the count of a reference; the first change to a copy costs the entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Items(Option<Arc<Vec<Resource>>>);

impl Items {
    pub(super) const EMPTY: Self = Self(None);

    /// The entries, to be changed.
    pub(super) fn edit(&mut self) -> &mut Vec<Resource> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Whether there are entries, and a change to them costs no copy of them.
    pub(super) fn is_unshared(&self) -> bool {
        self.0.as_ref().is_some_and(|items| Arc::strong_count(items) == 1)
    }

    /// Whether both are one and the same, without a look at the entries; false says nothing.
    #[inline]
    pub(super) fn same(&self, other: &Self) -> bool {
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
        self.same(other) || **self == **other
    }
}

impl Eq for Items {}
