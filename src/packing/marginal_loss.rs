//! [`MarginalLoss`]: scores a placement by how much it increases a [`Loss`].

use super::demand::DeviceDemand;
use super::fitness::truncate;
use super::fitness::{DeviceFitness, Fit};
use super::machine::Machine;
use std::fmt;

/// A loss function: an estimate of the device capacity of a machine that will go to waste, in thousandths of a device.
///
/// [`Fragmentation`](super::Fragmentation) counts the capacity that tasks cannot use now,
/// [`RolloutLoss`](super::RolloutLoss) the capacity that is still idle when the machine can take no further task.
pub trait Loss: fmt::Debug + Send + Sync {
    /// Returns the loss of the machine in its present state.
    fn loss(&self, machine: &Machine) -> f64;
}

/// The function that turns a difference in loss into an integer score.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Scale {
    /// ⌊100 σ(x)⌋ with x in devices and σ the logistic function, as in FGD: near 0 a score step is 4 % of a device, and
    /// large differences saturate.
    Logistic,
    /// ⌊x / s⌋ with x and the step width s in thousandths of a device.
    Linear(f64),
}

/// The policy that minimises the marginal loss of each placement: greedy descent on a loss function.
///
/// Weng et al. (USENIX ATC'23) call this gradient descent. Among devices of equal score the first is chosen.
#[derive(Debug, Clone)]
pub struct MarginalLoss<L> {
    loss: L,
    scale: Scale,
}

impl<L: Loss> MarginalLoss<L> {
    /// Makes the policy that minimises this loss, in scores of this scale.
    #[must_use]
    pub const fn new(loss: L, scale: Scale) -> Self {
        Self { loss, scale }
    }

    /// Returns the loss function.
    #[must_use]
    pub const fn loss(&self) -> &L {
        &self.loss
    }
}

impl<L: Loss> DeviceFitness for MarginalLoss<L> {
    fn fit(&self, machine: &Machine, demand: &DeviceDemand, _: u64) -> Fit {
        let before = self.loss.loss(machine);
        let score = |device| self.scale.score(before - self.loss.loss(&machine.after(demand, device)));
        if !demand.devices.is_part() {
            return Fit::new(score(None), None);
        }
        let mut best = Fit::new(i64::MIN, None);
        let devices = machine.devices();
        for (device, left) in devices.iter().enumerate() {
            // Devices with equally much left are interchangeable: score the first.
            if *left < demand.devices.each() || devices[..device].contains(left) {
                continue;
            }
            let score = score(Some(device));
            if score > best.score || best.device.is_none() {
                best = Fit::new(score, Some(device));
            }
        }
        best
    }
}

impl Scale {
    fn score(self, gain: f64) -> i64 {
        match self {
            Self::Logistic => truncate(100.0 * (1.0 / (1.0 + libm::exp(-gain / 1000.0)))),
            Self::Linear(step) => truncate((gain / step).floor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_change_is_the_middle_of_the_logistic_scale() {
        assert_eq!(Scale::Logistic.score(0.0), 50);
        assert_eq!(Scale::Logistic.score(-1e-12), 49);
        assert_eq!((Scale::Logistic.score(400.0), Scale::Logistic.score(-320.0)), (59, 42));
    }

    #[test]
    fn linear_steps_round_down() {
        let scores = [-51.0, -50.0, -1.0, 0.0, 49.0, 50.0].map(|gain| Scale::Linear(50.0).score(gain));
        assert_eq!(scores, [-2, -1, -1, 0, 0, 1]);
    }
}
