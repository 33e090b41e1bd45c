//! [`Baseline`]: the fitnesses that FGD was measured against.
//!
//! Formulas, rounding included, are those of the simulator of Weng et al. (USENIX ATC'23), so that its published
//! results can be had to the digit.

use super::demand::{Demand, WHOLE};
use super::fitness::{DeviceFitness, Fit};
use super::machine::Machine;
use crate::draw::draw;

/// The cpus of the largest machine that scores are scaled to, in thousandths.
const MOST_CPUS: f64 = 128_000.0;
/// The devices of the largest machine that scores are scaled to, in thousandths.
const MOST_DEVICES: u32 = 8 * WHOLE;

/// The fitnesses that FGD was measured against.
///
/// Of devices that will do, all but [`Random`](Self::Random) take the one with the least left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Baseline {
    /// Any machine that fits, and any device of it.
    Random,
    /// Where least is left of cpus and devices together.
    BestFit,
    /// Where the product of what is left and what is wanted is smallest, summed over cpus and devices.
    ///
    /// After the alignment score of Grandl et al., *Multi-Resource Packing for Cluster Schedulers*, SIGCOMM'14, turned
    /// round as the simulator has it.
    DotProduct,
    /// Where tasks of the same kind are: parts of a device, or the same number of whole ones.
    Clustering,
    /// On devices in use first, then on machines in use, last on whole machines.
    Packing,
}

impl DeviceFitness for Baseline {
    fn fit(&self, machine: &Machine, demand: &Demand, draw: u64) -> Fit {
        let score = match self {
            Self::Random => return at_random(machine, demand, draw),
            Self::BestFit => best_fit(machine, demand),
            Self::DotProduct => dot_product(machine, demand),
            Self::Clustering => clustering(machine, demand),
            Self::Packing => packing(machine, demand),
        };
        Fit::new(score, machine.tightest(demand.devices))
    }

    fn draws(&self) -> bool {
        *self == Self::Random
    }
}

fn at_random(machine: &Machine, demand: &Demand, number: u64) -> Fit {
    let fits = |device: &usize| machine.devices()[*device] >= demand.devices.each();
    let fitting = (0..machine.devices().len()).filter(fits);
    let device = fitting.min_by_key(|device| draw(number, *device as u64));
    Fit::new((number >> 1).cast_signed(), device)
}

fn best_fit(machine: &Machine, demand: &Demand) -> i64 {
    let cpus = machine.cpus().saturating_sub(demand.cpus).as_milli();
    let devices = machine.free().saturating_sub(demand.devices.total());
    whole(100.0 * (1.0 - 0.5 * (number(cpus) / MOST_CPUS + number(devices) / f64::from(MOST_DEVICES))))
}

fn dot_product(machine: &Machine, demand: &Demand) -> i64 {
    let product = |left: u64, wanted: u64, most: f64| number(left) / most * (number(wanted) / most);
    let cpus = product(machine.cpus().as_milli(), demand.cpus.as_milli(), MOST_CPUS);
    let devices = product(machine.free(), demand.devices.total(), f64::from(MOST_DEVICES));
    whole(100.0 * (1.0 - 0.5 * (cpus + devices)))
}

fn clustering(machine: &Machine, demand: &Demand) -> i64 {
    let request = demand.devices;
    if request.is_none() {
        return 0;
    }
    let kind = request.kind();
    let base = match machine.tenants() {
        [only] if *only == kind => 75,
        [] => 25,
        tenants if tenants.contains(&kind) => 50,
        _ => 0,
    };
    let used = f64::from(MOST_DEVICES) - number(machine.free());
    base + whole(25.0 * used / f64::from(MOST_DEVICES))
}

fn packing(machine: &Machine, demand: &Demand) -> i64 {
    let (request, devices) = (demand.devices, machine.devices());
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    if request.is_none() {
        return 0;
    }
    if machine.whole() == devices.len() {
        return (33 - count(devices.len())).max(count(devices.len()));
    }
    let mut taken: Vec<u32> = devices.iter().copied().filter(|left| *left >= request.each()).collect();
    taken.sort_unstable();
    taken.truncate(request.count() as usize);
    match taken.iter().filter(|left| **left == WHOLE).count() {
        0 => (100 - taken.iter().map(|left| i64::from(left * 100 / WHOLE)).sum::<i64>() / 10).max(50),
        whole => (50 - count(whole)).max(33),
    }
}

#[expect(clippy::cast_precision_loss, reason = "amounts of one machine are far below 2^53 thousandths")]
fn number(amount: u64) -> f64 {
    amount as f64
}

/// Cuts off what is behind the point.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(super) fn whole(score: f64) -> i64 {
    score as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::DeviceRequest;
    use crate::resources::Scalar;

    fn demand(cpus: u64, count: u64, each: u64) -> Demand {
        Demand::new(Scalar::units(cpus), Scalar::ZERO).devices(DeviceRequest::new(count, each).unwrap())
    }

    fn used(demands: &[Demand]) -> Machine {
        let mut machine = Machine::new(Scalar::units(96), Scalar::units(1), 8);
        for demand in demands {
            let device = machine.tightest(demand.devices);
            machine.take(demand, device).unwrap();
        }
        machine
    }

    #[test]
    fn best_fit_counts_what_is_left_afterwards() {
        let fit = Baseline::BestFit.fit(&used(&[demand(32, 4, 1000)]), &demand(16, 2, 1000), 0);
        assert_eq!(fit.score, 68); // 100 * (1 - (48 / 128 + 2 / 8) / 2) = 68.75
    }

    #[test]
    fn the_dot_product_counts_what_is_left_before() {
        let fit = Baseline::DotProduct.fit(&used(&[demand(32, 4, 1000)]), &demand(64, 2, 1000), 0);
        assert_eq!(fit.score, 81); // 100 * (1 - (64 / 128 * 64 / 128 + 4 / 8 * 2 / 8) / 2) = 81.25
    }

    #[test]
    fn kinds_cluster() {
        let score = |machine: &Machine, demand: &Demand| Baseline::Clustering.fit(machine, demand, 0).score;
        let (part, two) = (demand(1, 1, 500), demand(1, 2, 1000));
        let (parts, both) = (used(&[demand(1, 1, 200)]), used(&[demand(1, 1, 200), demand(1, 2, 1000)]));
        assert_eq!((score(&used(&[]), &part), score(&parts, &part), score(&parts, &two)), (25, 75, 0));
        assert_eq!((score(&both, &part), score(&both, &demand(1, 0, 0))), (56, 0)); // 50 + ⌊25 * 2.2 / 8⌋
    }

    #[test]
    fn devices_in_use_go_first() {
        let score = |machine: &Machine, demand: &Demand| Baseline::Packing.fit(machine, demand, 0);
        let machine = used(&[demand(1, 1, 450)]);
        assert_eq!(score(&machine, &demand(1, 1, 500)), Fit::new(95, Some(0))); // 100 - ⌊55 / 10⌋
        assert_eq!(score(&machine, &demand(1, 1, 600)), Fit::new(49, Some(1)));
        assert_eq!(score(&machine, &demand(1, 4, 1000)).score, 46);
        assert_eq!(score(&used(&[]), &demand(1, 1, 600)).score, 25);
    }

    #[test]
    fn chance_takes_every_device_that_fits_and_no_other() {
        let machine = used(&[demand(1, 1, 900)]);
        let mut seen: Vec<usize> =
            (0..200).filter_map(|n| Baseline::Random.fit(&machine, &demand(1, 1, 500), n).device).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    }
}
