//! Draining: an agent is emptied, and offers nothing until it is activated again.

use super::{LiveTask, Reference, Refused};
use apportion::{AgentId, Drain, Effect};
use std::time::Duration;

impl Reference {
    pub(super) fn drain_agent(&mut self, id: &AgentId, drain: Drain) -> Result<(), Refused> {
        if self.drains.contains_key(id) {
            return Err("it drains already");
        }
        if self.agent(id).is_none() && !self.is_missing(id) {
            return Err("no such agent");
        }
        self.drains.insert(id.clone(), drain);
        if self.agent(id).is_none() {
            return Ok(());
        }
        self.rescind(|offer| offer.held.agent == *id);
        self.rescind_inverse(|offer| offer.agent == *id);
        self.untrack_idle();
        self.emit(Effect::Drain { agent: id.clone(), drain });
        for task in self.tasks.clone().iter().filter(|task| task.held.agent == *id) {
            self.kill_drained(task, drain);
        }
        Ok(())
    }

    /// Kills a task with the shorter of its own grace period and the longest one that a drain allows.
    pub(super) fn kill_drained(&mut self, task: &LiveTask, drain: Drain) {
        let own =
            task.details.get("kill_policy").and_then(|policy| policy.get("grace_period")?.get("nanoseconds")?.as_u64());
        let grace = own.map(Duration::from_nanos).into_iter().chain(drain.max_grace_period).min();
        self.emit_kill(task.held.agent.clone(), task.held.framework.clone(), task.id.clone(), grace);
    }

    /// Agents on which no task is left are drained; some of them are gone then.
    pub(super) fn end_drains(&mut self) {
        for known in self.agents.clone() {
            let id = known.agent.id;
            let gone = self.drains.get(&id).is_some_and(|drain| drain.mark_gone);
            let tasks = self.tasks.iter().map(|task| &task.held).chain(self.copies.iter().map(|copy| &copy.held));
            let is_empty = tasks.filter(|held| held.agent == id).count() == 0;
            if gone && is_empty && known.connected {
                self.agent_gone(&id).expect("it is there");
            }
        }
    }
}
