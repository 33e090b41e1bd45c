//! A small Marathon: the framework that keeps apps running on a cluster, on the protocol of [`apportion`].
//!
//! [`Written`] reads Marathon's JSON of an app or a group; a [`Target`] is all the apps that are wanted, with their
//! dependencies. [`Marathon`] is the scheduler: it changes what runs in [`Deployment`]s, step by step, within the bounds of
//! each app's `upgradeStrategy`, replaces what fails its health checks, and waits longer and longer before it launches again
//! what keeps failing.
//!
//! The library does no I/O: time comes in with the calls, and launches go out as tasks. Whoever runs them reads an
//! [`Order`] and makes its [`HealthCheck`]s; [`Simulated`] is an executor that only says what a task would. The program
//! `marathon` of this package runs both kinds.
#![expect(missing_docs, reason = "the rooms are described in the next step")]

mod back_off;
mod census;
mod definition;
mod dependency;
mod deployment;
mod framework;
mod group;
mod haproxy;
mod health;
mod program;
mod rollout;
mod service;
mod service_port;
mod simulated;
mod tasks;

pub use definition::{Apps, Definition, Dependency, from_root};
pub use dependency::Target;
pub use deployment::{Deployment, State};
pub use framework::{Marathon, News, Waiting};
pub use group::{Written, is_within};
pub use haproxy::{Entry, Haproxy, Server};
pub use health::{HealthCheck, Port, Probe, tell};
pub use program::Order;
pub use service::Service;
pub use service_port::{Mode, ServicePort};
pub use simulated::{SICK, Simulated};
pub use tasks::Instance;
