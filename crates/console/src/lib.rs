//! Arguments, standard streams, files and exit statuses: the code that the programs of this workspace have in common.
//!
//! Every program ends alike. When the reader of its output has closed it (`| head`), the program ends quietly, with status 0.
//! When an output cannot be written, one line on standard error names it, and the status is 1. `--help` and `--version` are
//! there, and wrong arguments or input have status 2.
//!
//! ```no_run
//! use apportion_console::{Failure, Stdout};
//! use std::io::Write as _;
//! use std::process::ExitCode;
//!
//! /// Greets somebody.
//! #[derive(Debug, clap::Parser)]
//! #[command(version, after_help = apportion_console::STATUSES)]
//! struct Arguments {
//!     name: String,
//! }
//!
//! fn run(arguments: &Arguments, out: &mut Stdout) -> Result<(), Failure> {
//!     writeln!(out, "good morning, {}", arguments.name)?;
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     apportion_console::main(run)
//! }
//! ```

mod failure;
mod input;
mod log;
mod output;
pub mod paths;
pub mod testing;

pub use failure::{Failure, STATUSES};
pub use input::{MAX_DOCUMENT_BYTES, STANDARD_INPUT, open, read};
pub use log::log_warnings;
pub use output::{Named, STANDARD_OUTPUT, Stdout, create, stdout, warn, width};

use clap::{Command, FromArgMatches, Parser};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// Runs a program: reads its arguments, runs it, and tells on standard error why it failed, if it did.
pub fn main<A: Parser>(run: impl FnOnce(&A, &mut Stdout) -> Result<(), Failure>) -> ExitCode {
    main_with(A::try_parse, run)
}

/// Runs a program that reads its arguments itself.
pub fn main_with<A, E: Into<Failure>>(
    parse: impl FnOnce() -> Result<A, E>,
    run: impl FnOnce(&A, &mut Stdout) -> Result<(), Failure>,
) -> ExitCode {
    let mut out = stdout();
    let arguments = parse().map_err(Into::into);
    let result = arguments.and_then(|arguments| run(&arguments, &mut out));
    // What is left in the buffer belongs to the output, also before the line that says why it ends here.
    let flushed = out.flush().map_err(Failure::Output);
    result.and(flushed).map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}

/// Runs a program without arguments. `--help` prints `about`, and `--version` the version of the workspace.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     apportion_console::example("Says hello", |out| Ok(writeln!(out, "hello")?))
/// }
/// ```
pub fn example(about: &'static str, run: impl FnOnce(&mut dyn Write) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let parse = || {
        let command = Command::new("example").about(about).version(env!("CARGO_PKG_VERSION")).after_help(STATUSES);
        let matches = command.try_get_matches()?;
        <() as FromArgMatches>::from_arg_matches(&matches)
    };
    main_with(parse, |&(), out| run(out).map_err(Failure::from))
}
