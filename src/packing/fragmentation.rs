//! [`Fragmentation`]: the expected idle device capacity that the next task cannot use.

use super::machine::Machine;
use super::marginal_loss::{Loss, MarginalLoss, Scale};
use super::target_workload::TargetWorkload;

/// The fragmentation of a machine: the idle device capacity that a task of the target workload cannot use, averaged
/// over the workload.
///
/// For a task that fits, this is the capacity of the devices with too little left for it; for one that does not fit or
/// requests no device, all idle capacity. The measure is F of Weng et al., *Beware of Fragmentation: Scheduling
/// GPU-Sharing Workloads with Fragmentation Gradient Descent*, USENIX ATC'23. Memory is ignored.
///
/// # Examples
///
/// ```
/// use apportion::packing::{DeviceDemand, DeviceRequest, Fragmentation, Loss, Machine, TargetWorkload};
/// use apportion::Scalar;
///
/// let four = |devices| DeviceDemand::new(Scalar::units(4), Scalar::ZERO).devices(devices);
/// let (whole, part) = (four(DeviceRequest::new(1, 1000)?), four(DeviceRequest::new(1, 600)?));
/// let workload = TargetWorkload::of([&whole, &whole, &whole, &part]);
///
/// // One of two devices is half used: no task of the workload can use the other 500 thousandths of it.
/// let mut machine = Machine::new(Scalar::units(10), Scalar::ZERO, 2);
/// machine.allocate(&DeviceDemand::default().devices(DeviceRequest::new(1, 500)?), Some(0));
/// assert_eq!(Fragmentation::new(workload).loss(&machine), 500.0);
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fragmentation {
    workload: TargetWorkload,
}

impl Fragmentation {
    /// Measures fragmentation for this target workload.
    #[must_use]
    pub const fn new(workload: TargetWorkload) -> Self {
        Self { workload }
    }

    /// Makes the policy FGD (fragmentation gradient descent) as published: for the most popular classes that make up 95
    /// % of the tasks.
    #[must_use]
    pub fn gradient_descent(workload: &TargetWorkload) -> MarginalLoss<Self> {
        MarginalLoss::new(Self::new(workload.most_popular(0.95)), Scale::Logistic)
    }
}

impl Loss for Fragmentation {
    /// Accumulates one sum per cause, in the order of the authors' simulator: where a placement changes nothing the
    /// difference must be exactly 0, and elsewhere the last bit decides to which integer a score is rounded.
    fn loss(&self, machine: &Machine) -> f64 {
        let [mut both, mut devices, mut cpus, mut none, mut none_and_cpus, mut model] = [0.0; 6];
        let (idle, left) = (number(machine.free()), machine.cpus());
        for class in self.workload.classes() {
            let request = class.demand.devices;
            let has_cpus = left >= class.demand.cpus;
            if request.is_none() {
                *(if has_cpus { &mut none } else { &mut none_and_cpus }) += class.popularity * idle;
            } else if !class.demand.accepts(machine.device_model()) {
                model += class.popularity * idle;
            } else {
                match (machine.has_devices(request), has_cpus) {
                    (true, true) => {
                        let remnants = machine.devices().iter().filter(|left| **left < request.each());
                        devices += class.popularity * number(remnants.map(|left| u64::from(*left)).sum());
                    }
                    (true, false) => cpus += class.popularity * idle,
                    (false, true) => devices += class.popularity * idle,
                    (false, false) => both += class.popularity * idle,
                }
            }
        }
        [both, devices, cpus, none, none_and_cpus, model].iter().sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "the devices of one machine are far below 2^53 thousandths")]
fn number(thousandths: u64) -> f64 {
    thousandths as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{DeviceDemand, DeviceFitness, DeviceRequest, Fit};
    use crate::resources::Scalar;

    fn demand(cpus: u64, count: u64, each: u64) -> DeviceDemand {
        DeviceDemand::new(Scalar::units(cpus), Scalar::ZERO).devices(DeviceRequest::new(count, each).unwrap())
    }

    /// Six in ten tasks request a whole device, three 600 thousandths, one none; half of the first device is used.
    fn example() -> (TargetWorkload, Machine) {
        let (whole, part, none) = (demand(4, 1, 1000), demand(4, 1, 600), demand(4, 0, 0));
        let tasks = [vec![whole; 6], vec![part; 3], vec![none; 1]].concat();
        let mut machine = Machine::new(Scalar::units(10), Scalar::ZERO, 2);
        machine.allocate(&demand(0, 1, 500), Some(0)).unwrap();
        (TargetWorkload::of(&tasks), machine)
    }

    #[test]
    fn idle_capacity_that_tasks_cannot_use_counts() {
        let (workload, mut machine) = example();
        let fragmentation = Fragmentation::new(workload);
        assert!((fragmentation.loss(&machine) - 600.0).abs() < 1e-9);
        machine.allocate(&demand(4, 1, 400), Some(0)).unwrap();
        assert!((fragmentation.loss(&machine) - 200.0).abs() < 1e-9);
        machine.allocate(&demand(3, 0, 0), None).unwrap();
        assert!((fragmentation.loss(&machine) - 1100.0).abs() < 1e-9, "3 cpus are too few for any");
    }

    #[test]
    fn descent_prefers_the_device_in_use() {
        let (workload, machine) = example();
        let fit = MarginalLoss::new(Fragmentation::new(workload), Scale::Logistic).fit(&machine, &demand(4, 1, 400), 0);
        assert_eq!(fit, Fit::new(59, Some(0)));
    }

    #[test]
    fn a_model_that_no_task_accepts_wastes_all_devices() {
        let workload = TargetWorkload::of([&demand(1, 1, 1000).model("T4")]);
        let machine = |model: &str| Machine::new(Scalar::units(8), Scalar::ZERO, 2).model(model);
        let loss = |model| Fragmentation::new(workload.clone()).loss(&machine(model));
        assert!(loss("T4").abs() < 1e-9 && (loss("G2") - 2000.0).abs() < 1e-9);
    }
}
