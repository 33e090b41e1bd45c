//! The Mesos v1 API over HTTP, both ends: a master that frameworks connect to, and a client that runs a scheduler.
//!
//! The [library](apportion) decides and does no I/O; this package gives it sockets and a clock. A [`Server`] is a master whose
//! scheduler API is that of Mesos 1.11, in JSON and in protobuf, so that clients written for Mesos connect to it unchanged.
//! Its agents connect over the network, by the [`internal`] protocol, or live in the same program, behind [`Agents`].
//!
//! A request takes the way below. The checks before the master, in Mesos' order, are pure functions of the request:
//!
//! ```text
//!   socket ── hyper ── checks ── 4xx, 3xx or 202 at once
//!                        │ call                    one task owns the master
//!                        └────────────► Leader ──► Delivery (Master)
//!   socket ◄── hyper ◄── stream ◄──────────┘  └──► Agents
//! ```
//!
//! Operators change the cluster over `/api/v1` or over Mesos' older endpoints, and measure it at `/metrics/snapshot`, or with
//! Prometheus at `/metrics`. [`Settings::record`] keeps a journal from which every decision of the master can be replayed.
//!
//! The other end is [`client`]: a [`Scheduler`](apportion::Scheduler) or an executor over HTTP, to this master or to a Mesos.
//!
//! [`protobuf`] is the binary encoding of all messages.

mod agents;
mod apportion_api;
mod authentication;
pub mod client;
mod endpoint;
pub mod executor_api;
pub mod files;
pub mod forms;
mod gate;
pub mod internal;
mod leader;
mod leadership;
mod metrics;
mod operator_api;
pub mod page;
pub mod protobuf;
mod scheduler_api;
mod seen;
mod server;
mod service;
mod settings;
mod simulated;
pub mod transport;
mod v0;
mod verbosity;
mod view;

pub use agents::{Agents, NoAgents};
pub use authentication::{Authentication, CredentialsError, Realm};
pub use client::Client;
pub use leadership::Leadership;
pub use metrics::system_figures;
pub use server::{Server, ServerError};
pub use settings::Settings;
pub use simulated::SimulatedAgents;
pub use transport::duration::parse_duration;
pub use transport::encoding::Encoding;
pub use verbosity::Verbosity;
pub use view::Snapshot;
