//! Runs a master until it is told to end.

#![expect(clippy::print_stdout, reason = "a program tells where to connect")]

use crate::arguments::{AgentFlags, MasterFlags, RoleSorter};
use crate::open_files;
use crate::simulated::{self, SimulatedAgents};
use apportion::allocator::{Drf, Hdrf, Options, Random, SorterChoice};
use apportion::{Command, Config, Remembered, Uuid};
use apportion_http::{Authentication, CredentialsError, NoAgents, Realm, Server, ServerError, Settings};
use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The reason why a master does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Credentials { path: PathBuf, error: CredentialsError },
    #[error("credentials are asked for: expected a file of them, --credentials=FILE")]
    NoCredentials,
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("the system: {0}")]
    System(#[from] io::Error),
}

/// Runs a master, with simulated agents if there are to be some, until Ctrl-C or SIGTERM.
pub(crate) fn run(flags: &MasterFlags, agents: Option<&AgentFlags>) -> Result<(), NodeError> {
    log(flags.log_json);
    open_files::raise(agents.map_or(0, |agents| agents.agents.into()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(flags, agents))
}

async fn serve(flags: &MasterFlags, agents: Option<&AgentFlags>) -> Result<(), NodeError> {
    let (mut interrupts, mut terminations) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let address = SocketAddr::new(flags.ip, flags.port);
    let listen = |error| NodeError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let settings = settings(flags, bound)?;
    let connect = format!("{}:{}", settings.ip, settings.port);
    let server = match agents {
        Some(agents) => Server::start(settings, SimulatedAgents::new(agents.task_duration, drawn()?)),
        None => Server::start(settings, NoAgents),
    };
    for (role, weight) in flags.weights.iter().flat_map(|weights| &weights.0) {
        server.command(Command::SetWeight(role.clone(), *weight)).await?;
    }
    for number in 0..agents.map_or(0, |agents| agents.agents) {
        let resources = &agents.expect("there are some").resources;
        server.command(Command::AddAgent(simulated::agent(number, resources).into())).await?;
    }
    tracing::warn!("weights, quotas and the maintenance schedule of an earlier run are not known");
    println!("The master is at http://{connect}, for frameworks at http://{connect}/api/v1/scheduler");
    if let Some(agents) = agents {
        println!("{} simulated agents with {} each: their tasks run nothing.", agents.agents, agents.resources);
    }
    tokio::select! {
        never = server.serve(listener) => match never {},
        _ = interrupts.recv() => tracing::info!("interrupted: the master ends"),
        _ = terminations.recv() => tracing::info!("terminated: the master ends"),
    }
    Ok(())
}

/// Returns a number that nobody guesses. Each use has one of its own: from ids of one kind none of another can be told.
fn drawn() -> Result<u64, NodeError> {
    Ok(getrandom::u64().map_err(io::Error::other)?)
}

/// Returns the settings of the server, as it is bound to that address.
fn settings(flags: &MasterFlags, bound: SocketAddr) -> Result<Settings, NodeError> {
    let id = Uuid::from_seed(drawn()?, 0).to_string();
    if let Some(folder) = &flags.work_dir {
        let file = folder.join("id");
        let failed = |error| NodeError::File { path: file.clone(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::write(&file, format!("{id}\n")).map_err(failed)?;
    }
    let ip = flags.advertise_ip.unwrap_or_else(|| reachable(bound.ip()));
    let mut authentication = match &flags.credentials {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| NodeError::File { path: path.clone(), error })?;
            Authentication::from_json(&text).map_err(|error| NodeError::Credentials { path: path.clone(), error })?
        }
        None => Authentication::default(),
    };
    let asked = [
        (flags.authenticate_http_frameworks, Realm::Scheduler),
        (flags.authenticate_http_readwrite, Realm::ReadWrite),
        (flags.authenticate_http_readonly, Realm::ReadOnly),
    ];
    if flags.credentials.is_none() && asked.iter().any(|(is_asked, _)| *is_asked) {
        return Err(NodeError::NoCredentials);
    }
    for (_, realm) in asked.into_iter().filter(|(is_asked, _)| *is_asked) {
        authentication = authentication.asking(realm);
    }
    let mut settings = Settings::default()
        .config(config(flags, &id)?)
        .id(id, drawn()?)
        .ip(ip)
        .port(flags.advertise_port.unwrap_or_else(|| bound.port()))
        .hostname(flags.hostname.clone().unwrap_or_else(|| ip.to_string()))
        .heartbeat_interval(flags.heartbeat_interval)
        .max_request_body(usize::try_from(flags.max_request_body).unwrap_or(usize::MAX))
        .authentication(authentication)
        .flags(flags.all.clone());
    settings.stream_buffer = flags.stream_buffer;
    settings.cluster.clone_from(&flags.cluster);
    Ok(settings)
}

fn config(flags: &MasterFlags, id: &str) -> Result<Config, NodeError> {
    let mut options = Options::new();
    options.min_allocatable.clone_from(&flags.min_allocatable_resources.0);
    options.fair_sharing_excluded =
        flags.fair_sharing_excluded_resource_names.as_ref().map(|names| names.0.clone()).unwrap_or_default();
    options.filter_gpu_resources = flags.filter_gpu_resources;
    options.domain.clone_from(&flags.domain);
    let sorter = match flags.role_sorter {
        RoleSorter::Drf => SorterChoice::Drf(Drf::default()),
        RoleSorter::Hdrf => SorterChoice::Hdrf(Hdrf::default()),
        RoleSorter::Random => SorterChoice::Random(Random::new(drawn()?)),
    };
    let remembered = Remembered::default()
        .frameworks(flags.max_completed_frameworks)
        .unreachable_tasks(flags.max_unreachable_tasks_per_framework);
    let mut config = Config::new()
        .allocation_interval(flags.allocation_interval)
        .options(options)
        .sorter(sorter)
        .id_prefix(format!("{id}-"))
        .remembered(remembered);
    config.offer_timeout = flags.offer_timeout;
    Ok(config)
}

/// Returns an address that clients can connect to: not 0.0.0.0, but that of this machine which other machines see.
fn reachable(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    // A socket of datagrams that sends nothing tells which of the own addresses the default route has.
    let outgoing = std::net::UdpSocket::bind((bound, 0)).and_then(|socket| {
        socket.connect(if bound.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" })?;
        socket.local_addr()
    });
    outgoing.map_or_else(|_| [127, 0, 0, 1].into(), |address| address.ip())
}

fn log(is_json: bool) {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false);
    // Only one logger can be set; tests of this program run it as another process.
    let _ = if is_json { log.json().try_init() } else { log.with_ansi(io::stderr().is_terminal()).try_init() };
}
