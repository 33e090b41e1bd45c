//! [`OwnMemory`]: the memory of the cgroup that this program itself is in.

use super::mounts::Mounts;
use super::{keyed, number};
use std::fs;
use std::path::{Path, PathBuf};

/// The memory that this program shares with what it has started. An executor tells by it why its task was killed.
///
/// ```no_run
/// use apportion_exec::ProcessBuilder;
/// use apportion_exec::cgroup::OwnMemory;
///
/// let memory = OwnMemory::find();
/// let before = memory.oom_kills();
/// let exit = ProcessBuilder::shell("tail /dev/zero").spawn()?.wait()?;
/// if exit.status().and_then(|status| status.signal()) == Some(9) && memory.oom_kills() > before {
///     println!("it needed more than {:?} bytes", memory.limit());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMemory {
    /// The file that counts what was killed, and the file with the limit; none without a cgroup.
    files: Option<[PathBuf; 2]>,
}

impl OwnMemory {
    /// Finds the cgroup. There may be none: then nothing is ever counted.
    pub fn find() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self::among(&Mounts::parse(&text("/proc/self/mounts"), &text("/proc/self/cgroup")))
    }

    pub(super) fn among(mounts: &Mounts) -> Self {
        let of_v1 = mounts.v1.iter().find(|mount| mount.controllers.iter().any(|name| name == "memory"));
        let files = match (of_v1, &mounts.v2) {
            (Some(mount), _) => Some(["memory.oom_control", "memory.limit_in_bytes"].map(|file| mount.own.join(file))),
            // Of version 2 a leaf has no controllers of its own, if those above it limit it.
            (None, Some(mount)) => [Some(mount.own.as_path()), mount.own.parent()]
                .into_iter()
                .flatten()
                .map(|folder| ["memory.events", "memory.max"].map(|file| folder.join(file)))
                .find(|[events, _]| events.exists()),
            (None, None) => None,
        };
        Self { files }
    }

    /// Returns how many processes the kernel has killed because the memory was used up.
    pub fn oom_kills(&self) -> u64 {
        let count = |file: &Path| keyed(&fs::read_to_string(file).ok()?, "oom_kill");
        self.files.as_ref().and_then(|[events, _]| count(events)).unwrap_or(0)
    }

    /// Returns the bytes of memory that there are, if they are limited.
    pub fn limit(&self) -> Option<u64> {
        let [_, limit] = self.files.as_ref()?;
        number(limit).filter(|limit| *limit < super::v1::NO_LIMIT)
    }
}
