//! [`Amounts`] by dense numbers of resource names: inside the allocator no name is compared.

use smallvec::SmallVec;

/// The place of a resource name in every [`Amounts`].
pub(crate) type NameIx = usize;

/// A few amounts; a name may come more than once.
pub(crate) type Delta = SmallVec<[(NameIx, u64); 6]>;

/// Amounts in thousandths by name; an absent one is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Amounts(SmallVec<[u64; 4]>);

impl Amounts {
    pub(crate) fn of(&self, ix: NameIx) -> u64 {
        self.0.get(ix).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn add(&mut self, delta: &[(NameIx, u64)]) {
        let amounts = self.0.as_mut_slice();
        for (place, &(ix, amount)) in delta.iter().enumerate() {
            match amounts.get_mut(ix) {
                Some(mine) => *mine = mine.saturating_add(amount),
                None => return self.add_new(&delta[place..]),
            }
        }
    }

    #[cold]
    fn add_new(&mut self, delta: &[(NameIx, u64)]) {
        self.0.resize(delta.iter().map(|(ix, _)| ix + 1).max().unwrap_or(0).max(self.0.len()), 0);
        self.add(delta);
    }

    #[inline]
    pub(crate) fn sub(&mut self, delta: &[(NameIx, u64)]) {
        let amounts = self.0.as_mut_slice();
        for &(ix, amount) in delta {
            if let Some(mine) = amounts.get_mut(ix) {
                *mine = mine.saturating_sub(amount);
            }
        }
    }

    /// What is left of it when others are taken away.
    pub(crate) fn less(&self, others: &Self) -> Self {
        self.with(others, u64::saturating_sub)
    }

    /// Of each name as much, or as much as of the others, if that is more.
    pub(crate) fn or_more(&self, others: &Self) -> Self {
        self.with(others, u64::max)
    }

    /// The sum.
    pub(crate) fn and(&self, others: &Self) -> Self {
        self.with(others, u64::saturating_add)
    }

    fn with(&self, others: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let mut amounts = SmallVec::from_slice(&self.0);
        if amounts.len() < others.0.len() {
            amounts.resize(others.0.len(), 0);
        }
        amounts.iter_mut().enumerate().for_each(|(ix, amount)| *amount = combine(*amount, others.of(ix)));
        Self(amounts)
    }

    /// Whether there is no more of any name than of the others.
    pub(crate) fn is_within(&self, others: &Self) -> bool {
        self.iter().all(|(ix, amount)| amount <= others.of(ix))
    }

    /// By number; what is not in there is 0.
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    pub(crate) fn clear(&mut self, ix: NameIx) {
        if let Some(mine) = self.0.get_mut(ix) {
            *mine = 0;
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
