//! What is left of containers of an earlier run that no checkpoint knows: an agent that is killed cannot end the executors of
//! frameworks that do not checkpoint, and some of them go on without it.

use super::{Containers, MARK, STACK, remove};
use crate::machine::ContainerId;
use apportion_exec::values_of_variable;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;

impl Containers {
    /// Finds the containers of this agent's folder that have processes, but for those of `known` sandboxes. It takes a look at all
    /// processes of the machine, and must come before this run launches containers.
    pub(crate) fn leftovers(sandboxes: impl IntoIterator<Item = PathBuf>, known: &[PathBuf]) -> Vec<ContainerId> {
        let running = values_of_variable(MARK);
        unknown(sandboxes, known, &running)
    }

    /// Ends leftovers, in a thread of its own.
    pub(crate) fn end_leftovers(&self, leftovers: Vec<ContainerId>) {
        if leftovers.is_empty() {
            return;
        }
        let shared = self.0.clone();
        let spawned = thread::Builder::new().name("leftovers".to_owned()).stack_size(STACK).spawn(move || {
            for container in leftovers {
                tracing::info!(%container, "a container that no checkpoint knows is ended");
                shared.clean(&shared.tree(&container, None));
                if let Some(cgroup) = shared.cgroup(&container) {
                    remove(&cgroup);
                }
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "what is left of an earlier run is not ended");
        }
    }
}

/// Returns the containers that run in one of these sandboxes, but in no known one.
fn unknown(
    sandboxes: impl IntoIterator<Item = PathBuf>,
    known: &[PathBuf],
    running: &BTreeSet<Vec<u8>>,
) -> Vec<ContainerId> {
    let own = sandboxes.into_iter().filter(|sandbox| !known.contains(sandbox));
    let ids = own.filter_map(|sandbox| id_of(&sandbox));
    ids.filter(|id| running.contains(id.as_str().as_bytes())).collect()
}

/// Returns the container of a sandbox: the last part of its path.
fn id_of(sandbox: &Path) -> Option<ContainerId> {
    Some(ContainerId::new(sandbox.file_name()?.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_of_this_agents_folder_and_in_no_checkpoint() {
        let sandboxes = ["/w/runs/kept", "/w/runs/left", "/w/runs/ended"].map(PathBuf::from);
        let running = BTreeSet::from(["kept", "left", "of another agent"].map(|id| id.as_bytes().to_vec()));
        let found = unknown(sandboxes, &["/w/runs/kept".into()], &running);
        assert_eq!(found, [ContainerId::new("left")]);
    }
}
