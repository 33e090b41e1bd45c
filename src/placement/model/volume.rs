//! Persistent volumes: which disk of an offer each gets.

use crate::constraint::{ConditionError, Pattern};
use crate::placement::document::reader::{Node, ReadError};
use crate::resources::{DiskType, Resource, Resources, Scalar, Value};
use smol_str::SmolStr;

/// A persistent volume that an app asks for: unreserved disk, all of it from one disk.
///
/// The plan takes the disk; making a volume of it (`Operation::Reserve`, `Operation::Create`) is for the framework.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VolumeRequest {
    /// Where the container has it.
    pub path: SmolStr,
    /// How large it has to be, in MB.
    pub size: Scalar,
    /// How large a whole disk may be at most, in MB.
    pub most: Option<Scalar>,
    /// On what kind of disk.
    pub source: VolumeSource,
    /// What the path of the disk has to match, and whether it must (`LIKE`) or must not (`UNLIKE`).
    pub patterns: Vec<(Pattern, bool)>,
}

/// The kind of disk that a volume is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "Marathon has these three")]
pub enum VolumeSource {
    /// The agent's root disk.
    #[default]
    Root,
    /// A directory of a disk that can be divided.
    Path,
    /// A whole disk.
    Mount,
}

impl VolumeSource {
    pub(in crate::placement) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Path => "path",
            Self::Mount => "mount",
        }
    }
}

/// No disk for a volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{size} needed for {path} on one {} disk, {}", .disk.name(), Largest(.largest))]
pub struct VolumeShortage {
    /// Where the container has it.
    pub path: SmolStr,
    /// How large it has to be.
    pub size: Scalar,
    /// The kind of disk.
    pub disk: VolumeSource,
    /// The most that there is on one that would do but for its size.
    pub largest: Option<Scalar>,
}

struct Largest<'a>(&'a Option<Scalar>);

impl std::fmt::Display for Largest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(size) => write!(f, "{size} left"),
            None => f.write_str("none left"),
        }
    }
}

impl VolumeRequest {
    /// Reads an item of a container's `volumes`; none if it is not persistent.
    pub(in crate::placement) fn read(node: Node<'_>) -> Result<Option<Self>, ReadError> {
        node.object()?;
        let Some(persistent) = node.get("persistent") else { return Ok(None) };
        persistent.object()?;
        let size = persistent.required("size", "a number above 0")?;
        let amount = size.scalar()?;
        if amount.is_zero() {
            return Err(size.wrong("a number above 0"));
        }
        let path = node.get("containerPath").map(|path| path.text().map(SmolStr::new)).transpose()?;
        let mut volume = Self {
            path: path.unwrap_or_else(|| "a volume".into()),
            size: amount,
            most: persistent.get("maxSize").map(|most| most.scalar()).transpose()?,
            source: VolumeSource::default(),
            patterns: Vec::new(),
        };
        if let Some(source) = persistent.get("type") {
            let known = [VolumeSource::Root, VolumeSource::Path, VolumeSource::Mount];
            let named = source.json().as_str().and_then(|name| known.into_iter().find(|source| source.name() == name));
            volume.source = named.ok_or_else(|| source.wrong("root, path or mount"))?;
        }
        if let Some(constraints) = persistent.get("constraints") {
            for constraint in constraints.items("a list of constraints")? {
                volume.patterns.push(pattern(constraint)?);
            }
        }
        Ok(Some(volume))
    }

    /// Whether a disk is of the right kind and at the right path.
    fn suits(&self, disk: &Resource) -> bool {
        let kind = disk.kind();
        let bare = kind.is_none_or(|kind| {
            let volume = kind.disk.as_ref().is_some_and(|disk| disk.persistence.is_some());
            kind.reservations.is_empty() && !kind.revocable && !kind.shared && !volume
        });
        let source = kind.and_then(|kind| kind.disk.as_ref()).and_then(|disk| disk.source.as_ref());
        let of_kind = match (self.source, source.map(|source| source.kind)) {
            (VolumeSource::Root, None)
            | (VolumeSource::Path, Some(DiskType::Path))
            | (VolumeSource::Mount, Some(DiskType::Mount)) => true,
            (VolumeSource::Root | VolumeSource::Path | VolumeSource::Mount, _) => false,
        };
        let path = source.and_then(|source| source.root.as_deref());
        let matches = |(pattern, must): &(Pattern, bool)| path.is_some_and(|path| pattern.matches(path)) == *must;
        disk.name() == "disk" && bare && of_kind && self.patterns.iter().all(matches)
    }
}

/// A volume's constraint: Marathon has `LIKE` and `UNLIKE` on `path`, and nothing else.
fn pattern(node: Node<'_>) -> Result<(Pattern, bool), ReadError> {
    let (field, operator, value) = crate::placement::document::grammar::words(node)?;
    if field != "path" {
        return Err(node.wrong("a constraint on path"));
    }
    let known = vec!["LIKE", "UNLIKE"];
    let like = match operator.as_str() {
        "LIKE" => true,
        "UNLIKE" => false,
        _ => return Err(node.error(ConditionError::Operator { found: operator, known })),
    };
    let pattern = Pattern::read(&operator, value).map_err(|error| node.error(error))?;
    Ok((pattern, like))
}

/// Finds a disk for each volume in what is left, and gives what they take.
///
/// As Marathon does: the biggest volume first; of divided disks the one with the most space, of whole ones the smallest.
pub(in crate::placement) fn assign(
    wanted: &[VolumeRequest],
    left: &Resources,
) -> Result<Vec<Resource>, VolumeShortage> {
    let mut order: Vec<&VolumeRequest> = wanted.iter().collect();
    order.sort_by_key(|volume| std::cmp::Reverse(volume.size));
    let (mut left, mut taken) = (left.clone(), Vec::new());
    for volume in order {
        let suitable: Vec<&Resource> = left.iter().filter(|disk| volume.suits(disk)).collect();
        let size = |disk: &&&Resource| disk.scalar().unwrap_or_default();
        let fits = |disk: &&&Resource| {
            size(disk) >= volume.size
                && (volume.source != VolumeSource::Mount || volume.most.is_none_or(|most| size(disk) <= most))
        };
        let fitting = suitable.iter().filter(fits);
        // Of equals the first, as the offer has them in canonical order.
        let best = if volume.source == VolumeSource::Mount {
            fitting.min_by_key(size)
        } else {
            fitting.rev().max_by_key(size)
        };
        let Some(disk) = best else {
            return Err(VolumeShortage {
                path: volume.path.clone(),
                size: volume.size,
                disk: volume.source,
                largest: suitable.iter().map(|disk| disk.scalar().unwrap_or_default()).max(),
            });
        };
        let whole = volume.source == VolumeSource::Mount;
        let amount = if whole { disk.value().clone() } else { Value::Scalar(volume.size) };
        let part = Resource::new("disk", amount).with_kind(disk.kind().cloned().unwrap_or_default());
        if let Ok(part) = Resources::try_from_iter([part.clone()]) {
            left.remove(&part);
        }
        taken.push(part);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn disks(disks: &[(&str, &str, u64)]) -> Resources {
        let object = |(kind, root, size): &(&str, &str, u64)| {
            let mut object = json!({"name": "disk", "type": "SCALAR", "scalar": {"value": size}});
            if *kind != "ROOT" {
                object["disk"] = json!({"source": {"type": kind, kind.to_lowercase(): {"root": root}}});
            }
            object
        };
        serde_json::from_value(disks.iter().map(object).collect()).unwrap()
    }

    fn volume(persistent: Json) -> Result<Option<VolumeRequest>, ReadError> {
        VolumeRequest::read(Node::root(&json!({"containerPath": "data", "persistent": persistent})))
    }

    fn taken(wanted: &[Json], offered: &[(&str, &str, u64)]) -> Option<Vec<u64>> {
        let wanted: Vec<_> = wanted.iter().map(|one| volume(one.clone()).unwrap().unwrap()).collect();
        let taken = assign(&wanted, &disks(offered)).ok()?;
        assert!(disks(offered).contains(&Resources::try_from_iter(taken.clone()).unwrap()));
        Some(taken.iter().map(|disk| disk.scalar().unwrap().as_milli() / 1000).collect())
    }

    #[test]
    fn a_volume_is_on_one_disk_of_its_kind() {
        let path = |size: u64| json!({"size": size, "type": "path"});
        let offered = [("ROOT", "", 5000), ("PATH", "/a", 1024), ("PATH", "/b", 1024), ("MOUNT", "/m", 2000)];
        assert_eq!(taken(&[path(1500)], &offered), None);
        assert_eq!(taken(&[path(600), path(500)], &offered), Some(vec![600, 500]));
        assert_eq!(taken(&[path(600), path(600), path(600)], &offered), None);
        assert_eq!(taken(&[json!({"size": 3000}), json!({"size": 2000})], &offered), Some(vec![3000, 2000]));
        assert_eq!(taken(&[json!({"size": 3000}), json!({"size": 2001})], &offered), None);
    }

    #[test]
    fn a_mount_disk_is_taken_whole_the_smallest_first_and_not_above_the_maximum() {
        let offered = [("MOUNT", "/a", 3000), ("MOUNT", "/b", 1000), ("MOUNT", "/c", 2000)];
        let mount = |size: u64| json!({"size": size, "type": "mount"});
        assert_eq!(taken(&[mount(500)], &offered), Some(vec![1000]));
        assert_eq!(taken(&[mount(500), mount(1500)], &offered), Some(vec![2000, 1000]));
        assert_eq!(taken(&[json!({"size": 1500, "type": "mount", "maxSize": 1900})], &offered), None);
    }

    #[test]
    fn constraints_are_on_the_path_of_the_disk() {
        let offered = [("PATH", "/path/disk-a", 1024)];
        for (operator, value, fits) in [
            ("LIKE", ".+disk-a", true),
            ("LIKE", "disk-a", false),
            ("UNLIKE", ".+disk-a", false),
            ("UNLIKE", ".+b", true),
        ] {
            let wanted = json!({"size": 1, "type": "path", "constraints": [["path", operator, value]]});
            assert_eq!(taken(&[wanted], &offered).is_some(), fits, "{operator} {value}");
        }
        for (constraint, why) in [
            (json!(["rack", "LIKE", "a"]), "a constraint on path"),
            (json!(["path", "IS", "a"]), "expected one of LIKE, UNLIKE"),
            (json!(["path", "LIKE", "["]), "not a regular expression"),
        ] {
            let error = volume(json!({"size": 1, "constraints": [constraint]})).unwrap_err().to_string();
            assert!(error.starts_with("persistent.constraints[0]: ") && error.contains(why), "{error}");
        }
    }
}
