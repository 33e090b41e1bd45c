//! [`Resources`]: a collection of resources and its exact arithmetic.
//!
//! The semantics are those of Mesos (`resources.cpp`, `values.cpp`): resources of equal *identity*
//! (name, reservations, disk, revocability, provider) merge when they are added, a collection
//! contains another if each of its resources lies within one of equal identity, and what is
//! indivisible (volumes, whole disks) stays side by side. Where Mesos drops what is wrong without
//! a word, we return an error that carries what was asked for and what there was.

mod error;
mod items;
mod limits;
mod quantities;
mod ranges;
mod resource;
mod scalar;
mod set;
mod shortfall;
mod sorted;
mod text;
pub(crate) mod v1;

pub use error::{ItemFault, ResourceError};
pub use limits::Limits;
pub use quantities::Quantities;
pub use ranges::{Range, Ranges};
pub use resource::{Disk, DiskSource, DiskType, Kind, Reservation, ReservationType, Resource, Value};
pub use scalar::{Scalar, ScalarError};
pub use set::Set;
pub use shortfall::Shortfall;

pub(crate) use text::{Written, parse_ranges, parse_set};

use crate::role::Role;
use items::Items;
use smol_str::SmolStr;
use std::cmp::Ordering;
use std::fmt;

/// Resources of one agent, or asked of one: at most one entry for each identity that can merge.
///
/// Text and JSON forms are Mesos': `cpus:4;mem:1024;ports:[31000-32000];disk(eng):512`, and an
/// array of v1 `Resource` objects for what has no text form. Both validate on the way in. Entries
/// are kept in canonical order (name, unreserved before reserved, role), so equal collections
/// print the same.
///
/// A value is one pointer: copies share their entries until one of them changes. So a copy is
/// cheap, whatever is in it, and so is each operation that leaves everything as it was.
///
/// # Examples
///
/// ```
/// use apportion::{Resources, Scalar};
///
/// let total: Resources = "cpus:8;mem:32768;ports:[31000-32000]".parse()?;
/// let ask = Resources::builder().scalar("cpus", Scalar::milli(1_500)).range("ports", 31_000..=31_001).build()?;
/// let left = total.checked_sub(&ask)?;
/// assert_eq!(left.to_string(), "cpus:6.5;mem:32768;ports:[31002-32000]");
///
/// let shortfall = left.checked_sub(&"cpus:7".parse()?).unwrap_err();
/// assert_eq!(shortfall.to_string(), "cpus:7 was asked for, cpus:6.5 is available");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// None of them is nothing.
    items: Items,
}

/// A sum that cannot be told: an amount above [`Scalar::MAX`], or two types under one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("cannot add {added} to {to}: expected the same type and no more than {max} in all", max = Scalar::MAX)]
pub struct SumError {
    /// What there was.
    pub to: Box<Resource>,
    /// What was to be added.
    pub added: Box<Resource>,
}

impl Resources {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Items::EMPTY }
    }

    /// Starts an empty collection of unreserved resources; see [`ResourcesBuilder`].
    #[must_use]
    pub fn builder() -> ResourcesBuilder {
        ResourcesBuilder { items: Vec::new() }
    }

    /// Adds up resources.
    ///
    /// # Errors
    ///
    /// [`SumError`] when a sum is above [`Scalar::MAX`], or one name has two types.
    pub fn try_from_iter(items: impl IntoIterator<Item = Resource>) -> Result<Self, SumError> {
        let items = items.into_iter();
        let mut list = Vec::with_capacity(items.size_hint().0);
        for item in items.filter(|item| !item.is_nothing()) {
            sorted::add_one(&mut list, item)?;
        }
        Ok(Self { items: list.into() })
    }

    /// Those of a list in canonical order that are something.
    pub(crate) fn in_order(mut items: Vec<Resource>) -> Self {
        items.retain(|item| !item.is_nothing());
        Self { items: items.into() }
    }

    /// Adds one resource; on an error nothing has changed. O(log entries) to find its place.
    ///
    /// # Errors
    ///
    /// [`SumError`] when the sum is above [`Scalar::MAX`], or the name has another type.
    pub fn try_insert(&mut self, resource: Resource) -> Result<(), SumError> {
        if resource.is_nothing() {
            return Ok(());
        }
        sorted::add_one(self.items.edit(), resource)
    }

    /// Adds all of `other`; on an error nothing has changed. O(entries of `other`), besides moving up
    /// what stands behind new ones.
    ///
    /// # Errors
    ///
    /// [`SumError`] when a sum is above [`Scalar::MAX`], or one name has two types.
    pub fn try_add(&mut self, other: &Self) -> Result<(), SumError> {
        if self.is_empty() {
            *self = other.clone();
            Ok(())
        } else if other.is_empty() {
            Ok(())
        } else {
            sorted::add(self.items.edit(), &other.items)
        }
    }

    /// The sum. O(entries of both).
    ///
    /// # Errors
    ///
    /// [`SumError`] when a sum is above [`Scalar::MAX`], or one name has two types.
    pub fn checked_add(&self, other: &Self) -> Result<Self, SumError> {
        let mut sum = self.clone();
        sum.try_add(other)?;
        Ok(sum)
    }

    /// The difference, if `other` is contained. O(entries of both).
    ///
    /// # Errors
    ///
    /// [`Shortfall`] for the first resource of `other` that is not contained.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, Shortfall> {
        match self.shortfall(other) {
            Some(shortfall) => Err(shortfall),
            None => Ok(self.saturating_sub(other)),
        }
    }

    /// What is left when `other` is taken away as far as it is there.
    #[must_use]
    pub fn saturating_sub(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.remove(other);
        left
    }

    /// Takes `other` away as far as it is there; indivisible resources only whole.
    ///
    /// Mesos subtracts like this, too; where more must not be asked for than there is, see
    /// [`Resources::checked_sub`]. O(entries of `other`), besides moving down what stands behind those
    /// of which nothing is left.
    pub fn remove(&mut self, other: &Self) {
        if self.is_same(other) {
            self.items = Items::EMPTY;
            return;
        }
        // A shared list is copied only if there is something to take.
        if self.items.is_unshared() || sorted::meets(&self.items, &other.items) {
            let left = self.items.edit();
            sorted::remove(left, &other.items);
            if left.is_empty() {
                self.items = Items::EMPTY;
            }
        }
    }

    /// Adds `other`, which is known to fit: what is given back was once taken from here.
    pub(crate) fn insert(&mut self, other: &Self) {
        self.try_add(other).expect("what is given back was once part of the same sum");
    }

    /// Checks that no name of `other` has another type in here.
    pub(crate) fn check_types(&self, other: &Self) -> Result<(), SumError> {
        let clash = |theirs: &Resource| {
            let namesake = self.iter().find(|mine| mine.name == theirs.name)?;
            let differs = namesake.value.type_name() != theirs.value.type_name();
            differs.then(|| SumError { to: Box::new(namesake.clone()), added: Box::new(theirs.clone()) })
        };
        other.iter().find_map(clash).map_or(Ok(()), Err)
    }

    /// Whether each resource of `other` lies within one of equal identity in here.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.first_missing(other).is_none()
    }

    /// Whether `other` is a copy of this, made and left as it is; false says nothing.
    #[inline]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.items.same(&other.items)
    }

    /// Why `other` is not contained, if it is not.
    #[must_use]
    pub fn shortfall(&self, other: &Self) -> Option<Shortfall> {
        let asked = self.first_missing(other)?.clone();
        let same = |mine: &&Resource| mine.cmp_identity(&asked) == Ordering::Equal;
        let available = self.iter().filter(same).cloned().collect();
        Some(Shortfall { asked, available })
    }

    fn first_missing<'a>(&self, other: &'a Self) -> Option<&'a Resource> {
        if self.is_same(other) { None } else { sorted::first_missing(&self.items, &other.items) }
    }

    /// Whether there is nothing.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The resources in canonical order.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.items.iter()
    }

    /// Those for which `keep` holds; if it holds for all, the list is shared.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&Resource) -> bool) -> Self {
        let Some(first) = self.items.iter().position(|resource| !keep(resource)) else { return self.clone() };
        let rest = self.items[first + 1..].iter().filter(|resource| keep(resource));
        Self { items: self.items[..first].iter().chain(rest).cloned().collect::<Vec<_>>().into() }
    }

    /// Those that a framework of `role` may be offered: unreserved, or reserved to it or an ancestor.
    #[must_use]
    pub fn for_role(&self, role: &Role) -> Self {
        self.filter(|resource| resource.is_for(role))
    }

    /// Those that nobody has reserved.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.filter(|resource| resource.role().is_none())
    }

    /// The amounts of all scalars by name, kinds forgotten; copies of a shared one count once.
    #[must_use]
    pub fn quantities(&self) -> Quantities {
        self.iter().filter_map(|resource| Some((resource.name(), resource.scalar()?))).collect()
    }

    /// How much there is of `name` over all kinds, in thousandths: members of ranges and sets count 1 each.
    #[must_use]
    pub fn amount(&self, name: &str) -> Scalar {
        let milli = self.iter().filter(|resource| resource.name == name).map(|resource| match &resource.value {
            Value::Scalar(amount) => u128::from(amount.as_milli()),
            Value::Ranges(ranges) => ranges.count() * 1000,
            Value::Set(set) => set.as_slice().len() as u128 * 1000,
        });
        Scalar::milli(u64::try_from(milli.sum::<u128>()).unwrap_or(u64::MAX))
    }

    /// Whether every name of `minimum` reaches its amount, all kinds added up.
    #[must_use]
    pub fn reaches(&self, minimum: &Quantities) -> bool {
        minimum.iter().all(|(name, amount)| self.amount(name) >= amount)
    }

    /// The numbers of all ranges called `name`, over all kinds.
    #[must_use]
    pub fn ranges(&self, name: &str) -> Ranges {
        let mut all = Ranges::default();
        for resource in self.iter().filter(|resource| resource.name == name) {
            if let Value::Ranges(ranges) = &resource.value {
                all.insert(ranges);
            }
        }
        all
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = std::vec::IntoIter<Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_vec().into_iter()
    }
}

/// Collects unreserved resources, and checks them at the end.
///
/// # Examples
///
/// ```
/// use apportion::{Resources, Scalar};
///
/// let ask = Resources::builder().scalar("mem", Scalar::units(64)).set("zones", ["a", "b"]).build()?;
/// assert_eq!(ask.to_string(), "mem:64;zones:{a,b}");
/// # Ok::<(), apportion::SumError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ResourcesBuilder {
    items: Vec<Resource>,
}

impl ResourcesBuilder {
    /// An amount, such as cpus or MB of memory.
    #[must_use]
    pub fn scalar(self, name: impl Into<SmolStr>, amount: Scalar) -> Self {
        self.resource(Resource::new(name, Value::Scalar(amount)))
    }

    /// A range of numbers, such as ports; an empty one counts for nothing.
    #[must_use]
    pub fn range(self, name: impl Into<SmolStr>, numbers: std::ops::RangeInclusive<u64>) -> Self {
        self.resource(Resource::new(name, Value::Ranges(Ranges::from_iter([numbers]))))
    }

    /// A set of names.
    #[must_use]
    pub fn set<S: Into<SmolStr>>(self, name: impl Into<SmolStr>, members: impl IntoIterator<Item = S>) -> Self {
        self.resource(Resource::new(name, Value::Set(members.into_iter().collect())))
    }

    /// Any resource.
    #[must_use]
    pub fn resource(mut self, resource: Resource) -> Self {
        self.items.push(resource);
        self
    }

    /// The collection.
    ///
    /// # Errors
    ///
    /// [`SumError`] when a sum is above [`Scalar::MAX`], or one name has two types.
    pub fn build(self) -> Result<Resources, SumError> {
        Resources::try_from_iter(self.items)
    }
}

#[cfg(test)]
mod tests;
