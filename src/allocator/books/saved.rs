//! The books in a snapshot: what cannot be derived is saved, and sums are checked.

use super::Books;
use super::agents::check_members;
use super::ledger::{SavedAccount, SavedLedger};
use super::membership::SavedMembership;
use crate::agent::Agent;
use crate::allocator::index::{AgentIx, MemberIx};
use crate::allocator::quota::Quota;
use crate::allocator::snapshot::{Contents, SnapshotError};
use crate::allocator::sorter::Sorter;
use crate::allocator::{AllocatorError, Holding};
use crate::id::{AgentId, FrameworkId};
use crate::json;
use crate::resources::Resources;
use crate::role::Role;
use crate::text::Text;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::allocator) struct SavedBooks {
    ledger: SavedLedger,
    membership: SavedMembership,
    /// In order of setting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    quotas: Vec<(Role, Quota)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    newcomers: Vec<(FrameworkId, Role)>,
}

impl<R: Sorter, F: Sorter + Clone> Books<R, F> {
    pub(in crate::allocator) fn save(&self) -> SavedBooks {
        let name = |member: &MemberIx| self.membership.name_of(*member);
        let newcomers = self.newcomers.iter().filter_map(name);
        SavedBooks {
            ledger: self.ledger.save(),
            membership: self.membership.save(),
            quotas: self.quotas.iter().map(|(role, quota)| (role.clone(), quota.clone())).collect(),
            newcomers: newcomers.map(|(framework, role)| (framework.clone(), role.clone())).collect(),
        }
    }

    /// Returns the live offers and the tasks, in the order in which their agents were added, and then of who holds them.
    pub(in crate::allocator) fn all_holdings(&self) -> [Vec<Holding>; 2] {
        let mut all = [Vec::new(), Vec::new()];
        for agent in self.ledger.in_order_of_adding() {
            let holding = |(member, resources): (MemberIx, &Resources)| {
                let (framework, role) = self.membership.name_of(member)?;
                let (framework, role, agent) = (framework.clone(), role.clone(), self.ledger.id(agent).clone());
                Some(Holding { framework, role, agent, resources: resources.clone() })
            };
            let [offers, tasks] = self.ledger[agent].all_holdings();
            let orphans = self.ledger[agent].holdings().orphans.iter().cloned();
            let offers: Vec<Holding> = offers.into_iter().filter_map(holding).collect();
            let tasks: Vec<Holding> = tasks.into_iter().filter_map(holding).chain(orphans).collect();
            for (list, mut more) in all.iter_mut().zip([offers, tasks]) {
                more.sort_by_cached_key(|it| (it.framework.clone(), it.role.clone(), json::to_string(&it.resources)));
                list.append(&mut more);
            }
        }
        all
    }

    /// Restores what was saved in empty books.
    pub(in crate::allocator) fn load(
        &mut self,
        saved: SavedBooks,
        contents: &Contents<'_>,
    ) -> Result<(), SnapshotError> {
        let SavedBooks { ledger, membership, quotas, newcomers } = saved;
        self.load_ledger(ledger, contents)?;
        for (role, quota) in quotas {
            if self.quotas.of(&role).is_some() {
                return Err(SnapshotError::repeated("quota", role.as_str()));
            }
            self.quotas.set(&role, quota)?;
        }
        self.membership.load(membership, contents.frameworks, &mut self.quotas)?;
        self.load_holdings(contents)?;
        self.membership.check_loaded()?;
        self.membership.settle_all();
        for (framework, role) in newcomers {
            let (_, member) = self.member_named(&framework, &role)?;
            self.newcomers.insert(member);
        }
        self.names.forget_unused();
        Ok(())
    }

    fn load_ledger(&mut self, saved: SavedLedger, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        let mut infos: BTreeMap<&AgentId, (&Arc<Agent>, [Vec<&Resources>; 2])> = BTreeMap::new();
        for agent in contents.agents {
            if infos.insert(&agent.id, (agent, Default::default())).is_some() {
                return Err(SnapshotError::repeated("agent", agent.id.as_str()));
            }
        }
        for (position, holdings) in [contents.offers, contents.tasks].into_iter().enumerate() {
            for holding in holdings {
                let unknown = || SnapshotError::unknown("agent", holding.agent.as_str());
                infos.get_mut(&holding.agent).ok_or_else(unknown)?.1[position].push(&holding.resources);
            }
        }
        self.ledger.load(&saved)?;
        for account in saved.accounts {
            let unknown = || SnapshotError::unknown("agent", account.agent.as_str());
            let (info, held) = infos.remove(&account.agent).ok_or_else(unknown)?;
            self.load_account(account, info, &held)?;
        }
        match infos.pop_first() {
            Some((forgotten, _)) => Err(SnapshotError::unknown("what is saved of agent", forgotten.as_str())),
            None => Ok(()),
        }
    }

    /// Opens the account of an agent; `held` are its offers and its tasks.
    fn load_account(
        &mut self,
        account: SavedAccount,
        info: &Arc<Agent>,
        held: &[Vec<&Resources>; 2],
    ) -> Result<(), SnapshotError> {
        let uncountable = |source| AllocatorError::Held { agent: info.id.clone(), source };
        let mut sums = [Resources::new(), Resources::new()];
        for (sum, parts) in sums.iter_mut().zip(held) {
            check_members(&info.id, parts.iter().flat_map(|part| part.iter()))?;
            parts.iter().try_for_each(|part| sum.try_add(part)).map_err(uncountable)?;
        }
        let [offered, allocated] = sums;
        self.check_totals(&account.present(info), None, &offered, &allocated)?;
        let ix = self.ledger.reopen(account, info, (offered, allocated))?;
        self.overcommitted_changed();
        let total = self.ledger[ix].total().clone();
        self.total_changed(&Resources::new(), &total);
        Ok(())
    }

    /// Charges members for what they hold, and notes who holds what.
    fn load_holdings(&mut self, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        let mut offers: IndexMap<AgentIx, Vec<(MemberIx, &Resources)>> = IndexMap::new();
        for offer in contents.offers {
            let (agent, (name, member)) =
                (self.agent_named(&offer.agent)?, self.member_named(&offer.framework, &offer.role)?);
            if offer.resources.is_empty() {
                return Err(SnapshotError::unknown("anything in an offer to framework", name));
            }
            self.load_holding(member, agent, &offer.resources);
            self.membership.load_offers(member, 1);
            offers.entry(agent).or_default().push((member, &offer.resources));
        }
        for (agent, offers) in offers {
            self.ledger.set_offers(agent, &offers);
        }
        for task in contents.tasks {
            let agent = self.agent_named(&task.agent)?;
            if self.membership.find_framework(&task.framework).is_some() {
                let (_, member) = self.member_named(&task.framework, &task.role)?;
                self.load_holding(member, agent, &task.resources);
                self.membership.add_tasks(member, 1);
                self.ledger.holdings_mut(agent).tasks.push((member, task.resources.clone()));
            } else {
                self.quotas.add_held(self.names.weigh(&task.resources));
                self.add_orphan(agent, task);
            }
        }
        for agent in self.ledger.in_order_of_adding() {
            self.assert_conservation(agent);
        }
        Ok(())
    }

    fn load_holding(&mut self, member: MemberIx, agent: AgentIx, resources: &Resources) {
        self.quotas.add_held(self.names.weigh(resources));
        self.charge(member, agent, resources, 0);
    }

    /// Returns the agent of an id in a snapshot.
    pub(in crate::allocator) fn agent_named(&self, agent: &AgentId) -> Result<AgentIx, SnapshotError> {
        self.ledger.find(agent).ok_or_else(|| SnapshotError::unknown("agent", agent.as_str()))
    }

    /// Returns the member of a framework and a role in a snapshot, with its name for people.
    pub(in crate::allocator) fn member_named(
        &self,
        framework: &FrameworkId,
        role: &Role,
    ) -> Result<(Text, MemberIx), SnapshotError> {
        let name = Text::from(format!("{framework} in role {role}"));
        let found = self.membership.find_framework(framework).and_then(|ix| self.membership.find_member(ix, role));
        match found {
            Some(member) => Ok((name, member)),
            None => Err(SnapshotError::unknown("framework", name)),
        }
    }
}
