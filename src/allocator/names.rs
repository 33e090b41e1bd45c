//! Resource names as dense numbers, and amounts by them: inside the allocator no name is compared.

use crate::resources::{Quantities, Resources, Scalar};
use indexmap::IndexSet;
use smallvec::SmallVec;
use smol_str::SmolStr;

/// The place of a resource name in every [`Amounts`].
pub(crate) type NameIx = usize;

/// Every name of a scalar that was ever seen, once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    names: IndexSet<SmolStr, foldhash::fast::RandomState>,
}

impl Names {
    pub(crate) fn intern(&mut self, name: &str) -> NameIx {
        match self.names.get_index_of(name) {
            Some(ix) => ix,
            None => self.names.insert_full(name.into()).0,
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<NameIx> {
        self.names.get_index_of(name)
    }

    pub(crate) fn name(&self, ix: NameIx) -> &str {
        &self.names[ix]
    }

    /// The scalars of `resources`, those that are shared left out: a tree counts these by itself.
    pub(crate) fn unshared(&mut self, resources: &Resources) -> Delta {
        let scalars = resources.iter().filter(|resource| !resource.is_shared());
        scalars.filter_map(|resource| Some((self.intern(resource.name()), resource.scalar()?.as_milli()))).collect()
    }

    /// All scalars, a shared one once.
    pub(crate) fn all(&mut self, resources: &Resources) -> Delta {
        resources
            .iter()
            .filter_map(|resource| Some((self.intern(resource.name()), resource.scalar()?.as_milli())))
            .collect()
    }

    pub(crate) fn quantities(&self, amounts: &Amounts) -> Quantities {
        amounts.iter().map(|(ix, amount)| (self.name(ix), Scalar::milli(amount))).collect()
    }
}

/// A few amounts; a name may come more than once.
pub(crate) type Delta = SmallVec<[(NameIx, u64); 6]>;

/// Amounts in thousandths by name; an absent one is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Amounts(SmallVec<[u64; 4]>);

impl Amounts {
    pub(crate) fn of(&self, ix: NameIx) -> u64 {
        self.0.get(ix).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, delta: &[(NameIx, u64)]) {
        for &(ix, amount) in delta {
            if self.0.len() <= ix {
                self.0.resize(ix + 1, 0);
            }
            self.0[ix] = self.0[ix].saturating_add(amount);
        }
    }

    pub(crate) fn sub(&mut self, delta: &[(NameIx, u64)]) {
        for &(ix, amount) in delta {
            if let Some(mine) = self.0.get_mut(ix) {
                *mine = mine.saturating_sub(amount);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|amount| *amount == 0)
    }

    /// Those that are not 0.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NameIx, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, amount)| *amount > 0)
    }
}
