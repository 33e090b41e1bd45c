//! [`Fragmentation`]: the devices that are idle and yet of no use.

use super::machine::Machine;
use super::marginal_loss::{Descent, Loss, Scale};
use super::target_workload::Mix;

/// How much of a machine's idle devices a task of the mix cannot use, on average.
///
/// For a task that fits it is the remnants too small for it; for one that does not fit, or wants no device, all that is
/// idle. This is F of Weng et al., *Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
/// Gradient Descent*, USENIX ATC'23. Memory does not count.
///
/// # Examples
///
/// ```
/// use apportion::packing::{Demand, DeviceRequest, Fragmentation, Loss, Machine, Mix};
/// use apportion::Scalar;
///
/// let four = |devices| Demand::new(Scalar::units(4), Scalar::ZERO).devices(devices);
/// let (whole, part) = (four(DeviceRequest::new(1, 1000)?), four(DeviceRequest::new(1, 600)?));
/// let mix = Mix::of([&whole, &whole, &whole, &part]);
///
/// // Of two devices one is half used: 500 thousandths are of no use to anyone.
/// let mut machine = Machine::new(Scalar::units(10), Scalar::ZERO, 2);
/// machine.take(&Demand::default().devices(DeviceRequest::new(1, 500)?), Some(0));
/// assert_eq!(Fragmentation::new(mix).loss(&machine), 500.0);
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fragmentation {
    mix: Mix,
}

impl Fragmentation {
    /// Fragmentation for tasks of that mix.
    #[must_use]
    pub const fn new(mix: Mix) -> Self {
        Self { mix }
    }

    /// Fragmentation gradient descent: FGD as published, for the classes that make up 95 % of the tasks.
    #[must_use]
    pub fn gradient_descent(mix: &Mix) -> Descent<Self> {
        Descent::new(Self::new(mix.most(0.95)), Scale::Logistic)
    }
}

impl Loss for Fragmentation {
    /// The sums are added up cause by cause, in the order in which the authors' simulator does it: where a task changes
    /// nothing the difference must be exactly 0, and elsewhere a last bit decides which side of a step a score falls
    /// on.
    fn loss(&self, machine: &Machine) -> f64 {
        let [mut both, mut devices, mut cpus, mut none, mut none_and_cpus, mut model] = [0.0; 6];
        let (idle, left) = (number(machine.free()), machine.cpus());
        for class in self.mix.classes() {
            let request = class.demand.devices;
            let has_cpus = left >= class.demand.cpus;
            if request.is_none() {
                *(if has_cpus { &mut none } else { &mut none_and_cpus }) += class.part * idle;
            } else if !class.demand.accepts(machine.device_model()) {
                model += class.part * idle;
            } else {
                match (machine.has(request), has_cpus) {
                    (true, true) => {
                        let remnants = machine.devices().iter().filter(|left| **left < request.each());
                        devices += class.part * number(remnants.map(|left| u64::from(*left)).sum());
                    }
                    (true, false) => cpus += class.part * idle,
                    (false, true) => devices += class.part * idle,
                    (false, false) => both += class.part * idle,
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
    use crate::packing::{Demand, DeviceFitness, DeviceRequest, Fit};
    use crate::resources::Scalar;

    fn demand(cpus: u64, count: u64, each: u64) -> Demand {
        Demand::new(Scalar::units(cpus), Scalar::ZERO).devices(DeviceRequest::new(count, each).unwrap())
    }

    /// Six in ten want a whole device, three 600 thousandths of one, one none; half of the first device is used.
    fn example() -> (Mix, Machine) {
        let (whole, part, none) = (demand(4, 1, 1000), demand(4, 1, 600), demand(4, 0, 0));
        let tasks = [vec![whole; 6], vec![part; 3], vec![none; 1]].concat();
        let mut machine = Machine::new(Scalar::units(10), Scalar::ZERO, 2);
        machine.take(&demand(0, 1, 500), Some(0)).unwrap();
        (Mix::of(&tasks), machine)
    }

    #[test]
    fn idle_devices_count_as_far_as_tasks_cannot_use_them() {
        let (mix, mut machine) = example();
        let fragmentation = Fragmentation::new(mix);
        assert!((fragmentation.loss(&machine) - 600.0).abs() < 1e-9);
        machine.take(&demand(4, 1, 400), Some(0)).unwrap();
        assert!((fragmentation.loss(&machine) - 200.0).abs() < 1e-9);
        machine.take(&demand(3, 0, 0), None).unwrap();
        assert!((fragmentation.loss(&machine) - 1100.0).abs() < 1e-9, "3 cpus are too few for any");
    }

    #[test]
    fn the_gradient_leads_to_the_device_in_use() {
        let (mix, machine) = example();
        let fit = Descent::new(Fragmentation::new(mix), Scale::Logistic).fit(&machine, &demand(4, 1, 400), 0);
        assert_eq!(fit, Fit::new(59, Some(0)));
    }

    #[test]
    fn a_model_that_will_not_do_makes_all_of_it_idle() {
        let mix = Mix::of([&demand(1, 1, 1000).model("T4")]);
        let machine = |model: &str| Machine::new(Scalar::units(8), Scalar::ZERO, 2).model(model);
        let loss = |model| Fragmentation::new(mix.clone()).loss(&machine(model));
        assert!(loss("T4").abs() < 1e-9 && (loss("G2") - 2000.0).abs() < 1e-9);
    }
}
