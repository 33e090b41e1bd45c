//! The flags of a master, which are those of Mesos, and of the agents beside it.

use crate::address::AdvertiseFlags;
use crate::node::Cluster;
use crate::values;
use apportion::allocator::Weight;
use apportion::{Domain, Limits, Quantities, Resources, Role, Text};
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct UpFlags {
    #[command(flatten)]
    agents: TriedFlags,
    #[command(flatten)]
    pub(crate) master: MasterFlags,
}

/// The agents beside the master.
#[derive(Debug, Args)]
#[command(next_help_heading = "Agents")]
struct TriedFlags {
    /// Sets the number of agents. Each is a process of its own; the first listens on the port behind that of the master, the next on
    /// the ports after it.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    agents: u32,
    /// Sets the resources of each agent. By default each has all CPUs, and a part of the memory, the disk and the ports
    /// 31000-32000; a simulated one cpus:4;mem:8192;disk:65536;ports:[31000-32000].
    #[arg(long, value_name = "RESOURCES")]
    resources: Option<Resources>,
    /// Simulates the agents: their tasks run nothing.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    simulated: bool,
    /// Ends each task of simulated agents after that time, unless its command is `sleep N`, which takes N seconds. Without this flag
    /// other tasks run until they are killed.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    task_duration: Option<Duration>,
}

/// The agents of a cluster that is simulated.
#[derive(Debug)]
pub(crate) struct SimulatedFlags {
    pub(crate) agents: u32,
    pub(crate) resources: Resources,
    pub(crate) task_duration: Option<Duration>,
}

/// The agents of a cluster on this machine.
#[derive(Debug)]
pub(crate) struct RealFlags {
    pub(crate) agents: u32,
    pub(crate) resources: Option<Resources>,
}

impl UpFlags {
    /// Returns the agents that the flags ask for.
    pub(crate) fn cluster(&self) -> Cluster {
        let TriedFlags { agents, ref resources, simulated, task_duration } = self.agents;
        if !simulated {
            return Cluster::Real(RealFlags { agents, resources: resources.clone() });
        }
        let size = || "cpus:4;mem:8192;disk:65536;ports:[31000-32000]".parse().expect("resources of a literal");
        Cluster::Simulated(SimulatedFlags { agents, resources: resources.clone().unwrap_or_else(size), task_duration })
    }
}

#[derive(Debug, Args)]
pub(crate) struct MasterFlags {
    /// Listens on this address. Anybody who can connect can run commands on the agents, so 0.0.0.0, which stands for all
    /// addresses of this machine, is for networks that you trust.
    #[arg(long, default_value = "127.0.0.1", help_heading = "Network")]
    pub(crate) ip: IpAddr,
    /// Listens on this port; 0 takes one that is free.
    #[arg(long, default_value_t = 5050, help_heading = "Network")]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) advertise: AdvertiseFlags,
    /// Refuses requests with a larger body.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = values::size, help_heading = "Network")]
    pub(crate) max_request_body: u64,
    /// Closes further connections at once while so many are open.
    #[arg(long, value_name = "N", default_value_t = 20_000, help_heading = "Network")]
    pub(crate) max_connections: usize,
    /// Disconnects a framework when more than this waits for it, because it reads too slowly.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = values::size, help_heading = "Network")]
    pub(crate) stream_buffer: u64,
    /// Sets the interval of heartbeats on streams.
    #[arg(long, value_name = "DURATION", default_value = "15secs", value_parser = values::duration, help_heading = "Network")]
    pub(crate) heartbeat_interval: Duration,

    /// Keeps the id of the master, its logs and its records in this folder.
    #[arg(long, value_name = "FOLDER", help_heading = "Files")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Records the journal of the master in this file, from which `replay` of the library decides everything again. A relative
    /// path lies in --work-dir, if that is given.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) record: Option<PathBuf>,
    /// Begins a new file of records at about this size, and keeps the one before under a name with a number.
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = values::size, help_heading = "Files")]
    pub(crate) record_size: u64,
    /// Writes log lines as JSON.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Files")]
    pub(crate) log_json: bool,
    /// Reads flags from this file, a line NAME=VALUE for each.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) config: Option<PathBuf>,

    /// Names the cluster, for people.
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(crate) cluster: Option<String>,
    /// Sets the fault domain of the master. Agents of another region are offered only to frameworks that can use several.
    #[arg(long, value_name = "REGION/ZONE", value_parser = values::domain, help_heading = "Cluster")]
    pub(crate) domain: Option<Domain>,
    /// Offers only the agents whose hostnames stand in this file, one a line. The file is read again when it changes.
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(crate) whitelist: Option<PathBuf>,
    /// Sets the interval at which agents are pinged. It is for agents that connect over the network: those of this program
    /// cannot be lost, and are not pinged.
    #[arg(long, value_name = "DURATION", default_value = "15secs", value_parser = values::duration, help_heading = "Cluster")]
    pub(crate) agent_ping_timeout: Duration,
    /// Takes an agent for unreachable after so many pings without an answer. Agents of this program are not pinged.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Cluster")]
    pub(crate) max_agent_ping_timeouts: u32,
    /// Gives a framework at least this time to subscribe which an agent names when it returns, and which this master does not know.
    #[arg(long, value_name = "DURATION", default_value = "10mins", value_parser = values::duration, help_heading = "Cluster")]
    pub(crate) agent_reregister_timeout: Duration,
    /// Remembers so many frameworks that were removed.
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Cluster")]
    pub(crate) max_completed_frameworks: usize,
    /// Remembers so many tasks of each framework that have ended.
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Cluster")]
    pub(crate) max_completed_tasks_per_framework: usize,
    /// Remembers so many tasks of each framework that are on unreachable agents.
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Cluster")]
    pub(crate) max_unreachable_tasks_per_framework: usize,

    /// Tells at /metrics/snapshot what each framework has called, was told and was offered: some sixty metrics for each.
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Cluster")]
    pub(crate) publish_per_framework_metrics: bool,

    /// Sets the interval of batch allocations.
    #[arg(long, value_name = "DURATION", default_value = "1secs", value_parser = values::duration, help_heading = "Allocation")]
    pub(crate) allocation_interval: Duration,
    /// Rescinds an offer that is not answered within this time. By default an offer stands until it is answered.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, help_heading = "Allocation")]
    pub(crate) offer_timeout: Option<Duration>,
    /// Offers what timed out to the same framework again only after this time.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, help_heading = "Allocation")]
    pub(crate) timeout_refusal: Option<Duration>,
    /// Divides each agent into offers of at most these amounts, each to the framework that comes first then. By default an agent is
    /// offered as a whole.
    #[arg(long, value_name = "AMOUNTS", value_parser = values::chunk, help_heading = "Allocation")]
    pub(crate) max_offer: Option<Limits>,
    /// Makes no offer that contains none of these amounts; | stands between alternatives.
    #[arg(long, value_name = "AMOUNTS|...", default_value = "cpus:0.01|mem:32", value_parser = minimums, help_heading = "Allocation")]
    pub(crate) min_allocatable_resources: Minimums,
    /// Leaves these resources out of account when shares are compared.
    #[arg(long, value_name = "NAME,...", value_parser = names, help_heading = "Allocation")]
    pub(crate) fair_sharing_excluded_resource_names: Option<Names>,
    /// Offers machines with GPUs only to frameworks that can use these.
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Allocation")]
    pub(crate) filter_gpu_resources: bool,
    /// Sets the order in which roles, and frameworks of a role, are offered resources.
    #[arg(long, value_enum, default_value_t = RoleSorter::Drf, help_heading = "Allocation")]
    pub(crate) role_sorter: RoleSorter,
    /// Sets the weights of roles at the start.
    #[arg(long, value_name = "ROLE=WEIGHT,...", value_parser = weights, help_heading = "Allocation")]
    pub(crate) weights: Option<Weights>,

    /// Reads the principals and their secrets from this file, which is JSON:
    /// {"credentials":[{"principal":"...","secret":"..."}]}.
    #[arg(long, value_name = "FILE", help_heading = "Authentication")]
    pub(crate) credentials: Option<PathBuf>,
    /// Asks frameworks for credentials.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Authentication")]
    pub(crate) authenticate_http_frameworks: bool,
    /// Asks operators for credentials.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Authentication")]
    pub(crate) authenticate_http_readwrite: bool,
    /// Asks for credentials at endpoints that change nothing.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Authentication")]
    pub(crate) authenticate_http_readonly: bool,

    /// The names and values of all flags, for clients that ask for them.
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

/// A list that is the value of one flag: if the flag stands twice, the last one counts.
#[derive(Debug, Clone)]
pub(crate) struct Minimums(pub(crate) Vec<Quantities>);

/// A list that is the value of one flag: if the flag stands twice, the last one counts.
#[derive(Debug, Clone)]
pub(crate) struct Names(pub(crate) Vec<Text>);

/// A list that is the value of one flag: if the flag stands twice, the last one counts.
#[derive(Debug, Clone)]
pub(crate) struct Weights(pub(crate) Vec<(Role, Weight)>);

fn minimums(text: &str) -> Result<Minimums, values::ValueError> {
    values::minimums(text).map(Minimums)
}

#[expect(clippy::unnecessary_wraps, reason = "a parser of values may fail")]
fn names(text: &str) -> Result<Names, values::ValueError> {
    Ok(Names(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Text::from).collect()))
}

pub(crate) fn weights(text: &str) -> Result<Weights, values::ValueError> {
    let weights = text.split(',').map(str::trim).filter(|weight| !weight.is_empty());
    weights.map(values::weight).collect::<Result<_, _>>().map(Weights)
}
