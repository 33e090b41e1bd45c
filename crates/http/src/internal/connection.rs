//! [`AgentConnection`]: the agent's end of a connection to the leading master.

use super::message::{AgentCall, MasterEvent};
use crate::client::requests::{Sender, connect_to};
use crate::client::{Masters, MastersError};
use crate::scheduler_api::STREAM_ID;
use apportion::v1::RecordReader;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// The path of the protocol on a master.
pub(crate) const PATH: &str = "/internal/v1/agent";

/// The number of calls that may wait for the master.
const MAX_CALLS: usize = 1 << 16;

/// The number of events that may wait for the agent; the master keeps further ones.
const MAX_EVENTS: usize = 64;

/// The number of redirects in a row that are followed.
const MAX_REDIRECTS: usize = 5;

/// The time that a master has to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest reason of a refusal that is read, in bytes.
const MAX_REASON: usize = 4096;

/// The time after which an idle connection for calls is not used again: servers close theirs later.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// An open connection of an agent to the leading master: events come over a stream, calls go in order over another connection.
///
/// It ends when the stream breaks, when a call is not taken, or when more calls wait than it keeps: then the agent
/// opens another one, with all that it runs. When to try again is the caller's to decide: Mesos' agents wait for a random time in
/// [0, 1 s], doubled with each attempt up to a minute.
///
/// Dropping it closes both connections.
///
/// # Examples
///
/// ```
/// use apportion::{Agent, Uuid};
/// use apportion_http::client::Masters;
/// use apportion_http::internal::{AgentCall, AgentConnection, MasterEvent, Register};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # use apportion_http::{NoAgents, Server, Settings};
/// # let server = Server::start(Settings::default(), NoAgents);
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// # tokio::spawn(server.serve(listener));
/// let masters: Masters = "m1:5050,m2:5050".parse()?;
/// # let masters: Masters = address.to_string().parse()?;
/// let agent = Agent::new("", "cpus:4;mem:1024".parse()?).hostname("host-1");
/// let register = Register::new(agent, ([10, 0, 0, 7], 5051).into(), Uuid::from_seed(7, 1));
/// let mut connection = AgentConnection::open(&masters, &AgentCall::Register(Box::new(register))).await?;
/// let MasterEvent::Registered(welcome) = connection.next().await? else { panic!("no welcome") };
/// println!("registered as {}", welcome.agent_id);
///
/// connection.calls().send(AgentCall::Unregister);
/// assert!(connection.next().await.is_err()); // the master has closed it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AgentConnection {
    master: String,
    events: mpsc::Receiver<MasterEvent>,
    calls: AgentCalls,
    /// The reason why it has ended, as the first of the tasks saw it.
    ended: Arc<Mutex<Option<String>>>,
    _tasks: JoinSet<()>,
}

/// The end of a connection at which an agent hands in its calls, which are sent one after the other.
#[derive(Debug, Clone)]
pub struct AgentCalls {
    queue: mpsc::Sender<AgentCall>,
    overflow: Arc<tokio::sync::Notify>,
}

impl AgentCalls {
    /// Queues a call. If the connection has ended, the call is dropped: with the next one the agent tells all that it runs. A
    /// connection with more than 65,536 calls in its queue ends.
    pub fn send(&self, call: AgentCall) {
        match self.queue.try_send(call) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => self.overflow.notify_one(),
        }
    }
}

/// The reason why no connection could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It is not known where the masters are.
    #[error(transparent)]
    Masters(#[from] MastersError),
    /// No master has taken the agent in.
    #[error("no master has answered: {}", .tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoLeader {
        /// The masters that were asked, and what came of it.
        tried: Vec<Tried>,
    },
}

/// A master that was asked, and why it has not taken the agent in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// The address of the master.
    pub master: String,
    /// The reason.
    pub why: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.master, self.why)
    }
}

/// The reason why a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the master has ended: {why}")]
#[non_exhaustive]
pub struct LinkEnded {
    /// The reason for people.
    pub why: String,
}

impl AgentConnection {
    /// Opens a connection to the leading one of these masters, with a [`Register`](AgentCall::Register) or a
    /// [`Reregister`](AgentCall::Reregister). The masters are tried in turn; redirects to the leader are followed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] when none has answered with a stream.
    pub async fn open(masters: &Masters, first: &AgentCall) -> Result<Self, ConnectError> {
        let body = encoded(first);
        let mut tried = Vec::new();
        for master in masters.addresses()? {
            match open_at(&master, &body).await {
                Ok(connection) => return Ok(connection),
                Err(failed) => tried.push(failed),
            }
        }
        Err(ConnectError::NoLeader { tried })
    }

    /// Waits for the next event. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`LinkEnded`] when the connection has ended. It stays ended.
    pub async fn next(&mut self) -> Result<MasterEvent, LinkEnded> {
        let event = self.events.recv().await;
        event.ok_or_else(|| {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
            LinkEnded { why: ended.unwrap_or_else(|| "the runtime shuts down".to_owned()) }
        })
    }

    /// Returns the end at which calls are handed in.
    #[must_use]
    pub fn calls(&self) -> AgentCalls {
        self.calls.clone()
    }

    /// Returns the address of the master, `host:port`.
    #[must_use]
    pub fn master(&self) -> &str {
        &self.master
    }
}

fn encoded(call: &AgentCall) -> Bytes {
    serde_json::to_vec(call).expect("all keys of a call are text").into()
}

/// Returns the `host:port` of an address, or of a `Location`.
fn authority(address: &str) -> Result<String, String> {
    let rest = match address.split_once("//") {
        Some(("http:" | "", rest)) => rest,
        Some(_) => return Err(format!("{address:?}: expected http://host:port")),
        None => address,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._~:[]%".contains(c);
    if authority.is_empty() || !authority.chars().all(is_host) {
        return Err(format!("{address:?}: expected host:port"));
    }
    Ok(authority.to_owned())
}

/// Opens a connection at a master, or at the one that it names.
async fn open_at(address: &str, body: &Bytes) -> Result<AgentConnection, Tried> {
    let mut master = address.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let failed = |why| Tried { master: master.clone(), why };
        let authority = authority(&master).map_err(failed)?;
        let mut sender = within(connect_to(&authority)).await.map_err(failed)?;
        let answer =
            async { post(&mut sender, &authority, None, body.clone()).await.map_err(|error| error.to_string()) };
        let answer = within(answer).await.map_err(failed)?;
        let header = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (answer.status(), header(STREAM_ID), header(LOCATION.as_str())) {
            (StatusCode::OK, Some(stream), _) => return Ok(started(authority, stream.to_owned(), answer)),
            (StatusCode::TEMPORARY_REDIRECT, _, Some(location)) => master = location.to_owned(),
            _ => {
                let why = reason(answer).await;
                return Err(failed(why));
            }
        }
    }
    Err(Tried { master, why: format!("more than {MAX_REDIRECTS} redirects in a row") })
}

/// Bounds the time that a master has to answer.
async fn within<T>(answer: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()));
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(late)
}

/// Returns the status of a refusal with its reason.
async fn reason(answer: Response<Incoming>) -> String {
    let status = answer.status();
    let body = timeout(ANSWER_TIMEOUT, Limited::new(answer.into_body(), MAX_REASON).collect()).await;
    let text = body.ok().and_then(Result::ok).map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    format!("{status}: {}", text.unwrap_or_default())
}

/// The reason why there is no answer to a call.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error(transparent)]
    Head(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

async fn post(
    sender: &mut Sender,
    authority: &str,
    stream: Option<&str>,
    body: Bytes,
) -> Result<Response<Incoming>, PostError> {
    let request = Request::post(PATH).header("Host", authority).header(CONTENT_TYPE, "application/json");
    let request = match stream {
        Some(stream) => request.header(STREAM_ID, stream),
        None => request,
    };
    Ok(sender.send_request(request.body(Full::new(body))?).await?)
}

/// Starts the tasks of a connection whose stream is open.
fn started(master: String, stream: String, answer: Response<Incoming>) -> AgentConnection {
    let (event_sender, events) = mpsc::channel(MAX_EVENTS);
    let (queue, mut calls) = mpsc::channel(MAX_CALLS);
    let overflow = Arc::new(tokio::sync::Notify::new());
    let ended = Arc::new(Mutex::new(None));
    let mut tasks = JoinSet::new();
    let (overflowed, why, authority) = (overflow.clone(), ended.clone(), master.clone());
    // One task for both: when either direction ends, so does the connection.
    tasks.spawn(async move {
        let reason = tokio::select! {
            why = read(answer.into_body(), &event_sender) => why,
            why = write(&authority, &stream, &mut calls) => why,
            () = overflowed.notified() => format!("more than {MAX_CALLS} calls wait for the master"),
        };
        *why.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        drop(event_sender);
    });
    AgentConnection { master, events, calls: AgentCalls { queue, overflow }, ended, _tasks: tasks }
}

/// Passes on the events of a stream. Returns why it has ended.
async fn read(mut body: Incoming, events: &mpsc::Sender<MasterEvent>) -> String {
    let mut records = RecordReader::default();
    loop {
        let piece = match body.frame().await {
            None => return "the master has closed the stream".to_owned(),
            Some(Err(error)) => return error.to_string(),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        let mut piece = &piece[..];
        loop {
            match records.read(&mut piece) {
                Ok(Some(record)) => match serde_json::from_slice(&record) {
                    Ok(event) => {
                        if events.send(event).await.is_err() {
                            return "nobody reads any more".to_owned();
                        }
                    }
                    Err(error) => tracing::warn!(%error, bytes = record.len(), "an event of the master cannot be read"),
                },
                Ok(None) => break,
                Err(error) => return error.to_string(),
            }
        }
    }
}

/// Sends calls one after the other. Returns why it does not go on.
async fn write(authority: &str, stream: &str, calls: &mut mpsc::Receiver<AgentCall>) -> String {
    let mut kept = None;
    loop {
        let Some(call) = calls.recv().await else { std::future::pending().await };
        let (sender, answer) = match within(call_over(kept.take(), authority, stream, encoded(&call))).await {
            Ok(answered) => answered,
            Err(why) => return format!("a call could not be sent: {why}"),
        };
        if answer.status() != StatusCode::ACCEPTED {
            return format!("the master has refused a call: {}", reason(answer).await);
        }
        let _ = answer.into_body().collect().await; // empty; what follows it shows when the connection is used again
        kept = Some((sender, Instant::now()));
    }
}

/// Sends a call over the connection of the one before, or a new one if the master has closed that.
async fn call_over(
    kept: Option<(Sender, Instant)>,
    authority: &str,
    stream: &str,
    body: Bytes,
) -> Result<(Sender, Response<Incoming>), String> {
    if let Some((mut sender, _)) = kept.filter(|(_, since)| since.elapsed() < MAX_IDLE)
        && sender.ready().await.is_ok()
    {
        match post(&mut sender, authority, Some(stream), body.clone()).await {
            Ok(answer) => return Ok((sender, answer)),
            Err(PostError::Http(error)) if error.is_canceled() => {} // nothing of the call was sent
            Err(error) => return Err(error.to_string()),
        }
    }
    let mut sender = connect_to(authority).await?;
    let answer = post(&mut sender, authority, Some(stream), body).await.map_err(|error| error.to_string())?;
    Ok((sender, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_host_or_a_whole_url() {
        for (text, expected) in [
            ("m1:5050", Some("m1:5050")),
            ("//m2:5050/internal/v1/agent", Some("m2:5050")),
            ("http://[::1]:5050", Some("[::1]:5050")),
            ("https://m2", None),
            ("//m2\r\nEvil: 1", None),
            ("", None),
        ] {
            assert_eq!(authority(text).ok().as_deref(), expected, "{text}");
        }
    }
}
