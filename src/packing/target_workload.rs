//! [`TargetWorkload`]: the task classes that a scheduler expects, with their popularities.

use super::demand::{DeviceDemand, DeviceRequest};
use crate::resources::Scalar;
use crate::text::Text;
use indexmap::IndexMap;
use std::cmp::Reverse;

/// An equivalence class of tasks: the same cpus, devices and models. Memory is ignored, as in FGD.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskClass {
    /// The demand of each task, with its memory set to 0.
    pub demand: DeviceDemand,
    /// The number of tasks of the class.
    pub count: u64,
    /// The fraction of all tasks that are of this class; the popularities of a workload add up to 1.
    pub popularity: f64,
}

/// A discrete distribution over task classes, the most popular class first.
///
/// The target workload of Weng et al., *Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
/// Gradient Descent*, USENIX ATC'23: the tasks that a scheduler expects, estimated from those that it has seen.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{DeviceDemand, DeviceRequest, TargetWorkload};
///
/// let small = DeviceDemand::new(Scalar::units(4), Scalar::ZERO).devices(DeviceRequest::new(1, 500)?);
/// let large = DeviceDemand::new(Scalar::units(64), Scalar::ZERO).devices(DeviceRequest::new(8, 1000)?);
/// let workload = TargetWorkload::of([&small, &small, &large, &small]);
/// assert_eq!(workload.classes()[0].popularity, 0.75);
/// assert_eq!(workload.most_popular(0.7).classes().len(), 1);
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetWorkload {
    classes: Vec<TaskClass>,
}

impl TargetWorkload {
    /// Counts these tasks by class. Among equally popular classes the larger comes first (by cpus, then devices, then
    /// models).
    #[must_use]
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a DeviceDemand>) -> Self {
        let mut counts: IndexMap<DeviceDemand, u64, foldhash::fast::FixedState> = IndexMap::default();
        for task in tasks {
            *counts.entry(DeviceDemand { mem: Scalar::ZERO, ..task.clone() }).or_default() += 1;
        }
        counts.sort_by_cached_key(|demand, count| Reverse((*count, size(demand))));
        let all = counts.values().sum();
        let class = |(demand, count)| TaskClass { demand, count, popularity: ratio(count, all) };
        Self { classes: counts.into_iter().map(class).collect() }
    }

    /// Returns the smallest prefix of classes that makes up at least `fraction` of all tasks, its popularities rescaled
    /// to add up to 1. FGD uses 0.95.
    #[must_use]
    pub fn most_popular(&self, fraction: f64) -> Self {
        let count = |classes: &[TaskClass]| classes.iter().map(|class| class.count).sum::<u64>();
        let all = count(&self.classes);
        let enough = (1..=self.classes.len()).find(|kept| ratio(count(&self.classes[..*kept]), all) >= fraction);
        let mut classes = self.classes[..enough.unwrap_or(self.classes.len())].to_vec();
        // A quotient of popularities, not of counts, to get the same bits as the simulator of FGD.
        let kept = ratio(count(&classes), all);
        classes.iter_mut().for_each(|class| class.popularity = ratio(class.count, all) / kept);
        Self { classes }
    }

    /// Returns the classes, the most popular first.
    #[must_use]
    pub fn classes(&self) -> &[TaskClass] {
        &self.classes
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 tasks")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// Returns the key that breaks ties between equally popular classes.
fn size(demand: &DeviceDemand) -> (Scalar, DeviceRequest, Vec<Text>) {
    (demand.cpus, demand.devices, demand.models.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(cpus: u64, count: u64, each: u64) -> DeviceDemand {
        DeviceDemand::new(Scalar::units(cpus), Scalar::units(cpus)).devices(DeviceRequest::new(count, each).unwrap())
    }

    #[test]
    fn classes_are_ordered_by_popularity_then_by_size() {
        let tasks =
            [task(1, 0, 0), task(2, 1, 500), task(2, 1, 600), task(2, 8, 1000), task(2, 4, 1000), task(1, 0, 0)];
        let workload = TargetWorkload::of(&tasks);
        let order: Vec<u64> = workload.classes().iter().map(|class| class.demand.devices.total()).collect();
        assert_eq!(order, [0, 8000, 4000, 600, 500]);
    }

    #[test]
    fn memory_does_not_distinguish_classes() {
        let mut other = task(1, 1, 1000);
        other.mem = Scalar::units(77);
        assert_eq!(TargetWorkload::of([&task(1, 1, 1000), &other]).classes().len(), 1);
    }

    #[test]
    fn the_class_that_reaches_the_fraction_is_kept() {
        let tasks: Vec<DeviceDemand> =
            (0..100).map(|n| if n < 90 { task(1, 1, 1000) } else { task(n, 1, 1000) }).collect();
        let workload = TargetWorkload::of(&tasks).most_popular(0.95);
        assert_eq!(workload.classes().len(), 6);
        let sum: f64 = workload.classes().iter().map(|class| class.popularity).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn no_tasks_make_no_classes() {
        assert!(TargetWorkload::of(&[]).most_popular(0.95).classes().is_empty());
    }
}
