//! Quota: guarantees and limits, what counts against them, and what has to be kept back for others.

use super::share::amounts;
use super::{Reference, Refused};
use apportion::{Effect, Quantities, Resource, Resources, Role, Scalar, Value, allocator};
use std::collections::{BTreeMap, BTreeSet};

/// What a role is guaranteed, and what it may have at most; a name without a limit may be had without one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Quota {
    pub(crate) guarantees: Quantities,
    pub(crate) limits: BTreeMap<String, Scalar>,
}

/// Amounts in thousandths by name; an absent name is 0.
pub(crate) type Amounts = BTreeMap<String, u128>;

/// Takes amounts away from others, none below 0; names of which nothing is left are gone.
pub(crate) fn less(from: &Amounts, taken: &Amounts) -> Amounts {
    let left =
        from.iter().map(|(name, amount)| (name.clone(), amount.saturating_sub(taken.get(name).copied().unwrap_or(0))));
    left.filter(|(_, amount)| *amount > 0).collect()
}

fn plus(one: &Amounts, other: &Amounts) -> Amounts {
    let mut sum = one.clone();
    for (name, amount) in other {
        *sum.entry(name.clone()).or_default() += amount;
    }
    sum
}

pub(crate) fn of_quantities(quantities: &Quantities) -> Amounts {
    quantities.iter().map(|(name, amount)| (name.to_owned(), u128::from(amount.as_milli()))).collect()
}

pub(crate) fn of_resources(resources: &Resources) -> Amounts {
    of_quantities(&resources.quantities())
}

/// Whether quota is about it: scalars that nobody has reserved and that are not revocable.
pub(crate) fn is_under_quota(resource: &Resource) -> bool {
    resource.scalar().is_some() && resource.role().is_none() && !resource.is_revocable()
}

impl Reference {
    pub(super) fn set_quota(&mut self, role: &Role, quota: &allocator::Quota) -> Result<(), Refused> {
        let limits = quota.limits.iter().map(|(name, limit)| (name.to_owned(), limit)).collect();
        let quota = Quota { guarantees: quota.guarantees.clone(), limits };
        let over = |(name, amount): (&str, Scalar)| quota.limits.get(name).is_some_and(|limit| *limit < amount);
        if quota.guarantees.iter().any(over) {
            return Err("a guarantee over its limit");
        }
        let mut quotas = self.quotas.clone();
        quotas.remove(role);
        if quota != Quota::default() {
            quotas.insert(role.clone(), quota);
        }
        // Below every role that has guarantees, the next ones down must not come to more.
        let guarantees =
            |role: &Role| quotas.get(role).map(|quota| &quota.guarantees).filter(|given| !given.is_empty());
        for (parent, own) in quotas.keys().filter_map(|role| Some((role, guarantees(role)?))) {
            let next =
                |role: &&Role| role.ancestors().find(|above| guarantees(above).is_some()).as_ref() == Some(parent);
            let below = quotas.keys().filter(next).filter_map(guarantees);
            let sum = below.fold(Amounts::new(), |sum, given| plus(&sum, &of_quantities(given)));
            if !less(&sum, &of_quantities(own)).is_empty() {
                return Err("guarantees below come to more");
            }
        }
        let before = std::mem::replace(&mut self.quotas, quotas);
        let known = above_their_parents(&before);
        for _ in above_their_parents(&self.quotas).difference(&known) {
            self.emit(Effect::Warning { command: "set_quota", message: String::new() });
        }
        Ok(())
    }

    pub(super) fn guarantees(&self, role: &Role) -> Amounts {
        self.quotas.get(role).map(|quota| of_quantities(&quota.guarantees)).unwrap_or_default()
    }

    /// What counts against a role: what is reserved in the cluster to it and its descendants, used or not,
    /// and what they hold of the rest.
    pub(crate) fn consumed(&self, role: &Role) -> Amounts {
        let within = |holder: &Role| holder.is_within(role);
        let reserved = self.totals(|resource| resource.role().is_some_and(within));
        let held = self.weighing().filter(|held| within(&held.role));
        let held = held.flat_map(|held| held.resources.iter().map(move |resource| (&held.agent, resource)));
        plus(&reserved, &amounts(held.filter(|(_, resource)| is_under_quota(resource))))
    }

    /// What a role still has to get of its own guarantee.
    pub(crate) fn unsatisfied(&self, role: &Role) -> Amounts {
        less(&self.guarantees(role), &self.consumed(role))
    }

    /// What has to be kept back in the whole cluster: for each role the larger of what it misses itself, and of
    /// what is missed below it, since what a descendant gets counts for the ancestor too.
    pub(crate) fn required(&self) -> Amounts {
        let parent = |role: &Role| role.ancestors().find(|above| self.quotas.contains_key(above));
        let top = self.quotas.keys().filter(|role| parent(role).is_none());
        top.fold(Amounts::new(), |sum, role| plus(&sum, &self.required_for(role)))
    }

    fn required_for(&self, role: &Role) -> Amounts {
        let nearest =
            |below: &&Role| below.ancestors().find(|above| self.quotas.contains_key(above)).as_ref() == Some(role);
        let below = self.quotas.keys().filter(nearest);
        let mut required = below.fold(Amounts::new(), |sum, below| plus(&sum, &self.required_for(below)));
        for (name, amount) in self.unsatisfied(role) {
            let entry = required.entry(name).or_default();
            *entry = amount.max(*entry);
        }
        required
    }

    /// What is free in the whole cluster for whoever comes: what is neither reserved nor revocable, and held by
    /// nobody, be it known or not.
    ///
    /// It is the same as total - held - unused reservations - unused revocable, unless more is held than
    /// there is; then the long way would count what is held of a reservation twice.
    pub(crate) fn headroom(&self) -> Amounts {
        let held = self.holdings().flat_map(|held| held.resources.iter().map(move |resource| (&held.agent, resource)));
        less(&self.totals(is_under_quota), &amounts(held.filter(|(_, resource)| is_under_quota(resource))))
    }

    fn totals(&self, which: impl Fn(&Resource) -> bool) -> Amounts {
        let all = self
            .agents
            .iter()
            .flat_map(|known| known.agent.resources.iter().map(move |resource| (&known.agent.id, resource)));
        amounts(all.filter(|(_, resource)| which(resource)))
    }

    /// Shrinks what a role could be given to its own limits and those of its ancestors, of which `taken` is gone.
    pub(super) fn within_limits(&self, role: &Role, resources: &Resources, taken: &Amounts) -> Resources {
        let mut left = resources.clone();
        for role in role.ancestors().chain([role.clone()]) {
            let Some(quota) = self.quotas.get(&role) else { continue };
            let limits: Amounts =
                quota.limits.iter().map(|(name, limit)| (name.clone(), u128::from(limit.as_milli()))).collect();
            let rest = less(&less(&limits, &self.consumed(&role)), taken);
            left = chop(&left, &rest, |name| !quota.limits.contains_key(name));
        }
        left
    }

    /// Shrinks what goes beyond guarantees to what others' guarantees leave.
    pub(super) fn within_headroom(&self, resources: &Resources) -> Resources {
        let required = self.required();
        if required.is_empty() {
            return resources.clone();
        }
        chop(resources, &less(&self.headroom(), &required), |_| false)
    }
}

/// Shrinks scalars to amounts by name, resource by resource in canonical order; names that are `free` are kept
/// whole, others that have no amount are dropped. What is indivisible is taken whole if it fits, or not at all.
pub(crate) fn chop(resources: &Resources, to: &Amounts, free: impl Fn(&str) -> bool) -> Resources {
    let mut left = to.clone();
    let mut kept = Vec::new();
    for resource in resources {
        let name = resource.name();
        if free(name) {
            kept.push(resource.clone());
            continue;
        }
        let (Some(amount), Some(rest)) = (resource.scalar(), left.get_mut(name)) else { continue };
        let amount = u128::from(amount.as_milli());
        let taken = if resource.is_indivisible() && amount > *rest { 0 } else { amount.min(*rest) };
        *rest -= taken;
        let taken = Scalar::milli(u64::try_from(taken).expect("no more than there was"));
        let kind = resource.kind().cloned().unwrap_or_default();
        kept.push(Resource::new(name, Value::Scalar(taken)).with_kind(kind));
    }
    Resources::try_from_iter(kept).expect("no more than there was")
}

/// The limits that are above that of the next role up which has one, with both.
fn above_their_parents(quotas: &BTreeMap<Role, Quota>) -> BTreeSet<(Role, String, Scalar, Role, Scalar)> {
    let mut found = BTreeSet::new();
    for (role, quota) in quotas {
        for (name, limit) in &quota.limits {
            let limit_of = |above: Role| Some((quotas.get(&above)?.limits.get(name).copied()?, above));
            match role.ancestors().find_map(limit_of) {
                Some((over, parent)) if over < *limit => {
                    found.insert((role.clone(), name.clone(), *limit, parent, over));
                }
                _ => {}
            }
        }
    }
    found
}
