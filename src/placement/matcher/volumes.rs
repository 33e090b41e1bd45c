//! Assigns disks: which disk of an offer each persistent volume gets.

use crate::constraint::Pattern;
use crate::placement::model::volume::{VolumeRequest, VolumeShortage, VolumeSource};
use crate::resources::{DiskType, Resource, Resources, Value};

impl VolumeRequest {
    /// Returns true if a disk is unreserved, of the right kind and at the right path.
    fn suits(&self, disk: &Resource) -> bool {
        let kind = disk.kind();
        let is_unreserved = kind.is_none_or(|kind| {
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
        disk.name() == "disk" && is_unreserved && of_kind && self.patterns.iter().all(matches)
    }
}

/// Assigns a disk of what is left to each volume, and returns what the volumes take.
///
/// As Marathon does: the largest volume first; of root and path disks the one with the most space, of mount disks the
/// smallest.
pub(super) fn assign(wanted: &[VolumeRequest], left: &Resources) -> Result<Vec<Resource>, VolumeShortage> {
    let mut order: Vec<&VolumeRequest> = wanted.iter().collect();
    order.sort_by_key(|volume| std::cmp::Reverse(volume.size));
    let (mut left, mut taken) = (left.clone(), Vec::new());
    for volume in order {
        let suitable: Vec<&Resource> = left.iter().filter(|disk| volume.suits(disk)).collect();
        let size = |disk: &&&Resource| disk.scalar().unwrap_or_default();
        let fits = |disk: &&&Resource| {
            size(disk) >= volume.size
                && (volume.source != VolumeSource::Mount
                    || volume.max_size.is_none_or(|max_size| size(disk) <= max_size))
        };
        let fitting = suitable.iter().filter(fits);
        // Ties go to the first disk in the canonical order of the offer.
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
    use crate::constraint::Operand;
    use crate::resources::Scalar;
    use serde_json::json;

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

    fn volume(source: VolumeSource, size: u64) -> VolumeRequest {
        let size = Scalar::units(size);
        VolumeRequest { path: "data".into(), size, max_size: None, source, patterns: Vec::new() }
    }

    fn taken(wanted: &[VolumeRequest], offered: &[(&str, &str, u64)]) -> Option<Vec<u64>> {
        let taken = assign(wanted, &disks(offered)).ok()?;
        assert!(disks(offered).contains(&Resources::try_from_iter(taken.clone()).unwrap()));
        Some(taken.iter().map(|disk| disk.scalar().unwrap().as_milli() / 1000).collect())
    }

    #[test]
    fn a_volume_is_on_one_disk_of_its_kind() {
        let (root, path) = (|size| volume(VolumeSource::Root, size), |size| volume(VolumeSource::Path, size));
        let offered = [("ROOT", "", 5000), ("PATH", "/a", 1024), ("PATH", "/b", 1024), ("MOUNT", "/m", 2000)];
        assert_eq!(taken(&[path(1500)], &offered), None);
        assert_eq!(taken(&[path(600), path(500)], &offered), Some(vec![600, 500]));
        assert_eq!(taken(&[path(600), path(600), path(600)], &offered), None);
        assert_eq!(taken(&[root(3000), root(2000)], &offered), Some(vec![3000, 2000]));
        assert_eq!(taken(&[root(3000), root(2001)], &offered), None);
    }

    #[test]
    fn a_mount_disk_is_taken_whole_the_smallest_first_and_not_above_the_maximum() {
        let offered = [("MOUNT", "/a", 3000), ("MOUNT", "/b", 1000), ("MOUNT", "/c", 2000)];
        let mount = |size| volume(VolumeSource::Mount, size);
        assert_eq!(taken(&[mount(500)], &offered), Some(vec![1000]));
        assert_eq!(taken(&[mount(500), mount(1500)], &offered), Some(vec![2000, 1000]));
        let limited = VolumeRequest { max_size: Some(Scalar::units(1900)), ..mount(1500) };
        assert_eq!(taken(&[limited], &offered), None);
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
            let pattern = Pattern::read(operator, Some(Operand::Text(value.into()))).unwrap();
            let wanted =
                VolumeRequest { patterns: vec![(pattern, operator == "LIKE")], ..volume(VolumeSource::Path, 1) };
            assert_eq!(taken(&[wanted], &offered).is_some(), fits, "{operator} {value}");
        }
    }
}
