//! [`Failure`]: the reason for which a program ends with a status other than 0.

use crate::output::{stderr, stdout};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit statuses of most programs, for `--help`.
pub const STATUSES: &str = "Exit status: 0; 1 when the output cannot be written; 2 for wrong arguments or input. A closed pipe ends it with 0.";

/// The reason for which a program ends with a status other than 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Wrong arguments or input, a line for each thing that is wrong. Status 2.
    #[error("{}", .0.join("\n"))]
    Input(Vec<String>),
    /// An output cannot be written ([`Named`](crate::Named) says which). Status 1, or 0 if its reader has closed it.
    #[error("{0}")]
    Output(#[from] io::Error),
    /// The program could not do its work. Status 1.
    #[error("{0}")]
    Run(String),
    /// With `--strict`: something could not be placed. Status 3.
    #[error("{0}")]
    Unplaced(String),
    /// The program was interrupted, as by Ctrl-C. Status 130.
    #[error("{0}")]
    Interrupted(String),
    /// The program ends as another one did, which it has run: with that status, and without a word.
    #[error("status {0}")]
    Status(u8),
    /// The command line asks for help, or is wrong. Status 0 or 2.
    #[error("{0}")]
    Arguments(#[from] clap::Error),
}

impl From<Box<dyn Error>> for Failure {
    /// An error of I/O is one of the output; any other one ends the run.
    fn from(error: Box<dyn Error>) -> Self {
        error.downcast::<io::Error>().map_or_else(|other| Self::Run(other.to_string()), |error| Self::Output(*error))
    }
}

impl Failure {
    /// Returns the failure of wrong input.
    #[must_use]
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(vec![message.into()])
    }

    /// Writes the reason to standard error, and returns the exit status.
    #[must_use]
    pub fn report(self) -> ExitCode {
        let status = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Arguments(error) if !error.use_stderr() => {
                let mut out = stdout();
                let written = write!(out, "{}", error.render()).and_then(|()| out.flush());
                return written.map_or_else(|error| Self::Output(error).report(), |()| ExitCode::SUCCESS);
            }
            Self::Status(status) => return ExitCode::from(status),
            Self::Input(_) | Self::Arguments(_) => 2,
            Self::Output(_) | Self::Run(_) => 1,
            Self::Unplaced(_) => 3,
            Self::Interrupted(_) => 130,
        };
        // Where standard error is closed there is nobody left to tell.
        let _ = match self {
            Self::Arguments(error) => write!(stderr(), "{}", error.render().ansi()),
            Self::Input(_)
            | Self::Output(_)
            | Self::Run(_)
            | Self::Unplaced(_)
            | Self::Interrupted(_)
            | Self::Status(_) => {
                writeln!(stderr(), "{self}")
            }
        };
        ExitCode::from(status)
    }
}
