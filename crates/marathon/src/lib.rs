//! A small Marathon: a framework that keeps apps running on a cluster, on [`apportion`].
//!
//! [`Document`] reads Marathon's JSON of an app or a group. A [`RootGroup`] is all the apps that are wanted, with their
//! dependency graph. [`Marathon`] is the scheduler that runs them: it changes what runs in [`Deployment`]s, step by step,
//! within the bounds of each app's `upgradeStrategy`; it replaces tasks that fail their health checks; and it launches an
//! app that keeps failing after longer and longer delays.
//!
//! The library does no I/O: time comes in with the calls, and launches go out as tasks. An executor reads the
//! [`TaskCommand`] of a task, runs it, makes its [`HealthCheck`]s and reports them by [`result_status`].
//! [`SimulatedExecutor`] runs nothing and reports what a task would. Tasks have Mesos' fields too, so that the agents of a
//! cluster run them as commands and containers. The program `marathon` of this package runs tasks in all three ways.
//!
//! | module | purpose |
//! | --- | --- |
//! | `group` `definition` `root_group` | documents; apps; all wanted apps and their dependency graph |
//! | `known_keys` | the keys of documents that have no effect |
//! | `framework` `running_app` `round` | the scheduler; an app that runs, at its present version; a plan in parts |
//! | `deployment` | a change of apps, in steps |
//! | `rollout` `phases` | which instances are killed and launched; the instances of an app by phase |
//! | `tracker` `health` `readiness` `unreachable` | instances and their status updates; their checks; agents that cannot be reached |
//! | `backoff` `volumes` | launch delays; the volumes of an app's instances |
//! | `program` `simulated` | the command of a task; an executor that runs nothing |
//! | `task_info` | what the agents of a cluster read of a task |
//! | `service_port` `haproxy` | ports at which clients reach apps; the text of HAProxy's configuration |

mod backoff;
mod definition;
mod deployment;
mod framework;
mod group;
mod haproxy;
mod health;
mod known_keys;
mod phases;
mod program;
mod readiness;
mod rollout;
mod root_group;
mod round;
mod running_app;
mod service_port;
mod simulated;
mod task_info;
mod tracker;
mod unreachable;
mod upgrade_strategy;
mod volumes;

pub use definition::{AppDefinition, Apps, Dependency, canonical_path};
pub use deployment::{Deployment, DeploymentState};
pub use framework::{Marathon, Notice, QueueItem};
pub use group::{Document, is_within};
pub use haproxy::{AppBackend, HaproxyConfig, Server, ServicePortError};
pub use health::{HealthCheck, PortRef, Probe, Statuses, result_status};
pub use known_keys::PassedOver;
pub use program::{TaskCommand, TaskVolume};
pub use readiness::{ReadinessCheck, ready_status};
pub use root_group::{DependencyError, RootGroup};
pub use running_app::RunningApp;
pub use service_port::{ProxyMode, ServicePort};
pub use simulated::{FAIL_CHECKS, SimulatedExecutor};
pub use tracker::Instance;
pub use unreachable::UnreachableStrategy;
