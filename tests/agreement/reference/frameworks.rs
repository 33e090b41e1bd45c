//! Frameworks: come, change, go; and which of them are tracked under which roles.

use super::{Held, KnownFramework, Reference, Refused};
use apportion::{Effect, Framework, FrameworkId, Role};
use std::collections::BTreeMap;

impl Reference {
    pub(super) fn add_framework(&mut self, framework: Framework) -> Result<(), Refused> {
        check(&framework)?;
        if self.framework(&framework.id).is_some() {
            return Err("the framework is there already");
        }
        let suppressed = framework.suppressed.clone();
        let wanted = BTreeMap::new();
        self.come(KnownFramework { framework, active: true, suppressed, wanted, recovered: false, leaves_at: None });
        self.allocate(None);
        Ok(())
    }

    /// Knows a framework from now on. Its tasks may have come first.
    pub(super) fn come(&mut self, known: KnownFramework) {
        let id = known.framework.id.clone();
        self.frameworks.push(known);
        self.track_roles(&id);
        let came_first: Vec<Held> = self.holdings().filter(|held| held.framework == id).cloned().collect();
        self.count_tasks(&came_first);
        self.removed.retain(|removed| *removed != id);
    }

    /// A framework connects: a new one, one that was away, or another instance of it.
    pub(super) fn subscribe(&mut self, framework: Framework) -> Result<(), Refused> {
        check(&framework)?;
        let id = framework.id.clone();
        if self.framework(&id).is_none() {
            return self.add_framework(framework);
        }
        self.offers.retain(|offer| offer.held.framework != id);
        self.inverse_offers.retain(|offer| offer.framework != id);
        self.refusals.retain(|refusal| refusal.held.framework != id);
        self.inverse_refusals.retain(|refusal| refusal.framework != id);
        for known in self.frameworks.iter_mut().filter(|known| known.framework.id == id) {
            let suppressed = framework.suppressed.clone();
            let framework = framework.clone();
            let wanted = BTreeMap::new();
            *known = KnownFramework { framework, active: true, suppressed, wanted, recovered: false, leaves_at: None };
        }
        self.track_roles(&id);
        self.untrack_idle();
        self.allocate(None);
        Ok(())
    }

    pub(super) fn update_framework(&mut self, framework: Framework) -> Result<(), Refused> {
        check(&framework)?;
        let id = framework.id.clone();
        let mut each = self.frameworks.iter_mut();
        let Some(known) = each.find(|known| known.framework.id == id && !known.recovered) else {
            return Err("no such framework");
        };
        let revived = |role: &Role| known.suppressed.contains(role) && !framework.suppressed.contains(role);
        let revived: Vec<Role> = framework.roles.iter().filter(|role| revived(role)).cloned().collect();
        let roles = framework.roles.clone();
        known.wanted.retain(|role, _| roles.contains(role) && !revived.contains(role));
        known.suppressed.clone_from(&framework.suppressed);
        known.framework = framework;
        self.refusals.retain(|refusal| {
            let role = &refusal.held.role;
            refusal.held.framework != id || roles.contains(role) && !revived.contains(role)
        });
        self.rescind(|offer| offer.held.framework == id && !roles.contains(&offer.held.role));
        // New roles come before old ones go: an inner node on both paths keeps its count.
        self.track_roles(&id);
        self.untrack_idle();
        Ok(())
    }

    /// Removes a framework for good, or ends what there is of one that is not known.
    pub(super) fn tear_down(&mut self, id: &FrameworkId) -> Result<(), Refused> {
        if self.framework(id).is_none() && !self.in_use().any(|held| held.framework == *id) {
            return Err("no such framework");
        }
        self.remove_framework(id);
        Ok(())
    }

    /// Removes a framework that stayed away for too long.
    pub(super) fn give_up(&mut self, id: &FrameworkId) {
        let parts = self.take_parts();
        let before = (self.effects.len(), self.clone());
        self.parts = parts.into_iter().chain([before]).collect();
        for task in self.tasks.clone().into_iter().filter(|task| task.held.framework == *id) {
            self.emit_kill(task.held.agent, id.clone(), task.id, None);
        }
        self.remove_framework(id);
        self.emit(Effect::FrameworkRemoved { framework: id.clone() });
    }

    fn remove_framework(&mut self, id: &FrameworkId) {
        for agent in self.agents.iter().map(|known| known.agent.id.clone()).collect::<Vec<_>>() {
            let all = self.tasks.iter().map(|task| &task.held).chain(self.copies.iter().map(|copy| &copy.held));
            let mut all = all.chain(self.executors.iter().map(|executor| &executor.held));
            if all.any(|held| held.agent == agent && held.framework == *id) {
                self.emit(Effect::ShutdownFramework { agent, framework: id.clone() });
            }
        }
        self.offers.retain(|offer| offer.held.framework != *id);
        self.tasks.retain(|task| task.held.framework != *id);
        self.copies.retain(|copy| copy.held.framework != *id);
        self.executors.retain(|executor| executor.held.framework != *id);
        self.unreachable_tasks.retain(|task| task.framework != *id);
        self.refusals.retain(|refusal| refusal.held.framework != *id);
        self.inverse_offers.retain(|offer| offer.framework != *id);
        self.inverse_refusals.retain(|refusal| refusal.framework != *id);
        self.frameworks.retain(|known| known.framework.id != *id);
        self.removed.retain(|removed| removed != id);
        self.removed.push(id.clone());
        if self.removed.len() > self.config.remembered.frameworks {
            self.removed.remove(0);
        }
        self.untrack_idle();
    }

    pub(super) fn activate_framework(&mut self, id: &FrameworkId) -> Result<(), Refused> {
        self.registered(id).ok_or("no such framework")?;
        for known in self.frameworks.iter_mut().filter(|known| known.framework.id == *id) {
            known.active = true;
            known.leaves_at = None;
        }
        self.allocate(None);
        Ok(())
    }

    pub(super) fn deactivate_framework(&mut self, id: &FrameworkId) -> Result<(), Refused> {
        let known = self.registered(id).ok_or("no such framework")?;
        let timeout = known.framework.failover_timeout.filter(|_| known.active);
        let leaves_at = timeout.map(|timeout| self.now + timeout).or(known.leaves_at);
        for known in self.frameworks.iter_mut().filter(|known| known.framework.id == *id) {
            known.active = false;
            known.leaves_at = leaves_at;
        }
        self.refusals.retain(|refusal| refusal.held.framework != *id);
        self.inverse_refusals.retain(|refusal| refusal.framework != *id);
        self.rescind(|offer| offer.held.framework == *id);
        self.rescind_inverse(|offer| offer.framework == *id);
        self.untrack_idle();
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.give_up(id);
        }
        Ok(())
    }

    pub(super) fn suppress(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), Refused> {
        let roles = self.its_roles(id, roles)?;
        if let Some(known) = self.frameworks.iter_mut().find(|known| known.framework.id == *id) {
            known.suppressed.extend(roles);
        }
        Ok(())
    }

    pub(super) fn revive(&mut self, id: &FrameworkId, roles: &[Role]) -> Result<(), Refused> {
        let roles = self.its_roles(id, roles)?;
        if let Some(known) = self.frameworks.iter_mut().find(|known| known.framework.id == *id) {
            known.suppressed.retain(|role| !roles.contains(role));
            known.wanted.retain(|role, _| !roles.contains(role));
        }
        self.refusals.retain(|refusal| refusal.held.framework != *id || !roles.contains(&refusal.held.role));
        self.inverse_refusals.retain(|refusal| refusal.framework != *id);
        self.allocate(None);
        Ok(())
    }

    /// The roles that a call means: those named, all of which it must have; none named = all that it has.
    pub(super) fn its_roles(&self, id: &FrameworkId, named: &[Role]) -> Result<Vec<Role>, Refused> {
        let roles = &self.registered(id).ok_or("no such framework")?.framework.roles;
        match named {
            [] => Ok(roles.clone()),
            _ if named.iter().all(|role| roles.contains(role)) => Ok(named.to_vec()),
            _ => Err("not its role"),
        }
    }

    fn track_roles(&mut self, id: &FrameworkId) {
        let roles = self.framework(id).map(|known| known.framework.roles.clone()).unwrap_or_default();
        for role in &roles {
            self.served.track(role, id);
        }
    }

    /// Tracks and counts what tasks hold that an agent brought along, or that were there before their framework.
    /// Those of frameworks that are not registered weigh on nobody.
    pub(super) fn count_tasks(&mut self, tasks: &[Held]) {
        let mut counted: Vec<(&FrameworkId, &Role, &apportion::AgentId)> = Vec::new();
        for task in tasks {
            let each = (&task.framework, &task.role, &task.agent);
            if self.framework(&task.framework).is_some() && !counted.contains(&each) {
                counted.push(each);
                self.served.track(&task.role, &task.framework);
                self.served.count(&task.role, &task.framework);
            }
        }
    }

    /// Tracks what tasks hold that came back with their agent: that nobody was given.
    pub(super) fn track_tasks(&mut self, tasks: &[Held]) {
        for task in tasks {
            if self.framework(&task.framework).is_some() {
                self.served.track(&task.role, &task.framework);
            }
        }
    }

    /// Forgets frameworks under roles that they neither have nor hold anything under.
    pub(super) fn untrack_idle(&mut self) {
        for (role, framework) in self.served.tracked() {
            let known = self.framework(&framework);
            let has = known.is_some_and(|known| known.framework.roles.contains(&role));
            let holds = known.is_some() && self.holdings().any(|held| held.framework == framework && held.role == role);
            if !has && !holds {
                self.served.untrack(&role, &framework);
            }
        }
    }
}

/// A framework has each role once, and says nothing of roles that it does not have.
pub(super) fn check(framework: &Framework) -> Result<(), Refused> {
    if !super::agents::is_id(framework.id.as_str()) {
        return Err("not an id");
    }
    let twice = |(i, role): (usize, &Role)| framework.roles[..i].contains(role);
    if framework.roles.iter().enumerate().any(twice) {
        return Err("a role twice");
    }
    let spoken_of = framework.suppressed.iter().chain(framework.offer_filters.keys());
    let mut spoken_of = spoken_of.chain(framework.offer_constraints.roles());
    if spoken_of.any(|role| !framework.roles.contains(role)) { Err("not its role") } else { Ok(()) }
}
