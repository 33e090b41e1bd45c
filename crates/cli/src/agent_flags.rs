//! The flags of an agent, which are those of Mesos.

use crate::address::AdvertiseFlags;
use crate::values;
use apportion::{Attributes, Domain, Role};
use apportion_agent::machine::{Containerizer, ReconfigurationPolicy, Recover};
use clap::Args;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct AgentFlags {
    /// Connects to this master, HOST:PORT, or to the one that leads of several, with commas between.
    #[arg(long, value_name = "MASTER", help_heading = "Network")]
    pub(crate) master: String,
    /// Listens on this address. Anybody who can connect can run commands as this agent does, so 0.0.0.0, which stands for all
    /// addresses of this machine, is for networks that you trust.
    #[arg(long, default_value = "127.0.0.1", help_heading = "Network")]
    pub(crate) ip: IpAddr,
    /// Listens on this port; 0 takes one that is free.
    #[arg(long, default_value_t = 5051, help_heading = "Network")]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) advertise: AdvertiseFlags,

    /// Keeps sandboxes, checkpoints and logs in this folder.
    #[arg(long, value_name = "FOLDER", help_heading = "Files")]
    pub(crate) work_dir: PathBuf,
    /// Reads flags from the files of this folder. By default it is /etc/mesos-slave, if that is there.
    #[arg(long, value_name = "FOLDER", help_heading = "Files")]
    pub(crate) config_dir: Option<PathBuf>,
    /// Reads flags from this file, a line NAME=VALUE for each.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) config: Option<PathBuf>,
    /// Writes log lines as JSON.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Files")]
    pub(crate) log_json: bool,
    /// Removes a sandbox so long after its end, or earlier when the disk fills.
    #[arg(long, value_name = "DURATION", default_value = "1weeks", value_parser = values::duration, help_heading = "Files")]
    pub(crate) gc_delay: Duration,
    /// Keeps this part of the disk free: sandboxes are removed earlier when there is less.
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = part, help_heading = "Files")]
    pub(crate) gc_disk_headroom: f64,

    /// Offers these resources, NAME:AMOUNT;... Of cpus, mem, disk and ports, those that are not named are found.
    #[arg(long, value_name = "RESOURCES", default_value = "", hide_default_value = true, help_heading = "Description")]
    pub(crate) resources: String,
    /// Sets attributes, NAME:VALUE;...
    #[arg(
        long,
        value_name = "ATTRIBUTES",
        default_value = "",
        hide_default_value = true,
        help_heading = "Description"
    )]
    pub(crate) attributes: Attributes,
    /// Sets the fault domain.
    #[arg(long, value_name = "REGION/ZONE", value_parser = values::domain, help_heading = "Description")]
    pub(crate) domain: Option<Domain>,
    /// Reserves for this role what --resources names without a role.
    #[arg(long, value_name = "ROLE", default_value = "*", help_heading = "Description")]
    pub(crate) default_role: Role,

    /// Runs tasks by these, the first that can: mesos, which runs processes, and docker.
    #[arg(long, value_name = "NAME,...", default_value = "mesos", value_parser = containerizers, help_heading = "Containers")]
    pub(crate) containerizers: Containerizers,
    /// Asks the Docker engine at this socket.
    #[arg(long, value_name = "SOCKET", default_value = "/var/run/docker.sock", help_heading = "Containers")]
    pub(crate) docker_socket: PathBuf,
    /// Sets the login for images of tasks that bring none: a file, or its JSON.
    #[arg(long, value_name = "FILE", help_heading = "Containers")]
    pub(crate) docker_config: Option<String>,
    /// Removes a Docker container so long after its end.
    #[arg(long, value_name = "DURATION", default_value = "6hrs", value_parser = values::duration, help_heading = "Containers")]
    pub(crate) docker_remove_delay: Duration,
    /// Names the control group that contains those of all containers.
    #[arg(long, value_name = "NAME", default_value = "mesos", help_heading = "Containers")]
    pub(crate) cgroups_root: String,
    /// Makes cpus a hard limit, too.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Containers")]
    pub(crate) cgroups_enable_cfs: bool,
    /// Runs tasks as the user that they or their framework name, if this is root.
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Containers")]
    pub(crate) switch_user: bool,
    /// Ends a task that listens on a TCP port of the agent which is not its own.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Containers")]
    pub(crate) enforce_container_ports: bool,
    /// Sets the time between two looks at ports, with --enforce_container_ports.
    #[arg(long, value_name = "DURATION", default_value = "30secs", value_parser = values::duration, help_heading = "Containers")]
    pub(crate) container_ports_watch_interval: Duration,
    /// Ends a task whose sandbox takes more of the disk than the task has, if it has any.
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Containers")]
    pub(crate) enforce_container_disk_quota: bool,
    /// Sets the time between two looks at sandboxes, with --enforce_container_disk_quota.
    #[arg(long, value_name = "DURATION", default_value = "15secs", value_parser = values::duration, help_heading = "Containers")]
    pub(crate) container_disk_watch_interval: Duration,
    /// Bounds the files stdout and stderr of a sandbox: a longer one becomes stdout.1 or stderr.1, and is begun anew.
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Containers")]
    pub(crate) max_log_size: Option<u64>,

    /// Gives up an executor that has not subscribed in this time, fetching and pulling included.
    #[arg(long, value_name = "DURATION", default_value = "1mins", value_parser = values::duration, help_heading = "Executors")]
    pub(crate) executor_registration_timeout: Duration,
    /// Gives up an executor that has not subscribed again in this time after a restart of the agent.
    #[arg(long, value_name = "DURATION", default_value = "2secs", value_parser = values::duration, help_heading = "Executors")]
    pub(crate) executor_reregistration_timeout: Duration,
    /// Kills an executor that has not ended in this time after it was told to.
    #[arg(long, value_name = "DURATION", default_value = "5secs", value_parser = values::duration, help_heading = "Executors")]
    pub(crate) executor_shutdown_grace_period: Duration,
    /// Sets the environment of executors, a JSON object. By default it is that of the agent, without what is its own.
    #[arg(long, value_name = "JSON", value_parser = variables, help_heading = "Executors")]
    pub(crate) executor_environment_variables: Option<Variables>,
    /// Tells executors how long to wait for an agent that is gone.
    #[arg(long, value_name = "DURATION", default_value = "15mins", value_parser = values::duration, help_heading = "Executors")]
    pub(crate) recovery_timeout: Duration,
    /// Waits for the executors of the run before, or ends them and then itself.
    #[arg(long, value_name = "reconnect|cleanup", default_value = "reconnect", value_parser = recover, help_heading = "Executors")]
    pub(crate) recover: Recover,
    /// Ends with an error if the agent is described otherwise than in the run before, or lets resources and attributes be added.
    #[arg(long, value_name = "equal|additive", default_value = "equal", value_parser = policy, help_heading = "Executors")]
    pub(crate) reconfiguration_policy: ReconfigurationPolicy,

    /// The names and values of all flags, for clients that ask for them.
    #[arg(skip)]
    pub(crate) all: Vec<(String, String)>,
}

/// A list that is the value of one flag: if the flag stands twice, the last one counts.
#[derive(Debug, Clone)]
pub(crate) struct Containerizers(pub(crate) Vec<Containerizer>);

/// Variables of the environment.
#[derive(Debug, Clone)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

/// The reason why a text is not the value of a flag.
#[derive(Debug, thiserror::Error)]
enum ValueError {
    #[error("expected one of {expected}")]
    Name { expected: &'static str },
    #[error("expected a number from 0 to 1")]
    Part,
    #[error("expected an object of texts, as in {{\"PATH\":\"/bin\"}}: {0}")]
    Variables(#[from] serde_json::Error),
}

fn containerizers(text: &str) -> Result<Containerizers, ValueError> {
    let mut all = Vec::new();
    for name in text.split(',').map(str::trim) {
        let named = [Containerizer::Mesos, Containerizer::Docker].into_iter().find(|known| known.as_str() == name);
        let named = named.ok_or(ValueError::Name { expected: "mesos, docker, or both with a comma between" })?;
        if !all.contains(&named) {
            all.push(named);
        }
    }
    Ok(Containerizers(all))
}

fn recover(text: &str) -> Result<Recover, ValueError> {
    match text {
        "reconnect" => Ok(Recover::Reconnect),
        "cleanup" => Ok(Recover::Cleanup),
        _ => Err(ValueError::Name { expected: "reconnect, cleanup" }),
    }
}

fn policy(text: &str) -> Result<ReconfigurationPolicy, ValueError> {
    match text {
        "equal" => Ok(ReconfigurationPolicy::Equal),
        "additive" => Ok(ReconfigurationPolicy::Additive),
        _ => Err(ValueError::Name { expected: "equal, additive" }),
    }
}

fn part(text: &str) -> Result<f64, ValueError> {
    text.parse().ok().filter(|part| (0.0..=1.0).contains(part)).ok_or(ValueError::Part)
}

fn variables(text: &str) -> Result<Variables, ValueError> {
    Ok(Variables(serde_json::from_str(text)?))
}
