//! [`Mix`]: which kinds of task come, and how often.

use super::demand::{Demand, DeviceRequest};
use crate::resources::Scalar;
use indexmap::IndexMap;
use smol_str::SmolStr;
use std::cmp::Reverse;

/// Tasks that look alike to a placement: the same cpus, devices and models. Memory is left out, as in FGD.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Class {
    /// What each of them wants, less its memory.
    pub demand: Demand,
    /// How many there are.
    pub count: u64,
    /// Which part of all tasks they are: the parts of a mix add up to 1.
    pub part: f64,
}

/// The tasks that may come, by class, the most frequent class first.
///
/// This is the "target workload" of Weng et al., *Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
/// Fragmentation Gradient Descent*, USENIX ATC'23: what a scheduler knows of the future from the tasks it has seen.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{Demand, DeviceRequest, Mix};
///
/// let small = Demand::new(Scalar::units(4), Scalar::ZERO).devices(DeviceRequest::new(1, 500)?);
/// let large = Demand::new(Scalar::units(64), Scalar::ZERO).devices(DeviceRequest::new(8, 1000)?);
/// let mix = Mix::of([&small, &small, &large, &small]);
/// assert_eq!(mix.classes()[0].part, 0.75);
/// assert_eq!(mix.most(0.7).classes().len(), 1);
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mix {
    classes: Vec<Class>,
}

impl Mix {
    /// The mix of these tasks. Of classes that are equally frequent the larger one comes first (cpus, then devices,
    /// then models).
    #[must_use]
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a Demand>) -> Self {
        let mut counts: IndexMap<Demand, u64, foldhash::fast::FixedState> = IndexMap::default();
        for task in tasks {
            *counts.entry(Demand { mem: Scalar::ZERO, ..task.clone() }).or_default() += 1;
        }
        counts.sort_by_cached_key(|demand, count| Reverse((*count, size(demand))));
        let all = counts.values().sum();
        let class = |(demand, count)| Class { demand, count, part: ratio(count, all) };
        Self { classes: counts.into_iter().map(class).collect() }
    }

    /// The most frequent classes: so many that they make up at least `part` of all tasks. FGD takes 0.95.
    #[must_use]
    pub fn most(&self, part: f64) -> Self {
        let count = |classes: &[Class]| classes.iter().map(|class| class.count).sum::<u64>();
        let all = count(&self.classes);
        let enough = (1..=self.classes.len()).find(|kept| ratio(count(&self.classes[..*kept]), all) >= part);
        let mut classes = self.classes[..enough.unwrap_or(self.classes.len())].to_vec();
        // The quotient of two parts, not of counts: the same bits as in the simulator of FGD.
        let kept = ratio(count(&classes), all);
        classes.iter_mut().for_each(|class| class.part = ratio(class.count, all) / kept);
        Self { classes }
    }

    /// The classes, the most frequent first.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts 2^53 tasks")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// By what classes of one frequency are ordered.
fn size(demand: &Demand) -> (Scalar, DeviceRequest, Vec<SmolStr>) {
    (demand.cpus, demand.devices, demand.models.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(cpus: u64, count: u64, each: u64) -> Demand {
        Demand::new(Scalar::units(cpus), Scalar::units(cpus)).devices(DeviceRequest::new(count, each).unwrap())
    }

    #[test]
    fn classes_go_by_frequency_then_by_size() {
        let tasks =
            [task(1, 0, 0), task(2, 1, 500), task(2, 1, 600), task(2, 8, 1000), task(2, 4, 1000), task(1, 0, 0)];
        let mix = Mix::of(&tasks);
        let order: Vec<u64> = mix.classes().iter().map(|class| class.demand.devices.total()).collect();
        assert_eq!(order, [0, 8000, 4000, 600, 500]);
    }

    #[test]
    fn memory_makes_no_class() {
        let mut other = task(1, 1, 1000);
        other.mem = Scalar::units(77);
        assert_eq!(Mix::of([&task(1, 1, 1000), &other]).classes().len(), 1);
    }

    #[test]
    fn the_class_that_crosses_is_kept() {
        let tasks: Vec<Demand> = (0..100).map(|n| if n < 90 { task(1, 1, 1000) } else { task(n, 1, 1000) }).collect();
        let mix = Mix::of(&tasks).most(0.95);
        assert_eq!(mix.classes().len(), 6);
        let sum: f64 = mix.classes().iter().map(|class| class.part).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn no_tasks_make_no_classes() {
        assert!(Mix::of(&[]).most(0.95).classes().is_empty());
    }
}
