//! What the machine of the master says of itself.

use std::fs;
use std::thread;

/// Returns figures of the machine under Mesos' names. What the system does not tell is left out.
#[expect(clippy::cast_precision_loss, reason = "a machine has less than 2^53 bytes")]
#[must_use]
pub fn figures() -> Vec<(&'static str, f64)> {
    let mut figures = Vec::new();
    figures.extend(thread::available_parallelism().map(|cpus| ("system/cpus_total", cpus.get() as f64)));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    figures.extend(["system/load_1min", "system/load_5min", "system/load_15min"].into_iter().zip(numbers(&load)));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for (field, name) in [("MemTotal:", "system/mem_total_bytes"), ("MemFree:", "system/mem_free_bytes")] {
        let kilobytes = memory.lines().find_map(|line| numbers(line.strip_prefix(field)?).next());
        figures.extend(kilobytes.map(|kilobytes| (name, kilobytes * 1024.0)));
    }
    figures
}

fn numbers(text: &str) -> impl Iterator<Item = f64> {
    text.split_ascii_whitespace().map_while(|number| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_a_cpu() {
        let figures = figures();
        assert!(figures.iter().any(|(name, value)| *name == "system/cpus_total" && *value >= 1.0), "{figures:?}");
        assert!(figures.iter().all(|(_, value)| value.is_finite()));
    }
}
