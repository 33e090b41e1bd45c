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
