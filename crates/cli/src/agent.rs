//! Runs an agent until it is told to end.

mod settings;

use crate::agent_flags::AgentFlags;
use crate::node::log;
use crate::open_files;
use apportion_agent::RunError;
use apportion_console::{Failure, Stdout};
use settings::{SettingsError, log_file};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;

/// The connections for which files are kept open: a few for each executor.
const CONNECTIONS: usize = 20_000;

/// The longest that the end waits for what is being written.
const MAX_FLUSH: Duration = Duration::from_secs(10);

/// The variable in which `apportion up` tells its agents its pid: they end with it.
pub(crate) const PARENT: &str = "APPORTION_UP_PID";

/// The reason why an agent does not run.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the system: {0}")]
    System(#[from] io::Error),
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Runs an agent, until it is told to end by a signal or by its master.
pub(crate) fn run(flags: &AgentFlags, out: &mut Stdout) -> Result<(), Failure> {
    end_with_parent();
    let file = log_file(&flags.work_dir);
    log::start(flags.log_json, Some(file)).map_err(|(path, error)| AgentError::File { path, error })?;
    open_files::raise(CONNECTIONS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(AgentError::System)?;
    let ended = runtime.block_on(serve(flags, out));
    runtime.shutdown_timeout(MAX_FLUSH);
    Ok(ended?)
}

/// Has the system tell this agent to leave when the program that has started it ends, however it ends.
fn end_with_parent() {
    let told = std::env::var_os(PARENT).and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let Some(parent) = told else { return };
    let told = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::USR1));
    let is_there = rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent);
    if told.is_err() || !is_there {
        tracing::warn!("the program that has started this agent has ended, or its end will not be noticed");
    }
}

async fn serve(flags: &AgentFlags, out: &mut Stdout) -> Result<(), AgentError> {
    let address = SocketAddr::new(flags.ip, flags.port);
    let listen = |error| AgentError::Listen { address, error };
    let socket = TcpListener::bind(address).await.map_err(listen)?;
    let bound = socket.local_addr().map_err(listen)?;
    let settings = settings::of(flags, bound).await?;
    let text = format!(
        "The agent is at http://{}, in {}, for the master at {}.\n",
        settings.machine.address,
        settings.machine.work_dir.display(),
        settings.master
    );
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        Ok(()) | Err(_) => {} // where nobody reads it, the agent runs all the same
    }
    let exit = apportion_agent::run(settings, socket).await?;
    tracing::info!("{exit}: the agent has ended");
    Ok(())
}
