//! [`Dependencies`]: the state that a verdict depends on.

/// The state that the verdict of a clause on a location depends on, besides the app: a bit set of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dependencies {
    /// Values of fields of the location.
    pub(crate) location_fields: bool,
    /// Anything else of the location (custom constraints).
    pub(crate) location_other: bool,
    /// Apps, images and labels of the tasks on the host.
    pub(crate) host_task_fields: bool,
    /// Anything else of the tasks on the host: their ids, and custom constraints.
    pub(crate) host_other: bool,
    /// The tallies of the app: how many of its tasks have each value of a field.
    pub(crate) tallies: bool,
    /// Any task in the cluster.
    pub(crate) cluster: bool,
}

impl Dependencies {
    /// Returns what either of the two depends on.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            location_fields: self.location_fields || other.location_fields,
            location_other: self.location_other || other.location_other,
            host_task_fields: self.host_task_fields || other.host_task_fields,
            host_other: self.host_other || other.host_other,
            tallies: self.tallies || other.tallies,
            cluster: self.cluster || other.cluster,
        }
    }
}
