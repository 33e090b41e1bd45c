//! [`PortHolders`]: the tasks that have host ports, for the reason of one that lacks a port.

use super::plan_state::PlanState;
use super::ports::has;
use crate::id::TaskId;

/// The running and the launched tasks with their host ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct PortHolders<'a> {
    state: &'a PlanState<'a>,
}

impl<'a> PortHolders<'a> {
    pub(super) fn new(state: &'a PlanState<'a>) -> Self {
        Self { state }
    }

    /// Returns the first task that has a port of a host.
    pub(super) fn task(self, hostname: &str, port: u64) -> Option<TaskId> {
        let mut tasks = self.state.placed.indexed_neighbours(hostname);
        tasks.find(|(index, _)| has(&self.state.host_ports(*index), port)).map(|(_, task)| task.id.clone())
    }
}
