//! Tasks: what runs where, and what is known of it.

use super::{LiveTask, Reference, Refused};
use apportion::{Capability, Effect, FrameworkId, TaskId, TaskState, TaskStatus};

impl Reference {
    pub(crate) fn task(&self, framework: &FrameworkId, id: &TaskId) -> Option<&LiveTask> {
        self.tasks.iter().find(|task| task.held.framework == *framework && task.id == *id)
    }

    pub(super) fn task_status(&mut self, framework: &FrameworkId, status: &TaskStatus) -> Result<(), Refused> {
        self.task(framework, &status.task).ok_or("no such task")?;
        for task in &mut self.tasks {
            if task.held.framework == *framework && task.id == status.task {
                task.state = status.state;
            }
        }
        self.tasks.retain(|task| !task.state.is_terminal());
        self.untrack_idle();
        if self.framework(framework).is_some() {
            self.tell(framework, status.task.clone(), status.state);
        }
        Ok(())
    }

    /// Ends the tasks of a framework that is not registered.
    pub(super) fn remove_tasks_of(&mut self, framework: &FrameworkId) -> Result<(), Refused> {
        let before = self.tasks.len();
        self.tasks.retain(|task| task.held.framework != *framework);
        if self.tasks.len() == before { Err("no such framework") } else { Ok(()) }
    }

    pub(super) fn kill(&mut self, framework: &FrameworkId, id: &TaskId) -> Result<(), Refused> {
        self.framework(framework).ok_or("no such framework")?;
        let agent = self.task(framework, id).ok_or("no such task")?.held.agent.clone();
        self.emit(Effect::Kill { agent, framework: framework.clone(), task: id.clone(), grace: None });
        Ok(())
    }

    pub(super) fn reconcile(&mut self, framework: &FrameworkId, ids: Option<Vec<TaskId>>) -> Result<(), Refused> {
        let known = self.framework(framework).ok_or("no such framework")?;
        let aware = known.framework.has_capability(Capability::PartitionAware);
        let its_tasks = self.tasks.iter().filter(|task| task.held.framework == *framework);
        let ids = ids.unwrap_or_else(|| its_tasks.map(|task| task.id.clone()).collect());
        for id in ids {
            let state = match self.task(framework, &id) {
                Some(task) => task.state,
                None if aware => TaskState::Unknown,
                None => TaskState::Lost,
            };
            self.tell(framework, id, state);
        }
        Ok(())
    }

    fn tell(&mut self, framework: &FrameworkId, task: TaskId, state: TaskState) {
        self.emit(Effect::Status { framework: framework.clone(), status: TaskStatus::new(task, state) });
    }
}
