//! Children of this program: those that it has started, and orphans that the system gives to it.
//!
//! As pid 1, or as a subreaper, a program becomes the parent of what processes below it have left behind, and has to reap it.
//! It must not take the status of a process that something else in this program waits for. Orphans are told from the program's
//! own children by their session: everything that [`ProcessBuilder`](crate::ProcessBuilder) starts has a session of its own, and
//! what std's `Command` starts stays in that of the program.

use crate::proc::{self, ProcessId, Stat};
use crate::tree::send;
use crate::wait_status::WaitStatus;
use rustix::process::{Pid, Signal, WaitOptions, getpid, set_child_subreaper, waitpid};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The children that somebody waits for. Whoever forks or reaps holds the lock.
static CHILDREN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// True once this program is a subreaper.
static IS_SUBREAPER: AtomicBool = AtomicBool::new(false);

/// The pause between two looks at orphans that are being killed.
const PAUSE: Duration = Duration::from_millis(2);

/// A child that this program has started. Once it is dropped, [`reap_orphans`] may take its status.
#[derive(Debug)]
pub(crate) struct OwnChild(u32);

impl OwnChild {
    /// Starts a child by a function that returns its number.
    pub(crate) fn start<E>(start: impl FnOnce() -> Result<u32, E>) -> Result<Self, E> {
        let mut children = children();
        let pid = start()?;
        children.insert(pid);
        Ok(Self(pid))
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.0
    }

    /// Takes the status of the child, which has ended.
    pub(crate) fn reap(&self) -> io::Result<WaitStatus> {
        let mut children = children(); // its number is free again only once it is no longer among them
        let reaped = rustix::io::retry_on_intr(|| waitpid(pid_of(self.0), WaitOptions::empty()))?;
        children.remove(&self.0);
        let (_, status) = reaped.ok_or_else(|| io::Error::other("waitpid returned no status"))?;
        Ok(WaitStatus::from_raw(status.as_raw()))
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        children().remove(&self.0);
    }
}

/// Makes this program the parent of all processes below it whose own parents end, so that it can find and
/// [reap](reap_orphans) them. Built-in executors do so, and an agent.
///
/// # Errors
///
/// The system's error, before Linux 3.4.
pub fn become_subreaper() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    IS_SUBREAPER.store(true, Ordering::Relaxed);
    Ok(())
}

/// Returns true if nothing can be left of a child that has ended, but for what is in the session of this program: this program is a
/// subreaper, and has no orphans.
pub(crate) fn has_no_orphans() -> bool {
    IS_SUBREAPER.load(Ordering::Relaxed) && orphans(&children()).is_empty()
}

/// Takes the status of all orphans that have been given to this program and have ended. Returns their numbers.
///
/// A program that is pid 1 or a subreaper calls it at each SIGCHLD, or every second. It does not wait.
pub fn reap_orphans() -> Vec<u32> {
    let children = children();
    let ended = orphans(&children).into_iter().filter(|(_, is_zombie)| *is_zombie);
    let reaped = ended.filter(|(id, _)| matches!(waitpid(pid_of(id.pid), WaitOptions::NOHANG), Ok(Some(_))));
    reaped.map(|(id, _)| id.pid).collect()
}

/// Kills and reaps all orphans that have been given to this program, for at most `limit`. Returns whether none is left.
///
/// An executor that runs one task calls it when the task has ended, and so leaves nothing behind, whatever the task did.
pub fn kill_orphans(limit: Duration) -> bool {
    let began = Instant::now();
    loop {
        let left: Vec<ProcessId> = orphans(&children()).into_iter().map(|(id, _)| id).collect();
        if left.is_empty() {
            return true;
        }
        left.iter().for_each(|id| send(*id, Signal::KILL));
        reap_orphans();
        if began.elapsed() >= limit {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// Returns all children of this program that it did not start, and whether each has ended.
fn orphans(started: &BTreeSet<u32>) -> Vec<(ProcessId, bool)> {
    let own = std::process::id();
    // As pid 1 its session is 0: that of a process outside of its namespace.
    let Some(session) = Stat::of(own).map(|stat| stat.session) else { return Vec::new() };
    let given = proc::own_children().into_iter().filter(|pid| !started.contains(pid)).filter_map(Stat::of);
    let orphans = given.filter(|stat| stat.parent == own && stat.session != session);
    orphans.map(|stat| (stat.id(), stat.is_zombie())).collect()
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn children() -> MutexGuard<'static, BTreeSet<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
