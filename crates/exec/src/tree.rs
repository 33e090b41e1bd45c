//! [`Tree`]: a process with all that it has started, wherever that has gone.

use crate::cgroup::Cgroup;
use crate::proc::{self, ProcessId, Stat};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// The first pause between two looks at what is left of a tree; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two looks at what is left of a tree.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// A process and all that it has started: what is in its cgroup, in its session, below it, or has its variable.
///
/// A tree is a name, as it were: it may be written down and made again after a restart, also when its first process has ended.
///
/// - With a [cgroup](Self::cgroup) nothing can leave the tree.
/// - Without one, a process that begins a session of its own (`setsid`) is still found as long as its parents live up to the
///   first process, or if a [subreaper](crate::become_subreaper) is among them; else by its [variable](Self::variable).
///
/// This program itself, and what it descends from, are never part of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    leader: ProcessId,
    cgroup: Option<Cgroup>,
    variable: Option<(String, Vec<u8>)>,
}

/// Processes that were still there when the time to kill them was over: they are in an uninterruptible system call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Survivors {
    /// Their numbers.
    pub pids: Vec<u32>,
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "processes {:?} are still there after SIGKILL", self.pids)
    }
}

impl Tree {
    /// Returns the tree of a process, which leads a session of its own.
    pub const fn new(leader: ProcessId) -> Self {
        Self { leader, cgroup: None, variable: None }
    }

    /// Says that all processes of this cgroup belong to the tree.
    #[must_use]
    pub fn cgroup(mut self, cgroup: Cgroup) -> Self {
        self.cgroup = Some(cgroup);
        self
    }

    /// Says that all processes with this value of a variable in their environment belong to the tree. It must be one that no
    /// other process has, such as `MESOS_SANDBOX` of a task.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.variable = Some((name.into(), value.into()));
        self
    }

    /// Returns the cgroup, if the tree has one.
    pub(crate) const fn its_cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// Returns true if the tree has a cgroup that none of its processes can leave.
    pub(crate) fn is_fenced(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Cgroup::is_tight)
    }

    /// Returns the first process.
    pub const fn leader(&self) -> ProcessId {
        self.leader
    }

    /// Returns the processes that are there at about this moment, without zombies, by number.
    ///
    /// In a cgroup of version 1 it takes as long as there are members, else as there are processes on this machine.
    pub fn members(&self) -> Vec<ProcessId> {
        self.fenced().unwrap_or_else(|| self.members_of(&proc::all()))
    }

    /// Returns the processes of a cgroup that none can have left; `None` if there is no such cgroup, or the leader is not in it.
    fn fenced(&self) -> Option<Vec<ProcessId>> {
        let cgroup = self.cgroup.as_ref().filter(|cgroup| cgroup.is_tight())?;
        let stats: Vec<Stat> = cgroup.pids().into_iter().filter_map(Stat::of).collect();
        let leader_is_out = self.leader.is_running() && !stats.iter().any(|stat| stat.id() == self.leader);
        let spared = if stats.is_empty() { BTreeSet::new() } else { ancestors(Stat::of) };
        let members = stats.into_iter().filter(|stat| !stat.is_zombie() && !spared.contains(&stat.pid));
        (!leader_is_out).then(|| members.map(Stat::id).collect())
    }

    fn members_of(&self, all: &[Stat]) -> Vec<ProcessId> {
        let spared = ancestors(|pid| all.iter().find(|stat| stat.pid == pid).copied());
        let mut pids: BTreeSet<u32> = self.cgroup.iter().flat_map(Cgroup::pids).collect();
        // As long as the leader is not reaped, its number is its own. A session keeps the number of a leader that is gone, but may
        // also be that of another leader that was there meanwhile: so it counts only where there is no better sign.
        let is_alone = self.cgroup.is_none() && self.variable.is_none();
        let holder = all.iter().find(|stat| stat.pid == self.leader.pid);
        if holder.map_or(is_alone, |stat| stat.start_time == self.leader.start_time) {
            let leader = self.leader;
            let in_session = all.iter().filter(|stat| {
                (stat.session == leader.pid || stat.group == leader.pid) && stat.start_time >= leader.start_time
            });
            pids.extend(in_session.map(|stat| stat.pid));
        }
        if let Some((name, value)) = &self.variable {
            let candidates = all.iter().filter(|stat| !pids.contains(&stat.pid) && !spared.contains(&stat.pid));
            let marked: Vec<u32> =
                candidates.map(|stat| stat.pid).filter(|pid| proc::has_variable(*pid, name, value)).collect();
            pids.extend(marked);
        }
        pids.retain(|pid| !spared.contains(pid));
        // Children may have lower numbers than their parents: repeat until nothing is added.
        loop {
            let children = all.iter().filter(|stat| pids.contains(&stat.parent) && !pids.contains(&stat.pid));
            let children: Vec<u32> = children.map(|stat| stat.pid).filter(|pid| !spared.contains(pid)).collect();
            if children.is_empty() {
                break;
            }
            pids.extend(children);
        }
        all.iter().filter(|stat| pids.contains(&stat.pid) && !stat.is_zombie()).map(|stat| stat.id()).collect()
    }

    /// Sends SIGTERM to all, and has those that are stopped go on, so that they can act on it.
    pub fn terminate(&self) {
        let members = self.members();
        members.iter().for_each(|id| send(*id, Signal::TERM));
        members.iter().for_each(|id| send(*id, Signal::CONT));
    }

    /// Sends SIGKILL to all that are there at this moment, and does not wait. Returns whether there were any.
    pub fn kill(&self) -> bool {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        let members = self.members();
        members.iter().for_each(|id| send(*id, Signal::KILL));
        !members.is_empty()
    }

    /// Waits until nothing is left, for at most `limit`. Returns whether nothing is.
    pub fn wait_empty(&self, limit: Duration) -> bool {
        self.repeat(limit, || self.members().is_empty())
    }

    /// Sends SIGKILL until nothing is left, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Survivors`] if something is: a process cannot be killed while it is in an uninterruptible system call.
    pub fn kill_all(&self, limit: Duration) -> Result<(), Survivors> {
        if self.repeat(limit, || !self.kill()) {
            return Ok(());
        }
        Err(Survivors { pids: self.members().into_iter().map(|id| id.pid).collect() })
    }

    /// Sends SIGTERM to all, waits for at most `grace`, and sends SIGKILL until nothing is left, for at most `limit` more.
    ///
    /// # Errors
    ///
    /// [`Survivors`] if something is left.
    pub fn stop(&self, grace: Duration, limit: Duration) -> Result<(), Survivors> {
        self.terminate();
        self.wait_empty(grace);
        self.kill_all(limit)
    }

    /// Repeats a step until it says `true`, for at most `limit`. Returns whether it did.
    fn repeat(&self, limit: Duration, mut step: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            if step() {
                return true;
            }
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Returns this program and what it descends from.
fn ancestors(stat: impl Fn(u32) -> Option<Stat>) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([0]);
    let mut pid = std::process::id();
    while found.insert(pid) {
        pid = stat(pid).map_or(0, |stat| stat.parent);
    }
    found
}

/// Sends a signal to a process, never to another one that has got its number.
pub(crate) fn send(id: ProcessId, signal: Signal) {
    let Some(pid) = i32::try_from(id.pid).ok().and_then(Pid::from_raw) else { return };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => {
            if id.is_running() {
                let _ = pidfd_send_signal(&handle, signal); // it may have ended just now
            }
        }
        // Before Linux 5.3 there are no handles.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) if id.is_running() => {
            let _ = kill_process(pid, signal); // it may have ended just now
        }
        Err(_) => {}
    }
}
