//! [`Probe`]: a check of a task as it is made once; [`Outcome`]: its result; [`Attempt`]: one under way.

use crate::process::{Exit, Process};
use crate::spawn::ProcessBuilder;
use crate::tree::Tree;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use ureq::Agent;

/// The redirects that are followed in a check by HTTP (curl's default, which Mesos' checks have).
pub const REDIRECTS: u32 = 50;

/// What is asked of a task.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of Mesos' CheckInfo")]
pub enum Probe {
    /// A process must exit with 0. It gets the task's environment, user and sandbox from the caller.
    Command(Box<ProcessBuilder>),
    /// A GET request must be answered with a status from 200 to 399.
    Http {
        /// Where the request goes: `127.0.0.1`, or the address of a container in a network of its own.
        address: SocketAddr,
        /// The path, with its query.
        path: String,
        /// How many redirects are followed at most; see [`REDIRECTS`].
        redirects: u32,
    },
    /// The same by HTTPS. No certificate is checked (Mesos' checks run `curl -k`): whoever listens at this port is the task.
    #[cfg(feature = "fetch")]
    #[cfg_attr(docsrs, doc(cfg(feature = "fetch")))]
    Https {
        /// Where the request goes.
        address: SocketAddr,
        /// The path, with its query.
        path: String,
        /// How many redirects are followed at most; see [`REDIRECTS`].
        redirects: u32,
    },
    /// A connection must be accepted.
    Tcp(SocketAddr),
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The command ended like this.
    Command(Exit),
    /// The request was answered with this status.
    Http(u16),
    /// The connection was accepted, or it was not and this is why.
    Tcp(Result<(), String>),
    /// There is no result: the command cannot be started, or the request was not answered.
    Failed(String),
    /// There was no result in this time.
    TimedOut(Duration),
}

impl Outcome {
    /// Judges the result as Mesos' health checks do: exit 0, a status from 200 to 399, a connection.
    ///
    /// # Errors
    ///
    /// Why the task is not healthy.
    pub fn judge(&self) -> Result<(), String> {
        match self {
            Self::Command(Exit::Status(status)) if status.is_success() => Ok(()),
            Self::Command(exit) => Err(exit.to_string()),
            Self::Http(200..=399) => Ok(()),
            Self::Http(status) => Err(format!("found HTTP status {status}, expected one from 200 to 399")),
            Self::Tcp(result) => result.clone(),
            Self::Failed(why) => Err(why.clone()),
            Self::TimedOut(limit) => Err(format!("it took longer than {} s", limit.as_secs_f64())),
        }
    }
}

/// A check under way. Dropping it kills its command.
#[derive(Debug)]
pub struct Attempt {
    process: Option<Arc<Process>>,
}

impl Attempt {
    /// Starts a check; `done` is called with the result on another thread, once, when `timeout` is over at the latest.
    ///
    /// # Errors
    ///
    /// The system's error if there can be no other thread. A command that cannot be started is a result.
    pub fn begin(probe: Probe, timeout: Duration, done: impl FnOnce(Outcome) + Send + 'static) -> io::Result<Self> {
        let thread = thread::Builder::new().name("check".to_owned());
        let builder = match probe {
            Probe::Command(builder) => builder,
            Probe::Http { address, path, redirects } => {
                let url = format!("http://{address}{path}");
                thread.spawn(move || done(request(&url, redirects, timeout)))?;
                return Ok(Self { process: None });
            }
            #[cfg(feature = "fetch")]
            Probe::Https { address, path, redirects } => {
                let url = format!("https://{address}{path}");
                thread.spawn(move || done(request(&url, redirects, timeout)))?;
                return Ok(Self { process: None });
            }
            Probe::Tcp(address) => {
                thread.spawn(move || done(connect(address, timeout)))?;
                return Ok(Self { process: None });
            }
        };
        // The thread comes before the process: without it the end of the process would go unnoticed.
        let slot: Arc<Mutex<Option<Arc<Process>>>> = Arc::default();
        let (started, is_started) = std::sync::mpsc::sync_channel(1);
        let shared = slot.clone();
        thread.spawn(move || match builder.spawn() {
            Ok(process) => {
                let process = Arc::new(process);
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.clone());
                let _ = started.send(()); // the other end waits
                finish(&process, timeout, done);
            }
            Err(error) => {
                let _ = started.send(());
                done(Outcome::Failed(error.to_string()));
            }
        })?;
        let _ = is_started.recv(); // it comes as soon as the process runs, or has failed
        let process = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Self { process })
    }
}

impl Attempt {
    /// Returns the processes of the check, if there are any.
    pub fn tree(&self) -> Option<&Tree> {
        self.process.as_deref().map(Process::tree)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.kill();
        }
    }
}

fn finish(process: &Process, timeout: Duration, done: impl FnOnce(Outcome)) {
    match process.wait_timeout(timeout) {
        Ok(Some(exit)) => done(Outcome::Command(exit)),
        Ok(None) => {
            process.kill();
            done(Outcome::TimedOut(timeout));
            let _ = process.wait(); // its status is of no use
        }
        Err(error) => {
            process.kill();
            done(Outcome::Failed(error.to_string()));
        }
    }
}

fn connect(address: SocketAddr, timeout: Duration) -> Outcome {
    match TcpStream::connect_timeout(&address, timeout) {
        Ok(_) => Outcome::Tcp(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Outcome::TimedOut(timeout),
        Err(error) => Outcome::Tcp(Err(error.to_string())),
    }
}

fn request(url: &str, redirects: u32, timeout: Duration) -> Outcome {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(redirects)
        .max_redirects_will_error(redirects > 0)
        .proxy(None);
    #[cfg(feature = "fetch")]
    let config = config.tls_config(crate::tls::of_anybody());
    let agent = Agent::new_with_config(config.build());
    match agent.get(url).call() {
        Ok(answer) => Outcome::Http(answer.status().as_u16()),
        Err(ureq::Error::Timeout(_)) => Outcome::TimedOut(timeout),
        // A redirect that does not say where to: its status is the result, as for curl.
        Err(ureq::Error::Protocol(_)) if redirects > 0 => request(url, 0, timeout),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
