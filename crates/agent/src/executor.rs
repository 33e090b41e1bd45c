//! The built-in executors: what runs commands, groups of tasks and containers when a framework brings no executor of its own.
//!
//! Each is a program of its own, in a session of its own, which speaks the v1 executor API to the agent and survives it. What they
//! decide is [`Runner`], a state machine.

mod checks;
mod ending;
mod processes;
mod program;
mod runner;
mod work;

pub use checks::{CheckKind, Probe, ProbeKind, ProbeResult};
pub use ending::Ending;
pub use program::ExecutorError;
pub use runner::{Action, Runner};
pub use work::{CommandLine, DEFAULT_GRACE, Work, WorkError};

use apportion::v1::connection::ExecutorEnvironment;
use processes::{Layout, Processes};
use std::ffi::OsStr;

/// The subcommand of a program that runs the built-in executors; the agent starts its own program with it.
pub const SUBCOMMAND: &str = "executor";

/// The program of a built-in executor, as an agent starts it: in its sandbox, in a session of its own, with an
/// [environment](ExecutorEnvironment) that names the agent. It runs until its tasks have ended.
///
/// # Examples
///
/// ```
/// use apportion_agent::executor::Program;
///
/// let program = Program::Default { switch_user: true };
/// assert_eq!(program.arguments(), ["executor", "default", "--switch_user"]);
/// assert_eq!(Program::parse(program.arguments()), Some(program));
/// assert_eq!(Program::parse(["agent", "--master=127.0.0.1:5050"]), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// Runs one task.
    Command,
    /// Runs groups of tasks.
    Default {
        /// Whether a task that names a user runs as that one (`--switch_user`).
        switch_user: bool,
    },
}

impl Program {
    /// Returns the arguments of the program that runs it, without the program.
    #[must_use]
    pub fn arguments(self) -> Vec<&'static str> {
        match self {
            Self::Command => vec![SUBCOMMAND, "command"],
            Self::Default { switch_user: false } => vec![SUBCOMMAND, "default"],
            Self::Default { switch_user: true } => vec![SUBCOMMAND, "default", "--switch_user"],
        }
    }

    /// Returns the executor of such arguments; `None` if they are others.
    #[must_use]
    pub fn parse<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Option<Self> {
        let all = [Self::Command, Self::Default { switch_user: false }, Self::Default { switch_user: true }];
        let given: Vec<S> = arguments.into_iter().take(4).collect();
        all.into_iter().find(|program| {
            let expected = program.arguments();
            expected.len() == given.len()
                && expected.iter().zip(&given).all(|(expected, given)| *expected == given.as_ref())
        })
    }

    /// Runs the executor to its end.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] when the environment is not that of an executor, or the system refuses something.
    pub fn run(self) -> Result<(), ExecutorError> {
        #[expect(clippy::disallowed_methods, reason = "it is where an agent tells an executor what it has to know")]
        let environment = ExecutorEnvironment::read(|name| std::env::var(name).ok())?;
        let seed = getrandom::u64().map_err(std::io::Error::other).map_err(ExecutorError::system("a random number"))?;
        match self {
            Self::Command => {
                program::run(environment, Runner::command(seed), |outcomes| Processes::new(Layout::Own, outcomes))
            }
            Self::Default { switch_user } => program::run(environment, Runner::groups(seed), |outcomes| {
                Processes::new(Layout::Each { switch_user }, outcomes)
            }),
        }
    }
}
