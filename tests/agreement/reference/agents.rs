//! Agents: come, change, go.

use super::operations::persistence;
use super::{Held, KnownAgent, LiveTask, Reference, Refused};
use apportion::{Agent, AgentId, AgentUpdate, Effect, Resources, RunningTask, TaskState, TaskStatus};

impl Reference {
    pub(super) fn add_agent(&mut self, agent: Agent, tasks: Vec<RunningTask>) -> Result<(), Refused> {
        if self.agent(&agent.id).is_some() {
            return Err("the agent is there already");
        }
        if !is_id(agent.id.as_str()) || tasks.iter().any(|running| !is_id(running.task.id.as_str())) {
            return Err("not an id");
        }
        if has_a_volume_twice(&agent.resources) {
            return Err("two volumes of one id");
        }
        for (i, running) in tasks.iter().enumerate() {
            let twice =
                tasks[..i].iter().any(|other| other.framework == running.framework && other.task.id == running.task.id);
            if twice || self.task(&running.framework, &running.task.id).is_some() {
                return Err("the task is there already");
            }
        }
        let firm = tasks.iter().map(|running| running.task.resources.filter(|resource| !resource.is_shared()));
        let firm: Vec<Resources> = firm.collect();
        for (i, one) in firm.iter().enumerate() {
            // Whoever ends first must not take a port or the member of a set from the other.
            let members = one.filter(|resource| resource.scalar().is_none());
            if firm[..i].iter().any(|other| members.saturating_sub(other) != members) {
                return Err("two tasks hold the same");
            }
        }
        let mut held = tasks.iter().map(|running| &running.task.resources);
        if held.try_fold(Resources::new(), |sum, held| sum.checked_add(held)).is_err() {
            return Err("they hold more than can be counted");
        }
        let (id, hostname) = (agent.id.clone(), agent.hostname.to_string());
        let known = self.windows.get(&hostname).copied();
        let window = agent.unavailability.or(known);
        let mut agent = agent;
        agent.unavailability = window;
        self.agents.push(KnownAgent { agent, active: true });
        let mut new = Vec::new();
        for RunningTask { framework, role, task, .. } in tasks {
            let held = Held { framework, role, agent: id.clone(), resources: task.resources };
            new.push(held.clone());
            self.tasks.push(LiveTask { id: task.id, state: TaskState::Running, held });
        }
        self.count_tasks(&new);
        if window != known {
            self.change_window(&hostname, window, Some(&id));
        }
        self.allocate(Some(&id));
        Ok(())
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

    pub(super) fn remove_agent(&mut self, id: &AgentId) -> Result<(), Refused> {
        if self.agent(id).is_none() {
            return Err("no such agent");
        }
        self.rescind(|offer| offer.held.agent == *id);
        self.rescind_inverse(|offer| offer.agent == *id);
        self.inverse_refusals.retain(|refusal| refusal.agent != *id);
        let (lost, kept) = std::mem::take(&mut self.tasks).into_iter().partition(|task| task.held.agent == *id);
        self.tasks = kept;
        let lost: Vec<LiveTask> = lost;
        for task in lost {
            let framework = task.held.framework;
            if self.framework(&framework).is_some() {
                self.emit(Effect::Status { framework, status: TaskStatus::new(task.id, TaskState::Lost) });
            }
        }
        self.refusals.retain(|refusal| refusal.held.agent != *id);
        self.agents.retain(|known| known.agent.id != *id);
        self.untrack_idle();
        Ok(())
    }

    pub(super) fn set_agent_active(&mut self, id: &AgentId, active: bool) -> Result<(), Refused> {
        let Some(known) = self.agents.iter_mut().find(|known| known.agent.id == *id) else {
            return Err("no such agent");
        };
        known.active = active;
        if !active {
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
