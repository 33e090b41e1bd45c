//! Agents: what there is, and what of it changes other than by offers and tasks.

use super::{Account, Balance, Books};
use crate::agent::Agent;
use crate::allocator::index::{AgentIx, MemberIx};
use crate::allocator::sorter::Sorter;
use crate::allocator::{AllocatorError, Holding};
use crate::id::AgentId;
use crate::offer::Conversion;
use crate::resources::{Quantities, Resource, Resources, Scalar};
use std::collections::BTreeMap;
use std::sync::Arc;

impl<R: Sorter, F: Sorter + Clone> Books<R, F> {
    /// Checks that the cluster can be counted with an agent's new total in place of its old one. An agent counts with its
    /// total of each name, or with the amount that is held if that is larger.
    pub(super) fn check_totals(
        &self,
        agent: &Agent,
        old: Option<AgentIx>,
        offered: &Resources,
        allocated: &Resources,
    ) -> Result<(), AllocatorError> {
        let mut sums: BTreeMap<&str, u128> = scalar_sums(&agent.resources).collect();
        let overcommitted = Balance::new(&agent.resources, offered, allocated).overcommitted;
        for (name, excess) in overcommitted.iter() {
            *sums.entry(name).or_default() += u128::from(excess.as_milli());
        }
        let old = old.map(|ix| &self.ledger[ix]);
        let old_total = old.map_or_else(Quantities::new, |old| old.total().quantities());
        for (name, amount) in sums {
            let total = self.names.find(name).map_or(0, |name| self.totals.amount(name));
            let excess = old.and_then(Account::overcommitted).map_or(Scalar::ZERO, |excess| excess.amount(name));
            let others = u128::from(total.saturating_sub(old_total.amount(name).as_milli()))
                + u128::from(self.ledger.overcommitted(name).saturating_sub(excess.as_milli()));
            if others + amount >= u128::from(u64::MAX) {
                return Err(AllocatorError::ClusterTooLarge { agent: agent.id.clone(), name: name.into() });
            }
        }
        Ok(())
    }

    /// Checks that the cluster can be counted with a conversion of an agent's total.
    pub(super) fn check_conversion(&self, agent: AgentIx, total: &Resources) -> Result<(), AllocatorError> {
        let account = &self.ledger[agent];
        let converted = Agent { resources: total.clone(), ..Agent::clone(account.agent()) };
        self.check_totals(&converted, Some(agent), account.offered(), account.allocated())
    }

    /// Opens an account for a new agent on which tasks hold resources already.
    pub(in crate::allocator) fn add_agent(
        &mut self,
        agent: &Arc<Agent>,
        tasks: &[Holding],
    ) -> Result<(), AllocatorError> {
        check_members(&agent.id, tasks.iter().flat_map(|task| task.resources.iter()))?;
        let held = |source| AllocatorError::Held { agent: agent.id.clone(), source };
        let mut allocated = Resources::new();
        tasks.iter().try_for_each(|task| allocated.try_add(&task.resources)).map_err(held)?;
        self.check_totals(agent, None, &Resources::new(), &allocated)?;
        let ix = self.ledger.open(agent, allocated).map_err(held)?;
        self.overcommitted_changed();
        self.total_changed(&Resources::new(), &agent.resources);
        for task in tasks {
            self.quotas.add_held(self.names.weigh(&task.resources));
        }
        self.adopt(tasks, 1);
        self.names.forget_unused();
        self.assert_conservation(ix);
        Ok(())
    }

    /// Replaces the metadata and the total of an agent.
    pub(in crate::allocator) fn update_agent(&mut self, ix: AgentIx, agent: &Arc<Agent>) -> Result<(), AllocatorError> {
        let account = &self.ledger[ix];
        self.check_totals(agent, Some(ix), account.offered(), account.allocated())?;
        let (old, allocated) = (account.total().clone(), account.allocated().clone());
        let held = |source| AllocatorError::Held { agent: agent.id.clone(), source };
        self.ledger.update(ix, agent, allocated).map_err(held)?;
        self.overcommitted_changed();
        self.total_changed(&old, &agent.resources);
        self.names.forget_unused();
        self.assert_conservation(ix);
        Ok(())
    }

    /// Replaces the metadata and the total of an agent that returns, and what `ended` tasks held of it by what is `held`. It
    /// counts as no allocation. Returns the members that were removed with their last holding. On an error nothing has
    /// changed.
    pub(in crate::allocator) fn readmit_agent(
        &mut self,
        ix: AgentIx,
        agent: &Arc<Agent>,
        held: &[Holding],
        ended: &[Holding],
    ) -> Result<Vec<MemberIx>, AllocatorError> {
        let account = &self.ledger[ix];
        let (old, mut allocated, mut holdings) =
            (account.total().clone(), account.allocated().clone(), account.holdings().clone());
        let (mut released, mut orphans) = (Vec::new(), Vec::new());
        for task in ended {
            let member = self.holder(task);
            match holdings.remove_task(member, task) {
                Some(true) => released.extend(member.map(|member| (member, task))),
                Some(false) => orphans.push(task),
                None => return Err(self.not_held(ix, member, task)),
            }
            allocated.remove(&task.resources);
        }
        check_members(&agent.id, allocated.iter().chain(held.iter().flat_map(|task| task.resources.iter())))?;
        let uncountable = |source| AllocatorError::Held { agent: agent.id.clone(), source };
        held.iter().try_for_each(|task| allocated.try_add(&task.resources)).map_err(uncountable)?;
        self.check_totals(agent, Some(ix), account.offered(), &allocated)?;
        self.ledger.update(ix, agent, allocated).map_err(uncountable)?;
        *self.ledger.holdings_mut(ix) = holdings;
        self.overcommitted_changed();
        self.total_changed(&old, &agent.resources);
        for task in held {
            self.quotas.add_held(self.names.weigh(&task.resources));
        }
        for task in ended {
            self.quotas.remove_held(self.names.weigh(&task.resources));
        }
        orphans.into_iter().for_each(|task| self.subtract_orphan(task));
        self.adopt(held, 0);
        let mut removed = Vec::new();
        for (member, task) in released {
            self.release(member, ix, &task.resources);
            removed.extend(self.end_task_of(member));
        }
        self.quota_room_changed();
        self.names.forget_unused();
        self.assert_conservation(ix);
        Ok(removed)
    }

    /// Closes the account of an agent of which nothing is held any more.
    pub(in crate::allocator) fn remove_agent(&mut self, agent: AgentIx) -> Result<(), AllocatorError> {
        let (id, account) = (self.ledger.id(agent).clone(), &self.ledger[agent]);
        if !account.is_idle() {
            let (offered, allocated) = (account.offered().clone(), account.allocated().clone());
            return Err(AllocatorError::AgentInUse { agent: id, offered, allocated });
        }
        let old = account.total().clone();
        self.total_changed(&old, &Resources::new());
        self.ledger.close(&id);
        self.overcommitted_changed();
        self.names.forget_unused();
        Ok(())
    }

    /// Converts part of what is available of an agent.
    pub(in crate::allocator) fn convert(
        &mut self,
        agent: AgentIx,
        conversion: &Conversion,
    ) -> Result<(), AllocatorError> {
        let account = &self.ledger[agent];
        if let Some(shortfall) = account.available().shortfall(&conversion.consumed) {
            let shortfall = Box::new(shortfall);
            return Err(AllocatorError::NotAvailable { agent: account.agent().id.clone(), shortfall });
        }
        let old = account.total().clone();
        let total = converted(&old, conversion, &account.agent().id)?;
        self.check_conversion(agent, &total)?;
        self.ledger.convert(agent, total.clone());
        self.overcommitted_changed();
        self.total_changed(&old, &total);
        self.names.forget_unused();
        self.assert_conservation(agent);
        Ok(())
    }

    pub(in crate::allocator) fn set_agent_active(&mut self, agent: AgentIx, active: bool) {
        self.ledger.set_active(agent, active);
    }

    /// Counts the uses of names that agents are, or are no longer, over-committed with.
    #[inline]
    pub(super) fn overcommitted_changed(&mut self) {
        if self.ledger.has_overcommitted_changes() {
            self.count_overcommitted();
        }
    }

    #[cold]
    fn count_overcommitted(&mut self) {
        for (name, is_overcommitted) in self.ledger.take_overcommitted_changes() {
            if is_overcommitted {
                self.names.retain(&name);
            } else {
                self.names.release_name(&name);
            }
        }
    }

    pub(super) fn total_changed(&mut self, old: &Resources, new: &Resources) {
        self.names.retain_all(new);
        self.totals.sub(&self.names.scalars(old));
        self.totals.add(&self.names.scalars(new));
        self.quotas.total_changed(&mut self.names, old, new);
        self.names.release_all(old);
        self.quota_room_changed();
    }

    /// Roles that a quota had held back may now be offered more, on any agent.
    #[inline]
    pub(super) fn quota_room_changed(&mut self) {
        if !self.quotas.is_empty() {
            self.ledger.mark_all_dirty();
        }
    }
}

/// Converts part of a sum of an agent's resources.
pub(super) fn converted(
    sum: &Resources,
    conversion: &Conversion,
    agent: &AgentId,
) -> Result<Resources, AllocatorError> {
    let not_available =
        |shortfall| AllocatorError::NotAvailable { agent: agent.clone(), shortfall: Box::new(shortfall) };
    let left = sum.checked_sub(&conversion.consumed).map_err(not_available)?;
    let uncountable = |source| AllocatorError::Uncountable { agent: agent.clone(), source };
    left.checked_add(&conversion.converted).map_err(uncountable)
}

/// Checks that no two tasks hold the same port, or the same member of a set: when one of them ended, the other would lose it.
pub(super) fn check_members<'a>(
    agent: &AgentId,
    held: impl Iterator<Item = &'a Resource>,
) -> Result<(), AllocatorError> {
    let mut members = Resources::new();
    for resource in held {
        if resource.scalar().is_none() && !resource.is_shared() {
            let one = Resources::try_from_iter([resource.clone()]);
            let uncountable = |source| AllocatorError::Held { agent: agent.clone(), source };
            let one = one.map_err(uncountable)?;
            if members.saturating_sub(&one) != members {
                let (agent, resource) = (agent.clone(), Box::new(resource.clone()));
                return Err(AllocatorError::ConflictingHoldings { agent, resource });
            }
            members.try_add(&one).map_err(uncountable)?;
        }
    }
    Ok(())
}

/// The sums of scalars by name, in thousandths: those of several kinds may be more than 64 bits hold.
fn scalar_sums(resources: &Resources) -> impl Iterator<Item = (&str, u128)> {
    let by_name = resources.iter().as_slice().chunk_by(|a, b| a.name() == b.name());
    by_name.map(|alike| {
        let amounts = alike.iter().filter_map(Resource::scalar);
        (alike[0].name(), amounts.map(|amount| u128::from(amount.as_milli())).sum())
    })
}
