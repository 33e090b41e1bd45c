//! [`Client`]: a scheduler over HTTP, to this master or to a Mesos.

use apportion::scheduler::{Calls, Scheduler};
use apportion::v1::connection::{
    Answer, Codec, Connection, HttpRequest, Output, RequestId, SchedulerDriver, Step, StopReason,
};
use apportion::v1::{Dialect, SchedulerCall};
use apportion::{Call, Event, Time};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::fmt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

/// A [`Scheduler`] over HTTP. What it has to do is decided by [`SchedulerDriver`]: it finds the leading master, subscribes,
/// acknowledges, reconciles, backs off and subscribes again. This gives it sockets and a clock. Each lost connection, dropped call
/// and unreadable event is a `tracing` event.
///
/// The same scheduler runs in a [simulation](apportion::simulation::Cluster), unchanged.
///
/// # Examples
///
/// ```
/// use apportion::v1::connection::{Connection, StopReason};
/// use apportion::{Calls, Call, Framework, Offer, Role, Scheduler};
/// use apportion_http::{Client, NoAgents, Server, Settings};
/// use tokio::net::TcpListener;
///
/// /// Leaves again at its first offer.
/// struct Passerby;
/// impl Scheduler for Passerby {
///     fn offers(&mut self, _: Vec<Offer>, calls: &mut Calls) {
///         calls.push(Call::Teardown);
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let server = Server::start(Settings::default(), NoAgents);
/// # let agent = apportion::Agent::new("a1", "cpus:4;mem:1024".parse()?);
/// # server.command(apportion::Command::AddAgent(agent.into())).await?;
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let master = listener.local_addr()?.to_string();
/// # tokio::spawn(server.serve(listener));
/// let framework = Framework::new("").role(Role::new("web")?);
/// let seed = 7; // of the back-off: drawn anew for each process
/// let mut client = Client::new(Connection::new([master], framework, seed)?, Passerby);
/// assert_eq!(client.run().await, StopReason::TornDown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client<S, K = Dialect> {
    driver: SchedulerDriver<S, K>,
    start: Instant,
    /// The requests that are on their way.
    open: BTreeMap<RequestId, AbortHandle>,
    tasks: JoinSet<()>,
    /// The keep-alive connection of calls.
    calls: Calling,
    answers: (mpsc::Sender<Piece>, mpsc::Receiver<Piece>),
}

/// The connection of calls, with the master that it leads to, while no call is on its way over it.
type Calling = std::sync::Arc<tokio::sync::Mutex<Option<(String, SendRequest<Full<Bytes>>)>>>;

/// A piece of the answer to a request.
type Piece = (RequestId, Answer);

/// The pieces of answers that wait for the scheduler; their readers wait for room.
const MAX_ANSWERS: usize = 64;

impl<S: Scheduler, K: Codec<SchedulerCall, Event>> Client<S, K> {
    /// Returns the client of a scheduler over a new connection, whose clock begins now.
    pub fn new(connection: Connection<K>, scheduler: S) -> Self {
        Self {
            driver: SchedulerDriver::new(connection, scheduler),
            start: Instant::now(),
            open: BTreeMap::new(),
            tasks: JoinSet::new(),
            calls: Calling::default(),
            answers: mpsc::channel(MAX_ANSWERS),
        }
    }

    /// Runs the scheduler until there is nothing more to do, and returns why. Dropping the future between two steps loses nothing:
    /// it may be run again, after [`act`](Self::act) for example.
    pub async fn run(&mut self) -> StopReason {
        loop {
            if let Some(reason) = self.step().await {
                return reason;
            }
        }
    }

    /// Does one step: sends a request, takes an answer, or waits. Returns why there is nothing more to do, if there is not.
    pub async fn step(&mut self) -> Option<StopReason> {
        match self.driver.next(self.now()) {
            Step::Request(request) => self.send(request),
            Step::Log(output) => log(&output),
            Step::Stop(reason) => return Some(reason),
            Step::Wait(longest) => {
                let connection = self.driver.connection();
                self.open.retain(|id, task| {
                    let is_open = connection.is_open(*id);
                    if !is_open {
                        task.abort(); // nobody waits for the rest of the answer
                    }
                    is_open
                });
                tokio::select! {
                    Some((id, answer)) = self.answers.1.recv() => self.driver.handle(self.now(), id, answer),
                    Some(_) = self.tasks.join_next() => {}
                    () = sleep(longest) => {}
                }
            }
        }
        None
    }

    /// Runs an action on the scheduler that no event causes, such as an order of its operator.
    pub fn act(&mut self, action: impl FnOnce(&mut S, &mut Calls)) {
        self.driver.act(self.now(), action);
    }

    /// Returns the scheduler.
    pub fn scheduler(&self) -> &S {
        self.driver.scheduler()
    }

    /// Returns the connection: whether it is subscribed, to which master, as which framework.
    pub fn connection(&self) -> &Connection<K> {
        self.driver.connection()
    }

    fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// Sends a request in a task of its own: a stream over a new connection, a call over that of the calls.
    fn send(&mut self, request: HttpRequest) {
        let (id, calls, answers) = (request.id, self.calls.clone(), self.answers.0.clone());
        let sent = async move {
            let result = if request.is_stream {
                match connect(request.authority()).await {
                    Ok(mut sender) => exchange(&mut sender, &request, &answers).await,
                    Err(why) => Err(why),
                }
            } else {
                call(&calls, &request, &answers).await
            };
            let last = result.map_or_else(Answer::Failed, |()| Answer::End);
            let _ = answers.send((request.id, last)).await; // it fails when the client is dropped
        };
        self.open.insert(id, self.tasks.spawn(sent));
    }
}

impl<S: fmt::Debug, K: fmt::Debug> fmt::Debug for Client<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("driver", &self.driver).field("open", &self.open.keys()).finish_non_exhaustive()
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Sends a call over the connection of before, or a new one if that has ended.
async fn call(calls: &Calling, request: &HttpRequest, answers: &mpsc::Sender<Piece>) -> Result<(), String> {
    let mut kept = calls.lock().await;
    let before = kept.take().filter(|(master, _)| master == request.authority());
    let ready = match before {
        Some((_, mut sender)) => sender.ready().await.is_ok().then_some(sender),
        None => None,
    };
    let mut sender = match ready {
        Some(sender) => sender,
        None => connect(request.authority()).await?,
    };
    exchange(&mut sender, request, answers).await?;
    *kept = Some((request.authority().to_owned(), sender));
    Ok(())
}

async fn connect(authority: &str) -> Result<Sender, String> {
    let socket = TcpStream::connect(authority).await.map_err(|error| error.to_string())?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a master broke off");
        }
    });
    Ok(sender)
}

/// Sends a request and passes on what comes back, piece by piece, up to the end.
async fn exchange(sender: &mut Sender, request: &HttpRequest, answers: &mpsc::Sender<Piece>) -> Result<(), String> {
    let head = Request::builder().method(HttpRequest::METHOD).uri(request.path()).header("Host", request.authority());
    let head = request.headers.iter().fold(head, |head, (name, value)| head.header(name, value));
    let body = Full::new(Bytes::from(request.body.clone()));
    let sent = head.body(body).map_err(|error| error.to_string())?;
    let answer = sender.send_request(sent).await.map_err(|error| error.to_string())?;
    let head = Answer::head(answer.status().as_u16(), answer.headers());
    let mut body = answer.into_body();
    let ended = |_| "the client has ended".to_owned();
    answers.send((request.id, head)).await.map_err(ended)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(piece) = frame.into_data() {
            answers.send((request.id, Answer::Bytes(piece.into()))).await.map_err(ended)?;
        }
    }
    Ok(())
}

fn log(output: &Output<Call, Event>) {
    match output {
        Output::Rejected { call, status, why } => {
            tracing::warn!(kind = call.kind(), status, why, "the master has rejected a call");
        }
        Output::Unreadable { record, why } => tracing::warn!(bytes = record.len(), why, "an event cannot be read"),
        Output::Dropped(_) | Output::AttemptFailed { .. } | Output::Disconnected { .. } => {
            tracing::warn!(?output, "the connection to a master");
        }
        Output::Event(_) | Output::Stopped(_) => {} // the driver has taken these
    }
}
