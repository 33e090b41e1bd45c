//! The command line.

use crate::agent_flags::AgentFlags;
use crate::config_folder;
use crate::flags::{self, Known};
use crate::master_flags::{MasterFlags, UpFlags};
use crate::{operator, shell};
use apportion_console::Failure;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;

const ENDING: &str = "\
`master` and `up` run a master, `agent` an agent, `run` a command. The commands of operators ask one: that at 127.0.0.1:5050, or the one that --master or APPORTION_MASTER \
names.

Exit status: 0; 1 for wrong arguments, for a master that cannot be reached or refuses, or when the output cannot be written; 130 \
after a second Ctrl-C. A closed pipe ends it with 0.";

/// Two-level scheduling: a master that divides a cluster among frameworks, and what its operators need.
#[derive(Debug, Parser)]
#[command(name = "apportion", version, after_help = ENDING)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const FLAGS: &str = "\
The flags are those of Mesos, with - or _ in their names, and --no-NAME switches one off. A flag of the command line wins over \
APPORTION_NAME of the environment, and that over a line NAME=VALUE of the file that --config names.";

const AGENT_FLAGS: &str = "\
The flags are those of Mesos, with - or _ in their names, and --no-NAME switches one off. A flag of the command line wins over \
APPORTION_NAME of the environment, that over a line NAME=VALUE of the file that --config names, and that over the files of the folder \
that --config_dir names: NAME has the value of --NAME, ?NAME and ?no-NAME are switches, attributes/KEY and resources/KEY are items.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a master.
    #[command(args_override_self = true, after_help = FLAGS)]
    Master(Box<MasterFlags>),
    /// Runs a master and agents on this machine, to try a framework with.
    #[command(args_override_self = true, after_help = FLAGS)]
    Up(Box<UpFlags>),
    /// Runs an agent, which runs tasks.
    #[command(args_override_self = true, after_help = AGENT_FLAGS)]
    Agent(Box<AgentFlags>),
    /// Runs one command on the cluster, follows its output, and ends with its status.
    Run(operator::arguments::RunArguments),
    #[command(flatten)]
    Operator(operator::arguments::Command),
    /// Prints a script that completes the command line of this program in a shell.
    #[command(after_help = shell::INSTALLATION)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page of this program, or of one of its commands.
    #[command(after_help = "To read it: apportion man quota set | man -l -")]
    Man {
        /// The command, such as `quota set`; none for the program itself.
        command: Vec<String>,
    },
}

impl Arguments {
    /// Reads the command line with the environment and the file of `--config`. Wrong arguments end this program with status 1, as
    /// they end a Mesos master, where other programs of this workspace have status 2.
    pub(crate) fn read() -> Result<Self, Failure> {
        let variables = std::env::vars_os();
        let variables =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(std::env::args_os().collect(), variables, |path| std::fs::read_to_string(path)).map_err(|error| {
            if error.use_stderr() {
                Failure::Run(error.render().ansi().to_string().trim_end().to_owned())
            } else {
                Failure::Arguments(error) // help was asked for
            }
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
        // Commands of operators have options of the command line alone, but for those that clap reads from the environment.
        let has_flags = given.get(1).is_some_and(|name| name == "master" || name == "up" || name == "agent");
        let known = subcommand.filter(|_| has_flags).map(known).unwrap_or_default();
        let own: Vec<OsString> =
            given.split_off(given.len().min(2)).into_iter().map(|argument| flags::normal(argument, &known)).collect();
        if !known.valued.is_empty() {
            if known.has("config_dir") {
                let folder = flags::value(&own, "--config-dir").map(Path::new);
                let default = || Some(Path::new(config_folder::DEFAULT)).filter(|folder| folder.is_dir());
                if let Some(folder) = folder.or_else(default) {
                    let read = config_folder::read(folder, &known);
                    given.extend(read.map_err(|error| command.error(clap::error::ErrorKind::Io, error))?);
                }
            }
            if let Some(path) = flags::value(&own, "--config") {
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
            Command::Agent(flags) => flags.all = all,
            Command::Run(_) | Command::Operator(_) | Command::Completions { .. } | Command::Man { .. } => {}
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
    let groups = ["AgentFlags", "MasterFlags", "TriedFlags", "UpFlags"]; // of clap, not flags
    matches.ids().filter(|id| !groups.contains(&id.as_str())).filter_map(value).collect()
}

#[cfg(test)]
impl Arguments {
    /// Reads the flags of `apportion master`.
    pub(crate) fn master(flags: &[&str]) -> Result<MasterFlags, clap::Error> {
        let given = ["apportion", "master"].iter().chain(flags).map(OsString::from).collect();
        Self::of(given, std::iter::empty(), |_| Err(std::io::ErrorKind::NotFound.into())).map(Self::into_master_flags)
    }

    /// Reads the flags of `apportion agent`; the first of these is `agent`.
    pub(crate) fn agent(given: &[&str]) -> Result<AgentFlags, clap::Error> {
        let given = ["apportion"].iter().chain(given).map(OsString::from).collect();
        let arguments = Self::of(given, std::iter::empty(), |_| Err(std::io::ErrorKind::NotFound.into()))?;
        let Command::Agent(flags) = arguments.command else { panic!("expected an agent") };
        Ok(*flags)
    }

    fn into_master_flags(self) -> MasterFlags {
        match self.command {
            Command::Master(flags) => *flags,
            Command::Up(flags) => flags.master,
            Command::Agent(_)
            | Command::Run(_)
            | Command::Operator(_)
            | Command::Completions { .. }
            | Command::Man { .. } => {
                panic!("expected a master")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn read(arguments: &[&str], variables: &[(&str, &str)], file: &str) -> Result<MasterFlags, clap::Error> {
        let given = ["apportion"].iter().chain(arguments).map(OsString::from).collect();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Arguments::of(given, variables, |_| Ok(file.to_owned())).map(Arguments::into_master_flags)
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let file = "port=1\ncluster=file\nweights=a=1,b=2\nhostname=file";
        let variables = [("APPORTION_PORT", "2"), ("APPORTION_CLUSTER", "environment"), ("APPORTION_WEIGHTS", "c=3")];
        let flags =
            read(&["master", "--port", "3", "--config=f", "--max_completed_frameworks=7"], &variables, file).unwrap();
        assert_eq!(
            (flags.port, flags.cluster.as_deref(), flags.advertise.hostname.as_deref()),
            (3, Some("environment"), Some("file"))
        );
        assert_eq!(flags.weights.unwrap().0.len(), 1, "a list is replaced whole");
        assert_eq!(flags.max_completed_frameworks, 7);
        assert!(flags.all.contains(&("max_completed_frameworks".into(), "7".into())), "{:?}", flags.all);
        assert!(flags.all.contains(&("allocation_interval".into(), "1secs".into())));
    }

    #[test]
    fn the_command_line_of_an_agent_wins_over_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mesos-slave");
        std::fs::create_dir_all(folder.join("attributes")).unwrap();
        for (name, text) in [("work_dir", "/w"), ("port", "17\n"), ("?no-switch_user", ""), ("attributes/rack", "r1")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        std::fs::create_dir(root.path().join("mesos")).unwrap();
        std::fs::write(root.path().join("mesos/zk"), "m:5050\n").unwrap();
        let config_dir = format!("--config_dir={}", folder.display());
        let flags = Arguments::agent(&["agent", &config_dir, "--port=18"]).unwrap();
        assert_eq!((flags.master.as_str(), flags.port, flags.switch_user), ("m:5050", 18, false));
        assert_eq!(flags.attributes, "rack:r1".parse().unwrap());
        assert_eq!(flags.executor_registration_timeout, std::time::Duration::from_secs(60));
        std::fs::write(folder.join("hostnam"), "x").unwrap();
        let error = Arguments::agent(&["agent", &config_dir]).unwrap_err().to_string();
        assert!(error.contains("/hostnam: there is no flag --hostnam"), "{error}");
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

    /// Names of flags are those of Mesos, each written in both ways, on the command line, in the environment and in a file.
    #[test]
    fn each_flag_is_read_from_everywhere() {
        let command = Arguments::command();
        let master = command.find_subcommand("master").unwrap();
        let mut known = 0;
        for argument in master.get_arguments().filter(|argument| argument.get_id() != "help") {
            let name = argument.get_long().unwrap();
            let is_switch = argument.get_num_args().is_some_and(|number| number.min_values() == 0);
            let value = match name {
                _ if is_switch => "true",
                "ip" | "advertise-ip" => "127.0.0.9",
                "port" | "advertise-port" => "17",
                "domain" => "eu/a",
                "max-request-body" | "stream-buffer" | "record-size" => "7KB",
                "allocation-interval"
                | "offer-timeout"
                | "timeout-refusal"
                | "heartbeat-interval"
                | "agent-ping-timeout"
                | "agent-reregister-timeout" => "7secs",
                "max-offer" | "min-allocatable-resources" => "cpus:7",
                "weights" => "a=7",
                "role-sorter" => "hdrf",
                name if name.starts_with("max-") => "7",
                _ => "text",
            };
            let underscored = name.replace('-', "_");
            let told = |flags: &MasterFlags| flags.all.contains(&(underscored.clone(), value.to_owned()));
            for written in [name, &underscored] {
                let flags = read(&["master", &format!("--{written}={value}")], &[], "").unwrap();
                assert!(told(&flags), "{written}: {:?}", flags.all);
            }
            if name != "config" {
                let variable = format!("APPORTION_{}", underscored.to_uppercase());
                assert!(told(&read(&["master"], &[(&variable, value)], "").unwrap()), "{variable}");
                let file = format!("{underscored}={value}");
                assert!(told(&read(&["master", "--config=f"], &[], &file).unwrap()), "{name} in a file");
            }
            if is_switch {
                let flags = read(&["master", &format!("--no-{underscored}")], &[], "").unwrap();
                assert!(flags.all.contains(&(underscored.clone(), "false".to_owned())), "--no-{underscored}");
            }
            known += 1;
        }
        assert!(known >= 30, "all flags are looked at");
    }
}
