//! [`run`]: a built-in executor as a program, a [`Runner`] with its connection to the agent and its processes.

use super::checks::{CheckKind, Probe, ProbeResult};
use super::ending::Ending;
use super::runner::{Action, Runner};
use super::work::Work;
use apportion::executor::{Executor as _, Reports};
use apportion::v1::connection::{EndpointError, EnvironmentError, ExecutorConnection, ExecutorEnvironment};
use apportion::{Json, Task, TaskId};
use apportion_exec::docker::{EngineError, LoginError};
use apportion_http::client::ExecutorClient;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest time between two looks at the timers once there is no agent any more.
const TICK: Duration = Duration::from_millis(50);

/// The reason why a built-in executor does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The environment is not that of an executor.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The agent's address is none.
    #[error(transparent)]
    Agent(#[from] EndpointError),
    /// There is no engine for containers.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The login for an image cannot be read.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The system refuses something.
    #[error("{what}: {error}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// The system's error.
        error: io::Error,
    },
}

impl ExecutorError {
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

/// What has become of an action.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The fetch for a task has ended: its files are in its sandbox, or the error says why they are not.
    Fetched(TaskId, Result<(), String>),
    /// A task runs.
    Started(TaskId, Option<Json>),
    /// A task could not be started.
    NotStarted(TaskId, String),
    /// A task has ended, and nothing of it is left.
    Ended(TaskId, Ending),
    /// A check has been made.
    Probed(TaskId, CheckKind, ProbeResult),
    /// A child has ended that nobody waits for.
    Orphans,
}

/// Where outcomes go. There are as many as actions at most.
pub(super) type Outcomes = mpsc::UnboundedSender<Outcome>;

/// What starts and ends tasks. None of its methods waits: what becomes of them is told as an [`Outcome`].
pub(super) trait Host {
    /// Starts a task.
    fn start(&mut self, task: Task, work: Work);
    /// Takes the end of a fetch for a task, which is started now.
    fn fetched(&mut self, _task: TaskId, _result: Result<(), String>) {}
    /// Asks a task to end, which it has to do within the grace period.
    fn terminate(&mut self, task: &TaskId, grace: Duration);
    /// Ends a task by force.
    fn kill(&mut self, task: &TaskId);
    /// Makes a check of a task.
    fn probe(&mut self, task: &TaskId, probe: Probe);
    /// A task has ended: what is kept of it can go.
    fn ended(&mut self, task: &TaskId);
    /// Takes the status of children that nobody waits for.
    fn reap(&mut self) {}
}

/// Runs an executor to its end on a runtime of this thread. `host` is made on it, with the sender of its outcomes.
pub(super) fn run<H: Host>(
    environment: ExecutorEnvironment,
    runner: Runner,
    host: impl AsyncFnOnce(Outcomes) -> Result<H, ExecutorError>,
) -> Result<(), ExecutorError> {
    let runner = runner.shutdown_grace(environment.shutdown_grace);
    let seed = getrandom::u64().map_err(io::Error::other).map_err(ExecutorError::system("a random number"))?;
    let connection = ExecutorConnection::new(environment, seed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ExecutorError::system("a runtime"))?;
    runtime.block_on(async {
        let (sender, outcomes) = mpsc::unbounded_channel();
        let host = host(sender).await?;
        serve(ExecutorClient::new(connection, runner), host, outcomes).await;
        Ok::<_, ExecutorError>(())
    })?;
    runtime.shutdown_background(); // a check may be under way
    Ok(())
}

/// Carries out what the runner asks for, and tells it what has become of it, until it is done, or until there is no agent any more
/// and no task is left.
async fn serve(
    mut client: ExecutorClient<Runner>,
    mut host: impl Host,
    mut outcomes: mpsc::UnboundedReceiver<Outcome>,
) {
    let mut is_stopped = false;
    loop {
        carry_out(&mut client, &mut host);
        let runner = client.executor();
        if runner.is_done() || is_stopped && runner.is_idle() {
            return;
        }
        tokio::select! {
            biased;
            Some(outcome) = outcomes.recv() => take(&mut client, &mut host, outcome),
            reason = client.step(), if !is_stopped => {
                if reason.is_some() {
                    is_stopped = true;
                    client.act(Runner::shutdown); // also when the agent has refused this executor
                }
            }
            () = tokio::time::sleep(TICK), if is_stopped => {
                client.step().await; // its timers fire
            }
        }
    }
}

fn carry_out(client: &mut ExecutorClient<Runner>, host: &mut impl Host) {
    let mut actions = Vec::new();
    client.act(|runner, _: &mut Reports| actions.extend(std::iter::from_fn(|| runner.poll_action())));
    for action in actions {
        match action {
            Action::Start { task, work } => host.start(*task, *work),
            Action::Terminate { task, grace } => host.terminate(&task, grace),
            Action::Kill(task) => host.kill(&task),
            Action::Probe { task, probe } => host.probe(&task, *probe),
        }
    }
}

fn take(client: &mut ExecutorClient<Runner>, host: &mut impl Host, outcome: Outcome) {
    if let Outcome::NotStarted(task, _) | Outcome::Ended(task, _) = &outcome {
        host.ended(task);
    }
    client.act(|runner, reports| match outcome {
        Outcome::Fetched(task, result) => host.fetched(task, result),
        Outcome::Started(task, container) => runner.started(&task, container, reports),
        Outcome::NotStarted(task, why) => runner.not_started(&task, &why, reports),
        Outcome::Ended(task, ending) => runner.ended(&task, &ending, reports),
        Outcome::Probed(task, kind, result) => runner.probed(&task, kind, &result, reports),
        Outcome::Orphans => host.reap(),
    });
}
