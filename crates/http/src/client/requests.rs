//! [`Requests`]: the HTTP below both clients: requests that are on their way, and what comes back.

use apportion::v1::connection::{Answer, HttpRequest, RequestId};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// A piece of the answer to a request.
pub(super) type Piece = (RequestId, Answer);

/// The pieces of answers that wait for their client; their readers wait for room.
const MAX_ANSWERS: usize = 64;

/// The time after which an idle connection is not used again: servers and proxies close theirs after 60 s and more, and a call that
/// meets the close would be lost.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// The time after which an idle connection may have been closed without our notice.
const MAY_BE_CLOSED: Duration = Duration::from_secs(1);

/// The requests of a client. A stream has a connection of its own, calls share one that is kept alive.
#[derive(Debug)]
pub(super) struct Requests {
    open: BTreeMap<RequestId, Open>,
    tasks: JoinSet<()>,
    kept: Arc<Mutex<Option<Kept>>>,
    answers: (mpsc::Sender<Piece>, mpsc::Receiver<Piece>),
}

/// A request that is on its way.
#[derive(Debug)]
struct Open {
    is_stream: bool,
    task: AbortHandle,
}

/// The connection of calls while no call is on its way over it.
#[derive(Debug)]
struct Kept {
    authority: String,
    sender: Sender,
    since: Instant,
}

/// The end of a connection at which requests are sent.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

impl Requests {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), tasks: JoinSet::new(), kept: Arc::default(), answers: mpsc::channel(MAX_ANSWERS) }
    }

    /// Sends a request in a task of its own.
    pub(super) fn send(&mut self, request: HttpRequest) {
        tracing::debug!(url = request.url, id = %request.id, "a request is sent");
        let (id, is_stream) = (request.id, request.is_stream);
        let (kept, answers) = (self.kept.clone(), self.answers.0.clone());
        let sent = async move {
            let result =
                if is_stream { stream(&request, &answers).await } else { call(&kept, &request, &answers).await };
            let last = result.map_or_else(Answer::Failed, |()| Answer::End);
            let _ = answers.send((id, last)).await; // it fails when the client is dropped
        };
        let task = self.tasks.spawn(sent);
        self.open.insert(id, Open { is_stream, task });
    }

    /// Closes the requests of which nobody awaits the rest.
    pub(super) fn close_unless(&mut self, is_awaited: impl Fn(RequestId) -> bool) {
        self.open.retain(|id, open| {
            let is_awaited = is_awaited(*id);
            if !is_awaited {
                open.task.abort();
            }
            is_awaited
        });
    }

    /// Returns whether a stream is open or asked for.
    pub(super) fn has_stream(&self) -> bool {
        self.open.values().any(|open| open.is_stream)
    }

    /// Waits for the next piece of an answer. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Piece {
        loop {
            tokio::select! {
                Some(piece) = self.answers.1.recv() => return piece,
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }
}

/// Sends a request over a connection of its own.
async fn stream(request: &HttpRequest, answers: &mpsc::Sender<Piece>) -> Result<(), String> {
    let mut sender = connect(request).await?;
    exchange(&mut sender, request, answers).await.map_err(|error| error.to_string())
}

/// Sends a call over the connection of before, or a new one if that has ended.
async fn call(kept: &Mutex<Option<Kept>>, request: &HttpRequest, answers: &mpsc::Sender<Piece>) -> Result<(), String> {
    let mut kept = kept.lock().await;
    let is_usable = |kept: &Kept| kept.authority == request.authority() && kept.since.elapsed() < MAX_IDLE;
    let before = kept.take().filter(is_usable);
    if before.as_ref().is_some_and(|kept| kept.since.elapsed() >= MAY_BE_CLOSED) {
        tokio::task::yield_now().await; // the runtime looks at its sockets: a close that has come is noticed before the call is sent
    }
    if let Some(Kept { mut sender, .. }) = before
        && sender.ready().await.is_ok()
    {
        match exchange(&mut sender, request, answers).await {
            Ok(()) => {
                *kept = Some(Kept { authority: request.authority().to_owned(), sender, since: Instant::now() });
                return Ok(());
            }
            // The server had closed it, and nothing of the call was sent.
            Err(ExchangeError::Http(error)) if error.is_canceled() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let mut sender = connect(request).await?;
    exchange(&mut sender, request, answers).await.map_err(|error| error.to_string())?;
    *kept = Some(Kept { authority: request.authority().to_owned(), sender, since: Instant::now() });
    Ok(())
}

/// Connects to the host of a request.
async fn connect(request: &HttpRequest) -> Result<Sender, String> {
    let authority = request.authority();
    if request.url.starts_with("https:") {
        return Err(format!("{}: there is no TLS here, expected http:// (a proxy may add TLS)", request.url));
    }
    connect_to(authority).await
}

/// Connects to `host:port`.
pub(crate) async fn connect_to(authority: &str) -> Result<Sender, String> {
    let failed = |error: std::io::Error| format!("{authority}: {error}");
    let socket = TcpStream::connect(authority).await.map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?; // calls are written whole
    let (sender, connection) =
        http1::handshake(TokioIo::new(socket)).await.map_err(|error| format!("{authority}: {error}"))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke off");
        }
    });
    Ok(sender)
}

/// The reason why an exchange has failed.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error(transparent)]
    Head(#[from] http::Error),
    #[error("{}", with_source(.0))]
    Http(#[from] hyper::Error),
    #[error("the client has ended")]
    Ended,
}

/// Returns an error with its cause: hyper's own words say only where it was met.
fn with_source(error: &hyper::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Sends a request and passes on what comes back, piece by piece, up to the end.
async fn exchange(
    sender: &mut Sender,
    request: &HttpRequest,
    answers: &mpsc::Sender<Piece>,
) -> Result<(), ExchangeError> {
    let head = Request::builder().method(HttpRequest::METHOD).uri(request.path()).header("Host", request.authority());
    let head = request.headers.iter().fold(head, |head, (name, value)| head.header(name, value));
    let body = Full::new(Bytes::from(request.body.clone()));
    let answer = sender.send_request(head.body(body)?).await?;
    let head = Answer::head(answer.status().as_u16(), answer.headers());
    let mut body = answer.into_body();
    answers.send((request.id, head)).await.map_err(|_| ExchangeError::Ended)?;
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            answers.send((request.id, Answer::Bytes(piece.into()))).await.map_err(|_| ExchangeError::Ended)?;
        }
    }
    Ok(())
}
