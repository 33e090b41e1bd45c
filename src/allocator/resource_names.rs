//! [`ResourceNames`]: an interner of resource names, which turns [`Resources`] into amounts by dense index.

use super::amounts::{Amounts, Delta};
use super::index::{DenseIndex, NameIx};
use crate::resources::{Quantities, Resource, Resources, Scalar};
use indexmap::IndexSet;
use smol_str::SmolStr;

/// The first so many names are compared one by one, which is cheaper than a hash.
const MAX_SCANNED: usize = 8;

/// An interner of the names of all scalars, and a cache of one conversion.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceNames {
    names: IndexSet<SmolStr, foldhash::fast::RandomState>,
    /// The resources that were weighed last, and their weight.
    last: (Resources, Weighed),
}

/// Resources as the accounts count them.
#[derive(Debug, Clone, Default)]
pub(super) struct Weighed {
    /// All scalars except shared ones.
    pub(super) unshared: Delta,
    /// The scalars that count against quota, see [`is_quota_managed`].
    pub(super) quota_managed: Delta,
    /// The shared scalars, each with the weight of one copy.
    pub(super) shared: Vec<(Resource, Delta)>,
}

impl ResourceNames {
    pub(super) fn intern(&mut self, name: &str) -> NameIx {
        match self.find(name) {
            Some(ix) => ix,
            None => NameIx::new(self.names.insert_full(name.into()).0),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<NameIx> {
        let scanned = self.names.iter().take(MAX_SCANNED).position(|known| known == name);
        let found =
            scanned.or_else(|| if self.names.len() > MAX_SCANNED { self.names.get_index_of(name) } else { None });
        found.map(NameIx::new)
    }

    pub(super) fn name(&self, ix: NameIx) -> &str {
        &self.names[ix.position()]
    }

    /// Converts resources to amounts. The same list again costs a comparison of pointers.
    #[inline]
    pub(super) fn weigh(&mut self, resources: &Resources) -> &Weighed {
        if !self.last.0.is_same(resources) {
            self.weigh_anew(resources);
        }
        &self.last.1
    }

    fn weigh_anew(&mut self, resources: &Resources) {
        let mut weighed = Weighed::default();
        for resource in resources {
            let Some(amount) = resource.scalar() else { continue };
            let entry = (self.intern(resource.name()), amount.as_milli());
            if is_quota_managed(resource) {
                weighed.quota_managed.push(entry);
            }
            if resource.is_shared() {
                weighed.shared.push((resource.clone(), Delta::from_elem(entry, 1)));
            } else {
                weighed.unshared.push(entry);
            }
        }
        self.last = (resources.clone(), weighed);
    }

    /// Returns all scalars, a shared one once.
    pub(super) fn scalars(&mut self, resources: &Resources) -> Delta {
        resources
            .iter()
            .filter_map(|resource| Some((self.intern(resource.name()), resource.scalar()?.as_milli())))
            .collect()
    }

    pub(super) fn quantities(&self, amounts: &Amounts) -> Quantities {
        amounts.iter().map(|(ix, amount)| (self.name(ix), Scalar::milli(amount))).collect()
    }
}

/// Returns whether quota counts a resource: the unreserved, non-revocable scalars.
pub(super) fn is_quota_managed(resource: &Resource) -> bool {
    resource.scalar().is_some() && resource.role().is_none() && !resource.is_revocable()
}
