//! [`Table`]: offers by the values of their fields.

use super::state::Slot;
use crate::attributes::AttributeValue;
use crate::constraint::Field;
use indexmap::{IndexMap, IndexSet};
use smol_str::{SmolStr, format_smolstr};
use std::hash::Hash;
use std::sync::Arc;

/// For a field, or several, which offers agree in them.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// By offer, the number of its value.
    pub(super) of: Vec<u32>,
    /// By the number of a value, the first offer that has it.
    pub(super) firsts: Vec<usize>,
}

/// The columns that were asked for.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Of values as they print, which is how tasks are counted.
    printed: Map<Field, Arc<Column>>,
    /// Of values as they are: a scalar and a text may print alike.
    exact: Map<Vec<Field>, Arc<Column>>,
}

type Map<K, V> = IndexMap<K, V, foldhash::fast::FixedState>;

impl Table {
    /// Which offers have the same value, as it prints.
    pub(super) fn printed(&mut self, slots: &[Slot<'_>], field: &Field) -> Arc<Column> {
        if let Some(column) = self.printed.get(field) {
            return Arc::clone(column);
        }
        let column = Arc::new(column(slots, |slot| slot.location.value(field).map(SmolStr::from)));
        self.printed.insert(field.clone(), Arc::clone(&column));
        column
    }

    /// Which offers have the very same values of all these fields.
    pub(super) fn exact(&mut self, slots: &[Slot<'_>], fields: &[&Field]) -> Arc<Column> {
        let mut key: Vec<Field> = fields.iter().copied().cloned().collect();
        key.sort_unstable();
        key.dedup();
        if let Some(column) = self.exact.get(&key) {
            return Arc::clone(column);
        }
        let mut columns = key.iter().map(|field| column(slots, |slot| exact(slot, field)));
        let first = columns.next().unwrap_or_else(|| column(slots, |_| 0_u8));
        let joined = columns.fold(first, |joined, next| join(&joined, &next));
        let joined = Arc::new(joined);
        self.exact.insert(key, Arc::clone(&joined));
        joined
    }
}

/// Which offers agree in both.
pub(super) fn join(column: &Column, with: &Column) -> Column {
    let width = with.firsts.len();
    let mut joined = Column { of: Vec::with_capacity(column.of.len()), firsts: Vec::new() };
    let pairs = column.of.iter().zip(&with.of).enumerate();
    if column.firsts.len().saturating_mul(width) <= FEW_PAIRS {
        let mut numbers = vec![u32::MAX; column.firsts.len() * width];
        for (index, (one, other)) in pairs {
            let number = &mut numbers[*one as usize * width + *other as usize];
            if *number == u32::MAX {
                *number = short(joined.firsts.len());
                joined.firsts.push(index);
            }
            joined.of.push(*number);
        }
    } else {
        let mut numbers: Map<(u32, u32), u32> = Map::default();
        for (index, (one, other)) in pairs {
            joined.push(index, &mut numbers, (*one, *other));
        }
    }
    joined
}

/// So many pairs of values are looked up in a plain list.
const FEW_PAIRS: usize = 1 << 14;

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Column {
    /// Offers by what their values come to.
    pub(super) fn grouped<K: Hash + Eq>(&self, of: impl FnMut(usize) -> K) -> Self {
        let mut numbers: IndexSet<K, foldhash::fast::FixedState> = IndexSet::default();
        let (mut firsts, mut groups) = (Vec::new(), Vec::with_capacity(self.firsts.len()));
        for (first, key) in self.firsts.iter().zip(self.firsts.iter().copied().map(of)) {
            let (group, is_new) = numbers.insert_full(key);
            if is_new {
                firsts.push(*first);
            }
            groups.push(short(group));
        }
        Self { of: self.of.iter().map(|value| groups[*value as usize]).collect(), firsts }
    }

    fn push<K: Hash + Eq>(&mut self, index: usize, numbers: &mut Map<K, u32>, key: K) {
        let next = short(numbers.len());
        let number = *numbers.entry(key).or_insert(next);
        if number == next {
            self.firsts.push(index);
        }
        self.of.push(number);
    }
}

fn column<K: Hash + Eq>(slots: &[Slot<'_>], key: impl Fn(&Slot<'_>) -> K) -> Column {
    let mut numbers: Map<K, u32> = Map::default();
    let mut column = Column { of: Vec::with_capacity(slots.len()), firsts: Vec::new() };
    for (index, slot) in slots.iter().enumerate() {
        column.push(index, &mut numbers, key(slot));
    }
    column
}

/// A value with its type.
fn exact(slot: &Slot<'_>, field: &Field) -> Option<(u8, SmolStr)> {
    let Field::Attribute(name) = field else { return slot.location.value(field).map(|value| (0, value.into())) };
    slot.location.attributes.first(name).map(|value| match value {
        AttributeValue::Text(text) => (0, text.clone()),
        AttributeValue::Scalar(number) => (1, format_smolstr!("{number}")),
        AttributeValue::Ranges(ranges) => (2, format_smolstr!("{ranges}")),
        AttributeValue::Set(set) => (3, format_smolstr!("{set}")),
    })
}
