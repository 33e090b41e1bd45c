//! Version 1: a hierarchy for each controller, or for some together.

use super::mounts::Mount;
use super::{CgroupError, Limits, Usage, keyed, make, number, try_out, write};
use std::fs;
use std::io;
use std::path::PathBuf;

/// The controllers that are used: the first limits and accounts memory, the next two CPUs; processes in the last do not belong to
/// the service of the agent.
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "cpuacct", "name=systemd"];

/// The period of a CPU quota and the least quota in it, in microseconds (Mesos' `CPU_CFS_PERIOD`, `MIN_CPU_CFS_QUOTA`).
pub(super) const PERIOD_MICROS: u64 = 100_000;
pub(super) const MIN_QUOTA_MICROS: u64 = 1_000;

/// A memory limit above this is none: the kernel says so with a number next to 2^63.
pub(super) const NO_LIMIT: u64 = 1 << 62;

/// The folders below which the containers' cgroups are, with their controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchies(Vec<(&'static str, PathBuf)>);

impl Hierarchies {
    /// Makes the folder of all containers in each hierarchy: at its top, else below the program's own cgroup.
    pub(super) fn prepare(mounts: &[Mount], root: &str) -> Result<Self, CgroupError> {
        let mut found = Vec::new();
        for name in CONTROLLERS {
            let mount = mounts.iter().find(|mount| mount.controllers.iter().any(|controller| controller == name));
            let Some(mount) = mount else { continue };
            let mut refused = None;
            let folder = [&mount.folder, &mount.own].into_iter().map(|base| base.join(root)).find(|folder| {
                let made = make(folder).and_then(|()| try_out(folder));
                made.map_err(|error| refused.get_or_insert(error)).is_ok()
            });
            match (folder, refused) {
                (Some(folder), _) => found.push((name, folder)),
                (None, _) if name == "name=systemd" => {} // of use, but no need
                (None, error) => {
                    let reason = error.map_or_else(String::new, |error| error.to_string());
                    return Err(CgroupError::Unavailable { reason });
                }
            }
        }
        Ok(Self(found))
    }

    pub(super) fn roots(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(_, root)| root.clone()).collect()
    }

    /// Returns the folders of a container, that of the memory first. Controllers may share one.
    pub(super) fn folders(&self, id: &str) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for (_, root) in &self.0 {
            let folder = root.join(id);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    fn file(&self, controller: &str, id: &str, file: &str) -> Option<PathBuf> {
        let (_, root) = self.0.iter().find(|(name, _)| *name == controller)?;
        Some(root.join(id).join(file))
    }

    fn number(&self, controller: &str, id: &str, file: &str) -> Option<u64> {
        number(&self.file(controller, id, file)?)
    }

    fn text(&self, controller: &str, id: &str, file: &str) -> String {
        self.file(controller, id, file).and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default()
    }

    pub(super) fn join_thread(&self, id: &str) -> io::Result<()> {
        self.folders(id).iter().try_for_each(|folder| fs::write(folder.join("tasks"), "0"))
    }

    pub(super) fn limit(&self, id: &str, limits: &Limits) -> Result<(), CgroupError> {
        if let Some(shares) = self.file("cpu", id, "cpu.shares") {
            write(shares, (limits.milli_cpus.saturating_mul(1024) / 1000).max(2))?;
            let quota = self.file("cpu", id, "cpu.cfs_quota_us").filter(|file| limits.quota || file.exists());
            if let Some(quota) = quota {
                if limits.quota {
                    write(quota.with_file_name("cpu.cfs_period_us"), PERIOD_MICROS)?;
                    let micros = limits.milli_cpus.saturating_mul(PERIOD_MICROS / 1000).max(MIN_QUOTA_MICROS);
                    write(quota, micros)?;
                } else {
                    write(quota, -1)?;
                }
            }
        }
        let Some(hard) = self.file("memory", id, "memory.limit_in_bytes") else { return Ok(()) };
        let Some(memory) = limits.memory else { return write(hard, -1) };
        write(hard.with_file_name("memory.soft_limit_in_bytes"), memory)?;
        let used = self.number("memory", id, "memory.usage_in_bytes").unwrap_or(0);
        if memory > used { write(hard, memory) } else { Ok(()) }
    }

    pub(super) fn oom_kills(&self, id: &str) -> u64 {
        keyed(&self.text("memory", id, "memory.oom_control"), "oom_kill").unwrap_or(0)
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds for people, exact for more than a hundred years")]
    pub(super) fn usage(&self, id: &str) -> Usage {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let (cpuacct, cpu) = (self.text("cpuacct", id, "cpuacct.stat"), self.text("cpu", id, "cpu.stat"));
        let memory = self.text("memory", id, "memory.stat");
        let limit = |file| self.number("memory", id, file).filter(|limit| *limit < NO_LIMIT);
        Usage {
            user_secs: keyed(&cpuacct, "user").map(|number| number as f64 / ticks),
            system_secs: keyed(&cpuacct, "system").map(|number| number as f64 / ticks),
            periods: keyed(&cpu, "nr_periods"),
            throttled: keyed(&cpu, "nr_throttled"),
            throttled_secs: keyed(&cpu, "throttled_time").map(|nanos| nanos as f64 / 1e9),
            total: self.number("memory", id, "memory.usage_in_bytes"),
            limit: limit("memory.limit_in_bytes"),
            soft_limit: limit("memory.soft_limit_in_bytes"),
            total_with_swap: self.number("memory", id, "memory.memsw.usage_in_bytes"),
            anonymous: keyed(&memory, "total_rss"),
            file: keyed(&memory, "total_cache"),
            mapped_file: keyed(&memory, "total_mapped_file"),
            swap: keyed(&memory, "total_swap"),
            unevictable: keyed(&memory, "total_unevictable"),
        }
    }
}
