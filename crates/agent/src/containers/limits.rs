//! The limits of a container, from its resources, and which of them it has reached.

use crate::machine::Limitation;
use apportion::Resources;
use apportion_exec::cgroup::{Cgroup, Limits, MIN_MEMORY};

/// Returns the limits of a container with these resources. Memory is counted in MB.
pub(super) fn of(resources: &Resources, quota: bool) -> Limits {
    Limits { milli_cpus: resources.amount("cpus").as_milli(), memory: Some(memory(resources)), quota }
}

/// Returns the bytes of memory of a container.
pub(super) fn memory(resources: &Resources) -> u64 {
    let thousandths = resources.amount("mem").as_milli();
    (thousandths.saturating_mul(1 << 20) / 1000).max(MIN_MEMORY)
}

/// Returns the limit that the processes of a cgroup have reached.
pub(super) fn reached(cgroup: &Cgroup, resources: &Resources) -> Option<Limitation> {
    (cgroup.oom_kills() > 0).then(|| Limitation {
        reason: "REASON_CONTAINER_LIMITATION_MEMORY".into(),
        message: format!("Memory limit exceeded: the kernel has killed for more than {} MB", memory(resources) >> 20)
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_megabytes_and_at_least_32() {
        for (resources, expected) in
            [("mem:64", 64 << 20), ("mem:1", 32 << 20), ("cpus:1", 32 << 20), ("mem:64.5", 67_633_152)]
        {
            assert_eq!(memory(&resources.parse().unwrap()), expected, "{resources}");
        }
        let limits = of(&"cpus:0.25;mem:128".parse().unwrap(), true);
        assert_eq!((limits.milli_cpus, limits.memory, limits.quota), (250, Some(128 << 20), true));
    }
}
