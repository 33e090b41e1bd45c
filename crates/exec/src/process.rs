//! [`Process`]: a running process, one's own or one that an earlier run of this program started.

use crate::proc::ProcessId;
use crate::subreaper::{OwnChild, has_no_orphans};
use crate::tree::{Tree, send};
use crate::wait_status::WaitStatus;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two looks at a process, where the system cannot tell of its end.
const PAUSE: Duration = Duration::from_millis(20);

/// The time after which a kill of what a process has left behind is reported as slow; it goes on.
const KILL_TURN: Duration = Duration::from_secs(10);

/// A process that was started by [`ProcessBuilder::spawn`](crate::ProcessBuilder::spawn), or found again.
///
/// All methods may be called from several threads, so that one can [wait](Self::wait) and another [kill](Self::kill). Dropping it
/// ends nothing: executors outlive the agent that started them.
#[derive(Debug)]
pub struct Process {
    tree: Tree,
    /// A handle that tells of the end; none before Linux 5.3.
    handle: Option<OwnedFd>,
    own: Option<OwnChild>,
    exit: Mutex<Option<Exit>>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a status is known or it is not")]
pub enum Exit {
    /// As wait(2) tells it.
    Status(WaitStatus),
    /// The process was started by an earlier run of this program: the system told its status to another process.
    Unknown,
}

impl Exit {
    /// Returns the status, if it is known.
    pub const fn status(self) -> Option<WaitStatus> {
        match self {
            Self::Status(status) => Some(status),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Unknown => f.write_str("ended with a status that is not known"),
        }
    }
}

impl Process {
    pub(crate) fn started(tree: Tree, own: OwnChild) -> Self {
        let handle = open(tree.leader());
        Self { tree, handle, own: Some(own), exit: Mutex::default() }
    }

    /// Finds a process that an earlier run of this program started, by its number and start time. Returns `None` if it has ended.
    ///
    /// ```
    /// use apportion_exec::{Process, ProcessBuilder, Tree};
    ///
    /// let process = ProcessBuilder::shell("exec sleep 1000").spawn()?;
    /// let found = Process::find(Tree::new(process.id())).expect("it runs");
    /// found.kill();
    /// process.wait()?;
    /// assert!(Process::find(Tree::new(process.id())).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find(tree: Tree) -> Option<Self> {
        let handle = open(tree.leader());
        // The handle is of this process if it still runs now: until it ends no other one gets its number.
        tree.leader().is_running().then(|| Self { tree, handle, own: None, exit: Mutex::default() })
    }

    /// Returns the number and start time, by which the process can be found again.
    pub const fn id(&self) -> ProcessId {
        self.tree.leader()
    }

    /// Returns the process with all that it has started.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns whether the process itself has not ended.
    pub fn is_running(&self) -> bool {
        self.may_run() && self.id().is_running()
    }

    /// Sends SIGTERM to the process and all that it has started.
    pub fn terminate(&self) {
        if self.may_run() {
            self.tree.terminate();
        }
    }

    /// Sends SIGKILL to the process and all that it has started. [`Self::wait`] sees to it that nothing is left.
    pub fn kill(&self) {
        if self.may_run() {
            self.tree.kill();
        }
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }

    /// Waits for the end of the process, kills what it has left behind, and returns how it ended. Later calls return the same.
    ///
    /// The last part takes as long as it has to: what cannot be killed still holds its resources.
    ///
    /// # Errors
    ///
    /// The system's error if it cannot wait.
    pub fn wait(&self) -> io::Result<Exit> {
        while !self.wait_leader(None)? {}
        self.clean()
    }

    /// As [`Self::wait`], but for at most `limit`: then, if the process has not ended, returns `None`.
    ///
    /// # Errors
    ///
    /// The system's error if it cannot wait.
    pub fn wait_timeout(&self, limit: Duration) -> io::Result<Option<Exit>> {
        if self.wait_leader(Some(limit))? { self.clean().map(Some) } else { Ok(None) }
    }

    /// Sends SIGTERM to the process and all that it has started; after `grace`, or when the process itself has ended, SIGKILL until
    /// nothing is left. Returns how the process ended.
    ///
    /// # Errors
    ///
    /// The system's error if it cannot wait.
    pub fn stop(&self, grace: Duration) -> io::Result<Exit> {
        self.terminate();
        if let Some(exit) = self.wait_timeout(grace)? {
            return Ok(exit);
        }
        self.kill();
        self.wait()
    }

    /// Returns whether there is anything to signal: not once nothing is left, since its number may be that of another process then,
    /// nor while [`Self::wait`] kills what is left.
    fn may_run(&self) -> bool {
        match self.exit.try_lock() {
            Ok(exit) => exit.is_none(),
            Err(TryLockError::Poisoned(exit)) => exit.into_inner().is_none(),
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Waits until the process itself has ended, and leaves its status for [`Self::wait`]. Returns whether it has.
    fn wait_leader(&self, limit: Option<Duration>) -> io::Result<bool> {
        if self.lock().is_some() {
            return Ok(true);
        }
        let began = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            match &self.handle {
                Some(handle) => {
                    let time = left.and_then(|left| Timespec::try_from(left).ok());
                    match poll(&mut [PollFd::new(handle, PollFlags::IN)], time.as_ref()) {
                        Ok(0) => {}
                        Ok(_) => return Ok(true),
                        Err(rustix::io::Errno::INTR) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                None if !self.id().is_running() => return Ok(true),
                None => thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE))),
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// Kills what a process that has ended left behind, then takes its status: until that is taken its number is not used again.
    fn clean(&self) -> io::Result<Exit> {
        let mut exit = self.lock();
        if let Some(exit) = *exit {
            return Ok(exit);
        }
        // What a child of this program leaves behind is given to this program, if that is a subreaper: where no cgroup tells what is
        // left, that saves a look at all processes.
        let is_alone = self.own.is_some() && !self.tree.is_fenced() && has_no_orphans();
        while !is_alone && self.tree.kill_all(KILL_TURN).is_err() {}
        let found = match &self.own {
            Some(own) => Exit::Status(own.reap()?),
            None => Exit::Unknown,
        };
        *exit = Some(found);
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(id: ProcessId) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(id.pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}
