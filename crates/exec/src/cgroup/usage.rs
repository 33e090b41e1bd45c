//! [`Usage`]: what the kernel counts of a container.

/// What the files of a cgroup say; `None` where there is no such file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Usage {
    /// Seconds in user and in kernel mode.
    pub(crate) user_secs: Option<f64>,
    pub(crate) system_secs: Option<f64>,
    pub(crate) periods: Option<u64>,
    pub(crate) throttled: Option<u64>,
    pub(crate) throttled_secs: Option<f64>,
    /// The rest is in bytes.
    pub(crate) total: Option<u64>,
    pub(crate) limit: Option<u64>,
    pub(crate) soft_limit: Option<u64>,
    pub(crate) total_with_swap: Option<u64>,
    pub(crate) anonymous: Option<u64>,
    pub(crate) file: Option<u64>,
    pub(crate) mapped_file: Option<u64>,
    pub(crate) swap: Option<u64>,
    pub(crate) unevictable: Option<u64>,
}
