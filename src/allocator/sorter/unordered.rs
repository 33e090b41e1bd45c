//! [`Unordered`]: no order, for accounts without one.

use super::Sorter;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, ShareTree};

/// Orders nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::allocator) struct Unordered;

impl Sorter for Unordered {
    fn begin(&mut self, _: &ShareTree, _: &Totals) {}

    fn next(&mut self, _: &ShareTree, _: &Totals) -> Option<ClientId> {
        None
    }
}
