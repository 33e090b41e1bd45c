//! [`Baseline`]: the policies that FGD was evaluated against.
//!
//! Formulas and rounding are those of the simulator of Weng et al. (USENIX ATC'23), so that its published results are
//! reproduced to the digit.

use super::demand::{DeviceDemand, WHOLE};
use super::fitness::{DeviceFitness, Fit, truncate};
use super::machine::Machine;
use crate::draw::draw;

/// The cpus that scores are normalised by, those of the largest machine, in thousandths.
const MAX_CPUS: f64 = 128_000.0;
/// The devices that scores are normalised by, those of the largest machine, in thousandths.
const MAX_DEVICES: u32 = 8 * WHOLE;

/// The policies that FGD was evaluated against.
///
/// For a part of a device, all but [`Random`](Self::Random) choose the device with the least left that still fits.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{Baseline, DeviceDemand, DeviceFitness, Machine};
///
/// let demand = DeviceDemand::new(Scalar::units(4), Scalar::ZERO);
/// let score = |cpus| Baseline::BestFit.fit(&Machine::new(Scalar::units(cpus), Scalar::ZERO, 0), &demand, 0).score;
/// assert!(score(8) > score(64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Baseline {
    /// A machine that fits, and a device of it, chosen at random.
    Random,
    /// The machine with the least cpus and devices left after placement, normalised and added up.
    BestFit,
    /// The machine with the smallest dot product of what is left and what is requested, over cpus and devices.
    ///
    /// The alignment score of Grandl et al., *Multi-Resource Packing for Cluster Schedulers*, SIGCOMM'14, with the sign
    /// reversed, as in the simulator.
    DotProduct,
    /// A machine that already serves requests of the same kind: parts of a device, or the same number of whole ones.
    Clustering,
    /// Partly used devices first, then idle devices of machines in use, then idle machines.
    Packing,
}

impl DeviceFitness for Baseline {
    fn fit(&self, machine: &Machine, demand: &DeviceDemand, draw: u64) -> Fit {
        let score = match self {
            Self::Random => return at_random(machine, demand, draw),
            Self::BestFit => best_fit(machine, demand),
            Self::DotProduct => dot_product(machine, demand),
            Self::Clustering => clustering(machine, demand),
            Self::Packing => packing(machine, demand),
        };
        Fit::new(score, machine.tightest_device(demand.devices))
    }

    fn is_random(&self) -> bool {
        *self == Self::Random
    }
}

fn at_random(machine: &Machine, demand: &DeviceDemand, number: u64) -> Fit {
    let fits = |device: &usize| machine.devices()[*device] >= demand.devices.each();
    let fitting = (0..machine.devices().len()).filter(fits);
    let device = fitting.min_by_key(|device| draw(number, *device as u64));
    Fit::new((number >> 1).cast_signed(), device)
}

fn best_fit(machine: &Machine, demand: &DeviceDemand) -> i64 {
    let cpus = machine.cpus().saturating_sub(demand.cpus).as_milli();
    let devices = machine.free().saturating_sub(demand.devices.total());
    truncate(100.0 * (1.0 - 0.5 * (number(cpus) / MAX_CPUS + number(devices) / f64::from(MAX_DEVICES))))
}

fn dot_product(machine: &Machine, demand: &DeviceDemand) -> i64 {
    let product = |left: u64, wanted: u64, most: f64| number(left) / most * (number(wanted) / most);
    let cpus = product(machine.cpus().as_milli(), demand.cpus.as_milli(), MAX_CPUS);
    let devices = product(machine.free(), demand.devices.total(), f64::from(MAX_DEVICES));
    truncate(100.0 * (1.0 - 0.5 * (cpus + devices)))
}

fn clustering(machine: &Machine, demand: &DeviceDemand) -> i64 {
    let request = demand.devices;
    if request.is_none() {
        return 0;
    }
    let kind = request.kind();
    let base = match machine.request_kinds() {
        [only] if *only == kind => 75,
        [] => 25,
        request_kinds if request_kinds.contains(&kind) => 50,
        _ => 0,
    };
    let used = f64::from(MAX_DEVICES) - number(machine.free());
    base + truncate(25.0 * used / f64::from(MAX_DEVICES))
}

fn packing(machine: &Machine, demand: &DeviceDemand) -> i64 {
    let (request, devices) = (demand.devices, machine.devices());
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    if request.is_none() {
        return 0;
    }
    if machine.whole_devices() == devices.len() {
        return (33 - signed(devices.len())).max(signed(devices.len()));
    }
    let mut chosen: Vec<u32> = devices.iter().copied().filter(|left| *left >= request.each()).collect();
    chosen.sort_unstable();
    chosen.truncate(request.count() as usize);
    match chosen.iter().filter(|left| **left == WHOLE).count() {
        0 => (100 - chosen.iter().map(|left| i64::from(left * 100 / WHOLE)).sum::<i64>() / 10).max(50),
        whole => (50 - signed(whole)).max(33),
    }
}

#[expect(clippy::cast_precision_loss, reason = "amounts of one machine are far below 2^53 thousandths")]
fn number(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::DeviceRequest;
    use crate::resources::Scalar;

    fn demand(cpus: u64, count: u64, each: u64) -> DeviceDemand {
        DeviceDemand::new(Scalar::units(cpus), Scalar::ZERO).devices(DeviceRequest::new(count, each).unwrap())
    }

    fn used(demands: &[DeviceDemand]) -> Machine {
        let mut machine = Machine::new(Scalar::units(96), Scalar::units(1), 8);
        for demand in demands {
            let device = machine.tightest_device(demand.devices);
            machine.allocate(demand, device).unwrap();
        }
        machine
    }

    #[test]
    fn best_fit_counts_what_is_left_after_placement() {
        let fit = Baseline::BestFit.fit(&used(&[demand(32, 4, 1000)]), &demand(16, 2, 1000), 0);
        assert_eq!(fit.score, 68); // 100 * (1 - (48 / 128 + 2 / 8) / 2) = 68.75
    }

    #[test]
    fn the_dot_product_counts_what_is_left_before_placement() {
        let fit = Baseline::DotProduct.fit(&used(&[demand(32, 4, 1000)]), &demand(64, 2, 1000), 0);
        assert_eq!(fit.score, 81); // 100 * (1 - (64 / 128 * 64 / 128 + 4 / 8 * 2 / 8) / 2) = 81.25
    }

    #[test]
    fn requests_of_one_kind_cluster() {
        let score = |machine: &Machine, demand: &DeviceDemand| Baseline::Clustering.fit(machine, demand, 0).score;
        let (part, two) = (demand(1, 1, 500), demand(1, 2, 1000));
        let (parts, both) = (used(&[demand(1, 1, 200)]), used(&[demand(1, 1, 200), demand(1, 2, 1000)]));
        assert_eq!((score(&used(&[]), &part), score(&parts, &part), score(&parts, &two)), (25, 75, 0));
        assert_eq!((score(&both, &part), score(&both, &demand(1, 0, 0))), (56, 0)); // 50 + ⌊25 * 2.2 / 8⌋
    }

    #[test]
    fn partly_used_devices_come_first() {
        let score = |machine: &Machine, demand: &DeviceDemand| Baseline::Packing.fit(machine, demand, 0);
        let machine = used(&[demand(1, 1, 450)]);
        assert_eq!(score(&machine, &demand(1, 1, 500)), Fit::new(95, Some(0))); // 100 - ⌊55 / 10⌋
        assert_eq!(score(&machine, &demand(1, 1, 600)), Fit::new(49, Some(1)));
        assert_eq!(score(&machine, &demand(1, 4, 1000)).score, 46);
        assert_eq!(score(&used(&[]), &demand(1, 1, 600)).score, 25);
    }

    #[test]
    fn random_chooses_every_device_that_fits_and_no_other() {
        let machine = used(&[demand(1, 1, 900)]);
        let mut seen: Vec<usize> =
            (0..200).filter_map(|n| Baseline::Random.fit(&machine, &demand(1, 1, 500), n).device).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    }
}
