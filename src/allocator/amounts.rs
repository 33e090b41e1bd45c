//! [`Amounts`]: scalar amounts by the dense index of their resource name, so that no string is compared inside the allocator.

use super::index::{DenseIndex, NameIx};
use smallvec::SmallVec;

/// A list of amounts by name; a name may occur more than once.
pub(super) type Delta = SmallVec<[(NameIx, u64); 6]>;

/// A dense vector of amounts in thousandths, by name; an absent one is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Amounts(SmallVec<[u64; 4]>);

impl Amounts {
    /// Returns the amount of a name.
    pub(super) fn of(&self, name: NameIx) -> u64 {
        self.0.get(name.position()).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn add(&mut self, delta: &[(NameIx, u64)]) {
        let amounts = self.0.as_mut_slice();
        for (place, &(name, amount)) in delta.iter().enumerate() {
            match amounts.get_mut(name.position()) {
                Some(mine) => *mine = mine.saturating_add(amount),
                None => return self.add_new(&delta[place..]),
            }
        }
    }

    #[cold]
    fn add_new(&mut self, delta: &[(NameIx, u64)]) {
        self.0.resize(delta.iter().map(|(name, _)| name.position() + 1).max().unwrap_or(0).max(self.0.len()), 0);
        self.add(delta);
    }

    #[inline]
    pub(super) fn sub(&mut self, delta: &[(NameIx, u64)]) {
        let amounts = self.0.as_mut_slice();
        for &(name, amount) in delta {
            if let Some(mine) = amounts.get_mut(name.position()) {
                *mine = mine.saturating_sub(amount);
            }
        }
    }

    /// Returns, by name, the difference, or 0 where `others` is larger.
    pub(super) fn saturating_sub(&self, others: &Self) -> Self {
        self.zip_with(others, u64::saturating_sub)
    }

    /// Returns, by name, the larger amount of both.
    pub(super) fn max(&self, others: &Self) -> Self {
        self.zip_with(others, u64::max)
    }

    /// Returns, by name, the sum.
    pub(super) fn saturating_add(&self, others: &Self) -> Self {
        self.zip_with(others, u64::saturating_add)
    }

    fn zip_with(&self, others: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let mut amounts = SmallVec::from_slice(&self.0);
        if amounts.len() < others.0.len() {
            amounts.resize(others.0.len(), 0);
        }
        let theirs = others.0.iter().copied().chain(std::iter::repeat(0));
        amounts.iter_mut().zip(theirs).for_each(|(amount, theirs)| *amount = combine(*amount, theirs));
        Self(amounts)
    }

    /// Returns whether no amount is larger than that of `others`.
    pub(super) fn is_within(&self, others: &Self) -> bool {
        self.iter().all(|(name, amount)| amount <= others.of(name))
    }

    /// Returns the amounts in the order of their names' indices; further ones are 0.
    pub(super) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// Sets the amount of a name.
    pub(super) fn set(&mut self, name: NameIx, amount: u64) {
        match self.0.get_mut(name.position()) {
            Some(mine) => *mine = amount,
            None => self.add(&[(name, amount)]),
        }
    }

    /// Returns whether all amounts are 0.
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|amount| *amount == 0)
    }

    /// The amounts that are not 0, with their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NameIx, u64)> {
        let amounts = self.0.iter().copied().enumerate().filter(|(_, amount)| *amount > 0);
        amounts.map(|(position, amount)| (NameIx::new(position), amount))
    }
}
