//! [`DeviceFitness`]: how good it would be to serve a demand on a machine, and from which device.

use super::demand::Demand;
use super::machine::Machine;
use std::fmt;

/// How good it would be to serve a demand on a machine, and from which device.
///
/// Scores are whole numbers on purpose, and coarse ones are good: machines that are about equally good should tie, for
/// then the first one is taken, and the others stay empty for what is to come. A score that tells apart what does not
/// matter scatters tasks: FGD without its rounding loses one percent of the GPUs of the openb trace, and more than
/// five with its ties broken at random.
///
/// # Examples
///
/// A fitness of one's own: machines without devices first, then those with most cpus for each device left.
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{Demand, DeviceFitness, Fit, Fleet, Machine};
///
/// #[derive(Debug)]
/// struct CpusToSpare;
///
/// impl DeviceFitness for CpusToSpare {
///     fn fit(&self, machine: &Machine, demand: &Demand, _: u64) -> Fit {
///         let spare = machine.cpus().as_milli().saturating_mul(1000) / machine.free().max(1);
///         Fit::new(i64::try_from(spare).unwrap_or(i64::MAX), machine.tightest(demand.devices))
///     }
/// }
///
/// let machine = |cpus, devices| Machine::new(Scalar::units(cpus), Scalar::units(64), devices);
/// let mut fleet = Fleet::new([machine(8, 2), machine(8, 0)], CpusToSpare);
/// let placed = fleet.place(&Demand::new(Scalar::units(4), Scalar::ZERO)).expect("there is room");
/// assert_eq!(placed.machine, 1);
/// ```
pub trait DeviceFitness: fmt::Debug + Send + Sync {
    /// The best way to serve the demand, which fits on the machine. `draw` is a number drawn for this decision and
    /// machine.
    fn fit(&self, machine: &Machine, demand: &Demand, draw: u64) -> Fit;

    /// Whether fits depend on the draw, so that none holds for longer than one decision.
    fn draws(&self) -> bool {
        false
    }
}

impl<F: DeviceFitness + ?Sized> DeviceFitness for &F {
    fn fit(&self, machine: &Machine, demand: &Demand, draw: u64) -> Fit {
        (**self).fit(machine, demand, draw)
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }
}

impl<F: DeviceFitness + ?Sized> DeviceFitness for Box<F> {
    fn fit(&self, machine: &Machine, demand: &Demand, draw: u64) -> Fit {
        (**self).fit(machine, demand, draw)
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }
}

/// A way to serve a demand on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fit {
    /// How good it is; more is better.
    pub score: i64,
    /// The device, for a demand of a part of one. Whole devices are the first ones that are free.
    pub device: Option<usize>,
}

impl Fit {
    /// A fit of that score, from that device.
    #[must_use]
    pub const fn new(score: i64, device: Option<usize>) -> Self {
        Self { score, device }
    }
}
