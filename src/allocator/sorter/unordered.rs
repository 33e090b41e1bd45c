//! [`Unordered`]: no order, for accounts without one.

use super::Sorter;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, ShareTree};

/// Orders nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::allocator) struct Unordered;

impl Sorter for Unordered {
    fn order(&mut self, _: &ShareTree, _: &Totals, _: &mut Vec<ClientId>) {}
}
