//! Containers of an earlier run that no checkpoint names. An agent that is killed cannot end the executors of frameworks that do not
//! checkpoint, and some executors go on without it: the next run ends them.

use super::{Containers, MARK, STACK};
use crate::machine::ContainerId;
use apportion_exec::values_of_variable;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
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
                shared.end_rest(&container, None);
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
    // Many sandboxes are kept, and few of them have processes. The last part of the path is the id of the container.
    let with_processes =
        sandboxes.into_iter().filter(|sandbox| sandbox.file_name().is_some_and(|id| running.contains(id.as_bytes())));
    let unknown = with_processes.filter(|sandbox| !known.contains(sandbox));
    unknown.filter_map(|sandbox| Some(ContainerId::new(sandbox.file_name()?.to_str()?))).collect()
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
