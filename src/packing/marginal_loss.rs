//! [`Descent`]: place each task where it makes the value of a machine fall least.

use super::baseline::whole;
use super::demand::Demand;
use super::fitness::{DeviceFitness, Fit};
use super::machine::Machine;
use std::fmt;

/// What of a machine's devices will come to nothing, by some notion of it: a number of thousandths of a device.
///
/// [`Fragmentation`](super::Fragmentation) counts what tasks cannot use as things stand, [`Outlook`](super::Outlook)
/// what they will not have used in the end.
pub trait Loss: fmt::Debug + Send + Sync {
    /// That number.
    fn loss(&self, machine: &Machine) -> f64;
}

/// How a difference in loss becomes a score.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Scale {
    /// ⌊100 σ(x)⌋ with x in devices and σ the logistic function, as in FGD: 1 % of a device near 0 is a quarter of a
    /// step, far from it all is one.
    Logistic,
    /// Even steps of so many thousandths of a device.
    Steps(f64),
}

/// The fitness that lets a loss grow as little as possible (gradient descent on the loss, in the words of FGD).
///
/// Of devices that score the same the first one is taken.
#[derive(Debug, Clone)]
pub struct Descent<L> {
    loss: L,
    scale: Scale,
}

impl<L: Loss> Descent<L> {
    /// Descends that loss.
    #[must_use]
    pub const fn new(loss: L, scale: Scale) -> Self {
        Self { loss, scale }
    }

    /// The loss.
    #[must_use]
    pub const fn loss(&self) -> &L {
        &self.loss
    }
}

impl<L: Loss> DeviceFitness for Descent<L> {
    fn fit(&self, machine: &Machine, demand: &Demand, _: u64) -> Fit {
        let before = self.loss.loss(machine);
        let score = |device| self.scale.score(before - self.loss.loss(&machine.after(demand, device)));
        if !demand.devices.is_part() {
            return Fit::new(score(None), None);
        }
        let mut best = Fit::new(i64::MIN, None);
        let devices = machine.devices();
        for (device, left) in devices.iter().enumerate() {
            // A device like one before it would score the same.
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
            Self::Logistic => whole(100.0 * (1.0 / (1.0 + libm::exp(-gain / 1000.0)))),
            Self::Steps(step) => whole((gain / step).floor()),
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
    fn steps_are_even() {
        let scores = [-51.0, -50.0, -1.0, 0.0, 49.0, 50.0].map(|gain| Scale::Steps(50.0).score(gain));
        assert_eq!(scores, [-2, -1, -1, 0, 0, 1]);
    }
}
