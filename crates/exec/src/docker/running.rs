//! A container that was started: it is waited for, stopped and looked into until the engine says that it has ended.

use std::net::IpAddr;
use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerInspectResponse, ExecConfig};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::logs::{self, Output};
use super::{Engine, EngineError, timestamp};

/// A container of an engine. Dropping it ends neither the container nor the engine's copy of its output.
#[derive(Debug)]
pub struct Running {
    engine: Engine,
    name: String,
    output: Option<Following>,
}

#[derive(Debug)]
struct Following {
    task: JoinHandle<()>,
    complete: watch::Receiver<bool>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The exit code: 128 and the number of the signal if it ended by one. Nothing if the engine does not know the container any more.
    pub exit_code: Option<i64>,
    /// Whether the engine saw the kernel kill a process of it for want of memory. A code of 137 alone does not say so.
    pub out_of_memory: bool,
    /// The engine's words, if it has some.
    pub error: Option<String>,
}

/// What the engine knows of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Whether it runs.
    pub running: bool,
    /// Its first process, as the host numbers it, while it runs.
    pub pid: Option<u32>,
    /// Its exit code, of the last run.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed a process of it for want of memory.
    pub out_of_memory: bool,
    /// The engine's words, if it could not start.
    pub error: Option<String>,
    /// Its addresses in networks of its own, in the order of the networks' names: none with the network HOST.
    pub addresses: Vec<IpAddr>,
    /// When it started, since the Unix epoch; nothing if it never did.
    pub started_at: Option<Duration>,
    /// When it ended, since the Unix epoch; nothing if it has not.
    pub finished_at: Option<Duration>,
}

impl Inspection {
    pub(super) fn of(found: ContainerInspectResponse) -> Self {
        let state = found.state.unwrap_or_default();
        let networks = found.network_settings.and_then(|settings| settings.networks);
        let mut networks: Vec<_> = networks.into_iter().flatten().collect();
        networks.sort_by(|(one, _), (other, _)| one.cmp(other));
        let texts = networks.into_iter().flat_map(|(_, network)| [network.ip_address, network.global_ipv6_address]);
        let time = |text: Option<String>| text.as_deref().and_then(timestamp::parse);
        Self {
            running: state.running == Some(true),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0),
            exit_code: state.exit_code,
            out_of_memory: state.oom_killed == Some(true),
            error: state.error.filter(|error| !error.is_empty()),
            addresses: texts.flatten().filter_map(|text| text.parse().ok()).collect(),
            started_at: time(state.started_at),
            finished_at: time(state.finished_at),
        }
    }
}

impl Running {
    pub(super) fn follow(engine: Engine, name: &str, output: Output) -> Self {
        let (done, complete) = watch::channel(false);
        let (of, named) = (engine.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            logs::follow(&of, &named, output).await;
            done.send_replace(true);
        });
        Self { engine, name: name.to_owned(), output: Some(Following { task, complete }) }
    }

    pub(super) fn quiet(engine: Engine, name: &str) -> Self {
        Self { engine, name: name.to_owned(), output: None }
    }

    /// Returns the container's name for the engine.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the container has ended and its output is written.
    ///
    /// An engine that is gone, or answers with errors, is asked again: after 1 s, doubling to 30 s. Only an engine that says so ends a container: that it does not run, or that there is none.
    pub async fn wait(&self) -> Ended {
        let mut pause = self.engine.pause();
        loop {
            match self.engine.inspect(&self.name).await {
                Ok(found) if !found.running => return self.ended(Some(found)).await,
                Err(error) if error.is_unknown() => return self.ended(None).await,
                Ok(_) => {
                    if self.engine.next_end(&self.name).await.is_ok() {
                        pause.reset();
                        continue;
                    }
                }
                Err(_) => {}
            }
            pause.wait().await;
        }
    }

    async fn ended(&self, found: Option<Inspection>) -> Ended {
        if let Some(output) = &self.output {
            let mut complete = output.complete.clone();
            // An engine that does not let go of the stream holds up nothing else.
            let _ = timeout(self.engine.limit(), complete.wait_for(|&complete| complete)).await;
        }
        match found {
            Some(found) => Ended { exit_code: found.exit_code, out_of_memory: found.out_of_memory, error: found.error },
            None => Ended { exit_code: None, out_of_memory: false, error: None },
        }
    }

    /// Asks the container to end, and kills it when `grace` is over or the engine does not do so: returns when the engine says that it has ended.
    ///
    /// A stop may be dropped and begun again with less grace.
    pub async fn stop(&self, grace: Duration) {
        self.engine.stop(&self.name, grace).await;
    }

    /// Returns what the engine knows of the container.
    ///
    /// # Errors
    ///
    /// The engine's; [`EngineError::is_unknown`] tells that there is no such container.
    pub async fn inspect(&self) -> Result<Inspection, EngineError> {
        self.engine.inspect(&self.name).await
    }

    /// Runs a command in the container, with its environment and user, and returns the exit code: a check of the kind COMMAND.
    ///
    /// # Errors
    ///
    /// [`EngineError::Late`] if the command has not ended within `limit`: it is killed then. Else the engine's.
    pub async fn exec(&self, command: &[String], environment: &[String], limit: Duration) -> Result<i64, EngineError> {
        let what = format!("run a command in the container {}", self.name);
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            env: (!environment.is_empty()).then(|| environment.to_vec()),
            ..ExecConfig::default()
        };
        let docker = &self.engine.docker;
        let id = self.engine.call(&what, docker.create_exec(&self.name, config)).await?.id;
        let run = async {
            let started = docker.start_exec(&id, None::<StartExecOptions>).await;
            if let StartExecResults::Attached { mut output, .. } =
                started.map_err(|error| self.engine.failure(&what, error))?
            {
                while output.next().await.is_some() {} // its end is the command's
            }
            Ok(())
        };
        let in_time = timeout(limit, run).await;
        let found = self.engine.call(&what, docker.inspect_exec(&id)).await?;
        match (in_time, found.running == Some(true), found.exit_code) {
            (Ok(Err(error)), _, _) => Err(error),
            (Ok(Ok(())), false, Some(code)) => Ok(code),
            (_, running, _) => {
                let pid = found.pid.filter(|_| running).and_then(|pid| i32::try_from(pid).ok());
                if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                    // The engine gives each command a session; it may have ended by now.
                    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
                }
                Err(EngineError::Late { socket: self.engine.socket().to_owned(), call: what, limit })
            }
        }
    }

    /// Removes the container, which must have ended.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub async fn remove(&self) -> Result<(), EngineError> {
        self.engine.remove(&self.name).await
    }
}
