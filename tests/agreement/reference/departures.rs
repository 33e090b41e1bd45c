//! Agents that go: connections that break, agents that cannot be reached, and those that are gone for good.

use super::{LiveTask, Reference, Refused};
use apportion::{AgentId, Capability, Effect, FrameworkId, StatusSource, TaskId, TaskState, TaskStatus, Time};
use serde_json::json;

/// An agent that is remembered although it is not there.
#[derive(Debug, Clone)]
pub(crate) struct Departed {
    pub(crate) id: AgentId,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Unreachable { since: Time },
    Gone,
}

/// A task on an agent that cannot be reached.
#[derive(Debug, Clone)]
pub(crate) struct UnreachableTask {
    pub(crate) agent: AgentId,
    pub(crate) framework: FrameworkId,
    pub(crate) id: TaskId,
}

impl Reference {
    pub(crate) fn fate(&self, id: &AgentId) -> Option<Fate> {
        self.departed.iter().find(|departed| departed.id == *id).map(|departed| departed.fate)
    }

    pub(super) fn remove_agent(&mut self, id: &AgentId) -> Result<(), Refused> {
        self.agent(id).ok_or("no such agent")?;
        for task in self.take_away(id) {
            self.tell_end(&task, TaskState::Lost, "REASON_AGENT_REMOVED");
        }
        self.drains.remove(id);
        Ok(())
    }

    pub(super) fn agent_unreachable(&mut self, id: &AgentId) -> Result<(), Refused> {
        if self.agent(id).is_none() && !self.is_missing(id) {
            return Err("no such agent");
        }
        let since = self.now;
        for task in self.take_away(id) {
            let framework = task.held.framework.clone();
            self.tell_end(&task, TaskState::Unreachable, "REASON_AGENT_REMOVED");
            self.unreachable_tasks.push(UnreachableTask {
                agent: id.clone(),
                framework: framework.clone(),
                id: task.id,
            });
            let mine = self.unreachable_tasks.iter().filter(|task| task.framework == framework).count();
            if mine > self.config.remembered.unreachable_tasks {
                let oldest = self.unreachable_tasks.iter().position(|task| task.framework == framework);
                self.unreachable_tasks.remove(oldest.expect("one of them"));
            }
        }
        self.remember(id, Fate::Unreachable { since });
        Ok(())
    }

    pub(super) fn agent_gone(&mut self, id: &AgentId) -> Result<(), Refused> {
        let registered = self.agent(id).is_some();
        match self.fate(id) {
            Some(Fate::Gone) => return Ok(()),
            None if !registered && !self.is_missing(id) => return Err("no such agent"),
            _ => {}
        }
        let (aware, lost) = ("REASON_AGENT_REMOVED_BY_OPERATOR", "REASON_AGENT_REMOVED");
        for task in self.take_away(id) {
            let reason = if self.is_aware(&task.held.framework) { aware } else { lost };
            self.tell_end(&task, TaskState::GoneByOperator, reason);
        }
        let (told, kept) = std::mem::take(&mut self.unreachable_tasks).into_iter().partition(|task| task.agent == *id);
        self.unreachable_tasks = kept;
        let told: Vec<UnreachableTask> = told;
        for UnreachableTask { agent, framework, id } in told {
            if self.task(&framework, &id).is_none() {
                let reason = if self.is_aware(&framework) { aware } else { lost };
                self.tell_master(&framework, id, Some(agent), TaskState::GoneByOperator, reason);
            }
        }
        if registered {
            self.emit(Effect::ShutdownAgent { agent: id.clone(), message: "" });
        }
        self.drains.remove(id);
        self.remember(id, Fate::Gone);
        Ok(())
    }

    pub(super) fn disconnect_agent(&mut self, id: &AgentId) -> Result<(), Refused> {
        if !self.agent(id).ok_or("no such agent")?.connected {
            return Ok(());
        }
        self.rescind(|offer| offer.held.agent == *id);
        self.rescind_inverse(|offer| offer.agent == *id);
        let waits = |task: &LiveTask| {
            let owner = self.registered(&task.held.framework);
            task.held.agent != *id || owner.is_none_or(|known| known.framework.checkpoint)
        };
        let (kept, lost): (Vec<LiveTask>, Vec<LiveTask>) = self.tasks.clone().into_iter().partition(waits);
        self.tasks = kept;
        for task in &lost {
            self.tell_end(task, TaskState::Lost, "REASON_AGENT_DISCONNECTED");
        }
        for known in self.agents.iter_mut().filter(|known| known.agent.id == *id) {
            known.connected = false;
            known.told_lost = lost.iter().map(|task| (task.held.framework.clone(), task.id.clone())).collect();
        }
        self.untrack_idle();
        Ok(())
    }

    /// Takes an agent out of the cluster, with all that is on it, and returns its tasks in order of launching.
    fn take_away(&mut self, id: &AgentId) -> Vec<LiveTask> {
        self.rescind(|offer| offer.held.agent == *id);
        self.rescind_inverse(|offer| offer.agent == *id);
        self.inverse_refusals.retain(|refusal| refusal.agent != *id);
        self.refusals.retain(|refusal| refusal.held.agent != *id);
        let (ended, kept) = std::mem::take(&mut self.tasks).into_iter().partition(|task| task.held.agent == *id);
        self.tasks = kept;
        self.copies.retain(|copy| copy.held.agent != *id);
        self.executors.retain(|executor| executor.held.agent != *id);
        self.agents.retain(|known| known.agent.id != *id);
        self.untrack_idle();
        ended
    }

    /// Remembers what became of an agent, which nobody expects any more.
    fn remember(&mut self, id: &AgentId, fate: Fate) {
        if fate == Fate::Gone {
            self.deactivated.retain(|other| other != id);
        }
        self.leave_list(id);
        self.departed.retain(|departed| departed.id != *id);
        self.departed.push(Departed { id: id.clone(), fate });
        if self.departed.len() > self.config.remembered.agents {
            let forgotten = self.departed.remove(0);
            self.unreachable_tasks.retain(|task| task.agent != forgotten.id);
            self.drains.remove(&forgotten.id);
            self.deactivated.retain(|other| *other != forgotten.id);
        }
    }

    /// Tells the end of a task, if there is anybody to tell.
    pub(super) fn tell_end(&mut self, task: &LiveTask, state: TaskState, reason: &str) {
        self.tell_master(&task.held.framework, task.id.clone(), Some(task.held.agent.clone()), state, reason);
    }

    /// Tells a registered framework what the master says of a task: `TASK_LOST` if it does not distinguish more.
    pub(super) fn tell_master(
        &mut self,
        framework: &FrameworkId,
        task: TaskId,
        agent: Option<AgentId>,
        state: TaskState,
        reason: &str,
    ) {
        if self.registered(framework).is_none() {
            return;
        }
        let special = [TaskState::Unreachable, TaskState::Gone, TaskState::GoneByOperator, TaskState::Dropped];
        let is_special = special.contains(&state) || state == TaskState::Unknown;
        let state = if is_special && !self.is_aware(framework) { TaskState::Lost } else { state };
        let mut status = TaskStatus::new(task, state).reason(reason);
        status.source = Some(StatusSource::Master);
        if state == TaskState::Unreachable {
            let since = match agent.as_ref().and_then(|agent| self.fate(agent)) {
                Some(Fate::Unreachable { since }) => since,
                _ => self.now,
            };
            status.details.insert("unreachable_time", json!({"nanoseconds": since.as_micros() * 1000}));
        }
        status.agent = agent;
        self.emit(Effect::Status { framework: framework.clone(), status });
    }

    pub(super) fn is_aware(&self, framework: &FrameworkId) -> bool {
        self.framework(framework).is_some_and(|known| known.framework.has_capability(Capability::PartitionAware))
    }
}
