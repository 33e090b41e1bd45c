//! [`Quota`]: guarantees and limits of roles.
//!
//! A guarantee is kept free for a role that has not consumed it; a limit is the most that it may consume.
//! The consumption of a role is what is reserved to it and its descendants, used or not, and the unreserved,
//! non-revocable scalars that they hold (Mesos, `hierarchical.cpp`). Beyond Mesos, nested roles may
//! have quota too: a child's guarantees lie within its parent's, and all limits up the path hold.
//!
//! Quota manages the unreserved, non-revocable scalars. With a cluster of 10 cpus, 6 of them held, and a
//! role `q` that is guaranteed 3 and has consumed 1, the *headroom* is 4 cpus, of which 2 are *required*:
//! other roles are offered at most 2.

mod accounts;

pub(super) use accounts::{Barrier, QuotaAccounts};

use super::amounts::Amounts;
use super::index::QuotaIx;
use super::resource_names::{ResourceNames, Weighed};
use super::tree::ClientId;
use crate::resources::{Limits, Quantities, Resources, Scalar};
use crate::role::Role;
use crate::text::Text;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The guarantees and limits of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Quota {
    /// The amounts that are kept free for the role until it has consumed as much, in offers or tasks.
    pub guarantees: Quantities,
    /// The amounts beyond which the role is offered nothing more that quota manages. What it is offered counts as much as what
    /// its tasks hold: so a limit also bounds how much the frameworks of a role can hoard in offers.
    pub limits: Limits,
}

impl Quota {
    /// Creates a quota of these guarantees and limits.
    #[must_use]
    pub fn new(guarantees: Quantities, limits: Limits) -> Self {
        Self { guarantees, limits }
    }

    /// Sets a guarantee; 0 removes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::Scalar;
    /// use apportion::allocator::Quota;
    ///
    /// let quota = Quota::default().guarantee("gpus", Scalar::from(2)).limit("gpus", Scalar::from(8));
    /// assert_eq!(quota, Quota::new("gpus:2".parse()?, "gpus:8".parse()?));
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    #[must_use]
    pub fn guarantee(mut self, name: &str, amount: Scalar) -> Self {
        self.guarantees.sub(name, Scalar::milli(u64::MAX));
        self.guarantees.add(name, amount);
        self
    }

    /// Sets a limit.
    #[must_use]
    pub fn limit(mut self, name: impl Into<Text>, limit: Scalar) -> Self {
        self.limits.insert(name, limit);
        self
    }

    /// Returns whether it guarantees nothing and limits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// The error of a quota that contradicts itself or others; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The allocator has no quota.
    #[error("this allocator has no quota")]
    Unsupported,
    /// A guarantee or a limit is above [`Scalar::MAX`].
    #[error("{amount} {name} is too much for a quota: the largest amount is {max}", max = Scalar::MAX)]
    TooLarge {
        /// The resource.
        name: String,
        /// The guarantee or limit.
        amount: Scalar,
    },
    /// The guarantee exceeds the limit.
    #[error("a guarantee of {guarantee} {name} is over the limit of {limit}")]
    OverLimit {
        /// The resource.
        name: String,
        /// The guarantee.
        guarantee: Scalar,
        /// The limit.
        limit: Scalar,
    },
    /// The guarantees of a role's children would exceed its own.
    #[error("the guarantees below {parent} would come to {children} {name}, and {parent} has {guarantee}")]
    OverParent {
        /// The parent.
        parent: Role,
        /// The resource.
        name: String,
        /// The sum of the children's guarantees.
        children: Scalar,
        /// The parent's guarantee.
        guarantee: Scalar,
    },
}

/// A limit that is above the limit of a role further up, and so is never reached: it looks like a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IneffectiveLimit {
    /// The role.
    pub role: Role,
    /// The resource.
    pub name: String,
    /// The limit of the role.
    pub limit: Scalar,
    /// The nearest role above it that has a limit of the resource.
    pub above: Role,
    /// The limit of that role.
    pub limit_above: Scalar,
}

impl fmt::Display for IneffectiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name, limit, above, limit_above } = self;
        write!(f, "the limit of {role}, {limit} {name}, is above that of {above}, which is {limit_above}")
    }
}

/// All quotas, and the accounts of what counts against them.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    set: IndexMap<Role, Quota>,
    /// The amounts reserved to each role itself, used or not.
    reserved: IndexMap<Role, Amounts>,
    accounts: QuotaAccounts,
    /// Whether the accounts have to be opened anew, because quotas have changed.
    is_stale: bool,
}

impl Quotas {
    /// Returns whether no role has quota.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Returns the roles to which scalars are reserved.
    pub(super) fn reserved_to(&self) -> impl Iterator<Item = &Role> {
        self.reserved.keys()
    }

    /// Returns whether quotas have changed since the accounts were opened.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Role, &Quota)> {
        self.set.iter()
    }

    pub(super) fn of(&self, role: &Role) -> Option<&Quota> {
        self.set.get(role)
    }

    /// Returns the accounts, which are those of the present quotas after [`reopen`](Self::reopen).
    #[inline]
    pub(super) fn accounts(&self) -> &QuotaAccounts {
        &self.accounts
    }

    pub(super) fn into_accounts(self) -> QuotaAccounts {
        self.accounts
    }

    /// Replaces the quota of a role. Returns the limits that have become ineffective, or have changed and still are.
    pub(super) fn set(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        let too_large = |(_, amount): &(&str, Scalar)| *amount > Scalar::MAX;
        if let Some((name, amount)) = quota.guarantees.iter().chain(quota.limits.iter()).find(too_large) {
            return Err(QuotaError::TooLarge { name: name.into(), amount });
        }
        for (name, guarantee) in quota.guarantees.iter() {
            if let Some(limit) = quota.limits.limit(name).filter(|limit| *limit < guarantee) {
                return Err(QuotaError::OverLimit { name: name.into(), guarantee, limit });
            }
        }
        let is_empty = quota.is_empty();
        let known = ineffective_limits(&self.set, role);
        let before = self.set.insert(role.clone(), quota);
        let mut parents = std::iter::once(role.clone()).chain(role.ancestors());
        let error = parents.find_map(|parent| check_children(&self.set, &parent).err());
        match (error.is_some(), before) {
            (true, Some(before)) => drop(self.set.insert(role.clone(), before)),
            (false, _) if !is_empty => {}
            (true, None) | (false, _) => drop(self.set.shift_remove(role)),
        }
        self.is_stale |= error.is_none();
        match error {
            Some(error) => Err(error),
            None => {
                let found = ineffective_limits(&self.set, role).into_iter();
                Ok(found.filter(|limit| !known.contains(limit)).collect())
            }
        }
    }

    /// Removes the limits of a role.
    pub(super) fn lift_limits(&mut self, role: &Role) {
        if let Some(quota) = self.set.get_mut(role) {
            quota.limits = Limits::new();
        }
        self.is_stale = true;
    }

    /// Removes all guarantees.
    pub(super) fn lift_guarantees(&mut self) {
        self.set.values_mut().for_each(|quota| quota.guarantees = Quantities::new());
        self.is_stale = true;
    }

    /// Accounts for the change of an agent's total.
    pub(super) fn total_changed(&mut self, names: &mut ResourceNames, old: &Resources, new: &Resources) {
        self.accounts.total.sub(&names.weigh(old).quota_managed);
        self.accounts.total.add(&names.weigh(new).quota_managed);
        for (resources, adds) in [(old, false), (new, true)] {
            for resource in resources {
                let Some((role, amount)) = resource.role().zip(resource.scalar()) else { continue };
                let Some(name) = names.find(resource.name()) else { continue };
                let delta = [(name, amount.as_milli())];
                let account = self.reserved.entry(role.clone()).or_default();
                if adds {
                    account.add(&delta)
                } else {
                    account.sub(&delta)
                }
                if account.is_zero() {
                    self.reserved.swap_remove(role);
                }
                if !self.is_stale {
                    let node = self.accounts.nearest(role);
                    if adds { self.accounts.consume(node, &delta) } else { self.accounts.release(node, &delta) }
                }
            }
        }
    }

    /// Counts resources as held: they are offered or allocated.
    #[inline]
    pub(super) fn add_held(&mut self, weighed: &Weighed) {
        self.accounts.held.add(&weighed.quota_managed);
    }

    /// Counts resources as held no longer.
    #[inline]
    pub(super) fn remove_held(&mut self, weighed: &Weighed) {
        self.accounts.held.sub(&weighed.quota_managed);
    }

    /// Charges what a framework holds under a role whose nearest account is `account`.
    #[inline]
    pub(super) fn charge(&mut self, account: Option<QuotaIx>, weighed: &Weighed) {
        if !self.is_stale && account.is_some() {
            self.accounts.consume(account, &weighed.quota_managed);
        }
    }

    /// Releases what a framework holds no longer.
    #[inline]
    pub(super) fn release(&mut self, account: Option<QuotaIx>, weighed: &Weighed) {
        if !self.is_stale && account.is_some() {
            self.accounts.release(account, &weighed.quota_managed);
        }
    }

    /// Adds a role that has members, and returns its nearest account.
    pub(super) fn add_role(&mut self, role: &Role, client: ClientId) -> Option<QuotaIx> {
        if self.is_stale { None } else { self.accounts.set_client(role, Some(client)) }
    }

    /// Removes a role that has no members any more.
    pub(super) fn remove_role(&mut self, role: &Role) {
        if !self.is_stale {
            self.accounts.set_client(role, None);
        }
    }

    /// Opens the accounts anew if quotas have changed, and returns whether it did: then each role must be
    /// [added](Self::add_role) again. `held` are the quota-managed amounts that frameworks hold under each role itself.
    pub(super) fn reopen<'a>(
        &mut self,
        names: &mut ResourceNames,
        held: impl Iterator<Item = (&'a Role, &'a Amounts)>,
        minimums: &[Quantities],
    ) -> bool {
        let is_stale = std::mem::take(&mut self.is_stale);
        if is_stale {
            let held = held.map(|(role, amounts)| -> (&Role, &Amounts) { (role, amounts) });
            self.accounts.open(names, &self.set, self.reserved.iter().chain(held), minimums);
        }
        is_stale
    }
}

/// Returns the limits of a role and its descendants that are above the limit of the nearest role above which has one, in
/// order of path.
fn ineffective_limits(set: &IndexMap<Role, Quota>, role: &Role) -> Vec<IneffectiveLimit> {
    let mut found = Vec::new();
    for (within, quota) in set.iter().filter(|(other, quota)| !quota.limits.is_empty() && other.is_within(role)) {
        for (name, limit) in quota.limits.iter() {
            let limit_of = |above: Role| Some((set.get(&above)?.limits.limit(name)?, above));
            if let Some((limit_above, above)) = within.ancestors().find_map(limit_of).filter(|above| above.0 < limit) {
                let (role, name) = (within.clone(), name.to_owned());
                found.push(IneffectiveLimit { role, name, limit, above, limit_above });
            }
        }
    }
    found.sort_by(|a, b| (&a.role, &a.name).cmp(&(&b.role, &b.name)));
    found
}

/// Checks that the guarantees of a role's children lie within its own, if it has one.
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
