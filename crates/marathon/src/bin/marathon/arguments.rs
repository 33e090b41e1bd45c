//! The command line.

use apportion::placement::App;
use apportion::{AgentId, TaskId, Text};
use apportion_console::MAX_DOCUMENT_BYTES;
use apportion_http::client::Masters;
use apportion_marathon::canonical_path;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Runs apps, written for Marathon, in an in-process cluster or on one that is reached over the network.
///
/// What is to happen once all runs happens in the order in which it stands here, each when the one before has come to rest.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
pub(crate) struct Arguments {
    /// The apps and groups of apps, each a file of Marathon's JSON; `-` for standard input.
    #[arg(value_name = "FILE.json")]
    pub(crate) files: Vec<PathBuf>,
    /// The agents, as a file of JSON.
    #[arg(long, value_name = "FILE.json", conflicts_with = "agents")]
    pub(crate) cluster: Option<PathBuf>,
    /// How many agents to make up, on three racks.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) agents: u16,
    /// Wants so many instances of an app, or so many times as many of all apps of a group.
    #[arg(long, value_name = "APP=N|GROUP=xN", value_parser = scale)]
    scale: Vec<(Text, Amount)>,
    /// Wants apps and groups as in that file: tasks whose definition has changed give way to new ones, a few at a time.
    #[arg(long, value_name = "FILE.json")]
    update: Vec<PathBuf>,
    /// Replaces all tasks of an app, a few at a time.
    #[arg(long, value_name = "APP", value_parser = id)]
    restart: Vec<Text>,
    /// Ends an app, or all apps of a group.
    #[arg(long, value_name = "APP|GROUP", value_parser = id)]
    stop: Vec<Text>,
    /// Loses an agent and all tasks on it.
    #[arg(long, value_name = "AGENT")]
    lose: Vec<AgentId>,
    /// Lets the health checks of a task fail.
    #[arg(long, value_name = "TASK", conflicts_with = "is_enabled")]
    sick: Vec<TaskId>,
    /// Writes the configuration of a HAProxy that leads to all tasks that are up, anew whenever it changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) haproxy: Option<PathBuf>,
    /// Serves the apps of that group alone (the label HAPROXY_GROUP); unless given, all.
    #[arg(long, value_name = "GROUP", requires = "haproxy")]
    pub(crate) haproxy_group: Option<Text>,
    /// Tells at the end why instances of an app do not run: the offers seen, the nearest miss, and what the master says.
    #[arg(long, value_name = "APP", value_parser = id)]
    pub(crate) why: Vec<Text>,
    /// Runs the apps on the cluster of these masters, until Ctrl-C: host:port, several with commas between, or file:///path.
    #[arg(long, value_name = "MASTERS", group = "real", conflicts_with_all = ["cluster", "agents", "lose", "sick"])]
    pub(crate) master: Option<Masters>,
    /// Ends after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", requires = "real", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    #[command(flatten)]
    pub(crate) exec: Exec,
    /// Prints one JSON document at the end, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
    /// Shows each offer, not the sum of those that come together.
    #[arg(long, conflicts_with = "json")]
    pub(crate) verbose: bool,
    /// Writes no longer lines, as far as words allow; unless given, as a terminal has columns.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..))]
    width: Option<u16>,
    /// Exits with status 3 if something could not be placed.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Refuses longer documents.
    #[arg(long, value_name = "N", default_value_t = MAX_DOCUMENT_BYTES)]
    pub(crate) max_bytes: usize,
    /// The changes to make once all apps run, in the order of the command line.
    #[arg(skip)]
    pub(crate) changes: Vec<Change>,
}

const STATUSES: &str = "\
Exit status: 0, also when something could not be placed; 1 when the output or the file for HAProxy cannot be written; 2 for
wrong arguments or input, with nothing launched; 3 with --strict when something could not be placed; 130 after Ctrl-C. A
closed pipe ends it with 0.";

/// How tasks are really run.
#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    /// Runs the cmd of each app in processes of this machine, until Ctrl-C.
    #[arg(long = "exec", group = "real")]
    pub(crate) is_enabled: bool,
    /// Where each task has a folder of its own, with its output; unless named, one that is removed at the end.
    #[arg(long, value_name = "FOLDER", requires = "is_enabled")]
    pub(crate) sandbox: Option<PathBuf>,
    /// How many folders of ended tasks are kept, for each app.
    #[arg(long, value_name = "N", requires = "is_enabled", default_value_t = 5)]
    pub(crate) keep: usize,
    /// Shows what a task writes, or all tasks of an app.
    #[arg(long, value_name = "APP|TASK", requires = "is_enabled", conflicts_with = "json")]
    pub(crate) follow: Vec<Text>,
}

/// A change of the apps or of the cluster.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Scale(Text, Amount),
    Update(PathBuf),
    Restart(Text),
    Stop(Text),
    Lose(AgentId),
    Sick(TaskId),
}

impl Arguments {
    /// Returns the arguments of this program.
    pub(crate) fn of_program() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        let mut changes: Vec<(usize, Change)> = Vec::new();
        let mut add = |name: &str, all: Vec<Change>| changes.extend(indices(&matches, name).zip(all));
        add("scale", arguments.scale.drain(..).map(|(id, amount)| Change::Scale(id, amount)).collect());
        add("update", arguments.update.drain(..).map(Change::Update).collect());
        add("restart", arguments.restart.drain(..).map(Change::Restart).collect());
        add("stop", arguments.stop.drain(..).map(Change::Stop).collect());
        add("lose", arguments.lose.drain(..).map(Change::Lose).collect());
        add("sick", arguments.sick.drain(..).map(Change::Sick).collect());
        changes.sort_by_key(|(index, _)| *index);
        arguments.changes = changes.into_iter().map(|(_, step)| step).collect();
        Ok(arguments)
    }

    /// Returns the files that are read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Path> {
        let updates = self.changes.iter().filter_map(|change| match change {
            Change::Update(file) => Some(file),
            Change::Scale(..) | Change::Restart(_) | Change::Stop(_) | Change::Lose(_) | Change::Sick(_) => None,
        });
        self.files.iter().chain(&self.cluster).chain(updates).map(PathBuf::as_path)
    }

    /// Returns the columns to write to; `None` where lines may have any length.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.width.map(usize::from).or_else(|| std::io::stdout().is_terminal().then(apportion_console::width))
    }
}

/// Returns the positions of the values of an option on the command line.
fn indices(matches: &ArgMatches, name: &str) -> impl Iterator<Item = usize> {
    matches.indices_of(name).into_iter().flatten()
}

fn id(text: &str) -> Result<Text, String> {
    let id = canonical_path("/", text).filter(|_| !text.is_empty());
    id.ok_or_else(|| "expected an id such as /shop/db".to_owned())
}

fn scale(text: &str) -> Result<(Text, Amount), String> {
    let (name, amount) =
        text.rsplit_once('=').ok_or("expected APP=N, such as /redis=5, or GROUP=xN, such as /shop=x2")?;
    Ok((id(name)?, amount.parse()?))
}

/// A number of instances, absolute or relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// That number.
    To(u64),
    /// A factor, in millionths (Marathon's `scaleBy` of groups).
    By(u64),
}

impl Amount {
    const WHOLE: u64 = 1_000_000;

    /// Returns the new number of instances; fractions are rounded up.
    pub(crate) fn of(self, before: u64) -> u64 {
        match self {
            Self::To(instances) => instances,
            Self::By(factor) => before.saturating_mul(factor).div_ceil(Self::WHOLE),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bounds")]
    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: f64 = 1000.0;
        if let Some(factor) = text.strip_prefix('x') {
            let number: Option<f64> = factor.parse().ok().filter(|factor| (0.0..=MOST).contains(factor));
            let number = number.ok_or_else(|| format!("found {factor:?}, expected a number from 0 to {MOST}"))?;
            return Ok(Self::By((number * Self::WHOLE as f64).round() as u64));
        }
        let most = App::MAX_INSTANCES;
        let number = text.parse().ok().filter(|number| *number <= most);
        let number = number.ok_or_else(|| format!("found {text:?}, expected a whole number from 0 to {most}"))?;
        Ok(Self::To(number))
    }
}
