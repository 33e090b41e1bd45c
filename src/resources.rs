//! [`Resources`]: a multiset of resources with exact arithmetic.
//!
//! The semantics are those of Mesos (`resources.cpp`, `values.cpp`): resources of equal *identity* (name, reservations,
//! disk, revocability, provider) merge when they are added; a collection contains another if each resource of the other
//! is contained in one of equal identity; indivisible resources (volumes, whole disks) do not merge. Where Mesos
//! ignores invalid input silently, this crate returns an error with the resources asked for and available.

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
mod take;
mod text;
pub(crate) mod v1;
mod value_form;

pub use error::{ItemFault, ResourceError};
pub use limits::Limits;
pub use quantities::Quantities;
pub use ranges::{Numbers, Range, Ranges};
pub use resource::{Disk, DiskSource, DiskType, Kind, Reservation, ReservationType, Resource, Value};
pub use scalar::{Scalar, ScalarError};
pub use set::Set;
pub use shortfall::Shortfall;

pub(crate) use take::Served;
pub(crate) use text::{Written, parse_ranges, parse_set};

use crate::role::Role;
use crate::text::Text;
use items::Items;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A copy-on-write sorted list of resources, with at most one entry for each identity that merges.
///
/// The text form is that of Mesos, `cpus:4;mem:1024;ports:[31000-32000];disk(eng):512`. In JSON it is that text, or an
/// array of v1 `Resource` objects if an entry has no text form. Both are validated when parsed. Entries are in
/// canonical order (by name, unreserved before reserved, role), so that equal collections print the same.
///
/// A value is a single pointer, and clones share their entries until one of them changes. So a clone costs O(1), and so
/// does an operation that changes nothing.
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
    /// Invariant: in canonical order, and no entry is empty.
    items: Items,
}

/// A sum that is not defined: above [`Scalar::MAX`], or of two types under one name. An amount that is too large by itself is
/// added to none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("cannot add {added} to {to}: expected the same type and no more than {max} in all", max = Scalar::MAX)]
pub struct SumError {
    /// The resource that was there.
    pub to: Box<Resource>,
    /// The resource to add.
    pub added: Box<Resource>,
}

impl Resources {
    /// Makes an empty collection.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Items::EMPTY }
    }

    /// Starts a builder; see [`ResourcesBuilder`].
    #[must_use]
    pub fn builder() -> ResourcesBuilder {
        ResourcesBuilder { items: Vec::new() }
    }

    /// Makes a collection of resources and merges those of equal identity. O(n log n).
    ///
    /// # Errors
    ///
    /// [`SumError`] if an amount or a sum is above [`Scalar::MAX`], or a name has two types.
    pub fn try_from_iter(items: impl IntoIterator<Item = Resource>) -> Result<Self, SumError> {
        sorted::collect(items.into_iter().collect()).map(Self::from_sorted).map_err(|(_, error)| error)
    }

    /// Makes a collection of resources that are read one by one. The error is that of the first item that is invalid or
    /// cannot be added, with its name.
    fn try_from_items<N: Into<String>>(
        items: impl Iterator<Item = Result<(N, Resource), ResourceError>>,
    ) -> Result<Self, ResourceError> {
        let (mut names, mut resources, mut invalid) = (Vec::new(), Vec::new(), None);
        for item in items {
            match item {
                Ok((name, resource)) => {
                    names.push(name);
                    resources.push(resource);
                }
                Err(error) => {
                    invalid = Some(error);
                    break;
                }
            }
        }
        let sum = sorted::collect(resources).map_err(|(i, sum)| ItemFault::from(sum).of(names.swap_remove(i)))?;
        invalid.map_or_else(|| Ok(Self::from_sorted(sum)), Err)
    }

    /// Makes a collection of a list in canonical order, without its empty entries.
    pub(crate) fn from_sorted(mut items: Vec<Resource>) -> Self {
        items.retain(|item| !item.is_empty());
        Self { items: items.into() }
    }

    /// Adds one resource; on an error nothing has changed. O(log entries) to find its position.
    ///
    /// # Errors
    ///
    /// [`SumError`] if the amount or the sum is above [`Scalar::MAX`], or the name has another type.
    pub fn try_insert(&mut self, resource: Resource) -> Result<(), SumError> {
        if resource.is_empty() {
            return Ok(());
        }
        sorted::add_one(self.items.make_mut(), resource)
    }

    /// Adds all resources of `other`; on an error nothing has changed. O(entries of `other`), and O(entries of both) if
    /// there are new identities.
    ///
    /// # Errors
    ///
    /// [`SumError`] if a sum is above [`Scalar::MAX`], or a name has two types.
    pub fn try_add(&mut self, other: &Self) -> Result<(), SumError> {
        if self.is_empty() {
            *self = other.clone();
            Ok(())
        } else if other.is_empty() {
            Ok(())
        } else {
            sorted::add(self.items.make_mut(), &other.items)
        }
    }

    /// Returns the sum. O(entries of both).
    ///
    /// # Errors
    ///
    /// [`SumError`] if a sum is above [`Scalar::MAX`], or a name has two types.
    pub fn checked_add(&self, other: &Self) -> Result<Self, SumError> {
        let mut sum = self.clone();
        sum.try_add(other)?;
        Ok(sum)
    }

    /// Returns the difference. O(entries of both).
    ///
    /// # Errors
    ///
    /// [`Shortfall`] for the first resource of `other` that `self` does not contain.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, Shortfall> {
        match self.shortfall(other) {
            Some(shortfall) => Err(shortfall),
            None => Ok(self.saturating_sub(other)),
        }
    }

    /// Returns the difference, where resources that are not there are ignored; see [`Resources::remove`].
    #[must_use]
    pub fn saturating_sub(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.remove(other);
        left
    }

    /// Subtracts `other` and ignores what is not there; an indivisible resource is removed whole or not at all.
    ///
    /// This is the subtraction of Mesos; [`Resources::checked_sub`] fails instead. O(entries of `other`), and O(entries
    /// of both) if an entry becomes empty.
    pub fn remove(&mut self, other: &Self) {
        if self.is_same(other) {
            self.items = Items::EMPTY;
            return;
        }
        // Copy a shared list only if the subtraction changes it.
        if self.items.is_unshared() || sorted::intersects(&self.items, &other.items) {
            let left = self.items.make_mut();
            sorted::remove(left, &other.items);
            if left.is_empty() {
                self.items = Items::EMPTY;
            }
        }
    }

    /// Adds resources that were once subtracted from this sum, so that the addition cannot fail.
    pub(crate) fn insert(&mut self, other: &Self) {
        self.try_add(other).expect("the resources were subtracted from this sum before");
    }

    /// Checks that each name of `other` has the same type in `self`, if it occurs there. O(entries of `other` · log entries).
    pub(crate) fn check_types(&self, other: &Self) -> Result<(), SumError> {
        let clash = |theirs: &Resource| {
            let first = self.items.partition_point(|mine| mine.name < theirs.name);
            let namesake = self.items.get(first).filter(|mine| mine.name == theirs.name)?;
            let differs = namesake.value.type_name() != theirs.value.type_name();
            differs.then(|| SumError { to: Box::new(namesake.clone()), added: Box::new(theirs.clone()) })
        };
        other.iter().find_map(clash).map_or(Ok(()), Err)
    }

    /// Returns true if each resource of `other` is contained in one of equal identity.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.first_missing(other).is_none()
    }

    /// Returns true if both share one list, and so are equal; false does not mean that they differ. O(1).
    #[inline]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.items.ptr_eq(&other.items)
    }

    /// Returns the first resource of `other` that is not contained, with the amount available.
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

    /// Returns true if there are no resources.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Iterates over the resources in canonical order.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.items.iter()
    }

    /// Returns the resources for which `keep` is true; if it is true for all, the result shares the list.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&Resource) -> bool) -> Self {
        let Some(first) = self.items.iter().position(|resource| !keep(resource)) else { return self.clone() };
        let rest = self.items[first + 1..].iter().filter(|resource| keep(resource));
        Self { items: self.items[..first].iter().chain(rest).cloned().collect::<Vec<_>>().into() }
    }

    /// Returns the resources that can be offered to `role`: unreserved, or reserved to the role or an ancestor.
    #[must_use]
    pub fn for_role(&self, role: &Role) -> Self {
        self.filter(|resource| resource.is_for(role))
    }

    /// Returns the unreserved resources.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.filter(|resource| resource.role().is_none())
    }

    /// Returns the amounts of all scalars by name, over all kinds; copies of a shared resource count once.
    #[must_use]
    pub fn quantities(&self) -> Quantities {
        self.iter().filter_map(|resource| Some((resource.name(), resource.scalar()?))).collect()
    }

    /// Returns the amount of `name` over all kinds; each member of ranges and sets counts 1.
    #[must_use]
    pub fn amount(&self, name: &str) -> Scalar {
        self.iter().filter(|resource| resource.name == name).map(|resource| resource.value.count()).sum()
    }

    /// Returns true if the amount of each name, over all kinds, reaches its minimum.
    #[must_use]
    pub fn reaches(&self, minimum: &Quantities) -> bool {
        minimum.iter().all(|(name, amount)| self.amount(name) >= amount)
    }

    /// Returns the union of the ranges of `name`, over all kinds.
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

impl From<Resources> for Cow<'_, Resources> {
    fn from(resources: Resources) -> Self {
        Cow::Owned(resources)
    }
}

impl<'a> From<&'a Resources> for Cow<'a, Resources> {
    fn from(resources: &'a Resources) -> Self {
        Cow::Borrowed(resources)
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

/// A builder of [`Resources`]; it validates when it builds.
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
    /// Adds an unreserved scalar, such as cpus or MB of memory.
    #[must_use]
    pub fn scalar(self, name: impl Into<Text>, amount: Scalar) -> Self {
        self.resource(Resource::new(name, Value::Scalar(amount)))
    }

    /// Adds an unreserved range of numbers, such as ports; an empty range is ignored.
    #[must_use]
    pub fn range(self, name: impl Into<Text>, numbers: std::ops::RangeInclusive<u64>) -> Self {
        self.resource(Resource::new(name, Value::Ranges(Ranges::from_iter([numbers]))))
    }

    /// Adds an unreserved set of names.
    #[must_use]
    pub fn set<S: Into<Text>>(self, name: impl Into<Text>, members: impl IntoIterator<Item = S>) -> Self {
        self.resource(Resource::new(name, Value::Set(members.into_iter().collect())))
    }

    /// Adds any resource.
    #[must_use]
    pub fn resource(mut self, resource: Resource) -> Self {
        self.items.push(resource);
        self
    }

    /// Builds the collection.
    ///
    /// # Errors
    ///
    /// [`SumError`] if an amount or a sum is above [`Scalar::MAX`], or a name has two types.
    pub fn build(self) -> Result<Resources, SumError> {
        Resources::try_from_iter(self.items)
    }
}

#[cfg(test)]
mod tests;
