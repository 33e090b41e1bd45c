//! Reconciliation: the latest that is known of tasks and operations.

use super::tasks::{by_master, lost_or, unreachable_since};
use super::{CommandError, Effect, Master};
use crate::allocator::Allocator;
use crate::framework::Framework;
use crate::id::FrameworkId;
use crate::offer::{OperationState, OperationStatus};
use crate::scheduler::{OperationRef, TaskRef};
use crate::task::{TaskState, TaskStatus};

const REASON: &str = "REASON_RECONCILIATION";

impl<A: Allocator> Master<A> {
    pub(super) fn reconcile(
        &mut self,
        framework: &FrameworkId,
        tasks: Option<Vec<TaskRef>>,
    ) -> Result<(), CommandError> {
        let info = &self.framework(framework)?.framework;
        let answers: Vec<TaskStatus> = match tasks {
            None => self.tasks.of_framework(framework).into_iter().map(|task| task.status(REASON)).collect(),
            Some(asked) => asked.into_iter().filter_map(|asked| self.latest(info, asked)).collect(),
        };
        for status in answers {
            self.emit(Effect::Status { framework: framework.clone(), status });
        }
        Ok(())
    }

    /// Returns the latest status of a task. A task that is not known is answered by what is known of its agent; not at all
    /// while it may be on an agent that a new leader still expects (Mesos, `Master::reconcile`).
    fn latest(&self, framework: &Framework, asked: TaskRef) -> Option<TaskStatus> {
        if let Some(task) = self.tasks.get(&framework.id, &asked.task) {
            return Some(task.status(REASON));
        }
        let status = |state, agent| by_master(asked.task, lost_or(framework, state), REASON, agent);
        let Some(agent) = asked.agent else {
            return (!self.recovery.is_any_missing()).then(|| status(TaskState::Unknown, None));
        };
        if self.recovery.is_missing(&agent) {
            None
        } else if self.agents.contains(&agent) {
            Some(status(TaskState::Gone, Some(agent)))
        } else if let Some(since) = self.absent.unreachable_since(&agent) {
            let status = status(TaskState::Unreachable, Some(agent));
            Some(if status.state == TaskState::Lost { status } else { unreachable_since(status, since) })
        } else if self.absent.is_gone(&agent) {
            Some(status(TaskState::GoneByOperator, Some(agent)))
        } else {
            Some(status(TaskState::Unknown, Some(agent)))
        }
    }

    /// Answers that every operation is unknown: operations complete or fail at once, so the master keeps none of them.
    pub(super) fn reconcile_operations(&mut self, framework: &FrameworkId, operations: Vec<OperationRef>) {
        for OperationRef { operation, agent } in operations {
            let message = Some("Reconciliation: Operation is unknown".into());
            let status = OperationStatus { agent, message, ..OperationStatus::new(operation, OperationState::Unknown) };
            self.emit(Effect::OperationStatus { framework: framework.clone(), status });
        }
    }
}
