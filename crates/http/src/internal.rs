//! The internal protocol, between a master and its agents: the messages, and the agent's end of a connection.
//!
//! An agent POSTs [`AgentCall`]s to `/internal/v1/agent` of the leading master. The first one, which registers the agent, is answered
//! with a stream of [`MasterEvent`]s in RecordIO and a `Mesos-Stream-Id`, which all later calls name in a header of that name, as the
//! calls of schedulers do. A call is answered 202 when it is queued, 400 when it is malformed or its stream is not the agent's
//! latest, 307 and 503 by a master that does not lead.
//!
//! This protocol is our own: Mesos has another one between its masters and agents, and no third party speaks it.
//!
//! # Examples
//!
//! ```
//! use apportion_http::internal::{AgentCall, MasterEvent};
//!
//! let event: MasterEvent = serde_json::from_str(r#"{"type":"PING","body":{"seq":7,"connected":true}}"#)?;
//! let MasterEvent::Ping { seq, .. } = event else { unreachable!() };
//! assert_eq!(serde_json::to_string(&AgentCall::Pong { seq })?, r#"{"type":"PONG","body":{"seq":7}}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub(crate) mod api;
mod connection;
mod form;
mod message;
pub(crate) mod stream;

pub use connection::{AgentCalls, AgentConnection, ConnectError, LinkEnded, Tried};
pub use message::{AgentCall, MasterEvent, Register, ReportedExecutor, ReportedTask, Reregister, Welcome};

#[cfg(test)]
mod tests;
