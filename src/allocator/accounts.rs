//! [`Accounts`]: what an allocator of one's own builds on, so that all it has to decide is the order.

use super::eligibility::{Availability, Eligibility, OfferedShared, Stage};
use super::hierarchical::Hierarchical;
use super::index::{AgentIx, MemberIx};
use super::pool::{Claim, Claimable, DenialReason};
use super::quota::{IneffectiveLimit, Quota, QuotaError};
use super::rules::Options;
use super::snapshot::{Contents, SnapshotError};
use super::sorter::Unordered;
use super::{AgentAccount, Allocator, AllocatorError, Change, Holding, Persist, RoleAccount};
use crate::id::AgentId;
use crate::json::Json;
use crate::resources::Resources;
use crate::role::Role;
use crate::time::Time;

/// The accounts of a cluster, for an [`Allocator`] of one's own: who is there, who holds what, who has refused what, and what
/// may be offered to whom. They decide nothing.
///
/// Every [`Change`] goes to [`apply`](Self::apply), which refuses what the contract of an allocator says must be refused. To
/// allocate, visit the agents that [have changed](Self::take_changed), choose among the [`candidates`](Self::candidates) of each,
/// and [`offer`](Self::offer) what was chosen.
///
/// A candidate passes all rules of [`Hierarchical`] but its order: activity, suppression, refusals, reservations, capabilities,
/// regions, the whitelist, minimums, limits, and the headroom of others' guarantees. No role is served first because it is below
/// its guarantee: that would be an order.
///
/// # Examples
///
/// ```
/// use apportion::allocator::{Accounts, Change};
/// use apportion::{Agent, Framework, Role, Time};
/// use std::sync::Arc;
///
/// let mut accounts = Accounts::default();
/// let agent = Arc::new(Agent::new("a1", "cpus:4;mem:512".parse()?));
/// accounts.apply(Change::AddAgent { agent: &agent, held: &[] })?;
/// for id in ["late", "early"] {
///     let framework = Arc::new(Framework::new(id).role(Role::default()));
///     accounts.apply(Change::AddFramework { framework: &framework, held: &[] })?;
/// }
///
/// // In the order of coming; another order is a `min_by_key` away.
/// let names: Vec<_> = accounts.candidates(&agent.id).map(|one| one.framework.to_string()).collect();
/// assert_eq!(names, ["late", "early"]);
/// let chosen = accounts.candidates(&agent.id).min_by_key(|one| one.framework.clone()).ok_or("none")?;
/// accounts.offer(Time::ZERO, &chosen)?;
/// assert_eq!(chosen.framework, "early");
/// assert_eq!(accounts.candidates(&agent.id).count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The books, rules and refusals of an allocator that is never asked to allocate.
    kept: Hierarchical<Unordered, Unordered>,
    /// The shared resources offered since agents were taken: each agent's are offered once an allocation.
    offered_shared: OfferedShared,
}

impl Accounts {
    /// Starts with an empty cluster.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { kept: Hierarchical::new(options, Unordered, Unordered), offered_shared: OfferedShared::default() }
    }

    /// Takes note of a change.
    ///
    /// # Errors
    ///
    /// See [`Allocator::apply`]; nothing has changed then.
    pub fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError> {
        let removed = if let Change::RemoveAgent(agent) = change { self.kept.find_agent(agent).ok() } else { None };
        self.kept.apply(change)?;
        if let Some(agent) = removed {
            self.offered_shared.swap_remove(&agent); // its index may become another's
        }
        self.kept.update_quotas();
        Ok(())
    }

    /// Returns the agents that an allocation at this moment has to visit, in order, and notes that they were visited: the one
    /// given, or all of which anything may be offered that could not be when they were last visited.
    ///
    /// See [`Allocator::allocate_into`].
    pub fn take_changed(&mut self, at: Time, only: Option<&AgentId>) -> Vec<AgentId> {
        self.offered_shared.clear();
        let mut agents = match only {
            Some(id) => self.kept.take_one(id).into_iter().collect(),
            None => self.kept.take_changed().0,
        };
        let ledger = self.kept.books.ledger();
        self.kept.rules.arrange(&mut agents, at, ledger);
        agents.into_iter().map(|agent| ledger.id(agent).clone()).collect()
    }

    /// Returns whether an allocation for all agents could make any offer.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.kept.has_pending()
    }

    /// Iterates over what each framework under each of its roles may be offered of an agent now, if anything: all of it. In the
    /// order in which the frameworks came, or came to the role.
    ///
    /// O(frameworks · log frameworks), and the checks of an offer for each.
    pub fn candidates(&self, agent: &AgentId) -> impl Iterator<Item = Holding> {
        let agent = self.kept.find_agent(agent).ok();
        let members = if agent.is_some() { self.kept.books.membership().in_order_of_coming() } else { Vec::new() };
        members.into_iter().filter_map(move |member| self.candidate(agent?, member))
    }

    fn candidate(&self, agent: AgentIx, member: MemberIx) -> Option<Holding> {
        let Hierarchical { rules, books, refusals, .. } = &self.kept;
        let (membership, account) = (books.membership(), &books.ledger()[agent]);
        if !membership.active().contains(member) || !rules.allow(account) {
            return None;
        }
        let eligibility = Eligibility { rules, books, refusals };
        let role = membership.member(member).role;
        let share = eligibility.role_share(role, agent, &Availability::default(), &self.offered_shared);
        if !eligibility.admits(member, agent) {
            return None;
        }
        let portion = eligibility.portion(Stage::FairShares, agent, member, &share)?;
        let resources = portion.of(account.available()).clone();
        let (framework, role) = membership.name_of(member)?;
        let agent = books.ledger().id(agent).clone();
        Some(Holding { framework: framework.clone(), role: role.clone(), agent, resources })
    }

    /// Makes an offer: of a [candidate](Self::candidates), or of part of what it says. It is held until it ends.
    ///
    /// # Errors
    ///
    /// [`AllocatorError`] if the agent or the framework is unknown, the framework does not have the role, or the resources are
    /// not available to it.
    pub fn offer(&mut self, at: Time, offer: &Holding) -> Result<(), AllocatorError> {
        self.kept.offer(at, offer)?;
        let shared = offer.resources.iter().filter(|resource| resource.is_shared()).cloned();
        let mut shared = shared.peekable();
        if shared.peek().is_some() {
            let agent = self.kept.find_agent(&offer.agent)?;
            self.offered_shared.entry(agent).or_default().extend(shared);
            self.kept.books.mark_dirty(agent); // what is shared can be offered again in the next allocation
        }
        Ok(())
    }

    /// Takes an offer back that was made last, as if it had not been made.
    pub fn take_back(&mut self, offer: &Holding) {
        self.kept.take_back(offer);
    }

    /// Returns what a claim would get of an agent, or the first check that it fails; see [`Claimable::quote`].
    ///
    /// # Errors
    ///
    /// [`DenialReason`] with that check.
    pub fn quote(&self, claim: &Claim, agent: &AgentId) -> Result<Resources, DenialReason> {
        self.kept.quote(claim, agent)
    }

    /// Returns when the next refusal ends.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.kept.next_expiry()
    }

    /// Returns the account of an agent.
    #[must_use]
    pub fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        self.kept.agent(agent)
    }

    /// Returns the accounts of all roles; see [`Allocator::roles`].
    #[must_use]
    pub fn roles(&self) -> Vec<RoleAccount> {
        self.kept.roles()
    }

    /// Sets the guarantees and limits of a role; see [`Allocator::set_quota`].
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if the quota contradicts itself or that of another role.
    pub fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        let ineffective = self.kept.set_quota(role, quota)?;
        self.kept.update_quotas();
        Ok(ineffective)
    }
}

impl Default for Accounts {
    /// Starts with an empty cluster, and Mesos' options.
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Persist for Accounts {
    fn save(&self) -> Json {
        self.kept.save()
    }

    fn load(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        self.kept.load(saved, contents)
    }
}
