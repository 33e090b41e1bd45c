//! [`Listener`]: connections to a site, from the socket to a whole request and back, within bounds.

use crate::transport::answer::{Answer, text};
use crate::transport::connections::{Connections, log_end};
use crate::transport::ending::{Ending, shutdown};
use crate::transport::gzip;
use crate::transport::origin;
use crate::transport::request_body::Bodies;
use crate::transport::socket::prepared;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The body of an answer, which is whole or a stream.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// Returns the body of a stream.
pub fn streamed(stream: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Body {
    Either::Right(stream.boxed_unsync())
}

/// The largest head of a request in bytes.
const MAX_HEAD: usize = 64 << 10;

/// A web site: it answers requests that have come whole.
///
/// A [`Listener`] takes care of all that comes before: bounds of heads, bodies and connections, and the `Origin` of what may
/// change something.
pub trait Site: Send + Sync + 'static {
    /// A place of the site, as the path of a request names it.
    type Route: Copy + Send + Sync;
    /// Lives as long as a connection, so that a site can count its connections.
    type Connection: Send;

    /// Notes a new connection.
    fn connected(&self) -> Self::Connection;

    /// Returns the place that a path names.
    fn route(&self, path: &str) -> Self::Route;

    /// Answers a request. An answer that is no stream may be returned as an `Err`, whether it refuses the request or not. The
    /// connection is cut at once, without an end of its stream, when `cut` is notified.
    fn answer(
        &self,
        route: Self::Route,
        request: &Request<Bytes>,
        cut: Arc<Notify>,
    ) -> impl Future<Output = Result<Response<Body>, Answer>> + Send;

    /// Notes an answer, before it is sent; those of the listener itself, too.
    fn answered(&self, route: Self::Route, status: StatusCode) {
        let _ = (route, status);
    }
}

/// Where clients reach a site, and what it lets them do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// The host by which clients reach the site.
    pub hostname: String,
    /// The address by which clients reach the site.
    pub ip: IpAddr,
    /// The port by which clients reach the site.
    pub port: u16,
    /// The largest body of a request in bytes.
    pub max_request_body: usize,
    /// The number of connections that may be open at the same time; further ones are closed at once.
    pub max_connections: usize,
    /// The time after which a client that reads nothing, while there is something to read, is cut.
    pub stream_timeout: Duration,
    /// The time after which a connection is closed that has no request, or one whose head is not whole. The body of a request may
    /// pause for as long, and has to come within ten times that.
    pub idle_timeout: Duration,
}

impl Bounds {
    /// Returns the bounds of a site at that address, with the defaults of [`Settings`](crate::Settings).
    #[must_use]
    pub fn new(hostname: impl Into<String>, ip: IpAddr, port: u16) -> Self {
        crate::Settings::default().hostname(hostname).ip(ip).port(port).bounds()
    }
}

/// Serves a site over HTTP/1.1. A clone is another handle of the same listener.
///
/// # Examples
///
/// ```
/// use apportion_http::transport::{Answer, Body, Bounds, Listener, Site, text};
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use std::sync::Arc;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio::sync::Notify;
///
/// struct Hello;
///
/// impl Site for Hello {
///     type Route = ();
///     type Connection = ();
///
///     fn connected(&self) {}
///     fn route(&self, _path: &str) {}
///     async fn answer(&self, _: (), _: &Request<Bytes>, _: Arc<Notify>) -> Result<Response<Body>, Answer> {
///         Err(text(StatusCode::OK, "hello"))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let socket = TcpListener::bind("127.0.0.1:0").await?;
/// let address = socket.local_addr()?;
/// let listener = Listener::new(Hello, Bounds::new("localhost", address.ip(), address.port()));
/// let serving = tokio::spawn(listener.serve(socket));
///
/// let mut client = TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with("hello"), "{answer}");
///
/// listener.shutdown().await;
/// serving.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Listener<S> {
    shared: Arc<Shared<S>>,
    /// True once the listener shuts down. Each connection holds a receiver until it has ended.
    closing: watch::Sender<bool>,
}

struct Shared<S> {
    site: S,
    bounds: Bounds,
    bodies: Bodies,
}

impl<S> Clone for Listener<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), closing: self.closing.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for Listener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { site, bounds, .. } = &*self.shared;
        f.debug_struct("Listener").field("site", site).field("bounds", bounds).finish_non_exhaustive()
    }
}

impl<S: Site> Listener<S> {
    /// Returns a listener that has no socket yet.
    pub fn new(site: S, bounds: Bounds) -> Self {
        let bodies = Bodies::new(bounds.max_request_body);
        Self { shared: Arc::new(Shared { site, bounds, bodies }), closing: watch::Sender::new(false) }
    }

    /// Returns the site.
    #[must_use]
    pub fn site(&self) -> &S {
        &self.shared.site
    }

    /// Accepts connections, until the listener [shuts down](Self::shutdown). When the future is dropped, all its connections are
    /// cut.
    pub fn serve(&self, socket: TcpListener) -> impl Future<Output = ()> + Send + use<S> {
        let (shared, closing) = (self.shared.clone(), self.closing.subscribe());
        async move {
            let mut is_closing = pin!(shutdown(closing.clone()));
            let limit = Connections::new(shared.bounds.max_connections);
            let (mut connections, mut is_failing) = (JoinSet::new(), false);
            loop {
                tokio::select! {
                    accepted = socket.accept() => match accepted {
                        Ok((accepted, peer)) => {
                            is_failing = false;
                            if let Some(place) = limit.place(peer) {
                                let connection = connection(accepted, peer, shared.clone(), closing.clone());
                                connections.spawn(async move {
                                    connection.await;
                                    drop(place);
                                });
                            }
                        }
                        Err(error) => {
                            if !std::mem::replace(&mut is_failing, true) {
                                tracing::warn!(%error, "connections cannot be accepted");
                            }
                            sleep(Duration::from_millis(100)).await; // as when too many files are open
                        }
                    },
                    Some(_) = connections.join_next() => {}
                    () = is_closing.as_mut() => break,
                }
            }
            drop(socket);
            while connections.join_next().await.is_some() {}
        }
    }

    /// Accepts no connection any more, ends streams, and waits until all requests on their way are answered. How long that takes is
    /// up to the clients: drop the future of [`serve`](Self::serve) to cut them.
    pub async fn shutdown(self) {
        self.closing.send_replace(true);
        self.closing.closed().await;
    }
}

impl<S: Site> Shared<S> {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, cut: Arc<Notify>) -> Response<Body> {
        let route = self.site.route(request.uri().path());
        let takes_gzip = gzip::is_accepted(request.headers());
        let answer = match self.checked(route, request, peer, cut).await {
            Ok(stream) => stream,
            Err(whole) => {
                let whole = if takes_gzip { gzip::gzipped(whole).await } else { whole };
                (*whole).map(|body| Either::Left(Full::new(body)))
            }
        };
        self.site.answered(route, answer.status());
        answer
    }

    async fn checked(
        &self,
        route: S::Route,
        request: Request<Incoming>,
        peer: SocketAddr,
        cut: Arc<Notify>,
    ) -> Result<Response<Body>, Answer> {
        let (parts, body) = request.into_parts();
        if head_length(&parts) > MAX_HEAD {
            let reason = format!("a head of more than {MAX_HEAD} bytes");
            return Err(text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason));
        }
        let body = self.bodies.read(body, &parts.headers, &self.bounds, peer).await?;
        let request = Request::from_parts(parts, body.bytes.clone());
        origin::check(&self.bounds, &request)?;
        self.site.answer(route, &request, cut).await
    }
}

/// Serves a connection until it ends or is cut.
async fn connection<S: Site>(
    socket: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared<S>>,
    closing: watch::Receiver<bool>,
) {
    let _connected = shared.site.connected();
    let socket = match prepared(socket, shared.bounds.stream_timeout) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection broke off at once");
            return;
        }
    };
    let cut = Arc::new(Notify::new());
    let idle_timeout = shared.bounds.idle_timeout;
    let answer = |request: Request<Incoming>| {
        let (shared, cut, closing) = (shared.clone(), cut.clone(), &closing);
        // Boxed: a connection keeps room for the answer to come, which is some kilobytes, as long as it is open.
        Box::pin(async move {
            Ok::<_, Infallible>(shared.answer(request, peer, cut).await.map(|body| Ending::new(body, closing)))
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_buf_size(2 * MAX_HEAD) // beyond it hyper itself answers 431
        .title_case_headers(true)
        .serve_connection(TokioIo::new(socket), service_fn(answer));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cut.notified() => return,
        () = shutdown(closing.clone()) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = cut.notified() => return,
            }
        }
    };
    if let Err(error) = ended {
        log_end(peer, &error);
    }
}

/// Returns about how long a head was on the wire.
fn head_length(parts: &http::request::Parts) -> usize {
    let path = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    parts.headers.iter().fold(path, |length, (name, value)| length + name.as_str().len() + value.len() + 4)
}
