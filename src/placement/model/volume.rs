//! Persistent volumes: which disk of an offer each gets.

use crate::constraint::Pattern;
use crate::resources::Scalar;
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
