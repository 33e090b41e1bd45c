//! [`Processes`]: the processes of all tasks and checks. None outlives this program.

use apportion_exec::check::{self, Outcome, Probe};
use apportion_exec::{Exit, Process, ProcessBuilder, Tree};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::Builder;
use std::time::Duration;

/// A handle to the set of running processes; clones share the set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processes(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    /// Each process with all that it has started, by a number of our own.
    trees: BTreeMap<u64, Tree>,
    next: u64,
    closed: bool,
}

/// A place in the set, which is free again when this is dropped.
#[derive(Debug)]
struct Entry {
    number: u64,
    all: Processes,
}

/// The process of a task. Dropping it kills it with all that it has started.
#[derive(Debug)]
pub(crate) struct TaskProcess(Arc<Process>);

/// A check under way. Dropping it kills its command.
#[derive(Debug)]
pub(crate) struct Attempt {
    _attempt: check::Attempt,
    _entry: Option<Entry>,
}

impl Processes {
    /// Starts a process. When it ends, what it has left behind is killed, and `ended` is called on another thread.
    pub(crate) fn start(
        &self,
        builder: ProcessBuilder,
        ended: impl FnOnce(Exit) + Send + 'static,
    ) -> io::Result<TaskProcess> {
        let (sender, started) = mpsc::sync_channel(1);
        let all = self.clone();
        // The thread comes before the process: without a thread the end of the process would go unnoticed.
        Builder::new().name("task".to_owned()).spawn(move || {
            let process = all.enter(|| {
                let process = Arc::new(builder.spawn().map_err(io::Error::other)?);
                let tree = process.tree().clone();
                Ok((process, Some(tree)))
            });
            let (process, _entry) = match process {
                Ok(started) => started,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            let _ = sender.send(Ok(process.clone()));
            if let Ok(exit) = process.wait() {
                drop(_entry);
                ended(exit);
            }
        })?;
        Ok(TaskProcess(started.recv().map_err(io::Error::other)??))
    }

    /// Starts a check; `done` is called on another thread, when the time is over at the latest.
    pub(crate) fn check(
        &self,
        (probe, timeout): (Probe, Duration),
        done: impl FnOnce(Outcome) + Send + 'static,
    ) -> io::Result<Attempt> {
        let (attempt, entry) = self.enter(|| {
            let attempt = check::Attempt::begin(probe, timeout, done)?;
            let tree = attempt.tree().cloned();
            Ok((attempt, tree))
        })?;
        Ok(Attempt { _attempt: attempt, _entry: entry })
    }

    /// Starts something, and takes the tree of its process into the set: it is known, or nothing is started.
    fn enter<T>(&self, start: impl FnOnce() -> io::Result<(T, Option<Tree>)>) -> io::Result<(T, Option<Entry>)> {
        let mut running = self.lock();
        if running.closed {
            return Err(io::Error::other("nothing is started any more"));
        }
        let (started, tree) = start()?;
        let entry = tree.map(|tree| {
            let number = running.next;
            running.next += 1;
            running.trees.insert(number, tree);
            Entry { number, all: self.clone() }
        });
        Ok((started, entry))
    }

    /// Kills all. From now on no process can be started.
    pub(crate) fn close(&self) {
        let mut running = self.lock();
        running.closed = true;
        for tree in running.trees.values() {
            let _ = tree.kill_all(Duration::from_secs(1)); // what is left after that time cannot be killed now
        }
    }

    /// Returns the number of processes, without what they have started.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().trees.len()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.all.lock().trees.remove(&self.number);
    }
}

impl TaskProcess {
    /// Sends SIGTERM to all of it.
    pub(crate) fn terminate(&self) {
        self.0.terminate();
    }

    /// Sends SIGKILL to all of it.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }
}

impl Drop for TaskProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, PipeReader, Read};
    use std::sync::mpsc::Receiver;

    /// A process, how it ended, and what it says: that ends when nothing of it is left.
    fn start(processes: &Processes, script: &str) -> (TaskProcess, Receiver<Exit>, BufReader<PipeReader>) {
        let (sender, ended) = mpsc::channel();
        let (reader, writer) = io::pipe().unwrap();
        let builder = ProcessBuilder::shell(script).variable("PATH", "/usr/bin:/bin").stdout(writer);
        let process = processes.start(builder, move |exit| sender.send(exit).unwrap_or_default()).unwrap();
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
    fn one_that_has_ended_is_forgotten_with_all_it_left_behind() {
        let processes = Processes::default();
        let (_process, ended, said) = start(&processes, "sleep 1000 & sleep 1000 & exit 3");
        assert_eq!(ended.recv().unwrap().to_string(), "exited with status 3");
        assert_eq!((rest(said), processes.count()), (String::new(), 0));
        let nowhere = ProcessBuilder::shell("true").directory("/no/such/folder");
        assert!(processes.start(nowhere, |_| {}).unwrap_err().to_string().contains("/no/such/folder: "));
    }

    #[test]
    fn one_that_is_asked_may_take_leave_and_one_that_is_killed_may_not() {
        let processes = Processes::default();
        let waits = "echo ready; while :; do sleep 1000 & wait; done";
        let (process, ended, mut said) = start(&processes, &format!("trap 'echo bye; exit 4' TERM; {waits}"));
        assert_eq!(line(&mut said), "ready\n");
        process.terminate();
        assert_eq!(ended.recv().unwrap().to_string(), "exited with status 4");
        assert_eq!(rest(said), "bye\n");

        let (process, ended, mut said) = start(&processes, &format!("trap 'echo no' TERM; {waits}"));
        assert_eq!(line(&mut said), "ready\n");
        process.terminate();
        assert_eq!(line(&mut said), "no\n");
        process.kill();
        assert_eq!(ended.recv().unwrap().to_string(), "terminated with signal Killed");
        process.kill(); // it has ended: nothing happens
        assert_eq!(rest(said), "");
    }

    #[test]
    fn none_outlives_its_owner_nor_all_of_them_the_end() {
        let processes = Processes::default();
        let (process, ended, said) = start(&processes, "sleep 1000 & wait");
        drop(process);
        assert_eq!(ended.recv().unwrap().to_string(), "terminated with signal Killed");
        assert_eq!(rest(said), "");

        let both = [start(&processes, "sleep 1000"), start(&processes, "sleep 1000 & wait")];
        let (reader, writer) = io::pipe().unwrap();
        let builder = ProcessBuilder::shell("sleep 1000").variable("PATH", "/usr/bin:/bin").stdout(writer);
        let check = (Probe::Command(Box::new(builder)), Duration::from_secs(1000));
        let attempt = processes.check(check, |_| {}).unwrap();
        assert_eq!(processes.count(), 3);
        processes.close();
        for (_process, ended, said) in both {
            assert_eq!(ended.recv().unwrap().to_string(), "terminated with signal Killed");
            assert_eq!(rest(said), "");
        }
        assert_eq!(rest(BufReader::new(reader)), "");
        drop(attempt);
        assert_eq!(processes.count(), 0);
        let refused = processes.start(ProcessBuilder::shell("true"), |_| {}).unwrap_err();
        assert_eq!(refused.to_string(), "nothing is started any more");
    }
}
