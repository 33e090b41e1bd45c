//! [`ProcessBuilder`]: what a process is to be, and its start.

use crate::cgroup::Cgroup;
use crate::proc::ProcessId;
use crate::process::Process;
use crate::subreaper::OwnChild;
use crate::tree::Tree;
use crate::user::User;
use process_wrap::std::{CommandWrap, ProcessSession};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// A process that is to be started: in a session of its own, with an empty standard input.
///
/// Nothing of this program is inherited: no variable, no file that it has opened. What is not said is empty: no variables, outputs that
/// go nowhere, the root folder, the user of this program, no cgroup.
#[derive(Debug)]
pub struct ProcessBuilder {
    argv: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    directory: PathBuf,
    user: Option<User>,
    stdout: Stdio,
    stderr: Stdio,
    cgroup: Option<Cgroup>,
    mark: Option<(String, Vec<u8>)>,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The argument vector is empty.
    #[error("found no program, expected at least its name")]
    NoProgram,
    /// The working directory is not there, or the user may not enter it.
    #[error("directory {}: {error}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// This program may not become that user; only root may.
    #[error("cannot run as user {user:?}: {error}")]
    User {
        /// The name of the user.
        user: String,
        /// The system's error.
        error: io::Error,
    },
    /// The process cannot join its cgroup.
    #[error("cannot join the cgroup {}: {error}", cgroup.display())]
    Cgroup {
        /// The folder of the cgroup.
        cgroup: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The program is not there, or cannot be executed.
    #[error("{}: {error}", program.display())]
    Program {
        /// The program as it was asked for.
        program: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl ProcessBuilder {
    /// Returns a process that runs a program with arguments. The first is the program: a path, or a name that is looked for in the
    /// `PATH` of its own environment.
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            variables: BTreeMap::new(),
            directory: PathBuf::from("/"),
            user: None,
            stdout: Stdio::null(),
            stderr: Stdio::null(),
            cgroup: None,
            mark: None,
        }
    }

    /// Returns a process that runs a script: `/bin/sh -c script`.
    pub fn shell(script: impl AsRef<OsStr>) -> Self {
        Self::new([OsStr::new("/bin/sh"), OsStr::new("-c"), script.as_ref()])
    }

    /// Adds a variable to the environment, in place of one with the same name.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds variables to the environment.
    #[must_use]
    pub fn variables<N: Into<OsString>, V: Into<OsString>>(mut self, all: impl IntoIterator<Item = (N, V)>) -> Self {
        self.variables.extend(all.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Says in which folder the process starts.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Says as whom the process runs, with all groups of that user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// Says where the standard output goes: a file, a pipe, or nowhere.
    #[must_use]
    pub fn stdout(mut self, output: impl Into<Stdio>) -> Self {
        self.stdout = output.into();
        self
    }

    /// Says where the standard error goes.
    #[must_use]
    pub fn stderr(mut self, output: impl Into<Stdio>) -> Self {
        self.stderr = output.into();
        self
    }

    /// Says in which cgroup the process starts. It is then part of its [`Tree`].
    #[must_use]
    pub fn cgroup(mut self, cgroup: Cgroup) -> Self {
        self.cgroup = Some(cgroup);
        self
    }

    /// Says by which variable processes are found that have left the session; it has to be one of those given, with a
    /// value that nothing else on this machine has. See [`Tree::variable`].
    #[must_use]
    pub fn marked_by(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.mark = Some((name.into(), value.into()));
        self
    }

    /// Starts the process. When this returns, its program is running.
    ///
    /// In a cgroup of version 1 the process is there before its program runs. In one of version 2 it is moved as its program begins,
    /// with everything that it has started by then: only what has left session and parent in that moment stays outside.
    ///
    /// # Errors
    ///
    /// A [`SpawnError`] that says which part failed; nothing runs then.
    pub fn spawn(self) -> Result<Process, SpawnError> {
        let program = PathBuf::from(self.argv.first().ok_or(SpawnError::NoProgram)?);
        match fs::metadata(&self.directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(of_directory(&self.directory, io::ErrorKind::NotADirectory.into())),
            Err(error) => return Err(of_directory(&self.directory, error)),
        }
        let mut command = Command::new(&program);
        command.args(&self.argv[1..]).current_dir(&self.directory).env_clear().envs(&self.variables);
        command.stdin(Stdio::null()).stdout(self.stdout).stderr(self.stderr);
        let mut command = CommandWrap::from(command);
        command.wrap(ProcessSession);
        let (user, cgroup) = (self.user.filter(|user| !user.is_current()), self.cgroup);
        let failed = |error| SpawnError::Program { program: program.clone(), error };
        let mut begin = || {
            prepare_thread(user.as_ref(), cgroup.as_ref())?;
            OwnChild::start(|| command.spawn().map(|child| child.id())).map_err(failed)
        };
        // The thread that starts the process changes its own user and cgroup, which the process inherits, and then ends.
        let child = if user.is_none() && cgroup.is_none() {
            begin()?
        } else {
            thread::scope(|scope| {
                let starter = thread::Builder::new().name("start".to_owned()).spawn_scoped(scope, begin);
                let starter = starter.map_err(failed)?;
                starter.join().unwrap_or_else(|panic| resume_unwind(panic))
            })?
        };
        // The child is not reaped before it is waited for, so its number is its own, even if it has ended.
        let moved = cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.take(child.pid())); // before all else: its program is running
        let id = ProcessId::of(child.pid());
        let id = id.ok_or_else(|| failed(io::Error::other(format!("process {} is not in /proc", child.pid()))))?;
        let mut tree = Tree::new(id);
        if let Some((name, value)) = self.mark {
            tree = tree.variable(name, value);
        }
        if let Some(cgroup) = cgroup {
            let joined = moved.and_then(|()| cgroup.take_all(&tree));
            let folder = cgroup.folder();
            tree = tree.cgroup(cgroup);
            if let Err(error) = joined {
                let process = Process::started(tree, child);
                process.kill();
                let _ = process.wait(); // the first error is the one to tell
                return Err(SpawnError::Cgroup { cgroup: folder, error });
            }
        }
        Ok(Process::started(tree, child))
    }
}

/// Moves this thread to a cgroup and makes it one of another user.
fn prepare_thread(user: Option<&User>, cgroup: Option<&Cgroup>) -> Result<(), SpawnError> {
    if let Some(cgroup) = cgroup {
        let failed = |error| SpawnError::Cgroup { cgroup: cgroup.folder(), error };
        cgroup.join_thread().map_err(failed)?;
    }
    if let Some(user) = user {
        user.take_on().map_err(|error| SpawnError::User { user: user.name().to_owned(), error })?;
    }
    Ok(())
}

fn of_directory(directory: &Path, error: io::Error) -> SpawnError {
    SpawnError::Directory { directory: directory.to_owned(), error }
}
