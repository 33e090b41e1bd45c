//! Which task goes into which offer: reads one problem as JSON, prints one plan as JSON.
//!
//!     cargo run --release --example place -- FILE        (or `-` for standard input)
//!
//! Exit status 0, also when nothing fits. Wrong input: exit status 2, nothing on standard output,
//! and `FILE:LINE:COLUMN: ...` or `FILE: PATH: ...` on standard error.
#![expect(clippy::print_stderr, reason = "a program talks to people here")]

use apportion::placement::Problem;
use clap::Parser;
use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;

/// Says which task goes into which offer, and why the rest has to wait.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The problem, as JSON; `-` for standard input.
    file: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        // The reader of our output has closed it.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            eprintln!("standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    Input(String),
    Output(io::Error),
}

fn run(file: &str) -> Result<(), Failure> {
    let text = read(file).map_err(|error| Failure::Input(format!("{file}: {error}")))?;
    let problem = Problem::from_slice(&text).map_err(|error| Failure::Input(error.in_file(file).to_string()))?;
    let mut plan = problem.solve();
    problem.expand(&mut plan);
    let mut out = BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, &plan).map_err(|error| Failure::Output(error.into()))?;
    out.write_all(b"\n").and_then(|()| out.flush()).map_err(Failure::Output)
}

fn read(file: &str) -> io::Result<Vec<u8>> {
    if file == "-" {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text)?;
        Ok(text)
    } else {
        std::fs::read(file)
    }
}
