//! [`Machine`]: with `--exec`, tasks are processes of this machine, and time is real.
//!
//! No process outlives the program, unless it has left its process group, or the program itself is killed (SIGKILL).
#![expect(clippy::disallowed_types, reason = "processes take real time, so the clock is a real one")]

mod attempt;
mod command;
mod follow;
mod process;
mod runner;
mod signal;

pub(crate) use follow::Line;

use crate::arguments::Exec;
use apportion::executor::Executor;
use apportion::{Effect, Emitted, ExecutorInfo, ExecutorRef, Time};
use follow::Follower;
use process::Processes;
use runner::{Premises, Runner};
use signal::{Bell, Signal};
use smol_str::SmolStr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};
use std::{fs, io};
use tempfile::TempDir;

/// Where tasks really run, on whichever agent: here.
const HOST: &str = "127.0.0.1";

/// How long it is waited at most for something to happen: so late are lines of tasks seen.
const TURN: Duration = Duration::from_millis(50);

/// This machine, as far as tasks run on it.
#[derive(Debug)]
pub(crate) struct Machine {
    began: Instant,
    until: Option<Time>,
    is_interrupted: bool,
    sender: Sender<Signal>,
    signals: Receiver<Signal>,
    premises: Premises,
    follower: Follower,
    /// The folder of the sandboxes, if it is to be forgotten.
    _folder: Option<TempDir>,
}

impl Machine {
    /// Makes ready for tasks. From now on Ctrl-C asks for an end, and a second one makes it.
    pub(crate) fn new(exec: &Exec, follow: &[SmolStr]) -> Result<Self, String> {
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
            until: exec.seconds.map(Time::from_secs),
            is_interrupted: false,
            sender,
            signals,
            premises: Premises::new(folder, processes),
            follower: Follower::new(follow.iter().cloned()),
            _folder: temporary,
        })
    }

    /// What starts the executors of tasks.
    pub(crate) fn starter(
        &self,
    ) -> impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static {
        let (premises, sender) = (self.premises.clone(), self.sender.clone());
        move |id, _| Some(Box::new(Runner::new(premises.clone(), Bell::new(sender.clone(), id.clone()))))
    }

    /// Where all tasks are, whichever agent they are on.
    pub(crate) const HOST: &str = HOST;

    /// The time, in milliseconds since the beginning.
    pub(crate) fn now(&self) -> Time {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Time::from_micros(millis.saturating_mul(1000))
    }

    /// Whether there was a Ctrl-C.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// Whether it is to end: it has lasted as long as it was to, or there was a Ctrl-C.
    pub(crate) fn is_over(&self) -> bool {
        self.is_interrupted || self.until.is_some_and(|until| until <= self.now())
    }

    /// Waits for what happens next, but not long: an executor that is to be woken, if there is one.
    pub(crate) fn wait(&mut self, due: Option<Time>) -> Option<ExecutorRef> {
        let turn = if self.follower.is_behind() { Duration::ZERO } else { TURN };
        let most = due.map_or(turn, |due| due.since(self.now()).min(turn));
        match self.signals.recv_timeout(most) {
            Ok(Signal::Rung(executor)) => Some(executor),
            Ok(Signal::Stop) => {
                self.is_interrupted = true;
                None
            }
            Err(_) => None, // it was long enough
        }
    }

    /// Notes who begins to write, and reads what is left of those who have ended.
    pub(crate) fn note(&mut self, emitted: &Emitted) -> Vec<Line> {
        if let Effect::Launch { task, .. } = &emitted.effect {
            let app = task.details.get("name").and_then(|name| name.as_str()).unwrap_or_default();
            self.follower.begin(app, &task.id, &self.premises.sandbox(&task.id));
        } else if let Effect::Status { status, .. } = &emitted.effect
            && status.state.is_terminal()
        {
            return self.follower.end(&status.task);
        }
        Vec::new()
    }

    /// What those who are followed have written.
    pub(crate) fn lines(&mut self) -> Vec<Line> {
        self.follower.lines()
    }
}

/// The full name of a folder, which is made if it is not there. What tasks have left behind would be taken for that of others.
fn empty(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    match fs::read_dir(folder)?.next() {
        Some(entry) => Err(io::Error::other(format!("found {}, expected an empty folder", entry?.path().display()))),
        None => fs::canonicalize(folder),
    }
}
