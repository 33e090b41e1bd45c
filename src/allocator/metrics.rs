//! [`AllocatorMetrics`]: counters and gauges of an allocator, for operators.

use super::sorter::Sorter;
use super::{Allocator, Hierarchical, Quota};
use crate::resources::Quantities;
use crate::role::Role;

/// Counters and gauges of a [`Hierarchical`] allocator. Counters start at 0 with the allocator, and with one that is restored.
///
/// The names of Mesos' metrics are given where there is one.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct AllocatorMetrics {
    /// The allocations that were run, of one agent or of all (`allocator/mesos/allocation_runs`).
    pub allocation_runs: u64,
    /// The offers that were made.
    pub offers_made: u64,
    /// The agents that are known.
    pub agents: usize,
    /// The frameworks that are known.
    pub frameworks: usize,
    /// The live refusals (the sum of `allocator/mesos/offer_filters/roles/<role>/active`).
    pub refusals: usize,
    /// True if the next allocation of all agents could make an offer.
    pub has_pending: bool,
    /// By name, what all agents have (`allocator/mesos/resources/<name>/total`).
    pub total: Quantities,
    /// By name, what frameworks hold (`allocator/mesos/resources/<name>/offered_or_allocated`).
    pub offered_or_allocated: Quantities,
    /// The roles, in order of path.
    pub roles: Vec<RoleMetrics>,
}

/// Gauges of a role with its descendants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RoleMetrics {
    /// The role.
    pub role: Role,
    /// The dominant share over the weight, live offers included (`allocator/mesos/roles/<role>/shares/dominant`).
    pub share: f64,
    /// By name, what is held, offered or in use (`allocator/mesos/quota/roles/<role>/resources/<name>/offered_or_allocated`).
    pub held: Quantities,
    /// The guarantees and limits (`allocator/mesos/quota/roles/<role>/resources/<name>/guarantee`, and `limit`).
    pub quota: Quota,
    /// By name, what is lacking of the guarantees: how much of the cluster is kept free for them at most.
    pub below_guarantee: Quantities,
}

impl<R: Sorter + Clone, F: Sorter + Clone> Hierarchical<R, F> {
    /// Returns counters and gauges. O(agents + roles).
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{Allocator, Hierarchical};
    /// use apportion::{Agent, Framework, Role, Time};
    /// use std::sync::Arc;
    ///
    /// let mut allocator = Hierarchical::default();
    /// allocator.add_agent(&Arc::new(Agent::new("a1", "cpus:4;mem:1024".parse()?)), &[])?;
    /// allocator.add_framework(&Arc::new(Framework::new("f1").role(Role::new("web")?)), &[])?;
    /// allocator.allocate(Time::ZERO, None);
    /// let metrics = allocator.metrics();
    /// assert_eq!((metrics.allocation_runs, metrics.offers_made, metrics.agents), (1, 1, 1));
    /// assert_eq!(metrics.offered_or_allocated, metrics.total);
    /// assert_eq!(metrics.roles[0].share, 1.0); // offers count
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> AllocatorMetrics {
        let (ledger, membership) = (self.books.ledger(), self.books.membership());
        let mut metrics = AllocatorMetrics {
            allocation_runs: self.allocation_runs,
            offers_made: self.offers_made,
            frameworks: membership.frameworks_len(),
            refusals: self.refusals.len(),
            has_pending: self.has_pending(),
            ..AllocatorMetrics::default()
        };
        for account in ledger.accounts() {
            metrics.agents += 1;
            metrics.total += &account.total().quantities();
            metrics.offered_or_allocated += &account.offered().quantities();
            metrics.offered_or_allocated += &account.allocated().quantities();
        }
        metrics.roles = self.roles().into_iter().map(RoleMetrics::from).collect();
        metrics
    }
}

impl From<super::RoleAccount> for RoleMetrics {
    fn from(account: super::RoleAccount) -> Self {
        let super::RoleAccount { role, share, held, quota, .. } = account;
        let below_guarantee = held.missing(&quota.guarantees);
        Self { role, share, held, quota, below_guarantee }
    }
}
