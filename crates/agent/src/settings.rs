//! [`Settings`]: the settings of an agent's program, which it gets at its start.

use crate::machine;
use apportion::Agent;
use apportion_http::transport::Bounds;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of an agent's program: those of its [machine](machine::Settings), and those of what is around it. The defaults are
/// those of Mesos, on the loopback address.
///
/// # Examples
///
/// ```
/// use apportion::Agent;
/// use apportion_agent::Settings;
///
/// let agent = Agent::new("", "cpus:4;mem:4096".parse()?).hostname("localhost");
/// let settings = Settings::new("127.0.0.1:5050", agent, "/var/lib/mesos");
/// assert_eq!(settings.pid(), "slave(1)@127.0.0.1:5051");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The masters: `HOST:PORT`, or several with commas between.
    pub master: String,
    /// The settings of the machine: who the agent is, where it is reached, its folder and its time-outs. The seed and the id of the
    /// boot are set when the program starts.
    pub machine: machine::Settings,
    /// The socket of the Docker engine.
    pub docker_socket: PathBuf,
    /// The login for images, if a task brings none: a file or JSON.
    pub docker_config: Option<String>,
    /// The time for which a Docker container is kept after its end.
    pub docker_remove_delay: Duration,
    /// The cgroup that contains those of all containers.
    pub cgroups_root: String,
    /// True if `cpus` are a hard limit, too.
    pub cgroups_enable_cfs: bool,
    /// The time between two looks at what sandboxes take of the disk, if containers that take more than they have are ended.
    pub enforce_disk: Option<Duration>,
    /// The time between two looks at ports, if containers that listen on ports of the agent which are not theirs are ended.
    pub enforce_ports: Option<Duration>,
    /// The most bytes of `stdout` and `stderr` in a sandbox, before they are copied to `stdout.1` and `stderr.1` and begun anew; none
    /// for no bound.
    pub max_log_size: Option<u64>,
    /// The time for which a sandbox is kept after its end.
    pub gc_delay: Duration,
    /// The part of the disk that is kept free: sandboxes go earlier when there is less.
    pub gc_disk_headroom: f64,
    /// The file that the log of the program is written to, which operators may read as `/slave/log`.
    pub log: Option<PathBuf>,
    /// The flags of the program, for people: names and values.
    pub flags: Vec<(String, String)>,
    /// The program of the built-in executors, which [their arguments](crate::executor::Program::arguments) follow; none for the one
    /// that runs.
    pub executor_program: Option<PathBuf>,
}

impl Settings {
    /// Returns the settings of an agent with these masters and that folder.
    #[must_use]
    pub fn new(master: impl Into<String>, agent: Agent, work_dir: impl Into<PathBuf>) -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            master: master.into(),
            machine: machine::Settings::new(agent, work_dir),
            docker_socket: "/var/run/docker.sock".into(),
            docker_config: None,
            docker_remove_delay: hour * 6,
            cgroups_root: "mesos".to_owned(),
            cgroups_enable_cfs: false,
            enforce_disk: None,
            enforce_ports: None,
            max_log_size: None,
            gc_delay: hour * 24 * 7,
            gc_disk_headroom: 0.1,
            log: None,
            flags: Vec::new(),
            executor_program: None,
        }
    }

    /// Returns the name of the agent in Mesos' own protocol, which clients take apart: `slave(1)@IP:PORT`.
    #[must_use]
    pub fn pid(&self) -> String {
        format!("slave(1)@{}", self.machine.address)
    }

    /// Returns the folder to which persistent volumes are moved before they are removed.
    pub(crate) fn removed_volumes(&self) -> PathBuf {
        self.machine.work_dir.join("volumes").join("removed")
    }

    /// Returns where clients reach the agent, and what its listener lets them do.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds::new(self.machine.agent.hostname.as_str(), self.machine.address.ip(), self.machine.address.port())
    }
}
