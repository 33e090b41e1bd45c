//! `apportion run`: a framework that launches one command, follows its output, and ends with its status.

use crate::operator;
use crate::operator::arguments::{Connection, RunArguments};
use crate::operator::http::Master;
use crate::operator::output::Follower;
use crate::operator::sandbox::Sandbox;
use apportion::v1::connection::StopReason;
use apportion::{
    Accept, Calls, Framework, FrameworkId, Json, Offer, Rejected, Resources, Scheduler, Task, TaskId, TaskState,
    TaskStatus,
};
use apportion_console::Failure;
use apportion_http::client::{ClientBuilder, ClientHandle};
use serde_json::json;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The time between two looks at the output.
const PAUSE: Duration = Duration::from_millis(100);

/// The time after which a person is told that there is no offer that fits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time for which an offer that does not fit is declined.
const REFUSE: Duration = Duration::from_secs(5);

/// The longest that the end of the framework takes.
const END: Duration = Duration::from_secs(10);

/// What the framework hears.
#[derive(Debug)]
enum Heard {
    Subscribed(FrameworkId),
    /// The task is launched on the agent with that address, if its offer told one.
    Launched(Option<String>),
    Status(TaskStatus),
    Rejected(String),
}

/// The framework.
#[derive(Debug)]
struct Launcher {
    /// The task, until it is launched.
    task: Option<Task>,
    id: TaskId,
    needs: Resources,
    heard: mpsc::UnboundedSender<Heard>,
}

impl Launcher {
    fn tell(&self, heard: Heard) {
        let _ = self.heard.send(heard); // the program may be at its end
    }
}

impl Scheduler for Launcher {
    fn subscribed(&mut self, framework: FrameworkId, _: &mut Calls) {
        self.tell(Heard::Subscribed(framework));
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let left = offer.resources.clone();
            let Ok((taken, _)) = left.take(&self.needs, &offer.role) else {
                calls.decline_for(&offer, REFUSE);
                continue;
            };
            let Some(mut task) = self.task.take() else {
                calls.decline_for(&offer, REFUSE);
                continue;
            };
            task.resources = taken;
            calls.accept(Accept::of(&offer).launch(task).refuse_rest_for(Duration::from_secs(3600)));
            calls.suppress();
            self.tell(Heard::Launched(address(&offer)));
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        if status.task == self.id {
            self.tell(Heard::Status(status));
        }
    }

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.tell(Heard::Rejected(rejected.to_string()));
    }

    fn error(&mut self, message: String, _: &mut Calls) {
        self.tell(Heard::Rejected(message));
    }
}

/// Returns the address of an agent, which stands in the `url` of its offers.
fn address(offer: &Offer) -> Option<String> {
    let address = offer.details.get("url")?.get("address")?;
    let host = address.get("ip").or_else(|| address.get("hostname"))?;
    Some(format!("{}:{}", host.as_str()?, address.get("port")?.as_u64()?))
}

/// Runs a command on the cluster, and ends with its status.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Run(error.to_string()))?;
    let ended = runtime.block_on(execute(arguments));
    runtime.shutdown_background();
    ended
}

async fn execute(arguments: &RunArguments) -> Result<(), Failure> {
    let system = |error: std::io::Error| Failure::Run(error.to_string());
    let connection = &arguments.connection;
    let master = operator::master(connection)?;
    let (heard, mut hears) = mpsc::unbounded_channel();
    let id = TaskId::from(format!(
        "{}.{:08x}",
        arguments.name(),
        getrandom::u32().map_err(std::io::Error::other).map_err(system)?
    ));
    let task = task(arguments, &id);
    let launcher = Launcher { task: Some(task), id: id.clone(), needs: arguments.resources.clone(), heard };
    let mut client =
        builder(connection, arguments)?.build(launcher).map_err(|error| Failure::Run(error.to_string()))?;
    let handle = client.handle();
    let running = tokio::spawn(async move { client.run().await });
    let mut interrupts = signal(SignalKind::interrupt()).map_err(system)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(system)?;
    let mut run = Run {
        master,
        handle,
        running,
        id,
        follower: None,
        framework: None,
        agent: None,
        has_ended: Arc::default(),
        closed: Arc::default(),
    };
    let mut is_interrupted = false;
    let mut patience = Box::pin(sleep(PATIENCE));
    let mut is_waiting = true;
    let closed = run.closed.clone();
    let ended = loop {
        tokio::select! {
            heard = hears.recv() => match heard {
                Some(Heard::Subscribed(framework)) => run.framework = Some(framework),
                Some(Heard::Launched(agent)) => {
                    is_waiting = false;
                    run.agent = agent;
                }
                Some(Heard::Status(status)) => {
                    if matches!(status.state, TaskState::Running) || status.state.is_terminal() {
                        run.follow();
                    }
                    if status.state.is_terminal() {
                        break status;
                    }
                }
                Some(Heard::Rejected(why)) => return Err(run.fail(why).await),
                None => return Err(run.fail("the framework has ended".to_owned()).await),
            },
            reason = &mut run.running => {
                let reason = reason.unwrap_or(StopReason::Left);
                return Err(Failure::Run(reason.to_string()));
            }
            () = &mut patience, if is_waiting => {
                is_waiting = false;
                note(&format!("waiting for an offer of {}", arguments.resources));
            }
            () = closed.notified() => run.kill().await,
            _ = interrupts.recv() => is_interrupted = run.interrupted(is_interrupted).await?,
            _ = terminations.recv() => is_interrupted = run.interrupted(is_interrupted).await?,
        }
    };
    run.finish().await?;
    if is_interrupted {
        return Err(Failure::Interrupted(format!("interrupted: the task is {}", word(ended.state))));
    }
    result(&ended)
}

/// A command that runs.
struct Run {
    master: Master,
    handle: ClientHandle<Launcher>,
    running: JoinHandle<StopReason>,
    id: TaskId,
    follower: Option<JoinHandle<Result<(), Failure>>>,
    framework: Option<FrameworkId>,
    agent: Option<String>,
    has_ended: Arc<AtomicBool>,
    /// Is notified when nobody takes the output any more.
    closed: Arc<Notify>,
}

impl Run {
    /// Begins to follow the output, unless that has begun.
    fn follow(&mut self) {
        let (Some(agent), Some(framework), None) = (&self.agent, &self.framework, &self.follower) else { return };
        let (agent, framework) = (self.master.agent(agent.clone()), framework.clone());
        let (task, has_ended, closed) = (self.id.clone(), self.has_ended.clone(), self.closed.clone());
        self.follower = Some(tokio::task::spawn_blocking(move || {
            let followed = follow(agent, &framework, &task, &has_ended);
            if matches!(followed, Err(Failure::Output(_))) {
                closed.notify_one();
            }
            followed
        }));
    }

    /// Kills the task at the first interrupt; ends all at the second.
    async fn interrupted(&mut self, before: bool) -> Result<bool, Failure> {
        if before {
            self.leave().await;
            return Err(Failure::Interrupted("interrupted again: the task is left to its agent".to_owned()));
        }
        self.kill().await;
        Ok(true)
    }

    /// Kills the task, or does not launch it.
    async fn kill(&self) {
        let id = self.id.clone();
        let kill = move |launcher: &mut Launcher, calls: &mut Calls| {
            if launcher.task.take().is_none() {
                calls.kill(id);
            } else {
                launcher.tell(Heard::Rejected("interrupted before there was an offer that fits".to_owned()));
            }
        };
        let _ = self.handle.act(kill).await; // it has ended by itself
    }

    /// Waits for the rest of the output, and ends the framework.
    async fn finish(&mut self) -> Result<(), Failure> {
        self.has_ended.store(true, Ordering::Release);
        let followed = match self.follower.take() {
            Some(follower) => follower.await.unwrap_or(Ok(())),
            None => Ok(()),
        };
        self.leave().await;
        match followed {
            Err(Failure::Output(error)) => Err(Failure::Output(error)),
            Err(failure) => {
                note(&failure.to_string()); // how the task ended is known all the same
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn leave(&mut self) {
        self.handle.teardown();
        let _ = timeout(END, &mut self.running).await; // the master forgets it in any case
    }

    async fn fail(&mut self, why: String) -> Failure {
        self.leave().await;
        Failure::Run(why)
    }
}

/// Copies the output of the task to that of this program, until the task has ended and all is copied.
fn follow(agent: Master, framework: &FrameworkId, task: &TaskId, has_ended: &AtomicBool) -> Result<(), Failure> {
    let mut follower = Follower::new(Sandbox::on(agent, framework.as_str(), task.as_str())?);
    let mut out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?); // the other thread has locked the first one
    loop {
        let is_last = has_ended.load(Ordering::Acquire);
        follower.copy(&mut out)?;
        if is_last {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

fn builder(connection: &Connection, arguments: &RunArguments) -> Result<ClientBuilder, Failure> {
    let failed = |error: String| Failure::Run(error);
    let masters = connection.master.parse().map_err(|error| failed(format!("--master: {error}")))?;
    let mut framework = Framework::new("").role(arguments.role.clone());
    framework.name = Some(format!("apportion run {}", arguments.name()).into());
    let user = match &arguments.user {
        Some(user) => user.clone(),
        None => apportion_exec::User::current().map_err(|error| failed(error.to_string()))?.name().to_owned(),
    };
    framework.user = Some(user.into());
    let builder = ClientBuilder::new(masters, framework);
    Ok(match operator::login(connection)? {
        Some((principal, secret)) => builder.credentials(&principal, &secret),
        None => builder,
    })
}

/// Returns the task, without its resources.
fn task(arguments: &RunArguments, id: &TaskId) -> Task {
    let mut command = match &arguments.command[..] {
        [line] => json!({ "value": line }),
        program => json!({ "value": program[0], "shell": false, "arguments": program }),
    };
    let variables: Vec<_> = arguments.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    if !variables.is_empty() {
        command["environment"] = json!({ "variables": variables });
    }
    if !arguments.uri.is_empty() {
        command["uris"] = arguments.uri.iter().map(|uri| json!({ "value": uri })).collect();
    }
    let task =
        Task::new(id.clone(), Resources::new()).detail("name", arguments.name()).detail("command", Json::from(command));
    match &arguments.image {
        Some(image) => task.detail("container", Json::from(json!({"type": "DOCKER", "docker": {"image": image}}))),
        None => task,
    }
}

/// Returns how this program ends: as the task did, if that is known.
fn result(ended: &TaskStatus) -> Result<(), Failure> {
    let message = ended.message.as_deref().unwrap_or_default();
    if ended.state == TaskState::Finished {
        return Ok(());
    }
    match status(message) {
        Some(status) if ended.state == TaskState::Failed => Err(Failure::Status(status)),
        _ => Err(Failure::Run(format!("the task is {}: {message}", word(ended.state)))),
    }
}

/// Returns the status that a shell gives a command with such an end: Mesos' messages have the number, or the name of the signal.
fn status(message: &str) -> Option<u8> {
    if let Some((_, number)) = message.rsplit_once("exited with status ") {
        return number.parse().ok();
    }
    let (_, name) = message.rsplit_once("terminated with signal ")?;
    let number = (1..=64).find(|signal| apportion_agent::executor::signal_name(*signal) == name)?;
    u8::try_from(128 + number).ok()
}

fn word(state: TaskState) -> String {
    state.as_str().trim_start_matches("TASK_").to_ascii_lowercase().replace('_', " ")
}

/// Tells a person something on standard error, beside what the task writes there.
fn note(what: &str) {
    let _ = writeln!(std::io::stderr(), "apportion: {what}"); // where it is closed there is nobody to tell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_that_of_a_shell() {
        assert_eq!(status("Command exited with status 5"), Some(5));
        assert_eq!(status("Container exited with status 137"), Some(137));
        assert_eq!(status("Command terminated with signal Killed"), Some(137));
        assert_eq!(status("Command terminated with signal Segmentation fault"), Some(139));
        assert_eq!(status("no such image"), None);
    }
}
