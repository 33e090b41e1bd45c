//! [`ProcessExecutor`]: an executor that runs one task as processes of this machine.

use super::attempt::{self, Verdict};
use super::command::of_task;
use super::process::{Attempt, Processes, TaskProcess};
use super::signal::Waker;
use apportion::executor::{Executor, Reports};
use apportion::{Task, TaskId, TaskState, TaskStatus, Time};
use apportion_exec::Exit;
use apportion_exec::health::{AttemptId, HealthMonitor, HealthSettings, Pace};
use apportion_exec::sandbox::Sandbox;
use apportion_marathon::{Probe, TaskCommand, TaskVolume, ready_status, result_status};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The folder of all sandboxes, and the processes in them. Clones share what is kept.
#[derive(Debug, Clone)]
pub(crate) struct SandboxRoot {
    folder: PathBuf,
    processes: Processes,
    /// How many sandboxes of ended tasks are kept, for each app.
    kept: usize,
    /// By app, the sandboxes of its ended tasks, the oldest first.
    ended: Arc<Mutex<BTreeMap<String, VecDeque<PathBuf>>>>,
}

impl SandboxRoot {
    /// Returns the root of sandboxes in that folder, where so many sandboxes of ended tasks are kept for each app.
    pub(crate) fn new(folder: PathBuf, processes: Processes, kept: usize) -> Self {
        Self { folder, processes, kept, ended: Arc::default() }
    }

    /// Removes the oldest sandboxes of the app of a task that has ended, as far as there are more than are kept.
    fn ended(&self, app: &str, sandbox: PathBuf) {
        let mut all = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let of_app = all.entry(app.to_owned()).or_default();
        of_app.push_back(sandbox);
        while of_app.len() > self.kept {
            if let Some(oldest) = of_app.pop_front() {
                let _ = Sandbox::at(oldest).remove(); // what cannot be removed stays
            }
        }
    }

    /// Makes the volumes of a task: folders that outlive it, with links to them in its sandbox.
    fn mount(&self, sandbox: &Path, volumes: &[TaskVolume]) -> io::Result<()> {
        for volume in volumes {
            let plain =
                Path::new(&volume.path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !plain {
                return Err(io::Error::other(format!("a volume at {}, expected a path in the sandbox", volume.path)));
            }
            let folder = self.folder.join("volumes").join(&volume.name).join(&volume.path);
            let link = sandbox.join(&volume.path);
            fs::create_dir_all(&folder)?;
            link.parent().map_or(Ok(()), fs::create_dir_all)?;
            symlink(folder, link)?;
        }
        Ok(())
    }

    /// Returns the sandbox of a task: its working directory, with its output in the files `stdout` and `stderr`.
    pub(crate) fn sandbox(&self, task: &TaskId) -> PathBuf {
        self.folder.join(task.as_str().replace(std::path::is_separator, "_"))
    }
}

/// The executor of one task.
#[derive(Debug)]
pub(crate) struct ProcessExecutor {
    sandboxes: SandboxRoot,
    waker: Waker,
    sender: Sender<Message>,
    messages: Receiver<Message>,
    running: Option<Running>,
}

/// A message from the thread of a process or of a check.
#[derive(Debug)]
enum Message {
    Ended(Exit),
    /// The result of a check: the index of the check, and which attempt it was.
    Checked {
        index: usize,
        attempt: AttemptId,
        verdict: Verdict,
    },
}

#[derive(Debug)]
struct Running {
    id: TaskId,
    app: String,
    command: TaskCommand,
    sandbox: PathBuf,
    process: TaskProcess,
    checks: Vec<CheckState>,
    /// The time of SIGKILL, once SIGTERM has been sent.
    until: Option<Time>,
}

/// The kind of a check, with its index among those of the app.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Health(usize),
    /// It is made until it succeeds.
    Readiness(usize),
}

/// One check, and its attempt under way.
#[derive(Debug)]
struct CheckState {
    kind: Kind,
    probe: Probe,
    timeout: Duration,
    monitor: HealthMonitor,
    attempt: Option<Attempt>,
    is_over: bool,
}

impl ProcessExecutor {
    /// Returns an executor without a task. Its threads use the waker when they have a message.
    pub(crate) fn new(sandboxes: SandboxRoot, waker: Waker) -> Self {
        let (sender, messages) = mpsc::channel();
        Self { sandboxes, waker, sender, messages, running: None }
    }

    fn start(&self, task: &Task, at: Time) -> Result<Running, String> {
        let command = TaskCommand::from_task(task)?;
        let sandbox = self.sandboxes.sandbox(&task.id);
        let text = |error: io::Error| format!("{}: {error}", sandbox.display());
        let folder = Sandbox::at(&sandbox);
        let [stdout, stderr] =
            folder.create(None).and_then(|()| folder.logs(None)).map_err(|error| error.to_string())?;
        self.sandboxes.mount(&sandbox, &command.volumes).map_err(text)?;
        let process = of_task(&command, &sandbox).stdout(stdout).stderr(stderr);
        let (messages, waker) = (self.sender.clone(), self.waker.clone());
        let process = self.sandboxes.processes.start(process, move |exit| {
            let _ = messages.send(Message::Ended(exit)); // the executor is gone if its agent was lost
            waker.wake();
        });
        let process = process.map_err(|error| error.to_string())?;
        let checks = checks(&command, at);
        let app = task.details.get("name").and_then(|name| name.as_str()).unwrap_or_default().into_owned();
        Ok(Running { id: task.id.clone(), app, command, sandbox, process, checks, until: None })
    }

    /// Starts all checks that are due.
    fn check(&mut self, reports: &mut Reports) {
        let Some(running) = self.running.as_mut().filter(|running| running.until.is_none()) else { return };
        for (index, state) in running.checks.iter_mut().enumerate() {
            let Some(attempt) = state.begin(reports.at()) else { continue };
            let (messages, waker) = (self.sender.clone(), self.waker.clone());
            let done = move |verdict| {
                let _ = messages.send(Message::Checked { index, attempt, verdict });
                waker.wake();
            };
            let (what, on) = ((&state.probe, state.timeout), (&running.command, running.sandbox.as_path()));
            match attempt::begin(what, on, &self.sandboxes.processes, done) {
                Ok(begun) => state.attempt = Some(begun),
                Err(error) => state.complete(attempt, Some(Err(error.to_string())), &running.id, reports),
            }
        }
    }
}

impl Executor for ProcessExecutor {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        match self.start(&task, reports.at()) {
            Ok(running) => {
                reports.running(&task.id);
                running.checks.iter().for_each(|state| state.wake(reports));
                self.running = Some(running);
            }
            Err(why) => reports.failed(&task.id, &why),
        }
    }

    /// Sends SIGTERM, and SIGKILL after the grace period.
    fn kill(&mut self, _: TaskId, grace: Option<Duration>, reports: &mut Reports) {
        let Some(running) = self.running.as_mut().filter(|running| running.until.is_none()) else { return };
        running.process.terminate();
        running.checks.clear();
        let until = reports.at() + grace.unwrap_or(running.command.grace);
        running.until = Some(until);
        reports.wake_at(until);
    }

    fn woken(&mut self, reports: &mut Reports) {
        for messages in self.messages.try_iter() {
            match messages {
                Message::Ended(exit) => {
                    if let Some(running) = self.running.take() {
                        reports.update(running.ended(exit));
                        self.sandboxes.ended(&running.app, running.sandbox);
                    }
                }
                Message::Checked { index, attempt, verdict } => {
                    let Some(running) = &mut self.running else { continue };
                    if let Some(state) = running.checks.get_mut(index) {
                        state.complete(attempt, verdict, &running.id, reports);
                    }
                }
            }
        }
        if let Some(running) =
            self.running.as_ref().filter(|running| running.until.is_some_and(|at| at <= reports.at()))
        {
            running.process.kill();
        }
        self.check(reports);
    }
}

impl Running {
    /// Returns the last status of the task.
    fn ended(&self, exit: Exit) -> TaskStatus {
        let state = match (self.until, exit.status().is_some_and(|status| status.is_success())) {
            (Some(_), _) => TaskState::Killed,
            (None, true) => TaskState::Finished,
            (None, false) => TaskState::Failed,
        };
        TaskStatus::new(self.id.clone(), state).message(format!("Command {exit}"))
    }
}

impl CheckState {
    /// Returns a check that is made for the first time after `delay`. What follows from failures is decided by the framework.
    fn new(kind: Kind, probe: &Probe, pace: Pace, started: Time) -> Self {
        let settings = HealthSettings { pace, grace: Duration::ZERO, consecutive_failures: None };
        let monitor = HealthMonitor::new(settings, started.since(Time::ZERO));
        Self { kind, probe: probe.clone(), timeout: pace.timeout, monitor, attempt: None, is_over: false }
    }

    /// Asks to be woken when the next attempt is due.
    fn wake(&self, reports: &mut Reports) {
        if let Some(due) = self.monitor.due().filter(|_| !self.is_over) {
            reports.wake_at(Time::ZERO + due);
        }
    }

    fn begin(&mut self, now: Time) -> Option<AttemptId> {
        if self.is_over { None } else { self.monitor.begin(now.since(Time::ZERO)) }
    }

    /// Completes the attempt under way. Like Mesos' health checker, it reports each failure, and a success only if the last
    /// result was none; of a readiness check, only the success.
    fn complete(&mut self, attempt: AttemptId, verdict: Verdict, task: &TaskId, reports: &mut Reports) {
        let is_good = verdict.as_ref().map(Result::is_ok);
        let report = self.monitor.complete(attempt, is_good, reports.at().since(Time::ZERO));
        self.attempt = None;
        if let (Some(report), Some(result)) = (report, verdict) {
            match self.kind {
                Kind::Health(index) => reports.update(result_status(task, index, result)),
                Kind::Readiness(index) if report.healthy => {
                    self.is_over = true;
                    reports.update(ready_status(task, index));
                }
                Kind::Readiness(_) => {}
            }
        }
        self.wake(reports);
    }
}

/// Returns the checks of a task that starts at that time.
fn checks(command: &TaskCommand, at: Time) -> Vec<CheckState> {
    let health = command.health_checks.iter().enumerate().map(|(index, check)| {
        let pace = Pace { delay: check.first(), interval: check.interval, timeout: check.timeout };
        CheckState::new(Kind::Health(index), &check.probe, pace, at)
    });
    let readiness = command.readiness_checks.iter().enumerate().map(|(index, check)| {
        let delay = check.interval.min(Duration::from_secs(1));
        CheckState::new(
            Kind::Readiness(index),
            &check.probe,
            Pace { delay, interval: check.interval, timeout: check.timeout },
            at,
        )
    });
    health.chain(readiness).collect()
}

#[cfg(test)]
mod tests {
    use super::super::signal::Signal;
    use super::*;
    use apportion::ExecutorRef;
    use apportion::executor::Call;
    use serde_json::{Value as Json, json};
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread::Builder;

    /// An executor of one task, in a folder of its own.
    struct Harness {
        executor: ProcessExecutor,
        signals: Receiver<Signal>,
        folder: tempfile::TempDir,
        processes: Processes,
        steps: u64,
    }

    impl Harness {
        fn new(script: &str, checks: Json) -> (Self, Vec<TaskStatus>) {
            let task = Task::new("t.1", "cpus:1".parse().unwrap());
            Self::of(task.detail("command", json!({"value": script})).detail("healthChecks", checks))
        }

        fn of(task: Task) -> (Self, Vec<TaskStatus>) {
            let (folder, processes) = (tempfile::tempdir().unwrap(), Processes::default());
            let (sender, signals) = mpsc::channel();
            let waker = Waker::new(sender, ExecutorRef::new("f", "a", "e"));
            let executor =
                ProcessExecutor::new(SandboxRoot::new(folder.path().to_owned(), processes.clone(), 5), waker);
            let mut harness = Self { executor, signals, folder, processes, steps: 0 };
            let said = harness.act(|executor, reports| executor.launch(task, reports));
            (harness, said)
        }

        /// Acts on the executor, 20 ms after the last time.
        fn act(&mut self, act: impl FnOnce(&mut ProcessExecutor, &mut Reports)) -> Vec<TaskStatus> {
            self.steps += 1;
            let mut reports = Reports::new(Time::from_micros(20_000 * self.steps));
            act(&mut self.executor, &mut reports);
            let status = |call| {
                let Call::Update(status) = call else { panic!("{call:?}") };
                *status
            };
            reports.into_vec().into_iter().map(status).collect()
        }

        /// Wakes the executor every 20 ms, until it sends updates.
        fn next(&mut self) -> Vec<TaskStatus> {
            loop {
                let _ = self.signals.recv_timeout(Duration::from_millis(20));
                let said = self.act(ProcessExecutor::woken);
                if !said.is_empty() {
                    return said;
                }
            }
        }

        /// Returns the output of the task, once there is some.
        fn wrote(&self, file: &str) -> String {
            loop {
                let text = fs::read_to_string(self.folder.path().join("t.1").join(file)).unwrap();
                if !text.is_empty() {
                    return text;
                }
            }
        }
    }

    fn short(said: &[TaskStatus]) -> Vec<(TaskState, Option<&str>, Option<bool>)> {
        said.iter().map(|status| (status.state, status.message.as_deref(), status.healthy)).collect()
    }

    #[test]
    fn the_end_of_the_process_is_the_end_of_the_task() {
        for (script, state, message) in [
            ("echo out; echo err >&2", TaskState::Finished, "Command exited with status 0"),
            ("echo out; echo err >&2; exit 3", TaskState::Failed, "Command exited with status 3"),
            ("echo out; echo err >&2; kill -KILL $$", TaskState::Failed, "Command terminated with signal Killed"),
        ] {
            let (mut harness, said) = Harness::new(script, Json::Null);
            assert_eq!(short(&said), [(TaskState::Running, None, None)]);
            assert_eq!(short(&harness.next()), [(state, Some(message), None)], "{script}");
            assert_eq!((harness.wrote("stdout"), harness.wrote("stderr")), ("out\n".to_owned(), "err\n".to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_started_has_failed() {
        let (mut harness, _) = Harness::new("exec sleep 1000", Json::Null);
        let task = Task::new("t.2", "cpus:1".parse().unwrap());
        let args = json!({"shell": false, "value": "no/such/program", "arguments": ["no/such/program"]});
        let said = harness.act(|executor, reports| executor.launch(task.detail("command", args), reports));
        assert_eq!(said[0].state, TaskState::Failed);
        assert!(said[0].message.as_ref().unwrap().starts_with("no/such/program: "), "{said:?}");
        let task = Task::new("t.3", "cpus:1".parse().unwrap()).detail("command", json!({"value": "true"}));
        fs::write(harness.folder.path().join("t.3"), "").unwrap();
        let said = harness.act(|executor, reports| executor.launch(task, reports));
        assert!(said[0].message.as_ref().unwrap().contains("t.3: "), "{said:?}");
    }

    #[test]
    fn a_task_may_end_in_its_own_way_until_its_grace_period_is_over() {
        let kill = |executor: &mut ProcessExecutor, reports: &mut Reports, grace| {
            executor.kill("t.1".into(), Some(grace), reports)
        };
        let waits = "echo ready; while :; do sleep 1000 & wait; done";
        let (mut harness, _) = Harness::new(&format!("trap 'exit 0' TERM; {waits}"), Json::Null);
        harness.wrote("stdout");
        assert!(harness.act(|executor, reports| kill(executor, reports, Duration::MAX)).is_empty());
        assert_eq!(short(&harness.next()), [(TaskState::Killed, Some("Command exited with status 0"), None)]);

        let (mut harness, _) = Harness::new(&format!("trap '' TERM; {waits}"), Json::Null);
        harness.wrote("stdout");
        harness.act(|executor, reports| kill(executor, reports, Duration::from_millis(30)));
        let said = harness.next();
        assert_eq!(short(&said), [(TaskState::Killed, Some("Command terminated with signal Killed"), None)]);
        assert_eq!(harness.processes.count(), 0);
    }

    #[test]
    fn health_is_told_when_it_changes_and_at_each_failure() {
        let check = json!([{"protocol": "COMMAND", "intervalSeconds": 1, "command": {"value": "test ! -e bad"}}]);
        let (mut harness, _) = Harness::new("exec sleep 1000", check);
        assert_eq!(short(&harness.next()), [(TaskState::Running, None, Some(true))]);
        fs::write(harness.folder.path().join("t.1/bad"), "").unwrap();
        for _ in 0..2 {
            let why = Some("health check 0: exited with status 1");
            assert_eq!(short(&harness.next()), [(TaskState::Running, why, Some(false))]);
        }
        fs::remove_file(harness.folder.path().join("t.1/bad")).unwrap();
        assert_eq!(short(&harness.next()), [(TaskState::Running, None, Some(true))]);
    }

    #[test]
    fn a_task_is_ready_once_its_check_is_answered_as_asked_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = Builder::new().spawn(move || {
            for status in ["503 Not Yet", "200 OK"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                assert!(stream.read(&mut asked).unwrap() > 0);
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        });
        let task = Task::new("t.1", "cpus:1".parse().unwrap()).detail("command", json!({"value": "exec sleep 1000"}));
        let checks = json!([{"path": "/ready", "portIndex": 0, "intervalSeconds": 1}]);
        let task = task.detail("ports", json!([port])).detail("readinessChecks", checks);
        let (mut harness, _) = Harness::of(task);
        assert_eq!(short(&harness.next()), [(TaskState::Running, Some("ready"), None)]);
        serve.unwrap().join().unwrap();
    }

    #[test]
    fn a_check_that_takes_too_long_has_failed_once_and_is_ended() {
        let check = json!([{"protocol": "COMMAND", "timeoutSeconds": 1, "command": {"value": "sleep 1000 & wait"}}]);
        let (mut harness, _) = Harness::new("exec sleep 1000", check);
        let why = Some("health check 0: it took longer than 1 s");
        assert_eq!(short(&harness.next()), [(TaskState::Running, why, Some(false))]);
        // The outcome of an attempt that timed out is ignored: the next update is the end of the task.
        harness.act(|executor, reports| executor.kill("t.1".into(), None, reports));
        assert_eq!(harness.next()[0].state, TaskState::Killed);
        while harness.processes.count() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_executor_that_is_gone_leaves_nothing_behind() {
        let check = json!([{"protocol": "COMMAND", "command": {"value": "touch begun; sleep 1000"}}]);
        let (mut harness, _) = Harness::new("sleep 1000 & wait", check);
        while !harness.folder.path().join("t.1/begun").exists() {
            assert!(harness.act(ProcessExecutor::woken).is_empty());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(harness.processes.count(), 2);
        drop(harness.executor);
        while harness.processes.count() > 0 {
            std::thread::yield_now();
        }
    }
}
