//! Connections without I/O: the HTTP side of the v1 scheduler and executor APIs as state machines, for any HTTP client.
//!
//! A [`Connection`] is what a framework needs between its [`Scheduler`](crate::Scheduler) and an HTTP client: it finds the
//! leading master, subscribes, cuts the stream of events into records, decodes them, numbers its calls with the id of the
//! stream, notices that a master is gone, backs off, subscribes again, and reconciles. An [`ExecutorConnection`] does the same
//! for an executor and its agent. Neither opens a socket nor reads a clock. The program around it sends the requests, passes
//! in what comes back, and waits:
//!
//! ```text
//!                  poll_request ──► Request ──► ┌──────────────┐
//!  ┌────────────┐                               │              │
//!  │            │ ◄── handle_response ◄──────── │ your HTTP    │ ◄──► master or agent
//!  │ Connection │ ◄── handle_bytes    ◄──────── │ client       │
//!  │            │ ◄── handle_end, _failure ◄─── └──────────────┘
//!  │            │
//!  │            │ ──► poll_output ──► Output::Event ──► scheduler::deliver ──┐
//!  │            │ ◄── send ◄── Calls ◄───────────────────────────────────────┘
//!  │            │ ──► poll_timeout ──► a timer ──► handle_timeout
//!  └────────────┘
//! ```
//!
//! # The order of polling
//!
//! After each `handle_` call, and after each `send`: first [`poll_output`](Connection::poll_output) until `None`, then
//! [`poll_request`](Connection::poll_request) until `None`, then wait for an answer, or until
//! [`poll_timeout`](Connection::poll_timeout), and then call [`handle_timeout`](Connection::handle_timeout), before its time or
//! after. A new connection has its first request ready.
//!
//! # What the HTTP client does
//!
//! - Each [`HttpRequest`] is a POST. The answer to one that [`is_stream`](HttpRequest::is_stream) stays open: each piece of its body is
//!   passed to [`handle_bytes`](Connection::handle_bytes) as it comes, in pieces of any size (chunks of HTTP mean nothing here).
//!   At most one other request is on its way at a time, so that one keep-alive connection serves them all, and calls arrive in
//!   order.
//! - It follows no redirect by itself: 307 is for the connection to see.
//! - Each part of an answer may also be a value, an [`Answer`], for channels and for [`handle`](Connection::handle).
//! - Every answer ends with [`handle_end`](Connection::handle_end), or with [`handle_failure`](Connection::handle_failure) if it
//!   breaks off or never begins.
//! - What is not [open](Connection::is_open) any more may be closed. Whatever still comes of it is ignored.
//!
//! A [`SchedulerDriver`] joins a connection and its scheduler, an [`ExecutorDriver`] one and its executor. Both keep the timers
//! and the order of polling, and tell by one [`Step`] after the other what to do. The guide, section
//! [*Connect it*](crate::guide#7-connect-it), has the HTTP client and the loop around it whole, in 30 lines.
//!
//! # What is told, and what is not
//!
//! All comes out as an [`Output`], each at its place in the order of things. Nothing is lost silently: a record that cannot be
//! read is handed out as it is, a call that is not sent or not answered comes back, and so does one that the master rejects.
//!
//! The same inputs at the same times give the same outputs, on any machine: the random times of the back-off are drawn from a
//! seed. The memory is bounded by the longest record, 64 MiB of waiting calls, and the framework's tasks.

mod answer;
mod driver;
mod endpoint;
mod executor;
mod link;
mod metrics;
mod reconciliation;
mod scheduler;

pub use answer::Answer;
pub use driver::{ExecutorDriver, SchedulerDriver, Step};
pub use endpoint::EndpointError;
pub use executor::{AuthenticationToken, EnvironmentError, ExecutorConnection, ExecutorEnvironment};
pub use metrics::{CallCounts, ConnectionMetrics};
pub use scheduler::Connection;

use super::{Dialect, Message, RecordError};
use crate::time::Time;
use std::fmt;
use std::time::Duration;

/// How messages look on the wire: v1 JSON, protobuf, or something of your own.
///
/// `C` are the calls that go out, [`SchedulerCall`](super::SchedulerCall) or [`ExecutorCall`](super::ExecutorCall), and `E` the
/// events that come in. [`Dialect`] is the codec of v1 JSON.
///
/// # Examples
///
/// A codec that logs what it reads, over that of JSON:
///
/// ```
/// use apportion::v1::connection::{Codec, Connection, Output};
/// use apportion::v1::{Dialect, SchedulerCall};
/// use apportion::{Event, Framework, Role};
///
/// #[derive(Debug)]
/// struct Logged(Dialect);
///
/// impl Codec<SchedulerCall, Event> for Logged {
///     fn content_type(&self) -> &str {
///         Codec::<SchedulerCall, Event>::content_type(&self.0)
///     }
///     fn encode(&self, call: &SchedulerCall) -> Vec<u8> {
///         self.0.encode(call).into_bytes()
///     }
///     fn decode(&self, record: &[u8]) -> Result<Event, String> {
///         eprintln!("{}", String::from_utf8_lossy(record));
///         self.0.decode(record).map_err(|error| error.to_string())
///     }
/// }
///
/// let framework = Framework::new("f1").role(Role::new("web")?);
/// let codec = Logged(Dialect::of(&framework));
/// let mut connection = Connection::with_codec(codec, ["m1:5050"], framework, 7)?;
/// assert!(connection.poll_request(apportion::Time::ZERO).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec<C, E> {
    /// Returns the media type of the messages, for the headers `Content-Type` and `Accept`.
    fn content_type(&self) -> &str;

    /// Encodes a call, as the body of a request.
    fn encode(&self, call: &C) -> Vec<u8>;

    /// Decodes an event, from a record of the stream.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, for people. The record is then handed out as [`Output::Unreadable`].
    fn decode(&self, record: &[u8]) -> Result<E, String>;
}

impl<C: Message, E: Message> Codec<C, E> for Dialect {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn encode(&self, call: &C) -> Vec<u8> {
        Self::encode(self, call).into_bytes()
    }

    fn decode(&self, record: &[u8]) -> Result<E, String> {
        Self::decode(self, record).map_err(|error| error.to_string())
    }
}

/// The name of a request, by which its answer is passed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}

/// An HTTP request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRequest {
    /// Names the request when its answer is passed back.
    pub id: RequestId,
    /// The whole URL, as in `http://m1:5050/api/v1/scheduler`.
    pub url: String,
    /// The headers, in order. `Host` and the length of the body are left to the HTTP client.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// True if the answer is a stream, which stays open and is passed in piece by piece as it comes.
    pub is_stream: bool,
    scheme_length: usize,
    authority_length: usize,
}

impl HttpRequest {
    /// The method of all requests.
    pub const METHOD: &'static str = "POST";

    /// Returns the host with its port, as in `m1:5050`: the address to connect to, and the value of the header `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.url[self.scheme_length + 3..self.scheme_length + 3 + self.authority_length]
    }

    /// Returns the path, as in `/api/v1/scheduler`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.url[self.scheme_length + 3 + self.authority_length..]
    }
}

/// An output of a connection. `C` are its calls, `E` its events.
///
/// The list is complete on purpose: a program that matches all of it overlooks nothing.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a program that overlooks one of these loses something")]
pub enum Output<C, E> {
    /// An event, to pass to [`scheduler::deliver`](crate::scheduler::deliver) or
    /// [`Session::receive`](crate::executor::Session::receive). Heartbeats and events of unknown types are among them.
    Event(E),
    /// A record that cannot be read as an event: the whole record, for a log. The subscription goes on.
    ///
    /// A status with a UUID of zeros is one: it cannot be acknowledged, so an agent sends it again and again.
    Unreadable {
        /// The record as it came.
        record: Vec<u8>,
        /// Why it is no event.
        why: String,
    },
    /// The master or agent has rejected a call: it is wrong, and would be so again. A scheduler's is for
    /// [`Scheduler::rejected`](crate::Scheduler::rejected).
    Rejected {
        /// The call.
        call: C,
        /// The HTTP status, of 400 to 499.
        status: u16,
        /// The reason, as the master or agent words it.
        why: String,
    },
    /// A call that was not sent, since there is no subscription or too many calls wait, or that was sent and not answered
    /// before the subscription was lost. Those of a scheduler that mean the same later, such as KILL, are kept for the next
    /// subscription, and dropped only when there will be none.
    ///
    /// Nothing has to be done. What a scheduler's call would have changed, the next reconciliation tells; an executor's statuses
    /// are repeated with its next subscription.
    Dropped(C),
    /// An attempt to subscribe has failed; there will be another.
    AttemptFailed {
        /// The reason.
        why: DisconnectReason,
        /// The time of the next attempt.
        retry_at: Time,
    },
    /// The subscription is lost; there will be another. A scheduler's offers are void, without a rescind: it is for
    /// [`Scheduler::disconnected`](crate::Scheduler::disconnected).
    Disconnected {
        /// The reason.
        why: DisconnectReason,
        /// The time of the next attempt.
        retry_at: Time,
    },
    /// The connection has ended for good: it makes no further request.
    Stopped(StopReason),
}

/// The reason why a subscription is lost, or an attempt to subscribe has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The HTTP client has failed: it could not connect, or the connection broke.
    #[error("{0}")]
    Failed(String),
    /// The master or agent has answered a subscription or a call with that status: it is not the leader, not ready, or knows no
    /// such subscription.
    #[error("answered with status {status}: {why}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The text of the answer.
        why: String,
    },
    /// The master or agent has ended the stream.
    #[error("the stream has ended")]
    StreamEnded,
    /// The stream is not one of records.
    #[error(transparent)]
    Records(RecordError),
    /// A request was not answered in time, or no SUBSCRIBED came.
    #[error("no answer within {} s", within.as_secs_f64())]
    NoAnswer {
        /// The time allowed.
        within: Duration,
    },
    /// No record came for several heartbeat intervals.
    #[error("no heartbeat within {} s", within.as_secs_f64())]
    NoHeartbeat {
        /// The time allowed.
        within: Duration,
    },
    /// Too many redirects in a row.
    #[error("redirected more than {most} times in a row")]
    TooManyRedirects {
        /// The most redirects in a row that are followed.
        most: u32,
    },
    /// A redirect names no host.
    #[error("redirected to {location:?}, expected //host:port or a URL")]
    BadRedirect {
        /// The header `Location`; empty if there was none.
        location: String,
    },
    /// Another master leads.
    #[error("another master leads")]
    LeaderChanged,
    /// The master or agent has ended the subscription with an ERROR event.
    #[error("ended by an error: {0}")]
    Error(String),
}

/// The reason why a connection has ended for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// The subscription was refused, and would be so again: its framework or executor is invalid or not allowed.
    #[error("the subscription was refused (status {status}): {why}")]
    Refused {
        /// The HTTP status; 200 if the refusal came as an ERROR event.
        status: u16,
        /// The reason, as the master or agent words it.
        why: String,
    },
    /// Another instance of the framework has subscribed: it leads now.
    #[error("another instance of the framework has subscribed")]
    FailedOver,
    /// The framework has been removed: it was torn down by an operator, or away for longer than its failover timeout.
    #[error("the framework has been removed")]
    Removed,
    /// The framework's own TEARDOWN is done.
    #[error("the framework is torn down")]
    TornDown,
    /// Its own program has [stopped](Connection::stop) it. The framework stays registered for its failover timeout.
    #[error("stopped by its own program")]
    Left,
    /// The agent has shut the executor down.
    #[error("the agent has shut the executor down")]
    ShutDown,
    /// The agent is gone, and the executor must not outlive it: its framework does not checkpoint, or the agent has not come back
    /// within the recovery timeout.
    #[error("the agent is gone")]
    AgentLost,
}
