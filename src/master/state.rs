//! [`State`]: a snapshot of a master for people, tests and metrics.

use super::Master;
use super::offers::offer_id;
use crate::allocator::{Allocator, Quota, Weight};
use crate::id::{AgentId, FrameworkId, OfferId, TaskId};
use crate::resources::{Quantities, Resources, Scalar};
use crate::role::Role;

/// A snapshot of a master.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// The agents, in order of registration.
    pub agents: Vec<AgentState>,
    /// The frameworks, in order of registration.
    pub frameworks: Vec<FrameworkState>,
    /// The roles with a framework, a reservation, a weight or a quota, and their ancestors, in order of path.
    pub roles: Vec<RoleState>,
    /// The live offers, in order of making.
    pub offers: Vec<OfferState>,
}

/// A snapshot of an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentState {
    /// The agent's id.
    pub id: AgentId,
    /// The total resources.
    pub total: Resources,
    /// The resources in live offers.
    pub offered: Resources,
    /// The resources of tasks.
    pub allocated: Resources,
    /// The resources that are neither offered nor allocated.
    pub available: Resources,
    /// By name, the amounts by which what is held exceeds the total: of these names nothing is available. Mostly empty.
    pub overcommitted: Quantities,
    /// True if the agent may be offered.
    pub active: bool,
}

/// A snapshot of a framework.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FrameworkState {
    /// The framework's id.
    pub id: FrameworkId,
    /// The framework's roles.
    pub roles: Vec<Role>,
    /// The roles for which the framework has suppressed offers.
    pub suppressed: Vec<Role>,
    /// True if the framework is connected.
    pub active: bool,
    /// The tasks that are not terminal, in order of launching.
    pub tasks: Vec<TaskId>,
}

/// A snapshot of a role. Amounts include those of its descendants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RoleState {
    /// The role.
    pub role: Role,
    /// The weight among its siblings.
    pub weight: Weight,
    /// The dominant share, divided by the weight.
    pub share: f64,
    /// The amounts in live offers.
    pub offered: Quantities,
    /// The amounts held by tasks.
    pub allocated: Quantities,
    /// The amounts reserved to the role.
    pub reserved: Quantities,
    /// The role's own quota; empty if it has none.
    pub quota: Quota,
}

/// A snapshot of a live offer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OfferState {
    /// The offer's id.
    pub id: OfferId,
    /// The framework that the offer was made to.
    pub framework: FrameworkId,
    /// The agent whose resources are offered.
    pub agent: AgentId,
    /// The offered resources.
    pub resources: Resources,
}

impl<A: Allocator> Master<A> {
    /// Returns a snapshot of the master. O(cluster): meant for people, tests and metrics.
    #[must_use]
    pub fn state(&self) -> State {
        let agents: Vec<AgentState> = self.agents.keys().filter_map(|id| self.agent_state(id)).collect();
        let offers = self.offers.iter().map(|(number, offer)| OfferState {
            id: offer_id(number),
            framework: offer.holding.framework.clone(),
            agent: offer.holding.agent.clone(),
            resources: offer.holding.resources.clone(),
        });
        let frameworks = self.frameworks.values().map(|entry| FrameworkState {
            id: entry.framework.id.clone(),
            roles: entry.framework.roles.clone(),
            suppressed: entry.suppressed.clone(),
            active: entry.active,
            tasks: self.tasks.of_framework(&entry.framework.id).into_iter().map(|task| task.id.clone()).collect(),
        });
        let roles = self.allocator.roles().into_iter().map(|account| {
            let offered = self.offers.iter().map(|(_, offer)| (&offer.holding.role, &offer.holding.resources));
            let allocated = self.tasks.iter().map(|task| (&task.holding.role, &task.holding.resources));
            RoleState {
                offered: sum_within(&account.role, offered),
                allocated: sum_within(&account.role, allocated),
                reserved: reserved_within(&account.role, &agents),
                quota: account.quota,
                role: account.role,
                weight: account.weight,
                share: account.share,
            }
        });
        State { frameworks: frameworks.collect(), roles: roles.collect(), offers: offers.collect(), agents }
    }

    fn agent_state(&self, id: &AgentId) -> Option<AgentState> {
        let account = self.allocator.agent(id)?;
        Some(AgentState {
            id: id.clone(),
            total: account.total.clone(),
            offered: account.offered.clone(),
            allocated: account.allocated.clone(),
            available: account.available.clone(),
            overcommitted: account.overcommitted.cloned().unwrap_or_default(),
            active: account.active,
        })
    }
}

fn sum_within<'a>(role: &Role, held: impl Iterator<Item = (&'a Role, &'a Resources)>) -> Quantities {
    let mut sum = Quantities::new();
    for (_, resources) in held.filter(|(holder, _)| holder.is_within(role)) {
        resources.quantities().iter().for_each(|(name, amount)| sum.add(name, amount));
    }
    sum
}

fn reserved_within(role: &Role, agents: &[AgentState]) -> Quantities {
    let resources = agents.iter().flat_map(|agent| agent.total.iter());
    let reserved = resources.filter(|resource| resource.role().is_some_and(|owner| owner.is_within(role)));
    reserved
        .filter_map(|resource| Some((resource.name(), resource.scalar()?)))
        .collect::<Vec<(&str, Scalar)>>()
        .into_iter()
        .collect()
}
