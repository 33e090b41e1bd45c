//! Resource names as dense numbers, and amounts by them: inside the allocator no name is compared.

use super::amounts::{Amounts, Delta, NameIx};
use crate::resources::{Quantities, Resource, Resources, Scalar};
use indexmap::IndexSet;
use smol_str::SmolStr;

/// Every name of a scalar that was ever seen, once; and what was weighed last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    names: IndexSet<SmolStr, foldhash::fast::RandomState>,
    last: (Resources, Weighed),
}

/// Resources as the accounts see them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weighed {
    /// All scalars, but for what is shared.
    pub(crate) unshared: Delta,
    /// What quota divides: the unreserved, non-revocable scalars.
    pub(crate) firm: Delta,
    /// What is shared, and how much each copy of it weighs.
    pub(crate) shared: Vec<(Resource, Delta)>,
}

impl Names {
    pub(crate) fn intern(&mut self, name: &str) -> NameIx {
        match self.find(name) {
            Some(ix) => ix,
            None => self.names.insert_full(name.into()).0,
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<NameIx> {
        // The few names that there usually are stand in front: a look at each is cheaper than a hash.
        let few = self.names.iter().take(8).position(|known| known == name);
        few.or_else(|| if self.names.len() > 8 { self.names.get_index_of(name) } else { None })
    }

    pub(crate) fn name(&self, ix: NameIx) -> &str {
        &self.names[ix]
    }

    /// Weighs resources; the same ones again at no cost.
    #[inline]
    pub(crate) fn weigh(&mut self, resources: &Resources) -> &Weighed {
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
            if is_firm(resource) {
                weighed.firm.push(entry);
            }
            if resource.is_shared() {
                weighed.shared.push((resource.clone(), Delta::from_elem(entry, 1)));
            } else {
                weighed.unshared.push(entry);
            }
        }
        self.last = (resources.clone(), weighed);
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

/// The unreserved, non-revocable scalars: those that quota divides.
pub(crate) fn is_firm(resource: &Resource) -> bool {
    resource.scalar().is_some() && resource.role().is_none() && !resource.is_revocable()
}
