//! [`PortHolders`]: the tasks that have host ports, for the reason of one that lacks a port.

use super::plan_state::PlanState;
use super::ports::has;
use crate::id::TaskId;
use crate::resources::Ranges;
use indexmap::IndexMap;
use std::cell::OnceCell;

/// The running and the launched tasks with their host ports, by host. It is made when it is first asked.
#[derive(Debug)]
pub(super) struct PortHolders<'a> {
    state: &'a PlanState<'a>,
    by_host: OnceCell<ByHost<'a>>,
}

type ByHost<'a> = IndexMap<&'a str, Vec<(&'a TaskId, Ranges)>>;

impl<'a> PortHolders<'a> {
    pub(super) fn new(state: &'a PlanState<'a>) -> Self {
        Self { state, by_host: OnceCell::new() }
    }

    /// Returns the task that has a port of a host.
    pub(super) fn task(&self, hostname: &str, port: u64) -> Option<TaskId> {
        let tasks = self.by_host.get_or_init(|| self.index()).get(hostname)?;
        tasks.iter().find(|(_, ports)| has(ports, port)).map(|(task, _)| (*task).clone())
    }

    fn index(&self) -> ByHost<'a> {
        let running = self.state.running.iter().map(|task| (&task.location, &task.task, task.host_ports()));
        let launched = self.state.launches.iter();
        let launched = launched.map(|launch| (&launch.location, &launch.id, launch.resources.ranges("ports")));
        let mut by_host = ByHost::new();
        for (location, task, ports) in running.chain(launched).filter(|(_, _, ports)| !ports.is_empty()) {
            by_host.entry(location.hostname.as_str()).or_default().push((task, ports));
        }
        by_host
    }
}
