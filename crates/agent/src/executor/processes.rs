//! [`Processes`]: the tasks of a command or a default executor, as processes.

use super::attempts;
use super::checks::{CheckKind, Probe, ProbeKind};
use super::ending::Ending;
use super::program::{ExecutorError, Host, Outcome, Outcomes};
use super::work::{CommandLine, Work};
use crate::fetching::item;
use crate::volumes::Volume;
use apportion::{Task, TaskId};
use apportion_exec::cgroup::OwnMemory;
use apportion_exec::check::{self, Attempt};
use apportion_exec::fetch::{Canceller, Fetch, Item};
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
    /// The folder of the agent, where tasks that have sandboxes of their own have persistent volumes.
    work_dir: Option<PathBuf>,
    sandbox: PathBuf,
    /// The variables of the executor, which its tasks inherit.
    inherited: BTreeMap<OsString, OsString>,
    /// The tasks for which something is being fetched.
    fetching: BTreeMap<TaskId, Fetching>,
    tasks: BTreeMap<TaskId, Running>,
    outcomes: Outcomes,
}

/// A task that is started when all that it needs is there.
#[derive(Debug)]
struct Fetching {
    line: CommandLine,
    place: Place,
    canceller: Canceller,
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
    pub(super) fn new(layout: Layout, work_dir: Option<PathBuf>, outcomes: Outcomes) -> Result<Self, ExecutorError> {
        apportion_exec::become_subreaper().map_err(ExecutorError::system("a subreaper"))?;
        let sandbox = std::env::current_dir().map_err(ExecutorError::system("the working directory"))?;
        // A secret of the executor is none of its tasks' business.
        let inherited = std::env::vars_os().filter(|(name, _)| name != "MESOS_EXECUTOR_AUTHENTICATION_TOKEN").collect();
        follow_children(outcomes.clone())?;
        Ok(Self { layout, work_dir, sandbox, inherited, fetching: BTreeMap::new(), tasks: BTreeMap::new(), outcomes })
    }

    /// Prepares the sandbox of a task, and starts the task if nothing has to be fetched before.
    fn begin(&mut self, task: &Task, work: Work) -> Result<(), String> {
        let place = self.place(task, &work)?;
        let task = &task.id;
        let line = work.command.ok_or_else(|| "the task has no command".to_owned())?;
        // What the one task of a command executor needs has been fetched by the agent, into the sandbox that they share.
        if work.uris.is_empty() || self.layout == Layout::Own {
            return self.run(task, line, place);
        }
        let items: Vec<Item> = work.uris.iter().map(item).collect();
        let mut fetch = Fetch::into_sandbox(&place.sandbox);
        if let Some(user) = &place.user {
            fetch = fetch.user(user.clone());
        }
        let fetching = fetch.start(&items).map_err(|error| error.to_string())?;
        let canceller = fetching.canceller();
        let (outcomes, told) = (self.outcomes.clone(), task.clone());
        let wait = move || {
            let result = fetching.wait().map_err(|error| error.to_string());
            let _ = outcomes.send(Outcome::Fetched(told, result)); // the executor may be at its end
        };
        let waits = thread::Builder::new().name("fetched".to_owned()).stack_size(STACK).spawn(wait);
        waits.map_err(|error| format!("nothing can be fetched: {error}"))?;
        self.fetching.insert(task.clone(), Fetching { line, place, canceller });
        Ok(())
    }

    /// Starts a task in its sandbox.
    fn run(&mut self, task: &TaskId, line: CommandLine, place: Place) -> Result<(), String> {
        let process = Arc::new(self.spawn(&line, &place)?);
        // It is told before anybody waits for the end: a short command may end at once.
        let _ = self.outcomes.send(Outcome::Started(task.clone(), None)); // the receiver lives as long as this
        let followed = self.follow(task.clone(), process.clone());
        if followed.is_err() {
            process.kill();
        }
        self.tasks.insert(task.clone(), Running { process, place, attempts: BTreeMap::new() });
        followed.map_err(|error| format!("the command cannot be followed: {error}"))
    }

    /// Tells that a task could not be started.
    fn not_started(&self, task: TaskId, why: String) {
        let _ = self.outcomes.send(Outcome::NotStarted(task, why)); // as above
    }

    fn spawn(&self, line: &CommandLine, place: &Place) -> Result<Process, String> {
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
        builder.spawn().map_err(|error| format!("Failed to start the command: {error}"))
    }

    /// Makes the sandbox of a task, and returns where it runs.
    fn place(&self, task: &Task, work: &Work) -> Result<Place, String> {
        let mut variables = self.inherited.clone();
        variables.insert("MESOS_TASK_ID".into(), task.id.as_str().into());
        let (mut sandbox, mut user) = (self.sandbox.clone(), None);
        if let Layout::Each { switch_user } = self.layout {
            if let Some(name) = work.user.as_ref().filter(|_| switch_user) {
                user = Some(User::named(name).map_err(|error| error.to_string())?);
            }
            let own = Sandbox::at(&self.sandbox).of_task(task.id.as_str()).map_err(|error| error.to_string())?;
            own.create(user.as_ref()).map_err(|error| format!("the sandbox of the task: {error}"))?;
            for volume in self.work_dir.iter().flat_map(|work_dir| Volume::all(&task.resources, work_dir)) {
                volume.link(own.path(), user.as_ref()).map_err(|error| error.to_string())?;
            }
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
        if let Err(why) = self.begin(&task, work) {
            self.not_started(task.id, why);
        }
    }

    fn fetched(&mut self, task: TaskId, result: Result<(), String>) {
        let Some(Fetching { line, place, .. }) = self.fetching.remove(&task) else { return };
        if let Err(why) = &result {
            let _ = Sandbox::at(&place.sandbox).note(why); // its owner reads why in the sandbox, if there is room
        }
        if let Err(why) = result.and_then(|()| self.run(&task, line, place)) {
            self.not_started(task, why);
        }
    }

    fn terminate(&mut self, task: &TaskId, _: Duration) {
        if let Some(fetching) = self.fetching.get(task) {
            fetching.canceller.cancel();
        }
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
                attempts::over_network(other, here).ok_or_else(|| "there is nothing to check".to_owned())
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
