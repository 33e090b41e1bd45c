//! [`Processes`]: the tasks of a command or a default executor, as processes.

use super::attempts;
use super::checks::{CheckKind, Probe, ProbeKind};
use super::ending::Ending;
use super::program::{ExecutorError, Host, Outcome, Outcomes};
use super::work::{CommandLine, Work};
use apportion::{Task, TaskId};
use apportion_exec::cgroup::OwnMemory;
use apportion_exec::check::{self, Attempt};
use apportion_exec::sandbox::Sandbox;
use apportion_exec::{Process, ProcessBuilder, User};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The longest wait for orphans of a task to go after SIGKILL, before its end is told all the same.
const ORPHANS: Duration = Duration::from_secs(10);

/// The exit status of a shell whose last command was killed by SIGKILL.
const KILLED_IN_SHELL: i32 = 137;

/// The stack of a thread that waits for a process.
const STACK: usize = 128 << 10;

/// Where tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// The one task runs in the sandbox of the executor, and writes to its output.
    Own,
    /// Each task has a sandbox `tasks/ID` below that of the executor. Tasks that name a user run as that one, if it is allowed.
    Each { switch_user: bool },
}

/// The tasks of an executor, as processes.
#[derive(Debug)]
pub(super) struct Processes {
    layout: Layout,
    sandbox: PathBuf,
    /// The variables of the executor, which its tasks inherit.
    inherited: BTreeMap<OsString, OsString>,
    tasks: BTreeMap<TaskId, Running>,
    outcomes: Outcomes,
}

/// A task whose process runs.
#[derive(Debug)]
struct Running {
    process: Arc<Process>,
    place: Place,
    attempts: BTreeMap<CheckKind, Attempt>,
}

/// Where, as whom and with which variables a task runs, and its checks.
#[derive(Debug, Clone)]
struct Place {
    sandbox: PathBuf,
    user: Option<User>,
    variables: BTreeMap<OsString, OsString>,
}

impl Processes {
    /// Returns the host of an executor whose environment and sandbox are those of this process.
    pub(super) fn new(layout: Layout, outcomes: Outcomes) -> Result<Self, ExecutorError> {
        apportion_exec::become_subreaper().map_err(ExecutorError::system("a subreaper"))?;
        let sandbox = std::env::current_dir().map_err(ExecutorError::system("the working directory"))?;
        // A secret of the executor is none of its tasks' business.
        let inherited = std::env::vars_os().filter(|(name, _)| name != "MESOS_EXECUTOR_AUTHENTICATION_TOKEN").collect();
        follow_children(outcomes.clone())?;
        Ok(Self { layout, sandbox, inherited, tasks: BTreeMap::new(), outcomes })
    }

    fn begin(&self, task: &TaskId, work: &Work) -> Result<(Process, Place), String> {
        let Some(line) = &work.command else { return Err("the task has no command".to_owned()) };
        let place = self.place(task, work)?;
        let failed = |error: io::Error| format!("the output of the task: {error}");
        let (stdout, stderr) = match self.layout {
            Layout::Own => (inherited(&io::stdout()).map_err(failed)?, inherited(&io::stderr()).map_err(failed)?),
            Layout::Each { .. } => {
                let logs = Sandbox::at(&place.sandbox).logs(place.user.as_ref());
                let [stdout, stderr] = logs.map_err(|error| format!("the output of the task: {error}"))?;
                (stdout.into(), stderr.into())
            }
        };
        let mut builder = place.builder(line).stdout(stdout).stderr(stderr);
        if let Layout::Each { .. } = self.layout {
            builder = builder.marked_by("MESOS_SANDBOX", place.sandbox.as_os_str().as_encoded_bytes());
        }
        let process = builder.spawn().map_err(|error| format!("Failed to start the command: {error}"))?;
        Ok((process, place))
    }

    /// Makes the sandbox of a task, and returns where it runs.
    fn place(&self, task: &TaskId, work: &Work) -> Result<Place, String> {
        let mut variables = self.inherited.clone();
        variables.insert("MESOS_TASK_ID".into(), task.as_str().into());
        let (mut sandbox, mut user) = (self.sandbox.clone(), None);
        if let Layout::Each { switch_user } = self.layout {
            if let Some(name) = work.user.as_ref().filter(|_| switch_user) {
                user = Some(User::named(name).map_err(|error| error.to_string())?);
            }
            let own = Sandbox::at(&self.sandbox).of_task(task.as_str()).map_err(|error| error.to_string())?;
            own.create(user.as_ref()).map_err(|error| format!("the sandbox of the task: {error}"))?;
            sandbox = own.path().to_owned();
            variables.insert("MESOS_SANDBOX".into(), sandbox.clone().into());
            variables.insert("MESOS_DIRECTORY".into(), sandbox.clone().into());
        }
        variables.extend(work.environment.iter().map(|(name, value)| (name.into(), value.into())));
        Ok(Place { sandbox, user, variables })
    }

    /// Has a thread wait for the end of a process.
    fn follow(&self, task: TaskId, process: Arc<Process>) -> io::Result<()> {
        let (outcomes, is_alone) = (self.outcomes.clone(), self.layout == Layout::Own);
        let memory = OwnMemory::find();
        let killed_before = memory.oom_kills();
        let wait = move || {
            let ending = match process.wait() {
                Ok(exit) => attempts::ending(exit),
                Err(error) => Ending::Unknown(format!("the end of the command cannot be awaited: {error}")),
            };
            let is_killed = matches!(ending, Ending::Signaled(9) | Ending::Exited(KILLED_IN_SHELL));
            let is_out_of_memory = is_killed && memory.oom_kills() > killed_before;
            let ending = if is_out_of_memory { out_of_memory(&memory) } else { ending };
            if is_alone {
                apportion_exec::kill_orphans(ORPHANS); // what is left after that time cannot be killed, and goes on being tried
            }
            let _ = outcomes.send(Outcome::Ended(task, ending)); // the executor may be at its end
        };
        thread::Builder::new().name("wait".to_owned()).stack_size(STACK).spawn(wait).map(|_| ())
    }
}

impl Host for Processes {
    fn start(&mut self, task: Task, work: Work) {
        let task = task.id;
        let (process, place) = match self.begin(&task, &work) {
            Ok(begun) => begun,
            Err(why) => {
                let _ = self.outcomes.send(Outcome::NotStarted(task, why)); // the receiver lives as long as this
                return;
            }
        };
        let process = Arc::new(process);
        let followed = self.follow(task.clone(), process.clone());
        let outcome = match followed {
            Ok(()) => Outcome::Started(task.clone(), None),
            Err(error) => {
                process.kill();
                Outcome::NotStarted(task.clone(), format!("the command cannot be followed: {error}"))
            }
        };
        self.tasks.insert(task, Running { process, place, attempts: BTreeMap::new() });
        let _ = self.outcomes.send(outcome); // as above
    }

    fn terminate(&mut self, task: &TaskId, _: Duration) {
        if let Some(running) = self.tasks.get_mut(task) {
            running.attempts.clear();
            running.process.terminate();
        }
    }

    fn kill(&mut self, task: &TaskId) {
        if let Some(running) = self.tasks.get(task) {
            running.process.kill();
        }
    }

    fn probe(&mut self, task: &TaskId, probe: Probe) {
        let Some(running) = self.tasks.get_mut(task) else { return };
        let what = match &probe.what {
            ProbeKind::Command { line, environment } => {
                let mut place = running.place.clone();
                place.variables.extend(environment.iter().map(|(name, value)| (name.into(), value.into())));
                Ok(check::Probe::Command(Box::new(place.builder(line))))
            }
            other @ (ProbeKind::Http { .. } | ProbeKind::Tcp { .. }) => {
                let here = Ipv4Addr::LOCALHOST.into();
                attempts::over_network(other, here).unwrap_or_else(|| Err("there is nothing to check".to_owned()))
            }
        };
        if let Some(attempt) = attempts::begin(task, probe.kind, what, probe.timeout, &self.outcomes) {
            running.attempts.insert(probe.kind, attempt);
        }
    }

    fn ended(&mut self, task: &TaskId) {
        self.tasks.remove(task);
    }

    fn reap(&mut self) {
        apportion_exec::reap_orphans();
    }
}

impl Place {
    fn builder(&self, line: &CommandLine) -> ProcessBuilder {
        let (program, arguments) = line.program();
        let builder = ProcessBuilder::new(std::iter::once(program).chain(arguments))
            .variables(self.variables.clone())
            .directory(&self.sandbox);
        match &self.user {
            Some(user) => builder.user(user.clone()),
            None => builder,
        }
    }
}

/// Returns the end of a task that the kernel has killed for lack of memory in the container.
fn out_of_memory(memory: &OwnMemory) -> Ending {
    let limit = memory.limit().map_or_else(|| "there is".to_owned(), |limit| format!("{} MB", limit >> 20));
    Ending::OutOfMemory(format!("Memory limit exceeded: the kernel has killed for more than {limit}"))
}

/// Tells of children that have ended: some may be orphans of tasks, which nobody waits for.
fn follow_children(outcomes: Outcomes) -> Result<(), ExecutorError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut ended = signal(SignalKind::child()).map_err(ExecutorError::system("SIGCHLD"))?;
    tokio::spawn(async move { while ended.recv().await.is_some() && outcomes.send(Outcome::Orphans).is_ok() {} });
    Ok(())
}

fn inherited(output: &impl AsFd) -> io::Result<OwnedFd> {
    output.as_fd().try_clone_to_owned()
}
