//! [`Draws`]: a stream of random numbers of a seed.

use crate::draw::draw;

/// A stream of random numbers: the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    seed: u64,
    drawn: u64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Returns a number below a bound, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        draw(self.seed, self.drawn) % bound
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let choice = self.below(choices.len() as u64);
        choices[usize::try_from(choice).expect("it is below a length")]
    }

    /// Returns the position of one of the weights, as often as it says.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        weights
            .iter()
            .position(|weight| match left.checked_sub(*weight) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            })
            .expect("the number is below the sum")
    }
}
