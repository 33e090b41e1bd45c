//! [`Machine`]: with `--exec`, tasks are processes of this machine, in real time.
//!
//! No process outlives this program, unless this program is killed by SIGKILL.
#![expect(clippy::disallowed_types, reason = "processes take real time, so the clock is a real one")]

mod attempt;
mod command;
mod executor;
mod follow;
mod process;
mod signal;

pub(crate) use follow::Line;

use crate::arguments::Exec;
use apportion::executor::Executor;
use apportion::{Effect, Emitted, ExecutorInfo, ExecutorRef, TaskId, Text, Time};
use apportion_exec::User;
use executor::{ProcessExecutor, SandboxRoot};
use follow::Follower;
use process::Processes;
use signal::{Signal, Waker};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};
use std::{fs, io};
use tempfile::TempDir;

/// The host of all tasks, whichever agent they are on.
const HOST: &str = "127.0.0.1";

/// The longest wait for an event, and so the longest delay of a followed line.
const MAX_WAIT: Duration = Duration::from_millis(50);

/// This machine as the host of tasks.
#[derive(Debug)]
pub(crate) struct Machine {
    began: Instant,
    until: Option<Time>,
    is_interrupted: bool,
    sender: Sender<Signal>,
    signals: Receiver<Signal>,
    sandboxes: SandboxRoot,
    follower: Follower,
    /// The temporary folder of the sandboxes, if the user named none.
    _folder: Option<TempDir>,
}

impl Machine {
    /// Prepares the sandboxes, for a run of so many seconds or without end. From now on the first Ctrl-C interrupts, and the second one kills.
    pub(crate) fn new(exec: &Exec, seconds: Option<u64>, follow: &[Text]) -> Result<Self, String> {
        let (temporary, given) = match &exec.sandbox {
            Some(folder) => (None, folder.clone()),
            None => {
                let folder = tempfile::Builder::new().prefix("marathon-").tempdir();
                let folder = folder.map_err(|error| format!("a folder for the sandboxes: {error}"))?;
                let path = folder.path().to_owned();
                (Some(folder), path)
            }
        };
        let folder = empty(&given).map_err(|error| format!("--sandbox {}: {error}", given.display()))?;
        let (sender, signals) = mpsc::channel();
        let processes = Processes::default();
        signal::listen(sender.clone(), processes.clone(), temporary.as_ref().map(|_| folder.clone()))
            .map_err(|error| format!("Ctrl-C cannot be listened to: {error}"))?;
        Ok(Self {
            began: Instant::now(),
            until: seconds.map(Time::from_secs),
            is_interrupted: false,
            sender,
            signals,
            sandboxes: SandboxRoot::new(folder, processes, exec.keep),
            follower: Follower::new(follow.iter().cloned()),
            _folder: temporary,
        })
    }

    /// Returns a function that starts the executor of a task.
    pub(crate) fn starter(
        &self,
    ) -> impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static {
        let (sandboxes, sender) = (self.sandboxes.clone(), self.sender.clone());
        move |id, _| Some(Box::new(ProcessExecutor::new(sandboxes.clone(), Waker::new(sender.clone(), id.clone()))))
    }

    /// The host of all tasks, whichever agent they are on.
    pub(crate) const HOST: &str = HOST;

    /// Returns whether that is the user that this program runs as, by name or number.
    pub(crate) fn runs_as(user: &str) -> bool {
        User::current().is_ok_and(|own| user == own.name() || user == own.uid().to_string())
    }

    /// Returns the time since the start of the program, in whole milliseconds.
    pub(crate) fn now(&self) -> Time {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Time::from_micros(millis.saturating_mul(1000))
    }

    /// Returns whether there was a Ctrl-C.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// Returns whether the run is over: by Ctrl-C, or by `--for`.
    pub(crate) fn is_over(&self) -> bool {
        self.is_interrupted || self.until.is_some_and(|until| until <= self.now())
    }

    /// Waits for the next event, until `due` or for a moment. Returns the executor to wake, if there is one.
    pub(crate) fn wait(&mut self, due: Option<Time>) -> Option<ExecutorRef> {
        let turn = if self.follower.is_behind() { Duration::ZERO } else { MAX_WAIT };
        let most = due.map_or(turn, |due| due.since(self.now()).min(turn));
        match self.signals.recv_timeout(most) {
            Ok(Signal::Wake(executor)) => Some(executor),
            Ok(Signal::Stop) => {
                self.is_interrupted = true;
                None
            }
            Err(_) => None, // timed out
        }
    }

    /// Begins to follow a task that is launched. Returns the last lines of one that has ended.
    pub(crate) fn note(&mut self, emitted: &Emitted) -> Vec<Line> {
        if let Effect::Launch { task, .. } = &emitted.effect {
            let app = task.details.get("name").and_then(|name| name.as_str()).unwrap_or_default();
            self.follower.begin(&app, &task.id, &self.sandboxes.sandbox(&task.id));
        } else if let Effect::Status { status, .. } = &emitted.effect
            && status.state.is_terminal()
        {
            return self.follower.end(&status.task);
        }
        Vec::new()
    }

    /// Returns the last line that a task wrote to its standard error, or else to its standard output.
    pub(crate) fn last_words(&self, task: &TaskId) -> Option<String> {
        let sandbox = self.sandboxes.sandbox(task);
        ["stderr", "stdout"].into_iter().find_map(|name| last_line(&sandbox.join(name)).ok().flatten())
    }

    /// Returns the new lines of all followed tasks.
    pub(crate) fn lines(&mut self) -> Vec<Line> {
        self.follower.lines()
    }
}

/// Returns the last line of a file that is not blank, as far as it is in its last few thousand bytes.
fn last_line(file: &Path) -> io::Result<Option<String>> {
    const MAX_BYTES: u64 = 4096;
    let mut file = fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned))
}

/// Creates a folder unless it exists, and returns its absolute path. The folder must be empty: files of earlier tasks would
/// be taken for those of new ones.
fn empty(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    match fs::read_dir(folder)?.next() {
        Some(entry) => Err(io::Error::other(format!("found {}, expected an empty folder", entry?.path().display()))),
        None => fs::canonicalize(folder),
    }
}
