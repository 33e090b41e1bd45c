//! The offers that are not sent yet, collected to messages.

use crate::id::{FrameworkId, OfferId};
use crate::offer::{InverseOffer, Offer};
use indexmap::IndexMap;

/// Something that has an id of an offer.
pub(super) trait Offered {
    fn id(&self) -> &OfferId;
}

impl Offered for Offer {
    fn id(&self) -> &OfferId {
        &self.id
    }
}

impl Offered for InverseOffer {
    fn id(&self) -> &OfferId {
        &self.id
    }
}

/// The number of a batch.
pub(super) type BatchNumber = u64;

/// Unsent offers in batches: a batch becomes one message. Batches of the present moment are open: offers are added to them.
#[derive(Debug, Clone)]
pub(super) struct Batches<T> {
    open: IndexMap<FrameworkId, BatchNumber, foldhash::fast::RandomState>,
    batches: IndexMap<BatchNumber, Vec<Option<(T, u64)>>, foldhash::fast::RandomState>,
    places: IndexMap<OfferId, (BatchNumber, usize), foldhash::fast::RandomState>,
    numbered: BatchNumber,
}

impl<T> Default for Batches<T> {
    fn default() -> Self {
        let (open, batches, places) = (IndexMap::default(), IndexMap::default(), IndexMap::default());
        Self { open, batches, places, numbered: 0 }
    }
}

impl<T: Offered> Batches<T> {
    /// Adds an offer of that cost to the open batch of a framework. Returns the number of the batch if it is a new one.
    pub(super) fn add(&mut self, framework: &FrameworkId, offer: T, cost: u64) -> Option<BatchNumber> {
        let open = self.open.get(framework).copied();
        let number = open.unwrap_or(self.numbered);
        let batch = self.batches.entry(number).or_default();
        self.places.insert(offer.id().clone(), (number, batch.len()));
        batch.push(Some((offer, cost)));
        if open.is_none() {
            self.open.insert(framework.clone(), number);
            self.numbered += 1;
        }
        open.is_none().then_some(number)
    }

    /// Returns the number of unsent offers.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Removes an unsent offer and returns its cost; none if it was sent, or never made.
    pub(super) fn remove(&mut self, offer: &OfferId) -> Option<u64> {
        let (number, index) = self.places.swap_remove(offer)?;
        let (_, cost) = self.batches.get_mut(&number)?.get_mut(index)?.take()?;
        Some(cost)
    }

    /// Ends the moment: offers are added to new batches from now on.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }

    /// Removes a batch of a framework. Returns the offers that are left of it and their cost.
    pub(super) fn take(&mut self, framework: &FrameworkId, number: BatchNumber) -> (Vec<T>, u64) {
        if self.open.get(framework) == Some(&number) {
            self.open.swap_remove(framework);
        }
        let batch = self.batches.swap_remove(&number).unwrap_or_default();
        let mut total = 0;
        let mut offers = Vec::with_capacity(batch.len());
        for (offer, cost) in batch.into_iter().flatten() {
            self.places.swap_remove(offer.id());
            total += cost;
            offers.push(offer);
        }
        (offers, total)
    }
}
