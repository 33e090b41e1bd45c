//! Frameworks: their registration, their changes, and the ways in which they go and return.

use super::requests::Requests;
use super::{CommandError, Effect, Master};
use crate::allocator::{Allocator, AllocatorError, Change, Holding, SnapshotError, check_count};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::role::Role;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A framework that the master knows.
#[derive(Debug, Clone)]
pub(super) struct FrameworkEntry {
    pub(super) framework: Arc<Framework>,
    pub(super) active: bool,
    /// True for a framework that was registered with the leader before and has not subscribed since.
    pub(super) is_recovered: bool,
    pub(super) suppressed: Vec<Role>,
    /// The number of its offers that have timed out.
    pub(super) timed_out: u64,
    /// What it has requested for roles, most of which are suppressed.
    pub(super) requests: Requests,
    /// The number of frameworks that came before this one.
    order: u64,
    /// The time at which it is removed unless it comes back.
    removed_at: Option<Time>,
}

/// A framework in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedFramework {
    framework: Framework,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    inactive: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recovered: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    suppressed: Vec<Role>,
    #[serde(default, skip_serializing_if = "is_zero")]
    timed_out: u64,
    #[serde(default, skip_serializing_if = "Requests::is_empty")]
    requests: Requests,
    order: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed_at: Option<Time>,
}

impl FrameworkEntry {
    pub(super) fn save(&self) -> SavedFramework {
        SavedFramework {
            framework: Framework::clone(&self.framework),
            inactive: !self.active,
            recovered: self.is_recovered,
            suppressed: self.suppressed.clone(),
            timed_out: self.timed_out,
            requests: self.requests.clone(),
            order: self.order,
            removed_at: self.removed_at,
        }
    }
}

/// A priority queue of the frameworks that are removed unless they come back, by time and then in order of coming.
#[derive(Debug, Clone, Default)]
pub(super) struct Removals {
    queue: BTreeMap<(Time, u64), FrameworkId>,
    /// The number of frameworks that ever came.
    came: u64,
}

impl Removals {
    /// Returns the time of the next removal.
    pub(super) fn next(&self) -> Option<Time> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }
}

impl<A: Allocator> Master<A> {
    /// Returns the number of frameworks that ever came.
    pub(super) fn frameworks_came(&self) -> u64 {
        self.removals.came
    }

    /// Restores the frameworks of a snapshot, in place of none.
    pub(super) fn restore_frameworks(&mut self, saved: Vec<SavedFramework>, came: u64) -> Result<(), SnapshotError> {
        self.removals.came = check_count("frameworks", came)?;
        for SavedFramework { framework, inactive, recovered, suppressed, timed_out, requests, order, removed_at } in
            saved
        {
            if order >= came {
                return Err(SnapshotError::Count { kind: "frameworks", found: order, most: came });
            }
            let id = framework.id.clone();
            if let Some(at) = removed_at
                && self.removals.queue.insert((at, order), id.clone()).is_some()
            {
                return Err(SnapshotError::repeated("the number of framework", id.as_str()));
            }
            let entry = FrameworkEntry {
                framework: Arc::new(framework),
                active: !inactive,
                is_recovered: recovered,
                suppressed,
                requests,
                timed_out,
                order,
                removed_at,
            };
            if self.frameworks.insert(id.clone(), entry).is_some() {
                return Err(SnapshotError::repeated("framework", id.as_str()));
            }
        }
        Ok(())
    }

    /// Returns a registered framework; a recovered one is not registered.
    pub(super) fn framework(&self, id: &FrameworkId) -> Result<&FrameworkEntry, CommandError> {
        self.frameworks.get(id).filter(|entry| !entry.is_recovered).ok_or_else(|| unknown_framework(id))
    }

    /// Returns whether a framework is registered.
    pub(crate) fn has_framework(&self, id: &FrameworkId) -> bool {
        self.framework(id).is_ok()
    }

    /// Returns a registered framework as it described itself last.
    pub(crate) fn registered(&self, id: &FrameworkId) -> Option<&Arc<Framework>> {
        self.framework(id).ok().map(|entry| &entry.framework)
    }

    /// Returns whether a framework is registered and its connection is not broken.
    pub(crate) fn is_connected(&self, id: &FrameworkId) -> bool {
        self.framework(id).is_ok_and(|entry| entry.active)
    }

    /// Returns the frameworks that are connected, in order of coming.
    pub(crate) fn connected_frameworks(&self) -> impl Iterator<Item = &FrameworkId> {
        self.frameworks.iter().filter(|(_, entry)| entry.active && !entry.is_recovered).map(|(id, _)| id)
    }

    /// Returns whether a framework of that id is known, was removed not long ago, or has left something behind.
    pub(crate) fn has_known(&self, id: &FrameworkId) -> bool {
        self.frameworks.contains_key(id)
            || self.removed.contains(id)
            || self.tasks.has_any(id)
            || !self.executors.of_framework(id).is_empty()
    }

    /// Returns whether a framework of that id was removed, as long as [the master remembers](crate::Remembered::frameworks).
    ///
    /// Mesos refuses it a new subscription. [`Command::AddFramework`](crate::Command::AddFramework) and
    /// [`Call::Subscribe`](crate::Call::Subscribe) do not: a transport that wants to, asks here first.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Call, Command, Config, Framework, Master, Role, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// master.handle(Time::ZERO, Command::AddFramework(Framework::new("f1").role(Role::default())))?;
    /// assert!(!master.has_removed(&"f1".into()));
    /// master.handle(Time::ZERO, Command::Call("f1".into(), Call::Teardown))?;
    /// assert!(master.has_removed(&"f1".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_removed(&self, id: &FrameworkId) -> bool {
        self.removed.contains(id)
    }

    pub(super) fn add_framework(&mut self, framework: Framework) -> Result<(), CommandError> {
        let id = framework.id.clone();
        self.insert_framework(framework, false)?;
        self.emit(Effect::Subscribed { framework: id });
        self.make_offers(None);
        Ok(())
    }

    /// Makes a framework known that a new leader expects to subscribe.
    pub(super) fn recover_framework(
        &mut self,
        framework: Framework,
        give_up_after: Duration,
    ) -> Result<(), CommandError> {
        let id = framework.id.clone();
        self.insert_framework(framework, true)?;
        self.allocator.apply(Change::SetFrameworkActive { framework: &id, active: false })?;
        self.schedule_removal(&id, give_up_after);
        Ok(())
    }

    fn insert_framework(&mut self, framework: Framework, is_recovered: bool) -> Result<(), CommandError> {
        framework.id.check()?;
        check_framework(&framework)?;
        let framework = Arc::new(framework);
        let held = self.holdings_of(&framework.id);
        self.allocator.apply(Change::AddFramework { framework: &framework, held: &held })?;
        self.removed.remove(&framework.id);
        let (suppressed, order) = (framework.suppressed.clone(), self.removals.came);
        self.removals.came += 1;
        let id = framework.id.clone();
        let active = !is_recovered;
        let requests = Requests::new();
        let entry = FrameworkEntry {
            framework,
            active,
            is_recovered,
            suppressed,
            requests,
            timed_out: 0,
            order,
            removed_at: None,
        };
        self.frameworks.insert(id, entry);
        Ok(())
    }

    /// Returns what a framework holds: agents may register tasks and executors before the framework does.
    fn holdings_of(&self, framework: &FrameworkId) -> Vec<Holding> {
        self.tasks.holdings_of(framework).chain(self.executors.holdings_of(framework)).cloned().collect()
    }

    /// Registers a framework, takes over a recovered one, or fails one over to a new scheduler instance. The offers of the
    /// old instance are void, and nobody is left who would have to hear of it.
    pub(super) fn subscribe(&mut self, framework: FrameworkId, info: Framework) -> Result<(), CommandError> {
        let info = check_caller(&framework, info)?;
        if !self.frameworks.contains_key(&framework) {
            return self.add_framework(info);
        }
        check_framework(&info)?;
        self.end_requests(&framework)?;
        self.drop_offers(&framework);
        self.maintenance.drop_framework(&framework);
        self.allocator.apply(Change::SetFrameworkActive { framework: &framework, active: false })?; // forgets its refusals
        self.replace_framework(info)?;
        self.emit(Effect::Subscribed { framework: framework.clone() });
        self.cancel_removal(&framework);
        self.allocator.apply(Change::SetFrameworkActive { framework: &framework, active: true })?;
        if let Some(entry) = self.frameworks.get_mut(&framework) {
            (entry.active, entry.is_recovered) = (true, false);
        }
        self.make_offers(None);
        Ok(())
    }

    pub(super) fn update_framework(&mut self, caller: &FrameworkId, info: Framework) -> Result<(), CommandError> {
        let info = check_caller(caller, info)?;
        check_framework(&info)?;
        self.replace_framework(info)
    }

    fn replace_framework(&mut self, framework: Framework) -> Result<(), CommandError> {
        let framework = Arc::new(framework);
        self.allocator.apply(Change::UpdateFramework(&framework))?;
        let (id, roles) = (&framework.id, &framework.roles);
        if let Some(entry) = self.frameworks.get_mut(id) {
            let is_revived = |role: &Role| entry.suppressed.contains(role) && !framework.suppressed.contains(role);
            entry.requests.retain(|role, _| roles.contains(role) && !is_revived(role));
        }
        self.rescind(|offer| offer.holding.framework == *id && !roles.contains(&offer.holding.role));
        if let Some(entry) = self.frameworks.get_mut(id) {
            entry.suppressed.clone_from(&framework.suppressed);
            entry.framework = framework;
        }
        Ok(())
    }

    /// Removes a framework with all that it holds. One that is known only by tasks that came with their agents loses these.
    pub(super) fn remove_framework(&mut self, framework: &FrameworkId) -> Result<(), CommandError> {
        let is_known = self.frameworks.contains_key(framework);
        let runs_something = self.tasks.has_any(framework) || !self.executors.of_framework(framework).is_empty();
        if !is_known && !runs_something {
            return Err(unknown_framework(framework));
        }
        let agents = self.agents_of(framework);
        self.drop_offers(framework);
        self.maintenance.drop_framework(framework);
        self.drop_tasks(framework);
        let executors = self.executors.of_framework(framework);
        self.end_executors(&executors);
        self.absent.drop_framework(framework);
        if is_known {
            self.cancel_removal(framework);
            self.allocator.apply(Change::RemoveFramework(framework))?;
            self.frameworks.shift_remove(framework);
        }
        self.removed.insert(framework.clone(), (), self.config.remembered.frameworks);
        if let Some(watch) = &mut self.watch {
            watch.forget(framework);
        }
        for agent in agents {
            self.emit(Effect::ShutdownFramework { agent, framework: framework.clone() });
        }
        Ok(())
    }

    /// Returns the agents on which a framework has a task, a copy of one, or an executor, in order of registration.
    fn agents_of(&self, framework: &FrameworkId) -> Vec<AgentId> {
        let with_tasks: BTreeSet<&AgentId> = self.tasks.holdings_of(framework).map(|holding| &holding.agent).collect();
        let executors = self.executors.of_framework(framework);
        let agents: BTreeSet<&AgentId> =
            with_tasks.into_iter().chain(executors.iter().map(|executor| &executor.agent)).collect();
        let mut agents: Vec<AgentId> = agents.into_iter().cloned().collect();
        agents.sort_by_cached_key(|agent| self.agents.place(agent));
        agents
    }

    pub(super) fn set_framework_active(&mut self, id: &FrameworkId, active: bool) -> Result<(), CommandError> {
        let was_active = self.framework(id)?.active;
        self.allocator.apply(Change::SetFrameworkActive { framework: id, active })?;
        if let Some(entry) = self.frameworks.get_mut(id) {
            entry.active = active;
        }
        if active {
            self.cancel_removal(id);
            self.make_offers(None);
            return Ok(());
        }
        self.rescind(|offer| offer.holding.framework == *id);
        self.rescind_inverse_of_framework(id);
        self.maintenance.clear_refusals_of_framework(id);
        match self.framework(id)?.framework.failover_timeout {
            Some(Duration::ZERO) if was_active => self.give_up_framework(id),
            Some(timeout) if was_active => {
                self.schedule_removal(id, timeout);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn schedule_removal(&mut self, id: &FrameworkId, after: Duration) {
        let at = self.now + after;
        if let Some(entry) = self.frameworks.get_mut(id) {
            entry.removed_at = Some(at);
            self.removals.queue.insert((at, entry.order), id.clone());
        }
    }

    fn cancel_removal(&mut self, id: &FrameworkId) {
        if let Some(entry) = self.frameworks.get_mut(id)
            && let Some(at) = entry.removed_at.take()
        {
            self.removals.queue.remove(&(at, entry.order));
        }
    }

    /// Removes the next framework whose time is over.
    pub(super) fn run_removal(&mut self) {
        if let Some((_, framework)) = self.removals.queue.pop_first() {
            self.give_up_framework(&framework).expect("a framework that is removed leaves the queue");
        }
    }

    /// Removes a framework that has stayed away too long, and kills its tasks.
    fn give_up_framework(&mut self, framework: &FrameworkId) -> Result<(), CommandError> {
        let tasks = self.tasks.of_framework(framework).into_iter();
        let tasks: Vec<_> = tasks.map(|task| (task.holding.agent.clone(), task.id.clone())).collect();
        for (agent, task) in tasks {
            self.emit(Effect::Kill { agent, framework: framework.clone(), task, grace: None });
        }
        self.remove_framework(framework)?;
        self.emit(Effect::FrameworkRemoved { framework: framework.clone() });
        Ok(())
    }

    pub(super) fn suppress(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), CommandError> {
        self.allocator.apply(Change::Suppress { framework: id, roles })?;
        if let Some(entry) = self.frameworks.get_mut(id) {
            let (all, before) = (&entry.framework.roles, &entry.suppressed);
            let suppressed = |role: &&Role| before.contains(*role) || roles.is_empty() || roles.contains(*role);
            entry.suppressed = all.iter().filter(suppressed).cloned().collect();
        }
        Ok(())
    }

    pub(super) fn revive(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), CommandError> {
        self.allocator.apply(Change::Revive { framework: id, roles })?;
        self.maintenance.clear_refusals_of_framework(id);
        if let Some(entry) = self.frameworks.get_mut(id) {
            let is_other = |role: &Role| !roles.is_empty() && !roles.contains(role);
            entry.suppressed.retain(is_other);
            entry.requests.retain(|role, _| is_other(role));
        }
        self.make_offers(None);
        Ok(())
    }
}

fn unknown_framework(framework: &FrameworkId) -> CommandError {
    AllocatorError::UnknownFramework(framework.clone()).into()
}

/// Checks that a call describes the framework that it comes from.
fn check_caller(framework: &FrameworkId, info: Framework) -> Result<Framework, CommandError> {
    if info.id == *framework {
        Ok(info)
    } else {
        Err(CommandError::FrameworkIdMismatch { framework: framework.clone(), named: info.id })
    }
}

/// Checks a framework's description: it names each role once, and suppressions, offer filters and offer constraints name
/// only its own roles.
fn check_framework(framework: &Framework) -> Result<(), CommandError> {
    let mut roles = BTreeSet::new();
    if let Some(role) = framework.roles.iter().find(|role| !roles.insert(*role)) {
        return Err(CommandError::DuplicateRole { framework: framework.id.clone(), role: role.clone() });
    }
    let mut referenced =
        framework.suppressed.iter().chain(framework.offer_filters.keys()).chain(framework.offer_constraints.roles());
    match referenced.find(|role| !roles.contains(role)) {
        Some(role) => {
            let (framework, role) = (framework.id.clone(), role.clone());
            Err(AllocatorError::RoleNotSubscribed { framework, role }.into())
        }
        None => Ok(()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
