//! [`Settings`]: the settings of a server, which it gets at its start.

use crate::authentication::Authentication;
use crate::transport::listener::Bounds;
use crate::verbosity::Verbosity;
use apportion::{Config, Domain};
use serde_json::{Map, Value as Json, json};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a [`Server`](crate::Server). The defaults are those of Mesos, on the loopback address.
///
/// # Examples
///
/// ```
/// use apportion_http::Settings;
/// use std::time::Duration;
///
/// let settings = Settings::default().heartbeat_interval(Duration::from_secs(1)).port(5051);
/// assert_eq!(settings.pid(), "master@127.0.0.1:5051");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The configuration of the master.
    pub config: Config,
    /// The id of this run of the master. Ids of frameworks and offers begin with it, unless the configuration has a
    /// [prefix](Config::id_prefix).
    pub id: String,
    /// The seed of the ids of streams: drawn from the system, so that nobody guesses them.
    pub seed: u64,
    /// The host by which clients reach the master.
    pub hostname: String,
    /// The address by which clients reach the master.
    pub ip: IpAddr,
    /// The port by which clients reach the master.
    pub port: u16,
    /// The name of the cluster, for people.
    pub cluster: Option<String>,
    /// The interval of heartbeats on every stream.
    pub heartbeat_interval: Duration,
    /// The interval at which agents are pinged that are connected over the network.
    pub agent_ping_timeout: Duration,
    /// The number of pings in a row without an answer after which an agent is unreachable.
    pub max_agent_ping_timeouts: u32,
    /// The least time that a framework has to subscribe which an agent names and this master does not know; its own
    /// [failover timeout](apportion::Framework::failover_timeout) may be longer.
    pub agent_reregister_timeout: Duration,
    /// The largest body of a request in bytes.
    pub max_request_body: usize,
    /// The largest number of bytes that wait for a client which reads slowly; about, messages are estimated.
    pub stream_buffer: u64,
    /// The time after which a client that reads nothing, while there is something to read, is cut.
    pub stream_timeout: Duration,
    /// The number of connections that may be open at the same time; further ones are closed at once. Each framework has two.
    pub max_connections: usize,
    /// The time after which a connection is closed that has no request, or one whose head is not whole. The body of a request may
    /// pause for as long, and has to come within ten times that.
    pub idle_timeout: Duration,
    /// The tasks of each framework that operators see after they have ended; the oldest are forgotten first.
    pub max_completed_tasks: usize,
    /// The credentials, and who is asked for them.
    pub authentication: Authentication,
    /// The flags of the program, for people: names and values.
    pub flags: Vec<(String, String)>,
    /// The file that the log of the program is written to, which operators may read.
    pub log: Option<PathBuf>,
    /// The file in which the journal of the master is recorded.
    pub record: Option<PathBuf>,
    /// The size in bytes from which on the recording goes on in a new file.
    pub record_size: u64,
    /// How much the program logs, if operators may set it.
    pub verbosity: Option<Verbosity>,
    /// Whether `/metrics/snapshot` has the metrics of each framework: some sixty names for each.
    pub per_framework_metrics: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::default(),
            id: String::from("apportion"),
            seed: 0,
            hostname: String::from("localhost"),
            ip: Ipv4Addr::LOCALHOST.into(),
            port: 5050,
            cluster: None,
            heartbeat_interval: Duration::from_secs(15),
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_secs(600),
            max_request_body: 64 << 20,
            stream_buffer: 64 << 20,
            stream_timeout: Duration::from_secs(60),
            max_connections: 20_000,
            idle_timeout: Duration::from_secs(90),
            max_completed_tasks: 1000,
            authentication: Authentication::default(),
            flags: Vec::new(),
            log: None,
            record: None,
            record_size: 64 << 20,
            verbosity: None,
            per_framework_metrics: true,
        }
    }
}

impl Settings {
    /// The version of Mesos whose API this is. Clients parse it as three integers.
    pub const VERSION: &'static str = "1.11.0";

    /// What the master can do, by its Mesos names.
    pub(crate) const CAPABILITIES: [&'static str; 3] = ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"];

    /// Sets the configuration of the master.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the id of this run of the master and the seed of the ids of streams.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>, seed: u64) -> Self {
        (self.id, self.seed) = (id.into(), seed);
        self
    }

    /// Sets the host by which clients reach the master.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// Sets the address by which clients reach the master.
    #[must_use]
    pub fn ip(mut self, ip: impl Into<IpAddr>) -> Self {
        self.ip = ip.into();
        self
    }

    /// Sets the port by which clients reach the master.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the name of the cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// Sets the interval of heartbeats.
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets the interval at which agents are pinged, and the number of pings in a row without an answer after which an agent is
    /// unreachable (Mesos, `--agent_ping_timeout` and `--max_agent_ping_timeouts`). An interval below 1 ms counts as 1 ms, a number
    /// of 0 as 1.
    #[must_use]
    pub fn agent_pings(mut self, interval: Duration, max_timeouts: u32) -> Self {
        (self.agent_ping_timeout, self.max_agent_ping_timeouts) = (interval, max_timeouts);
        self
    }

    /// Sets the least time that a framework has to subscribe which an agent names and this master does not know.
    #[must_use]
    pub fn agent_reregister_timeout(mut self, timeout: Duration) -> Self {
        self.agent_reregister_timeout = timeout;
        self
    }

    /// Sets the largest body of a request in bytes.
    #[must_use]
    pub fn max_request_body(mut self, bytes: usize) -> Self {
        self.max_request_body = bytes;
        self
    }

    /// Sets the bounds of slow readers: the bytes that may wait for one, and for how long it may read nothing.
    #[must_use]
    pub fn slow_readers(mut self, bytes: u64, timeout: Duration) -> Self {
        (self.stream_buffer, self.stream_timeout) = (bytes, timeout);
        self
    }

    /// Sets the number of connections that may be open at the same time.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// Sets the time after which a connection without a request is closed.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the number of tasks of each framework that operators see after they have ended (Mesos,
    /// `--max_completed_tasks_per_framework`). For how many frameworks, [`Config::remembered`] says.
    #[must_use]
    pub fn max_completed_tasks(mut self, number: usize) -> Self {
        self.max_completed_tasks = number;
        self
    }

    /// Sets the credentials, and who is asked for them.
    #[must_use]
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Sets the flags of the program, for people.
    #[must_use]
    pub fn flags(mut self, flags: Vec<(String, String)>) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the file that the log of the program is written to. Operators may read it as `/master/log`.
    #[must_use]
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Records the [journal](apportion::journal) of the master in a file while it runs.
    ///
    /// The file begins with a snapshot, so it is replayed alone. When it has [that size](Self::record_size), it is kept as
    /// `FILE.1`, `FILE.2`, ... in this order, and a new one begins. A file of an earlier run is kept in the same way. What
    /// cannot be written, as when the disk is full, is told in the log and ends the recording; the master goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, journal::Replay};
    /// use apportion_http::{NoAgents, Server, Settings};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let file = folder.path().join("journal.jsonl");
    /// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// runtime.block_on(async {
    ///     let server = Server::start(Settings::default().record(&file), NoAgents);
    ///     server.command(Command::AddAgent(Agent::new("a1", "cpus:4".parse()?).into())).await?;
    /// #   Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # /*
    /// })?;
    /// # */
    /// drop(runtime); // all is written when it has ended
    ///
    /// let mut replay = Replay::new();
    /// for line in std::fs::read_to_string(&file)?.lines() {
    ///     replay.feed(line, |_effect| {})?;
    /// }
    /// assert_eq!(replay.master().agents().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn record(mut self, file: impl Into<PathBuf>) -> Self {
        self.record = Some(file.into());
        self
    }

    /// Sets the size in bytes from which on the recording goes on in a new file. The snapshot at its begin does not count.
    #[must_use]
    pub fn record_size(mut self, bytes: u64) -> Self {
        self.record_size = bytes;
        self
    }

    /// Lets operators set how much the program logs (SET_LOGGING_LEVEL). Without this they are told that they cannot (501).
    #[must_use]
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.verbosity = Some(verbosity);
        self
    }

    /// Sets whether `/metrics/snapshot` has the metrics of each framework (Mesos, `--publish_per_framework_metrics`).
    #[must_use]
    pub fn per_framework_metrics(mut self, are_published: bool) -> Self {
        self.per_framework_metrics = are_published;
        self
    }

    /// Returns the name of the master in Mesos' own protocol, which clients compare: `master@IP:PORT`.
    #[must_use]
    pub fn pid(&self) -> String {
        format!("master@{}:{}", self.ip, self.port)
    }

    /// Returns where clients reach the server, and what its listener lets them do.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            hostname: self.hostname.clone(),
            ip: self.ip,
            port: self.port,
            max_request_body: self.max_request_body,
            max_connections: self.max_connections,
            stream_timeout: self.stream_timeout,
            idle_timeout: self.idle_timeout,
        }
    }

    /// Returns Mesos' `MasterInfo`.
    pub(crate) fn master_info(&self) -> Map<String, Json> {
        let ip = match self.ip {
            // Mesos keeps the four bytes in the order of the network, read as a number of the machine.
            IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()),
            IpAddr::V6(_) => 0,
        };
        let capabilities = Self::CAPABILITIES.map(|name| json!({ "type": name }));
        let info = json!({
            "id": self.id, "ip": ip, "port": self.port, "pid": self.pid(), "hostname": self.hostname,
            "version": Self::VERSION,
            "address": {"hostname": self.hostname, "ip": self.ip.to_string(), "port": self.port},
            "capabilities": capabilities,
        });
        let mut info = if let Json::Object(info) = info { info } else { Map::new() };
        if let Some(Domain { region, zone }) = &self.config.options.domain {
            let domain = json!({"region": {"name": region}, "zone": {"name": zone}});
            info.insert("domain".to_owned(), json!({ "fault_domain": domain }));
        }
        info
    }
}
