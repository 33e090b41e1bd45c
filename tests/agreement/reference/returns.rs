//! What an agent brings when it comes: tasks that are known or not, and executors.

use super::{Held, LiveExecutor, LiveTask, Reference, TaskCopy};
use apportion::{
    AgentId, Effect, FrameworkId, RunningExecutor, RunningTask, StatusSource, TaskId, TaskState, TaskStatus,
};

impl Reference {
    pub(super) fn copy(&self, framework: &FrameworkId, id: &TaskId, agent: &AgentId) -> Option<&TaskCopy> {
        let key = |copy: &&TaskCopy| (&copy.held.framework, &copy.id, &copy.held.agent) == (framework, id, agent);
        self.copies.iter().find(key)
    }

    /// Takes in what an agent brings. What was known there and is not brought has ended.
    pub(super) fn take_in(
        &mut self,
        agent: &AgentId,
        tasks: Vec<RunningTask>,
        executors: Vec<RunningExecutor>,
        unreachable: bool,
    ) {
        let waited: Vec<LiveTask> = self.tasks.iter().filter(|task| task.held.agent == *agent).cloned().collect();
        let brought: Vec<(FrameworkId, TaskId)> =
            tasks.iter().map(|running| (running.framework.clone(), running.task.id.clone())).collect();
        let ended = |(framework, id): (&FrameworkId, &TaskId)| {
            tasks
                .iter()
                .any(|running| (&running.framework, &running.task.id) == (framework, id) && running.state.is_terminal())
        };
        let is_left = |copy: &TaskCopy| {
            let key = (copy.held.framework.clone(), copy.id.clone());
            copy.held.agent != *agent || brought.contains(&key) && !ended((&key.0, &key.1))
        };
        self.copies = self.copies.iter().filter(|copy| is_left(copy)).cloned().collect();
        for running in tasks {
            self.take_in_task(agent, running, unreachable);
        }
        for task in waited {
            let key = (task.held.framework.clone(), task.id.clone());
            if !brought.contains(&key) {
                self.tasks.retain(|other| (&other.held.framework, &other.id) != (&key.0, &key.1));
                self.tell_end(&task, TaskState::Gone, "REASON_RECONCILIATION");
            }
        }
        for known in self.agents.iter_mut().filter(|known| known.agent.id == *agent) {
            known.told_lost.clear();
        }
        let is_brought = |known: &LiveExecutor| {
            executors.iter().any(|executor| executor.framework == known.held.framework && executor.id == known.id)
        };
        self.executors.retain(|known| known.held.agent != *agent || is_brought(known));
        for RunningExecutor { id, framework, role, resources, .. } in executors {
            if self.executor(&framework, agent, &id).is_none() {
                let held = Held { framework, role, agent: agent.clone(), resources };
                self.executors.push(LiveExecutor { id, held, info: None });
            }
        }
    }

    fn take_in_task(&mut self, agent: &AgentId, running: RunningTask, unreachable: bool) {
        let RunningTask { framework, role, task, state, executor, .. } = running;
        let id = task.id;
        let live = self.task(&framework, &id).map(|known| known.held.agent.clone());
        let is_here = live.as_ref() == Some(agent);
        if state.is_terminal() {
            self.tasks.retain(|other| !is_here || (&other.held.framework, &other.id) != (&framework, &id));
            return;
        }
        let held = Held { framework: framework.clone(), role, agent: agent.clone(), resources: task.resources };
        let was_lost =
            self.agent(agent).is_some_and(|known| known.told_lost.contains(&(framework.clone(), id.clone())));
        let is_copy = self.copy(&framework, &id, agent).is_some();
        if !is_here && (is_copy || live.is_some() || was_lost) {
            if !is_copy {
                self.copies.push(TaskCopy { id: id.clone(), held });
                if live.is_some() {
                    let (agent, framework, task) = (agent.clone(), framework.clone(), id.clone());
                    self.emit(Effect::TaskConflict { agent, framework, task });
                }
            }
            self.emit_kill(agent.clone(), framework, id, None);
            return;
        }
        if is_here {
            for known in self.tasks.iter_mut() {
                if (&known.held.framework, &known.id) == (&framework, &id) {
                    known.state = state;
                }
            }
        } else {
            let mut new = LiveTask::new(id.clone(), state, held, task.details);
            new.executor = executor;
            self.tasks.push(new);
        }
        if unreachable && self.registered(&framework).is_some() {
            let mut status = TaskStatus::new(id.clone(), state).reason("REASON_AGENT_REREGISTERED");
            status.agent = Some(agent.clone());
            status.source = Some(StatusSource::Master);
            self.emit(Effect::Status { framework: framework.clone(), status });
        }
        let known = self.task(&framework, &id).cloned().expect("it was just taken in");
        if self.removed.contains(&framework) {
            self.emit_kill(agent.clone(), framework, id, None);
        } else if let Some(drain) = self.drains.get(agent).copied() {
            self.kill_drained(&known, drain);
        }
    }
}
