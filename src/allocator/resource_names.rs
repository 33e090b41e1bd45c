//! [`ResourceNames`]: an interner of resource names, which turns [`Resources`] into amounts by dense index.

use super::amounts::{Amounts, Delta};
use super::index::{DenseIndex, IndexVec, NameIx};
use crate::resources::{Quantities, Resource, Resources, Scalar};
use crate::text::Text;
use indexmap::IndexMap;

/// The first so many names are compared one by one, which is cheaper than a hash.
const MAX_SCANNED: usize = 8;

/// An interner of the names of scalars, and a cache of one conversion.
///
/// A name has an index for as long as it has a use: a total that has it, an agent that is over-committed with it, a quota, a
/// minimum or an exclusion. Then no amount is kept under its index, and the index is given to another name. So the vectors
/// of amounts are as long as the number of names that there are at once, whatever names come and go.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceNames {
    /// By index; a free index has an empty name.
    names: IndexVec<NameIx, Text>,
    /// By index: the number of uses; none of a free index.
    uses: IndexVec<NameIx, Option<u64>>,
    by_name: IndexMap<Text, NameIx, foldhash::fast::RandomState>,
    /// The indices without a name.
    free: Vec<NameIx>,
    /// Indices that may have lost their last use since names were last forgotten.
    unused: Vec<NameIx>,
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
    /// Returns the index of a name, a new one if it has none. Without a use the name is forgotten soon.
    fn intern(&mut self, name: &str) -> NameIx {
        match self.find(name) {
            Some(ix) => ix,
            None => self.add(name),
        }
    }

    #[cold]
    fn add(&mut self, name: &str) -> NameIx {
        let ix = match self.free.pop() {
            Some(ix) => ix,
            None => {
                self.uses.push(None);
                self.names.push(Text::default())
            }
        };
        (self.names[ix], self.uses[ix]) = (name.into(), Some(0));
        self.by_name.insert(name.into(), ix);
        self.unused.push(ix);
        ix
    }

    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<NameIx> {
        match self.names.values().take(MAX_SCANNED).position(|known| known == name) {
            Some(position) if !name.is_empty() => Some(NameIx::new(position)),
            // An empty name would be found at a free index.
            None if self.names.len() <= MAX_SCANNED => None,
            Some(_) | None => self.by_name.get(name).copied(),
        }
    }

    pub(super) fn name(&self, ix: NameIx) -> &str {
        &self.names[ix]
    }

    /// Returns the index of a name, and counts one more use of it.
    pub(super) fn retain(&mut self, name: &str) -> NameIx {
        let ix = self.intern(name);
        if let Some(uses) = &mut self.uses[ix] {
            *uses += 1;
        }
        ix
    }

    /// Counts one use of a name less.
    pub(super) fn release(&mut self, ix: NameIx) {
        if let Some(uses) = &mut self.uses[ix] {
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                self.unused.push(ix);
            }
        }
    }

    /// Counts one more use of the name of each scalar.
    pub(super) fn retain_all(&mut self, resources: &Resources) {
        for resource in resources.iter().filter(|resource| resource.scalar().is_some()) {
            self.retain(resource.name());
        }
    }

    /// Counts one use less of the name of each scalar.
    pub(super) fn release_all(&mut self, resources: &Resources) {
        for resource in resources.iter().filter(|resource| resource.scalar().is_some()) {
            self.release_name(resource.name());
        }
    }

    /// Counts one use of a name less.
    pub(super) fn release_name(&mut self, name: &str) {
        if let Some(ix) = self.find(name) {
            self.release(ix);
        }
    }

    /// Forgets the names that have no use any more: no amount must be kept under their indices.
    #[inline]
    pub(super) fn forget_unused(&mut self) {
        if !self.unused.is_empty() {
            self.forget();
        }
    }

    #[cold]
    fn forget(&mut self) {
        for ix in std::mem::take(&mut self.unused) {
            if self.uses[ix] == Some(0) {
                self.uses[ix] = None;
                self.by_name.swap_remove(&std::mem::take(&mut self.names[ix]));
                self.free.push(ix);
                self.last = Default::default(); // it may have the index
            }
        }
    }

    /// Returns the number of indices, with a name or free.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.names.len()
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
