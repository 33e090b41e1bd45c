//! Runs a master until it is told to end.

pub(crate) mod address;
pub(crate) mod log;
mod settings;
mod whitelist;

use crate::master_flags::{MasterFlags, SimulatedFlags};
use crate::open_files;
use apportion::Command;
use apportion_console::{Failure, Stdout};
use apportion_http::{NoAgents, Server, ServerError, Settings, SimulatedAgents};
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
    #[error("the system: {0}")]
    System(#[from] io::Error),
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Runs a master, with simulated agents if there are to be some, until Ctrl-C or SIGTERM.
pub(crate) fn run(flags: &MasterFlags, agents: Option<&SimulatedFlags>, out: &mut Stdout) -> Result<(), Failure> {
    if let Some(folder) = &flags.work_dir {
        let failed = |error| NodeError::File { path: folder.clone(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    log::start(flags.log_json, flags.work_dir.as_deref().map(settings::log_file))
        .map_err(|(path, error)| NodeError::File { path, error })?;
    let connections = open_files::raise(flags.max_connections);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::System)?;
    let ended = runtime.block_on(serve(flags, agents, connections, out));
    match ended {
        Ok(()) => runtime.shutdown_timeout(MAX_FLUSH),
        Err(_) => runtime.shutdown_background(),
    }
    ended
}

async fn serve(
    flags: &MasterFlags,
    agents: Option<&SimulatedFlags>,
    connections: usize,
    out: &mut Stdout,
) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(NodeError::System)?;
    let address = SocketAddr::new(flags.ip, flags.port);
    let listen = |error| NodeError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let settings = settings::of(flags, bound).await.map_err(NodeError::Settings)?.max_connections(connections);
    let connect = SocketAddr::new(settings.ip, settings.port).to_string();
    let server = start(flags, agents, settings).await?;
    tracing::warn!("weights, quotas and the maintenance schedule of an earlier run are not kept: set them again");
    let whitelist = match &flags.whitelist {
        Some(path) => Some(whitelist::follow(server.clone(), path.clone()).await?),
        None => None,
    };
    tell(out, &connect, agents)?;
    let serving = tokio::spawn(server.serve(listener));
    let name = signals.recv().await;
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
async fn start(flags: &MasterFlags, agents: Option<&SimulatedFlags>, settings: Settings) -> Result<Server, NodeError> {
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

/// Tells where to connect. Where nobody reads it, the master runs all the same.
fn tell(out: &mut Stdout, connect: &str, agents: Option<&SimulatedFlags>) -> Result<(), Failure> {
    let mut text = format!("The master is at http://{connect}, for frameworks at http://{connect}/api/v1/scheduler\n");
    if let Some(agents) = agents {
        let (number, resources) = (agents.agents, &agents.resources);
        text += &format!("It has {number} simulated agents with {resources} each. Their tasks run nothing.\n");
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
