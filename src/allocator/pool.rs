//! [`Pool`]: an allocator for platforms that only share out: no offers, no tasks, no master.

mod agent_choice;
mod claim;
mod claimable;
mod order;
mod quote;
mod room;
mod saved;

pub use agent_choice::{AgentChoice, Spot};
pub use claim::{Claim, ClaimId, DenialReason, Denied, DeniedAll, Lease, LeaseId, PoolError};
pub use claimable::Claimable;

use super::hierarchical::Hierarchical;
use super::quota::{IneffectiveLimit, Quota, QuotaError};
use super::share::Weight;
use super::{AgentAccount, AllocatorError, Change, EndedOffers, Holding, RoleAccount};
use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::resources::{Quantities, Resources};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexMap;
use room::{Queues, Quote, Room};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Agents whose resources are granted to frameworks on request: the accounts and rules of an allocator without offers.
///
/// The allocator is [`Hierarchical`], or another one that is [`Claimable`].
///
/// A [claim](Claim) asks for resources of one agent. It is granted at once as a [`Lease`] if some agent passes all checks that
/// an offer of it would have to pass (active, on the whitelist, capabilities, region, reservations, minimum, limits, headroom of
/// others' guarantees) and no waiting claim comes first; of several agents, [`AgentChoice`] chooses. Otherwise the answer says why.
/// A claim can [wait](Pool::wait): [`Pool::allocate`] serves waiting claims in the order of the sorters, smallest share first.
///
/// A pool reads no clock: its time is the last one passed to [`Pool::allocate`], which also ends leases that have an end.
/// [The allocator alone](crate::guide::allocator) is a chapter about it.
///
/// # Examples
///
/// ```
/// use apportion::allocator::{Claim, Hierarchical, Options, Pool, Quota};
/// use apportion::{Agent, Framework, Scalar, Time};
///
/// let mut pool = Pool::new(Hierarchical::with_options(Options::new().min_allocatable([])));
/// pool.add_agent(Agent::new("dgx-1", "gpus:8".parse()?))?;
/// for tenant in ["prod", "lab"] {
///     let framework = Framework::new(tenant).role(tenant.parse()?);
///     pool.add_framework(framework.capability(apportion::Capability::GpuResources))?;
/// }
/// pool.set_quota(&"lab".parse()?, Quota::default().limit("gpus", Scalar::from(4)))?;
///
/// let lease = pool.claim(&"lab".into(), &"lab".parse()?, &"gpus:3".parse()?)?;
/// assert_eq!(lease.agent, "dgx-1");
/// let denied = pool.claim(&"lab".into(), &"lab".parse()?, &"gpus:2".parse()?).unwrap_err();
/// assert_eq!(denied.to_string(), "no agent has room: the limit of lab is 4 gpus, of which it has consumed 3 (1 agent)");
///
/// let waiting = pool.wait(Claim::new("prod", "prod".parse()?, "gpus:8".parse()?))?;
/// assert_eq!(pool.allocate(Time::from_secs(1)).granted, []);
/// pool.release(lease.id)?;
/// assert_eq!(pool.allocate(Time::from_secs(2)).granted[0].0, waiting);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pool<A = Hierarchical> {
    allocator: A,
    /// In the order of adding.
    agents: IndexMap<AgentId, Arc<Agent>>,
    frameworks: BTreeMap<FrameworkId, Arc<Framework>>,
    choice: AgentChoice,
    now: Time,
    leases: BTreeMap<LeaseId, Lease>,
    /// The leases that have an end, by it.
    ends: BTreeSet<(Time, LeaseId)>,
    waiting: BTreeMap<ClaimId, Claim>,
    last_id: u64,
    metrics: PoolMetrics,
}

/// The outcome of [`Pool::allocate`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Grants {
    /// The leases that have ended, in order of their ends.
    pub ended: Vec<Lease>,
    /// The waiting claims whose lease would have ended before it began: they wait no longer.
    pub lapsed: Vec<(ClaimId, Claim)>,
    /// The waiting claims that were granted, in the order of deciding.
    pub granted: Vec<(ClaimId, Lease)>,
}

/// Counters and sums of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolTotals {
    /// The scalars of all agents.
    pub total: Quantities,
    /// Those of leases.
    pub leased: Quantities,
    /// Those that are available on active agents.
    pub available: Quantities,
}

/// Counters and gauges of a pool, for monitoring. Counters only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// Counts leases granted.
    pub granted: u64,
    /// Counts claims denied because no agent had room.
    pub denied: u64,
    /// Counts claims denied because a waiting one comes first.
    pub outranked: u64,
    /// Counts leases released by their holders.
    pub released: u64,
    /// Counts leases that reached their end.
    pub expired: u64,
    /// Counts leases that ended with their agent or framework.
    pub lost: u64,
    /// Counts calls of [`Pool::allocate`].
    pub allocations: u64,
    /// The number of leases.
    pub leases: usize,
    /// The number of waiting claims.
    pub waiting: usize,
}

/// A claim that has its resources, as an offer that is not accepted yet.
#[derive(Debug)]
struct Placed {
    holding: Holding,
    /// The end of its lease.
    until: Option<Time>,
}

impl<A: Claimable> Pool<A> {
    /// Makes a pool of an allocator without agents and frameworks; it chooses the first agent that has room.
    #[must_use]
    pub fn new(allocator: A) -> Self {
        Self {
            allocator,
            agents: IndexMap::new(),
            frameworks: BTreeMap::new(),
            choice: AgentChoice::first(),
            now: Time::ZERO,
            leases: BTreeMap::new(),
            ends: BTreeSet::new(),
            waiting: BTreeMap::new(),
            last_id: 0,
            metrics: PoolMetrics::default(),
        }
    }

    /// Sets how an agent is chosen.
    #[must_use]
    pub fn choosing(mut self, choice: AgentChoice) -> Self {
        self.choice = choice;
        self
    }

    // Agents.

    /// Adds an agent.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the agent is known, or the cluster would have more than can be counted.
    pub fn add_agent(&mut self, agent: Agent) -> Result<(), AllocatorError> {
        let agent = Arc::new(agent);
        self.allocator.apply(Change::AddAgent { agent: &agent, held: &[] })?;
        self.agents.insert(agent.id.clone(), agent);
        Ok(())
    }

    /// Replaces the metadata and the total of an agent. Leases stay as they are; where they hold more than the new total, nothing
    /// is available.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the agent is unknown, or the cluster would have more than can be counted.
    pub fn update_agent(&mut self, agent: Agent) -> Result<(), AllocatorError> {
        let agent = Arc::new(agent);
        self.allocator.apply(Change::UpdateAgent(&agent))?;
        self.agents.insert(agent.id.clone(), agent);
        Ok(())
    }

    /// Removes an agent, and returns the leases that end with it.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the agent is unknown.
    pub fn remove_agent(&mut self, agent: &AgentId) -> Result<Vec<Lease>, AllocatorError> {
        self.find_agent(agent)?;
        let ended = self.lose(|lease| lease.agent == *agent);
        self.allocator.apply(Change::RemoveAgent(agent))?;
        self.agents.shift_remove(agent);
        Ok(ended)
    }

    /// Activates or deactivates an agent: of an inactive one nothing is granted, and its leases stay.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the agent is unknown.
    pub fn set_agent_active(&mut self, agent: &AgentId, active: bool) -> Result<(), AllocatorError> {
        self.allocator.apply(Change::SetAgentActive { agent, active })
    }

    /// Sets the hosts of which anything is granted; none = all.
    pub fn set_whitelist(&mut self, hostnames: Option<Vec<Text>>) {
        let _no_use_for_it = self.allocator.apply(Change::SetWhitelist(hostnames.as_deref()));
    }

    // Frameworks and roles.

    /// Adds a framework, which may claim for each of its roles.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the framework is known.
    pub fn add_framework(&mut self, framework: Framework) -> Result<(), AllocatorError> {
        let framework = Arc::new(framework);
        self.allocator.apply(Change::AddFramework { framework: &framework, held: &[] })?;
        self.register(framework)
    }

    /// Replaces the metadata and the roles of a framework. Its leases stay; its claims that wait under a role that it has no
    /// more are returned, and wait no longer.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the framework is unknown.
    pub fn update_framework(&mut self, framework: Framework) -> Result<Vec<(ClaimId, Claim)>, AllocatorError> {
        let framework = Arc::new(framework);
        self.allocator.apply(Change::UpdateFramework(&framework))?;
        self.register(Arc::clone(&framework))?;
        Ok(self.forget(|claim| claim.framework == framework.id && !framework.roles.contains(&claim.role)))
    }

    /// Removes a framework with its waiting claims, and returns the leases that end with it.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the framework is unknown.
    pub fn remove_framework(&mut self, framework: &FrameworkId) -> Result<Vec<Lease>, AllocatorError> {
        self.find_framework(framework)?;
        let ended = self.lose(|lease| lease.framework == *framework);
        self.forget(|claim| claim.framework == *framework);
        self.allocator.apply(Change::RemoveFramework(framework))?;
        self.frameworks.remove(framework);
        Ok(ended)
    }

    /// Activates or deactivates a framework: an inactive one is granted nothing, and its leases and waiting claims stay.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the framework is unknown.
    pub fn set_framework_active(&mut self, framework: &FrameworkId, active: bool) -> Result<(), AllocatorError> {
        self.allocator.apply(Change::SetFrameworkActive { framework, active })
    }

    /// Sets the weight of a role.
    pub fn set_weight(&mut self, role: &Role, weight: Weight) {
        let _no_use_for_it = self.allocator.apply(Change::SetWeight { role, weight });
    }

    /// Sets the guarantees and limits of a role; an empty quota removes them. Leases above a new limit stay. Returns the limits
    /// that have no effect; see [`Allocator::set_quota`](super::Allocator::set_quota).
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if the quota contradicts itself or that of another role.
    pub fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        self.allocator.set_quota(role, quota)
    }

    // Claims and leases.

    /// Grants resources of one agent now, or says why not. `ask` is read as [`Resources::take`] reads it.
    ///
    /// It is denied as [outranked](Denied::Outranked) only if each agent that has room could be used by a waiting claim that
    /// comes first. A framework's own waiting claims under the role do not count.
    ///
    /// O(agents · (1 + waiting claims that come first)).
    ///
    /// # Errors
    ///
    /// [`Denied`], with the reasons; nothing has changed.
    pub fn claim(&mut self, framework: &FrameworkId, role: &Role, ask: &Resources) -> Result<Lease, Denied> {
        self.grant(&Claim::new(framework.clone(), role.clone(), ask.clone()))
    }

    /// Grants a claim now, as [`Pool::claim`] does, with the end of its lease.
    ///
    /// # Errors
    ///
    /// [`Denied`], with the reasons; nothing has changed.
    pub fn grant(&mut self, claim: &Claim) -> Result<Lease, Denied> {
        let placed = self.place(claim).inspect_err(|denied| self.metrics.count(denied))?;
        Ok(self.settle(placed))
    }

    /// Grants all of these claims now, or none; each in turn, as if those before it were granted.
    ///
    /// # Errors
    ///
    /// [`DeniedAll`] with the first claim that is denied, and why.
    pub fn claim_all(&mut self, claims: &[Claim]) -> Result<Vec<Lease>, DeniedAll> {
        let mut placed: Vec<Placed> = Vec::with_capacity(claims.len());
        for (index, claim) in claims.iter().enumerate() {
            match self.place(claim) {
                Ok(one) => placed.push(one),
                Err(denied) => {
                    self.metrics.count(&denied);
                    for one in placed.iter().rev() {
                        self.allocator.take_back(&one.holding);
                    }
                    return Err(DeniedAll { index, of: claims.len(), denied });
                }
            }
        }
        Ok(placed.into_iter().map(|one| self.settle(one)).collect())
    }

    /// Puts a claim among those that wait. [`Pool::allocate`] serves it when its turn comes, even if it could be granted now.
    ///
    /// # Errors
    ///
    /// [`Denied`] for a claim that no agent could ever serve: of an unknown framework or role, for nothing, or with an end that
    /// has passed.
    pub fn wait(&mut self, claim: Claim) -> Result<ClaimId, Denied> {
        self.check(&claim)?;
        let id = ClaimId(self.next_id());
        self.waiting.insert(id, claim);
        Ok(id)
    }

    /// Removes a waiting claim, and returns it.
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownClaim`] if it does not wait.
    pub fn cancel(&mut self, claim: ClaimId) -> Result<Claim, PoolError> {
        self.waiting.remove(&claim).ok_or(PoolError::UnknownClaim(claim))
    }

    /// Moves the pool's time to `at`, if that is later: ends the leases whose end has come, and then serves waiting claims,
    /// smallest share first, until none of them fits anywhere.
    ///
    /// Each grant changes shares, so the order is made anew after it; claims of one framework under one role are served as they
    /// came. A claim that fits nowhere is passed over: nothing is kept free for it. What must be kept free is a guarantee of its
    /// role.
    pub fn allocate(&mut self, at: Time) -> Grants {
        self.now = self.now.max(at);
        self.metrics.allocations += 1;
        let mut allocation = Grants { ended: self.end_due(), ..Grants::default() };
        let now = self.now;
        allocation.lapsed = self.forget(|claim| claim.until.is_some_and(|until| until <= now));
        // Without quota no grant makes room for another claim.
        let has_quota = self.allocator.roles().iter().any(|role| role.quota != Quota::default());
        let mut passed_over = BTreeSet::new();
        while let Some((id, placed)) = self.place_next(&mut passed_over) {
            self.waiting.remove(&id);
            allocation.granted.push((id, self.settle(placed)));
            if has_quota {
                passed_over.clear();
            }
        }
        allocation
    }

    /// Ends a lease: its resources are available again.
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownLease`] if there is no such lease, or it has ended.
    pub fn release(&mut self, lease: LeaseId) -> Result<Lease, PoolError> {
        let lease = self.end(lease).ok_or(PoolError::UnknownLease(lease))?;
        self.metrics.released += 1;
        Ok(lease)
    }

    /// Takes up a lease that was granted by an earlier pool, as it was: for a platform that stores its leases and starts again.
    /// Fairness and quota are not asked.
    ///
    /// # Errors
    ///
    /// [`PoolError`] if its number is in use, its agent, framework or role is unknown, or its resources are not available.
    pub fn resume(&mut self, lease: Lease) -> Result<(), PoolError> {
        if self.leases.contains_key(&lease.id) {
            return Err(PoolError::LeaseExists(lease.id));
        }
        self.find_role(&lease.framework, &lease.role)?;
        self.find_agent(&lease.agent)?;
        let account = self.allocator.agent(&lease.agent);
        let available = account.map_or_else(Resources::new, |account| account.available.for_role(&lease.role));
        if let Some(shortfall) = available.shortfall(&lease.resources) {
            let (lease, agent) = (lease.id, lease.agent);
            return Err(PoolError::NotAvailable { lease, agent, shortfall: Box::new(shortfall) });
        }
        let Lease { framework, role, agent, resources, .. } = lease.clone();
        let holding = Holding { framework, role, agent, resources };
        self.allocator.offer(self.now, &holding)?;
        self.last_id = self.last_id.max(lease.id.0);
        self.settle_as(lease.id, Placed { holding, until: lease.until });
        Ok(())
    }

    /// Runs `ask` on a copy, and returns its answer: what would happen if. O(cluster) for the copy.
    ///
    /// # Examples
    ///
    /// ```
    /// # use apportion::allocator::{Hierarchical, Pool};
    /// # use apportion::{Agent, Framework, Role};
    /// let mut pool = Pool::new(Hierarchical::default());
    /// pool.add_agent(Agent::new("a1", "cpus:4;mem:512".parse()?))?;
    /// pool.add_framework(Framework::new("f").role(Role::default()))?;
    /// let ask = "cpus:1".parse()?;
    /// let room = pool.what_if(|pool| (0..).take_while(|_| pool.claim(&"f".into(), &Role::default(), &ask).is_ok()).count());
    /// assert_eq!((room, pool.leases().count()), (4, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn what_if<T>(&self, ask: impl FnOnce(&mut Self) -> T) -> T
    where
        A: Clone,
    {
        ask(&mut self.clone())
    }

    // What there is.

    /// Returns a lease.
    #[must_use]
    pub fn lease(&self, lease: LeaseId) -> Option<&Lease> {
        self.leases.get(&lease)
    }

    /// Iterates over the leases, in the order of granting.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// Iterates over the waiting claims, as they came.
    pub fn waiting(&self) -> impl Iterator<Item = (ClaimId, &Claim)> {
        self.waiting.iter().map(|(id, claim)| (*id, claim))
    }

    /// Returns the end of the first lease to end: a time to call [`Pool::allocate`] at.
    #[must_use]
    pub fn next_end(&self) -> Option<Time> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Iterates over the agents in the order of adding, with their accounts. Leases are what is allocated.
    pub fn agents(&self) -> impl Iterator<Item = (&Agent, AgentAccount<'_>)> {
        self.agents.values().filter_map(|agent| Some((&**agent, self.allocator.agent(&agent.id)?)))
    }

    /// Returns the accounts of all roles; see [`Allocator::roles`](super::Allocator::roles).
    #[must_use]
    pub fn roles(&self) -> Vec<RoleAccount> {
        self.allocator.roles()
    }

    /// Returns what there is and what is held, over all agents. O(agents).
    #[must_use]
    pub fn totals(&self) -> PoolTotals {
        let mut totals = PoolTotals::default();
        for (_, account) in self.agents() {
            totals.total += &account.total.quantities();
            totals.leased += &account.allocated.quantities();
            if account.active {
                totals.available += &account.available.quantities();
            }
        }
        totals
    }

    /// Returns the counters and gauges.
    #[must_use]
    pub fn metrics(&self) -> PoolMetrics {
        PoolMetrics { leases: self.leases.len(), waiting: self.waiting.len(), ..self.metrics }
    }

    /// Returns the accounts behind the pool.
    #[must_use]
    pub fn allocator(&self) -> &A {
        &self.allocator
    }
}

impl<A: Claimable> Pool<A> {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn find_agent(&self, id: &AgentId) -> Result<&Arc<Agent>, AllocatorError> {
        self.agents.get(id).ok_or_else(|| AllocatorError::UnknownAgent(id.clone()))
    }

    fn find_framework(&self, id: &FrameworkId) -> Result<&Arc<Framework>, AllocatorError> {
        self.frameworks.get(id).ok_or_else(|| AllocatorError::UnknownFramework(id.clone()))
    }

    /// Checks that a framework is there and has a role.
    fn find_role(&self, framework: &FrameworkId, role: &Role) -> Result<(), AllocatorError> {
        if self.find_framework(framework)?.roles.contains(role) {
            return Ok(());
        }
        Err(AllocatorError::RoleNotSubscribed { framework: framework.clone(), role: role.clone() })
    }

    /// Takes note of a framework that has come or changed. A claim says what it wants: suppression means nothing here.
    fn register(&mut self, framework: Arc<Framework>) -> Result<(), AllocatorError> {
        let change = Change::Revive { framework: &framework.id, roles: &[] };
        let revived = self.allocator.apply(change);
        self.frameworks.insert(framework.id.clone(), framework);
        revived
    }

    /// Checks all of a claim that is not about agents.
    fn check(&self, claim: &Claim) -> Result<(), Denied> {
        self.find_role(&claim.framework, &claim.role)?;
        match claim.until {
            _ if claim.ask.is_empty() => Err(Denied::Nothing),
            Some(until) if until <= self.now => Err(Denied::Over { until, now: self.now }),
            _ => Ok(()),
        }
    }

    /// Finds room for a claim that has not waited, and takes it.
    fn place(&mut self, claim: &Claim) -> Result<Placed, Denied> {
        self.check(claim)?;
        self.allocator.prepare(self.now);
        let queues = Queues::new(self.waiting.iter());
        let ahead = queues.ahead_of(claim, &mut self.allocator, self.now);
        let room = Room { allocator: &self.allocator, agents: &self.agents, choice: &self.choice };
        let first_ahead =
            |quote: &Quote| ahead.iter().find(|(_, other)| room.allocator.quote(other, &quote.agent).is_ok());
        let mut with_room = room.of(claim, |quote| first_ahead(quote).is_none()).map_err(Denied::NoRoom)?;
        let first = first_ahead(&with_room[0]);
        let Some(best) = with_room.iter().position(|quote| first_ahead(quote).is_none()) else {
            let (id, other) = first.expect("no agent is free of those that come first");
            let (framework, role) = (other.framework.clone(), other.role.clone());
            return Err(Denied::Outranked { claim: *id, framework, role });
        };
        Ok(hold(&mut self.allocator, claim, with_room.swap_remove(best), self.now)?)
    }

    /// Finds room for the first waiting claim in order that fits anywhere, and takes it.
    fn place_next(&mut self, passed_over: &mut BTreeSet<ClaimId>) -> Option<(ClaimId, Placed)> {
        let queues = Queues::new(self.waiting.iter().filter(|(id, _)| !passed_over.contains(id)));
        if queues.is_empty() {
            return None;
        }
        self.allocator.prepare(self.now);
        for (id, claim) in queues.in_order(&mut self.allocator, self.now) {
            let room = Room { allocator: &self.allocator, agents: &self.agents, choice: &self.choice };
            if let Ok(mut with_room) = room.of(claim, |_| true)
                && let Ok(placed) = hold(&mut self.allocator, claim, with_room.swap_remove(0), self.now)
            {
                return Some((id, placed));
            }
            passed_over.insert(id);
        }
        None
    }

    /// Turns what was placed into a new lease.
    fn settle(&mut self, placed: Placed) -> Lease {
        self.metrics.granted += 1;
        let id = LeaseId(self.next_id());
        self.settle_as(id, placed)
    }

    fn settle_as(&mut self, id: LeaseId, placed: Placed) -> Lease {
        let Placed { holding: Holding { framework, role, agent, resources }, until } = placed;
        let (offers, tasks): (&[&Resources], &[&Resources]) = (&[&resources], &[&resources]);
        let ended = EndedOffers { framework: &framework, role: &role, agent: &agent, offers, conversions: &[], tasks };
        self.allocator.apply(Change::EndOffers(ended)).expect("the offer was made just now");
        let lease = Lease { id, framework, role, agent, resources, until };
        self.ends.extend(until.map(|until| (until, id)));
        self.leases.insert(id, lease.clone());
        lease
    }

    /// Ends a lease, if there is such a one.
    fn end(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.leases.remove(&id)?;
        if let Some(until) = lease.until {
            self.ends.remove(&(until, id));
        }
        let Lease { framework, role, agent, resources, .. } = lease.clone();
        let task = Holding { framework, role, agent, resources };
        self.allocator.apply(Change::EndTask(&task)).expect("a lease is held");
        Some(lease)
    }

    /// Ends the leases whose end has come.
    fn end_due(&mut self) -> Vec<Lease> {
        let mut ended = Vec::new();
        while let Some((_, id)) = self.ends.first().copied().filter(|(until, _)| *until <= self.now) {
            ended.extend(self.end(id));
        }
        self.metrics.expired += ended.len() as u64;
        ended
    }

    /// Ends the leases that are lost.
    fn lose(&mut self, is_lost: impl Fn(&Lease) -> bool) -> Vec<Lease> {
        let lost: Vec<LeaseId> = self.leases.values().filter(|lease| is_lost(lease)).map(|lease| lease.id).collect();
        self.metrics.lost += lost.len() as u64;
        lost.into_iter().filter_map(|id| self.end(id)).collect()
    }

    /// Removes the waiting claims that are over.
    fn forget(&mut self, is_over: impl Fn(&Claim) -> bool) -> Vec<(ClaimId, Claim)> {
        let over: Vec<ClaimId> = self.waiting.iter().filter(|(_, claim)| is_over(claim)).map(|(id, _)| *id).collect();
        over.into_iter().filter_map(|id| Some((id, self.waiting.remove(&id)?))).collect()
    }
}

/// Takes the resources of a quote for a claim.
fn hold<A: Claimable>(allocator: &mut A, claim: &Claim, quote: Quote, at: Time) -> Result<Placed, AllocatorError> {
    let Claim { framework, role, until, .. } = claim.clone();
    let holding = Holding { framework, role, agent: quote.agent, resources: quote.taken };
    allocator.offer(at, &holding)?;
    Ok(Placed { holding, until })
}

impl PoolMetrics {
    fn count(&mut self, denied: &Denied) {
        match denied {
            Denied::NoRoom(_) => self.denied += 1,
            Denied::Outranked { .. } => self.outranked += 1,
            Denied::Unknown(_) | Denied::Nothing | Denied::Over { .. } => {}
        }
    }
}
