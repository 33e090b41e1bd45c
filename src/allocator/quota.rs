//! Quota: what a role is sure to get, and the most that it may get.
//!
//! A guarantee is kept free for a role that has not consumed it; a limit is what it may consume.
//! Consumption is what is reserved to a role and its descendants, used or not, and the unreserved,
//! non-revocable scalars that they hold (Mesos, `hierarchical.cpp`). Beyond Mesos, nested roles may
//! have quota too: a child's guarantees lie within its parent's, and all limits up the path hold.
//!
//! *Firm* is what quota divides: unreserved, non-revocable scalars. With a cluster of 10 cpus, 6 of
//! them held, and a role `q` that is guaranteed 3 and has consumed 1, the *headroom* is 4 cpus, of
//! which 2 are *required*: others are offered at most 2.

mod accounts;

pub(super) use accounts::{Accounts, Barrier, NodeIx};

use super::amounts::Amounts;
use super::resource_names::{Names, Weighed};
use super::tree::ClientId;
use crate::resources::{Limits, Quantities, Resources, Scalar};
use crate::role::Role;
use indexmap::IndexMap;

/// What a role is sure to get, and the most that it may get.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Quota {
    /// Kept free for it until it has consumed that much.
    pub guarantees: Quantities,
    /// Beyond these it is offered nothing that counts.
    pub limits: Limits,
}

impl Quota {
    /// A quota of these guarantees and limits.
    #[must_use]
    pub fn new(guarantees: Quantities, limits: Limits) -> Self {
        Self { guarantees, limits }
    }

    /// Whether it guarantees nothing and limits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// A quota that cannot be; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// More is guaranteed than may be consumed.
    #[error("a guarantee of {guarantee} {name} is over the limit of {limit}")]
    OverLimit {
        /// The resource.
        name: String,
        /// What is guaranteed.
        guarantee: Scalar,
        /// What may be consumed.
        limit: Scalar,
    },
    /// The guarantees of a role's children would exceed its own.
    #[error("the guarantees below {parent} would come to {children} {name}, and {parent} has {guarantee}")]
    OverParent {
        /// The parent.
        parent: Role,
        /// The resource.
        name: String,
        /// What the children would be guaranteed together.
        children: Scalar,
        /// What the parent is guaranteed.
        guarantee: Scalar,
    },
}

/// All quotas, and the accounts that they are measured by.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    set: IndexMap<Role, Quota>,
    /// What is reserved to each role itself, used or not.
    reserved: IndexMap<Role, Amounts>,
    pub(super) accounts: Accounts,
    /// Whether the accounts are to be opened anew: they are of other quotas.
    stale: bool,
}

impl Quotas {
    /// Whether no role has quota.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Role, &Quota)> {
        self.set.iter()
    }

    pub(super) fn of(&self, role: &Role) -> Option<&Quota> {
        self.set.get(role)
    }

    /// Replaces all that a role had.
    pub(super) fn set(&mut self, role: &Role, quota: Quota) -> Result<(), QuotaError> {
        for (name, guarantee) in quota.guarantees.iter() {
            if let Some(limit) = quota.limits.limit(name).filter(|limit| *limit < guarantee) {
                return Err(QuotaError::OverLimit { name: name.into(), guarantee, limit });
            }
        }
        let is_empty = quota.is_empty();
        let before = self.set.insert(role.clone(), quota);
        let mut parents = std::iter::once(role.clone()).chain(role.ancestors());
        let error = parents.find_map(|parent| check_children(&self.set, &parent).err());
        match (error.is_some(), before) {
            (true, Some(before)) => drop(self.set.insert(role.clone(), before)),
            (false, _) if !is_empty => {}
            (true, None) | (false, _) => drop(self.set.shift_remove(role)),
        }
        self.stale |= error.is_none();
        error.map_or(Ok(()), Err)
    }

    /// Takes the limits of a role away.
    pub(super) fn lift_limits(&mut self, role: &Role) {
        if let Some(quota) = self.set.get_mut(role) {
            quota.limits = Limits::new();
        }
        self.stale = true;
    }

    /// Takes all guarantees away.
    pub(super) fn lift_guarantees(&mut self) {
        self.set.values_mut().for_each(|quota| quota.guarantees = Quantities::new());
        self.stale = true;
    }

    /// An agent's total has changed.
    pub(super) fn total_changed(&mut self, names: &mut Names, old: &Resources, new: &Resources) {
        self.accounts.total.sub(&names.weigh(old).firm);
        self.accounts.total.add(&names.weigh(new).firm);
        for (resources, adds) in [(old, false), (new, true)] {
            for resource in resources {
                let Some((role, amount)) = resource.role().zip(resource.scalar()) else { continue };
                let delta = [(names.intern(resource.name()), amount.as_milli())];
                let account = self.reserved.entry(role.clone()).or_default();
                if adds {
                    account.add(&delta)
                } else {
                    account.sub(&delta)
                }
                if account.is_empty() {
                    self.reserved.swap_remove(role);
                }
                if !self.stale {
                    let node = self.accounts.nearest(role);
                    if adds { self.accounts.consume(node, &delta) } else { self.accounts.give_up(node, &delta) }
                }
            }
        }
    }

    /// Resources are in somebody's hands, whoever that is.
    #[inline]
    pub(super) fn taken(&mut self, weighed: &Weighed) {
        self.accounts.held.add(&weighed.firm);
    }

    /// Resources are in nobody's hands any more.
    #[inline]
    pub(super) fn returned(&mut self, weighed: &Weighed) {
        self.accounts.held.sub(&weighed.firm);
    }

    /// A framework holds more under a role, whose nearest account is `node`.
    #[inline]
    pub(super) fn charge(&mut self, node: Option<NodeIx>, weighed: &Weighed) {
        if !self.stale && node.is_some() {
            self.accounts.consume(node, &weighed.firm);
        }
    }

    /// A framework holds less under a role.
    #[inline]
    pub(super) fn release(&mut self, node: Option<NodeIx>, weighed: &Weighed) {
        if !self.stale && node.is_some() {
            self.accounts.give_up(node, &weighed.firm);
        }
    }

    /// The nearest account of a role that just got its first framework.
    pub(super) fn seat(&mut self, role: &Role, client: ClientId) -> Option<NodeIx> {
        if self.stale { None } else { self.accounts.seat(role, Some(client)) }
    }

    /// A role has lost its last framework.
    pub(super) fn leave(&mut self, role: &Role) {
        if !self.stale {
            self.accounts.seat(role, None);
        }
    }

    /// Opens the accounts anew, if they have to be; true if so: then each role has to look for its nearest account again.
    /// `held` is what frameworks hold of firm resources under each role itself.
    pub(super) fn reopen<'a>(
        &mut self,
        names: &mut Names,
        held: impl Iterator<Item = (&'a Role, &'a Amounts)>,
        minimums: &[Quantities],
    ) -> bool {
        let stale = std::mem::take(&mut self.stale);
        if stale {
            let held = held.map(|(role, amounts)| -> (&Role, &Amounts) { (role, amounts) });
            self.accounts.open(names, &self.set, self.reserved.iter().chain(held), minimums);
        }
        stale
    }
}

/// Checks that what is guaranteed right below a role lies within what it is guaranteed itself, if anything is.
fn check_children(set: &IndexMap<Role, Quota>, parent: &Role) -> Result<(), QuotaError> {
    let guarantees = |role: &Role| set.get(role).map(|quota| &quota.guarantees).filter(|given| !given.is_empty());
    let Some(own) = guarantees(parent) else { return Ok(()) };
    let mut children = Quantities::new();
    for role in set.keys().filter(|role| role.is_below(parent)) {
        let nearest = role.ancestors().find(|above| guarantees(above).is_some());
        if nearest.as_ref() == Some(parent) {
            guarantees(role)
                .into_iter()
                .flat_map(Quantities::iter)
                .for_each(|(name, amount)| children.add(name, amount));
        }
    }
    match children.iter().find(|(name, sum)| *sum > own.amount(name)) {
        Some((name, sum)) => Err(QuotaError::OverParent {
            parent: parent.clone(),
            name: name.into(),
            children: sum,
            guarantee: own.amount(name),
        }),
        None => Ok(()),
    }
}
