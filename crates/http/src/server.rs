//! [`Server`]: runs a master with sockets, a clock and tasks of tokio.

use crate::agents::Agents;
use crate::apportion_api::event_source::Readers;
use crate::apportion_api::inspector::Inspector;
use crate::gate::Gate;
use crate::leader::{Input, Leader};
use crate::leadership::Leadership;
use crate::seen::Renderer;
use crate::service::Service;
use crate::settings::Settings;
use crate::transport::clock::unix_time;
use crate::transport::listener::Listener;
use crate::transport::stream::Signal;
use crate::view::Snapshot;
use apportion::{Command, CommandError, Master, Time};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// The number of calls that may wait for the master; further senders wait for room in the queue.
const MAX_INPUTS: usize = 1024;

/// A master that frameworks connect to.
///
/// The master runs in one task, which owns it; connections run in a task each. A clone is another handle of the same server.
///
/// # Examples
///
/// ```
/// use apportion::{Agent, Command};
/// use apportion_http::{NoAgents, Server, Settings};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let server = Server::start(Settings::default(), NoAgents);
/// server.command(Command::AddAgent(Agent::new("a1", "cpus:4;mem:1024".parse()?).into())).await?;
/// assert_eq!(server.query(|master| master.agents().count()).await?, 1);
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// tokio::spawn(server.serve(listener));
///
/// let mut client = TcpStream::connect(address).await?;
/// client.write_all(b"GET /version HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with(r#"{"version":"1.11.0"}"#), "{answer}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    listener: Listener<Service>,
    /// Its sender goes when the task of the master has ended.
    leading: watch::Receiver<()>,
}

/// The reason why the master does not answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The master has rejected a command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The task of the master has ended: the runtime shuts down.
    #[error("the master has ended")]
    Ended,
}

impl Server {
    /// Starts a master in a task of the runtime that this is called in. It ends with the last handle.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(settings: Settings, agents: impl Agents) -> Self {
        let bounds = settings.bounds();
        let gate = Arc::new(Gate::new(settings, unix_time()));
        let (inputs, received) = mpsc::channel(MAX_INPUTS);
        let (signals, signalled) = mpsc::unbounded_channel();
        let leader = Leader::new(gate.clone(), Box::new(agents), signals);
        let (has_led, leading) = watch::channel(());
        tokio::spawn(async move {
            lead(leader, received, signalled).await;
            drop(has_led);
        });
        let service = Service {
            inspector: Inspector::new(inputs.clone()),
            readers: Readers::new(),
            renderer: Arc::new(Renderer::new(gate.clone())),
            watchers: Arc::default(),
            gate,
            inputs,
        };
        Self { listener: Listener::new(service, bounds), leading }
    }

    /// Tells the server which master leads. A server that is not told leads itself.
    pub fn set_leadership(&self, leadership: Leadership) {
        self.listener.site().gate.set_leadership(leadership);
    }

    /// Has the master handle a command, now.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when the master rejects it, or has ended.
    pub async fn command(&self, command: Command) -> Result<(), ServerError> {
        let (reply, replied) = oneshot::channel();
        let input = Input::Command { command: Box::new(command), reply };
        self.listener.site().inputs.send(input).await.map_err(|_| ServerError::Ended)?;
        Ok(replied.await.map_err(|_| ServerError::Ended)??)
    }

    /// Asks the master something. It waits for the answer with everything else, so the question should be short.
    ///
    /// # Errors
    ///
    /// [`ServerError::Ended`] when the master has ended.
    pub async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Master) -> T + Send + 'static,
    ) -> Result<T, ServerError> {
        let (reply, replied) = oneshot::channel();
        let query = Box::new(move |master: &Master| drop(reply.send(question(master))));
        self.listener.site().inputs.send(Input::Query(query)).await.map_err(|_| ServerError::Ended)?;
        replied.await.map_err(|_| ServerError::Ended)
    }

    /// Returns the state of the cluster at this moment, as operators see it. The master pays a few pointers for it, however large
    /// the cluster is, and the caller pays for what it makes of it.
    ///
    /// # Errors
    ///
    /// [`ServerError::Ended`] when the master has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion_http::{NoAgents, Server, Settings};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let snapshot = Server::start(Settings::default(), NoAgents).snapshot().await?;
    /// assert!(snapshot.get_state().starts_with(r#"{"type":"GET_STATE","get_state":{"get_tasks":{"tasks":[]"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        let (reply, replied) = oneshot::channel();
        self.listener.site().inputs.send(Input::Snapshot(reply)).await.map_err(|_| ServerError::Ended)?;
        replied.await.map_err(|_| ServerError::Ended)
    }

    /// Accepts connections, until the server [shuts down](Self::shutdown). When the future is dropped, all its connections are
    /// cut.
    pub fn serve(&self, socket: TcpListener) -> impl Future<Output = ()> + Send + use<> {
        self.listener.serve(socket)
    }

    /// Shuts the server down: no connection is accepted any more, streams get their end, requests on their way are answered, and
    /// then the master ends. Connections that take longer than `grace`, such as those of clients that do not read, are cut with
    /// the future of [`serve`](Self::serve). The master ends with the last handle, so drop any other one before.
    pub async fn shutdown(self, grace: Duration) {
        let Self { listener, mut leading } = self;
        let ended = async move {
            listener.shutdown().await;
            while leading.changed().await.is_ok() {}
        };
        if timeout(grace, ended).await.is_err() {
            tracing::warn!(?grace, "some connections have not ended in time, and are cut");
        }
    }
}

/// The task of the master: the only one that touches it.
async fn lead(mut leader: Leader, mut inputs: mpsc::Receiver<Input>, mut signals: mpsc::UnboundedReceiver<Signal>) {
    const BATCH: usize = 64;
    let start = Instant::now();
    let mut received = Vec::with_capacity(BATCH);
    loop {
        let wake = leader.poll_timeout().map(|at| start + at.since(Time::ZERO));
        let timer = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let mut signal = None;
        tokio::select! {
            number = inputs.recv_many(&mut received, BATCH) => if number == 0 {
                return; // the last handle has gone
            },
            told = signals.recv() => signal = told,
            () = timer => {}
        }
        let now = Time::ZERO + start.elapsed();
        leader.advance(now);
        if let Some(signal) = signal {
            leader.handle_signal(now, signal);
        }
        for input in received.drain(..) {
            leader.handle(now, input);
        }
        leader.flush(now);
    }
}
