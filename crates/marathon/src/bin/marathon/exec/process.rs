//! [`Processes`]: the processes of all tasks, each in a process group of its own. None outlives this program.

use indexmap::IndexSet;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::Builder;

/// A handle to the set of running processes; clones share the set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processes(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    /// The groups whose leader has not been waited for: until then the system does not reuse its number.
    groups: IndexSet<Pid>,
    closed: bool,
}

/// A started process, with its process group: all processes that it starts, unless they leave the group. Dropping it kills
/// the group.
#[derive(Debug)]
pub(crate) struct Process {
    group: Pid,
    all: Processes,
}

impl Processes {
    /// Starts a process in a group of its own, with an empty standard input. When it ends, the rest of its group is killed,
    /// and `ended` is called on another thread.
    pub(crate) fn start(
        &self,
        mut command: Command,
        ended: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<Process> {
        let name = command.get_program().display().to_string();
        let (sender, started) = mpsc::sync_channel(1);
        let all = self.clone();
        // The thread comes before the process: without a thread the end of the process would go unnoticed.
        Builder::new().name(name).spawn(move || {
            let child = {
                let mut running = all.lock();
                if running.closed {
                    let _ = sender.send(Err(io::Error::other("nothing is started any more")));
                    return;
                }
                let child = command.stdin(Stdio::null()).process_group(0).spawn();
                if let Ok(child) = &child {
                    running.groups.insert(Pid::from_child(child));
                }
                child
            };
            let mut child = match child {
                Ok(child) => child,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            drop(command); // closes our ends of its pipes
            let group = Pid::from_child(&child);
            let _ = sender.send(Ok(group));
            // Wait without reaping: the leader keeps its number until the rest of its group is killed.
            let end = || waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let _ = rustix::io::retry_on_intr(end);
            all.signal(group, Signal::KILL);
            all.lock().groups.swap_remove(&group);
            if let Ok(status) = child.wait() {
                ended(status);
            }
        })?;
        let group = started.recv().map_err(io::Error::other)??;
        Ok(Process { group, all: self.clone() })
    }

    /// Kills all groups. From now on no process can be started.
    pub(crate) fn close(&self) {
        let mut running = self.lock();
        running.closed = true;
        for group in &running.groups {
            let _ = kill_process_group(*group, Signal::KILL); // it may have ended just now
        }
    }

    /// Returns the number of groups.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().groups.len()
    }

    fn signal(&self, group: Pid, signal: Signal) {
        let running = self.lock();
        if running.groups.contains(&group) {
            let _ = kill_process_group(group, signal); // it may have ended just now
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Sends SIGTERM to the group.
    pub(crate) fn terminate(&self) {
        self.all.signal(self.group, Signal::TERM);
    }

    /// Sends SIGKILL to the group.
    pub(crate) fn kill(&self) {
        self.all.signal(self.group, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns how a process ended, in words close to those of Mesos (`WSTRINGIFY`).
pub(crate) fn exit_text(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with status {code}"),
        None => format!("terminated with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, PipeReader, Read};
    use std::sync::mpsc::Receiver;

    /// A process, how it ended, and what it says: that ends when all of its group have.
    fn start(processes: &Processes, script: &str) -> (Process, Receiver<ExitStatus>, BufReader<PipeReader>) {
        let (sender, ended) = mpsc::channel();
        let (reader, writer) = io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(writer).stderr(Stdio::null());
        let process = processes.start(command, move |status| sender.send(status).unwrap_or_default()).unwrap();
        (process, ended, BufReader::new(reader))
    }

    fn line(said: &mut BufReader<PipeReader>) -> String {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line
    }

    fn rest(mut said: BufReader<PipeReader>) -> String {
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        rest
    }

    #[test]
    fn how_it_ends_is_told() {
        let processes = Processes::default();
        for (script, words) in [
            ("exit 0", "exited with status 0"),
            ("exit 7", "exited with status 7"),
            ("kill -ALRM $$", "terminated with signal: 14 (SIGALRM)"),
        ] {
            let (_process, ended, _) = start(&processes, script);
            assert_eq!(exit_text(ended.recv().unwrap()), words, "{script}");
        }
        assert_eq!(processes.count(), 0);
        let mut nowhere = Command::new("sh");
        nowhere.current_dir("no/such/folder");
        assert_eq!(processes.start(nowhere, |_| {}).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_it_leaves_behind_ends_with_it() {
        let (_process, ended, said) = start(&Processes::default(), "sleep 1000 & sleep 1000 & exit 3");
        assert_eq!(exit_text(ended.recv().unwrap()), "exited with status 3");
        assert_eq!(rest(said), "");
    }

    #[test]
    fn one_that_is_asked_may_take_leave_and_one_that_is_killed_may_not() {
        let processes = Processes::default();
        let waits = "echo ready; while :; do sleep 1000 & wait; done";
        let (process, ended, mut said) = start(&processes, &format!("trap 'echo bye; exit 4' TERM; {waits}"));
        assert_eq!(line(&mut said), "ready\n");
        process.terminate();
        assert_eq!(exit_text(ended.recv().unwrap()), "exited with status 4");
        assert_eq!(rest(said), "bye\n");

        let (process, ended, mut said) = start(&processes, &format!("trap 'echo no' TERM; {waits}"));
        assert_eq!(line(&mut said), "ready\n");
        process.terminate();
        assert_eq!(line(&mut said), "no\n");
        process.kill();
        assert_eq!(exit_text(ended.recv().unwrap()), "terminated with signal: 9 (SIGKILL)");
        process.kill(); // it has ended: nothing happens
        assert_eq!(rest(said), "");
    }

    #[test]
    fn none_outlives_its_owner_nor_all_of_them_the_end() {
        let processes = Processes::default();
        let (process, ended, said) = start(&processes, "sleep 1000 & wait");
        drop(process);
        assert_eq!(exit_text(ended.recv().unwrap()), "terminated with signal: 9 (SIGKILL)");
        assert_eq!(rest(said), "");

        let both = [start(&processes, "sleep 1000"), start(&processes, "sleep 1000 & wait")];
        assert_eq!(processes.count(), 2);
        processes.close();
        for (_process, ended, said) in both {
            assert_eq!(exit_text(ended.recv().unwrap()), "terminated with signal: 9 (SIGKILL)");
            assert_eq!(rest(said), "");
        }
        let refused = processes.start(Command::new("true"), |_| {}).unwrap_err();
        assert_eq!(refused.to_string(), "nothing is started any more");
    }
}
