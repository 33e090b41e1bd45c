//! Limits that the kernel does not enforce: what a sandbox takes of the disk, and ports that belong to others. They are looked at now
//! and then, and a container that is beyond them is ended; output that is too long is begun anew.

use super::{Container, Containers, Stage};
use crate::machine::Limitation;
use apportion::{Ranges, Resources};
use apportion_exec::{ports, rotation, sandbox};
use std::sync::Arc;

impl Containers {
    /// Ends containers whose sandboxes take more of the disk than they have. It takes as long as there are files.
    pub(crate) fn enforce_disk(&self) {
        for container in self.running() {
            let (resources, directory) = {
                let state = container.lock();
                (state.resources.clone(), state.directory.clone())
            };
            let Ok(used) = sandbox::disk_use(&directory) else { continue }; // it is gone by now
            if let Some(limitation) = over_disk(&resources, used) {
                container.reach(limitation);
            }
        }
    }

    /// Ends containers that listen on ports of the agent which are not theirs.
    pub(crate) fn enforce_ports(&self) {
        let all = self.0.settings.machine.agent.resources.ranges("ports");
        for container in self.running() {
            let (resources, tree) = {
                let state = container.lock();
                let Stage::Running(process) = &state.stage else { continue };
                (state.resources.clone(), process.tree().clone())
            };
            let listens = ports::listening(&tree.members());
            if let Some(limitation) = foreign_ports(&all, &resources, listens) {
                container.reach(limitation);
            }
        }
    }

    /// Begins output anew that is longer than it may be.
    pub(crate) fn rotate_logs(&self) {
        let Some(max) = self.0.settings.max_log_size else { return };
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        for container in all {
            let directory = container.lock().directory.clone();
            if let Err(error) = rotation::rotate(&directory, max) {
                tracing::debug!(%error, directory = %directory.display(), "output is not bounded"); // it is gone by now
            }
        }
    }

    /// Returns the containers whose resources are known: those of an earlier run of the agent have none until their executors are back.
    fn running(&self) -> Vec<Arc<Container>> {
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        let is_known = |container: &Arc<Container>| !container.lock().resources.is_empty();
        all.into_iter().filter(is_known).collect()
    }
}

/// Returns the limit that a sandbox of that size has reached, in bytes. A container without disk has no limit, as in Mesos.
fn over_disk(resources: &Resources, used: u64) -> Option<Limitation> {
    let amount = resources.amount("disk");
    let limit = amount.as_milli().saturating_mul(1 << 20) / 1000;
    (!amount.is_zero() && used > limit).then(|| Limitation {
        reason: "REASON_CONTAINER_LIMITATION_DISK".into(),
        message: format!("Disk usage ({} KB) exceeds quota ({} KB)", used >> 10, limit >> 10).into(),
    })
}

/// Returns the limit that a container has reached which listens on these ports.
fn foreign_ports(all: &Ranges, resources: &Resources, listens: impl IntoIterator<Item = u16>) -> Option<Limitation> {
    let own = resources.ranges("ports");
    let is_foreign = |port: &u16| all.contains((*port).into()) && !own.contains((*port).into());
    let foreign: Vec<String> = listens.into_iter().filter(is_foreign).map(|port| port.to_string()).collect();
    (!foreign.is_empty()).then(|| Limitation {
        reason: "REASON_CONTAINER_LIMITATION".into(),
        message: format!("Container is listening on unallocated ports: {}", foreign.join(", ")).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_may_fill_its_disk() {
        let resources = "disk:2".parse().unwrap();
        assert_eq!(over_disk(&resources, 2 << 20), None);
        let limit = over_disk(&resources, (2 << 20) + 1024).unwrap();
        assert_eq!(limit.message, "Disk usage (2049 KB) exceeds quota (2048 KB)");
        assert_eq!(over_disk(&"cpus:1".parse().unwrap(), 1 << 40), None, "it has no disk");
    }

    #[test]
    fn ports_of_others_are_those_of_the_agent_alone() {
        let all = "ports:[31000-32000]".parse::<Resources>().unwrap().ranges("ports");
        let resources = "ports:[31005-31006]".parse().unwrap();
        assert_eq!(foreign_ports(&all, &resources, [80, 31_005, 31_006, 40_000]), None);
        let limit = foreign_ports(&all, &resources, [31_004, 31_005, 31_007]).unwrap();
        assert_eq!(limit.message, "Container is listening on unallocated ports: 31004, 31007");
    }
}
