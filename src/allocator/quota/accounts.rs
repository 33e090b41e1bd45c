//! [`QuotaAccounts`]: the consumption of roles with quota, up the path, and the headroom that is required for them.
//!
//! They are maintained incrementally, so that an allocation only reads them: a change costs O(depth of the role).

use super::Quota;
use crate::allocator::amounts::{Amounts, Delta};
use crate::allocator::index::{BitSet, DenseIndex, IndexVec, NameIx, QuotaIx};
use crate::allocator::offer_cap::{amount, take};
use crate::allocator::resource_names::ResourceNames;
use crate::allocator::tree::ClientId;
use crate::resources::{Limits, Quantities, Resource, Resources, Scalar, Value};
use crate::role::Role;
use indexmap::IndexMap;
use smallvec::SmallVec;

/// The accounts of all roles with quota, and of the cluster.
#[derive(Debug, Clone, Default)]
pub(in crate::allocator) struct QuotaAccounts {
    accounts: IndexVec<QuotaIx, Account>,
    /// The positions are those of `accounts`.
    by_role: IndexMap<Role, QuotaIx, foldhash::fast::RandomState>,
    /// The quota-managed resources of the cluster.
    pub(super) total: Amounts,
    /// Those of them that are offered or allocated.
    pub(super) held: Amounts,
    /// The headroom that is required for guarantees.
    required_headroom: Amounts,
    /// The general minimum: an offer must contain one of these.
    minimums: Vec<Vec<(NameIx, u64)>>,
    /// The roles that have members and consume less than their own guarantee.
    below_guarantee: BitSet<ClientId>,
    /// The roles that have members and whose own limits leave too little for any offer.
    at_limit: BitSet<ClientId>,
    /// The names that quotas and minimums use, once for each use.
    retained: Vec<NameIx>,
}

/// The reason why a role is offered fewer quota-managed resources than are available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::allocator) enum Barrier {
    /// The role, or one above it, has consumed what its limit allows.
    Limit { role: Role, name: NameIx, limit: u64, consumed: u64, indivisible: Option<Box<Resource>> },
    /// The headroom is required for the guarantees of these roles.
    Headroom { name: NameIx, free: u64, required: u64, roles: Vec<Role>, indivisible: Option<Box<Resource>> },
}

/// The account of a role with quota.
#[derive(Debug, Clone)]
struct Account {
    /// The nearest role above that has quota.
    parent: Option<QuotaIx>,
    guarantee: Amounts,
    limits: Vec<(NameIx, u64)>,
    consumed: Amounts,
    /// The headroom required for the role and its descendants: the larger of what it lacks of its own guarantee and
    /// `children_headroom`.
    required_headroom: Amounts,
    /// The sum of the headroom required for its children.
    children_headroom: Amounts,
    /// The role in the tree of roles, if it has members.
    client: Option<ClientId>,
    /// Whether it consumes less than its own guarantee.
    is_below_guarantee: bool,
    /// Whether its own limits leave too little for any offer of nothing but quota-managed resources.
    is_at_limit: bool,
}

impl QuotaAccounts {
    /// Opens an account for each role with quota; `consumed` are amounts that count for a role and all its ancestors.
    pub(super) fn open<'a>(
        &mut self,
        names: &mut ResourceNames,
        quotas: &IndexMap<Role, Quota>,
        consumed: impl Iterator<Item = (&'a Role, &'a Amounts)>,
        minimums: &[Quantities],
    ) {
        let (total, held) = (std::mem::take(&mut self.total), std::mem::take(&mut self.held));
        let before = std::mem::take(&mut self.retained);
        let minimums = minimums.iter().map(|minimum| retain(names, minimum.iter())).collect();
        *self = Self { total, held, minimums, ..Self::default() };
        let mut roles: Vec<_> = quotas.iter().collect();
        roles.sort_by_cached_key(|(role, _)| role.components().count());
        for (role, quota) in roles {
            let mut guarantee = Amounts::default();
            guarantee.add(&retain(names, quota.guarantees.iter()));
            let account = Account {
                parent: self.nearest(role),
                guarantee,
                limits: retain(names, quota.limits.iter()),
                consumed: Amounts::default(),
                required_headroom: Amounts::default(),
                children_headroom: Amounts::default(),
                client: None,
                is_below_guarantee: false,
                is_at_limit: false,
            };
            self.by_role.insert(role.clone(), self.accounts.push(account));
        }
        for (role, amounts) in consumed {
            let delta: Delta = amounts.iter().collect();
            let path: Vec<QuotaIx> = self.path_up(self.nearest(role)).collect();
            path.into_iter().for_each(|ix| self.accounts[ix].consumed.add(&delta));
        }
        let in_minimums = self.minimums.iter().flatten().map(|(name, _)| *name);
        let of_accounts = self.accounts.values().flat_map(|account| {
            account.guarantee.iter().map(|(name, _)| name).chain(account.limits.iter().map(|(name, _)| *name))
        });
        self.retained = in_minimums.chain(of_accounts).collect();
        before.into_iter().for_each(|name| names.release(name));
        // Children come after their parents.
        for ix in self.accounts.indices().rev() {
            self.update_flags(ix);
            self.update_headroom(ix);
        }
    }

    /// Returns the nearest role with quota, from `role` up.
    pub(in crate::allocator) fn nearest(&self, role: &Role) -> Option<QuotaIx> {
        if self.by_role.is_empty() {
            return None;
        }
        role.paths_to_top().find_map(|path| self.by_role.get(path).copied())
    }

    /// Sets a role's client in the tree of roles, or removes it; returns the nearest account of the role.
    pub(super) fn set_client(&mut self, role: &Role, client: Option<ClientId>) -> Option<QuotaIx> {
        let nearest = self.nearest(role)?;
        if self.by_role.get(role) == Some(&nearest) {
            self.update_sets(nearest, false);
            self.accounts[nearest].client = client;
            self.update_sets(nearest, true);
        }
        Some(nearest)
    }

    /// The accounts of a role and its ancestors.
    fn path_up(&self, from: Option<QuotaIx>) -> impl Iterator<Item = QuotaIx> {
        std::iter::successors(from, |ix| self.accounts[*ix].parent)
    }

    /// Adds to the consumption of a role and its ancestors.
    #[inline]
    pub(super) fn consume(&mut self, ix: Option<QuotaIx>, delta: &[(NameIx, u64)]) {
        self.change(ix, |consumed| consumed.add(delta));
    }

    /// Subtracts from the consumption of a role and its ancestors.
    #[inline]
    pub(super) fn release(&mut self, ix: Option<QuotaIx>, delta: &[(NameIx, u64)]) {
        self.change(ix, |consumed| consumed.sub(delta));
    }

    fn change(&mut self, from: Option<QuotaIx>, change: impl Fn(&mut Amounts)) {
        let mut next = from;
        while let Some(ix) = next {
            change(&mut self.accounts[ix].consumed);
            self.update_flags(ix);
            self.update_headroom(ix);
            next = self.accounts[ix].parent;
        }
    }

    /// Recomputes whether a role is below its guarantee and at its limit.
    fn update_flags(&mut self, ix: QuotaIx) {
        let account = &self.accounts[ix];
        let is_below_guarantee = !account.guarantee.is_within(&account.consumed);
        let too_little = |(name, amount): &(NameIx, u64)| {
            let mut limits = account.limits.iter().filter(|(limited, _)| limited == name);
            limits.any(|(_, limit)| limit.saturating_sub(account.consumed.of(*name)) < *amount)
        };
        let is_at_limit =
            !self.minimums.is_empty() && self.minimums.iter().all(|minimum| minimum.iter().any(too_little));
        if (is_below_guarantee, is_at_limit) != (account.is_below_guarantee, account.is_at_limit) {
            self.update_sets(ix, false);
            let account = &mut self.accounts[ix];
            (account.is_below_guarantee, account.is_at_limit) = (is_below_guarantee, is_at_limit);
            self.update_sets(ix, true);
        }
    }

    /// Adds a role that has members to the sets that it belongs to, or removes it from them.
    fn update_sets(&mut self, ix: QuotaIx, is_member: bool) {
        let Account { client: Some(client), is_below_guarantee, is_at_limit, .. } = self.accounts[ix] else { return };
        self.below_guarantee.set(client, is_member && is_below_guarantee);
        self.at_limit.set(client, is_member && is_at_limit);
    }

    /// Recomputes the headroom that is required for a role, and with it the sum above it.
    fn update_headroom(&mut self, ix: QuotaIx) {
        let account = &self.accounts[ix];
        let required = account.guarantee.saturating_sub(&account.consumed).max(&account.children_headroom);
        if required == account.required_headroom {
            return;
        }
        let parent = account.parent;
        let before = std::mem::replace(&mut self.accounts[ix].required_headroom, required.clone());
        let sum = match parent {
            Some(parent) => &mut self.accounts[parent].children_headroom,
            None => &mut self.required_headroom,
        };
        *sum = sum.saturating_sub(&before).saturating_add(&required);
    }

    /// Returns the account of a role, if it has quota.
    pub(in crate::allocator) fn find(&self, role: &Role) -> Option<QuotaIx> {
        self.by_role.get(role).copied()
    }

    /// Returns what counts against a role.
    pub(in crate::allocator) fn consumed(&self, ix: QuotaIx) -> &Amounts {
        &self.accounts[ix].consumed
    }

    /// Returns the quota-managed amounts that are neither offered nor allocated.
    pub(in crate::allocator) fn free(&self) -> Amounts {
        self.total.saturating_sub(&self.held)
    }

    /// Returns the amounts that have to be kept free for guarantees.
    pub(in crate::allocator) fn required_headroom(&self) -> &Amounts {
        &self.required_headroom
    }

    /// Returns what a role lacks of its own guarantee.
    pub(in crate::allocator) fn unsatisfied(&self, ix: QuotaIx) -> Amounts {
        self.accounts[ix].guarantee.saturating_sub(&self.accounts[ix].consumed)
    }

    /// Returns the roles with members that consume less than their own guarantee.
    pub(in crate::allocator) fn below_guarantee(&self) -> &BitSet<ClientId> {
        &self.below_guarantee
    }

    /// Returns the roles with members whose own limits leave too little for any offer of nothing but quota-managed resources.
    pub(in crate::allocator) fn at_limit(&self) -> &BitSet<ClientId> {
        &self.at_limit
    }

    /// Returns whether any headroom is required for guarantees.
    pub(in crate::allocator) fn holds_headroom(&self) -> bool {
        !self.required_headroom.is_zero()
    }

    /// Returns the amount of quota-managed resources that are neither offered nor allocated.
    fn headroom(&self, name: NameIx) -> u64 {
        self.total.of(name).saturating_sub(self.held.of(name))
    }

    /// Returns what a role may still consume of a resource, or none if no limit up the path names it.
    fn limit_left(&self, ix: Option<QuotaIx>, name: NameIx) -> Option<u64> {
        let limits = self.path_up(ix).flat_map(|ix| {
            let account = &self.accounts[ix];
            let limits = account.limits.iter().filter(move |(limited, _)| *limited == name);
            limits.map(move |(_, limit)| limit.saturating_sub(account.consumed.of(name)))
        });
        limits.min()
    }

    /// Returns the part of quota-managed resources that a role may be offered, and whether any of it counts towards its
    /// guarantee: what it lacks of that, and beyond it as much as limits and required headroom allow. Both together are cut to
    /// the most that an offer carries, the latter first.
    pub(in crate::allocator) fn cut(
        &self,
        names: &ResourceNames,
        ix: Option<QuotaIx>,
        quota_managed: &Resources,
        unsatisfied: &Amounts,
        cap: Option<&Limits>,
    ) -> (Resources, bool) {
        let mut allowed = Vec::with_capacity(quota_managed.iter().len());
        let (mut is_whole, mut is_guaranteed) = (true, false);
        for alike in quota_managed.iter().as_slice().chunk_by(|a, b| a.name() == b.name()) {
            let Some(name) = names.find(alike[0].name()) else {
                allowed.extend_from_slice(alike);
                continue;
            };
            let mut most = cap.and_then(|cap| cap.limit(alike[0].name())).map_or(u64::MAX, Scalar::as_milli);
            let limit = self.limit_left(ix, name);
            // A limit further up holds for guarantees too: the role's own is never below what it lacks.
            let mut lacking = unsatisfied.of(name).min(limit.unwrap_or(u64::MAX));
            let guaranteed: SmallVec<[u64; 4]> =
                alike.iter().map(|resource| take(resource, amount(resource), &mut lacking)).collect();
            let sum = guaranteed.iter().fold(0_u64, |sum, amount| sum.saturating_add(*amount));
            is_guaranteed |= sum > 0;
            let mut extra = self.extra(name, limit, sum);
            let carried: SmallVec<[u64; 4]> =
                alike.iter().zip(&guaranteed).map(|(resource, amount)| take(resource, *amount, &mut most)).collect();
            for (resource, (guaranteed, carried)) in alike.iter().zip(guaranteed.into_iter().zip(carried)) {
                let all = amount(resource);
                let beyond = take(resource, all - guaranteed, &mut extra);
                let taken = carried + take(resource, beyond, &mut most);
                is_whole &= taken == all;
                allowed.push(resource.clone().with_value(Value::Scalar(Scalar::milli(taken))));
            }
        }
        (if is_whole { quota_managed.clone() } else { Resources::from_sorted(allowed) }, is_guaranteed)
    }

    /// Returns the most of a resource that a role may be offered beyond what counts towards its guarantee.
    fn extra(&self, name: NameIx, limit: Option<u64>, guaranteed: u64) -> u64 {
        let limit = limit.map_or(u64::MAX, |left| left.saturating_sub(guaranteed));
        // What counts towards the guarantee is subtracted from both headroom and requirement.
        if self.holds_headroom() {
            limit.min(self.headroom(name).saturating_sub(self.required_headroom.of(name)))
        } else {
            limit
        }
    }

    /// Returns why a role is not offered all of these quota-managed resources: the first resource that a limit, or else the
    /// required headroom, restricts.
    pub(in crate::allocator) fn barrier(
        &self,
        names: &ResourceNames,
        ix: Option<QuotaIx>,
        quota_managed: &Resources,
    ) -> Option<Barrier> {
        let asked: Vec<(NameIx, u64)> = {
            let amounts = quota_managed.quantities();
            amounts.iter().filter_map(|(name, amount)| Some((names.find(name)?, amount.as_milli()))).collect()
        };
        // The first resource that is too large for what is left of a name, and cannot be offered in part.
        let indivisible = |name: NameIx, left: u64| {
            let mut alike = quota_managed.iter().filter(|resource| resource.name() == names.name(name));
            let too_large = alike.find(|resource| resource.is_indivisible() && amount(resource) > left);
            too_large.map(|resource| Box::new(resource.clone()))
        };
        let limited = |(name, amount): (NameIx, u64)| {
            let too_low = |ix: QuotaIx| {
                let consumed = self.accounts[ix].consumed.of(name);
                let limit = self.accounts[ix].limits.iter().find(|(limited, _)| *limited == name)?.1;
                let left = limit.saturating_sub(consumed);
                let indivisible = || indivisible(name, left);
                let role = || self.role(ix);
                (left < amount).then(|| Barrier::Limit {
                    role: role(),
                    name,
                    limit,
                    consumed,
                    indivisible: indivisible(),
                })
            };
            self.path_up(ix).find_map(too_low)
        };
        let kept_free = |(name, amount): (NameIx, u64)| {
            let (free, required) = (self.headroom(name), self.required_headroom.of(name));
            // Not those that require it only for roles below them.
            let lacks = |account: &Account| account.guarantee.of(name) > account.consumed.of(name);
            let needy = self.accounts.iter().filter(|(_, account)| lacks(account));
            let roles = || needy.map(|(ix, _)| self.role(ix)).collect();
            // As in `extra`: headroom only matters while any is required.
            let left = free.saturating_sub(required);
            let is_kept = self.holds_headroom() && left < amount;
            is_kept.then(|| Barrier::Headroom {
                name,
                free,
                required,
                roles: roles(),
                indivisible: indivisible(name, left),
            })
        };
        asked.iter().copied().find_map(limited).or_else(|| asked.iter().copied().find_map(kept_free))
    }

    fn role(&self, ix: QuotaIx) -> Role {
        self.by_role.get_index(ix.position()).map_or_else(Role::default, |(role, _)| role.clone())
    }
}

/// Converts quantities or limits to amounts by dense index, and counts a use of each name.
fn retain<'a>(names: &mut ResourceNames, amounts: impl Iterator<Item = (&'a str, Scalar)>) -> Vec<(NameIx, u64)> {
    amounts.map(|(name, amount)| (names.retain(name), amount.as_milli())).collect()
}
