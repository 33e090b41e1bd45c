//! A pool in a [`Snapshot`].

use super::agent_choice::AgentChoice;
use super::claim::{Claim, ClaimId, Lease, LeaseId};
use super::{Pool, PoolMetrics};
use crate::allocator::hierarchical::Hierarchical;
use crate::allocator::snapshot::{Snapshot, SnapshotError, check_count};
use crate::allocator::sorter::Sorter;
use crate::id::{AgentId, FrameworkId};
use crate::resources::Resource;
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPool {
    allocator: Snapshot,
    now: Time,
    leases: Vec<Lease>,
    waiting: Vec<(ClaimId, Claim)>,
    last_id: u64,
    metrics: PoolMetrics,
}

const POOL: &str = "pool";

/// What a lease, or a task of the allocator, holds.
type Held = (FrameworkId, Role, AgentId, Vec<Resource>);

impl<R: Sorter + Clone, F: Sorter + Clone> Pool<Hierarchical<R, F>> {
    /// Takes a snapshot: all but the sorters and the choice of agents. What is restored from it decides as this pool does.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{Drf, Hierarchical, Options, Pool};
    /// use apportion::{Agent, Framework, Role};
    ///
    /// let mut pool = Pool::new(Hierarchical::new(Options::new(), Drf::default(), Drf::default()));
    /// pool.add_agent(Agent::new("a1", "cpus:4;mem:512".parse()?))?;
    /// pool.add_framework(Framework::new("f").role(Role::default()))?;
    /// let lease = pool.claim(&"f".into(), &Role::default(), &"cpus:1".parse()?)?;
    ///
    /// let stored = serde_json::to_string(&pool.snapshot())?;
    /// let mut restored = Pool::restore(serde_json::from_str(&stored)?, Drf::default(), Drf::default())?;
    /// assert_eq!(restored.snapshot(), pool.snapshot());
    /// assert_eq!(restored.release(lease.id)?, lease);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let saved = SavedPool {
            allocator: self.allocator.snapshot(),
            now: self.now,
            leases: self.leases.values().cloned().collect(),
            waiting: self.waiting.iter().map(|(id, claim)| (*id, claim.clone())).collect(),
            last_id: self.last_id,
            metrics: self.metrics(),
        };
        Snapshot::of(POOL, saved)
    }

    /// Restores a pool from a snapshot, with sorters as the original had. It takes the first agent that has room, unless it is
    /// told [otherwise](Pool::choosing).
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] for a snapshot of another version or kind, and for one whose parts contradict each other.
    pub fn restore(snapshot: Snapshot, roles: R, frameworks: F) -> Result<Self, SnapshotError> {
        let saved: SavedPool = snapshot.state(POOL)?;
        let allocator = Hierarchical::restore(saved.allocator, roles, frameworks)?;
        check_leases(&allocator, &saved.leases)?;
        let last_id = check_count("ids of leases and claims", saved.last_id)?;
        saved.metrics.check()?;
        let check_id = |kind, found: u64| match found {
            0 => Err(SnapshotError::unknown(kind, "0")),
            _ if found > last_id => Err(SnapshotError::Count { kind, found, most: last_id }),
            _ => Ok(()),
        };
        let mut leases = BTreeMap::new();
        for lease in saved.leases {
            check_id("lease", lease.id.0)?;
            if let Some(twice) = leases.insert(lease.id, lease) {
                return Err(SnapshotError::repeated("lease", Text::from_display(twice.id)));
            }
        }
        let mut waiting = BTreeMap::new();
        for (id, claim) in saved.waiting {
            check_id("claim", id.0)?;
            if leases.contains_key(&LeaseId(id.0)) || waiting.insert(id, claim).is_some() {
                return Err(SnapshotError::repeated("claim", Text::from_display(id)));
            }
        }
        let ends = leases.values().filter_map(|lease| Some((lease.until?, lease.id))).collect();
        let ledger = allocator.books.ledger();
        let agents = ledger.in_order_of_adding().into_iter().map(|agent| Arc::clone(ledger[agent].agent()));
        let agents = agents.map(|agent| (agent.id.clone(), agent)).collect();
        let frameworks = allocator.books.membership().all_frameworks().into_iter();
        let frameworks = frameworks.map(|framework| (framework.id.clone(), Arc::new(framework.clone()))).collect();
        let (choice, now, metrics) = (AgentChoice::first(), saved.now, saved.metrics);
        Ok(Self { allocator, agents, frameworks, choice, now, leases, ends, waiting, last_id, metrics })
    }
}

/// Checks that leases are all that is held: each is a task of the allocator, and there are no others and no offers.
fn check_leases<R: Sorter + Clone, F: Sorter + Clone>(
    allocator: &Hierarchical<R, F>,
    leases: &[Lease],
) -> Result<(), SnapshotError> {
    let [offers, tasks] = allocator.books.all_holdings();
    if let Some(offer) = offers.first() {
        return Err(SnapshotError::unknown("the lease of an offer of agent", offer.agent.as_str()));
    }
    let tasks =
        tasks.into_iter().map(|task| (task.framework, task.role, task.agent, task.resources.into_iter().collect()));
    let mut tasks: Vec<Held> = tasks.collect();
    let held = |lease: &Lease| {
        let resources = lease.resources.iter().cloned().collect();
        (lease.framework.clone(), lease.role.clone(), lease.agent.clone(), resources)
    };
    let mut held: Vec<(Held, LeaseId)> = leases.iter().map(|lease| (held(lease), lease.id)).collect();
    tasks.sort_unstable();
    held.sort_unstable();
    let mut tasks = tasks.into_iter().peekable();
    for (held, lease) in held {
        if tasks.next_if(|task| *task == held).is_none() {
            return Err(SnapshotError::unknown("what is held by lease", Text::from_display(lease)));
        }
    }
    match tasks.next() {
        Some((_, _, agent, _)) => Err(SnapshotError::unknown("the lease of a task on agent", agent.as_str())),
        None => Ok(()),
    }
}

impl PoolMetrics {
    /// Checks that the counters can be added to.
    fn check(&self) -> Result<(), SnapshotError> {
        let Self { granted, denied, outranked, released, expired, lost, allocations, .. } = *self;
        let counters = [granted, denied, outranked, released, expired, lost, allocations];
        counters.into_iter().try_for_each(|counter| check_count("calls", counter).map(drop))
    }
}
