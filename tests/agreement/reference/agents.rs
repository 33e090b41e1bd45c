//! Agents: come, change, go.

use super::operations::persistence;
use super::{Fate, KnownAgent, Reference, Refused};
use apportion::{AgentId, AgentUpdate, Effect, Registration, Resources};

impl Reference {
    pub(super) fn add_agent(&mut self, registration: Registration) -> Result<(), Refused> {
        let id = registration.agent.id.clone();
        let fate = self.fate(&id);
        if fate == Some(Fate::Gone) {
            self.emit(Effect::ShutdownAgent { agent: id, message: "" });
            return Ok(());
        }
        self.check_registration(&registration)?;
        let Registration { mut agent, tasks, executors, .. } = registration;
        self.departed.retain(|departed| departed.id != id);
        self.unreachable_tasks.retain(|task| task.agent != id);
        let hostname = agent.hostname.to_string();
        let known = self.windows.get(&hostname).copied();
        let window = agent.unavailability.or(known);
        agent.unavailability = window;

        let before = self.agent(&id).map(|known| known.agent.clone());
        if let Some(before) = &before {
            // It is back: a change of what it was.
            if before.attributes != agent.attributes {
                self.refusals.retain(|refusal| refusal.held.agent != id);
            }
            for known in self.agents.iter_mut().filter(|known| known.agent.id == id) {
                known.agent = agent.clone();
                known.connected = true;
            }
        } else {
            let active = !self.deactivated.contains(&id);
            self.deactivated.retain(|other| *other != id);
            self.agents.push(KnownAgent { agent, active, connected: true, told_lost: Vec::new() });
        }
        if let Some(drain) = self.drains.get(&id).copied() {
            self.emit(Effect::Drain { agent: id.clone(), drain });
        }
        let unreachable = matches!(fate, Some(Fate::Unreachable { .. }));
        self.take_in(&id, tasks, executors, unreachable);
        let on_it: Vec<_> = self.in_use().filter(|held| held.agent == id).cloned().collect();
        if before.is_none() {
            self.count_tasks(&on_it);
        } else {
            self.track_tasks(&on_it);
        }
        self.untrack_idle();
        if window != known {
            self.inverse_refusals.retain(|refusal| refusal.agent != id);
            self.change_window(&hostname, window, Some(&id));
        }
        self.allocate(Some(&id));
        self.has_come(&id);
        Ok(())
    }

    fn check_registration(&self, registration: &Registration) -> Result<(), Refused> {
        let Registration { agent, tasks, executors, .. } = registration;
        if self.agent(&agent.id).is_some_and(|known| known.connected) {
            return Err("the agent is there already");
        }
        let tasks_ids = tasks.iter().map(|running| running.task.id.as_str());
        let mut ids = tasks_ids.chain(executors.iter().map(|executor| executor.id.as_str())).chain([agent.id.as_str()]);
        if !ids.all(is_id) {
            return Err("not an id");
        }
        if has_a_volume_twice(&agent.resources) {
            return Err("two volumes of one id");
        }
        for (i, running) in tasks.iter().enumerate() {
            if tasks[..i].iter().any(|other| other.framework == running.framework && other.task.id == running.task.id) {
                return Err("a task twice");
            }
        }
        for (i, executor) in executors.iter().enumerate() {
            if executors[..i].iter().any(|other| other.framework == executor.framework && other.id == executor.id) {
                return Err("an executor twice");
            }
        }
        let firm = self.will_hold(registration).map(|held| held.filter(|resource| !resource.is_shared()));
        let firm: Vec<Resources> = firm.collect();
        for (i, one) in firm.iter().enumerate() {
            // Whoever ends first must not take a port or the member of a set from the other.
            let members = one.filter(|resource| resource.scalar().is_none());
            if firm[..i].iter().any(|other| members.saturating_sub(other) != members) {
                return Err("two tasks hold the same");
            }
        }
        let mut held = self.will_hold(registration);
        if held.try_fold(Resources::new(), |sum, held| sum.checked_add(held)).is_err() {
            return Err("they hold more than can be counted");
        }
        Ok(())
    }

    /// What each task and executor that an agent brings will hold there.
    fn will_hold<'a>(&'a self, registration: &'a Registration) -> impl Iterator<Item = &'a Resources> {
        let id = &registration.agent.id;
        let live = registration.tasks.iter().filter(|running| !running.state.is_terminal());
        let tasks = live.map(move |running| {
            let known = self.task(&running.framework, &running.task.id).map(|task| &task.held);
            let copy = self.copy(&running.framework, &running.task.id, id).map(|copy| &copy.held);
            let held = known.into_iter().chain(copy).find(|held| held.agent == *id);
            held.map_or(&running.task.resources, |held| &held.resources)
        });
        let executors = registration.executors.iter().map(move |executor| {
            let known = self.executor(&executor.framework, id, &executor.id);
            known.map_or(&executor.resources, |known| &known.held.resources)
        });
        tasks.chain(executors)
    }

    pub(super) fn update_agent(&mut self, update: AgentUpdate) -> Result<(), Refused> {
        let Some(known) = self.agents.iter_mut().find(|known| known.agent.id == update.id) else {
            return Err("no such agent");
        };
        let before = known.agent.clone();
        if update.resources.as_ref().is_some_and(has_a_volume_twice) {
            return Err("two volumes of one id");
        }
        if let Some(resources) = update.resources {
            known.agent.resources = resources;
        }
        if let Some(attributes) = update.attributes {
            known.agent.attributes = attributes;
        }
        if let Some(domain) = update.domain {
            known.agent.domain = Some(domain);
        }
        let after = known.agent.clone();
        if after.attributes != before.attributes {
            self.refusals.retain(|refusal| refusal.held.agent != update.id);
        }
        if after != before {
            self.allocate(Some(&update.id));
        }
        Ok(())
    }

    pub(super) fn set_agent_active(&mut self, id: &AgentId, active: bool) -> Result<(), Refused> {
        if self.agent(id).is_none() && !self.is_missing(id) {
            return Err("no such agent");
        }
        let there = self.agent(id).is_some();
        for known in self.agents.iter_mut().filter(|known| known.agent.id == *id) {
            known.active = active;
        }
        if active {
            self.drains.remove(id);
            self.deactivated.retain(|other| other != id);
        } else {
            self.deactivated.extend((!there).then(|| id.clone()));
            self.rescind(|offer| offer.held.agent == *id);
            self.rescind_inverse(|offer| offer.agent == *id);
        }
        Ok(())
    }
}

/// An id can be the name of a directory.
pub(super) fn is_id(id: &str) -> bool {
    !["", ".", ".."].contains(&id) && id.len() < 256 && !id.chars().any(|c| c == '/' || c == '\\' || c.is_control())
}

/// Ids of volumes are unique by role.
fn has_a_volume_twice(resources: &Resources) -> bool {
    let volumes = resources.iter().filter(|resource| persistence(resource).is_some());
    let ids: Vec<_> = volumes.map(|volume| (volume.role(), persistence(volume))).collect();
    ids.iter().enumerate().any(|(i, id)| ids[..i].contains(id))
}
