//! Which task goes into which offer: reads one problem as JSON, prints one plan as JSON.
//!
//!     cargo run --release --example place -- FILE        (or `-` for standard input)
//!
//! Wrong input: nothing on standard output, and `FILE:LINE:COLUMN: ...` on standard error.

use apportion::placement::Problem;
use apportion_console::{Failure, Stdout};
use clap::Parser;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Says which task goes into which offer, and why the rest has to wait.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    /// The problem, as JSON; `-` for standard input.
    file: PathBuf,
    /// Refuses a longer document.
    #[arg(long, value_name = "N", default_value_t = apportion_console::MAX_DOCUMENT_BYTES)]
    max_bytes: usize,
    /// Exits with status 3 if something could not be placed.
    #[arg(long)]
    strict: bool,
}

const STATUSES: &str = "\
Exit status: 0, also when something could not be placed; 1 when the output cannot be written; 2 for wrong arguments or
input; 3 with --strict when something could not be placed. A closed pipe ends it with 0.";

fn main() -> ExitCode {
    apportion_console::main(run)
}

fn run(arguments: &Arguments, out: &mut Stdout) -> Result<(), Failure> {
    let text = apportion_console::read(&arguments.file, arguments.max_bytes)?;
    let problem = Problem::from_slice_up_to(&text, arguments.max_bytes)
        .map_err(|error| Failure::input(error.in_file(&arguments.file.display().to_string()).to_string()))?;
    let mut plan = problem.solve();
    problem.expand(&mut plan);
    let mut out = BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, &plan).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()?;
    let waiting: u64 = plan.unplaced.iter().map(|waiting| waiting.instances).sum();
    if arguments.strict && waiting > 0 {
        return Err(Failure::Unplaced(format!("{waiting} could not be placed")));
    }
    Ok(())
}
