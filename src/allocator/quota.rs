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

use super::names::{Amounts, Delta, NameIx, Names};
use crate::resources::{Limits, Quantities, Resource, Resources, Scalar, Value};
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

/// The unreserved, non-revocable scalars: those that quota divides.
pub(super) fn is_firm(resource: &Resource) -> bool {
    resource.scalar().is_some() && resource.role().is_none() && !resource.is_revocable()
}

/// All quotas, and the accounts that they are measured by.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    set: IndexMap<Role, Quota>,
    firm_total: Amounts,
    firm_held: Amounts,
    /// What is reserved to each role itself, used or not.
    reserved: IndexMap<Role, Amounts>,
    /// What frameworks hold of firm resources under each role itself.
    held: IndexMap<Role, Amounts>,
}

impl Quotas {
    /// Whether no role has quota.
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
        let mut set = self.set.clone();
        if quota.is_empty() {
            set.shift_remove(role);
        } else {
            set.insert(role.clone(), quota);
        }
        for parent in std::iter::once(role.clone()).chain(role.ancestors()) {
            check_children(&set, &parent)?;
        }
        self.set = set;
        Ok(())
    }

    /// Takes the limits of a role away.
    pub(super) fn lift_limits(&mut self, role: &Role) {
        if let Some(quota) = self.set.get_mut(role) {
            quota.limits = Limits::new();
        }
    }

    /// Takes all guarantees away.
    pub(super) fn lift_guarantees(&mut self) {
        self.set.values_mut().for_each(|quota| quota.guarantees = Quantities::new());
    }

    /// An agent's total has changed.
    pub(super) fn total_changed(&mut self, names: &mut Names, old: &Resources, new: &Resources) {
        self.firm_total.sub(&firm(names, old));
        self.firm_total.add(&firm(names, new));
        for (resources, adds) in [(old, false), (new, true)] {
            for resource in resources {
                let Some((role, amount)) = resource.role().zip(resource.scalar()) else { continue };
                let delta = [(names.intern(resource.name()), amount.as_milli())];
                let account = self.reserved.entry(role.clone()).or_default();
                if adds { account.add(&delta) } else { account.sub(&delta) }
            }
        }
        self.reserved.retain(|_, amounts| !amounts.is_empty());
    }

    /// Somebody holds more, and somebody less, than before.
    pub(super) fn held_changed(&mut self, names: &mut Names, less: &Resources, more: &[&Resources]) {
        self.firm_held.sub(&firm(names, less));
        more.iter().for_each(|more| self.firm_held.add(&firm(names, more)));
    }

    /// A framework holds more under a role.
    pub(super) fn charge(&mut self, names: &mut Names, role: &Role, resources: &Resources) {
        let delta = firm(names, resources);
        if let Some(account) = self.held.get_mut(role) {
            account.add(&delta);
        } else if !delta.is_empty() {
            self.held.entry(role.clone()).or_default().add(&delta);
        }
    }

    /// A framework holds less under a role.
    pub(super) fn release(&mut self, names: &mut Names, role: &Role, resources: &Resources) {
        if let Some(account) = self.held.get_mut(role) {
            account.sub(&firm(names, resources));
            if account.is_empty() {
                self.held.swap_remove(role);
            }
        }
    }

    fn consumed(&self, role: &Role) -> Amounts {
        let mut sum = Amounts::default();
        for (holder, amounts) in self.reserved.iter().chain(&self.held) {
            if holder.is_within(role) {
                amounts.iter().for_each(|amount| sum.add(&[amount]));
            }
        }
        sum
    }
}

fn firm(names: &mut Names, resources: &Resources) -> Delta {
    let firm = resources.iter().filter(|resource| is_firm(resource));
    firm.filter_map(|resource| Some((names.intern(resource.name()), resource.scalar()?.as_milli()))).collect()
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

/// The quotas as they stand while one allocation goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Round {
    nodes: Vec<Node>,
    by_role: IndexMap<Role, usize, foldhash::fast::RandomState>,
    /// Firm resources that nobody holds.
    headroom: Amounts,
    /// What of these is kept free for guarantees.
    required: Amounts,
}

/// Why a role is given nothing firm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Barrier {
    /// It, or a role above it, has consumed what it may.
    Limit { role: Role, name: NameIx, limit: u64, consumed: u64 },
    /// What is free is kept for these.
    Headroom { name: NameIx, free: u64, required: u64, roles: Vec<Role> },
}

/// A role with quota.
#[derive(Debug, Clone)]
struct Node {
    parent: Option<usize>,
    guarantee: Amounts,
    limits: Vec<(NameIx, u64)>,
    consumed: Amounts,
    /// What is kept free for it and those below: what it lacks itself, or they together, whichever is more.
    need: Amounts,
    /// What is kept free for those right below.
    below: Amounts,
}

impl Round {
    pub(super) fn new(quotas: &Quotas, names: &mut Names) -> Self {
        let mut round = Self { headroom: minus(&quotas.firm_total, &quotas.firm_held), ..Self::default() };
        let mut roles: Vec<_> = quotas.iter().collect();
        roles.sort_unstable_by_key(|(role, _)| role.components().count());
        for (role, quota) in roles {
            let mut guarantee = Amounts::default();
            guarantee.add(
                &quota
                    .guarantees
                    .iter()
                    .map(|(name, amount)| (names.intern(name), amount.as_milli()))
                    .collect::<Delta>(),
            );
            let limits = quota.limits.iter().map(|(name, limit)| (names.intern(name), limit.as_milli())).collect();
            let parent = round.on_path(role).next();
            let (consumed, need, below) = (quotas.consumed(role), Amounts::default(), Amounts::default());
            round.by_role.insert(role.clone(), round.nodes.len());
            round.nodes.push(Node { parent, guarantee, limits, consumed, need, below });
        }
        for node in (0..round.nodes.len()).rev() {
            round.update_need(node);
        }
        round
    }

    /// The roles with quota from `role` up, the nearest first.
    fn on_path<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = usize> + 'a {
        let nearest = role.path_up().find_map(|path| self.by_role.get(path).copied());
        std::iter::successors(nearest, |node| self.nodes[*node].parent)
    }

    /// Brings what is kept free for a role, and for all above it, in line with what it lacks.
    fn update_need(&mut self, node: usize) {
        let mut next = Some(node);
        while let Some(ix) = next {
            let node = &self.nodes[ix];
            let need = larger(&minus(&node.guarantee, &node.consumed), &node.below);
            let old = std::mem::replace(&mut self.nodes[ix].need, need.clone());
            next = self.nodes[ix].parent;
            let above = next.map_or(&mut self.required, |parent| &mut self.nodes[parent].below);
            above.sub(&old.iter().collect::<Delta>());
            above.add(&need.iter().collect::<Delta>());
        }
    }

    /// What a role lacks of its own guarantee; empty if it has none.
    pub(super) fn unsatisfied(&self, role: &Role) -> Amounts {
        let node = self.by_role.get(role).map(|node| &self.nodes[*node]);
        node.map_or_else(Amounts::default, |node| minus(&node.guarantee, &node.consumed))
    }

    pub(super) fn has_guarantees(&self) -> bool {
        self.nodes.iter().any(|node| !node.guarantee.is_empty())
    }

    /// What a role may still consume of a name; none if nothing up the path limits it.
    fn limit_left(&self, role: &Role, name: NameIx) -> Option<u64> {
        let limits = self.on_path(role).flat_map(|ix| {
            let node = &self.nodes[ix];
            let mine = node.limits.iter().filter(move |(limited, _)| *limited == name);
            mine.map(move |(_, limit)| limit.saturating_sub(node.consumed.of(name)))
        });
        limits.min()
    }

    /// The most of a name that a role may be given beyond its guarantee; none = as much as there is.
    fn bound(&self, role: &Role, name: NameIx, given: u64) -> Option<u64> {
        let limit = self.limit_left(role, name).map(|left| left.saturating_sub(given));
        // What is given for the guarantee comes off both headroom and requirement.
        let required = !self.required.is_empty();
        let free = required.then(|| self.headroom.of(name).saturating_sub(self.required.of(name)));
        limit.into_iter().chain(free).min()
    }

    /// What a role may be given of firm resources: as far as it lacks its guarantee, and beyond it as
    /// far as limits and the guarantees of others allow. The first part by itself comes first.
    pub(super) fn cut(
        &self,
        names: &Names,
        role: &Role,
        firm: &Resources,
        unsatisfied: &Amounts,
    ) -> (Resources, Resources) {
        let name = |resource: &Resource| names.find(resource.name());
        // A limit further up holds for guarantees too: the role's own is never below what it lacks.
        let lacking = |resource: &Resource| {
            let (lacks, left) = name(resource).map_or((0, None), |ix| (unsatisfied.of(ix), self.limit_left(role, ix)));
            Some(left.map_or(lacks, |left| lacks.min(left)))
        };
        let guaranteed = chop(firm, lacking);
        let rest = firm.saturating_sub(&guaranteed);
        let given = guaranteed.quantities();
        let extra = chop(&rest, |resource| self.bound(role, name(resource)?, given.amount(resource.name()).as_milli()));
        (guaranteed, extra)
    }

    /// What keeps a role from being given all of these: the first name that a limit, or else the
    /// guarantees of others, allow less of.
    pub(super) fn barrier(&self, names: &Names, role: &Role, firm: &Resources) -> Option<Barrier> {
        let asked: Vec<(NameIx, u64)> = {
            let amounts = firm.quantities();
            amounts.iter().filter_map(|(name, amount)| Some((names.find(name)?, amount.as_milli()))).collect()
        };
        let limited = |(name, amount): (NameIx, u64)| {
            let too_low = |ix: usize| {
                let consumed = self.nodes[ix].consumed.of(name);
                let limit = self.nodes[ix].limits.iter().find(|(limited, _)| *limited == name)?.1;
                let left = limit.saturating_sub(consumed);
                (left < amount).then(|| Barrier::Limit { role: self.role(ix), name, limit, consumed })
            };
            self.on_path(role).find_map(too_low)
        };
        let kept = |(name, amount): (NameIx, u64)| {
            let (free, required) = (self.headroom.of(name), self.required.of(name));
            let needy = (0..self.nodes.len()).filter(|ix| self.nodes[*ix].need.of(name) > 0);
            let roles = || needy.map(|ix| self.role(ix)).collect();
            // As in `bound`: what is free is looked at only while anything at all is kept free.
            let held_back = !self.required.is_empty() && free.saturating_sub(required) < amount;
            held_back.then(|| Barrier::Headroom { name, free, required, roles: roles() })
        };
        asked.iter().copied().find_map(limited).or_else(|| asked.iter().copied().find_map(kept))
    }

    fn role(&self, node: usize) -> Role {
        self.by_role.get_index(node).map_or_else(Role::default, |(role, _)| role.clone())
    }

    /// A role was given firm resources.
    pub(super) fn give(&mut self, names: &mut Names, role: &Role, given: &Resources) {
        let delta = firm(names, given);
        self.headroom.sub(&delta);
        let path: Vec<usize> = self.on_path(role).collect();
        for &node in &path {
            self.nodes[node].consumed.add(&delta);
        }
        for node in path {
            self.update_need(node);
        }
    }
}

/// Cuts scalars so that each name stays within its target; none = whole. What can only be had whole
/// is taken if it fits. Resources of a name use up its target in canonical order.
fn chop(resources: &Resources, target: impl Fn(&Resource) -> Option<u64>) -> Resources {
    let mut cut = Vec::new();
    let (mut name, mut used) = (None, 0_u64);
    for resource in resources {
        if name != Some(resource.name()) {
            (name, used) = (Some(resource.name()), 0);
        }
        let amount = resource.scalar().unwrap_or_default().as_milli();
        let left = target(resource).map_or(amount, |target| target.saturating_sub(used));
        let taken = if resource.is_indivisible() && left < amount { 0 } else { amount.min(left) };
        used += taken;
        cut.push(resource.clone().with_value(Value::Scalar(Scalar::milli(taken))));
    }
    Resources::try_from_iter(cut).expect("no more than what it was cut from")
}

fn minus(from: &Amounts, less: &Amounts) -> Amounts {
    let mut rest = from.clone();
    rest.sub(&less.iter().collect::<Delta>());
    rest
}

fn larger(a: &Amounts, b: &Amounts) -> Amounts {
    let mut max = a.clone();
    for (ix, amount) in b.iter() {
        max.add(&[(ix, amount.saturating_sub(a.of(ix)))]);
    }
    max
}
