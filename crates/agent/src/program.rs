//! [`Program`]: an agent as it runs: the loop around the machine, its server, its helpers, and the signals that end it.

use crate::checkpoint::{Store, StoreError};
use crate::containers::Containers;
use crate::driver::{Asked, Clock, Counters, Driver};
use crate::gc::{self, Gc};
use crate::machine::{AgentMachine, Containerizer, Exit, Incompatible, Input};
use crate::master::MasterLink;
use crate::sandboxes::Sandboxes;
use crate::server::AgentSite;
use crate::settings::Settings;
use crate::statistics::Statistics;
use crate::storage::Storage;
use apportion_http::client::{Masters, MastersError};
use apportion_http::transport::{Listener, unix_time};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The number of requests that may wait for the loop; further ones wait for room.
const MAX_ASKED: usize = 1024;

/// The time that connections get to end in order.
const GRACE: Duration = Duration::from_secs(5);

/// The time between two looks through the containers of the engine, from which those that ended long ago are removed.
const MIN_SWEEP: Duration = Duration::from_secs(1);
const MAX_SWEEP: Duration = Duration::from_secs(60);

/// The shortest time between two looks at limits that the kernel does not enforce.
const MIN_LOOK: Duration = Duration::from_millis(10);

/// The time between two looks at the length of output, if that is bounded.
const LOG_PAUSE: Duration = Duration::from_millis(500);

/// The shortest time between two looks for orphans that have ended.
const REAP_PAUSE: Duration = Duration::from_secs(1);

/// The reason why an agent does not run. All of these end its program with status 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The masters cannot be read.
    #[error("--master: {0}")]
    Masters(#[from] MastersError),
    /// The agent is not what it was before.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
    /// What was stored cannot be read at all.
    #[error(transparent)]
    Checkpoint(#[from] StoreError),
    /// The folder of the agent cannot be used.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The system refuses something that an agent needs.
    #[error("the system: {0}")]
    System(#[from] io::Error),
    /// The loop has panicked, which is an error of this program.
    #[error("the agent has failed: {0}")]
    Failed(String),
}

/// An agent that runs. Dropping it cuts its connections, and leaves its executors alone, as a crash does.
///
/// # Examples
///
/// ```no_run
/// use apportion::Agent;
/// use apportion_agent::{Program, Settings};
/// use tokio::net::TcpListener;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::new("", "cpus:4;mem:4096".parse()?).hostname("localhost");
/// let settings = Settings::new("127.0.0.1:5050", agent, "/var/lib/mesos");
/// let program = Program::start(settings, TcpListener::bind("127.0.0.1:5051").await?).await?;
/// program.stop();
/// program.ended().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Program {
    inputs: mpsc::UnboundedSender<Input>,
    ended: JoinHandle<Exit>,
    listener: Listener<AgentSite>,
    serving: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.ended.abort();
        self.serving.abort();
        self.helpers.iter().for_each(JoinHandle::abort);
    }
}

/// Runs an agent until a signal or its master ends it: SIGUSR1 takes it out of the cluster, SIGTERM and SIGINT stop it, after which
/// executors of frameworks that checkpoint go on.
///
/// # Errors
///
/// [`RunError`] when it cannot start.
pub async fn run(settings: Settings, socket: TcpListener) -> Result<Exit, RunError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut unregister = signal(SignalKind::user_defined1())?;
    let mut program = Program::start(settings, socket).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => program.stop(),
            _ = interrupt.recv() => program.stop(),
            _ = unregister.recv() => program.unregister(),
            exit = program.exit() => return program.finish(exit).await,
        }
    }
}

impl Program {
    /// Starts an agent, which serves at this socket. What an earlier run has stored is read first.
    ///
    /// # Errors
    ///
    /// [`RunError`] when the agent is not what it was before, or the system refuses something.
    pub async fn start(mut settings: Settings, socket: TcpListener) -> Result<Self, RunError> {
        let (started, began) = (unix_time(), Instant::now());
        let masters: Masters = settings.master.parse()?;
        let work_dir = settings.machine.work_dir.clone();
        let folder = |error| RunError::Folder { path: settings.machine.work_dir.clone(), error };
        std::fs::create_dir_all(&work_dir).map_err(folder)?;
        settings.machine.boot_id = apportion_exec::boot_id()?.into();
        settings.machine.seed = getrandom::u64().map_err(io::Error::other)?;
        if settings.executor_program.is_none() {
            // It is found now: a newer version may take the place of the file while this one runs.
            settings.executor_program = Some(std::env::current_exe()?);
        }
        let settings = Arc::new(settings);
        let root = work_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&work_dir));
        let (store, recovered, broken) = opened.await.map_err(io::Error::other)??;
        for broken in &broken {
            tracing::warn!("{broken}");
        }
        if let Err(error) = apportion_exec::become_subreaper() {
            tracing::warn!(%error, "orphans of executors cannot be reaped");
        }
        let clock = Clock::new(started);
        let machine = AgentMachine::start(clock.now(), settings.machine.clone(), recovered)?;
        let recovery = began.elapsed();

        let (inputs, told) = mpsc::unbounded_channel();
        let (asked, to_answer) = mpsc::channel::<Asked>(MAX_ASKED);
        let containers = Containers::new(settings.clone(), inputs.clone());
        let gc = Gc::new(settings.clone());
        let live: Vec<PathBuf> = machine.executors().map(|executor| executor.directory.clone()).collect();
        gc.discard_old(&live);
        let volumes = gc.clone();
        tokio::task::spawn_blocking(move || volumes.remove_leftover_volumes());
        let found = tokio::task::spawn_blocking(move || Containers::leftovers(gc::runs(&root), &live));
        containers.end_leftovers(found.await.map_err(io::Error::other)?);
        let sandboxes = Arc::new(Sandboxes::new(settings.clone()));
        let site = AgentSite {
            settings: settings.clone(),
            asked,
            sandboxes: sandboxes.clone(),
            statistics: Arc::new(Statistics::new(containers.clone())),
            started,
            recovery,
            recovery_errors: broken.len(),
            streams: AtomicU64::new(1),
        };
        let (swept, enforced, owner) = (containers.clone(), containers.clone(), sandboxes.clone());
        let driver = Driver {
            machine,
            clock,
            streams: BTreeMap::new(),
            containers,
            master: MasterLink::new(masters),
            storage: Storage::start(store, inputs.clone())?,
            gc: gc.clone(),
            sandboxes,
            counters: Counters::default(),
        };
        let _ = inputs.send(Input::MasterFound); // the receiver is here
        let listener = Listener::new(site, settings.bounds());
        let serving = tokio::spawn(listener.serve(socket));
        let ended = tokio::spawn(driver.run(to_answer, told));
        let mut helpers = vec![tokio::spawn(gc.run()), tokio::spawn(reap()?)];
        if settings.machine.containerizers.contains(&Containerizer::Docker) {
            helpers.push(tokio::spawn(sweep(swept, owner, settings.docker_remove_delay)));
        }
        if let Some(pause) = settings.enforce_disk {
            helpers.push(tokio::spawn(enforce_every(pause, enforced.clone(), Containers::enforce_disk)));
        }
        if let Some(pause) = settings.enforce_ports {
            helpers.push(tokio::spawn(enforce_every(pause, enforced.clone(), Containers::enforce_ports)));
        }
        if settings.max_log_size.is_some() {
            helpers.push(tokio::spawn(enforce_every(LOG_PAUSE, enforced, Containers::rotate_logs)));
        }
        Ok(Self { inputs, ended, listener, serving, helpers })
    }

    /// Takes the agent out of the cluster: its tasks are lost, and it ends when its executors have.
    pub fn unregister(&self) {
        let _ = self.inputs.send(Input::Unregister); // it may have ended
    }

    /// Stops the agent. Executors of frameworks that checkpoint go on, and are found again by the next run.
    pub fn stop(&self) {
        let _ = self.inputs.send(Input::Stop); // it may have ended
    }

    /// Waits for the end of the agent, and then for that of its connections.
    ///
    /// # Errors
    ///
    /// [`RunError::Failed`] when the agent has panicked.
    pub async fn ended(mut self) -> Result<Exit, RunError> {
        let exit = self.exit().await;
        self.finish(exit).await
    }

    /// Waits for the end of the loop.
    async fn exit(&mut self) -> Result<Exit, RunError> {
        (&mut self.ended).await.map_err(|error| RunError::Failed(error.to_string()))
    }

    /// Ends all connections.
    async fn finish(self, exit: Result<Exit, RunError>) -> Result<Exit, RunError> {
        if timeout(GRACE, self.listener.clone().shutdown()).await.is_err() {
            tracing::warn!("some connections have not ended in time, and are cut");
        }
        exit
    }
}

/// Looks through the containers of the engine, again and again.
async fn sweep(containers: Containers, sandboxes: Arc<Sandboxes>, remove_delay: Duration) {
    let mut pause = interval(remove_delay.clamp(MIN_SWEEP, MAX_SWEEP));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause.tick().await; // containers of before are found again first
    loop {
        pause.tick().await;
        let (containers, agent) = (containers.clone(), sandboxes.agent());
        let swept = tokio::task::spawn_blocking(move || {
            if !agent.is_empty() {
                containers.sweep_docker(&agent);
            }
        });
        if swept.await.is_err() {
            return; // the program ends
        }
    }
}

/// Looks at limits of containers, again and again.
async fn enforce_every(pause: Duration, containers: Containers, enforce: fn(&Containers)) {
    let mut pause = interval(pause.max(MIN_LOOK));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        let containers = containers.clone();
        if tokio::task::spawn_blocking(move || enforce(&containers)).await.is_err() {
            return; // the program ends
        }
    }
}

/// Reaps orphans of executors when children have ended, but not more often than each second: it takes a look at all processes.
fn reap() -> io::Result<impl Future<Output = ()> + Send> {
    let mut ended = signal(SignalKind::child())?;
    Ok(async move {
        let mut pause = interval(REAP_PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while ended.recv().await.is_some() {
            pause.tick().await;
            if tokio::task::spawn_blocking(apportion_exec::reap_orphans).await.is_err() {
                return; // the program ends
            }
        }
    })
}
