//! `turnover`: tasks end all the time.

use super::Failed;
use super::agents::{Busy, Seen, Waited};
use super::{frameworks, operators};
use apportion::{Agent, Command, Config, Resources};
use apportion_http::{Server, Settings};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// The longest that the agents may take to be filled.
const FILLED_WITHIN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Size {
    /// The number of agents; each runs two tasks of 30 ± 10 s.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) agents: u32,
    /// The number of frameworks, each over a connection of its own.
    #[arg(long, default_value_t = 200)]
    pub(crate) frameworks: usize,
    /// The interval of batch allocations in milliseconds.
    #[arg(long, default_value_t = 100)]
    pub(crate) interval: u64,
    /// The time that is measured in seconds.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Reads the state without pause meanwhile, and the events as they happen.
    #[arg(long)]
    pub(crate) operators: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self { agents: 10_000, frameworks: 200, interval: 100, seconds: 60, operators: false }
    }
}

impl Size {
    pub(crate) fn small() -> Self {
        Self { agents: 50, frameworks: 3, seconds: 2, ..Self::default() }
    }
}

pub(crate) fn run(size: &Size) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let seen = Arc::new(Seen::default());
    let address = runtime.block_on(async {
        let interval = Duration::from_millis(size.interval);
        let config = Config::default().allocation_interval(interval);
        let server = Server::start(Settings::default().config(config), Busy::new(1, interval, seen.clone()));
        let resources: Resources = "cpus:2;mem:2048".parse()?;
        for number in 0..size.agents {
            server.command(Command::AddAgent(Agent::new(format!("a{number}"), resources.clone()).into())).await?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(server.serve(listener));
        Ok::<_, Failed>(address)
    })?;
    frameworks::start(size.frameworks, address, &"cpus:1;mem:1024".parse()?)?;
    let start = Instant::now();
    while seen.launched.load(Ordering::Relaxed) < 2 * u64::from(size.agents) {
        if start.elapsed() > FILLED_WITHIN {
            return Err(format!("{} agents were not filled in {FILLED_WITHIN:?}", size.agents).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let filled = start.elapsed();
    if size.operators {
        operators::start(address)?;
    }
    std::thread::sleep(Duration::from_secs(size.seconds.min(10))); // what the filling has left behind is worked off
    seen.take();
    std::thread::sleep(Duration::from_secs(size.seconds));
    let waited = seen.take();
    let with = if size.operators { ", read by operators" } else { "" };
    println!(
        "turnover: {} agents, {} frameworks, a batch each {} ms{with}: filled in {:.1} s, then {:.0} launches/s",
        size.agents,
        size.frameworks,
        size.interval,
        filled.as_secs_f64(),
        waited.len() as f64 / size.seconds as f64,
    );
    let sorted = |part: fn(&Waited) -> Duration| {
        let mut times: Vec<Duration> = waited.iter().map(part).collect();
        times.sort_unstable();
        quantiles(&times)
    };
    println!("    from the end of a task to the launch in its place: {}", sorted(|waited| waited.total));
    println!("    beyond the wait for the batch: {}", sorted(|waited| waited.beyond_batch));
    runtime.shutdown_background();
    Ok(())
}

/// Returns quantiles of sorted times as text.
fn quantiles(sorted: &[Duration]) -> String {
    let Some(last) = sorted.last() else { return "nothing was launched".to_owned() };
    let quantile = |percent: usize| sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let (half, most, nearly_all) = (quantile(50), quantile(90), quantile(99));
    format!("p50 {half:.0} ms, p90 {most:.0} ms, p99 {nearly_all:.0} ms, longest {:.0} ms", last.as_secs_f64() * 1e3)
}
