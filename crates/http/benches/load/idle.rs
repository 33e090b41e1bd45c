//! `idle`: frameworks that are subscribed and do nothing.

use super::Failed;
use apportion::{Agent, Command};
use apportion_http::{NoAgents, Server, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The longest that the frameworks may take to subscribe.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Size {
    /// The number of frameworks.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) subscribers: usize,
    /// The time that is measured in seconds. There is a heartbeat each 15 s.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Clients {
    #[arg(long)]
    subscribers: usize,
    #[arg(long)]
    master: SocketAddr,
}

/// A process that ends with this value.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended itself
        let _ = self.0.wait();
    }
}

pub(crate) fn run(size: &Size) -> Result<(), Failed> {
    raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (server, address) = runtime.block_on(async {
        let server = Server::start(Settings::default(), NoAgents);
        for number in 0..100 {
            let agent = Agent::new(format!("a{number}"), "cpus:8;mem:16384".parse()?);
            server.command(Command::AddAgent(agent.into())).await?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(server.serve(listener));
        Ok::<_, Failed>((server, address))
    })?;
    let before = memory()?;
    let (number, master): (String, String) = (size.subscribers.to_string(), address.to_string());
    let program = std::env::current_exe()?;
    let mut clients = std::process::Command::new(program);
    clients.args(["subscribe", "--subscribers", &number, "--master", &master]).stdin(Stdio::null());
    let _clients = Killed(clients.spawn()?);
    let start = Instant::now();
    while runtime.block_on(server.query(|master| master.metrics().frameworks.connected))? < size.subscribers {
        if start.elapsed() > SUBSCRIBED_WITHIN {
            return Err(format!("{number} frameworks have not subscribed in {SUBSCRIBED_WITHIN:?}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let subscribed = start.elapsed();
    std::thread::sleep(Duration::from_secs(size.seconds.min(10)));
    let (begun, used) = (Instant::now(), processor_time()?);
    std::thread::sleep(Duration::from_secs(size.seconds));
    let share = (processor_time()? - used).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "idle: {number} subscribers in {:.1} s: {:.1} MB more, {:.1} % of a core",
        subscribed.as_secs_f64(),
        (memory()? - before) as f64 / 1e6,
        share * 100.0,
    );
    runtime.shutdown_background();
    Ok(())
}

/// Subscribes so many frameworks which want nothing, and reads their streams until the process is killed.
pub(crate) fn subscribe(clients: &Clients) -> Result<(), Failed> {
    raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = tokio::task::JoinSet::new();
        for number in 0..clients.subscribers {
            let mut socket = TcpStream::connect(clients.master).await?;
            let info = json!({"user": "root", "name": format!("idle-{number}"), "roles": ["idle"],
                "capabilities": [{"type": "MULTI_ROLE"}]});
            let body = json!({"type": "SUBSCRIBE",
                "subscribe": {"framework_info": info, "suppressed_roles": ["idle"]}});
            let body = body.to_string();
            let head =
                "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length:";
            socket.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
            streams.spawn(async move {
                let mut piece = [0; 512];
                while socket.read(&mut piece).await.is_ok_and(|length| length > 0) {}
            });
        }
        while streams.join_next().await.is_some() {}
        Ok(())
    })
}

/// Raises the number of files that may be open as far as it goes.
fn raise_open_files() -> Result<(), Failed> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Returns the resident memory of this process in bytes (Linux).
fn memory() -> Result<u64, Failed> {
    let pages: u64 = field("/proc/self/statm", 1)?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Returns the processor time that this process has used (Linux).
fn processor_time() -> Result<Duration, Failed> {
    // Fields 14 and 15 of proc(5), counted from 1; the name, field 2, has no space here.
    let ticks: u64 = field::<u64>("/proc/self/stat", 13)? + field::<u64>("/proc/self/stat", 14)?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn field<T: std::str::FromStr>(path: &str, index: usize) -> Result<T, Failed>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = std::fs::read_to_string(path)?;
    let field = text.split_whitespace().nth(index).ok_or_else(|| format!("{path} is too short"))?;
    Ok(field.parse()?)
}
