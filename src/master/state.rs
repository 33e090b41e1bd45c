//! [`State`]: a snapshot of a master for people, tests and metrics.

use super::Master;
use crate::allocator::{Allocator, Holding, Quota, Weight};
use crate::id::{AgentId, FrameworkId, OfferId, TaskId};
use crate::resources::{Quantities, Resource, Resources};
use crate::role::Role;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// All of a master at one moment, for people and programs that look at it.
///
/// Its serde form is the journal's, which is only written (feature `json`); a master comes back from a
/// [`Snapshot`](crate::Snapshot).
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
    /// True if the connection of the agent is not broken.
    pub connected: bool,
    /// True if the agent drains.
    pub draining: bool,
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
    /// True if the framework was registered with the leader before, and has not subscribed since.
    pub recovered: bool,
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
        let agents: Vec<AgentState> = self.agents.iter().filter_map(|agent| self.agent_state(&agent.id)).collect();
        let offers = self.offers.iter().map(|(number, offer)| OfferState {
            id: self.offer_id(number),
            framework: offer.holding.framework.clone(),
            agent: offer.holding.agent.clone(),
            resources: offer.holding.resources.clone(),
        });
        let frameworks = self.frameworks.values().map(|entry| FrameworkState {
            id: entry.framework.id.clone(),
            roles: entry.framework.roles.clone(),
            suppressed: entry.suppressed.clone(),
            active: entry.active,
            recovered: entry.is_recovered,
            tasks: self.tasks.of_framework(&entry.framework.id).into_iter().map(|task| task.id.clone()).collect(),
        });
        let mut offered = sums_by_role(self.offers.iter().map(|(_, offer)| &offer.holding));
        let mut allocated = sums_by_role(self.tasks.iter().map(|task| &task.holding).chain(self.executors.holdings()));
        let mut reserved = reserved_by_role(&agents);
        let roles = self.allocator.roles().into_iter().map(|account| RoleState {
            offered: offered.remove(&account.role).unwrap_or_default(),
            allocated: allocated.remove(&account.role).unwrap_or_default(),
            reserved: reserved.remove(&account.role).unwrap_or_default(),
            quota: account.quota,
            role: account.role,
            weight: account.weight,
            share: account.share,
        });
        State { frameworks: frameworks.collect(), roles: roles.collect(), offers: offers.collect(), agents }
    }

    fn agent_state(&self, id: &AgentId) -> Option<AgentState> {
        let account = self.allocator.agent(id)?;
        Some(AgentState {
            id: id.clone(),
            total: account.total.into_owned(),
            offered: account.offered.into_owned(),
            allocated: account.allocated.into_owned(),
            available: account.available.into_owned(),
            overcommitted: account.overcommitted.map(Cow::into_owned).unwrap_or_default(),
            active: account.active,
            connected: !self.inactive.is_disconnected(id),
            draining: self.drains.get(id).is_some(),
        })
    }
}

/// Returns the scalars that are held under each role and its descendants. A shared resource of an agent counts once,
/// however many hold it.
fn sums_by_role<'a>(holdings: impl Iterator<Item = &'a Holding>) -> BTreeMap<Role, Quantities> {
    let mut sums: BTreeMap<Role, Quantities> = BTreeMap::new();
    let mut shared: BTreeMap<(Role, &AgentId), Vec<&Resource>> = BTreeMap::new();
    for Holding { role, agent, resources, .. } in holdings {
        for role in role.ancestors().chain([role.clone()]) {
            let sum = sums.entry(role.clone()).or_default();
            for resource in resources {
                if resource.is_shared() {
                    let counted = shared.entry((role.clone(), agent)).or_default();
                    if counted.iter().any(|known| known.same_shared(resource)) {
                        continue;
                    }
                    counted.push(resource);
                }
                sum.add(resource.name(), resource.scalar().unwrap_or_default());
            }
        }
    }
    sums
}

/// Returns the scalars that are reserved to each role and its descendants.
fn reserved_by_role(agents: &[AgentState]) -> BTreeMap<Role, Quantities> {
    let mut sums: BTreeMap<Role, Quantities> = BTreeMap::new();
    for resource in agents.iter().flat_map(|agent| agent.total.iter()) {
        let Some((owner, amount)) = resource.role().zip(resource.scalar()) else { continue };
        for role in owner.ancestors().chain([owner.clone()]) {
            sums.entry(role).or_default().add(resource.name(), amount);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::framework::{Capability, Framework};
    use crate::master::{Command, Config, Registration, RunningTask};
    use crate::resources::Scalar;
    use crate::task::Task;
    use crate::time::Time;

    fn role(path: &str) -> Role {
        path.parse().unwrap()
    }

    fn master_after(commands: Vec<Command>) -> Master {
        let mut config = Config::default();
        config.options.min_allocatable = Vec::new();
        let mut master = Master::new(config);
        commands.into_iter().for_each(|command| master.handle(Time::ZERO, command).unwrap());
        master
    }

    #[test]
    fn roles_with_a_reservation_a_weight_or_a_quota_are_listed_with_their_ancestors() {
        let quota = Quota::new(Quantities::from_iter([("cpus", Scalar::units(1))]), Default::default());
        let agent = Agent::new("s", "cpus(a/b):1;mem(a):2;ports(c/d):[1-2]".parse().unwrap());
        let master = master_after(vec![
            Command::AddAgent(agent.into()),
            Command::SetWeight(role("e/f"), Weight::try_from_f64(2.0).unwrap()),
            Command::SetQuota(role("g/h"), quota),
            Command::AddFramework(Framework::new("f").role(role("i/j"))),
        ]);
        let roles = master.state().roles;
        let paths: Vec<&str> = roles.iter().map(|role| role.role.as_str()).collect();
        assert_eq!(paths, ["a", "a/b", "c", "c/d", "e", "e/f", "g", "g/h", "i", "i/j"]);
        let reserved: Vec<String> = roles.iter().take(4).map(|role| role.reserved.to_string()).collect();
        assert_eq!(reserved, ["cpus:1;mem:2", "cpus:1", "", ""]);
    }

    #[test]
    fn a_shared_volume_counts_once_however_many_hold_it() {
        let shared: Resources = serde_json::from_value(serde_json::json!([{
            "name": "disk", "type": "SCALAR", "scalar": {"value": 8}, "reservations": [{"type": "STATIC", "role": "a"}],
            "disk": {"persistence": {"id": "v"}, "volume": {"container_path": "v", "mode": "RW"}}, "shared": {},
        }]))
        .unwrap();
        let capable = |id: &str, path: &str| {
            Command::AddFramework(Framework::new(id).role(role(path)).capability(Capability::SharedResources))
        };
        let task = |id: &str, path: &str| RunningTask::new("f", role(path), Task::new(id, shared.clone()));
        let mut master = master_after(vec![
            capable("f", "a"),
            capable("g", "a/b"),
            Command::AddAgent(
                Registration::from(Agent::new("s", shared.clone()))
                    .task(task("1", "a"))
                    .task(task("2", "a"))
                    .task(task("3", "a/b")),
            ),
        ]);
        master.advance(Time::from_secs(3)).unwrap();
        let state = master.state();
        assert!(state.offers.len() > 2, "it is offered again in each batch");
        for role in &state.roles {
            for amounts in [&role.offered, &role.allocated] {
                assert!(amounts.is_empty() || amounts.to_string() == "disk:8", "{role:?}");
            }
        }
        assert_eq!(state.roles[0].allocated.to_string(), "disk:8");
        assert_eq!(state.roles[0].offered.to_string(), "disk:8");
        assert_eq!(state.roles[0].reserved.to_string(), "disk:8");
    }
}
