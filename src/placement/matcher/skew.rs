//! [`Known`]: the values that a `MAX_SKEW` compares with, kept up to date.

use super::desk::Desk;
use super::search::Search;
use super::table::Column;
use crate::constraint::{Constraint, Field, Reach};
use smol_str::SmolStr;
use std::sync::Arc;

/// The values of a field that offers have which meet the other conditions of an app.
#[derive(Debug)]
pub(super) struct Known<'a> {
    field: &'a Field,
    column: Arc<Column>,
    /// By offer, whether it meets the other conditions.
    meets: Vec<bool>,
    /// By the number of a value, how many offers make it known.
    counts: Vec<u32>,
    /// What may make an offer meet the conditions that did not, or the other way round.
    reach: Reach,
}

impl<'a> Known<'a> {
    /// Finds out which values are known, and says so.
    pub(super) fn new(field: &'a Field, search: &Search<'a>, desk: &mut Desk<'_>) -> Self {
        let column = desk.table.printed(&desk.slots, field);
        let mut known = Self {
            field,
            meets: vec![false; desk.slots.len()],
            counts: vec![0; column.firsts.len()],
            column,
            reach: search.other.iter().map(|clause| clause.reach()).max().unwrap_or(Reach::Place),
        };
        desk.placed.know(&search.app.id, field, []);
        (0..desk.slots.len()).for_each(|index| known.look(index, search, desk));
        known
    }

    /// Takes in that a task was launched in that offer.
    pub(super) fn refresh(&mut self, index: usize, search: &Search<'_>, desk: &mut Desk<'_>) {
        match self.reach {
            Reach::Place => {}
            Reach::Host => {
                for other in desk.beside(index).to_vec() {
                    self.look(other, search, desk);
                }
            }
            Reach::Anything => (0..desk.slots.len()).for_each(|index| self.look(index, search, desk)),
        }
    }

    fn look(&mut self, index: usize, search: &Search<'_>, desk: &mut Desk<'_>) {
        let meets = search.other.iter().all(|clause| desk.holds(search, index, clause));
        if std::mem::replace(&mut self.meets[index], meets) == meets {
            return;
        }
        let count = &mut self.counts[self.column.of[index] as usize];
        *count = if meets { *count + 1 } else { *count - 1 };
        let comes_or_goes = *count == u32::from(meets);
        let value = desk.slots[index].location.value(self.field).map(SmolStr::from);
        if let Some(value) = value.filter(|_| comes_or_goes) {
            desk.placed.know_of(&search.app.id, self.field, &value, meets);
        }
    }
}
