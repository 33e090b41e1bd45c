//! [`Runner`]: the executor of one task, which it runs as processes of this machine.

use super::attempt::{Attempt, Outcome};
use super::command::command;
use super::process::{Process, Processes, told};
use super::signal::Bell;
use apportion::executor::{Executor, Reports};
use apportion::{Task, TaskId, TaskState, TaskStatus, Time};
use apportion_marathon::{Order, tell};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// Where tasks run.
#[derive(Debug, Clone)]
pub(crate) struct Premises {
    /// A folder with a sandbox for each task.
    folder: PathBuf,
    processes: Processes,
}

impl Premises {
    /// Sandboxes in that folder.
    pub(crate) fn new(folder: PathBuf, processes: Processes) -> Self {
        Self { folder, processes }
    }

    /// The folder of a task: it runs there, and its output is in the files `stdout` and `stderr`.
    pub(crate) fn sandbox(&self, task: &TaskId) -> PathBuf {
        self.folder.join(task.as_str().replace(std::path::is_separator, "_"))
    }
}

/// The executor of one task.
#[derive(Debug)]
pub(crate) struct Runner {
    premises: Premises,
    bell: Bell,
    sender: Sender<News>,
    news: Receiver<News>,
    running: Option<Running>,
}

/// What threads have to tell.
#[derive(Debug)]
enum News {
    Ended(ExitStatus),
    /// What came of a check: the how manieth of which one it is.
    Checked {
        index: usize,
        number: u64,
        outcome: Outcome,
    },
}

#[derive(Debug)]
struct Running {
    id: TaskId,
    order: Order,
    sandbox: PathBuf,
    process: Process,
    tracks: Vec<Track>,
    /// Once it has been asked to end: when it is killed.
    until: Option<Time>,
}

/// How far one health check has come.
#[derive(Debug, Default)]
struct Track {
    /// When it is made next.
    due: Time,
    /// The one that is being made, and its number.
    attempt: Option<Attempt>,
    number: u64,
    /// When what is being made has taken too long.
    deadline: Time,
    is_good: bool,
}

impl Runner {
    /// Has a task to run there; rings the bell when it is to be woken.
    pub(crate) fn new(premises: Premises, bell: Bell) -> Self {
        let (sender, news) = mpsc::channel();
        Self { premises, bell, sender, news, running: None }
    }

    fn start(&self, task: &Task, at: Time) -> Result<Running, String> {
        let order = Order::of(task)?;
        let sandbox = self.premises.sandbox(&task.id);
        let text = |error: io::Error| format!("{}: {error}", sandbox.display());
        let (stdout, stderr) = output(&sandbox).map_err(text)?;
        let mut command = command(&order, &sandbox);
        command.stdout(stdout).stderr(stderr);
        let (news, bell) = (self.sender.clone(), self.bell.clone());
        let process = self.premises.processes.start(command, move |status| {
            let _ = news.send(News::Ended(status)); // nobody listens once its agent is lost
            bell.ring();
        });
        let process = process.map_err(|error| format!("{}: {error}", order.name()))?;
        let tracks = order.checks.iter().map(|check| Track { due: at + check.first(), ..Track::default() }).collect();
        Ok(Running { id: task.id.clone(), order, sandbox, process, tracks, until: None })
    }

    /// Begins with all checks that are due, and gives up those that take too long.
    fn check(&mut self, reports: &mut Reports) {
        let Some(running) = self.running.as_mut().filter(|running| running.until.is_none()) else { return };
        let now = reports.at();
        for (index, (track, check)) in running.tracks.iter_mut().zip(&running.order.checks).enumerate() {
            if track.attempt.is_some() && track.deadline <= now {
                let why = format!("it took longer than {} s", check.timeout.as_secs());
                track.take(Some(Err(why)), (&running.id, index), reports);
            }
            if track.attempt.is_some() || track.due > now {
                continue;
            }
            (track.due, track.deadline) = (now + check.interval, now + check.timeout);
            reports.wake_at(track.due);
            reports.wake_at(track.deadline);
            track.number += 1;
            let (news, bell, number) = (self.sender.clone(), self.bell.clone(), track.number);
            let done = move |outcome| {
                let _ = news.send(News::Checked { index, number, outcome });
                bell.ring();
            };
            let (what, on) = ((&check.probe, check.timeout), (&running.order, running.sandbox.as_path()));
            match Attempt::begin(what, on, &self.premises.processes, done) {
                Ok(attempt) => track.attempt = Some(attempt),
                Err(error) => track.take(Some(Err(error.to_string())), (&running.id, index), reports),
            }
        }
    }
}

impl Executor for Runner {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        match self.start(&task, reports.at()) {
            Ok(running) => {
                reports.running(&task.id);
                running.tracks.iter().for_each(|track| reports.wake_at(track.due));
                self.running = Some(running);
            }
            Err(why) => reports.failed(&task.id, &why),
        }
    }

    /// Asks the task to end, and sees to it after its grace period.
    fn kill(&mut self, _: TaskId, grace: Option<Duration>, reports: &mut Reports) {
        let Some(running) = self.running.as_mut().filter(|running| running.until.is_none()) else { return };
        running.process.terminate();
        running.tracks.clear();
        let until = reports.at() + grace.unwrap_or(running.order.grace);
        running.until = Some(until);
        reports.wake_at(until);
    }

    fn woken(&mut self, reports: &mut Reports) {
        for news in self.news.try_iter() {
            match news {
                News::Ended(status) => {
                    if let Some(running) = self.running.take() {
                        reports.update(running.ended(status));
                    }
                }
                News::Checked { index, number, outcome } => {
                    let Some(running) = &mut self.running else { continue };
                    let track = running.tracks.get_mut(index).filter(|track| track.number == number);
                    if let Some(track) = track.filter(|track| track.attempt.is_some()) {
                        track.take(outcome, (&running.id, index), reports);
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
    /// How the task has ended.
    fn ended(&self, status: ExitStatus) -> TaskStatus {
        let state = match (self.until, status.success()) {
            (Some(_), _) => TaskState::Killed,
            (None, true) => TaskState::Finished,
            (None, false) => TaskState::Failed,
        };
        TaskStatus::new(self.id.clone(), state).message(format!("Command {}", told(status)))
    }
}

impl Track {
    /// Takes note of what came of the check that is being made. As Mesos' health checker, it tells of each failure, and of
    /// a success only after something else.
    fn take(&mut self, outcome: Outcome, (task, index): (&TaskId, usize), reports: &mut Reports) {
        self.attempt = None;
        let Some(result) = outcome else { return };
        let was_good = std::mem::replace(&mut self.is_good, result.is_ok());
        if !(was_good && self.is_good) {
            reports.update(tell(task, index, result));
        }
    }
}

/// The files for the output of a task, both empty.
fn output(sandbox: &Path) -> io::Result<(File, File)> {
    fs::create_dir_all(sandbox)?;
    Ok((File::create(sandbox.join("stdout"))?, File::create(sandbox.join("stderr"))?))
}

#[cfg(test)]
mod tests {
    use super::super::signal::Signal;
    use super::*;
    use apportion::ExecutorRef;
    use apportion::executor::Call;
    use serde_json::{Value as Json, json};

    /// A runner of one task, in a folder of its own.
    struct Scene {
        runner: Runner,
        signals: Receiver<Signal>,
        folder: tempfile::TempDir,
        processes: Processes,
        turns: u64,
    }

    impl Scene {
        fn new(script: &str, checks: Json) -> (Self, Vec<TaskStatus>) {
            let (folder, processes) = (tempfile::tempdir().unwrap(), Processes::default());
            let (sender, signals) = mpsc::channel();
            let bell = Bell::new(sender, ExecutorRef::new("f", "a", "e"));
            let runner = Runner::new(Premises::new(folder.path().to_owned(), processes.clone()), bell);
            let mut scene = Self { runner, signals, folder, processes, turns: 0 };
            let task = Task::new("t.1", "cpus:1".parse().unwrap());
            let task = task.detail("command", json!({"value": script})).detail("healthChecks", checks);
            let said = scene.act(|runner, reports| runner.launch(task, reports));
            (scene, said)
        }

        /// Lets something happen, a while after what was before.
        fn act(&mut self, act: impl FnOnce(&mut Runner, &mut Reports)) -> Vec<TaskStatus> {
            self.turns += 1;
            let mut reports = Reports::new(Time::from_micros(20_000 * self.turns));
            act(&mut self.runner, &mut reports);
            let status = |call| {
                let Call::Update(status) = call else { panic!("{call:?}") };
                *status
            };
            reports.into_vec().into_iter().map(status).collect()
        }

        /// Wakes it again and again, as time goes by, until it has something to tell.
        fn next(&mut self) -> Vec<TaskStatus> {
            loop {
                let _ = self.signals.recv_timeout(Duration::from_millis(20));
                let said = self.act(Runner::woken);
                if !said.is_empty() {
                    return said;
                }
            }
        }

        /// What its task has written, once it has written something.
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
            ("echo out; echo err >&2; kill -KILL $$", TaskState::Failed, "Command terminated with signal: 9 (SIGKILL)"),
        ] {
            let (mut scene, said) = Scene::new(script, Json::Null);
            assert_eq!(short(&said), [(TaskState::Running, None, None)]);
            assert_eq!(short(&scene.next()), [(state, Some(message), None)], "{script}");
            assert_eq!((scene.wrote("stdout"), scene.wrote("stderr")), ("out\n".to_owned(), "err\n".to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_started_has_failed() {
        let (mut scene, _) = Scene::new("exec sleep 1000", Json::Null);
        let task = Task::new("t.2", "cpus:1".parse().unwrap());
        let args = json!({"shell": false, "value": "no/such/program", "arguments": ["no/such/program"]});
        let said = scene.act(|runner, reports| runner.launch(task.detail("command", args), reports));
        assert_eq!(said[0].state, TaskState::Failed);
        assert!(said[0].message.as_ref().unwrap().starts_with("no/such/program: "), "{said:?}");
        let task = Task::new("t.3", "cpus:1".parse().unwrap()).detail("command", json!({"value": "true"}));
        fs::write(scene.folder.path().join("t.3"), "").unwrap();
        let said = scene.act(|runner, reports| runner.launch(task, reports));
        assert!(said[0].message.as_ref().unwrap().contains("t.3: "), "{said:?}");
    }

    #[test]
    fn a_task_may_end_in_its_own_way_until_its_grace_period_is_over() {
        let kill = |runner: &mut Runner, reports: &mut Reports, grace| runner.kill("t.1".into(), Some(grace), reports);
        let waits = "echo ready; while :; do sleep 1000 & wait; done";
        let (mut scene, _) = Scene::new(&format!("trap 'exit 0' TERM; {waits}"), Json::Null);
        scene.wrote("stdout");
        assert!(scene.act(|runner, reports| kill(runner, reports, Duration::MAX)).is_empty());
        assert_eq!(short(&scene.next()), [(TaskState::Killed, Some("Command exited with status 0"), None)]);

        let (mut scene, _) = Scene::new(&format!("trap '' TERM; {waits}"), Json::Null);
        scene.wrote("stdout");
        scene.act(|runner, reports| kill(runner, reports, Duration::from_millis(30)));
        let said = scene.next();
        assert_eq!(short(&said), [(TaskState::Killed, Some("Command terminated with signal: 9 (SIGKILL)"), None)]);
        assert_eq!(scene.processes.count(), 0);
    }

    #[test]
    fn health_is_told_when_it_changes_and_at_each_failure() {
        let check = json!([{"protocol": "COMMAND", "intervalSeconds": 1, "command": {"value": "test ! -e bad"}}]);
        let (mut scene, _) = Scene::new("exec sleep 1000", check);
        assert_eq!(short(&scene.next()), [(TaskState::Running, None, Some(true))]);
        fs::write(scene.folder.path().join("t.1/bad"), "").unwrap();
        for _ in 0..2 {
            let why = Some("health check 0: exited with status 1");
            assert_eq!(short(&scene.next()), [(TaskState::Running, why, Some(false))]);
        }
        fs::remove_file(scene.folder.path().join("t.1/bad")).unwrap();
        assert_eq!(short(&scene.next()), [(TaskState::Running, None, Some(true))]);
    }

    #[test]
    fn a_check_that_takes_too_long_has_failed_once_and_is_ended() {
        let check = json!([{"protocol": "COMMAND", "timeoutSeconds": 1, "command": {"value": "sleep 1000 & wait"}}]);
        let (mut scene, _) = Scene::new("exec sleep 1000", check);
        let why = Some("health check 0: it took longer than 1 s");
        assert_eq!(short(&scene.next()), [(TaskState::Running, why, Some(false))]);
        // The end of what was given up is not told: the next news is the end of the task.
        scene.act(|runner, reports| runner.kill("t.1".into(), None, reports));
        assert_eq!(scene.next()[0].state, TaskState::Killed);
        while scene.processes.count() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_executor_that_is_gone_leaves_nothing_behind() {
        let check = json!([{"protocol": "COMMAND", "command": {"value": "touch begun; sleep 1000"}}]);
        let (mut scene, _) = Scene::new("sleep 1000 & wait", check);
        while !scene.folder.path().join("t.1/begun").exists() {
            assert!(scene.act(Runner::woken).is_empty());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(scene.processes.count(), 2);
        drop(scene.runner);
        while scene.processes.count() > 0 {
            std::thread::yield_now();
        }
    }
}
