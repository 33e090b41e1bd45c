//! The built-in executors: what runs commands, groups of tasks and containers when a framework brings no executor of its own.
//!
//! Each is a program of its own, in a session of its own, which speaks the v1 executor API to the agent and survives it. What they
//! decide is [`Runner`], a state machine.

mod attempts;
mod checks;
mod containers;
mod ending;
mod processes;
mod program;
mod runner;
mod work;

pub use apportion_exec::signal_name;
pub use checks::{CheckKind, Probe, ProbeKind, ProbeResult};
pub use ending::Ending;
pub use program::ExecutorError;
pub use runner::{Action, Runner};
pub use work::{CommandLine, DEFAULT_GRACE, Work, WorkError};

use apportion::v1::connection::ExecutorEnvironment;
use containers::Containers;
use processes::{Layout, Processes};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The variable in which an agent tells a docker executor the login for images: the value of `--docker_config`.
pub const DOCKER_CONFIG: &str = "APPORTION_DOCKER_CONFIG";

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
/// let program = Program::Default { switch_user: true, work_dir: "/var/lib/mesos".into() };
/// assert_eq!(program.arguments(), ["executor", "default", "--switch_user", "--work_dir", "/var/lib/mesos"]);
/// assert_eq!(Program::parse(program.arguments()), Some(program));
/// assert_eq!(Program::parse(["agent", "--master=127.0.0.1:5050"]), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// Runs one task.
    Command,
    /// Runs groups of tasks.
    Default {
        /// True if a task runs as the user that it names (`--switch_user`).
        switch_user: bool,
        /// The folder of the agent, which has the persistent volumes; if it is empty there are none.
        work_dir: PathBuf,
    },
    /// Runs one task in a container of an engine.
    Docker {
        /// The socket of the engine.
        socket: PathBuf,
        /// True if the task is limited to its `cpus` (`--cgroups_enable_cfs`).
        cpu_quota: bool,
        /// The folder of the agent, which has the persistent volumes; if it is empty there are none.
        work_dir: PathBuf,
    },
}

impl Program {
    /// Returns the arguments of the program that runs it, without the program.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let (kind, options): (_, Vec<OsString>) = match self {
            Self::Command => ("command", Vec::new()),
            Self::Default { switch_user, work_dir } => {
                let mut options = switch(*switch_user, SWITCH_USER);
                options.extend([WORK_DIR.into(), work_dir.clone().into()]);
                ("default", options)
            }
            Self::Docker { socket, cpu_quota, work_dir } => {
                let mut options = vec![DOCKER_SOCKET.into(), socket.clone().into()];
                options.extend(switch(*cpu_quota, CPU_QUOTA));
                options.extend([WORK_DIR.into(), work_dir.clone().into()]);
                ("docker", options)
            }
        };
        [SUBCOMMAND, kind].map(OsString::from).into_iter().chain(options).collect()
    }

    /// Returns the executor of such arguments; `None` if they are others.
    #[must_use]
    pub fn parse<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().map(|argument| argument.as_ref().to_owned());
        if next()? != SUBCOMMAND {
            return None;
        }
        let kind = next()?;
        let mut program = match kind.to_str()? {
            "command" => Self::Command,
            "default" => Self::Default { switch_user: false, work_dir: PathBuf::new() },
            "docker" => Self::Docker { socket: PathBuf::new(), cpu_quota: false, work_dir: PathBuf::new() },
            _ => return None,
        };
        while let Some(option) = next() {
            match (&mut program, option.to_str()?) {
                (Self::Default { switch_user, .. }, SWITCH_USER) => *switch_user = true,
                (Self::Default { work_dir, .. } | Self::Docker { work_dir, .. }, WORK_DIR) => {
                    *work_dir = next()?.into()
                }
                (Self::Docker { socket, .. }, DOCKER_SOCKET) => *socket = next()?.into(),
                (Self::Docker { cpu_quota, .. }, CPU_QUOTA) => *cpu_quota = true,
                _ => return None,
            }
        }
        Some(program)
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
            Self::Command => program::run(environment, Runner::command(seed), async |outcomes| {
                Processes::new(Layout::Own, None, outcomes)
            }),
            Self::Default { switch_user, work_dir } => {
                program::run(environment, Runner::groups(seed), async |outcomes| {
                    Processes::new(Layout::Each { switch_user }, known(work_dir), outcomes)
                })
            }
            Self::Docker { socket, cpu_quota, work_dir } => {
                program::run(environment, Runner::docker(seed), async |outcomes| {
                    Containers::new(&socket, cpu_quota, known(work_dir), outcomes)
                })
            }
        }
    }
}

const SWITCH_USER: &str = "--switch_user";
const DOCKER_SOCKET: &str = "--docker_socket";
const CPU_QUOTA: &str = "--cgroups_enable_cfs";
const WORK_DIR: &str = "--work_dir";

fn known(work_dir: PathBuf) -> Option<PathBuf> {
    Some(work_dir).filter(|work_dir| !work_dir.as_os_str().is_empty())
}

fn switch(is_on: bool, name: &str) -> Vec<OsString> {
    if is_on { vec![name.into()] } else { Vec::new() }
}
