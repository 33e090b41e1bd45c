//! [`AllocatorMetrics`]: counters and gauges of an allocator, for operators.

use super::amounts::Amounts;
use super::sorter::Sorter;
use super::{Allocator, Hierarchical, Quota};
use crate::resources::Quantities;
use crate::role::Role;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Counters and gauges of a [`Hierarchical`] allocator. Counters start at 0 with the allocator, and with one that is restored.
///
/// Each tells the name of its metric: that of Mesos, or one that begins with `apportion/` where Mesos has none. A change is
/// made when it is told, so `allocator/mesos/event_queue_dispatches` has no counterpart; how long an allocation takes
/// (`allocator/mesos/allocation_run_ms`) the caller's clock tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct AllocatorMetrics {
    /// The allocations that were run, of one agent or of all.
    ///
    /// Metric: `allocator/mesos/allocation_runs`.
    pub allocation_runs: u64,
    /// The offers that were made.
    ///
    /// Metric: `apportion/allocator/offers_made`.
    pub offers_made: u64,
    /// The agents that are known.
    ///
    /// Metric: `apportion/allocator/agents`.
    pub agents: usize,
    /// The agents that the next allocation of all agents visits; newcomers among the frameworks are offered others, too.
    ///
    /// Metric: `apportion/allocator/agents_to_visit`.
    pub agents_to_visit: usize,
    /// The frameworks that are known.
    ///
    /// Metric: `apportion/allocator/frameworks`.
    pub frameworks: usize,
    /// The live refusals, over all roles.
    ///
    /// Metric: `apportion/allocator/offer_filters`.
    pub refusals: usize,
    /// True if the next allocation of all agents could make an offer.
    ///
    /// Metric: `apportion/allocator/has_pending`, 0 or 1.
    pub has_pending: bool,
    /// By name, what all agents have.
    ///
    /// Metric: `allocator/mesos/resources/<name>/total`.
    pub total: Quantities,
    /// By name, what frameworks hold, live offers included. A shared resource of an agent counts once for each role at the top of
    /// the tree that holds it (mostly one, since it is reserved), and once for each task of a framework that is not known.
    ///
    /// Metric: `allocator/mesos/resources/<name>/offered_or_allocated`.
    pub offered_or_allocated: Quantities,
    /// By name, the headroom of the cluster: what is neither reserved nor revocable, and held by nobody.
    ///
    /// Metric: `apportion/allocator/headroom/<name>/free`.
    pub headroom: Quantities,
    /// By name, how much of the headroom is kept for guarantees that are not satisfied. Where it exceeds the headroom, the
    /// cluster cannot satisfy them: worth an alarm.
    ///
    /// Metric: `apportion/allocator/headroom/<name>/required`.
    pub required_headroom: Quantities,
    /// The roles with a framework, a reserved scalar, a weight or a quota, and their ancestors, in order of path.
    pub roles: Vec<RoleMetrics>,
}

/// Gauges of a role with its descendants.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RoleMetrics {
    /// The role.
    pub role: Role,
    /// The dominant share over the weight, live offers included.
    ///
    /// Metric: `allocator/mesos/roles/<role>/shares/dominant`.
    pub share: f64,
    /// The live refusals under the role itself.
    ///
    /// Metric: `allocator/mesos/offer_filters/roles/<role>/active`.
    pub refusals: usize,
    /// By name, what is held, offered or in use.
    ///
    /// Metric: `allocator/mesos/quota/roles/<role>/resources/<name>/offered_or_allocated`, of a role with quota.
    pub held: Quantities,
    /// The guarantees and limits.
    ///
    /// Metrics: `allocator/mesos/quota/roles/<role>/resources/<name>/guarantee`, and `limit`.
    pub quota: Quota,
    /// By name, what counts against the guarantees and limits: what is reserved to the role, used or not, and what it holds
    /// of what is neither reserved nor revocable. Empty if it has no quota.
    ///
    /// Metric: `apportion/allocator/quota/roles/<role>/resources/<name>/consumed`.
    pub consumed: Quantities,
    /// By name, what is lacking of the guarantees.
    ///
    /// Metric: `apportion/allocator/quota/roles/<role>/resources/<name>/lacking`.
    pub below_guarantee: Quantities,
}

impl AllocatorMetrics {
    /// Returns all counters and gauges with the names of their metrics, as `/metrics/snapshot` of Mesos has them.
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
    pub fn named(&self) -> impl Iterator<Item = (Cow<'static, str>, f64)> + '_ {
        let counters = [
            ("allocator/mesos/allocation_runs", self.allocation_runs as f64),
            ("apportion/allocator/offers_made", self.offers_made as f64),
            ("apportion/allocator/agents", self.agents as f64),
            ("apportion/allocator/agents_to_visit", self.agents_to_visit as f64),
            ("apportion/allocator/frameworks", self.frameworks as f64),
            ("apportion/allocator/offer_filters", self.refusals as f64),
            ("apportion/allocator/has_pending", f64::from(u8::from(self.has_pending))),
        ];
        let amounts = named_amounts("allocator/mesos/resources", "total", &self.total)
            .chain(named_amounts("allocator/mesos/resources", "offered_or_allocated", &self.offered_or_allocated))
            .chain(named_amounts("apportion/allocator/headroom", "free", &self.headroom))
            .chain(named_amounts("apportion/allocator/headroom", "required", &self.required_headroom));
        let counters = counters.into_iter().map(|(name, value)| (Cow::Borrowed(name), value));
        counters.chain(amounts).chain(self.roles.iter().flat_map(RoleMetrics::named))
    }
}

impl RoleMetrics {
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
    fn named(&self) -> impl Iterator<Item = (Cow<'static, str>, f64)> + '_ {
        let role = &self.role;
        let gauges = [
            (format!("allocator/mesos/roles/{role}/shares/dominant"), self.share),
            (format!("allocator/mesos/offer_filters/roles/{role}/active"), self.refusals as f64),
        ];
        let has_quota = !self.quota.is_empty();
        let mesos = format!("allocator/mesos/quota/roles/{role}/resources");
        let ours = format!("apportion/allocator/quota/roles/{role}/resources");
        let limits = self.quota.limits.iter().map({
            let mesos = mesos.clone();
            move |(name, limit)| (Cow::Owned(format!("{mesos}/{name}/limit")), limit.as_f64())
        });
        let amounts = [
            (mesos.clone(), "guarantee", &self.quota.guarantees),
            (mesos, "offered_or_allocated", &self.held),
            (ours.clone(), "consumed", &self.consumed),
            (ours, "lacking", &self.below_guarantee),
        ];
        let amounts = amounts.into_iter().filter(move |_| has_quota);
        let amounts = amounts.flat_map(|(within, what, amounts)| named_amounts(within, what, amounts));
        gauges.into_iter().map(|(name, value)| (Cow::Owned(name), value)).chain(limits).chain(amounts)
    }
}

/// Returns amounts by name as metrics `<within>/<name>/<what>`.
fn named_amounts<'a>(
    within: impl std::fmt::Display + 'a,
    what: &'static str,
    amounts: &'a Quantities,
) -> impl Iterator<Item = (Cow<'static, str>, f64)> + 'a {
    amounts.iter().map(move |(name, amount)| (Cow::Owned(format!("{within}/{name}/{what}")), amount.as_f64()))
}

impl<R: Sorter + Clone, F: Sorter + Clone> Hierarchical<R, F> {
    /// Returns counters and gauges. O(roles + their members): no agent, offer or refusal is looked at. If a quota has changed
    /// since the last allocation of all agents, the accounts of quota are made up once more, O(quotas + roles).
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{Allocator, Hierarchical, Quota};
    /// use apportion::{Agent, Framework, Role, Time};
    /// use std::sync::Arc;
    ///
    /// let mut allocator = Hierarchical::default();
    /// allocator.add_agent(&Arc::new(Agent::new("a1", "cpus:4;mem:1024".parse()?)), &[])?;
    /// allocator.add_framework(&Arc::new(Framework::new("f1").role(Role::new("web")?)), &[])?;
    /// allocator.set_quota(&Role::new("db")?, Quota::new("cpus:1".parse()?, "cpus:2".parse()?))?;
    /// allocator.allocate(Time::ZERO, None);
    /// let metrics = allocator.metrics();
    /// assert_eq!((metrics.allocation_runs, metrics.offers_made, metrics.agents), (1, 1, 1));
    /// assert_eq!(metrics.offered_or_allocated, "cpus:3;mem:1024".parse()?);
    /// assert_eq!((metrics.headroom, metrics.required_headroom), ("cpus:1".parse()?, "cpus:1".parse()?));
    /// let [db, web] = &metrics.roles[..] else { panic!("two roles") };
    /// assert_eq!(web.share, 1.0); // all memory: offers count
    /// assert_eq!(db.below_guarantee, "cpus:1".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> AllocatorMetrics {
        let (ledger, membership) = (self.books.ledger(), self.books.membership());
        let (accounts, names) = self.books.quota_accounts(&self.rules.options.min_allocatable);
        let mut refusals: BTreeMap<&Role, usize> = BTreeMap::new();
        for (role, member) in membership.roles_and_members() {
            *refusals.entry(role).or_default() += self.refusals.len_of(member);
        }
        let roles = self.roles_known_without_agents().into_iter().map(|role| {
            let account = self.role_account(role);
            let quota = accounts.find(&account.role);
            let amounts = |amounts: &Amounts| names.quantities(amounts);
            RoleMetrics {
                refusals: refusals.get(&account.role).copied().unwrap_or(0),
                consumed: quota.map_or_else(Quantities::new, |quota| amounts(accounts.consumed(quota))),
                below_guarantee: quota.map_or_else(Quantities::new, |quota| amounts(&accounts.unsatisfied(quota))),
                role: account.role,
                share: account.share,
                held: account.held,
                quota: account.quota,
            }
        });
        AllocatorMetrics {
            allocation_runs: self.allocation_runs,
            offers_made: self.offers_made,
            agents: ledger.len(),
            agents_to_visit: ledger.dirty_len(),
            frameworks: membership.frameworks_len(),
            refusals: self.refusals.len(),
            has_pending: self.has_pending(),
            total: self.books.total(),
            offered_or_allocated: self.books.held(),
            headroom: names.quantities(&accounts.free()),
            required_headroom: names.quantities(accounts.required_headroom()),
            roles: roles.collect(),
        }
    }

    /// Returns the roles with a framework, a reserved scalar, a weight or a quota, and their ancestors, in order of path.
    fn roles_known_without_agents(&self) -> BTreeSet<Role> {
        let (membership, quotas) = (self.books.membership(), self.books.quotas());
        let with_quota = quotas.iter().map(|(role, _)| role);
        let named = membership.role_paths().chain(membership.weights().keys()).chain(with_quota);
        named.chain(quotas.reserved_to()).flat_map(|role| role.ancestors().chain([role.clone()])).collect()
    }
}
