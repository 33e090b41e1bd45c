//! `growth`: how the cost of each operation grows with the size of the cluster.
//!
//! Each operation is measured at three sizes, a tenth apart. The exponent is the growth from the second to the third: 0 is flat, 1
//! in proportion, 2 quadratic.

mod allocator;
mod fit;
mod levels;
mod master;
mod planner;
mod resources;
mod roles;

use crate::Arguments;
use crate::report::{Failure, span};
use apportion_console::stdout;
use serde::Serialize;
use std::io::{self, Write};
use std::time::Instant;

/// An operation whose cost is measured.
struct Operation {
    /// Its short name, which stays the same.
    name: &'static str,
    /// What one unit of it is.
    unit: &'static str,
    /// The sizes.
    sizes: [usize; 3],
    /// Returns the seconds that a unit takes at a size.
    measure: fn(usize) -> Result<f64, Failure>,
}

impl Operation {
    /// An operation at a size, a tenth and a hundredth of it.
    const fn new(
        name: &'static str,
        unit: &'static str,
        size: usize,
        measure: fn(usize) -> Result<f64, Failure>,
    ) -> Self {
        Self { name, unit, sizes: [size / 100, size / 10, size], measure }
    }
}

/// The result of one operation.
#[derive(Debug, Serialize)]
struct Line<'a> {
    operation: &'a str,
    n: [usize; 3],
    seconds: [f64; 3],
    exponent: f64,
}

/// Measures each operation whose name begins with `only`, or all.
pub(crate) fn growth(arguments: &Arguments) -> Result<(), Failure> {
    let mut out = stdout();
    if !arguments.json {
        writeln!(
            out,
            "{:<24} {:>9} {:>11} {:>11} {:>11} {:>9}  a unit is",
            "operation", "n", "n/100", "n/10", "n", "exponent"
        )?;
    }
    let only = arguments.only.as_deref().unwrap_or_default();
    let groups = [
        roles::OPERATIONS,
        allocator::OPERATIONS,
        levels::OPERATIONS,
        resources::OPERATIONS,
        master::OPERATIONS,
        fit::OPERATIONS,
        planner::OPERATIONS,
    ];
    for operation in groups.into_iter().flatten().filter(|operation| operation.name.starts_with(only)) {
        let mut seconds = [0.0; 3];
        for (seconds, size) in seconds.iter_mut().zip(operation.sizes) {
            *seconds = (operation.measure)(size)?;
        }
        let Operation { name, unit, sizes, .. } = *operation;
        let exponent = (seconds[2] / seconds[1]).log10();
        if arguments.json {
            serde_json::to_writer(&mut out, &Line { operation: name, n: sizes, seconds, exponent })
                .map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            let [first, second, third] = seconds.map(span);
            writeln!(out, "{name:<24} {:>9} {first:>11} {second:>11} {third:>11} {exponent:>9.2}  {unit}", sizes[2])?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Returns the seconds that one call of `work` takes, of so many after one that is not timed.
fn each(times: u32, mut work: impl FnMut(usize) -> Result<(), Failure>) -> Result<f64, Failure> {
    work(0)?;
    let start = Instant::now();
    for number in 1..=times as usize {
        work(number)?;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(times))
}

/// Returns the seconds that `work` takes, by the number of units that it returns.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn whole(work: impl FnOnce() -> Result<usize, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    let units = work()?;
    Ok(start.elapsed().as_secs_f64() / units.max(1) as f64)
}
