//! [`Statistics`]: the resource use of a container, as `/monitor/statistics` shows it.

use crate::proc::Stat;
use crate::tree::Tree;
use std::time::SystemTime;

/// The resource use of a container at a moment. Names are those of Mesos' `ResourceStatistics`, which the serialized form has too.
///
/// What is not measured is `None` and left out: without a cgroup most of it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Seconds since 1970.
    pub timestamp: f64,
    /// Processes, without those that have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Threads of all processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// The CPUs that the container has; the caller knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_limit: Option<f64>,
    /// Seconds of CPU time in user mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_user_time_secs: Option<f64>,
    /// Seconds of CPU time in the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_system_time_secs: Option<f64>,
    /// Periods of a CPU quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_nr_periods: Option<u64>,
    /// Periods in which the quota was used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_nr_throttled: Option<u64>,
    /// Seconds in which the quota was used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_throttled_time_secs: Option<f64>,
    /// Bytes of memory that the container may use: the cgroup's limit, else the caller knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_limit_bytes: Option<u64>,
    /// Bytes that it may use when memory is scarce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_soft_limit_bytes: Option<u64>,
    /// Bytes in use, with the cache of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_total_bytes: Option<u64>,
    /// Bytes in use, with what is swapped out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_total_memsw_bytes: Option<u64>,
    /// Bytes of memory that is no cache of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_rss_bytes: Option<u64>,
    /// The same, by its newer name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_anon_bytes: Option<u64>,
    /// Bytes of the cache of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_file_bytes: Option<u64>,
    /// The same, by its older name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_cache_bytes: Option<u64>,
    /// Bytes of files that are mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_mapped_file_bytes: Option<u64>,
    /// Bytes that are swapped out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_swap_bytes: Option<u64>,
    /// Bytes that cannot be reclaimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_unevictable_bytes: Option<u64>,
    /// Bytes of disk that the container has; the caller knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_limit_bytes: Option<u64>,
    /// Bytes of disk that its sandbox uses; see [`disk_use`](crate::sandbox::disk_use).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used_bytes: Option<u64>,
}

impl Statistics {
    /// Measures a container: by its cgroup, if it has one, else by summing up over the processes that are there now.
    ///
    /// ```
    /// use apportion_exec::{ProcessBuilder, statistics::Statistics};
    ///
    /// let process = ProcessBuilder::shell("sleep 1000 & wait").spawn()?;
    /// let statistics = Statistics::of(process.tree());
    /// process.kill();
    /// process.wait()?;
    /// assert!(statistics.processes >= Some(1) && statistics.cpus_user_time_secs.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "seconds for people, exact for more than a hundred years")]
    pub fn of(tree: &Tree) -> Self {
        let stats: Vec<Stat> = tree.members().into_iter().filter_map(|id| Stat::of(id.pid)).collect();
        let sum = |count: fn(&Stat) -> u64| stats.iter().map(count).fold(0, u64::saturating_add);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut statistics = Self {
            timestamp: since.as_secs_f64(),
            processes: Some(stats.len() as u64),
            threads: Some(sum(|stat| stat.threads)),
            ..Self::default()
        };
        if let Some(cgroup) = tree.its_cgroup() {
            let usage = cgroup.usage();
            statistics = Self {
                cpus_user_time_secs: usage.user_secs,
                cpus_system_time_secs: usage.system_secs,
                cpus_nr_periods: usage.periods,
                cpus_nr_throttled: usage.throttled,
                cpus_throttled_time_secs: usage.throttled_secs,
                mem_limit_bytes: usage.limit,
                mem_soft_limit_bytes: usage.soft_limit,
                mem_total_bytes: usage.total,
                mem_total_memsw_bytes: usage.total_with_swap,
                mem_rss_bytes: usage.anonymous,
                mem_anon_bytes: usage.anonymous,
                mem_file_bytes: usage.file,
                mem_cache_bytes: usage.file,
                mem_mapped_file_bytes: usage.mapped_file,
                mem_swap_bytes: usage.swap,
                mem_unevictable_bytes: usage.unevictable,
                ..statistics
            };
        }
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let secs = |ticks_used: u64| ticks_used as f64 / ticks;
        let page = rustix::param::page_size() as u64;
        statistics.cpus_user_time_secs.get_or_insert_with(|| secs(sum(|stat| stat.user_ticks)));
        statistics.cpus_system_time_secs.get_or_insert_with(|| secs(sum(|stat| stat.system_ticks)));
        statistics.mem_rss_bytes.get_or_insert_with(|| sum(|stat| stat.resident).saturating_mul(page));
        statistics
    }
}
