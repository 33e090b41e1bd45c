//! Draining: agents that get no more offers, and whose tasks are killed.

use super::command::Drain;
use super::saved::sorted_map;
use super::{CommandError, Effect, Master};
use crate::allocator::Allocator;
use crate::id::{AgentId, FrameworkId, TaskId};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The agents that drain. Draining belongs to the id, so it outlives a broken connection and a return.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Drains {
    #[serde(serialize_with = "sorted_map")]
    agents: IndexMap<AgentId, Drain, foldhash::fast::RandomState>,
    /// The agents that may have become idle since the last look, and are gone then.
    idle: Vec<AgentId>,
}

impl Drains {
    pub(super) fn get(&self, agent: &AgentId) -> Option<Drain> {
        self.agents.get(agent).copied()
    }

    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.agents.keys()
    }

    pub(super) fn end(&mut self, agent: &AgentId) {
        self.agents.swap_remove(agent);
    }
}

impl<A: Allocator> Master<A> {
    /// Returns how an agent drains, or has drained; none if it does neither.
    #[must_use]
    pub fn drain(&self, agent: &AgentId) -> Option<Drain> {
        self.drains.get(agent)
    }

    /// Returns whether an agent has drained: it was to drain, and no task is left on it. Its executors may not have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Drain, Master, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    /// assert!(!master.has_drained(&"a1".into()));
    /// master.handle(Time::ZERO, Command::DrainAgent("a1".into(), Drain::default()))?;
    /// assert!(master.has_drained(&"a1".into())); // nothing runs on it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_drained(&self, agent: &AgentId) -> bool {
        self.drains.get(agent).is_some() && self.agents.contains(agent) && !self.tasks.any_on(agent)
    }

    pub(super) fn drain_agent(&mut self, agent: &AgentId, drain: Drain) -> Result<(), CommandError> {
        self.check_known(agent)?;
        if self.drains.get(agent).is_some() {
            return Err(CommandError::AlreadyDraining(agent.clone()));
        }
        self.drains.agents.insert(agent.clone(), drain);
        if self.agents.contains(agent) {
            self.withdraw(agent);
            self.update_activity(agent);
            self.tell_drain(agent);
            let ordinary = self.tasks.on(agent).filter(|(_, task)| !task.is_copy);
            let tasks: Vec<_> = ordinary.map(|(_, task)| (task.holding.framework.clone(), task.id.clone())).collect();
            for (framework, task) in tasks {
                self.drain_task(agent, &framework, &task);
            }
            self.note_idle(agent);
        }
        Ok(())
    }

    /// Tells an agent that it drains, if it does.
    pub(super) fn tell_drain(&mut self, agent: &AgentId) {
        if let Some(drain) = self.drains.get(agent) {
            self.emit(Effect::Drain { agent: agent.clone(), drain });
        }
    }

    /// Kills a task of an agent that drains, within the smaller of its own grace period and that of the drain.
    pub(super) fn drain_task(&mut self, agent: &AgentId, framework: &FrameworkId, task: &TaskId) {
        let Some(drain) = self.drains.get(agent) else { return };
        let Some(live) = self.tasks.get(framework, task) else { return };
        let grace = live.grace.into_iter().chain(drain.max_grace_period).min();
        let (agent, framework, task) = (agent.clone(), framework.clone(), task.clone());
        self.emit(Effect::Kill { agent, framework, task, grace });
    }

    /// Notes that an agent may have no task any more.
    pub(super) fn note_idle(&mut self, agent: &AgentId) {
        if self.drains.get(agent).is_some_and(|drain| drain.mark_gone) {
            self.drains.idle.push(agent.clone());
        }
    }

    /// Declares the agents gone that have drained, if they were to be.
    pub(super) fn finish_drains(&mut self) -> Result<(), CommandError> {
        for agent in std::mem::take(&mut self.drains.idle) {
            let is_marked = self.drains.get(&agent).is_some_and(|drain| drain.mark_gone);
            let is_connected = self.agents.contains(&agent) && !self.inactive.is_disconnected(&agent);
            if is_marked && is_connected && !self.tasks.any_on(&agent) {
                self.agent_gone(&agent)?;
            }
        }
        Ok(())
    }
}
