//! The commands of operators, as they stand on the command line.

use crate::values;
use apportion::{Resources, Role, Scalar};
use clap::{ArgGroup, Args, Subcommand};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A command to a master that runs somewhere.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the agents, with what is in use on each.
    #[command(after_help = "CPUS, MEM, DISK and GPUS show what tasks use, and the total: 1.5/4.")]
    Agents(Listing),
    /// Lists the frameworks, with what each holds.
    #[command(after_help = "CPUS, MEM, DISK and GPUS show what the tasks of a framework use.")]
    Frameworks(FrameworksArguments),
    /// Lists the tasks.
    Tasks(TasksArguments),
    /// Lists the tasks that run, with the memory and the CPU time that they use.
    #[command(after_help = PS_HELP)]
    Ps(PsArguments),
    /// Prints the last lines that a task has written.
    #[command(after_help = TASK_HELP)]
    Tail(TailArguments),
    /// Prints all that a task has written, what it wrote to standard error to standard error.
    #[command(after_help = TASK_HELP)]
    Logs(LogsArguments),
    /// Lists or prints files of the sandbox of a task.
    #[command(after_help = TASK_HELP)]
    Sandbox(SandboxArguments),
    /// Lists the offers that wait for an answer, with their age.
    Offers(OffersArguments),
    /// Explains what keeps frameworks from being offered more.
    Explain(ExplainArguments),
    /// Lists the roles, with what is offered to their frameworks or used by them.
    Roles(Listing),
    /// Shows, sets or removes the quota of roles.
    Quota(QuotaArguments),
    /// Shows or sets the weights of roles.
    Weights(WeightsArguments),
    /// Reserves resources of an agent for a role.
    #[command(after_help = RESERVE_EXAMPLES)]
    Reserve(ReserveArguments),
    /// Ends a reservation.
    Unreserve(ReserveArguments),
    /// Shows or changes the maintenance schedule, and takes machines down and up.
    Maintenance(MaintenanceArguments),
    /// Drains an agent: kills its tasks, and offers it no more.
    Drain(DrainArguments),
    /// Stops offering an agent; its tasks go on.
    Deactivate(AgentArguments),
    /// Offers an agent again that was drained or deactivated.
    Reactivate(AgentArguments),
    /// Declares an agent gone for good: its tasks are lost, and it must not come back.
    Gone(AgentArguments),
    /// Removes a framework, and kills its tasks.
    Teardown(TeardownArguments),
}

const PS_HELP: &str = "\
RSS and CPU TIME are those of the container of a task, as its agent measures them; tasks of one executor share a container.";

const TASK_HELP: &str = "\
TASK is the id of a task, or the beginning of it, if no other task's id begins so. Tasks that have ended are found, too, as long as \
their agent keeps their sandbox.";

/// The options that say how to reach a master. They may stand before or behind a further command, as in `quota set`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Master")]
pub(crate) struct Connection {
    /// Asks this master, or the leader to which it redirects.
    #[arg(long, global = true, env = "APPORTION_MASTER", value_name = "HOST:PORT", default_value = "127.0.0.1:5050", value_parser = authority)]
    pub(crate) master: String,
    /// Logs in as this principal, with the secret of --secret-file.
    #[arg(long, global = true, env = "APPORTION_PRINCIPAL", value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// Reads the secret of the principal from this file; - is standard input.
    #[arg(long, global = true, env = "APPORTION_SECRET_FILE", value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Gives a request up after this time.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30secs", value_parser = values::duration)]
    pub(crate) timeout: Duration,
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Prints the answer of the master as it came.
    #[arg(long)]
    pub(crate) json: bool,
    /// Shortens texts and ids in a table that is wider than this. By default a table is as wide as the terminal, and in a pipe or
    /// a file nothing is shortened.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..), conflicts_with = "json")]
    pub(crate) width: Option<u16>,
}

/// What every command has that lists something: the master that it asks, and the form of what it prints.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct FrameworksArguments {
    /// Lists frameworks that have completed, too.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct TasksArguments {
    /// Lists tasks that have ended or cannot be reached, too.
    #[arg(long)]
    pub(crate) all: bool,
    /// Lists the tasks of one framework only.
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    pub(crate) framework: Option<String>,
    /// Lists the tasks of one agent only.
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct PsArguments {
    /// Lists tasks that have ended, too.
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// The task.
    pub(crate) task: String,
    /// The file, in the sandbox of the task.
    #[arg(default_value = "stdout")]
    pub(crate) file: String,
    /// Goes on with what is appended, until the task has ended.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Sets the number of lines.
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 10)]
    pub(crate) lines: usize,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The task.
    pub(crate) task: String,
    /// Goes on with what is appended, until the task has ended.
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct SandboxArguments {
    #[command(subcommand)]
    pub(crate) action: SandboxAction,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxAction {
    /// Lists a folder of the sandbox.
    Ls {
        /// The task.
        task: String,
        /// The folder, below the sandbox; by default the sandbox itself.
        path: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Prints a file of the sandbox.
    Cat {
        /// The task.
        task: String,
        /// The file, below the sandbox.
        path: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OffersArguments {
    /// Lists the offers to one framework only.
    #[arg(long, value_name = "ID")]
    pub(crate) framework: Option<String>,
    /// Lists the offers of one agent only.
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Explains it for one framework; by default for each.
    #[arg(long, value_name = "ID")]
    pub(crate) framework: Option<String>,
    /// Explains it for one role of the framework; by default for each.
    #[arg(long, requires = "framework")]
    pub(crate) role: Option<String>,
    /// Explains it for one agent; by default for all agents, which are counted by reason.
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct QuotaArguments {
    #[command(subcommand)]
    pub(crate) action: Option<QuotaAction>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuotaAction {
    /// Shows all quotas, as `quota` alone does.
    Show(Output),
    /// Sets the quota of a role, in place of the one before.
    #[command(after_help = "\
Examples:
  apportion quota set web --guarantee cpus:4,mem:4096
  apportion quota set web --guarantee cpus:4 --limit cpus:8,mem:16384")]
    Set(QuotaSet),
    /// Removes the quota of a role: nothing is guaranteed, and there is no limit.
    Remove {
        /// The role.
        #[arg(value_parser = role)]
        role: Role,
    },
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("amounts").args(["guarantee", "limit"]).required(true).multiple(true))]
pub(crate) struct QuotaSet {
    /// The role.
    #[arg(value_parser = role)]
    pub(crate) role: Role,
    /// Keeps these amounts free for the role, as far as it does not use them.
    #[arg(long, value_name = "NAME:AMOUNT,...", value_parser = amounts)]
    pub(crate) guarantee: Option<Amounts>,
    /// Limits what the role may use to these amounts.
    #[arg(long, value_name = "NAME:AMOUNT,...", value_parser = amounts)]
    pub(crate) limit: Option<Amounts>,
    /// Sets it although the role uses more, or the cluster has less than all guarantees together.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Amounts of resources in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amounts(pub(crate) Vec<(String, Scalar)>);

#[derive(Debug, Args)]
pub(crate) struct WeightsArguments {
    #[command(subcommand)]
    pub(crate) action: Option<WeightsAction>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsAction {
    /// Shows the weights that were set, as `weights` alone does.
    Show(Output),
    /// Sets the weights of roles; that of any other role stays.
    #[command(after_help = "Example:\n  apportion weights set web=2,batch=0.5")]
    Set {
        /// The weights; a role of weight 2 is entitled to twice the share of a role of weight 1.
        #[arg(value_name = "ROLE=WEIGHT,...", value_parser = crate::master_flags::weights)]
        weights: crate::master_flags::Weights,
    },
}

const RESERVE_EXAMPLES: &str = "\
Examples:
  apportion reserve agent-1 --role web cpus:2 mem:1024
  apportion reserve agent-1 --role web 'ports:[31000-31009]'";

#[derive(Debug, Args)]
pub(crate) struct ReserveArguments {
    /// The id of the agent.
    pub(crate) agent: String,
    /// The resources, as NAME:AMOUNT, NAME:[FROM-TO,...] or NAME:{MEMBER,...}.
    #[arg(required = true, value_name = "RESOURCE")]
    pub(crate) resources: Vec<Resources>,
    /// Reserves them for this role, or ends its reservation.
    #[arg(long, value_parser = role)]
    pub(crate) role: Role,
    /// Names this principal in the reservation. By default it is that of --principal.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct MaintenanceArguments {
    #[command(subcommand)]
    pub(crate) action: Option<MaintenanceAction>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceAction {
    /// Shows the schedule, which machines are down, and which frameworks leave, as `maintenance` alone does. With --json it
    /// prints two answers, a line each: the schedule and the status.
    Show(Output),
    /// Schedules machines for maintenance: frameworks are asked to leave them. All other machines stay as they are.
    #[command(
        after_help = "Example:\n  apportion maintenance schedule node1 node2=10.0.0.2 --in 30mins --duration 2hrs"
    )]
    Schedule(ScheduleArguments),
    /// Takes machines out of the schedule.
    Cancel {
        /// The machines.
        #[arg(required = true, value_name = "HOST[=IP]")]
        machines: Vec<Machine>,
    },
    /// Takes scheduled machines down: their agents are removed, and do not come back before `stop`.
    Start {
        /// The machines.
        #[arg(required = true, value_name = "HOST[=IP]")]
        machines: Vec<Machine>,
    },
    /// Takes machines up again, and out of the schedule.
    Stop {
        /// The machines.
        #[arg(required = true, value_name = "HOST[=IP]")]
        machines: Vec<Machine>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleArguments {
    /// The machines, by their hostnames as agents tell them. A Mesos master wants the address of each, too.
    #[arg(required = true, value_name = "HOST[=IP]")]
    pub(crate) machines: Vec<Machine>,
    /// Begins the maintenance so much later than now.
    #[arg(long = "in", value_name = "DURATION", default_value = "0secs", value_parser = values::duration)]
    pub(crate) start_in: Duration,
    /// Tells frameworks that the maintenance takes so long. By default its end is open.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) duration: Option<Duration>,
}

/// A machine: `node1`, or `node1=10.0.0.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) hostname: String,
    pub(crate) ip: Option<IpAddr>,
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (hostname, ip) = text.split_once('=').map_or((text, None), |(hostname, ip)| (hostname, Some(ip)));
        let ip = ip.map(str::parse::<IpAddr>).transpose();
        match ip {
            Ok(ip) if !hostname.is_empty() => Ok(Self { hostname: hostname.to_owned(), ip }),
            Ok(_) | Err(_) => Err(format!("expected HOST or HOST=IP, such as node1=10.0.0.1, found {text:?}")),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hostname)?;
        self.ip.map_or(Ok(()), |ip| write!(f, "={ip}"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct DrainArguments {
    /// The id of the agent.
    pub(crate) agent: String,
    /// Gives tasks no more than this time to end. If a task has a kill policy with a shorter one, that counts.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) grace: Option<Duration>,
    /// Declares the agent gone for good once it is drained.
    #[arg(long)]
    pub(crate) mark_gone: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArguments {
    /// The id of the agent.
    pub(crate) agent: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TeardownArguments {
    /// The id of the framework.
    pub(crate) framework: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Reads `HOST:PORT`; the port is 5050 if there is none. The URL of a master will do as well.
fn authority(text: &str) -> Result<String, String> {
    let expected = |found: &str| format!("expected HOST:PORT, such as 127.0.0.1:5050, found {found:?}");
    let plain = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if plain.contains("://") || plain.contains('@') {
        return Err(expected(text)); // another protocol, or credentials, which would stand in messages
    }
    let authority: http::uri::Authority = plain.parse().map_err(|_| expected(text))?;
    match plain[authority.host().len()..].strip_prefix(':') {
        None | Some("") => Ok(format!("{}:5050", authority.host())),
        Some(port) => port.parse::<u16>().map(|_| plain.to_owned()).map_err(|_| expected(text)),
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::new(text).map_err(|error| error.to_string())
}

/// Reads `cpus:4,mem:4096`; a semicolon will do as well, as Mesos writes it.
fn amounts(text: &str) -> Result<Amounts, String> {
    let expected = |found: &str| format!("expected NAME:AMOUNT,..., such as cpus:4,mem:4096, found {found:?}");
    let amount = |item: &str| {
        let (name, amount) = item.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(|| expected(item))?;
        let amount: Scalar = amount.trim().parse().map_err(|error| format!("{}: {error}", expected(item)))?;
        Ok((name.trim().to_owned(), amount))
    };
    let items = text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty());
    let amounts: Vec<(String, Scalar)> = items.map(amount).collect::<Result<_, String>>()?;
    if amounts.is_empty() { Err(expected(text)) } else { Ok(Amounts(amounts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_named_by_its_host_or_its_url() {
        for (text, expected) in [
            ("10.0.0.1:5051", Ok("10.0.0.1:5051")),
            ("master", Ok("master:5050")),
            ("http://master:5050/", Ok("master:5050")),
            ("[::1]:5050", Ok("[::1]:5050")),
            ("[::1]", Ok("[::1]:5050")),
            ("https://master:5050", Err(())),
            ("ops:secret@master:5050", Err(())),
            ("master:port", Err(())),
            ("master:70000", Err(())),
            ("", Err(())),
            ("a b", Err(())),
        ] {
            assert_eq!(authority(text).map_err(drop), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_machine_has_a_hostname_and_may_have_an_address() {
        for text in ["node1", "node1=10.0.0.1", "127.0.0.2"] {
            assert_eq!(text.parse::<Machine>().map(|machine| machine.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "=10.0.0.1", "node1=", "node1=x"] {
            assert!(wrong.parse::<Machine>().unwrap_err().contains("expected HOST"), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_separated_by_commas_or_semicolons() {
        let expected = vec![("cpus".to_owned(), Scalar::milli(1_500)), ("mem".to_owned(), Scalar::units(0))];
        assert_eq!(amounts("cpus:1.5,mem:0"), Ok(Amounts(expected.clone())));
        assert_eq!(amounts("cpus:1.5; mem:0;"), Ok(Amounts(expected)));
        for wrong in ["", "cpus", "cpus:", ":4", "cpus:x", "cpus:-1"] {
            assert!(amounts(wrong).unwrap_err().contains("expected NAME:AMOUNT"), "{wrong}");
        }
    }
}

const RUN_HELP: &str = "\
One argument is a line for /bin/sh; several are a program and its arguments. What the task writes is written here, and the exit status is \
that of the task: 128 and the number of the signal, if a signal has ended it. Ctrl-C kills the task.

  apportion run -- echo hello
  apportion run --resources 'cpus:1;mem:256' --env WHO=you -- 'echo \"hello, $WHO\"'";

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// The command.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
    /// Sets the name of the task. By default it is that of the program.
    #[arg(long, value_name = "NAME", value_parser = task_name)]
    name: Option<String>,
    /// Asks for these resources.
    #[arg(long, value_name = "RESOURCES", default_value = "cpus:0.1;mem:64")]
    pub(crate) resources: Resources,
    /// Registers the framework with this role.
    #[arg(long, default_value = "*")]
    pub(crate) role: Role,
    /// Runs the task as this user. By default it is the user of this program.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Sets a variable of the environment of the task. It may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Fetches this URI into the sandbox before the task starts. It may be given several times.
    #[arg(long)]
    pub(crate) uri: Vec<String>,
    /// Runs the task in a container of this Docker image.
    #[arg(long)]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl RunArguments {
    /// Returns the name of the task.
    pub(crate) fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let first = self.command.first().and_then(|line| line.split_whitespace().next()).unwrap_or_default();
        let name: String =
            first.rsplit('/').next().unwrap_or_default().chars().filter(|c| is_of_name(*c)).take(40).collect();
        if name.is_empty() { "run".to_owned() } else { name }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

fn task_name(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !is_of_name(*c)) {
        None if !text.is_empty() && text.len() <= 200 => Ok(text.to_owned()),
        _ => Err(format!("found {text:?}, expected at most 200 letters, digits, -, _ and .")),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("found {text:?}, expected NAME=VALUE")),
    }
}
