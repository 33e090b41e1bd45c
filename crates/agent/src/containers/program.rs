//! The program of a container, and what is told in its sandbox.

use crate::executor;
use crate::machine::{ExecutorKind, Program};
use crate::settings::Settings;
use apportion_exec::ProcessBuilder;
use apportion_exec::sandbox::Sandbox;
use std::ffi::OsString;
use std::path::Path;

/// Returns the process that is to be started; an error in words for people if there is none.
pub(super) fn builder(settings: &Settings, program: &Program) -> Result<ProcessBuilder, String> {
    match program {
        Program::Shell(script) => Ok(ProcessBuilder::shell(script.as_str())),
        Program::Program { file: None, .. } => Err("the executor has no command".to_owned()),
        Program::Program { file: Some(file), arguments } => {
            let rest = arguments.iter().skip(1).map(|argument| argument.as_str());
            Ok(ProcessBuilder::new([file.as_str()].into_iter().chain(rest)))
        }
        Program::BuiltIn(kind) => Ok(ProcessBuilder::new(built_in(settings, *kind)?)),
    }
}

/// Returns the command line of a built-in executor.
fn built_in(settings: &Settings, kind: ExecutorKind) -> Result<Vec<OsString>, String> {
    let program = settings.executor_program.clone().ok_or("the program of built-in executors is not known")?;
    let executor = match kind {
        ExecutorKind::Command => executor::Program::Command,
        ExecutorKind::Default => executor::Program::Default {
            switch_user: settings.machine.switch_user,
            work_dir: settings.machine.work_dir.clone(),
        },
        ExecutorKind::Docker => {
            let (socket, cpu_quota) = (settings.docker_socket.clone(), settings.cgroups_enable_cfs);
            executor::Program::Docker { socket, cpu_quota, work_dir: settings.machine.work_dir.clone() }
        }
        ExecutorKind::Custom => return Err("an executor of the framework is none of the built-in ones".to_owned()),
    };
    Ok(std::iter::once(program.into()).chain(executor.arguments()).collect())
}

/// Tells the owner of a sandbox why nothing runs in it.
pub(super) fn tell(directory: &Path, message: &str) {
    let told = Sandbox::at(directory).note(message);
    if let Err(error) = told {
        tracing::debug!(%error, directory = %directory.display(), "a sandbox takes no message");
    }
}
