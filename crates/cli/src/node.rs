//! Runs a master until it is told to end.

pub(crate) mod log;
mod settings;
mod whitelist;

use crate::master_flags::{MasterFlags, RealFlags, SimulatedFlags};
use crate::open_files;
use crate::up::{Fleet, FleetError};
use apportion::Command;
use apportion_console::{Failure, Stdout};
use apportion_http::{NoAgents, Server, ServerError, Settings, SimulatedAgents, Verbosity};
use settings::SettingsError;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The time that connections get to end in order.
const GRACE: Duration = Duration::from_secs(5);

/// The longest that the end waits for records to be stored.
const MAX_FLUSH: Duration = Duration::from_secs(30);

/// The reason why a master does not run.
#[derive(Debug, thiserror::Error)]
enum NodeError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("the system: {0}")]
    System(#[from] io::Error),
}

/// The agents that are started with a master.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// None: they are started elsewhere.
    Alone,
    /// Agents in this process, whose tasks run nothing.
    Simulated(SimulatedFlags),
    /// Agents that are processes of this machine.
    Real(RealFlags),
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Runs a master with its agents, until Ctrl-C or SIGTERM.
pub(crate) fn run(flags: &MasterFlags, cluster: &Cluster, out: &mut Stdout) -> Result<(), Failure> {
    if let Some(folder) = &flags.work_dir {
        let failed = |error| NodeError::File { path: folder.clone(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let verbosity = log::start(flags.log_json, flags.work_dir.as_deref().map(settings::log_file))
        .map_err(|(path, error)| NodeError::File { path, error })?;
    let connections = open_files::raise(flags.max_connections);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::System)?;
    let ended = runtime.block_on(serve(flags, cluster, (connections, verbosity), out));
    match ended {
        Ok(()) => runtime.shutdown_timeout(MAX_FLUSH),
        Err(_) => runtime.shutdown_background(),
    }
    ended
}

async fn serve(
    flags: &MasterFlags,
    cluster: &Cluster,
    (connections, verbosity): (usize, Verbosity),
    out: &mut Stdout,
) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(NodeError::System)?;
    let address = SocketAddr::new(flags.ip, flags.port);
    let listen = |error| NodeError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let settings = settings::of(flags, bound).await.map_err(NodeError::Settings)?;
    let settings = settings.max_connections(connections).verbosity(verbosity);
    let connect = SocketAddr::new(settings.ip, settings.port);
    let server = start(flags, cluster, settings).await?;
    tracing::warn!("weights, quotas and the maintenance schedule of an earlier run are not kept: set them again");
    let whitelist = match &flags.whitelist {
        Some(path) => Some(whitelist::follow(server.clone(), path.clone()).await?),
        None => None,
    };
    let serving = tokio::spawn(server.clone().serve(listener));
    let mut fleet = match cluster {
        Cluster::Real(real) => {
            let first_port = if flags.port == 0 { 0 } else { bound.port() };
            let starting = Fleet::start(real, flags.work_dir.as_deref(), flags.ip, connect, first_port);
            tokio::select! {
                started = starting => Some(started.map_err(NodeError::Fleet)?),
                name = signals.recv() => return Err(Failure::Interrupted(format!("{name} during the start of the agents"))),
            }
        }
        Cluster::Alone | Cluster::Simulated(_) => None,
    };
    tell(out, &connect.to_string(), cluster, fleet.as_ref())?;
    let name = tokio::select! {
        name = signals.recv() => name,
        () = keep(fleet.as_mut()) => "left alone",
    };
    if let Some(fleet) = &mut fleet {
        tracing::info!("{name}: the agents end");
        let is_interrupted = tokio::select! {
            () = fleet.end() => false,
            _ = signals.recv() => true,
        };
        if is_interrupted {
            fleet.kill();
            return Err(Failure::Interrupted(format!("{name} again: all ends at once")));
        }
    }
    tracing::info!("{name}: the master ends");
    if let Some(follower) = whitelist {
        follower.abort(); // it has a handle of the server
        let _ = follower.await;
    }
    tokio::select! {
        () = server.shutdown(GRACE) => serving.abort(),
        again = signals.recv() => return Err(Failure::Interrupted(format!("{again} again: the master ends at once"))),
    }
    tracing::info!("the master has ended");
    Ok(())
}

/// Starts the server, with the weights and the agents that the flags give it.
async fn start(flags: &MasterFlags, cluster: &Cluster, settings: Settings) -> Result<Server, NodeError> {
    let agents = match cluster {
        Cluster::Simulated(agents) => Some(agents),
        Cluster::Alone | Cluster::Real(_) => None,
    };
    let server = match agents {
        Some(agents) => {
            Server::start(settings, SimulatedAgents::new(settings::drawn()?).task_duration(agents.task_duration))
        }
        None => Server::start(settings, NoAgents),
    };
    for (role, weight) in flags.weights.iter().flat_map(|weights| &weights.0) {
        server.command(Command::SetWeight(role.clone(), *weight)).await?;
    }
    if let Some(agents) = agents {
        for number in 0..agents.agents {
            server.command(Command::AddAgent(SimulatedAgents::agent(number, &agents.resources).into())).await?;
        }
    }
    Ok(server)
}

/// Starts agents again that have failed. Without agents it waits for ever.
async fn keep(fleet: Option<&mut Fleet>) {
    if let Some(fleet) = fleet {
        fleet.keep().await;
    }
    std::future::pending().await
}

/// Tells where to connect. Where nobody reads it, the master runs all the same.
fn tell(out: &mut Stdout, connect: &str, cluster: &Cluster, fleet: Option<&Fleet>) -> Result<(), Failure> {
    let mut text = format!("The master is at http://{connect}, for frameworks at http://{connect}/api/v1/scheduler\n");
    if let Cluster::Simulated(SimulatedFlags { agents, resources, .. }) = cluster {
        text += &format!("It has {agents} simulated agents with {resources} each. Their tasks run nothing.\n");
    }
    if let Some(fleet) = fleet {
        let (addresses, folder) = fleet.told();
        text +=
            &format!("It has {} agents, which run tasks on this machine, in {}:\n", addresses.len(), folder.display());
        for address in addresses {
            text += &format!("  http://{address}\n");
        }
        text += &format!("\nTo run something:\n  apportion run --master {connect} -- echo hello\n");
    }
    text += &format!(
        "
To see what it knows:
  apportion agents --master {connect}
  curl -H 'Content-Type: application/json' -d '{{\"type\":\"GET_ROLES\"}}' http://{connect}/api/v1
Ctrl-C ends it.
"
    );
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The signals that end a program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal, and returns its name.
    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "terminated",
        }
    }
}
