//! [`Settings`]: what an agent is told when it starts.

use apportion::{Agent, Text};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What an agent is told when it starts: who it is, where it is, and its time-outs. Each field is named as the flag of the agent
/// that sets it.
///
/// # Examples
///
/// ```
/// use apportion::Agent;
/// use apportion_agent::machine::Settings;
/// use std::time::Duration;
///
/// let mut settings = Settings::new(Agent::new("", "cpus:4;mem:4096".parse()?).hostname("node-1"), "/var/lib/mesos");
/// assert_eq!(settings.executor_registration_timeout, Duration::from_secs(60));
/// settings.executor_registration_timeout = Duration::from_secs(300);
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The agent as it registers: its hostname, resources, attributes and domain. Its id is empty, for the master to give or for the
    /// checkpoints to tell.
    pub agent: Agent,
    /// The names of the resources whose amounts were found on the machine rather than given. Their change from one start to the
    /// next is not a change of the agent.
    pub found_resources: Vec<Text>,
    /// The address that executors and all others reach the agent at, `MESOS_AGENT_ENDPOINT`.
    pub address: SocketAddr,
    /// The folder of sandboxes and checkpoints, absolute.
    pub work_dir: PathBuf,
    /// The id of this boot of the machine (`/proc/sys/kernel/random/boot_id`). If it differs from the stored one, all executors of
    /// before are gone.
    pub boot_id: Text,
    /// The seed of all that the agent draws: UUIDs of statuses, ids of containers, waits before retries. It must differ from start
    /// to start.
    pub seed: u64,
    /// The containerizers, in the order in which they are asked.
    pub containerizers: Vec<Containerizer>,
    /// True if tasks run as the user that they name, or else their framework.
    pub switch_user: bool,
    /// The environment of executors below what the agent sets: that of `--executor_environment_variables`, or else the agent's own
    /// without what must not be passed on.
    pub executor_environment: Vec<(Text, Text)>,
    /// The time that an executor has from its launch to its SUBSCRIBE, fetching and pulling included.
    pub executor_registration_timeout: Duration,
    /// The time that an executor has to subscribe again after the agent has started again.
    pub executor_reregistration_timeout: Duration,
    /// The time that an executor has after SHUTDOWN until all of its container is killed.
    pub executor_shutdown_grace_period: Duration,
    /// The time that executors wait for an agent that is gone, `MESOS_RECOVERY_TIMEOUT`.
    pub recovery_timeout: Duration,
    /// The treatment of executors that an earlier run of the agent has started.
    pub recover: Recover,
    /// Which changes of the agent from one start to the next are allowed.
    pub reconfiguration_policy: ReconfigurationPolicy,
}

/// What can contain an executor and its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Containerizer {
    /// Processes, in a control group where the agent may make one.
    Mesos,
    /// Containers of a Docker engine.
    Docker,
}

impl Containerizer {
    /// Returns the name in `--containerizers`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mesos => "mesos",
            Self::Docker => "docker",
        }
    }
}

/// The treatment of executors that an earlier run of the agent has started: `--recover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Recover {
    /// They are waited for.
    #[default]
    Reconnect,
    /// They are killed, and the agent ends then.
    Cleanup,
}

/// Which changes of the agent from one start to the next are allowed: `--reconfiguration_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReconfigurationPolicy {
    /// None.
    #[default]
    Equal,
    /// More resources and more attributes.
    Additive,
}

impl Settings {
    /// Returns the settings of an agent with Mesos' defaults: on `127.0.0.1:5051`, with the containerizer `mesos`.
    #[must_use]
    pub fn new(agent: Agent, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            agent,
            found_resources: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 5051)),
            work_dir: work_dir.into(),
            boot_id: Text::default(),
            seed: 0,
            containerizers: vec![Containerizer::Mesos],
            switch_user: true,
            executor_environment: Vec::new(),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_shutdown_grace_period: Duration::from_secs(5),
            recovery_timeout: Duration::from_secs(15 * 60),
            recover: Recover::Reconnect,
            reconfiguration_policy: ReconfigurationPolicy::Equal,
        }
    }
}
