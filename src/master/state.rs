//! [`State`]: all that can be seen of a master from outside.

use super::Master;
use super::offers::offer_id;
use crate::allocator::{Allocator, Quota, Weight};
use crate::id::{AgentId, FrameworkId, OfferId, TaskId};
use crate::resources::{Quantities, Resources, Scalar};
use crate::role::Role;

/// What a master knows at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// The agents, in the order in which they came.
    pub agents: Vec<AgentState>,
    /// The frameworks, in the order in which they came.
    pub frameworks: Vec<FrameworkState>,
    /// The roles that mean something at present, in order of path.
    pub roles: Vec<RoleState>,
    /// The live offers, in order of making.
    pub offers: Vec<OfferState>,
}

/// An agent at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentState {
    /// Its id.
    pub id: AgentId,
    /// All that it has.
    pub total: Resources,
    /// What is in live offers.
    pub offered: Resources,
    /// What tasks hold.
    pub allocated: Resources,
    /// What can be offered now.
    pub available: Resources,
    /// Whether it may be offered.
    pub active: bool,
}

/// A framework at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FrameworkState {
    /// Its id.
    pub id: FrameworkId,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Those for which it wants no offers.
    pub suppressed: Vec<Role>,
    /// Whether it can be reached.
    pub active: bool,
    /// Its tasks that have not ended, in order of launching.
    pub tasks: Vec<TaskId>,
}

/// A role at one moment; its descendants count with it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RoleState {
    /// The role.
    pub role: Role,
    /// How much it counts against its siblings.
    pub weight: Weight,
    /// Its dominant share over its weight.
    pub share: f64,
    /// What is offered.
    pub offered: Quantities,
    /// What is in use.
    pub allocated: Quantities,
    /// What is reserved to it.
    pub reserved: Quantities,
    /// Its own quota; empty if it has none.
    pub quota: Quota,
}

/// A live offer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OfferState {
    /// Its id.
    pub id: OfferId,
    /// To whom.
    pub framework: FrameworkId,
    /// On which agent.
    pub agent: AgentId,
    /// What is offered.
    pub resources: Resources,
}

impl<A: Allocator> Master<A> {
    /// All that can be seen from outside. O(cluster): for people and tests, not for deciding.
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
