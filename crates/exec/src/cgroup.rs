//! Cgroups: limits and accounts of the kernel, and a fence that no process of a container can leave.
//!
//! Both versions are used as Mesos does: `mesos/ID/leaf` in version 2, `mesos/ID` below each of memory, cpu and cpuacct in
//! version 1.
//!
//! ```no_run
//! use apportion_exec::ProcessBuilder;
//! use apportion_exec::cgroup::{Cgroups, Limits};
//!
//! let cgroups = Cgroups::detect("mesos")?; // Err says why there are none: containers are not limited then
//! let cgroup = cgroups.create("c1")?;
//! cgroup.limit(&Limits { milli_cpus: 500, memory: Some(64 << 20), quota: false })?;
//! let process = ProcessBuilder::shell("exec server").cgroup(cgroup.clone()).spawn()?;
//! process.wait()?;
//! let was_out_of_memory = cgroup.oom_kills() > 0;
//! cgroup.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod mounts;
mod own;
mod usage;
mod v1;
mod v2;

use crate::tree::Tree;
use mounts::Mounts;
pub use own::OwnMemory;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
pub(crate) use usage::Usage;

/// The least memory limit, 32 MB (Mesos' `MIN_MEMORY`).
pub const MIN_MEMORY: u64 = 32 << 20;

/// How often a cgroup is tried to be removed, and the pause in between: its last processes may still be ending.
const REMOVE_TRIES: u32 = 200;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// The place of all containers' cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    layout: Layout,
    limits: Result<(), String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    V1(v1::Hierarchies),
    V2(v2::Hierarchy),
}

/// The cgroup of one container. It is a name: it may be made again after a restart by [`Cgroups::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    layout: Layout,
    id: String,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an agent says all of it")]
pub struct Limits {
    /// Thousandths of a CPU: the share of the container when CPUs are scarce.
    pub milli_cpus: u64,
    /// Bytes of memory, at least [`MIN_MEMORY`]; `None` is no limit.
    pub memory: Option<u64>,
    /// Whether the container gets no more than its CPUs even if others are idle (`--cgroups_enable_cfs`).
    pub quota: bool,
}

/// Why cgroups cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// The system has none, or this program may not use them.
    #[error("no cgroups can be used: {reason}")]
    Unavailable {
        /// What was tried, with the system's words.
        reason: String,
    },
    /// An id that is no name of a folder.
    #[error("found container id {id:?}, expected a name without slashes")]
    Id {
        /// The id.
        id: String,
    },
    /// A file of a cgroup cannot be read, written, made or removed.
    #[error("cgroup {}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl Cgroups {
    /// Finds where this program may make cgroups, below a folder with that path (`--cgroups_root`): at the top of the hierarchy, so
    /// that containers are not in the agent's own cgroup; else, if only that is delegated, beside the agent below its own.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Unavailable`] with the reason, for the one warning of an agent.
    pub fn detect(root: &str) -> Result<Self, CgroupError> {
        let root = root.trim_matches('/');
        root.split('/').try_for_each(check_id)?;
        let text = |path: &str| {
            fs::read_to_string(path).map_err(|error| CgroupError::Unavailable { reason: format!("{path}: {error}") })
        };
        let mounts = Mounts::parse(&text("/proc/self/mounts")?, &text("/proc/self/cgroup")?);
        Self::among(&mounts, root)
    }

    /// Version 1 is used where it has the memory: version 2 has no controllers then.
    fn among(mounts: &Mounts, root: &str) -> Result<Self, CgroupError> {
        if mounts.v1.iter().any(|mount| mount.controllers.iter().any(|controller| controller == "memory")) {
            let hierarchies = v1::Hierarchies::prepare(&mounts.v1, root)?;
            return Ok(Self { layout: Layout::V1(hierarchies), limits: Ok(()) });
        }
        let Some(mount) = &mounts.v2 else {
            return Err(CgroupError::Unavailable { reason: "none are mounted".to_owned() });
        };
        let (hierarchy, limits) = v2::Hierarchy::prepare(mount, root)?;
        Ok(Self { layout: Layout::V2(hierarchy), limits })
    }

    /// Returns why containers can only be told apart, but not limited: `None` if they can be.
    pub fn no_limits(&self) -> Option<&str> {
        self.limits.as_ref().err().map(String::as_str)
    }

    /// Makes the cgroup of a container. It is not an error if it is there.
    ///
    /// # Errors
    ///
    /// [`CgroupError`] if the id is no name, or the system refuses.
    pub fn create(&self, id: &str) -> Result<Cgroup, CgroupError> {
        check_id(id)?;
        let cgroup = Cgroup { layout: self.layout.clone(), id: id.to_owned() };
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.folders(id).iter().try_for_each(|folder| make(folder))?,
            Layout::V2(hierarchy) => make(&hierarchy.leaf(id))?,
        }
        Ok(cgroup)
    }

    /// Returns the cgroup of a container that an earlier run of this program made, if it is there.
    pub fn find(&self, id: &str) -> Option<Cgroup> {
        check_id(id).ok()?;
        let cgroup = Cgroup { layout: self.layout.clone(), id: id.to_owned() };
        cgroup.folders().iter().any(|folder| folder.is_dir()).then_some(cgroup)
    }

    /// Returns the ids of all containers that have a cgroup, also of those of other agents on this machine: an agent
    /// removes only those that it knows.
    pub fn ids(&self) -> Vec<String> {
        let roots = match &self.layout {
            Layout::V1(hierarchies) => hierarchies.roots(),
            Layout::V2(hierarchy) => vec![hierarchy.root().to_owned()],
        };
        let mut ids: Vec<String> = roots.iter().flat_map(|root| subfolders(root)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Cgroup {
    /// Returns the id of the container.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the folder of the cgroup; of version 1 that of the memory.
    pub fn folder(&self) -> PathBuf {
        self.folders().into_iter().next().unwrap_or_default()
    }

    fn folders(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.folders(&self.id),
            Layout::V2(hierarchy) => vec![hierarchy.folder(&self.id)],
        }
    }

    /// Sets or changes the limits. A memory limit below what is in use now would kill: then only the soft limit follows, as in Mesos.
    ///
    /// # Errors
    ///
    /// [`CgroupError::File`] for the first file that cannot be written.
    pub fn limit(&self, limits: &Limits) -> Result<(), CgroupError> {
        let limits = Limits { memory: limits.memory.map(|memory| memory.max(MIN_MEMORY)), ..*limits };
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.limit(&self.id, &limits),
            Layout::V2(hierarchy) => hierarchy.limit(&self.id, &limits),
        }
    }

    /// Returns how many processes of the container the kernel has killed because its memory was used up.
    pub fn oom_kills(&self) -> u64 {
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.oom_kills(&self.id),
            Layout::V2(hierarchy) => hierarchy.oom_kills(&self.id),
        }
    }

    /// Removes the cgroup, for which all its processes must have ended. It is not an error if it is gone.
    ///
    /// # Errors
    ///
    /// [`CgroupError::File`] for a folder that cannot be removed within two seconds.
    pub fn remove(&self) -> Result<(), CgroupError> {
        self.folders().iter().try_for_each(|folder| remove(folder))
    }

    /// Returns the numbers of the processes in it.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.folders().iter().flat_map(|folder| pids_below(folder)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Returns whether each process was in the cgroup before its program ran, so that nothing can be outside.
    pub(crate) const fn is_tight(&self) -> bool {
        matches!(self.layout, Layout::V1(_))
    }

    /// Has the kernel kill all processes at once, if it can.
    pub(crate) fn kill(&self) {
        if let Layout::V2(hierarchy) = &self.layout {
            let _ = fs::write(hierarchy.folder(&self.id).join("cgroup.kill"), "1"); // since Linux 5.14
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.usage(&self.id),
            Layout::V2(hierarchy) => hierarchy.usage(&self.id),
        }
    }

    /// Moves the calling thread into the cgroup, if the version can: what it starts is there from its beginning.
    pub(crate) fn join_thread(&self) -> io::Result<()> {
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.join_thread(&self.id),
            Layout::V2(_) => Ok(()),
        }
    }

    /// Moves a process into the cgroup, if it is not there already by [`Self::join_thread`]. It is not an error if it has ended.
    pub(crate) fn take(&self, pid: u32) -> io::Result<()> {
        let Layout::V2(hierarchy) = &self.layout else { return Ok(()) };
        match fs::write(hierarchy.leaf(&self.id).join("cgroup.procs"), pid.to_string()) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    /// Moves all processes of a tree into the cgroup that are not there.
    pub(crate) fn take_all(&self, tree: &Tree) -> io::Result<()> {
        if matches!(self.layout, Layout::V1(_)) {
            return Ok(());
        }
        // What is moved starts all that follows in the cgroup, so this ends once all that was started before is moved.
        loop {
            let there = self.pids();
            let outside: Vec<u32> = tree.members().iter().map(|id| id.pid).filter(|pid| !there.contains(pid)).collect();
            if outside.is_empty() {
                return Ok(());
            }
            outside.into_iter().try_for_each(|pid| self.take(pid))?;
        }
    }
}

fn check_id(id: &str) -> Result<(), CgroupError> {
    let is_name = !id.is_empty() && id.len() <= 255 && id != "." && id != ".." && !id.contains(['/', '\0', '\n']);
    if is_name { Ok(()) } else { Err(CgroupError::Id { id: id.to_owned() }) }
}

fn make(folder: &Path) -> Result<(), CgroupError> {
    fs::create_dir_all(folder).map_err(|error| CgroupError::File { path: folder.to_owned(), error })
}

/// Makes and removes a cgroup: some systems let one make the first folder only.
fn try_out(folder: &Path) -> Result<(), CgroupError> {
    let probe = folder.join(format!("probe-{}", std::process::id()));
    make(&probe)?;
    match fs::remove_dir(&probe) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CgroupError::File { path: probe, error }),
        Ok(()) | Err(_) => Ok(()), // another thread may have tried it out too
    }
}

/// Removes a cgroup with those below it, which its processes may have made.
fn remove(folder: &Path) -> Result<(), CgroupError> {
    for name in subfolders(folder) {
        remove(&folder.join(name))?;
    }
    let mut tries = 0;
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if tries == REMOVE_TRIES => return Err(CgroupError::File { path: folder.to_owned(), error }),
            Err(_) => thread::sleep(REMOVE_PAUSE),
        }
        tries += 1;
    }
}

/// Returns the processes of a cgroup and all below it.
fn pids_below(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    pids.extend(subfolders(folder).iter().flat_map(|name| pids_below(&folder.join(name))));
    pids
}

fn subfolders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn write(path: PathBuf, value: impl std::fmt::Display) -> Result<(), CgroupError> {
    fs::write(&path, value.to_string()).map_err(|error| CgroupError::File { path, error })
}

/// Returns the number in a file; `max` and what is no number is `None`.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Returns the value of a key in a file of lines `KEY VALUE`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests;
