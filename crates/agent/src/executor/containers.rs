//! [`Containers`]: the task of a docker executor, as a container of an engine.

use super::attempts;
use super::checks::{CheckKind, Probe, ProbeKind, ProbeResult};
use super::ending::Ending;
use super::program::{ExecutorError, Host, Outcome, Outcomes};
use super::work::{CommandLine, Work};
use crate::volumes::{self, Volume};
use apportion::executor::Event;
use apportion::v1::Dialect;
use apportion::{Json, Task, TaskId};
use apportion_exec::check::Attempt;
use apportion_exec::docker::{Container, Ended, Engine, Logins, Place, Running};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// The tasks of an executor, as containers of an engine.
pub(super) struct Containers {
    socket: PathBuf,
    container_id: String,
    agent_id: String,
    sandbox: PathBuf,
    cpu_quota: bool,
    /// The folder of the agent, which has the persistent volumes.
    work_dir: Option<PathBuf>,
    tasks: BTreeMap<TaskId, Current>,
    outcomes: Outcomes,
}

/// A task whose container is being started, or runs.
struct Current {
    /// The container, once it runs.
    running: Arc<OnceLock<Started>>,
    /// The grace period within which it has to end, once it has to.
    stop: watch::Sender<Option<Duration>>,
    attempts: BTreeMap<CheckKind, Attempt>,
}

/// A container that runs, and where its ports are.
struct Started {
    container: Running,
    address: IpAddr,
}

impl Containers {
    /// Returns the host of an executor. The place of the container is that of this process, as the agent has told it in the
    /// environment. The engine is asked when a task is started: it is the task that fails without it.
    pub(super) fn new(
        socket: &Path,
        cpu_quota: bool,
        work_dir: Option<PathBuf>,
        outcomes: Outcomes,
    ) -> Result<Self, ExecutorError> {
        let sandbox = match variable("MESOS_DIRECTORY") {
            told if told.is_empty() => {
                std::env::current_dir().map_err(ExecutorError::system("the working directory"))?
            }
            told => PathBuf::from(told),
        };
        Ok(Self {
            socket: socket.to_owned(),
            // The folder of a sandbox is called by the id of its container.
            container_id: sandbox.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            agent_id: variable("MESOS_SLAVE_ID"),
            sandbox,
            cpu_quota,
            work_dir,
            tasks: BTreeMap::new(),
            outcomes,
        })
    }

    /// Works out the container of a task.
    fn container(&self, task: Task) -> Result<Container, String> {
        let place = Place::new(&self.container_id, &self.agent_id, &self.sandbox)
            .label("task", task.id.as_str())
            .cpu_quota(self.cpu_quota);
        let volumes: Vec<Volume> =
            self.work_dir.iter().flat_map(|work_dir| Volume::all(&task.resources, work_dir)).collect();
        // The engine's part reads the v1 JSON of a task, which the codec of events writes.
        let event = Dialect::default().encode(&Event::Launch(task));
        let mut event: serde_json::Value = serde_json::from_str(&event).map_err(|error| error.to_string())?;
        volumes::mount(&volumes, &mut event["launch"]["task"]["container"]);
        let mut container = Container::of(&event["launch"]["task"], &place).map_err(|error| error.to_string())?;
        container.force_pull = false; // the agent has pulled the image before it started this executor
        Ok(container)
    }
}

impl Host for Containers {
    fn start(&mut self, task: Task, work: Work) {
        let id = task.id.clone();
        let container = match self.container(task) {
            Ok(container) => container,
            Err(why) => {
                let _ = writeln!(io::stderr(), "{why}"); // as below
                let _ = self.outcomes.send(Outcome::NotStarted(id, why)); // the receiver lives as long as this
                return;
            }
        };
        let (stop, stopped) = watch::channel(None);
        let running = Arc::<OnceLock<Started>>::default();
        self.tasks.insert(id.clone(), Current { running: running.clone(), stop, attempts: BTreeMap::new() });
        let mappings = work.container.as_ref().and_then(|container| container.get("docker")?.get("port_mappings"));
        let mappings = mappings.map(Json::from);
        let (socket, outcomes) = (self.socket.clone(), self.outcomes.clone());
        tokio::spawn(async move {
            let ending = run(&socket, &container, stopped, |started, addresses| {
                let _ = outcomes.send(Outcome::Started(id.clone(), status(addresses, mappings))); // as below
                running.get_or_init(|| started)
            });
            let outcome = match ending.await {
                Ending::NotStarted(why) => {
                    let _ = writeln!(io::stderr(), "{why}"); // its owner reads why in the sandbox, if there is room
                    Outcome::NotStarted(id.clone(), why)
                }
                ending @ (Ending::Exited(_) | Ending::Signaled(_) | Ending::OutOfMemory(_) | Ending::Unknown(_)) => {
                    Outcome::Ended(id.clone(), ending)
                }
            };
            let _ = outcomes.send(outcome); // the executor may be at its end
        });
    }

    fn terminate(&mut self, task: &TaskId, grace: Duration) {
        if let Some(current) = self.tasks.get_mut(task) {
            current.attempts.clear();
            current.stop.send_replace(Some(grace));
        }
    }

    fn kill(&mut self, task: &TaskId) {
        self.terminate(task, Duration::ZERO);
    }

    fn probe(&mut self, task: &TaskId, probe: Probe) {
        let Some(current) = self.tasks.get_mut(task) else { return };
        let Some(started) = current.running.get() else { return };
        if let Some(what) = attempts::over_network(&probe.what, started.address) {
            if let Some(attempt) = attempts::begin(task, probe.kind, Ok(what), probe.timeout, &self.outcomes) {
                current.attempts.insert(probe.kind, attempt);
            }
            return;
        }
        let ProbeKind::Command { line, environment } = probe.what else { return };
        let (running, outcomes, task) = (current.running.clone(), self.outcomes.clone(), task.clone());
        tokio::spawn(async move {
            let Some(started) = running.get() else { return };
            let environment: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let limit = probe.timeout.unwrap_or(attempts::NO_LIMIT);
            let result = match started.container.exec(&argv(&line), &environment, limit).await {
                Ok(code) => ProbeResult::Exited(i32::try_from(code).unwrap_or(i32::MAX)),
                Err(error) => ProbeResult::Nothing(error.to_string()),
            };
            let _ = outcomes.send(Outcome::Probed(task, probe.kind, result)); // the executor may be at its end
        });
    }

    fn ended(&mut self, task: &TaskId) {
        self.tasks.remove(task);
    }
}

/// Starts a container, and waits until it has ended, or has been stopped. `started` keeps it when it runs, with its own addresses.
async fn run<'a>(
    socket: &Path,
    container: &Container,
    mut stopped: watch::Receiver<Option<Duration>>,
    started: impl FnOnce(Started, &[IpAddr]) -> &'a Started,
) -> Ending {
    let killed = || Ending::NotStarted("it was killed while its container was being started".to_owned());
    let connected = tokio::select! {
        connected = connect(socket, &container.sandbox) => connected,
        () = async { drop(stopped.wait_for(Option::is_some).await) } => return killed(),
    };
    let (engine, logins) = match connected {
        Ok(connected) => connected,
        Err(error) => return Ending::NotStarted(error.to_string()),
    };
    let launched = tokio::select! {
        launched = engine.launch(container, &logins) => launched,
        () = async { drop(stopped.wait_for(Option::is_some).await) } => {
            engine.destroy(&container.name).await; // a pull goes on, and the next task finds the image
            return killed();
        }
    };
    let launched = match launched {
        Ok(launched) => launched,
        Err(error) => return Ending::NotStarted(error.to_string()),
    };
    // An engine that does not answer now does not end the task: without an address its checks go to this machine.
    let addresses = launched.inspect().await.map(|found| found.addresses).unwrap_or_default();
    let address = addresses.first().copied().unwrap_or_else(|| Ipv4Addr::LOCALHOST.into());
    let running = &started(Started { container: launched, address }, &addresses).container;
    let ended = loop {
        let grace = *stopped.borrow_and_update();
        tokio::select! {
            ended = running.wait() => break ended,
            () = stop(running, grace) => {}
            Ok(()) = stopped.changed() => {}
        }
    };
    if container.remove_at_once {
        let _ = running.remove().await; // the agent removes it later, if that fails
    }
    ending(ended)
}

/// Connects to the engine, and reads the login for images: the one that was fetched, else that of the agent.
async fn connect(socket: &Path, sandbox: &Path) -> Result<(Engine, Logins), ExecutorError> {
    let logins = match Logins::in_sandbox(sandbox)? {
        Some(logins) => logins,
        None => match variable(super::DOCKER_CONFIG) {
            none if none.is_empty() => Logins::default(),
            config => Logins::of_flag(&config)?,
        },
    };
    Ok((Engine::connect(socket).await?, logins))
}

/// Returns a variable of the environment, where an agent tells an executor what it has to know.
#[expect(clippy::disallowed_methods, reason = "an executor is a program, which its agent tells so")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Stops a container, if it has to be stopped; the end of it is for others to see.
async fn stop(running: &Running, grace: Option<Duration>) {
    if let Some(grace) = grace {
        running.stop(grace).await;
    }
    std::future::pending().await
}

fn ending(ended: Ended) -> Ending {
    match (ended.out_of_memory, ended.exit_code, ended.error) {
        (true, _, _) => {
            Ending::OutOfMemory("the container has used up its memory: the kernel has killed it".to_owned())
        }
        (false, Some(code), _) => Ending::Exited(i32::try_from(code).unwrap_or(i32::MAX)),
        (false, None, Some(why)) => Ending::Unknown(format!("the container has ended: {why}")),
        (false, None, None) => Ending::Unknown("the engine does not know the container any more".to_owned()),
    }
}

fn argv(line: &CommandLine) -> Vec<String> {
    let (program, arguments) = line.program();
    std::iter::once(program).chain(arguments).map(str::to_owned).collect()
}

/// Returns Mesos' `ContainerStatus` of a container with addresses of its own; the agent knows that of one without.
fn status(addresses: &[IpAddr], mappings: Option<Json>) -> Option<Json> {
    if addresses.is_empty() {
        return None;
    }
    let addresses = addresses.iter().map(|address| {
        let protocol = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        Json::object([("protocol", protocol.to_owned()), ("ip_address", address.to_string())])
    });
    let mut info = vec![("ip_addresses", Json::array(addresses))];
    info.extend(mappings.map(|mappings| ("port_mappings", mappings)));
    Some(Json::object([("network_infos", Json::array([Json::object(info)]))]))
}
