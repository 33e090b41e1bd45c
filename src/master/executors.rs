//! Messages between executors and their schedulers, which the master forwards.

use super::{CommandError, Effect, ExecutorRef, Master};
use crate::allocator::{Allocator, AllocatorError};
use crate::id::{AgentId, FrameworkId};
use crate::offer::{OperationState, OperationStatus};
use crate::scheduler::OperationRef;

impl<A: Allocator> Master<A> {
    fn check_agent_known(&self, agent: &AgentId) -> Result<(), CommandError> {
        let unknown = || AllocatorError::UnknownAgent(agent.clone()).into();
        self.agents.contains_key(agent).then_some(()).ok_or_else(unknown)
    }

    pub(super) fn message(&mut self, to: ExecutorRef, data: Vec<u8>) -> Result<(), CommandError> {
        self.check_agent_known(&to.agent)?;
        let ExecutorRef { framework, agent, executor } = to;
        self.emit(Effect::Message { agent, framework, executor, data });
        Ok(())
    }

    pub(super) fn shutdown(&mut self, executor: ExecutorRef) -> Result<(), CommandError> {
        self.check_agent_known(&executor.agent)?;
        let ExecutorRef { framework, agent, executor } = executor;
        self.emit(Effect::Shutdown { agent, framework, executor });
        Ok(())
    }

    pub(super) fn executor_message(&mut self, from: ExecutorRef, data: Vec<u8>) -> Result<(), CommandError> {
        self.framework(&from.framework)?;
        let ExecutorRef { framework, agent, executor } = from;
        self.emit(Effect::ExecutorMessage { framework, agent, executor, data });
        Ok(())
    }

    pub(super) fn executor_ended(&mut self, ended: ExecutorRef, status: i32) -> Result<(), CommandError> {
        self.framework(&ended.framework)?;
        let ExecutorRef { framework, agent, executor } = ended;
        self.emit(Effect::ExecutorEnded { framework, agent, executor, status });
        Ok(())
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
