//! [`Fleet`]: the agents of `apportion up`, each a process of its own, which are started again when they fail.

use crate::agent::PARENT;
use crate::master_flags::RealFlags;
use apportion_agent::DetectError;
use apportion_exec::{Process, ProcessBuilder, SpawnError};
use rustix::process::Signal;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// The longest that an agent takes to tell its address.
const START: Duration = Duration::from_secs(30);

/// The longest that agents have to end their tasks and themselves.
const END: Duration = Duration::from_secs(20);

/// The pause before an agent that has failed is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// The time that executors have to come back to an agent that is started again. Some take as long as Mesos' default, 2 s.
const RETURN: Duration = Duration::from_secs(15);

/// The pause between two looks at what an agent tells.
const LOOK: Duration = Duration::from_millis(20);

/// The ports that all agents have together.
const PORTS: std::ops::RangeInclusive<u32> = 31_000..=32_000;

/// The agents of a master on this machine.
pub(crate) struct Fleet {
    /// The file of this program, which may be replaced while it runs.
    program: PathBuf,
    agents: Vec<Agent>,
    ends: (mpsc::UnboundedSender<usize>, mpsc::UnboundedReceiver<usize>),
    folder: PathBuf,
    /// The folder, if it goes with the agents.
    _temporary: Option<TempDir>,
}

struct Agent {
    folder: PathBuf,
    arguments: Vec<String>,
    port: u16,
    process: Option<Arc<Process>>,
    address: String,
}

/// The reason why there are no agents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the resources of the agents: {0}")]
    Resources(#[from] DetectError),
    #[error("agent {number} cannot be started: {error}")]
    Start { number: usize, error: SpawnError },
    #[error("agent {number} does not run: {why}")]
    Ended { number: usize, why: String },
}

impl Fleet {
    /// Starts agents of a master. Their folders are below that of the master, or else below a new one that is removed at the end.
    pub(crate) async fn start(
        flags: &RealFlags,
        work_dir: Option<&Path>,
        ip: IpAddr,
        master: SocketAddr,
        first_port: u16,
    ) -> Result<Self, FleetError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| FleetError::File { path, error }
        };
        let (folder, temporary) = match work_dir {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let made = tempfile::Builder::new().prefix("apportion-").tempdir();
                let made = made.map_err(failed(&std::env::temp_dir()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let program = std::env::current_exe().map_err(failed(Path::new("/proc/self/exe")))?;
        let mut fleet =
            Self { program, agents: Vec::new(), ends: mpsc::unbounded_channel(), folder, _temporary: temporary };
        for index in 0..flags.agents {
            let folder = fleet.folder.join(format!("agent-{}", index + 1));
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
            let resources = match &flags.resources {
                Some(resources) => resources.to_string(),
                None => share(&folder, index, flags.agents)?,
            };
            let arguments = vec![
                format!("--master={master}"),
                format!("--ip={ip}"),
                format!("--work_dir={}", folder.display()),
                format!("--resources={resources}"),
                "--containerizers=docker,mesos".to_owned(),
                format!("--executor_reregistration_timeout={}secs", RETURN.as_secs()),
            ];
            let next = u16::try_from(index + 1).ok().and_then(|offset| first_port.checked_add(offset));
            let port = if first_port == 0 { 0 } else { next.unwrap_or(0) };
            fleet.agents.push(Agent { folder, arguments, port, process: None, address: String::new() });
        }
        for index in 0..fleet.agents.len() {
            if let Err(error) = fleet.begin(index) {
                fleet.end().await;
                return Err(error);
            }
        }
        for index in 0..fleet.agents.len() {
            if let Err(error) = fleet.await_address(index).await {
                fleet.end().await;
                return Err(error);
            }
        }
        Ok(fleet)
    }

    /// Returns the addresses of the agents, and the folder that has theirs.
    pub(crate) fn told(&self) -> (Vec<&str>, &Path) {
        (self.agents.iter().map(|agent| &*agent.address).collect(), &self.folder)
    }

    /// Starts agents again that have ended, until the future is dropped.
    pub(crate) async fn keep(&mut self) {
        while let Some(index) = self.ends.1.recv().await {
            let agent = &mut self.agents[index];
            let ended = agent.process.take().and_then(|process| process.wait().ok()); // it has ended already
            let number = index + 1;
            if ended.and_then(|exit| exit.status()).is_some_and(|status| status.is_success()) {
                tracing::info!(agent = number, "an agent has left");
                continue;
            }
            let how = ended.map(|exit| exit.to_string()).unwrap_or_default();
            tracing::warn!(agent = number, how, "an agent has failed: it is started again");
            sleep(PAUSE).await;
            if let Err(error) = self.begin(index) {
                tracing::error!(agent = number, %error, "an agent is lost");
            }
        }
    }

    /// Takes the agents out of the cluster, which ends their tasks, and waits until they have ended.
    pub(crate) async fn end(&mut self) {
        let deadline = Instant::now() + END;
        for process in self.agents.iter().filter_map(|agent| agent.process.as_ref()) {
            process.signal(Signal::USR1);
        }
        while self.agents.iter().any(|agent| agent.process.is_some()) {
            match timeout_at(deadline, self.ends.1.recv()).await {
                Ok(Some(index)) => self.agents[index].process = None,
                Ok(None) | Err(_) => break,
            }
        }
        self.kill();
    }

    /// Ends the agents at once, with all that they have started.
    pub(crate) fn kill(&mut self) {
        for process in self.agents.iter_mut().filter_map(|agent| agent.process.take()) {
            process.kill();
        }
    }

    /// Starts an agent. It is done on the thread that lives to the end of this program, with which the agent ends.
    fn begin(&mut self, index: usize) -> Result<(), FleetError> {
        let number = index + 1;
        let agent = &mut self.agents[index];
        let output = |name: &str| {
            let path = agent.folder.join(name);
            let opened = OpenOptions::new().append(true).create(true).open(&path);
            opened.map_err(|error| FleetError::File { path, error })
        };
        let told = agent.folder.join(ADDRESS);
        let stdout = File::create(&told).map_err(|error| FleetError::File { path: told, error })?;
        // Variables of this program are flags of the master.
        let variables = std::env::vars_os().filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"APPORTION_"));
        let arguments =
            ["agent".to_owned(), format!("--port={}", agent.port)].into_iter().chain(agent.arguments.clone());
        let process = ProcessBuilder::new(
            std::iter::once(self.program.clone().into_os_string()).chain(arguments.map(Into::into)),
        )
        .variables(variables)
        .variable(PARENT, std::process::id().to_string())
        .directory(&agent.folder)
        .stdout(stdout)
        .stderr(output("stderr")?)
        .spawn()
        .map_err(|error| FleetError::Start { number, error })?;
        let process = Arc::new(process);
        agent.process = Some(process.clone());
        let ends = self.ends.0.clone();
        tokio::task::spawn_blocking(move || {
            let _ = process.wait(); // how it ended is asked again
            let _ = ends.send(index); // this program may be at its end
        });
        Ok(())
    }

    /// Waits until an agent has told its address, which it keeps when it is started again.
    async fn await_address(&mut self, index: usize) -> Result<(), FleetError> {
        let deadline = Instant::now() + START;
        let agent = &mut self.agents[index];
        let number = index + 1;
        let told = agent.folder.join(ADDRESS);
        loop {
            let text = std::fs::read_to_string(&told).unwrap_or_default();
            if let Some(address) = text.split_once("http://").and_then(|(_, rest)| Some(rest.split_once(',')?.0)) {
                address.clone_into(&mut agent.address);
                agent.port = address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(agent.port);
                return Ok(());
            }
            let is_running = agent.process.as_ref().is_some_and(|process| process.is_running());
            if !is_running || Instant::now() >= deadline {
                let said = std::fs::read_to_string(agent.folder.join("stderr")).unwrap_or_default();
                let why = said.lines().last().unwrap_or("it has not told its address").to_owned();
                return Err(FleetError::Ended { number, why });
            }
            sleep(LOOK).await;
        }
    }
}

/// The file in which an agent tells its address.
const ADDRESS: &str = "stdout";

/// Returns an agent's share of this machine: all CPUs, which tasks share as they need them, and a part of everything else.
fn share(folder: &Path, index: u32, agents: u32) -> Result<String, DetectError> {
    let (all, _) = apportion_agent::resources("", None, folder)?;
    let part = |name: &str| (all.amount(name).as_f64() / f64::from(agents)).floor();
    let width = (PORTS.end() - PORTS.start() + 1) / agents.max(1);
    let begin = PORTS.start() + index * width;
    let ports = if width == 0 { String::new() } else { format!(";ports:[{begin}-{}]", begin + width - 1) };
    Ok(format!("mem:{};disk:{}{ports}", part("mem"), part("disk")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::Resources;

    #[test]
    fn agents_have_ports_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let shares: Vec<Resources> =
            (0..3).map(|index| share(folder.path(), index, 3).unwrap().parse().unwrap()).collect();
        let ports: Vec<String> =
            shares.iter().map(|share| share.to_string().split("ports").nth(1).unwrap().to_owned()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports[0].contains("31000-31332") && ports[1].contains("31333-31665"), "{ports:?}");
        let alone = share(folder.path(), 0, 1).unwrap();
        assert!(alone.ends_with("ports:[31000-32000]"), "{alone}");
    }
}
