//! [`Table`]: dictionary-encoded columns of the offers, one for each field or set of fields.

use super::index::{OfferIx, ValueIx};
use super::offer_state::Slot;
use crate::attributes::AttributeValue;
use crate::constraint::Field;
use crate::text::Text;
use indexmap::{IndexMap, IndexSet};
use std::hash::Hash;
use std::sync::Arc;

/// A dictionary-encoded column: each distinct value is numbered, in the order of the offers that have it first.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// By offer, its value.
    values: Vec<ValueIx>,
    /// By value, the first offer that has it.
    firsts: Vec<OfferIx>,
}

/// The columns that were asked for so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Columns of values as they print, which is how tasks are counted.
    printed: Map<Field, Arc<Column>>,
    /// Columns of values with their types: a scalar and a text may print alike.
    exact: Map<Vec<Field>, Arc<Column>>,
}

type Map<K, V> = IndexMap<K, V, foldhash::fast::FixedState>;

impl Table {
    /// Returns the column in which offers agree whose values of the field print alike.
    pub(super) fn printed(&mut self, slots: &[Slot<'_>], field: &Field) -> Arc<Column> {
        if let Some(column) = self.printed.get(field) {
            return Arc::clone(column);
        }
        let column = Arc::new(Column::of(slots, |slot| slot.location.value(field).map(Text::from)));
        self.printed.insert(field.clone(), Arc::clone(&column));
        column
    }

    /// Returns the column in which offers agree that have the same value, type included, of each of the fields.
    pub(super) fn exact(&mut self, slots: &[Slot<'_>], fields: &[&Field]) -> Arc<Column> {
        let mut key: Vec<Field> = fields.iter().copied().cloned().collect();
        key.sort_unstable();
        key.dedup();
        if let Some(column) = self.exact.get(&key) {
            return Arc::clone(column);
        }
        let mut columns = key.iter().map(|field| Column::of(slots, |slot| typed_value(slot, field)));
        let first = columns.next().unwrap_or_else(|| Column::of(slots, |_| 0_u8));
        let joined = columns.fold(first, |joined, next| joined.join(&next));
        let joined = Arc::new(joined);
        self.exact.insert(key, Arc::clone(&joined));
        joined
    }
}

/// Up to so many pairs of values are numbered in an array, more in a hash map.
const MAX_ARRAY_PAIRS: usize = 1 << 14;

impl Column {
    fn of<K: Hash + Eq>(slots: &[Slot<'_>], key: impl Fn(&Slot<'_>) -> K) -> Self {
        let mut numbers: Map<K, ValueIx> = Map::default();
        let mut column = Self { values: Vec::with_capacity(slots.len()), firsts: Vec::new() };
        for (index, slot) in slots.iter().enumerate() {
            column.push(OfferIx::new(index), &mut numbers, key(slot));
        }
        column
    }

    pub(super) fn value(&self, offer: OfferIx) -> ValueIx {
        self.values[offer.index()]
    }

    /// The values of the offers, in their order.
    pub(super) fn values(&self) -> &[ValueIx] {
        &self.values
    }

    /// The first offer that has the value.
    pub(super) fn first(&self, value: ValueIx) -> OfferIx {
        self.firsts[value.index()]
    }

    /// For each distinct value, the first offer that has it.
    pub(super) fn firsts(&self) -> &[OfferIx] {
        &self.firsts
    }

    /// The distinct values.
    pub(super) fn distinct(&self) -> impl Iterator<Item = ValueIx> + use<> {
        (0..self.firsts.len()).map(ValueIx::new)
    }

    /// Returns the column in which offers agree that agree in both.
    pub(super) fn join(&self, with: &Self) -> Self {
        let width = with.firsts.len();
        let mut joined = Self { values: Vec::with_capacity(self.values.len()), firsts: Vec::new() };
        let pairs = self.values.iter().zip(&with.values).enumerate();
        if self.firsts.len().saturating_mul(width) <= MAX_ARRAY_PAIRS {
            let mut numbers = vec![ValueIx::NONE; self.firsts.len() * width];
            for (index, (one, other)) in pairs {
                let number = &mut numbers[one.index() * width + other.index()];
                if *number == ValueIx::NONE {
                    *number = ValueIx::new(joined.firsts.len());
                    joined.firsts.push(OfferIx::new(index));
                }
                joined.values.push(*number);
            }
        } else {
            let mut numbers: Map<(ValueIx, ValueIx), ValueIx> = Map::default();
            for (index, (one, other)) in pairs {
                joined.push(OfferIx::new(index), &mut numbers, (*one, *other));
            }
        }
        joined
    }

    /// Returns the coarser column in which offers agree whose values have the same key; `key` is asked once for each
    /// value, with the first offer that has it.
    pub(super) fn grouped<K: Hash + Eq>(&self, key: impl FnMut(OfferIx) -> K) -> Self {
        let mut numbers: IndexSet<K, foldhash::fast::FixedState> = IndexSet::default();
        let (mut firsts, mut groups) = (Vec::new(), Vec::with_capacity(self.firsts.len()));
        for (first, key) in self.firsts.iter().zip(self.firsts.iter().copied().map(key)) {
            let (group, is_new) = numbers.insert_full(key);
            if is_new {
                firsts.push(*first);
            }
            groups.push(ValueIx::new(group));
        }
        Self { values: self.values.iter().map(|value| groups[value.index()]).collect(), firsts }
    }

    fn push<K: Hash + Eq>(&mut self, offer: OfferIx, numbers: &mut Map<K, ValueIx>, key: K) {
        let next = ValueIx::new(numbers.len());
        let number = *numbers.entry(key).or_insert(next);
        if number == next {
            self.firsts.push(offer);
        }
        self.values.push(number);
    }
}

/// Returns the value of a field with its type.
fn typed_value(slot: &Slot<'_>, field: &Field) -> Option<(u8, Text)> {
    let Field::Attribute(name) = field else { return slot.location.value(field).map(|value| (0, value.into())) };
    slot.location.attributes.first(name).map(|value| match value {
        AttributeValue::Text(text) => (0, text.clone()),
        AttributeValue::Scalar(number) => (1, Text::from_display(number)),
        AttributeValue::Ranges(ranges) => (2, Text::from_display(ranges)),
        AttributeValue::Set(set) => (3, Text::from_display(set)),
    })
}
