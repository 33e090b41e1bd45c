//! [`Search`]: from a sequence that fails to a short one, and what is said of it.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an implementation of a seam does not keep, and where in a sequence that shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at step {step}: {broken}")]
#[non_exhaustive]
pub struct Broken {
    /// The number of the step, from 0.
    pub step: usize,
    /// What does not hold.
    pub broken: String,
}

/// How failures of a suite are told.
#[derive(Debug)]
pub(super) struct Search {
    /// What is checked.
    pub(super) what: &'static str,
    /// The function that checks a sequence.
    pub(super) check: &'static str,
}

/// The largest number of sequences that are tried to find a shorter one.
const MAX_TRIES: usize = 5_000;

impl Search {
    /// Returns the report of a sequence that fails, with the shortest one that fails too.
    pub(super) fn report<T: Clone + fmt::Debug>(
        &self,
        seed: u64,
        sequence: Vec<T>,
        broken: Broken,
        check: impl Fn(&[T]) -> Result<(), Broken>,
    ) -> String {
        let length = sequence.len();
        let (shortest, broken) = shortest(sequence, broken, check);
        let mut lines: Vec<String> = shortest.iter().map(|step| format!("    {step:?},\n")).collect();
        lines.truncate(broken.step + 1);
        let Self { what, check } = self;
        format!(
            "the {what} does not keep its contract: {}\n\
             seed {seed}: {} of {length} steps are enough to show it:\n\n\
             use apportion::testing::*;\n\
             let steps = [\n{}];\n\
             assert_eq!({check}(&make, &steps), Ok(()));\n",
            broken.broken,
            lines.len(),
            lines.concat(),
        )
    }
}

/// Leaves out steps for as long as what is left fails.
fn shortest<T: Clone>(
    mut sequence: Vec<T>,
    mut broken: Broken,
    check: impl Fn(&[T]) -> Result<(), Broken>,
) -> (Vec<T>, Broken) {
    sequence.truncate(broken.step + 1);
    let (mut chunk, mut tries) = (sequence.len() / 2, 0);
    while chunk > 0 {
        let (mut start, before) = (0, sequence.len());
        while start < sequence.len() && tries < MAX_TRIES {
            let mut shorter = sequence.clone();
            shorter.drain(start..sequence.len().min(start + chunk));
            tries += 1;
            match check(&shorter) {
                Err(still) => {
                    shorter.truncate(still.step + 1);
                    (sequence, broken) = (shorter, still);
                }
                Ok(()) => start += chunk,
            }
        }
        let is_shorter = sequence.len() < before;
        chunk = if is_shorter { chunk.min(sequence.len()) } else { chunk / 2 };
    }
    (sequence, broken)
}

/// Runs a sequence. `step` does one, and returns what does not hold then; a panic does not hold either.
pub(super) fn run<T>(sequence: &[T], mut step: impl FnMut(&T) -> Result<(), String>) -> Result<(), Broken> {
    let at = Cell::new(0);
    let run = AssertUnwindSafe(|| {
        sequence.iter().enumerate().try_for_each(|(number, one)| {
            at.set(number);
            step(one)
        })
    });
    let broken = match catch_unwind(run) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panics: {}", text.unwrap_or("without a message")))
        }
    };
    broken.map_err(|broken| Broken { step: at.get(), broken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let check = |steps: &[u32]| {
            let mut sum = 0;
            run(steps, |step| {
                sum += step;
                if *step == 9 && sum > 20 { Err(format!("{sum}")) } else { Ok(()) }
            })
        };
        let sequence = vec![1, 2, 9, 3, 8, 1, 1, 9, 4];
        let broken = check(&sequence).unwrap_err();
        assert_eq!(broken.step, 7);
        let (shortest, broken) = shortest(sequence, broken, check);
        assert_eq!((shortest.as_slice(), broken.step), (&[9, 3, 9][..], 2));
    }

    #[test]
    fn a_panic_is_told_with_its_step() {
        let broken = run(&[0, 1], |step| if *step == 1 { panic!("no {step}") } else { Ok(()) }).unwrap_err();
        assert_eq!(broken, Broken { step: 1, broken: "it panics: no 1".to_owned() });
    }
}
