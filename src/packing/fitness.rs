//! [`DeviceFitness`]: the seam for packing policies.

use super::demand::DeviceDemand;
use super::machine::Machine;
use std::fmt;

/// A packing policy: scores the placement of a demand on a machine and chooses the device.
///
/// Scores are integers, and should be coarse: machines that are about equally good should tie. Ties go to the first
/// machine, so the later ones stay empty for large tasks, whereas a score that resolves small differences scatters
/// tasks. On the openb trace FGD without its rounding loses one percent of the GPUs, and more than five with its ties
/// broken at random.
///
/// # Examples
///
/// A custom policy that prefers machines without devices, then those with the most cpus for each device left.
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{DeviceDemand, DeviceFitness, Fit, Fleet, Machine};
///
/// #[derive(Debug)]
/// struct CpusToSpare;
///
/// impl DeviceFitness for CpusToSpare {
///     fn fit(&self, machine: &Machine, demand: &DeviceDemand, _: u64) -> Fit {
///         let spare = machine.cpus().as_milli().saturating_mul(1000) / machine.free().max(1);
///         Fit::new(i64::try_from(spare).unwrap_or(i64::MAX), machine.tightest_device(demand.devices))
///     }
/// }
///
/// let machine = |cpus, devices| Machine::new(Scalar::units(cpus), Scalar::units(64), devices);
/// let mut fleet = Fleet::new([machine(8, 2), machine(8, 0)], CpusToSpare);
/// let placed = fleet.place(&DeviceDemand::new(Scalar::units(4), Scalar::ZERO)).expect("there is room");
/// assert_eq!(placed.machine, 1);
/// ```
pub trait DeviceFitness: fmt::Debug + Send + Sync {
    /// Returns the best placement of `demand` on `machine`, where it is known to fit. `draw` is a random number for
    /// this decision and machine.
    fn fit(&self, machine: &Machine, demand: &DeviceDemand, draw: u64) -> Fit;

    /// Returns true if [`fit`](Self::fit) depends on `draw`; its results are then not cached. The default is false.
    fn is_random(&self) -> bool {
        false
    }
}

impl<F: DeviceFitness + ?Sized> DeviceFitness for &F {
    fn fit(&self, machine: &Machine, demand: &DeviceDemand, draw: u64) -> Fit {
        (**self).fit(machine, demand, draw)
    }

    fn is_random(&self) -> bool {
        (**self).is_random()
    }
}

impl<F: DeviceFitness + ?Sized> DeviceFitness for Box<F> {
    fn fit(&self, machine: &Machine, demand: &DeviceDemand, draw: u64) -> Fit {
        (**self).fit(machine, demand, draw)
    }

    fn is_random(&self) -> bool {
        (**self).is_random()
    }
}

/// A scored placement of a demand on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fit {
    /// The score; higher is better.
    pub score: i64,
    /// The device, for a request for a part of one. Whole devices are allocated in order, the first idle ones.
    pub device: Option<usize>,
}

impl Fit {
    /// Makes a fit of that score, from that device.
    #[must_use]
    pub const fn new(score: i64, device: Option<usize>) -> Self {
        Self { score, device }
    }
}

/// Rounds towards zero.
#[expect(clippy::cast_possible_truncation, reason = "truncation is what the function is for")]
pub(super) fn truncate(score: f64) -> i64 {
    score as i64
}
