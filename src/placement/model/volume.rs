//! [`VolumeRequest`]: a persistent volume of an app.

use crate::constraint::Pattern;
use crate::resources::Scalar;
use crate::text::Text;

/// A persistent volume that an app asks for: unreserved space of one disk.
///
/// The plan takes the space; the framework makes a volume of it (`Operation::Reserve`, `Operation::Create`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VolumeRequest {
    /// The path in the container.
    pub path: Text,
    /// The least size, in MB.
    pub size: Scalar,
    /// The largest size of a whole disk, in MB.
    pub max_size: Option<Scalar>,
    /// The kind of disk.
    pub source: VolumeSource,
    /// Patterns on the path of the disk, each with true if the path must match (`LIKE`) and false if it must not
    /// (`UNLIKE`).
    pub patterns: Vec<(Pattern, bool)>,
}

/// The kind of disk that a volume is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "Marathon has these three")]
pub enum VolumeSource {
    /// The agent's root disk.
    #[default]
    Root,
    /// A directory of a disk that volumes may share.
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

/// Why an offer has no disk for a volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{size} needed for {path} on one {} disk, {}", .disk.name(), Largest(.largest))]
pub struct VolumeShortage {
    /// The path in the container.
    pub path: Text,
    /// The least size of the volume, in MB.
    pub size: Scalar,
    /// The kind of disk.
    pub disk: VolumeSource,
    /// The largest space on one disk that suits but for its size, in MB.
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
