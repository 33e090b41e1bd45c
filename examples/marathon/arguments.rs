//! What the command line asks for.

use apportion::AgentId;
use apportion::placement::App;
use clap::Parser;
use std::path::PathBuf;

/// Runs apps, written for Marathon, in an in-process cluster.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// The apps, each a file of Marathon's JSON.
    #[arg(value_name = "APP.json")]
    pub(crate) apps: Vec<PathBuf>,
    /// The agents, as a file of JSON.
    #[arg(long, value_name = "FILE.json", conflicts_with = "agents")]
    pub(crate) cluster: Option<PathBuf>,
    /// How many agents to make up, on three racks.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) agents: u16,
    /// Once all runs, wants so many instances of an app.
    #[arg(long, value_name = "APP=N", value_parser = scale)]
    pub(crate) scale: Vec<(String, u64)>,
    /// At last, loses an agent and all tasks on it.
    #[arg(long, value_name = "AGENT")]
    pub(crate) lose: Vec<AgentId>,
    /// Prints one JSON document at the end, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
}

fn scale(text: &str) -> Result<(String, u64), String> {
    let (app, instances) = text.rsplit_once('=').ok_or("expected APP=N, such as /redis=5")?;
    let most = App::MOST_INSTANCES;
    let wrong = || format!("found {instances:?}, expected a whole number from 0 to {most}");
    let number = instances.parse().ok().filter(|number| *number <= most).ok_or_else(wrong)?;
    Ok((App::new(app).id.to_string(), number))
}
