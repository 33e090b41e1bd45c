//! Tasks: what runs where, and what is known of it.

use super::{Fate, LiveTask, Reference, Refused};
use apportion::{AgentId, Effect, FrameworkId, Kill, StatusSource, TaskId, TaskRef, TaskState, TaskStatus};
use std::time::Duration;

impl Reference {
    pub(crate) fn task(&self, framework: &FrameworkId, id: &TaskId) -> Option<&LiveTask> {
        self.tasks.iter().find(|task| task.held.framework == *framework && task.id == *id)
    }

    pub(super) fn task_status(&mut self, framework: &FrameworkId, mut status: TaskStatus) -> Result<(), Refused> {
        let live = self.task(framework, &status.task).map(|task| task.held.agent.clone());
        let named = status.agent.clone();
        if let Some(agent) = live.clone().filter(|agent| named.as_ref().is_none_or(|named| named == agent)) {
            for task in &mut self.tasks {
                if task.held.framework == *framework && task.id == status.task {
                    task.state = status.state;
                    task.healthy = status.healthy;
                    task.container_status = status.details.get("container_status").cloned();
                    task.executor = status.executor.clone().or_else(|| task.executor.take());
                }
            }
            self.tasks.retain(|task| {
                task.held.framework != *framework || task.id != status.task || !status.state.is_terminal()
            });
            self.untrack_idle();
            status.agent = Some(agent);
            self.forward(framework, status);
            return Ok(());
        }
        let copy = named.filter(|agent| live.is_some() || self.copy(framework, &status.task, agent).is_some());
        if let Some(agent) = copy {
            if status.state.is_terminal() {
                self.copies.retain(|copy| {
                    (&copy.held.framework, &copy.id, &copy.held.agent) != (framework, &status.task, &agent)
                });
                self.untrack_idle();
            }
            if let Some(uuid) = status.uuid.filter(|_| self.agent(&agent).is_some()) {
                self.emit(Effect::Acknowledge { agent, framework: framework.clone(), task: status.task, uuid });
            }
            return Ok(());
        }
        if status.uuid.is_none() {
            return Err("no such task");
        }
        self.forward(framework, status);
        Ok(())
    }

    fn forward(&mut self, framework: &FrameworkId, status: TaskStatus) {
        if self.registered(framework).is_some() {
            self.emit(Effect::Status { framework: framework.clone(), status });
        }
    }

    pub(super) fn kill(&mut self, framework: &FrameworkId, kill: Kill) -> Result<(), Refused> {
        self.registered(framework).ok_or("no such framework")?;
        let agent = self.task(framework, &kill.task).ok_or("no such task")?.held.agent.clone();
        if kill.agent.is_some_and(|named| named != agent) {
            return Err("it runs elsewhere");
        }
        self.emit_kill(agent, framework.clone(), kill.task, kill.grace);
        Ok(())
    }

    pub(super) fn emit_kill(&mut self, agent: AgentId, framework: FrameworkId, task: TaskId, grace: Option<Duration>) {
        self.emit(Effect::Kill { agent, framework, task, grace });
    }

    pub(super) fn reconcile(&mut self, framework: &FrameworkId, asked: Option<Vec<TaskRef>>) -> Result<(), Refused> {
        self.registered(framework).ok_or("no such framework")?;
        let its_tasks = self.tasks.iter().filter(|task| task.held.framework == *framework);
        let asked = asked.unwrap_or_else(|| its_tasks.map(|task| task.id.clone().into()).collect());
        for TaskRef { task, agent, .. } in asked {
            if let Some(known) = self.task(framework, &task).cloned() {
                let mut status = TaskStatus::new(task, known.state).reason("REASON_RECONCILIATION");
                status.source = Some(StatusSource::Master);
                status.agent = Some(known.held.agent);
                status.executor = known.executor;
                status.healthy = known.healthy;
                status.details.extend(known.container_status.map(|told| ("container_status", told)));
                self.emit(Effect::Status { framework: framework.clone(), status });
            } else if let Some(state) = self.state_of_unknown(agent.as_ref()) {
                self.tell_master(framework, task, agent, state, "REASON_RECONCILIATION");
            }
        }
        Ok(())
    }

    /// What is said of a task that is not known, by what is known of its agent; nothing while it may still come.
    fn state_of_unknown(&self, agent: Option<&AgentId>) -> Option<TaskState> {
        let Some(agent) = agent else {
            return self.missing().next().is_none().then_some(TaskState::Unknown);
        };
        match self.fate(agent) {
            _ if self.is_missing(agent) => None,
            _ if self.agent(agent).is_some() => Some(TaskState::Gone),
            Some(Fate::Unreachable { .. }) => Some(TaskState::Unreachable),
            Some(Fate::Gone) => Some(TaskState::GoneByOperator),
            None => Some(TaskState::Unknown),
        }
    }
}
