//! The resources of a machine that nobody has named: what an agent finds (Mesos, `Containerizer::resources`).

use apportion::{Reservation, ResourceError, Resources, Role, Scalar, SumError};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::{fs, thread};

/// The MB of memory and of disk that are left to the rest of the machine.
const KEPT_MEMORY: u64 = 1024;
const KEPT_DISK: u64 = 5 * 1024;

/// The ports of an agent that was given none.
const PORTS: std::ops::RangeInclusive<u64> = 31_000..=32_000;

/// The reason why the resources of an agent are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The given resources cannot be read.
    #[error(transparent)]
    Text(#[from] ResourceError),
    /// The given resources are JSON that cannot be read.
    #[error("resources as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// There is more than can be counted.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// The system does not tell what it has.
    #[error("{what} cannot be found, so name it in the resources: {error}")]
    System {
        /// The resource.
        what: &'static str,
        /// The error of the system.
        error: io::Error,
    },
}

/// Returns the resources that were given, with `cpus`, `mem`, `disk` and `ports` of this machine where they were not, and the names
/// of those that were found.
///
/// `cpus:0` counts as given. What is given without a role is reserved for `default_role`, if there is one. The disk is that of
/// `work_dir`, which has to exist: 5 GB of it are left, as 1 GB of the memory is, or half of what is there if that is little.
///
/// # Errors
///
/// [`DetectError`] when the given text is wrong, or the system does not tell.
///
/// # Examples
///
/// ```
/// use std::env::temp_dir;
///
/// let (resources, found) = apportion_agent::resources("cpus:2;mem:0;disk:1024", None, &temp_dir())?;
/// assert_eq!(resources, "cpus:2;disk:1024;ports:[31000-32000]".parse()?);
/// assert!(found.iter().eq(["ports"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resources(
    given: &str,
    default_role: Option<&Role>,
    work_dir: &Path,
) -> Result<(Resources, BTreeSet<String>), DetectError> {
    let (mut all, names) = read(given)?;
    let mut found = BTreeSet::new();
    for name in ["cpus", "mem", "disk", "ports"] {
        if names.contains(name) {
            continue;
        }
        let failed = |error| DetectError::System { what: name, error };
        let more = Resources::builder();
        let more = match name {
            "cpus" => more.scalar(name, Scalar::units(cpus().map_err(failed)?)),
            "mem" => more.scalar(name, Scalar::units(left(memory().map_err(failed)?, KEPT_MEMORY))),
            "disk" => more.scalar(name, Scalar::units(left(disk(work_dir).map_err(failed)?, KEPT_DISK))),
            _ => more.range(name, PORTS),
        };
        all.try_add(&more.build()?)?;
        found.insert(name.to_owned());
    }
    if let Some(role) = default_role.filter(|role| !role.is_default()) {
        let reserved = all.iter().map(|resource| match resource.role() {
            None => resource.clone().reserved(Reservation::fixed(role.clone())),
            Some(_) => resource.clone(),
        });
        all = Resources::try_from_iter(reserved.collect::<Vec<_>>())?;
    }
    Ok((all, found))
}

/// Reads the given resources, Mesos' text or a list of them in JSON, and their names, those of which there is nothing among them.
fn read(given: &str) -> Result<(Resources, BTreeSet<String>), DetectError> {
    if given.trim_start().starts_with('[') {
        let objects: Vec<serde_json::Value> = serde_json::from_str(given)?;
        let names = objects.iter().filter_map(|object| object["name"].as_str().map(str::to_owned));
        return Ok((serde_json::from_str(given)?, names.collect()));
    }
    let resources = given.parse()?;
    let heads = given.split(';').filter_map(|item| item.split_once(':'));
    let names = heads.map(|(head, _)| head.split('(').next().unwrap_or_default().trim().to_owned());
    Ok((resources, names.collect()))
}

/// Returns what an agent offers of so many MB.
fn left(total: u64, kept: u64) -> u64 {
    if total < 2 * kept { total / 2 } else { total - kept }
}

fn cpus() -> io::Result<u64> {
    Ok(thread::available_parallelism()?.get() as u64)
}

/// Returns the MB of memory of this machine.
fn memory() -> io::Result<u64> {
    let told = fs::read_to_string("/proc/meminfo")?;
    let total = told.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_ascii_whitespace().next());
    let total = total.and_then(|kilobytes| kilobytes.parse::<u64>().ok());
    Ok(total.ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))? / 1024)
}

/// Returns the MB of the file system that a folder lies in.
fn disk(folder: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(folder)?;
    Ok(system.f_blocks.saturating_mul(system.f_frsize) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_left_to_the_rest_of_the_machine() {
        for (total, kept, expected) in
            [(16_000, 1024, 14_976), (2_048, 1024, 1_024), (2_000, 1024, 1_000), (0, 1024, 0)]
        {
            assert_eq!(left(total, kept), expected, "{total}");
        }
    }

    #[test]
    fn what_is_not_given_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (all, found) = resources("", None, folder.path()).unwrap();
        assert_eq!(found.len(), 4);
        for name in ["cpus", "mem", "disk"] {
            assert!(!all.amount(name).is_zero(), "{name}: {all}");
        }
        assert_eq!(all.amount("cpus").as_milli() % 1000, 0, "whole CPUs");
        let (all, found) = resources("cpus:0;mem(a):512;disk:9;ports:[1-2]", None, folder.path()).unwrap();
        assert_eq!((all, found.len()), ("mem(a):512;disk:9;ports:[1-2]".parse().unwrap(), 0));
    }

    #[test]
    fn what_has_no_role_is_for_the_default_role() {
        let folder = tempfile::tempdir().unwrap();
        let role: Role = "web".parse().unwrap();
        let (all, _) = resources("cpus:1;mem(a):2;disk:3;ports:[1-2]", Some(&role), folder.path()).unwrap();
        assert_eq!(all, "cpus(web):1;mem(a):2;disk(web):3;ports(web):[1-2]".parse().unwrap());
    }

    #[test]
    fn resources_may_be_json() {
        let folder = tempfile::tempdir().unwrap();
        let json = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":2}},{"name":"mem","type":"SCALAR","scalar":{"value":5}},
            {"name":"disk","type":"SCALAR","scalar":{"value":0}}]"#;
        let (all, found) = resources(json, None, folder.path()).unwrap();
        assert_eq!(all, "cpus:2;mem:5;ports:[31000-32000]".parse().unwrap());
        assert!(found.iter().eq(["ports"]));
        for wrong in ["[{", r#"[{"name":"cpus"}]"#, "cpus", "cpus:x"] {
            assert!(resources(wrong, None, folder.path()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_disk() {
        let error = resources("cpus:1", None, Path::new("/no/such/folder")).unwrap_err();
        assert!(error.to_string().starts_with("disk cannot be found"), "{error}");
    }
}
