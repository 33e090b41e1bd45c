//! Long lists of resources.

use super::{Operation, whole};
use crate::report::Failure;
use apportion::{Disk, DiskSource, DiskType, Resource, Resources, Scalar, Value};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("names-read", "a list of n names", 80_000, names),
    Operation::new("names-new-read", "a list of n names that no list had before, last first", 80_000, new_names),
    Operation::new("disks-made", "a list of n MOUNT disks", 40_000, disks),
];

/// Returns the text of a list of n resources, the largest name first.
fn text(prefix: &str, n: usize) -> String {
    (0..n).rev().map(|number| format!("{prefix}{number:08}:1")).collect::<Vec<_>>().join(";")
}

fn names(n: usize) -> Result<f64, Failure> {
    let text = text("known", n);
    let _known: Resources = text.parse()?;
    whole(|| {
        let read: Resources = text.parse()?;
        Ok(usize::from(read.is_empty()))
    })
}

fn new_names(n: usize) -> Result<f64, Failure> {
    let text = text(&format!("new{n}x"), n);
    whole(|| {
        let read: Resources = text.parse()?;
        Ok(usize::from(read.is_empty()))
    })
}

fn disks(n: usize) -> Result<f64, Failure> {
    let disk = |number: usize| {
        let source = DiskSource::new(DiskType::Mount).root(format!("/mnt/{:08}", n - number));
        Resource::new("disk", Value::Scalar(Scalar::units(10))).on_disk(Disk::of(source))
    };
    let disks: Vec<Resource> = (0..n).map(disk).collect();
    whole(|| Ok(usize::from(Resources::try_from_iter(disks)?.is_empty())))
}
