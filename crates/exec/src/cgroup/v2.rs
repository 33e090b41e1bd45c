//! Version 2: one hierarchy, in which only leaves have processes.

use super::mounts::Mount;
use super::v1::{MIN_QUOTA_MICROS, PERIOD_MICROS};
use super::{CgroupError, Limits, Usage, keyed, make, number, try_out, write};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The controllers that containers need.
const CONTROLLERS: [&str; 2] = ["cpu", "memory"];

/// The cgroup below the program's own into which it goes, so that containers can be beside it: one with processes has no limits
/// for those below it.
const OWN_LEAF: &str = "apportion";

/// The weight of one CPU: as the shares of version 1, 1024 a CPU, the default of a cgroup.
const WEIGHT_OF_CPU: u64 = 100;

/// The folder below which the containers' cgroups are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    root: PathBuf,
}

impl Hierarchy {
    /// Makes the folder of all containers: at the top, else below the program's own cgroup. Returns whether they can be limited, or why not.
    pub(super) fn prepare(mount: &Mount, root: &str) -> Result<(Self, Result<(), String>), CgroupError> {
        let top = mount.folder.join(root);
        let Err(refused) = make(&top).and_then(|()| try_out(&top)) else {
            let enabled = match enable(&mount.folder) {
                // The top of a namespace, such as that of a container, is no top for the kernel: it must have no processes.
                Err(CgroupError::File { error, .. })
                    if error.kind() == io::ErrorKind::ResourceBusy && mount.own == mount.folder =>
                {
                    make_room(&mount.folder).and_then(|()| enable(&mount.folder))
                }
                result => result,
            };
            let limits = enabled.and_then(|()| enable_to(root, &mount.folder));
            return Ok((Self { root: top }, limits.map_err(|error| error.to_string())));
        };
        let below = mount.own.join(root);
        if mount.own == mount.folder || make(&below).and_then(|()| try_out(&below)).is_err() {
            return Err(CgroupError::Unavailable { reason: refused.to_string() });
        }
        let limits = make_room(&mount.own).and_then(|()| enable(&mount.own)).and_then(|()| enable_to(root, &mount.own));
        Ok((Self { root: below }, limits.map_err(|error| error.to_string())))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the cgroup of a container, which has its limits.
    pub(super) fn folder(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// Returns the cgroup in which the processes of a container are.
    pub(super) fn leaf(&self, id: &str) -> PathBuf {
        self.folder(id).join("leaf")
    }

    pub(super) fn limit(&self, id: &str, limits: &Limits) -> Result<(), CgroupError> {
        let folder = self.folder(id);
        write(folder.join("cpu.weight"), (limits.milli_cpus.saturating_mul(WEIGHT_OF_CPU) / 1000).clamp(1, 10_000))?;
        let max = if limits.quota {
            let micros = limits.milli_cpus.saturating_mul(PERIOD_MICROS / 1000).max(MIN_QUOTA_MICROS);
            format!("{micros} {PERIOD_MICROS}")
        } else {
            "max".to_owned()
        };
        write(folder.join("cpu.max"), max)?;
        let Some(memory) = limits.memory else { return write(folder.join("memory.max"), "max") };
        write(folder.join("memory.low"), memory)?;
        let used = number(&folder.join("memory.current")).unwrap_or(0);
        if memory > used { write(folder.join("memory.max"), memory) } else { Ok(()) }
    }

    pub(super) fn oom_kills(&self, id: &str) -> u64 {
        keyed(&text(&self.folder(id).join("memory.events")), "oom_kill").unwrap_or(0)
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds for people, exact for more than a hundred years")]
    pub(super) fn usage(&self, id: &str) -> Usage {
        let folder = self.folder(id);
        let (cpu, memory) = (text(&folder.join("cpu.stat")), text(&folder.join("memory.stat")));
        let secs = |key| keyed(&cpu, key).map(|micros| micros as f64 / 1e6);
        let swap = number(&folder.join("memory.swap.current"));
        let total = number(&folder.join("memory.current"));
        Usage {
            user_secs: secs("user_usec"),
            system_secs: secs("system_usec"),
            periods: keyed(&cpu, "nr_periods"),
            throttled: keyed(&cpu, "nr_throttled"),
            throttled_secs: secs("throttled_usec"),
            total,
            limit: number(&folder.join("memory.max")),
            soft_limit: number(&folder.join("memory.low")).filter(|limit| *limit > 0),
            total_with_swap: total.zip(swap).map(|(total, swap)| total.saturating_add(swap)),
            anonymous: keyed(&memory, "anon"),
            file: keyed(&memory, "file"),
            mapped_file: keyed(&memory, "file_mapped"),
            swap,
            unevictable: keyed(&memory, "unevictable"),
        }
    }
}

/// Moves this program to a cgroup below the one it is in.
fn make_room(own: &Path) -> Result<(), CgroupError> {
    let leaf = own.join(OWN_LEAF);
    make(&leaf)?;
    write(leaf.join("cgroup.procs"), 0)
}

/// Has each cgroup on the way to that of all containers limit those below it.
fn enable_to(root: &str, base: &Path) -> Result<(), CgroupError> {
    let mut folder = base.to_owned();
    root.split('/').try_for_each(|name| {
        folder.push(name);
        enable(&folder)
    })
}

/// Has the controllers of a cgroup limit those below it.
fn enable(folder: &Path) -> Result<(), CgroupError> {
    CONTROLLERS.iter().try_for_each(|name| write(folder.join("cgroup.subtree_control"), format!("+{name}")))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
