//! Dense indices as types, and the collections over them.
//!
//! Ids come from outside and are text. Inside, each agent, framework, role, ... has a small number, and each kind of thing
//! has an index type of its own, so that two kinds cannot be swapped.

mod bit_set;
mod id_map;
mod slab;
mod work_set;

pub(super) use bit_set::BitSet;
pub(super) use id_map::IdMap;
pub(super) use slab::Slab;
pub(super) use work_set::WorkSet;

use std::marker::PhantomData;
use std::ops;

/// A dense index: it identifies one thing of a kind for as long as that thing exists, and may be reused afterwards.
pub(super) trait DenseIndex: Copy + Eq {
    /// The index of a position.
    ///
    /// # Panics
    ///
    /// From 2^32 on: that many things do not fit into memory.
    fn new(position: usize) -> Self;

    /// The position that it stands for.
    fn position(self) -> usize;
}

/// Implements [`DenseIndex`] for a tuple struct of a `u32`.
macro_rules! dense_index {
    ($name:ident) => {
        impl $crate::allocator::index::DenseIndex for $name {
            #[inline]
            fn new(position: usize) -> Self {
                Self(u32::try_from(position).expect("fewer than 2^32 things fit into memory"))
            }

            #[inline]
            fn position(self) -> usize {
                self.0 as usize
            }
        }
    };
}

pub(super) use dense_index;

macro_rules! index_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(in crate::allocator) struct $name(u32);

        dense_index!($name);
    )*};
}

index_types! {
    /// An agent.
    AgentIx;
    /// A framework.
    FrameworkIx;
    /// A role that has members.
    RoleIx;
    /// A member: a framework within a role.
    MemberIx;
    /// The name of a resource.
    NameIx;
    /// A role with quota.
    QuotaIx;
    /// A position among the children of a node of a tree of shares.
    SlotIx;
}

/// A vector that only takes indices of one kind.
#[derive(Debug, Clone)]
pub(super) struct IndexVec<I, T> {
    items: Vec<T>,
    index: PhantomData<I>,
}

impl<I, T> Default for IndexVec<I, T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: PhantomData }
    }
}

impl<I: DenseIndex, T> IndexVec<I, T> {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Appends an item and returns its index.
    pub(super) fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::new(self.items.len() - 1)
    }

    /// Grows so that `ix` has an item.
    pub(super) fn grow_to(&mut self, ix: I, fill: impl FnMut() -> T) {
        if self.items.len() <= ix.position() {
            self.items.resize_with(ix.position() + 1, fill);
        }
    }

    /// Grows so that it has `len` items.
    pub(super) fn grow_to_len(&mut self, len: usize, fill: impl FnMut() -> T) {
        if self.items.len() < len {
            self.items.resize_with(len, fill);
        }
    }

    #[inline]
    pub(super) fn get(&self, ix: I) -> Option<&T> {
        self.items.get(ix.position())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, ix: I) -> Option<&mut T> {
        self.items.get_mut(ix.position())
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
    }

    /// All items, from the lowest index.
    #[inline]
    pub(super) fn values(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// All indices, from the lowest.
    pub(super) fn indices(&self) -> impl DoubleEndedIterator<Item = I> + use<I, T> {
        (0..self.items.len()).map(I::new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.items.iter().enumerate().map(|(position, item)| (I::new(position), item))
    }
}

impl<I: DenseIndex, T> Extend<T> for IndexVec<I, T> {
    fn extend<Items: IntoIterator<Item = T>>(&mut self, items: Items) {
        self.items.extend(items);
    }
}

impl<I: DenseIndex, T> FromIterator<T> for IndexVec<I, T> {
    fn from_iter<Items: IntoIterator<Item = T>>(items: Items) -> Self {
        Self { items: items.into_iter().collect(), index: PhantomData }
    }
}

impl<I: DenseIndex, T> ops::Index<I> for IndexVec<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, ix: I) -> &T {
        &self.items[ix.position()]
    }
}

impl<I: DenseIndex, T> ops::IndexMut<I> for IndexVec<I, T> {
    #[inline]
    fn index_mut(&mut self, ix: I) -> &mut T {
        &mut self.items[ix.position()]
    }
}
