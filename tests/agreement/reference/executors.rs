//! Executors: what they hold for themselves, from the first task to their end.

use super::agents::is_id;
use super::{Held, Reference, Refused};
use apportion::{AgentId, Effect, ExecutorId, ExecutorInfo, ExecutorRef, FrameworkId, Task};

#[derive(Debug, Clone)]
pub(crate) struct LiveExecutor {
    pub(crate) id: ExecutorId,
    pub(crate) held: Held,
    /// None if only its id is known, since it came with its agent.
    pub(crate) info: Option<ExecutorInfo>,
}

impl Reference {
    pub(super) fn executor(&self, framework: &FrameworkId, agent: &AgentId, id: &ExecutorId) -> Option<&LiveExecutor> {
        let key = |executor: &&LiveExecutor| {
            (&executor.held.framework, &executor.held.agent, &executor.id) == (framework, agent, id)
        };
        self.executors.iter().find(key)
    }

    pub(super) fn executor_ended(&mut self, ended: ExecutorRef, status: i32) -> Result<(), Refused> {
        let ExecutorRef { framework, agent, executor, .. } = ended;
        let known = self.executor(&framework, &agent, &executor).is_some();
        let registered = self.registered(&framework).is_some();
        if !known && !registered {
            return Err("no such framework");
        }
        self.executors
            .retain(|other| (&other.held.framework, &other.held.agent, &other.id) != (&framework, &agent, &executor));
        self.untrack_idle();
        if registered {
            self.emit(Effect::ExecutorEnded { framework, agent, executor, status });
        }
        Ok(())
    }
}

/// The executor that a task names, if it is said well.
pub(super) fn executor_of(task: &Task) -> Result<Option<ExecutorInfo>, Refused> {
    let info = ExecutorInfo::of(task).map_err(|_| "not an executor")?;
    match info {
        Some(info) if !is_id(info.id.as_str()) => Err("not an id"),
        Some(mut info) => {
            info.role = None;
            Ok(Some(info))
        }
        None => Ok(None),
    }
}
