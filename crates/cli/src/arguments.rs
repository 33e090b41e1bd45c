//! The command line.

use crate::flags::{self, Known};
use crate::values;
use apportion::allocator::Weight;
use apportion::{Domain, Quantities, Role, Text};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Two-level scheduling: a master that divides a cluster among frameworks.
///
/// The flags are those of Mesos, with - or _ in their names, and --no-NAME for a switch. A flag of the command line wins over
/// APPORTION_NAME of the environment, and that over a line NAME=VALUE of the file that --config names.
#[derive(Debug, Parser)]
#[command(name = "apportion", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a master.
    #[command(args_override_self = true)]
    Master(Box<MasterFlags>),
    /// Runs a master and simulated agents, to try a framework with.
    #[command(args_override_self = true)]
    Up(Box<UpFlags>),
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpFlags {
    #[command(flatten)]
    pub(crate) agents: AgentFlags,
    #[command(flatten)]
    pub(crate) master: MasterFlags,
}

/// The simulated agents.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentFlags {
    /// The number of agents, on three racks.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) agents: u32,
    /// The resources of each agent.
    #[arg(long, value_name = "RESOURCES", default_value = "cpus:4;mem:8192;disk:65536;ports:[31000-32000]")]
    pub(crate) resources: apportion::Resources,
    /// How long a task runs whose command is not `sleep N`; without it, until it is killed.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) task_duration: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MasterFlags {
    /// The address to listen on. Whoever reaches the master runs any command on its agents: 0.0.0.0 opens it to all.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) ip: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 5050)]
    pub(crate) port: u16,
    /// The address that clients are told.
    #[arg(long, value_name = "IP")]
    pub(crate) advertise_ip: Option<IpAddr>,
    /// The port that clients are told.
    #[arg(long, value_name = "PORT")]
    pub(crate) advertise_port: Option<u16>,
    /// The host that clients are told.
    #[arg(long)]
    pub(crate) hostname: Option<String>,
    /// The folder for the id of the master.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) work_dir: Option<PathBuf>,
    /// The name of the cluster, for people.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The fault domain of the master.
    #[arg(long, value_name = "REGION/ZONE", value_parser = values::domain)]
    pub(crate) domain: Option<Domain>,
    /// The interval of batch allocations.
    #[arg(long, value_name = "DURATION", default_value = "1secs", value_parser = values::duration)]
    pub(crate) allocation_interval: Duration,
    /// The time after which an offer that nobody answers is rescinded.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) offer_timeout: Option<Duration>,
    /// The amounts of which an offer must have one.
    #[arg(long, value_name = "AMOUNTS|...", default_value = "cpus:0.01|mem:32", value_parser = minimums)]
    pub(crate) min_allocatable_resources: Minimums,
    /// The resources that do not count in shares.
    #[arg(long, value_name = "NAME,...", value_parser = names)]
    pub(crate) fair_sharing_excluded_resource_names: Option<Names>,
    /// Offers machines with GPUs only to frameworks that can use these.
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) filter_gpu_resources: bool,
    /// The order in which roles are served.
    #[arg(long, value_enum, default_value_t = RoleSorter::Drf)]
    pub(crate) role_sorter: RoleSorter,
    /// The weights of roles.
    #[arg(long, value_name = "ROLE=WEIGHT,...", value_parser = weights)]
    pub(crate) weights: Option<Weights>,
    /// The interval of heartbeats on streams.
    #[arg(long, value_name = "DURATION", default_value = "15secs", value_parser = values::duration)]
    pub(crate) heartbeat_interval: Duration,
    /// The number of removed frameworks that are remembered.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) max_completed_frameworks: usize,
    /// The number of tasks of a framework on unreachable agents that are remembered.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_unreachable_tasks_per_framework: usize,
    /// The largest body of a request.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = values::size)]
    pub(crate) max_request_body: u64,
    /// The most that waits for a framework which reads slowly.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = values::size)]
    pub(crate) stream_buffer: u64,
    /// The file with the principals and their secrets, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// Asks frameworks for credentials.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) authenticate_http_frameworks: bool,
    /// Asks operators for credentials.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) authenticate_http_readwrite: bool,
    /// Asks for credentials at endpoints that only tell something.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) authenticate_http_readonly: bool,
    /// Writes log lines as JSON.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) log_json: bool,
    /// A file of flags, NAME=VALUE in each line.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// All flags with their values, for clients that ask.
    #[arg(skip)]
    pub(crate) all: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleSorter {
    /// Dominant resource fairness.
    Drf,
    /// Dominant resource fairness that starves no role of a hierarchy.
    Hdrf,
    /// A weighted shuffle.
    Random,
}

/// A list that is the value of one flag: a further one replaces it.
#[derive(Debug, Clone)]
pub(crate) struct Minimums(pub(crate) Vec<Quantities>);

/// A list that is the value of one flag: a further one replaces it.
#[derive(Debug, Clone)]
pub(crate) struct Names(pub(crate) Vec<Text>);

/// A list that is the value of one flag: a further one replaces it.
#[derive(Debug, Clone)]
pub(crate) struct Weights(pub(crate) Vec<(Role, Weight)>);

fn minimums(text: &str) -> Result<Minimums, values::ValueError> {
    values::minimums(text).map(Minimums)
}

#[expect(clippy::unnecessary_wraps, reason = "a parser of values may fail")]
fn names(text: &str) -> Result<Names, values::ValueError> {
    Ok(Names(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Text::from).collect()))
}

fn weights(text: &str) -> Result<Weights, values::ValueError> {
    let weights = text.split(',').map(str::trim).filter(|weight| !weight.is_empty());
    weights.map(values::weight).collect::<Result<_, _>>().map(Weights)
}

impl Arguments {
    /// Reads the command line with the environment and the file of `--config`. The error is the end of the program: help was
    /// asked for, or something is wrong, which has been said.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        let variables = std::env::vars_os();
        let variables =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(std::env::args_os().collect(), variables, |path| std::fs::read_to_string(path)).map_err(|error| {
            // Where nobody listens, nothing can be said.
            let _ = error.print();
            if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        })
    }

    fn of(
        mut given: Vec<OsString>,
        variables: impl Iterator<Item = (String, String)>,
        read: impl FnOnce(&str) -> std::io::Result<String>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        command.build();
        let subcommand = given.get(1).and_then(|name| command.find_subcommand(name));
        let known = subcommand.map(known).unwrap_or_default();
        let own: Vec<OsString> =
            given.split_off(given.len().min(2)).into_iter().map(|argument| flags::normal(argument, &known)).collect();
        if !known.valued.is_empty() {
            if let Some(path) = flags::config(&own) {
                let text = read(path).map_err(|error| {
                    command.error(clap::error::ErrorKind::Io, format!("the file of --config, {path}: {error}"))
                })?;
                given.extend(flags::of_file(&text, &known));
            }
            given.extend(flags::of_environment(variables, &known));
        }
        given.extend(own);
        let matches = command.try_get_matches_from_mut(given)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        let (_, matches) = matches.subcommand().unzip();
        let all = matches.map(all).unwrap_or_default();
        match &mut arguments.command {
            Command::Master(flags) => flags.all = all,
            Command::Up(flags) => flags.master.all = all,
        }
        Ok(arguments)
    }
}

/// Returns the flags of a subcommand.
fn known(subcommand: &clap::Command) -> Known {
    let mut known = Known::default();
    for argument in subcommand.get_arguments() {
        let Some(name) = argument.get_long() else { continue };
        let is_switch = argument.get_num_args().is_some_and(|number| number.min_values() == 0);
        let is_valued = argument.get_action().takes_values();
        if is_switch && is_valued {
            known.switches.insert(name.to_owned());
        } else if is_valued {
            known.valued.insert(name.to_owned());
        }
    }
    known
}

/// Returns the names of all flags, as Mesos writes them, and their values as they were given.
fn all(matches: &clap::ArgMatches) -> Vec<(String, String)> {
    let value = |id: &clap::Id| {
        let values = matches.get_raw(id.as_str())?;
        let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        Some((id.to_string(), values.join(",")))
    };
    let groups = ["AgentFlags", "MasterFlags", "UpFlags"]; // of clap, not flags
    matches.ids().filter(|id| !groups.contains(&id.as_str())).filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn read(arguments: &[&str], variables: &[(&str, &str)], file: &str) -> Result<MasterFlags, clap::Error> {
        let given = ["apportion"].iter().chain(arguments).map(OsString::from).collect();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match Arguments::of(given, variables, |_| Ok(file.to_owned()))?.command {
            Command::Master(flags) => Ok(*flags),
            Command::Up(flags) => Ok(flags.master),
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let file = "port=1\ncluster=file\nweights=a=1,b=2\nhostname=file";
        let variables = [("APPORTION_PORT", "2"), ("APPORTION_CLUSTER", "environment"), ("APPORTION_WEIGHTS", "c=3")];
        let flags =
            read(&["master", "--port", "3", "--config=f", "--max_completed_frameworks=7"], &variables, file).unwrap();
        assert_eq!(
            (flags.port, flags.cluster.as_deref(), flags.hostname.as_deref()),
            (3, Some("environment"), Some("file"))
        );
        assert_eq!(flags.weights.unwrap().0.len(), 1, "a list is replaced whole");
        assert_eq!(flags.max_completed_frameworks, 7);
        assert!(flags.all.contains(&("max_completed_frameworks".into(), "7".into())), "{:?}", flags.all);
        assert!(flags.all.contains(&("allocation_interval".into(), "1secs".into())));
    }

    #[test]
    fn switches_are_switched_in_four_ways() {
        let filters = |argument: &str| read(&["up", argument], &[], "").unwrap().filter_gpu_resources;
        assert!(filters("--filter_gpu_resources") && filters("--filter-gpu-resources=true"));
        assert!(!filters("--no-filter_gpu_resources") && !filters("--filter_gpu_resources=false"));
        assert!(!read(&["up"], &[("APPORTION_FILTER_GPU_RESOURCES", "0")], "").unwrap().filter_gpu_resources);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_nearest_name() {
        let error = read(&["master", "--alocation_interval=1secs"], &[], "").unwrap_err().to_string();
        assert!(error.contains("--allocation-interval"), "{error}");
        let error = read(&["master", "--config=f"], &[], "prot=1").unwrap_err().to_string();
        assert!(error.contains("--port"), "{error}");
        let error = read(&["master", "--allocation_interval=1"], &[], "").unwrap_err().to_string();
        assert!(error.contains("as in 15secs"), "{error}");
        let missing = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
        let given = ["apportion", "up", "--config", "f"].map(OsString::from).to_vec();
        assert!(Arguments::of(given, std::iter::empty(), missing).unwrap_err().to_string().contains("--config"));
        Arguments::command().debug_assert();
    }
}
